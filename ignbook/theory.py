"""The two-player game behind the objective, on a finite space, in exact arithmetic (chapter 3).

Shocher et al., arXiv 2311.01462, section 2 ("Theoretical results") splits the objective between two players.  One chooses
the drift delta, the other the law P of f(z), and each holds the other fixed:

    outer player   L_rt(delta; P) = E_x delta(x) - lambda E_{y ~ P} delta(y)     over 0 <= delta(y) <= M(y)
    inner player   L_i(P; delta)  = E_{y ~ P} delta(y)                           over all laws P

with lambda = tightness / reconstruction and M(y) = sup_y' D(y, y') the ceiling of the drift.  On m points everything is a
vector of length m.  Masses are `Fraction`s wherever a tie decides; `play` alone uses floats.  `equilibria` finds the
equilibria from the two best responses and nothing else; `permitted` and `predicted` are the phase diagram that chapter 3
proves.  The tests hold one against the other, and against a search over all pairs that knows neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from numbers import Rational, Real

import numpy as np

Vector = tuple[Fraction, ...]
ROUNDING = 1e-9  # how far masses and drifts in floats may be off

# ---------------------------------------------------------------------------------------------------------------- a game


@dataclass(frozen=True)
class Game:
    """p_x: (m,) masses of the data, summing to 1.  ceiling: (m,) M(y) > 0.  ratio: lambda >= 0.  All exact.

    Build it with `game`, which checks and converts.
    """

    p_x: Vector
    ceiling: Vector
    ratio: Fraction

    @property
    def m(self) -> int:
        """The number of points of the space."""
        return len(self.p_x)


def game(weights: Sequence, ceiling: Sequence, ratio) -> Game:
    """A `Game` from integers, Fractions or strings such as "1/8"; `weights` (m,) are normalised to sum to 1.

    ValueError: fewer than 2 points, a negative weight, no weight at all, a ceiling that isn't positive, lambda < 0, or
    lengths that differ.  TypeError: a float, which can't hold a tie exactly.
    """
    weights, ceiling, ratio = _exact(weights, "weights"), _exact(ceiling, "ceiling"), _exact([ratio], "ratio")[0]
    if len(weights) < 2 or len(weights) != len(ceiling):
        raise ValueError(f"{len(weights)} weights and {len(ceiling)} ceilings; give one of each for 2 points or more.")
    if min(weights) < 0 or sum(weights) == 0:
        raise ValueError("the weights of the data must not be negative, and one of them must be positive.")
    if min(ceiling) <= 0:
        raise ValueError(f"the ceiling is {min(ceiling)} at some point; the largest drift must be positive everywhere.")
    if ratio < 0:
        raise ValueError(f"lambda is {ratio}; it is a ratio of weights and must not be negative.")
    return Game(tuple(w / sum(weights) for w in weights), ceiling, ratio)


def ceilings(distances: Sequence[Sequence]) -> Vector:
    """M(y) = max over y' of D(y, y'): a matrix (m, m) -> (m,).  ValueError: not square, or D(y, y) is not 0."""
    rows = [_exact(row, "a row of distances") for row in distances] if isinstance(distances, Sequence | np.ndarray) else []
    if not rows or any(len(row) != len(rows) for row in rows) or any(row[i] != 0 for i, row in enumerate(rows)):
        raise ValueError("distances must be a square matrix with zeros on its diagonal.")
    return tuple(max(row) for row in rows)


def _exact(values: Sequence, name: str) -> Vector:
    if not isinstance(values, Sequence | np.ndarray) or not all(isinstance(v, Real | str) for v in values):
        raise TypeError(f"{name} must be a list of integers, Fractions or strings like '1/8'; got {type(values).__name__}.")
    if any(isinstance(v, (float, np.floating)) for v in values):
        raise TypeError(f"{name} holds floats, and ties need exact numbers; give integers, Fractions or strings like '1/8'.")
    try:
        return tuple(Fraction(int(v) if isinstance(v, np.integer) else v) for v in values)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{name} holds a text that is no number; give strings like '1/8'.") from None


def _game(game: Game) -> Game:
    if not isinstance(game, Game):
        raise TypeError(f"a game is wanted and this is of type {type(game).__name__}; build one by ignbook.theory.game.")
    return game


def _numbers(game: Game, values: Sequence, name: str) -> None:
    _game(game)
    if not isinstance(values, Sequence | np.ndarray) or not all(isinstance(v, Real) for v in values):
        raise TypeError(f"a {name} must be a list or an array of {game.m} numbers; got {type(values).__name__}.")


def _law(game: Game, p: Sequence) -> None:
    _numbers(game, p, "law")
    exact = all(isinstance(v, Rational) for v in p)
    # asked so that a NaN, which compares with nothing, fails
    if len(p) != game.m or not all(v >= 0 for v in p) or not abs(sum(p) - 1) <= (0 if exact else ROUNDING):
        raise ValueError(
            f"a law on {game.m} points has as many masses, none negative, that sum to 1; this sums to {float(sum(p)):g}."
        )


def _drift(game: Game, delta: Sequence, tol=0) -> None:
    _numbers(game, delta, "drift")
    if not isinstance(tol, Real) or not 0 <= tol < np.inf:
        raise ValueError(f"the tolerance is {tol}; give 0 or a small positive number.")
    if len(delta) != game.m or not all(-tol <= d <= top + tol for d, top in zip(delta, game.ceiling)):
        raise ValueError(f"a drift on {game.m} points has as many values, each between 0 and the ceiling there.")


# ---------------------------------------------------------------------------------------------------------- best responses


def advantage(game: Game, p: Sequence) -> list:
    """w(y) = P_x(y) - lambda P(y), the weight of delta(y) in the outer player's loss: (m,) -> (m,)."""
    _law(game, p)
    return [x - game.ratio * y for x, y in zip(game.p_x, p)]


def outer_response(game: Game, p: Sequence) -> tuple[list, list]:
    """Every best response to the law p (m,): all delta with low <= delta <= high; returns low (m,), high (m,).

    0 where w(y) > 0, the ceiling where w(y) < 0, anything between on a tie.
    """
    pairs = [(0, 0) if w > 0 else (top, top) if w < 0 else (0, top) for w, top in zip(advantage(game, p), game.ceiling)]
    return [low for low, _ in pairs], [high for _, high in pairs]


def inner_response(game: Game, delta: Sequence, tol=0) -> list[int]:
    """The points of smallest drift: a law is a best response to delta (m,) exactly if it lives on these."""
    _drift(game, delta, tol)
    return [i for i, d in enumerate(delta) if d <= min(delta) + tol]


def outer_loss(game: Game, p: Sequence, delta: Sequence):
    """L_rt = sum_y w(y) delta(y): laws and drifts (m,) -> a number."""
    _drift(game, delta, ROUNDING)
    return sum(w * d for w, d in zip(advantage(game, p), delta))


def inner_loss(game: Game, p: Sequence, delta: Sequence):
    """L_i = sum_y P(y) delta(y): laws and drifts (m,) -> a number."""
    _law(game, p)
    _drift(game, delta, ROUNDING)
    return sum(q * d for q, d in zip(p, delta))


def generator_loss(game: Game, p: Sequence):
    """F(P) = sum_y M(y) max(lambda P(y) - P_x(y), 0): what P is worth against the drift that suits it least."""
    return sum(top * max(-w, 0) for w, top in zip(advantage(game, p), game.ceiling))


def gap(game: Game, p: Sequence, delta: Sequence):
    """What the two players could still gain by a change, in units of D: for lambda > 0, 0 at equilibria and positive elsewhere.

    The outer player's gain, plus lambda times the inner player's: the duality gap of the zero-sum form of the game.
    """
    outer = outer_loss(game, p, delta) + generator_loss(game, p)
    return outer + game.ratio * (inner_loss(game, p, delta) - min(delta))


def is_equilibrium(game: Game, p: Sequence, delta: Sequence, tol=0) -> bool:
    """Whether neither player gains more than `tol` by a change of its own: the definition, with exact numbers if tol = 0."""
    _drift(game, delta, tol)
    outer = outer_loss(game, p, delta) + generator_loss(game, p)
    return outer <= tol and inner_loss(game, p, delta) - min(delta) <= tol


# ------------------------------------------------------------------------------------------------------------- enumeration


@dataclass(frozen=True)
class Equilibrium:
    """A law p (m,) that some drift supports; these drifts have low <= delta <= high and equal their minimum on p's support.

    level: the smallest and the largest value that this minimum can have.
    """

    p: Vector
    low: Vector
    high: Vector
    level: tuple[Fraction, Fraction]


def supported(game: Game, p: Sequence) -> Equilibrium | None:
    """The drifts that make p (m,) an equilibrium, from the two best responses alone; None if there are none.

    Some minimum mu must be allowed on the support of p, where delta = mu, and elsewhere, where delta >= mu: an interval.
    """
    low, high = outer_response(game, p)
    level = max(low[i] for i in range(game.m) if p[i] > 0), min(high)
    if level[0] > level[1]:
        return None
    return Equilibrium(tuple(p), *(tuple(map(Fraction, v)) for v in (low, high, level)))


def laws(m: int, parts: int) -> Iterator[Vector]:
    """Every law on m points whose masses are multiples of 1 / parts; there are C(parts + m - 1, m - 1)."""
    if not all(isinstance(v, int | np.integer) for v in (m, parts)) or m < 1 or parts < 1:
        raise ValueError(f"laws on {m} points in parts of 1/{parts}; both must be whole numbers of 1 or more.")
    for bars in combinations(range(parts + m - 1), m - 1):
        ends = (-1, *bars, parts + m - 1)
        yield tuple(Fraction(b - a - 1, parts) for a, b in zip(ends, ends[1:]))


def equilibria(game: Game, parts: int) -> list[Equilibrium]:
    """Every equilibrium whose law has masses in multiples of 1 / parts, by trying them all; the theorem isn't used."""
    found = (supported(game, p) for p in laws(_game(game).m, parts))
    return [e for e in found if e is not None]


# ----------------------------------------------------------------------------------------------------------- the statements


def permitted(game: Game, p: Sequence) -> bool:
    """Whether the phase diagram of chapter 3 permits the law p (m,), without asking any player.

    lambda < 1: lambda P <= P_x everywhere.  lambda = 1: P = P_x.
    lambda > 1: lambda P >= P_x everywhere, with equality where M is not minimal.
    """
    w, bottom = advantage(game, p), min(game.ceiling)
    if game.ratio <= 1:
        return min(w) >= 0  # at lambda = 1 both sides sum to 1, so that this is equality
    return all(v <= 0 and (v == 0 or top == bottom) for v, top in zip(w, game.ceiling))


def predicted(game: Game, p: Sequence, delta: Sequence) -> bool:
    """The same for a pair, law p (m,) and drift delta (m,).

    lambda < 1: and delta = 0 on the data and on the support of P.
    lambda = 1: and delta is constant on the data and nowhere smaller.
    lambda > 1: and delta = min M on the support of P and nowhere smaller.
    """
    _drift(game, delta)
    if not permitted(game, p):
        return False
    support = [d for d, x, q in zip(delta, game.p_x, p) if x > 0 or q > 0]  # for lambda >= 1, that of P
    level = 0 if game.ratio < 1 else min(delta) if game.ratio == 1 else min(game.ceiling)
    return min(delta) >= level and all(d == level for d in support)


def covered(game: Game, p: Sequence):
    """The data's mass on the support of p (m,): what share of the data has a chance to be generated."""
    _law(game, p)
    return sum(x for x, q in zip(game.p_x, p) if q > 0)


def overlap(game: Game, p: Sequence):
    """sum_y min(P_x(y), P(y)) = 1 - total variation: 1 if p (m,) is the data's law, 0 if it misses the data."""
    _law(game, p)
    return sum(min(x, q) for x, q in zip(game.p_x, p))


# ----------------------------------------------------------------------------------------------------------------- dynamics


@dataclass(frozen=True)
class Play:
    """A run of `play`: the laws and drifts of every step, p and delta (steps, m), and their averages over the second half."""

    p: np.ndarray
    delta: np.ndarray

    @property
    def average(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean law (m,) and mean drift (m,) over the second half of the run."""
        half = len(self.p) // 2
        return self.p[half:].mean(0), self.delta[half:].mean(0)


def play(game: Game, start: Sequence, steps: int = 4000, rate: float = 0.05) -> Play:
    """Both players at once, by small steps: a projected gradient step for delta, a multiplicative one for P.

    start: (m,) the first law, every mass positive (a mass of 0 stays 0).  The drift starts at 0.  rate: of both steps.
    Averages of such play approach an equilibrium; the last step alone may go round in circles.
    """
    _law(game, start)
    p_x, ceiling = np.array(game.p_x, float), np.array(game.ceiling, float)
    ratio, p, delta = float(game.ratio), np.array(start, float), np.zeros(game.m)
    if p.min() <= 0:
        raise ValueError("a mass of the first law is 0 and would stay 0; give every point a little.")
    numbers = isinstance(steps, int | np.integer) and isinstance(rate, Real)
    if not numbers or steps < 2 or not 0 < rate * max(ceiling) < 100:
        raise ValueError(f"{steps} steps at rate {rate}; give 2 steps or more and a small positive rate, such as 0.05.")
    path = np.empty((2, steps, game.m))
    for t in range(steps):
        path[:, t] = p, delta
        drift = np.clip(delta - rate * game.m * (p_x - ratio * p), 0, ceiling)  # times m: a step as large on finer spaces
        p = p * np.exp(-rate * delta)
        p, delta = np.maximum(p / p.sum(), 1e-12), drift
        p = p / p.sum()
    return Play(*path)
