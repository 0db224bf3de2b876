"""Claims of live trainings: what a failing one does, and that each in the chapters has its measured margin.

And one claim of chapter 5 that no page computes: which terms have a gradient at a fresh f, under L1 and under L2.
"""

import ast
import json
import math
import re
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import ign_core
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


# the runs on images of chapter 5, and scikit-learn's digits, which are always there, in place of MNIST
FRESH = ign_core.Recipe("fresh", data="digits8", size=16, width=16, batch=64, steps=1, precision="32-true")


def gradients(f: torch.nn.Module, x: torch.Tensor, z: torch.Tensor, distance: str) -> dict[str, float]:
    """The length of each term's gradient in all parameters of f, before the terms are weighted."""
    terms, found = ("reconstruction", "idempotence", "tightness"), {}
    for term in terms:
        losses = ign_core.literal_objective(f, x, z, **{name: float(name == term) for name in terms}, distance=distance)
        parts = torch.autograd.grad(losses.total, list(f.parameters()), allow_unused=True)
        found[term] = math.sqrt(sum(part.square().sum().item() for part in parts if part is not None))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_near_a_constant_only_l1_leaves_tightness_and_idempotence_a_gradient(seed):
    """As shares of reconstruction's, measured: 1.0 to 1.2 and 0.4 to 0.9 under L1, 0.13 to 0.15 and 0.1 under L2, which fall."""
    images = ignbook.data.load("digits8")
    data = F.avg_pool2d(images[torch.arange(256)], 2)  # (256, 1, 16, 16)
    recipe, x = replace(FRESH, seed=seed), data[64 * seed :][:64]
    z = ign_core.source_of(recipe, data).sample(64, torch.Generator().manual_seed(seed))
    shares = {}
    for near in (1.0, 0.1, 0.01):  # a fresh f, and f nearer to a constant: what its last layer adds to its bias shrinks
        f = ign_core.build(recipe)
        with torch.no_grad():
            f.decoder[-2].weight.mul_(near)
        for distance in ("l1", "l2"):
            sizes = gradients(f, x, z, distance)
            shares[distance, near] = [sizes[term] / sizes["reconstruction"] for term in ("tightness", "idempotence")]
    for (distance, near), (tightness, idempotence) in shares.items():
        if distance == "l1":
            assert 0.5 < tightness < 2 and 0.25 < idempotence < 2, (near, tightness, idempotence)
        else:  # a square: its gradient falls with what is squared
            assert near / 20 < tightness < near / 4 and near / 50 < idempotence < near / 4, (near, tightness, idempotence)
