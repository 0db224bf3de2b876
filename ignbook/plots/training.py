"""Chapters 5 to 7: courses of training, sources and classes."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from ignbook import checks
from ignbook.checks import door
from ignbook.plots.base import DATA, DRIFT, GENERATED, REFINED, _legend_above, _shades


@door
def history(rows: list[dict], ax=None):
    """The three terms over the steps, from a model card's history."""
    ax = ax or plt.subplots(figsize=(4.6, 2.8))[1]
    for term, colour in (("reconstruction", DATA), ("idempotence", REFINED), ("tightness", GENERATED)):
        ax.plot([r["step"] for r in rows], [r[term] for r in rows], color=colour, label=term)
    ax.set(xlabel="step", ylabel="mean over the batch (D)", yscale="log")
    ax.legend()
    return ax


@door
def three_ends(x: Tensor, z: Tensor):
    """Where training on a line may end: a constant, a projector, a runaway.

    x: (n, 1), data in [-1.2, -0.6] and [0.6, 1.2]; z: (n, 1).
    """

    x, z = (checks.floats(y, "n, 1", "the points") for y in (x, z))

    def projector(y):
        return y.abs().clamp(0.6, 1.2) * torch.where(y < 0, -1.0, 1.0)

    def runaway(y):
        return torch.where((y.abs() >= 0.6) & (y.abs() <= 1.2), y, 3 * y + torch.where(y < 0, -0.6, 0.6))

    ends = {"constant": lambda y: torch.full_like(y, float(x.median())), "projector": projector, "runaway": runaway}
    t = torch.linspace(-2.5, 2.5, 1001)[:, None]
    figure, axes = plt.subplots(1, 3, figsize=(7.8, 3.2), sharey=True)
    for ax, (name, f) in zip(axes, ends.items()):
        edges = (-9.0, -1.2, -0.6, 0.0, 0.6, 1.2, 9.0)
        for low, high in zip(edges, edges[1:]):  # in parts, as two of the graphs jump
            part = t[(t > low + 1e-4) & (t < high - 1e-4)]
            ax.plot(part, f(part), color="black", linewidth=1.5)
        ax.plot(t, t, color="0.6", linewidth=0.8, linestyle="--")
        ax.plot(x, torch.full_like(x, -2.4), "|", color=DATA, markersize=7, label="data $x$")
        fz = f(z)
        ax.plot(torch.full_like(fz, -2.4), fz, "_", color=GENERATED, markersize=9, alpha=0.6, label="$f(z)$")
        terms = ((y - f(y)).abs().mean().item() for y in (x, fz))
        ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), xlabel="$y$", aspect="equal")
        ax.set_title(name + "\n$\\delta(x)$ = {:.1f}, $\\delta(f(z))$ = {:.1f}".format(*terms), fontsize=9)
    axes[0].set_ylabel("$f(y)$")
    _legend_above(figure)
    return figure


@door
def by_setting(panels_: dict[str, dict[str, list[float]]], label: str, lines: dict[str, float] | None = None, log: bool = True):
    """Dots, one for each seed: {panel: {setting: values}}; one axis of values for all, `lines` across it by name."""
    figure, axes = plt.subplots(1, len(panels_), figsize=(0.4 + 3 * len(panels_), 2.8), sharey=True, squeeze=False)
    for ax, (title, settings) in zip(axes[0], panels_.items()):
        for i, values in enumerate(settings.values()):
            ax.plot([i] * len(values), values, "o", color=DRIFT, markersize=6, alpha=0.7)
        for (name, height), dash in zip((lines or {}).items(), ("--", ":")):
            ax.axhline(height, color="black", linewidth=1, linestyle=dash, label=name)
        ax.set(title=title, yscale="log" if log else "linear", xlim=(-0.6, len(settings) - 0.4))
        ax.set_xticks(range(len(settings)), settings)
    axes[0, 0].set_ylabel(label)
    if lines:
        axes[0, 0].legend(fontsize=8)
    return figure


@door
def courses(
    runs: dict[str, list[dict]],
    measures: dict[str, str],
    lines: dict[str, dict[str, float]] | None = None,
    across: str = "step",
):
    """Measures over the steps of several runs: {run: rows}, {key: axis label}.

    lines: {key: {name: height}}.  across: the key of the rows that the abscissa shows.
    """
    figure, axes = plt.subplots(1, len(measures), figsize=(4.3 * len(measures), 2.9), squeeze=False)
    shades = _shades(len(runs))
    for ax, (key, label) in zip(axes[0], measures.items()):
        for (name, rows), shade, mark in zip(runs.items(), shades, ("o-", "s--", "^-.", "v:", "D-", "P--")):
            steps, values = [r[across] for r in rows], [r[key] for r in rows]
            ax.plot(steps, values, mark, color=shade, label=name, markersize=4, linewidth=1.2)
        here = (lines or {}).get(key, {})
        dotted = [ax.axhline(height, color=DATA, linewidth=1.2, linestyle=":", label=name) for name, height in here.items()]
        ax.set(xlabel=across, ylabel=label, ylim=(0, None))
        ax.locator_params(axis="x", nbins=5)
        if ax is axes[0, 0] or dotted:
            ax.legend(handles=None if ax is axes[0, 0] else dotted, fontsize=8)
    return figure


@door
def mixture(parts: dict[str, tuple[float, float, str]]):
    """Normal densities {name: (mean, variance, colour)}, and the normal one that has their equal mixture's two moments."""
    for name, (_, variance, _) in parts.items():
        checks.between(f"the variance of {name}", variance, 1e-12)
    means, variances = (np.array([part[i] for part in parts.values()]) for i in (0, 1))
    mean, variance = means.mean(), variances.mean() + means.var()
    t = np.linspace((means - 4 * variances**0.5).min(), (means + 4 * variances**0.5).max(), 400)

    def density(t, m, v):
        return np.exp(-((t - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 2.8))
    for name, (m, v, colour) in parts.items():
        left.fill_between(t, density(t, m, v), color=colour, alpha=0.5, label=name, linewidth=0)
    left.plot(t, density(t, mean, variance), color="black", linewidth=1.3, label="what BatchNorm takes both for")
    own = np.linspace(-4, 4, 400)
    for m, v, colour in parts.values():  # each, normalised by the mixture's statistics
        m, v = (m - mean) / variance**0.5, v / variance
        right.fill_between(own, density(own, m, v), color=colour, alpha=0.5, linewidth=0)
    right.plot(own, density(own, 0, 1), color="black", linewidth=1.3)
    left.set(xlabel="activation of a channel", ylabel="density")
    right.set(xlabel="after normalisation", ylabel="density")
    left.legend(fontsize=8)
    return figure


@door
def spectra(kinds: dict[str, tuple[Tensor, str]]):
    """Root mean square of the spectrum against the radius of the frequency.  {label: (images (n, 1, H, W), colour)}.

    The first line is drawn wide, so that it is seen below one that coincides with it.
    """
    figure, ax = plt.subplots(figsize=(4.6, 3))
    for i, (label, (x, colour)) in enumerate(kinds.items()):
        power = torch.fft.fft2(checks.images(x, limit=np.inf).double(), norm="ortho").abs().square().mean((0, 1))  # (H, W)
        side = power.shape[-1]
        axis = torch.fft.fftfreq(side) * side
        radius = (axis[:, None] ** 2 + axis[None] ** 2).sqrt().round().long().flatten()
        mean = torch.zeros(int(radius.max()) + 1, dtype=power.dtype).index_add_(0, radius, power.flatten()) / radius.bincount()
        ax.plot(mean[: side // 2 + 1].sqrt(), color=colour, label=label, marker="o", markersize=3, linewidth=1.5 if i else 5)
    ax.set(xlabel="spatial frequency (cycles per image)", ylabel="spectrum, root mean square", yscale="log")
    ax.legend()
    return figure


@door
def class_shares(kinds: dict[str, tuple[list[float], str]], names: Sequence[str] = tuple("0123456789")):
    """Bars of class shares, {label: (share of each class, colour)}, with the uniform share as a line."""
    if any(len(share) != len(names) for share, _ in kinds.values()):
        raise ValueError(f"there are {len(names)} names; give one for each share.")
    figure, ax = plt.subplots(figsize=(4.6, 2.6))
    width = 0.8 / len(kinds)
    for i, (label, (share, colour)) in enumerate(kinds.items()):
        ax.bar(np.arange(len(share)) + (i - (len(kinds) - 1) / 2) * width, share, width, color=colour, label=label)
    ax.axhline(1 / len(names), color="black", linewidth=0.8, linestyle=":")
    ax.set(xticks=range(len(names)), xticklabels=names, xlabel="class, by the classifier", ylabel="share")
    ax.legend(ncols=len(kinds))
    return figure
