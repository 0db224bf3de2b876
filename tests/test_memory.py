"""The memory of a step, against counts by hand."""

import sys
from pathlib import Path

import pytest
import torch

from ign_core import Recipe

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import memory

ABOUT: dict = {"net": "mlp", "source": "gaussian", "precision": "32-true"}


def test_what_lives_at_most_of_a_small_network():
    """Two layers, 1,000 samples: the numbers of each moment of forward and backward, bytes by hand."""
    n, a, b = 1_000, 6, 4
    x, first, second = torch.randn(n, a), torch.randn(a, b, requires_grad=True), torch.randn(b, 1, requires_grad=True)
    with memory.Live([x, first, second]) as live:
        held = 4 * (n * a + a * b + b)
        assert live.now == held
        h = (x @ first).tanh()
        assert (live.now, live.peak) == (held + 4 * n * b, held + 8 * n * b)  # before the tanh is gone after it
        y = h @ second
        view = y.view(-1)  # no memory of its own
        assert live.now == held + 4 * n * (b + 1) and view.shape == (n,)
        del h  # kept for the backward
        assert live.now == held + 4 * n * (b + 1)
        view.sum().backward()
        del y, view
        assert live.now == held + 4 * (a * b + b)  # gradients


def test_weights_gradients_moments_average_and_the_literal_copy_count():
    """A wide network and one sample: all else is small.  A layer's new gradient, or Adam's update, comes on top for a moment."""
    recipe = Recipe("wide", "none", width=500, depth=20, batch=1, **ABOUT)
    weights = 4 * (2 * 500 + 500 + 19 * (500**2 + 500) + 500 * 2 + 2)
    one, literal = memory.peak(recipe, "cpu"), memory.peak(recipe, "cpu", literal=True)
    assert 5 * weights < one < 7 * weights  # f, gradient, two moments, average
    assert literal - one == pytest.approx(weights, rel=0.01)


def test_what_the_passes_keep_is_counted_and_recomputing_keeps_less():
    recipe = Recipe("deep", "none", width=100, depth=20, batch=5_000, **ABOUT)
    layers = 4 * 20 * 100 * 2  # bytes of a sample in one application: before and after each SiLU
    one, literal, less = (memory.peak(recipe, "cpu", **how) for how in ({}, {"literal": True}, {"recompute": True}))
    assert 3 * 5_000 * layers < one < 1.1 * 3 * 5_000 * layers  # of x, z and f(z)
    # the copy, which is not trained, keeps what is before each SiLU alone
    assert 3.5 * 5_000 * layers < literal < 1.1 * 3.5 * 5_000 * layers
    assert 2 * 5_000 * layers < less < 1.1 * 2 * 5_000 * layers  # x and z at once, when it is computed again
    assert one == memory.peak(recipe, "cpu")
