"""What each remedy of chapter 11 costs: images a second of one training step, against the step without any.

    python benchmarks/remedies.py [--recipe mnist-narrow] [--rounds 15] [--device cpu] [--threads 1] [--out ignbook/shipped/results/remedies_step.json]

Side by side; medians and ratios, every distance and every extra term that `ignbook.remedies` knows.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import tyro
from side_by_side import rates, table, trained, turns

import ign_core
import ignbook.checkpoints
import ignbook.recipes
import ignbook.remedies


def main(
    recipe: str = "mnist-narrow",
    rounds: int = 15,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    threads: int = 1,
    out: Path | None = None,
) -> None:
    """Print a table, with ratios.

    Args:
        recipe: Whose network and batch size to take.
        rounds: Timed turns of each.
        device: Where.
        threads: CPU threads.
        out: A JSON file for the same numbers.
    """
    torch.set_num_threads(threads)
    plain = replace(ignbook.recipes.recipe(recipe), extras={}, distance="l1")
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(plain.batch, *plain.shape, generator=g).to(device) * 2 - 1 for _ in range(2))
    variants = {"none": plain}
    variants |= {name: replace(plain, extras={name: 1.0}) for name in ignbook.remedies.EXTRAS}
    variants |= {name: replace(plain, distance=name) for name in ign_core.DISTANCES if name not in ("l1", "l2")}

    def step(f, r, loss):
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            return loss(f, x, z, tightness=r.tightness, clamp=r.clamp, distance=r.distance).total

    kinds = {}
    for name, r in variants.items():
        f = ign_core.build(r).to(device)
        kinds[name] = trained(f, plain, partial(step, f, r, ignbook.remedies.loss_of(r)))
    rows = rates(turns(kinds, rounds, device), plain.batch)
    print(f"{plain.name}, batch {plain.batch}, {device}, {threads} thread(s)\n\n{table(rows)}")
    if out is not None:
        about = {"recipe": plain.name, "batch": plain.batch, "device": device, "threads": threads, "rounds": rounds}
        ignbook.checkpoints.write_json(out, about | {"torch": torch.__version__, "rows": rows})


if __name__ == "__main__":
    tyro.cli(main)
