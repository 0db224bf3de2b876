"""The latent space (chapter 9): paths between draws of the source, directions and arithmetic, stretch, inversion.

A source's draws z are images, and also white numbers e (`source.whiten(z)` gives them, `source.from_white(e)` gives z back): independent
N(0, 1).  Of d such numbers nearly all draws lie near the sphere of radius sqrt(d), so an arc in e stays among them and a
straight line does not.  The third space is that of the codes, f.encoder(z): (n, code).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

import ignbook.metrics
from ignbook import checks
from ignbook.checks import door

# --------------------------------------------------------------------------------------------------------------- paths


@door
def line(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t in [0, 1] on the straight line: (n, ...), (n, ...) -> (n, ...)."""
    checks.between("t", t, -math.inf)
    return torch.lerp(*_ends(a, b), t)


@door
def arc(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t in [0, 1] on the great circle (Shoemake 1985), sample by sample: (n, ...), (n, ...) -> (n, ...).

    Directions follow the arc and lengths a straight line.  Opposite directions have no one arc: they get a straight line.
    """
    checks.between("t", t, -math.inf)
    a, b = _ends(a, b)
    p, q = a.flatten(1), b.flatten(1)
    from_a, to_b = p.norm(dim=1, keepdim=True), q.norm(dim=1, keepdim=True)
    p, q = p / from_a.clamp_min(1e-12), q / to_b.clamp_min(1e-12)
    angle = (p * q).sum(1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    bent = (((1 - t) * angle).sin() * p + (t * angle).sin() * q) / sine.clamp_min(1e-6)
    straight = torch.lerp(p, q, t)
    return (torch.where(sine > 1e-4, bent, straight) * torch.lerp(from_a, to_b, t)).reshape(a.shape)


def _ends(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = (checks.floats(end, "n, ...", "an end of the path") for end in (a, b))
    if a.shape != b.shape:
        raise ValueError(f"the ends of the path are {tuple(a.shape)} and {tuple(b.shape)}; give two of one shape.")
    return checks.alike(a, b)


def _in_white(step: Callable) -> Callable:
    return lambda source, a, b, t: source.from_white(step(source.whiten(a), source.whiten(b), t))


# name -> the point at t between draws a and b of a source, each (n, *shape)
PATHS: dict[str, Callable[[nn.Module, Tensor, Tensor, float], Tensor]] = {
    "linear": lambda source, a, b, t: line(a, b, t),
    "spherical": lambda source, a, b, t: arc(a, b, t),
    "spherical, white": _in_white(arc),
}


@door
def path(source: nn.Module, a: Tensor, b: Tensor, kind: str = "spherical, white", steps: int = 9) -> Tensor:
    """From a to b, both included: (n, *shape), (n, *shape) -> (steps, n, *shape).  ValueError: unknown kind, unequal shapes."""
    if kind not in PATHS:
        raise ValueError(f"path {kind!r} is unknown; use {', '.join(PATHS)}, or add it to PATHS.")
    (a, b), _ = _ends(a, b), checks.between("the number of steps", steps, 2)
    return torch.stack([PATHS[kind](source, a, b, t) for t in torch.linspace(0, 1, steps).tolist()])


# ------------------------------------------------------------------------------------------------ codes and directions


@door
@torch.no_grad()
def codes(f: nn.Module, y: Tensor) -> Tensor:
    """What f's encoder makes of images: (n, C, H, W) -> (n, code)."""
    y = checks.inputs(f, y)
    return torch.cat([_half(f, "encoder")(part).flatten(1) for part in y.split(500)])


@door
@torch.no_grad()
def decoded(f: nn.Module, code: Tensor) -> Tensor:
    """What f's decoder makes of codes: (n, code) -> (n, C, H, W); decoded(f, codes(f, y)) is f(y)."""
    code = checks.cast(f, checks.floats(code, "n, code", "the codes"))
    return torch.cat([_half(f, "decoder")(part[:, :, None, None]) for part in code.split(500)])


def _half(f, name: str):
    if not hasattr(f, name):
        raise TypeError(f"a {type(f).__name__} has no {name}; codes are those of a ConvAutoencoder.")
    return getattr(f, name)


@door
@torch.no_grad()
def walk(f: nn.Module, source: nn.Module, a: Tensor, b: Tensor, kind: str = "spherical, white", steps: int = 9) -> Tensor:
    """What f makes of a path between draws, (n, *shape), (n, *shape) -> (steps, n, *shape); kind "codes": the straight line
    between their codes, decoded."""
    checks.between("the number of steps", steps, 2)
    if kind == "codes":
        ends = codes(f, a), codes(f, b)
        return torch.stack([decoded(f, line(*ends, t)) for t in torch.linspace(0, 1, steps).tolist()])
    return torch.stack([ignbook.metrics.projected(f, z) for z in path(source, a, b, kind, steps)])


@door
def analogy(source: nn.Module, plus: Tensor, minus: Tensor, other: Tensor) -> Tensor:
    """plus - minus + other, of draws (paper, figure 6; Radford et al. 2016): three times (n, *shape) -> (n, *shape).

    In white numbers, and brought back to their sphere: three draws added up have three times the variance of one.
    """
    plus, minus, other = (checks.floats(draws, "n, ...", "the draws") for draws in (plus, minus, other))
    if not plus.shape == minus.shape == other.shape:
        shapes = ", ".join(str(tuple(draws.shape)) for draws in (plus, minus, other))
        raise ValueError(f"the three draws are {shapes}; give one shape.")
    e = source.whiten(plus) - source.whiten(minus) + source.whiten(other)
    return source.from_white(on_sphere(source, e))


@door
def difference(code: Tensor, has: Tensor) -> Tensor:
    """Arithmetic with many examples: the mean of those that have something minus the mean of those that don't: (n, d), (n,) bool -> (d,).

    ValueError: none has it, or all; `has` holds more than two kinds of values.
    """
    code, has = checks.floats(code, "n, d", "the codes"), has.bool() if ((has == 0) | (has == 1)).all() else has
    if has.dtype != torch.bool or has.shape != code.shape[:1]:
        raise ValueError(f"who has it is {tuple(has.shape)} of {has.dtype}; give a mask ({len(code)},) of True and False.")
    if not has.any() or has.all():
        raise ValueError(f"{int(has.sum())} of {len(has)} have it; an average with and one without need both kinds.")
    return code[has].mean(0) - code[~has].mean(0)


@door
def regression(code: Tensor, attributes: Tensor, ridge: float = 1e-2) -> Tensor:
    """One direction for each attribute that leaves the others alone: (n, d), (n, m) -> (m, d), in code for a unit of attribute.

    By least squares, attributes to codes: the slope of the code along each attribute with the others held fixed, so that
    attributes that occur together are told apart, which a difference of means can't do.  ridge: of the attributes' variance.
    """
    attributes, code = checks.floats(attributes, "n, m", "the attributes", 2), checks.floats(code, "n, d", "the codes", 2)
    if len(attributes) != len(code):
        raise ValueError(f"there are attributes of {len(attributes)} and codes of {len(code)}; give the same samples.")
    checks.between("the ridge", ridge, 0)
    attributes, code = checks.alike(attributes, code)
    a, c = attributes - attributes.mean(0), code - code.mean(0)
    square = a.T @ a
    damped = square + ridge * square.diagonal().mean() * torch.eye(a.shape[1]).to(a)
    found, failed = torch.linalg.solve_ex(damped, a.T @ c)
    if failed or not torch.isfinite(found).all():
        raise ValueError("an attribute does not vary, or is made of the others; leave it out, or give a ridge above 0.")
    return found


@door
def principal(code: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Directions found without labels (Härkönen et al. 2020): the k in which codes vary most, (k, d), each as long as the
    codes' standard deviation along it, and their share of the variance, (k,).  (n, d) codes."""
    code = checks.floats(code, "n, d", "the codes", 2)
    checks.between("the number of directions", k, 1, min(code.shape))
    if (code == code[0]).all():
        raise ValueError("the codes are all the same and vary in no direction; give those of different images.")
    centred = code - code.mean(0)
    _, s, v = torch.linalg.svd(centred, full_matrices=False)
    sign = torch.where(v.gather(1, v.abs().argmax(1, keepdim=True)) < 0, -1.0, 1.0)  # svd leaves it open
    return (sign * v * s[:, None] / math.sqrt(len(code) - 1))[:k], (s.square() / s.square().sum())[:k]


# ------------------------------------------------------------------------------------------------ stretch and inversion


@door
@torch.no_grad()
def stretch(
    f: nn.Module, source: nn.Module, z: Tensor, length: float, k: int, generator: torch.Generator | None = None
) -> Tensor:
    """How far f^1(z), ..., f^k(z) move when z moves: RMS over pixels, (k, n).  (n, *shape) draws.

    z is turned on its sphere of white numbers, by an angle of `length` radians in a random direction, so it stays a draw.
    """
    checks.between("the number of applications", k, 1)
    checks.between("the length of the move", length, -math.inf)
    z = checks.inputs(f, z)
    turned = source.from_white(arc(source.whiten(z), source.whiten(source.sample(len(z), generator)), length / (math.pi / 2)))
    moved = []
    for _ in range(k):
        z, turned = f(z), f(turned)
        moved.append((turned - z).flatten(1).square().mean(1).sqrt())
    return checks.finite(torch.stack(moved), "what f makes of the draws")


@door
@torch.no_grad()
def followed(f: nn.Module, y: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
    """What f makes of a small move of y, from y - move/2 to y + move/2: its cosine with the move, and its length over the
    move's.  (n, *shape), (n, *shape) -> (n,), (n,).  A projector keeps moves along its manifold, 1 and 1.
    ValueError: a move of no length."""
    y, move = checks.inputs(f, y), checks.inputs(f, move)
    if y.shape != move.shape or (move.flatten(1).norm(dim=1) == 0).any():
        raise ValueError(f"the moves are {tuple(move.shape)}; give one of some length for each of {tuple(y.shape)}.")
    after, before = (f(y + move / 2) - f(y - move / 2)).flatten(1), move.flatten(1)
    checks.finite(after, "what f makes of the moved images")
    return torch.cosine_similarity(after, before), after.norm(dim=1) / before.norm(dim=1)


@door
def on_sphere(source: nn.Module, e: Tensor) -> Tensor:
    """White numbers (n, ...) brought to the sphere of radius sqrt(d) around which the source's draws lie, each in its direction.

    ValueError: some are all 0, and so have no direction.
    """
    e = checks.floats(e, "n, ...", "the white numbers")
    if (e.flatten(1) == 0).all(1).any():
        raise ValueError("white numbers that are all 0 have no direction; start from a draw of the source.")
    return _on_sphere(source, e)


def _on_sphere(source: nn.Module, e: Tensor) -> Tensor:
    radius = math.sqrt(math.prod(source.shape))
    return e * (radius / e.flatten(1).norm(dim=1).reshape(-1, *[1] * (e.ndim - 1)))


@door
def invert(
    f: nn.Module, source: nn.Module, x: Tensor, steps: int = 200, lr: float = 0.05, start: Tensor | None = None
) -> Tensor:
    """Draws of the source that f takes to x, nearly: (n, *shape) -> z (n, *shape), by Adam on the mean squared error.

    After each step the white numbers are brought back to the sphere of radius sqrt(d), where the source's draws are:
    without that, z = x would do.  start: draws to start from; without them, that sphere's point in the direction of x.
    ValueError: such a direction isn't there, or f gave NaN.
    """
    checks.between("the number of steps", steps, 0)
    checks.between("the learning rate", lr, 0)
    x, start = checks.inputs(f, x), None if start is None else checks.inputs(f, start)
    if start is not None and start.shape != x.shape:
        raise ValueError(f"the draws to start from are {tuple(start.shape)} and x is {tuple(x.shape)}; give one shape.")
    e = on_sphere(source, source.whiten(x if start is None else start)).requires_grad_()
    optimiser = torch.optim.Adam([e], lr)
    for _ in range(steps):
        loss = (f(source.from_white(e)) - x).flatten(1).square().mean(1).sum()  # a sum, so that samples don't share a step
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            e.copy_(_on_sphere(source, e))
    return checks.finite(source.from_white(e.detach()), "the draw that was found")
