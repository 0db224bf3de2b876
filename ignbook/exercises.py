"""Exercises that check themselves: `check("02-1", my_function)` prints a sentence, a hint or what was found to be right.

A check knows what an answer has to do, and nothing of how it does it: it compares with values on small inputs, closed forms,
searches over all cases, or finite differences.  It looks for the likeliest mistakes first, and each of them has its own hint.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ign_core
import ignbook.data
import ignbook.latent
import ignbook.metrics
import ignbook.theory
from ignbook import layers
from ignbook.checks import door

CHECKS: dict[str, tuple[str, bool, Callable[[Any], str]]] = {}  # name -> how to begin, whether it is called, the check


class Hint(Exception):
    """What an answer gets wrong: a sentence for the reader."""


class Unwritten(Exception):
    """An answer that is still the stub."""


@door
def check(name: str, answer: object) -> None:
    """Print a sentence on an answer: how to begin, a hint at what it gets wrong, or what was found to be right.

    name: chapter and number, "02-1".  answer: what the exercise asks for, most often a function.  Random numbers of torch go
    on afterwards as if nothing had been checked.  ValueError: there is no exercise of that name.
    """
    if name not in CHECKS:
        raise ValueError(f"there is no exercise {name!r}; the names go from {min(CHECKS)} to {max(CHECKS)}.")
    start, called, look = CHECKS[name]
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        try:
            if called and not callable(_written(answer)):
                raise Hint(f"give `check` the function or class itself; this is of type {type(answer).__name__}.")
            print(f"{name} is right: {look(answer)}")
        except Unwritten:
            print(f"{name}, to begin with: {start}")
        except Hint as hint:
            print(f"{name}, not yet: {hint}")
        except Exception as error:  # whatever a reader's code raises: a sentence says it, and the page goes on
            why = (str(error).splitlines() or [""])[0].rstrip(".")
            print(f"{name}, not yet: the check called your code and it stopped with {type(error).__name__}: {why}.")


def _exercise(name: str, start: str, called: bool = True) -> Callable:
    """Enter a check: it returns what it found right and raises `Hint` or `Unwritten`."""

    def enter(look: Callable[[Any], str]) -> Callable[[Any], str]:
        CHECKS[name] = start, called, look
        return look

    return enter


def _require(holds: Any, hint: str) -> None:
    if not holds:
        raise Hint(hint)


def _written(found: Any) -> Any:
    """What a reader gave or a reader's function returned, unless it is still that of the stub."""
    if found is None or found is ...:
        raise Unwritten
    return found


def _tensor(found: Any, *shape: int) -> Tensor:
    """The same, if it is a tensor of that shape."""
    found = _written(found)
    found = torch.as_tensor(found) if isinstance(found, np.ndarray | list | tuple) else found
    _require(isinstance(found, Tensor), f"a tensor of shape {shape} is asked for, and this is of type {type(found).__name__}.")
    _require(found.shape == shape, f"a tensor of shape {shape} is asked for, and this one has shape {tuple(found.shape)}.")
    _require(not found.is_complex(), "complex numbers came out, and real ones are asked for.")
    _require(torch.isfinite(found).all(), "NaN or infinite values came out; look for a division by zero, or a root of it.")
    return found


def _number(found: Any) -> float:
    """The same, if it is a number, which may be a tensor with one entry."""
    found = _written(found)
    found = found.item() if isinstance(found, Tensor | np.ndarray | np.generic) and math.prod(found.shape) == 1 else found
    _require(isinstance(found, Real), f"a number is asked for, and this is of type {type(found).__name__}.")
    _require(math.isfinite(found), f"the number that came out is {found}; look for a division by zero.")
    return found


def _close(found: Any, wanted: Any, tol: float = 1e-4) -> bool:
    found, wanted = (torch.as_tensor(v).detach().double() for v in (found, wanted))
    return bool(torch.allclose(found, wanted, rtol=tol, atol=tol))


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=_seeded(seed))


# ----------------------------------------------------------------------------------------------------------- 1 idempotence

EVERYDAY: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": torch.relu,
    "absolute value": torch.abs,
    "sigmoid": torch.sigmoid,
    "sorting": lambda y: y.sort(-1).values,
    "rounding": torch.round,
    "softmax": lambda y: y.softmax(-1),
    "subtracting the mean": lambda y: y - y.mean(-1, keepdim=True),
    "tanh": torch.tanh,
}  # the maps of exercise 1.1, on the rows of (n, d)


@_exercise(
    "01-1",
    "apply each map twice by hand, say to the row (2, -1). If the second application changes nothing, put the map's name into the set.",
    False,
)
def _everyday(answer: Any) -> str:
    _require(isinstance(answer, Iterable) and not isinstance(answer, str), "give a set of names, such as {'ReLU'}.")
    names = set(answer)
    if names & {None, ...}:
        raise Unwritten
    _require(names <= set(EVERYDAY), f"{sorted(map(str, names - set(EVERYDAY)))} are none of the names {', '.join(EVERYDAY)}.")
    y = 3 * _normal(200, 5)
    for name, f in EVERYDAY.items():
        moved = (f(f(y)) - f(y)).abs().max() > 1e-4
        if moved and name in names:
            a = torch.tensor([1.0, 0.0])
            once, twice = ", ".join(f"{v:.2f}" for v in f(a)), ", ".join(f"{v:.2f}" for v in f(f(a)))
            raise Hint(f"{name} is not idempotent: it takes (1, 0) to ({once}), and that to ({twice}).")
        _require(moved or name in names, f"{name} belongs to the set: applied twice it gives the same as applied once.")
    return "each of these maps leaves alone what it has made, and the other three squeeze it again."


@_exercise("01-2", "f takes a batch, so give it y[None]; `jacobian` above does, and the trace is the sum of its diagonal.")
def _dimension(dimension: Callable) -> str:
    u, v = torch.tensor([1.0, 2.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 3.0, 0.0])
    cases: dict[str, tuple[Callable, Tensor, float, str]] = {
        "a constant map": (lambda y: 0 * y + 1, torch.ones(4), 0, "its output doesn't depend on y, so every derivative is 0"),
        "the sphere in five dimensions": (
            lambda y: y / y.norm(dim=-1, keepdim=True),
            nn.functional.normalize(torch.arange(1.0, 6), dim=0),
            4,
            "the radius is lost, and the other directions are kept",
        ),
        "an oblique projection on a line": (
            lambda y: (y @ v)[:, None] * u / (u @ v),
            torch.ones(4),
            1,
            "sum the diagonal; the squares of all entries have that sum only if the Jacobian is symmetric",
        ),
        "f(y) = y/2 in five dimensions": (
            lambda y: y / 2,
            torch.ones(5),
            2.5,
            "each direction counts by its derivative, 1/2 here; a rank counts it as 1 unless the derivative is 0",
        ),
        "images, half erased": (lambda y: y * (torch.arange(4) < 2), torch.ones(1, 2, 4), 4, "half of 8 pixels are kept"),
    }
    for name, (f, y, wanted, why) in cases.items():
        found = _number(dimension(f, y))
        _require(_close(found, wanted, 1e-3), f"for {name} the trace is {wanted}, and yours is {found:.3g}: {why}.")
    return "it gives 4 for a sphere in five dimensions and 1 for a line, however oblique the projection."


@_exercise(
    "01-3", "divide the points by the width of a cell and round: points of one cell become equal, and `unique` counts them."
)
def _places(places: Callable) -> str:
    cells = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1], [7, -3]]) * 0.05 + 0.0125  # a quarter into each cell
    y = (cells[:, None] + 0.001 * torch.rand(5, 20, 2, generator=_seeded())).flatten(0, 1)
    found = _number(places(y))
    _require(found != 100, "each of 100 points in 5 cells was a place of its own; round to cells of width 0.05 first.")
    _require(found != 4, "5 cells were counted as 4: compare whole points, `unique(dim=0)`, and not single coordinates.")
    _require(found == 5, f"100 points stand in 5 cells of width 0.05, and you count {found:g} places.")
    _require(_number(places(y[:20])) == 1, "20 points in one cell are one place.")
    return "points in one cell count once. A tighter projector has many places, and few of them off the moons."


# ------------------------------------------------------------------------------------------------------------- 2 objective


@_exercise(
    "02-1",
    "for each number take the root of (a - b)² + eps² and subtract eps. Then take the mean over all but the first dimension.",
)
def _charbonnier(charbonnier: Callable) -> str:
    a, b = (_normal(4, 3, 2, seed=seed).double() for seed in (0, 1))
    found = _tensor(charbonnier(a, b), 4)
    _require(not _close(charbonnier(a, a), torch.full((4,), 0.1)), "D(a, a) is 0.1 and not 0: subtract eps after the root.")

    def wanted(eps: float) -> Tensor:
        rows = (a - b).flatten(1).tolist()
        return torch.tensor([sum(math.hypot(d, eps) - eps for d in row) / len(row) for row in rows])

    root = ((a - b).square().flatten(1).mean(1) + 0.01).sqrt() - 0.1
    _require(not _close(found, root), "this is the root of a mean; take the root number by number, and the mean of the roots.")
    one, mine = wanted(0.1)[0].item(), found[0].item()
    _require(_close(found, wanted(0.1)), f"for a first sample the distance is {one:.4f}, and yours is {mine:.4f}.")
    _require(_close(charbonnier(a, b, eps=1.0), wanted(1.0)), "with eps = 1 another number is expected; use the argument eps.")
    a.requires_grad_()
    (slope,) = torch.autograd.grad(charbonnier(a, b).sum(), a)
    step = torch.zeros_like(a)
    step[0, 1, 1] = 1e-6
    finite = (charbonnier(a.detach() + step, b) - charbonnier(a.detach() - step, b))[0] / 2e-6
    _require(
        _close(slope[0, 1, 1], finite, 1e-5),
        "autograd's gradient isn't the slope of the values; use operations of torch only, and no detach.",
    )
    return "values, eps and gradient agree with the formula, and D(a, a) is 0."


def _rule(terms: Callable) -> Callable:
    """A rule like `terms` of chapter 2, of one that takes f(z), the outer f, its frozen copy and D."""
    return lambda inner, outer, frozen, z, D: terms(inner(z), outer, frozen, D)


_RIGHT = _rule(lambda y, outer, frozen, D: (D(y, frozen(y)), D(y.detach(), outer(y.detach()))))
_ROUTES = {
    "idempotence that trains the outer f too": _rule(
        lambda y, outer, frozen, D: (D(y, outer(y)), D(y.detach(), outer(y.detach())))
    ),
    "tightness that trains the inner f too": _rule(lambda y, outer, frozen, D: (D(y, frozen(y)), D(y, outer(y)))),
}
_SLOPES = {
    "a wrong sign of tightness": _rule(lambda y, outer, frozen, D: (D(y, frozen(y)), -D(y.detach(), outer(y.detach())))),
    "a copy through which no gradient returns": _rule(
        lambda y, outer, frozen, D: (D(y, frozen(y).detach()), D(y.detach(), outer(y.detach())))
    ),
    "tightness on the frozen copy": _rule(lambda y, outer, frozen, D: (D(y, frozen(y)), D(y.detach(), frozen(y.detach())))),
}


@_exercise(
    "02-2",
    "`verify` has rejected none of the five wrong rules that are tried. Idempotence may give a gradient to the inner f alone, and tightness to the "
    "outer f alone; begin by asserting that.",
)
def _routing(verify: Callable) -> str:
    def said(rule: Callable) -> str | None:
        try:
            verify(rule)
        except AssertionError as error:
            return str(error)
        return None

    heard = {name: said(rule) for name, rule in {**_ROUTES, **_SLOPES}.items()}
    if set(heard.values()) == {None}:
        raise Unwritten
    _require(
        said(_RIGHT) is None,
        "it rejects the right rule. Each term trains one of the two f: compare with a finite difference for that one only.",
    )
    for name in _ROUTES:
        _require(heard[name] is not None, f"your `verify` accepts {name}; assert that this f gets no gradient from that term.")
    for name in _SLOPES:
        _require(
            heard[name] is not None,
            f"your `verify` accepts {name}; compare the gradient with a finite difference of the term's value.",
        )
    _require(all(heard.values()), "it raises without a sentence; say in the assertion what is wrong, and what to do.")
    return "the right rule passes, and the five wrong ones that are tried are caught, each with a sentence."


@_exercise(
    "02-3",
    "the average hasn't moved. Change its parameters in place, within torch.no_grad(): p.lerp_(q, 1 - decay) for each pair.",
)
def _follow(follow: Callable) -> str:
    torch.default_generator.manual_seed(1)
    f, slow = ign_core.MLP(2, 4, 1), ign_core.MLP(2, 4, 1).requires_grad_(False)
    new, old = (nn.utils.parameters_to_vector(net.parameters()).detach().clone() for net in (f, slow))
    follow(slow, f, 0.9)
    found = nn.utils.parameters_to_vector(slow.parameters())
    if torch.equal(found.detach(), old):
        raise Unwritten
    _require(not found.requires_grad, "the average has a graph of all steps behind it; update it within torch.no_grad().")
    _require(torch.equal(nn.utils.parameters_to_vector(f.parameters()), new), "f itself has changed; only the average may.")
    _require(not _close(found, 0.1 * old + 0.9 * new), "decay and 1 - decay are exchanged: 0.9 of the old average is to stay.")
    _require(_close(found, 0.9 * old + 0.1 * new), "the average is to become decay times itself plus (1 - decay) times f.")
    follow(slow, f, 0.0)
    _require(_close(nn.utils.parameters_to_vector(slow.parameters()), new), "with a decay of 0 the average is f itself.")
    return "it keeps a share `decay` of the average and takes the rest from f. Only training runs can show whether the game is calmer."


# ---------------------------------------------------------------------------------------------------------------- 3 theory


def _blank(answer: Any) -> bool:
    """Whether there are dots left in it, however deep."""
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    return answer is None or answer is ... or (isinstance(answer, list | tuple) and any(map(_blank, answer)))


@_exercise("03-1", "first w = P_x - lambda P at each point. Where w > 0 the best drift is 0, where w < 0 it is M.", False)
def _by_hand(answer: Any) -> str:
    if _blank(answer):
        raise Unwritten
    _require(
        isinstance(answer, Mapping) and set(answer) == {"1", "1/2"}, "give a dict with the keys '1' and '1/2', as in the stub."
    )
    p_x, p, ceiling = (2, 1, 1), (1, 2, 1), (1, 1, 2)  # the laws in quarters
    for key, rows in answer.items():
        _require(isinstance(rows, list | tuple) and len(rows) == 4, "give four things for each lambda, as in the stub.")
        low, high, points, rests = rows
        _require(len(low) == len(high) == 3, "a drift has three values, one for each point.")
        w = [a - Fraction(key) * b for a, b in zip(p_x, p)]
        where = f"for lambda = {key}, at point"
        for y, (weight, top) in enumerate(zip(w, ceiling)):
            if weight > 0:
                _require(
                    low[y] == high[y] == 0, f"{where} {y}: w > 0, and a drift there costs the outer player; the best is 0."
                )
            elif weight < 0:
                _require(
                    low[y] == high[y] == top, f"{where} {y}: w < 0, and a drift there pays; the best is the ceiling, {top}."
                )
            else:
                _require(
                    (low[y], high[y]) == (0, top),
                    f"{where} {y}: w = 0 is a tie, so the drifts from 0 to M = {top} are equally good.",
                )
        least = min(low)
        _require(
            set(points) == {y for y in range(3) if low[y] == least},
            f"for lambda = {key} the generator goes where the lowest best drift is smallest.",
        )
        _require(
            bool(rests) == (max(low) <= min(high)),
            f"for lambda = {key}: P has mass on all three points, so it rests if one drift is among the best at each of them.",
        )
    return "P can't rest at lambda = 1, and at 1/2 it rests, with a drift of 0 everywhere."


@_exercise("03-2", "go through all sets of points, keep those with P_x of lambda or more, and take the one with the least P_x.")
def _worst_law(worst_law: Callable) -> str:
    for weights, ratio in (((6, 4, 2), "1/4"), ((6, 4, 2), "3/4"), ((5, 3, 3, 1), "1/2"), ((6, 4, 2), "1/6"), ((1, 2, 4), "1")):
        game = ignbook.theory.game(weights, [1] * len(weights), ratio)
        law = _written(worst_law(game))
        of = f"for P_x = {', '.join(map(str, game.p_x))} and lambda = {ratio}"
        m = len(weights)
        _require(isinstance(law, list | tuple) and len(law) == m, f"{of} a law of {m} masses is asked for.")
        _require(
            abs(sum(law) - 1) < 1e-9 and min(law) >= 0,
            f"{of} the masses sum to {float(sum(law)):.3g}; divide by the mass of the set.",
        )
        _require(
            all(game.ratio * q <= x + 1e-9 for x, q in zip(game.p_x, law)),
            f"{of} the law exceeds P_x / lambda somewhere; make it P_x on the set, divided by the mass of the set.",
        )
        sets = [s for k in range(1, m + 1) for s in combinations(range(m), k)]
        least = min(mass for s in sets if (mass := sum(game.p_x[i] for i in s)) >= game.ratio)
        covers = sum(x for x, q in zip(game.p_x, law) if q > 0)
        why = "to take the largest points first needn't be best"
        _require(abs(covers - least) < 1e-9, f"{of} this covers {covers} of the data, and {least} is possible; {why}.")
    return "in five games the law is permitted, and no set of points that lambda allows covers less."


@_exercise(
    "03-3", "set the derivative of p_x d - lambda p b tanh(d / b) to 0: cosh²(d / b) = lambda p / p_x. Mind the two ends."
)
def _clamped_response(response: Callable) -> str:
    p_x, p, ceiling = (
        np.array([0.5, 0.2, 0.2, 0.1, 0.0, 0.3]),
        np.array([0.1, 0.2, 0.3, 0.3, 0.1, 0.0]),
        np.array([1, 2, 2, 1, 2, 1.0]),
    )
    for ratio, b in ((1.5, 1.0), (2.0, 0.5)):
        with np.errstate(all="ignore"):
            found = _tensor(response(p_x, p, ceiling, ratio, b), 6).numpy()
        d = np.linspace(0, ceiling, 20_001)  # (20001, 6)
        best = d[(p_x * d - ratio * p * b * np.tanh(d / b)).argmin(0), range(6)]  # by a search
        _require((found <= ceiling + 1e-9).all(), "a drift is above its ceiling; cut it at M, also at points where P_x is 0.")
        _require(found[5] < 1e-9, "where p is 0 a drift costs p_x d and gains nothing, so the best drift is 0.")
        ratio_of = np.maximum(ratio * p[:4] / p_x[:4], 1)
        rootless = np.minimum(ceiling[:4], b * np.arccosh(ratio_of))
        _require(
            not np.allclose(found[:4], rootless, atol=1e-3), "the slope of tanh is 1 / cosh²: take the root before arcosh."
        )
        _require(
            np.abs(found - best).max() < 1e-3,
            f"at point {np.abs(found - best).argmax()} a search finds a better drift than yours.",
        )
    return "a search over all drifts finds no better one. The clamp has made a ramp of the step."


# ------------------------------------------------------------------------------------------------------------- 4 manifolds


@_exercise(
    "04-1", "draw 4,000 z from the source, apply f, and take the share of these points whose `distance` is below the tolerance."
)
def _hits(hits: Callable) -> str:
    def length(y: Tensor) -> Tensor:
        return y.norm(dim=1)

    def share(f: Callable, std: float, tolerance: float = 1.0) -> float:
        return _number(hits(f, ign_core.GaussianSource((2,), std), length, tolerance))

    def halved(y: Tensor) -> Tensor:
        return y / 2

    def wanted(std: float, tolerance: float = 1.0) -> float:  # of a normal law in the plane
        return 1 - math.exp(-((tolerance / std) ** 2) / 2)

    found = share(halved, 1.0)
    _require(0 <= found <= 1, f"a share is between 0 and 1, and this is {found:.3g}.")
    _require(abs(found - wanted(1.0)) > 0.04, "this is the share of z itself; apply f before you measure the distance.")
    _require(
        abs(found - wanted(0.5)) < 0.04,
        f"if f halves z, {wanted(0.5):.0%} should hit, and you count {found:.0%}; use 4,000 draws.",
    )
    found = share(halved, 4.0)
    _require(
        abs(found - wanted(0.5)) > 0.04, "a wider source gives the same share here, and it shouldn't; draw by source.sample."
    )
    _require(abs(found - wanted(2.0)) < 0.04, f"of a wide source {wanted(2.0):.0%} should hit, and you count {found:.0%}.")
    _require(
        abs(share(halved, 1.0, 0.3) - wanted(0.5, 0.3)) < 0.04, "with a smaller tolerance fewer should hit; use the argument."
    )
    return "for normal z the shares agree with the formula, at two widths and two tolerances."


@_exercise(
    "04-2", "draw z by super().sample(n, generator), find the eighth of the plane that it is in, and move it outwards there."
)
def _islands(islands: Callable) -> str:
    from sklearn.cluster import DBSCAN

    source = islands((2,))
    z = _tensor(source.sample(4000, _seeded()), 4000, 2)
    _require(torch.equal(z, source.sample(4000, _seeded())), "one seed gave two different draws; pass the generator on.")
    modes = ignbook.data.manifold("gaussians").modes
    near = (torch.cdist(z, modes).amin(1) < 3 * ignbook.data.GAUSSIANS_STD).double().mean().item()
    labels = DBSCAN(eps=0.2, min_samples=5).fit_predict(z.numpy())
    pieces = sum((labels == k).mean() > 0.02 for k in range(labels.max() + 1))  # less are a few points apart from the rest
    _require(pieces == 8, f"at a gap of 0.2 the draws fall into {pieces} pieces, and 8 are asked for; leave gaps between them.")
    _require(
        near < 0.01, f"{near:.0%} of the draws stand on the data already; put the pieces where no data are, say farther out."
    )
    return "the draws fall into eight pieces, and none is on the data."


@_exercise(
    "04-3",
    "for each coordinate the farthest that f can go is the wall on the other side, 2 + |y| away; L1 takes the mean of both.",
)
def _ceiling(ceiling: Callable) -> str:
    y = 4 * torch.rand(50, 2, generator=_seeded()) - 2
    found = _tensor(ceiling(y), 50).detach()
    grid = torch.cartesian_prod(*2 * [torch.linspace(-2, 2, 21)])  # (441, 2), the corners among them
    wanted = (y[:, None] - grid).abs().mean(-1).amax(1)
    _require(
        not _close(found, 2 * wanted), "this is twice the ceiling: L1 here is the mean over the two coordinates, not the sum."
    )
    _require(
        not _close(found, 2 - y.abs().mean(1)), "this is the way to the nearest corner; the ceiling is the way to the farthest."
    )
    _require(
        _close(found, wanted),
        f"at ({y[0, 0]:.2f}, {y[0, 1]:.2f}) the farthest point is at {wanted[0]:.2f}, and you say {found[0]:.2f}.",
    )
    return "a search over the square finds nothing farther away. It is least in the middle, 2."


# ------------------------------------------------------------------------------------------------------------- 5 stability


@_exercise("05-1", "the ceiling is clamp * limit, sample by sample; the value is the smaller of error and ceiling.")
def _hard(hard: Callable) -> str:
    error, limit = torch.tensor([0.1, 0.5, 2.0, 3.0, 1.0]), torch.tensor([1.0, 0.2, 1.0, 4.0, 0.1])
    error = error.double().requires_grad_()
    found = _written(hard(error, limit.double(), 1.5))
    _require(isinstance(found, tuple) and len(found) == 2, "two tensors are asked for, the value and its slope.")
    value, slope = (_tensor(part, 5) for part in found)
    _require(not _close(value, [0.1, 0.5, 1.5, 1.5, 1.0]), "the ceiling is clamp times limit, and you took the clamp alone.")
    _require(
        _close(value, [0.1, 0.3, 1.5, 3.0, 0.15]),
        f"for errors 0.1 and 0.5 at limits 1 and 0.2 the values are 0.1 and 0.3, not {value[0]:.3g} and {value[1]:.3g}.",
    )
    _require(
        not _close(slope, torch.ones(5)), "the slope is 1 everywhere; past the ceiling the value no longer grows, and it is 0."
    )
    _require(
        _close(slope, torch.autograd.grad(value.sum(), error)[0]),
        "the slope is not that of the value: 1 below the ceiling and 0 above.",
    )
    _require(not slope.requires_grad, "the slope carries a gradient; detach it.")
    value, slope = hard(error, limit.double(), None)
    _require(
        _close(value, error) and _close(slope, torch.ones(5)), "with clamp None the error stays as it is and the slope is 1."
    )
    return "value and slope are those of a minimum, and autograd agrees."


@_exercise(
    "05-2",
    "copy f, reset the statistics of each BatchNorm2d, set its momentum to None, and show it the batches in training mode.",
)
def _mend(mend: Callable) -> str:
    torch.default_generator.manual_seed(1)
    f = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)).eval()
    batches = [5 + 3 * _normal(64, 1, 8, 8, seed=seed) for seed in range(4)]
    before = copy.deepcopy(f.state_dict())
    with torch.no_grad():
        found = _written(mend(f, batches))
        _require(isinstance(found, nn.Module), f"a network is asked for, and this is of type {type(found).__name__}.")
        seen = torch.cat([f[0](part) for part in batches])
    same = all(torch.equal(a, b) for a, b in zip(f.state_dict().values(), before.values()))
    _require(same and found is not f, "f itself was changed; mend a deep copy, so that the two can be compared.")
    _require(not found.training, "the mended network is in training mode; end with eval().")
    _require(torch.equal(found[0].weight, f[0].weight), "the weights changed; only the statistics may.")
    mean, var = seen.mean((0, 2, 3)), seen.var((0, 2, 3))
    near = [_close(a, b, 0.02) for a, b in ((found[1].running_mean, mean), (found[1].running_var, var))]
    _require(all(near), "the statistics remember more than these batches: reset them, and average evenly, with momentum None.")
    return "statistics are those of the batches, weights are kept, and f is as it was."


@_exercise(
    "05-3",
    "compare the L1 of x and f(x) with that of x and its median, pixel by pixel; then look at how f(z) differ from each other.",
)
def _alive(alive: Callable) -> str:
    x = _normal(200, 1, 4, 4).exp() - 1.5  # skewed, so that median and mean differ
    z = x.roll(1, 0)
    median, mean = (c.expand_as(x) for c in (x.median(0).values, x.mean(0)))
    best, other = ((x - c).abs().mean().item() for c in (median, mean))
    between = x + torch.where(_normal(*x.shape, seed=1) > 0, 1.0, -1.0) * (best + other) / 2  # worse than the median alone
    cases = [
        (x + 0.01, z, True, "f that reconstructs, with f(z) like data, is alive"),
        (median, median, False, "f that answers with the best constant is dead"),
        (x + 0.01, median, False, "all f(z) are one image here, and f still reconstructs: look at their spread too"),
        (5 + 0 * x + z, z, False, "f(z) differ here, and f(x) is worse than a constant: look at the reconstruction too"),
        (between, z, False, "the best constant under L1 is the median of each pixel, not the mean"),
        (x + 0.01, median + 0.1 * (z - median), False, "f(z) have a tenth of the spread of x here, which is nearly one image"),
    ]
    for fx, fz, wanted, why in cases:
        found = _written(alive(x, fx, fz))
        _require(bool(found) == wanted, f"{why}.")
    return "it asks for both: a reconstruction below the best constant, and f(z) that differ."


# ----------------------------------------------------------------------------------------------------------------- 6 MNIST


@_exercise("06-1", "`ign_core.iterate(f, y, k)` gives f(y) to f^k(y) at once; take the mean of `ign_core.drift` at each.")
def _drifts_along(drifts_along: Callable) -> str:
    y = _normal(50, 1, 4, 4)
    found = _written(drifts_along(lambda y: y / 2, y, 4))
    found = _tensor(found if isinstance(found, Tensor) else [_number(v) for v in found], 4)
    size = y.abs().mean().item()
    _require(
        not _close(found, [size / 2**i for i in (1, 2, 3, 4)]),
        "this begins with the drift of y itself; begin with that of f(y).",
    )
    _require(
        not _close(found, [size * (1 - 0.5**i) for i in (1, 2, 3, 4)]),
        "this is how far each has come from y; the drift is how far f moves it next.",
    )
    _require(
        _close(found, [size / 2**i for i in (2, 3, 4, 5)]),
        "for f(y) = y/2 each drift is half of the one before, from mean |y| / 4 on.",
    )
    return "for f(y) = y/2 the drifts halve from step to step, from that of f(y) on."


@_exercise(
    "06-2",
    "draw all of `torch.fft.fft2`, real and imaginary part apart, with mean and deviation over the data; then ifft2 and .real.",
)
def _dropped(dropped: Callable) -> str:
    smooth = torch.fft.irfft2(torch.fft.rfft2(_normal(1500, 1, 8, 8)) * torch.exp(-torch.fft.rfftfreq(8) * 4), s=(8, 8))
    data = 0.3 * smooth + 0.5 * torch.linspace(-1, 1, 8)
    y = _tensor(dropped(data, 1500, _seeded()), 1500, 1, 8, 8).double()
    _require(
        _close(y.mean(0), data.mean(0), 0.05),
        "the mean image is lost: draw around the mean of the spectra, and take the real part, not the modulus.",
    )
    spectrum = [torch.fft.fft2(part.double()).real.var(0)[0, 1:4, 1:4].mean() for part in (y, data)]
    ratio = (spectrum[0] / spectrum[1]).item()
    _require(
        not 0.9 < ratio < 1.1,
        f"the variance is {ratio:.1f} times the data's, as FourierSource has it; draw all frequencies of fft2, not the half of rfft2.",
    )
    _require(0.44 < ratio < 0.56, f"the variance of the spectrum is {ratio:.2f} of the data's, and half was expected.")
    return "the mean image is that of the data, and half of the variance is gone."


@_exercise("06-3", "in a loop, k times: u becomes (1 - t) u + t f(u), with u = y at first.")
def _partial(partial: Callable) -> str:
    def f(y: Tensor) -> Tensor:
        return y / 2 + 1

    y = _normal(3, 1, 4, 4)
    found, u, stuck, swapped = _tensor(partial(f, y, 0.25, 3), 3, 1, 4, 4), y, y, y
    for _ in range(3):
        u, stuck, swapped = 0.75 * u + 0.25 * f(u), 0.75 * y + 0.25 * f(stuck), 0.25 * swapped + 0.75 * f(swapped)
    _require(not _close(found, stuck), "each step mixes with the first y again; mix with what the step before gave.")
    _require(not _close(found, swapped), "t and 1 - t are exchanged: t = 0 is to leave y alone, and t = 1 is f.")
    _require(
        _close(found, u),
        "for f(y) = y/2 + 1, t = 1/4 and k = 3 the images are wrong; replace u by (1 - t) u + t f(u) three times.",
    )
    return "t = 0 leaves y alone, t = 1 is f, and what is between goes part of the way. To beat: a single f, t = 1 and k = 1."


# ---------------------------------------------------------------------------------------------------------------- 7 CelebA


@_exercise(
    "07-1", "mirror by flip(-1): compare f of mirrored z with mirrored f(z), and divide by the L1 of f(z) and f(z).roll(1, 0)."
)
def _asymmetry(asymmetry: Callable) -> str:
    z, ramp = _normal(6, 3, 4, 4), torch.linspace(0, 1, 4)

    def ratio(f: Callable) -> float:
        return _number(asymmetry(f, z))

    def tilted(y: Tensor) -> Tensor:
        return y + ramp

    def shaded(y: Tensor) -> Tensor:
        return y + ramp[:, None]

    def right(f: Callable) -> float:
        fz = f(z)
        return ((f(z.flip(-1)) - fz.flip(-1)).abs().mean() / (fz - fz.roll(1, 0)).abs().mean()).item()

    _require(abs(ratio(lambda y: y)) < 1e-6, "the identity commutes with the mirror: mirror f(z) too before you compare.")
    _require(
        abs(ratio(shaded)) < 1e-6, "a shade from top to bottom has no left and right: mirror the last dimension, flip(-1)."
    )
    found, wanted = ratio(tilted), right(tilted)
    _require(
        _close(found, wanted, 1e-3),
        f"for an f that adds a ramp the ratio is {wanted:.3f}, and yours is {found:.3f}; divide by the L1 of f(z) and f(z).roll(1, 0).",
    )
    return "it is 0 for maps that commute with the mirror, and sees a ramp from left to right."


@_exercise("07-2", "subtract the mean code, take torch.linalg.svd, keep the first j directions, and add the mean again.")
def _keep(keep: Callable) -> str:
    code = _normal(60, 8) @ (_normal(8, 8, seed=1) * torch.tensor([5.0, 3, 2, 1, 0.5, 0.3, 0.2, 0.1])[:, None]) + 4
    found = _tensor(keep(code, 3), 60, 8)
    _require(
        _close(found.mean(0), code.mean(0), 1e-3),
        "the mean of the codes has changed; subtract it before and add it afterwards.",
    )
    rank = int((torch.linalg.svdvals(found - code.mean(0)) > 1e-3).sum())
    values, directions = torch.linalg.eigh(torch.cov(code.double().T))  # ascending
    best = values[:-3].sum() * 59 / 60  # what no three directions keep
    lost = (found - code).double().square().sum(1).mean()
    _require(rank == 3, f"around their mean the codes should have 3 directions left, and they have {rank}.")
    _require(
        lost < 1.01 * best,
        f"this loses {lost:.2f}, and three principal components {best:.2f}; a code's first three numbers are no components.",
    )
    _require(_close(keep(code, 8), code, 1e-3), "with all components nothing should change.")
    return "the mean stays, three directions are left, and no other three would lose less."


@_exercise(
    "07-3", "the small image has channels * side² numbers; a linear map has a weight for each pair of numbers, and biases."
)
def _cost(cost: Callable) -> str:
    for side, channels, code in ((4, 3, 16), (8, 1, 10)):
        deep = nn.Identity()
        maps = [layers.BesideLinear(deep, channels, side, code, to_code) for to_code in (True, False)]
        way, back = (sum(p.numel() for p in part.parameters()) for part in maps)
        found, pixels = _number(cost(side, channels, code)), channels * side * side
        of = f"for side {side}, {channels} channels and a code of {code}"
        _require(found not in (way, back, code * pixels), f"{of} you count one map; there is one to the code and one back.")
        _require(found != 2 * channels * side * code + channels * side + code, f"{of} a square has side² pixels.")
        _require(found != 2 * code * pixels, f"{of} the {way + back - 2 * code * pixels} biases are missing.")
        _require(found == way + back, f"{of} the two maps have {way + back} parameters, and you count {found:g}.")
    return "the count is that of the two maps, and grows with the square of the side."


# ------------------------------------------------------------------------------------------------------------- 8 projector


@_exercise("08-1", "make a list of y, f(y), ..., take the mean L1 to the clean images at each, and return where it is least.")
def _best_k(best_k: Callable) -> str:
    def f(y: Tensor) -> Tensor:
        return y / 2

    y = _normal(8, 1, 4, 4)
    found = [_number(best_k(f, y, y / 2**k)) for k in range(5)]
    _require(found != [0, 0, 1, 2, 3], "all are one too small; index 0 of `iterate` is f(y), so k = 1.")
    _require(found != [4] * 5, "that is where the drift is least, or the longest path; compare with the clean images.")
    _require(found[0] == 0, "if y itself is clean, k = 0 is best; let y take part.")
    _require(found == [0, 1, 2, 3, 4], f"for clean images y/2^k and f(y) = y/2 the best k is k itself; you say {found}.")
    return "it finds each k from 0 to 4 where f^k(y) is the clean image."


@_exercise(
    "08-2",
    "(a - b).diff(dim=3) has the horizontal differences of neighbours; take the mean of its size, and add that of dim=2.",
)
def _edges(edges: Callable) -> str:
    a, b = _normal(3, 2, 5, 4), _normal(3, 2, 5, 4, seed=1)
    found = _tensor(edges(a, b), 3)
    d = (a - b).numpy()
    across, down = (np.abs(np.diff(d, axis=axis)).reshape(3, -1).mean(1) for axis in (3, 2))
    signless = sum(
        np.abs(np.abs(np.diff(a.numpy(), axis=k)) - np.abs(np.diff(b.numpy(), axis=k))).reshape(3, -1).mean(1) for k in (2, 3)
    )
    _require(not (_close(found, across) or _close(found, down)), "this sees edges of one direction only; add the other.")
    _require(
        not _close(found, signless),
        "this takes an edge from dark to light and its reverse for the same; subtract b from a before you take absolute values.",
    )
    _require(_close(edges(a, a + 0.2), np.zeros(3), 1e-5), "a change of brightness has no edges, and its distance should be 0.")
    _require(
        _close(found, across + down),
        f"for a first pair the two means sum to {across[0] + down[0]:.3f}, and yours is {found[0]:.3f}.",
    )
    return "it sees edges in both directions and with their sign, and no change of brightness."


@_exercise("08-3", "u starts as y; k times: keep y where `kept` is 1, and put f(u) where it is 0.")
def _fill(fill: Callable) -> str:
    def f(y: Tensor) -> Tensor:
        return 0.5 * y.roll(1, 3) + 0.2

    y, kept = _normal(2, 1, 6, 6).clamp(-1, 1), torch.ones(1, 1, 6, 6)
    kept[..., 1:5, 1:5] = 0
    y = y * kept
    found, u, whole = _tensor(fill(f, y, kept, 4), 2, 1, 6, 6), y, y
    for _ in range(4):
        u, whole = kept * y + (1 - kept) * f(u), f(whole)
    _require(
        not _close(found, kept * y + (1 - kept) * whole),
        "f saw what it had made of the known part; put that back after every step, not at the end.",
    )
    _require(_close(found * kept, y), "the known part has changed: `kept` is 1 where y is to stay, and 0 in the hole.")
    _require(not _close(found, kept * y + (1 - kept) * f(y)), "a second step changes nothing; apply f to u, not to y.")
    _require(_close(found, u), "after four steps the hole is wrong; in each step put f(u) into the hole and y everywhere else.")
    return "the known part stays as it is, and each step starts from it. To beat: a whole projection, in the hole."


# ---------------------------------------------------------------------------------------------------------------- 9 latent


@_exercise(
    "09-1",
    "source.whiten(z) gives the white numbers; take their length, sample by sample, and divide by the root of d.",
)
def _radius(radius: Callable) -> str:
    for shape, std in (((16,), 0.5), ((3, 4), 2.0)):
        source, d = ign_core.GaussianSource(shape, std), math.prod(shape)
        z = source.sample(5, _seeded())
        found, length = _tensor(radius(source, z), 5), z.flatten(1).norm(dim=1)
        _require(
            not _close(found, length / math.sqrt(d)), "this is the radius in z; take it in white numbers, source.whiten(z)."
        )
        _require(not _close(found, length / std), "this grows with the number of dimensions; divide by its root.")
        _require(not _close(found, length / std / d), "divide by the root of d, not by d: typical draws should be near 1.")
        _require(
            _close(found, length / std / math.sqrt(d)),
            f"a draw of radius {length[0] / std / math.sqrt(d):.3f} got {found[0]:.3f}.",
        )
    return "the radius is that of the white numbers, in units of √d."


@_exercise(
    "09-2", "the cross-fade is (one + two) / 2; a code is f.encoder(y), and f.decoder makes an image of the mean of two codes."
)
def _middles(middles: Callable) -> str:
    torch.default_generator.manual_seed(1)
    f = ign_core.ConvAutoencoder(8, 1, 8, 6).eval()
    with torch.no_grad():
        for p in f.parameters():
            p.copy_(0.4 * torch.randn(p.shape))  # far from its start, so that f bends
        one, two = (torch.rand(4, 1, 8, 8, generator=_seeded(seed)) * 2 - 1 for seed in (0, 1))
        found = _written(middles(f, one, two))
        names = ("codes", "cross-fade", "f(cross-fade)")
        _require(isinstance(found, Mapping) and set(found) == set(names), f"give a dict with the keys {', '.join(names)}.")
        parts = {name: _tensor(found[name], 4, 1, 8, 8) for name in names}
        fade = (one + two) / 2
        _require(_close(parts["cross-fade"], fade), "the cross-fade is the mean of the two, pixel by pixel.")
        _require(
            not _close(parts["f(cross-fade)"], (f(one) + f(two)) / 2),
            "this fades f(one) into f(two); apply f after the cross-fade.",
        )
        _require(_close(parts["f(cross-fade)"], f(fade)), "f(cross-fade) is f of the cross-fade.")
        _require(
            not _close(parts["codes"], f(fade)),
            "this decodes the code of the cross-fade, which is f of it; take the mean of two codes.",
        )
        _require(_close(parts["codes"], f.decoder((f.encoder(one) + f.encoder(two)) / 2)), "decode the mean of the two codes.")
    return "the three middles are what they are called. Which is nearest to a face, `read_attributes` says."


@_exercise(
    "09-3",
    "if e is normal, its distribution function (torch.special.ndtr) is uniform in [0, 1]; stretch it, and undo it in `whiten`.",
)
def _uniform(uniform: Callable) -> str:
    source, e = uniform((3, 8, 8)), _normal(200, 3, 8, 8)
    z = _tensor(source.from_white(e), 200, 3, 8, 8)

    def gap(y: Tensor) -> float:  # Kolmogorov's, to the uniform law on [-1, 1]
        y = y.flatten().sort().values
        return (torch.linspace(0, 1, len(y)) - ((y + 1) / 2).clamp(0, 1)).abs().max().item()

    _require(z.abs().max() <= 1.0001, f"values run up to {z.abs().max():.2f}; the cube is [-1, 1].")
    _require(
        gap(z) < 0.02,
        f"what normal numbers become is not uniform: Kolmogorov's gap is {gap(z):.2f}; use their distribution function.",
    )
    back = source.whiten(z)
    _require(
        back is not None and torch.isfinite(back).all() and _close(back, e, 1e-2),
        "`whiten` doesn't undo `from_white`; stretch z from [-1, 1] to [0, 1] before ndtri.",
    )
    ends = [source.sample(200, _seeded(seed)) for seed in (0, 1)]
    middle = gap(ignbook.latent.path(source, *ends, "spherical, white", 3)[1])
    _require(
        middle < 0.03,
        f"middles of white arcs are not uniform: Kolmogorov's gap is {middle:.2f}; is `sample` made of `from_white`?",
    )
    return "draws are uniform, `whiten` undoes `from_white`, and middles of white arcs are uniform again."


# ------------------------------------------------------------------------------------------------------------ 10 measuring


@_exercise(
    "10-1", "find each real point's distance to its k-th nearest other real point; then count those with a fake one within it."
)
def _coverage(coverage: Callable) -> str:
    real, fake = _normal(80, 3), torch.cat([0.5 * _normal(20, 3, seed=1), 9 + _normal(60, 3, seed=2)])
    wanted = {k: ignbook.metrics.neighbours(real, fake, k) for k in (1, 3, 4, 5)}  # by prdc
    for k in (5, 4):
        found = _number(coverage(real, fake, k))
        _require(
            not _close(found, wanted[k]["precision"]),
            "this is the share of fake points near a real one; coverage is that of real points.",
        )
        _require(
            not _close(found, wanted[k - 1]["coverage"]),
            "each real point was counted as its own first neighbour; take the one after.",
        )
        _require(
            _close(found, wanted[k]["coverage"]),
            f"for k = {k} the package prdc finds {wanted[k]['coverage']:.3f}, and you {found:.3f}.",
        )
    return "it agrees with the package prdc."


@_exercise(
    "10-2", "move the copies by one pixel in each of the four directions, call `nearest` on each, and take the least distance."
)
def _search(search: Callable) -> str:
    data = torch.full((12, 1, 8, 8), -1.0)
    data[:, :, 2:6, 2:6] = torch.rand(12, 1, 4, 4, generator=_seeded()) * 2 - 1
    moves = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
    copies = torch.cat([data[:1], *(data[i : i + 1].roll(move, (2, 3)) for i, move in enumerate(moves.values()))])
    found = _tensor(search(copies, data), 5)
    _require(not (found[1:] > 0.1).all(), "no shifted copy was found; undo each shift before you measure.")
    _require(not (found[3:] > 0.1).all(), "copies that went up or down aren't found; move along both dimensions.")
    _require(found[0] < 1e-4, "a copy that stayed in its place isn't found; let the copies take part unmoved, too.")
    _require((found < 1e-4).all(), "of the four directions one is missing.")
    fresh = torch.full((3, 1, 8, 8), -1.0)
    fresh[:, :, 2:6, 2:6] = torch.rand(3, 1, 4, 4, generator=_seeded(1)) * 2 - 1
    moved = torch.stack([fresh.roll(move, (2, 3)) for move in [(0, 0), *moves.values()]])  # (5, 3, 1, 8, 8)
    wanted = (moved[:, :, None] - data).flatten(3).norm(dim=3).amin((0, 2))
    _require(
        _close(search(fresh, data), wanted, 1e-3), "of new images the least distance in L2 over all five places is asked for."
    )
    return "copies are found wherever they went, and new images keep their distance."


@_exercise(
    "10-3", "take the samples of one class, the distances of their pairs (torch.pdist), and count those up to the threshold."
)
def _near_pairs(near_pairs: Callable) -> str:
    y = torch.rand(40, 1, 4, 4, generator=_seeded()) * 2 - 1
    labels = torch.arange(40) % 3
    y[labels == 1] *= 0.2  # a class whose images are near to each other
    found = _written(near_pairs(y, labels, 1.2))
    pairs = {c: 0 for c in range(3)}
    for i, j in combinations(range(40), 2):
        if labels[i] == labels[j]:
            pairs[int(labels[i])] += int((y[i] - y[j]).square().sum().sqrt() <= 1.2)
    sizes = labels.bincount().tolist()
    _require(isinstance(found, Mapping), "give a dict, class -> number of pairs.")
    given = [int(_number(found.get(c, 0))) for c in range(3)]
    right = [pairs[c] for c in range(3)]
    _require(
        given != [2 * n + size for n, size in zip(right, sizes)],
        "each sample was paired with itself, and each pair counted twice.",
    )
    _require(given != [n + size for n, size in zip(right, sizes)], "each sample was paired with itself.")
    _require(given != [2 * n for n in right], "each pair was counted twice, as (i, j) and as (j, i).")
    _require(
        given == right,
        f"in three classes there are {right} pairs, and you count {given}; pairs of two classes don't count.",
    )
    return (
        "each pair of one class counts once. These counts help you decide whether a threshold for each class is a better idea."
    )


# ------------------------------------------------------------------------------------------------------------- 11 collapse


@_exercise("11-1", "sort the shares, the rarest first, and add them up as long as the sum is at most 1 - lambda.")
def _vanishing(vanishing: Callable) -> str:
    shares, ratios = [0.35, 0.04, 0.06, 0.25, 0.3], (0.95, 0.85, 0.6, 0.5, 0.99, 0.32)
    found = [_number(vanishing(shares, ratio)) for ratio in ratios]
    _require(found != [int(5 * (1 - ratio)) for ratio in ratios], "the classes are not even: add up the shares themselves.")
    unsorted = [sum(sum(shares[: i + 1]) <= 1 - ratio for i in range(5)) for ratio in ratios]
    _require(found != unsorted, "most can vanish if the rarest go first, so sort the shares.")
    for ratio, mine, right in zip(ratios, found, (1, 2, 3, 3, 0, 4)):
        _require(mine == right, f"with shares {shares}, lambda = {ratio} lets {right} vanish, and you say {mine:g}.")
    return "the rarest go first, as long as they have at most 1 - lambda together."


@_exercise(
    "11-2",
    "torch.pdist(fz.flatten(1)) has the distance of each pair once; square it, divide by s, and take the mean of exp(-...).",
)
def _repulsion(repulsion: Callable) -> str:
    x, fz = (_normal(5, 1, 2, 2, seed=seed).double() for seed in (0, 1))

    def term(fz: Tensor) -> Tensor:
        return _tensor(repulsion(None, x, None, None, fz))

    def squares(y: Tensor) -> list[float]:
        return [(a - b).square().sum().item() for a, b in combinations(y, 2)]

    found, far, near = term(fz).item(), squares(fz), squares(x)
    scale = sum(near) / 10
    wanted = sum(math.exp(-d / scale) for d in far) / 10
    _require(
        not _close(found, (20 * wanted + 5) / 25),
        "each sample was paired with itself, which adds a constant; leave these pairs out.",
    )
    _require(
        not _close(term(fz * 0.1), found),
        "a clump costs no more than a spread batch: s is to come from the pairs of x, not of f(z).",
    )
    _require(_close(found, wanted), f"for five samples the mean is {wanted:.4f}, and yours is {found:.4f}.")
    fz.requires_grad_()
    (slope,) = torch.autograd.grad(term(fz), fz)
    step = torch.zeros_like(fz)
    step[2, 0, 1, 0] = 1e-6
    with torch.no_grad():
        finite = (term(fz + step) - term(fz - step)) / 2e-6
    _require(_close(slope[2, 0, 1, 0], finite, 1e-6), "its gradient isn't that of finite differences; don't detach f(z).")
    return "value and gradient are those of the formula, and a clump costs more."


@_exercise(
    "11-3",
    "the balance is gamma * at_data - at_samples; add a multiple of it to the tightness, and keep that between 0.05 and 20.",
)
def _next_tightness(step: Callable) -> str:
    cases = [
        (10.0, 1.0, 0.2, 0.5, 1, "f(z) drifts less than gamma times what the data do"),
        (10.0, 1.0, 0.9, 0.5, -1, "f(z) drifts more than gamma times what the data do"),
        (10.0, 0.4, 0.3, 0.5, -1, "f(z) drifts more than gamma times what the data do, though less than the data"),
    ]
    for now, at_data, at_samples, gamma, sign, why in cases:
        moved = _number(step(now, at_data, at_samples, gamma)) - now
        _require(moved * sign > 0, f"the tightness should {'rise' if sign > 0 else 'fall'} if {why}.")
    low, high = 0.05, 20.0
    for _ in range(2000):
        low, high = _number(step(low, 0.0, 1.0, 0.5)), _number(step(high, 9.0, 0.0, 0.5))
    _require(
        low > 0, f"it went down to {low:.3g}; at 0 the tightness term is gone, and below 0 its sign is wrong, so stop at 0.05."
    )
    _require(high <= 20, f"it went up to {high:.3g}; stop at 20.")
    return "it rises and falls as it should, and stays between its bounds."


# ---------------------------------------------------------------------------------------------------------------- 12 scale


@_exercise("12-1", "a whole step costs 3 for x, 3 for f(z) and 3 for f(f(z)); only the last two are multiplied by the share.")
def _step_ratio(step_ratio: Callable) -> str:
    found = {share: _number(step_ratio(share)) for share in (1.0, 0.5, 0.25)}
    _require(not _close(found[0.5], 2), "x is not drawn less often, so its part of the step stays whole.")
    _require(not _close(found[0.5], 9 / 7.5), "the passes for f(z) have fewer z too, not f(f(z)) alone.")
    _require(_close(found[1.0], 1), f"with a share of 1 nothing is saved, and you say a factor of {found[1.0]:g}.")
    for share, mine in found.items():
        _require(
            _close(mine, 9 / (3 + 6 * share)),
            f"a share of {share} saves a factor of {9 / (3 + 6 * share):.2f}, not {mine:.2f}.",
        )
    return "a third of the step is x's and stays, so no share of z makes it more than three times as fast."


@_exercise("12-2", "subtract the bytes of the weights from the memory, divide by the bytes of one image, and round down.")
def _largest_batch(largest_batch: Callable) -> str:
    memory, parameters, kept = 2e9, 10_000_000, 1_000_000
    found = _number(largest_batch(memory, parameters, kept))
    _require(found != 1000, "the weights take memory too: 28 bytes for each parameter.")
    _require(found != 430, "the numbers that are kept are 16-bit floats, 2 bytes each.")
    _require(_close(found, round(found), 1e-12), "a batch is a whole number of images; round down.")
    _require(found == 860, f"2 GB hold a batch of 860 here, and you say {found:g}.")
    _require(_number(largest_batch(1e6, parameters, kept)) == 0, "where not even the weights fit, no image does: give 0.")
    return "what the weights leave, divided by what an image takes, rounded down."


@_exercise(
    "12-3", "each device sends and receives 2 (N - 1)/N times 4 bytes a parameter; divide by the bandwidth to get seconds."
)
def _efficiency(efficiency: Callable) -> str:
    def at(devices: int, parameters: float = 25e6, seconds: float = 0.1, bandwidth: float = 1e9) -> float:
        return _number(efficiency(devices, parameters, seconds, bandwidth))

    _require(_close(at(1), 1), "a single device exchanges nothing, so its efficiency is 1.")
    found, wanted = at(4), 0.1 / (0.1 + 2 * 3 / 4 * 0.1)
    _require(not _close(found, 0.1 / (0.1 + 3 / 4 * 0.1)), "gradients are summed and the sum is given back: count both ways.")
    _require(not _close(found, 1 - wanted), "that is the share of time that is lost; the efficiency is what remains.")
    _require(_close(found, wanted), f"four devices work {wanted:.2f} of the time here, and you say {found:.2f}.")
    _require(at(4, bandwidth=1e12) > 0.99, "with a very fast connection hardly anything is lost.")
    return "the longer a step takes and the fewer parameters there are, the more of the time a device computes."
