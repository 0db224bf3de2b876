"""Chapter 2: what each term of the objective does, and to whom."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

import ign_core
from ignbook import checks, layers
from ignbook.checks import door
from ignbook.plots.base import DATA, GENERATED, REFINED, _legend_above, _shades


@door
def forces(f: Callable, x: Tensor, z: Tensor, lengths: float = 0.35):
    """What each term of the objective does to the graph of an f on the line.  x, z: (n, 1); f: (n, 1) -> (n, 1).

    Arrows point down the gradient of the term with respect to the values of f that it may change.
    """
    x, z = (checks.cast(f, checks.floats(y, "n, 1", "the points")) for y in (x, z))
    fz = f(z)
    u = fz.detach().requires_grad_()
    (slope,) = torch.autograd.grad((u - f(u)).abs().sum(), u)  # of |u - f(u)|, with f frozen
    with torch.no_grad():
        fx, ffz = f(x), f(fz)
        panels_ = {
            "reconstruction: pulls the graph\nto the diagonal at $x$": (x, fx, (x - fx).sign(), DATA),
            "idempotence: moves $f(z)$ to\nwhere the graph meets the diagonal": (z, fz, -slope.sign(), REFINED),
            "tightness: pushes the graph\noff the diagonal at $f(z)$": (fz, ffz, (ffz - fz).sign(), GENERATED),
        }
        t = torch.linspace(-2, 2, 401)[:, None]
        curve = f(t)
    figure, axes = plt.subplots(1, 3, figsize=(8.2, 3.4), sharey=True)
    for ax, (title, (a, b, way, colour)) in zip(axes, panels_.items()):
        ax.plot(t, t, color="0.6", linewidth=0.8, linestyle="--", label="diagonal, $f(y) = y$")
        ax.plot(t, curve, color="black", linewidth=1.4, label="graph of $f$")
        ax.plot(x, torch.full_like(x, -1.95), "|", color=DATA, markersize=7, label="data $x$")
        a, b, way = (v.detach().flatten().numpy() for v in (a, b, way))
        ax.quiver(a, b, 0 * a, lengths * way, angles="xy", scale_units="xy", scale=1, color=colour, width=0.008, zorder=3)
        ax.plot(a, b, "o", color=colour, markersize=3.5)
        ax.set(xlim=(-2, 2), ylim=(-2, 2), xlabel="$y$", aspect="equal")
        ax.set_title(title, fontsize=9)
    axes[0].set_ylabel("$f(y)$")
    _legend_above(figure)
    return figure


def routing():
    """Three terms as they are computed (grey, to the right) and trained (coloured, back to the left) through copies of f.

    A filled f is trained, an empty one passes the gradient on, and a dotted one gets none.
    """
    figure, axes = plt.subplots(3, 1, figsize=(7.2, 5.2))
    fz, ffz = "$f(z)$", "$f(f(z))$"
    rows = (  # name, what becomes of D, colour, the path with its copies of f, what D compares the end with
        ("reconstruction", "small", DATA, ["$x$", "trained", "$f(x)$"], 0),
        ("idempotence", "small", REFINED, ["$z$", "trained", fz, "passes", ffz], 2),
        ("tightness", "large", GENERATED, ["$z$", "stops", f"sg {fz}", "trained", ffz], 2),
    )
    for ax, (name, way, colour, path, other) in zip(axes, rows):
        places = [1.25 * k for k in range(len(path))] + [6.4]
        first = path.index("trained")
        for at, node in zip(places, [*path, "$D$"]):
            copy = node in ("trained", "passes", "stops")
            box = {"boxstyle": "round,pad=0.45", "facecolor": colour if node == "trained" else "white", "edgecolor": colour,
                   "linestyle": ":" if node == "stops" else "-", "linewidth": 1.4}  # fmt: skip
            box = box if copy else box | {"edgecolor": "0.45"} if node == "$D$" else None
            ink = "white" if node == "trained" else "black"
            ax.text(at, 0, "$f$" if copy else node, ha="center", va="center", fontsize=13, color=ink, bbox=box)
        forward, back = ({"arrowstyle": "-|>", "color": c, "linewidth": w} for c, w in (("0.55", 1.2), (colour, 2.0)))
        for k, (left, right) in enumerate(zip(places, places[1:])):
            ax.annotate("", (right - 0.48, 0.1), (left + 0.48, 0.1), arrowprops=forward)
            if k >= first:
                ax.annotate("", (left + 0.42, -0.14), (right - 0.42, -0.14), arrowprops=back)
        arc = "arc3,rad={}"
        ax.annotate("", (6.3, 0.4), (places[other], 0.28), arrowprops=forward | {"connectionstyle": arc.format(-0.2)})
        if other > first:  # D sees f(z) itself too, and sends it a gradient
            ax.annotate("", (places[other], -0.32), (6.3, -0.42), arrowprops=back | {"connectionstyle": arc.format(-0.2)})
        ax.text(-0.4, 1.05, name, color=colour, fontsize=14, weight="bold", va="center")
        ax.text(6.85, 0, way, color=colour, fontsize=13, va="center")
        ax.set(xlim=(-0.5, 7.7), ylim=(-0.95, 1.25))
        ax.set_axis_off()
    return figure


@door
def network(f: nn.Module, y: Tensor):
    """The images and the code that an encoder and a decoder make of one y (1, C, H, W): a block each, as high as their side.

    f: a `ConvAutoencoder`; a linear path isn't drawn.  TypeError: another kind of f.  ValueError: a shape that f can't take.
    """
    if not isinstance(f, ign_core.ConvAutoencoder):
        raise TypeError(
            f"only a ConvAutoencoder has an encoder and a decoder to draw; give one in place of this {type(f).__name__}."
        )
    shapes: list[tuple[int, ...]] = [tuple(y.shape[1:])]
    kinds = (nn.Conv2d, nn.ConvTranspose2d, layers.ToCode, layers.FromCode)
    hooks = [
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        for layer in f.modules()
        if isinstance(layer, kinds)
    ]
    try:
        with torch.no_grad():
            f(checks.inputs(f, y)[:1])
    finally:
        for hook in hooks:
            hook.remove()
    shapes = [shape for before, shape in zip([(), *shapes], shapes) if shape != before]  # a layer within a layer says the same
    figure, ax = plt.subplots(figsize=(4.8, 2.7))
    x, middle = 0.0, next(i for i, shape in enumerate(shapes) if np.prod(shape[1:]) <= 1)
    for i, shape in enumerate(shapes):
        side, wide = float(np.prod(shape[1:])) ** 0.25, 0.12 * (1 + shape[0]) ** 0.5
        side, wide = (2.0, 0.25) if i == middle else (side, wide)
        shade = "0.3" if i in (0, middle, len(shapes) - 1) else "0.82"  # the book's colours mean something else
        ax.add_patch(plt.Rectangle((x, -side / 2), wide, side, facecolor=shade))
        text = f"code\n{shape[0]}" if i == middle else f"{shape[0]}×{shape[1]}²"
        low = -3.9 if i % 2 else -3.0  # neighbours have no room beside each other
        ax.plot([x + wide / 2] * 2, [-side / 2, low + 0.1], color="0.82", linewidth=0.8)
        ax.text(x + wide / 2, low, text, ha="center", va="top", fontsize=9)
        x += wide + 0.55
    for k, name in enumerate(("$y$", "$f(y)$")):
        ax.text((0, x - 0.55)[k], 3.1, name, ha=("left", "right")[k], fontsize=12)
    ax.set(xlim=(-0.7, x + 0.2), ylim=(-5.2, 3.7))
    ax.set_axis_off()
    return figure


@door
def graphs(snapshots: dict[int, object], x: Tensor, z: Tensor):
    """The graph of an f on the line at steps of training, {step: f}; data x and f(z) as marks.  x, z: (n, 1)."""
    x, z = (checks.floats(y, "n, 1", "the points") for y in (x, z))
    figure, axes = plt.subplots(1, len(snapshots), figsize=(1.85 * len(snapshots) + 0.6, 2.5), sharey=True, squeeze=False)
    t = torch.linspace(-2.5, 2.5, 501)[:, None]
    for ax, (step, f) in zip(axes[0], snapshots.items()):
        with torch.no_grad():
            ax.plot(t, t, color="0.6", linewidth=0.8, linestyle="--")
            ax.plot(t, f(t), color="black", linewidth=1.4)
            ax.plot(x, x, ".", color=DATA, markersize=3, label="data $x$")
            fz = f(checks.cast(f, z))
            ax.plot(torch.full_like(fz, -2.4), fz, "_", color=GENERATED, markersize=7, alpha=0.4, label="$f(z)$")
        ax.set(xlim=(-2.5, 2.5), ylim=(-1.9, 1.9), xlabel="$y$", title=f"step {step:,}")
    axes[0, 0].set_ylabel("$f(y)$")
    _legend_above(figure)
    return figure


@door
def clamp_curves(factors: tuple = (0.5, 1.5), limit: float = 1.0):
    """The clamp of tightness and its slope against the error, at D(z, f(z)) = limit, for several a."""
    checks.between("the limit", limit, 1e-6)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.7))
    error = torch.linspace(0, 3, 200)
    for a, shade in zip((*factors, None), _shades(len(factors) + 1)[::-1]):
        value, slope = ign_core.clamped(error, torch.full_like(error, limit), a)
        for ax, values in ((left, value), (right, slope)):
            ax.plot(error, values, color=shade, label=f"$a$ = {a}" if a else "no clamp")
    left.set(xlabel="$D(f(z), f(f(z)))$, in units of $D(z, f(z))$", ylabel="clamped error", ylim=(0, 3))
    right.set(xlabel="$D(f(z), f(f(z)))$, in units of $D(z, f(z))$", ylabel="slope $c$", ylim=(0, 1.08))
    right.legend()
    return figure


@door
def seeds(scores: dict[str, list[dict[str, float]]]):
    """Dots, one for each seed: {row: [{measure: share in [0, 1]}, one for each seed]}; a panel for each measure."""
    measures = list(next(iter(scores.values()))[0])
    figure, axes = plt.subplots(1, len(measures), figsize=(7.2, 0.3 * len(scores) + 0.9), sharey=True, squeeze=False)
    for ax, measure in zip(axes[0], measures):
        for i, three in enumerate(scores.values()):
            ax.plot([score[measure] for score in three], [-i] * len(three), "o", color=GENERATED, markersize=5, alpha=0.7)
        ax.set(xlim=(-0.03, 1.03), xlabel=f"share: {measure}", ylim=(0.6 - len(scores), 0.4))
        ax.grid(axis="y", color="0.9")
    axes[0, 0].set_yticks([-i for i in range(len(scores))], scores)
    return figure
