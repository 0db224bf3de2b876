"""How good is a generator: drift, Fréchet and kernel distance, precision and recall, class balance, denoising.

Distances and neighbour counts come from torchmetrics and prdc; the features from a small classifier that `train.py`
trains (`python train.py classifier`).  Every table of the book shows the same number for real data beside it.
"""

import contextlib
import io
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ign_core
import ign_data

NEIGHBOURS = 5  # k of precision, recall, density and coverage (Naeem et al. 2020)
NOISE = 0.3  # standard deviation of the noise that projection is to remove, in units of the range [-1, 1]


# ------------------------------------------------------------------------------------------------------- the classifier


class Classifier(nn.Module):
    """Digits to features and classes: (n, 1, 32, 32) in [-1, 1] -> logits (n, 10); three stride-2 convolutions."""

    def __init__(self, features: int = 64, classes: int = 10):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.GroupNorm(8, 64), nn.ReLU(),
            nn.Conv2d(64, 128, 3, 2, 1), nn.GroupNorm(16, 128), nn.ReLU(),
            nn.Flatten(), nn.Linear(128 * 16, features),
        )  # fmt: skip
        self.head = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, 1, 32, 32) -> (n, 64), the activations that all distances are measured on."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.body(x)))


def train_classifier(recipe, train: ign_data.Images, test: ign_data.Images, progress: bool = True) -> tuple[Classifier, dict]:
    """Cross-entropy with shifts of up to 2 pixels.  recipe: `recipes.ClassifierRecipe`.  Returns it and its card."""
    from tqdm.auto import tqdm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = Classifier()
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = recipe.epochs * (len(train) // recipe.batch)
    optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.lr, steps)
    order = iter(ign_core.Order(len(train), recipe.batch, recipe.seed))
    for _ in tqdm(range(steps), disable=not progress, desc=recipe.name):
        index = next(order)
        x = F.pad(train[index], (2, 2, 2, 2), value=-1.0)
        i, j = torch.randint(0, 5, (2,), generator=generator).tolist()
        x = x[..., i : i + train.size, j : j + train.size]
        loss = F.cross_entropy(net(x), train.labels[index], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval().requires_grad_(False)
    correct = classes_of(net, test[torch.arange(len(test))])[0] == test.labels
    card = {
        "format": ign_core.FORMAT,
        "classifier": vars(recipe),
        "data": train.card,
        "metrics": {"test accuracy": correct.double().mean().item()},
    }
    return net, card


def load_classifier(name: str = "classifier") -> Classifier:
    """The shipped classifier, eval mode.  Errors: see `ign_core.read`."""
    tensors, _ = ign_core.read(name)
    net = Classifier()
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


@torch.no_grad()
def features_of(classifier: Classifier, x: Tensor) -> Tensor:
    """(n, 1, 32, 32) -> (n, 64) in batches."""
    return torch.cat([classifier.features(part) for part in x.split(500)])


@torch.no_grad()
def classes_of(classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 1, 32, 32) -> most likely class (n,) and its probability (n,)."""
    probability = torch.cat([classifier(part).softmax(-1) for part in x.split(500)])
    confidence, label = probability.max(-1)
    return label, confidence


# -------------------------------------------------------------------------------------------------- on sets of features


class _Given(nn.Module):
    """torchmetrics takes images and a network; we have the features already."""

    num_features = 64

    def forward(self, x: Tensor) -> Tensor:
        return x


def frechet(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two normal fits (Heusel et al. 2017), by torchmetrics.  real, fake: (n, d) features."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    return _updated(FrechetInceptionDistance, real, fake).compute().item()


def kernel(real: Tensor, fake: Tensor, subsets: int = 50, subset_size: int = 500, seed: int = 0) -> float:
    """Kernel distance, unbiased in the sample size (Binkowski et al. 2018), by torchmetrics; mean over subsets."""
    from torchmetrics.image.kid import KernelInceptionDistance

    _enough(min(len(real), len(fake)), subset_size)
    metric = _updated(KernelInceptionDistance, real, fake, subsets=subsets, subset_size=subset_size)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws its subsets from the global generator
        torch.manual_seed(seed)
        return metric.compute()[0].item()


def _updated(metric_class, real: Tensor, fake: Tensor, **options):
    given = _Given()
    given.num_features = real.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it keeps 5,000 x 64 numbers in memory
        metric = metric_class(feature=given, **options)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric


def neighbours(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall (Kynkäänniemi et al. 2019), density, coverage (Naeem et al. 2020), by prdc.  (n, d), (m, d)."""
    from prdc import compute_prdc

    _enough(min(len(real), len(fake)), k + 1)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the number of samples
        result = compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    return {name: float(result[name]) for name in ("precision", "recall", "density", "coverage")}


def class_histogram(labels: Tensor, classes: int = 10) -> tuple[list[float], float]:
    """Share of each class, and its Kullback-Leibler divergence from the uniform one, in nats.  labels: (n,)."""
    share = torch.bincount(labels, minlength=classes).double() / len(labels)
    return share.tolist(), torch.xlogy(share, share * classes).sum().item()


# --------------------------------------------------------------------------------------------------------------- evaluate


def check_images(x: Tensor, least: int) -> Tensor:
    """x, if it is at least `least` finite images in [-1, 1]; else ValueError with one sentence."""
    _enough(len(x), least)
    if not torch.isfinite(x).all():
        raise ValueError("the images have NaN or infinite values; the generator that made them is broken.")
    if x.min() < -1.001 or x.max() > 1.001:
        raise ValueError(f"the images run from {x.min():.3g} to {x.max():.3g}; scale them to [-1, 1].")
    return x


def _enough(n: int, least: int) -> None:
    if n < least:
        raise ValueError(f"{n} samples are too few for this measure; give at least {least}.")


def score(classifier: Classifier, x: Tensor, real: Tensor) -> dict:
    """All set measures of images x (n, 1, 32, 32) against the features `real` (m, 64) of real data."""
    features = features_of(classifier, check_images(x, 500))
    labels, confidence = classes_of(classifier, x)
    histogram, kl = class_histogram(labels)
    return {
        "FD": frechet(real, features),
        "KID": kernel(real, features),
        **neighbours(real, features),
        "KL": kl,
        "confidence": confidence.mean().item(),
        "histogram": histogram,
    }


@torch.no_grad()
def evaluate(model: ign_core.Model, classifier: Classifier, train: ign_data.Images, test: ign_data.Images,
             n: int = 5_000, seed: int = 0) -> dict:  # fmt: skip
    """The table of chapter 6, for f(z), f^2(z), f^3(z), for the source itself and for real training data.

    n: samples of each kind; the reference are the first n test images.  Returns {"n", "rows": {name: measures},
    "reconstruction", "denoising"}; `drift` in a row is the mean D(y, f(y)), L1, of its samples.
    """
    generator = torch.Generator().manual_seed(seed)
    clean, labels = test[torch.arange(min(n, len(test)))], test.labels[:n]
    real = features_of(classifier, check_images(clean, min(n, 500)))
    z = model.source.sample(n, generator)
    steps = torch.cat([ign_core.iterate(model.f, part, 3) for part in z.split(500)], dim=1)
    pick = torch.randperm(len(train), generator=generator)[:n]
    kinds = {"real": train[pick], "z": z.clamp(-1, 1), "f(z)": steps[0], "f²(z)": steps[1], "f³(z)": steps[2]}
    rows = {name: score(classifier, x, real) | {"drift": _drift(model.f, x)} for name, x in kinds.items()}
    noisy = ign_data.add_noise(clean, NOISE, generator)
    cleaned = torch.cat([ign_core.project(model.f, part) for part in noisy.split(500)])
    accuracy = {k: (classes_of(classifier, x)[0] == labels).double().mean().item()
                for k, x in {"clean": clean, "noisy": noisy, "projected": cleaned}.items()}  # fmt: skip
    return {"n": n, "rows": rows, "reconstruction": _drift(model.f, clean), "denoising": {"sigma": NOISE, **accuracy}}


def _drift(f: nn.Module, x: Tensor) -> float:
    return torch.cat([ign_core.drift(f, part) for part in x.split(500)]).mean().item()


def table(metrics: dict) -> str:
    """The rows of `evaluate` as a Markdown table, for the terminal and for chapter 6."""
    columns = ["FD", "KID", "precision", "recall", "density", "coverage", "KL", "confidence", "drift"]
    digits = {"FD": 0, "KID": 2, "drift": 3}
    lines = ["| samples | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in metrics["rows"].items():
        lines.append(f"| {name} | " + " | ".join(f"{row[c]:.{digits.get(c, 2)}f}" for c in columns) + " |")
    return "\n".join(lines)
