"""The examples of CONTRIBUTING.md, as a stranger would run them: short, and they train, save and load."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"(?ms)^### Add an? ([\w ]+)\n(?:(?!^#).)*?^```python\n(.*?)^```$", TEXT))

RUNNER = """
import json, sys, torch
import ign_core, ignbook

def trained(example):
    room = {}
    exec(example, room)
    recipe = room["recipe"]
    plane = recipe.data in ignbook.data.MANIFOLDS
    data = ignbook.data.points(recipe.data, 500) if plane else ignbook.data.load(recipe.data, size=recipe.size)
    return recipe, ignbook.baselines.train(recipe, data, progress=False, every=1)

for name, (whole, without) in json.load(sys.stdin).items():
    try:
        trained(without)
    except ValueError as error:
        print(error)
    recipe, model = trained(whole)
    assert [row["step"] for row in model.card["history"]] == [1, 2, 3]
    ign_core.save(model, name)
    again = ign_core.load(name)
    z = [m.source.sample(4, torch.Generator().manual_seed(1)) for m in (model, again)]
    assert z[0].shape == (4, *recipe.shape) and torch.equal(*z)
    assert torch.equal(ign_core.project(model.f, z[0]), ign_core.project(again.f, z[1]))
    print(name, type(again.f).__name__, type(again.source).__name__, again.card["recipe"]["distance"], again.card["data"])
"""
USED = {
    "data set": r"data set ConvAutoencoder FourierSource l1 .*'name': 'squares-train', 'n': 500,",
    "source": "source MLP CubeSource l1",
    "network": "network Residual FourierSource l1",
    "distance": "distance MLP GaussianSource huber",
    "remedy": "remedy ConvAutoencoder FourierSource l1",
}


def test_there_is_one_for_each_table_and_all_are_short():
    assert set(EXAMPLES) == set(USED)
    tables = re.findall(r'(?m)^([\w.]+)\["', "\n".join(EXAMPLES.values()))
    core, more = ["ign_core.SOURCES", "ign_core.NETWORKS", "ign_core.DISTANCES"], ["ignbook.remedies.EXTRAS"]
    assert tables == ["ignbook.data.SETS", *core, *more]
    for name, example in EXAMPLES.items():
        lines = example.splitlines()
        assert sum(map(bool, lines)) < 20 and max(map(len, lines)) <= 128, name


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> list[str]:
    """What is printed where each is run as it stands, after it has been tried without its line for the table."""
    both = {name: (text, re.sub(r'(?m)^[\w.]+\["[\w-]+"\] = .*$', "", text)) for name, text in EXAMPLES.items()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    about: dict = {"cwd": tmp_path_factory.mktemp("out"), "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(both), **about)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", USED)
def test_an_example_trains_saves_and_loads_and_its_entry_is_what_makes_it_run(name, said):
    i = list(EXAMPLES).index(name)
    assert len(said) == 2 * len(EXAMPLES)
    assert "is unknown; use " in said[2 * i] and re.match(USED[name], said[2 * i + 1])


def test_the_files_that_it_names_are_there():
    table = re.search(r"(?s)\| file \| holds \|\n(.*?)\n\n", TEXT)[1]
    for row in table.splitlines()[1:]:
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
            assert (ROOT / name).exists(), name
    named = set(re.findall(r"`(ignbook/\w+)(?:\.py|/)`", table))
    modules = {f"ignbook/{path.stem}" for path in (ROOT / "ignbook").iterdir() if path.suffix == ".py" or path.name == "plots"}
    assert modules - {"ignbook/__init__"} <= named, "a module that the table leaves out"
