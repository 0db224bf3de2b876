"""Baselines: each loss against its formula, whom it trains, and the way through training, saving and measuring."""

from dataclasses import replace

import pytest
import torch
from checks import one_sentence, same

import ign_core
import ignbook.baselines as B
import ignbook.data
import ignbook.recipes

SMALL = ign_core.Recipe(
    "small", data="mnist", size=28, width=8, code=16, batch=8, steps=4, precision="32-true", seed=1, clip=None
)
RECIPES = {
    name: replace(SMALL, method=name, norm="batch" if name == "dcgan" else "group")
    for name in B.METHODS
    if name not in ("settle", "keep")
}


@pytest.fixture
def x(generator):
    return torch.rand(64, 1, 28, 28, generator=generator) * 2 - 1


def test_the_critic_of_dcgan_is_not_trained_by_the_generator_and_the_reverse(x, generator):
    recipe = RECIPES["dcgan"]
    f, z = B.build(recipe), torch.randn(8, 16, 1, 1, generator=generator)
    fooled, real, made = f(z, x[:8])
    critic, generator_ = list(f.critic.parameters()), list(f.decoder.parameters())
    logits = torch.autograd.grad(fooled.sum(), critic + generator_, retain_graph=True, allow_unused=True)
    assert all(g is None for g in logits[: len(critic)]) and any(
        g is not None and g.abs().sum() > 0 for g in logits[len(critic) :]
    )
    logits = torch.autograd.grad((real - made).sum(), critic + generator_, retain_graph=True, allow_unused=True)
    assert all(g is None for g in logits[len(critic) :]) and any(
        g is not None and g.abs().sum() > 0 for g in logits[: len(critic)]
    )
    losses = B.dcgan_loss(lambda z, x: (fooled, real, made), x[:8], z)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(8), torch.zeros(8)
    expected = bce(real, ones) + bce(made, zeros) + bce(fooled, ones)  # the three labels of the original
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_bound_of_the_vae_against_torch_distributions(x, generator):
    recipe = RECIPES["vae"]
    f, z = B.build(recipe).double(), torch.randn(8, 16, 1, 1, generator=generator, dtype=torch.float64)
    x = x[:8].double()
    mean, log_variance = f.encode(x)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    divergence = torch.distributions.kl_divergence(q, prior).flatten(1).sum(1)
    pixels = ((f(mean + q.scale * z) + 1) / 2).clamp(5e-5, 1 - 5e-5)
    t = (x + 1) / 2
    likelihood = -(t * pixels.log() + (1 - t) * (1 - pixels).log()).flatten(1).sum(1)
    losses = B.vae_loss(f, x, z)
    torch.testing.assert_close(losses.idempotence.double(), divergence, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(losses.reconstruction.double(), likelihood, rtol=1e-5, atol=1e-4)
    assert losses.total.item() == pytest.approx((divergence + likelihood).mean().item() / 784, rel=1e-5)


def test_the_denoising_autoencoder_sees_noise_and_is_asked_for_the_clean(x, generator):
    seen, noise = [], torch.randn(8, 1, 28, 28, generator=generator)

    def f(y):
        seen.append(y)
        return torch.zeros_like(y)

    losses = B.denoising_loss(f, x[:8], noise, distance="l1")
    assert losses.total.item() == pytest.approx(x[:8].abs().mean().item(), rel=1e-5)
    strengths = [((y - clean) / n).mean().item() for y, clean, n in zip(seen[0], x[:8], noise)]
    assert strengths == pytest.approx([i / 7 for i in range(8)], abs=1e-4)


def test_the_restorer_is_shown_damage_and_asked_for_what_was_there(x, generator):
    seen = []

    def f(y):
        seen.append(y)
        return torch.zeros_like(y)

    x, kinds = x[:12], len(B.RESTORED) + 1
    losses = [B.restoring_loss(f, x, torch.full((12, 1, 28, 28), number), distance="l1") for number in (0.5, 0.5, -1.3)]
    assert all(loss.total.item() == pytest.approx(x.abs().mean().item(), rel=1e-5) for loss in losses)
    changed = (seen[0] != x).flatten(1).any(1)
    assert changed.tolist() == [
        B.RESTORED[i % kinds] != "grey" if i % kinds < kinds - 1 else False for i in range(12)
    ]  # grey x
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


def test_imle_in_place_of_the_pair(x, generator):
    f, z = ign_core.build(SMALL), torch.rand(8, 1, 28, 28, generator=generator)
    losses = B.imle_loss(f, x[:8], z, reconstruction=2.0, idempotence=3.0, distance="l1", tightness=0.0, clamp=None)
    fz = f(z)
    nearest = torch.stack([fz[(fz - datum).square().flatten(1).sum(1).argmin()] for datum in x[:8]])
    expected = 2 * (x[:8] - f(x[:8])).abs().mean() + 3 * (x[:8] - nearest).abs().mean()
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", list(RECIPES))
def test_train_save_load_repeat(tmp_path, x, name):
    recipe = RECIPES[name]
    a, b = (B.train(recipe, x, progress=False) for _ in range(2))
    assert same(a.f, b.f) and not same(a.f, B.build(recipe).eval())
    z = a.source.sample(3, torch.Generator().manual_seed(0))
    fz = a.f(z)
    assert fz.shape == (3, 1, 28, 28) and fz.abs().max() <= 1
    assert (z.shape == fz.shape) != B.METHODS[name].latent
    ign_core.save(a, tmp_path / name)
    c = B.load(tmp_path / name)
    assert torch.equal(c.f(z), fz) and torch.equal(c.source.sample(3, torch.Generator().manual_seed(0)), z)
    assert c.card["recipe"]["method"] == name


@pytest.mark.parametrize("name", list(RECIPES))
def test_training_reduces_the_loss(x, name):
    recipe = replace(RECIPES[name], steps=60, lr=1e-3)
    model = B.train(recipe, x, progress=False, every=10)
    rows = [row["reconstruction"] for row in model.card["history"]]
    assert rows[-1] < rows[0]


def test_an_ign_goes_the_same_way(x):
    plain = ign_core.fit(ign_core.build(SMALL), ign_core.source_of(SMALL, x), x, SMALL, progress=False)
    assert same(plain.f, B.train(SMALL, x, progress=False).f)
    assert B.sampling_source(SMALL, x).shape == (1, 28, 28)


def test_baselines_have_the_widths_of_the_ign():
    count = {name: sum(p.numel() for p in B.build(r).parameters()) for name, r in (RECIPES | {"ign": SMALL}).items()}
    assert count["denoise"] == count["restore"] == count["imle"] == count["ign"]
    decoder = sum(p.numel() for p in ign_core.build(SMALL).decoder.parameters())
    assert decoder < count["dcgan"] < count["ign"] < count["vae"] < 1.5 * count["ign"]  # a critic of one number; two codes


def test_a_stopped_baseline_goes_on(tmp_path, x):
    recipe = replace(RECIPES["dcgan"], steps=6)
    whole = B.train(recipe, x, progress=False)

    def stop(step, f):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        B.train(recipe, x, progress=False, folder=tmp_path, every=1, callback=stop)
    assert same(whole.f, B.train(recipe, x, progress=False, folder=tmp_path, every=1, resume=True).f)


def test_unknown_method(x):
    with pytest.raises(ValueError) as caught:
        B.train(replace(SMALL, method="prayer"), x, progress=False)
    one_sentence(caught)


def test_what_the_core_says_of_a_baseline(tmp_path, x):
    ign_core.save(B.train(RECIPES["vae"], x, progress=False), tmp_path / "vae")
    with pytest.raises(ValueError, match="ignbook.baselines") as caught:
        ign_core.load(tmp_path / "vae")
    one_sentence(caught)


@pytest.mark.parametrize("method", [*RECIPES, "ign"])
def test_a_linear_path_survives_a_checkpoint_and_dcgan_has_none(method, tmp_path, x):
    recipe = replace(RECIPES.get(method, SMALL), linear=7)
    model = B.train(recipe, x, progress=False)
    assert any("linear" in name for name, _ in model.f.named_parameters()) == (method != "dcgan")
    ign_core.save(model, tmp_path / "linear")
    assert same(model.f, B.load(tmp_path / "linear").f)


def test_a_compiled_network_is_trained_to_the_same_weights(x, monkeypatch):
    compiled = []

    def eager(self):  # the graphs of torch.compile without the minutes of its C++ compiler
        compiled.append(self)
        self._compiled_call_impl = torch.compile(self._call_impl, backend="aot_eager")

    plain = B.train(SMALL, x, progress=False)
    monkeypatch.setattr(torch.nn.Module, "compile", eager)
    model = B.train(SMALL, x, compile=True, progress=False)
    assert len(compiled) == 1
    for (name, a), b in zip(plain.f.state_dict().items(), model.f.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("net", ["conv", "mlp"])
def test_recomputing_changes_no_gradient_and_keeps_less(net, x, generator):
    recipe = replace(SMALL, net=net)
    x, z = (x[:8], x[8:16].flip(-1)) if net == "conv" else torch.randn(2, 8, 2, generator=generator)
    gradients, kept, stored = [], [], []
    for recompute in (False, True):
        f, before = B.build(recipe), len(stored)
        f = B.recomputing(f) if recompute else f
        with torch.autograd.graph.saved_tensors_hooks(lambda t: stored.append(t.numel()) or t, lambda t: t):
            total = ign_core.objective(f, x, z).total
        total.backward()
        gradients.append([p.grad for p in f.parameters()])
        kept.append(sum(stored[before:]))
    assert all(torch.equal(a, b) and a.abs().sum() > 0 for a, b in zip(*gradients))
    assert kept[1] < 0.5 * kept[0]


@pytest.mark.parametrize("method, weights", [("ign", {}), ("vae", {}), ("denoise", {"tightness": 0.0})])
def test_a_training_that_recomputes_is_the_same(method, weights, x, tmp_path):
    plain, model = (B.train(replace(SMALL, method=method, **weights), x, recompute=r, progress=False) for r in (False, True))
    assert same(plain.f, model.f) and not any("forward" in vars(part) for part in model.f.modules())
    with pytest.raises(ValueError, match="BatchNorm would count its statistics twice; leave recompute off") as caught:
        B.train(replace(SMALL, norm="batch"), x, recompute=True, progress=False)
    one_sentence(caught)
    with pytest.raises(ValueError, match="without tightness there is a frozen copy of f") as caught:
        B.train(replace(SMALL, tightness=0.0), x, recompute=True, progress=False)
    one_sentence(caught)


def test_the_recipe_for_a_gpu_trains_saves_and_loads(tmp_path):
    """Twenty steps on the CPU, of a small batch: that its network can be made, trained and read again."""
    recipe = replace(ignbook.recipes.faces_gpu, batch=4, steps=20, mirror=False, lr=1e-4)  # its own rate is for batches of 256
    faces = ignbook.data.draw_faces(ignbook.data.draw_attributes(4, torch.Generator().manual_seed(0)))  # the same in each step
    model = B.train(recipe, faces, progress=False, every=5)
    rows = model.card["history"]
    assert rows[-1]["reconstruction"] < rows[0]["reconstruction"]
    ign_core.save(model, tmp_path / "faces-gpu")
    assert torch.equal(B.load(tmp_path / "faces-gpu").f(faces[:2]), model.f(faces[:2]))
