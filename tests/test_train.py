"""The command line: what it writes, what it says, and that a wrong word gets one sentence."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.utils.flop_counter
from checks import one_sentence
from matplotlib.image import imread
from nbclient.exceptions import CellExecutionError

import ign_core
import ignbook.baselines
import ignbook.checkpoints
import ignbook.data
import ignbook.metrics
import ignbook.projector
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
    for word in (*ignbook.recipes.RECIPES, "evaluate", "export", "sample", "classifier", "--resume", "--overwrite"):
        assert word in done.stdout
    done = command("train.py", "mnist", "--help")
    assert done.returncode == 0
    for word in ("--steps", "--out", "--resume", "--overwrite", "--tensorboard", "--tightness", "bit for bit"):
        assert word in done.stdout


def test_a_module_of_ones_own_is_imported_when_it_is_asked_for(tmp_path):
    (tmp_path / "my_nets.py").write_text(
        "import ign_core\n\n\ndef mine(recipe):\n    return ign_core.ConvAutoencoder(32, 1, 4, 4)\n"
    )
    trained = "mnist-narrow --data digits8 --steps 3 --batch 8 --ramp 0 --net my_nets:mine --out runs".split()
    environment: dict = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    for words in (["--import", "my_nests"], ["--import"]):
        with pytest.raises(ValueError, match="--import can't import") as caught:
            train.main(words)
        one_sentence(caught)
    for words in (["--import", "my_nets", *trained], ["sample", "runs/mnist-narrow", "--out", "a.png", "--import", "my_nets"]):
        done = subprocess.run([sys.executable, ROOT / "train.py", *words], capture_output=True, text=True, **environment)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").exists()


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
    assert names == {"ring.safetensors", "ring.json", "ring.csv", "ring-history.png", "ring.train.safetensors"}
    model = ign_core.load(tmp_path / "ring")
    assert model.card["recipe"]["steps"] == 12 and model.card["recipe"]["width"] == 8
    rows = list(csv.DictReader(open(tmp_path / "ring.csv")))
    assert [float(r["reconstruction"]) for r in rows] == [r["reconstruction"] for r in model.card["history"]]
    assert "trained ring in" in capfd.readouterr().out


def test_a_finished_run_resumes_to_the_same_weights_and_is_not_overwritten_unasked(tmp_path):
    train.main([*SHORT, "--out", str(tmp_path)])
    before = weights(tmp_path / "ring")
    train.main([*SHORT, "--out", str(tmp_path), "--resume"])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(tmp_path / "ring")))
    with pytest.raises(ValueError, match="trained with another tightness"):
        train.main([*SHORT, "--tightness", "0.5", "--out", str(tmp_path), "--resume"])
    with pytest.raises(ValueError, match="--overwrite"):
        train.main([*SHORT, "--seed", "5", "--out", str(tmp_path)])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(tmp_path / "ring")))
    train.main([*SHORT, "--seed", "5", "--out", str(tmp_path), "--overwrite"])
    assert not all(torch.equal(a, b) for a, b in zip(before, weights(tmp_path / "ring")))


def test_a_resumed_run_may_be_longer_and_slower_and_says_so(tmp_path, capfd):
    train.main([*SHORT, "--out", str(tmp_path)])
    longer = ["ring", "--steps", "20", "--lr", "0.0001", *SHORT[3:], "--out", str(tmp_path), "--resume"]
    capfd.readouterr()
    train.main(longer)
    first, second = capfd.readouterr().out.splitlines()
    assert (
        first
        == "ring: from step 12 on, lr and lambda follow the courses of 20 steps and lr 0.0001, no longer those of 12 steps and lr 0.002."
    )
    card = ign_core.load(tmp_path / "ring").card
    assert card["courses"][1] == {"step": 12, "lr": 0.0001, "steps": 20} and card["history"][-1]["step"] == 20


WRONG = {
    "file as --out": ([*SHORT, "--out", "{tmp}/file"], "{tmp}/file"),
    "file above --out": ([*SHORT, "--out", "{tmp}/file/out"], "{tmp}/file"),
    "a folder where the model is to be": ([*SHORT, "--out", "{tmp}/taken", "--overwrite"], "ring.safetensors"),
    "a name that is too long": ([*SHORT, "--out", "{tmp}/" + 300 * "n"], "File name too long"),
    "threads 0": ([*SHORT, "--out", "{tmp}/out", "--threads", "0"], "--threads is 0; give a number from 1"),
    "threads -1": ([*SHORT, "--out", "{tmp}/out", "--threads", "-1"], "--threads is -1"),
    "threads 10**6": ([*SHORT, "--out", "{tmp}/out", "--threads", "1000000"], "--threads is 1000000"),
    "n 0": (["evaluate", "mnist", "--n", "0"], "--n is 0"),
    "seed -1": (["evaluate", "mnist", "--seed", "-1"], "--seed is -1"),
    "part 5 of 1": (["sweep", "lambda", "--part", "5", "--of", "1"], "--part is 5; give a number from 0 to 0."),
    "of 0": (["sweep", "lambda", "--of", "0"], "--of is 0"),
    "threads of a sweep": (["sweep", "lambda", "--threads", "0"], "--threads is 0"),
    "a sweep of another command": (["sweep", "source"], "use `python experiments/sources.py`"),
    "sample into no picture": (["sample", "ring", "--out", "{tmp}/out.xyz"], "ends in .png"),
    "sample into a folder": (["sample", "ring", "--out", "{tmp}/dir.png"], "dir.png"),
    "no samples": (["sample", "ring", "--n", "0", "--out", "{tmp}/out.png"], "--n is 0"),
    "shipped card": (["evaluate", "mnist"], "give --shipped for that"),
    "classifier elsewhere": (["classifier", "--name", "../evil", "--out", "{tmp}/out"], "plain file name"),
    "classifier of no epochs": (["classifier", "--epochs", "0", "--out", "{tmp}/out"], "--epochs is 0"),
    "no tensorboard": ([*SHORT, "--out", "{tmp}/out", "--tensorboard", "{tmp}/board"], "pip install tensorboard"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_one_sentence_and_an_exit_status(case, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "RUNS", tmp_path / "runs")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    (tmp_path / "file").write_text("mine")
    for folder in ("dir.png", "taken/ring.safetensors"):
        (tmp_path / folder).mkdir(parents=True)
    arguments, words = WRONG[case]
    threads = torch.get_num_threads()
    status = train.guarded([a.format(tmp=tmp_path) for a in arguments])
    said = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and said.startswith("train.py: ") and said.endswith(".") and words.format(tmp=tmp_path) in said
    assert (tmp_path / "file").read_text() == "mine" and not (tmp_path / "out").exists() and not list(tmp_path.rglob("*evil*"))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    "flags, words",
    [(["--batch", "-4"], "batch is -4"), (["--batch", "0"], "batch is 0"), (["--steps", "0"], "steps is 0"),
     (["--name", "../evil"], "plain file name"), (["--method", "vae"], "is for images"), (["--precision", "64-true"], "unknown"),
     (["--clip", "-1"], "clip is -1")],
)  # fmt: skip
def test_a_recipe_out_of_range_ends_the_command(flags, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        train.guarded(["ring", "--width", "8", *flags, "--out", str(tmp_path / "out")])
    assert caught.value.code not in (0, None)
    said = capsys.readouterr().err
    assert words in " ".join(said.replace("│", "").split()) and "Traceback" not in said
    assert not list(tmp_path.rglob("*"))


def test_a_full_disk_is_said_in_one_sentence(tmp_path, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ignbook.checkpoints.os, "fsync", full)
    assert train.guarded([*SHORT, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in said and said.endswith(".") and not list(tmp_path.iterdir())


def test_sigterm_ends_a_run_with_one_sentence_and_it_goes_on(tmp_path):
    """As a process of its own: what a batch system or a Ctrl-C does."""
    arguments = ["train.py", *SHORT[:1], "--steps", "1000000", *SHORT[3:], "--out", str(tmp_path)]
    run = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "ring.train.safetensors"
    while not state.exists():
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=120)
    last = said.splitlines()[-1]
    assert run.returncode == 130 and "Traceback" not in said
    assert last.startswith("train.py: stopped after step") and last.endswith("go on from it by --resume.")
    _, kept = ignbook.checkpoints.opened(state)
    assert f"the state of step {kept['step']}:" in last
    assert {p.name for p in tmp_path.iterdir()} == {"ring.train.safetensors"}  # the lock is gone


def test_a_name_is_the_newer_of_runs_and_shipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "RUNS", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    shipped = ignbook.checkpoints.shipped("checkpoints") / "ring"
    assert train._checkpoint("ring") == shipped and capsys.readouterr().out == f"ring is {shipped}.safetensors\n"
    train.main([*SHORT, "--out", str(tmp_path / "runs")])
    mine, age = tmp_path / "runs" / "ring", Path(f"{shipped}.safetensors").stat().st_mtime
    capsys.readouterr()
    for later, taken in ((10, mine), (-10, shipped)):
        os.utime(f"{mine}.safetensors", (age + later, age + later))
        assert train._checkpoint("ring") == taken and capsys.readouterr().out == f"ring is {taken}.safetensors\n"
        train.main(["export", "ring", "--out", str(tmp_path / "out")])
        assert ignbook.checkpoints.read(tmp_path / "out")[1]["recipe"]["width"] == (8 if taken == mine else 128)
        assert ign_core.load("ring").card["recipe"]["width"] == 128  # the pages don't change
        capsys.readouterr()
    os.utime(f"{mine}.safetensors", (age + 10, age + 10))
    assert train._checkpoint("ring", shipped=True) == shipped
    for path in ("runs/ring", "runs/ring.safetensors", str(mine)):
        assert train._checkpoint(path).resolve() == mine
    with pytest.raises(FileNotFoundError, match="there is no checkpoint nothing"):
        train.main(["sample", "nothing", "--out", "a.png"])


def test_evaluate_writes_into_a_shipped_card_only_when_told(tmp_path, monkeypatch, capsys):
    """A folder of its own stands for the shipped one."""
    real = ignbook.checkpoints.shipped
    for ending in ("safetensors", "json"):
        shutil.copy(real("checkpoints") / f"mnist.{ending}", tmp_path)
    card = tmp_path / "mnist.json"
    before = card.read_bytes()
    data = ignbook.data.load("digits8")
    monkeypatch.setattr(ignbook.checkpoints, "shipped", lambda folder: tmp_path)
    monkeypatch.setattr(train, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(ignbook.data, "real", lambda *_: data)
    monkeypatch.setattr(ignbook.metrics, "load_feature_network", lambda name: None)
    monkeypatch.setattr(ignbook.metrics, "evaluate", lambda *_, **__: {"n": 3})
    monkeypatch.setattr(ignbook.metrics, "table", str)
    for name in ("mnist", str(tmp_path / "mnist")):
        with pytest.raises(ValueError, match="give --shipped for that, or the path of a copy") as caught:
            train.main(["evaluate", name])
        one_sentence(caught)
    assert card.read_bytes() == before
    train.main(["evaluate", "mnist", "--shipped"])
    assert json.loads(card.read_text())["metrics"] == {"n": 3}
    capsys.readouterr()


def test_evaluate_does_not_measure_against_a_stand_in(tmp_path, monkeypatch):
    for ending in ("safetensors", "json"):
        shutil.copy(ignbook.checkpoints.shipped("checkpoints") / f"faces.{ending}", tmp_path)
    before = (tmp_path / "faces.json").read_bytes()
    load = ignbook.data.load
    monkeypatch.setattr(ignbook.data, "load", lambda name, split="train", size=None: load("digits8", split, size))
    with pytest.raises(ValueError, match="this takes celeba64, which is not to be had here; set IGN_DATA") as caught:
        train.main(["evaluate", str(tmp_path / "faces")])
    one_sentence(caught)
    assert (tmp_path / "faces.json").read_bytes() == before


def test_sample_draws_a_grid(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "RUNS", tmp_path / "runs")
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        train.main(["sample", "mnist", "--n", "16", "--seed", str(seed), "--out", str(tmp_path / f"{name}.png")])
    a, b, c = (imread(tmp_path / f"{name}.png") for name in "abc")
    assert a.shape[:2] == (2 * 34 + 2, 8 * 34 + 2)  # two rows of eight, 32 pixels each and 2 between
    assert (a == b).all() and (a != c).any()
    model = ign_core.load("mnist")
    x = ign_core.project(model.f, model.source.sample(16, torch.Generator().manual_seed(0)))
    assert torch.allclose(torch.from_numpy(a[2:34, 2:34, 0]), (x[0, 0].clamp(-1, 1) + 1) / 2, atol=0.01)
    train.main(["sample", "ring", "--n", "100", "--out", str(tmp_path / "points.png")])
    assert imread(tmp_path / "points.png").std() > 0
    assert "16 samples of mnist (seed 1)" in capsys.readouterr().out


def test_a_run_draws_its_terms_and_few_grids(tmp_path, monkeypatch):
    drawn, history = [], ignbook.plots.history
    monkeypatch.setattr(ignbook.plots, "history", lambda rows, ax: (drawn.append(rows), history(rows, ax))[1])
    data = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    monkeypatch.setattr(ignbook.data, "load", lambda name, size=None: data)
    train.main(
        ["mnist-quick", "--steps", "200", "--size", "16", "--width", "4", "--code", "4", "--batch", "4", "--out", str(tmp_path)]
    )
    steps = [int(path.stem) for path in sorted((tmp_path / "mnist-quick-samples").glob("*.png"))]
    assert steps == list(range(10, 201, 10))
    rows = ign_core.load(tmp_path / "mnist-quick").card["history"]
    assert len(rows) == 200 and drawn == [rows] and imread(tmp_path / "mnist-quick-history.png").std() > 0


def test_tensorboard_gets_terms_and_grids(tmp_path, monkeypatch):
    seen, closed = [], []

    class Writer:
        def __init__(self, folder):
            seen.append(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            closed.append(True)

        def add_scalar(self, tag, value, step):
            seen.append((tag, value, step))

        def add_image(self, tag, image, step, dataformats):
            assert image.ndim == 3 and dataformats == "HWC"
            seen.append((tag, None, step))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    data = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    monkeypatch.setattr(ignbook.data, "load", lambda name, size=None: data)
    small = ["--steps", "3", "--size", "16", "--width", "4", "--code", "4", "--batch", "4"]
    train.main(["mnist-quick", *small, "--out", str(tmp_path), "--tensorboard", "board"])
    rows = ign_core.load(tmp_path / "mnist-quick").card["history"]
    terms = [(k, row[k], row["step"]) for row in rows for k in ("reconstruction", "idempotence", "tightness")]
    assert (
        seen[0] == "board"
        and set(terms) <= set(seen[1:])
        and [s for t, _, s in seen[1:] if t == "f(z)"] == [1, 2, 3]
        and closed
    )


@pytest.mark.parametrize("half, size", [(False, 4), (True, 2)])
def test_export(tmp_path, half, size):
    train.main(["export", "ring", "--out", str(tmp_path / "small"), *(["--half"] if half else [])])
    tensors, card = ignbook.checkpoints.read(tmp_path / "small")
    assert all(t.element_size() == size for name, t in tensors.items() if name.startswith("f."))
    a, b = (ign_core.load(path) for path in ("ring", tmp_path / "small"))
    y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(a.f(y), b.f.float()(y), atol=1e-2 if half else 0)
    assert card["recipe"] == a.card["recipe"]


@pytest.mark.parametrize("name, half", [("faces", True), ("ring", False)])
def test_onnx_says_what_torch_says(tmp_path, monkeypatch, capsys, name, half):
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed; install the extra `onnx`")
    from onnx.reference import ReferenceEvaluator

    monkeypatch.chdir(tmp_path)
    train.main(["export", name, "--onnx", *(["--half"] if half else [])])
    path = tmp_path / "runs" / f"{name}.onnx"
    assert path.name in capsys.readouterr().out
    written, model = onnx.load(path), ignbook.baselines.load(name)
    kinds = {weight.data_type for weight in written.graph.initializer if len(weight.dims) > 1}
    assert (onnx.TensorProto.FLOAT16 in kinds) is half
    for n in (1, 3):
        y = model.source.sample(n, torch.Generator().manual_seed(n))
        with torch.no_grad():
            expected = model.f(y)
        [fy] = ReferenceEvaluator(written).run(None, {"y": y.numpy()})
        assert fy.shape == expected.shape
        assert (torch.from_numpy(fy) - expected).abs().max() < 1e-3 * 2  # of the range [-1, 1]


def test_export_says_what_is_missing(monkeypatch):
    with pytest.raises(ValueError, match="--out is missing"):
        train.main(["export", "ring"])
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"pip install 'ign-book\[onnx\]'"):
        train.main(["export", "ring", "--onnx"])


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
    done = command("benchmarks/step.py", "--recipes", "ring", "--rounds", "1", "--out", str(tmp_path / "step.json"))
    assert done.returncode == 0, done.stderr
    (run,) = json.loads((tmp_path / "step.json").read_text())["runs"]
    assert run["rows"]["published style, float32"]["ratio"] == 1.0 and len(run["rows"]) == 5
    for name, row in run["rows"].items():
        assert f"| {name} | {row['images a second']} | {row['ratio']:.2f} |" in done.stdout


def test_the_benchmark_times_each_convolution_by_itself(tmp_path):
    path = tmp_path / "step.json"
    done = command("benchmarks/step.py", "--recipes", "small", "--batches", "4", "--rounds", "1", "--out", str(path))
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(path.read_text())["runs"]
    layers = [(1, 16, 16), (16, 32, 8), (32, 64, 4), (64, 32, 4), (32, 16, 8), (16, 1, 16)]  # channels, smaller side
    sizes = [2 * 4 * 16 * i * o * side**2 for i, o, side in layers]  # 16 taps, 4 images, a multiply-add is 2
    in_a_step = 9 * sum(sizes) - 2 * sizes[0]  # 3 forward, 3 to weights, 3 to inputs, of which x and z need none
    for name, found in run["convolutions"].items():
        assert len(found["each"]) == 3 * len(layers) and 0 < found["share of the step's time"] < 2
        bound, own = found["share of GEMM of a step with nothing else to do"], found["share of GEMM"]
        ratio = run["rows"][name]["operations"] / in_a_step
        assert bound == pytest.approx(ratio * own, abs=0.0005 * (1 + ratio) + 1e-6)  # both rounded to three decimals


def test_a_training_is_estimated(tmp_path):
    done = command("benchmarks/estimate.py", "mnist-quick", "--out", str(tmp_path / "e.json"))
    assert done.returncode == 0, done.stderr
    found, recipe = json.loads((tmp_path / "e.json").read_text()), ignbook.recipes.recipe("mnist-quick")
    f = ign_core.build(recipe)
    assert found["parameters"] == sum(p.numel() for p in f.parameters())
    # forwards of x, of z and of f(z) and two backwards for each: between 6 and 9 forwards of a batch; a multiply-add is 2
    with torch.utils.flop_counter.FlopCounterMode(display=False) as one:
        f(torch.zeros(recipe.batch, *recipe.shape))
    assert 6 * one.get_total_flops() < found["operations"] < 9.5 * one.get_total_flops()
    assert found["minutes"]["T4"] == pytest.approx(found["steps"] * found["operations"] / 0.25 / 65e12 / 60)


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
    assert record["measured on"]["name"] == "mnist-test"
    monkeypatch.setattr(ignbook.recipes, "CHOOSING", ("tiny",))
    monkeypatch.setitem(ignbook.recipes.SWEEPS, "tiny", {"chosen": tiny})
    sweep()
    record = json.loads((tmp_path / "results" / "tiny" / "chosen.json").read_text())
    assert record["measured on"]["name"] == "mnist-validation"
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


def test_images_of_ones_own_are_projected(tmp_path, capsys):
    """Each file, and a sheet; what is no image is left out of a folder with a line, and alone gets a sentence."""
    from PIL import Image

    inside, out = tmp_path / "in", tmp_path / "out"
    (inside / "deeper").mkdir(parents=True)
    for i, place in enumerate(("a.png", "b.jpg", "deeper/a.png")):
        pixels = np.full((60, 40), 255, np.uint8)
        pixels[10:50, 15 : 20 + i] = 0
        Image.fromarray(pixels).save(inside / place)
    (inside / "note.txt").write_text("no image")
    train.main(["project", "mnist", str(inside), str(out), "--k", "2", "--corruption", "noise", "--strength", "0.2"])
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert made == ["a.png.png", "b.jpg.png", "contact-sheet.png", "deeper/a.png.png"]
    assert "3 images, 1 left out" in capsys.readouterr().out
    model = ign_core.load("mnist")
    x = ignbook.projector.noise(ignbook.data.prepare(inside / "a.png", model), 0.2, torch.Generator().manual_seed(0))
    wanted = (ign_core.project(model.f, x, 2)[0, 0] + 1) * 127.5
    written = torch.from_numpy(np.array(Image.open(out / "a.png.png").convert("L"))).float()
    assert (written - wanted).abs().max() <= 1
    for name in ("note.txt", "missing.png"):
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            train.main(["project", "mnist", str(inside / name), str(out)])
        one_sentence(error)
    with pytest.raises(ValueError, match="unknown"):
        train.main(["project", "mnist", str(inside), str(out), "--corruption", "mist"])
