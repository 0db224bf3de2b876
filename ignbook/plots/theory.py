"""Chapter 3: the game on finite spaces."""

import matplotlib.pyplot as plt
import numpy as np

from ignbook.checks import door
from ignbook.plots.base import DATA, DRIFT, GENERATED, REFINED, SOURCE, _legend_above, _shades


@door
def laws_and_drift(y: list, p_x: list, p: list, delta=None, ceiling=None, axes=None, labels: bool = True):
    """Bars of two laws over points y (m,) and, below, the drift as a step.  p_x, p, delta, ceiling: (m,); two axes."""
    y, p_x, p = _alike(y, p_x, p)
    if axes is None:
        axes = plt.subplots(2, 1, figsize=(4, 3.2), sharex=True, height_ratios=[2, 1])[1]
    step = y[1] - y[0]
    axes[0].bar(y - 0.2 * step, p_x, 0.4 * step, color=DATA, label="data $P_x$")
    axes[0].bar(y + 0.2 * step, p, 0.4 * step, color=GENERATED, label="generated $P_\\theta$")
    edges = np.append(y - step / 2, y[-1] + step / 2)
    if ceiling is not None:
        axes[1].stairs(np.array(ceiling, float), edges, color=SOURCE, linestyle=":", baseline=None, label="ceiling $M$")
    if delta is not None:
        axes[1].stairs(np.array(delta, float), edges, color=DRIFT, fill=True, alpha=0.35)
        axes[1].stairs(np.array(delta, float), edges, color=DRIFT, baseline=None, linewidth=1.5, label="drift $\\delta$")
    axes[1].set(xlabel="$y$", ylim=(-0.1, None))
    if labels:
        axes[0].set_ylabel("mass")
        axes[1].set_ylabel("drift")
        axes[0].legend(fontsize=8, loc="upper left")
        axes[1].legend(fontsize=8, loc="lower left", ncols=2)
    return axes


def _alike(*values) -> list[np.ndarray]:
    """Each as an array (m,).  ValueError: of several lengths, or of fewer than 2 points, which have no distance."""
    arrays = [np.array(v, float) for v in values]
    if any(array.shape != arrays[0].shape or array.ndim != 1 or len(array) < 2 for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"points and laws are of shapes {shapes}; give one number for each of 2 points or more.")
    return arrays


@door
def picture_game(y: list, p_x: list, rounds: list[tuple[str, list, list]], ceiling):
    """The idea of chapter 3: one column for each round (title, law (m,), drift (m,)) on points y (m,)."""
    size = (2.5 * len(rounds), 3.4)
    figure, axes = plt.subplots(2, len(rounds), figsize=size, sharex=True, sharey="row", height_ratios=[2, 1], squeeze=False)
    for i, (title, p, delta) in enumerate(rounds):
        laws_and_drift(y, p_x, p, delta, ceiling, axes[:, i], labels=i == 0)
        axes[0, i].set_title(title)
    axes[0, 0].set_ylim(0, 1.45 * max(max(map(float, p)) for _, p, _ in rounds))
    axes[1, 0].set_ylim(-0.1, 2.9)
    axes[1, 0].legend(fontsize=8, loc="upper center", ncols=2)
    return figure


@door
def phase_diagram(rows: list[dict]):
    """Two panels over lambda: covered mass and level of the drift at every enumerated equilibrium, over what theory says.

    rows: one for each equilibrium, with "ratio", "covered" and "level" (low, high) in units of the lowest ceiling.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.2))
    end = max(float(r["ratio"]) for r in rows) + 0.1
    left.fill_between([0, 1, end], [0, 1, 1], 1, color=GENERATED, alpha=0.15, linewidth=0, label="permitted")
    left.plot([0, 1, end], [0, 1, 1], color="black", linewidth=1, label="bound $\\min(\\lambda, 1)$")
    dots = [float(r["ratio"]) for r in rows], [float(r["covered"]) for r in rows]
    left.scatter(*dots, s=14, color=GENERATED, label="equilibria", zorder=3)
    left.set(xlabel="$\\lambda$", ylabel="data mass on the support of $P_\\theta$", xlim=(0, end), ylim=(0, 1.05))
    left.legend(loc="lower right")
    right.plot([0, 1, 1, end], [0, 0, 1, 1], color="black", linewidth=1, label="theory")
    ratios, lows, highs = (np.array([float(v) for v in vs]) for vs in zip(*[(r["ratio"], *r["level"]) for r in rows]))
    right.vlines(ratios, lows, highs, color=DRIFT, linewidth=4, alpha=0.4)
    right.scatter(np.r_[ratios, ratios], np.r_[lows, highs], s=14, color=DRIFT, label="equilibria", zorder=3)
    right.set(xlabel="$\\lambda$", ylabel="drift on the data / $\\min M$", xlim=(0, end), ylim=(-0.06, 1.1))
    right.legend(loc="lower right")
    return figure


@door
def generator_losses(q: list, curves: dict[str, list], p_x: float, ceilings: list[str]):
    """F on two points against q = P(first), one panel for each choice of M.  curves: {label: one (n,) for each panel}."""
    figure, axes = plt.subplots(1, len(ceilings), figsize=(4.3 * len(ceilings), 3), sharey=True, squeeze=False)
    shades = _shades(len(curves))
    for i, (ax, title) in enumerate(zip(axes[0], ceilings)):
        for (label, values), shade in zip(curves.items(), shades):
            ax.plot(q, values[i], color=shade, label=label)
        ax.axvline(p_x, color=DATA, linestyle=":", linewidth=1)
        ax.text(p_x, 1.0, " $P_x$", color=DATA, transform=ax.get_xaxis_transform(), va="top")
        ax.set(xlabel="generated mass $q$ on the first point", title=title)
    axes[0, 0].set_ylabel("generator's loss $F_\\lambda$")
    axes[0, 0].legend()
    return figure


@door
def permitted_laws(ax, p_x: list, ratio: float, enumerated, everything: list, equal: bool = True):
    """The triangle of all laws on three points: those permitted at lambda = ratio, as an area and as enumerated dots.

    p_x: (3,); enumerated, everything: lists of laws (3,).  equal: M is the same at all points, so that the area is known.
    """
    corners = np.array([[0, 0], [1, 0], [0.5, 3**0.5 / 2]])
    ax.fill(*corners.T, facecolor="none", edgecolor="black", linewidth=0.8)
    sign = 1 if ratio < 1 else -1
    area = np.eye(3)
    for i in range(3):  # cut the triangle by sign * (ratio P_i - p_x_i) <= 0
        over = sign * (ratio * area[:, i] - float(p_x[i]))
        cut = []
        for a, b, u, v in zip(area, np.roll(area, -1, 0), over, np.roll(over, -1)):
            cut += [a] if u <= 1e-12 else []
            cut += [a + (b - a) * u / (u - v)] if (u > 1e-12) != (v > 1e-12) and abs(u - v) > 1e-12 else []
        area = np.array(cut).reshape(-1, 3)
    if equal and len(area) > 2:
        ax.fill(*(area @ corners).T, facecolor=GENERATED, alpha=0.25, linewidth=0)
    ax.scatter(*(np.array(everything, float) @ corners).T, s=1.5, color=SOURCE)
    if len(enumerated):
        ax.scatter(*(np.array(enumerated, float) @ corners).T, s=9, color=GENERATED, zorder=3)
    ax.scatter(*(np.array(p_x, float) @ corners), marker="*", s=90, color=DATA, zorder=4, edgecolor="white", linewidth=0.6)
    for (u, v), name, place in zip(corners, ("1", "2", "3"), ((-9, -9), (9, -9), (0, 9))):
        ax.annotate(name, (u, v), place, textcoords="offset points", ha="center", va="center")
    ax.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.14, 1.0), title=f"$\\lambda$ = {ratio:g}")
    ax.set_axis_off()
    return ax


@door
def plays(y: list, p_x: list, laws: dict[str, np.ndarray], start: list):
    """Where the dynamics end: the first law and one law for each lambda, all (m,), beside the data's."""
    _alike(y, p_x, start, *laws.values())
    figure, axes = plt.subplots(1, 1 + len(laws), figsize=(1.65 * (1 + len(laws)), 2.2), sharey=True)
    step = float(y[1] - y[0])
    for ax, (title, p) in zip(axes, {"start": start, **laws}.items()):
        ax.bar(y, np.array(p_x, float), step * 0.9, color=DATA, alpha=0.45, label="data $P_x$")
        ax.bar(y, p, step * 0.45, color=GENERATED, label="generated $P_\\theta$")
        ax.set(title=title, xlabel="$y$", ylim=(0, 0.62))
    axes[0].set_ylabel("mass")
    _legend_above(figure)
    return figure


@door
def overlaps(histories: dict[str, np.ndarray], ratios: list, ends: list):
    """Left: overlap with the data over the steps, {label: (steps,)}.  Right: at the end, (r,), against lambda (r,)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3))
    for (label, values), shade in zip(histories.items(), _shades(len(histories))):
        left.plot(1 + np.arange(len(values)), values, color=shade, label=label, linewidth=1)
    left.set(xlabel="step", ylabel="overlap with the data", xscale="log", ylim=(0, 1.05))
    left.legend(fontsize=8)
    grid = np.linspace(0.02, max(ratios) + 0.1, 200)
    right.plot(grid, np.minimum(grid, 1 / grid), color="black", linewidth=1, label="bound $\\min(\\lambda, 1/\\lambda)$")
    right.plot(ratios, ends, "o", color=GENERATED, markersize=5, label="reached from a collapsed start")
    right.set(xlabel="$\\lambda$", ylabel="overlap at the end", ylim=(0, 1.05), xlim=(0, None))
    right.legend(fontsize=8, loc="lower right")
    return figure


@door
def orbits(paths: dict[str, np.ndarray]):
    """Orbits of single points in the plane, {name: (k + 1, 2)}, one panel each: z, f(z), and what follows."""
    figure, axes = plt.subplots(1, len(paths), figsize=(1.9 * len(paths) + 0.3, 2.3), sharey=True, squeeze=False)
    angle = np.linspace(0, 2 * np.pi, 200)
    for ax, (name, path) in zip(axes[0], paths.items()):
        ax.plot(np.cos(angle), np.sin(angle), color=DATA, linewidth=1, alpha=0.6)
        ax.plot(*path.T, color=REFINED, linewidth=0.7, alpha=0.7)
        ax.scatter(*path[2:].T, s=14, color=REFINED, zorder=3)
        ax.scatter(*path[1], s=26, color=GENERATED, zorder=4)
        ax.scatter(*path[0], s=26, color=SOURCE, zorder=4)
        ax.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), title=name, xlabel="$y_1$")
    axes[0, 0].set_ylabel("$y_2$")
    return figure


@door
def drifts_of_orbits(drifts: dict[str, list]):
    """Mean drift of f^k(z) over k, {name: (k + 1,)}; what is below 1e-5 is drawn there."""
    figure, ax = plt.subplots(figsize=(4.8, 2.7))
    for (name, values), line in zip(drifts.items(), ("-o", "--s", ":^", "-.v")):
        ax.plot(np.maximum(values, 1e-5), line, color=DRIFT, markersize=3.5, linewidth=1, label=name)
    ax.set(xlabel="$k$", ylabel="mean drift of $f^k(z)$", yscale="log", ylim=(5e-6, 10))
    _legend_above(figure)
    return figure


@door
def clamped_responses(excess: list, curves: dict[str, np.ndarray]):
    """The outer player's best drift against lambda P / P_x: excess (n,), {label: drift (n,)}."""
    figure, ax = plt.subplots(figsize=(4.6, 2.8))
    for (label, values), shade in zip(curves.items(), _shades(len(curves))):
        ax.plot(excess, values, color=shade, label=label)
    ax.set(xlabel="$\\lambda P_\\theta(y) / P_x(y)$", ylabel="best drift $\\delta(y)$", ylim=(-0.04, 1.3))
    ax.legend(fontsize=8, loc="upper center", ncols=len(curves))
    return figure
