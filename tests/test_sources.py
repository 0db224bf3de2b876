"""Mixed sources: shares, parts alone, halves of the data, own outputs, and a training with them, also resumed."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from checks import one_sentence, same

import ign_core
import ignbook.baselines
import ignbook.checkpoints
import ignbook.projector
import ignbook.sources as S
from ign_core import GaussianSource, MixedSource, Recipe

MIXED = Recipe("mixed", "none", size=16, channels=3, width=8, code=8, batch=10, steps=6, lr=1e-3, precision="32-true",
               mixture={"grey": 0.2, "noisy": 0.1, "own": 0.3}, recall=0.5)  # fmt: skip


class Numbers(torch.nn.Module):
    """A source whose every number is the same."""

    def __init__(self, number: float):
        super().__init__()
        self.number, self.shape = number, (2,)

    def sample(self, n, generator=None):
        return torch.full((n, 2), self.number)


def images(n: int = 40) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1


def a_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [1, 7, 10, 64])
def test_a_batch_holds_the_shares_in_order(n):
    source = MixedSource(Numbers(0), {"a": Numbers(1), "b": Numbers(2)}, {"a": 0.5, "b": 0.2})
    drawn = source.sample(n)[:, 0].tolist()
    assert len(drawn) == n and drawn == sorted(drawn)
    count = Counter(drawn)
    assert (count[1.0], count[2.0]) == (round(0.5 * n), round(0.2 * n))


@pytest.mark.parametrize("shares", [{"a": 1.2}, {"a": -0.1}, {"a": 0.6, "b": 0.6}, {"a": float("nan")}])
def test_shares_that_are_none_get_one_sentence(shares):
    with pytest.raises(ValueError, match="shares") as caught:
        MixedSource(Numbers(0), {name: Numbers(1) for name in shares}, shares)
    one_sentence(caught)
    with pytest.raises(ValueError, match="shares"):
        replace(MIXED, mixture=shares)


def test_each_kind_gives_what_its_corruption_does():
    """Every z of "grey" is one of the data without its colour, and so on, by looking for it among all of them."""
    x = images()
    for name, corrupted in {"grey": ignbook.projector.grey(x), "sketch": None, "noisy": None, "masked": None}.items():
        source = S.Corrupting((S.KINDS[name],)).of(x)
        z = source.sample(12, a_generator())
        assert z.shape == (12, 3, 16, 16) and torch.equal(z, source.sample(12, a_generator()))
        assert not torch.equal(z, source.sample(12, a_generator(1)))
        assert not any((z == one).all() for one in x)
        if corrupted is not None:
            assert torch.cdist(z.flatten(1), corrupted.flatten(1)).amin(1).max() < 0.05
    assert S.Corrupting((S.KINDS["noisy"],)).of(x).sample(200, a_generator()).abs().max() > 1.5  # not cut


def test_several_kinds_take_turns():
    def add(number):
        return S.Kind(lambda x, strength, g: x + number, 0.0, 1.0)

    z = S.CorruptedSource((3, 16, 16), (add(10), add(20), add(30)), images()).sample(9, a_generator())
    assert Counter((z.flatten(1).mean(1) / 10).round().tolist()) == {1.0: 3, 2.0: 3, 3.0: 3}


def test_what_needs_data_or_f_says_so():
    for source in (S.CorruptedSource((3, 16, 16), (S.KINDS["grey"],)), S.OwnOutputs((3, 16, 16))):
        with pytest.raises(ValueError) as caught:
            source.sample(2)
        one_sentence(caught)


def test_own_outputs_are_f_and_f_of_f_of_the_noise():
    f, noise = ign_core.build(MIXED).eval(), GaussianSource((3, 16, 16))
    own = S.OwnOutputs((3, 16, 16))
    own.follow(f, noise)
    once, twice = ign_core.iterate(f, noise.sample(6, a_generator(5)), 2)
    expected = torch.cat([twice[:3], once[3:]])
    torch.testing.assert_close(own.sample(6, a_generator(5)), expected)
    assert not own.state_dict()  # f is no part of the source


def test_halves_have_nothing_in_common_and_miss_nothing():
    for n in (2, 7, 40):
        data = torch.arange(n)
        first, second = (ignbook.checkpoints.Half(data, which) for which in (0, 1))
        a, b = (half[torch.arange(len(half))].tolist() for half in (first, second))
        assert not set(a) & set(b) and sorted(a + b) == list(range(n)) and len(a) == len(first)


class Watched:
    """Data that notes which of its samples were asked for."""

    def __init__(self, data):
        self.data, self.asked = data, set()

    def __len__(self):
        return len(self.data)

    def __getitem__(self, indices):
        self.asked |= set(indices.tolist())
        return self.data[indices]


@pytest.mark.parametrize("apart", [True, False])
def test_nothing_is_reconstructed_that_the_source_corrupts(apart):
    recipe = replace(MIXED, apart=apart)
    data = images()
    source = ign_core.source_of(recipe, data)
    corrupted, shown = Watched(data), Watched(data)
    for part in ("grey", "noisy"):
        source.parts[part].data = ignbook.checkpoints.Half(corrupted, 1) if apart else corrupted
    run = ign_core.Run(ign_core.build(recipe), source, replace(recipe, steps=60))
    list(run.train(shown))
    assert len(corrupted.asked) > 15 and len(shown.asked) > 15
    assert bool(corrupted.asked & shown.asked) is not apart


def test_f_is_shown_its_own_errors_and_the_target_stays_x():
    seen = {}

    def spy(f, x, z, *, shown, **weights):
        seen.update(x=x, shown=shown)
        return ign_core.objective(f, x, z, shown=shown, **weights)

    run = ign_core.Run(ign_core.build(MIXED), ign_core.source_of(MIXED, images()), MIXED)
    before = ign_core.build(MIXED).eval()
    next(run.train(images(), spy))
    x, shown = seen["x"], seen["shown"]
    assert torch.equal(x[5:], shown[5:])  # half of ten
    path = ign_core.iterate(before, x[:5], 4)
    wanted = [path[k, i] for i, k in enumerate((0, 1, 2, 3, 3))]  # where 5 samples are parted in four
    torch.testing.assert_close(shown[:5], torch.stack(wanted))


def test_the_objective_reconstructs_x_from_what_is_shown(generator):
    f = ign_core.build(MIXED).double()
    x, y, z = (torch.rand(4, 3, 16, 16, generator=generator, dtype=torch.double) * 2 - 1 for _ in range(3))
    for loss in (ign_core.objective, ign_core.literal_objective):
        losses = loss(f, x, z, shown=y)
        torch.testing.assert_close(losses.reconstruction, ign_core.l1(x, f(y)).detach())
        torch.testing.assert_close(loss(f, x, z, shown=x).total, loss(f, x, z).total)
    one, other = (torch.autograd.grad(loss(f, x, z, shown=y).total, list(f.parameters()))
                  for loss in (ign_core.objective, ign_core.literal_objective))  # fmt: skip
    for a, b in zip(one, other):
        torch.testing.assert_close(a, b)


def test_a_training_with_a_mixture_resumes_bit_for_bit_and_ships_the_noise(tmp_path):
    def train(recipe, **options):
        return ignbook.baselines.train(recipe, images(), progress=False, **options)

    whole = train(MIXED)
    assert isinstance(whole.source, ign_core.FourierSource)  # from which samples start

    class Stop(Exception):
        pass

    def stop(step, f):
        if step == 3:
            raise Stop

    with pytest.raises(Stop):
        train(MIXED, folder=tmp_path, every=3, callback=stop)
    again = train(MIXED, folder=tmp_path, resume=True)
    assert same(whole.f, again.f)
    ign_core.save(again, tmp_path / "mixed")
    loaded = ign_core.load(tmp_path / "mixed")
    assert same(loaded.f, whole.f) and torch.equal(loaded.source.mean, whole.source.mean)


class Uniform:
    """A source of one's own that is no module: sample and shape, nothing else."""

    def __init__(self, shape):
        self.shape = tuple(shape)

    def sample(self, n, generator=None):
        return torch.rand(n, *self.shape, generator=generator) * 2 - 1


@pytest.mark.parametrize("how", ["name", "callable", "object"])
def test_a_source_of_ones_own_is_used(how, monkeypatch, tmp_path):
    monkeypatch.setitem(ign_core.SOURCES, "uniform", Uniform)
    given = {"name": "uniform", "callable": Uniform, "object": Uniform((3, 16, 16))}[how]
    recipe = replace(MIXED, source=given, mixture={})
    source = ign_core.source_of(recipe, images())
    assert isinstance(source, Uniform)
    model = ignbook.baselines.train(recipe, images(), progress=False)
    assert model.source is not None and model.source.sample(3).shape == (3, 3, 16, 16)
    if how == "name":
        ign_core.save(model, tmp_path / "own")
        assert isinstance(ign_core.load(tmp_path / "own").source, Uniform)


@pytest.mark.parametrize("how", ["name", "callable"])
def test_a_network_of_ones_own_is_used(how, monkeypatch):
    class Net(torch.nn.Module):
        def __init__(self, recipe):
            super().__init__()
            self.shape, self.layer = recipe.shape, torch.nn.Conv2d(recipe.channels, recipe.channels, 3, padding=1)

        def forward(self, y):
            return self.layer(y).tanh()

    monkeypatch.setitem(ign_core.NETWORKS, "one", Net)
    recipe = replace(MIXED, net="one" if how == "name" else Net, mixture={})
    assert isinstance(ignbook.baselines.train(recipe, images(), progress=False).f, Net)


def test_a_training_starts_from_a_checkpoint(tmp_path):
    first = ignbook.baselines.train(MIXED, images(), progress=False)
    ign_core.save(first, tmp_path / "first")
    recipe = replace(MIXED, start=str(tmp_path / "first"), seed=9)
    run = ign_core.Run(ign_core.build(recipe), ign_core.source_of(recipe, images()), recipe)
    assert same(run.average, first.f) and same(run.f.module, first.f)
    larger = ign_core.Run(ign_core.build(replace(recipe, code=24)), run.source, replace(recipe, code=24))
    x = images()[torch.arange(4)]
    torch.testing.assert_close(larger.average(x), first.f(x), rtol=0, atol=1e-6)  # the same function, with room for more
    assert not torch.equal(larger.average.encoder(x)[:, 8:], torch.zeros(4, 16, 1, 1))
    with pytest.raises(ValueError, match="another than the recipe's") as caught:
        ign_core.Run(ign_core.build(replace(recipe, width=16)), run.source, replace(recipe, width=16))
    one_sentence(caught)
    with pytest.raises(FileNotFoundError):
        ign_core.Run(ign_core.build(recipe), run.source, replace(recipe, start="nowhere"))
