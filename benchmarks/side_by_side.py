"""Steps of training timed side by side in one process, turn by turn, so that a busy machine slows them alike."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

import ignbook.checkpoints


def rates(
    kinds: dict[str, tuple[torch.nn.Module, Callable[[], torch.Tensor]]], recipe, rounds: int, device: str
) -> dict[str, float]:
    """Images a second of each: {name: (its network, a function of nothing that returns the loss)}; medians over the rounds."""
    optimisers = {name: torch.optim.Adam(f.parameters(), recipe.lr, recipe.betas) for name, (f, _) in kinds.items()}
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 2):
        for name, (_, loss) in kinds.items():
            _wait(device)
            began = time.perf_counter()
            total = loss()
            optimisers[name].zero_grad()
            total.backward()
            optimisers[name].step()
            _wait(device)
            if turn >= 2:  # the first two warm up
                seconds[name].append(time.perf_counter() - began)
    return {name: recipe.batch / statistics.median(times) for name, times in seconds.items()}


def report(found: dict[str, float], recipe, rounds: int, device: str, threads: int, out: Path | None) -> None:
    """Print the table, with ratios to the first; write it to `out`."""
    base = next(iter(found.values()))
    result = {"recipe": recipe.name, "batch": recipe.batch, "device": device, "threads": threads, "rounds": rounds,
              "torch": torch.__version__}  # fmt: skip
    result["rows"] = {name: {"images a second": round(rate), "ratio": round(rate / base, 2)} for name, rate in found.items()}
    print(
        f"{recipe.name}, batch {recipe.batch}, {device}, {threads} thread(s)\n\n| step | images a second | ratio |\n|---|---|---|"
    )
    for name, row in result["rows"].items():
        print(f"| {name} | {row['images a second']} | {row['ratio']:.2f} |")
    if out is not None:
        ignbook.checkpoints.write_file(out, (json.dumps(result, indent=1) + "\n").encode())


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
