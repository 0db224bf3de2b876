"""Figures for narrow screens, where what stands side by side comes one below the other, and pictures for dark pages.

A drawing (class "drawn", `ignbook.notebooks.stamp`) is cut at the blank gutters between its axes, and a page of up to 500 pixels shows
the pieces as a column; custom.css turns it light on dark.  Pictures and maps in colours tell where their axes are
(`ignbook.plots.pictures.places`): these are cut between columns, and get a version for the dark in which all but the pictures
is light on dark.  What can't be cut so stays whole, and so does what has the class "whole".  Chapters keep the one picture; the others are
made of it for the pages.
"""

import html
import json
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from docutils import nodes
from PIL import Image, ImageChops

NARROW = "(max-width: 500px)"  # custom.css has it too
ROOM = 380  # CSS pixels: panels that fit into it at their own size share a row
GAP = 14  # CSS pixels between rows
APART = 4  # CSS pixels of blank between panels, more than between letters
HIGHEST = 16_383  # pixels of a WebP
EDGE = 3  # pixels around axes that their frame may take
TICK = 8  # CSS pixels beside axes that may be taken by marks without labels
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


# --------------------------------------------------------------------------------------- pictures, which tell where they are


def places(picture: Image.Image) -> list[list]:
    """Where its axes are, [left, top, right, bottom, kind, columns], as `ignbook.plots.pictures.places` wrote it; none: it is a drawing."""
    return json.loads(picture.info.get("comment", b"[]"))


def light_on_dark(picture: Image.Image, at: list[list]) -> Image.Image:
    """All but the pictures and bars of colours as custom.css shows drawings in the dark: `invert(0.93) hue-rotate(180deg)`."""
    pixels = np.asarray(picture.convert("RGB")).astype(float)
    grey = np.array([0.213, 0.715, 0.072])  # of https://www.w3.org/TR/filter-effects/#huerotateEquivalent, turned by half
    found = (255 * 0.93 - 0.86 * pixels) @ (2 * grey[:, None] - np.eye(3))
    inked = _ink(picture)
    for left, top, right, bottom, kind, _ in at:
        if kind != "lines":
            top, bottom = _edges(inked[:, left:right].mean(1), top, bottom)
            left, right = _edges(inked[top:bottom].mean(0), left, right)
            found[top:bottom, left:right] = pixels[top:bottom, left:right]
        if kind == "bar":  # its tip, for values beyond, stands above its axes and is no rectangle
            blank = ~inked[:top, (left + right) // 2][::-1]
            tip = slice(top - int(blank.argmax()) if blank.any() else 0, top), slice(left, right)
            found[tip][inked[tip]] = pixels[tip][inked[tip]]
    return Image.fromarray(found.round().clip(0, 255).astype(np.uint8))


def _edges(inked: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Where a picture begins and ends, told to a pixel or two: lines of its edge that are ground are not of it, full ones beside it are."""
    for _ in range(EDGE):
        start += int(inked[start] < 0.1) - int(start > 0 and inked[start - 1] > 0.9)
        stop += int(stop < len(inked) and inked[stop] > 0.9) - int(inked[stop - 1] < 0.1)
    return start, stop


class Piece(NamedTuple):
    """Columns `start` to `stop` of a picture, down to row `end`; beside them from column `margin` on, in each of `rows`, what stands there."""

    start: int
    stop: int
    end: int
    margin: int
    rows: list[tuple[int, int]]


def pieces(picture: Image.Image, at: list[list], scale: float = 1.0) -> list[Piece]:
    """Where its rows are broken to fit a narrow page; none: it stays whole, as one that would be too high does.

    at: `places`.  scale: pixels of the picture for each CSS pixel.  Rows are parted between images, and between axes where nothing
    else stands.
    """
    lefts = sorted(left for left, *_, kind, _ in at if kind != "bar")
    first, room = lefts[0], ROOM * scale
    ink, taken, inner = _ink(picture), np.zeros(picture.width, bool), set()
    filled = ink.copy()
    below_all = picture.height - int(np.flatnonzero(filled.any(1))[-1])
    for left, top, right, bottom, _, columns in at:
        across = range(max(left - EDGE, 0), right + EDGE)
        between = [left + round(i * (right - left) / columns) for i in range(1, columns)]
        ink[max(top - EDGE, 0) : bottom + EDGE, across] = False  # words are left, and labels of axes
        taken[[c for c in across if c not in between]] = True
        inner |= set(between)
    if picture.width <= room or not ink[:, :first].any():  # then nothing is too small to be read, or there is nothing to read
        return []
    blank = ~ink.any(0) & ~taken
    before_axes = [gap for gap in _runs(~taken) if gap[1] + EDGE in lefts[1:]]  # and not before a bar, which belongs to those
    gaps = [_widest(blank[slice(*gap)], gap[0], first=False) for gap in before_axes]
    edges = {c for c in inner if blank[c]} | {sum(gap) // 2 for gap in gaps if _length(gap) >= APART * scale}
    found = []
    for start, stop in _parted(sorted(edges), first, picture.width, room - first):
        end = int(np.flatnonzero(filled[:, start:stop].any(1))[-1]) + below_all  # its last row of panels may be empty
        if start == first:  # what stands on the left is its own
            found.append(Piece(0, stop, end, 0, []))
        elif start not in inner and _labelled(ink, at, start, round(TICK * scale)):
            found.append(Piece(start, stop, end, 0, []))
        else:
            found.append(Piece(start, stop, end, first, _bands(at, first, start, stop, picture.height)))
    return found if len(found) > 1 and sum(piece.end for piece in found) <= HIGHEST else []


def broken(picture: Image.Image, found: list[Piece]) -> Image.Image:
    """The pieces one below the other, each with what it repeats of the left."""
    rows = []
    for start, stop, end, margin, bands in found:
        row = _blank(picture, margin + stop - start, end)
        for above, below in bands:  # without the line of the first axes
            row.paste(picture.crop((0, above, margin - EDGE, below)), (0, above))
        row.paste(picture.crop((start, 0, stop, end)), (margin, 0))
        rows.append(row)
    return _column(picture, rows, 0)


def _labelled(ink: np.ndarray, at: list[list], start: int, tick: int) -> bool:
    """Whether the next axes from column `start` on have labels of an ordinate, which are more than marks of `tick` pixels."""
    found = min((left for left, *_ in at if left >= start), default=start)
    return any(ink[top:bottom, start : max(left - tick, start)].any() for left, top, _, bottom, *_ in at if left == found)


def _bands(at: list[list], first: int, start: int, stop: int, height: int) -> list[tuple[int, int]]:
    """Heights of the axes on the left, parted in the middle between them, of which something stands in columns `start` to `stop`."""
    own = sorted((top, bottom) for left, top, _, bottom, *_ in at if left == first)
    parts = [0, *((above[1] + below[0]) // 2 for above, below in pairwise(own)), height]
    inside = [top for left, top, right, *_ in at if left < stop and right > start]
    return [(above, below) for above, below in pairwise(parts) if any(above <= top < below for top in inside)]


def _parted(edges: list[int], first: int, end: int, room: float) -> list[tuple[int, int]]:
    """Pieces from edge to edge, as few as `room` allows, and of these the most even ones."""

    def greedy(room: float) -> list[tuple[int, int]]:
        pieces, start = [], first
        while end - start > room and (beyond := [c for c in edges if c > start]):
            stop = max([c for c in beyond if c - start <= room] or beyond[:1])
            pieces.append((start, stop))
            start = stop
        return [*pieces, (start, end)]

    found = greedy(room)
    for narrower in np.arange(room, 0, -4):
        if len(pieces := greedy(narrower)) > len(found):
            break
        found = pieces
    return found


def add_versions(app, doctree, docname: str) -> None:
    """Give the figures of one page their other versions; `app` writes HTML, else nothing is done."""
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/") + "_images/"
    for image in list(doctree.findall(nodes.image)):
        if image["uri"] not in app.env.images or not image["uri"].endswith((".png", ".jpg", ".jpeg")):
            continue
        name, folder = app.env.images[image["uri"]][1], Path(app.outdir, "_images")
        with Image.open(Path(app.srcdir, image["uri"])) as picture:
            shown = str(image.get("width", "")).removesuffix("px")
            scale = picture.width / int(shown) if shown.isdigit() else 1.0
            at, cut = places(picture), "whole" not in image["classes"]
            if not at and "drawn" not in image["classes"]:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            if not at:
                narrow = _written(stacked(picture, scale) if cut else None, folder / f"narrow-{name}")
                _show(image, up, name, narrow, scale)
                continue
            found = pieces(picture, at, scale) if cut else []
            kept = {"lossless": True} if image["uri"].endswith(".png") else {"quality": 75}
            stem = Path(name).stem
            for theme, version in (("light", picture.convert("RGB")), ("dark", light_on_dark(picture, at))):
                narrow = _written(broken(version, found) if found else None, folder / f"narrow-{theme}-{stem}.webp", **kept)
                file = name if theme == "light" else _written(version, folder / f"dark-{stem}.webp", **kept)
                _show(image, up, file, narrow, scale, theme)


def _written(picture: Image.Image | None, path: Path, **how) -> str | None:
    if picture is not None:
        picture.save(path, **how)
    return picture and path.name


def _show(image: nodes.image, up: str, name: str, narrow: str | None, scale: float, theme: str | None = None) -> None:
    """Put a version of an image into its page: `name`, or `narrow` on narrow pages; for one theme, or for both."""
    if not (narrow or theme):
        return
    classes = f" only-{theme}" if theme else ""
    link = f'<a class="reference internal image-reference{classes}" href="{up}{name}">'
    source = f'<source media="{NARROW}" srcset="{up}{narrow} {scale:.3f}x">' if narrow else ""
    parent, at = image.parent, image.parent.index(image)
    if theme == "dark":  # after the light one and what ends it
        width = f' width="{image["width"]}"' if "width" in image else ""
        shown = f'<img src="{up}{name}" alt="{html.escape(image.get("alt", ""))}" class="only-dark"{width} loading="lazy">'
        parent.insert(at + 2, nodes.raw("", f"{link}<picture>{source}{shown}</picture></a>", format="html"))
        return
    # the link is Sphinx's own for pictures of a given width, which would come between <picture> and <img>
    image["classes"] += ["no-scaled-link", *([f"only-{theme}"] if theme else [])]
    parent.insert(at, nodes.raw("", f"{link}<picture>{source}", format="html"))
    parent.insert(at + 2, nodes.raw("", "</picture></a>", format="html"))


def setup(app):
    app.connect("doctree-resolved", add_versions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
