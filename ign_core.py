"""Idempotent Generative Networks in one module.

Shocher, Dravid, Gandelsman, Mosseri, Rubinstein, Efros: "Idempotent Generative Network", ICLR 2024, arXiv 2311.01462;
section and equation numbers below are the paper's.  The order of this file is the order of the book:

    sources -> networks -> distance and drift -> objective -> recipe -> training -> iterate and project -> save and load

Notation, the same in prose, code and figures: x data, z source, f the network, `fx` = f(x), `fz` = f(z), `ffz` = f(f(z)),
D the distance, delta the drift, a the clamp.  Tensors carry the batch first: images (n, C, H, W) in [-1, 1], points (n, 2).
`python ign_core.py` trains on two moons in half a minute and draws them.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ignbook import checkpoints, layers


# ------------------------------------------------------------------------------------------------------------- sources
class GaussianSource(nn.Module):
    """z ~ N(0, std^2) in every coordinate.  shape: of one sample, (2,) or (C, H, W).  std: positive, in units of the data."""

    std: Tensor

    def __init__(self, shape, std: float = 1.0):
        super().__init__()
        if not std > 0:
            raise ValueError(f"the standard deviation of the source is {std}; give a positive number.")
        self.shape = tuple(shape)
        self.register_buffer("std", torch.tensor(float(std)))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape) on the source's device, drawn from `generator`, on whatever device that is."""
        return self.from_white(_normal((n, *self.shape), generator, self.std.device))

    def from_white(self, e: Tensor) -> Tensor:
        """The sample that standard normal numbers e make: (n, *shape) -> (n, *shape)."""
        return e * self.std

    def whiten(self, z: Tensor) -> Tensor:
        """The numbers that make a sample, the inverse of `from_white`: (n, *shape) -> (n, *shape)."""
        return z / self.std


class FourierSource(nn.Module):
    """z whose spectrum has the data's statistics: what the paper samples from for images (section 3, "Experiments").

    Each frequency of each channel gets an independent normal real and imaginary part, with the mean and the deviation that
    these parts have over the data.  A real image has conjugate pairs in its spectrum, so half of the plane is drawn and the
    rest is its mirror image.  (Drawing all of it and dropping the image's imaginary part halves every variance.)

    mean, std: (2, C, H, W//2 + 1), real and imaginary part.  Fit them with `FourierSource.of(data)`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape, mean: Tensor | None = None, std: Tensor | None = None):
        super().__init__()
        self.shape = tuple(shape)
        if len(self.shape) != 3:
            raise ValueError(f"a Fourier source makes images of shape (C, H, W), not {self.shape}; use GaussianSource.")
        channels, height, width = self.shape
        half = (2, channels, height, width // 2 + 1)
        self._paired = (0, width // 2) if width % 2 == 0 else (0,)  # columns that hold both halves of their own pairs
        self.register_buffer("mean", torch.zeros(half) if mean is None else mean.reshape(half).float())
        self.register_buffer("std", torch.ones(half) if std is None else std.reshape(half).float())

    @classmethod
    def of(cls, data, chunk: int = 2**22) -> "FourierSource":
        """Fit to `data`: len(data), data[LongTensor] -> (n, C, H, W); `chunk` numbers at a time.  ValueError below 2 images."""
        n = len(data)
        if n < 2:
            raise ValueError(f"Fourier statistics need at least 2 images and got {n}; give more data.")
        total = square = torch.zeros(())
        at_once = max(chunk // data[torch.arange(1)].numel(), 1)
        for start in range(0, n, at_once):  # in chunks, and in double precision
            x = data[torch.arange(start, min(start + at_once, n))]
            if x.ndim != 4 or not torch.isfinite(x).all():
                raise ValueError(f"images must be finite and of shape (n, C, H, W); got {tuple(x.shape)}.")
            spectrum = torch.view_as_real(torch.fft.rfft2(x.double())).movedim(-1, 0)  # (2, n, C, H, W//2 + 1)
            total, square = total + spectrum.sum(1), square + spectrum.square().sum(1)
        mean = total / n
        return cls(x.shape[1:], mean, (square / n - mean.square()).clamp_min(0).sqrt())

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, C, H, W), real, on the source's device."""
        return self.from_white(_normal((n, *self.mean.shape), generator, self.mean.device))

    def from_white(self, e: Tensor) -> Tensor:
        """The sample that standard normal numbers e make: (n, 2, C, H, W//2 + 1) -> (n, C, H, W)."""
        parts = self.mean + self.std * e
        spectrum = torch.complex(parts[:, 0], parts[:, 1])
        _, height, width = self.shape
        for column in self._paired:
            upper = spectrum[..., 1 : (height + 1) // 2, column]
            spectrum[..., height // 2 + 1 :, column] = upper.flip(-1).conj()
        return torch.fft.irfft2(spectrum, s=(height, width))

    def whiten(self, z: Tensor) -> Tensor:
        """The inverse, 0 where `from_white` takes none: (n, C, H, W) -> (n, 2, C, H, W//2 + 1), of which C H W are N(0, 1)."""
        parts = torch.view_as_real(torch.fft.rfft2(z)).movedim(-1, 1)
        e = torch.where(self.std > 0, (parts - self.mean) / self.std, 0.0)
        height = self.shape[1]
        for column in self._paired:
            e[..., height // 2 + 1 :, column] = 0
            for row in (0, height // 2) if height % 2 == 0 else (0,):
                e[:, 1, :, row, column] = 0  # its own conjugate: real
        return e


class MixedSource(nn.Module):
    """z from several sources, each with its share of every batch: what f is to project is in here (chapter 8).

    shares: name -> share, their sum at most 1.  The rest of a batch comes from `noise` and stands first in it; samples of the
    trained f start from `noise` too.  parts: name -> a source; one with a `follow(f, noise)` is told of the averaged f."""

    def __init__(self, noise, parts: dict[str, Any], shares: dict[str, float]):
        super().__init__()
        checkpoints.check_shares(shares)
        self.noise, self.parts, self.shares, self.shape = noise, parts, shares, tuple(noise.shape)
        self.states = nn.ModuleDict({name: part for name, part in parts.items() if isinstance(part, nn.Module)})

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape): as many of each part as its share says, rounded, in the order of the parts, the noise first."""
        sources = [self.noise, *(self.parts[name] for name in self.shares)]
        counts = checkpoints.counts(self.shares, n)
        return torch.cat([source.sample(count, generator) for source, count in zip(sources, counts) if count])


# name in a recipe -> what makes the source: called with a shape, or its `of` with data if it has one
SOURCES: dict[str, Any] = checkpoints.table(f"{__name__}.sources", {"gaussian": GaussianSource, "fourier": FourierSource})


def _normal(shape, generator, device) -> Tensor:
    where = checkpoints.check_draw(shape[0], generator, device)
    return torch.randn(shape, generator=generator, device=where).to(device)


# ------------------------------------------------------------------------------------------------------------ networks
class MLP(nn.Module):
    """f for points: (n, dim) -> (n, dim), `depth` hidden layers of `width` SiLU units, linear output."""

    def __init__(self, dim: int = 2, width: int = 128, depth: int = 3):
        super().__init__()
        sizes = [dim] + [width] * depth
        layers = [m for i, o in zip(sizes, sizes[1:]) for m in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], dim))
        self.shape = (dim,)

    def forward(self, y: Tensor) -> Tensor:
        return self.layers(y)


class ConvAutoencoder(nn.Module):
    """f for images: (n, C, size, size) -> the same, in [-1, 1] by tanh (DCGAN layers, paper section 3 and appendix).

    Stride-2 convolutions halve `size` down to a side of 4 to 7 and double the channels from `width`; one dense convolution
    makes a code of `code` numbers; the decoder mirrors it.  norm: "group" (8 channels a group, no state), "batch" (the
    paper's: its statistics couple the samples of a batch), or "none".  linear: side in pixels of a small version of the
    image that goes to the code, and back, by a linear map beside the convolutions, or 0, the paper's (chapter 7).
    ValueError: `size` is not 4, 5, 6 or 7 times a power of two, `norm` is unknown, or `linear` is no divisor of `size`.
    """

    def __init__(self, size: int = 32, channels: int = 1, width: int = 32, code: int = 128, norm="group", linear: int = 0):
        super().__init__()
        side, levels = size, 0
        while side % 2 == 0 and side > 7:
            side, levels = side // 2, levels + 1
        if not 4 <= side <= 7 or levels == 0:
            raise ValueError(f"images of side {size} don't fit; resize to 4, 5, 6 or 7 times a power of two, as 28 or 64.")
        if norm not in ("group", "batch", "none"):
            raise ValueError(f"normalisation {norm!r} is unknown; use 'group', 'batch' or 'none'.")
        if linear < 0 or (linear and size % linear):
            raise ValueError(f"a linear path of side {linear} doesn't divide images of {size} pixels; use a divisor, or 0.")
        norms: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm2d, "none": lambda c: nn.Identity()}
        norm_of = norms.get(norm, lambda c: nn.GroupNorm(math.gcd(max(c // 8, 1), c), c))
        widths = [width * 2**i for i in range(levels)]
        down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]  # no normalisation at the borders of f, as DCGAN
        for i, o in zip(widths, widths[1:]):
            down += [nn.Conv2d(i, o, 4, 2, 1, bias=norm == "none"), norm_of(o), nn.LeakyReLU(0.2)]
        up = [layers.FromCode(code, widths[-1], side, bias=norm == "none"), norm_of(widths[-1]), nn.ReLU()]
        for i, o in zip(widths[::-1], widths[-2::-1]):
            up += [nn.ConvTranspose2d(i, o, 4, 2, 1, bias=norm == "none"), norm_of(o), nn.ReLU()]
        self.encoder: nn.Module = nn.Sequential(*down, layers.ToCode(widths[-1], code, side))
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(m.weight, 0.0, 0.02)  # DCGAN's; a larger start makes f far from every fixed point
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
        if linear:
            self.encoder = layers.BesideLinear(self.encoder, channels, linear, code, to_code=True)
            decoder = layers.BesideLinear(self.decoder[:-1], channels, linear, code, to_code=False)
            self.decoder = nn.Sequential(decoder, nn.Tanh())
        self.shape = (channels, size, size)

    def forward(self, y: Tensor) -> Tensor:
        return self.decoder(self.encoder(y))


# name in a recipe -> what makes f of it
NETWORKS: dict[str, Callable[[Any], nn.Module]] = checkpoints.table(f"{__name__}.networks", {
    "mlp": lambda r: MLP(2, r.width, r.depth),
    "conv": lambda r: ConvAutoencoder(r.size, r.channels, r.width, r.code, r.norm, r.linear),
})  # fmt: skip


# ----------------------------------------------------------------------------------------------------- distance, drift
Distance = Callable[[Tensor, Tensor], Tensor]


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference per sample: (n, ...) and (n, ...) -> (n,), float32 or better."""
    return (at_least_float32(a) - at_least_float32(b)).abs().flatten(1).mean(1)


def l2(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference per sample: (n, ...) and (n, ...) -> (n,), float32 or better."""
    return (at_least_float32(a) - at_least_float32(b)).square().flatten(1).mean(1)


DISTANCES = checkpoints.table(f"{__name__}.distances", {"l1": l1, "l2": l2})


def distance_of(distance: str | Distance) -> Distance:
    """D as a function (n, ...), (n, ...) -> (n,): "l1" (the paper's), "l2", or any callable of that form, unchanged."""
    return checkpoints.entry(DISTANCES, distance, "distance")


def drift(f: nn.Module, y: Tensor, distance: str | Distance = "l1") -> Tensor:
    """delta(y) = D(y, f(y)) (section 2.1): how far f moves each sample.  (n, ...) -> (n,).  0 on fixed points."""
    y = checkpoints.check_input(y, f)
    return distance_of(distance)(y, f(y))


def at_least_float32(t: Tensor) -> Tensor:
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t  # sums of half-precision errors lose digits


# ----------------------------------------------------------------------------------------------------------- objective
Extra = Callable[[nn.Module, Tensor, Tensor, Tensor, Tensor], Tensor]  # (f, x, z, fx, fz) -> (), a term of one's own


class Losses(NamedTuple):
    """What an objective returns: `total` () to call backward on; the three terms (n,), unweighted and detached."""

    total: Tensor
    reconstruction: Tensor
    idempotence: Tensor
    tightness: Tensor


def literal_objective(
    f: nn.Module, x: Tensor, z: Tensor, *,
    reconstruction: float = 20.0, idempotence: float = 20.0, tightness: float = 2.5, clamp: float | None = 1.5,
    distance: str | Distance = "l1", extra: Extra | None = None, shown: Tensor | None = None,
) -> Losses:  # fmt: skip
    """The paper's training step as it is written (section 2.2, eq. 1-7 and its listing): four passes, one frozen copy.

    total = reconstruction * L_r + idempotence * L_i - tightness * L_t, means over the batch of

        L_r = D(x, f(x))
        L_i = D(f(z), f_copy(f(z)))             gradient to the inner f only: the outer one is a frozen copy
        L_t = D(sg f(z), f(sg f(z)))            gradient to the outer f only: the inner one is detached
              through a D(z, f(z)) tanh(. / (a D(z, f(z)))), a = `clamp`; None turns the clamp off

    x, z: (n, *shape), batch sizes may differ.  tightness/reconstruction is the book's lambda.  extra: a remedy's term
    (chapter 11), extra(f, x, z, fx, fz) -> (), added to the total; through fz it trains the inner f.  shown: (n, *shape),
    what f sees in place of x, whose target stays x (`Recipe.recall`).  Returns `Losses`; only `total` carries a graph.
    ValueError: x and z are not of one sample shape, or one of them is empty.
    """
    D = distance_of(distance)
    _check_pair(x, z)
    # by module, so that a part under two names (as Fabric holds f) is swapped and given back once
    parts = [(prefix, *own) for prefix, module in f.named_modules() for own in module.named_parameters(recurse=False)]
    parameters = {f"{prefix}.{name}".lstrip("."): p.detach() for prefix, name, p in parts}
    buffers = {name: b.clone() for name, b in f.named_buffers()}  # the copy counts no batch statistics of f's

    def f_copy(y: Tensor) -> Tensor:
        return torch.func.functional_call(f, parameters | buffers, (y,), tie_weights=False)

    fx, fz = f(x if shown is None else shown), f(z)
    l_r = D(x, fx)
    l_i = D(fz, f_copy(fz))
    l_t, _ = clamped(D(fz.detach(), f(fz.detach())), D(z, fz).detach(), clamp)
    total = reconstruction * l_r.mean() + idempotence * l_i.mean() - tightness * l_t.mean()
    total = total if extra is None else total + extra(f, x, z, fx, fz)
    return Losses(total, l_r.detach(), l_i.detach(), l_t.detach())


def objective(
    f: nn.Module, x: Tensor, z: Tensor, *,
    reconstruction: float = 20.0, idempotence: float = 20.0, tightness: float = 2.5, clamp: float | None = 1.5,
    distance: str | Distance = "l1", extra: Extra | None = None, shown: Tensor | None = None,
) -> Losses:  # fmt: skip
    """The same step in one graph and two applications of f; arguments, values and gradients are `literal_objective`'s.

    L_i and L_t are the same number D(f(z), f(f(z))) and differ only in who is trained by it.  So compute it once, weigh
    it for tightness, -tightness * c with c the slope of the clamp, and multiply what flows back through the outer f into
    its input by -idempotence / (tightness * c): the outer parameters are trained by tightness, the inner ones by
    idempotence.  D depends on f(z) by its first argument too; that gradient passes no outer f and is added apart.

    That needs f to treat samples apart, and a tightness to divide by: with BatchNorm in training mode, or tightness 0, this
    calls `literal_objective`.
    """
    if tightness == 0 or mixes_samples(f):
        options: dict = {"reconstruction": reconstruction, "idempotence": idempotence, "tightness": tightness, "clamp": clamp}
        return literal_objective(f, x, z, distance=distance, extra=extra, shown=shown, **options)
    D = distance_of(distance)
    _check_pair(x, z)
    fx, fz = f(torch.cat([x if shown is None else shown, z])).split([len(x), len(z)])
    y = fz.view_as(fz)  # f(z) as the outer f sees it: a name of its own, so that only this path is rescaled
    ffz = f(y)

    l_r = D(x, fx)
    error = D(fz.detach(), ffz)
    l_t, slope = clamped(error, D(z, fz).detach(), clamp)
    # below the floor the outer f is trained a little more than the clamp says; fp16 could not hold less
    slope = slope.clamp_min(1e-6 if ffz.dtype == torch.float16 else 1e-12)
    outer = slope * error
    outer = outer + (l_t - outer).detach()  # the value of L_t with the gradient slope * dD
    if y.requires_grad:
        ratio = (-idempotence / (tightness * slope)).reshape(-1, *[1] * (y.ndim - 1))
        y.register_hook(lambda grad: (grad * ratio).to(grad.dtype))
    inner = D(fz, ffz.detach())
    total = reconstruction * l_r.mean() + idempotence * inner.mean() - tightness * outer.mean()
    total = total if extra is None else total + extra(f, x, z, fx, fz)
    return Losses(total, l_r.detach(), inner.detach(), l_t.detach())


def clamped(error: Tensor, limit: Tensor, clamp: float | None) -> tuple[Tensor, Tensor]:
    """Smooth clamp of tightness (section 2.3): a L_r(z) tanh(error / (a L_r(z))) per sample, and its slope, detached.

    error, limit: (n,), limit = D(z, f(z)) detached; clamp: a, or None for no clamp.  Returns (n,), (n,).
    """
    if clamp is None:
        return error, torch.ones_like(error)
    bound = (clamp * limit).clamp_min(torch.finfo(limit.dtype).tiny ** 0.5)  # z may be a fixed point already
    bent = torch.tanh(error / bound)
    return bound * bent, (1 - bent.square()).detach()


def mixes_samples(f: nn.Module) -> bool:
    """True if one sample's output depends on the others in its batch: BatchNorm in training mode."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in f.modules())


def _check_pair(x: Tensor, z: Tensor) -> None:
    if x.shape[1:] != z.shape[1:] or len(x) == 0 or len(z) == 0:
        raise ValueError(f"x is {tuple(x.shape)} and z is {tuple(z.shape)}; give non-empty batches of one sample shape.")


# -------------------------------------------------------------------------------------------------------------- recipe
@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model; the book's are in `ignbook/recipes.py`.  An "mlp" has width and depth alone."""

    name: str
    data: str  # a name that ignbook.data.load knows
    net: str = "conv"  # or "mlp", another name in NETWORKS, or a function of the recipe or its "module:name"
    size: int = 32  # side of the images, pixels
    channels: int = 1
    width: int = 32
    code: int = 128
    depth: int = 3
    norm: str = "group"
    linear: int = 0  # side of the small image that passes beside the convolutions; 0 for none
    source: str = "fourier"  # or "gaussian", another name in SOURCES, a source of your own, or the "module:name" of its class
    mixture: dict[str, float] = field(default_factory=dict)  # shares of further sources in a batch; the rest is `source`
    apart: bool = True  # with a mixture: one half of the data is reconstructed, the mixture draws from the other
    start: str = ""  # a checkpoint whose weights f starts from, by name or path; empty: random ones, from the seed
    recall: float = 0.0  # share of x that f reconstructs from f^k(x), k = 1 to 4, in place of x
    reconstruction: float = 20.0
    idempotence: float = 20.0
    tightness: float = 2.5  # the paper's 20 / 20 / 2.5
    tightness_end: float | None = None  # its value at the last step; a cosine leads there
    clamp: float | None = 1.5
    distance: str = "l1"
    distance_end: str | None = None  # the distance of the second half of the steps (the paper's two-step loss)
    extras: dict[str, float] = field(default_factory=dict)  # terms of `ignbook.remedies.EXTRAS` and their weights
    method: str = "ign"  # or "settle", "keep" (`ignbook.settling`), or a baseline of `ignbook.baselines.METHODS`
    ramp: int = 0  # steps over which idempotence and tightness grow from 1 % to full; faces need it
    mirror: bool = False  # half of the images, by lot at each step, are shown reversed from left to right
    lr: float = 1e-4
    lr_end: float = 1.0  # share of lr left at the last step; a cosine leads there
    betas: tuple[float, float] = (0.5, 0.999)
    batch: int = 256  # x in a step, over all devices together
    z_share: float = 1.0  # z in a step for each x; fewer make steps cheaper (chapter 12)
    steps: int = 20_000
    ema: float = 0.999  # decay of the averaged weights that are evaluated and shipped
    clip: float | None = 10.0  # norm of the gradient
    precision: str = "auto"  # or "32-true", "bf16-mixed", "16-mixed"; auto is bf16 where the device has it, fp16 on older CUDA
    seed: int = 0

    def __post_init__(self):
        checkpoints.check_recipe(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (2,) or (C, H, W)."""
        return (2,) if self.net == "mlp" else (self.channels, self.size, self.size)


def build(recipe: Recipe) -> nn.Module:
    """f with the weights that recipe.seed gives, on the CPU.  ValueError: unknown net, or a size that doesn't fit."""
    with torch.random.fork_rng(devices=[]):  # a seed of its own, and the reader's random state left alone
        torch.manual_seed(recipe.seed)
        return checkpoints.entry(NETWORKS, recipe.net, "network")(recipe)


def source_of(recipe: Recipe, data=None) -> nn.Module:
    """The recipe's source, fitted to `data`; without data an empty one for `load` to fill, of a mixture the noise alone."""

    def one(name, data) -> Any:
        make = checkpoints.entry(SOURCES, name, "source")
        if hasattr(make, "sample") and not isinstance(make, type):
            return make  # a source already
        fitted = data is not None and hasattr(make, "of")
        return make.of(checkpoints.Batches(data, recipe, checked=False)) if fitted else make(recipe.shape)

    if data is None or not recipe.mixture:
        return one(recipe.source, data)
    apart = checkpoints.Half(data, 1) if recipe.apart else data
    return MixedSource(one(recipe.source, data), {name: one(name, apart) for name in recipe.mixture}, recipe.mixture)


# ------------------------------------------------------------------------------------------------------------ training
class Run:
    """A training under way: all that changes from step to step, and so all that a state on disk has to hold.

    f: being trained, as Fabric holds it (f.module is the network).  average: the averaged f, eval mode.  source, optimiser,
    generator (of z): on Fabric's device.  step: how many are done."""

    def __init__(self, f: nn.Module, source, recipe: Recipe, fabric=None):
        self.recipe, self.fabric, self.step = recipe, fabric or checkpoints.fabric(recipe.precision), 0
        if recipe.start:
            checkpoints.begin(f, recipe.start)
        self.average = deepcopy(f).to(self.fabric.device).eval().requires_grad_(False)
        self.source: Any = source.to(self.fabric.device) if isinstance(source, nn.Module) else source
        for part in [part for part in getattr(source, "parts", {}).values() if hasattr(part, "follow")]:
            part.follow(self.average, source.noise)
        adam = torch.optim.Adam(f.parameters(), recipe.lr, recipe.betas)
        self.f, self.optimiser = self.fabric.setup(f.train(), adam)
        self.generator = torch.Generator(self.fabric.device).manual_seed(recipe.seed + 1)

    def train(self, data, loss: Callable[..., Losses] = objective) -> Iterator[tuple[int, Losses, nn.Module]]:
        """The paper's algorithm (section 2.2), a step at a time: yields (steps done, its losses, averaged f).

        Whoever iterates owns the loop: stop, print, draw, save or measure between two steps as you like.  data: anything
        with len() and data[LongTensor] -> (n, *shape).  loss: `objective`, or another with its signature."""
        recipe, fabric, g = self.recipe, self.fabric, self.generator
        data = checkpoints.Half(data, 0) if recipe.mixture and recipe.apart else data
        order = checkpoints.Order(len(data), recipe.batch, recipe.seed, self.step, fabric.global_rank, fabric.world_size)
        for x in itertools.islice(checkpoints.batches(data, order), recipe.steps - self.step):
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.lr * _cosine(self.step / recipe.steps, recipe.lr_end)
            x = x.to(fabric.device)
            if recipe.mirror:
                x = x.where(order.part(torch.rand(recipe.batch, 1, 1, 1, generator=g, device=x.device)) >= 0.5, x.flip(-1))
            z = order.part(self.source.sample(max(round(recipe.z_share * recipe.batch), fabric.world_size), g))
            with fabric.autocast():  # f brings its own; this is for what else a loss applies, such as a remedy's encoder
                losses = loss(self.f, x, z, **self.weights(), **(self.recalled(x) if recipe.recall else {}))
            self.optimiser.zero_grad()
            fabric.backward(losses.total)
            if recipe.clip:
                fabric.clip_gradients(self.f, self.optimiser, max_norm=recipe.clip, error_if_nonfinite=False)
            self.optimiser.step()
            decay = min(recipe.ema, (1 + self.step) / (10 + self.step))  # a short memory while f is still crude
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.parameters()), list(self.f.parameters()), 1 - decay)
                for mine, now in zip(self.average.buffers(), self.f.module.buffers()):
                    mine.copy_(now)
            self.step += 1
            yield self.step, losses, self.average

    @torch.no_grad()
    def recalled(self, x: Tensor) -> dict:
        """What f is shown in place of x, if the recipe wants that: f^k(x) by the averaged f, k = 1 to 4, for a share of x."""
        shown, n = x.clone(), round(self.recipe.recall * len(x))
        for k in range(4) if n else ():
            shown[k * n // 4 : n] = self.average(shown[k * n // 4 : n])
        return {"shown": shown} if n else {}

    def weights(self) -> dict:
        """What the loss of the coming step is called with: the recipe's weights on their courses, clamp and distance."""
        recipe, done = self.recipe, self.step / self.recipe.steps
        ramp = min(1.0, 0.01 + 0.99 * self.step / recipe.ramp) if recipe.ramp else 1.0
        end = recipe.tightness if recipe.tightness_end is None else recipe.tightness_end
        tightness = recipe.tightness and recipe.tightness * _cosine(done, end / recipe.tightness)
        distance = recipe.distance_end if recipe.distance_end and done >= 0.5 else recipe.distance
        fixed = {"reconstruction": recipe.reconstruction, "clamp": recipe.clamp}
        return fixed | {"idempotence": recipe.idempotence * ramp, "tightness": tightness * ramp, "distance": distance}


@dataclass
class Model:
    """A trained network: f (averaged weights, eval mode), its source, and its card (recipe, history, metrics, ...)."""

    f: nn.Module
    source: Any  # a module with sample(n, generator) and shape
    card: dict

    def to(self, device) -> "Model":
        device = checkpoints.checks.device(device)
        [part.to(device) for part in (self.f, self.source) if isinstance(part, nn.Module)]
        return self


def fit(
    f: nn.Module, source, data, recipe: Recipe, *,
    folder: str | Path | None = None, resume: bool = False, overwrite: bool = False, every: int | None = None,
    callback: Callable[[int, nn.Module], None] | None = None, loss=objective, fabric=None, progress: bool = True,
) -> Model:  # fmt: skip
    """Train f by the recipe; returns the `Model` with averaged weights.  `Run.train` with what most callers want around it.

    data: tensor, array, list of images, Dataset or DataLoader; images in [-1, 1] or as bytes (`ignbook.arrays.Batches`).
    folder: for the resumable state NAME.train.safetensors; None writes nothing.  overwrite: a run that is there already.
    resume: go on from that state, bit for bit as if never stopped; other `steps` or lr put lr and lambda on a new course.
    every: steps between rows of the history, states and calls of callback(step, averaged f); None: 200 rows, 20 states.
    loss: `objective`, or another with its signature; `ignbook.baselines.train` finds that of a recipe with remedies.
    fabric: a Lightning Fabric of your own (several devices); on another number of them a run goes on but for rounding (README).
    ValueError: wrong data, nothing to resume from, a run in its place.  FloatingPointError: NaN; the last good weights are in f
    and folder.  KeyboardInterrupt: Ctrl-C or SIGTERM, with the state saved in folder."""
    data = checkpoints.check_data(data, recipe)
    if loss is objective and (recipe.method != "ign" or recipe.extras):
        raise ValueError(f"recipe {recipe.name!r} is no plain IGN; train it by `ignbook.baselines.train(recipe, data)`.")
    run = Run(f, source, recipe, fabric)
    with checkpoints.Log(run, data, folder, every, resume, overwrite, progress) as log:
        for _, losses, _ in run.train(data, loss):
            log.tick(losses, callback)
    return Model(run.average, getattr(run.source, "noise", run.source), log.card())


def _cosine(progress: float, end: float) -> float:
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


# ------------------------------------------------------------------------------------------------ iterate and project
@torch.no_grad()
def iterate(f: nn.Module, z: Tensor, k: int) -> Tensor:
    """f(z), f^2(z), ..., f^k(z): (n, *shape) -> (k, n, *shape).  ValueError: k < 1, wrong shape, or NaN."""
    if k < 1:
        raise ValueError(f"f is to be applied {k} times; give k of 1 or more.")
    path = [checkpoints.check_input(z, f)]
    for _ in range(k):
        path.append(f(path[-1]))
    return torch.stack(path[1:])


def project(f: nn.Module, x: Tensor, k: int = 1) -> Tensor:
    """f^k(x): x projected onto the estimated manifold (section 3.3), (n, *shape) both; `ignbook.data.prepare` makes x."""
    return iterate(f, x, k)[-1]


# ------------------------------------------------------------------------------------------------------- save and load
def save(model: Model, path: str | Path) -> None:
    """Write a model as PATH.safetensors (f and source) and PATH.json (its card)."""
    checkpoints.save(path, model.card, f=model.f, source=model.source)


def load(name: str | Path, device: str | torch.device = "cpu", build=build, source=source_of) -> Model:
    """The `Model` that `save` wrote: by path, or by name from the shipped ones ("mnist").  Errors: `ignbook.checkpoints.read`.
    build, source: what makes the empty f and source of a recipe; `ignbook.baselines.load` gives those of baselines."""
    tensors, card = checkpoints.read(name)
    recipe = checkpoints.recipe_of(card, Recipe, name)
    if source is source_of and recipe.method not in ("ign", "settle", "keep", "denoise", "restore", "imle"):
        raise ValueError(f"the checkpoint {name} is of a baseline, {recipe.method!r}; load it by ignbook.baselines.load.")
    f, source = checkpoints.filled(tensors, card, name, f=lambda: build(recipe), source=lambda: source(recipe))
    return Model(f.eval().requires_grad_(False), source, card).to(device)


# ---------------------------------------------------------------------------------------------------- in half a minute
def demo(path: str | Path = "moons.png") -> None:
    """`python ign_core.py`: train on two moons in half a minute of one core, and draw x, z, f(z) and f(f(z)) into `path`."""
    import matplotlib.pyplot as plt

    about: dict = {"net": "mlp", "source": "gaussian", "precision": "32-true"}
    recipe = Recipe("demo", "moons", **about, tightness=20.0, lr=2e-3, lr_end=0.02, batch=512, steps=4_000)
    angle = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    x = torch.cat([angle.cos(), angle.sin()], 1) + torch.where(angle < math.pi, -0.5, 0.5) * torch.tensor([1.0, 0.5])
    model = fit(build(recipe), source_of(recipe), x, recipe)
    z = model.source.sample(1_000, torch.Generator().manual_seed(1))
    for i, (name, y) in enumerate(zip(("$x$", "$z$", "$f(z)$", "$f(f(z))$"), (x[:1_000], z, *iterate(model.f, z, 2)))):
        plt.figure(1, (13, 3.6)).add_subplot(1, 4, i + 1, aspect="equal", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5)).plot(*y.T, ".")
        plt.title(f"{name}, mean drift {drift(model.f, y).mean():.2f}")
    plt.savefig(path, dpi=150)


if __name__ == "__main__":
    demo()
