"""Every figure and widget of the chapters.  Each function draws on the axes it is given or returns a new figure.

Colours mean one thing throughout the book: data blue, source grey, generated orange, f^2 and beyond green, drift "magma".
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

DATA, SOURCE, GENERATED, REFINED = "#2f6db3", "#9aa0a6", "#e07b39", "#3a9a5f"
COLOURS = {"x": DATA, "z": SOURCE, "fz": GENERATED, "ffz": REFINED}


def style() -> None:
    """Set the book's matplotlib defaults; the first cell of every notebook calls it."""
    plt.rcParams.update({
        "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True, "font.size": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "legend.frameon": False,
        "image.cmap": "gray", "svg.hashsalt": "ign",
    })  # fmt: skip


def images(x: Tensor, columns: int = 8, ax=None, title: str = ""):
    """A grid of images (n, C, H, W) in [-1, 1]."""
    from torchvision.utils import make_grid

    ax = ax or plt.subplots(figsize=(columns * 0.75, -(-len(x) // columns) * 0.75))[1]
    grid = make_grid(x.detach().float().cpu().clamp(-1, 1), nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1.0)
    ax.imshow(grid.permute(1, 2, 0).numpy())
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def points(y: Tensor, role: str = "x", ax=None, size: float = 3, label: str | None = None, limit: float = 1.9):
    """A scatter of points (n, 2), in the colour of its role: "x", "z", "fz" or "ffz"."""
    ax = ax or plt.subplots(figsize=(3.2, 3.2))[1]
    y = y.detach().cpu().numpy()
    ax.scatter(y[:, 0], y[:, 1], s=size, c=COLOURS[role], linewidths=0, alpha=0.7, label=label)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
    return ax


def history(rows: list[dict], ax=None):
    """The three terms over the steps, from a model card's history."""
    ax = ax or plt.subplots(figsize=(6, 3))[1]
    for term, colour in (("reconstruction", DATA), ("idempotence", REFINED), ("tightness", GENERATED)):
        ax.plot([r["step"] for r in rows], [r[term] for r in rows], color=colour, label=term)
    ax.set(xlabel="step", ylabel="mean over the batch (D)", yscale="log")
    ax.legend()
    return ax
