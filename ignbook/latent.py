"""The latent space (chapter 9): paths between draws of the source, directions and arithmetic, stretch, inversion.

A source's draws z are images, and also white numbers e (`source.white`, `source.coloured` of ign_core): independent
N(0, 1).  Of d such numbers nearly all draws lie near the sphere of radius sqrt(d), so an arc in e stays among them and a
straight line does not.  The third space is that of the codes, f.encoder(z): (n, code).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

import ignbook.metrics

# --------------------------------------------------------------------------------------------------------------- paths


def line(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t in [0, 1] on the straight line: (n, ...), (n, ...) -> (n, ...)."""
    return torch.lerp(a, b, t)


def arc(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t in [0, 1] on the great circle (Shoemake 1985), sample by sample: (n, ...), (n, ...) -> (n, ...).

    Directions follow the arc and lengths a straight line.  Opposite directions have no one arc: they get a straight line.
    """
    p, q = a.flatten(1), b.flatten(1)
    from_a, to_b = p.norm(dim=1, keepdim=True), q.norm(dim=1, keepdim=True)
    p, q = p / from_a.clamp_min(1e-12), q / to_b.clamp_min(1e-12)
    angle = (p * q).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    bent = (((1 - t) * angle).sin() * p + (t * angle).sin() * q) / sine.clamp_min(1e-6)
    straight = torch.lerp(p, q, t)
    return (torch.where(sine > 1e-4, bent, straight) * torch.lerp(from_a, to_b, t)).reshape(a.shape)


def _in_white(step: Callable) -> Callable:
    return lambda source, a, b, t: source.from_white(step(source.whiten(a), source.whiten(b), t))


# name -> the point at t between draws a and b of a source, each (n, *shape)
PATHS: dict[str, Callable[[nn.Module, Tensor, Tensor, float], Tensor]] = {
    "linear": lambda source, a, b, t: line(a, b, t),
    "spherical": lambda source, a, b, t: arc(a, b, t),
    "spherical, white": _in_white(arc),
}


def path(source: nn.Module, a: Tensor, b: Tensor, kind: str = "spherical, white", steps: int = 9) -> Tensor:
    """From a to b, both included: (n, *shape), (n, *shape) -> (steps, n, *shape).  ValueError: unknown kind, unequal shapes."""
    if kind not in PATHS:
        raise ValueError(f"path {kind!r} is unknown; use {', '.join(PATHS)}, or add it to PATHS.")
    if a.shape != b.shape:
        raise ValueError(f"the ends of the path are {tuple(a.shape)} and {tuple(b.shape)}; give two of one shape.")
    return torch.stack([PATHS[kind](source, a, b, t) for t in torch.linspace(0, 1, steps).tolist()])


# ------------------------------------------------------------------------------------------------ codes and directions


@torch.no_grad()
def codes(f: nn.Module, y: Tensor) -> Tensor:
    """What f's encoder makes of images: (n, C, H, W) -> (n, code)."""
    return torch.cat([f.encoder(part).flatten(1) for part in y.split(500)])


@torch.no_grad()
def decoded(f: nn.Module, code: Tensor) -> Tensor:
    """What f's decoder makes of codes: (n, code) -> (n, C, H, W); decoded(f, codes(f, y)) is f(y)."""
    return torch.cat([f.decoder(part[:, :, None, None]) for part in code.split(500)])


@torch.no_grad()
def walk(f: nn.Module, source: nn.Module, a: Tensor, b: Tensor, kind: str = "spherical, white", steps: int = 9) -> Tensor:
    """What f makes of a path between draws, (n, *shape), (n, *shape) -> (steps, n, *shape); kind "codes": the straight line
    between their codes, decoded."""
    if kind == "codes":
        ends = codes(f, a), codes(f, b)
        return torch.stack([decoded(f, line(*ends, t)) for t in torch.linspace(0, 1, steps).tolist()])
    return torch.stack([ignbook.metrics.projected(f, z) for z in path(source, a, b, kind, steps)])


def analogy(source: nn.Module, plus: Tensor, minus: Tensor, other: Tensor) -> Tensor:
    """plus - minus + other, of draws (paper, figure 6; Radford et al. 2016): three times (n, *shape) -> (n, *shape).

    In white numbers, and brought back to their sphere: three draws added up have three times the variance of one.
    """
    e = source.whiten(plus) - source.whiten(minus) + source.whiten(other)
    return source.from_white(on_sphere(source, e))


def difference(code: Tensor, has: Tensor) -> Tensor:
    """Arithmetic with many examples: the mean of those that have something minus the mean of those that don't: (n, d), (n,) bool -> (d,).

    ValueError: none has it, or all.
    """
    if not has.any() or has.all():
        raise ValueError(f"{int(has.sum())} of {len(has)} have it; an average with and one without need both kinds.")
    return code[has].mean(0) - code[~has].mean(0)


def regression(code: Tensor, attributes: Tensor, ridge: float = 1e-2) -> Tensor:
    """One direction for each attribute that leaves the others alone: (n, d), (n, m) -> (m, d), in code for a unit of attribute.

    By least squares, attributes to codes: the slope of the code along each attribute with the others held fixed, so that
    attributes that occur together are told apart, which a difference of means can't do.  ridge: of the attributes' variance.
    """
    a, c = attributes - attributes.mean(0), code - code.mean(0)
    square = a.T @ a
    return torch.linalg.solve(square + ridge * square.diagonal().mean() * torch.eye(a.shape[1]), a.T @ c)


def principal(code: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Directions found without labels (Härkönen et al. 2020): the k in which codes vary most, (k, d), each as long as the
    codes' standard deviation along it, and their share of the variance, (k,).  (n, d) codes."""
    centred = code - code.mean(0)
    _, s, v = torch.linalg.svd(centred, full_matrices=False)
    sign = torch.where(v.gather(1, v.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)  # svd leaves it open
    return (sign * v * s[:, None] / math.sqrt(len(code) - 1))[:k], (s.square() / s.square().sum())[:k]


# ------------------------------------------------------------------------------------------------ stretch and inversion


@torch.no_grad()
def stretch(
    f: nn.Module, source: nn.Module, z: Tensor, length: float, k: int, generator: torch.Generator | None = None
) -> Tensor:
    """How far f^1(z), ..., f^k(z) move when z moves: RMS over pixels, (k, n).  (n, *shape) draws.

    z is turned on its sphere of white numbers, by an angle of `length` radians in a random direction, so it stays a draw.
    """
    turned = source.from_white(arc(source.whiten(z), source.whiten(source.sample(len(z), generator)), length / (math.pi / 2)))
    moved = []
    for _ in range(k):
        z, turned = f(z), f(turned)
        moved.append((turned - z).flatten(1).square().mean(1).sqrt())
    return torch.stack(moved)


@torch.no_grad()
def followed(f: nn.Module, y: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
    """What f makes of a small move of y, from y - move/2 to y + move/2: its cosine with the move, and its length over the
    move's.  (n, *shape), (n, *shape) -> (n,), (n,).  A projector keeps moves along its manifold, 1 and 1."""
    after, before = (f(y + move / 2) - f(y - move / 2)).flatten(1), move.flatten(1)
    return torch.cosine_similarity(after, before), after.norm(dim=1) / before.norm(dim=1)


def on_sphere(source: nn.Module, e: Tensor) -> Tensor:
    """White numbers (n, ...) brought to the sphere of radius sqrt(d) around which the source's draws lie, each in its direction."""
    radius = math.sqrt(math.prod(source.shape))
    return e * (radius / e.flatten(1).norm(dim=1).reshape(-1, *[1] * (e.ndim - 1)))


def invert(
    f: nn.Module, source: nn.Module, x: Tensor, steps: int = 200, lr: float = 0.05, start: Tensor | None = None
) -> Tensor:
    """Draws of the source that f takes to x, nearly: (n, *shape) -> z (n, *shape), by Adam on the mean squared error.

    After each step the white numbers are brought back to the sphere of radius sqrt(d), where the source's draws are:
    without that, z = x would do.  start: draws to start from; without them, that sphere's point in the direction of x.
    """
    e = on_sphere(source, source.whiten(x if start is None else start)).requires_grad_()
    optimiser = torch.optim.Adam([e], lr)
    for _ in range(steps):
        loss = (f(source.from_white(e)) - x).flatten(1).square().mean(1).sum()  # a sum, so that samples don't share a step
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            e.copy_(on_sphere(source, e))
    return source.from_white(e.detach())
