"""Memory of one training step: the literal algorithm as it is published, the one-graph step, and that with recomputing.

    python benchmarks/memory.py [--recipes mnist-narrow faces-narrow] [--device cpu] [--out ignbook/shipped/results/memory.json]

On a GPU what PyTorch has allocated at most.  On a CPU what the step's tensors take at most, in float32, followed by their
shapes without computing them (torch's FakeTensorMode): so the number is the same on every processor.
"""

import weakref
from contextlib import nullcontext
from pathlib import Path

import torch
import tyro
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

import ign_core
import ignbook.baselines
import ignbook.checkpoints
import ignbook.recipes


class Live(TorchDispatchMode):
    """Within it every storage that an operation makes counts while it lives, and those of the tensors `held`.  peak: bytes."""

    def __init__(self, held: list):
        super().__init__()
        self.now, self.peak, self.known = 0, 0, WeakIdKeyDictionary(ref_type=weakref.ref)
        self.count(held)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.count(tree_leaves(made))
        return made

    def count(self, tensors: list) -> None:
        for storage in [t.untyped_storage() for t in tensors if isinstance(t, torch.Tensor)]:
            if storage not in self.known:
                self.known[storage] = None
                weakref.finalize(storage, self.free, storage.nbytes())
                self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)

    def free(self, n: int) -> None:
        self.now -= n


def peak(recipe: ign_core.Recipe, device: str, literal: bool = False, recompute: bool = False) -> int:
    """Bytes that a step takes at most, when Adam has its moments: batch, weights, gradients, optimiser, average, passes.

    literal: four applications and a second network that holds a copy of the weights, as in the paper's listing.
    """
    cuda = torch.device(device).type == "cuda"
    with nullcontext() if cuda else FakeTensorMode():
        f: nn.Module = ign_core.build(recipe)
        others = [ign_core.build(recipe).requires_grad_(False) for _ in range(1 + literal)]  # the average, the copy
        if cuda:
            f, *others = (net.to(device) for net in (f, *others))
        x, z = (torch.zeros(recipe.batch, *recipe.shape, device=device) for _ in range(2))
        f = ignbook.baselines.recomputing(f) if recompute else f
        adam = torch.optim.Adam(f.parameters(), recipe.lr, recipe.betas)
        loss = ign_core.literal_objective if literal else ign_core.objective

        def step() -> None:
            adam.zero_grad()
            loss(f, x, z, tightness=recipe.tightness, clamp=recipe.clamp, distance=recipe.distance).total.backward()
            adam.step()

        step()
        if cuda:
            torch.cuda.reset_peak_memory_stats()
            step()
            return torch.cuda.max_memory_allocated()
        held = [x, z, *f.parameters(), *(p for other in others for p in other.parameters()), *(p.grad for p in f.parameters())]
        with Live([*held, *tree_leaves(list(adam.state.values()))]) as live:
            step()
        return live.peak


def main(recipes: tuple[str, ...] = ("mnist-narrow", "faces-narrow"), device: str = "cuda" if torch.cuda.is_available() else "cpu",
         out: Path | None = None) -> None:  # fmt: skip
    """Print a table of the three, with ratios.

    Args:
        recipes: Whose network and batch size to take.
        device: Where.
        out: A JSON file for the same numbers.
    """
    name = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else "cpu, counted"
    result: dict = {"device": name, "torch": torch.__version__, "recipes": {}}
    print(f"{name}\n\n| recipe | batch | step | MB | ratio |\n|---|---|---|---|---|")
    for chosen in recipes:
        recipe = ignbook.recipes.recipe(chosen)
        found = {"literal": peak(recipe, device, literal=True), "one graph": peak(recipe, device),
                 "one graph, recomputed": peak(recipe, device, recompute=True)}  # fmt: skip
        rows = {row: {"MB": round(n / 1e6, 1), "ratio": round(n / found["literal"], 2)} for row, n in found.items()}
        result["recipes"][chosen] = {"batch": recipe.batch, "rows": rows}
        for row, numbers in rows.items():
            print(f"| {chosen} | {recipe.batch} | {row} | {numbers['MB']:.1f} | {numbers['ratio']:.2f} |")
    if out is not None:
        ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
