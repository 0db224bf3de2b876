"""Images a second of one training step: as public code takes it, in one graph, in bf16, and with fewer z.

    python benchmarks/step.py [--recipes mnist-narrow faces-narrow] [--batches 64 256] [--threads 1 2] [--out results/step.json]
    python benchmarks/step.py --recipes small faces-quick --out results/step_small.json

Side by side, by turns.  Beside each rate stands the share that its counted operations are of what a plain matrix product
reaches on the same machine in the same round and type of numbers.  Chapters 2 and 12 show results/step.json, and chapter 12
has quality against time by results/step_small.json.
"""

import statistics
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import tyro
from side_by_side import rates, table, trained, turns
from torch.utils.flop_counter import FlopCounterMode

import ign_core
import ignbook.checkpoints
import ignbook.recipes

GEMM = 2048  # side of the matrices


def published(f: torch.nn.Module):
    """The paper's listing as public code has it: a second network, the weights copied into it at each step, four passes."""
    copy = deepcopy(f).requires_grad_(False)

    def loss(f, x, z, *, tightness, clamp, distance):
        copy.load_state_dict(f.state_dict())
        D = ign_core.distance_of(distance)
        fx, fz = f(x), f(z)
        away, _ = ign_core.clamped(D(fz.detach(), f(fz.detach())), D(z, fz).detach(), clamp)
        return 20 * D(x, fx).mean() + 20 * D(fz, copy(fz)).mean() - tightness * away.mean()

    return loss


def kinds_of(recipe: ign_core.Recipe, device: str) -> dict:
    """{name: (a step of training, its counted operations, the type of its numbers)}."""
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(recipe.batch, *recipe.shape, generator=g).to(device) * 2 - 1 for _ in range(2))

    def one_graph(f, *inputs, **options):
        return ign_core.objective(f, *inputs, **options).total

    found = {}
    for name, kind, dtype, share in (
        ("published style, float32", published, torch.float32, 1),
        ("one graph, float32", None, torch.float32, 1),
        ("one graph, bf16", None, torch.bfloat16, 1),
        ("one graph, bf16, half of z", None, torch.bfloat16, 2),
        ("one graph, bf16, quarter of z", None, torch.bfloat16, 4),
    ):
        f = ign_core.build(recipe).to(device)
        loss = kind(f) if kind else one_graph
        step = trained(f, recipe, partial(_loss, loss, f, x, z[: max(recipe.batch // share, 1)], recipe, dtype))
        with FlopCounterMode(display=False) as counter:
            step()
        found[name] = step, counter.get_total_flops(), dtype
    return found


def _loss(loss, f, x, z, recipe, dtype) -> torch.Tensor:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
        return loss(f, x, z, tightness=recipe.tightness, clamp=recipe.clamp, distance=recipe.distance)


def measured(recipe: ign_core.Recipe, rounds: int, device: str, threads: int) -> dict:
    """The rows of one recipe, batch size and number of threads."""
    torch.set_num_threads(threads)
    kinds, products = kinds_of(recipe, device), {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2, GEMM, GEMM, device=device, dtype=dtype)
        products[str(dtype)] = partial(torch.mm, a, b)
    seconds = turns({name: kind[0] for name, kind in kinds.items()} | products, rounds, device)
    gemm = {name: 2 * GEMM**3 / statistics.median(seconds.pop(name)) for name in products}
    rows = rates(seconds, recipe.batch)
    for name, (_, operations, dtype) in kinds.items():
        reached = operations / statistics.median(seconds[name])
        rows[name] |= {"operations": operations, "share of GEMM": round(reached / gemm[str(dtype)], 3)}
    return {"recipe": recipe.name, "batch": recipe.batch, "threads": threads, "GEMM": gemm, "rows": rows}


def main(
    recipes: tuple[str, ...] = ("mnist-narrow", "faces-narrow"),
    batches: tuple[int, ...] = (),
    threads: tuple[int, ...] = (1,),
    rounds: int = 15,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    out: Path | None = None,
) -> None:
    """Print a table for each, with ratios.

    Args:
        recipes: Whose networks to take.
        batches: Images a step; none: the recipe's.
        threads: CPU threads.
        rounds: Timed turns of each.
        device: Where.
        out: A JSON file for the same numbers.
    """
    runs = []
    for name in recipes:
        recipe = ignbook.recipes.small if name == "small" else ignbook.recipes.recipe(name)
        for chosen in (replace(recipe, batch=batch) for batch in batches or (recipe.batch,)):
            for number in threads:
                runs.append(measured(chosen, rounds, device, number))
                print(f"{name}, batch {chosen.batch}, {device}, {number} thread(s)\n\n{table(runs[-1]['rows'])}\n", flush=True)
    if out is not None:
        about = {"device": device, "rounds": rounds, "torch": torch.__version__}
        ignbook.checkpoints.write_json(out, about | {"runs": runs})


if __name__ == "__main__":
    tyro.cli(main)
