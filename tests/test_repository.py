"""What is committed: the one list of dependencies and its doors, sizes, and nothing of the machine that made it."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("this is no git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).exists()]


def test_conda_installs_the_one_list():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, section = environment["dependencies"]
    assert python == f"python{PROJECT['project']['requires-python']}" and pip == "pip"
    (editable,) = section["pip"]
    extras = re.fullmatch(r"-e \.\[(.+)\]", editable)[1].split(",")
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])


def test_every_module_is_installed():
    modules = {path.stem for path in ROOT.glob("*.py")}
    assert set(PROJECT["tool"]["setuptools"]["py-modules"]) == modules


def test_the_core_imports_nothing_of_ours_and_nothing_points_back():
    modules = {path.stem for path in ROOT.glob("*.py")}
    order = ["ign_core", "ign_theory", "ign_data", "ign_metrics", "ign_projector", "ign_latent", "ign_remedies", "ign_baselines", "ign_plots", "recipes", "train"]
    assert set(order) == modules
    for i, name in enumerate(order):
        imported = set(re.findall(r"(?m)^\s*(?:import|from) (\w+)", (ROOT / f"{name}.py").read_text())) & modules
        assert imported <= set(order[:i]), f"{name} imports {imported}"
    assert not set(re.findall(r"(?m)^\s*(?:import|from) (\w+)", (ROOT / "ign_core.py").read_text())) & modules


def test_checkpoints_are_small_and_have_their_cards():
    weights = [path for path in tracked() if path.suffix == ".safetensors"]
    assert {path.stem for path in weights} >= {"mnist", "classifier", "ring"}
    for path in weights:
        assert path.stat().st_size < 4e6, path.name
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert card["metrics"] and card["data"]["n"], path.name


def test_nothing_of_a_machine_is_committed():
    elsewhere = re.compile(r"(?<![\w.:/~$])/(?:home|root|work|Users)/\w|files\.pythonhosted|https?://pypi\.org|registry\.npmjs")
    for path in tracked():
        if path.suffix in (".py", ".md", ".toml", ".yml", ".json", ".ipynb", ".css", ".js", ".bib") or path.name in ("run", "Makefile"):
            if path.name not in ("test_repository.py", "test_notebooks.py"):  # these name what they look for
                found = elsewhere.search(path.read_text(encoding="utf-8"))
                assert not found, f"{path.name}: {found[0]}"
