"""What f makes of inputs that it never saw: corruptions, restoration with f as the prior, detection, retrieval (chapter 8).

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

import ignbook.data
import ignbook.metrics

# ------------------------------------------------------------------- corruptions: (x, strength, generator) -> [-1, 1]


def noise(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian noise of standard deviation sigma, cut to the range of images."""
    return ignbook.data.add_noise(x, sigma, generator).clamp(-1, 1)


def grey(x: Tensor, share: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Colour taken out, all of it or a share; the number of channels stays."""
    return x.lerp(_luminance(x).expand_as(x), share)


def sketch(x: Tensor, kernel: float = 21, generator: torch.Generator | None = None) -> Tensor:
    """Grey divided by its Gaussian blur (paper section 4.3): flat parts turn white, edges stay.  kernel: odd, pixels."""
    light = (_luminance(x) + 1) / 2
    blurred = T.gaussian_blur(light, [int(kernel), int(kernel)])
    return (light / blurred.clamp_min(1 / 255)).clamp(0, 1).mul(2).sub(1).expand_as(x)


def blur(x: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """Gaussian blur, sigma in pixels."""
    side = 2 * math.ceil(3 * sigma) + 1
    return T.gaussian_blur(x, [side, side], [sigma, sigma]) if sigma > 0 else x


def mask(x: Tensor, side: float, generator: torch.Generator | None = None) -> Tensor:
    """A grey square, its side a share of the image's, at a random place of each image."""
    return x * _outside(x, side, generator)


def salt_and_pepper(x: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """That share of the pixels turned black or white, all channels alike."""
    u = torch.rand((len(x), 1, *x.shape[2:]), generator=generator)
    return torch.where(u < share / 2, -1.0, torch.where(u < share, 1.0, x))


def jpeg(x: Tensor, quality: float, generator: torch.Generator | None = None) -> Tensor:
    """As a JPEG file of that quality (1 to 95) returns it."""

    def through_a_file(pixels: Tensor) -> Tensor:
        file = io.BytesIO()
        T.to_pil_image(pixels).save(file, "JPEG", quality=int(quality))
        return T.pil_to_tensor(Image.open(file))

    return torch.stack([through_a_file(one) for one in ignbook.data._bytes(x)]).float() / 127.5 - 1


def rotation(x: Tensor, degrees: float, generator: torch.Generator | None = None) -> Tensor:
    """Turned anticlockwise; the corners take the colour of black."""
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


def corrupt(x: Tensor, name: str, strength: float, generator: torch.Generator | None = None) -> Tensor:
    """x (n, C, H, W) in [-1, 1] -> the same, corrupted.  ValueError: unknown name, or what isn't images in [-1, 1]."""
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption {name!r} is unknown; use {', '.join(CORRUPTIONS)}, or add it to CORRUPTIONS.")
    if x.ndim != 4:
        raise ValueError(f"a corruption takes images (n, C, H, W); got {tuple(x.shape)}.")
    return CORRUPTIONS[name][0](ignbook.metrics.check_images(x, 1), strength, generator)


def _luminance(x: Tensor) -> Tensor:
    return x if x.shape[1] == 1 else T.rgb_to_grayscale(x)


def _outside(x: Tensor, side: float, generator: torch.Generator | None) -> Tensor:
    """1 where the square isn't: (n, 1, H, W)."""
    height, width = x.shape[2:]
    tall, wide = round(side * height), round(side * width)
    top = torch.randint(height - tall + 1, (len(x), 1, 1, 1), generator=generator)
    left = torch.randint(width - wide + 1, (len(x), 1, 1, 1), generator=generator)
    row, column = torch.arange(height)[:, None], torch.arange(width)
    inside = (row >= top) & (row < top + tall) & (column >= left) & (column < left + wide)
    return (~inside).to(x.dtype)


# ------------------------------------------------------------------------------------------------------- plug and play


@dataclass(frozen=True)
class Operator:
    """A linear map A of images, of norm at most 1, with its adjoint: <A x, w> = <x, A' w>."""

    forward: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]


def blurring(size: int, sigma: float) -> Operator:
    """Gaussian blur, sigma in pixels, on a torus, where it is a product in Fourier space and its own adjoint."""
    frequency = torch.fft.fftfreq(size)
    response = torch.exp(-2 * (math.pi * sigma) ** 2 * (frequency[:, None].square() + frequency.square()))

    def apply(x: Tensor) -> Tensor:
        return torch.fft.ifft2(torch.fft.fft2(x) * response.to(x.device)).real

    return Operator(apply, apply)


def hiding(kept: Tensor) -> Operator:
    """Pixels set to 0 where kept (n or 1, 1, H, W) is 0: a projection, its own adjoint."""
    return Operator(lambda x: x * kept, lambda w: w * kept)


def shrinking(factor: int) -> Operator:
    """Means over squares, times factor, so that the norm is 1; the adjoint spreads them out."""
    return Operator(lambda x: F.avg_pool2d(x, factor) * factor, lambda w: F.interpolate(w, scale_factor=factor) / factor)


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


@torch.no_grad()
def plug_and_play(f: nn.Module, w: Tensor, operator: Operator, steps: int = 20, start: Tensor | None = None) -> Tensor:
    """An image u of f's manifold with A u = w, nearly: f alternated with steps towards the data.  (n, ...) -> (n, C, H, W)

    Plug-and-play (Venkatakrishnan et al. 2013) as proximal gradient descent: u <- f(u - A'(A u - w)), in which a
    denoiser, here f, has the place of the proximal map.  It ends with a step towards the data.  start: A' w without one.
    """
    u = operator.adjoint(w) if start is None else start
    for _ in range(steps):
        u = f(u.clamp(-1, 1))
        u = u - operator.adjoint(operator.forward(u) - w)
    return u.clamp(-1, 1)


# --------------------------------------------------------------------------------------------------- detect, retrieve


def detected(on: Tensor, off: Tensor) -> float:
    """How well a score, such as the drift, tells what is off the manifold: AUROC of scores (n,), (m,); 1/2 is a guess."""
    from torchmetrics.functional.classification import binary_auroc

    target = torch.cat([torch.zeros(len(on)), torch.ones(len(off))]).long()
    return binary_auroc(torch.cat([on, off]).double(), target).item()


def ranks(queries: Tensor, gallery: Tensor) -> Tensor:
    """Place of each query's own partner, 1 for the first, among all by cosine of features: (n, d) twice, paired -> (n,)."""
    likeness = F.normalize(queries, dim=1) @ F.normalize(gallery, dim=1).T
    return 1 + (likeness > likeness.diagonal()[:, None]).sum(1)


def far(model, x: Tensor, data: Tensor | None = None) -> Tensor:
    """Whether the drift says that x is none of the model's kind: (n, *shape) -> (n,) bool.

    The limit is `ignbook.data.FAR` times the data's mean drift, of a sample `data` or as the card has it: no image of the
    book's data reaches it, though a hundredth of the points of a curve with ends may.
    ValueError: no sample is given, and the card says nothing.
    """
    return ignbook.data.drift_ratio(model, x, data) > ignbook.data.FAR
