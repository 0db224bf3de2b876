"""Chapters 8 and 9: the projector and the latent space."""

import matplotlib.pyplot as plt
import numpy as np
from torch import Tensor

from ignbook import checks
from ignbook.checks import door
from ignbook.plots.base import DATA, DRIFT, GENERATED, REFINED, SOURCE, _legend_above, _panels, _shades

# the clean image is data and the projections are generated; what goes in is hollow, the denoiser black
PROJECTORS = {
    "input": ("0.45", "o", False),
    "f": (GENERATED, "o", True),
    "f²": (REFINED, "D", True),
    "denoiser": ("black", "s", True),
}
DETECTORS = {"drift of f": (DRIFT, "o", True), "change by the denoiser": ("black", "s", True)}


@door
def by_row(panels_: dict[str, dict[str, dict[str, float]]], lines: dict[str, float] | None = None, wide: tuple[str, ...] = ()):
    """Values of several kinds as marks in rows, a panel each: {axis label: {row: {kind: value}}}; lines: {axis label: value}.

    Kinds are those of PROJECTORS and DETECTORS.  The rows are those of the first panel; a row may be empty in another one.
    Panels that measure the same, by what stands before a comma, have the same scale.  wide: measures on a logarithmic
    scale beyond their median; below it, where 0 is, the scale is linear.
    """
    names, looks = list(next(iter(panels_.values()))), PROJECTORS | DETECTORS
    figure, axes = plt.subplots(1, len(panels_), figsize=(2.15 * len(panels_) + 1.3, 0.235 * len(names) + 1.1), sharey=True, squeeze=False,
                                layout="constrained")  # fmt: skip
    handles, alike = {}, {}
    for ax, label in zip(axes[0], panels_):
        alike.setdefault(label.split(",")[0], []).append((ax, label))
    for ax, (label, rows) in zip(axes[0], panels_.items()):
        for i, name in enumerate(names):
            values = rows.get(name, {})
            if values:
                ax.plot([min(values.values()), max(values.values())], [-i, -i], color="0.85", linewidth=1, zorder=0)
            for kind, value in values.items():
                colour, mark, full = looks[kind]
                (handles[kind],) = ax.plot(
                    value, -i, mark, color=colour, markerfacecolor=colour if full else "white", markersize=5, alpha=0.85
                )
        if lines and label in lines:
            ax.axvline(lines[label], color=DATA, linewidth=1.2, zorder=0)
        ax.set(xlabel=label, ylim=(0.7 - len(names), 0.7))
        ax.locator_params(axis="x", nbins=4)
    for measure, of in alike.items():
        if measure in wide:
            values = [v for _, label in of for row in panels_[label].values() for v in row.values()]
            median = float(f"{np.median(np.abs(values)):.1g}")
            for ax, _ in of:
                ax.set_xscale("symlog", linthresh=median)
                ax.set_xlim(min(0, *values) - 0.1 * median, 1.3 * max(values))
        ends = np.array([ax.get_xlim() for ax, _ in of])
        for ax, _ in of:
            ax.set_xlim(ends[:, 0].min(), ends[:, 1].max())
    axes[0, 0].set_yticks([-i for i in range(len(names))], names, fontsize=8)
    _legend_above(figure, handles, fontsize=8)
    return figure


def _numbers(ax, values: np.ndarray, names: list[str], title: str, shade: np.ndarray, dark: float, **colours):
    """A matrix of numbers on colours, a name below each column; numbers are white where |shade| exceeds dark."""
    shown = ax.imshow(shade, aspect="auto", **colours)
    for (i, j), value in np.ndenumerate(values):
        text = f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")
        ax.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if abs(shade[i, j]) > dark else "black")
    ax.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_title(title, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown


@door
def attribute_errors(kinds: dict[str, dict[str, list[float]]], names: list[str], chance: list[float]):
    """Mean errors of attributes in units of their ranges, {kind: {row: (m,)}}: numbers on a colour, a panel for each kind.

    chance: (m,), what two independent faces differ by: the colour is full there.
    """
    rows = list(next(iter(kinds.values())))
    figure, axes = plt.subplots(
        1,
        len(kinds),
        figsize=(0.3 * len(names) * len(kinds) + 1.2, 0.3 * len(rows) + 1.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(wspace=0.15)  # slanted names reach to the left, and narrow pages part the panels
    for ax, (kind, errors) in zip(axes[0], kinds.items()):
        values = np.array([errors[row] for row in rows])
        _numbers(ax, values, names, kind, values / np.array(chance), 0.8, cmap="Reds", vmin=0, vmax=1.25)
    axes[0, 0].set_yticks(range(len(rows)), rows, fontsize=8)
    return figure


@door
def stretches(moved: dict[float, list[float]], ax=None):
    """How far f(z), f^2(z), ... move against the angle by which z is turned: {radians: [RMS move for each k]}; both logarithmic.

    A grey line has slope 1 through the first dot: a map that stretches all moves alike.
    """
    ax = ax or plt.subplots(figsize=(4.6, 3))[1]
    angles = sorted(moved)
    for k, colour, mark in zip(range(len(moved[angles[0]])), (GENERATED, REFINED, DRIFT), "os^"):
        ax.plot(
            angles,
            [moved[angle][k] for angle in angles],
            mark,
            linestyle="-",
            color=colour,
            label="$f(z)$" if k == 0 else f"$f^{k + 1}(z)$",
        )
    ax.plot(
        angles,
        [moved[angles[0]][0] * angle / angles[0] for angle in angles],
        color="0.6",
        linewidth=1,
        linestyle="--",
        label="in proportion",
    )
    ax.set(xscale="log", yscale="log", xlabel="$z$ turned by, radians", ylabel="image moved by, RMS")
    ax.legend(fontsize=8)
    return ax.figure


@door
def stretches_of(models: dict[str, dict[float, list[float]]]):
    """`stretches` of several models side by side, {title: what it takes}."""
    figure, axes = plt.subplots(1, len(models), figsize=(4.3 * len(models), 3), sharey=True, squeeze=False)
    for ax, (title, moved) in zip(axes[0], models.items()):
        stretches(moved, ax)
        ax.set_title(title)
        ax.label_outer()
    return figure


@door
def radii(draws: Tensor, real: Tensor, paths: dict[str, Tensor]):
    """Radii in white numbers, in units of sqrt(d): along paths, {kind: (steps, n)}, mean and range, and the laws of draws (grey)
    and of real images (blue), (n,) each."""
    draws, real = checks.floats(draws, "n", "the radii"), checks.floats(real, "n", "the radii")
    paths = {name: checks.floats(values, "steps, n", "the radii") for name, values in paths.items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.0), sharey=True, width_ratios=(1.5, 1))
    for (name, values), shade in zip(paths.items(), _shades(len(paths))):
        t = np.linspace(0, 1, len(values))
        left.fill_between(t, values.amin(1), values.amax(1), color=shade, alpha=0.25, linewidth=0)
        left.plot(t, values.mean(1), color=shade, label=name, linewidth=1.8)
    left.set(xlabel="position on the path, $t$", ylabel="radius of $e$ over $\\sqrt{d}$", ylim=(0.4, 1.6))
    left.legend(fontsize=8, loc="upper left", ncols=len(paths))
    bins = np.linspace(0.4, 1.6, 61)
    for values, colour, name in ((draws, SOURCE, "draws"), (real, DATA, "real images")):
        right.hist(values.numpy(), bins, weights=np.full(len(values), 1 / len(values)), orientation="horizontal", color=colour,
                   alpha=0.8, label=name)  # fmt: skip
    right.set(xlabel="share of images")
    right.legend(fontsize=8)
    return figure


@door
def changes(panels_: dict[str, dict[str, dict[str, float]]], columns: int = 3, top: float = 0.5):
    """What a move along a direction changes, {title: {direction: {attribute: change}}}: a number on a colour, white for none.

    Where direction and attribute have one name, the change that was asked for, the cell has a frame.
    """
    first = next(iter(panels_.values()))
    names = list(next(iter(first.values())))
    size = 0.36 * len(names), 0.3 * len(first) + 1.05
    figure, axes = _panels(len(panels_), columns, size, (1.5, 0), sharex=True, sharey=True, layout="constrained")
    figure.get_layout_engine().set(wspace=0.15)
    for ax, (title, rows) in zip(axes.flat, panels_.items()):
        values = np.array([[row[name] for name in names] for row in rows.values()])
        shown = _numbers(ax, values, names, title, values, 0.7 * top, cmap="RdBu_r", vmin=-top, vmax=top)
        for i, j in ((i, names.index(row)) for i, row in enumerate(rows) if row in names):
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6))
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
    figure.colorbar(shown, ax=axes, label="change, share of the range", fraction=0.03, pad=0.02)
    return figure
