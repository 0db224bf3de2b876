"""The best public IGN on MNIST, measured with this book's harness: the 64 samples that xyfJASON/ign-pytorch publishes.

    git clone https://github.com/xyfJASON/ign-pytorch
    python experiments/public.py ign-pytorch/assets [--out ignbook/shipped/results/public.json]

Its pictures ign-mnist-repeat1..3.png hold f(z), f^2(z), f^3(z) of the same 64 draws, in grids of 8 by 8.  With so few
samples FD, KID, recall and coverage mean nothing; precision, confidence and the class shares do.  Beside each stands the
mean over 64 real digits at a time, enlarged and shrunk like the published ones.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402

SIDE, BORDER, ACROSS = 32, 2, 8


def cut(path: Path) -> torch.Tensor:
    """The grid of `torchvision.utils.make_grid` as images: (64, 1, 32, 32) in [-1, 1].  ValueError: another size."""
    from PIL import Image
    from torchvision.transforms.functional import to_tensor

    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; clone the repository that this file names and give its folder assets.")
    picture = to_tensor(Image.open(path).convert("L"))
    step, whole = SIDE + BORDER, ACROSS * (SIDE + BORDER) + BORDER
    if picture.shape != (1, whole, whole):
        raise ValueError(
            f"{path.name} has {tuple(picture.shape[1:])} pixels, not {whole} by {whole}; it isn't the grid of 8 by 8."
        )
    tiles = picture[:, BORDER:, BORDER:].unfold(1, SIDE, step).unfold(2, SIDE, step)  # (1, 8, 8, 32, 32)
    return tiles.reshape(-1, 1, SIDE, SIDE) * 2 - 1


def shrunk(x: torch.Tensor) -> torch.Tensor:
    """That repository enlarges digits from 28 to 32 pixels, this one pads them: bring (n, 1, 32, 32) to 28 and pad."""
    from torchvision.transforms.functional import resize

    return F.pad(resize(x, [28, 28], antialias=True), (2, 2, 2, 2), value=-1.0)


def enlarged(x: torch.Tensor) -> torch.Tensor:
    """What that repository does to real digits: (n, 1, 32, 32) padded -> enlarged."""
    from torchvision.transforms.functional import resize

    return resize(x[..., 2:-2, 2:-2], [SIDE, SIDE], antialias=True)


def measure(x: torch.Tensor, classifier, real: torch.Tensor) -> dict:
    """Precision, confidence, class shares and KL of few images x (n, 1, 32, 32), against features `real` (m, 64)."""
    labels, confidence = ignbook.metrics.classes_of(classifier, x)
    share, kl = ignbook.metrics.class_histogram(labels)
    precision = ignbook.metrics.neighbours(real, ignbook.metrics.features_of(classifier, x))["precision"]
    return {"precision": precision, "KL": kl, "confidence": confidence.mean().item(), "histogram": share}


OUT = ignbook.checkpoints.shipped("results") / "public.json"


def main(assets: tyro.conf.Positional[Path], out: Path = OUT) -> None:
    """Measure the published samples.

    Args:
        assets: The folder with the pictures.
        out: The JSON file to write.
    """
    classifier, test, train = ignbook.metrics.load_classifier(), ignbook.data.real("mnist", "test"), ignbook.data.real("mnist")
    real = ignbook.metrics.features_of(classifier, test[ignbook.metrics.in_random_order(test)[:5_000]])
    rows = {}
    for k, name in enumerate(ignbook.metrics.APPLICATIONS, start=1):
        rows[name] = measure(shrunk(cut(assets / f"ign-mnist-repeat{k}.png")), classifier, real)
    some = [
        measure(shrunk(enlarged(x)), classifier, real)
        for x in train[ignbook.metrics.in_random_order(train)[: 64 * 50]].split(64)
    ]
    rows["real"] = {key: sum(one[key] for one in some) / len(some) for key in ("precision", "KL", "confidence")}
    result = {"source": "https://github.com/xyfJASON/ign-pytorch", "n": 64, "rows": rows}
    ignbook.checkpoints.write_json(out, result)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"public.py: {error}")
