"""Tables of the chapters: Markdown that fits the width of a page."""

import re
from collections.abc import Mapping
from itertools import chain, repeat
from numbers import Rational, Real

from IPython.display import Markdown

from . import checks
from .checks import door

FORM = "{:z.2f}"  # of numbers, two decimals; z: never -0.00
_TABLE = re.compile(r"^\|.*\n\|[-:| ]+\|(?:\n\|.*)*", re.MULTILINE)


@door
def table(rows: dict | list, head: dict | list | tuple, form: str | dict = FORM, columns: int = 5, names: int = 1) -> Markdown:
    """A table, by `show`, of {name: row} or of a list of rows.

    rows: a row is a dict, a list of values or a single value, and a name that is a tuple fills as many cells; in a list, a
    row is a list of all its cells.  head: the titles of the columns, those of names first; rows that are dicts are read by
    them, or, if it is {key: title}, by its keys.  form: how numbers are written, or {title or key: form} for some.  Text and
    whole numbers stay as they are; None, and what a row lacks, is —.  columns, names: as in `show`.
    ValueError: a form that is none, a key that no row has, or what `show` refuses.  TypeError: a row that is no row.
    """
    keys = list(head)
    if isinstance(rows, Mapping):
        known = {key for row in rows.values() if isinstance(row, Mapping) for key in row}
        if known and (missing := [str(key) for key in keys[names:] if key not in known]):
            raise ValueError(f"no row has {', '.join(missing)}; known are: {', '.join(map(str, known))}.")
        rows = [_line(name, row, keys) for name, row in rows.items()]
    forms = [form.get(key, FORM) if isinstance(form, Mapping) else form for key in keys]
    lines = [[*head.values()] if isinstance(head, Mapping) else keys]
    for row in rows:
        if not isinstance(row, list | tuple):
            raise TypeError(f"a row of a list is a list of its cells and is of type {type(row).__name__}; give lists.")
        lines.append([_cell(value, written) for value, written in zip(row, chain(forms, repeat(FORM)))])
    top, *body = (f"| {' | '.join(map(str, line))} |" for line in lines)
    return show("\n".join([top, "|---" * len(keys) + "|", *body]), columns, names)


def _line(name, row, keys: list) -> list:
    first = name if isinstance(name, tuple) else (name,)
    if isinstance(row, Mapping):
        return [*first, *(row.get(key) for key in keys[len(first) :])]
    return [*first, *row] if isinstance(row, list | tuple) else [*first, row]


def _cell(value, form: str) -> str:
    if value is None:
        return "—"
    if not isinstance(value, Real) or isinstance(value, Rational):
        return str(value)
    try:
        return form.format(value)
    except (ValueError, LookupError):
        raise ValueError(f"{form!r} is no form of a number; give one such as {FORM!r}.") from None


@door
def show(text: str, columns: int = 5, names: int = 1) -> Markdown:
    """Markdown for a page: of each table in it the first columns; the others are folded in below it.

    text: any Markdown, its tables with pipes, a row on a line; a pipe within a cell is written \\|.  columns: how many stand
    side by side.  names: how many of them, the table's first ones, say what a row is; these are repeated below.
    ValueError: names below 1, no column beside them, or a row with more or fewer cells than its table's head.
    """
    checks.between("names", names, 1)
    checks.between("columns", columns, names + 1)
    return Markdown(_TABLE.sub(lambda found: _folded(found[0], columns, names), text))


def _folded(table: str, columns: int, names: int) -> str:
    rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in table.split("\n")]
    head = rows[0]
    if bad := next((row for row in rows if len(row) != len(head)), None):
        raise ValueError(f"the row |{'|'.join(bad)}| has {len(bad)} cells and its head {len(head)}; give each row as many.")
    beside = columns - names
    first, *further = (
        "\n".join(f"|{'|'.join(row[:names] + row[at : at + beside])}|" for row in rows)
        for at in range(names, len(head), beside)
    )
    if not further:
        return table
    folded = ", ".join(name.strip() for name in head[columns:])
    folded = f": {folded}" if "$" not in folded else ""  # mathematics isn't set within HTML
    return "\n\n".join([first, f"<details><summary>Further columns{folded}</summary>", *further, "</details>"])
