"""Colours, and the drawings that every chapter uses: points, images in grids and rows."""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import ignbook.checkpoints
from ignbook import checks
from ignbook.checks import door

DATA, SOURCE, GENERATED, REFINED = "#2f6db3", "#9aa0a6", "#e07b39", "#3a9a5f"
DRIFT = "#b5367a"  # one colour out of "magma", for drift drawn as a line
WIDEST = 7.2  # inches of a row of images
COLOURS = {"x": DATA, "z": SOURCE, "fz": GENERATED, "ffz": REFINED}


def _legend_above(figure, handles: dict | None = None, fontsize: float = 9) -> None:
    """One legend for all axes in a line above them: of {text: handle}, or of what they name, each text once."""
    if handles is None:
        handles = {text: handle for ax in figure.axes for handle, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, ncols=len(handles), loc="outside upper center", fontsize=fontsize)


def _shades(n: int) -> np.ndarray:
    """n colours from dark to middling, (n, 4): apart from each other on white, and on black, where pages turn light and dark round."""
    return plt.get_cmap("magma")(np.linspace(0.08, 0.66, n))


def _panels(n: int, columns: int, size: tuple[float, float], more: tuple[float, float], **shared):
    """A figure with n axes in rows of up to `columns`, each of `size` inches and `more` around all: (figure, axes (rows, columns))."""
    checks.between("the number of columns", columns, 1)
    columns = min(columns, n)
    rows = -(-n // columns)
    figsize = (size[0] * columns + more[0], size[1] * rows + more[1])
    figure, axes = plt.subplots(rows, columns, figsize=figsize, squeeze=False, **shared)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    return figure, axes


def _label_outer(axes, n: int) -> None:
    """Leave labels to the first of each row and the last of each column of n axes that share both."""
    columns = axes.shape[1]
    for i, ax in enumerate(axes.flat[:n]):
        if i % columns:
            ax.set_ylabel("")
        if i + columns < n:
            ax.set_xlabel("")
        ax.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= n)


@door
def images(x: Tensor, columns: int = 8, ax=None, title: str = "", size: float = 0.75):
    """A grid of images (n, C, H, W) in [-1, 1], of `size` inches each where there is no `ax` yet."""
    checks.between("the size of an image", size, 0.05)
    grid = _grid(x, columns).permute(1, 2, 0).numpy()
    ax = ax or plt.subplots(figsize=(columns * size, -(-len(x) // columns) * size))[1]
    ax.imshow(grid).set_gid(str(min(columns, len(x))))  # a narrow page may break the rows (`pictures.places`)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def _grid(x: Tensor, columns: int) -> Tensor:
    from torchvision.utils import make_grid

    checks.between("the number of columns", columns, 1)
    x = checks.images(x, limit=checks.HUGE).detach().cpu().clamp(-1, 1)
    return make_grid(x, nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1.0)


@door
def points(y: Tensor, role: str = "x", ax=None, size: float = 3, label: str | None = None, limit: float = 1.9):
    """A scatter of points (n, 2), in the colour of its role: "x", "z", "fz" or "ffz"."""
    if role not in COLOURS:
        raise ValueError(f"the role {role!r} is unknown; use one of: {', '.join(COLOURS)}.")
    y = checks.floats(y, "n, 2", "the points").detach().cpu().numpy()
    ax = ax or plt.subplots(figsize=(3.2, 3.2))[1]
    ax.scatter(y[:, 0], y[:, 1], s=size, c=COLOURS[role], linewidths=0, alpha=0.7, label=label)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
    return ax


@door
def panels(rows: dict[str, dict[str, list]], size: float = 1.75, limit: float = 1.9, dots: float = 2.5):
    """A grid of scatter plots, {row: {column: [(points (n, 2), role), ...]}}; later entries are drawn on top."""
    checks.between("the size of a panel", size, 0.05)
    columns = list(next(iter(rows.values())))
    figure, axes = plt.subplots(len(rows), len(columns), figsize=(size * len(columns) + 0.3, size * len(rows) + 0.25),
                                sharex=True, sharey=True, squeeze=False)  # fmt: skip
    for i, (row, cells) in enumerate(rows.items()):
        for j, column in enumerate(columns):
            for y, role in cells[column]:
                points(y, role, axes[i, j], dots, limit=limit)
            axes[i, j].set(xlabel="$y_1$" if i + 1 == len(rows) else "", ylabel=f"{row}\n$y_2$" if j == 0 else "",
                           title=column if i == 0 else "")  # fmt: skip
    return figure


@door
def gallery(cells: dict[str, list], columns: int = 3, size: float = 2.1, limit: float = 1.9, dots: float = 2.5):
    """Named scatter plots, {title: [(points (n, 2), role), ...]}, in rows of `columns`; the axes are shared."""
    checks.between("the size of a panel", size, 0.05)
    figure, axes = _panels(len(cells), columns, (size, size + 0.15), (0.3, 0), sharex=True, sharey=True)
    for ax, (name, cell) in zip(axes.flat, cells.items()):
        for y, role in cell:
            points(y, role, ax, dots, limit=limit)
        ax.set_title(name)
    _label_outer(axes, len(cells))
    return figure


@door
def rows_of_images(rows: dict[str, Tensor], columns: int = 10, size: float = 0.62, titles: list[str] | None = None):
    """One row of images for each name: {name: (n, C, H, W) in [-1, 1]}; the first `columns` are shown, titles above them.

    size: inches of an image, less in a row of many, beside which the names would be small on a page.
    """
    checks.between("the number of columns", columns, 1)
    checks.between("the size of an image", size, 0.05)
    size = min(size, WIDEST / columns)
    figure, axes = plt.subplots(len(rows), 1, figsize=(columns * size + 1.1, len(rows) * (size + 0.05)), squeeze=False)
    for ax, (name, x) in zip(axes[:, 0], rows.items()):
        images(x[:columns], columns, ax)
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center")
    for i, title in enumerate(titles or []):
        axes[0, 0].text((i + 0.5) / columns, 1.05, title, transform=axes[0, 0].transAxes, ha="center", va="bottom", fontsize=8)
    return figure


@door
def captioned(rows: dict[str, Tensor], captions: dict[str, list[str]], size: float = 0.66):
    """`rows_of_images` with lines of text below the columns: {name of the line: a text for each column}."""
    n = len(next(iter(rows.values())))
    figure = rows_of_images(rows, n, size)
    ax = figure.axes[-1]
    for i, (name, texts) in enumerate(captions.items()):
        ax.text(-0.01, -0.16 - 0.23 * i, name, transform=ax.transAxes, ha="right", va="center", fontsize=8)
        for j, text in enumerate(texts):
            ax.text((j + 0.5) / n, -0.16 - 0.23 * i, text, transform=ax.transAxes, ha="center", va="center", fontsize=8)
    return figure


@door
def numbered(x: Tensor, columns: int = 12, start: int = 0):
    """A contact sheet, to pick draws from: images (n, C, H, W) with their indices, from `start` on."""
    checks.between("the number of columns", columns, 1)
    figure, ax = plt.subplots(figsize=(columns * 0.75, -(-len(x) // columns) * 0.75))
    images(x, columns, ax)
    side = x.shape[-1] + 2
    for i in range(len(x)):
        ax.text(side * (i % columns) + 4, side * (i // columns) + 4, str(start + i), fontsize=7, color="white", va="top",
                bbox={"facecolor": "black", "edgecolor": "none", "pad": 1, "alpha": 0.6})  # fmt: skip
    return figure


@door
@torch.no_grad()
def save_samples(f: Callable, source: nn.Module, path: Path, n: int = 64, columns: int = 8, seed: int = 0) -> None:
    """A PNG of f(z) for n draws of the source, in rows of `columns`."""
    checks.between("the number of samples", n, 1)
    checks.between("the number of columns", columns, 1)
    device = next((p.device for p in f.parameters()), "cpu") if isinstance(f, nn.Module) else "cpu"
    z = source.sample(n, torch.Generator(device).manual_seed(seed))
    fz = checks.finite(f(z), "what f makes of the draws")
    save_grid(fz, path, columns)


@door
def save_grid(x: Tensor, path: Path, columns: int) -> None:
    """A PNG of images (n, C, H, W) in [-1, 1], in rows of `columns`, written aside and renamed."""
    from torchvision.utils import save_image

    checks.between("the number of columns", columns, 1)
    x, file = checks.images(x), io.BytesIO()
    save_image(x, file, "png", nrow=columns, normalize=True, value_range=(-1, 1), padding=2 if len(x) > 1 else 0)
    ignbook.checkpoints.write_file(path, file.getvalue())
