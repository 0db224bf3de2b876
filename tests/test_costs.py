"""What a training would take, against counts by hand."""

from dataclasses import replace

import pytest

import ign_core
import ignbook.costs
import train
from ign_core import Recipe

POINTS = Recipe("points", "none", net="mlp", width=10, depth=2, batch=64, steps=100, source="gaussian", precision="32-true")
IMAGES = Recipe("images", "none", size=16, channels=3, width=6, code=5, batch=64, steps=100, norm="none", precision="32-true")


def by_hand(layers: list[int], n: int, method: str = "ign") -> int:
    """Operations of a step, of the multiply-adds that a sample takes in each layer: a forward is one of them, a backward
    one for the layer's weights and one for its input, which the first layer needs not for x and z."""
    forward, first = 2 * sum(layers), 2 * layers[0]
    of_data = 3 * forward - first  # x, z, or any input that has no gradient
    if method == "ign":  # x and z, and f(f(z)) through to f(z)
        return n * (2 * of_data + 3 * forward)
    return n * of_data  # denoising: one pass


MLP_LAYERS = [2 * 10, 10 * 10, 10 * 2]
CONV_LAYERS = [3 * 6 * 16 * 8 * 8, 6 * 12 * 16 * 4 * 4, 12 * 5 * 4 * 4, 5 * 12 * 4 * 4, 12 * 6 * 16 * 4 * 4, 6 * 3 * 16 * 8 * 8]


@pytest.mark.parametrize(
    "recipe, layers",
    [
        (POINTS, MLP_LAYERS),
        (IMAGES, CONV_LAYERS),
        (replace(IMAGES, batch=16), CONV_LAYERS),  # less than the step that is counted
        (replace(IMAGES, method="denoise"), CONV_LAYERS),
        (replace(IMAGES, start="there is none", recall=0.0), CONV_LAYERS),  # where weights start from costs nothing
    ],
    ids=["points", "images", "small batch", "denoise", "start"],
)
def test_operations_are_those_of_the_layers(recipe, layers):
    found = ignbook.costs.counted(recipe)
    assert found["operations"] == by_hand(layers, recipe.batch, recipe.method)
    biases = sum([10, 10, 2] if recipe.net == "mlp" else [6, 12, 5, 12, 6, 3])
    weights = [2 * 10, 10 * 10, 10 * 2] if recipe.net == "mlp" else [288, 1152, 960, 960, 1152, 288]
    assert found["parameters"] == sum(weights) + biases


def test_what_is_kept_grows_with_the_batch_and_holds_the_layers_inputs():
    """At least what each product needs for its backward, and not many times that: of x, z and f(z)."""
    small, large = (ignbook.costs.counted(replace(IMAGES, batch=n))["kept"] for n in (64, 128))
    assert large == pytest.approx(2 * small)
    inputs = 64 * 3 * (3 * 16 * 16 + 6 * 8 * 8 + 12 * 4 * 4 + 5 + 12 * 4 * 4 + 6 * 8 * 8)
    assert inputs < small < 5 * inputs


def test_a_dry_run_prints_and_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IGN_DATA", raising=False)
    monkeypatch.setattr(ign_core, "fit", None)
    monkeypatch.setattr("ignbook.data.load", None)
    small = ["--size", "16", "--width", "6", "--code", "5", "--linear", "0", "--norm", "none"]
    train.main(
        ["mnist-quick", *small, "--channels", "3", "--precision", "32-true", "--dry-run", "--out", str(tmp_path / "out")]
    )
    said = capsys.readouterr().out
    assert f"{4_800 + 44:,} parameters" in said and "nothing is trained" in said
    steps, operations = 600, by_hand(CONV_LAYERS, 64)
    assert f"a step of 64 samples: {operations:.3g} operations" in said and f"for {steps:,} steps (cpu, 32-true)" in said
    assert f"T4 {steps * operations / (65e12 * 0.25) / 60:.2g}" in said
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="network 'transformer' is unknown"):
        train.main(["mnist-quick", "--net", "transformer", "--dry-run"])
