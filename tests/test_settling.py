"""Settling: the loss against its formula, sample by sample; what it keeps and what it brings to rest."""

from dataclasses import replace

import pytest
import torch
from checks import one_sentence, same
from torch import nn

import ign_core
import ignbook.baselines as B
import ignbook.data
from ignbook.settling import TIMES, Settling

IMAGES = ign_core.Recipe("images", data="mnist", size=28, width=8, code=16, batch=10, steps=4, precision="32-true", clip=None)
POINTS = ign_core.Recipe(
    "points", data="moons", net="mlp", width=64, source="gaussian", tightness=15.0, lr=2e-3, lr_end=0.1, batch=256,
    steps=600, precision="32-true",
)  # fmt: skip


@pytest.fixture
def x(generator):
    return torch.rand(40, 1, 28, 28, generator=generator) * 2 - 1


class Shift(nn.Module):
    """y -> y / 2 + a: every number that the loss takes of it can be worked out by hand."""

    def __init__(self, a: float):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, y):
        return y / 2 + self.a


def orbits(u, a):
    """Each u after as many applications of y -> y / 2 + a as the loss shows f."""
    shown = []
    for i, one in enumerate(u):
        for _ in range(TIMES[i * len(TIMES) // len(u)]):
            one = one / 2 + a
        shown.append(one)
    return torch.stack(shown)


@pytest.mark.parametrize("keeps", [False, True])
def test_the_loss_is_its_formula_sample_by_sample(generator, keeps):
    f, first = Shift(0.1), Shift(0.3)
    x, z = torch.randn(10, 2, generator=generator), torch.randn(10, 2, generator=generator)
    losses = Settling(first, {}, keeps)(f, x, z, distance="l1", reconstruction=3.0, idempotence=5.0, tightness=0.0, clamp=None)
    a = z / 2 + 0.3
    fa, fx = a / 2 + 0.1, x / 2 + 0.1
    y = a if keeps else fa
    u = torch.stack([y[::2], fx[::2]], 1).flatten(0, 1)
    back = (u - (orbits(u, 0.1) / 2 + 0.1)).abs().mean(1)
    sent = (y - (z / 2 + 0.1)).abs().mean(1)
    torch.testing.assert_close(losses.idempotence, back)
    torch.testing.assert_close(losses.reconstruction, (x - fx).abs().mean(1))
    torch.testing.assert_close(losses.tightness, sent)
    expected = 3 * ((x - fx).abs().mean() + (a - fa).abs().mean()) + 5 * (sent.mean() + 2 * back.mean())
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_remedies_are_told_of_the_answers_and_of_what_f_makes_of_them(generator):
    f, x, z = Shift(0.1), torch.randn(10, 2, generator=generator), torch.randn(10, 2, generator=generator)
    weights = {"distance": "l1", "reconstruction": 3.0, "idempotence": 5.0}

    def extra(f, x, z, fx, fz):  # a number that each of its arguments changes
        return (x.sum() + 2 * z.sum() + 3 * fx.sum() + 5 * fz.sum()) * f.a

    a = z / 2 + 0.3
    expected = (x.sum() + 2 * a.sum() + 3 * (x / 2 + 0.1).sum() + 5 * (a / 2 + 0.1).sum()) * 0.1
    alone, more = (Settling(Shift(0.3), {})(f, x, z, extra=term, **weights).total for term in (None, extra))
    assert (more - alone).item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_recipe_that_settles_may_name_remedies(tmp_path, x):
    ign_core.save(B.train(IMAGES, x, progress=False), tmp_path / "before")
    recipe = replace(IMAGES, name="after", method="keep", start=str(tmp_path / "before"), tightness=0.0)
    alone, matched = (B.train(replace(recipe, extras=of), x, progress=False) for of in ({}, {"part-matching": 1.0}))
    assert not same(alone.f, matched.f)


def test_targets_and_orbits_are_held_fixed(generator):
    f, x = Shift(0.1), torch.full((10, 2), 0.5)
    total = Settling(Shift(0.1), {})(f, x, x, distance="l2", reconstruction=0.0, idempotence=1.0).total
    (slope,) = torch.autograd.grad(total, f.a)
    a = torch.full((10, 2), 0.35)
    y, fx = a / 2 + 0.1, x / 2 + 0.1
    u = torch.stack([y, fx], 1)[::2].flatten(0, 1)
    shown = orbits(u, 0.1)

    def value(v):  # of f with a = v, where it is trained, and 0.1 everywhere else
        return (y - (x / 2 + v)).square().mean() + 2 * (u - (shown / 2 + v)).square().mean()

    numeric = (value(0.1 + 1e-3) - value(0.1 - 1e-3)) / 2e-3
    assert slope.item() == pytest.approx(numeric.item(), rel=1e-3)


def test_images_beyond_the_range_are_answered_as_the_nearest_within_and_noise_is_not(x):
    first = B.build(IMAGES).eval()
    z = 2 * x[:10]
    answers = Settling(first, {"noisy": 0.4}).answers(z)
    torch.testing.assert_close(answers[:6], first(z[:6]))
    torch.testing.assert_close(answers[6:], first(z[6:].clamp(-1, 1)))
    assert not torch.allclose(answers[6:], first(z[6:]))


def test_after_settling_f_answers_as_before_and_rests(tmp_path):
    data = ignbook.data.points("moons", 5_000)
    played = B.train(POINTS, data, progress=False)
    ign_core.save(played, tmp_path / "played")
    settling = replace(POINTS, name="settled", method="settle", start=str(tmp_path / "played"), tightness=0.0, lr_end=0.01)
    settled = B.train(settling, data, progress=False)
    z = played.source.sample(500, torch.Generator().manual_seed(1))
    orbits = {name: ign_core.iterate(model.f, z, 10) for name, model in (("played", played), ("settled", settled))}
    moved = {name: ign_core.l1(orbit[0], orbit[-1]).mean() for name, orbit in orbits.items()}
    assert moved["settled"] < 0.75 * moved["played"]  # .56 to .61 with three seeds
    assert ign_core.l1(orbits["played"][0], orbits["settled"][0]).mean() < 0.25 * ign_core.l1(z, orbits["played"][0]).mean()


@pytest.mark.parametrize("method", ["settle", "keep"])
def test_a_settled_model_is_saved_loaded_repeated_and_resumed(tmp_path, x, method):
    ign_core.save(B.train(IMAGES, x, progress=False), tmp_path / "before")
    recipe = replace(IMAGES, name="after", method=method, start=str(tmp_path / "before"), tightness=0.0, mixture={"noisy": 0.3})
    a, b = (B.train(recipe, x, progress=False) for _ in range(2))
    assert same(a.f, b.f) and not same(a.f, ign_core.load(tmp_path / "before").f)
    ign_core.save(a, tmp_path / "after")
    assert same(a.f, ign_core.load(tmp_path / "after").f)

    def stop(step, f):
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        B.train(recipe, x, progress=False, folder=tmp_path / "run", every=1, callback=stop)
    assert same(a.f, B.train(recipe, x, progress=False, folder=tmp_path / "run", every=1, resume=True).f)


def test_settling_from_nothing(x):
    with pytest.raises(ValueError, match="starts from no checkpoint") as caught:
        B.train(replace(IMAGES, method="settle"), x, progress=False)
    one_sentence(caught)
