"""What a training would take on a GPU that isn't here: counted floating-point operations and bytes, and what they come to.

    python benchmarks/estimate.py faces-gpu --out results/estimate.json

One step is run on the CPU, with a few images, and its operations are counted (torch.utils.flop_counter), as are the bytes
that its forward passes keep for the backward.  Minutes follow from a GPU's published rate and a share of it that such small
convolutions reach, which is an assumption and stands beside the number.  An estimate, no measurement.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode

import ign_core
import ignbook.checkpoints
import ignbook.recipes
import ignbook.remedies

# dense 16-bit operations a second, by their makers' data sheets
GPUS = {"T4": 65e12, "A100": 312e12, "H100 SXM": 990e12}
SHARE = 0.25  # of that rate
FEW = 32  # images of the step that is counted; all of it but the weights' update grows in proportion


def counted(recipe: ign_core.Recipe) -> dict[str, float]:
    """Operations and bytes of one step of the recipe, its batch of random images."""
    few = replace(recipe, batch=FEW, steps=1, precision="32-true", start="")
    data = torch.rand(4 * FEW, *recipe.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    run = ign_core.Run(ign_core.build(few), ign_core.source_of(few, data), few)
    kept = 0

    def pack(t: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += 2 * t.numel()  # in 16-bit floats
        return t

    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        list(run.train(data, ignbook.remedies.loss_of(few)))
    weights = sum(p.numel() for p in run.average.parameters())
    scale = recipe.batch / FEW
    return {"operations": counter.get_total_flops() * scale, "bytes": kept * scale + 20 * weights, "parameters": weights}


def main(name: Annotated[str, tyro.conf.Positional] = "faces-gpu", out: Path | None = None) -> None:
    """Print, and write, the estimate.

    Args:
        name: A recipe's name.
        out: A JSON file for it.
    """
    recipe = ignbook.recipes.recipe(name)
    step = counted(recipe)
    result = {"recipe": name, "steps": recipe.steps, "batch": recipe.batch, "share": SHARE, **step}
    result["minutes"] = {
        gpu: recipe.steps * step["operations"] / (SHARE * rate) / 60 for gpu, rate in GPUS.items()
    }  # forward, backward and the remedies' passes
    print(json.dumps(result, indent=1))
    if out is not None:
        ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
