"""Tables of the chapters."""

import pytest
from markdown_it import MarkdownIt

from ignbook.tables import show

HEAD = "| samples | FD | KID | precision | recall | coverage | KL | drift |"
TABLE = f"{HEAD}\n|{'---|' * 8}\n| real | 2 | 4 | 0.9 | 0.8 | 0.7 | 0.1 | — |\n| f(z), \\|z\\| < 1 | 3 | 5 | 0.6 | 0.5 | 0.4 | 0.2 | 0.01 |"


def cells(text: str) -> list[list[list[str]]]:
    """The tables that a Markdown parser of its own finds: rows of cells."""
    tables: list[list[list[str]]] = []
    tokens = MarkdownIt().enable("table").parse(text)
    for before, token in zip([None, *tokens], tokens):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif before and before.type in ("th_open", "td_open"):
            tables[-1][-1].append(token.content)
    return tables


def test_a_wide_table_is_folded_and_keeps_every_cell():
    shown = show(f"Before.\n\n{TABLE}\n\nAfter.").data
    whole, (first, second) = cells(TABLE)[0], cells(shown)
    assert [len(row) for row in first] == [6] * 3 and [len(row) for row in second] == [3] * 3
    assert [a + b[1:] for a, b in zip(first, second)] == whole and [b[0] for b in second] == [row[0] for row in whole]
    before, inside = shown.split("<details>")
    assert before.startswith("Before.\n\n| samples") and "Further columns: KL, drift</summary>" in inside
    assert inside.split("</details>")[1] == "\n\nAfter."


def test_mathematics_stays_out_of_html():
    shown = show(TABLE.replace("drift", "$\\delta$")).data
    assert "<summary>Further columns</summary>" in shown and cells(shown)[1][0] == ["samples", "KL", "$\\delta$"]


def test_what_fits_stays_as_it_is():
    for text in ("No table, |a| < |b|.", "| a | b |\n|---|---|\n| 1 | 2 |"):
        assert show(text).data == text
    assert show(TABLE, columns=7).data == TABLE
    assert [len(table[0]) for table in cells(show(TABLE, columns=3).data)] == [4, 4, 2]


def test_columns_that_name_a_row_are_repeated():
    first, second = cells(show(TABLE, columns=3, names=2).data)
    assert first[0] == ["samples", "FD", "KID", "precision", "recall"] and second[0] == [
        "samples",
        "FD",
        "coverage",
        "KL",
        "drift",
    ]


def test_a_row_that_does_not_fit_its_head_is_told():
    with pytest.raises(ValueError, match="has 2 cells and its head 8; give each row as many.$"):
        show(f"{TABLE}\n| z | 1 |")
    with pytest.raises(ValueError, match="columns"):
        show(TABLE, columns=0)
