"""The command line: what it writes, what it says, and that a wrong word gets one sentence."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch
from checks import one_sentence
from nbclient.exceptions import CellExecutionError

import ign_core
import ignbook.baselines
import ignbook.checkpoints
import ignbook.data
import ignbook.metrics
import ignbook.recipes
import ignbook.remedies
import train

ROOT = Path(__file__).resolve().parent.parent
SHORT = ["ring", "--steps", "12", "--batch", "32", "--width", "8"]


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def weights(path: Path) -> list[torch.Tensor]:
    return list(ign_core.load(path).f.state_dict().values())


def test_help_explains_itself():
    done = command("train.py", "--help")
    assert done.returncode == 0
    for word in (*ignbook.recipes.RECIPES, "evaluate", "export", "classifier", "--resume"):
        assert word in done.stdout
    done = command("train.py", "mnist", "--help")
    assert done.returncode == 0
    for word in ("--steps", "--out", "--resume", "--tightness", "bit for bit"):
        assert word in done.stdout


def test_an_unknown_recipe_names_the_known_ones():
    done = command("train.py", "mnits")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "'mnits' is neither a recipe nor a command" in done.stderr
    for name in ignbook.recipes.RECIPES:
        assert name in done.stderr
    with pytest.raises(ValueError, match="recipe 'mnits' is unknown; use one of: mnist"):
        ignbook.recipes.recipe("mnits")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["evaluate", "nothing"], "there is no checkpoint nothing"),
        (["evaluate", "ring"], "coverage_2d.py --checkpoints ring"),
        (["export", "nothing", "--out", "x"], "there is no checkpoint nothing"),
        ([*SHORT, "--out", "{tmp}", "--resume"], "nothing to resume from"),
        ([*SHORT, "--out", "{tmp}", "--net", "transformer"], "network 'transformer' is unknown"),
        ([*SHORT, "--out", "{tmp}", "--source", "pink"], "source 'pink' is unknown"),
        ([*SHORT, "--out", "{tmp}", "--distance", "l3"], "distance 'l3' is unknown"),
    ],
)
def test_bad_input_gets_one_sentence_and_writes_nothing(arguments, words, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        train.main([a.format(tmp=tmp_path / "out") for a in arguments])
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (tmp_path / "out").exists()


def test_a_run_writes_model_card_history_and_state(tmp_path, capfd):
    train.main([*SHORT, "--out", str(tmp_path)])
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"ring.safetensors", "ring.json", "ring.csv", "ring.train.safetensors"}
    model = ign_core.load(tmp_path / "ring")
    assert model.card["recipe"]["steps"] == 12 and model.card["recipe"]["width"] == 8
    rows = list(csv.DictReader(open(tmp_path / "ring.csv")))
    assert [float(r["reconstruction"]) for r in rows] == [r["reconstruction"] for r in model.card["history"]]
    assert "trained ring in" in capfd.readouterr().out


def test_a_finished_run_resumes_to_the_same_weights(tmp_path):
    train.main([*SHORT, "--out", str(tmp_path)])
    before = weights(tmp_path / "ring")
    train.main([*SHORT, "--out", str(tmp_path), "--resume"])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(tmp_path / "ring")))
    with pytest.raises(ValueError, match="trained with another lr"):
        train.main([*SHORT, "--lr", "0.5", "--out", str(tmp_path), "--resume"])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(tmp_path / "ring")))


@pytest.mark.parametrize("half, size", [(False, 4), (True, 2)])
def test_export(tmp_path, half, size):
    train.main(["export", "ring", "--out", str(tmp_path / "small"), *(["--half"] if half else [])])
    tensors, card = ignbook.checkpoints.read(tmp_path / "small")
    assert all(t.element_size() == size for name, t in tensors.items() if name.startswith("f."))
    a, b = (ign_core.load(path) for path in ("ring", tmp_path / "small"))
    y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(a.f(y), b.f.float()(y), atol=1e-2 if half else 0)
    assert card["recipe"] == a.card["recipe"]


def test_evaluate_writes_what_it_prints(tmp_path, capsys):
    if not ignbook.data.load("mnist").card["name"].startswith("mnist"):
        pytest.skip("MNIST is not to be had here: IGN_DATA is not set and there is no network")
    for ending in ("safetensors", "json"):
        shutil.copy(ignbook.checkpoints.shipped("checkpoints") / f"mnist.{ending}", tmp_path)
    path = tmp_path / "mnist.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {}}))
    train.main(["evaluate", str(tmp_path / "mnist"), "--n", "600"])
    metrics = ign_core.load(tmp_path / "mnist").card["metrics"]
    assert capsys.readouterr().out.strip() == ignbook.metrics.table(metrics)
    assert metrics["n"] == 600 and set(metrics["rows"]) == {"real", "z", "f(z)", "f²(z)", "f³(z)"}
    shipped = ign_core.load("mnist").card["metrics"]["rows"]["f(z)"]
    assert metrics["rows"]["f(z)"]["precision"] == pytest.approx(shipped["precision"], abs=0.1)  # 600 samples, not 5,000


def test_the_benchmark_runs_and_keeps_its_numbers(tmp_path):
    done = command("benchmarks/step.py", "--recipe", "ring", "--rounds", "1", "--out", str(tmp_path / "step.json"))
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "step.json").read_text())
    assert result["rows"]["literal, float32"]["ratio"] == 1.0 and len(result["rows"]) == 3
    for name, row in result["rows"].items():
        assert f"| {name} | {row['images a second']} | {row['ratio']:.2f} |" in done.stdout


def test_the_benchmark_of_remedies_has_them_all(tmp_path):
    done = command("benchmarks/remedies.py", "--recipe", "mnist-quick", "--rounds", "1", "--out", str(tmp_path / "cost.json"))
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "cost.json").read_text())["rows"]
    assert list(rows) == ["none", *ignbook.remedies.EXTRAS, "pyramid", "perceptual"] and rows["none"]["ratio"] == 1.0


def test_a_sweep_does_not_train_on_a_stand_in(tmp_path, monkeypatch):
    """Where MNIST can't be had, load gives other digits: a run that says MNIST mustn't be trained on them."""
    load = ignbook.data.load
    monkeypatch.setattr(ignbook.data, "load", lambda name, split="train", size=None: load("digits8", split, size))
    monkeypatch.setitem(
        ignbook.recipes.SWEEPS, "tiny", {"ign-s0": replace(ignbook.recipes.small, width=8, code=16, steps=2, batch=16)}
    )
    with pytest.raises(ValueError, match="set IGN_DATA") as caught:
        train.main(["sweep", "tiny", "--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results")])
    one_sentence(caught)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "results").exists()


def test_a_sweep_writes_a_file_a_run_and_leaves_what_is_done(tmp_path, monkeypatch, capsys):
    if not ignbook.data.load("mnist").card["name"].startswith("mnist"):
        pytest.skip("MNIST is not to be had here: IGN_DATA is not set and there is no network")
    tiny = replace(ignbook.recipes.small, width=8, code=16, steps=20, ramp=5, batch=16)
    family = {"ign-s0": tiny, "vae-s0": replace(tiny, method="vae"), "ign-s1": replace(tiny, seed=1)}
    monkeypatch.setitem(ignbook.recipes.SWEEPS, "tiny", family)

    def sweep(*more):
        train.main(
            ["sweep", "tiny", "--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), "--n", "600", *more]
        )

    sweep("--part", "1", "--of", "2")
    assert [path.stem for path in sorted((tmp_path / "results" / "tiny").glob("*.json"))] == ["vae-s0"]
    first = (tmp_path / "results" / "tiny" / "vae-s0.json").read_bytes()
    sweep()
    assert (tmp_path / "results" / "tiny" / "vae-s0.json").read_bytes() == first
    for run, recipe in family.items():
        record = json.loads((tmp_path / "results" / "tiny" / f"{run}.json").read_text())
        assert (
            ignbook.checkpoints.recipe_of(record, ign_core.Recipe) == recipe
            and record["images"] == 320
            and record["metrics"]["n"] == 600
        )
        assert [row["step"] for row in record["course"]] == [10, 20]
        assert (tmp_path / "results" / "tiny" / f"{run}.png").exists()
        f = ignbook.baselines.load(tmp_path / "runs" / "tiny" / run / recipe.name).f
        assert record["parameters"] == sum(p.numel() for p in f.parameters())
    with pytest.raises(ValueError) as caught:
        train.main(["sweep", "prayers"])
    one_sentence(caught)
    capsys.readouterr()


def test_runs_are_trained_and_measured_at_the_size_of_their_recipe(tmp_path, monkeypatch):
    tiny = replace(ignbook.recipes.drawn, size=32, width=8, code=8, linear=8, steps=2, batch=16)
    seen = []

    def evaluate(model, network, data, test, **_):
        seen.append([tuple(images[torch.arange(2)].shape) for images in (data, test)])
        return {"n": 2, "rows": {}}

    monkeypatch.setattr(ignbook.metrics, "evaluate", evaluate)
    monkeypatch.setattr(ignbook.metrics, "table", str)
    monkeypatch.setattr(ignbook.metrics, "load_feature_network", lambda name: None)
    monkeypatch.setattr(ignbook.metrics, "features_of", lambda network, x: x.flatten(1))
    monkeypatch.setitem(ignbook.recipes.SWEEPS, "tiny", {"ign-s0": tiny})
    train.main(["sweep", "tiny", "--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results"), "--n", "60"])
    train.main(["evaluate", str(tmp_path / "runs" / "tiny" / "ign-s0" / "drawn")])
    assert seen == 2 * [2 * [(2, 3, 32, 32)]]


def test_evaluate_executes_a_chapter_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "CHAPTERS", tmp_path)
    cells = {"draws": "print(6 * 7)", "fails": "print(6 * 7)\nassert False"}
    for name, code in cells.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    train.evaluate("draws")
    (cell,) = nbformat.read(tmp_path / "draws.ipynb", as_version=4).cells
    assert [output.text for output in cell.outputs] == ["42\n"]
    before = (tmp_path / "fails.ipynb").read_bytes()
    with pytest.raises(CellExecutionError, match="assert False"):
        train.evaluate("fails")
    assert (tmp_path / "fails.ipynb").read_bytes() == before
