"""Chapter 12: what a step costs."""

import matplotlib.pyplot as plt

from ignbook.checks import door
from ignbook.plots.base import DATA, GENERATED, SOURCE


@door
def costs(points: list[dict], held_out: int):
    """Seconds of a step against its operations, and as a model of it predicts them.

    points: with "side", "operations", "seconds" and "predicted".  held_out: the side in pixels that the model wasn't fitted to.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 3.8), layout="constrained")
    for fitted, colour in ((True, DATA), (False, GENERATED)):
        part = [point for point in points if (point["side"] != held_out) == fitted]
        label = f"{', '.join(str(side) for side in sorted({point['side'] for point in part}))} pixels"
        style: dict = {"color": colour, "linestyle": "", "marker": "o", "markersize": 5}
        for ax, key in zip(axes, ("operations", "predicted")):
            ax.plot([point[key] for point in part], [point["seconds"] for point in part], label=label, **style)
    ends = [min(point["seconds"] for point in points) / 2, max(point["seconds"] for point in points) * 2]
    axes[1].plot(ends, ends, color=SOURCE, linewidth=1)
    axes[0].set(xlabel="operations of a step", ylabel="seconds, measured", xscale="log", yscale="log")
    axes[1].set(xlabel="seconds, predicted", xscale="log", yscale="log")
    axes[1].legend(title="sides of the images")
    return figure
