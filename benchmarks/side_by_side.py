"""Steps of training timed side by side in one process, turn by turn, so that a busy machine slows them alike."""

import statistics
import time
from collections.abc import Callable

import torch


def trained(f: torch.nn.Module, recipe, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """One whole step of training as a function of nothing: the loss of f, its gradients, Adam."""
    adam = torch.optim.Adam(f.parameters(), recipe.lr, recipe.betas)

    def step() -> None:
        adam.zero_grad()
        loss().backward()
        adam.step()

    return step


def turns(kinds: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each kind in each round, the kinds by turns."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 2):
        for name, step in kinds.items():
            _wait(device)
            began = time.perf_counter()
            step()
            _wait(device)
            if turn >= 2:  # the first two warm up
                seconds[name].append(time.perf_counter() - began)
    return seconds


def rates(seconds: dict[str, list[float]], images: int) -> dict[str, dict]:
    """A row of each: images a second (median), its quartiles, and the median ratio to the first of the same round."""
    first, rows = next(iter(seconds.values())), {}
    for name, times in seconds.items():
        fast = sorted(images / spent for spent in times)
        quartiles = [round(fast[len(fast) * part // 4]) for part in (1, 3)]
        ratio = statistics.median(base / spent for base, spent in zip(first, times))
        rows[name] = {"images a second": round(statistics.median(fast)), "quartiles": quartiles, "ratio": round(ratio, 2)}
    return rows


def table(rows: dict[str, dict]) -> str:
    """The rows as Markdown."""
    lines = [f"| {name} | {row['images a second']} | {row['ratio']:.2f} |" for name, row in rows.items()]
    return "\n".join(["| step | images a second | ratio |", "|---|---|---|", *lines])


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
