"""What decides whether a chapter is what it was: the text of its figures, what its cells depend on, and nbval with both."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

import ignbook.data
import ignbook.notebooks
import ignbook.plots
from ignbook.notebooks import data_of, dependencies, live, names

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


# --------------------------------------------------------------------------------------------------- the text of a figure


def drawing(noise: float = 0.0, swap: bool = False, **changes):
    """Axes with everything that is compared; changes: to what it draws or says."""
    random = np.random.RandomState(1)
    y = {"dots": random.randn(60, 2), "line": random.randn(40), "map": random.rand(9, 9), "image": random.rand(8, 8, 3)}
    y |= {"bars": random.rand(5), "band": random.rand(40), "moves": random.randn(2, 60), "log": 4 * random.rand(40)}
    y = {name: v + noise * v.std() * random.randn(*v.shape) for name, v in y.items()}
    y["log"] = 10 ** y["log"]
    about = {
        "colour": "#2f6db3",
        "label": "f(z)",
        "limit": 3.0,
        "title": "a",
        "text": "near 0.25",
        "tick": "p",
        "scale": "linear",
    }
    for name, change in changes.items():
        if name in y:
            y[name] = change(y[name].copy())
        else:
            about[name] = change
    figure, ((a, b), (c, d)) = plt.subplots(2, 2)
    a.scatter(*y["dots"].T, color=about["colour"], label=about["label"])
    a.quiver(*y["dots"].T, *y["moves"], color="0.3")
    a.set(xlim=(-about["limit"], about["limit"]), ylim=(-3, 3), title=about["title"], xscale=about["scale"])
    a.legend()
    a.text(0, 0, about["text"])
    b.pcolormesh(y["map"], cmap="magma")
    c.imshow(y["image"])
    d.plot(y["line"][::-1] if swap else y["line"], "o--", color=about["colour"])
    d.bar(range(5), y["bars"])
    d.fill_between(range(40), 0, y["band"], color="red", alpha=0.3)
    d.set_xticks([0, 1], [about["tick"], "q"])
    d.twinx().semilogy(y["log"])
    return figure


@lru_cache
def stored() -> str:
    return ignbook.plots.as_text(ignbook.plots.summary(drawing()))


def differences(form: bool = False, **changes) -> list[str]:
    return ignbook.plots.differences(ignbook.plots.from_text(stored()), ignbook.plots.summary(drawing(**changes)), form)


def moved(values):
    values[7] += 0.5
    return values


def permuted(values):
    return values[np.random.RandomState(2).permutation(len(values))]


NUMBERS = {
    "a point that moved": {"dots": moved},
    "other limits": {"limit": 2.5},
    "y in another order": {"line": permuted},
    "the line backwards": {"swap": True},
    "x and y exchanged": {"dots": lambda v: v[:, ::-1]},
    "one coordinate stretched": {"dots": lambda v: v * [1, 1.05]},
    "another map": {"map": lambda v: 1.05 * v},
    "the map turned": {"map": np.transpose},
    "an image mirrored": {"image": lambda v: v[:, ::-1]},
    "an image whose colours are exchanged": {"image": lambda v: v[..., ::-1]},
    "one bar higher": {"bars": lambda v: v + [0, 0, 0.1, 0, 0]},
    "another band": {"band": lambda v: v**1.1},
    "arrows the other way": {"moves": lambda v: -v},
    "on a logarithmic axis, small values": {"log": lambda v: np.where(v < 10, 1.5 * v, v)},
}
FORM = {
    "another colour": {"colour": "#2f6db4"},
    "another label": {"label": "f(x)"},
    "another title": {"title": "b"},
    "another text": {"text": "far 0.25"},
    "another tick": {"tick": "r"},
    "another scale": {"scale": "symlog"},
    "a point less": {"dots": lambda v: v[1:], "moves": lambda v: v[:, 1:]},
    "another shape": {"image": lambda v: v[:4]},
}


def test_the_same_drawing_has_the_same_text():
    assert differences() == [] == differences(form=True)


@pytest.mark.parametrize("changes", [*NUMBERS.values(), *FORM.values()], ids=[*NUMBERS, *FORM])
def test_what_a_text_notices(changes):
    assert differences(**changes)
    assert bool(differences(form=True, **changes)) == (changes in FORM.values())


def test_noise_and_the_last_digit_are_no_change():
    assert differences(noise=1e-4) == []
    assert differences(text="near 0.26") == [] != differences(text="near 0.28")
    assert differences(text="near 0.28", form=True) == []


def test_a_text_is_short_and_of_lines():
    assert len(stored()) < 2500 and all(isinstance(json.loads(line), dict) for line in stored().splitlines())
    assert ignbook.plots.from_text("<Figure size 640x480 with 1 Axes>") is None


def test_artists_of_one_look_share_a_record():
    figure, ax = plt.subplots()
    for i in range(30):
        ax.plot([i], [i**2], "o", color="red")
        ax.plot([0, i], [i, i], color="grey")
    records = ignbook.plots.summary(figure)
    assert [record.get("of") for record in records] == [None, None, 30, 30]


def test_numbers_of_the_statistics():
    figure, ax = plt.subplots()
    ax.plot([1, 2, 3, 6], [5, 5, 5, 5])
    *_, line = ignbook.plots.summary(figure)
    assert line["x"][:5] == [4, 3, pytest.approx(np.std([1, 2, 3, 6]), abs=1e-3), 1, 6] and line["y"] == [4, 5]
    weights = np.random.RandomState(0).uniform(-1, 1, 4)
    assert line["x"][5] == pytest.approx(weights @ (np.array([1, 2, 3, 6]) - 3), abs=1e-3)
    ax.set_yscale("log")
    assert ignbook.plots.summary(figure)[-1]["y"] == [4, pytest.approx(np.log10(5), abs=1e-3)]


def test_frames_tell_what_they_show():
    x = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
    one, other = (ignbook.plots.frame(images) for images in (x, x.flip(0)))
    assert one.summary[0]["images"] == 2 and one != other
    assert ignbook.plots.differences(one.summary, other.summary)
    figure, _ = plt.subplots(figsize=(2, 1))
    assert ignbook.plots.frame(figure).summary == ignbook.plots.summary(figure) and not plt.get_fignums()


# ------------------------------------------------------------------------------------------------ what a cell depends on


@pytest.mark.parametrize(
    ("source", "read", "bound"),
    [
        ("y = x + 1", {"x"}, {"y"}),
        ("x = x + 1", {"x"}, {"x"}),
        ("x = 1\ny = x", set(), {"x", "y"}),
        ("x += 1", {"x"}, {"x"}),
        ("a, (b, *c) = d", {"d"}, {"a", "b", "c"}),
        ("x[0] = y", {"x", "y"}, {"x"}),
        ("f.weight.data = y", {"f", "y"}, {"f"}),
        ("rows.append(y)", {"rows", "y"}, {"rows"}),
        ("found.setdefault(k, []).append(1)", {"found", "k"}, {"found"}),
        ("p.requires_grad_()", {"p"}, {"p"}),
        ("y.sqrt()", {"y"}, set()),
        ("deepcopy(f).requires_grad_(False)", {"deepcopy", "f"}, set()),
        ("import copy\ncopy.deepcopy(f).eval()", {"f"}, {"copy"}),
        ("import torch.nn.functional as F\nfrom math import pi as p", set(), {"F", "p"}),
        ("def f(a, b=c):\n    d = a + e\n    return d", {"c", "e"}, {"f"}),
        ("def f():\n    rows.append(1)", {"rows"}, {"f"}),
        ("class A(B):\n    k = n\n    def f(self):\n        return self.k + m", {"B", "n", "m"}, {"A"}),
        ("for i in s:\n    t = i + u", {"s", "u"}, {"i", "t"}),
        ("with open(p) as file:\n    text = file.read()", {"p"}, {"file", "text"}),
        ("if (n := len(s)) > 1:\n    m = n", {"s", "m"}, {"n", "m"}),
        ("if a:\n    x = 1\nelse:\n    x = 2", {"a"}, {"x"}),
        ("try:\n    x = f()\nexcept ValueError:\n    x = 1", {"f"}, {"x"}),
        ("[i + j for i in s for j in i if j > k]", {"s", "k"}, set()),
        ("{n: v for n, v in d.items()}", {"d"}, set()),
        ("h = lambda a: a + b", {"b"}, {"h"}),
        ("f'{x:{w}} and {y!r}'", {"x", "y", "w"}, set()),
        ("del x", {"x"}, {"x"}),
    ],
)
def test_names_of_a_cell(source, read, bound):
    assert names(source) == (read, bound)


def test_a_cell_depends_on_whoever_made_what_it_reads():
    assert dependencies(["x = 1", "y = 2", "z = x", "print(z)"]) == [set(), set(), {0}, {0, 2}]
    assert dependencies(["x = 1", "x = 2", "print(x)"])[2] == {1}  # made anew
    assert dependencies(["x = []", "x.append(1)", "print(x)"])[2] == {0, 1}  # changed
    assert dependencies(["x = 1", "if a:\n    x = 2", "print(x)"])[2] == {0, 1}  # perhaps made anew
    assert dependencies(["x = 1", "def f():\n    return x", "x = 2", "f()"])[3] == {0, 1, 2}
    assert dependencies(["x = 1\ny = 2", "x = 3", "print(y)"])[2] == {0}
    assert dependencies(["x = 1", "y = x", "assert y", "print(2)"]) == [set(), {0}, {0, 1}, set()]


def test_a_generator_that_draws_is_another_one_afterwards():
    start = "import torch\ng = torch.Generator().manual_seed(0)"
    assert dependencies([start, "x = torch.randn(3, generator=g)", "y = torch.randn(3, generator=g)"])[2] == {0, 1}
    assert dependencies([start, "x = [g]", "y = torch.randn(3, generator=g)"])[2] == {0}
    deal = "def deal():\n    return torch.randn(3, generator=g)"
    assert dependencies([start, deal, "x = deal()", "y = torch.randn(3, generator=g)"])[3] == {0, 1, 2}


def test_a_training_makes_live_what_comes_of_it():
    start = "import ign_core\nimport ignbook"
    train = "model = ign_core.fit(f, source, data, recipe)"
    assert live([start, train, "print(model)", "print(data)"]) == [False, True, True, False]
    define = "def train():\n    return ign_core.fit(f, source, data, recipe).f"
    assert live([start, define, "print(1)", "f = train()\nprint(2)", "print(f)"]) == [False, False, False, False, True]
    assert live([start, define, "def again():\n    return train()", "print(again())"])[3]
    assert live([start, "rows = []", "def look():\n    rows.append(1)", f"{train[:-1]}, callback=look)", "print(rows)"])[4]
    assert live([start, "seen = {}", f"{train[:-1]}, callback=lambda s: seen.update(s))", "print(seen)"])[3]
    assert live([start, "loss.backward()\nprint(1)"])[1] and live([start, "import ign_core as c\nr = c.Run(f)", "print(r)"])[2]
    assert (
        live(["from ign_core import fit\nm = fit(f)", "print(m)"])[1] and live([start, "print(ignbook.baselines.train(r))"])[1]
    )
    play = "def play(f):\n    loss(f).backward()"
    assert (
        live([start, "f = 1", play, "play(f)", "print(f)"])[4] and live([start, "f = 1", "loss(f).backward()", "print(f)"])[3]
    )
    by_hand = "loss = (w * x).sum()\nloss.backward()"
    assert live(["w, x, y = 1, 2, 3", by_hand, "print(w)", "print(y)"]) == [False, True, True, False]
    again = "def again():\n    play(f)"
    assert live([start, "f = 1", play, again, "print(f)", "again()", "print(f)"])[4:] == [False, True, True]
    assert not live([start, "f = deepcopy(f).train()\nprint(f)"])[1]
    # what only an assertion or a claim needs decides no output
    assert live([start, train, "print(1)\nassert model", "print(1)\nclaim('so', model.a, 1)"]) == [False, True, False, False]
    # one statement of a cell doesn't speak for another
    assert not live([start, f"import torch\ng = torch.Generator()\nz = torch.randn(2, generator=g)\n{train}",
                     "print(torch.randn(2, generator=g))"])[2]  # fmt: skip


def test_data_of_cells():
    start = "import ignbook\nfrom ignbook.data import load"
    assert data_of([start, "x, y = ignbook.data.load('mnist'), load('mnist', 'test')", "print(x)", "print(y)"])[2:] == [
        {"mnist-train"},
        {"mnist-test"},
    ]
    assert data_of([start, "print(load('celeba64', size=32), load(name='fashion', split='test'))"])[1] == {
        "celeba64-train",
        "fashion-test",
    }
    assert data_of([start, "print(ignbook.data.sketch_pairs('train'))"])[1] == {"cuhk-train"}
    assert data_of([start, "print(load('digits8'), load('drawn', 'test'))"])[1] == set()
    assert data_of([start, "def f():\n    return load('mnist')", "print(1)", "print(f())"])[1:] == [
        set(),
        set(),
        {"mnist-train"},
    ]
    with pytest.raises(ValueError, match="not written out"):
        data_of(["import ignbook\nfor name in both:\n    ignbook.data.load(name)"])


def test_digests_are_of_the_data_at_its_own_size(monkeypatch):
    ignbook.notebooks.digest.cache_clear()
    assert ignbook.notebooks.digest("digits8-test") == ignbook.data.load("digits8", "test").card["md5"]
    monkeypatch.delenv("IGN_DATA", raising=False)
    assert ignbook.notebooks.digest("cuhk-test") is None
    ignbook.notebooks.digest.cache_clear()


def code_of(chapter: str) -> list[str]:
    (path,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def at(sources: list[str], text: str) -> int:
    (found,) = (i for i, source in enumerate(sources) if text in source)
    return found


@pytest.mark.parametrize(
    ("chapter", "text", "trained", "data"),
    [
        ("06", "ignbook.metrics.table(card", False, set()),
        ("06", '{"$z$": z_film, **film}', True, {"mnist-train"}),
        ("06", 'history(shipped.card["history"])', False, set()),
        ("06", "variance against the data's", False, {"mnist-train"}),
        ("06", '"noisy": noisy', False, {"mnist-test"}),
        ("04", "ignbook.plots.film(snapshots", True, set()),
        ("04", "ignbook.plots.supports", False, set()),
        ("04", 'result("coverage_2d")', False, set()),
        ("05", '"with ramp": ramp_rows', True, {"mnist-train", "mnist-test"}),
        ("05", "three_ends", False, set()),
        ("02", "ignbook.plots.forces", False, set()),
        ("02", "ignbook.plots.drift_maps(", True, set()),
        ("07", '{"$z$": z_film, **film}', True, {"celeba64-train", "celeba64-test"}),
        ("07", "64 uncurated samples", False, set()),
        ("08", "sketch_pairs", False, {"celeba64-test", "cuhk-test"}),
        ("10", "report_card", False, {"mnist-train", "mnist-test"}),
        ("11", 'samples_of_run("remedies"', False, set()),
    ],
)
def test_cells_of_the_chapters(chapter, text, trained, data):
    sources = code_of(chapter)
    cell = at(sources, text)
    assert live(sources)[cell] == trained and data_of(sources)[cell] == data


def test_every_name_of_the_chapters_is_made_before_it_is_read():
    """Else the analysis has overlooked what makes it."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        made: set[str] = set()
        for source in code_of(path.stem[:2]):
            read, bound = names(source)
            made |= bound
            assert read <= made, (path.stem, read - made)


# -------------------------------------------------------------------------------------------------------- nbval with both

CELLS = {
    "start": "import torch\nimport ignbook\n\nignbook.plots.style()\ng = torch.Generator().manual_seed(0)",
    "figure": 'x = torch.randn(300, 2, generator=g)\nfigure = ignbook.plots.gallery({"$f(z)$": [(x, "x")]}, columns=1)',
    "other figure": 'figure = ignbook.plots.by_setting({"a": {"one": [1.0, 2.0], "two": [3.0]}}, "values")',
    "training": "w = torch.ones(300, 1, requires_grad=True)\nloss = (w**2).sum()\nloss.backward()",
    "live figure": 'figure = ignbook.plots.gallery({"$f(x)$": [(w.grad * x, "fz")]}, columns=1)\nprint(w.grad.sum())',
    "live label": 'figure = ignbook.plots.gallery({"$f(x)$": [(w.grad * x, "fz")]}, columns=1)',
    "other data": 'figure = ignbook.plots.gallery({"$f(z)$": [(x, "x")]}, columns=1)\nprint(len(x))',
    "same data": "print(len(x))",
    "player": 'ignbook.plots.player([ignbook.plots.frame(x[:64].reshape(2, 1, 8, 8) * s) for s in (0.2, 0.3)], [2, 3], "s", "grey")',
    "player again": 'ignbook.plots.player([ignbook.plots.frame(ignbook.plots.seeds({"r": [{"a": 0.1}]}))], ["one"], "seed", "dots")',
}
NAMES = list(CELLS)


def notebook_of(cells) -> nbformat.NotebookNode:
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells], metadata=about)


def compared(folder: Path, notebook, *options: str, package: Path | None = None) -> tuple[set[str], str]:
    """The names of the cells that nbval finds different, and what it says."""
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / "chapter.ipynb")
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    command = ["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider", "--color=no",
               "--nbval", "--nbval-current-env", *options, str(folder)]  # fmt: skip
    path = os.pathsep.join(map(str, filter(None, (package, ROOT, os.environ.get("PYTHONPATH")))))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {NAMES[int(i)] for i in re.findall(r"(?m)^FAILED .*::Cell (\d+)", done.stdout)}, done.stdout


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """The notebook of CELLS, executed and stamped; two of its cells are said to depend on data."""
    path = tmp_path_factory.mktemp("chapter") / "chapter.ipynb"
    nbformat.write(notebook_of(CELLS.values()), path)
    ignbook.notebooks.execute([path])
    notebook = nbformat.read(path, as_version=4)
    for name, md5 in (("other data", "0" * 32), ("same data", ignbook.data.load("digits8").card["md5"])):
        notebook.cells[NAMES.index(name)].metadata["ign"] = {"data": {"digits8-train": md5}}
    return notebook


def test_an_executed_notebook_is_complete(chapter):
    assert [cell.execution_count for cell in chapter.cells] == list(range(1, len(CELLS) + 1))
    kinds = {name: [sorted(o.get("data", {"stream": 0})) for o in cell.outputs] for name, cell in zip(NAMES, chapter.cells)}
    assert kinds["figure"] == [["image/png", "text/plain"]] and kinds["player"] == [["text/html", "text/plain"]]
    assert ignbook.plots.from_text(chapter.cells[1].outputs[0].data["text/plain"])[1]["axes"] == "$f(z)$"
    marked = {name: cell.metadata["ign"] for name, cell in zip(NAMES, chapter.cells) if "live" in cell.metadata.get("ign", {})}
    assert marked == dict.fromkeys(("training", "live figure", "live label"), {"live": True})
    assert not any("execution" in cell.metadata for cell in chapter.cells)
    assert "version" not in chapter.metadata.language_info


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path):
    from nbclient.exceptions import CellExecutionError

    paths = [tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"]
    for path, source in zip(paths, ("print('a', end='')\nprint(2)", "print(1)\nassert False")):
        nbformat.write(notebook_of([source]), path)
    before = paths[1].read_bytes()
    with pytest.raises(CellExecutionError, match="assert False"):
        ignbook.notebooks.execute(reversed(paths))
    assert paths[1].read_bytes() == before and sorted(tmp_path.iterdir()) == paths
    assert [output.text for output in nbformat.read(paths[0], as_version=4).cells[0].outputs] == ["a2\n"]


def test_an_unchanged_notebook_passes(chapter, tmp_path):
    failed, said = compared(tmp_path / "same", chapter, "-n", "1", "--dist", "loadscope")
    assert failed == set()
    assert re.search(r"outputs compared: (.*)", said)[1].split("; ") == [
        "5 in full",
        "3 in form only (after a training of the page's own)",
        "2 only run (another data set here: digits8-train)",
    ]


def test_one_altered_array_and_altered_outputs_are_seen_where_they_count(chapter, tmp_path):
    """In a copy of the package `points` draws something else, and some of what is stored is changed.

    Passes: other numbers after a training, anything on other data, the bytes of pictures.
    """
    copied = tmp_path / "package" / "ignbook"
    shutil.copytree(ROOT / "ignbook", copied, ignore=shutil.ignore_patterns("shipped", "__pycache__"))
    base = copied / "plots" / "base.py"
    right, wrong = "ax.scatter(y[:, 0], y[:, 1],", "ax.scatter(y[:, 0], y[:, 1] * 1.05,"
    assert base.read_text().count(right) == 1
    base.write_text(base.read_text().replace(right, wrong))
    altered = copy.deepcopy(chapter)
    cells = dict(zip(NAMES, altered.cells))

    def change(name: str, kind: str, right: str, wrong: str) -> None:
        (output,) = (o for o in cells[name].outputs if kind in o.get("data", {}))
        assert right in output.data[kind]
        output.data[kind] = output.data[kind].replace(right, wrong)

    for name in ("live figure", "other data", "same data"):
        (printed,) = (o for o in cells[name].outputs if o.output_type == "stream")
        printed.text = "no number\n"
    change("live label", "text/plain", "$f(x)$", "$f(y)$")
    change("player", "text/html", '["2", "3"]', '["2", "4"]')
    change("player again", "text/html", "base64,", "base64,AAAA")
    change("other figure", "image/png", cells["other figure"].outputs[0].data["image/png"][:8], "AAAAAAAA")
    failed, said = compared(tmp_path / "altered", altered, package=copied.parent)
    assert failed == {"figure", "live label", "player", "same data"} and '"dots"' in said


def test_drawings_are_marked_for_the_dark():
    def cell(draw):
        figure, ax = plt.subplots()
        draw(ax)
        data, _ = ignbook.plots.pictures.bundle(figure)
        plt.close(figure)
        image = {"alt": "a figure", "classes": "whole from before"}
        return nbformat.v4.new_code_cell(
            "figure = 1", outputs=[nbformat.v4.new_output("display_data", data)], metadata={"mystnb": {"image": image}}
        )

    shade = np.arange(20.0).reshape(4, 5)
    draws = [lambda ax: ax.plot([0, 1], label="image"), lambda ax: ax.imshow(shade), lambda ax: ax.pcolormesh(shade)]
    notebook = nbformat.v4.new_notebook(cells=[cell(draw) for draw in draws])
    ignbook.notebooks.stamp(notebook)
    assert [one.metadata["mystnb"]["image"].get("classes") for one in notebook.cells] == ["drawn whole", "whole", "whole"]
    assert not any("tags" in one.metadata for one in notebook.cells)


def test_players_of_drawings_are_marked_for_the_dark():
    def figure(draw):
        figure, ax = plt.subplots()
        draw(ax)
        return ignbook.plots.frame(figure)

    frames = [
        figure(lambda ax: ax.plot([0, 1])),
        figure(lambda ax: ax.imshow(np.eye(3))),
        ignbook.plots.frame(torch.zeros(2, 1, 8, 8)),
    ]
    players = [ignbook.plots.player([one], [1], "a", alt="b") for one in frames]
    data = [{"text/html": one._repr_html_(), "text/plain": repr(one)} for one in players]
    cells = [
        nbformat.v4.new_code_cell(
            "player", outputs=[nbformat.v4.new_output("display_data", shown)], metadata={"tags": ["hide-input", "drawn"]}
        )
        for shown in data
    ]
    ignbook.notebooks.stamp(nbformat.v4.new_notebook(cells=cells))
    assert [one.metadata["tags"] for one in cells] == [["hide-input", "drawn"], ["hide-input"], ["hide-input"]]
