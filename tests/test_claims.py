"""Claims of live trainings: what a failing one does, and that each in the chapters has its measured margin."""

import ast
import json
import math
import re
import statistics
import sys
from pathlib import Path

import pytest

import ignbook.data
import ignbook.notebooks
from ignbook import claims

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "experiments"))
import margins  # noqa: E402

CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(claims, "SEEN", [])


def test_a_claim_that_holds_says_nothing_and_is_remembered(monkeypatch, capsys):
    for strict in ("0", "1"):
        monkeypatch.setenv("IGN_STRICT", strict)
        claims.claim("one is less than two and that than four", 1, 2, 4.0)
    assert capsys.readouterr() == ("", "") and claims.SEEN == 2 * [("one is less than two and that than four", [1.0, 2.0])]


@pytest.mark.parametrize("values", [(2, 1), (1, 3, 2), (1, 1), (math.nan, 1)])
def test_a_claim_that_fails_prints_a_line_for_a_reader_and_raises_under_the_tests(values, monkeypatch, capsys):
    monkeypatch.delenv("IGN_STRICT", raising=False)
    claims.claim("these rise", *values)
    assert capsys.readouterr().out == "on this machine this did not come out: these rise.\n"
    monkeypatch.setenv("IGN_STRICT", "1")
    with pytest.raises(AssertionError, match="these rise, for .* < .* does not hold"):
        claims.claim("these rise", *values)
    with pytest.raises(ValueError, match="two values"):
        claims.claim("alone", 1)


def test_a_margin_is_the_least_mean_in_pooled_deviations():
    groups = [[1.0, 2.0, 3.0], [5.0, 7.0, 9.0]]
    found = margins.margin(groups)
    pooled = math.sqrt((2 * statistics.variance(groups[0]) + 2 * statistics.variance(groups[1])) / 4)
    assert found["margin"] == pytest.approx(2 / pooled, abs=0.01) and (found["held"], found["of"], found["least"]) == (
        6,
        6,
        1.0,
    )
    assert margins.margin([[-1.0, 2.0], [3.0, 4.0]])["held"] == 3
    assert margins.margin([[0.5, 0.5], [0.7, 0.7]])["margin"] is None  # the same with every seed: no spread to measure by


def test_the_seeds_of_a_page_are_moved():
    tree = margins._Moved(3).visit(ast.parse("g = torch.Generator().manual_seed(5); torch.manual_seed(seed)"))
    assert ast.unparse(ast.fix_missing_locations(tree)).count("+ 3000") == 2


def patterns(source: str) -> list[str]:
    """The sentences of a cell's claims as regular expressions; what is put in when it runs is anything."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "claim"]
    found = []
    for call in calls:
        parts = call.args[0].values if isinstance(call.args[0], ast.JoinedStr) else [call.args[0]]
        found.append("".join(re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in parts))
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_claim_has_a_margin(chapter):
    """As `make margins` measured it, on the claims that stand in the chapter now."""
    claimed = [pattern for source in margins.code_of(chapter) for pattern in patterns(source)]
    rows = ignbook.data.result("margins")["chapters"].get(chapter.stem, [])
    for pattern in claimed:
        assert any(re.fullmatch(pattern, row["claim"]) for row in rows), f"not measured: {pattern}; run `make margins`"
    for row in rows:
        assert any(re.fullmatch(pattern, row["claim"]) for pattern in claimed), f"no longer claimed: {row['claim']}"
        assert row["margin"] is None or row["margin"] >= margins.LEAST, row
        assert row["held"] == row["of"], row


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_live_training_gave_is_claimed_and_not_asserted(chapter):
    sources = margins.code_of(chapter)
    for source, live in zip(sources, ignbook.notebooks.live(sources)):
        asserts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
        assert not (live and asserts), source[:200]


def test_the_committed_table_is_that_of_the_file():
    table = margins.table(json.loads(json.dumps(ignbook.data.result("margins"))))
    text = (ROOT / "book" / "margins.md").read_text(encoding="utf-8")
    assert table in text, "run `make margins`"
