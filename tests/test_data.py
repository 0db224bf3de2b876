"""2D manifolds: distances against brute force, densities against integrals and histograms, samples on their support."""

import math

import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import torch
from checks import one_sentence

import ignbook.checkpoints
import ignbook.data

CURVES, DENSITIES = ("ring", "moons", "spiral"), ("gaussians", "checkerboard", "pinwheel")
WITH_DISTANCE = (*CURVES, "checkerboard")


def at(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ----------------------------------------------------------------------------------- supports, written down a second time


def arc(cx, cy, start, stop, n=20_001):
    t = np.linspace(start, stop, n)
    return np.stack([cx + np.cos(t), cy + np.sin(t)], -1)


def board_edges(n=2_001):
    """The borders of the eight black squares; the lower left one is black."""
    t, sides = np.linspace(0, 0.75, n), []
    for i in range(4):
        for j in range(4):
            if (i + j) % 2 == 0:
                x, y = -1.5 + 0.75 * i, -1.5 + 0.75 * j
                sides += [np.stack([x + t, np.full(n, b)], -1) for b in (y, y + 0.75)]
                sides += [np.stack([np.full(n, a), y + t], -1) for a in (x, x + 0.75)]
    return np.concatenate(sides)


def spiral_curve(n=40_001):
    t = np.linspace(0, 1, n)
    radius, angle = 0.15 + 1.2 * t, 3.5 * np.pi * t
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


DENSE = {  # points of the support, or of its border, at most 5e-4 apart
    "ring": lambda: arc(0, 0, 0, 2 * np.pi),
    "moons": lambda: np.concatenate([arc(-0.5, -0.25, 0, np.pi), arc(0.5, 0.25, np.pi, 2 * np.pi)]),
    "spiral": spiral_curve,
    "checkerboard": board_edges,
}


def on_black(y: np.ndarray) -> np.ndarray:
    cell = np.floor((y + 1.5) / 0.75)
    return (cell.sum(-1) % 2 == 0) & (cell >= 0).all(-1) & (cell <= 3).all(-1)


def queries() -> np.ndarray:
    """Points all over, some far away, and those where a distance is easy to get wrong: centres, ends, axes."""
    rng = np.random.default_rng(0)
    special = [
        [0, 0],
        [-0.5, -0.25],
        [0.5, 0.25],
        [0.5, -0.25],
        [-1.5, -0.25],
        [0.15, 0],
        [1, 0],
        [-1, 0],
        [0, 1e-7],
        [-0.5, -1.3],
        [0, -1.35],
    ]
    return np.concatenate([rng.uniform(-2, 2, (600, 2)), rng.normal(0, 0.2, (100, 2)), rng.uniform(-9, 9, (50, 2)), special])


@pytest.mark.parametrize("name", WITH_DISTANCE)
def test_distance_is_that_to_the_nearest_point(name):
    y = queries()
    brute = scipy.spatial.cKDTree(DENSE[name]()).query(y)[0]
    if name == "checkerboard":
        brute[on_black(y)] = 0
    found = ignbook.data.manifold(name).distance(torch.tensor(y, dtype=torch.float32)).double().numpy()
    assert found.shape == (len(y),)
    assert (found <= brute + 2e-6).all(), "farther than a point of the support"
    assert (found >= brute - 3e-4).all(), "nearer than any point of the support"


@pytest.mark.parametrize("name", WITH_DISTANCE)
def test_distance_is_zero_on_samples_and_grows_off_them(name):
    m = ignbook.data.manifold(name)
    x = m.sample(5_000, at(1))
    assert m.distance(x).max() < 2e-6
    shifted = m.distance(x + torch.tensor([0.01, 0.0]))
    assert shifted.max() <= 0.01 + 1e-5 and shifted.max() > 0.009  # a distance never changes faster than y does


# ------------------------------------------------------------------------------------------------------------- densities


def midpoints(side: float, n: int) -> torch.Tensor:
    """Centres of n by n cells on [-side, side]^2: (n * n, 2), double."""
    t = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * side / n) - side
    return torch.cartesian_prod(t, t)


@pytest.mark.parametrize("name", DENSITIES)
def test_density_integrates_to_one(name):
    side, n = 3.0, 800  # cells of 0.0075: a hundredth of a square of the board, a tenth of a Gaussian's deviation
    density = ignbook.data.manifold(name).log_density(midpoints(side, n)).exp()
    assert density.sum().item() * (2 * side / n) ** 2 == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", DENSITIES)
def test_density_agrees_with_a_histogram(name):
    """Chi squared over cells of 0.075, each cell's probability integrated on 8 by 8 points."""
    side, bins, fine, n = 2.4, 64, 8, 200_000
    m = ignbook.data.manifold(name)
    x = m.sample(n, at(2)).double()
    assert (x.abs() < side).double().mean() > 0.9999
    counts, *_ = np.histogram2d(*x.T.numpy(), bins=bins, range=[[-side, side]] * 2)
    density = m.log_density(midpoints(side, bins * fine)).exp().reshape(bins, fine, bins, fine)
    expected = n * density.sum((1, 3)).numpy() * (2 * side / (bins * fine)) ** 2
    busy = expected >= 10
    chi, free = ((counts - expected)[busy] ** 2 / expected[busy]).sum(), busy.sum()
    assert free > 100 and abs(chi - free) < 5 * math.sqrt(2 * free)
    assert abs(counts[~busy].sum() - expected[~busy].sum()) < 5 * math.sqrt(expected[~busy].sum() + 1)


@pytest.mark.parametrize("name", DENSITIES)
def test_density_is_the_same_in_both_precisions_and_finite_on_samples(name):
    m = ignbook.data.manifold(name)
    x = m.sample(1_000, at(3))
    single, double = m.log_density(x), m.log_density(x.double())
    assert single.shape == (1_000,) and torch.isfinite(single).all()
    torch.testing.assert_close(single.double(), double.double(), atol=1e-3, rtol=1e-4)


def test_the_board_has_no_density_on_white_squares():
    m, y = ignbook.data.manifold("checkerboard"), midpoints(2.0, 64)
    black = torch.from_numpy(on_black(y.numpy()))
    assert torch.equal(torch.isfinite(m.log_density(y)), black)
    assert torch.equal(m.distance(y) == 0, black)


# ---------------------------------------------------------------------------------------------- samples along the curves


def uniform(u: torch.Tensor) -> None:
    assert scipy.stats.kstest(u.double().numpy(), "uniform").pvalue > 1e-3


def test_ring_is_uniform_in_the_angle():
    x = ignbook.data.manifold("ring").sample(20_000, at(4))
    uniform(torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) + 0.5)


def test_moons_are_uniform_on_two_half_circles():
    x = ignbook.data.manifold("moons").sample(20_000, at(5))
    upper, lower = x - torch.tensor([-0.5, -0.25]), -(x - torch.tensor([0.5, 0.25]))
    first = ((upper.norm(dim=-1) - 1).abs() < 1e-5) & (upper[:, 1] >= -1e-6)
    assert abs(first.double().mean() - 0.5) < 5 * 0.5 / math.sqrt(20_000)
    for v in (upper[first], lower[~first]):
        uniform(torch.atan2(v[:, 1], v[:, 0]).clamp(0, math.pi) / math.pi)


def test_spiral_has_the_square_of_its_parameter_uniform():
    x = ignbook.data.manifold("spiral").sample(20_000, at(6))
    uniform(((x.norm(dim=-1) - 0.15) / 1.2).clamp(0, 1).square())


# ------------------------------------------------------------------------------------------------------ of every manifold


@pytest.mark.parametrize("name", ignbook.data.MANIFOLDS)
def test_it_is_about_one_in_size_and_says_what_it_knows(name):
    m = ignbook.data.manifold(name)
    x = m.sample(20_000, at(7))
    assert m.name == name and x.shape == (20_000, 2) and x.dtype == torch.float32
    assert x.mean(0).norm() < 0.4 and 0.5 < x.std(0).mean() < 1.2 and x.abs().max() < 2.4
    assert (m.distance is not None) == (name in WITH_DISTANCE)
    assert (m.log_density is not None) == (name in DENSITIES)


@pytest.mark.parametrize("name", ignbook.data.MANIFOLDS)
def test_modes_lie_on_the_support_and_share_the_data_evenly(name):
    m = ignbook.data.manifold(name)
    x = m.sample(40_000, at(8))
    if m.distance is not None:
        assert m.distance(m.modes).max() < 1e-5
    else:  # a mode is where the density is high
        assert (m.log_density(m.modes) > m.log_density(x).quantile(0.5)).all()
    share = torch.bincount(torch.cdist(x, m.modes).argmin(1), minlength=len(m.modes)).double() / len(x)
    slack = 0.35 if name == "spiral" else 0.1  # the spiral's points are spread evenly only about
    assert (share * len(m.modes) - 1).abs().max() < slack


@pytest.mark.parametrize("name", ignbook.data.MANIFOLDS)
def test_samples_come_from_the_generator_and_from_nothing_else(name):
    m, state = ignbook.data.manifold(name), torch.get_rng_state()
    g = at(9)
    first, second = m.sample(100, g), m.sample(100, g)
    assert torch.equal(first, ignbook.data.manifold(name).sample(100, at(9)))
    assert not torch.equal(first, second) and not torch.equal(first, m.sample(100, at(10)))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ignbook.data.MANIFOLDS)
def test_points_are_a_fixed_training_set(name):
    x = ignbook.data.points(name, 500, seed=3)
    assert x.shape == (500, 2) and torch.equal(x, ignbook.data.points(name, 500, seed=3))
    assert not torch.equal(x, ignbook.data.points(name, 500, seed=4))
    assert torch.equal(x, ignbook.data.manifold(name).sample(500, at(3)))


def test_points_are_fifty_thousand_of_seed_zero_unless_told():
    assert torch.equal(ignbook.data.points("ring"), ignbook.data.points("ring", 50_000, 0))


@pytest.mark.parametrize("ask", [ignbook.data.manifold, ignbook.data.points])
def test_an_unknown_name_is_answered_with_the_known_ones(ask):
    with pytest.raises(
        ValueError, match=r"'torus' is unknown; use one of: ring, moons, spiral, gaussians, checkerboard, pinwheel\."
    ):
        ask("torus")


def test_results_are_found_by_name_and_an_unknown_one_gets_one_sentence():
    assert ignbook.data.result("step")["runs"][0]["rows"].keys() >= {"one graph, float32", "one graph, bf16"}
    with pytest.raises(FileNotFoundError, match="there is no results/nothing.json") as caught:
        ignbook.data.result("nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ignbook.data.MANIFOLDS)
def test_whole_numbers_have_the_distance_and_density_of_the_same_floats(name):
    m, y = ignbook.data.manifold(name), torch.tensor([[0, 0], [1, 0], [-1, 1], [2, -1]])
    for of in (m.distance, m.log_density):
        if of is not None:
            assert torch.equal(of(y), of(y.float())) and of(y).is_floating_point()
            for bad in (y * math.nan, y[0], torch.zeros(3, 3), y[:0]):
                with pytest.raises(ValueError) as caught:
                    of(bad)
                one_sentence(caught)


def test_a_seed_in_place_of_a_generator_is_told_how_to_become_one():
    for call in (
        lambda: ignbook.data.manifold("ring").sample(5, 3),
        lambda: ignbook.data.draw_attributes(5, 3),
        lambda: ignbook.data.add_noise(torch.zeros(2, 1, 4, 4), 0.1, 3),
    ):
        with pytest.raises(TypeError, match=r"pass torch.Generator\(\).manual_seed\(3\)") as caught:
            call()
        one_sentence(caught)


def test_damaged_results_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(ignbook.checkpoints, "shipped", lambda folder: tmp_path / folder)
    path = tmp_path / "results" / "cut.json"
    path.parent.mkdir()
    path.write_text('{"rows": [1, 2')
    with pytest.raises(ValueError, match="cut.json is damaged") as caught:
        ignbook.data.result("cut")
    one_sentence(caught)
