"""book/wrapping.py: the marks around a formula stay with it, and no word moves."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from checks import script
from docutils import nodes

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wrapping():
    return script(ROOT / "book" / "wrapping.py")


def paragraph(*parts):
    """Words as they are, and formulas as ("f",)."""
    made = [nodes.Text(part) if isinstance(part, str) else nodes.math("", *part) for part in parts]
    return nodes.paragraph("", "", *made)


def shown(wrapping, node, format="html"):
    """The paragraph's pieces after the change, what doesn't wrap in brackets."""
    wrapping.keep_marks(SimpleNamespace(builder=SimpleNamespace(format=format)), node, "page")
    return [f"[{child.astext()}]" if "kept" in getattr(child, "attributes", {}).get("classes", ()) else child.astext()
            for child in node.children if child.astext()]  # fmt: skip


def test_marks_before_and_behind_go_with_the_formula(wrapping):
    node = paragraph("as (", ("f(x)",), "), and ", ("z",), " is", (",",))
    assert shown(wrapping, node) == ["as ", "[(f(x)),]", " and ", "z", " is", ","]


def test_words_that_stand_twice_in_a_paragraph_stay_where_they_are(wrapping):
    node = paragraph("one", ": the outer ", ("f",), " and minus ", ("1",), ": the outer ", ("f",), ".")
    assert shown(wrapping, node) == ["one", ": the outer ", "f", " and minus ", "[1:]", " the outer ", "[f.]"]


def test_other_forms_than_pages_are_left_alone(wrapping):
    assert shown(wrapping, paragraph("(", ("f",), ")."), "latex") == ["(", "f", ")."]
