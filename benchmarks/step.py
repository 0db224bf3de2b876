"""Images a second of one training step: the literal algorithm, the one-graph step, and that in bf16.

    python benchmarks/step.py [--recipe mnist-narrow] [--rounds 15] [--device cpu] [--threads 1] [--out results/step.json]

Side by side; medians and ratios.  `--out` keeps them in a file; chapter 2 shows results/step.json.
"""

from functools import partial
from pathlib import Path

import torch
import tyro
from side_by_side import rates, report

import ign_core
import ignbook.recipes


def main(
    recipe: str = "mnist-narrow",
    rounds: int = 15,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    threads: int = 1,
    out: Path | None = None,
) -> None:
    """Print a table of the three, with ratios.

    Args:
        recipe: Whose network and batch size to take.
        rounds: Timed turns of each.
        device: Where.
        threads: CPU threads.
        out: A JSON file for the same numbers.
    """
    torch.set_num_threads(threads)
    r = ignbook.recipes.recipe(recipe)
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(r.batch, *r.shape, generator=g).to(device) * 2 - 1 for _ in range(2))

    def step(f, loss, half):
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            return loss(f, x, z, tightness=r.tightness, clamp=r.clamp, distance=r.distance).total

    kinds = {}
    for name, loss, half in (
        ("literal, float32", ign_core.literal_objective, False),
        ("one graph, float32", ign_core.objective, False),
        ("one graph, bf16", ign_core.objective, True),
    ):
        f = ign_core.build(r).to(device)
        kinds[name] = f, partial(step, f, loss, half)
    report(rates(kinds, r, rounds, device), r, rounds, device, threads, out)


if __name__ == "__main__":
    tyro.cli(main)
