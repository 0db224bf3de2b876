"""Every figure and widget of the chapters.  Each function draws on the axes it is given or returns a new figure.

Colours mean one thing throughout the book: data blue, source grey, generated orange, f^2 and beyond green, drift "magma".
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import ign_core

DATA, SOURCE, GENERATED, REFINED = "#2f6db3", "#9aa0a6", "#e07b39", "#3a9a5f"
DRIFT = "#b5367a"  # one colour out of "magma", for drift drawn as a line
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
    ax = ax or plt.subplots(figsize=(columns * 0.75, -(-len(x) // columns) * 0.75))[1]
    ax.imshow(_grid(x, columns).permute(1, 2, 0).numpy())
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def player(frames: list[bytes], values: list, label: str, alt: str, width: int = 560, second: tuple[list, str] | None = None):
    """A slider over ready-made frames, PNG or WebP, that works in the rendered book, with no kernel; one value for each frame.

    second: values and label of a second slider.  The frames then stand row by row, all of the first value come first.
    Returns an IPython HTML object.  Tag its cell nbval-ignore-output: the bytes of a picture differ between machines.
    ValueError: the number of frames is another than the values need.
    """
    import base64
    import json
    import uuid

    from IPython.display import HTML

    dials = [(values, label)] + ([second] if second else [])
    if len(frames) != (needed := math.prod(len(of) for of, _ in dials)):
        raise ValueError(f"{len(frames)} frames don't fit sliders of {needed} positions in all; give one frame for each.")
    name = f"player-{uuid.uuid4().hex[:8]}"
    kinds = ["webp" if frame[8:12] == b"WEBP" else "png" for frame in frames]
    urls = [f"data:image/{kind};base64,{base64.b64encode(frame).decode()}" for kind, frame in zip(kinds, frames)]
    sliders = "\n".join(f"""<label style="display:flex;gap:.7em;align-items:center"><span>{text}</span>
<input type="range" min="0" max="{len(of) - 1}" value="0" style="flex:1" aria-label="{text}">
<output style="min-width:4em">{of[0]}</output></label>""" for of, text in dials)  # fmt: skip
    texts = [[str(v) for v in of] for of, _ in dials]
    return HTML(f"""<div id="{name}" class="ign-player" style="max-width:{width}px">
<img src="{urls[0]}" alt="{alt}" style="width:100%;image-rendering:pixelated">
{sliders}</div>
<script>(() => {{
  const box = document.getElementById("{name}"), values = {json.dumps(texts)}, urls = {json.dumps(urls)};
  const dials = [...box.querySelectorAll("input")], outputs = box.querySelectorAll("output");
  const show = () => {{
    box.querySelector("img").src = urls[dials.reduce((i, dial, d) => i * values[d].length + Number(dial.value), 0)];
    dials.forEach((dial, d) => outputs[d].value = values[d][Number(dial.value)]);
  }};
  dials.forEach((dial) => dial.addEventListener("input", show));
}})();</script>""")


def png(x: Tensor, columns: int = 8) -> bytes:
    """Images (n, C, H, W) in [-1, 1] as the bytes of one PNG, in rows of `columns`: a frame for `player`."""
    return _encoded(x, columns, format="png")


def webp(x: Tensor, columns: int = 8) -> bytes:
    """The same as a WebP, not exactly and in a tenth of the bytes: for many frames in colour."""
    return _encoded(x, columns, format="webp", quality=85)


def _encoded(x: Tensor, columns: int, **how) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((255 * _grid(x, columns)).round().to(torch.uint8).permute(1, 2, 0).numpy()).save(file, **how)
    return file.getvalue()


def figure_png(figure) -> bytes:
    """A matplotlib figure as the bytes of a PNG, and close it: a frame for `player`."""
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def _grid(x: Tensor, columns: int) -> Tensor:
    from torchvision.utils import make_grid

    x = x.detach().float().cpu().clamp(-1, 1)
    return make_grid(x, nrow=columns, normalize=True, value_range=(-1, 1), pad_value=1.0)


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


def panels(rows: dict[str, dict[str, list]], size: float = 1.75, limit: float = 1.9, dots: float = 2.5):
    """A grid of scatter plots, {row: {column: [(points (n, 2), role), ...]}}; later entries are drawn on top."""
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


def gallery(cells: dict[str, list], columns: int = 3, size: float = 2.1, limit: float = 1.9, dots: float = 2.5):
    """Named scatter plots, {title: [(points (n, 2), role), ...]}, in rows of `columns`; the axes are shared."""
    figure, axes = plt.subplots(-(-len(cells) // columns), columns, figsize=(size * columns + 0.3, (size + 0.15) * -(-len(cells) // columns)),
                                sharex=True, sharey=True, squeeze=False)  # fmt: skip
    for ax in axes.flat[len(cells) :]:
        ax.set_axis_off()
    for ax, (name, cell) in zip(axes.flat, cells.items()):
        for y, role in cell:
            points(y, role, ax, dots, limit=limit)
        ax.set_title(name)
        ax.label_outer()
    return figure


@torch.no_grad()
def moves(f, side: float = 1.9, n: int = 17) -> tuple[np.ndarray, np.ndarray]:
    """Points y of a grid and what f does to them, f(y) - y: (n * n, 2) each."""
    t = torch.linspace(-side, side, n)
    y = torch.cartesian_prod(t, t)
    return y.numpy(), (f(y) - y).numpy()


@torch.no_grad()
def drift_grid(f, side: float = 1.9, n: int = 121) -> tuple[np.ndarray, np.ndarray]:
    """The axis (n,) and the length |f(y) - y| over its square, (n, n), rows along y_2."""
    t = torch.linspace(-side, side, n)
    y = torch.stack(torch.meshgrid(t, t, indexing="xy"), -1).reshape(-1, 2)
    return t.numpy(), (f(y) - y).norm(dim=-1).reshape(n, n).numpy()


def _drift_map(ax, f, top: float, n: int = 121):
    """The drift of f as colours, 0 to `top`; returns what a colour bar takes."""
    t, drift = drift_grid(f, n=n)
    return ax.pcolormesh(t, t, drift, cmap="magma", vmin=0, vmax=top, shading="nearest", rasterized=True)


def rows_of_images(rows: dict[str, Tensor], columns: int = 10, size: float = 0.62, titles: list[str] | None = None):
    """One row of images for each name: {name: (n, C, H, W) in [-1, 1]}; the first `columns` are shown, titles above them."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(columns * size + 1.1, len(rows) * (size + 0.05)), squeeze=False)
    for ax, (name, x) in zip(axes[:, 0], rows.items()):
        images(x[:columns], columns, ax)
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center")
    for i, title in enumerate(titles or []):
        axes[0, 0].text((i + 0.5) / columns, 1.05, title, transform=axes[0, 0].transAxes, ha="center", va="bottom", fontsize=8)
    return figure


def drift_maps(maps: dict[str, object], x: Tensor, columns: int = 3, top: float = 1.5):
    """One drift map for each {title: f}, with the data x (n, 2) drawn on it; one scale of colours for all."""
    lines = -(-len(maps) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(2.5 * columns + 0.9, 2.5 * lines), sharex=True, sharey=True, squeeze=False)
    for ax, (name, f) in zip(axes.flat, maps.items()):
        shown = _drift_map(ax, f, top)
        ax.scatter(*x.T, s=1.5, color=DATA, linewidths=0)
        ax.set(aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
        ax.set_title(name, fontsize=9)
        ax.label_outer()
    for ax in axes.flat[len(maps) :]:
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes, label="$|f(y) - y|$", extend="max")
    return figure


# chapter 2


def forces(f, x: Tensor, z: Tensor, lengths: float = 0.35):
    """What each term of the objective does to the graph of an f on the line.  x, z: (n, 1); f: (n, 1) -> (n, 1).

    Arrows point down the gradient of the term with respect to the values of f that it may change.
    """
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
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), sharey=True)
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
    axes[0].legend(fontsize=7, loc="upper left")
    return figure


def routing():
    """The paths of the three terms through copies of f: who is trained (filled) and who only passes the gradient on."""
    figure, ax = plt.subplots(figsize=(8.4, 3.5))
    trained, passes, stops = "trained", "passes", "stops"  # what an f does with the gradient; the others are labels
    rows = {
        "reconstruction": (["$x$", trained, "$f(x)$"], "$D(x,\\ f(x))$", DATA, "small"),
        "idempotence": (["$z$", trained, "$f(z)$", passes, "$f(f(z))$"], "$D(f(z),\\ f(f(z)))$", REFINED, "small"),
        "tightness": (["$z$", stops, "$\\mathrm{sg}\\,f(z)$", trained, "$f(f(z))$"], "$D(f(z),\\ f(f(z)))$", GENERATED, "large"),
    }
    arrow = {"arrowstyle": "-|>", "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    for i, (name, (path, loss, colour, way)) in enumerate(rows.items()):
        y = 2 - i
        ax.text(-0.5, y, name, color=colour, ha="right", va="center", fontsize=10)
        places = [1.1 * j for j in range(len(path))]
        for at, node in zip(places, path):
            if node in (trained, passes, stops):
                box = {"boxstyle": "round,pad=0.42", "facecolor": colour if node == trained else "white", "edgecolor": colour,
                       "linestyle": ":" if node == stops else "-"}  # fmt: skip
                ax.text(at, y, "$f$", ha="center", va="center", color="white" if node == trained else "black", bbox=box, fontsize=11)
            else:
                ax.text(at, y, node, ha="center", va="center", fontsize=10)
        for before, at in zip(places, places[1:]):
            ax.annotate("", (at - 0.42, y), (before + 0.36, y), arrowprops=arrow | {"color": "0.45"})
        ax.text(5.15, y, f"make {loss} {way}", va="center", fontsize=10)
        back = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "connectionstyle": "arc3,rad=0.25"}
        ax.annotate("", (places[path.index(trained)], y + 0.24), (places[-1], y + 0.2), arrowprops=back)
    ax.set(xlim=(-1.7, 7.9), ylim=(-0.5, 2.75))
    ax.set_axis_off()
    return figure


def graphs(snapshots: dict[int, object], x: Tensor, z: Tensor):
    """The graph of an f on the line at steps of training, {step: f}; data x and f(z) as marks.  x, z: (n, 1)."""
    figure, axes = plt.subplots(1, len(snapshots), figsize=(2.35 * len(snapshots), 2.7), sharey=True, squeeze=False)
    t = torch.linspace(-2.5, 2.5, 501)[:, None]
    for ax, (step, f) in zip(axes[0], snapshots.items()):
        with torch.no_grad():
            ax.plot(t, t, color="0.6", linewidth=0.8, linestyle="--")
            ax.plot(t, f(t), color="black", linewidth=1.4)
            ax.plot(x, x, ".", color=DATA, markersize=3, label="data $x$")
            fz = f(z)
            ax.plot(torch.full_like(fz, -2.4), fz, "_", color=GENERATED, markersize=7, alpha=0.4, label="$f(z)$")
        ax.set(xlim=(-2.5, 2.5), ylim=(-1.9, 1.9), xlabel="$y$", title=f"step {step:,}")
    axes[0, 0].set_ylabel("$f(y)$")
    axes[0, 0].legend(fontsize=7, loc="lower right")
    return figure


def clamp_curves(factors=(0.5, 1.5), limit: float = 1.0):
    """The clamp of tightness and its slope against the error, at D(z, f(z)) = limit, for several a."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.7))
    error = torch.linspace(0, 3, 200)
    for a, shade in zip((*factors, None), plt.get_cmap("magma")(np.linspace(0.75, 0.1, len(factors) + 1))):
        value, slope = ign_core.clamped(error, torch.full_like(error, limit), a)
        for ax, values in ((left, value), (right, slope)):
            ax.plot(error, values, color=shade, label=f"$a$ = {a}" if a else "no clamp")
    left.set(xlabel="$D(f(z), f(f(z)))$, in units of $D(z, f(z))$", ylabel="clamped error", ylim=(0, 3))
    right.set(xlabel="$D(f(z), f(f(z)))$, in units of $D(z, f(z))$", ylabel="slope $c$", ylim=(0, 1.08))
    right.legend()
    return figure


def seeds(scores: dict[str, list[dict[str, float]]]):
    """Dots, one for each seed: {row: [{measure: share in [0, 1]}, one for each seed]}; a panel for each measure."""
    measures = list(next(iter(scores.values()))[0])
    figure, axes = plt.subplots(1, len(measures), figsize=(8.4, 0.3 * len(scores) + 0.9), sharey=True, squeeze=False)
    for ax, measure in zip(axes[0], measures):
        for i, three in enumerate(scores.values()):
            ax.plot([score[measure] for score in three], [-i] * len(three), "o", color=GENERATED, markersize=5, alpha=0.7)
        ax.set(xlim=(-0.03, 1.03), xlabel=f"share: {measure}", ylim=(0.6 - len(scores), 0.4))
        ax.grid(axis="y", color="0.9")
    axes[0, 0].set_yticks([-i for i in range(len(scores))], scores)
    return figure


# chapter 3


def laws_and_drift(y, p_x, p, delta=None, ceiling=None, axes=None, labels: bool = True):
    """Bars of two laws over points y (m,) and, below, the drift as a step.  p_x, p, delta, ceiling: (m,); two axes."""
    y, p_x, p = (np.array(v, float) for v in (y, p_x, p))
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


def picture_game(y, p_x, rounds: list[tuple[str, list, list]], ceiling):
    """The idea of chapter 3: one column for each round (title, law (m,), drift (m,)) on points y (m,)."""
    size = (3.1 * len(rounds), 3.4)
    figure, axes = plt.subplots(2, len(rounds), figsize=size, sharex=True, sharey="row", height_ratios=[2, 1])
    for i, (title, p, delta) in enumerate(rounds):
        laws_and_drift(y, p_x, p, delta, ceiling, axes[:, i], labels=i == 0)
        axes[0, i].set_title(title)
    axes[0, 0].set_ylim(0, 1.45 * max(max(map(float, p)) for _, p, _ in rounds))
    axes[1, 0].set_ylim(-0.1, 2.9)
    axes[1, 0].legend(fontsize=8, loc="upper center", ncols=2)
    return figure


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


def generator_losses(q, curves: dict[str, list], p_x: float, ceilings: list[str]):
    """F on two points against q = P(first), one panel for each choice of M.  curves: {label: one (n,) for each panel}."""
    figure, axes = plt.subplots(1, len(ceilings), figsize=(4.3 * len(ceilings), 3), sharey=True)
    shades = plt.get_cmap("magma")(np.linspace(0.15, 0.8, len(curves)))
    for i, (ax, title) in enumerate(zip(axes, ceilings)):
        for (label, values), shade in zip(curves.items(), shades):
            ax.plot(q, values[i], color=shade, label=label)
        ax.axvline(p_x, color=DATA, linestyle=":", linewidth=1)
        ax.text(p_x, 1.0, " $P_x$", color=DATA, transform=ax.get_xaxis_transform(), va="top")
        ax.set(xlabel="generated mass $q$ on the first point", title=title)
    axes[0].set_ylabel("generator's loss $F_\\lambda$")
    axes[0].legend()
    return figure


def permitted_laws(ax, p_x, ratio: float, enumerated, everything, equal: bool = True):
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


def plays(y, p_x, laws: dict[str, np.ndarray], start):
    """Where the dynamics end: the first law and one law for each lambda, all (m,), beside the data's."""
    figure, axes = plt.subplots(1, 1 + len(laws), figsize=(2.3 * (1 + len(laws)), 2.3), sharey=True)
    step = float(y[1] - y[0])
    for ax, (title, p) in zip(axes, {"start": start, **laws}.items()):
        ax.bar(y, np.array(p_x, float), step * 0.9, color=DATA, alpha=0.45, label="data $P_x$")
        ax.bar(y, p, step * 0.45, color=GENERATED, label="generated $P_\\theta$")
        ax.set(title=title, xlabel="$y$", ylim=(0, 0.62))
    axes[0].set_ylabel("mass")
    axes[0].legend(fontsize=8, loc="upper right")
    return figure


def overlaps(histories: dict[str, np.ndarray], ratios, ends):
    """Left: overlap with the data over the steps, {label: (steps,)}.  Right: at the end, (r,), against lambda (r,)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3))
    for (label, values), shade in zip(histories.items(), plt.get_cmap("magma")(np.linspace(0.1, 0.8, len(histories)))):
        left.plot(1 + np.arange(len(values)), values, color=shade, label=label, linewidth=1)
    left.set(xlabel="step", ylabel="overlap with the data", xscale="log", ylim=(0, 1.05))
    left.legend(fontsize=8)
    grid = np.linspace(0.02, max(ratios) + 0.1, 200)
    right.plot(grid, np.minimum(grid, 1 / grid), color="black", linewidth=1, label="bound $\\min(\\lambda, 1/\\lambda)$")
    right.plot(ratios, ends, "o", color=GENERATED, markersize=5, label="reached from a collapsed start")
    right.set(xlabel="$\\lambda$", ylabel="overlap at the end", ylim=(0, 1.05), xlim=(0, None))
    right.legend(fontsize=8, loc="lower right")
    return figure


def orbits(paths: dict[str, np.ndarray], drifts: dict[str, list]):
    """Orbits of single points in the plane, {name: (k + 1, 2)}, one panel each; last, mean drift over k, {name: (k + 1,)}."""
    n = len(paths)
    figure, axes = plt.subplots(1, n + 1, figsize=(2.5 * (n + 1), 2.5), width_ratios=[1] * n + [1.5])
    angle = np.linspace(0, 2 * np.pi, 200)
    for ax, (name, path) in zip(axes, paths.items()):
        ax.plot(np.cos(angle), np.sin(angle), color=DATA, linewidth=1, alpha=0.6)
        ax.plot(*path.T, color=REFINED, linewidth=0.7, alpha=0.7)
        ax.scatter(*path[2:].T, s=14, color=REFINED, zorder=3)
        ax.scatter(*path[1], s=26, color=GENERATED, zorder=4)
        ax.scatter(*path[0], s=26, color=SOURCE, zorder=4)
        ax.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), title=name, xlabel="$y_1$")
    axes[0].set_ylabel("$y_2$")
    for (name, values), line in zip(drifts.items(), ("-o", "--s", ":^", "-.v")):
        axes[-1].plot(np.maximum(values, 1e-5), line, color=DRIFT, markersize=3.5, linewidth=1, label=name)
    axes[-1].set(xlabel="$k$", ylabel="mean drift of $f^k(z)$", yscale="log", ylim=(5e-6, 100))
    axes[-1].legend(fontsize=7, ncols=2, loc="upper right", columnspacing=1)
    return figure


def clamped_responses(excess, curves: dict[str, np.ndarray]):
    """The outer player's best drift against lambda P / P_x: excess (n,), {label: drift (n,)}."""
    figure, ax = plt.subplots(figsize=(5.2, 2.8))
    for (label, values), shade in zip(curves.items(), plt.get_cmap("magma")(np.linspace(0.1, 0.8, len(curves)))):
        ax.plot(excess, values, color=shade, label=label)
    ax.set(xlabel="$\\lambda P_\\theta(y) / P_x(y)$", ylabel="best drift $\\delta(y)$", ylim=(-0.04, 1.3))
    ax.legend(fontsize=8, loc="upper center", ncols=len(curves))
    return figure


# chapter 4


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


def supports(shapes: dict[str, tuple], side: float = 1.9, n: int = 161):
    """What is known exactly, {name: (`Manifold`, data x (m, 2))}: distance to the support in grey, else density in blue."""
    figure, axes = plt.subplots(2, -(-len(shapes) // 2), figsize=(2.4 * -(-len(shapes) // 2) + 0.9, 4.8), sharex=True, sharey=True)
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


def film(networks: dict, x: Tensor, z: Tensor, top: float = 1.5):
    """Columns are networks, {title, or step of training: f}: above f(z) over the data x, below the drift map.  x, z: (n, 2)."""
    figure, axes = plt.subplots(2, len(networks), figsize=(1.75 * len(networks) + 0.9, 3.75), sharex=True, sharey=True)
    for (above, below), (title, f) in zip(axes.T, networks.items()):
        with torch.no_grad():
            points(x, "x", above, 1.5)
            points(f(z), "fz", above, 2.5)
        shown = _drift_map(below, f, top, n=81)
        below.set(aspect="equal", xlabel="$y_1$", ylabel="$y_2$")
        above.set_title(title if isinstance(title, str) else f"step {title:,}")
        above.label_outer(), below.label_outer()
    figure.colorbar(shown, ax=axes, shrink=0.6, label="$|f(y) - y|$", extend="max")
    return figure


def landscape(f, x: Tensor, z: Tensor, title: str = "", top: float = 1.5):
    """Three panels of one f: the field f(y) - y, the drift map with data x on it, and f(z).  x, z: (n, 2)."""
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
    labels = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(labels.values(), labels, loc="outside lower center", ncols=5, columnspacing=1.2, handletextpad=0.5)
    return figure


# chapter 5


def three_ends(x: Tensor, z: Tensor):
    """Where training on a line may end: a constant, a projector, a runaway.

    x: (n, 1), data in [-1.2, -0.6] and [0.6, 1.2]; z: (n, 1).
    """

    def projector(y):
        return y.abs().clamp(0.6, 1.2) * torch.where(y < 0, -1.0, 1.0)

    def runaway(y):
        return torch.where((y.abs() >= 0.6) & (y.abs() <= 1.2), y, 3 * y + torch.where(y < 0, -0.6, 0.6))

    ends = {"constant": lambda y: torch.full_like(y, float(x.median())), "projector": projector, "runaway": runaway}
    t = torch.linspace(-2.5, 2.5, 1001)[:, None]
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), sharey=True)
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
    axes[0].legend(fontsize=7, loc="upper left")
    return figure


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


def courses(runs: dict[str, list[dict]], measures: dict[str, str], lines: dict[str, dict[str, float]] | None = None):
    """Measures over the steps of several runs: {run: rows with "step"}, {key: axis label}; lines: {key: {name: height}}."""
    figure, axes = plt.subplots(1, len(measures), figsize=(4.3 * len(measures), 2.9), squeeze=False)
    shades = plt.get_cmap("magma")(np.linspace(0.1, 0.8, len(runs)))
    for ax, (key, label) in zip(axes[0], measures.items()):
        for (name, rows), shade, mark in zip(runs.items(), shades, ("o-", "s--", "^-.", "v:", "D-", "P--")):
            steps, values = [r["step"] for r in rows], [r[key] for r in rows]
            ax.plot(steps, values, mark, color=shade, label=name, markersize=4, linewidth=1.2)
        here = (lines or {}).get(key, {})
        dotted = [ax.axhline(height, color=DATA, linewidth=1.2, linestyle=":", label=name) for name, height in here.items()]
        ax.set(xlabel="step", ylabel=label, ylim=(0, None))
        if ax is axes[0, 0] or dotted:
            ax.legend(handles=None if ax is axes[0, 0] else dotted, fontsize=8)
    return figure


def mixture(parts: dict[str, tuple[float, float, str]]):
    """Normal densities {name: (mean, variance, colour)}, and the normal one that has their equal mixture's two moments."""
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
    for name, (m, v, colour) in parts.items():  # each, normalised by the mixture's statistics
        m, v = (m - mean) / variance**0.5, v / variance
        right.fill_between(own, density(own, m, v), color=colour, alpha=0.5, linewidth=0)
    right.plot(own, density(own, 0, 1), color="black", linewidth=1.3)
    left.set(xlabel="activation of a channel", ylabel="density")
    right.set(xlabel="after normalisation", ylabel="density")
    left.legend(fontsize=8)
    return figure


# chapter 6


def spectra(kinds: dict[str, tuple[Tensor, str]]):
    """Root mean square of the spectrum against the radius of the frequency.  {label: (images (n, 1, H, W), colour)}.

    The first line is drawn wide, so that it is seen below one that coincides with it.
    """
    figure, ax = plt.subplots(figsize=(5.5, 3))
    for i, (label, (x, colour)) in enumerate(kinds.items()):
        power = torch.fft.fft2(x.double(), norm="ortho").abs().square().mean((0, 1))  # (H, W)
        side = power.shape[-1]
        axis = torch.fft.fftfreq(side) * side
        radius = (axis[:, None] ** 2 + axis[None] ** 2).sqrt().round().long().flatten()
        mean = torch.zeros(int(radius.max()) + 1, dtype=power.dtype).index_add_(0, radius, power.flatten()) / radius.bincount()
        ax.plot(mean[: side // 2 + 1].sqrt(), color=colour, label=label, marker="o", markersize=3, linewidth=1.5 if i else 5)
    ax.set(xlabel="spatial frequency (cycles per image)", ylabel="spectrum, root mean square", yscale="log")
    ax.legend()
    return figure


def class_shares(kinds: dict[str, tuple[list[float], str]], names=tuple("0123456789")):
    """Bars of class shares, {label: (share of each class, colour)}, with the uniform share as a line."""
    figure, ax = plt.subplots(figsize=(6, 2.6))
    width = 0.8 / len(kinds)
    for i, (label, (share, colour)) in enumerate(kinds.items()):
        ax.bar(np.arange(len(share)) + (i - (len(kinds) - 1) / 2) * width, share, width, color=colour, label=label)
    ax.axhline(1 / len(names), color="black", linewidth=0.8, linestyle=":")
    ax.set(xticks=range(len(names)), xticklabels=names, xlabel="class, by the classifier", ylabel="share")
    ax.legend(ncols=len(kinds))
    return figure


# chapter 10


REPORT = {  # measures of `ign_metrics.score` -> decimals, and how far a value is from that of real data, 0 to 1
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


def report_card(kinds: dict[str, tuple[Tensor, dict]], shown: int = 8):
    """Generators down, measures across: {name: (samples (n, C, H, W), row of `score`)}, the first of them real data.

    A strip of samples, then each measure as a number on a colour that says how far it is from that of real data.
    """
    rows = {name: row | {"sharpness": row["detail"] / next(iter(kinds.values()))[1]["detail"]} for name, (_, row) in kinds.items()}
    real = next(iter(rows.values()))
    far = np.array([[np.clip(off(row[name], real[name]), 0, 1) for name, (_, off) in REPORT.items()] for row in rows.values()])
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.2, 0.48 * len(rows) + 1.0), width_ratios=(1.0, 1.9))
    strip = torch.cat([x[:shown] for x, _ in kinds.values()])
    side = strip.shape[-1] + 2  # make_grid frames each image by 2 pixels
    left.imshow(_grid(strip, shown).permute(1, 2, 0).numpy(), aspect="auto")
    left.set_yticks([side * (i + 0.5) + 1 for i in range(len(rows))], rows)
    left.set_xticks([])
    left.tick_params(length=0)
    for ax in (left, right):
        ax.spines[:].set_visible(False)
    shades = right.imshow(far, cmap="Reds", vmin=0, vmax=1.25, aspect="auto")
    for i, row in enumerate(rows.values()):
        for j, (name, (digits, _)) in enumerate(REPORT.items()):
            right.text(j, i, f"{row[name]:,.{digits}f}", ha="center", va="center", fontsize=8, color="white" if far[i, j] > 0.8 else "black")
    right.set_xticks(range(len(REPORT)), REPORT, rotation=35, ha="left", rotation_mode="anchor")
    right.set_yticks([])
    right.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    bar = figure.colorbar(shades, ax=right, ticks=[0, 1], fraction=0.03, pad=0.02)
    bar.ax.set_yticklabels(["as real", "far off"])
    bar.ax.set_ylim(0, 1)
    return figure


def size_bias(series: dict[str, tuple[str, dict[int, list[float]], dict[int, list[float]], tuple[float, float]]], mean_term: float):
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


def birthdays(found: dict[str, tuple], columns: int = 3):
    """{name: (`ign_metrics.Birthday`, samples (n, C, H, W), colour)}: probability of a repetition, and the closest pairs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.2), width_ratios=(2.2, 1))
    for name, (birthday, _, colour) in found.items():
        dealt = birthday.dealt.sort().values.numpy()
        share = np.arange(1, len(dealt) + 1) / len(dealt)
        left.plot(dealt, share, color=colour, drawstyle="steps-post", label=f"{name}: about {float(f'{birthday.support:.1g}'):,.0f}")
        left.plot([birthday.batch], [0.5], "o", color=colour, markersize=5)
    left.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    left.set(xscale="log", xlabel="samples drawn", ylabel="probability of a near-duplicate", ylim=(0, 1.02))
    left.legend(title="support", loc="upper left", bbox_to_anchor=(0, 1))
    pairs = torch.cat([x[list(birthday.closest)] for birthday, x, _ in found.values()])
    images(pairs, 2, right)
    side = pairs.shape[-1] + 2
    for i, (name, (birthday, *_)) in enumerate(found.items()):
        right.text(-4, side * (i + 0.5), f"{name}\n{birthday.distance:.2f} apart", ha="right", va="center", fontsize=9)
    right.set_title("the closest pair of each")
    return figure


def cumulative(kinds: dict[str, tuple[Tensor, str]], label: str):
    """Share of values below t, against t: {name: (values (n,), colour)}."""
    figure, ax = plt.subplots(figsize=(6, 3))
    for name, (values, colour) in kinds.items():
        t = values.sort().values.numpy()
        ax.plot(np.concatenate([t[:1], t]), np.arange(len(t) + 1) / len(t), color=colour, drawstyle="steps-post", label=name, linewidth=1.8)
    ax.set(xlabel=label, ylabel="share that is as near", ylim=(0, 1.03))
    ax.legend(fontsize=9)
    return figure


STRENGTHS = {"precision": "#7a4fa3", "recall": "#3b7d8c", "coverage": "#1f1f1f", "confidence": "#b08a2e", "sharpness": "#c44e52"}


def strengths(rows: dict[float, dict]):
    """Measures against how strongly real images were blurred (negative) or had noise added: {strength: row of `score`}."""
    at = sorted(rows)
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
    left.legend(fontsize=8, ncols=3, loc="upper center")
    return figure


def strength(x: Tensor, row: dict, real: dict, top_fd: float):
    """One frame of the slider: ten samples, and beside real data (a line) the measures of `score` as bars."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 3.5), height_ratios=(1, 2.6))
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


def samples_of_run(family: str, variant: str, seed: int = 0) -> np.ndarray:
    """The samples that `train.py sweep` kept of a run: (H, W) uint8, in colour (H, W, 3), 40 images in rows of 20.

    FileNotFoundError: there are none.
    """
    from PIL import Image

    for folder in ign_core.shipped_in("results"):
        path = folder / "runs" / family / f"{variant}-s{seed}.png"
        if path.exists():
            with Image.open(path) as image:
                picture = np.asarray(image.convert("RGB"))
            grey = (picture == picture[..., :1]).all()
            return picture[..., 0] if grey else picture
    raise FileNotFoundError(f"there are no samples of {family}/{variant}-s{seed}; run `python train.py sweep {family}`.")


def strips(kinds: dict[str, np.ndarray]):
    """Ready-made pictures of one width below each other, as they are: {name: (H, W) or (H, W, 3)}."""
    height, width = np.max([picture.shape[:2] for picture in kinds.values()], axis=0)
    figure, axes = plt.subplots(len(kinds), 1, figsize=(9.4, 8.2 * height / width * len(kinds) + 0.1), squeeze=False)
    for ax, (name, picture) in zip(axes[:, 0], kinds.items()):
        ax.imshow(picture, vmin=0, vmax=255)
        ax.set_axis_off()
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center")
    return figure


def runs_by_measure(lines: dict[str, list[dict[str, float]]], measures: list[str]):
    """Runs as dots, {name: lines of `ign_metrics.summary`, one a seed}; a panel for each measure.

    The name "real" is drawn as a blue line across.
    """
    names = [name for name in lines if name != "real"]
    figure, axes = plt.subplots(1, len(measures), figsize=(1.45 * len(measures) + 1.4, 0.34 * len(names) + 1.0), sharey=True, squeeze=False)
    for ax, measure in zip(axes[0], measures):
        for line in lines.get("real", [])[:1]:
            ax.axvline(line[measure], color=DATA, linewidth=1.4)
        for i, name in enumerate(names):
            values = [line[measure] for line in lines[name] if measure in line]
            ax.plot(values, [-i] * len(values), "o", color=GENERATED, markersize=5, alpha=0.7)
        ax.set(xlabel=measure, ylim=(0.6 - len(names), 0.4))
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(axis="y", color="0.9")
    axes[0, 0].set_yticks([-i for i in range(len(names))], names)
    return figure


# chapter 11


def against_lambda(courses: dict[str, dict[float, list[dict]]], measures: dict[str, str], real: dict | None = None):
    """Measures of f(z) on MNIST against lambda, a panel each: {course's name: {lambda: lines of `ign_metrics.summary`, one a seed}}.

    measures: {key: axis label}; the key "excess" is drawn with its bound 1/lambda on a logarithmic axis.  real: the same
    line of real data.  The first course is drawn full, a second one dashed with open dots.
    """
    ratios = [ratio for runs in courses.values() for ratio in runs]
    figure, axes = plt.subplots(1, len(measures), figsize=(2.75 * len(measures), 3.0), squeeze=False, layout="constrained")
    for ax, (key, label) in zip(axes[0], measures.items()):
        ax.axvline(1, color="0.85", linewidth=6, zorder=0)
        if real and key in real:
            ax.axhline(real[key], color=DATA, linewidth=1.2, label="real data")
        for (name, runs), line, face in zip(courses.items(), ("-", (0, (4, 1.5))), (GENERATED, "white")):
            dots = [(ratio, one[key]) for ratio in sorted(runs) for one in runs[ratio]]
            means = [np.mean([one[key] for one in runs[ratio]]) for ratio in sorted(runs)]
            ax.plot(sorted(runs), means, color=GENERATED, linewidth=1.3, linestyle=line, label=name)
            ax.plot(*zip(*dots), "o", color=GENERATED, markerfacecolor=face, markersize=4, alpha=0.7)
        if key == "excess":
            t = np.linspace(min(ratios), max(ratios), 200)
            ax.plot(t, 1 / t, color="black", linestyle=":", linewidth=1.2, label="bound $1/\\lambda$")
            ax.set(yscale="log", ylim=(0.9, 12))
        else:
            ax.set_ylim(0, None)
        ax.set(xlabel="$\\lambda$ at the end", ylabel=label)
    handles = {text: handle for ax in axes[0] for handle, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, ncols=len(handles), loc="outside upper center", fontsize=8)
    return figure


def shares_against_bound(share: list[float], real: list[float], ratio: float, picture: np.ndarray, names=tuple("0123456789")):
    """One run: 40 of its samples, and its class shares with the bound real share / lambda above each bar.  A slider's frame."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 3.4), height_ratios=(1, 1.9))
    top.imshow(picture, vmin=0, vmax=255)
    top.set_axis_off()
    bottom.bar(range(len(share)), share, color=GENERATED, label="$f(z)$")
    edges = np.arange(len(real) + 1) - 0.5
    bottom.stairs(np.array(real) / ratio, edges, color="black", linestyle="--", label="bound: real share / $\\lambda$")
    bottom.stairs(real, edges, color=DATA, label="real share")
    bottom.set(xticks=range(len(names)), xticklabels=names, xlabel="class, by the classifier", ylabel="share", ylim=(0, 1))
    bottom.set_title(f"$\\lambda$ = {ratio:g}")
    bottom.legend(fontsize=8, loc="upper right")
    return figure


# chapter 8

# the clean image is data and the projections are generated; what goes in is hollow, the denoiser black
PROJECTORS = {"input": ("0.45", "o", False), "f": (GENERATED, "o", True), "f²": (REFINED, "D", True), "denoiser": ("black", "s", True)}
DETECTORS = {"drift of f": (DRIFT, "o", True), "change by the denoiser": ("black", "s", True)}


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
                (handles[kind],) = ax.plot(value, -i, mark, color=colour, markerfacecolor=colour if full else "white", markersize=5, alpha=0.85)
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
    figure.legend(handles.values(), handles, ncols=len(handles), loc="outside upper center", fontsize=8)
    return figure


def _numbers(ax, values: np.ndarray, names: list[str], title: str, shade: np.ndarray, dark: float, **colours):
    """A matrix of numbers on colours, a name below each column; numbers are white where |shade| exceeds dark."""
    shown = ax.imshow(shade, aspect="auto", **colours)
    for (i, j), value in np.ndenumerate(values):
        text = f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")
        ax.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if abs(shade[i, j]) > dark else "black")
    ax.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_title(title, fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return shown


def attribute_errors(kinds: dict[str, dict[str, list[float]]], names: list[str], chance: list[float]):
    """Mean errors of attributes in units of their ranges, {kind: {row: (m,)}}: numbers on a colour, a panel for each kind.

    chance: (m,), what two independent faces differ by: the colour is full there.
    """
    rows = list(next(iter(kinds.values())))
    figure, axes = plt.subplots(1, len(kinds), figsize=(0.3 * len(names) * len(kinds) + 1.2, 0.3 * len(rows) + 1.2), sharey=True, squeeze=False)
    for ax, (kind, errors) in zip(axes[0], kinds.items()):
        values = np.array([errors[row] for row in rows])
        _numbers(ax, values, names, kind, values / np.array(chance), 0.8, cmap="Reds", vmin=0, vmax=1.25)
    axes[0, 0].set_yticks(range(len(rows)), rows, fontsize=8)
    return figure


# chapter 9


def stretches(moved: dict[float, list[float]], ax=None):
    """How far f(z), f^2(z), ... move against the angle by which z is turned: {radians: [RMS move for each k]}; both logarithmic.

    A grey line has slope 1 through the first dot: a map that stretches all moves alike.
    """
    ax = ax or plt.subplots(figsize=(4.6, 3))[1]
    angles = sorted(moved)
    for k, colour, mark in zip(range(len(moved[angles[0]])), (GENERATED, REFINED, DRIFT), "os^"):
        ax.plot(angles, [moved[angle][k] for angle in angles], mark, linestyle="-", color=colour, label="$f(z)$" if k == 0 else f"$f^{k + 1}(z)$")
    ax.plot(angles, [moved[angles[0]][0] * angle / angles[0] for angle in angles], color="0.6", linewidth=1, linestyle="--", label="in proportion")
    ax.set(xscale="log", yscale="log", xlabel="$z$ turned by, radians", ylabel="image moved by, RMS")
    ax.legend(fontsize=8)
    return ax.figure


def stretches_of(models: dict[str, dict[float, list[float]]]):
    """`stretches` of several models side by side, {title: what it takes}."""
    figure, axes = plt.subplots(1, len(models), figsize=(4.3 * len(models), 3), sharey=True, squeeze=False)
    for ax, (title, moved) in zip(axes[0], models.items()):
        stretches(moved, ax)
        ax.set_title(title)
        ax.label_outer()
    return figure


def radii(draws: Tensor, real: Tensor, paths: dict[str, Tensor]):
    """Radii in white numbers, in units of sqrt(d): along paths, {kind: (steps, n)}, mean and range, and the laws of draws (grey)
    and of real images (blue), (n,) each."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.0), sharey=True, width_ratios=(1.7, 1))
    for (name, values), shade in zip(paths.items(), plt.get_cmap("magma")(np.linspace(0.1, 0.75, len(paths)))):
        t = np.linspace(0, 1, len(values))
        left.fill_between(t, values.amin(1), values.amax(1), color=shade, alpha=0.25, linewidth=0)
        left.plot(t, values.mean(1), color=shade, label=name, linewidth=1.8)
    left.set(xlabel="position on the path, $t$", ylabel="radius of $e$, in units of $\\sqrt{d}$", ylim=(0.4, 1.6))
    left.legend(fontsize=8, loc="upper left", ncols=len(paths))
    bins = np.linspace(0.4, 1.6, 61)
    for values, colour, name in ((draws, SOURCE, "draws"), (real, DATA, "real images")):
        right.hist(values.numpy(), bins, weights=np.full(len(values), 1 / len(values)), orientation="horizontal", color=colour,
                   alpha=0.8, label=name)  # fmt: skip
    right.set(xlabel="share of images")
    right.legend(fontsize=8)
    return figure


def changes(panels_: dict[str, dict[str, dict[str, float]]], columns: int = 3, top: float = 0.5):
    """What a move along a direction changes, {title: {direction: {attribute: change}}}: a number on a colour, white for none.

    Where direction and attribute have one name, the change that was asked for, the cell has a frame.
    """
    first = next(iter(panels_.values()))
    lines, names = -(-len(panels_) // columns), list(next(iter(first.values())))
    size = (0.42 * len(names) * min(columns, len(panels_)) + 1.5, lines * (0.3 * len(first) + 1.05))
    figure, axes = plt.subplots(lines, min(columns, len(panels_)), figsize=size, sharex=True, sharey=True, squeeze=False)
    for ax, (title, rows) in zip(axes.flat, panels_.items()):
        values = np.array([[row[name] for name in names] for row in rows.values()])
        shown = _numbers(ax, values, names, title, values, 0.7 * top, cmap="RdBu_r", vmin=-top, vmax=top)
        for i, j in ((i, names.index(row)) for i, row in enumerate(rows) if row in names):
            ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.6))
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
    for ax in axes.flat[len(panels_) :]:
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes, label="change, share of the range", fraction=0.03, pad=0.02)
    return figure


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


def numbered(x: Tensor, columns: int = 12, start: int = 0):
    """A contact sheet, to pick draws from: images (n, C, H, W) with their indices, from `start` on."""
    figure, ax = plt.subplots(figsize=(columns * 0.75, -(-len(x) // columns) * 0.75))
    images(x, columns, ax)
    side = x.shape[-1] + 2
    for i in range(len(x)):
        ax.text(side * (i % columns) + 4, side * (i // columns) + 4, str(start + i), fontsize=7, color="white", va="top",
                bbox={"facecolor": "black", "edgecolor": "none", "pad": 1, "alpha": 0.6})  # fmt: skip
    return figure


# the cover


def cover(x: Tensor, z: Tensor, fz: Tensor, ffz: Tensor):
    """Noise on its way to a curve: a line from each z to f(z), a short one on to f(f(z)).  x (m, 2), the others (n, 2)."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

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
