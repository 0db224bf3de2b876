"""The measures that experiments bring along, on networks and points where the answer is known."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))

import broad
import latent_ign
import one_step
import parts_2d
import refine
import sources

import ign_core
import ignbook.data
import ignbook.projector
import ignbook.recipes


def test_orbits_are_iterates_and_move_by_what_lies_between():
    def halved(y):
        return y / 2

    y = torch.ones(3, 1, 4, 4)
    path = refine.orbit(halved, y)
    assert {k: image.unique().item() for k, image in path.items()} == {k: 0.5**k for k in (1, 2, 3, 5, 10)}
    away = refine.moved(path)
    assert away["2"] == 0 and away["1"] == pytest.approx(0.125) and away["10"] == pytest.approx((0.25 - 2**-10) / 2)


def test_of_the_ablation_the_shipped_model_is_not_trained_again():
    found = {run: sources.shipped(recipe) for run, recipe in ignbook.recipes.SWEEPS["source"].items()}
    assert [run for run, model in found.items() if model] == ["longer-s0"]
    assert found["longer-s0"].card == ign_core.load("faces").card


def test_the_toy_has_the_shares_that_it_says():
    x = parts_2d.data(10_000, 0)
    assert parts_2d.on(x, parts_2d.INNER) == pytest.approx(parts_2d.RARE, abs=0.01)
    assert parts_2d.on(x, 1.0) == pytest.approx(1 - parts_2d.RARE, abs=0.01)
    rows = ignbook.data.result("parts_2d")["rows"]
    assert {row["share"] for row in rows} == set(parts_2d.SHARES) and len(rows) == len(parts_2d.SHARES) * len(parts_2d.SEEDS)
    for row in rows:
        assert row["bound"] == pytest.approx(min(1, parts_2d.RARE / (parts_2d.RATIO * row["share"])))


def test_a_bridge_gives_the_steadiest_of_several(generator):
    faces = ignbook.data.draw_faces(ignbook.data.draw_attributes(6, generator))
    f, y = torch.nn.Tanh(), ignbook.projector.grey(faces)
    model = ign_core.Model(f, ign_core.FourierSource.of(faces), {})
    found = broad.bridged(model, y, ignbook.projector.tinted)
    one, best = found["bridge"], found[f"bridge of {broad.DRAWS}"]
    assert one.shape == best.shape == faces.shape and broad.colour(one) > 0.01 > broad.colour(y)
    assert (ign_core.drift(f, best) <= ign_core.drift(f, one) + 1e-6).all()


def test_a_flow_that_knows_the_data_arrives_in_any_number_of_steps(generator):
    """With the true x as its guess every path is straight, so each number of Euler steps ends at x."""
    pytest.importorskip("flow_matching", reason="flow_matching is not installed; install the extra `experiments`")
    recipe = ignbook.recipes.recipe("mnist-quick")
    flow, x = one_step.Flow(recipe), torch.rand(3, *recipe.shape, generator=generator) * 2 - 1
    assert flow(x, torch.full((3,), 0.5)).shape == x.shape
    flow.guess = lambda y, t: x
    z = torch.randn(x.shape, generator=generator)
    for flow.times in (1, 2, 7):
        assert torch.allclose(flow(z), x, atol=1e-5)
    assert one_step.flow_loss(lambda y, t: y, x, x).total < 1e-12  # between x and x lies x
    times = torch.tensor([1 / 6, 1 / 2, 5 / 6]).reshape(-1, 1, 1, 1)
    by_hand = ((1 - times) * z + times * x - x).square().mean()
    assert one_step.flow_loss(lambda y, t: y, x, z).total.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_a_student_is_shown_the_teachers_noise_and_asked_for_its_sample(generator):
    z, made = torch.randn(2, 4, 1, 8, 8, generator=generator).unbind()
    pairs = torch.cat([z, made], 2)
    losses = one_step.student_loss(lambda y: y, pairs, z)
    assert losses.total.item() == pytest.approx((z - made).abs().mean().item(), rel=1e-6)


def test_the_autoencoders_codes_are_images_of_an_eighth_of_the_side():
    recipes = latent_ign.recipes({"autoencoder": 1, "codes": 1, "pixels": 1})
    auto = latent_ign.Autoencoder(recipes["autoencoder"])
    codes = auto.encoder(torch.zeros(2, *recipes["autoencoder"].shape))
    assert codes.shape[1:] == recipes["codes"].shape and codes.abs().max() <= 1
    assert auto.decoder(codes).shape[1:] == recipes["pixels"].shape == ign_core.build(recipes["pixels"]).shape
