"""Chapters 10 and 11: measures, and runs compared by them."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import ignbook.checkpoints
import ignbook.data
from ignbook import checks
from ignbook.checks import door
from ignbook.plots.base import DATA, GENERATED, _grid, _legend_above, _panels, images

REPORT = {  # measures of `ignbook.metrics.score` -> decimals, and how far a value is from that of real data, 0 to 1
    "FD": (0, lambda v, real: np.log10(max(v / real, 1)) / 2),
    "KID": (0, lambda v, real: np.log10(max(v / 40, 1)) / 2.5),  # near 0 for real data, so not a ratio
    "precision": (2, lambda v, real: (real - v) / 0.8),
    "recall": (2, lambda v, real: (real - v) / 0.8),
    "density": (2, lambda v, real: abs(real - v) / 0.8),
    "coverage": (2, lambda v, real: (real - v) / 0.8),
    "KL": (2, lambda v, real: (v - real) / 2.3),
    "confidence": (2, lambda v, real: (real - v) / 0.3),
    "sharpness": (2, lambda v, real: abs(np.log2(max(v, 1e-3))) / 3),
}


@door
def report_card(kinds: dict[str, tuple[Tensor, dict]], shown: int = 6):
    """Generators down, measures across: {name: (samples (n, C, H, W), row of `score`)}, the first of them real data.

    A strip of samples, then each measure as a number on a colour that says how far it is from that of real data.
    """
    rows = {
        name: row | {"sharpness": row["detail"] / next(iter(kinds.values()))[1]["detail"]} for name, (_, row) in kinds.items()
    }
    real = next(iter(rows.values()))
    far = np.array([[np.clip(off(row[name], real[name]), 0, 1) for name, (_, off) in REPORT.items()] for row in rows.values()])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 0.45 * len(rows) + 1.0), width_ratios=(1.0, 1.9))
    strip = torch.cat([x[:shown] for x, _ in kinds.values()])
    side = strip.shape[-1] + 2  # make_grid frames each image by 2 pixels
    left.imshow(_grid(strip, shown).permute(1, 2, 0).numpy(), aspect="auto").set_gid(str(shown))
    left.set_yticks([side * (i + 0.5) + 1 for i in range(len(rows))], rows)
    left.set_xticks([])
    left.tick_params(length=0)
    for ax in (left, right):
        ax.spines[:].set_visible(False)
    shades = right.imshow(far, cmap="Reds", vmin=0, vmax=1.25, aspect="auto")
    shades.set_gid(str(len(REPORT)))  # a narrow page may part the columns, whose names stand upright
    for i, row in enumerate(rows.values()):
        for j, (name, (digits, _)) in enumerate(REPORT.items()):
            right.text(
                j,
                i,
                f"{row[name]:,.{digits}f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if far[i, j] > 0.8 else "black",
            )
    right.set_xticks(range(len(REPORT)), REPORT, rotation=90)
    right.set_yticks([])
    right.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    bar = figure.colorbar(shades, ax=right, ticks=[0, 1], fraction=0.03, pad=0.02)
    bar.ax.set_yticklabels(["as real", "far off"])
    bar.ax.set_ylim(0, 1)
    return figure


@door
def size_bias(
    series: dict[str, tuple[str, dict[int, list[float]], dict[int, list[float]], tuple[float, float]]], mean_term: float
):
    """FD and KID against 1/n: {label: (colour, {n: FD of each seed}, {n: KID of each seed}, (limit, slope))}.

    The line is limit + slope / n of `frechet_at_infinity`.  mean_term: slope of what the means alone contribute, dashed.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.3))
    top = max(1 / n for _, fd, *_ in series.values() for n in fd)
    for label, (colour, fd, kid, (limit, slope)) in series.items():
        for ax, values in ((left, fd), (right, kid)):
            ax.plot([1 / n for n in values for _ in values[n]], [v for n in values for v in values[n]], "o",
                    color=colour, markersize=4, alpha=0.7, label=label)  # fmt: skip
        left.plot([0, top], [limit, limit + slope * top], color=colour, linewidth=1)
    left.plot([0, top], [0, mean_term * top], color="0.4", linewidth=1, linestyle="--", label="means alone")
    sizes = sorted({n for _, fd, *_ in series.values() for n in fd})
    marked = [n for n in sizes if n <= 1000 or n == sizes[-1]]  # larger ones lie too close
    for ax, name in ((left, "FD"), (right, "KID")):
        ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        ax.set(xlabel="$1/n$, marked by $n$", ylabel=name)
        ax.set_xticks([1 / n for n in marked], [f"{n:,}" for n in marked], rotation=60, fontsize=8)
    left.legend(fontsize=8)
    return figure


@door
def birthdays(found: dict[str, tuple], columns: int = 3):
    """{name: (`ignbook.metrics.Birthday`, samples (n, C, H, W), colour)}: probability of a repetition, and the closest pairs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2), width_ratios=(1.8, 1))
    for name, (birthday, _, colour) in found.items():
        dealt = birthday.dealt.sort().values.numpy()
        share = np.arange(1, len(dealt) + 1) / len(dealt)
        left.plot(
            dealt, share, color=colour, drawstyle="steps-post", label=f"{name}: about {float(f'{birthday.support:.1g}'):,.0f}"
        )
        left.plot([birthday.batch], [0.5], "o", color=colour, markersize=5)
    left.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    left.set(xscale="log", xlabel="samples drawn", ylabel="probability of a near-duplicate", ylim=(0, 1.6))
    left.set_yticks([0, 0.25, 0.5, 0.75, 1])
    left.legend(title="support", loc="upper left")
    pairs = torch.cat([x[list(birthday.closest)] for birthday, x, _ in found.values()])
    images(pairs, 2, right)
    side = pairs.shape[-1] + 2
    for i, (name, (birthday, *_)) in enumerate(found.items()):
        right.text(-4, side * (i + 0.5), f"{name}\n{birthday.distance:.2f} apart", ha="right", va="center", fontsize=9)
    right.set_title("the closest pair of each")
    return figure


@door
def cumulative(kinds: dict[str, tuple[Tensor, str]], label: str):
    """Share of values below t, against t: {name: (values (n,), colour)}."""
    figure, ax = plt.subplots(figsize=(4.6, 3))
    for name, (values, colour) in kinds.items():
        t = checks.floats(values, "n", "the values").sort().values.numpy()
        ax.plot(
            np.concatenate([t[:1], t]),
            np.arange(len(t) + 1) / len(t),
            color=colour,
            drawstyle="steps-post",
            label=name,
            linewidth=1.8,
        )
    ax.set(xlabel=label, ylabel="share that is as near", ylim=(0, 1.03))
    ax.legend(fontsize=9)
    return figure


STRENGTHS = {
    "precision": "#7a4fa3",
    "recall": "#3b7d8c",
    "coverage": "#1f1f1f",
    "confidence": "#b08a2e",
    "sharpness": "#c44e52",
}


@door
def strengths(rows: dict[float, dict]):
    """Measures against how strongly real images were blurred (negative) or had noise added: {strength: row of `score`}."""
    at = sorted(rows)
    if 0.0 not in rows:
        raise ValueError("there are no measures of strength 0, real data as they are; give them too.")
    real = rows[0.0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1))
    for name, colour in STRENGTHS.items():
        values = [rows[s]["detail"] / real["detail"] if name == "sharpness" else rows[s][name] for s in at]
        left.plot(at, values, color=colour, marker="o", markersize=3, label=name)
    left.set(ylim=(0, 1.6), ylabel="measure (sharpness is cut off)")
    right.plot(at, [rows[s]["FD"] for s in at], color="black", marker="o", markersize=3)
    right.set(yscale="log", ylabel="FD")
    for ax in (left, right):
        ax.axvline(0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlabel("blur $\\leftarrow$ strength $\\rightarrow$ noise")
    _legend_above(figure, fontsize=8)
    return figure


@door
def strength(x: Tensor, row: dict, real: dict, top_fd: float):
    """One frame of the slider: ten samples, and beside real data (a line) the measures of `score` as bars."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(5, 3.5), height_ratios=(1, 3.4))
    images(x[:10], 10, above)

    def lengths(row):
        shares = [row["detail"] / real["detail"] if name == "sharpness" else row[name] for name in STRENGTHS]
        return np.minimum([*shares, 1.5 * np.log10(max(row["FD"], 1)) / np.log10(top_fd)], 1.5)

    values = lengths(row)
    below.barh(range(len(values)), values, color=[*STRENGTHS.values(), "0.5"])
    for i, at in enumerate(lengths(real)):
        below.plot([at, at], [i - 0.4, i + 0.4], color=DATA, linewidth=2)
    below.text(values[-1] + 0.01, len(values) - 1, f"{row['FD']:,.0f}", va="center", fontsize=8)
    below.set(xlim=(0, 1.65), xlabel="value (blue: real data; bars end at 1.5)")
    below.set_yticks(range(len(values)), [*STRENGTHS, "FD (log)"])
    below.invert_yaxis()
    return figure


@door
def samples_of_run(family: str, variant: str, seed: int = 0) -> np.ndarray:
    """The samples that `train.py sweep` kept of a run: (H, W) uint8, in colour (H, W, 3), 40 images in rows of 20.

    FileNotFoundError: there are none.
    """
    path = ignbook.checkpoints.shipped("results") / "runs" / family / f"{variant}-s{seed}.png"
    if not path.exists():
        raise FileNotFoundError(f"there are no samples of {family}/{variant}-s{seed}; run `python train.py sweep {family}`.")
    picture = ignbook.data.read_image(path).permute(1, 2, 0).numpy()
    grey = (picture == picture[..., :1]).all()
    return picture[..., 0] if grey else picture


def _columns(sheet: np.ndarray) -> int:
    """Of square images in one or two rows, with a frame of 2 pixels of one colour around each."""
    high, wide = sheet.shape[:2]
    rows = 2 if (sheet[high // 2 - 1 : high // 2 + 1] == sheet[0, 0]).all() else 1
    return max(round(rows * (wide - 2) / (high - 2)), 1)


@door
def strips(kinds: dict[str, np.ndarray]):
    """Ready-made pictures of one width below each other, as they are: {name: (H, W) or (H, W, 3)}; long names are wrapped."""
    height, width = np.max([picture.shape[:2] for picture in kinds.values()], axis=0)
    figure, axes = plt.subplots(len(kinds), 1, figsize=(7.6, 6.4 * height / width * len(kinds) + 0.1), squeeze=False)
    for ax, (name, picture) in zip(axes[:, 0], kinds.items()):
        ax.imshow(picture, vmin=0, vmax=255).set_gid(str(_columns(picture)))
        ax.set_axis_off()
        ax.text(-0.01, 0.5, fill(name, 21), transform=ax.transAxes, ha="right", va="center", fontsize=9)
    return figure


@door
def runs_by_measure(lines: dict[str, list[dict[str, float]]], measures: list[str]):
    """Runs as dots, {name: lines of `ignbook.metrics.summary`, one a seed}; a panel for each measure.

    The name "real" is drawn as a blue line across.
    """
    names = [name for name in lines if name != "real"]
    columns, width = (3, 1.7) if len(names) <= 7 else (len(measures), 1.3)  # many runs need the height of a page once
    figure, axes = _panels(len(measures), columns, (width, 0.3 * len(names) + 0.8), (1.4, 0), sharey=True)
    for ax, measure in zip(axes.flat, measures):
        for line in lines.get("real", [])[:1]:
            ax.axvline(line[measure], color=DATA, linewidth=1.4)
        for i, name in enumerate(names):
            values = [line[measure] for line in lines[name] if measure in line]
            ax.plot(values, [-i] * len(values), "o", color=GENERATED, markersize=5, alpha=0.7)
        ax.set(xlabel=measure, ylim=(0.6 - len(names), 0.4))
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(axis="y", color="0.9")
    for ax in axes[:, 0]:
        ax.set_yticks([-i for i in range(len(names))], names)
    return figure


@door
def against_lambda(courses: dict[str, dict[float, list[dict]]], measures: dict[str, str], real: dict | None = None):
    """Measures of f(z) on MNIST against lambda, a panel each: {course's name: {lambda: lines of `ignbook.metrics.summary`, one a seed}}.

    measures: {key: axis label}; the key "excess" is drawn with its bound 1/lambda on a logarithmic axis.  real: the same
    line of real data.  The first course is drawn full, a second one dashed with open dots.
    """
    ratios = [ratio for runs in courses.values() for ratio in runs]
    figure, axes = _panels(len(measures), 3, (2.5, 2.4), (0, 0.3), layout="constrained")
    for ax, (key, label) in zip(axes.flat, measures.items()):
        ax.axvline(1, color="0.85", linewidth=6, zorder=0)
        if real and key in real:
            ax.axhline(real[key], color=DATA, linewidth=1.2, label="real data")
        for (name, runs), line, face in zip(courses.items(), ("-", (0, (4, 1.5))), (GENERATED, "white")):
            dots = [(ratio, one[key]) for ratio in sorted(runs) for one in runs[ratio]]
            means = [np.mean([one[key] for one in runs[ratio]]) for ratio in sorted(runs)]
            ax.plot(sorted(runs), means, color=GENERATED, linewidth=1.3, linestyle=line)
            ax.plot(*zip(*dots), "o", color=GENERATED, markerfacecolor=face, markersize=4, alpha=0.7, label=name)
        if key == "excess":
            t = np.linspace(min(ratios), max(ratios), 200)
            ax.plot(t, 1 / t, color="black", linestyle=":", linewidth=1.2, label="bound $1/\\lambda$")
            ax.set(yscale="log", ylim=(0.9, 12))
        else:
            ax.set_ylim(0, None)
        ax.set(xlabel="$\\lambda$ at the end", ylabel=label)
    _legend_above(figure, fontsize=8)
    return figure


@door
def shares_against_bound(
    share: list[float], real: list[float], ratio: float, picture: np.ndarray, names: Sequence[str] = tuple("0123456789")
):
    """One run: 40 of its samples, and its class shares with the bound real share / lambda above each bar.  A slider's frame."""
    if not len(share) == len(real) == len(names) or picture.ndim not in (2, 3):
        raise ValueError(f"there are {len(share)} shares, {len(real)} real ones and {len(names)} names, and a picture "
                         f"{picture.shape}; give one of each for each class, and (H, W) or (H, W, 3).")  # fmt: skip
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(5.2, 3.6), height_ratios=(1, 2.4))
    top.imshow(picture, vmin=0, vmax=255)
    top.set_axis_off()
    bottom.bar(range(len(share)), share, color=GENERATED, label="$f(z)$")
    edges = np.arange(len(real) + 1) - 0.5
    bottom.stairs(np.array(real) / ratio, edges, color="black", linestyle="--", label="bound: real share / $\\lambda$")
    bottom.stairs(real, edges, color=DATA, label="real share")
    bottom.set(xticks=range(len(names)), xticklabels=names, xlabel="class, by the classifier", ylabel="share", ylim=(0, 1))
    bottom.set_title(f"$\\lambda$ = {ratio:g}")
    _legend_above(figure, fontsize=8)
    return figure
