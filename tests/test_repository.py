"""What is committed: the one list of dependencies and its doors, sizes, and nothing of the machine that made it."""

import ast
import graphlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from checks import script

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
    constraints, editable = section["pip"]
    assert constraints == "-c constraints.txt" and (ROOT / "constraints.txt").exists()
    extras = re.fullmatch(r"-e \.\[(.+)\]", editable)[1].split(",")
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])


def imports_of(path: Path) -> set[str]:
    """Our modules that a file imports, at its top or within its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name in MODULES}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


PACKAGE = sorted((ROOT / "ignbook").rglob("*.py"))
MODULES = {module_name(path) for path in PACKAGE} | {"ign_core", "train"}


def test_the_core_imports_its_checkpoints_and_layers_alone_and_those_nothing_that_leads_back():
    assert imports_of(ROOT / "ign_core.py") <= {"ignbook", "ignbook.checkpoints", "ignbook.layers"}
    assert imports_of(ROOT / "ignbook" / "checkpoints.py") <= {"ignbook", "ignbook.arrays", "ignbook.checks"}
    below = ("arrays.py", "checks.py", "layers.py", "__init__.py")
    assert not any(imports_of(ROOT / "ignbook" / name) for name in below)


def test_arrows_point_one_way():
    """No module of ours imports one that leads back to it; the command line is imported by none."""
    arrows = {module_name(path): imports_of(path) for path in PACKAGE} | {"ign_core": imports_of(ROOT / "ign_core.py")}
    assert "train" not in set().union(*arrows.values())
    list(graphlib.TopologicalSorter(arrows).static_order())  # raises at a circle, and names it


def test_the_core_is_read_in_one_sitting():
    lines = (ROOT / "ign_core.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 600 and max(map(len, lines)) <= 128


def test_checkpoints_are_small_and_have_their_cards():
    weights = [path for path in tracked() if path.suffix == ".safetensors"]
    assert {path.stem for path in weights} >= {"mnist", "classifier", "ring"}
    for path in weights:
        assert path.stat().st_size < (8e6 if path.stem.startswith("faces") else 4e6), path.name
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert card["metrics"] and card["data"]["n"], path.name


def test_nothing_of_a_machine_is_committed():
    elsewhere = re.compile(r"(?<![\w.:/~$])/(?:home|root|work|Users)/\w|files\.pythonhosted|https?://pypi\.org|registry\.npmjs")
    for path in tracked():
        if path.suffix in (".py", ".md", ".toml", ".yml", ".json", ".ipynb", ".css", ".js", ".bib") or path.name in (
            "run",
            "Makefile",
        ):
            if path.name not in ("test_repository.py", "test_notebooks.py"):  # these name what they look for
                found = elsewhere.search(path.read_text(encoding="utf-8"))
                assert not found, f"{path.name}: {found[0]}"


def test_the_readme_says_the_minutes_that_were_measured_on_idle_cores():
    minutes = script(ROOT / "benchmarks" / "minutes.py")
    result = json.loads(minutes.OUT.read_text(encoding="utf-8"))
    assert f"{minutes.MARK}{minutes.sentence(result)}<!-- -->" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert result["load before"] < 1 and set(result["seconds"]) == {"make book", "make test"}
