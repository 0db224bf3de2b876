"""Chapters 1 and 4, and the cover: fields, drift maps and samples in the plane."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from ignbook import checks
from ignbook.checks import door
from ignbook.plots.base import DATA, GENERATED, REFINED, SOURCE, _label_outer, _legend_above, _panels, points


@door
@torch.no_grad()
def moves(f: Callable, side: float = 1.9, n: int = 17) -> tuple[np.ndarray, np.ndarray]:
    """Points y of a grid and what f does to them, f(y) - y: (n * n, 2) each."""
    _square(side, n)
    t = torch.linspace(-side, side, n)
    y = torch.cartesian_prod(t, t)
    return y.numpy(), (f(y) - y).numpy()


@door
@torch.no_grad()
def drift_grid(f: Callable, side: float = 1.9, n: int = 121) -> tuple[np.ndarray, np.ndarray]:
    """The axis (n,) and the length |f(y) - y| over its square, (n, n), rows along y_2."""
    _square(side, n)
    t = torch.linspace(-side, side, n)
    y = torch.stack(torch.meshgrid(t, t, indexing="xy"), -1).reshape(-1, 2)
    return t.numpy(), (f(y) - y).norm(dim=-1).reshape(n, n).numpy()


def _square(side: float, n: int) -> None:
    checks.between("the side of the grid", side, 1e-6)
    checks.between("the number of its lines", n, 2)


def _drift_map(ax, f, top: float, n: int = 121):
    """The drift of f as colours, 0 to `top`; returns what a colour bar takes."""
    t, drift = drift_grid(f, n=n)
    return ax.pcolormesh(t, t, drift, cmap="magma", vmin=0, vmax=top, shading="nearest", rasterized=True)


@door
def drift_maps(maps: dict[str, object], x: Tensor, columns: int = 3, top: float = 1.5):
    """One drift map for each {title: f}, with the data x (n, 2) drawn on it; one scale of colours for all."""
    x = checks.floats(x, "n, 2", "the data")
    figure, axes = _panels(len(maps), columns, (2.5, 2.5), (0.9, 0), sharex=True, sharey=True)
    for ax, (name, f) in zip(axes.flat, maps.items()):
        shown = _drift_map(ax, f, top)
        ax.scatter(*x.T, s=1.5, color=DATA, linewidths=0)
        ax.set(aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
        ax.set_title(name, fontsize=9)
    _label_outer(axes, len(maps))
    figure.colorbar(shown, ax=axes, label="$|f(y) - y|$", extend="max")
    return figure


def picture_manifold():
    """Mental model on the ring: where an ideal f takes z, and its drift as a landscape with the data in the valley."""
    g = torch.Generator().manual_seed(3)
    angle = torch.linspace(0, 2 * np.pi, 200)
    circle = torch.stack([angle.cos(), angle.sin()], -1)  # (200, 2)
    z = torch.randn(26, 2, generator=g)
    fz = z / z.norm(dim=-1, keepdim=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7))
    for ax in (left, right):
        ax.plot(*circle.T, color=DATA, linewidth=2.5, zorder=2)
        ax.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
    left.quiver(*z.T, *(fz - z).T, angles="xy", scale_units="xy", scale=1, color="0.5", width=0.005, zorder=3)
    left.scatter(*z.T, s=16, color=SOURCE, zorder=4, label="source $z$")
    left.scatter(*fz.T, s=20, color=GENERATED, zorder=4, label="$f(z)$")
    left.plot([], [], color=DATA, linewidth=2.5, label="data $x$")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, columnspacing=1.2, handletextpad=0.4)
    left.set_title("where: $f$ moves $z$ onto the data and leaves $x$ in place")
    t = torch.linspace(-2, 2, 161)
    y = torch.stack(torch.meshgrid(t, t, indexing="xy"), -1)  # (161, 161, 2)
    shown = right.pcolormesh(t, t, (y.norm(dim=-1) - 1).abs(), cmap="magma", shading="nearest", rasterized=True, zorder=1)
    figure.colorbar(shown, ax=right, label="length of the move")
    right.set_title("how far: a landscape with the data at its floor")
    return figure


@door
def supports(shapes: dict[str, tuple], side: float = 1.9, n: int = 161):
    """What is known exactly, {name: (`Manifold`, data x (m, 2))}: distance to the support in grey, else density in blue."""
    _square(side, n)
    figure, axes = plt.subplots(
        2, -(-len(shapes) // 2), figsize=(2.4 * -(-len(shapes) // 2) + 0.9, 4.8), sharex=True, sharey=True
    )
    t = torch.linspace(-side, side, n)
    y = torch.stack(torch.meshgrid(t, t, indexing="xy"), -1).reshape(-1, 2)
    known = {"distance": ("Greys", 1.2, "distance to the data"), "density": ("Blues", 1.5, "density")}
    shown = {}
    for ax, (name, (shape, x)) in zip(axes.flat, shapes.items()):
        kind = "density" if shape.distance is None else "distance"
        value = shape.log_density(y).exp() if shape.distance is None else shape.distance(y)
        cmap, top, _ = known[kind]
        shown[kind] = ax.pcolormesh(t, t, value.reshape(n, n), cmap=cmap, vmin=0, vmax=top, shading="nearest", rasterized=True)
        points(x, "x", ax, 1.5, limit=side)
        ax.set_title(name)
        ax.label_outer()
    for kind, mappable in shown.items():
        figure.colorbar(mappable, ax=axes, label=known[kind][2], extend="max", shrink=0.8)
    return figure


@door
def film(networks: dict, x: Tensor, z: Tensor, top: float = 1.5):
    """Columns are networks, {title, or step of training: f}: above f(z) over the data x, below the drift map.  x, z: (n, 2)."""
    z = checks.floats(z, "n, 2", "the draws")
    figure, axes = plt.subplots(2, len(networks), figsize=(1.75 * len(networks) + 0.9, 3.75), sharex=True, sharey=True,
                                squeeze=False)  # fmt: skip
    for (above, below), (title, f) in zip(axes.T, networks.items()):
        with torch.no_grad():
            points(x, "x", above, 1.5)
            points(f(checks.cast(f, z)), "fz", above, 2.5)
        shown = _drift_map(below, f, top, n=81)
        below.set(aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
        above.set_title(title if isinstance(title, str) else f"step {title:,}")
        above.label_outer(), below.label_outer()
    figure.colorbar(shown, ax=axes, shrink=0.6, label="$|f(y) - y|$", extend="max")
    return figure


@door
def landscape(f: Callable, x: Tensor, z: Tensor, title: str = "", top: float = 1.5):
    """Three panels of one f: the field f(y) - y, the drift map with data x on it, and f(z).  x, z: (n, 2)."""
    z = checks.cast(f, checks.floats(z, "n, 2", "the draws"))
    figure, (a, b, c) = plt.subplots(1, 3, figsize=(9.6, 3.1))
    y, move = moves(f)
    points(x, "x", a, 2)
    a.quiver(*y.T, *move.T, angles="xy", scale_units="xy", scale=1, color="0.25", width=0.004, zorder=3)
    a.set_title("field $f(y) - y$")
    shown = _drift_map(b, f, top)
    points(x[:300], "x", b, 2)
    figure.colorbar(shown, ax=b, label="$|f(y) - y|$", extend="max")
    b.set_title("drift map")
    with torch.no_grad():
        points(z, "z", c, 2)
        points(f(z), "fz", c, 3)
    c.set_title("source and $f(z)$")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


@door
def against_ratio(rows: list[dict], measures: dict[str, str], manifolds: tuple[str, ...], baselines: dict, theory=None):
    """Measures against lambda: a dot for each seed, a line through their means; {key: axis label} down, manifolds across.

    rows: of results/coverage_2d.json.  baselines: {manifold: {"real" and "source": measures}}, drawn as lines.  theory:
    {key: function of lambda}, where there is one; it is drawn dashed.
    """
    figure, axes = plt.subplots(len(measures), len(manifolds), sharex=True, sharey="row", squeeze=False,
                                figsize=(3.9 * len(manifolds), 1.7 * len(measures) + 0.5))  # fmt: skip
    band = dict(color="0.85", linewidth=6, zorder=0)
    dots = dict(color=GENERATED, markersize=4, alpha=0.6, linewidth=0, label="$f(z)$, one seed")
    for j, name in enumerate(manifolds):
        for i, (key, label) in enumerate(measures.items()):
            ax, mine = axes[i, j], [r for r in rows if r["manifold"] == name]
            ratios = sorted({r["ratio"] for r in mine})
            ax.axvline(1, **band)
            for kind, colour in (("real", DATA), ("source", SOURCE)):
                if key in baselines[name][kind]:
                    ax.axhline(baselines[name][kind][key], color=colour, linewidth=1, label=f"{kind} against real")
            if theory and key in theory:
                t = np.linspace(min(ratios), 1, 200)  # where there is a bound: up to lambda = 1
                ax.plot(t, [theory[key](v) for v in t], color="black", linestyle="--", linewidth=1, label="bound, chapter 3")
            ax.plot([r["ratio"] for r in mine], [r[key] for r in mine], "o", **dots)
            mean = [np.mean([r[key] for r in mine if r["ratio"] == v]) for v in ratios]
            ax.plot(ratios, mean, color=GENERATED, linewidth=1.4, label="mean of the seeds")
            ax.set(title=name if i == 0 else "", ylabel=label if j == 0 else "",
                   xlabel="$\\lambda$" if i + 1 == len(measures) else "")  # fmt: skip
            ax.set_ylim(0, 1.15 * max([r[key] for r in rows] + [b["real"].get(key, 0) for b in baselines.values()]))
    _legend_above(figure)
    return figure


@door
def part_kept(rows: list[dict], x: Tensor, shares: tuple[float, float]):
    """Where the part of a source that starts on a wrong set ends: at two of its shares, and how much of it stays, at all.

    rows: of results/parts_2d.json, those of seed 0 with their points.  x: data (n, 2).  ValueError: a share isn't in the rows.
    """
    x = checks.floats(x, "n, 2", "the points")
    drawn = {row["share"]: row["points"] for row in rows if "points" in row}
    if missing := [share for share in shares if share not in drawn]:
        raise ValueError(f"there are no points of the share {missing[0]}; give one of {', '.join(map(str, drawn))}.")
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.9), width_ratios=(1, 1, 1.35), layout="constrained")
    for ax, share in zip(axes, shares):
        points(x, "x", ax, 2, limit=1.5)
        points(torch.tensor(drawn[share]), "fz", ax, 4, limit=1.5)
        ax.set(title=f"share {share:g}", xlabel="", ylabel="")
    place = sorted({(row["share"], row["bound"]) for row in rows})
    axes[2].plot(*zip(*place), "--", color="black", linewidth=1, label="the most that may stay")
    axes[2].plot([row["share"] for row in rows], [row["on the smaller ring"] for row in rows], "o", color=GENERATED,
                 markersize=5, alpha=0.5, label="stays, a dot for each seed")  # fmt: skip
    axes[2].set(xlabel="share of the part, $\\pi$", ylabel="share of it that stays", ylim=(-0.06, 1.12))
    axes[2].legend(loc="center left", fontsize=8)
    of = {"data $x$": DATA, "$f(z)$ of the part": GENERATED}
    _legend_above(figure, {text: plt.Line2D([], [], color=colour, marker="o", linestyle="") for text, colour in of.items()})
    return figure


@door
def cover(x: Tensor, z: Tensor, fz: Tensor, ffz: Tensor):
    """Noise on its way to a curve: a line from each z to f(z), a short one on to f(f(z)).  x (m, 2), the others (n, 2)."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    x, z, fz, ffz = (checks.floats(y, "n, 2", "the points") for y in (x, z, fz, ffz))
    if not z.shape == fz.shape == ffz.shape:
        raise ValueError(f"there are {len(z)} z, {len(fz)} f(z) and {len(ffz)} f(f(z)); give one of each for each.")
    x, z, fz, ffz = (y.detach().cpu().numpy() for y in (x, z, fz, ffz))
    figure, ax = plt.subplots(figsize=(11, 5.2), dpi=130)
    ax.scatter(*x.T, s=26, color=DATA, alpha=0.12, linewidths=0)
    t = np.linspace(0, 1, 25)[:, None, None]
    path = (1 - t) * z + t * fz  # (25, n, 2)
    segments = np.stack([path[:-1], path[1:]], 2).reshape(-1, 2, 2)
    fade = LinearSegmentedColormap.from_list("fade", [to_rgba(SOURCE, 0.25), to_rgba(GENERATED, 0.7)])
    ax.add_collection(LineCollection(segments, array=np.repeat(t[:-1, 0, 0], len(z)), cmap=fade, linewidths=0.8))
    ax.add_collection(LineCollection(np.stack([fz, ffz], 1), colors=REFINED, linewidths=1))
    for y, colour, size in ((z, SOURCE, 9), (fz, GENERATED, 9), (ffz, REFINED, 5)):
        ax.scatter(*y.T, s=size, color=colour, linewidths=0, zorder=3)
    ax.set(xlim=(-2.65, 2.65), ylim=(-1.25, 1.25), aspect="equal")
    ax.set_axis_off()
    return figure
