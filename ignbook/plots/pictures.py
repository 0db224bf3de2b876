"""The book's style, and pictures as files, small ones: what a notebook stores of a figure, and the frames of a player.

All are up to twice as fine as the page.  Lines and dots become a PNG of few colours; photographs a JPEG; frames WebP.  The files say
where their axes are (`places`), by which `book/figures.py` makes the versions for dark and for narrow pages.
"""

import base64
import io
import json

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin
from torch import Tensor

from ignbook.checks import door
from ignbook.plots.base import _grid
from ignbook.plots.summary import as_text, summary, summary_of_images

FINEST = 1400  # pixels of width, twice the book's column
PALETTES = {
    32: (0.6, 24),
    64: (0.6, 24),
    128: (0.6, 24),
    256: (1.0, 40),
}  # colours: mean and largest error of 255, but for 1 in 1,000
LARGEST = 25_000  # bytes of a frame
PAD = 0.1  # inches around a figure
EITHER = 0.5  # grey that is read on white as well as on black


def style() -> None:
    """Set the book's matplotlib defaults, and how a notebook stores figures; the first cell of every chapter calls it."""
    plt.rcParams.update({
        "figure.dpi": 110, "savefig.bbox": "tight", "savefig.pad_inches": PAD, "figure.constrained_layout.use": True, "font.size": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "legend.frameon": False,
        "image.cmap": "gray", "svg.hashsalt": "ign",
    })  # fmt: skip
    try:
        from IPython import get_ipython
    except ImportError:
        return
    if hasattr(shell := get_ipython(), "kernel"):  # a notebook; a terminal would print what is meant for comparisons
        plt.switch_backend(plt.get_backend())  # now, because the backend registers printers of its own when it is loaded
        for formatter in shell.display_formatter.formatters.values():
            formatter.pop(Figure, None)
        shell.display_formatter.mimebundle_formatter.for_type(Figure, bundle)


def bundle(figure) -> tuple[dict[str, str], dict[str, dict]]:
    """What IPython shows of a matplotlib figure: its picture, with the width to show it at, and as its text what is drawn."""
    if not (figure.axes or figure.lines):
        return {}, {}
    finer = float(np.clip(FINEST / (figure.get_figwidth() * figure.dpi), 1, 2))
    text = {"text/plain": as_text(summary(figure))}
    picture = _drawn(figure, finer)
    if _photographic(figure):  # at twice the page's pixels nobody sees what so few bytes lose
        kind, blob = "image/jpeg", _file(picture, format="jpeg", quality=65, optimize=True, progressive=True)
    else:
        kind, blob = "image/png", _file(_few_colours(picture), format="png", optimize=True)
    return {kind: base64.b64encode(blob).decode()} | text, {kind: {"width": round(picture.width / finer)}}


class Frame(bytes):
    """The bytes of a picture; `summary`: the records of what it shows; `of_images`: nothing is written in it."""

    summary: list[dict]
    of_images: bool


@door
def frame(shown: Tensor | Figure, columns: int = 8) -> Frame:
    """A WebP for `player`: of a matplotlib figure, which is closed, or of images (n, C, H, W) in [-1, 1] in rows of `columns`."""
    if isinstance(shown, Tensor):
        pixels = (255 * _grid(shown, columns)).round().to(torch.uint8).permute(1, 2, 0).numpy()
        picture, records = Image.fromarray(pixels), summary_of_images(pixels, len(shown))
    else:
        picture, records = _drawn(shown, 2), summary(shown)  # twice the page's pixels
        plt.close(shown)
        if _pictured(picture):
            picture = _on_any_ground(picture)
    few, files = (_few_colours(picture), []) if picture.mode == "RGB" else (picture, [])
    if few is not picture:
        files.append(_file(few.convert("RGB"), format="webp", lossless=True, quality=100, method=6))
    for quality in (75, 60, 45):  # noise needs many bytes, and looks the same with fewer
        files.append(_file(picture, format="webp", quality=quality, method=6))
        if len(files[-1]) < LARGEST:
            break
    found = Frame(min(files, key=len))
    found.summary, found.of_images = records, isinstance(shown, Tensor)
    return found


def _drawn(figure, finer: float) -> Image.Image:
    """The pixels, with `places` in the picture's info."""
    file, usual, layout = io.BytesIO(), figure.dpi, figure.get_layout_engine()
    figure.set_dpi(finer * usual)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # a second layout would move the axes a little from where they are drawn
    figure.savefig(file, format="png", dpi=figure.dpi, pil_kwargs={"compress_level": 1})
    picture = Image.open(file).convert("RGB")
    picture.info = {"places": places(figure, figure.get_tightbbox().padded(PAD))}
    figure.set_layout_engine(layout)
    figure.set_dpi(usual)
    return picture


def places(figure, box) -> list[list]:
    """The axes of a figure in the picture of `box` (inches): [left, top, right, bottom, kind, columns] of each, in pixels.

    kind: "lines"; "picture", be it of images or a map in colours; or "bar", of colours.  columns: in which images stand (`base.images`).
    """
    found = []
    for ax in figure.axes:
        if not (ax.axison or ax.has_data()):  # a place in a grid that is left empty
            continue
        left, bottom, right, top = ax.get_window_extent().extents / figure.dpi
        corners = [left - box.x0, box.y1 - top, right - box.x0, box.y1 - bottom]
        of_maps = (*ax.images, *(mesh for mesh in ax.collections if isinstance(mesh, QuadMesh)))
        kind = "bar" if ax.get_label() == "<colorbar>" else "picture" if of_maps else "lines"
        columns = next((int(image.get_gid()) for image in ax.images if image.get_gid()), 1)
        found.append([*(round(figure.dpi * float(side)) for side in corners), kind, columns])
    return found


def _pictured(picture: Image.Image) -> bool:
    return any(kind == "picture" for *_, kind, _ in picture.info.get("places", ()))


def _on_any_ground(picture: Image.Image) -> Image.Image:
    """What stands on white around the pictures, on no ground at all, and its black as a grey that is read on white and on black."""
    pixels = np.asarray(picture) / 255.0
    alpha = 1 - pixels.min(-1, keepdims=True)
    colours = (pixels - 1 + alpha) / np.maximum(alpha, 1e-3)
    found = np.concatenate([colours + EITHER * (1 - colours.max(-1, keepdims=True)), alpha], -1)
    for left, top, right, bottom, kind, _ in picture.info["places"]:
        if kind != "lines":
            found[top:bottom, left:right] = np.insert(pixels[top:bottom, left:right], 3, 1.0, -1)
    return Image.fromarray((255 * found).round().astype(np.uint8), "RGBA")


def _file(picture: Image.Image, **how) -> bytes:
    file = io.BytesIO()
    if _pictured(picture):
        told = json.dumps(picture.info["places"], separators=(",", ":"))
        if how["format"] == "png":
            how["pnginfo"] = PngImagePlugin.PngInfo()
            how["pnginfo"].add_text("comment", told)
        elif how["format"] == "jpeg":
            how["comment"] = told
    picture.save(file, **how)
    return file.getvalue()


def _photographic(figure) -> bool:
    """Whether an axes shows pictures in colour, of more pixels than a legend would have."""
    arrays = [np.asarray(image.get_array()) for ax in figure.axes for image in ax.images]
    return any(a.ndim == 3 and a.shape[0] * a.shape[1] > 4096 and (a != a[..., :1]).any() for a in arrays)


def _few_colours(picture: Image.Image) -> Image.Image:
    """The same in the fewest colours that nobody sees the difference of; the picture itself, where 256 are too few."""
    pixels = np.asarray(picture).astype(np.int16)
    for n, (mean, largest) in PALETTES.items():
        few = picture.quantize(n, dither=Image.Dither.NONE, kmeans=3)  # else small marks take on the colour of another
        off = abs(np.asarray(few.convert("RGB")) - pixels)
        if off.mean() < mean and np.quantile(off, 0.999) <= largest:
            few.info = dict(picture.info)
            return few
    return picture
