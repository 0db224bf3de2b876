"""Tables of the chapters."""

import pytest
from markdown_it import MarkdownIt

from ignbook.tables import show, table

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
    assert [len(row) for row in first] == [5] * 3 and [len(row) for row in second] == [4] * 3
    assert [a + b[1:] for a, b in zip(first, second)] == whole and [b[0] for b in second] == [row[0] for row in whole]
    before, inside = shown.split("<details>")
    assert before.startswith("Before.\n\n| samples") and "Further columns: coverage, KL, drift</summary>" in inside
    assert inside.split("</details>")[1] == "\n\nAfter."


def test_mathematics_stays_out_of_html():
    shown = show(TABLE.replace("drift", "$\\delta$")).data
    assert "<summary>Further columns</summary>" in shown and cells(shown)[1][0] == ["samples", "coverage", "KL", "$\\delta$"]


def test_what_fits_stays_as_it_is():
    for text in ("No table, |a| < |b|.", "| a | b |\n|---|---|\n| 1 | 2 |"):
        assert show(text).data == text
    assert show(TABLE, columns=8).data == TABLE
    assert [len(table[0]) for table in cells(show(TABLE, columns=4).data)] == [4, 4, 2]


def test_columns_that_name_a_row_are_repeated():
    first, second = cells(show(TABLE, names=2).data)
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
        show(TABLE, columns=1)


ROWS = {"f": {"KID": 0.526, "minutes": 44.04, "n": 500}, "g": {"KID": -0.001, "minutes": None}}
WRITTEN = [["model", "KID", "n", "minutes"], ["f", "0.53", "500", "44.0"], ["g", "0.00", "—", "—"]]


def test_a_table_of_dicts_of_lists_and_of_single_values_is_the_same():
    head, forms = WRITTEN[0], {"minutes": "{:.1f}"}
    assert cells(table(ROWS, head, forms).data) == [WRITTEN]
    in_order = {name: [row["KID"], row.get("n"), row["minutes"]] for name, row in ROWS.items()}
    assert table(in_order, head, forms).data == table(ROWS, head, forms).data
    listed = [[name, *row] for name, row in in_order.items()]
    assert table(listed, head, forms).data == table(ROWS, head, forms).data
    assert cells(table({"f": 0.526, "g": "none"}, ("model", "KID")).data) == [[["model", "KID"], ["f", "0.53"], ["g", "none"]]]


def test_titles_may_differ_from_keys_and_be_alike():
    by_key = {"": "model", "KID": "KID, of $f(z)$", "minutes": "minutes"}
    found = cells(table(ROWS, by_key, "{:.1f}").data)[0]
    assert found == [["model", "KID, of $f(z)$", "minutes"], ["f", "0.5", "44.0"], ["g", "-0.0", "—"]]
    assert cells(table([["f", 1.0, 2.0]], ["model", "KID", "KID"]).data) == [[["model", "KID", "KID"], ["f", "1.00", "2.00"]]]


def test_a_table_is_folded_and_a_name_may_have_parts():
    rows = {("a", "f"): {k: float(k) for k in "1234"}, ("a", "g"): {k: 2.0 for k in "1234"}}
    first, second = cells(table(rows, ["data", "model", *"1234"], names=2).data)
    assert first[1] == ["a", "f", "1.00", "2.00", "3.00"] and second[1] == ["a", "f", "4.00"]


def test_what_is_no_table_is_told():
    for rows, head, form, said in (
        (ROWS, ["model", "KID", "FD"], "{:.2f}", "no row has FD; known are: "),
        (ROWS, ["model", "KID"], "{:.2q}", "no form of a number"),
        (ROWS, ["model", "KID"], "{1}", "no form of a number"),
        ([["f", 1.0, 2.0]], ["model", "KID"], "{:.2f}", "has 3 cells and its head 2"),
        ({"f": [1.0, 2.0]}, ["model", "KID"], "{:.2f}", "has 3 cells and its head 2"),
    ):
        with pytest.raises(ValueError, match=said):
            table(rows, head, form)
    with pytest.raises(TypeError, match="a row of a list is a list of its cells"):
        table(["f"], ["model"])
