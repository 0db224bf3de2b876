"""What a step costs as images, widths and batches grow: measured for what fits, and by a model of it for what doesn't.

    python benchmarks/scale.py [--threads 1] [--few] [--out ignbook/shipped/results/scale.json]

Seconds are modelled as a sum of three parts, each in proportion to what `ignbook.costs` counts: operations, numbers kept for
the backward pass, and parameters.  The three rates are fitted to the sizes up to 64 pixels and tried on 128.  Three large
trainings are then counted for a GPU by their operations, as `benchmarks/estimate.py` does.  Chapter 12 shows the file.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
import tyro
from scipy.optimize import nnls

import ignbook.checkpoints
import ignbook.recipes
from ignbook.costs import GPUS, HELD, SHARE, counted, minutes

PARTS = ("operations", "kept", "parameters")
SIDES, WIDTHS, BATCHES, HELD_OUT = (32, 64, 128), (8, 16, 32), (16, 64), 128
# images of the data set, and how often a training sees each of them
LARGE = {
    "CelebA 64, as `faces-gpu`": (ignbook.recipes.faces_gpu, 162_770, None),
    "CelebA-HQ 256": (replace(ignbook.recipes.faces_gpu, size=256, width=32, code=512, batch=128), 28_000, 500),
    "ImageNet 64": (replace(ignbook.recipes.faces_gpu, width=128, code=1024, batch=1024), 1_281_167, 100),
}


def points(threads: int, few: bool = False) -> list[dict]:
    """What was counted and timed for each side, width and batch.  few: the smallest alone."""
    torch.set_num_threads(threads)
    fabric, rows = ignbook.checkpoints.fabric("auto"), []
    for side, width, batch in list(product(SIDES, WIDTHS, BATCHES))[: 4 if few else None]:
        recipe = replace(ignbook.recipes.faces_narrow, size=side, width=width, batch=batch)
        rows.append({"side": side, "width": width, "batch": batch, **counted(recipe, batch, 5, fabric)})
        print(rows[-1], flush=True)
    return rows


def fitted(rows: list[dict]) -> dict[str, float]:
    """Seconds for each operation, kept number and parameter, none below 0, by least squares of the relative errors."""
    columns = np.array([[row[part] / row["seconds"] for part in PARTS] for row in rows])
    scale = columns.max(0)
    return dict(zip(PARTS, (nnls(columns / scale, np.ones(len(rows)))[0] / scale).tolist()))


def predicted(rates: dict[str, float], row: dict) -> float:
    """Seconds of a step."""
    return sum(rates[part] * row[part] for part in PARTS)


def large() -> dict[str, dict]:
    """Counts and GPU-minutes of the large trainings, from a step of two images."""
    found = {}
    for name, (recipe, images, epochs) in LARGE.items():
        steps = recipe.steps if epochs is None else epochs * images // recipe.batch
        recipe = replace(recipe, steps=steps)
        step = counted(recipe, 2)
        found[name] = {"side": recipe.size, "width": recipe.width, "batch": recipe.batch, "steps": steps, **step,
                       "epochs": round(steps * recipe.batch / images), "minutes": minutes(recipe, step["operations"]),
                       "bytes": 2 * step["kept"] + HELD * step["parameters"]}  # fmt: skip
    return found


def main(threads: int = 1, few: bool = False, out: Path | None = None) -> None:
    """Measure, fit, count, and print.

    Args:
        threads: CPU threads.
        few: The smallest points alone, and no large training.
        out: A JSON file for all of it.
    """
    rows = points(threads, few)
    known = [row for row in rows if row["side"] != HELD_OUT]
    rates = fitted(known)
    for row in rows:
        row["predicted"] = predicted(rates, row)
        print(f"{row['side']:4} {row['width']:3} {row['batch']:3}: {row['seconds']:.3f} s, predicted {row['predicted']:.3f}")
    result = {"threads": threads, "held out": HELD_OUT, "rates": rates, "points": rows, "GPUs": GPUS, "share": SHARE}
    if not few:
        result["large"] = large()
        for name, row in result["large"].items():
            print(f"{name}: {row['parameters'] / 1e6:.0f} M parameters, {row['minutes']['A100'] / 60:.1f} hours of an A100")
    if out is not None:
        ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
