"""The plain notebooks for Colab and GitHub: nothing is left that only the pages understand, and they say what the pages say."""

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import pytest
from checks import code_and_solutions
from nbconvert.filters.markdown_mistune import markdown2html_mistune as html_of  # as plain a reader of Markdown as GitHub's
from test_book import BOOK, LAB, unavailable

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
PAGES = "https://ign-book.github.io/ign-book/"
ABSENT = ("html_static_path", "html_extra_path")  # what npm and the weights bring, and no plain notebook needs

# fences of directives, roles, labels of formulas and places, links and pictures that need the repository around them
LEFT = re.compile(
    r"`{3,}\{|^:{3,}|\{[a-z]+(?::[a-z]+)?\}`|^\$\$.*\(\S+\)$|^\(\S+\)=|\]\((?!https://)|(?:src|href)=[\"']?(?!https:|data:)",
    re.M,
)
KINDS = r"prf:(?!proof)[a-z]+|exercise"


def build(folder: Path, out: Path) -> subprocess.CompletedProcess:
    command = "from jupyter_book.cli.main import main; main()"
    options = ["--path-output", out, "--builder", "custom", "--custom-builder", "colab", "--keep-going", "-n"]
    environment = os.environ | {"NO_COLOR": "1"}
    arguments = [sys.executable, "-c", command, "build", folder, *options]
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, env=environment)


def load(path: Path) -> tuple[list[dict], str]:
    """The cells of a notebook, and all of its Markdown."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook["cells"], "\n\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The folder of the plain notebooks."""
    out = tmp_path_factory.mktemp("plain")
    done = build(ROOT, out)
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line and not any(name in line for name in ABSENT)]
    assert done.returncode == 0 and not warnings, done.stderr[-3000:]
    folder = out / "_build" / "colab"
    listed = re.findall(r"\]\((\S+)\)", (folder / "README.md").read_text())
    assert listed[1:] == [f"notebooks/{name}.ipynb" for name in CHAPTERS]
    return folder / "notebooks"


@pytest.fixture(scope="module")
def pairs(plain) -> dict[str, tuple]:
    """Name of a chapter -> its cells, its Markdown, and those of the plain notebook."""
    return {name: load(ROOT / "notebooks" / f"{name}.ipynb") + load(plain / f"{name}.ipynb") for name in CHAPTERS}


def test_nothing_is_left_that_only_the_pages_understand(pairs):
    for name, (_, source, _, text) in pairs.items():
        assert not LEFT.findall(text), name
        assert len(set(LEFT.findall(source))) >= 3, name  # so what is looked for is there to be found
        assert not re.findall(r"(?m)^:\w+:|\b(?:prf|cite|solution-(?:start|end))\b", text), name


def test_code_cells_are_those_of_the_chapters_and_outputs_too_but_for_solutions(pairs, plain):
    for name, (cells, _, written, _) in pairs.items():
        nbformat.validate(nbformat.read(plain / f"{name}.ipynb", as_version=4))
        code, solutions = zip(*code_and_solutions(cells))
        ours = [cell for cell in written if cell["cell_type"] == "code"]
        assert [cell["source"] for cell in ours] == [cell["source"] for cell in code], name
        assert any(solutions) and not all(solutions)
        for cell, original, solves in zip(ours, code, solutions):
            data = [(o.get("text"), o.get("data")) for o in cell["outputs"]]
            assert data == ([] if solves else [(o.get("text"), o.get("data")) for o in original["outputs"]]), name
            hidden = solves or bool(
                {"hide-cell", "hide-input", "remove-cell", "remove-input"} & set(original["metadata"].get("tags", []))
            )
            assert (cell["metadata"].get("cellView") == "form") == hidden == ("jupyter" in cell["metadata"])
            alt = original["metadata"].get("mystnb", {}).get("image", {}).get("alt")
            for output in cell["outputs"]:
                assert "image/png" not in output.get("data", {}) or output["metadata"]["image/png"]["alt"] == alt


def test_references_name_what_they_lead_to(pairs):
    """Without the pages: the n-th label of a chapter belongs to the n-th numbered block or formula that was written."""
    numbers, references = {}, []
    for name, (_, source, _, text) in pairs.items():
        labels = re.findall(rf"(?m)^`{{3,}}\{{(?:{KINDS})\}}.*\n(?::(?!label).*\n)*:label: (\S+)", source)
        titles = re.findall(r"(?m)^> \*\*([A-Z][a-z]+ [\d.]+)[. ]", text)
        formulas = re.findall(r"(?m)^\$\$.* \(([\w-]+)\)$|^\$\$ \(([\w-]+)\)$", source)
        tags = re.findall(r"\\tag\{([\d.]+)\}", text)
        assert len(labels) == len(titles) and len(formulas) == len(tags), name
        numbers |= dict(zip(labels, titles)) | {f"equation-{a or b}": f"({tag})" for (a, b), tag in zip(formulas, tags)}
        references += re.findall(rf"\[([^\[\]]+)\]\({PAGES}notebooks/\w+\.html#([\w-]+)\)", text)
        asked = re.findall(r"\{(?:prf:ref|eq)\}`[^`<]+`", source)
        assert len(asked) <= len(references)
    assert len(references) > 50 and len(set(numbers.values())) == len(numbers)
    for title, label in references:
        assert numbers[label] == title


def test_a_reader_of_plain_markdown_shows_each_as_intended(pairs):
    """Theorems and exercises as quoted blocks, proofs and solutions folded, the rest of the prose as it is."""
    same = 0
    for name, (cells, source, written, text) in pairs.items():
        html = "\n".join(html_of(cell["source"]) for cell in written if cell["cell_type"] == "markdown")
        quoted = re.findall(r"<blockquote>\s*<p><strong>([A-Z]\w+) [\d.]+", html)
        assert [kind.lower() for kind in quoted] == [
            kind.removeprefix("prf:") for kind in re.findall(rf"`{{3,}}\{{({KINDS})\}}", source)
        ], name
        folded = re.findall(r"<details>\s*<summary>(\w+).*?</summary>(.*?)</details>", html, re.S)
        assert sum(kind == "Proof" for kind, _ in folded) == source.count("{dropdown} Proof")
        assert html.count("<details>") == html.count("</details>") == len(folded)
        assert all(re.search("<(p|ol|ul|blockquote)>", body) for _, body in folded), name  # what is folded is Markdown still
        assert not re.search(r"\*\*|^&gt;|\]\(", re.sub(r"(?s)<(code|pre)\b.*?</\1>|\$[^$]*\$", "", html)), name
        shown = {" ".join(html_of(cell["source"]).split()) for cell in written if cell["cell_type"] == "markdown"}
        prose = [cell["source"] for cell in cells[1:] if cell["cell_type"] == "markdown" and not LEFT.search(cell["source"])]
        prose = [text for text in prose if "$$" not in text]
        assert {" ".join(html_of(text).split()) for text in prose} <= shown, name
        same += len(prose)
    assert same > 100


def test_numbers_and_places_are_those_of_the_pages(pairs):
    if not (BOOK / "index.html").exists():
        unavailable(f"there is no built book in {BOOK}; run `make html` first")
    html = {path.relative_to(BOOK).as_posix(): path.read_text(encoding="utf-8") for path in BOOK.rglob("*.html")}
    for name, (_, _, _, text) in pairs.items():
        page = html[f"notebooks/{name}.html"]
        titles = re.findall(r'<p class="admonition-title"[^>]*>\s*<span class="caption-number">\s*([^<]*?)\s*</span>', page)
        assert titles == re.findall(r"(?m)^> \*\*([A-Z][a-z]+ [\d.]+)[. ]", text), name
        assert re.findall(r'<span class="eqno">\(([\d.]+)\)', page) == re.findall(r"\\tag\{([\d.]+)\}", text), name
        assert f"/blob/colab/notebooks/{name}.ipynb" in page  # the rocket
        for target in re.findall(rf"\]\({PAGES}([^)\s]+)\)", text):
            path, _, place = target.partition("#")
            if path not in LAB:  # there the rest of the address is what a reader has set
                assert path in html and (not place or f'id="{place}"' in html[path]), target


ALL_THAT_MAY_COME = """# One chapter

[![Open in Colab](../book/colab.py)](https://colab.research.google.com/)

(here)=
## A place

A price of \\$5 and $a_1 = \\{1\\}$; {prf:ref}`thm`, {prf:ref}`the theorem <thm>`, {numref}`fig`, {ref}`here`, {term}`Drift`,
{cite:t}`shocher2024idempotent`, {cite:p}`zhao2017ebgan,goodfellow2014gan`, {math}`x < y`, [by a name][n], [there](#a-place).

[n]: ../book/index.md#words

````{prf:theorem} With $f$
:label: thm
:class: tip

$$
a &= b \\\\
c &= d
$$ (eq-one)

```{note}
Within.
```
````

```{prf:remark} Without a number
:nonumber:
Text.
```

:::{admonition} Look {eq}`eq-one`
:class: dropdown
Hidden.
:::

::::{grid} 2

:::{grid-item}
```{figure} ../book/colab.py
:name: fig
:alt: What is to be seen

A caption with {eq}`eq-one`.
```
:::
::::

| a | b |
|:--|--:|
| `x\\|y` | {eq}`eq-one` |

% a comment
```{code-block} python
f(x)
```
"""
SHOWN = [
    "![Open in Colab](https://github.com/ign-book/ign-book/raw/HEAD/book/colab.py)",
    r"A price of \$5 and $a_1 = \{1\}$;",
    f"[Theorem 1]({PAGES}notebooks/one.html#thm), [the theorem]({PAGES}notebooks/one.html#thm), [Fig. 1]({PAGES}notebooks/one.html#fig)",
    f"[A place]({PAGES}notebooks/one.html#here), [Drift]({PAGES}book/index.html#term-Drift),",
    "Shocher *et al.* ([2024](https://arxiv.org/abs/2311.01462)), ([Goodfellow *et al.*, 2014](https://arxiv.org/abs/1406.2661)",
    f"$x < y$, [by a name]({PAGES}book/index.html#words), [there]({PAGES}notebooks/one.html#a-place).",
    "> **Theorem 1 (With $f$).**\n>\n> $$ \\begin{split} a &= b \\\\ c &= d \\end{split} \\tag{1} $$\n>\n> > **Note.**\n> >\n> > Within.",
    "> **Remark (Without a number).**\n>\n> Text.",
    f'<details>\n<summary>Look <a href="{PAGES}notebooks/one.html#equation-eq-one">(1)</a></summary>\n\nHidden.\n\n</details>',
    f"![What is to be seen](https://github.com/ign-book/ign-book/raw/HEAD/book/colab.py)\n\nA caption with [(1)]({PAGES}",
    f"| a | b |\n| :--- | ---: |\n| `x\\|y` | [(1)]({PAGES}notebooks/one.html#equation-eq-one) |\n\n```python\nf(x)\n```",
]


@pytest.fixture
def little(tmp_path) -> Path:
    """A book of one chapter, whose text is to be written."""
    folder = tmp_path / "book-of-one"
    (folder / "book" / "templates").mkdir(parents=True)
    (folder / "book" / "static").mkdir()
    (folder / "notebooks").mkdir()
    modules = [f"book/{name}.py" for name in ("colab", "figures", "frames", "wrapping")]
    for name in ("_config.yml", *modules, "book/references.bib", "book/bibliography.md"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "book" / "index.md").write_text("# Book\n\n## Words\n\n```{glossary}\nDrift\n  How far.\n```\n")
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n- file: notebooks/one\n- file: book/bibliography\n"
    )
    return folder


def chapter_of(little: Path, text: str, out: Path) -> tuple[str, str]:
    """The Markdown that comes out of such a text, and what was said."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(notebook, little / "notebooks" / "one.ipynb")
    done = build(little, out)
    written = out / "_build" / "colab" / "notebooks" / "one.ipynb"
    return (load(written)[1] if written.exists() else ""), done.stdout + done.stderr


def test_all_that_a_chapter_may_come_to_hold_is_written(little, tmp_path):
    text, said = chapter_of(little, ALL_THAT_MAY_COME, tmp_path)
    for shown in SHOWN:
        assert shown in text, f"{shown}\n\nis not in\n\n{text}\n{said[-2000:]}"


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ("```{centered} Text\n```", "doesn't know the directive 'centered'"),
        ("{ref}`nowhere`", "{ref}`nowhere` leads nowhere."),
        ("[file](gone.txt)", "the link gone.txt leads nowhere."),
    ],
)
def test_what_it_cannot_write_it_names(little, tmp_path, wrong, sentence):
    text, said = chapter_of(little, f"# One\n\n{wrong}\n", tmp_path)
    assert not text and "notebooks/one: " in said and sentence in unescape(said)
