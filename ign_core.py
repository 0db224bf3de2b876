"""Idempotent Generative Networks in one module.

Shocher, Dravid, Gandelsman, Mosseri, Rubinstein, Efros: "Idempotent Generative Networks", ICLR 2024, arXiv 2311.01462;
section and equation numbers below are the paper's.  The order of this file is the order of the book:

    sources -> networks -> distance and drift -> objective -> recipe -> fit -> iterate and project -> save and load

Notation, the same in prose, code and figures: x data, z source, f the network, `fx` = f(x), `fz` = f(z), `ffz` = f(f(z)),
D the distance, delta the drift, a the clamp.  Tensors carry the batch first: images (n, C, H, W) in [-1, 1], points (n, 2).
"""

import hashlib
import json
import logging
import math
import os
import platform
import sysconfig
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Callable, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

# ------------------------------------------------------------------------------------------------------------- sources


class GaussianSource(nn.Module):
    """z ~ N(0, std^2), independent in every coordinate (the paper's "white" source, section 2).

    shape: of one sample, (2,) or (C, H, W).  std: positive, in units of the data.
    """

    def __init__(self, shape, std: float = 1.0):
        super().__init__()
        if not std > 0:
            raise ValueError(f"the standard deviation of the source is {std}; give a positive number.")
        self.shape = tuple(shape)
        self.register_buffer("std", torch.tensor(float(std)))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape) on the source's device, drawn from `generator` (on whatever device that is)."""
        return self.coloured(_normal((n, *self.shape), generator, self.std.device))

    def coloured(self, e: Tensor) -> Tensor:
        """The sample that standard normal numbers e make: (n, *shape) -> (n, *shape)."""
        return e * self.std

    def white(self, z: Tensor) -> Tensor:
        """The numbers that make a sample, the inverse of `coloured`: (n, *shape) -> (n, *shape)."""
        return z / self.std


class FourierSource(nn.Module):
    """z whose spectrum has the data's statistics: what the paper samples from for images (section 3, "Experiments").

    Each frequency of each channel gets an independent normal real and imaginary part, with the mean and the standard
    deviation that these parts have over the data.  The samples are real, and reproduce those statistics exactly: a real
    image has conjugate pairs in its spectrum, so half of the plane is drawn and the rest is its mirror image.  (Drawing
    the whole plane and dropping the imaginary part of the image, as public code does, halves every variance.)

    mean, std: (2, C, H, W//2 + 1), real and imaginary part.  Fit them with `FourierSource.of(data)`.
    """

    def __init__(self, shape, mean: Tensor | None = None, std: Tensor | None = None):
        super().__init__()
        self.shape = tuple(shape)
        if len(self.shape) != 3:
            raise ValueError(f"a Fourier source makes images of shape (C, H, W), not {self.shape}; use GaussianSource.")
        channels, height, width = self.shape
        half = (2, channels, height, width // 2 + 1)
        self.register_buffer("mean", torch.zeros(half) if mean is None else mean.reshape(half).float())
        self.register_buffer("std", torch.ones(half) if std is None else std.reshape(half).float())

    @classmethod
    def of(cls, data, chunk: int = 2**22) -> "FourierSource":
        """Fit to `data`: len(data) and data[LongTensor] -> (n, C, H, W) is all that it needs.  ValueError below 2 images.

        chunk: numbers that are transformed at a time, so that memory doesn't grow with the data.
        """
        n = len(data)
        if n < 2:
            raise ValueError(f"Fourier statistics need at least 2 images and got {n}; give more data.")
        total = square = 0.0
        at_once = max(chunk // data[torch.arange(1)].numel(), 1)
        for start in range(0, n, at_once):  # in chunks, and in double precision
            x = _images(data[torch.arange(start, min(start + at_once, n))])
            spectrum = torch.view_as_real(torch.fft.rfft2(x.double())).movedim(-1, 0)  # (2, n, C, H, W//2 + 1)
            total, square = total + spectrum.sum(1), square + spectrum.square().sum(1)
        mean = total / n
        return cls(x.shape[1:], mean, (square / n - mean.square()).clamp_min(0).sqrt())

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, C, H, W), real, on the source's device."""
        return self.coloured(_normal((n, *self.mean.shape), generator, self.mean.device))

    def coloured(self, e: Tensor) -> Tensor:
        """The sample that standard normal numbers e make: (n, 2, C, H, W//2 + 1) -> (n, C, H, W)."""
        parts = self.mean + self.std * e
        spectrum = torch.complex(parts[:, 0], parts[:, 1])
        _, height, width = self.shape
        for column in self._paired():
            upper = spectrum[..., 1 : (height + 1) // 2, column]
            spectrum[..., height // 2 + 1 :, column] = upper.flip(-1).conj()
        return torch.fft.irfft2(spectrum, s=(height, width))

    def white(self, z: Tensor) -> Tensor:
        """The numbers that make a sample, 0 where `coloured` takes none: (n, C, H, W) -> (n, 2, C, H, W//2 + 1).

        coloured(white(z)) = z wherever the data has any power.  Of a sample, C H W of them are independent N(0, 1).
        """
        parts = torch.view_as_real(torch.fft.rfft2(z)).movedim(-1, 1)
        e = torch.where(self.std > 0, (parts - self.mean) / self.std, 0.0)
        height = self.shape[1]
        for column in self._paired():
            e[..., height // 2 + 1 :, column] = 0
            for row in (0, height // 2) if height % 2 == 0 else (0,):
                e[:, 1, :, row, column] = 0  # its own conjugate: real
        return e

    def _paired(self) -> tuple[int, ...]:
        """The columns that hold both halves of their own pairs."""
        width = self.shape[2]
        return (0, width // 2) if width % 2 == 0 else (0,)


SOURCES = {"gaussian": GaussianSource, "fourier": FourierSource}


def _normal(shape, generator, device) -> Tensor:
    where = generator.device if generator is not None else device
    return torch.randn(shape, generator=generator, device=where).to(device)


def _images(x: Tensor) -> Tensor:
    if x.ndim != 4 or not torch.isfinite(x).all():
        raise ValueError(f"images must be finite and of shape (n, C, H, W); got {tuple(x.shape)}.")
    return x


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


class _ToCode(nn.Conv2d):
    """A convolution over all of its input, (n, C, k, k) -> (n, code, 1, 1), computed as the matrix product that it is."""

    def forward(self, y: Tensor) -> Tensor:
        return nn.functional.linear(y.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class _FromCode(nn.ConvTranspose2d):
    """Its mirror image, (n, code, 1, 1) -> (n, C, k, k)."""

    def forward(self, code: Tensor) -> Tensor:
        y = (code.flatten(1) @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])
        return y if self.bias is None else y + self.bias[:, None, None]


class _LinearToCode(nn.Module):
    """deep(y) plus a linear map of y averaged to a side of `side` pixels, (n, C, H, W) -> (n, code, 1, 1)."""

    def __init__(self, deep: nn.Module, channels: int, side: int, code: int):
        super().__init__()
        self.deep, self.side, self.linear = deep, side, _linear(channels * side * side, code)

    def forward(self, y: Tensor) -> Tensor:
        small = nn.functional.avg_pool2d(y, y.shape[-1] // self.side)
        return self.deep(y) + self.linear(small.flatten(1))[:, :, None, None]


class _LinearFromCode(nn.Module):
    """Its mirror image, (n, code, 1, 1) -> (n, C, H, W): deep(code) plus a linear map of the code, enlarged."""

    def __init__(self, deep: nn.Module, channels: int, side: int, code: int):
        super().__init__()
        self.deep, self.side, self.linear = deep, side, _linear(code, channels * side * side)

    def forward(self, code: Tensor) -> Tensor:
        y = self.deep(code)
        small = self.linear(code.flatten(1)).unflatten(1, (-1, self.side, self.side))
        return y + nn.functional.interpolate(small, y.shape[-2:], mode="bilinear")


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """Keeps the size of numbers from the first step on, as a projection does."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, 0.0, inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


class ConvAutoencoder(nn.Module):
    """f for images: (n, C, size, size) -> the same, in [-1, 1] by tanh (DCGAN layers, paper section 3 and appendix).

    Stride-2 convolutions halve `size` down to a side of 4 to 7 and double the channels from `width`; one dense
    convolution makes a code of `code` numbers; the decoder mirrors it.  norm: "group" (8 channels a group; no state, the
    default), "batch" (the paper's: its statistics couple the samples of a batch), or "none".  linear: side in pixels of
    a small version of the image that goes to the code, and comes back from it, by a linear map beside the convolutions;
    0, the default and the paper's, has no such path, and faces learn faster with one (chapter 7).
    ValueError: `size` is not 4, 5, 6 or 7 times a power of two (28, 32 and 64 are), `norm` is unknown, or `linear` is no
    divisor of `size`.
    """

    def __init__(
        self, size: int = 32, channels: int = 1, width: int = 32, code: int = 128, norm: str = "group", linear: int = 0
    ):
        super().__init__()
        side, levels = size, 0
        while side % 2 == 0 and side > 7:
            side, levels = side // 2, levels + 1
        if not 4 <= side <= 7 or levels == 0:
            raise ValueError(
                f"images of side {size} don't fit this network; pad or resize to 4, 5, 6 or 7 times a power of two, "
                "such as 28, 32 or 64."
            )
        if norm not in ("group", "batch", "none"):
            raise ValueError(f"normalisation {norm!r} is unknown; use 'group', 'batch' or 'none'.")
        if linear < 0 or (linear and size % linear):
            raise ValueError(f"a linear path of side {linear} doesn't divide images of side {size}; use a divisor, or 0 for none.")
        norm_of = {"group": lambda c: nn.GroupNorm(max(c // 8, 1), c), "batch": nn.BatchNorm2d, "none": lambda c: nn.Identity()}
        norm_of = norm_of[norm]
        widths = [width * 2**i for i in range(levels)]
        down = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]  # no normalisation at the borders of f, as DCGAN
        for i, o in zip(widths, widths[1:]):
            down += [nn.Conv2d(i, o, 4, 2, 1, bias=norm == "none"), norm_of(o), nn.LeakyReLU(0.2)]
        up = [_FromCode(code, widths[-1], side, bias=norm == "none"), norm_of(widths[-1]), nn.ReLU()]
        for i, o in zip(widths[::-1], widths[-2::-1]):
            up += [nn.ConvTranspose2d(i, o, 4, 2, 1, bias=norm == "none"), norm_of(o), nn.ReLU()]
        self.encoder = nn.Sequential(*down, _ToCode(widths[-1], code, side))
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(m.weight, 0.0, 0.02)  # DCGAN's; a larger start makes f far from every fixed point
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
        if linear:
            self.encoder = _LinearToCode(self.encoder, channels, linear, code)
            self.decoder = nn.Sequential(_LinearFromCode(self.decoder[:-1], channels, linear, code), nn.Tanh())
        self.shape = (channels, size, size)

    def forward(self, y: Tensor) -> Tensor:
        return self.decoder(self.encoder(y))


# ----------------------------------------------------------------------------------------------------- distance, drift

Distance = Callable[[Tensor, Tensor], Tensor]


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference per sample: (n, ...) and (n, ...) -> (n,), float32 or better."""
    return (_full(a) - _full(b)).abs().flatten(1).mean(1)


def l2(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference per sample: (n, ...) and (n, ...) -> (n,), float32 or better."""
    return (_full(a) - _full(b)).square().flatten(1).mean(1)


DISTANCES = {"l1": l1, "l2": l2}


def distance_of(distance: str | Distance) -> Distance:
    """D as a function (n, ...), (n, ...) -> (n,): "l1" (the paper's), "l2", or any callable of that form, unchanged."""
    if callable(distance):
        return distance
    if distance not in DISTANCES:
        raise ValueError(f"distance {distance!r} is unknown; use {', '.join(DISTANCES)} or a function (n, ...), (n, ...) -> (n,).")
    return DISTANCES[distance]


def drift(f: nn.Module, y: Tensor, distance: str | Distance = "l1") -> Tensor:
    """delta(y) = D(y, f(y)) (section 2.1): how far f moves each sample.  (n, ...) -> (n,).  0 on fixed points."""
    return distance_of(distance)(y, f(y))


def _full(t: Tensor) -> Tensor:
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
    f: nn.Module,
    x: Tensor,
    z: Tensor,
    *,
    reconstruction: float = 20.0,
    idempotence: float = 20.0,
    tightness: float = 2.5,
    clamp: float | None = 1.5,
    distance: str | Distance = "l1",
    extra: Extra | None = None,
) -> Losses:
    """The paper's training step as it is written (section 2.2, eq. 1-7 and its listing): four passes, one frozen copy.

    total = reconstruction * L_r + idempotence * L_i - tightness * L_t, means over the batch of

        L_r = D(x, f(x))
        L_i = D(f(z), f_copy(f(z)))             gradient to the inner f only: the outer one is a frozen copy
        L_t = D(sg f(z), f(sg f(z)))            gradient to the outer f only: the inner one is detached
              through a D(z, f(z)) tanh(. / (a D(z, f(z)))), a = `clamp`; None turns the clamp off

    x, z: (n, *shape), batch sizes may differ.  Weights: of the terms; the ratio tightness/reconstruction is the book's
    lambda.  extra: a remedy's term (chapter 11), extra(f, x, z, fx, fz) -> (), added to the total; through fz it trains the
    inner f.  Returns `Losses`; only `total` carries a graph.
    ValueError: x and z are not of one sample shape, or one of them is empty.
    """
    D = distance_of(distance)
    _check_pair(x, z)
    parameters = {  # by module, so that a part under two names (as Fabric holds f) is swapped and given back once
        f"{prefix}.{name}".lstrip("."): p.detach()
        for prefix, module in f.named_modules()
        for name, p in module.named_parameters(recurse=False)
    }
    buffers = {name: b.clone() for name, b in f.named_buffers()}  # the copy counts no batch statistics of f's

    def f_copy(y: Tensor) -> Tensor:
        return torch.func.functional_call(f, parameters | buffers, (y,), tie_weights=False)

    fx, fz = f(x), f(z)
    l_r = D(x, fx)
    l_i = D(fz, f_copy(fz))
    l_t, _ = clamped(D(fz.detach(), f(fz.detach())), D(z, fz).detach(), clamp)
    total = reconstruction * l_r.mean() + idempotence * l_i.mean() - tightness * l_t.mean()
    total = total if extra is None else total + extra(f, x, z, fx, fz)
    return Losses(total, l_r.detach(), l_i.detach(), l_t.detach())


def objective(
    f: nn.Module,
    x: Tensor,
    z: Tensor,
    *,
    reconstruction: float = 20.0,
    idempotence: float = 20.0,
    tightness: float = 2.5,
    clamp: float | None = 1.5,
    distance: str | Distance = "l1",
    extra: Extra | None = None,
) -> Losses:
    """The same step in one graph and two applications of f; arguments, values and gradients are `literal_objective`'s.

    L_i and L_t are the same number D(f(z), f(f(z))) and differ only in who is trained by it.  So compute it once, weigh
    it for tightness, -tightness * c with c the slope of the clamp, and multiply what flows back through the outer f into
    its input by -idempotence / (tightness * c): the outer parameters are trained by tightness, the inner ones by
    idempotence.  What idempotence owes to its first argument is added apart.

    That needs f to treat samples apart, and a tightness to divide by: for a network with BatchNorm in training mode, or
    with tightness 0, this calls `literal_objective`.
    """
    if tightness == 0 or mixes_samples(f):
        return literal_objective(
            f, x, z, reconstruction=reconstruction, idempotence=idempotence, tightness=tightness, clamp=clamp,
            distance=distance, extra=extra,
        )
    D = distance_of(distance)
    _check_pair(x, z)
    fx, fz = f(torch.cat([x, z])).split([len(x), len(z)])
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
    ceiling = (clamp * limit).clamp_min(torch.finfo(limit.dtype).tiny ** 0.5)  # z may be a fixed point already
    bent = torch.tanh(error / ceiling)
    return ceiling * bent, (1 - bent.square()).detach()


def mixes_samples(f: nn.Module) -> bool:
    """True if one sample's output depends on the others in its batch: BatchNorm in training mode."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in f.modules())


def _check_pair(x: Tensor, z: Tensor) -> None:
    if x.shape[1:] != z.shape[1:] or len(x) == 0 or len(z) == 0:
        raise ValueError(f"x is {tuple(x.shape)} and z is {tuple(z.shape)}; give non-empty batches of one sample shape.")


# -------------------------------------------------------------------------------------------------------------- recipe


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model.  The book's are the instances in `recipes.py`.

    net "mlp" takes width and depth; net "conv" takes size, channels, width, code, norm and linear.
    """

    name: str
    data: str  # a name that ign_data.load knows
    net: str = "conv"
    size: int = 32  # side of the images, pixels
    channels: int = 1
    width: int = 32
    code: int = 128
    depth: int = 3
    norm: str = "group"
    linear: int = 0  # side of the small image that passes beside the convolutions; 0 for none
    source: str = "fourier"  # or "gaussian"
    reconstruction: float = 20.0
    idempotence: float = 20.0
    tightness: float = 2.5  # the paper's 20 / 20 / 2.5
    tightness_end: float | None = None  # its value at the last step; a cosine leads there
    clamp: float | None = 1.5
    distance: str = "l1"
    distance_end: str | None = None  # the distance of the second half of the steps (the paper's two-step loss)
    extras: dict[str, float] = field(default_factory=dict)  # terms of `ign_remedies.EXTRAS` and their weights
    method: str = "ign"  # or a baseline of `ign_baselines.METHODS`
    ramp: int = 0  # steps over which idempotence and tightness grow from 1 % to full; faces need it
    mirror: bool = False  # half of the images, by lot at each step, are shown reversed from left to right
    lr: float = 1e-4
    lr_end: float = 1.0  # share of lr left at the last step; a cosine leads there
    betas: tuple[float, float] = (0.5, 0.999)
    batch: int = 256  # over all devices together
    steps: int = 20_000
    ema: float = 0.999  # decay of the averaged weights that are evaluated and shipped
    clip: float | None = 10.0  # norm of the gradient
    precision: str = "auto"  # or Fabric's names; auto is bf16 where the device has it, fp16 on older CUDA, else float32
    seed: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (2,) or (C, H, W)."""
        return (2,) if self.net == "mlp" else (self.channels, self.size, self.size)


def build(recipe: Recipe) -> nn.Module:
    """f with the weights that recipe.seed gives, on the CPU.  ValueError: unknown net, or a size that doesn't fit."""
    with torch.random.fork_rng(devices=[]):  # a seed of its own, and the reader's random state left alone
        torch.manual_seed(recipe.seed)
        if recipe.net == "mlp":
            return MLP(2, recipe.width, recipe.depth)
        if recipe.net == "conv":
            return ConvAutoencoder(recipe.size, recipe.channels, recipe.width, recipe.code, recipe.norm, recipe.linear)
    raise ValueError(f"network {recipe.net!r} is unknown; use 'mlp' or 'conv'.")


def source_of(recipe: Recipe, data) -> nn.Module:
    """The recipe's source, fitted to `data` where it has statistics of data."""
    if recipe.source not in SOURCES:
        raise ValueError(f"source {recipe.source!r} is unknown; use {' or '.join(SOURCES)}.")
    return FourierSource.of(data) if recipe.source == "fourier" else GaussianSource(recipe.shape)


def blank_source(recipe: Recipe) -> nn.Module:
    """The recipe's source before it is fitted to anything, for `load` to fill."""
    return SOURCES[recipe.source](recipe.shape)


# ----------------------------------------------------------------------------------------------------------------- fit


@dataclass
class Model:
    """A trained network: f (averaged weights, eval mode), its source, and its card (recipe, history, metrics, ...)."""

    f: nn.Module
    source: nn.Module
    card: dict

    def to(self, device) -> "Model":
        self.f.to(device), self.source.to(device)
        return self


class Order(torch.utils.data.Sampler):
    """Batches of indices without end, each epoch a new permutation; a pure function of (n, batch, seed, step).

    That is what makes a resumed run see the data in the order of an unbroken one: nothing is stored but the step.
    """

    def __init__(self, n: int, batch: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):
        if n < batch:
            raise ValueError(f"a batch of {batch} is more than the {n} samples there are; give more data or a smaller batch.")
        self.n, self.batch, self.seed, self.start, self.rank, self.world = n, batch, seed, start, rank, world

    def __iter__(self):
        per_epoch = self.n // self.batch
        epoch, position = divmod(self.start, per_epoch)
        while True:
            g = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            order = torch.randperm(self.n, generator=g)
            for i in range(position, per_epoch):
                yield order[i * self.batch : (i + 1) * self.batch][self.rank :: self.world]
            epoch, position = epoch + 1, 0


def fit(
    f: nn.Module,
    source: nn.Module,
    data,
    recipe: Recipe,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    every: int | None = None,
    callback: Callable[[int, nn.Module], None] | None = None,
    loss: Callable[..., Losses] = objective,
    fabric=None,
    progress: bool = True,
) -> Model:
    """Train f by the recipe (the paper's algorithm, section 2.2); returns the `Model` with averaged weights.

    data: anything with len() and data[LongTensor] -> (n, *shape) in [-1, 1]; a tensor will do.
    out: folder for the resumable state NAME.train.safetensors and, for images, grids of samples; None writes nothing.
    resume: go on from that state, bit for bit as if never stopped.
    every: steps between rows of the history, saved states and calls of callback(step, averaged f); None: 200 of them.
    loss: `objective`, or another with its signature; `ign_baselines.train` finds that of a recipe with remedies.  fabric: a Lightning Fabric of your own (several devices).
    Raises ValueError: data of the wrong shape or range, or nothing to resume from; FloatingPointError: NaN, with the last
    good weights kept in f and, given `out`, on disk.
    """
    fabric = fabric or _fabric(recipe)
    device, weights = fabric.device, {k: getattr(recipe, k) for k in ("reconstruction", "idempotence", "tightness")}
    every = every or max(recipe.steps // 200, 1)
    _check_data(data, recipe)
    if loss is objective and (recipe.method != "ign" or recipe.extras or {recipe.distance, recipe.distance_end or "l1"} - set(DISTANCES)):
        raise ValueError(f"recipe {recipe.name!r} is no plain IGN; train it by `ign_baselines.train(recipe, data)`.")
    state_path = None if out is None else Path(out) / f"{recipe.name}.train.safetensors"

    last = recipe.tightness_end
    if last is not None and not weights["tightness"] > 0:
        raise ValueError("tightness_end needs a tightness above 0 to start from; set both.")
    source = source.to(device)
    average = deepcopy(f).to(device).eval().requires_grad_(False)
    optimiser = torch.optim.Adam(f.parameters(), recipe.lr, recipe.betas)
    f, optimiser = fabric.setup(f.train(), optimiser)
    generator = torch.Generator(device).manual_seed(recipe.seed + 1 + fabric.global_rank)
    start, seconds, history = 0, 0.0, []
    if resume:
        start, seconds, history = _restore(state_path, recipe, f.module, average, source, optimiser, generator, fabric)
    good = _snapshot(f.module, average)
    loader = torch.utils.data.DataLoader(  # batch_size=None: `Order` yields whole batches of indices
        data, batch_size=None, sampler=Order(len(data), recipe.batch, recipe.seed, start, fabric.global_rank, fabric.world_size)
    )
    bar = _bar(range(start, recipe.steps), progress and fabric.is_global_zero, start, recipe)
    began = time.perf_counter() - seconds

    for step, x in zip(bar, loader):
        done = step / recipe.steps
        share = min(1.0, 0.01 + 0.99 * step / recipe.ramp) if recipe.ramp else 1.0
        tightness = weights["tightness"] * (1.0 if last is None else _cosine(done, last / weights["tightness"]))
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * _cosine(done, recipe.lr_end)
        x = x.to(device)
        if recipe.mirror:
            turned = torch.rand(len(x), 1, 1, 1, generator=generator, device=device) < 0.5
            x = torch.where(turned, x.flip(-1), x)
        z = source.sample(len(x), generator)
        with fabric.autocast():  # f brings its own; this is for what else a loss applies, such as a remedy's encoder
            losses = loss(
                f, x, z,
                reconstruction=weights["reconstruction"],
                idempotence=weights["idempotence"] * share,
                tightness=tightness * share,
                clamp=recipe.clamp,
                distance=recipe.distance_end if recipe.distance_end and done >= 0.5 else recipe.distance,
            )  # fmt: skip
        optimiser.zero_grad()
        fabric.backward(losses.total)
        if recipe.clip:
            fabric.clip_gradients(f, optimiser, max_norm=recipe.clip, error_if_nonfinite=False)
        optimiser.step()
        _average(average, f.module, min(recipe.ema, (1 + step) / (10 + step)))  # a short memory while f is still crude

        if (step + 1) % every == 0 or step + 1 == recipe.steps:
            if not (math.isfinite(losses.total.item()) and _finite(f.module)):  # the loss is that before the step
                _put_back(f.module, average, good)
                stored = state_path is not None and state_path.exists()
                kept = f"the last good weights are in {state_path}" if stored else "f has the last good weights"
                raise FloatingPointError(f"the loss became NaN by step {step + 1}; {kept}. Lower lr, or use the clamp.")
            good = _snapshot(f.module, average)
            seconds = time.perf_counter() - began
            terms = {k: getattr(losses, k).mean().item() for k in Losses._fields[1:]}
            history.append({"step": step + 1, **terms, "seconds": round(seconds, 2)})
            rate = recipe.batch * (step + 1 - start) / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix({k[:5]: f"{v:.3f}" for k, v in terms.items()} | {"images/s": f"{rate:.0f}"})
            if out is not None and fabric.is_global_zero:
                _store(state_path, recipe, step + 1, seconds, history, f.module, average, source, optimiser, generator, fabric)
                if len(recipe.shape) == 3:
                    write_samples(average, source, Path(out) / f"{recipe.name}-samples" / f"{step + 1:07d}.png")
            if callback is not None:
                callback(step + 1, average)

    card = {
        "format": FORMAT,
        "recipe": asdict(recipe),
        "images": recipe.steps * recipe.batch,
        "seconds": round(seconds, 1),
        "device": _device_name(device, fabric.world_size),
        "precision": str(fabric._precision.precision),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "data": getattr(data, "card", {"n": len(data)}),
        "history": history,
    }
    return Model(average, source, card)


def _fabric(recipe: Recipe):
    from lightning_fabric import Fabric  # here, because it takes a second and only training needs it

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what it announces on stderr stands on the card
    precision = recipe.precision
    if precision == "auto":
        precision = "32-true"
        if torch.cuda.is_available():
            precision = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
        elif not torch.backends.mps.is_available() and torch.cpu.get_capabilities().get("avx512_bf16"):
            precision = "bf16-mixed"
    launched = "LT_CLI_USED" in os.environ  # `fabric run train.py ...` has chosen the devices
    fabric = Fabric(precision=precision) if launched else Fabric(devices=1, precision=precision)
    fabric.launch()
    return fabric


def _check_data(data, recipe: Recipe) -> None:
    Order(len(data), recipe.batch, recipe.seed)  # raises if there is less than one batch
    x = data[torch.arange(min(len(data), 64))]
    if tuple(x.shape[1:]) != recipe.shape:
        raise ValueError(f"the data has samples of shape {tuple(x.shape[1:])} and recipe {recipe.name!r} wants {recipe.shape}.")
    if not torch.isfinite(x).all() or (len(recipe.shape) == 3 and not (x.min() >= -1 and x.max() <= 1)):
        raise ValueError(f"the data runs from {x.min():.3g} to {x.max():.3g}; scale images to [-1, 1] and drop what isn't finite.")
    if recipe.mirror and len(recipe.shape) != 3:
        raise ValueError(f"recipe {recipe.name!r} mirrors, which is for images; leave mirror off for points.")
    if len(recipe.shape) == 3 and x.min() >= 0:
        raise ValueError("the images have no value below 0; scale them from [0, 1] to [-1, 1] with 2 * x - 1.")


def _cosine(progress: float, end: float) -> float:
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


def _finite(f: nn.Module) -> bool:
    return all(torch.isfinite(p).all() for p in f.parameters())


@torch.no_grad()
def _average(average: nn.Module, f: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(f.parameters()), 1 - decay)
    for a, b in zip(average.buffers(), f.buffers()):
        a.copy_(b)


def _bar(steps, shown: bool, start: int, recipe: Recipe):
    from tqdm.auto import tqdm

    return tqdm(steps, initial=start, total=recipe.steps, disable=not shown, desc=recipe.name, mininterval=0.5)


def _snapshot(f: nn.Module, average: nn.Module) -> list[Tensor]:
    return [t.clone() for m in (f, average) for t in m.state_dict().values()]


def _put_back(f: nn.Module, average: nn.Module, good: list[Tensor]) -> None:
    for t, g in zip([t for m in (f, average) for t in m.state_dict().values()], good):
        t.copy_(g)


@torch.no_grad()
def write_samples(f: nn.Module, source: nn.Module, path: Path, n: int = 64, columns: int = 8, seed: int = 0) -> None:
    """A PNG of f(z) for n draws of the source, in rows of `columns`."""
    from torchvision.utils import save_image

    z = source.sample(n, torch.Generator(source.std.device).manual_seed(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(f(z), path, nrow=columns, normalize=True, value_range=(-1, 1))


def _device_name(device: torch.device, world: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} thread(s)"
    return name if world == 1 else f"{world} x {name}"


# --------------------------------------------------------------------------------------------------- iterate and project


@torch.no_grad()
def iterate(f: nn.Module, z: Tensor, k: int) -> Tensor:
    """f(z), f^2(z), ..., f^k(z): (n, *shape) -> (k, n, *shape).  ValueError: k < 1, wrong shape, or NaN."""
    if k < 1:
        raise ValueError(f"f is to be applied {k} times; give k of 1 or more.")
    shape = getattr(f, "shape", tuple(z.shape[1:]))
    if tuple(z.shape[1:]) != tuple(shape):
        hint = f"; resize the images, or give them {shape[0]} channels" if len(shape) == 3 else ""
        raise ValueError(f"the input is {tuple(z.shape)} and f takes (n, {', '.join(map(str, shape))}){hint}.")
    if not torch.isfinite(z).all():
        raise ValueError("the input has NaN or infinite values; remove them first.")
    path = []
    for _ in range(k):
        z = f(z)
        path.append(z)
    return torch.stack(path)


def project(f: nn.Module, x: Tensor, k: int = 1) -> Tensor:
    """f^k(x): the projection of any input onto the estimated manifold (section 3.3).  (n, *shape) -> (n, *shape)."""
    return iterate(f, x, k)[-1]


# ------------------------------------------------------------------------------------------------------- save and load

FORMAT = "ign-1"  # of checkpoints; raise it when an older one can no longer be read


def write(path: str | Path, tensors: dict[str, Tensor], card: dict, **metadata: str) -> None:
    """PATH.safetensors and PATH.json (the card), each written aside and renamed: a crash never leaves half a file."""
    path = Path(str(path).removesuffix(".safetensors"))
    blob = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata or None)
    write_file(Path(f"{path}.safetensors"), blob)
    card = {**card, "sha256": hashlib.sha256(blob).hexdigest()}
    write_json(Path(f"{path}.json"), card)


def read(name: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and card of a checkpoint: a path, or a name among the shipped ones.  Nothing is unpickled.

    FileNotFoundError: no such file.  ValueError: it is damaged, foreign, or the card belongs to other weights.
    """
    path = _find(name)
    try:
        card = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        blob = Path(f"{path}.safetensors").read_bytes()
        tensors = safetensors.torch.load(blob)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{Path(error.filename).name} is missing beside its other half in {path.parent}; copy both.") from None
    except (safetensors.SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the checkpoint {path} is damaged ({type(error).__name__}); copy or train it again.") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{path}.json is not a card of format {FORMAT!r}; train the model again with this version.")
    if card.get("sha256") != hashlib.sha256(blob).hexdigest():
        raise ValueError(f"{path}.json does not belong to {path.name}.safetensors, or that is damaged; copy both files again.")
    return tensors, card


def save(model: Model, path: str | Path) -> None:
    """Write a model as PATH.safetensors (f and source) and PATH.json (its card)."""
    tensors = {f"f.{k}": v for k, v in model.f.state_dict().items()}
    tensors |= {f"source.{k}": v for k, v in model.source.state_dict().items()}
    write(path, tensors, model.card)


def load(name: str | Path, device: str | torch.device = "cpu", build=build, source=blank_source) -> Model:
    """The `Model` that `save` wrote: by path, or by name from the shipped checkpoints ("mnist").  Errors: see `read`.

    build, source: what makes the empty f and source of a recipe; `ign_baselines.load` gives others.
    """
    tensors, card = read(name)
    try:
        recipe = recipe_from(card["recipe"])
        if source is blank_source and recipe.method not in ("ign", "denoise", "imle"):
            raise ValueError(f"the checkpoint {name} is of a baseline, {recipe.method!r}; load it by ign_baselines.load.")
        f, source = build(recipe), source(recipe)
        _fill(f, "f", tensors), _fill(source, "source", tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"the checkpoint {name} is of another architecture than its card says ({error}).".replace("\n", " ")) from None
    return Model(f.eval().requires_grad_(False), source, card).to(device)


def write_card(name: str | Path, changes: dict) -> None:
    """Change entries of a checkpoint's card and leave its weights alone.  Errors: see `read`."""
    _, card = read(name)
    write_json(Path(f"{_find(name)}.json"), card | changes)


def recipe_from(stored: dict) -> Recipe:
    """A `Recipe` from a card.  TypeError: it is no table of fields, or has one that this version doesn't know."""
    if not isinstance(stored, dict):
        raise TypeError(f"the recipe is {stored!r}")
    return Recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()})


def shipped_in(folder: str) -> list[Path]:
    """Where "checkpoints" or "results" of the book may lie: in a clone, or beside an installed package."""
    return [Path(__file__).resolve().parent / folder, Path(sysconfig.get_path("data")) / "share" / "ign" / folder]


def _find(name: str | Path) -> Path:
    name = str(name).removesuffix(".safetensors").removesuffix(".json")
    shipped = shipped_in("checkpoints")
    for path in [Path(name), *(folder / name for folder in shipped)]:
        if Path(f"{path}.safetensors").exists() or Path(f"{path}.json").exists():
            return path
    known = sorted({p.stem for folder in shipped for p in folder.glob("*.safetensors")})
    raise FileNotFoundError(f"there is no checkpoint {name}; give a path, or one of: {', '.join(known) or 'none shipped'}.")


def _fill(module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    module.load_state_dict({k.removeprefix(prefix + "."): v for k, v in tensors.items() if k.startswith(prefix + ".")})


def write_file(path: Path, blob: bytes) -> None:
    """Write aside and rename, so that a crash at any moment leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(blob)
    os.replace(aside, path)


def write_json(path: Path, content: dict) -> None:
    """As text that a person reads and git compares, by `write_file`."""
    write_file(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _store(path, recipe, step, seconds, history, f, average, source, optimiser, generator, fabric) -> None:
    modules = {"f": f, "average": average, "source": source}
    tensors = {f"{name}.{k}": v for name, m in modules.items() for k, v in m.state_dict().items()}
    for i, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": v for k, v in moments.items()}
    tensors["generator"] = generator.get_state()
    state = {"recipe": asdict(recipe), "step": step, "seconds": seconds, "history": history}
    state["scaler"] = fabric._precision.state_dict()  # fp16 scales its loss, and the scale moves; else empty
    blob = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {"ign": json.dumps(state)})
    write_file(path, blob)  # one file, so that a kill at any moment leaves one whole state


def _restore(path, recipe, f, average, source, optimiser, generator, fabric) -> tuple[int, float, list]:
    if path is None or not path.exists():
        raise ValueError(f"there is nothing to resume from at {path}; start without --resume.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["ign"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}
        was = recipe_from(state["recipe"])
    except (safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged or not a training state ({type(error).__name__}); start without --resume.") from None
    if replace(was, steps=recipe.steps) != recipe:
        changed = [k.name for k in fields(Recipe) if k.name != "steps" and getattr(was, k.name) != getattr(recipe, k.name)]
        raise ValueError(f"{path} was trained with another {', '.join(changed)}; resume with the same recipe or choose another --out.")
    try:
        for name, module in {"f": f, "average": average, "source": source}.items():
            _fill(module, name, tensors)
        generator.set_state(tensors["generator"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} holds another network than its recipe ({type(error).__name__}); start without --resume.") from None
    moments: dict[int, dict] = {}
    for key in tensors:
        if key.startswith("adam."):
            _, i, name = key.split(".")
            moments.setdefault(int(i), {})[name] = tensors[key]
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    if state.get("scaler"):
        fabric._precision.load_state_dict(state["scaler"])
    return state["step"], state["seconds"], state["history"]
