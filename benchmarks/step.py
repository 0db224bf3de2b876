"""Images a second of one training step: the literal algorithm, the one-graph step, and that in bf16.

    python benchmarks/step.py [--recipe mnist] [--rounds 15] [--device cpu] [--threads 1] [--out results/step.json]

All three run side by side in one process, turn by turn, so that a busy machine slows them alike; medians and ratios.
`--out` keeps them in a file; chapter 2 shows results/step.json.
"""

import json
import statistics
import time
from pathlib import Path

import torch
import tyro

import ign_core
import recipes


def main(
    recipe: str = "mnist",
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
    r = recipes.recipe(recipe)
    g = torch.Generator().manual_seed(0)
    x, z = (torch.rand(r.batch, *r.shape, generator=g).to(device) * 2 - 1 for _ in range(2))
    kinds = {
        "literal, float32": (ign_core.literal_objective, False),
        "one graph, float32": (ign_core.objective, False),
        "one graph, bf16": (ign_core.objective, True),
    }
    runs = {}
    for name, (loss, half) in kinds.items():
        f = ign_core.build(r).to(device)
        runs[name] = (f, torch.optim.Adam(f.parameters(), r.lr, r.betas), loss, half, [])

    for turn in range(rounds + 2):
        for f, optimiser, loss, half, seconds in runs.values():
            _wait(device)
            began = time.perf_counter()
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                total = loss(f, x, z, tightness=r.tightness, clamp=r.clamp, distance=r.distance).total
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            _wait(device)
            if turn >= 2:  # the first two warm up
                seconds.append(time.perf_counter() - began)

    rates = {name: r.batch / statistics.median(seconds) for name, (*_, seconds) in runs.items()}
    base = rates["literal, float32"]
    result = {"recipe": recipe, "batch": r.batch, "device": device, "threads": threads, "rounds": rounds, "torch": torch.__version__}
    result["rows"] = {name: {"images a second": round(rate), "ratio": round(rate / base, 2)} for name, rate in rates.items()}
    print(f"{recipe}, batch {r.batch}, {device}, {threads} thread(s)\n\n| step | images a second | ratio |\n|---|---|---|")
    for name, row in result["rows"].items():
        print(f"| {name} | {row['images a second']} | {row['ratio']:.2f} |")
    if out is not None:
        ign_core.write_file(out, (json.dumps(result, indent=1) + "\n").encode())


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    tyro.cli(main)
