"""Paths, directions, stretch and inversion, on networks and sources whose answers are known."""

import math

import pytest
import torch
from checks import one_sentence
from torch import nn

import ign_core
import ignbook.latent
from ign_core import FourierSource, GaussianSource

SHAPE = (1, 8, 8)
DATA = torch.nn.functional.avg_pool2d(torch.rand(50, 1, 24, 24, generator=torch.Generator().manual_seed(0)), 3) * 2 - 1
SOURCES = [GaussianSource(SHAPE, 0.7), FourierSource.of(DATA)]


def radius(source, z):
    return source.whiten(z).flatten(1).norm(dim=1)


@pytest.mark.parametrize("kind", ignbook.latent.PATHS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_a_path_goes_from_one_end_to_the_other(source, kind, generator):
    a, b = source.sample(5, generator), source.sample(5, generator)
    path = ignbook.latent.path(source, a, b, kind, steps=7)
    assert path.shape == (7, 5, *SHAPE)
    assert torch.allclose(path[0], a, atol=1e-5) and torch.allclose(path[-1], b, atol=1e-5)
    steps = (path[1:] - path[:-1]).flatten(2).norm(dim=2)
    assert (steps < 0.45 * (a - b).flatten(1).norm(dim=1)).all()  # no jumps


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_the_white_arc_stays_among_the_draws_and_the_line_does_not(source, generator):
    a, b = source.sample(50, generator), source.sample(50, generator)
    middle = {kind: ignbook.latent.path(source, a, b, kind, steps=3)[1] for kind in ignbook.latent.PATHS}
    ends = (radius(source, a) + radius(source, b)) / 2
    assert torch.allclose(radius(source, middle["spherical, white"]), ends, rtol=1e-3)
    assert (radius(source, middle["linear"]) < 0.85 * ends).all()  # 0.71 of it, for many dimensions


def test_an_arc_by_hand():
    a, b = torch.tensor([[2.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 2.0], [1.0, 0.0], [-1.0, 0.0]])
    third = ignbook.latent.arc(a, b, 1 / 3)
    assert torch.allclose(third[0], torch.tensor([2 * math.cos(math.pi / 6), 2 * math.sin(math.pi / 6)]))
    assert torch.allclose(third[1], torch.tensor([1.0, 0.0])) and torch.isfinite(third[2]).all()
    assert torch.allclose(ignbook.latent.arc(a[:1], 2 * b[:1], 0.5).norm(), torch.tensor(3.0))


def test_bad_paths():
    z = SOURCES[0].sample(2)
    for call in (lambda: ignbook.latent.path(SOURCES[0], z, z, "crooked"), lambda: ignbook.latent.path(SOURCES[0], z, z[:1])):
        with pytest.raises(ValueError) as error:
            call()
        one_sentence(error)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_an_analogy_is_the_sum_in_white_numbers_and_as_long_as_a_draw(source, generator):
    plus, minus, other = (source.sample(20, generator) for _ in range(3))
    z = ignbook.latent.analogy(source, plus, minus, other)
    wanted = (source.whiten(plus) - source.whiten(minus) + source.whiten(other)).flatten(1)
    assert torch.nn.functional.cosine_similarity(source.whiten(z).flatten(1), wanted).min() > 0.9999
    assert torch.allclose(radius(source, z), torch.full((20,), 8.0), rtol=1e-4)  # the root of 64 numbers
    assert wanted.norm(dim=1).mean() > 12  # the sum is longer by the root of 3


def test_codes_and_back(generator):
    f = ign_core.ConvAutoencoder(8, 1, 8, 6).eval()
    y = torch.rand(3, *SHAPE, generator=generator)
    code = ignbook.latent.codes(f, y)
    assert code.shape == (3, 6) and torch.allclose(ignbook.latent.decoded(f, code), f(y), atol=1e-6)


@pytest.mark.parametrize("kind", [*ignbook.latent.PATHS, "codes"])
def test_a_walk_is_f_along_a_path(kind, generator):
    f, source = ign_core.ConvAutoencoder(8, 1, 8, 6).eval(), SOURCES[1]
    a, b = source.sample(3, generator), source.sample(3, generator)
    walk = ignbook.latent.walk(f, source, a, b, kind, steps=3)
    assert walk.shape == (3, 3, *SHAPE) and not walk.requires_grad
    assert torch.allclose(walk[0], f(a), atol=1e-5) and torch.allclose(walk[2], f(b), atol=1e-5)
    if kind == "codes":
        wanted = f.decoder((f.encoder(a) + f.encoder(b)) / 2)
    else:
        wanted = f(ignbook.latent.path(source, a, b, kind, 3)[1])
    assert torch.allclose(walk[1], wanted, atol=1e-5)


def test_a_projector_follows_moves_along_its_manifold_and_no_others(generator):
    class Plane(nn.Module):  # keeps the first half of the numbers and removes the rest
        def forward(self, y):
            return y * (torch.arange(64).reshape(SHAPE) < 32)

    y = torch.rand(4, *SHAPE, generator=generator)
    along = torch.rand(4, *SHAPE, generator=generator) * (torch.arange(64).reshape(SHAPE) < 32)
    across = torch.rand(4, *SHAPE, generator=generator) * (torch.arange(64).reshape(SHAPE) >= 32)
    for value in ignbook.latent.followed(Plane(), y, along):
        assert torch.allclose(value, torch.ones(4), atol=1e-4)
    assert (ignbook.latent.followed(Plane(), y, across)[1] < 1e-5).all()
    cosine, length = ignbook.latent.followed(Scaled(-0.5), y, along)
    assert torch.allclose(cosine, -torch.ones(4), atol=1e-4) and torch.allclose(length, torch.full((4,), 0.5), atol=1e-4)


def correlated(generator, n=4000):
    """Codes of two attributes that occur together, with noise; the true directions are rows of the matrix."""
    truth = torch.tensor([[1.0, 0.0, 0.5, 0.0], [0.0, 2.0, 0.0, -1.0]])
    a = torch.rand(n, 1, generator=generator)
    attributes = torch.cat([a, 0.7 * a + 0.3 * torch.rand(n, 1, generator=generator)], 1)
    return attributes, attributes @ truth + 0.1 * torch.randn(n, 4, generator=generator), truth


def test_regression_tells_apart_what_occurs_together_and_a_difference_does_not(generator):
    attributes, code, truth = correlated(generator)
    assert torch.allclose(ignbook.latent.regression(code, attributes, ridge=0), truth, atol=0.1)
    difference = ignbook.latent.difference(code, attributes[:, 0] > 0.5)
    assert torch.allclose(difference, code[attributes[:, 0] > 0.5].mean(0) - code[attributes[:, 0] <= 0.5].mean(0))
    assert difference[1] > 0.5  # of the other attribute


@pytest.mark.parametrize("has", [torch.zeros(5).bool(), torch.ones(5).bool()])
def test_a_difference_needs_both_kinds(has):
    with pytest.raises(ValueError) as error:
        ignbook.latent.difference(torch.rand(5, 3), has)
    one_sentence(error)


def test_principal_directions_are_those_of_the_covariance(generator):
    scale = torch.tensor([3.0, 1.0, 0.5, 0.1])
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator)).Q
    code = torch.randn(20_000, 4, generator=generator) * scale @ turn + 5
    directions, share = ignbook.latent.principal(code, 2)
    assert torch.allclose(directions.norm(dim=1), scale[:2], rtol=0.03)
    assert torch.allclose((directions @ turn.T).abs(), torch.diag(scale)[:2], atol=0.1)
    assert torch.allclose(share, scale.square()[:2] / scale.square().sum(), atol=0.01)
    assert torch.equal(ignbook.latent.principal(-code, 2)[0], ignbook.latent.principal(-code.clone(), 2)[0])


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, y):
        return y * self.factor


def test_stretch_of_a_linear_map(generator):
    source, length = SOURCES[0], 0.05
    moved = ignbook.latent.stretch(Scaled(0.5), source, source.sample(200, generator), length, 3, generator)
    assert moved.shape == (3, 200)
    assert torch.allclose(moved[1], moved[0] / 2) and torch.allclose(moved[2], moved[0] / 4)
    assert moved[0].mean().item() == pytest.approx(0.5 * 0.7 * length, rel=0.1)  # an arc of that angle, of radius 0.7 a pixel


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_inversion_finds_a_draw(source, generator):
    f = Scaled(0.3)
    z = source.sample(4, generator)
    e = source.whiten(z)
    z = source.from_white(e * (8 / e.flatten(1).norm(dim=1).reshape(-1, *[1] * (e.ndim - 1))))  # exactly on the sphere
    found = ignbook.latent.invert(f, source, f(z), steps=600, start=source.sample(4, generator))
    assert torch.allclose(radius(source, found), torch.full((4,), 8.0), rtol=1e-3)
    assert (f(found) - f(z)).square().mean() < 0.02 * f(z).square().mean()


def test_a_mask_of_ones_and_zeros_is_a_mask_and_no_index(generator):
    code, has = torch.randn(6, 3, generator=generator), torch.tensor([1, 0, 0, 1, 1, 0])
    expected = code[[0, 3, 4]].mean(0) - code[[1, 2, 5]].mean(0)
    for mask in (has, has.bool(), has.float(), has.to(torch.uint8)):
        assert torch.allclose(ignbook.latent.difference(code, mask), expected)
    for bad in (torch.tensor([0, 3, 4]), has[:4], has[:, None], 2 * has):
        with pytest.raises(ValueError, match="give a mask") as error:
            ignbook.latent.difference(code, bad)
        one_sentence(error)


def test_what_has_no_direction_is_not_put_on_a_sphere():
    source, f = SOURCES[0], Scaled(0.5)
    for call in (
        lambda: ignbook.latent.on_sphere(source, torch.stack([torch.zeros(SHAPE), torch.ones(SHAPE)])),
        lambda: ignbook.latent.invert(f, source, torch.zeros(2, *SHAPE)),
        lambda: ignbook.latent.followed(f, torch.ones(2, *SHAPE), torch.zeros(2, *SHAPE)),
        lambda: ignbook.latent.principal(torch.ones(5, 3), 1),
        lambda: ignbook.latent.regression(torch.rand(5, 3), torch.ones(5, 2)),
    ):
        with pytest.raises(ValueError) as error:
            call()
        one_sentence(error)
    start = source.sample(2, torch.Generator().manual_seed(0))
    assert torch.isfinite(ignbook.latent.invert(f, source, torch.zeros(2, *SHAPE), steps=3, start=start)).all()


def test_whole_numbers_make_the_path_of_the_same_floats():
    a, b = torch.tensor([[2, 0], [0, 4]]), torch.tensor([[0, 2], [4, 0]])
    for way in (ignbook.latent.line, ignbook.latent.arc):
        assert torch.equal(way(a, b, 0.3), way(a.float(), b.float(), 0.3))
