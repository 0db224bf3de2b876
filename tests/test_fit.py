"""Training: the loop against a plain one, the order of the data, resuming, NaN, bad data, and kill -9."""

import copy
import csv
import importlib
import json
import math
import multiprocessing
import os
import pickle
import random
import signal
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import nbclient
import nbformat
import pytest
import safetensors
import safetensors.torch
import torch
from checks import one_sentence, same
from torch import nn

import ign_core
import ignbook.checkpoints
from ign_core import FourierSource, GaussianSource, Recipe, fit
from ignbook.checkpoints import Order

TINY = Recipe("tiny", "none", size=8, width=8, code=8, batch=8, steps=6, lr=1e-3, source="gaussian", precision="32-true")
POINTS = Recipe("points", "none", net="mlp", width=8, batch=8, steps=6, lr=1e-3, source="gaussian", precision="32-true")


def data_of(recipe: Recipe, n: int = 30) -> torch.Tensor:
    return torch.rand(n, *recipe.shape, generator=torch.Generator().manual_seed(7)) * 2 - 1


def train(recipe: Recipe, f: nn.Module | None = None, **options):
    """fit() from the recipe's start on its random data."""
    data = options.pop("data", data_of(recipe))
    f = ign_core.build(recipe) if f is None else f
    return fit(f, ign_core.source_of(recipe, data), data, recipe, progress=False, **options)


def finite(f: nn.Module) -> bool:
    return all(torch.isfinite(t).all() for t in f.state_dict().values())


def terms(history: list[dict]) -> list[dict]:
    """A history without its wall-clock column."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


def state_of(folder, recipe: Recipe = TINY) -> tuple[dict, dict]:
    """What a training state on disk holds: tensors and the rest."""
    path = Path(folder) / f"{recipe.name}.train.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        return {k: file.get_tensor(k) for k in file.keys()}, json.loads(file.metadata()["ign"])


# ------------------------------------------------------------------------------------------------------------ the loop


@pytest.mark.parametrize(
    "recipe",
    [
        POINTS,
        replace(TINY, ramp=4, lr_end=0.1, clip=0.5, source="fourier"),
        replace(TINY, norm="batch", ema=0.3, clip=None, steps=5),
        replace(POINTS, tightness=0.0, clamp=None, distance="l2", seed=3),
        replace(POINTS, z_share=0.25),
    ],
    ids=["points", "ramp, cosine, clip", "batchnorm, ema", "no tightness", "a quarter of z"],
)
def test_fit_is_the_plain_loop(recipe):
    """The same training written out, without Fabric, sampler or helpers: equal bit for bit."""
    data, f, net = data_of(recipe), ign_core.build(recipe), ign_core.build(recipe)
    model = train(recipe, net, every=1)

    source = ign_core.source_of(recipe, data)
    average = copy.deepcopy(f)
    optimiser = torch.optim.Adam(f.parameters(), lr=recipe.lr, betas=recipe.betas)
    noise = torch.Generator().manual_seed(recipe.seed + 1)
    batches = []
    for epoch in range(3):
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(1_000_003 * recipe.seed + epoch))
        batches += list(order.split(recipe.batch))[:3]  # 30 samples: three whole batches of 8
    history = []
    for step in range(recipe.steps):
        share = min(1, 0.01 + 0.99 * step / recipe.ramp) if recipe.ramp else 1
        cosine = (1 + math.cos(math.pi * step / recipe.steps)) / 2
        optimiser.param_groups[0]["lr"] = recipe.lr * (recipe.lr_end + (1 - recipe.lr_end) * cosine)
        losses = ign_core.objective(
            f, data[batches[step]], source.sample(int(8 * recipe.z_share), noise),
            reconstruction=recipe.reconstruction, idempotence=share * recipe.idempotence, tightness=share * recipe.tightness,
            clamp=recipe.clamp, distance=recipe.distance,
        )  # fmt: skip
        optimiser.zero_grad()
        losses.total.backward()
        if recipe.clip:
            nn.utils.clip_grad_norm_(f.parameters(), recipe.clip)
        optimiser.step()
        decay = min(recipe.ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), f.parameters()):
                slow.lerp_(fast, 1 - decay)
            for slow, fast in zip(average.buffers(), f.buffers()):
                slow.copy_(fast)
        history.append({"step": step + 1} | {k: getattr(losses, k).mean().item() for k in losses._fields[1:]})

    assert terms(model.card["history"]) == history
    assert same(net, f) and same(model.f, average)
    assert not same(model.f, net)
    assert not model.f.training and not any(p.requires_grad for p in model.f.parameters())


def test_whoever_iterates_a_run_owns_the_loop():
    """Step by step, stopped in between and gone on with: the same training as fit's."""
    data, whole = data_of(TINY), train(TINY)
    run = ign_core.Run(ign_core.build(TINY), ign_core.source_of(TINY, data), TINY)
    for step, losses, average in run.train(data):
        assert math.isfinite(losses.total.item()) and average is run.average
        if step == 2:
            break
    assert run.step == 2 and not same(run.average, whole.f)
    assert [step for step, _, _ in run.train(data)] == [3, 4, 5, 6]
    assert same(run.average, whole.f) and not list(run.train(data))


def test_the_demonstration_trains_and_draws(tmp_path, monkeypatch):
    import matplotlib.pyplot as plt
    from PIL import Image

    fits = []

    def short(f, source, data, recipe, **options):
        fits.append(recipe)
        return fit(f, source, data, replace(recipe, steps=20), progress=False, **options)

    plt.switch_backend("Agg")
    monkeypatch.setattr(ign_core, "fit", short)
    ign_core.demo(tmp_path / "moons.png")
    with Image.open(tmp_path / "moons.png") as image:
        assert image.width > 1000
    assert len(fits) == 1 and fits[0].steps * fits[0].batch < 3e6  # half a minute of one core
    plt.close("all")


def test_the_average_is_an_exponential_one():
    """Against its definition, as a sum over all steps, in float64."""
    seen = []
    f = ign_core.build(POINTS)
    start = f.layers[0].weight.detach().clone()
    recipe = replace(POINTS, steps=30, ema=0.6)
    model = train(recipe, f, every=1, callback=lambda *_: seen.append(f.layers[0].weight.detach().clone()))
    decays = [min(0.6, (1 + s) / (10 + s)) for s in range(30)]
    expected = math.prod(decays) * start.double()
    for s, weight in enumerate(seen):
        expected += (1 - decays[s]) * math.prod(decays[s + 1 :]) * weight.double()
    assert torch.allclose(model.f.layers[0].weight.double(), expected, rtol=1e-5, atol=1e-6)
    assert (model.f.layers[0].weight - seen[-1]).abs().max() > 1e-4


def test_the_learning_rate_follows_a_cosine():
    """Under a constant gradient Adam moves each weight by the learning rate."""
    f, seen = ign_core.build(POINTS), []
    seen.append(f.layers[0].bias[0].item())

    def constant(f, x, z, **_):
        zero = torch.zeros(len(x))
        return ign_core.Losses(sum(p.sum() for p in f.parameters()), zero, zero, zero)

    recipe = replace(POINTS, steps=10, lr=0.1, lr_end=0.2, clip=None)
    train(recipe, f, loss=constant, every=1, callback=lambda *_: seen.append(f.layers[0].bias[0].item()))
    moves = [a - b for a, b in zip(seen, seen[1:])]
    assert moves == pytest.approx([0.1 * (0.2 + 0.8 * (1 + math.cos(math.pi * s / 10)) / 2) for s in range(10)], rel=1e-3)


def test_the_objective_gets_the_recipes_weights_and_the_ramp():
    recipe, calls = replace(TINY, steps=6, ramp=4, clamp=None, distance="l2", reconstruction=3.0), []

    def record(f, x, z, **options):
        calls.append(options | {"x": tuple(x.shape), "z": tuple(z.shape)})
        return ign_core.objective(f, x, z, **options)

    train(recipe, loss=record)
    shares = [0.01, 0.2575, 0.505, 0.7525, 1.0, 1.0]
    assert [c["idempotence"] for c in calls] == pytest.approx([20 * s for s in shares])
    assert [c["tightness"] for c in calls] == pytest.approx([2.5 * s for s in shares])
    assert all(c["reconstruction"] == 3 and c["clamp"] is None and c["distance"] == "l2" for c in calls)
    assert all(c["x"] == c["z"] == (8, 1, 8, 8) for c in calls)


def test_half_of_the_images_are_mirrored():
    data, seen = data_of(TINY), []

    def loss(f, x, z, **weights):
        seen.append(x)
        return ign_core.objective(f, x, z, **weights)

    train(replace(TINY, mirror=True, steps=40), data=data, loss=loss)
    order = iter(Order(len(data), TINY.batch, TINY.seed))
    turned = 0
    for x in seen:
        for shown, was in zip(x, data[next(order)]):
            assert torch.equal(shown, was) or torch.equal(shown, was.flip(-1))
            turned += torch.equal(shown, was.flip(-1))
    assert 0.4 < turned / (40 * TINY.batch) < 0.6
    with pytest.raises(ValueError) as error:
        train(replace(POINTS, mirror=True))
    one_sentence(error)
    assert "mirror" in str(error.value)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_fit_with_the_literal_objective(precision):
    """The paper's own algorithm trains too, by the exercise's one changed argument, and to the same weights."""
    recipe, f = replace(POINTS, precision=precision, steps=20), ign_core.build(POINTS)
    literal = train(recipe, f, loss=ign_core.literal_objective)
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in f.parameters()) and not same(f, ign_core.build(POINTS))
    for a, b in zip(literal.f.parameters(), train(recipe).f.parameters()):
        assert torch.allclose(a, b, atol=1e-5 if precision == "32-true" else 5e-3)


@pytest.mark.parametrize("recipe", [TINY, POINTS, replace(TINY, precision="bf16-mixed")], ids=["images", "points", "bf16"])
def test_a_rerun_gives_the_same_numbers(recipe):
    a, b, other = train(recipe, every=1), train(recipe, every=1), train(replace(recipe, seed=1), every=1)
    assert same(a.f, b.f) and terms(a.card["history"]) == terms(b.card["history"])
    assert not same(a.f, other.f)
    torch.manual_seed(99)  # and torch's own state has no say in it
    assert same(train(recipe, every=4).f, a.f)


def test_training_learns():
    """Not only the same numbers: reconstruction and drift of f(z) fall."""
    recipe = replace(POINTS, width=32, steps=300, batch=64, lr=3e-3, tightness=10.0)
    angle = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
    ring = torch.stack([angle.cos(), angle.sin()], -1)
    model = train(recipe, data=ring, every=50)
    first, last = model.card["history"][0], model.card["history"][-1]
    assert last["reconstruction"] < 0.3 * ign_core.drift(ign_core.build(recipe), ring).mean().item()
    assert last["reconstruction"] < first["reconstruction"]
    assert ign_core.drift(model.f, ring).mean() < 0.15


def test_history_card_and_callback(tmp_path):
    seen = []
    f = ign_core.build(TINY)
    model = train(TINY, f, every=2, callback=lambda step, average: seen.append((step, copy.deepcopy(average))))
    history = model.card["history"]
    assert [row["step"] for row in history] == [step for step, _ in seen] == [2, 4, 6]
    assert all(list(row) == ["step", "reconstruction", "idempotence", "tightness", "seconds"] for row in history)
    assert all(isinstance(v, (int, float)) and math.isfinite(v) for row in history for v in row.values())
    assert sorted(row["seconds"] for row in history) == [row["seconds"] for row in history]
    assert same(seen[-1][1], model.f) and not same(seen[0][1], model.f) and not seen[0][1].training
    with open(tmp_path / "history.csv", "w", newline="") as file:  # as train.py writes it
        rows = csv.DictWriter(file, history[0])
        rows.writeheader()
        rows.writerows(history)
    card = json.loads(json.dumps(model.card))
    assert ignbook.checkpoints.recipe_of(card, ign_core.Recipe) == TINY
    assert card["format"] == ignbook.checkpoints.FORMAT and card["images"] == 48 and card["precision"] == "32-true"
    assert card["data"] == {"n": 30} and {"seconds", "device", "versions"} <= set(card)
    ign_core.save(model, tmp_path / "tiny")
    assert same(ign_core.load(tmp_path / "tiny").f, model.f)


@pytest.mark.parametrize("steps, every, rows", [(6, None, 6), (7, 3, 3), (400, None, 200), (5, 100, 1)])
def test_rows_of_the_history(steps, every, rows):
    history = train(replace(POINTS, steps=steps), every=every).card["history"]
    assert len(history) == rows and history[-1]["step"] == steps


def test_the_card_carries_the_datas():
    class Named:
        card = {"name": "named", "n": 30, "md5": "0"}

        def __len__(self):
            return 30

        def __getitem__(self, index):
            return data_of(TINY)[index]

    model = train(TINY, data=Named())
    assert model.card["data"] == Named.card and same(model.f, train(TINY).f)


def test_the_folder_holds_the_state_and_none_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(TINY)
    assert not list(tmp_path.iterdir())
    train(TINY, folder=tmp_path / "a" / "b", every=2)
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["tiny.train.safetensors"]
    train(POINTS, folder=tmp_path / "c")
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["points.train.safetensors"]


def test_precision_auto_trains_and_says_what_it_took():
    model = train(replace(TINY, precision="auto", steps=3))
    assert model.card["precision"] in ("32-true", "bf16-mixed", "16-mixed") and finite(model.f)


# ---------------------------------------------------------------------------------------------------------------- recipes


class Odd:
    """What can't be had in a recipe, and has no short text."""

    def __repr__(self):
        return "odd" * 100


def far(a, b):
    return (a - b).abs().flatten(1).mean(1)


BAD = [
    *({name: value} for name in ("size", "channels", "width", "code", "depth", "batch", "steps") for value in (0, -4, 2.0, True, "8")),
    *({name: 10**12} for name in ("size", "channels", "width", "code", "depth", "batch", "steps", "ramp", "seed", "linear")),
    *({name: -1} for name in ("ramp", "seed", "linear", "reconstruction", "idempotence", "tightness", "tightness_end", "lr_end")),
    *({name: 0} for name in ("lr", "clip", "clamp")),
    *({name: value} for name in ("lr", "clip", "clamp", "lr_end", "reconstruction", "idempotence", "tightness", "ema")
      for value in (math.nan, math.inf, -0.5, "1", 10**400, Odd())),
    *({name: None} for name in ("lr", "tightness", "ema", "betas", "width", "precision", "name", "distance", "extras")),
    {"tightness_end": 1.0, "tightness": 0.0}, {"ema": 1.0}, {"ema": 1.5}, {"betas": (0.5, 1.0)}, {"betas": (0.5,)}, {"betas": [0.5, 0.9]},
    {"betas": (-0.1, 0.9)}, {"betas": 0.9}, {"mirror": 1}, {"mirror": "yes"},
    *({"precision": value} for value in ("64-true", "16-true", "bf16-true", "fp32", "", ["auto"])),
    *({"name": value} for value in ("", "../evil", "a/b", "a\\b", "..", ".hidden", "n" * 101, "a\n", "a\0", 7, "a.train", "a.safetensors")),
    {"extras": [1]}, {"extras": {"imle": math.nan}}, {"extras": {"imle": "5"}}, {"extras": {1: 1.0}},
    *({name: value} for name in ("net", "source", "distance", "distance_end") for value in ([1], {"a": 1}, 3, True)),
    *({name: far} for name in ("data", "norm", "method")),
    {"distance": "pyramid", "size": 28}, {"distance_end": "pyramid", "size": 20}, {"width": 4096, "size": 1024}, {"code": 65_536, "width": 1024},
]  # fmt: skip
BAD_POINTS = [{"mirror": True}, {"method": "vae"}, {"distance": "pyramid"}, {"distance_end": "pyramid"}]


@pytest.mark.parametrize(
    "change", BAD + [{"net": "mlp"} | change for change in BAD_POINTS], ids=lambda c: str(c)[:40].split(" at 0x")[0]
)
def test_a_recipe_out_of_range_gets_one_sentence(change):
    with pytest.raises(ValueError) as caught:
        replace(TINY, **change)
    one_sentence(caught, at_most=200)
    assert (
        any(field in str(caught.value) for field in change) or "pyramid" in str(caught.value) or "weights" in str(caught.value)
    )


@pytest.mark.parametrize("change", [{"width": 10**9}, {"lr": math.inf}, {"depth": "deep"}, {"name": "../evil"}], ids=str)
def test_cards_and_states_are_held_to_the_same(change, tmp_path):
    card = {"recipe": ignbook.checkpoints.plain(TINY) | change}
    with pytest.raises(ValueError, match=f"{next(iter(change))} is ") as caught:
        ignbook.checkpoints.recipe_of(json.loads(json.dumps(card)), Recipe, "tiny")
    one_sentence(caught)


def test_what_a_recipe_may_be():
    """The limits themselves, and functions and objects where names stand."""
    for change in (
        {"lr_end": 0.0, "ramp": 0, "reconstruction": 0, "idempotence": 0.0, "tightness": 0, "clip": None, "clamp": None, "ema": 0.0},
        {"width": 1, "code": 1, "depth": 1, "batch": 1, "steps": 1, "channels": 1, "betas": (0.0, 0.0), "seed": 2**32},
        {"lr_end": 2.0, "tightness_end": 0.0, "name": "what: no, what-0.5_a.b (1) é".replace(":", ""), "extras": {"imle": -1.0}},
        {"distance": far, "distance_end": far, "net": ign_core.MLP, "source": GaussianSource((1, 8, 8))},
        *({"precision": name} for name in ("auto", "32-true", "bf16-mixed", "16-mixed")),
        {"distance": "pyramid", "size": 24}, {"mirror": True}, {"method": "vae"}, {"name": "n" * 100},
    ):  # fmt: skip
        replace(TINY, **change)


@pytest.mark.parametrize("folder", ["checkpoints", "results"])
def test_every_shipped_recipe_is_one(folder):
    found = 0
    for path in ignbook.checkpoints.shipped(folder).rglob("*.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(card.get("recipe"), dict):
            ignbook.checkpoints.recipe_of(card, Recipe, path.name)
            found += 1
    assert found > 5


def test_group_normalisation_takes_every_width():
    for width in range(1, 129):
        f = ign_core.ConvAutoencoder(16, 1, width, 1)
        for m in f.modules():
            if isinstance(m, nn.GroupNorm):
                was = max(m.num_channels // 8, 1)
                assert m.num_channels % m.num_groups == 0 and was % m.num_groups == 0
                assert m.num_groups == was or m.num_channels % was  # a width that went before has what it had


# ------------------------------------------------------------------------------------------------------- order of the data


def first(order: Order, k: int) -> list[torch.Tensor]:
    return [batch for batch, _ in zip(order, range(k))]


@pytest.mark.parametrize("n, batch", [(30, 8), (32, 8), (8, 8), (9, 1)])
def test_each_epoch_is_a_permutation(n, batch):
    per_epoch = n // batch
    batches = first(Order(n, batch, seed=0), 3 * per_epoch)
    assert all(len(b) == batch for b in batches)
    epochs = [torch.cat(batches[i * per_epoch : (i + 1) * per_epoch]) for i in range(3)]
    for epoch in epochs:
        assert len(epoch.unique()) == len(epoch) == per_epoch * batch
        assert epoch.min() >= 0 and epoch.max() < n
    if n > batch:
        assert not torch.equal(epochs[0], epochs[1])
        assert not torch.equal(epochs[0], torch.cat(first(Order(n, batch, seed=1), per_epoch)))


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 10])
def test_the_order_is_a_function_of_the_step(start):
    whole, rest = first(Order(30, 8, 5), start + 7), first(Order(30, 8, 5, start), 7)
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], rest, strict=True))
    again = Order(30, 8, 5, start)
    assert all(torch.equal(a, b) for a, b in zip(first(again, 5), first(again, 5)))  # reading it does not use it up


@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_share_each_batch(world):
    whole = first(Order(40, 12, 0), 10)
    parts = [first(Order(40, 12, 0, rank=r, world=world), 10) for r in range(world)]
    for batch, *pieces in zip(whole, *parts):
        assert torch.equal(torch.cat(pieces).sort().values, batch.sort().values)
        assert set(map(len, pieces)) == {12 // world}


# ------------------------------------------------------------------------------------------------------------------ NaN


def poisoned(at: int, how: str):
    """The objective, with NaN from call `at` on: in the loss, or at that call in the gradient alone."""
    calls = [0]

    def loss(f, x, z, **options):
        calls[0] += 1
        losses = ign_core.objective(f, x, z, **options)
        if how == "loss" and calls[0] >= at:
            return losses._replace(total=losses.total * math.nan)
        if how == "gradient" and calls[0] == at:  # as the square root in a distance has at 0: a value, and no slope
            zero = (next(f.parameters()).sum() * 0).sqrt()
            return losses._replace(total=losses.total + zero)
        return losses

    return loss


def test_nan_stops_and_the_last_good_weights_are_kept(tmp_path):
    f = ign_core.build(TINY)
    with pytest.raises(FloatingPointError, match="NaN by step 6") as caught:
        train(TINY, f, folder=tmp_path, every=2, loss=poisoned(5, "loss"))
    one_sentence(caught)
    assert "tiny.train.safetensors" in str(caught.value)
    good = ign_core.build(TINY)
    train(replace(TINY, steps=4), good, every=2)
    assert finite(f) and same(f, good)
    tensors, state = state_of(tmp_path)
    assert state["step"] == 4 and all(torch.isfinite(t).all() for t in tensors.values())
    model = train(TINY, folder=tmp_path, every=2, resume=True)  # and the run can go on from there
    assert same(model.f, train(TINY).f)


def test_nan_without_out_keeps_the_weights_in_f():
    f = ign_core.build(TINY)
    with pytest.raises(FloatingPointError, match="f has the last good weights"):
        train(TINY, f, every=2, loss=poisoned(3, "loss"))
    good = ign_core.build(TINY)
    train(replace(TINY, steps=2), good, every=2)
    assert same(f, good)


def test_nan_before_the_first_state_keeps_the_start_and_names_no_missing_file(tmp_path):
    f = ign_core.build(TINY)
    with pytest.raises(FloatingPointError, match="NaN by step 2") as caught:
        train(TINY, f, folder=tmp_path, every=2, loss=poisoned(1, "loss"))
    assert same(f, ign_core.build(TINY))
    if "tiny.train.safetensors" in str(caught.value):
        assert (tmp_path / "tiny.train.safetensors").exists()
        assert all(torch.isfinite(t).all() for t in state_of(tmp_path)[0].values())


@pytest.mark.parametrize("at", [3, 4, 6])
def test_a_nan_gradient_under_a_finite_loss_is_not_taken_for_good(at, tmp_path):
    """The loss is that of the weights before the step: the step itself may have ruined them."""
    f = ign_core.build(TINY)
    with pytest.raises(FloatingPointError):
        train(TINY, f, folder=tmp_path, every=2, loss=poisoned(at, "gradient"))
    assert finite(f)
    assert all(torch.isfinite(t).all() for t in state_of(tmp_path)[0].values())


# ------------------------------------------------------------------------------------------------------------- bad data

IMAGES = data_of(TINY)
WITH_NAN = IMAGES.clone()
WITH_NAN[5, 0, 3, 3] = math.nan


@pytest.mark.parametrize(
    "data, words",
    [
        (data_of(replace(TINY, size=16)), r"shape \(1, 16, 16\) and recipe 'tiny' wants \(1, 8, 8\)"),
        (IMAGES.expand(-1, 3, -1, -1), r"shape \(3, 8, 8\)"),
        (IMAGES[:, 0], r"shape \(8, 8\)"),
        (IMAGES * 127.5 + 127.5, r"scale images to \[-1, 1\]"),
        ((IMAGES * 127.5 + 127.5).to(torch.int16), r"give bytes \(uint8\) from 0 to 255"),
        (IMAGES / 2 + 0.5, r"scale them from \[0, 1\]"),
        (WITH_NAN, "isn't finite"),
        (IMAGES / 0, "isn't finite"),
        (IMAGES[:7], "batch of 8 is more than the 7 samples"),
        (IMAGES[:0], "more than the 0 samples|at least|empty|no samples"),
    ],
    ids=["size", "channels", "ndim", "[0, 255]", "int16", "[0, 1]", "NaN", "inf", "few", "none"],
)
def test_bad_data_gets_one_sentence_before_training(data, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        fit(ign_core.build(TINY), GaussianSource(TINY.shape), data, TINY, folder=tmp_path / "out", progress=False)
    one_sentence(caught)
    assert not (tmp_path / "out").exists()


def test_points_of_the_wrong_dimension():
    with pytest.raises(ValueError, match=r"shape \(3,\) and recipe 'points' wants \(2,\)"):
        fit(ign_core.build(POINTS), GaussianSource((2,)), torch.randn(30, 3), POINTS, progress=False)
    train(POINTS, data=3 * torch.randn(30, 2))  # points may lie anywhere


# --------------------------------------------------------------------------------------------------------------- resume


class Stop(Exception):
    pass


def stop_at(step: int):
    def callback(now: int, _):
        if now == step:
            raise Stop

    return callback


FULL = replace(TINY, steps=12, ramp=9, lr_end=0.1, clip=0.5, source="fourier")


@pytest.mark.parametrize(
    "recipe",
    [
        FULL,
        replace(FULL, norm="batch"),
        replace(FULL, precision="bf16-mixed"),
        replace(POINTS, steps=12),
    ],
    ids=["images", "batchnorm", "bf16", "points"],
)
def test_a_resumed_run_is_the_unbroken_one(recipe, tmp_path, monkeypatch):
    whole = train(recipe, folder=tmp_path / "whole", every=2)
    for stop in (2, 8):  # in the first epoch, and in the third
        with pytest.raises(Stop):
            train(recipe, folder=tmp_path / "parts", every=2, resume=stop > 2, callback=stop_at(stop))

    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    other_start = ign_core.build(replace(recipe, seed=8))  # what f was does not matter
    model = train(recipe, other_start, folder=tmp_path / "parts", every=2, resume=True)
    assert same(model.f, whole.f) and same(model.source, whole.source)
    assert terms(model.card["history"]) == terms(whole.card["history"])
    seconds = [row["seconds"] for row in model.card["history"]]
    assert seconds == sorted(seconds)
    (a, _), (b, _) = (state_of(tmp_path / name, recipe) for name in ("whole", "parts"))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert any(k.startswith("adam.") for k in a) and "generator" in a


def test_the_scale_of_a_half_precision_loss_is_resumed_too(tmp_path):
    """fp16 as on CUDA without bf16, with a scale that moves within the run: in the seventh step of ten, not of the last four."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import MixedPrecision

    def fabric():
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=7)
        return Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler))

    recipe = replace(POINTS, steps=10)
    whole = train(recipe, folder=tmp_path / "whole", every=2, fabric=fabric())
    with pytest.raises(Stop):
        train(recipe, folder=tmp_path / "parts", every=2, fabric=fabric(), callback=stop_at(6))
    model = train(recipe, folder=tmp_path / "parts", every=2, fabric=fabric(), resume=True)
    (a, whole_state), (b, parts_state) = (state_of(tmp_path / name, recipe) for name in ("whole", "parts"))
    assert whole_state["scaler"]["scale"] == 2048 and parts_state["scaler"] == whole_state["scaler"]
    assert same(model.f, whole.f) and all(torch.equal(a[k], b[k]) for k in a)


def test_a_finished_run_resumes_to_itself_and_can_be_prolonged(tmp_path):
    whole = train(TINY, folder=tmp_path, every=3)
    again = train(TINY, folder=tmp_path, every=3, resume=True)
    assert same(again.f, whole.f) and again.card["history"] == whole.card["history"]
    longer = train(replace(TINY, steps=9), folder=tmp_path, every=3, resume=True)
    assert same(longer.f, train(replace(TINY, steps=9)).f)


def test_a_run_that_is_there_is_overwritten_or_resumed_by_name_only(tmp_path):
    other = replace(TINY, tightness=1.0)
    train(TINY, folder=tmp_path, every=3)
    before = (tmp_path / "tiny.train.safetensors").read_bytes()
    with pytest.raises(ValueError, match="--resume, --overwrite or another --out") as caught:
        train(other, folder=tmp_path)
    one_sentence(caught)
    with pytest.raises(ValueError, match="give one of --resume and --overwrite") as caught:
        train(TINY, folder=tmp_path, resume=True, overwrite=True)
    one_sentence(caught)
    assert (tmp_path / "tiny.train.safetensors").read_bytes() == before
    model = train(other, folder=tmp_path, overwrite=True)
    assert same(model.f, train(other).f) and state_of(tmp_path)[1]["recipe"]["tightness"] == 1.0
    train(POINTS, folder=tmp_path)  # another name is another run
    (tmp_path / "points.train.safetensors").unlink()
    ign_core.save(model, tmp_path / "points")
    with pytest.raises(ValueError, match="points.safetensors is there"):  # a model without its state is a run too
        train(POINTS, folder=tmp_path)


def test_an_overwritten_run_leaves_no_state_of_the_old_one(tmp_path):
    """Killed before its first row, the new run must not be resumed from the old one's state."""
    train(TINY, folder=tmp_path)
    with pytest.raises(FloatingPointError, match=r"good state of step 0: go on from it by --resume with an lr below 0.001"):
        train(replace(TINY, seed=3), folder=tmp_path, overwrite=True, loss=poisoned(1, "loss"))
    _, state = state_of(tmp_path)
    assert (state["step"], state["recipe"]["seed"], state["history"]) == (0, 3, [])
    assert same(train(replace(TINY, seed=3), folder=tmp_path, resume=True).f, train(replace(TINY, seed=3)).f)


def test_resuming_with_another_recipe(tmp_path):
    train(TINY, folder=tmp_path)
    path = tmp_path / "tiny.train.safetensors"
    before = path.read_bytes()
    with pytest.raises(ValueError, match="trained with another tightness, ramp; resume with the same recipe") as caught:
        train(replace(TINY, lr=1.0, tightness=1.0, ramp=3, steps=50), folder=tmp_path, resume=True)
    one_sentence(caught)
    assert path.read_bytes() == before


def test_nothing_to_resume(tmp_path):
    for out in (tmp_path, tmp_path / "none", None):
        with pytest.raises(ValueError, match="nothing to resume") as caught:
            train(TINY, folder=out, resume=True)
        one_sentence(caught)


def wrong_state(path: Path, **changes) -> None:
    """The state with changed metadata."""
    tensors, state = state_of(path.parent)
    state = {k: v for k, v in (state | changes).items() if v is not None}
    path.write_bytes(ignbook.checkpoints.sealed(tensors, state))


def wrong_tensors(path: Path, **changes) -> None:
    """The state with changed tensors (None: without it), and a sum that fits, as somebody would make it on purpose."""
    tensors, state = state_of(path.parent)
    named = {k.replace("__", "."): v for k, v in changes.items()}
    tensors = {k: v for k, v in (tensors | named).items() if v is not None}
    path.write_bytes(ignbook.checkpoints.sealed(tensors, state))


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


STATES = {
    "truncated": lambda p: p.write_bytes(p.read_bytes()[:-50]),
    "cut in the header": lambda p: p.write_bytes(p.read_bytes()[:100]),
    "empty": lambda p: p.write_bytes(b""),
    "pickle": lambda p: p.write_bytes(pickle.dumps({"step": 3})),
    "torch.save": lambda p: torch.save({"step": torch.tensor(3)}, p),
    "foreign": lambda p: p.write_bytes(safetensors.torch.save({"weight": torch.zeros(3)})),
    "foreign, with metadata": lambda p: p.write_bytes(safetensors.torch.save({"weight": torch.zeros(3)}, {"format": "pt"})),
    "metadata not JSON": lambda p: p.write_bytes(safetensors.torch.save({"weight": torch.zeros(3)}, {"ign": "{"})),
    "no recipe": lambda p: wrong_state(p, recipe=None),
    "recipe of another version": lambda p: wrong_state(p, recipe={"name": "tiny", "data": "none", "novelty": 1}),
    "no tensors": lambda p: p.write_bytes(ignbook.checkpoints.sealed({}, state_of(p.parent)[1])),
    "no sum": lambda p: p.write_bytes(safetensors.torch.save(*_without_sum(p))),
    "a recipe that is no table": lambda p: wrong_state(p, recipe=[1, 2]),
    "step below 0": lambda p: wrong_state(p, step=-1),
    "step that is no whole number": lambda p: wrong_state(p, step=2.5),
    "step that is huge": lambda p: wrong_state(p, step=10**300),
    "seconds that are not": lambda p: wrong_state(p, seconds=float("nan")),
    "a history of words": lambda p: wrong_state(p, history=["a", "b"]),
    "a history that is a number": lambda p: wrong_state(p, history=3),
    "rows of something else": lambda p: wrong_state(p, history=[{"step": 1}]),
    "courses of nothing": lambda p: wrong_state(p, courses=[]),
    "moments of parameters that there aren't": lambda p: wrong_state(p, moments=[99]),
    "a scaler that is none": lambda p: wrong_state(p, scaler={"scale": "much"}),
    "nested too deeply": lambda p: p.write_bytes(safetensors.torch.save({}, {"ign": nested(100_000), "sha256": "0" * 64})),
    "moments missing": lambda p: wrong_tensors(p, adam__0__exp_avg=None),
    "moments of another shape": lambda p: wrong_tensors(p, adam__0__exp_avg_sq=torch.zeros(3)),
    "moments below 0": lambda p: wrong_tensors(p, adam__0__exp_avg_sq=-torch.ones(8, 1, 4, 4)),
    "moments of a step below 0": lambda p: wrong_tensors(p, adam__0__step=torch.tensor(-1.0)),
    "weights of another dtype": lambda p: wrong_tensors(p, f__encoder__0__weight=torch.zeros(8, 1, 4, 4, dtype=torch.float64)),
    "weights of NaN": lambda p: wrong_tensors(p, average__encoder__0__weight=torch.full((8, 1, 4, 4), math.nan)),
    "a tensor too many": lambda p: wrong_tensors(p, f__more=torch.zeros(1)),
    "no generator": lambda p: wrong_tensors(p, generator=None),
}


def _without_sum(path: Path):
    tensors, state = state_of(path.parent)
    return tensors, {"ign": json.dumps(state)}


@pytest.mark.parametrize("damage", STATES)
def test_damaged_and_foreign_states_get_one_sentence(damage, tmp_path):
    train(TINY, folder=tmp_path)
    STATES[damage](tmp_path / "tiny.train.safetensors")
    with pytest.raises(ValueError) as caught:
        train(TINY, folder=tmp_path, resume=True)
    one_sentence(caught)
    assert "tiny.train.safetensors" in str(caught.value)


def test_the_states_that_are_broken_above_are_whole_before(tmp_path):
    """The same ways of writing a state, with nothing changed, give one that is resumed."""
    whole = train(TINY, folder=tmp_path)
    for unchanged in (wrong_state, wrong_tensors):
        unchanged(tmp_path / "tiny.train.safetensors")
        assert same(train(TINY, folder=tmp_path, resume=True).f, whole.f)


def test_a_flipped_bit_anywhere_in_a_state_is_found(tmp_path):
    train(TINY, folder=tmp_path)
    path, chance = tmp_path / "tiny.train.safetensors", random.Random(0)
    blob = path.read_bytes()
    ignbook.checkpoints.opened(path)
    for place in [*range(0, 12), *(chance.randrange(len(blob)) for _ in range(60)), len(blob) - 1]:
        path.write_bytes(blob[:place] + bytes([blob[place] ^ 1 << chance.randrange(8)]) + blob[place + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            ignbook.checkpoints.opened(path)


def test_a_state_is_not_gone_on_with_on_other_data(tmp_path):
    class Carded:
        def __init__(self, data, card):
            self.data, self.card = data, card

        def __len__(self):
            return len(self.data)

        def __getitem__(self, index):
            return self.data[index]

    class Lottery(Carded):  # gives other samples every time, as augmentation does
        def __getitem__(self, index):
            return self.data[index] * torch.rand(()) if len(index) else self.data[index]

    data = data_of(TINY)
    card = {"name": "a", "n": 30, "md5": "0"}
    other_values, shorter = data.clone().mul_(0.5), data[:29]
    pairs = [
        (data, other_values, False),
        (data, shorter, False),
        (data, data.clone(), True),
        (Carded(data, card), Carded(data, card | {"md5": "1"}), False),
        (Carded(data, card), Carded(data, card | {"origin": "elsewhere"}), True),
        (Carded(data, {"name": "a"}), Carded(data, {"name": "b"}), False),
        (Carded(data, card), data, False),
        (Lottery(data, None), Lottery(data, None), True),
    ]
    for i, (first, then, fine) in enumerate(pairs):
        train(TINY, data=first, folder=tmp_path / str(i))
        if fine:
            train(TINY, data=then, folder=tmp_path / str(i), resume=True)
            continue
        with pytest.raises(ValueError, match="was trained on other data") as caught:
            train(TINY, data=then, folder=tmp_path / str(i), resume=True)
        one_sentence(caught)


def test_a_state_is_not_gone_on_with_in_another_precision(tmp_path, monkeypatch):
    """auto is one precision here and another there: the state knows which it was, and the sentence says how to have it."""
    auto = replace(TINY, precision="auto")
    fabric = ignbook.checkpoints.fabric
    monkeypatch.setattr(
        ignbook.checkpoints, "fabric", lambda precision: fabric("bf16-mixed" if precision == "auto" else precision)
    )
    whole = train(replace(auto, steps=12), folder=tmp_path / "whole", every=3)
    train(auto, folder=tmp_path, every=3)
    monkeypatch.setattr(
        ignbook.checkpoints, "fabric", lambda precision: fabric("32-true" if precision == "auto" else precision)
    )
    with pytest.raises(
        ValueError, match="precision bf16-mixed and would go on with 32-true; resume with --precision bf16"
    ) as caught:
        train(auto, folder=tmp_path, resume=True)
    one_sentence(caught)
    wrong_state(tmp_path / "tiny.train.safetensors", device="cuda")
    with pytest.raises(ValueError, match="device cuda and would go on with cpu") as caught:
        train(replace(auto, precision="bf16-mixed"), folder=tmp_path, resume=True)
    one_sentence(caught)
    wrong_state(tmp_path / "tiny.train.safetensors", device="cpu")
    model = train(replace(auto, precision="bf16-mixed"), folder=tmp_path, every=3, resume=True)
    assert model.card["precision"] == "bf16-mixed" and whole.card["precision"] == "bf16-mixed"


def test_fewer_steps_than_were_done_are_refused(tmp_path):
    train(TINY, folder=tmp_path)
    with pytest.raises(ValueError, match="has made 6 steps already; resume with as many or more") as caught:
        train(replace(TINY, steps=5), folder=tmp_path, resume=True)
    one_sentence(caught)


def test_another_length_and_another_lr_are_said_and_stand_on_the_card(tmp_path, capsys):
    quiet = train(TINY, folder=tmp_path, every=3)
    assert "courses" not in quiet.card and capsys.readouterr().out == ""
    data, changed = data_of(TINY), replace(TINY, steps=9, lr=5e-4)
    seen = []

    def rate(f, x, z, **weights):
        seen.append(run.optimiser.param_groups[0]["lr"])
        return ign_core.objective(f, x, z, **weights)

    run = ign_core.Run(ign_core.build(changed), ign_core.source_of(changed, data), changed)
    state = ignbook.checkpoints.restore(run, tmp_path / "tiny.train.safetensors", ignbook.checkpoints.identity(data))
    assert run.step == state["step"] == 6 and len(list(run.train(data, rate))) == 3 and seen == [5e-4] * 3
    model = fit(ign_core.build(TINY), ign_core.source_of(TINY), data, changed, folder=tmp_path, every=3, resume=True)
    said = capsys.readouterr().out
    assert said == (
        "tiny: from step 6 on, lr and lambda follow the courses of 9 steps and lr 0.0005, no longer those of 6 steps and lr 0.001.\n"
    )
    assert model.card["courses"] == [{"step": 0, "lr": 1e-3, "steps": 6}, {"step": 6, "lr": 5e-4, "steps": 9}]
    assert same(model.f, run.average)
    again = train(changed, folder=tmp_path, resume=True)
    assert again.card["courses"] == model.card["courses"] and capsys.readouterr().out == ""


def test_a_run_that_became_nan_goes_on_with_a_lower_lr(tmp_path):
    with pytest.raises(FloatingPointError, match=r"state of step 4: go on from it by --resume with an lr below 0.001\.$"):
        train(TINY, folder=tmp_path, every=2, loss=poisoned(5, "loss"))
    model = train(replace(TINY, lr=1e-4), folder=tmp_path, every=2, resume=True)
    assert (
        [c["lr"] for c in model.card["courses"]] == [1e-3, 1e-4] and model.card["courses"][1]["step"] == 4 and finite(model.f)
    )


# --------------------------------------------------------------------------------------- one run at a time, and how it stops


def test_two_runs_of_one_name_in_one_folder_do_not_both_go_on(tmp_path):
    tried = []

    def meanwhile(step, f):
        for name, fine in (("tiny", False), ("other", True)):
            if step == 2 and fine:
                train(replace(TINY, name=name), folder=tmp_path)
            elif step == 2:
                with pytest.raises(ValueError, match=f"process {os.getpid()}, is at work on 'tiny'") as caught:
                    train(TINY, folder=tmp_path, overwrite=True)
                one_sentence(caught)
                tried.append(step)

    (tmp_path / ".tiny.lock").write_text("1")  # of a process that is dead, whoever has its number now
    train(TINY, folder=tmp_path, every=2, callback=meanwhile)
    assert tried == [2] and {p.name for p in tmp_path.iterdir()} == {"tiny.train.safetensors", "other.train.safetensors"}
    with pytest.raises(Stop):
        train(TINY, folder=tmp_path, every=2, overwrite=True, callback=stop_at(2))
    train(TINY, folder=tmp_path, resume=True)  # a run that failed holds nothing


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_two_steps_with_the_state_saved(number, tmp_path):
    whole, calls = train(TINY, every=2), []

    def interrupted(f, x, z, **weights):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return ign_core.objective(f, x, z, **weights)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(
        KeyboardInterrupt, match="stopped after step 3; .*tiny.train.safetensors has the state of step 3"
    ) as caught:
        train(TINY, folder=tmp_path, every=2, loss=interrupted)
    one_sentence(caught)
    assert "--resume" in str(caught.value)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert state_of(tmp_path)[1]["step"] == 3
    model = train(TINY, folder=tmp_path, every=2, resume=True)
    assert same(model.f, whole.f) and terms(model.card["history"]) == terms(whole.card["history"])


def test_ruined_weights_are_not_saved_by_a_signal(tmp_path):
    def ruined(f, x, z, **weights):
        os.kill(os.getpid(), signal.SIGINT)
        losses = ign_core.objective(f, x, z, **weights)
        return losses._replace(total=losses.total * math.nan)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 1; .* has the state of step 0"):
        train(TINY, folder=tmp_path, every=2, loss=ruined)
    assert all(torch.isfinite(t).all() for t in state_of(tmp_path)[0].values())


def test_a_nan_in_the_averaged_weights_is_found_too(tmp_path):
    def ruin(step, average):
        if step == 2:
            next(average.parameters()).view(-1)[0] = math.nan

    with pytest.raises(FloatingPointError, match="NaN by step 4"):
        train(TINY, folder=tmp_path, every=2, callback=ruin)


@pytest.mark.parametrize("steps, every, most", [(200, None, 20), (1000, None, 20), (399, None, 20), (30, 1, 30)])
def test_short_runs_write_few_states_and_the_last(steps, every, most, tmp_path, monkeypatch):
    stored, store = [], ignbook.checkpoints.store
    monkeypatch.setattr(ignbook.checkpoints, "store", lambda run, *rest: (stored.append(run.step), store(run, *rest)))
    model = train(replace(POINTS, steps=steps), folder=tmp_path, every=every)
    assert stored[0] == 0 and stored[-1] == steps == state_of(tmp_path, POINTS)[1]["step"]
    assert most - 1 <= len(stored) - 1 <= most  # besides the start
    assert len(model.card["history"]) == (every and steps or len(range(0, steps, max(steps // 200, 1))))


def test_a_long_run_has_a_state_a_minute(tmp_path, monkeypatch):
    stored, store, clock = [], ignbook.checkpoints.store, [0.0]
    monkeypatch.setattr(ignbook.checkpoints, "store", lambda run, *rest: (stored.append(run.step), store(run, *rest)))
    monkeypatch.setattr(ignbook.checkpoints.time, "perf_counter", lambda: clock[0])

    def slow(step, f):
        clock[0] += 25.0

    train(replace(POINTS, steps=400), folder=tmp_path, callback=slow)
    assert stored[:4] == [0, 8, 14, 20] and stored[-1] == 400  # a row every 2 steps and 25 s, the first at 0 s


# ------------------------------------------------------------------------------------------------------ files and their cards


class Net(ign_core.ConvAutoencoder):
    """A network of one's own, with the weights of the recipe's and another function."""

    def forward(self, y):
        return -super().forward(y)


class Other(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.shape = nn.Conv2d(1, 1, 3, padding=1), (1, 8, 8)

    def forward(self, y):
        return self.layers(y)


class Shifted(GaussianSource):
    def from_white(self, e):
        return super().from_white(e) + 1


def net_of(recipe):
    return Net(recipe.size, recipe.channels, recipe.width, recipe.code)


def test_a_network_of_ones_own_is_loaded_by_what_makes_it(tmp_path):
    data, recipe = data_of(TINY), replace(TINY, net=Net, distance=far, source=GaussianSource(TINY.shape))
    model = fit(net_of(TINY), Shifted(TINY.shape), data, recipe, folder=tmp_path, progress=False)
    assert {k: model.card["recipe"][k] for k in ("net", "distance", "source")} == {
        "net": "test_fit:Net", "distance": "test_fit:far", "source": "ign_core:GaussianSource",
    }  # fmt: skip
    fit(net_of(TINY), Shifted(TINY.shape), data, recipe, folder=tmp_path, resume=True, progress=False)  # states hold names too
    ign_core.save(model, tmp_path / "own")
    _, card = ignbook.checkpoints.read(tmp_path / "own")
    assert card["built"] == {"f": "test_fit:Net", "source": "test_fit:Shifted"}
    with pytest.raises(ValueError, match=r"give load a build=, a function of the recipe that makes a 'test_fit:Net'") as caught:
        ign_core.load(tmp_path / "own")
    one_sentence(caught)
    with pytest.raises(
        ValueError, match=r"give load a source=, a function of the recipe that makes a 'test_fit:Shifted'"
    ) as caught:
        ign_core.load(tmp_path / "own", build=net_of)
    one_sentence(caught)
    again = ign_core.load(tmp_path / "own", build=net_of, source=lambda recipe: Shifted(recipe.shape))
    z = model.source.sample(3, torch.Generator().manual_seed(0))
    assert torch.equal(again.f(z), model.f(z))


@pytest.mark.parametrize("f", [net_of(TINY), Other()], ids=["same tensors, another function", "other tensors"])
def test_a_card_that_says_conv_does_not_make_another_network_one(f, tmp_path):
    ign_core.save(train(TINY, f), tmp_path / "own")
    with pytest.raises(ValueError, match="architecture .* give load a build=") as caught:
        ign_core.load(tmp_path / "own")
    one_sentence(caught)
    ign_core.save(train(TINY), tmp_path / "own")
    assert finite(ign_core.load(tmp_path / "own").f)


def test_load_imports_nothing_that_a_card_names(tmp_path):
    ign_core.save(train(TINY), tmp_path / "m")
    path = tmp_path / "m.json"
    for built in ({"f": "antigravity:Net"}, {"f": 3}, {"f": "x" * 10_000}, "antigravity:Net", [1]):
        card = json.loads(path.read_text()) | {"built": built}
        path.write_text(json.dumps(card | {"recipe": card["recipe"] | {"distance": "antigravity:far"}}))
        if isinstance(built, dict) and isinstance(built["f"], str):
            with pytest.raises(ValueError, match="architecture") as caught:
                ign_core.load(tmp_path / "m")
            one_sentence(caught)
        else:
            ign_core.load(tmp_path / "m")
    assert "antigravity" not in sys.modules


def test_a_class_of_a_script_is_the_same_in_a_module(tmp_path, monkeypatch):
    monkeypatch.setattr(Net, "__module__", "__main__")  # trained by `python test_fit.py`
    ign_core.save(train(TINY, net_of(TINY)), tmp_path / "own")
    monkeypatch.undo()
    assert ignbook.checkpoints.read(tmp_path / "own")[1]["built"]["f"] == "__main__:Net"
    assert isinstance(ign_core.load(tmp_path / "own", build=net_of).f, Net)


OWN = """
import torch
from torch import nn
from os import system

import ign_core


class Mine(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.shape, self.layer = recipe.shape, nn.Conv2d(recipe.channels, recipe.channels, 3, padding=1)

    def forward(self, y):
        return self.layer(y).tanh()


class Cube:
    def __init__(self, shape):
        self.shape = tuple(shape)

    def sample(self, n, generator=None):
        return torch.rand(n, *self.shape, generator=generator) - 0.5


def far(a, b):
    return ign_core.l1(a, b) * 2
"""
TRAINED = """
import ignbook
data = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
about = {{"size": 8, "batch": 8, "steps": 3, "precision": "32-true"}}
recipe = ign_core.Recipe("own", "none", net={net}, source={source}, distance={distance}, **about)
model = ignbook.baselines.train(recipe, data, folder=".", overwrite=True, progress=False)
ign_core.save(model, "own")
again = ign_core.load("own")
z = [m.source.sample(4, torch.Generator().manual_seed(1)) for m in (model, again)]
assert type(again.f) is type(model.f) and torch.equal(*z) and torch.equal(model.f(z[0]), again.f(z[1]))
ignbook.baselines.train(recipe, data, folder=".", resume=True, progress=False)
print("saved and loaded", again.card["recipe"]["net"], again.card["recipe"]["source"], again.card["recipe"]["distance"])
"""
OBJECTS = {"net": "Mine", "source": "Cube", "distance": "far"}


def test_what_a_notebook_defines_is_trained_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(ign_core.__file__).parent))
    cells = [nbformat.v4.new_code_cell(text) for text in (OWN, TRAINED.format(**OBJECTS))]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(out.get("text", "") for cell in notebook.cells for out in cell.outputs)
    assert "saved and loaded __main__:Mine __main__:Cube __main__:far" in said
    with pytest.raises(ValueError, match="network '__main__:Mine' is not among .* define it there and try again") as caught:
        ign_core.load(tmp_path / "own")  # here __main__ is another
    one_sentence(caught)


def test_what_a_module_defines_is_named_in_recipe_and_card_and_imported_by_its_user_alone(tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    room = {"torch": torch, "ign_core": ign_core}
    names = {part: repr(f"my_nets:{name}") for part, name in OBJECTS.items()}
    with pytest.raises(ValueError, match="import my_nets, if you trust that code, and try again") as caught:
        exec(TRAINED.format(**names), room)
    one_sentence(caught)
    assert "my_nets" not in sys.modules
    monkeypatch.setitem(sys.modules, "my_nets", importlib.import_module("my_nets"))
    exec(TRAINED.format(**names), room)
    written = Path("own.json").read_text()
    exec(TRAINED.format(**{part: f"__import__('my_nets').{name}" for part, name in OBJECTS.items()}), room)
    assert {part: json.loads(text)["recipe"][part] for text in (written, Path("own.json").read_text()) for part in OBJECTS} == {
        part: f"my_nets:{name}" for part, name in OBJECTS.items()
    }
    del sys.modules["my_nets"]
    with pytest.raises(ValueError, match="import my_nets, if you trust that code, and try again") as caught:
        ign_core.load("own")
    one_sentence(caught)
    assert "my_nets" not in sys.modules


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:exec", "my_nets:system", "my_nets:VALUE", "my_nets:", ":", "torch.nn.Module"]
)
@pytest.mark.parametrize("part", ["net", "source"])
def test_a_card_takes_nothing_of_pythons_own(part, name, tmp_path, monkeypatch):
    module = types.ModuleType("my_nets")
    monkeypatch.setitem(sys.modules, "my_nets", module)
    exec(OWN + "VALUE = 3", module.__dict__)
    ign_core.save(train(TINY), tmp_path / "m")
    card = json.loads((tmp_path / "m.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps(card | {"recipe": card["recipe"] | {part: name}}))
    with pytest.raises(ValueError, match="function or class of your own|not among the modules|is unknown") as caught:
        ign_core.load(tmp_path / "m")
    one_sentence(caught)


def test_weights_that_are_not_finite_are_not_loaded(tmp_path):
    model = train(TINY)
    with torch.no_grad():
        next(model.f.parameters()).view(-1)[3] = math.inf
    ign_core.save(model, tmp_path / "m")
    with pytest.raises(ValueError, match="weights that aren't finite") as caught:
        ign_core.load(tmp_path / "m")
    one_sentence(caught)


CARDS = {
    "infinite": lambda text: text.replace('"width": 8', '"width": 1e999'),
    "of many digits": lambda text: text.replace('"width": 8', '"width": ' + "9" * 5000),
    "of fewer digits": lambda text: text.replace('"width": 8', '"width": ' + "9" * 4000),
    "too wide": lambda text: text.replace('"width": 8', '"width": 4096').replace('"size": 8', '"size": 1024'),
    "nested": lambda text: text.replace('"width": 8', '"width": ' + nested(100_000)),
    "a list for a method": lambda text: text.replace('"method": "ign"', '"method": [1]'),
    "a table for a source": lambda text: text.replace('"source": "gaussian"', '"source": {"a": 1}'),
}


@pytest.mark.parametrize("change", CARDS)
def test_a_hostile_card_gets_one_sentence(change, tmp_path):
    import ignbook.baselines

    ign_core.save(train(TINY), tmp_path / "m")
    text = (tmp_path / "m.json").read_text()
    (tmp_path / "m.json").write_text(CARDS[change](text))
    assert CARDS[change](text) != text
    for load in (ign_core.load, ignbook.baselines.load):
        with pytest.raises(ValueError) as caught:
            load(tmp_path / "m")
        one_sentence(caught)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize(
    "entry", [{"metrics": torch.zeros(2)}, {"metrics": {1, 2}}, {"name": "\ud800"}], ids=["tensor", "set", "text"]
)
def test_a_card_that_is_no_json_leaves_the_old_model(entry, tmp_path):
    model = train(TINY)
    ign_core.save(model, tmp_path / "m")
    before = contents(tmp_path)
    model.card |= entry
    with pytest.raises(ValueError) as caught:
        ign_core.save(model, tmp_path / "m")
    one_sentence(caught)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fails", [1, 2])
def test_a_full_disk_leaves_the_old_model_and_nothing_aside(fails, tmp_path, monkeypatch):
    model, other, calls = train(TINY), train(replace(TINY, seed=5)), []
    ign_core.save(model, tmp_path / "m")
    before, fsync = contents(tmp_path), os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == fails:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            ign_core.save(other, tmp_path / "m")
    assert len(calls) == fails and contents(tmp_path) == before and same(ign_core.load(tmp_path / "m").f, model.f)
    (tmp_path / "d.json").mkdir()
    with pytest.raises(IsADirectoryError):
        ign_core.save(other, tmp_path / "d")
    assert not (tmp_path / "d.safetensors").exists()


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order, fsync, rename = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda d: (order.append("sync"), fsync(d)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("rename"), rename(a, b)))
    ign_core.save(train(TINY), tmp_path / "m")
    assert order == ["sync", "sync", "rename", "rename"]


def test_a_link_laid_where_a_file_is_written_aside_is_not_followed(tmp_path, monkeypatch):
    """No name is to be foreseen; and if one is, the file it leads to is left alone."""
    names, create = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: (names.append(Path(path).name), create(path, *rest))[1])
    for _ in range(2):
        ignbook.checkpoints.write_file(tmp_path / "a.txt", b"new")
    assert len(set(names)) == 2 and all(name.startswith(".a.txt.") for name in names)
    (tmp_path / "victim").write_bytes(b"old")
    monkeypatch.setattr(ignbook.checkpoints.secrets, "token_hex", lambda n: "0" * 2 * n)
    (tmp_path / f".a.txt.{'0' * 16}.aside").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        ignbook.checkpoints.write_file(tmp_path / "a.txt", b"newer")
    assert (tmp_path / "victim").read_bytes() == b"old" and (tmp_path / "a.txt").read_bytes() == b"new"


def test_what_a_killed_run_left_aside_is_swept_by_the_next(tmp_path):
    token = "0123456789abcdef"
    left = [f".tiny.{end}.{token}.aside" for end in ("train.safetensors", "safetensors", "json", "csv")]
    stay = [f".tiny.b.json.{token}.aside", f".other.json.{token}.aside", ".tiny.json.mine", f"tiny.json.{token}.aside"]
    for name in left + stay:
        (tmp_path / name).write_bytes(b"")
    train(TINY, folder=tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.train.safetensors", *stay}


# -------------------------------------------------------------------------------------------------------------- kill -9

LONG = replace(TINY, name="long", steps=1_000_000, ramp=50, source="fourier")  # killed long before its end
EVERY = 3


def _endless(folder: str, resume: bool) -> None:
    torch.set_num_threads(1)
    train(LONG, folder=folder, every=EVERY, resume=resume)


def step_of(path: Path) -> int:
    """The step of the state on disk, 0 without one.  It is read while the run writes: at every moment it must be whole."""
    return state_of(path.parent, LONG)[1]["step"] if path.exists() else 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked from one that has torch: Linux only")
def test_killed_at_random_moments_and_resumed_is_the_unbroken_run(tmp_path):
    """kill -9 five times, in and between the writes of states; the end is bit for bit that of a run left alone."""
    context = multiprocessing.get_context("forkserver")  # imports once, then a child costs a moment
    context.set_forkserver_preload(["torch", "lightning_fabric", "ign_core", "torchvision.utils"])
    path, chance, stops = tmp_path / "killed" / "long.train.safetensors", random.Random(0), []
    for attempt in range(5):
        old = step_of(path)
        child = context.Process(target=_endless, args=(str(path.parent), attempt > 0))
        child.start()
        patience = time.monotonic() + 300
        while step_of(path) == old:  # until the first new state of this run
            assert child.is_alive() and time.monotonic() < patience, "the run wrote no state"
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        child.close()
        stops.append(step_of(path))
    assert stops == sorted(set(stops)) and stops[0] >= EVERY, f"every run got further: {stops}"

    end = replace(LONG, steps=stops[-1] + 2 * EVERY + 1)
    resumed, whole = ign_core.build(end), ign_core.build(end)
    a = train(end, resumed, folder=path.parent, every=EVERY, resume=True)
    b = train(end, whole, folder=tmp_path / "whole", every=EVERY)
    assert same(resumed, whole) and same(a.f, b.f) and isinstance(a.source, FourierSource) and same(a.source, b.source)
    (killed, _), (unbroken, _) = (state_of(tmp_path / name, end) for name in ("killed", "whole"))
    assert killed.keys() == unbroken.keys() and len([k for k in killed if k.endswith(".exp_avg_sq")]) > 0
    assert all(torch.equal(killed[k], unbroken[k]) for k in killed)  # weights, average, moments, generator
    assert terms(a.card["history"]) == terms(b.card["history"])
