"""What a training would take on a GPU that isn't here: counted floating-point operations and bytes, and what they come to.

    python benchmarks/estimate.py faces-gpu --out ignbook/shipped/results/estimate.json

`ignbook.costs` counts the operations of one step, and the numbers that its forward passes keep for the backward, here as 16-bit
floats.  Minutes follow from a GPU's published rate and a share of it that such small convolutions reach, which is an
assumption and stands beside the number.  An estimate, no measurement.
"""

import json
from pathlib import Path
from typing import Annotated

import tyro

import ignbook.checkpoints
import ignbook.recipes
from ignbook.costs import SHARE, counted, minutes


def main(name: Annotated[str, tyro.conf.Positional] = "faces-gpu", out: Path | None = None) -> None:
    """Print, and write, the estimate.

    Args:
        name: A recipe's name.
        out: A JSON file for it.
    """
    recipe = ignbook.recipes.recipe(name)
    step = counted(recipe)
    step["bytes"] = 2 * step.pop("kept") + 20 * step["parameters"]
    result = {"recipe": name, "steps": recipe.steps, "batch": recipe.batch, "share": SHARE, **step}
    result["minutes"] = minutes(recipe, step["operations"])
    print(json.dumps(result, indent=1))
    if out is not None:
        ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
