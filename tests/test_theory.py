"""ignbook.theory: the phase diagram of chapter 3 against searches that do not know it, and best responses against a solver."""

from fractions import Fraction as F
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog

import ignbook.theory as th

RATIOS = [F(0), F(1, 4), F(1, 2), F(3, 4), F(1), F(3, 2), F(2), F(3)]


def random_game(seed: int, ratio, m: int = 3, mass: int = 6) -> th.Game:
    """Masses in multiples of 1/mass, some of them 0, and ceilings of 1 and 2."""
    rng = np.random.default_rng(seed)
    return th.game(rng.multinomial(mass, rng.dirichlet(np.full(m, 0.8))), rng.integers(1, 3, m), ratio)


def pairs(game: th.Game, parts: int):
    """Every law in multiples of 1/parts with every drift in halves."""
    drifts = list(product(*[[F(k, 2) for k in range(2 * int(top) + 1)] for top in game.ceiling]))
    for p in th.laws(game.m, parts):
        for delta in drifts:
            yield p, delta


def by_search(game: th.Game, parts: int) -> dict:
    """{(p, delta): is it an equilibrium}, comparing with every corner of both players' choices; uses no best response.

    Both losses are linear in what their player chooses, so that a corner is among the best choices.
    """
    corners = list(product(*[(F(0), top) for top in game.ceiling]))
    answer = {}
    for p, delta in pairs(game, parts):
        w = [x - game.ratio * q for x, q in zip(game.p_x, p)]
        dot = lambda a, b: sum(i * j for i, j in zip(a, b))  # noqa: E731
        key = ("best", p)
        if key not in answer:
            answer[key] = min(dot(w, c) for c in corners)
        best_law = min(dot([F(i == j) for j in range(game.m)], delta) for i in range(game.m))
        answer[p, delta] = dot(w, delta) == answer[key] and dot(p, delta) == best_law
    return {k: v for k, v in answer.items() if k[0] != "best"}


GAMES = [(seed, ratio) for ratio in RATIOS for seed in range(3)]


@pytest.fixture(scope="module")
def searched():
    """[(game, {(p, delta): is it an equilibrium})], by exhaustive search, over random games and every ratio."""
    return [(g := random_game(seed, ratio), by_search(g, 6)) for seed, ratio in GAMES]


# ------------------------------------------------------------------------------------------------------- the phase diagram


def mismatch(searched, claim) -> tuple | None:
    """The first game and pair about which the claim is wrong."""
    tried = ((game, pair, truth) for game, table in searched for pair, truth in table.items())
    return next(((game, pair) for game, pair, truth in tried if claim(game, *pair) != truth), None)


def test_the_phase_diagram_holds_pair_by_pair(searched):
    assert mismatch(searched, th.predicted) is None
    for ratio in RATIOS:  # and none of that is empty
        assert any(truth for game, table in searched if game.ratio == ratio for truth in table.values()), ratio


def test_is_equilibrium_and_gap_agree_with_the_search(searched):
    for game, table in searched:
        for (p, delta), truth in list(table.items())[::3]:
            assert th.is_equilibrium(game, p, delta) == truth
            if game.ratio > 0:
                assert (th.gap(game, p, delta) == 0) == truth
            assert th.gap(game, p, delta) >= 0


def wrong(name):
    """Statements that are nearly right."""

    def claim(game, p, delta):
        w, data = th.advantage(game, p), [i for i in range(game.m) if game.p_x[i] > 0]
        support, bottom = [i for i in range(game.m) if p[i] > 0], min(game.ceiling)
        right = th.predicted(game, p, delta)
        if name == "below 1, any law on the data's support" and game.ratio < 1:
            return set(support) <= set(data) and all(delta[i] == 0 for i in data)
        if name == "below 1, only the data's law" and game.ratio < 1:
            return right and tuple(p) == game.p_x
        if name == "below 1, the drift is 0 on the generated points only" and game.ratio < 1:
            return min(w) >= 0 and all(delta[i] == 0 for i in support)
        if name == "below 1, lambda the other way up" and 0 < game.ratio < 1:
            return all(q <= game.ratio * x for x, q in zip(game.p_x, p)) and all(delta[i] == 0 for i in data)
        if name == "at 1, the drift is 0 on the data" and game.ratio == 1:
            return tuple(p) == game.p_x and all(delta[i] == 0 for i in data)
        if name == "at 1, any drift" and game.ratio == 1:
            return tuple(p) == game.p_x
        if name == "above 1, the drift is at its own ceiling on the data" and game.ratio > 1:
            return min(delta) >= bottom and max(w) <= 0 and all(delta[i] == game.ceiling[i] for i in data)
        if name == "above 1, the excess may lie anywhere" and game.ratio > 1:
            return max(w) <= 0 and min(delta) >= bottom and all(delta[i] == bottom for i in support)
        if name == "above 1, the data's law" and game.ratio > 1:
            return right and tuple(p) == game.p_x
        return right

    return claim


WRONG = [
    "below 1, any law on the data's support",
    "below 1, only the data's law",
    "below 1, the drift is 0 on the generated points only",
    "below 1, lambda the other way up",
    "at 1, the drift is 0 on the data",
    "at 1, any drift",
    "above 1, the drift is at its own ceiling on the data",
    "above 1, the excess may lie anywhere",
    "above 1, the data's law",
]


def test_the_frame_of_the_wrong_statements_is_right(searched):
    assert mismatch(searched, wrong("none of them")) is None


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_phase_diagram_is_caught(searched, name):
    assert mismatch(searched, wrong(name)) is not None


@pytest.mark.parametrize("index", range(len(GAMES)))
def test_the_enumeration_finds_what_the_search_finds(searched, index):
    game, table = searched[index]
    found = {e.p: e for e in th.equilibria(game, 6)}
    assert set(found) >= {p for (p, _), truth in table.items() if truth}
    for (p, delta), truth in table.items():
        e = found.get(p)
        inside = e is not None and all(lo <= d <= hi for lo, d, hi in zip(e.low, delta, e.high))
        level = inside and all(d == min(delta) for d, q in zip(delta, p) if q > 0)
        assert level == truth
    for e in found.values():  # the lowest and highest levels are reached, and are equilibria
        for c in e.level:
            delta = [c if q > 0 else max(c, lo) for q, lo in zip(e.p, e.low)]
            assert th.is_equilibrium(game, e.p, delta)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ratio", RATIOS)
def test_larger_spaces(seed, ratio):
    """Five points, laws only: the enumeration against the statements about P, coverage and the level of the drift."""
    game = random_game(seed, ratio, m=5, mass=4)
    found = {e.p: e for e in th.equilibria(game, 8)}
    bottom = min(game.ceiling)
    for p in th.laws(5, 8):
        w = th.advantage(game, p)
        if ratio < 1:
            expected = min(w) >= 0
        elif ratio == 1:
            expected = p == game.p_x
        else:
            expected = all(v <= 0 and (v == 0 or top == bottom) for v, top in zip(w, game.ceiling))
        assert (p in found) == expected == th.permitted(game, p)
    for p, e in found.items():
        assert th.covered(game, p) >= min(ratio, 1)
        assert th.overlap(game, p) >= (ratio if ratio <= 1 else 1 / ratio)
        if ratio != 0:
            assert e.level == {True: (0, 0), False: (bottom, bottom)}[ratio < 1] if ratio != 1 else e.level == (0, bottom)


@pytest.mark.parametrize("weights", [[1, 1, 2], [4, 3, 1, 0], [1, 2, 3, 4, 6]])
def test_the_bound_below_1_is_attained(weights):
    """lambda equal to the mass of a set of points: all of P may stand there, in the data's proportions."""
    share = F(weights[0], sum(weights))
    game = th.game(weights, [1] * len(weights), share)
    p = (F(1),) + (F(0),) * (len(weights) - 1)
    assert th.supported(game, p) is not None and th.covered(game, p) == share == th.overlap(game, p)
    more = th.game(weights, [1] * len(weights), share + F(1, 1000))
    assert th.supported(more, p) is None


# -------------------------------------------------------------------------------------------- best responses, value, saddle


@pytest.mark.parametrize("seed", range(20))
def test_best_responses_against_a_linear_programme(seed):
    rng = np.random.default_rng(seed)
    game = random_game(seed, RATIOS[seed % len(RATIOS)], m=4)
    p = list(th.laws(4, 6))[int(rng.integers(84))]
    w = np.array(th.advantage(game, p), float)
    best = linprog(w, bounds=[(0, float(top)) for top in game.ceiling])
    low, high = th.outer_response(game, p)
    assert best.fun == pytest.approx(float(th.outer_loss(game, p, low))) == pytest.approx(float(th.outer_loss(game, p, high)))
    assert best.fun == pytest.approx(-float(th.generator_loss(game, p)))
    for i in range(4):  # nothing outside of [low, high] is as good
        for value in (F(0), game.ceiling[i] / 2, game.ceiling[i]):
            other = [*low[:i], value, *low[i + 1 :]]
            same = th.outer_loss(game, p, other) == th.outer_loss(game, p, low)
            assert same == (low[i] <= value <= high[i])

    delta = [F(int(rng.integers(3)), 2) for _ in range(4)]
    lowest = linprog(np.array(delta, float), A_eq=np.ones((1, 4)), b_eq=[1], bounds=[(0, 1)] * 4)
    assert lowest.fun == pytest.approx(float(min(delta)))
    for p in th.laws(4, 3):
        on_lowest = {i for i in range(4) if p[i] > 0} <= set(th.inner_response(game, delta))
        assert on_lowest == (th.inner_loss(game, p, delta) == min(delta))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ratio", RATIOS)
def test_value_of_the_game(seed, ratio):
    """min over P of F(P), as a linear programme in (P, s) with s >= lambda P - P_x: min M times max(lambda - 1, 0)."""
    game = random_game(seed, ratio, m=5, mass=7)
    m, eye = game.m, np.eye(game.m)
    cost = np.r_[np.zeros(m), np.array(game.ceiling, float)]
    best = linprog(
        cost,
        A_ub=np.c_[float(ratio) * eye, -eye], b_ub=np.array(game.p_x, float),
        A_eq=np.r_[np.ones(m), np.zeros(m)][None], b_eq=[1],
        bounds=[(0, None)] * (2 * m),
    )  # fmt: skip
    assert best.fun == pytest.approx(float(min(game.ceiling) * max(ratio - 1, 0)), abs=1e-9)


@pytest.mark.parametrize("ratio", ["1/8", "1/2", "1", "2"])
def test_play_approaches_an_equilibrium(ratio):
    rng = np.random.default_rng(0)
    game = th.game(rng.integers(1, 9, 6), [2, 2, 1, 1, 2, 3], ratio)
    start = np.full(6, 1e-3) + np.eye(6)[0] * (1 - 6e-3)
    run = th.play(game, start, steps=20_000, rate=0.02)
    p, delta = run.average
    assert run.p.shape == run.delta.shape == (20_000, 6)
    assert 0 <= th.gap(game, p, delta) + 1e-12 < 0.02
    assert th.is_equilibrium(game, p, delta, tol=0.02)
    settled = th.is_equilibrium(game, start, np.zeros(6), tol=0.02)  # the collapsed start is one already at 1/8
    assert settled == (game.p_x[0] > game.ratio)
    assert (th.overlap(game, p) < 0.5) == settled


# ------------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "weights, ceiling, ratio, error, words",
    [
        ([1], [1], 1, ValueError, "2 points or more"),
        ([1, 2], [1, 1, 1], 1, ValueError, "one of each"),
        ([1, -1], [1, 1], 1, ValueError, "negative"),
        ([0, 0], [1, 1], 1, ValueError, "must be positive"),
        ([1, 1], [1, 0], 1, ValueError, "largest drift"),
        ([1, 1], [1, 1], -1, ValueError, "lambda is -1"),
        ([0.5, 0.5], [1, 1], 1, TypeError, "exact numbers"),
        ([1, 1], [1, 1], 0.125, TypeError, "exact numbers"),
    ],
)
def test_bad_games(weights, ceiling, ratio, error, words):
    with pytest.raises(error, match=words):
        th.game(weights, ceiling, ratio)


def test_bad_laws_and_drifts():
    game = th.game([1, 1], [1, 2], "1/2")
    for p in ([1, 1], [F(3, 2), F(-1, 2)], [1], [F(1, 3), F(1, 3)]):
        with pytest.raises(ValueError, match="law on 2 points"):
            th.outer_response(game, p)
    for delta in ([0, 3], [-1, 0], [0]):
        with pytest.raises(ValueError, match="drift on 2 points"):
            th.inner_response(game, delta)
    for bad in ([[0, 1], [1]], [[1, 1], [1, 0]]):
        with pytest.raises(ValueError, match="square matrix"):
            th.ceilings(bad)
    with pytest.raises(ValueError, match="1 or more"):
        list(th.laws(2, 0))
    with pytest.raises(ValueError, match="stay 0"):
        th.play(game, [1, 0])
    with pytest.raises(ValueError, match="2 steps or more"):
        th.play(game, [0.5, 0.5], steps=1)


def test_small_things():
    assert th.ceilings([[0, 1, 2], [1, 0, 1], [2, 1, 0]]) == (2, 1, 2)
    assert len(list(th.laws(3, 4))) == 15 and all(sum(p) == 1 for p in th.laws(3, 4))
    assert th.game(np.array([1, 3]), [1, 1], "1/8").p_x == (F(1, 4), F(3, 4))


def test_laws_and_drifts_that_are_no_numbers_are_refused():
    game, law, drift, nan = th.game([1, 1], [1, 2], "1/2"), [0.5, 0.5], [0, 1], float("nan")
    for call in (
        lambda: th.covered(game, [nan, 1]),
        lambda: th.advantage(game, [0.5, nan]),
        lambda: th.inner_loss(game, law, [nan, 0]),
        lambda: th.outer_loss(game, law, [0]),  # zip would stop at the shorter one
        lambda: th.is_equilibrium(game, law, drift, tol=nan),
        lambda: th.play(game, [nan, 1]),
        lambda: th.play(game, law, rate=float("inf")),
        lambda: th.game([1, "x"], [1, 1], 1),
        lambda: th.ceilings([]),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value).endswith(".") and "\n" not in str(error.value)
    for call in (lambda: th.covered(3, law), lambda: th.covered(game, 3), lambda: th.game(None, [1, 1], 1)):
        with pytest.raises(TypeError) as error:
            call()
        assert str(error.value).endswith(".") and "\n" not in str(error.value)
