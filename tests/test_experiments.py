"""The measures that experiments bring along, on networks and points where the answer is known."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "experiments"))

import broad
import parts_2d
import refine

import ign_core
import ignbook.data
import ignbook.projector


def test_orbits_are_iterates_and_move_by_what_lies_between():
    def halved(y):
        return y / 2

    y = torch.ones(3, 1, 4, 4)
    path = refine.orbit(halved, y)
    assert {k: image.unique().item() for k, image in path.items()} == {k: 0.5**k for k in (1, 2, 3, 5, 10)}
    away = refine.moved(path)
    assert away["2"] == 0 and away["1"] == pytest.approx(0.125) and away["10"] == pytest.approx((0.25 - 2**-10) / 2)


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
