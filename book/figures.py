"""Figures for narrow screens: panels that stand side by side in a drawing come one below the other.

A drawing (class "drawn", `ignbook.notebooks.stamp`) is cut at the blank gutters between its axes, and a page of up to 500 pixels shows
the pieces as a column.  What can't be cut so stays whole, and so does what has the class "whole".  Chapters keep the one picture; the second is made of it for
the pages.
"""

from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image, ImageChops

NARROW = "(max-width: 500px)"  # custom.css has it too
ROOM = 380  # CSS pixels: panels that fit into it at their own size share a row
GAP = 14  # CSS pixels between rows
APART = 4  # CSS pixels of blank between panels, more than between letters
LIKE = 0.4  # widths of axes, the least over the largest: what differs more are the parts of one sketch


def stacked(picture: Image.Image, scale: float = 1.0) -> Image.Image | None:
    """The panels of a drawing one below the other, every pixel as it was; None if no two stand side by side, or they don't come apart.

    scale: pixels of the picture for each CSS pixel.  Axes whose ordinate has no labels get a copy of those that they share,
    and a legend or title that spans panels is wrapped.
    """
    ink = _ink(picture)
    bands = _runs(ink.any(1))
    if not (axes := _axes(ink, bands)):
        return None
    own, spanning, gutters = [], [], [(left[1], right[0]) for left, right in pairwise(axes)]
    for band in sorted(bands, key=_length, reverse=True):  # axes first, then words
        free = [_widest(~ink[slice(*band), slice(*gutter)].any(0), gutter[0], first=not own) for gutter in gutters]
        words = own and band in (bands[0], bands[-1])  # the outermost, in which a legend of all may stand
        if min(map(_length, free)) < APART * scale or (words and _aside(ink[slice(*band)].any(0), axes, free)):
            if not own:
                return None
            spanning.append(band)
        else:
            own.append(band)
            gutters = free
    if any(min(own) < band < max(own) for band in spanning):
        return None
    top, bottom = min(own)[0], max(own)[1]
    edges = [0, *((start + stop) // 2 for start, stop in gutters), ink.shape[1]]
    beside = [band for band in own if _framed(ink[slice(*band), slice(*axes[0])])]  # where labels of an ordinate stand
    rows, labels, i = [], (0, 0), 0
    while i < len(axes):
        first = i
        named = np.any([ink[slice(*band), edges[i] : axes[i][0]].any(0) for band in beside], 0)
        labels = (edges[i] + int(named.argmax()), axes[i][0]) if named.any() else labels
        missing = 0 if named.any() else labels[1] - labels[0]
        while i + 1 < len(axes) and edges[i + 2] - edges[first] + missing <= ROOM * scale:
            i += 1
        i += 1
        across = np.flatnonzero(ink[top:bottom, edges[first] : edges[i]].any(0)) + edges[first]
        left = min(across[0], axes[first][0] - missing)  # what the labels need, be there a neighbour or not
        row = _blank(picture, across[-1] + 1 - left, bottom - top)
        row.paste(picture.crop((across[0], top, across[-1] + 1, bottom)), (across[0] - left, 0))
        for start, stop in beside if missing else ():
            row.paste(picture.crop((labels[0], start, labels[1], stop)), (axes[first][0] - missing - left, start - top))
        rows.append(row)
    width = max(row.width for row in rows)
    above, below = [], []
    for start, stop in sorted(spanning):
        words = [picture.crop((a, start, b, stop)) for a, b in _wrapped(ink[start:stop].any(0), width)]
        (above if start < top else below).extend(words)
    return _column(picture, [*above, *rows, *below], round(GAP * scale))


def _ink(picture: Image.Image) -> np.ndarray:
    """What differs from the pixel in the corner, (height, width) of booleans."""
    off = ImageChops.difference(picture.convert("RGB"), _blank(picture, *picture.size).convert("RGB"))
    return np.asarray(reduce(ImageChops.lighter, off.split())) > 24


def _runs(filled: np.ndarray) -> list[tuple[int, int]]:
    """Where a row of booleans is true: (start, stop) of each stretch."""
    edges = np.flatnonzero(np.diff(np.r_[0, filled.astype(np.int8), 0]))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2])]


def _widest(blank: np.ndarray, start: int, first: bool) -> tuple[int, int]:
    """The widest stretch of blank columns from `start` on; or the first, as labels of axes stand on their left."""
    found = _runs(blank) or [(0, 0)]
    left, right = found[0] if first else max(found, key=_length)
    return start + left, start + right


def _aside(filled: np.ndarray, axes: list[tuple[int, int]], gutters: list[tuple[int, int]]) -> bool:
    """Whether words don't stand in the middle of the axes that they would go with: a legend of all, with a blank at each gutter."""
    for (start, stop), left, right in zip(axes, [(0, 0), *gutters], [*gutters, (len(filled),) * 2]):
        words = np.flatnonzero(filled[left[1] : right[0]]) + left[1]
        if words.size and abs(words[0] + words[-1] - start - stop) > (stop - start) / 2:
            return True
    return False


def _length(run: tuple[int, int]) -> int:
    return run[1] - run[0]


def _framed(ink: np.ndarray) -> bool:
    """Whether it is of axes: a line goes all through from left to right, and no row is blank.  Words have not both."""
    return bool(ink.mean(1).max() > 0.9 and ink.any(1).mean() > 0.9)


def _axes(ink: np.ndarray, bands: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Columns of the axes that stand side by side in the highest band; none if these are fewer than two, or not alike."""
    rows = ink[slice(*max(bands, key=_length))] if bands else ink
    axes = [run for run in _runs(rows.any(0)) if _framed(rows[:, slice(*run)])]
    widths = [_length(run) for run in axes]
    alike = len(axes) > 1 and min(widths) > LIKE * max(widths)
    return axes if alike and sum(widths) > LIKE * ink.shape[1] else []


def _wrapped(filled: np.ndarray, room: int) -> list[tuple[int, int]]:
    """Columns of a line of words in pieces no wider than `room`, where they allow that; cut at wide blanks."""
    words, pieces = _runs(filled), []
    while words:
        fitting = [n for n in range(1, len(words) + 1) if words[n - 1][1] - words[0][0] <= room] or [1]
        if (n := fitting[-1]) < len(words):
            blanks = {n: words[n][0] - words[n - 1][1] for n in fitting}
            n = max(n for n in fitting if blanks[n] > 0.7 * max(blanks.values()))
        pieces.append((words[0][0], words[n - 1][1]))
        words = words[n:]
    return pieces


def _blank(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Ground of the picture's colour, with its palette."""
    return picture.crop((0, 0, 1, 1)).resize((int(width), int(height)))


def _column(picture: Image.Image, rows: list[Image.Image], gap: int) -> Image.Image:
    column = _blank(picture, max(row.width for row in rows), sum(row.height + gap for row in rows) - gap)
    y = 0
    for row in rows:
        column.paste(row, (0, y))
        y += row.height + gap
    return column


def add_narrow(app, doctree, docname: str) -> None:
    """Give the drawings of one page a second picture for narrow screens; `app` writes HTML, else nothing is done."""
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/") + "_images/"
    for image in list(doctree.findall(nodes.image)):
        if {"drawn", "whole"} & set(image["classes"]) != {"drawn"} or image["uri"] not in app.env.images:
            continue
        with Image.open(Path(app.srcdir, image["uri"])) as picture:
            shown = str(image.get("width", "")).removesuffix("px")
            scale = picture.width / int(shown) if shown.isdigit() else 1.0
            narrow = stacked(picture, scale)
        if narrow is None:
            continue
        name = app.env.images[image["uri"]][1]
        path = Path(app.outdir, "_images", f"narrow-{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        narrow.save(path)
        # the link is Sphinx's own for pictures of a given width, which would come between <picture> and <img>
        image["classes"].append("no-scaled-link")
        link = f'<a class="reference internal image-reference" href="{up}{name}">'
        source = f'<source media="{NARROW}" srcset="{up}{path.name} {scale:.3f}x">'
        parent, at = image.parent, image.parent.index(image)
        parent.insert(at, nodes.raw("", f"{link}<picture>{source}", format="html"))
        parent.insert(at + 2, nodes.raw("", "</picture></a>", format="html"))


def setup(app):
    app.connect("doctree-resolved", add_narrow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
