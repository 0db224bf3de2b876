"""Data of the book: 2D manifolds, MNIST and its kin, CelebA and drawn faces, images of one's own, what was measured, corruptions.

Every data set is a tensor or an `Images`: len(data), and data[LongTensor] -> (n, *shape).  Images are in [-1, 1].
"""

import contextlib
import glob
import gzip
import hashlib
import importlib.util
import io
import itertools
import json
import math
import os
import socket
import struct
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

import ignbook.checkpoints
from ignbook import checks
from ignbook.checks import door

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

    def __post_init__(self):
        def sample(n: int, generator: torch.Generator, made=self.sample) -> Tensor:
            checks.between("the number of points", n, 0)
            return made(n, generator)

        object.__setattr__(self, "sample", door(sample))
        for name in ("distance", "log_density"):
            if (of := getattr(self, name)) is not None:  # whole numbers would be counted with in whole numbers
                object.__setattr__(self, name, lambda y, of=of: of(checks.floats(y, "n, 2", "the points")))


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


@door
def points(name: str, n: int = 50_000, seed: int = 0) -> Tensor:
    """A fixed training set of a manifold: (n, 2).  ValueError: another name."""
    return manifold(name).sample(n, torch.Generator().manual_seed(seed))


# --------------------------------------------------------------------------------------------------------------- images


class Images:
    """Images in memory as bytes.  data[LongTensor] -> (n, C, H, W) in [-1, 1], padded with -1 to `size`.

    pixels: (n, C, h, w) uint8.  labels: (n,), of drawn faces their attributes, (n, 8).  card: name, n, md5 and where it came from, for a checkpoint's card.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, name: str, size: int, origin: str, classes: tuple[str, ...] = ()):
        if pixels.dtype != torch.uint8 or pixels.ndim != 4:
            raise ValueError(f"the pixels are {tuple(pixels.shape)}, {pixels.dtype}; give bytes (n, C, h, w), torch.uint8.")
        if not isinstance(size, int) or size < pixels.shape[-1]:
            raise ValueError(
                f"images of side {pixels.shape[-1]} don't fit into {size} pixels; give a size of {pixels.shape[-1]} or more."
            )
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
FACES = ("celeba64", "drawn")
STAND_INS = ("digits8", "drawn")  # need no download: what `load` falls back on


@lru_cache(maxsize=4)
def load(name: str, split: str = "train", size: int | None = None) -> Images:
    """A data set by name: "mnist", "fashion" (28x28 grey), "digits8" (scikit-learn's), "celeba64", "drawn" (64x64, colour).

    split: "train", "test", or "validation", by which a recipe is chosen: CelebA's own, drawn faces of their own, and of digits
    and clothes the half of the test images that no measure of the book takes.  size: side of the images, None: 32, of faces 64; digits are padded to it, faces shrunk.
    MNIST comes from the folder $IGN_DATA (torchvision's layout, .gz files, may be read-only), else by torchvision's download
    into the cache, else, with no network, from scikit-learn, with a line that says so.  CelebA comes from
    $IGN_DATA/celeba64/celeba64.zip, or torchvision's folder celeba there or in the cache, where `fetch` puts it, else drawn faces.
    ValueError: unknown name or split, a size that doesn't fit, a file that is missing or damaged.
    """
    if name not in SETS:
        raise ValueError(f"data set {name!r} is unknown; use one of: {', '.join(SETS)}, or add it to ignbook.data.SETS.")
    _check_split(split, ("train", "test", "validation"))
    return SETS[name](split, size if size is not None else 64 if name in FACES else 32)


@door
def real(name: str, split: str = "train", size: int | None = None) -> Images:
    """`load`, for what is measured or kept: without its stand-ins.  ValueError: as there, or the data set isn't to be had here."""
    data = load(name, split, size)
    if data.card["name"].split("-")[0] in STAND_INS and name not in STAND_INS:
        raise ValueError(f"this takes {name}, which is not to be had here; set IGN_DATA, see the README.")
    return data


# name -> (split, size) -> its images; one of your own goes in here
SETS: dict[str, Callable[[str, int], Images]] = {
    "mnist": lambda split, size: _mnist("mnist", split, size),
    "fashion": lambda split, size: _mnist("fashion", split, size),
    "digits8": lambda split, size: _digits8(split, size),
    "celeba64": lambda split, size: _celeba(split, size),
    "drawn": lambda split, size: _drawn(split, size),
}


def _mnist(name: str, split: str, size: int) -> Images:
    """A data set in MNIST's file format, or the digits that stand in for it."""
    folder, why = _folder(IDX[name])
    if folder is None:
        _tell(f"using scikit-learn's 8x8 handwritten digits in place of {IDX[name]}, because {why}.")
        return _digits8(split, size)
    stem = "train" if split == "train" else "t10k"
    pixels = _idx(folder / f"{stem}-images-idx3-ubyte.gz", IDX[name])
    labels = _idx(folder / f"{stem}-labels-idx1-ubyte.gz", IDX[name])
    pixels, labels = _held_back(split, pixels, labels)
    return Images(pixels[:, None], labels.long(), f"{name}-{split}", size, "IDX files", _resource(IDX[name]).classes)


def _tell(sentence: str) -> None:
    """A line for the reader: in a notebook on the page, as a built book drops stderr, and elsewhere on stderr."""
    from IPython import get_ipython

    in_notebook = getattr(get_ipython(), "kernel", None) is not None
    print(f"ignbook.data: {sentence}", file=sys.stdout if in_notebook else sys.stderr)


def _check_split(split: str, known: tuple[str, ...]) -> None:
    if split not in known:
        raise ValueError(f"split {split!r} is unknown; use one of: {', '.join(map(repr, known))}.")


@door
def shuffled(n: int) -> Tensor:
    """A permutation of n indices, always the same: measures take the first test images of it, validation has the second half.

    ValueError: n is below 0 or above 10 million."""
    checks.between("n", n, 0, 10**7)
    return torch.randperm(n, generator=torch.Generator().manual_seed(2024))


def _held_back(split: str, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Test images and labels as they are; for validation the half that the measures leave."""
    part = shuffled(len(pixels))[len(pixels) // 2 :] if split == "validation" else slice(None)
    return pixels[part], labels[part]


def _resource(kind: str):
    import torchvision

    return getattr(torchvision.datasets, kind)


def _given() -> Path | None:
    """The folder that IGN_DATA names; None where it isn't set.  ValueError: it is set, and is no folder."""
    if "IGN_DATA" not in os.environ:
        return None
    folder = Path(os.environ["IGN_DATA"])
    if not folder.is_dir():
        raise ValueError(f"IGN_DATA is set but {folder} is not a folder; name the folder with the data, or unset IGN_DATA.")
    return folder


def _folder(kind: str) -> tuple[Path | None, str]:
    """The folder with the four .gz files, or None and the reason."""
    given = _given()
    if given is not None and (given / kind / "raw").is_dir():
        return given / kind / "raw", ""
    from torchvision.datasets.utils import download_url

    folder = _cache() / kind / "raw"
    try:
        with _impatient():
            for file, md5 in _resource(kind).resources:
                _download(download_url, _resource(kind).mirrors, file, folder, md5)
    except (OSError, RuntimeError) as error:
        where = "IGN_DATA is not set" if given is None else f"IGN_DATA has no {kind}/raw"
        return None, f"{where} and the download failed ({type(error).__name__})"
    return folder, ""


def _cache() -> Path:
    return Path(os.environ.get("IGN_CACHE", Path.home() / ".cache" / "ign"))


@contextlib.contextmanager
def _impatient():
    """A network that swallows packets must not hang a reader."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # seconds
    try:
        yield
    finally:
        socket.setdefaulttimeout(timeout)


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
    pixels, labels = _held_back(split, pixels, torch.from_numpy(bunch.target)[part].long())
    return Images(pixels, labels, f"digits8-{split}", size, "scikit-learn", classes)


# ---------------------------------------------------------------------------------------------------------------- faces


CELEBA_SPLITS = {"train": "train", "test": "test", "validation": "val"}  # their folders in the zip


def _celeba(split: str, size: int) -> Images:
    given = _given()
    if given is not None and (path := given / "celeba64" / "celeba64.zip").exists():
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        pixels = _kept(f"celeba64-{split}-{digest[:8]}", lambda: _unzipped(path, f"{CELEBA_SPLITS[split]}/"))
        return _unlabelled(pixels, f"celeba64-{split}", size, path.name)
    for root, origin in ((given, "IGN_DATA"), (_cache(), "torchvision's download")):
        if root is not None and (root / "celeba").is_dir():
            pixels = _kept_celeba(_torchvisions_celeba(root, split), split)
            return _unlabelled(pixels, f"celeba-{split}", size, origin)
    where = "IGN_DATA is not set" if given is None else "IGN_DATA has neither celeba64/celeba64.zip nor celeba"
    _tell(f"using drawn faces in place of CelebA, because {where}; `python train.py fetch celeba64` gets it once, 1.4 GB.")
    return _drawn(split, size)


def _torchvisions_celeba(root: Path, split: str, download: bool = False):
    """torchvision's data set, cut to 64x64 as usual.  ValueError: not whole."""
    import torchvision
    from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

    shape = Compose([Resize(64), CenterCrop(64), PILToTensor()])
    try:
        return torchvision.datasets.CelebA(
            str(root), {"validation": "valid"}.get(split, split), transform=shape, download=download
        )
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{root / 'celeba'} is not torchvision's CelebA, whole and undamaged; get it again or use 'drawn'."
        ) from error


def _kept_celeba(images, split: str) -> Tensor:
    return _kept(f"celeba-{split}-{len(images)}", lambda: torch.stack([images[i][0] for i in range(len(images))]))


def fetch(name: str) -> None:
    """Download a data set into the cache: "mnist" (11 MB), "fashion" (30 MB) or "celeba64" (1.4 GB, which `load` never does).

    ValueError: another name, no network, or for CelebA no gdown (`pip install 'ign-book[celeba]'`).
    """
    if name in IDX:
        folder, why = _folder(IDX[name])
        if folder is None:
            raise ValueError(f"{IDX[name]} can't be had: {why}.")
    elif name == "celeba64":
        try:
            with _impatient():
                _torchvisions_celeba(_cache(), "train", download=True)
        except ImportError:  # torchvision's own words are of Google Drive
            raise ValueError("CelebA is downloaded by gdown, which is not installed; pip install 'ign-book[celeba]'.") from None
        except ValueError as error:
            raise ValueError(f"the download of CelebA failed ({type(error.__cause__).__name__}); try again later.") from error
    else:
        raise ValueError(f"{name!r} is not to be fetched; use one of: {', '.join(IDX)}, celeba64.")


def sketch_pairs(split: str = "test", size: int = 64) -> tuple[Images, Images]:
    """Photos and an artist's pencil sketches of the same faces (CUHK), in the same order; 100 test, 88 train.

    From $IGN_DATA/cuhk_sketch64/cuhk_sketch64.zip.  ValueError: not there or damaged, or an unknown split.
    """
    _check_split(split, ("train", "test"))
    path = (_given() or Path()) / "cuhk_sketch64" / "cuhk_sketch64.zip"
    if _given() is None or not path.exists():
        raise ValueError("the sketches of faces are not there; set IGN_DATA to a folder with cuhk_sketch64/cuhk_sketch64.zip.")

    def images(kind: str) -> Images:
        pixels = _unzipped(path, f"{split}/{kind}/")
        return _shrunk(pixels, torch.arange(len(pixels)), f"cuhk-{kind}-{split}", size, path.name)

    photos, sketches = images("photo"), images("sketch")
    if len(photos) != len(sketches):
        raise ValueError(f"{path} has {len(photos)} photos and {len(sketches)} sketches, which are to be pairs; get it again.")
    return photos, sketches


def _unzipped(path: Path, start: str) -> Tensor:
    """The colour images of a zip whose names begin with `start`, in the order of names: (n, 3, h, w) uint8.

    One after the other into their place, so that no image is held twice.
    """
    try:
        with zipfile.ZipFile(path) as file:
            names = sorted(name for name in file.namelist() if name.startswith(start) and not name.endswith("/"))
            for i, name in enumerate(names):
                about = file.getinfo(name)
                if about.flag_bits & 1:
                    raise ValueError(f"{path} is encrypted; unpack it with its password, and zip it again without one.")
                if about.file_size > 8 * PIXELS:  # more than its largest image without any compression
                    raise ValueError(f"{name} in {path} unpacks to {about.file_size / 1e9:.1f} GB; leave it out.")
                image = read_image(io.BytesIO(file.read(name)), f"{name} in {path}")
                if i == 0:
                    pixels = torch.empty((len(names), *image.shape), dtype=torch.uint8)
                elif image.shape != pixels.shape[1:]:
                    raise ValueError(f"{path} has images of several sizes ({names[0]}, {name}); make them all the same.")
                pixels[i] = image
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); get it again.") from error
    if not names:
        raise ValueError(f"{path} has no images in {start}; get it again.")
    return pixels


PIXELS = 2**26  # of an image that is read: 67 megapixels, more than cameras make, and half a gigabyte at most


def read_image(file: str | Path | BinaryIO, name: str = "") -> Tensor:
    """An image file in colour, upright as its EXIF says, on white where it is transparent: (3, h, w) uint8.

    16-bit grey keeps its range; nothing is cropped.

    name: what to call it in errors.  ValueError: no image, damaged, more than PIXELS (by its header, before it is decoded),
    or of numbers whose range no file tells (floats, 32-bit integers).  FileNotFoundError: it isn't there.
    """
    name = name or str(file)
    if not isinstance(file, str | Path) and not hasattr(file, "read"):
        raise TypeError(
            f"an image is read from a path or an open file, and this is of type {type(file).__name__}; give its path."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                if image.width * image.height > PIXELS:
                    raise Image.DecompressionBombError
                pixels = np.array(_upright(image, name).convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"{name} has more than {PIXELS / 1e6:.0f} megapixels; make it smaller.") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no image {name}; look at its path.") from None
    except (OSError, EOFError, SyntaxError, struct.error) as error:
        raise ValueError(f"{name} is damaged or no image ({type(error).__name__}); get it again.") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _upright(image: Image.Image, name: str) -> Image.Image:
    """With 8 bits a channel, turned as its EXIF says, and on white where it is transparent.  ValueError: see `read_image`."""
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if image.mode in ("I", "F") and not deep:
        raise ValueError(
            f"{name} holds numbers of mode {image.mode!r}, whose range it does not tell; save it with 8 or 16 bits a channel."
        )
    image = ImageOps.exif_transpose(image)
    if deep:
        return Image.fromarray(((np.asarray(image).astype(np.int64) + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image


def _kept(name: str, make: Callable[[], Tensor]) -> Tensor:
    """make(), or what it gave the last time, from the cache; where the cache can't be written, every time anew.

    Beside it stands its digest.  ValueError: the file has another, so it was changed or is not whole.
    """
    path = _cache() / f"{name}.npy"
    digest = path.with_suffix(".sha1")
    if not (path.exists() and digest.exists()):  # the second is missing after a crash, and in caches of earlier versions
        made = make()
        with contextlib.suppress(OSError):
            buffer = io.BytesIO()
            np.save(buffer, made.numpy())
            ignbook.checkpoints.write_file(path, buffer.getvalue())
            ignbook.checkpoints.write_file(digest, hashlib.sha1(buffer.getbuffer()).hexdigest().encode())
        return made
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha1").hexdigest()
    if found != digest.read_bytes().decode("ascii", "replace").strip():
        raise ValueError(f"{path} is damaged: it is not what was stored there; delete it, and it is made again.")
    return torch.from_numpy(np.load(path, mmap_mode="c"))  # c: writable in memory alone, as torch wants it


def _shrunk(pixels: Tensor, labels: Tensor, name: str, size: int, origin: str) -> Images:
    """Images of a side that divides theirs, by the mean over squares."""
    side = pixels.shape[-1]
    if not isinstance(size, int) or not 0 < size <= side or side % size:
        raise ValueError(f"faces of side {side} can't be shrunk to {size}; give a size that divides {side}.")
    if size < side:
        pixels = torch.cat([F.avg_pool2d(part.float(), side // size).round().to(torch.uint8) for part in pixels.split(1_000)])
    return Images(pixels, labels, name, size, origin)


def _unlabelled(pixels: Tensor, name: str, size: int, origin: str) -> Images:
    return _shrunk(pixels, torch.zeros(len(pixels), dtype=torch.long), name, size, origin)


DRAWN = {
    "train": (20_000, 0),
    "test": (3_000, 1),
    "validation": (3_000, 2),
}  # faces, and the seed of their attributes; drawn in seconds


def _drawn(split: str, size: int) -> Images:
    n, seed = DRAWN[split]
    attributes = draw_attributes(n, torch.Generator().manual_seed(seed))
    pixels = torch.cat([_bytes(draw_faces(part)) for part in attributes.split(1_000)])
    return _shrunk(pixels, attributes, f"drawn-{split}", size, "ignbook.data.draw_faces")


def _bytes(x: Tensor) -> Tensor:
    return ((x + 1) * 127.5).round().to(torch.uint8)


# ---------------------------------------------------------------------------------------------------------- drawn faces

# attribute -> its range; all are independent and even over it, but for glasses, which are there or not
ATTRIBUTES = {
    "skin": (0.0, 1.0), "hair": (0.0, 1.0), "length": (0.0, 1.0), "fringe": (0.0, 1.0),
    "smile": (-1.0, 1.0), "glasses": (0.0, 1.0), "turn": (-1.0, 1.0), "background": (0.0, 1.0),
}  # fmt: skip
_LOW, _HIGH = torch.tensor(list(ATTRIBUTES.values())).unbind(1)
_GLASSES = list(ATTRIBUTES).index("glasses")
WITH_GLASSES = 0.3  # share of faces
_SKIN = torch.tensor([[0.36, 0.22, 0.15], [0.72, 0.50, 0.36], [0.97, 0.83, 0.73]])  # colours between which the attribute moves
_HAIR = torch.tensor([[0.07, 0.06, 0.07], [0.36, 0.20, 0.10], [0.62, 0.30, 0.12], [0.90, 0.75, 0.42]])
_WALL = torch.tensor([[0.80, 0.45, 0.42], [0.80, 0.76, 0.45], [0.45, 0.72, 0.50], [0.42, 0.62, 0.82]])


@door
def draw_attributes(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Attributes of n random faces: (n, 8), in the order and the ranges of ATTRIBUTES."""
    checks.between("the number of faces", n, 0)
    a = _LOW + (_HIGH - _LOW) * torch.rand(n, len(ATTRIBUTES), generator=generator)
    a[:, _GLASSES] = (a[:, _GLASSES] < WITH_GLASSES).float()
    return a


@door
def draw_faces(attributes: Tensor, size: int = 64) -> Tensor:
    """Faces with these attributes: (n, 8) -> (n, 3, size, size) in [-1, 1].  ValueError: shape, or out of range.

    The same attributes give the same face; mirroring one is the same as changing the sign of its turn.
    """
    checks.between("the side of the faces", size, 1)
    attributes = check_attributes(attributes)
    return torch.cat([_draw(part, size) for part in attributes.float().split(16)])  # 16 stay in a core's cache


def check_attributes(attributes: Tensor) -> Tensor:
    """The attributes as floats.  ValueError, one sentence: not (n, 8), or out of the ranges of ATTRIBUTES."""
    attributes = checks.floats(attributes, "n, ...", "the attributes")
    if attributes.ndim != 2 or attributes.shape[1] != len(ATTRIBUTES):
        raise ValueError(
            f"attributes have shape {tuple(attributes.shape)}; give (n, {len(ATTRIBUTES)}): {', '.join(ATTRIBUTES)}."
        )
    if not ((attributes >= _LOW - 1e-6) & (attributes <= _HIGH + 1e-6)).all():
        raise ValueError("an attribute is out of its range; see ignbook.data.ATTRIBUTES.")
    return attributes


def _between(colours: Tensor, t: Tensor) -> Tensor:
    """Colours (m, 3), at t in [0, 1] along the line through them: (n,) -> (n, 3, 1, 1)."""
    t = t * (len(colours) - 1)
    i = t.long().clamp(max=len(colours) - 2)
    return torch.lerp(colours[i], colours[i + 1], (t - i)[:, None])[:, :, None, None]


def _ellipse(x, y: float, width: float, height: float):
    """About the distance to the edge, positive inside."""
    return lambda u, v: (1 - (((u - x) / width).square() + ((v - y) / height).square()).sqrt()) * min(width, height)


def _draw(attributes: Tensor, size: int) -> Tensor:
    """Layer over layer, from the wall to the glasses.  u goes right and v down, both over [-1, 1]."""
    skin, hair, wall = (_between(c, attributes[:, i]) for c, i in ((_SKIN, 0), (_HAIR, 1), (_WALL, 7)))
    length, fringe, smile, glasses, turn = attributes[:, 2:7, None, None, None].unbind(1)  # each (n, 1, 1, 1)
    line = (torch.arange(size) + 0.5) * (2 / size) - 1
    image = (wall * (1.0 - 0.08 * line[:, None])).expand(-1, -1, size, size).contiguous()

    def paint(colour, inside, left: float, right: float, top: float, bottom: float) -> None:
        """Where inside(u, v) > 0, with an edge one pixel wide; nothing but that window is looked at."""
        columns, rows = (
            slice(int((a + 1) / 2 * size), math.ceil((b + 1) / 2 * size)) for a, b in ((left, right), (top, bottom))
        )
        cover = (inside(line[columns][None], line[rows][:, None]) * (size / 2) + 0.5).clamp(0, 1)
        window = image[:, :, rows, columns]
        colour = colour if torch.is_tensor(colour) else torch.tensor(colour).reshape(1, 3, 1, 1)
        window.lerp_(colour.expand_as(window), cover.expand_as(window))

    def behind(u, v):
        u = u + 0.05 * turn
        cap = _ellipse(0.0, -0.2, 0.62, 0.68)(u, v)
        return torch.minimum(torch.maximum(cap, torch.minimum(0.62 - u.abs(), v + 0.2)), length - 0.25 - v)

    def front(u, v):
        return torch.minimum(
            0.36 * fringe - 0.62 + 0.25 * (u - 0.25 * turn).square() - v, _ellipse(0.0, -0.08, 0.58, 0.74)(u, v)
        )

    paint(hair, behind, -0.75, 0.75, -0.95, 0.8)
    paint((0.25, 0.28, 0.36), _ellipse(0.0, 1.15, 0.85, 0.42), -0.9, 0.9, 0.7, 1.0)
    paint(0.85 * skin, lambda u, v: torch.minimum(0.2 - u.abs(), 0.9 - v), -0.25, 0.25, 0.3, 0.95)
    paint(skin, _ellipse(0.0, 0.0, 0.52, 0.68), -0.55, 0.55, -0.7, 0.72)
    paint(hair, front, -0.6, 0.6, -0.85, 0.15)

    middle = 0.16 * turn  # of the features: they move with the turn
    for side in (-1, 1):
        x, window = middle + 0.22 * side - 0.03 * turn, (-0.55, 0.2) if side < 0 else (-0.2, 0.55)
        paint(0.35 * hair, _ellipse(x, -0.2, 0.11, 0.025), *window, -0.26, -0.14)
        paint((0.97, 0.97, 0.97), _ellipse(x, -0.06, 0.095, 0.055), *window, -0.16, 0.03)
        paint((0.10, 0.08, 0.08), _ellipse(x + 0.03 * turn, -0.06, 0.05, 0.05), *window, -0.16, 0.03)

    def nose(u, v):
        return 0.025 - torch.maximum((u - 1.5 * middle - 0.1 * turn * (v - 0.05)).abs(), (v - 0.1).abs() - 0.1)

    half = 0.2 + 0.04 * smile.abs()  # of the mouth's width

    def mouth(u, v):
        curve = 0.4 - 0.09 * smile * (2 * ((u - middle) / half).square() - 1)
        return torch.minimum(0.035 - (v - curve).abs(), half - (u - middle).abs())

    def rims(u, v):
        rings = [0.022 - (_ellipse(middle + 0.22 * side - 0.03 * turn, -0.06, 0.155, 0.125)(u, v)).abs() for side in (-1, 1)]
        bridge = 0.022 - torch.maximum((v + 0.07).abs(), (u - middle + 0.03 * turn).abs() - 0.07)
        return torch.maximum(torch.maximum(*rings), bridge) - 9 * (1 - glasses)

    paint(0.72 * skin, nose, -0.45, 0.45, -0.02, 0.26)
    paint((0.62, 0.16, 0.18), mouth, -0.5, 0.5, 0.2, 0.6)
    if glasses.any():
        paint((0.08, 0.08, 0.10), rims, -0.62, 0.62, -0.25, 0.12)
    return image.clamp_(0, 1).mul_(2).sub_(1)


# ------------------------------------------------------------------------------------------------ an image of one's own

BOXES = {"mnist": 20, "digits8": 28, "fashion": 28}  # data in MNIST's form: the side that a drawing fills, of 28 pixels
FAR = 5.0  # times the mean drift of the data; the strangest of the held-out images of the book have 3.3 times


@door
def prepare(image, model) -> Tensor:
    """An image of one's own, made into what a model was trained on: (1, C, H, W) in [-1, 1].

    image: a path, a PIL image, or a tensor (C, H, W) or (H, W), of bytes or of floats in [-1, 1].  model: a recipe, or an
    `ign_core.Model`, for which a UserWarning tells of an image that is far from its data nevertheless.

    It is turned upright (EXIF), laid on white where it is transparent, made grey or coloured, cut to the square in its
    middle, and resized with antialiasing.  For data in MNIST's form the drawing is found instead: light on dark, whatever
    it was, less what the paper varies by; cut to its box, fitted to 20x20 pixels, and put into 28x28 with its centre of
    mass in the middle, as MNIST was made; then padded, as `load` does.
    ValueError: no image, nothing drawn on it, or a model of points.
    """
    import ign_core

    if not isinstance(model, ign_core.Model | ign_core.Recipe):
        raise TypeError(f"the model is of type {type(model).__name__}; give a recipe, or an ign_core.Model.")
    trained = isinstance(model, ign_core.Model)
    recipe = ignbook.checkpoints.recipe_of(model.card, ign_core.Recipe) if trained else model
    if len(recipe.shape) != 3 or recipe.shape[0] not in (1, 3):
        raise ValueError(f"the samples of recipe {recipe.name!r} have shape {recipe.shape}; images have 1 or 3 channels.")
    channels, size, _ = recipe.shape
    picture = _picture(image).convert("L" if channels == 1 else "RGB")
    if recipe.data in BOXES:
        pixels = _drawing(torch.from_numpy(np.array(picture)), BOXES[recipe.data])
        x = Images(pixels, torch.zeros(1), "own", size, "prepare")[torch.arange(1)]
    else:
        x = _square(picture, size)[None] / 127.5 - 1
    if trained and _drift_of_data(model.card) is not None and (times := drift_ratio(model, x).item()) > FAR:
        warnings.warn(f"the drift of this image is {times:.0f} times the data's; look at what became of it, for the model may "
                      "not know its kind.", stacklevel=2)  # fmt: skip
    return x


@door
@torch.no_grad()
def drift_ratio(model, x: Tensor, data: Tensor | None = None) -> Tensor:
    """The drift of x in units of the data's mean drift: (n, *shape) -> (n,).  data: a sample, or what the card says of all.

    ValueError: the card says nothing."""
    import ign_core

    if not isinstance(model, ign_core.Model):
        raise TypeError(f"the model is of type {type(model).__name__}; give an ign_core.Model, as ign_core.load returns it.")
    usual = _drift_of_data(model.card) if data is None else ign_core.drift(model.f, data).mean().item()
    if usual is None:
        raise ValueError("the model's card holds no drift of its data; give a sample of the data too.")
    return ign_core.drift(model.f, x) / max(usual, 1e-12)


def _drift_of_data(card: dict) -> float | None:
    return card.get("metrics", {}).get("rows", {}).get("real", {}).get("drift")


def _picture(image) -> Image.Image:
    """A path, a PIL image or a tensor as an upright PIL image.  ValueError: it is none of these, or see `read_image`."""
    if isinstance(image, str | Path):
        image = read_image(image)
    if isinstance(image, Image.Image):
        return _upright(image, "the image")
    if not isinstance(image, Tensor):
        raise ValueError(f"{type(image).__name__} is no image; give a path, a PIL image or a tensor.")
    x = image[0] if image.ndim == 4 and len(image) == 1 else image[None] if image.ndim == 2 else image
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        raise ValueError(f"a tensor of shape {tuple(image.shape)} is no image; give (C, H, W) with 1 or 3 channels.")
    if x.dtype != torch.uint8:
        x = checks.floats(x, "c, h, w", "the image")
        if not (-1 <= x.min() < 0 and x.max() <= 1):
            raise ValueError(f"the image runs from {x.min():.3g} to {x.max():.3g}; scale it to [-1, 1].")
        x = _bytes(x)
    return Image.fromarray(x.cpu().movedim(0, -1).squeeze(-1).numpy())


def _square(picture: Image.Image, size: int) -> Tensor:
    """The largest square in the middle, resized with antialiasing: (C, size, size) uint8."""
    cut = np.array(ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC))
    return torch.from_numpy(cut.reshape(size, size, -1)).movedim(-1, 0)


def _drawing(grey: Tensor, box: int) -> Tensor:
    """What is drawn on an image, as MNIST has it: (h, w) bytes -> (1, 1, 28, 28) bytes, light on dark."""
    grey = grey.float()
    border = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = border.median()
    light = paper > (grey.min() + grey.max()) / 2
    shade = 1.5 * (border - paper).abs().quantile(0.75)  # by which paper differs from paper
    ink = (paper - grey if light else grey - paper) - shade
    if not ink.max() > max(16, 4 * shade):
        raise ValueError("nothing is drawn on this image that stands out from its border; crop it, with some margin.")
    rows, columns = ((ink > 0.05 * ink.max() + 2 * shade).any(axis).nonzero().flatten() for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].clamp_min(0)
    sides = [max(round(side * box / max(ink.shape)), 1) for side in ink.shape]
    ink = F.interpolate(ink[None, None], sides, mode="bilinear", antialias=True)[0, 0]
    ink = ink / ink.max()
    starts = []
    for axis, side in enumerate(sides):  # the centre of mass on pixel 14, as far as the drawing has room
        weights = ink.sum(1 - axis)
        centre = (weights * torch.arange(side)).sum() / weights.sum()
        starts.append(min(max(round(14 - centre.item()), 0), 28 - side))
    pixels = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    pixels[0, 0, starts[0] : starts[0] + sides[0], starts[1] : starts[1] + sides[1]] = (255 * ink).round().to(torch.uint8)
    return pixels


# ------------------------------------------------------------------------------------------------- a folder of one's own

LEAST = 32  # images, below which nothing is to be learnt
HELD_OUT = 0.1  # share of the images that is kept for validation
SHOWN = 5  # files left out that are named


@door
def folder(
    path: str | Path, size: int = 64, channels: int | None = None, split: str | None = "train", progress: bool = True
) -> Images:
    """The images in a folder and its subfolders, of any size, mode and format that Pillow reads: (n, C, size, size).

    Each is turned upright (EXIF), laid on white where it is transparent, cut to the largest square in its middle, and
    resized with antialiasing.  channels: 3, 1 for grey, or None: 1 if all images are grey, else 3.
    split: "train", "validation", or None for all.  About a tenth is held out.  What an image shows at that size decides where it goes: it
    stays there when others are added, or when it is renamed, and its copies go with it.  (Where by chance none is held out, one is.)
    A line on stderr says what was found and what was left out.  Hidden files are not looked at; of animations the first frame is taken.
    What was cut is kept in the cache, IGN_CACHE, until a file is added, removed or changed.  The labels are all 0.
    ValueError: no folder, no images in it, fewer than LEAST, or a size or split that can't be.
    """
    _check_own(size, channels, split)
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"there is no folder {path}; give one with images in it.")
    files = []
    for file in root.rglob("*"):
        inside = file.relative_to(root)
        if not any(part.startswith(".") for part in inside.parts) and file.is_file():
            about = file.stat()
            files.append((inside.as_posix(), about.st_size, about.st_mtime_ns))
    pixels, found = _cut(root.resolve(), size, channels, tuple(sorted(files)), progress)
    return _part(pixels, torch.zeros(len(pixels), dtype=torch.long), split, "folder", size, f"a folder of {found}", str(path))


@door
def from_dataset(dataset, size: int = 64, channels: int | None = None, split: str | None = "train") -> Images:
    """The images of a torch or torchvision `Dataset`, or of a list, as `folder` makes them: (n, C, size, size).

    dataset: has len() and gives by an int a PIL image or a tensor (C, H, W) or (H, W), or a tuple that begins with one.  Tensors are
    bytes, or floats in [0, 1] or [-1, 1]; they count as the latter if any of them goes below 0.  Whole numbers that come second are the labels.
    Each item is asked for once, so what is drawn at random is drawn once.  The rest is as in `folder`; nothing is cached.
    TypeError: it has no length or order.  ValueError: an item that is no image, fewer than LEAST, or a size or split that can't be.
    """
    _check_own(size, channels, split)
    checks.data(dataset, 0)
    if isinstance(dataset, str | bytes | dict | Path):
        raise TypeError(f"the data set is of type {type(dataset).__name__}; give a Dataset, or ignbook.data.folder a path.")
    mode, made, labels, unsigned, signed = "L" if channels == 1 else "RGB", [], [], [], False
    for i in range(len(dataset)):
        item = dataset[i]
        paired = isinstance(item, list | tuple) and len(item) > 0
        image = item[0] if paired else item
        if isinstance(image, Tensor) and image.is_floating_point() and image.numel():
            signed = signed or image.min().item() < 0
            if image.min() >= 0 and image.max() <= 1:
                image = (255 * image).round().to(torch.uint8)
                unsigned.append(i)
        try:
            made.append(_square(_picture(image).convert(mode), size))
        except ValueError as error:
            raise ValueError(f"item {i} of the data set: {error}") from None
        label = item[1] if paired and len(item) > 1 else 0
        whole = isinstance(label, int) or (isinstance(label, Tensor) and label.ndim == 0 and not label.is_floating_point())
        labels.append(int(label) if whole else 0)
    if not made:
        raise ValueError(f"the data set is empty; give at least {LEAST} images.")
    pixels = torch.stack(made)
    if signed:  # then what was taken for [0, 1] is of the upper half
        pixels[unsigned] = (127.5 + pixels[unsigned].float() / 2).round().to(torch.uint8)
    pixels = _grey_or_colour(pixels, channels)
    return _part(pixels, torch.tensor(labels), split, "dataset", size, f"{len(pixels)} images of a Dataset", "the data set")


def _check_own(size: int, channels: int | None, split: str | None) -> None:
    checks.between("the size", size, 1, 1024)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {channels}; give 1 for grey, 3 for colour, or None.")
    if split is not None:
        _check_split(split, ("train", "validation"))


@lru_cache(maxsize=2)  # of both splits
def _cut(root: Path, size: int, channels: int | None, files: tuple, progress: bool) -> tuple[Tensor, str]:
    """Squares of the images among the files (name, bytes, time of change), and a sentence on what was found, which it tells."""
    key = hashlib.sha1(json.dumps([str(root), size, channels, files]).encode()).hexdigest()[:16]
    notes, found = _cache() / f"folder-{key}.json", {}

    def make() -> Tensor:
        from tqdm.auto import tqdm

        made, left_out, enlarged = [], {}, 0
        for name, *_ in tqdm(files, desc="images", disable=not progress or len(files) < 200):
            try:
                picture = _picture(root / name).convert("L" if channels == 1 else "RGB")
            except Exception as error:  # a damaged file makes decoders raise anything
                left_out[name.encode(errors="backslashreplace").decode()] = _why(error)
                continue
            enlarged += min(picture.size) < size
            made.append(_square(picture, size))
        if not made:
            several = f"none of its {len(files)} files is one" if files else "it has no files"
            raise ValueError(f"there is no image in {root}: {several}; give a folder with PNG or JPEG files.")
        found.update({"left out": left_out, "enlarged": enlarged})
        with contextlib.suppress(OSError):  # before the pixels, so that these never lack it
            ignbook.checkpoints.write_json(notes, found)
        return _grey_or_colour(torch.stack(made), channels)

    if not notes.exists():  # someone has cleared a part of the cache
        with contextlib.suppress(OSError):
            notes.with_suffix(".npy").unlink()
    pixels = _kept(f"folder-{key}", make)
    found = found or _json(notes)
    left_out = found["left out"]
    said = f"{len(pixels)} {'grey' if pixels.shape[1] == 1 else 'colour'} images"
    said += f", {found['enlarged']} of them enlarged to {size} pixels" if found["enlarged"] else ""
    said += f", {len(left_out)} files left out" if left_out else ", no file left out"
    some = ", ".join(f"{name} ({why})" for name, why in list(left_out.items())[:SHOWN])
    more = f", and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    _tell(f"{root} has {said}{': ' if some else ''}{some}{more}.")
    return pixels, said


def _why(error: Exception) -> str:
    """Of a file that is left out, in a few words."""
    text = str(error)
    known = {"megapixels": "too large", "whose range": "numbers without a range", "UnidentifiedImageError": "no image",
             "PermissionError": "not to be read"}  # fmt: skip
    return next((words for part, words in known.items() if part in text), "damaged")


def _grey_or_colour(pixels: Tensor, channels: int | None) -> Tensor:
    """Colours as they are, or for None one channel where all three are the same."""
    grey = channels is None and all(bool((part == part[:, :1]).all()) for part in pixels.split(1_000))
    return pixels[:, :1].contiguous() if grey else pixels


def _part(pixels: Tensor, labels: Tensor, split: str | None, name: str, size: int, origin: str, where: str) -> Images:
    """One of the parts, by a digest of each image's first channel, which is the same whether it counts as grey or as colour."""
    if len(pixels) < LEAST:
        raise ValueError(f"{where} has {len(pixels)} images, too few to learn from; give at least {LEAST}.")
    digests = [int(hashlib.md5(image[0].numpy().tobytes()).hexdigest()[:8], 16) for image in pixels]
    held = torch.tensor(digests) < HELD_OUT * 2**32
    held[min(range(len(digests)), key=digests.__getitem__)] = True  # in a small folder by chance none is; then one
    index = torch.arange(len(pixels)) if split is None else (held == (split == "validation")).nonzero().flatten()
    rule = f"{origin}; the largest centred square, resized to {size}"
    return Images(pixels[index], labels[index], f"{name}-{split or 'all'}", size, rule)


# ------------------------------------------------------------------------------------------- images that memory can't hold

SUFFIXES = ("png", "jpg", "jpeg", "webp", "bmp", "ppm", "pgm", "tif", "tiff")  # of members of a tar file that are images
CHANGED = "the shards have fewer images than when they were counted; make them anew, and start again."


@door
def shards(path: str | Path, size: int = 64, channels: int = 3, buffer: int = 5_000, workers: int = 0) -> "Shards":
    """Images in tar files, for `fit`, which streams them through the package webdataset (`pip install 'ign-book[shards]'`).

    path: a folder with .tar files on a disk, or a pattern such as "photos/*.tar".  Several hundred MB each are usual, and make the order good.
    Members that share a name up to its first dot are one sample, of which the first image counts (SUFFIXES).
    Each is turned upright, cut to the square in its middle and resized, as `folder` does it.  channels: 3, or 1 for grey.
    buffer: files in memory, from which the next one is drawn.  workers: processes that read and decode, 0 for this one.
    ValueError: no such file, no tar file, no image, fewer than LEAST, a bad number, or webdataset is not installed.
    """
    _check_own(size, channels, None)
    checks.between("the buffer", buffer, 1)
    checks.between("the number of workers", workers, 0, 1024)
    if importlib.util.find_spec("webdataset") is None:
        raise ValueError("shards are read by webdataset, which is not installed; run `pip install 'ign-book[shards]'`.")
    found = Path(path).glob("*.tar") if Path(path).is_dir() else map(Path, glob.glob(str(path)))
    files = sorted(file.resolve() for file in found if file.is_file())
    if not files:
        raise ValueError(f"there is no tar file at {path}; give a folder with .tar files, or a pattern that names some.")
    about = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha1(json.dumps(about).encode()).hexdigest()[:16]
    counts = _kept(f"shards-{key}", lambda: torch.tensor([_count(file) for file in files])).tolist()
    if sum(counts) < LEAST:
        raise ValueError(f"{path} has {sum(counts)} images, too few to learn from; give at least {LEAST}.")
    return Shards([str(file) for file in files], counts, size, "L" if channels == 1 else "RGB", buffer, workers)


class Shards:
    """What `shards` gives: len(), `stream` for a training, and data[LongTensor] -> (n, C, size, size) in [-1, 1] for a look.

    The order of an epoch is a pure function of seed and epoch, so that a resumed run goes on where it was: it reads what the
    epoch has had, without decoding it.  Shards come in random order, and images through a buffer.  Several processes read the
    same and decode a part each.  card: its md5 is of the shards' names, sizes and numbers of images, not of what is in them.
    """

    def __init__(self, files: list[str], counts: list[int], size: int, mode: str, buffer: int, workers: int):
        self.files, self.size, self.mode, self.buffer, self.workers, self.n = files, size, mode, buffer, workers, sum(counts)
        about = [(Path(file).name, Path(file).stat().st_size, count) for file, count in zip(files, counts)]
        rule = f"{self.n} images in {len(files)} tar files; the largest centred square, resized to {size}"
        digest = hashlib.md5(json.dumps([about, size, mode]).encode()).hexdigest()
        self.card = {"name": "shards", "n": self.n, "md5": digest, "origin": rule}
        self._at, self._raw = 0, iter(())

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: Tensor) -> Tensor:
        """Images by their place in the files: quick only where the places ascend from call to call.  IndexError: no such."""
        wanted, found = set(index.tolist()), {}
        if not all(0 <= i < self.n for i in wanted):
            raise IndexError(f"there are {self.n} images in these shards; ask for those from 0 to {self.n - 1}.")
        if self._at == 0 or min(wanted, default=self._at) < self._at:
            self._at, self._raw = 0, _in_files(self.files)
        while self._at <= max(wanted, default=-1):
            if (raw := next(self._raw, None)) is None:
                raise ValueError(CHANGED)
            if self._at in wanted:
                found[self._at] = raw
            self._at += 1
        return _decoded([found[i] for i in index.tolist()], self.size, self.mode)

    def stream(self, order: ignbook.checkpoints.Order):
        """x (n, C, size, size) of each step from the order's start on, without end: this process's part of every batch."""
        return torch.utils.data.DataLoader(
            _Stream(self.files, self.size, self.mode, self.buffer, order), batch_size=None, num_workers=self.workers
        )


@dataclass
class _Stream(torch.utils.data.IterableDataset):
    """What a worker process reads: all of it, of which it decodes its own batches."""

    files: list[str]
    size: int
    mode: str
    buffer: int
    order: ignbook.checkpoints.Order

    def __iter__(self):
        order, worker = self.order, torch.utils.data.get_worker_info()
        which, workers = (worker.id, worker.num_workers) if worker else (0, 1)  # a DataLoader asks them by turns
        per_epoch = order.n // order.batch
        epoch, position = divmod(order.start, per_epoch)
        turn = 0
        while True:
            raw = itertools.islice(
                _in_files(self.files, 1_000_003 * order.seed + epoch, self.buffer), position * order.batch, None
            )
            for _ in range(position, per_epoch):
                batch = list(itertools.islice(raw, order.batch))
                if len(batch) < order.batch:
                    raise ValueError(CHANGED)
                if turn % workers == which:
                    yield _decoded(order.part(batch), self.size, self.mode)
                turn += 1
            epoch, position = epoch + 1, 0


def _is_image(name: str) -> bool:
    stem, _, suffix = name.rpartition("/")[2].partition(".")
    return stem != "" and suffix.lower() in SUFFIXES and not name.startswith("__")  # webdataset skips such as __MACOSX__/


def _count(file: Path) -> int:
    """How many samples of a tar file have an image, by its headers."""
    try:
        with tarfile.open(file) as tar:
            names = [member.name for member in tar if member.isreg() and _is_image(member.name)]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"{file} is damaged or no tar file ({type(error).__name__}); make it anew.") from None
    keys = [name[: len(name) - len(name.rpartition("/")[2].partition(".")[2])] for name in names]
    return len([key for key, _ in itertools.groupby(keys)])


def _in_files(files: list[str], seed: int | None = None, buffer: int = 1):
    """(name, bytes) of the image files, without end to their size; in the order of the files, or for a seed shuffled."""
    import webdataset

    mixed = seed is not None
    stages = [
        webdataset.SimpleShardList(files),
        *([webdataset.detshuffle(len(files), len(files), seed - 1, 0)] if mixed else []),  # counts its epochs itself, from 1
        webdataset.tarfile_to_samples(select_files=_is_image),
        *([webdataset.detshuffle(buffer, buffer, seed - 1, 0)] if mixed else []),
    ]
    try:
        for sample in webdataset.DataPipeline(*stages):
            suffix = next(key for key in sample if not key.startswith("__"))
            yield f"{sample['__key__']}.{suffix} in {sample['__url__']}", sample[suffix]
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"a shard is damaged or gone ({type(error).__name__}: {error.args[-1]}); make it anew.") from None


def _decoded(raw: list[tuple[str, bytes]], size: int, mode: str) -> Tensor:
    images = [_square(_picture(read_image(io.BytesIO(data), name)).convert(mode), size) for name, data in raw]
    return torch.stack(images).float() / 127.5 - 1


# -------------------------------------------------------------------------------------------------------------- results


@door
def result(name: str) -> dict:
    """What an experiment or a benchmark of the book measured: results/NAME.json.  FileNotFoundError: there is none."""
    path = ignbook.checkpoints.shipped("results") / f"{name}.json"
    if path.exists():
        return _json(path)
    raise FileNotFoundError(f"there is no results/{name}.json; run the command that writes it, or take it from the repository.")


def _json(path: Path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); take it from the repository again.") from None


@door
def runs(family: str) -> dict[str, list[dict]]:
    """A family of runs that `train.py sweep FAMILY` measured: {variant: records, one a seed}, by name and seed.

    FileNotFoundError: there is none.
    """
    found: dict[str, list[dict]] = {}
    paths = (ignbook.checkpoints.shipped("results") / "runs" / family).glob("*-s[0-9]*.json")
    for path in sorted(paths, key=lambda p: (int(p.stem.rpartition("-s")[2]), p.stem)):
        found.setdefault(path.stem.rpartition("-s")[0], []).append(_json(path))
    if found:
        return found
    raise FileNotFoundError(
        f"there are no results of {family!r}; run `python train.py sweep {family}`, or take them from the repository."
    )


# ---------------------------------------------------------------------------------------------------------- corruptions


@door
def add_noise(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """x plus N(0, sigma^2) noise, sigma in units of the range [-1, 1]; not cut off at the ends.  (n, ...) -> (n, ...)."""
    checks.between("the standard deviation of the noise", sigma, 0)
    x = checks.floats(x, "n, ...", "what gets noise")
    return x + sigma * torch.randn(x.shape, generator=generator, device=x.device)
