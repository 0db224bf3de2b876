"""What a figure draws, as plain data: a text that travels with the picture, and by which two runs of a notebook are compared.

A summary is a list of records, a line of JSON each when written: the figure, then each of its axes, each followed by what it
holds.  An array is told by [n, mean, standard deviation, least, greatest, weighted sum], or [n, mean] if all of it is equal; the
weights are random and fixed, so that the sum notices an exchange.  Positions and limits are in the axis's own scale, that is log10 on a logarithmic one.
"""

import json
import re
from functools import lru_cache

import matplotlib.artist
import matplotlib.collections
import matplotlib.colors
import matplotlib.image
import matplotlib.lines
import matplotlib.patches
import matplotlib.quiver
import matplotlib.ticker
import numpy as np

TOLERANCE = 1e-2  # of an array's range: less is what other processors make of the same sums
LIMITS = ("xlim", "ylim", "clim")
ARRAYS = ("x", "y", "u", "v", "c")
KINDS = (  # class, name in a record, and the order in which matplotlib draws it if nothing else is said
    (matplotlib.lines.Line2D, "line", 2),
    (matplotlib.patches.Patch, "patch", 1),
    (matplotlib.image.AxesImage, "image", 0),
    (matplotlib.quiver.Quiver, "arrows", 1),
    (matplotlib.collections.QuadMesh, "mesh", 1),
    (matplotlib.collections.PathCollection, "dots", 1),
    (matplotlib.collections.LineCollection, "segments", 2),
    (matplotlib.collections.PolyCollection, "area", 1),
    (matplotlib.artist.Artist, "other", 1),
)
FIRST = ("figure", "axes", "player", "frame")  # keys that begin a record which isn't an artist's


def summary(figure) -> list[dict]:
    """The records of a matplotlib figure.  Artists of one look in one axes share a record."""
    about = {"figure": [round(float(side), 2) for side in figure.get_size_inches()]}
    if figure.get_suptitle():
        about["title"] = figure.get_suptitle()
    about |= {"legend": _texts(figure.legends[0].get_texts())} if figure.legends else {}
    return [about, *_written(figure.texts), *(record for ax in figure.axes for record in _axes(ax))]


def summary_of_images(pixels: np.ndarray, n: int) -> list[dict]:
    """The record of n images in one grid, (H, W, C) bytes."""
    return [{"images": n, "shape": list(pixels.shape), "c": _told(pixels.ravel())}]


def as_text(records: list[dict]) -> str:
    """Records as lines of JSON."""
    return "\n".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)


def from_text(text: str) -> list[dict] | None:
    """The records of `as_text`; None: the text is something else."""
    if not text.startswith(('{"figure":', '{"player":')):
        return None
    return [json.loads(line) for line in text.splitlines()]


def differences(old: list[dict], new: list[dict], form: bool = False) -> list[str]:
    """What differs between two summaries, a line each; none: they are of the same drawing.

    form: of numbers only how many there are; not which, nor limits, nor decimals that are written into the figure.
    """
    found, place = [], ""
    spans: dict[str, float] = {}
    if len(old) != len(new):
        found.append(f"{len(old)} records were stored, and there are {len(new)} now")
    for a, b in zip(old, new):
        if "axes" in a:
            spans = {key[0]: abs(a[key][1] - a[key][0]) for key in ("xlim", "ylim") if key in a}
        if next(iter(a)) in FIRST:
            place = as_text([a])[:60]
        for key in a | b:
            one, two = a.get(key), b.get(key)
            if one == two or (form and (key in LIMITS or key == "colours")):
                continue
            here = spans | ({"c": abs(a["clim"][1] - a["clim"][0])} if "clim" in a else {})
            if one is None or two is None or not _agree(key, one, two, here, form, "texts" in a):
                found.append(f"{place} ... {as_text([a])[:60]}: {key} was {one}, is {two}")
    return found


def _agree(key: str, one, two, spans: dict[str, float], form: bool, written: bool) -> bool:
    if key == "texts":
        return _same_words(one, two, form)
    if key in LIMITS:
        return np.allclose(one, two, rtol=0, atol=TOLERANCE * abs(one[1] - one[0]))
    if key not in ARRAYS:
        return False
    if form:
        return written or one[0] == two[0]
    one, two = ([a[0], a[1], 0, a[1], a[1], 0] if len(a) == 2 else a for a in (one, two))
    if len(one) != len(two) or one[0] != two[0]:
        return False
    if len(one) == 1:
        return True
    spread = max(one[4] - one[3], spans.get(key, 0) / 10, 1e-3 * abs(one[1]))  # a tenth: less than a pixel is no change
    allowed = TOLERANCE * spread * np.array([1, 1, 1, 1, max(1, one[0] ** 0.5 / 10)])  # noise adds up in the weighted sum
    return bool((abs(np.subtract(one[1:6], two[1:6])) <= allowed).all()) and one[6:] == two[6:]


def _same_words(one: str, two: str, form: bool) -> bool:
    """Texts that agree but for the last digit of numbers, or one in a hundred; form: but for all decimals."""
    number = r"(\d*\.\d+|\d+)"
    a, b = (re.split(number, text) for text in (one, two))
    if len(a) != len(b) or a[::2] != b[::2]:
        return False
    for p, q in zip(a[1::2], b[1::2]):
        decimals = len(p.partition(".")[2])
        if decimals != len(q.partition(".")[2]):
            return False
        if form and decimals:
            continue
        if abs(float(p) - float(q)) > max(1.01 * 10.0**-decimals if decimals else 0, TOLERANCE * float(p)):
            return False
    return True


# ------------------------------------------------------------------------------------------------------------- one axes


def _axes(ax) -> list[dict]:
    if not (ax.axison or ax.has_data() or ax.texts):
        return [{"axes": ax.get_title(), "off": True}]
    about = {"axes": ax.get_title(), "xlim": _limits(ax.xaxis, ax.get_xlim()), "ylim": _limits(ax.yaxis, ax.get_ylim())}
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if axis.get_label_text():
            about[f"{name}label"] = axis.get_label_text()
        if axis.get_scale() != "linear":
            about[f"{name}scale"] = axis.get_scale()
        labels, shown = axis.get_major_formatter(), axis.get_tick_params()
        sides = [side for side in ("left", "right", "top", "bottom") if shown.get(f"label{side}")]
        if sides and isinstance(labels, matplotlib.ticker.FuncFormatter | matplotlib.ticker.FixedFormatter):  # written by hand
            about[f"{name}ticks"] = "|".join(labels.format_ticks(axis.get_majorticklocs()))
    if ax.get_legend():
        about["legend"] = _texts([ax.get_legend().get_title(), *ax.get_legend().get_texts()])
    if not ax.axison:
        about["off"] = True
    if ax.get_label() == "<colorbar>":
        return [about]  # what it shows is in the record of the artist that it belongs to
    groups: dict[str, tuple[dict, list[dict]]] = {}
    for artist in (*ax.images, *ax.collections, *ax.patches, *ax.lines):
        if artist.get_visible():
            look, arrays = _look(ax, artist)
            groups.setdefault(json.dumps(look), (look, []))[1].append(arrays)
    records = [about, *_written(ax.texts)]
    for look, several in groups.values():
        many = {"of": len(several)} if len(several) > 1 else {}
        joined = {key: _told(np.concatenate([one[key] for one in several])) for key in several[0]}
        records.append(look | many | joined)
    return records


def _look(ax, artist) -> tuple[dict, dict[str, np.ndarray]]:
    """What is compared exactly, and the arrays that are told by their statistics."""
    kind, order = next((kind, order) for of, kind, order in KINDS if isinstance(artist, of))
    label = artist.get_label() or ""
    look: dict = {kind: "" if label.startswith("_") else label}
    if artist.get_zorder() != order:
        look["order"] = _rounded(artist.get_zorder(), 1)
    if kind == "line":
        look |= {
            "colour": _hex(artist.get_color(), artist.get_alpha()),
            "style": f"{artist.get_linestyle()} {artist.get_linewidth():g}",
        }
        if artist.get_drawstyle() != "default":
            look["drawn"] = artist.get_drawstyle()
        if artist.get_marker() not in ("None", "", None):
            inside = _hex(artist.get_markerfacecolor(), artist.get_alpha())
            look["marker"] = f"{artist.get_marker()} {artist.get_markersize():g} {inside}"
        return look, _on(ax, artist.get_xdata(orig=False), artist.get_ydata(orig=False))
    if kind == "patch":
        edge = _hex(artist.get_edgecolor()) if artist.get_linewidth() else ""
        look |= {"is": type(artist).__name__, "colour": _hex(artist.get_facecolor()), "edge": edge}
        return look, _on(ax, *artist.get_patch_transform().transform(artist.get_path().vertices).T)
    values, arrays = artist.get_array(), {}
    if values is not None:
        look["shape"] = list(np.shape(values))
        arrays["c"] = np.ma.filled(np.ma.asarray(values, float), np.nan).ravel()
        if len(look["shape"]) != 3:  # else it holds colours, not values that a map gives colours
            look |= {"cmap": artist.get_cmap().name, "clim": [float(f"{v:.4g}") for v in artist.get_clim()]}
    elif kind != "image":
        edged = bool(np.any(artist.get_linewidth())) or kind == "segments"
        look["colour"] = _hexes(artist.get_facecolor()) + ("/" + _hexes(artist.get_edgecolor()) if edged else "")
        if len(artist.get_facecolor()) > 4:  # they stand for numbers
            arrays["c"] = artist.get_facecolor().ravel()
    if kind == "image":
        return look, arrays | dict(zip("xy", np.reshape(artist.get_extent(), (2, 2))))
    if kind == "mesh":
        return look, arrays | _on(ax, *artist.get_coordinates().reshape(-1, 2).T)
    if kind == "arrows":
        return look, arrays | _on(ax, *artist.get_offsets().T) | {"u": np.ravel(artist.U), "v": np.ravel(artist.V)}
    if kind == "dots":
        sizes = artist.get_sizes()
        if len(set(sizes)) == 1:
            look["size"] = round(float(sizes[0]), 2)
        else:
            arrays["c"] = np.concatenate([arrays.get("c", []), sizes])
        look["marker"] = len(artist.get_paths()[0].vertices)
        return look, arrays | _on(ax, *np.ma.filled(artist.get_offsets().astype(float), np.nan).T)
    paths = [path.vertices for path in artist.get_paths()] or [np.zeros((0, 2))]
    return look, arrays | _on(ax, *np.concatenate(paths).T)


def _on(ax, x, y) -> dict[str, np.ndarray]:
    return {"x": _scaled(ax.xaxis, x), "y": _scaled(ax.yaxis, y)}


def _scaled(axis, values) -> np.ndarray:
    """Values in the scale of their axis; NaN: a logarithmic axis has no place for them."""
    with np.errstate(all="ignore"):
        found = axis.get_transform().transform(np.ravel(np.asarray(values, float)))
    return np.where(found > -999, found, np.nan)  # where matplotlib puts what can't be shown


def _limits(axis, limits) -> list:
    low, high = _scaled(axis, limits)
    return [_rounded(v, abs(high - low)) for v in (low, high)]


def _told(values: np.ndarray) -> list:
    """[n, mean, standard deviation, least, greatest, weighted sum], and how many are finite if not all; [n, mean] if all are equal."""
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [len(values)]
    least, mean, greatest = finite.min(), finite.mean(), finite.max()
    weighted = np.where(np.isfinite(values), values - mean, 0) @ _weights(len(values))
    if least == greatest and len(finite) == len(values):
        return [len(values), _rounded(mean, abs(mean))]
    spread = greatest - least or abs(mean)
    rest = [] if len(finite) == len(values) else [len(finite)]
    return [len(values), *(_rounded(v, spread) for v in (mean, finite.std(), least, greatest, weighted)), *rest]


def _weights(n: int) -> np.ndarray:
    return _stream(1 << max(n - 1, 1).bit_length())[:n]


@lru_cache
def _stream(n: int) -> np.ndarray:
    return np.random.RandomState(0).uniform(-1, 1, n)  # numpy keeps this stream for ever; longer ones begin alike


def _rounded(value: float, spread: float) -> float | int:
    """To a few thousandths of the spread, which is a tenth of what is tolerated."""
    value = round(float(value), 3 - int(np.floor(np.log10(spread)))) if spread > 0 else float(value)
    return int(value) if value.is_integer() else value


# ------------------------------------------------------------------------------------------------------ texts and colours


def _written(texts) -> list[dict]:
    """One record of the texts that are written into a figure or axes; arrows of annotations count by their place."""
    shown = [text for text in texts if text.get_visible()]
    if not shown:
        return []
    x, y = np.array([text.get_position() for text in shown], float).T
    boxes = [text.get_bbox_patch() for text in shown]
    colours = [_hex(text.get_color()) + (f" on {_hex(box.get_facecolor())}" if box else "") for text, box in zip(shown, boxes)]
    return [{"texts": _texts(shown), "of": len(shown), "x": _told(x), "y": _told(y), "colours": _counted(colours)}]


def _texts(texts) -> str:
    return "|".join(text.get_text() for text in texts)


def _counted(words: list[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _hex(colour, alpha: float | None = None) -> str:
    if isinstance(colour, str) and colour == "none":
        return colour
    return matplotlib.colors.to_hex(matplotlib.colors.to_rgba(colour, alpha), keep_alpha=True).removesuffix("ff")


def _hexes(colours) -> str:
    """The colours of a collection, of more than four how many."""
    found = list(dict.fromkeys(map(_hex, colours)))
    return "|".join(found) if len(found) <= 4 else f"{len(found)} colours"
