"""The form of the chapters.  That their outputs are those of a new run is nbval's part, in `make test`."""

import ast
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from checks import code_and_solutions, script

import ignbook.notebooks
import ignbook.plots

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
IGNORED_AT_MOST = 0  # cells of a chapter whose outputs nbval does not compare

HEADINGS = [r"## .*\bpicture\b", r"## Common mistakes", r"## Exercises", r"## Recap"]
INSTALL = """import importlib.util
import subprocess
import sys
from pathlib import Path

from IPython import get_ipython

REPOSITORY = "{address}"
REVISION = "{commit}"
book, shell = [f"ign-book @ git+{{REPOSITORY}}@{{REVISION}}"], get_ipython()
clone = next((folder for folder in (Path.cwd(), Path.cwd().parent) if (folder / "ign_core.py").exists()), None)
if clone:  # this page is part of it: it is used, and what you change in its modules is seen by the next cell
    book = ["-e", str(clone)]
    sys.path.insert(0, str(clone))
    if shell:
        shell.run_line_magic("load_ext", "autoreload")
        shell.run_line_magic("autoreload", "2")
if not all(map(importlib.util.find_spec, ("ign_core", "lightning_fabric"))):  # in Colab nothing is installed yet
    print("Installing the book's code and the packages that it lacks; a torch that is new enough stays. About a minute.")
    if subprocess.run([sys.executable, "-m", "pip", "install", "-q", *book]).returncode:
        raise SystemExit(
            f"pip says above why it couldn't. If {{REPOSITORY}} is out of reach here, download it elsewhere\\n"
            "and open this page in the folder `notebooks` of that copy: it then uses the code there."
        )"""
ELSEWHERE = r"(?<![\w.:/])/(?:home|root|tmp|work|Users|content|mnt|opt|usr|var)/\w|\b[A-Z]:\\\\?[A-Za-z]"  # absolute paths
HOSTS = r"(?i)\b(?:pypi\.org|files\.pythonhosted|localhost:\d|127\.0\.0\.1)"  # that a reader has no use for


def source(cell: dict) -> str:
    return "".join(cell["source"])


def texts(cell: dict):
    """All text that a cell's outputs show."""
    for output in cell.get("outputs", []):
        yield "".join(output.get("text", ""))
        for kind, value in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield "".join(value)


def picture(output: dict) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def chapter(request) -> dict:
    notebook = json.loads(request.param.read_text(encoding="utf-8"))
    notebook["path"] = request.param
    notebook["code"] = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    notebook["prose"] = "\n\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return notebook


def contents() -> list[str]:
    """The files of the table of contents, in order, without their endings."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(entry["file"] for part in toc["parts"] for entry in part["chapters"])]


def test_there_are_chapters():
    assert NOTEBOOKS


def test_every_chapter_is_in_the_table_of_contents_and_the_reverse():
    files = contents()
    assert [f for f in files if f.startswith("notebooks/")] == [f"notebooks/{path.stem}" for path in NOTEBOOKS]
    for name in files:
        assert any((ROOT / f"{name}{ending}").exists() for ending in (".md", ".ipynb")), name
    assert len(files) == len(set(files))


def test_kernel(chapter):
    assert chapter["metadata"]["kernelspec"]["name"] == "python3"
    assert chapter["nbformat"] == 4


def test_run_from_top_to_bottom_once(chapter):
    written = [cell for cell in chapter["code"] if source(cell).strip()]
    assert [cell["execution_count"] for cell in written] == list(range(1, len(written) + 1))


def test_outputs_are_stored(chapter):
    """A cell that prints, or that ends in something shown, has it stored: else nbval would have nothing to compare."""
    for cell in chapter["code"]:
        body = ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", source(cell))).body
        calls = [s.value.func for s in body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
        prints = any(isinstance(f, ast.Name) and f.id in ("print", "display") for f in calls)
        shows = bool(calls) and body[-1:] and isinstance(calls[-1], ast.Name) and calls[-1].id in ("Markdown", "HTML")
        assert cell["outputs"] or not (prints or shows), source(cell)[:200]
    assert any(picture(output) for cell in chapter["code"] for output in cell["outputs"])


def test_no_errors_no_warnings_no_progress_bars(chapter):
    for cell in chapter["code"]:
        for output in cell["outputs"]:
            assert output["output_type"] != "error", source(cell)[:200]
            assert output.get("name") != "stderr", f"{source(cell)[:200]}\nwrote to stderr: {output['text']}"
        assert not re.search(r"Warning:|it/s\]", "\n".join(texts(cell))), source(cell)[:200]


def test_ignored_cells_are_few(chapter):
    ignored = [
        cell for cell in chapter["code"] if {"nbval-ignore-output", "nbval-skip"} & set(cell["metadata"].get("tags", []))
    ]
    ignored += [cell for cell in chapter["code"] if re.search(r"#\s*NBVAL_", source(cell)) and cell not in ignored]
    assert len(ignored) <= IGNORED_AT_MOST, [source(cell)[:60] for cell in ignored]
    assert not any("nbval-skip" in cell["metadata"].get("tags", []) for cell in ignored)


def test_cells_say_what_their_outcome_depends_on(chapter):
    """As `ignbook.notebooks.stamp` writes it; else the comparison would go by what a cell was once."""
    sources = [source(cell) for cell in chapter["code"]]
    for cell, keys, trained in zip(chapter["code"], ignbook.notebooks.data_of(sources), ignbook.notebooks.live(sources)):
        about = cell["metadata"].get("ign", {})
        assert (set(about.get("data", {})), about.get("live", False)) == (keys, trained), source(cell)[:200]
        assert "execution" not in cell["metadata"]


def test_pictures_tell_what_they_show(chapter):
    for cell in chapter["code"]:
        for output in cell["outputs"]:
            if picture(output) or "ign-player" in "".join(output.get("data", {}).get("text/html", "")):
                text = "".join(output["data"]["text/plain"])
                assert ignbook.plots.from_text(text), f"run `make notebooks`: {source(cell)[:200]}"


def test_no_paths_or_hosts_of_the_machine_that_ran_it(chapter):
    for cell in chapter["cells"]:
        for text in (source(cell), *texts(cell)):
            found = re.search(ELSEWHERE, text) or re.search(HOSTS, text)
            assert not found, text[max(0, found.start() - 60) : found.end() + 60]


def test_first_cells(chapter):
    first, second = chapter["cells"][:2]
    address = re.search(r'(?m)^Repository = "([^"]+)"', (ROOT / "pyproject.toml").read_text())[1]
    slug = address.removeprefix("https://github.com/")
    title, badge, promise = source(first).split("\n\n", 2)
    assert re.fullmatch(r"# \S.*", title)
    colab = f"https://colab.research.google.com/github/{slug}/blob/colab/notebooks/{chapter['path'].name}"
    assert badge == f"[![Open in Colab](../book/static/colab.svg)]({colab})"
    assert "What you will be able to do" in promise and len(re.findall(r"(?m)^[-*] ", promise)) in (3, 4)
    assert second["cell_type"] == "code" and "hide-cell" in second["metadata"].get("tags", [])
    (commit,) = address_of_the_book().pinned()
    assert source(second).strip() == INSTALL.format(address=address, commit=commit)


def test_a_title_is_the_same_in_all_places(chapter):
    name, title = chapter["path"].name, source(chapter["cells"][0]).splitlines()[0].removeprefix("# ")
    number = int(name[:2])
    assert f"[{number} {title}](" in (ROOT / "README.md").read_text()
    assert f"| {number} | [{title}](../notebooks/{name}) |" in (ROOT / "book" / "index.md").read_text()
    before = [path for path in NOTEBOOKS if path.name.startswith(f"{number - 1:02d}")]
    for path in before:
        links = re.findall(rf"Next: \[([^]]+)\]\({re.escape(name)}\)", path.read_text())
        assert [link.lower() for link in links] == [title.lower()]


def test_no_table_has_more_than_five_columns(chapter):
    shown = [text for cell in chapter["cells"] for text in texts(cell)]
    heads = re.findall(r"(?m)^\|(.*)\|\n\|[-:| ]+\|$", "\n\n".join([chapter["prose"], *shown]))
    assert not [head for head in heads if len(re.split(r"(?<!\\)\|", head)) > 5]


def test_skeleton(chapter):
    at = [re.search(rf"(?m)^{heading}", chapter["prose"]) for heading in HEADINGS]
    assert all(at), [heading for heading, found in zip(HEADINGS, at) if not found]
    assert [found.start() for found in at] == sorted(found.start() for found in at)


def test_every_picture_has_alt_text(chapter):
    for cell in chapter["code"]:
        if any(map(picture, cell["outputs"])):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.strip()) >= 20, f"no alt text: {source(cell)[:200]}"
        for tag in re.findall(r"<img\b[^>]*>", "\n".join(texts(cell))):
            assert re.search(r'\balt="[^"]+"', tag), tag[:200]
    for alt in re.findall(r"!\[([^\]]*)\]\(", chapter["prose"]):
        assert alt.strip()


def test_three_exercises_each_with_a_stub_and_an_executed_solution(chapter):
    """The stub stands between statement and solution; `check` gives it a hint, and finds the solution right."""
    number = chapter["path"].stem[:2]
    names = [f"{number}-{i}" for i in (1, 2, 3)]
    marks = r"(?m)^`{3,}\{(exercise|solution-start|solution-end)\}[^\n]*?(?:\n:label: )?(?:ex(\S+))?$"
    parts, place = {}, None
    for cell in chapter["cells"]:
        if cell["cell_type"] == "code":
            if place:
                parts[place].append(cell)
            continue
        for mark, name in re.findall(marks, source(cell)):
            before = place and place[1]
            assert (mark == "exercise") == (before is None), f"{mark} is out of place near {name or place}"
            assert before != "solution-start" or mark == "solution-end", f"no end of the solution of {place[0]}"
            place = None if mark == "solution-end" else (name, mark)
            if place:
                parts[place] = []
    assert place is None and list(parts) == [(name, mark) for name in names for mark in ("exercise", "solution-start")]
    for (name, mark), cells in parts.items():
        nodes = [node for cell in cells for node in ast.walk(ast.parse(source(cell)))]
        calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"]
        assert [ast.literal_eval(call.args[0]) for call in calls] == [name], f"{name} calls its check once"
        assert all(cell["execution_count"] for cell in cells)
        shown = "".join(text for cell in cells for text in texts(cell))
        if mark == "exercise":
            (stub,) = cells
            assert len(source(stub).splitlines()) <= 6 and source(stub).splitlines()[-1].startswith("check(")
            assert re.fullmatch(rf"{name}, to begin with: .+\.\n", shown), shown
        else:
            assert re.search(rf"(?m)^{name} is right: .+\.$", shown), shown


def test_what_a_page_shows_is_code_to_read(chapter):
    """Short cells of 80 columns without checks, but for what is folded; solutions are, with all that is in them."""
    for cell, solves in code_and_solutions(chapter["cells"]):
        if not solves and not {"hide-cell", "hide-input", "remove-cell"} & set(cell["metadata"].get("tags", [])):
            lines = source(cell).splitlines()
            imports = sum(bool(re.match("(import|from) ", line)) for line in lines)
            assert len(lines) - imports <= 15 and max(map(len, lines)) <= 80, source(cell)
            assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source(cell)))), source(cell)


def test_links_lead_somewhere(chapter):
    """Files exist, and each chapter links to the one that follows it (the last to the landing page)."""
    links = re.findall(r"(?<!\!)\]\(([^)\s]+)\)", chapter["prose"])
    for link in links:
        if not re.match(r"https?:|#", link):
            assert (chapter["path"].parent / link.split("#")[0]).exists(), link
    later = [path.name for path in NOTEBOOKS if path.name > chapter["path"].name]
    assert (later[0] if later else "../book/index.md") in links


def test_figures_are_sized_for_a_page():
    assert (
        sum(path.stat().st_size for path in NOTEBOOKS) < 11e6
    )  # twice the page's pixels; each execution adds that to the history


def test_the_repository_address_is_the_same_everywhere():
    done = subprocess.run([sys.executable, "book/address.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def address_of_the_book():
    """book/address.py, which is no module of a package."""
    return script(ROOT / "book" / "address.py")


def test_the_first_cells_install_a_commit_of_this_history():
    (commit,) = address_of_the_book().pinned()
    if (
        subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, capture_output=True, text=True).stdout
        != "false\n"
    ):
        pytest.skip("this is no whole git checkout")
    done = subprocess.run(["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=ROOT)
    assert done.returncode == 0, f"no commit {commit} leads here; run `python book/address.py --pin`"
    files = subprocess.check_output(["git", "ls-tree", "--name-only", commit, "ign_core.py", "ignbook"], cwd=ROOT, text=True)
    assert files.split() == ["ign_core.py", "ignbook"]  # what the chapters import


def of_ours(code: str) -> set[str]:
    """Dotted names of our modules that a chapter's code uses."""
    aliases, found = {}, set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            aliases |= {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            aliases |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(ast.parse(code)):
        parts = []
        while isinstance(node, ast.Attribute):
            parts, node = [node.attr, *parts], node.value
        if isinstance(node, ast.Name) and node.id in aliases:
            found.add(".".join([aliases[node.id], *parts]))
    return {name for name in found if name.split(".")[0] in ("ign_core", "ignbook")}


LACKING = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
for name in json.load(sys.stdin):
    first, *rest = name.split(".")
    thing = importlib.import_module(first)
    for part in rest:
        if type(thing) is not type(sys):
            break  # a class or a value: what it holds is its own matter
        try:
            thing = getattr(thing, part) if hasattr(thing, part) else importlib.import_module(f"{thing.__name__}.{part}")
        except ModuleNotFoundError:
            print(name)
            break
"""


def test_the_commit_that_first_cells_install_has_what_chapters_use(tmp_path):
    (commit,) = address_of_the_book().pinned()
    paths = [":(glob)ignbook/**/*.py", "ign_core.py"]
    archive = subprocess.run(["git", "archive", commit, "--", *paths], cwd=ROOT, capture_output=True)
    if archive.returncode != 0:
        pytest.skip("this is no whole git checkout")
    tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractall(tmp_path, filter="data")
    names = set()
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        names |= of_ours("\n".join(source(cell) for cell in cells if cell["cell_type"] == "code"))
    assert {"ign_core.fit", "ignbook.plots.style"} <= names
    never = {"ignbook.plots.never", "ignbook.gone.never"}  # which no commit has
    command = [sys.executable, "-c", LACKING, str(tmp_path)]
    asked = json.dumps(sorted(names | never))
    done = subprocess.run(command, input=asked, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lacking = set(done.stdout.split())
    assert never <= lacking
    assert lacking == never, f"{commit} lacks {lacking - never}; commit them, then run `python book/address.py --pin`"


def test_a_new_address_changes_nothing_but_the_address(tmp_path):
    address = address_of_the_book()
    old, new = address.address(ROOT), "https://github.com/someone-else/a.fork_1"
    files = [path for pattern in address.PLACES for path in ROOT.glob(pattern)] + [ROOT / "pyproject.toml"]
    for path in files:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(old, new))
    assert len(address.main(tmp_path, check=True)) == len(files) - 1  # every file disagrees
    assert address.main(tmp_path) == [] == address.main(tmp_path, check=True)
    slugs = [url.removeprefix("https://github.com/") for url in (new, old)]
    for path in files:
        assert (tmp_path / path.relative_to(ROOT)).read_text().replace(*slugs) == path.read_text(), path
    (tmp_path / "_config.yml").write_text("title: no address\n")
    assert address.main(tmp_path, check=True) == ["_config.yml: the address is missing"]
