"""The book's style, and pictures as files, small ones: what a notebook stores of a figure, and the frames of a player.

Lines and dots become a PNG of few colours, up to twice as fine as the page; photographs a JPEG; frames WebP.
"""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ignbook.checks import door
from ignbook.plots.base import _grid
from ignbook.plots.summary import as_text, summary, summary_of_images

FINEST, PAGE = 1400, 800  # pixels of width: of lines, twice the book's column; of photographs, a little more than once
PALETTES = {
    32: (0.6, 24),
    64: (0.6, 24),
    128: (0.6, 24),
    256: (1.0, 40),
}  # colours: mean and largest error of 255, but for 1 in 1,000
LARGEST = 25_000  # bytes of a frame


def style() -> None:
    """Set the book's matplotlib defaults, and how a notebook stores figures; the first cell of every chapter calls it."""
    plt.rcParams.update({
        "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True, "font.size": 10,
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
    wide = figure.get_figwidth() * figure.dpi
    coarse, fine = min(1.0, PAGE / wide), float(np.clip(FINEST / wide, 1, 2))
    text = {"text/plain": as_text(summary(figure))}
    if _photographic(figure):
        blob = _file(_drawn(figure, coarse), format="jpeg", quality=86, optimize=True, progressive=True)
        return {"image/jpeg": base64.b64encode(blob).decode()} | text, {}
    found = [_png(figure, fine)]
    if any(ax.images for ax in figure.axes):  # few pixels are sharper and smaller if enlarged, many if not
        found.append(_png(figure, coarse))
    blob, width = min(found, key=lambda one: len(one[0]))
    return {"image/png": base64.b64encode(blob).decode()} | text, {"image/png": {"width": width}}


def _png(figure, scale: float) -> tuple[bytes, int]:
    """The bytes, and the width that they are to be shown at."""
    picture = _drawn(figure, scale)
    return _file(_few_colours(picture), format="png", optimize=True), round(picture.width / max(scale, 1))


class Frame(bytes):
    """The bytes of a picture; `summary`: the records of what it shows."""

    summary: list[dict]


@door
def frame(shown: Tensor | Figure, columns: int = 8) -> Frame:
    """A WebP for `player`: of a matplotlib figure, which is closed, or of images (n, C, H, W) in [-1, 1] in rows of `columns`."""
    if isinstance(shown, Tensor):
        pixels = (255 * _grid(shown, columns)).round().to(torch.uint8).permute(1, 2, 0).numpy()
        picture, records = Image.fromarray(pixels), summary_of_images(pixels, len(shown))
    else:
        picture, records = _drawn(shown), summary(shown)
        plt.close(shown)
    few, files = _few_colours(picture), []
    if few is not picture:
        files.append(_file(few.convert("RGB"), format="webp", lossless=True, quality=100, method=6))
    for quality in (75, 60, 45):  # noise needs many bytes, and looks the same with fewer
        files.append(_file(picture, format="webp", quality=quality, method=6))
        if len(files[-1]) < LARGEST:
            break
    found = Frame(min(files, key=len))
    found.summary = records
    return found


def _drawn(figure, finer: float = 1.0) -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=finer * figure.dpi, pil_kwargs={"compress_level": 1})
    return Image.open(file).convert("RGB")


def _file(picture: Image.Image, **how) -> bytes:
    file = io.BytesIO()
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
        few = picture.quantize(n, dither=Image.Dither.NONE)
        off = abs(np.asarray(few.convert("RGB")) - pixels)
        if off.mean() < mean and np.quantile(off, 0.999) <= largest:
            return few
    return picture
