"""Tables of the chapters: Markdown that fits the width of a page."""

import re

from IPython.display import Markdown

from . import checks
from .checks import door

_TABLE = re.compile(r"^\|.*\n\|[-:| ]+\|(?:\n\|.*)*", re.MULTILINE)


@door
def show(text: str, columns: int = 5, names: int = 1) -> Markdown:
    """Markdown for a page: of each table in it the names and the first columns; the others are folded in below it.

    text: any Markdown, its tables with pipes, a row on a line; a pipe within a cell is written \\|.  names: how many of a
    table's first columns say what a row is, and are repeated; columns: how many are shown beside them.
    ValueError: columns or names below 1, or a row with more or fewer cells than its table's head.
    """
    checks.between("columns", columns, 1)
    checks.between("names", names, 1)
    return Markdown(_TABLE.sub(lambda found: _folded(found[0], columns, names), text))


def _folded(table: str, columns: int, names: int) -> str:
    rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.split("\n")]
    head = rows[0]
    if bad := next((row for row in rows if len(row) != len(head)), None):
        raise ValueError(f"the row |{'|'.join(bad)}| has {len(bad)} cells and its head {len(head)}; give each row as many.")
    first, *further = (
        "\n".join(f"|{'|'.join(row[:names] + row[at : at + columns])}|" for row in rows)
        for at in range(names, len(head), columns)
    )
    if not further:
        return table
    folded = ", ".join(name.strip() for name in head[names + columns :])
    folded = f": {folded}" if "$" not in folded else ""  # mathematics isn't set within HTML
    return "\n\n".join([first, f"<details><summary>Further columns{folded}</summary>", *further, "</details>"])
