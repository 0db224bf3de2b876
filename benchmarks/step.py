"""Images a second of one training step: as public code takes it, in one graph, in bf16, and with fewer z.

    python benchmarks/step.py --batches 32 64 128 256 --threads 1 2 --out ignbook/shipped/results/step.json      ten minutes on idle cores
    python benchmarks/step.py --recipes small faces-quick --out ignbook/shipped/results/step_small.json

Side by side, by turns.  Beside each rate stands the share that its counted operations are of what a plain matrix product
reaches on the same machine in the same round and type of numbers.  Each convolution is timed by itself too, which bounds
that share: no step can be faster than its convolutions are.  Chapters 2 and 12 show step.json, and chapter 12 has
quality against time by step_small.json.
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


def convolutions_of(recipe: ign_core.Recipe, device: str, dtype: torch.dtype) -> dict:
    """{(layer, direction, type of numbers): (one call of a batch, its operations, calls in a step in one graph)}."""
    f, inputs, found = ign_core.build(recipe).to(device), {}, {}
    layers = [layer for layer in f.modules() if type(layer) in (torch.nn.Conv2d, torch.nn.ConvTranspose2d)]
    for layer in layers:
        layer.register_forward_hook(lambda layer, given, _: inputs.update({layer: given[0].detach().to(dtype)}))
    f(torch.zeros(recipe.batch, *recipe.shape, device=device))
    for layer, y in inputs.items():
        turned, weight = isinstance(layer, torch.nn.ConvTranspose2d), layer.weight.detach().to(dtype)
        how = layer.stride, layer.padding, layer.dilation, turned, layer.output_padding, layer.groups
        forward = partial(torch.ops.aten.convolution, y, weight, None, *how)
        back = partial(torch.ops.aten.convolution_backward, torch.ones_like(forward()), y, weight, None, *how)
        first = layer is layers[0]  # x and z take no gradient, only f(z) does
        for direction, call, times in (
            ("forward", forward, 3),
            ("to its input", partial(back, [True, False, False]), 1 if first else 3),
            ("to its weights", partial(back, [False, True, False]), 3),
        ):
            with FlopCounterMode(display=False) as counter:
                call()
            name = f"{layer.in_channels} to {layer.out_channels} channels at {y.shape[-1]} pixels"
            found[name, direction, dtype] = call, counter.get_total_flops(), times
    return found


def measured(recipe: ign_core.Recipe, rounds: int, device: str, threads: int) -> dict:
    """The rows of one recipe, batch size and number of threads."""
    torch.set_num_threads(threads)
    kinds, alone, products = kinds_of(recipe, device), {}, {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(2, GEMM, GEMM, device=device, dtype=dtype)
        products[str(dtype)] = partial(torch.mm, a, b)
        alone |= convolutions_of(recipe, device, dtype)
    seconds = turns({name: kind[0] for name, kind in (kinds | alone).items()} | products, rounds, device)
    spent = {name: statistics.median(seconds.pop(name)) for name in alone}
    gemm = {name: 2 * GEMM**3 / statistics.median(seconds.pop(name)) for name in products}
    rows = rates(seconds, recipe.batch)
    for name, (_, operations, dtype) in kinds.items():
        reached = operations / statistics.median(seconds[name])
        rows[name] |= {"operations": operations, "share of GEMM": round(reached / gemm[str(dtype)], 3)}
    found = {}
    for name, dtype in (("one graph, float32", torch.float32), ("one graph, bf16", torch.bfloat16)) if alone else ():
        own = {layer: (spent[layer], *kind[1:]) for layer, kind in alone.items() if layer[2] is dtype}
        total, rate = sum(once * times for once, _, times in own.values()), gemm[str(dtype)]
        shares = {", ".join(layer[:2]): round(ops / once / rate, 3) for layer, (once, ops, _) in own.items()}
        found[name] = {
            "share of the step's time": round(total / statistics.median(seconds[name]), 3),
            "share of GEMM": round(sum(ops * times for _, ops, times in own.values()) / total / rate, 3),
            "share of GEMM of a step with nothing else to do": round(kinds[name][1] / total / rate, 3),
            "each": shares,
        }
    about = {"recipe": recipe.name, "batch": recipe.batch, "threads": threads, "GEMM": gemm}
    return about | {"rows": rows, "convolutions": found}


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
        named = vars(ignbook.recipes).get(name)  # `small` is one of no training by itself
        recipe = named if isinstance(named, ign_core.Recipe) else ignbook.recipes.recipe(name)
        for chosen in (replace(recipe, batch=batch) for batch in batches or (recipe.batch,)):
            for number in threads:
                runs.append(measured(chosen, rounds, device, number))
                print(f"{name}, batch {chosen.batch}, {device}, {number} thread(s)\n\n{table(runs[-1]['rows'])}\n", flush=True)
    if out is not None:
        about = {"device": device, "rounds": rounds, "torch": torch.__version__}
        ignbook.checkpoints.write_json(out, about | {"runs": runs})


if __name__ == "__main__":
    tyro.cli(main)
