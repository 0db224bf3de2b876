"""Does a second application refine, and do many of them rest?  Orbits of f(z) and of held-out x for one or more models.

    python experiments/refine.py mnist-narrow mnist      writes ignbook/shipped/results/refine-mnist.json, in some minutes of one core

For k of 1, 2, 3, 5 and 10: the measures of f^k(z), and how far f^k(z) and f^k(x) are from f^2(z) and f^2(x), L1 in units of
the range [-1, 1], which is 2 long.  Of digits also the classifier's accuracy on f^k(x), and on f^k of digits with noise
that isn't cut to the range.  Chapters 6 and 8.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.baselines  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.recipes  # noqa: E402

TIMES = (1, 2, 3, 5, 10)
RANGE = 2.0


def orbit(f, y: torch.Tensor) -> dict[int, torch.Tensor]:
    """{k: f^k(y)} for the k of TIMES."""
    found, now = {}, y
    for k in range(1, max(TIMES) + 1):
        now = ignbook.metrics.projected(f, now)
        if k in TIMES:
            found[k] = now
    return found


def moved(path: dict[int, torch.Tensor]) -> dict[str, float]:
    """{k: mean L1 from f^2, as a share of the range}."""
    return {str(k): ign_core.l1(path[2], y).mean().item() / RANGE for k, y in path.items()}


def measured(model: ign_core.Model, clean: torch.Tensor, labels: torch.Tensor, network, real: torch.Tensor) -> dict:
    n = len(clean)
    of_z = orbit(model.f, model.source.sample(n, torch.Generator().manual_seed(0)))
    of_x = orbit(model.f, clean)
    result = {"f^k(z)": {str(k): ignbook.metrics.score(network, y, real) for k, y in of_z.items()},
              "z moved": moved(of_z), "x moved": moved(of_x)}  # fmt: skip
    if isinstance(network, ignbook.metrics.Classifier):
        noisy = ignbook.data.add_noise(clean, ignbook.metrics.NOISE, torch.Generator().manual_seed(1))
        for name, path in {"accuracy, x": of_x, "accuracy, noisy": orbit(model.f, noisy)}.items():
            classes = {k: ignbook.metrics.classes_of(network, y)[0] for k, y in path.items()}
            result[name] = {str(k): (found == labels).double().mean().item() for k, found in classes.items()}
    return result


def main(
    names: Annotated[list[str], tyro.conf.Positional], n: int = 3_000, keep: bool = False, out: Path | None = None
) -> None:
    """Follow the orbits of some models of one data set.

    Args:
        names: Shipped checkpoints' names, or paths.
        n: Samples, and test images in random order.
        keep: The rows of models whose weights are those that the file at `out` was written with; true of the same code alone.
        out: The JSON file to write; refine-DATA.json among the shipped results by default.
    """
    models = {Path(name).name: ignbook.baselines.load(name) for name in names}
    (data, size), *others = {(m.card["recipe"]["data"], m.card["recipe"]["size"]) for m in models.values()}
    if others:
        raise SystemExit("these models are of different data; give those of one.")
    test = ignbook.data.real(data, "test", size)
    network = ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data))
    index = ignbook.metrics.in_random_order(test)[:n]
    clean, labels = test[index], test.labels[index]
    path = out or ignbook.checkpoints.shipped("results") / f"refine-{data}.json"
    real, rows = ignbook.metrics.features_of(network, clean), json.loads(path.read_text())["models"] if keep else {}
    for name, model in models.items():
        if rows.get(name, {}).get("sha256") == model.card["sha256"]:
            continue
        rows[name] = {"sha256": model.card["sha256"]} | measured(model, clean, labels, network, real)
        print(name, rows[name], flush=True)
    ignbook.checkpoints.write_json(path, {"n": len(clean), "data": test.card, "models": rows})


if __name__ == "__main__":
    tyro.cli(main)
