"""What f makes of inputs that it never saw: corruptions, bridges to the source, restoration with f as the prior, detection, retrieval (chapter 8).

A new corruption goes into `CORRUPTIONS`, a linear one that is to be undone into `restorations`.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as T

import ign_core
import ignbook.data
from ignbook import checks
from ignbook.checks import door

# ------------------------------------------------------------------- corruptions: (x, strength, generator) -> [-1, 1]


@door
def noise(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian noise of standard deviation sigma, cut to the range of images."""
    x = _ready(x, sigma, 0)
    return ignbook.data.add_noise(x, sigma, generator).clamp(-1, 1)


@door
def grey(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Colour taken out, all of it or a share; the number of channels stays."""
    x = _ready(x, share, 0, 1)
    return x.lerp(_luminance(x).expand_as(x), share)


@door
def sketch(x: Tensor, kernel: float = 21, generator: torch.Generator | None = None) -> Tensor:
    """Grey divided by its Gaussian blur (paper section 4.3): flat parts turn white, edges stay.  kernel: odd, pixels."""
    x = _ready(x, kernel, 1, 2 * min(x.shape[-2:]) - 1)
    if kernel % 2 != 1:
        raise ValueError(f"the kernel is {kernel} pixels wide; give an odd whole number.")
    light = (_luminance(x) + 1) / 2
    blurred = T.gaussian_blur(light, [int(kernel), int(kernel)])
    return (light / blurred.clamp_min(1 / 255)).clamp(0, 1).mul(2).sub(1).expand_as(x)


@door
def blur(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian blur, sigma in pixels, at most a third of the image's side, beyond which there is nothing to mirror."""
    x = _ready(x, sigma, 0, (min(x.shape[-2:]) - 1) // 3)
    return _blurred(x, sigma) if sigma > 0 else x


@door
def mask(x: Tensor, side: float, generator: torch.Generator | None = None) -> Tensor:
    """A grey square, its side a share of the image's, at a random place of each image."""
    x = _ready(x, side, 0, 1)
    return x * _outside(x, side, generator)


@door
def salt_and_pepper(x: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """That share of the pixels turned black or white, all channels alike."""
    x = _ready(x, share, 0, 1)
    u = torch.rand((len(x), 1, *x.shape[2:]), generator=generator)
    return torch.where(u < share / 2, -1.0, torch.where(u < share, 1.0, x))


@door
def jpeg(x: Tensor, quality: float, generator: torch.Generator | None = None) -> Tensor:
    """As a JPEG file of that quality (1 to 95) returns it."""
    x = _ready(x, quality, 1, 95)
    if x.shape[1] not in (1, 3):
        raise ValueError(f"a JPEG file holds 1 or 3 channels and the images have {x.shape[1]}; give those.")

    def through_a_file(pixels: Tensor) -> Tensor:
        file = io.BytesIO()
        T.to_pil_image(pixels).save(file, "JPEG", quality=int(quality))
        return T.pil_to_tensor(Image.open(file))

    return torch.stack([through_a_file(one) for one in ignbook.data._bytes(x)]).float() / 127.5 - 1


@door
def rotation(x: Tensor, degrees: float, generator: torch.Generator | None = None) -> Tensor:
    """Turned anticlockwise; the corners take the colour of black."""
    x = _ready(x, degrees, -math.inf)
    return T.rotate(x, degrees, T.InterpolationMode.BILINEAR, fill=-1.0)


Corruption = Callable[[Tensor, float, torch.Generator | None], Tensor]

# name -> the corruption and the strengths that chapter 8 looks at, from weak to strong
CORRUPTIONS: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "noise": (noise, (0.15, 0.3, 0.45, 0.6)),
    "grey": (grey, (0.5, 1.0)),
    "sketch": (sketch, (21,)),
    "blur": (blur, (1.0, 2.0, 3.0)),
    "mask": (mask, (0.2, 0.3, 0.4)),
    "salt and pepper": (salt_and_pepper, (0.05, 0.1, 0.2)),
    "JPEG": (jpeg, (20, 10, 5)),
    "rotation": (rotation, (10, 20, 40)),
}


@door
def sepia(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Grey, tinted brown, all of it or a share."""
    x = _ready(x, share, 0, 1)
    light = (_luminance(x) + 1) / 2
    tint = x.new_tensor([1.0, 0.82, 0.60]).reshape(1, 3, 1, 1) if x.shape[1] == 3 else 1.0
    return x.lerp((light * tint).mul(2).sub(1).expand_as(x), share)


@door
def outlines(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Dark lines on white where the light changes fast, by Sobel's filter; blended with x for a share below 1."""
    x = _ready(x, share, 0, 1)
    side = x.new_tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).reshape(1, 1, 3, 3)
    light = F.pad(_luminance(x), (1, 1, 1, 1), mode="replicate")
    slope = (F.conv2d(light, side).square() + F.conv2d(light, side.mT).square()).sqrt()
    return x.lerp((1 - slope).clamp(-1, 1).expand_as(x), share)


@door
def fog(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """White laid over the image, from a third at the bottom to two thirds at the top, times the share."""
    x = _ready(x, share, 0, 1)
    height = x.shape[2]
    return x.lerp(torch.ones_like(x), share * torch.linspace(2 / 3, 1 / 3, height).reshape(1, 1, -1, 1).to(x))


@door
def discs(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Three discs of random colours over each image, of a ninth to a sixth of its side in radius, times the share."""
    x = _ready(x, share, 0, 1)
    n, channels, height, width = x.shape
    row, column = torch.arange(height).reshape(1, -1, 1), torch.arange(width)
    for _ in range(3):
        top, left, radius = torch.rand((3, n, 1, 1), generator=generator)
        reach = share * width * (1 / 9 + radius / 18)
        inside = (row - top * height).square() + (column - left * width).square() < reach.square()
        colour = torch.rand((n, channels, 1, 1), generator=generator) * 2 - 1
        x = torch.where(inside[:, None], colour, x)
    return x


# name -> the corruption, at full strength: what no source of the book has held, so that chapter 8 can say what carries over
UNSEEN: dict[str, tuple[Corruption, tuple[float, ...]]] = {
    "sepia": (sepia, (1.0,)),
    "outlines": (outlines, (1.0,)),
    "fog": (fog, (1.0,)),
    "discs": (discs, (1.0,)),
}


def corrupt(x: Tensor, name: str, strength: float | None = None, generator: torch.Generator | None = None) -> Tensor:
    """x (n, C, H, W) in [-1, 1] -> the same, corrupted; strength None: the strongest of its table.

    ValueError: unknown name, or what isn't images in [-1, 1].
    """
    known = CORRUPTIONS | UNSEEN
    if name not in known:
        raise ValueError(f"corruption {name!r} is unknown; use {', '.join(known)}, or add it to CORRUPTIONS.")
    function, strengths = known[name]
    return function(checks.images(x), strengths[-1] if strength is None else strength, generator)


def _ready(x: Tensor, strength: float, low: float, high: float = math.inf) -> Tensor:
    checks.between("the strength of the corruption", strength, low, high)
    return checks.images(x)


def _luminance(x: Tensor) -> Tensor:
    if x.shape[1] not in (1, 3):
        raise ValueError(f"grey is of images with 1 or 3 channels and these have {x.shape[1]}; give those.")
    return x if x.shape[1] == 1 else T.rgb_to_grayscale(x)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    side = 2 * math.ceil(3 * sigma) + 1
    return T.gaussian_blur(x, [side, side], [sigma, sigma])


def _outside(x: Tensor, side: float, generator: torch.Generator | None) -> Tensor:
    """1 where the square isn't: (n, 1, H, W)."""
    height, width = x.shape[2:]
    tall, wide = round(side * height), round(side * width)
    top = torch.randint(height - tall + 1, (len(x), 1, 1, 1), generator=generator)
    left = torch.randint(width - wide + 1, (len(x), 1, 1, 1), generator=generator)
    row, column = torch.arange(height)[:, None], torch.arange(width)
    inside = (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
    return (~inside).to(x.dtype)


# ----------------------------------------------------------------------------------- a bridge from the input to the source


@door
def tinted(y: Tensor, z: Tensor, share: float = 0.5) -> Tensor:
    """y with a share of the colour of z, a draw of the source, added: (n, 3, H, W) twice -> the same, beyond [-1, 1] as z is."""
    y, z = _bridged(y, z, share)
    return y + share * (z - _luminance(z))


@door
def grounded(y: Tensor, z: Tensor, sigma: float = 2.0, share: float = 0.5) -> Tensor:
    """The blur of z, a draw of the source, and on it a share of what is fine in y: (n, C, H, W) twice -> the same.

    sigma: of the blur that parts the two, in pixels.
    """
    y, z = _bridged(y, z, share)
    checks.between("sigma", sigma, 0.1, (min(y.shape[-2:]) - 1) // 3)
    return _blurred(z, sigma) + share * (y - _blurred(y, sigma))


@door
@torch.no_grad()
def steadiest(f: nn.Module, several: Tensor) -> Tensor:
    """Of some inputs for each image, what f makes of them, the one that f then moves least: (m, n, *shape) -> (n, *shape)."""
    several = checks.floats(several, "m, n, ...", "the inputs")
    fy = torch.stack([f(checks.inputs(f, y)) for y in several])
    moved = torch.stack([ign_core.drift(f, each) for each in fy])
    return fy[moved.argmin(0), torch.arange(fy.shape[1])]


def _bridged(y: Tensor, z: Tensor, share: float) -> tuple[Tensor, Tensor]:
    checks.between("the share", share, 0, 1)
    z = checks.images(z, limit=checks.HUGE)
    if y.shape != z.shape:
        raise ValueError(f"y is {tuple(y.shape)} and z is {tuple(z.shape)}; give one draw for each image.")
    return checks.images(y), z


# ------------------------------------------------------------------------------------------------------- plug and play


@dataclass(frozen=True)
class Operator:
    """A linear map A of images, of norm at most 1, with its adjoint: <A x, w> = <x, A' w>."""

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]


@door
def blurring(size: int, sigma: float) -> Operator:
    """Gaussian blur, sigma in pixels, on a torus, where it is a product in Fourier space and its own adjoint."""
    checks.between("the size of the images", size, 1)
    checks.between("sigma", sigma, 0)
    frequency = torch.fft.fftfreq(size)
    response = torch.exp(-2 * (math.pi * sigma) ** 2 * (frequency[:, None].square() + frequency.square()))

    def apply(x: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(x) * response.to(x.device)).real

    return Operator(apply, apply)


@door
def hiding(kept: Tensor) -> Operator:
    """Pixels set to 0 where kept (n or 1, 1, H, W) is 0: a projection, its own adjoint."""
    if kept.ndim != 4 or not ((kept == 0) | (kept == 1)).all():
        raise ValueError(f"what is kept is (n or 1, 1, H, W), 1 or 0; got {tuple(kept.shape)}.")
    return Operator(lambda x: x * kept, lambda w: w * kept)


@door
def shrinking(factor: int) -> Operator:
    """Means over squares, times factor, so that the norm is 1; the adjoint spreads them out.  Sides are multiples of it."""
    checks.between("the factor", factor, 1)

    def forward(x: Tensor) -> Tensor:
        if x.shape[-2] % factor or x.shape[-1] % factor:
            raise ValueError(
                f"images of {x.shape[-2]} x {x.shape[-1]} can't be shrunk by {factor}; give a divisor of the sides."
            )
        return F.avg_pool2d(x, factor) * factor

    return Operator(forward, lambda w: F.interpolate(w, scale_factor=factor) / factor)


@door
def restorations(size: int) -> dict[str, tuple[Operator, Callable[[Tensor], Tensor]]]:
    """What chapter 8 undoes: task -> the operator A, and what makes an image of a measurement w = A x to start from."""
    blurred, middle = blurring(size, 2.0), round(0.35 * size)
    kept = torch.ones(1, 1, size, size)
    kept[..., middle : size - middle, middle : size - middle] = 0  # a square of 0.3 of the side
    hidden, small = hiding(kept), shrinking(4)
    return {
        "deblurring, σ = 2": (blurred, lambda w: w),
        "inpainting, a square of 0.3": (hidden, hidden.adjoint),
        "super-resolution, ×4": (small, small.adjoint),
    }


@door
@torch.no_grad()
def plug_and_play(f: nn.Module, w: Tensor, operator: Operator, steps: int = 20, start: Tensor | None = None) -> Tensor:
    """An image u of f's manifold with A u = w, nearly: f alternated with steps towards the data.  (n, ...) -> (n, C, H, W)

    Plug-and-play (Venkatakrishnan et al. 2013) as proximal gradient descent: u <- f(u - A'(A u - w)), in which a
    denoiser, here f, has the place of the proximal map.  It ends with a step towards the data.  start: A' w without one.
    """
    w = checks.cast(f, checks.floats(w, "n, C, H, W", "the measurement"))
    checks.between("the number of steps", steps, 0)
    u = operator.adjoint(w)
    if start is not None:
        if start.shape != u.shape:
            raise ValueError(f"the start is {tuple(start.shape)} and what was measured {tuple(u.shape)}; give one shape.")
        u = checks.inputs(f, start)
    for _ in range(steps):
        u = f(u.clamp(-1, 1))
        u = u - operator.adjoint(operator.forward(u) - w)
    return checks.finite(u, "what f makes of the images").clamp(-1, 1)


# --------------------------------------------------------------------------------------------------- detect, retrieve


@door
def detected(on: Tensor, off: Tensor) -> float:
    """How well a score, such as the drift, tells what is off the manifold: AUROC of scores (n,), (m,); 1/2 is a guess.

    Any finite numbers; only their order counts, and a tie counts half.  ValueError: none, or NaN.
    """
    from torchmetrics.functional.classification import binary_auroc

    on, off = checks.floats(on, "n", "the scores"), checks.floats(off, "n", "the scores")
    target = torch.cat([torch.zeros(len(on)), torch.ones(len(off))]).long()
    # places in [0, 1], equal for equal scores: torchmetrics takes scores outside of it for logits, and its sigmoid makes ties
    place = torch.cat([on.double(), off.double()]).unique(return_inverse=True)[1].double()
    return binary_auroc(place / place.max().clamp_min(1), target).item()


@door
def ranks(queries: Tensor, gallery: Tensor) -> Tensor:
    """Place of each query's own partner, 1 for the first, among all by cosine of features: (n, d) twice, paired -> (n,).

    One that is just as near counts as nearer, so that features which tell nothing are last, and not first.  ValueError: NaN.
    """
    queries, gallery = checks.floats(queries, "n, d", "the queries"), checks.floats(gallery, "n, d", "the gallery")
    if queries.shape != gallery.shape:
        raise ValueError(
            f"{tuple(queries.shape)} queries and {tuple(gallery.shape)} in the gallery; give one partner for each."
        )
    likeness = F.normalize(queries.double(), dim=1) @ F.normalize(gallery.double(), dim=1).T
    own = likeness.diagonal()[:, None] - 1e-12  # what is equal but for rounding is a tie
    return (likeness >= own).sum(1)  # the partner itself is one of them


@door
def far(model, x: Tensor, data: Tensor | None = None) -> Tensor:
    """Whether the drift says that x is none of the model's kind: (n, *shape) -> (n,) bool.

    The limit is `ignbook.data.FAR` times the data's mean drift, of a sample `data` or as the card has it: no image of the
    book's data reaches it, though a hundredth of the points of a curve with ends may.
    ValueError: no sample is given, and the card says nothing.
    """
    return ignbook.data.drift_ratio(model, x, data) > ignbook.data.FAR
