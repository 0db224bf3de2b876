"""Data of the book: 2D manifolds, MNIST and its kin, what was measured, corruptions.

Every data set is a tensor or an `Images`: len(data), and data[LongTensor] -> (n, *shape).  Images are in [-1, 1].
"""

import gzip
import hashlib
import json
import math
import os
import socket
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import ign_core

# --------------------------------------------------------------------------------------------------------- 2D manifolds


@dataclass(frozen=True)
class Manifold:
    """A distribution in the plane, about 1 in size.

    sample(n, generator) -> (n, 2).
    distance(y): (n, 2) -> (n,), exact distance to the support; None where the support is the whole plane.
    log_density(y): (n, 2) -> (n,), exact, in nats; None where the support is a curve.
    modes: (m, 2) centres to count coverage by: the components, or points spread evenly along a curve; None: no such notion.
    """

    name: str
    sample: Callable[[int, torch.Generator], Tensor]
    distance: Callable[[Tensor], Tensor] | None = None
    log_density: Callable[[Tensor], Tensor] | None = None
    modes: Tensor | None = None


def _uniform(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator)


def _circle(angle: Tensor, radius=1.0) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], -1)


def ring() -> Manifold:
    """Uniform on the unit circle."""
    return Manifold(
        "ring",
        lambda n, g: _circle(2 * math.pi * _uniform(n, g)),
        distance=lambda y: (y.norm(dim=-1) - 1).abs(),
        modes=_circle(torch.arange(32) * (2 * math.pi / 32)),
    )


MOON_CENTRES = torch.tensor([[-0.5, -0.25], [0.5, 0.25]])  # of two half circles of radius 1


def _moon_point(angle: Tensor, lower: Tensor) -> Tensor:
    side = 1 - 2 * lower.to(angle.dtype)
    return _circle(angle) * torch.stack([side, side], -1) + MOON_CENTRES.to(angle)[lower.long()]


def _moon_distance(y: Tensor) -> Tensor:
    both = []
    for centre, side in zip(MOON_CENTRES.to(y), (1.0, -1.0)):
        v = (y - centre) * side
        to_ends = torch.minimum((v - v.new_tensor([1.0, 0.0])).norm(dim=-1), (v + v.new_tensor([1.0, 0.0])).norm(dim=-1))
        both.append(torch.where(v[..., 1] >= 0, (v.norm(dim=-1) - 1).abs(), to_ends))
    return torch.minimum(*both)


def moons() -> Manifold:
    """Uniform on two interleaved half circles of radius 1."""
    angle = (torch.arange(16) + 0.5) * (math.pi / 16)
    return Manifold(
        "moons",
        lambda n, g: _moon_point(math.pi * _uniform(n, g), _uniform(n, g) < 0.5),
        distance=_moon_distance,
        modes=torch.cat([_moon_point(angle, torch.full((16,), side)) for side in (False, True)]),
    )


SPIRAL_TURNS = 1.75
SPIRAL_START = 0.15  # the radius grows from here to SPIRAL_START + SPIRAL_GROWTH
SPIRAL_GROWTH = 1.2


def _spiral_point(t: Tensor) -> Tensor:
    return _circle(2 * math.pi * SPIRAL_TURNS * t, SPIRAL_START + SPIRAL_GROWTH * t)


def _spiral_distance(y: Tensor) -> Tensor:
    """Nearest point by a grid over the parameter, then Newton's method on the squared distance."""
    y = y.double()
    grid = torch.linspace(0, 1, 1025, dtype=y.dtype, device=y.device)
    t = grid[torch.cdist(y, _spiral_point(grid)).argmin(-1)]
    w, b = 2 * math.pi * SPIRAL_TURNS, SPIRAL_GROWTH
    for _ in range(8):
        r = SPIRAL_START + b * t
        along, across = _circle(w * t), _circle(w * t + math.pi / 2)
        point, first = r[..., None] * along, b * along + (r * w)[..., None] * across
        second = 2 * b * w * across - (r * w * w)[..., None] * along
        slope = ((point - y) * first).sum(-1)
        curve = first.square().sum(-1) + ((point - y) * second).sum(-1)
        t = (t - slope / curve.clamp_min(1e-6)).clamp(0, 1)
    ends = _spiral_point(torch.tensor([0.0, 1.0], dtype=y.dtype, device=y.device))
    found = torch.stack([(y - _spiral_point(t)).norm(dim=-1), *(y[..., None, :] - ends).norm(dim=-1).unbind(-1)])
    return found.amin(0).float()


def spiral() -> Manifold:
    """A spiral of Archimedes; its parameter is the square root of a uniform one, so that the points spread along the arc."""
    return Manifold(
        "spiral",
        lambda n, g: _spiral_point(_uniform(n, g).sqrt()),
        distance=_spiral_distance,
        modes=_spiral_point(((torch.arange(32) + 0.5) / 32).sqrt()),
    )


GAUSSIANS_STD = 0.08


def gaussians() -> Manifold:
    """Eight Gaussians of standard deviation 0.08 on the unit circle, equally likely."""
    centres = _circle(torch.arange(8) * (math.pi / 4))

    def sample(n: int, g: torch.Generator) -> Tensor:
        which = torch.randint(8, (n,), generator=g)
        return centres[which] + GAUSSIANS_STD * torch.randn(n, 2, generator=g)

    def log_density(y: Tensor) -> Tensor:
        squares = (y[..., None, :] - centres.to(y)).square().sum(-1)
        return (-squares / (2 * GAUSSIANS_STD**2)).logsumexp(-1) - math.log(8 * 2 * math.pi * GAUSSIANS_STD**2)

    return Manifold("gaussians", sample, log_density=log_density, modes=centres)


def checkerboard() -> Manifold:
    """Uniform on the eight black squares (side 0.75) of a 4 by 4 board on [-1.5, 1.5]^2."""
    side = 0.75
    cells = torch.tensor([(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0])
    low = cells * side - 1.5

    def sample(n: int, g: torch.Generator) -> Tensor:
        which = torch.randint(8, (n,), generator=g)
        return low[which] + side * torch.rand(n, 2, generator=g)

    def distance(y: Tensor) -> Tensor:
        corner = low.to(y)
        outside = torch.maximum(corner - y[..., None, :], y[..., None, :] - corner - side).clamp_min(0)
        return outside.norm(dim=-1).amin(-1)

    def log_density(y: Tensor) -> Tensor:
        return torch.where(distance(y) == 0, -math.log(8 * side**2), -math.inf)

    return Manifold("checkerboard", sample, distance, log_density, modes=low + side / 2)


PINWHEEL_ARMS, PINWHEEL_RATE = 5, 0.6
PINWHEEL_STD = (0.22, 0.06)  # along and across an arm, before it is bent


def pinwheel() -> Manifold:
    """Five bent Gaussian arms: a point (r, s) near (0.8, 0) is turned by its arm's angle plus 0.6 e^r (Johnson et al. 2016)."""
    arms = torch.arange(PINWHEEL_ARMS) * (2 * math.pi / PINWHEEL_ARMS)

    def turn(p: Tensor, angle: Tensor) -> Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * p[..., 0] - s * p[..., 1], s * p[..., 0] + c * p[..., 1]], -1)

    def angle_of(radius: Tensor) -> Tensor:
        return PINWHEEL_RATE * radius.exp()  # of the norm, which turning keeps: so the map has a determinant of 1

    def sample(n: int, g: torch.Generator) -> Tensor:
        p = torch.randn(n, 2, generator=g) * torch.tensor(PINWHEEL_STD) + torch.tensor([0.8, 0.0])
        return turn(p, arms[torch.randint(PINWHEEL_ARMS, (n,), generator=g)] + angle_of(p.norm(dim=-1)))

    def log_density(y: Tensor) -> Tensor:
        back = turn(y[..., None, :], -(arms.to(y) + angle_of(y.norm(dim=-1))[..., None]))
        std, mean = y.new_tensor(PINWHEEL_STD), y.new_tensor([0.8, 0.0])
        exponent = -0.5 * ((back - mean) / std).square().sum(-1)
        return exponent.logsumexp(-1) - math.log(PINWHEEL_ARMS * 2 * math.pi * PINWHEEL_STD[0] * PINWHEEL_STD[1])

    centre = torch.tensor([0.8, 0.0]).expand(PINWHEEL_ARMS, 2)
    return Manifold("pinwheel", sample, log_density=log_density, modes=turn(centre, arms + angle_of(centre.norm(dim=-1))))


MANIFOLDS = {make.__name__: make for make in (ring, moons, spiral, gaussians, checkerboard, pinwheel)}


def manifold(name: str) -> Manifold:
    """One of ring, moons, spiral, gaussians, checkerboard, pinwheel.  ValueError: another name."""
    if name not in MANIFOLDS:
        raise ValueError(f"manifold {name!r} is unknown; use one of: {', '.join(MANIFOLDS)}.")
    return MANIFOLDS[name]()


def points(name: str, n: int = 50_000, seed: int = 0) -> Tensor:
    """A fixed training set of a manifold: (n, 2)."""
    return manifold(name).sample(n, torch.Generator().manual_seed(seed))


# --------------------------------------------------------------------------------------------------------------- images


class Images:
    """Images in memory as bytes.  data[LongTensor] -> (n, C, H, W) in [-1, 1], padded with -1 to `size`.

    pixels: (n, C, h, w) uint8.  labels: (n,).  card: name, n, md5 and where it came from, for a checkpoint's card.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, name: str, size: int, origin: str, classes: tuple[str, ...] = ()):
        if size < pixels.shape[-1]:
            raise ValueError(f"images of side {pixels.shape[-1]} don't fit into {size} pixels; give a size of {pixels.shape[-1]} or more.")
        self.pixels, self.labels, self.size, self.classes = pixels, labels, size, classes
        digest = hashlib.md5(pixels.numpy().tobytes()).hexdigest()
        self.card = {"name": name, "n": len(pixels), "md5": digest, "origin": origin}

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index) -> Tensor:
        x = self.pixels[index].float() / 127.5 - 1
        spare = self.size - x.shape[-1]
        return F.pad(x, (spare // 2, spare - spare // 2) * 2, value=-1.0) if spare else x


IDX = {"mnist": "MNIST", "fashion": "FashionMNIST"}  # our names of the data sets in MNIST's file format: torchvision's
NAMES = (*IDX, "digits8")


@lru_cache(maxsize=4)
def load(name: str, split: str = "train", size: int = 32) -> Images:
    """A data set by name: "mnist", "fashion" (28x28, padded to `size`) or "digits8" (scikit-learn's 8x8, enlarged).

    split: "train" or "test".  MNIST comes from the folder $IGN_DATA if that is set (torchvision's layout, .gz files, may
    be read-only), else by torchvision's download into the cache, else, with no network, from scikit-learn, with a line
    on stderr that says so.  ValueError: unknown name or split, or a file whose md5 is not the published one.
    """
    if name not in NAMES:
        raise ValueError(f"data set {name!r} is unknown; use one of: {', '.join(NAMES)}.")
    if split not in ("train", "test"):
        raise ValueError(f"split {split!r} is unknown; use 'train' or 'test'.")
    if name == "digits8":
        return _digits8(split, size)
    folder, why = _folder(IDX[name])
    if folder is None:
        print(f"ign_data: using scikit-learn's 8x8 handwritten digits in place of {IDX[name]}, because {why}.", file=sys.stderr)
        return _digits8(split, size)
    stem = "train" if split == "train" else "t10k"
    pixels = _idx(folder / f"{stem}-images-idx3-ubyte.gz", IDX[name])
    labels = _idx(folder / f"{stem}-labels-idx1-ubyte.gz", IDX[name])
    return Images(pixels[:, None], labels.long(), f"{name}-{split}", size, "IDX files", _resource(IDX[name]).classes)


def _resource(kind: str):
    import torchvision

    return getattr(torchvision.datasets, kind)


def _folder(kind: str) -> tuple[Path | None, str]:
    """The folder with the four .gz files, or None and the reason."""
    if "IGN_DATA" in os.environ:
        folder = Path(os.environ["IGN_DATA"]) / kind / "raw"
        if not folder.is_dir():
            raise ValueError(f"IGN_DATA is set but {folder} is not a folder; put {kind}'s .gz files there or unset IGN_DATA.")
        return folder, ""
    from torchvision.datasets.utils import download_url

    folder = Path(os.environ.get("IGN_CACHE", Path.home() / ".cache" / "ign")) / kind / "raw"
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds: a network that swallows packets must not hang a reader
    try:
        for file, md5 in _resource(kind).resources:
            _download(download_url, _resource(kind).mirrors, file, folder, md5)
    except (OSError, RuntimeError) as error:
        return None, f"IGN_DATA is not set and the download failed ({type(error).__name__})"
    finally:
        socket.setdefaulttimeout(timeout)
    return folder, ""


def _download(download_url, mirrors, file: str, folder: Path, md5: str) -> None:
    if (folder / file).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for i, mirror in enumerate(mirrors):
        try:
            with tempfile.TemporaryDirectory(dir=folder) as aside:
                download_url(mirror + file, aside, file, md5)
                os.replace(Path(aside) / file, folder / file)
            return
        except (OSError, RuntimeError):
            if i + 1 == len(mirrors):
                raise


def _idx(path: Path, kind: str) -> Tensor:
    """One IDX file as a uint8 tensor, after its md5 has been compared with torchvision's list."""
    known = dict(_resource(kind).resources)
    if not path.exists():
        raise ValueError(f"{path} is missing; IGN_DATA wants torchvision's layout with the four .gz files of {kind}.")
    blob = path.read_bytes()
    if hashlib.md5(blob).hexdigest() != known[path.name]:
        raise ValueError(f"{path} is damaged: its md5 is not the published one; delete it and get it again.")
    raw = gzip.decompress(blob)
    sides = np.frombuffer(raw, ">i4", raw[3], 4)  # byte 3: number of dimensions, then one big-endian size for each
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sides).copy())


def _digits8(split: str, size: int) -> Images:
    """scikit-learn's 1,797 digits (8x8, 0 to 16), enlarged to 28x28 by bicubic interpolation: 1,500 train, 297 test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = F.interpolate(torch.from_numpy(bunch.images).float()[:, None] / 16, size=28, mode="bicubic").clamp(0, 1)
    part = slice(0, 1500) if split == "train" else slice(1500, None)
    pixels = (255 * x[part]).round().to(torch.uint8)
    classes = tuple(map(str, range(10)))
    return Images(pixels, torch.from_numpy(bunch.target)[part].long(), f"digits8-{split}", size, "scikit-learn", classes)


# -------------------------------------------------------------------------------------------------------------- results


def result(name: str) -> dict:
    """What an experiment or a benchmark of the book measured: results/NAME.json.  FileNotFoundError: there is none."""
    for folder in ign_core.shipped_in("results"):
        if (folder / f"{name}.json").exists():
            return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    raise FileNotFoundError(f"there is no results/{name}.json; run the command that writes it, or take it from the repository.")


def runs(family: str) -> dict[str, list[dict]]:
    """A family of runs that `train.py sweep FAMILY` measured: {variant: records, one a seed}, in the order of seeds.

    FileNotFoundError: there is none.
    """
    for folder in ign_core.shipped_in("results"):
        found: dict[str, list[dict]] = {}
        for path in sorted((folder / "runs" / family).glob("*-s[0-9]*.json"), key=lambda p: int(p.stem.rpartition("-s")[2])):
            found.setdefault(path.stem.rpartition("-s")[0], []).append(json.loads(path.read_text(encoding="utf-8")))
        if found:
            return found
    raise FileNotFoundError(f"there are no results of {family!r}; run `python train.py sweep {family}`, or take them from the repository.")


# ---------------------------------------------------------------------------------------------------------- corruptions


def add_noise(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """x plus N(0, sigma^2) noise, sigma in units of the range [-1, 1]; not cut off at the ends.  (n, ...) -> (n, ...)."""
    if not sigma >= 0:
        raise ValueError(f"the standard deviation of the noise is {sigma}; give 0 or more.")
    return x + sigma * torch.randn(x.shape, generator=generator, device=x.device)
