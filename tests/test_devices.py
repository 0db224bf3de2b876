"""Several processes: the same training as one, everything written once, and one of them killed.

Two real processes on the CPU, which talk by gloo; `fabric run` starts them with this file as their script.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from checks import one_sentence

import ign_core
import ignbook.checkpoints
import train
from ign_core import Recipe, Run, fit

ROOT = Path(__file__).resolve().parent.parent
STEPS = 5
POINTS = Recipe("points", "none", net="mlp", width=16, batch=16, steps=STEPS, lr=1e-3, source="gaussian", precision="32-true")
IMAGES = Recipe("images", "none", size=8, width=8, code=8, batch=16, steps=STEPS, lr=1e-3, ramp=3, mirror=True, clip=0.5,
                precision="32-true")  # fmt: skip
RECIPES = {
    "points": POINTS,
    "images": IMAGES,
    "four passes": replace(IMAGES, name="four passes", tightness=0.0),
    "linear": replace(IMAGES, name="linear", linear=4, distance_end="l2", source="gaussian"),
}
LONGER = replace(POINTS, steps=2 * STEPS)
RING = ["ring", "--width", "8", "--batch", "32", "--precision", "32-true"]

posix = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found and ended as Linux does it")


def data_of(recipe: Recipe) -> torch.Tensor:
    return torch.rand(50, *recipe.shape, generator=torch.Generator().manual_seed(7)) * 2 - 1


def trained(recipe: Recipe) -> dict[str, torch.Tensor]:
    """All that a training ends with, the gradients of its last step too."""
    data = data_of(recipe)
    run = Run(ign_core.build(recipe), ign_core.source_of(recipe, data), recipe)
    for _ in run.train(data):
        gradients = {f"gradient.{name}": p.grad.clone() for name, p in run.f.module.named_parameters()}
    return ignbook.checkpoints.tensors_of(f=run.f.module, average=run.average) | gradients


def fitted(recipe: Recipe, folder: Path, **options) -> dict[str, torch.Tensor]:
    data = data_of(recipe)
    f = ign_core.build(recipe)
    model = fit(f, ign_core.source_of(recipe, data), data, recipe, folder=folder, every=2, progress=False, **options)
    return ignbook.checkpoints.tensors_of(f=f, average=model.f)


def worker(folder: Path) -> None:
    """What each of the two processes does for the tests of the first part."""
    rank, written, called = int(os.environ["RANK"]), [], []
    write = ignbook.checkpoints.write_files

    def watched(files) -> None:
        written.extend(path.name for path in files)
        write(files)

    found = {f"{name}/{key}": t for name, recipe in RECIPES.items() for key, t in trained(recipe).items()}
    ignbook.checkpoints.write_files = watched
    fitted(POINTS, folder / "by two", callback=lambda step, f: called.append(step))
    found |= {f"resumed/{key}": t for key, t in fitted(LONGER, folder / "by one", resume=True).items()}
    train.main([*RING, "--steps", "12", "--out", str(folder / "cli")])
    try:
        fitted(replace(POINTS, name="odd", batch=15), folder / "odd")
    except ValueError as error:
        refused = str(error)
    ignbook.checkpoints.write_files = write
    told: list[int] = []

    def told_once(f, x, z, **options):
        told.append(rank)
        if told == [1] * 13:
            os.kill(os.getpid(), signal.SIGTERM)
        return ign_core.objective(f, x, z, **options)

    try:
        fitted(replace(POINTS, name="told", steps=60), folder / "told", loss=told_once)
    except KeyboardInterrupt as error:
        stopped = str(error)
    safetensors.torch.save_file(found, folder / f"{rank}.safetensors")
    (folder / f"{rank}.json").write_text(
        json.dumps({"written": written, "called": called, "refused": refused, "stopped": stopped})
    )


# --------------------------------------------------------------------------------------------- the same training as one


def launched(folder: Path, *command: str, strategy: str = "ddp") -> subprocess.Popen:
    """`fabric run` of a command in two processes, what they say in files of the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fabric = str(Path(sys.executable).with_name("fabric"))
    start = [fabric, "run", "--accelerator", "cpu", "--devices", "2", "--strategy", strategy]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        return subprocess.Popen([*start, "--main-port", str(port), *command], cwd=ROOT, env=environment, stdout=out, stderr=err)


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A folder with what two processes made, and what each found."""
    folder = tmp_path_factory.mktemp("together")
    fitted(POINTS, folder / "by one")  # for them to resume
    process = launched(folder, str(Path(__file__)), str(folder))
    assert process.wait(550) == 0, (folder / "err").read_text()
    found = [safetensors.torch.load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]
    return folder, found, [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def close(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], prefix: str) -> None:
    theirs = {key.removeprefix(prefix): t for key, t in theirs.items() if key.startswith(prefix)}
    assert mine.keys() == theirs.keys() and len(mine) > 8
    for key, t in mine.items():
        torch.testing.assert_close(theirs[key], t, rtol=0, atol=1e-5, msg=lambda said, key=key: f"{key}: {said}")


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_as_one_with_the_whole_batch(together, name):
    """Gradients of the fifth step, weights and averages: the same to 1e-5, and the same on both."""
    _, found, _ = together
    alone = trained(RECIPES[name])
    start = dict(ign_core.build(RECIPES[name]).named_parameters())
    moved = [(alone[f"f.{key}"] - p).abs().max().item() for key, p in start.items()]
    assert min(moved) > 1e-4 and all(alone[f"gradient.{key}"].abs().max() > 1e-4 for key in start)  # more than 1e-5
    close(alone, found[0], f"{name}/")
    assert all(torch.equal(t, found[1][key]) for key, t in found[0].items())


@pytest.mark.parametrize("first", ["one", "two"])
def test_a_run_goes_on_with_another_number_of_processes(together, tmp_path, first):
    """From one to two, and from two to one: what an unbroken run of one process gives, but for rounding."""
    folder, found, _ = together
    whole = fitted(LONGER, tmp_path)
    if first == "one":
        close(whole, found[0], "resumed/")
    else:
        close(whole, fitted(LONGER, folder / "by two", resume=True), "")


def test_one_process_writes_and_draws(together):
    folder, _, (one, other) = together
    assert other["written"] == other["called"] == [] and one["called"] == [2, 4, 5]
    assert one["written"].count("ring.safetensors") == one["written"].count("ring.csv") == 1
    assert {p.name for p in (folder / "by two").iterdir()} == {"points.train.safetensors"}
    names = {"ring.safetensors", "ring.json", "ring.csv", "ring-history.png", "ring.train.safetensors"}
    assert {p.name for p in (folder / "cli").iterdir()} == names
    assert (folder / "out").read_text().count("trained ring in") == 1
    card = ign_core.load(folder / "cli" / "ring").card
    assert card["device"].startswith("2 x ") and card["images"] == 12 * 32


def test_a_batch_that_cannot_be_split_is_refused(together):
    folder, _, said = together
    assert [each["refused"] for each in said] == [
        "a batch of 15 can't be split evenly among 2 processes; give a multiple of 2."
    ] * 2
    assert not (folder / "odd").exists()


@posix
def test_a_signal_to_one_process_stops_all_at_the_same_step(together):
    folder, _, said = together
    path = folder / "told" / "told.train.safetensors"
    wanted = f"stopped after step 20; {path} has the state of step 20: go on from it by --resume."
    assert [each["stopped"] for each in said] == [wanted] * 2 and step_of(path) == 20


def test_weights_that_are_split_are_refused(monkeypatch):
    """FSDP: Fabric has none on a CPU; elsewhere neither the average nor a state would have all of f."""
    from lightning_fabric.strategies import FSDPStrategy

    for name, value in {"CLI_USED": "1", "ACCELERATOR": "cpu", "DEVICES": "2", "NUM_NODES": "1", "STRATEGY": "fsdp"}.items():
        monkeypatch.setenv(f"LT_{name}", value)
    with pytest.raises(ValueError, match="FSDP is only available on GPU"):
        ignbook.checkpoints.fabric("32-true")
    opened = types.SimpleNamespace(strategy=FSDPStrategy())
    monkeypatch.setattr("lightning_fabric.Fabric", lambda **options: opened)
    with pytest.raises(ValueError, match="FSDPStrategy splits f's weights .* use --strategy ddp") as caught:
        ignbook.checkpoints.fabric("32-true")
    one_sentence(caught)


# ----------------------------------------------------------------------------------------------------- one of them killed


def step_of(state: Path) -> int:
    return ignbook.checkpoints.opened(state)[1]["step"] if state.exists() else 0


def process_of(launcher: subprocess.Popen, rank: int) -> int:
    """The process that a launcher has given this rank."""
    wanted = {f"RANK={rank}", f"MASTER_PORT={launcher.args[launcher.args.index('--main-port') + 1]}"}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another's, or it has just ended
            if wanted <= set(path.read_bytes().decode(errors="replace").split("\0")):
                return int(path.parent.name)
    raise AssertionError(f"there is no process {rank}")


@posix
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_with_one_sentence_and_a_whole_state(tmp_path, rank):
    out, state = tmp_path / "runs", tmp_path / "runs" / "ring.train.safetensors"
    launcher = launched(tmp_path, "train.py", *RING, "--steps", "8000", "--out", str(out))
    try:
        patience = time.monotonic() + 400
        while step_of(state) == 0:
            assert launcher.poll() is None and time.monotonic() < patience, (tmp_path / "err").read_text()
            time.sleep(0.05)
        os.kill(process_of(launcher, rank), signal.SIGKILL)
        assert launcher.wait(120) != 0
    finally:
        launcher.terminate()
    said = [line for line in (tmp_path / "err").read_text().splitlines() if "train.py: " in line]
    assert len(said) == 1, said
    step = int(re.search(r"has ended at step \d+; (.*) has the state of step (\d+): go on from it by --resume\.$", said[0])[2])
    assert step == step_of(state) > 0
    train.main([*RING, "--steps", str(step + 3), "--out", str(out), "--resume"])
    assert ign_core.load(out / "ring").card["history"][-1]["step"] == step + 3
    assert {p.name for p in out.iterdir() if p.name.startswith(".")} == set()


if __name__ == "__main__":
    torch.set_num_threads(1)
    worker(Path(sys.argv[1]))
