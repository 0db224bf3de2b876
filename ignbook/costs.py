"""What a training would take, counted before it begins: parameters, operations of a step, memory, and time.

One step is run with random data, its operations are counted (torch.utils.flop_counter: matrix products and convolutions), as are
the numbers that its forward passes keep for the backward.  A few more steps are timed.  All of it grows with the batch.
"""

import time
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import ign_core
import ignbook.baselines
import ignbook.checkpoints

# dense 16-bit operations a second, by their makers' data sheets
GPUS = {"T4": 65e12, "A100": 312e12, "H100 SXM": 990e12}
SHARE = 0.25  # of that rate that such small convolutions reach: an assumption
# bytes of a parameter: f, gradients, Adam's two moments, the average, and a copy of f and average that is known good
HELD = 28
FEW = 32  # images of the step that is counted; all of it but the weights' update grows in proportion


def counted(recipe: ign_core.Recipe, few: int = FEW, timed: int = 0, fabric=None) -> dict[str, float]:
    """Of one step of the recipe: "operations" (floating-point, a multiply-add is 2), "kept" (numbers for the backward), and
    the network's "parameters"; with `timed` steps more, also "seconds", the shortest of theirs.

    few: samples of the step that is run.  fabric: where and in which precision; none: the CPU's of a plain `Fabric`, in float32.
    ValueError: the recipe can't be built, as of a remedy whose package is missing.
    """
    few = min(few, recipe.batch)
    start = recipe.start if recipe.method in ("settle", "keep") else ""  # these make no sense, and are refused, without one
    small = replace(recipe, batch=few, steps=1 + timed, precision="32-true", start=start)
    data = torch.rand(4 * few, *recipe.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    f, source, loss = ignbook.baselines.parts(small, data)
    run, kept, seconds = ign_core.Run(f, source, small, fabric), 0, []
    weights = {p.untyped_storage().data_ptr() for p in run.f.parameters()}  # there anyway, whatever the batch

    def pack(t: Tensor) -> Tensor:
        nonlocal kept
        kept += 0 if t.untyped_storage().data_ptr() in weights else t.numel()
        return t

    steps = run.train(data, loss)
    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        next(steps)
    for _ in range(timed):
        began = time.perf_counter()
        next(steps)[1].total.item()  # waits for a GPU
        seconds.append(time.perf_counter() - began)
    scale = recipe.batch / few
    found = {"operations": counter.get_total_flops() * scale, "kept": kept * scale}
    found["parameters"] = sum(p.numel() for p in run.average.parameters())
    return found | ({"seconds": min(seconds) * scale} if timed else {})


def minutes(recipe: ign_core.Recipe, operations: float) -> dict[str, float]:
    """Of the whole training on each of `GPUS`, from the operations of a step: an estimate, no measurement."""
    return {gpu: recipe.steps * operations / (SHARE * rate) / 60 for gpu, rate in GPUS.items()}


def summary(recipe: ign_core.Recipe) -> str:
    """What the recipe's training would take, as lines for a reader; on what this machine has, and on `GPUS`.  Errors: `counted`."""
    fabric = ignbook.checkpoints.fabric(recipe.precision)
    whole = len(recipe.shape) == 1 or fabric.device.type != "cpu"  # a step of few would be all overhead
    found = counted(recipe, recipe.batch if whole else FEW, 5, fabric)
    precision = str(fabric._precision.precision)
    held = HELD * found["parameters"]
    passes = (4 if precision.startswith("32") else 2) * found["kept"]
    cards = ", ".join(f"{gpu} {_digits(spent)}" for gpu, spent in minutes(recipe, found["operations"]).items())
    return "\n".join((
        f"{recipe.name}: {found['parameters']:,} parameters; nothing is trained",
        f"a step of {recipe.batch} samples: {found['operations']:.3g} operations",
        f"memory: about {(held + passes) / 1e6:,.0f} MB, of which {held / 1e6:,.0f} MB for weights and the rest for the passes; the data come on top",
        f"time here: about {_digits(recipe.steps * found['seconds'] / 60)} minutes for {recipe.steps:,} steps ({fabric.device.type}, {precision})",
        f"time elsewhere, in minutes, at {SHARE:.0%} of the published 16-bit rate, counted and not measured (small networks don't "
        f"reach it): {cards}",
    ))  # fmt: skip


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
