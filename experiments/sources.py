"""What each part of the broad source does to colour, identity, samples and refinement.  Chapter 8's ablation.

    python experiments/sources.py [--part 0 --of 2]     some 8 minutes a run, 40 for those in full, on one core, 34 runs

Trains the runs of `SWEEPS["source"]`, most from the narrow f, and writes ignbook/shipped/results/runs/source/RUN.json after
each.  A run that has a file is left alone, and one that was stopped goes on.  Where the shipped model is of just this recipe,
it is measured in place of a new one.  Measured on validation faces, by which a recipe may be chosen.
"""

import json
import sys
from pathlib import Path

import torch
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

import broad  # noqa: E402
import refine  # noqa: E402

import ign_core  # noqa: E402
import ignbook.baselines  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.projector  # noqa: E402
import ignbook.recipes  # noqa: E402

RESULTS = ignbook.checkpoints.shipped("results") / "runs" / "source"
DAMAGED = 500  # validation faces that are damaged and projected; as many others are the reference


def measured(model: ign_core.Model, held_out, network, n: int, damaged: int = DAMAGED) -> dict:
    """Samples f^k(z) and how far orbits go, of n; and f and f^2 of grey faces and of sketches: L1, KID, colour."""
    order = ignbook.metrics.in_random_order(held_out)
    clean = held_out[order[:n]]
    result = refine.measured(model, clean, held_out.labels[order[:n]], network, ignbook.metrics.features_of(network, clean))
    clean, others = clean[:damaged], ignbook.metrics.features_of(network, held_out[order[damaged : 2 * damaged]])
    for name in ("grey", "sketch"):
        y = ignbook.projector.corrupt(clean, name, broad.HELD[name], torch.Generator().manual_seed(1))
        result[name] = broad.judged(broad.kinds({"f": model.f}, y), clean, network, others)
    return result


def shipped(recipe: ign_core.Recipe) -> ign_core.Model | None:
    """The shipped model of this name, if it was trained by just this recipe."""
    path = ignbook.checkpoints.shipped("checkpoints") / recipe.name
    if not Path(f"{path}.json").exists():
        return None
    model = ign_core.load(path)
    return model if ignbook.checkpoints.recipe_of(model.card, ign_core.Recipe) == recipe else None


def main(
    out: Path = Path("runs"), results: Path = RESULTS, part: int = 0, of: int = 1, threads: int = 1, n: int = 1_000
) -> None:
    """Train and measure the runs.

    Args:
        out: Folder for the models and the states to resume from.
        results: Folder for the results files.
        part: Of the parts in which the runs are dealt out, to go side by side.
        of: How many parts.
        threads: CPU threads.
        n: Samples, and validation faces in random order.
    """
    torch.set_num_threads(threads)
    for run, recipe in list(ignbook.recipes.SWEEPS["source"].items())[part::of]:
        written, folder = results / f"{run}.json", out / "source" / run
        if written.exists():
            continue
        held_out = ignbook.data.real(recipe.data, "validation", recipe.size)
        if not (model := shipped(recipe)):
            data = ignbook.data.real(recipe.data, "train", recipe.size)
            resume = (folder / f"{recipe.name}.train.safetensors").exists()
            model = ignbook.baselines.train(recipe, data, folder=folder, resume=resume)
            ign_core.save(model, folder / recipe.name)
        network = ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(recipe.data))
        about = {key: model.card[key] for key in ("recipe", "images", "seconds", "device", "precision", "data")}
        row = about | {"measured on": held_out.card, "n": n} | measured(model, held_out, network, n)
        ignbook.checkpoints.write_json(written, row)
        print(run, json.dumps({key: row[key] for key in ("grey", "sketch")}), flush=True)


if __name__ == "__main__":
    tyro.cli(main)
