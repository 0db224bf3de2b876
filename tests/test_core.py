"""Sources, networks, iterate and project, save and load."""

import functools
import hashlib
import io
import json
import math
import os
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import checks
import numpy as np
import pytest
import safetensors.torch
import torch
from checks import same
from torch import nn

import ign_core
import ignbook.checkpoints
from ign_core import ConvAutoencoder, FourierSource, GaussianSource, Model, Recipe

# ------------------------------------------------------------------------------------------------------------- sources


def blobs(n: int, channels: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Images whose spectrum differs from frequency to frequency: an uneven mean, neighbouring pixels alike."""
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, channels, height, width, generator=g)
    ramp = torch.linspace(-1, 1, height)[:, None] * torch.linspace(0.2, 1, width)
    return 0.5 * ramp + 0.3 * (noise + 0.7 * noise.roll(1, -1) + 0.4 * noise.roll(1, -2))


def parts(x: torch.Tensor) -> np.ndarray:
    """The whole plane of each image's spectrum, by numpy: (2, n, C, H, W), real and imaginary part."""
    spectrum = np.fft.fft2(x.double().numpy())
    return np.stack([spectrum.real, spectrum.imag])


def check_spectrum(core, shape=(2, 6, 8), n=6000):
    """Samples have the data's mean and standard deviation at every frequency of the whole plane, mirror half included.

    Tolerances are five standard errors; a halved variance is off by twenty.
    """
    data = blobs(400, *shape)
    source = core.FourierSource.of(data)
    z = source.sample(n, torch.Generator().manual_seed(1))
    assert z.shape == (n, *shape) and z.dtype == torch.float32
    wanted, got = parts(data), parts(z)
    mean, std = wanted.mean(1), wanted.std(1)
    scale = std.mean()
    assert (np.abs(got.mean(1) - mean) <= 5 * std / math.sqrt(n) + 1e-4 * scale).all(), "mean of the spectrum"
    assert (np.abs(got.std(1) - std) <= 5 * std / math.sqrt(2 * n) + 1e-4 * scale).all(), "standard deviation of the spectrum"
    # a normal draw per frequency and no other tie than the mirror's: real and imaginary part are uncorrelated
    real, imaginary = (got - got.mean(1, keepdims=True)) / (std[:, None] + 1e-6 * scale)
    assert (np.abs((real * imaginary).mean(0)) <= 5 / math.sqrt(n)).all(), "correlation of real and imaginary part"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 6), (1, 6, 5), (1, 7, 7), (1, 2, 2), (1, 1, 3), (1, 4, 1)], ids=str)
def test_fourier_source_has_the_spectrum_of_the_data(shape):
    check_spectrum(ign_core, shape)


def test_fourier_statistics_do_not_depend_on_the_chunks():
    data = blobs(50, 1, 8, 8)
    whole, pieces = FourierSource.of(data), FourierSource.of(data, chunk=7 * 64)
    assert torch.allclose(whole.mean, pieces.mean, atol=1e-5) and torch.allclose(whole.std, pieces.std, atol=1e-5)
    spectrum = np.fft.rfft2(data.double().numpy())
    for part, values in enumerate((spectrum.real, spectrum.imag)):
        assert np.allclose(whole.mean[part], values.mean(0), atol=1e-4)
        assert np.allclose(whole.std[part], values.std(0), atol=1e-4)


def test_fourier_source_of_constant_data_is_that_constant(generator):
    image = blobs(1, 1, 8, 8)
    z = FourierSource.of(image.expand(10, -1, -1, -1)).sample(5, generator)
    assert torch.allclose(z, image.expand(5, -1, -1, -1), atol=1e-4)


def test_gaussian_source_is_normal(generator):
    z = GaussianSource((2, 3), std=0.5).sample(20_000, generator)
    assert z.shape == (20_000, 2, 3) and z.mean().abs() < 0.01
    assert torch.allclose(z.flatten(1).T.cov(), 0.25 * torch.eye(6), atol=0.01)
    assert (z.square().square().mean() / z.var().square() - 3).abs() < 0.1


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 6), (1, 6, 5), (1, 7, 7), (1, 2, 2), (1, 1, 3), (1, 4, 1)], ids=str)
def test_white_numbers_of_a_source_are_independent_normal_ones_as_many_as_pixels(shape, generator):
    fourier, n = FourierSource.of(blobs(60, *shape)), 4000
    for source in (fourier, GaussianSource(shape, 0.7)):
        z = source.sample(n, generator)
        e = source.whiten(z)
        assert torch.allclose(source.from_white(e), z, atol=1e-5)
        used = e.flatten(1)[:, e.flatten(1).abs().amax(0) > 0]
        assert used.shape[1] == math.prod(shape)
        correlation = used.T @ used / n
        assert (correlation - torch.eye(len(correlation))).abs().max() < 6 * 2**0.5 / n**0.5


SOURCES = [GaussianSource((1, 8, 8), 0.7), FourierSource.of(blobs(20, 1, 8, 8))]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_samples_come_from_the_generator_alone(source):
    state = torch.get_rng_state()
    a, b, c = (source.sample(4, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert torch.equal(state, torch.get_rng_state())
    g = torch.Generator().manual_seed(3)
    assert torch.equal(source.sample(4, g), a) and not torch.equal(source.sample(4, g), a)  # one stream goes on
    assert source.sample(4).shape == a.shape  # and without one, torch's own


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_sources_are_kept_in_a_checkpoint(source, tmp_path):
    name = {GaussianSource: "gaussian", FourierSource: "fourier"}[type(source)]
    recipe = replace(TINY, source=name)
    ign_core.save(Model(ign_core.build(recipe), source, card_of(recipe)), tmp_path / "m")
    again = ign_core.load(tmp_path / "m").source
    assert type(again) is type(source)
    assert torch.equal(*(s.sample(4, torch.Generator().manual_seed(3)) for s in (source, again)))


class Counted:
    """A data set that is no tensor."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        assert isinstance(index, torch.Tensor) and index.dtype == torch.int64
        return self.x[index]


def test_fourier_source_takes_any_data_set():
    data = blobs(30, 1, 4, 4)
    assert torch.equal(FourierSource.of(Counted(data), chunk=8 * 16).std, FourierSource.of(data, chunk=8 * 16).std)


one_sentence = functools.partial(checks.one_sentence, at_most=300)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: FourierSource.of(torch.zeros(1, 1, 4, 4)), "at least 2 images and got 1"),
        (lambda: FourierSource.of(torch.zeros(0, 1, 4, 4)), "at least 2 images and got 0"),
        (lambda: FourierSource.of(torch.zeros(5, 4, 4)), r"shape \(n, C, H, W\); got \(5, 4, 4\)"),
        (lambda: FourierSource.of(torch.zeros(5, 2)), r"shape \(n, C, H, W\)"),
        (lambda: FourierSource.of(torch.full((5, 1, 4, 4), math.nan)), "finite"),
        (lambda: FourierSource.of(torch.full((5, 1, 4, 4), math.inf)), "finite"),
        (lambda: FourierSource((2,)), "use GaussianSource"),
        (lambda: GaussianSource((2,), 0.0), "give a positive number"),
        (lambda: GaussianSource((2,), -1.0), "give a positive number"),
        (lambda: GaussianSource((2,), math.nan), "give a positive number"),
        (lambda: ign_core.source_of(replace(TINY, source="pink"), torch.zeros(5, 1, 8, 8)), "'pink' is unknown; use .*gaussian.*fourier"),
    ],
)  # fmt: skip
def test_bad_sources_get_one_sentence(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    one_sentence(caught)


def test_source_of_a_recipe():
    data = blobs(20, 1, 8, 8)
    assert torch.equal(ign_core.source_of(replace(TINY, source="fourier"), data).mean, FourierSource.of(data).mean)
    assert ign_core.source_of(replace(TINY, source="gaussian"), data).shape == (1, 8, 8)
    assert ign_core.source_of(Recipe("m", "ring", net="mlp", source="gaussian"), data[:, 0, 0, :2]).shape == (2,)


# ------------------------------------------------------------------------------------------------------------ networks


@pytest.mark.parametrize("norm", ["group", "batch", "none"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 32, 64, 8, 40])
def test_autoencoder_shapes(size, channels, norm):
    f = ConvAutoencoder(size, channels, width=4, code=6, norm=norm)
    y = f(torch.randn(2, channels, size, size))
    assert y.shape == (2, *f.shape) == (2, channels, size, size)
    assert y.abs().max() <= 1
    assert f.encoder(y).shape == (2, 6, 1, 1)
    f(y).sum().backward()
    assert all(p.grad is not None for p in f.parameters())
    kinds = {"group": nn.GroupNorm, "batch": nn.BatchNorm2d, "none": nn.Identity}
    assert {type(m) for m in f.modules()} & set(kinds.values()) == {kinds[norm]} or size == 8


@pytest.mark.parametrize("size,linear", [(64, 16), (32, 16), (32, 32), (28, 7), (8, 1)])
def test_a_linear_path_passes_a_small_image_beside_the_convolutions(size, linear, generator):
    f = ConvAutoencoder(size, 3, width=8, code=6, linear=linear).eval()
    plain = ConvAutoencoder(size, 3, width=8, code=6)
    extra = 2 * 6 * 3 * linear**2 + 6 + 3 * linear**2
    assert sum(p.numel() for p in f.parameters()) == sum(p.numel() for p in plain.parameters()) + extra
    y = torch.rand(2, 3, size, size, generator=generator) - 0.5
    assert f(y).shape == y.shape and f.encoder(y).shape == (2, 6, 1, 1)
    f(y).sum().backward()
    assert all(p.grad is not None for p in f.parameters())
    with torch.no_grad():
        for part in (f.encoder.deep, f.decoder[0].deep):  # with the convolutions mute, f is affine up to the tanh
            part[-1].weight.zero_()
        a, b = f(y).double().atanh()
        middle = f(y.mean(0, keepdim=True)).double().atanh()[0]
        assert torch.allclose(middle, (a + b) / 2, atol=1e-5)
        moved = y + torch.tensor([1.0, -1.0]).repeat(size // 2) * 0.1 * (size > linear)  # what the average doesn't see
        assert torch.allclose(f(moved), f(y), atol=1e-6)
        assert not torch.allclose(f(y + 0.1), f(y), atol=1e-3)
        code = torch.randn(2, 6, 1, 1, generator=generator)
        small = f.decoder[0].linear(code.flatten(1)).unflatten(1, (3, linear, linear))
        large = nn.functional.interpolate(small, (size, size), mode="bilinear")
        assert torch.allclose(f.decoder[0](code), large, atol=1e-5)


def test_the_default_network_is_the_one_of_the_findings():
    f = ConvAutoencoder()
    assert f.shape == (1, 32, 32)
    assert [m.out_channels for m in f.encoder if isinstance(m, nn.Conv2d)] == [32, 64, 128, 128]
    assert {m.num_channels // m.num_groups for m in f.modules() if isinstance(m, nn.GroupNorm)} == {8}
    assert sum(p.numel() for p in f.parameters()) == pytest.approx(0.85e6, rel=0.02)
    weights = torch.cat([m.weight.flatten() for m in f.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


def test_mlp_shapes():
    f = ign_core.MLP(3, width=16, depth=4)
    assert f(torch.randn(5, 3)).shape == (5, 3) and f.shape == (3,)
    assert [m.out_features for m in f.modules() if isinstance(m, nn.Linear)] == [16, 16, 16, 16, 3]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 9, 27, 30, 33, 36, 100, 31, 66])
def test_sizes_that_do_not_fit_get_one_sentence(size):
    with pytest.raises(ValueError, match=rf"images of side {size} don't fit.*28 or 64") as caught:
        ConvAutoencoder(size)
    one_sentence(caught)


def test_unknown_names_get_one_sentence():
    for make, words in [
        (lambda: ConvAutoencoder(norm="layer"), "'layer' is unknown; use 'group', 'batch' or 'none'"),
        (lambda: ign_core.build(replace(TINY, net="unet")), "'unet' is unknown; use .*mlp.*conv"),
        (lambda: ign_core.build(replace(TINY, norm="layer")), "'layer' is unknown"),
        (lambda: ign_core.build(replace(TINY, size=33)), "side 33"),
        (lambda: ConvAutoencoder(32, linear=12), "side 12 doesn't divide images of 32 pixels; use a divisor, or 0"),
        (lambda: ConvAutoencoder(32, linear=-4), "side -4"),
    ]:
        with pytest.raises(ValueError, match=words) as caught:
            make()
        one_sentence(caught)


@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_build_is_a_function_of_the_seed_and_leaves_torchs_state_alone(net):
    recipe = replace(TINY, net=net)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    a = ign_core.build(recipe)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(6)
    b, c = ign_core.build(recipe), ign_core.build(replace(recipe, seed=1))
    assert same(a, b) and not same(a, c)


# --------------------------------------------------------------------------------------------------- iterate and project


def test_iterate_gives_every_application(generator):
    f, z = ign_core.MLP(2, 8, 1), torch.randn(5, 2, generator=generator)
    path = ign_core.iterate(f, z, 3)
    assert path.shape == (3, 5, 2) and not path.requires_grad
    y = z
    for k in range(3):
        y = f(y)
        assert torch.equal(path[k], y)
        assert torch.equal(ign_core.project(f, z, k + 1), y)
    assert torch.equal(ign_core.project(f, z), f(z))


def test_iterate_on_images_and_on_any_callable():
    f = ConvAutoencoder(8, width=4, code=4)
    assert ign_core.iterate(f, torch.zeros(2, 1, 8, 8), 2).shape == (2, 2, 1, 8, 8)
    halves = ign_core.iterate(lambda y: y / 2, torch.ones(1, 4), 3)
    assert halves[:, 0, 0].tolist() == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("call", [ign_core.iterate, ign_core.project])
@pytest.mark.parametrize(
    "z, k, words",
    [
        (torch.zeros(3, 2), 0, "k of 1 or more"),
        (torch.zeros(3, 2), -1, "k of 1 or more"),
        (torch.zeros(3, 4), 1, r"is \(3, 4\) and f takes \(n, 2\)"),
        (torch.zeros(2), 1, r"f takes \(n, 2\)"),
        (torch.zeros(3, 1, 2), 1, r"f takes \(n, 2\)"),
        (torch.tensor([[0.0, math.nan]]), 1, "NaN or infinite"),
        (torch.tensor([[0.0, -math.inf]]), 1, "NaN or infinite"),
    ],
)
def test_bad_input_of_iterate_gets_one_sentence(call, z, k, words):
    with pytest.raises(ValueError, match=words) as caught:
        call(ign_core.MLP(2, 8, 1), z, k)
    one_sentence(caught)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)])
def test_images_that_do_not_fit_are_told_what_to_become(shape):
    with pytest.raises(ValueError, match=r"f takes \(n, 3, 8, 8\); resize the images, or give them 3 channels") as caught:
        ign_core.project(ConvAutoencoder(8, 3, width=4, code=4), torch.zeros(2, *shape))
    one_sentence(caught)


# ------------------------------------------------------------------------------------------------------- save and load

TINY = Recipe("tiny", "none", size=8, width=8, code=8, source="gaussian")


def card_of(recipe: Recipe) -> dict:
    return {"format": ignbook.checkpoints.FORMAT, "recipe": asdict(recipe), "metrics": {"f³(z)": 0.5}}


@pytest.fixture
def saved(tmp_path):
    """A model and the path, without suffix, where it is saved."""
    model = Model(ign_core.build(TINY), GaussianSource(TINY.shape, 0.5), card_of(TINY))
    ign_core.save(model, tmp_path / "folder" / "tiny")  # makes the folder
    return model, tmp_path / "folder" / "tiny"


@pytest.mark.parametrize(
    "net, norm, source", [("mlp", "group", "gaussian"), ("conv", "group", "fourier"), ("conv", "batch", "fourier")]
)
def test_save_and_load_bit_for_bit(net, norm, source, tmp_path, generator):
    recipe = replace(TINY, net=net, norm=norm, source=source, size=16)
    f, data = ign_core.build(recipe), blobs(20, 1, 16, 16)
    if norm == "batch":
        f(data)  # statistics of its own
    model = Model(f.eval(), ign_core.source_of(recipe, data), card_of(recipe))
    ign_core.save(model, tmp_path / "m")
    again = ign_core.load(tmp_path / "m")
    assert same(again.f, model.f) and same(again.source, model.source)
    assert not again.f.training and not any(p.requires_grad for p in again.f.parameters())
    z = model.source.sample(3, generator)
    assert torch.equal(again.f(z), model.f(z))
    assert {k: v for k, v in again.card.items() if k not in ("sha256", "built")} == json.loads(json.dumps(model.card))
    assert ignbook.checkpoints.recipe_of(again.card, ign_core.Recipe) == recipe


def test_load_by_path_suffix_and_name(saved, monkeypatch):
    model, path = saved
    for name in (path, str(path), f"{path}.safetensors", f"{path}.json", Path(f"{path}.safetensors")):
        assert same(ign_core.load(name).f, model.f)
    assert set(os.listdir(path.parent)) == {"tiny.safetensors", "tiny.json"}  # nothing written aside is left
    assert ign_core.load("mnist").card["recipe"]["name"] == "mnist"
    monkeypatch.chdir(path.parent)
    assert same(ign_core.load("tiny").f, model.f)
    assert ign_core.load("tiny", device="meta").f.encoder[0].weight.device.type == "meta"


def test_an_unknown_name_names_the_nearest_known_ones(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint mnist-narow; give a path, or .* such as mnist-narrow, "
    ) as caught:
        ign_core.load("mnist-narow")
    checks.one_sentence(caught, 200)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        ign_core.load(tmp_path / "nothing")


def rewrite(path, change) -> None:
    card = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    Path(f"{path}.json").write_text(json.dumps(change(card)), encoding="utf-8")


class Bomb:
    """Unpickling this runs a command of the file's author."""

    def __init__(self, where):
        self.where = where

    def __reduce__(self):
        return os.system, (f"touch {self.where}",)


DAMAGES = {
    "truncated weights": (lambda w, j: w.write_bytes(w.read_bytes()[:-100]), "damaged"),
    "truncated header": (lambda w, j: w.write_bytes(w.read_bytes()[:20]), "damaged"),
    "empty weights": (lambda w, j: w.write_bytes(b""), "damaged"),
    "one bit of the weights": (lambda w, j: w.write_bytes(w.read_bytes()[:-1] + b"\x01"), "does not belong"),
    "a pickle": (lambda w, j: w.write_bytes(pickle.dumps(Bomb(w.parent / "boom"))), "damaged"),
    "torch.save": (lambda w, j: torch.save({"f": Bomb(w.parent / "boom")}, w), "damaged"),
    "truncated card": (lambda w, j: j.write_bytes(j.read_bytes()[:-10]), "damaged"),
    "empty card": (lambda w, j: j.write_bytes(b""), "damaged"),
    "a card of bytes": (lambda w, j: j.write_bytes(b"\xff\xfe\x00"), "damaged"),
    "a card that is a list": (lambda w, j: j.write_text("[]"), "not a card of format"),
    "another format": (
        lambda w, j: rewrite(w.with_suffix(""), lambda c: c | {"format": "ign-0"}),
        "not a card of format 'ign-1'",
    ),
    "no format": (lambda w, j: rewrite(w.with_suffix(""), lambda c: {"a": 1}), "not a card of format"),
    "other weights": (lambda w, j: w.write_bytes(safetensors.torch.save({"f.a": torch.zeros(3)})), "does not belong"),
    "no sum": (
        lambda w, j: rewrite(w.with_suffix(""), lambda c: {k: v for k, v in c.items() if k != "sha256"}),
        "does not belong",
    ),
    "no weights": (lambda w, j: w.unlink(), "tiny.safetensors is missing"),
    "no card": (lambda w, j: j.unlink(), "tiny.json is missing"),
}


@pytest.fixture
def no_pickle(monkeypatch):
    """Whatever could unpickle raises something that nothing in ign_core catches."""

    class Unpickled(BaseException):
        pass

    def refuse(*_, **__):
        raise Unpickled

    for where, name in [(pickle, "loads"), (pickle, "load"), (pickle, "Unpickler"), (torch, "load"), (np, "load")]:
        monkeypatch.setattr(where, name, refuse)
    return Unpickled


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_and_foreign_files_get_one_sentence_and_are_not_unpickled(saved, damage, no_pickle):
    _, path = saved
    break_it, words = DAMAGES[damage]
    break_it(Path(f"{path}.safetensors"), Path(f"{path}.json"))
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        ign_core.load(path)
    one_sentence(caught)
    assert "tiny" in str(caught.value)
    assert not (path.parent / "boom").exists()


def test_the_guard_against_unpickling_can_fire(no_pickle):
    with pytest.raises(no_pickle):
        pickle.loads(b"")
    with pytest.raises(no_pickle):
        torch.load(io.BytesIO())


def test_a_whole_checkpoint_loads_without_unpickling(saved, no_pickle):
    assert same(ign_core.load(saved[1]).f, saved[0].f)
    assert ign_core.load("mnist").f.shape == (1, 32, 32)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 16},
        {"size": 16},
        {"net": "mlp"},
        {"source": "fourier"},
        {"source": "pink"},
        {"norm": "none"},
        {"novelty": 1},
    ],
    ids=str,
)
def test_a_card_of_another_architecture(saved, change):
    _, path = saved
    rewrite(path, lambda card: card | {"recipe": card["recipe"] | change})
    with pytest.raises(ValueError) as caught:
        ign_core.load(path)
    assert "\n" not in str(caught.value) and "tiny" in str(caught.value)
    assert "architecture" in str(caught.value)


@pytest.mark.parametrize("recipe", [None, "mnist", [1], 3, {}], ids=str)
def test_a_card_whose_recipe_is_no_recipe(saved, recipe):
    _, path = saved
    rewrite(path, lambda card: card | {"recipe": recipe})
    with pytest.raises(ValueError, match="architecture"):
        ign_core.load(path)


def test_the_classifier_is_not_a_generator():
    with pytest.raises(ValueError, match="another architecture"):
        ign_core.load("classifier")


def test_the_card_is_utf8_whatever_the_locale(saved, monkeypatch):
    """A card written here and read on a machine with another locale, and a change of it written back there."""
    _, path = saved
    monkeypatch.setattr(io, "text_encoding", lambda encoding, stacklevel=2: encoding or "latin-1")  # such as Windows has
    assert ignbook.checkpoints.read(path)[1]["metrics"] == {"f³(z)": 0.5}


def test_write_card_changes_the_card_alone(saved):
    model, path = saved
    blob, before = Path(f"{path}.safetensors").read_bytes(), ignbook.checkpoints.read(path)[1]
    ignbook.checkpoints.write_card(path, {"metrics": {"FD": 1.5}})
    assert Path(f"{path}.safetensors").read_bytes() == blob
    assert ignbook.checkpoints.read(path)[1] == before | {"metrics": {"FD": 1.5}}
    assert same(ign_core.load(path).f, model.f)


def test_the_sum_on_the_card_is_the_files(saved):
    _, path = saved
    assert ignbook.checkpoints.read(path)[1]["sha256"] == hashlib.sha256(Path(f"{path}.safetensors").read_bytes()).hexdigest()


class Crash(BaseException):
    """Like a kill: nothing may catch it."""


@pytest.mark.parametrize("fails", ["replace", "fsync"])
def test_a_crash_while_writing_leaves_the_old_files_whole(saved, monkeypatch, fails):
    model, path = saved
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    other = Model(ign_core.build(replace(TINY, seed=9)), model.source, model.card)

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, crash)
        with pytest.raises(Crash):
            ign_core.save(other, path)
    assert {name: (path.parent / name).read_bytes() for name in before} == before
    assert same(ign_core.load(path).f, model.f)
    ign_core.save(other, path)  # and what the crash left aside is in nobody's way
    assert same(ign_core.load(path).f, other.f)


def test_a_crash_between_the_two_files_is_noticed(saved, monkeypatch):
    model, path = saved
    real, calls = os.replace, []

    def second_fails(a, b):
        calls.append(b)
        if len(calls) == 2:
            raise Crash
        real(a, b)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", second_fails)
        with pytest.raises(Crash):
            ign_core.save(Model(ign_core.build(replace(TINY, seed=9)), model.source, model.card), path)
    with pytest.raises(ValueError, match="does not belong"):  # never old numbers beside new weights
        ign_core.load(path)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda f: GaussianSource((1, 8, 8)).sample(3, 0), "manual_seed"),
        (lambda f: FourierSource((1, 8, 8)).sample(3, "seed"), "manual_seed"),
        (lambda f: GaussianSource((2,)).sample(-1), "whole number from 0"),
        (lambda f: GaussianSource((2,)).sample(2.5), "whole number from 0"),
        (lambda f: ign_core.project(f, torch.zeros(0, 1, 8, 8)), "at least 1"),
        (lambda f: ign_core.project(f, torch.zeros(2, 1, 8, 8, dtype=torch.uint8)), "bytes"),
        (lambda f: ign_core.project(f, torch.full((2, 1, 8, 8), math.nan)), "NaN"),
        (lambda f: ign_core.project(f, [[0.0]]), "as_tensor"),
        (lambda f: ign_core.drift(f, torch.full((2, 1, 8, 8), math.nan)), "NaN"),
        (lambda f: ign_core.drift(f, torch.zeros(2, 1, 4, 4)), "takes"),
        (lambda f: ign_core.project(f, torch.zeros(2, 3, 8, 8)), "1 channels"),
        (lambda f: Model(f, None, {}).to("nowhere"), "no device 'nowhere'"),
    ],
)
def test_a_bad_argument_gets_one_sentence(call, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call(ign_core.build(TINY))
    one_sentence(caught)


def test_double_precision_is_brought_to_f():
    f, y = ign_core.build(TINY), torch.rand(2, 1, 8, 8)
    assert torch.equal(ign_core.project(f, y.double()), ign_core.project(f, y))
