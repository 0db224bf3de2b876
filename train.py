"""Train, resume, evaluate and export the models of the book.

python train.py mnist                            train a recipe (any field is a flag: --steps 2000 --tightness 2.5)
python train.py mnist --resume                   go on where a stopped run was
python train.py classifier                       train the classifier that the measures use
python train.py evaluate mnist                   measure a checkpoint, write the numbers into its card
python train.py evaluate 11_collapse             draw a chapter's figures and tables anew from cards and results files
python train.py sweep remedies                   train and measure a family of runs, a results file each
python train.py fetch celeba64                   download a data set that the book never downloads unasked
python train.py export mnist --out mnist.safetensors --half      weights alone, in half precision
fabric run --devices 2 train.py mnist            the same on several devices
"""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import torch
import tyro

import ign_core
import ignbook  # its modules load when they are first named

RUNS = Path("runs")
RESULTS = ignbook.checkpoints.shipped("results") / "runs"
CHAPTERS = Path(__file__).parent / "notebooks"


def main(arguments: list[str]) -> None:
    """Dispatch on the first word: a command or a recipe's name."""
    commands = {"evaluate": evaluate, "export": export, "fetch": fetch, "sweep": sweep}
    commands |= {name: _trainer(recipe) for name, recipe in ignbook.recipes.RECIPES.items()}
    commands |= {name: _classifier(recipe) for name, recipe in ignbook.recipes.CLASSIFIERS.items()}
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        raise ValueError(f"{arguments[0]!r} is neither a recipe nor a command; use one of: {', '.join(commands)}.")
    tyro.extras.subcommand_cli_from_dict(commands, args=arguments, description=__doc__, prog="train.py")


def _trainer(recipe: ign_core.Recipe):
    def train(
        recipe: Annotated[ign_core.Recipe, tyro.conf.OmitArgPrefixes] = recipe,
        out: Path = RUNS,
        resume: bool = False,
        threads: int | None = None,
    ) -> None:
        _train(recipe, out, resume, threads)

    train.__doc__ = f"""Train the recipe "{recipe.name}".

    Args:
        recipe: The recipe's fields, each to be changed by its flag.
        out: Folder for the trained model, the state to resume from, the history and grids of samples.
        resume: Go on from the state in that folder, bit for bit as if never stopped.
        threads: CPU threads; one is best where two runs go side by side.
    """
    return train


def _train(recipe: ign_core.Recipe, out: Path, resume: bool, threads: int | None, callback=None, **options) -> ign_core.Model:

    if threads is not None:
        torch.set_num_threads(threads)
    plane = recipe.data in ignbook.data.MANIFOLDS
    data = ignbook.data.points(recipe.data) if plane else ignbook.data.load(recipe.data, size=recipe.size)
    source = ignbook.baselines.sampling_source(recipe, data)

    def look(step: int, f: torch.nn.Module) -> None:
        if not plane:
            ignbook.plots.save_samples(f, source, out / f"{recipe.name}-samples" / f"{step:07d}.png")
        if callback is not None:
            callback(step, f)

    model = ignbook.baselines.train(recipe, data, folder=out, resume=resume, callback=look, **options)
    ign_core.save(model, out / recipe.name)
    with open(out / f"{recipe.name}.csv", "w", newline="") as file:
        rows = csv.DictWriter(file, model.card["history"][0])
        rows.writeheader()
        rows.writerows(model.card["history"])
    print(f"trained {recipe.name} in {model.card['seconds'] / 60:.1f} minutes: {out / recipe.name}.safetensors")
    return model


def _classifier(recipe: ignbook.recipes.ClassifierRecipe):
    def classifier(
        out: Path = RUNS, recipe: Annotated[ignbook.recipes.ClassifierRecipe, tyro.conf.OmitArgPrefixes] = recipe
    ) -> None:

        began = time.perf_counter()
        net, card = ignbook.metrics.train_classifier(
            recipe, ignbook.data.load(recipe.data), ignbook.data.load(recipe.data, "test")
        )
        card["seconds"] = round(time.perf_counter() - began, 1)
        ignbook.checkpoints.write(out / recipe.name, net.state_dict(), card)
        print(f"trained {recipe.name}: test accuracy {card['metrics']['test accuracy']:.4f}: {out / recipe.name}.safetensors")

    classifier.__doc__ = f"""Train the classifier "{recipe.name}", whose features the measures use.

    Args:
        out: Folder for its weights and card.
        recipe: The recipe's fields.
    """
    return classifier


def sweep(family: Annotated[str, tyro.conf.Positional], out: Path = RUNS, results: Path = RESULTS, threads: int = 1,
          part: int = 0, of: int = 1, n: int = 5_000) -> None:  # fmt: skip
    """Train and measure a family of runs (`ignbook.recipes.SWEEPS`): a file of results for each; a run that has one is left alone.

    Args:
        family: Its name.
        out: Folder for the models and the states to resume from: a stopped sweep goes on where it was.
        results: Folder for the results files and for 40 samples of each run.
        threads: CPU threads.
        part: Of the parts in which the runs are dealt out, to go side by side.
        of: How many parts.
        n: Samples that a run is measured on.
    """

    if family not in ignbook.recipes.SWEEPS:
        raise ValueError(f"family {family!r} is unknown; use one of: {', '.join(ignbook.recipes.SWEEPS)}.")
    torch.set_num_threads(threads)
    for run, recipe in list(ignbook.recipes.SWEEPS[family].items())[part::of]:
        written, folder = results / family / run, out / family / run
        if Path(f"{written}.json").exists():
            continue
        data, test = (ignbook.data.load(recipe.data, split, recipe.size) for split in ("train", "test"))
        if data.card["name"].split("-")[0] in ignbook.data.STAND_INS and recipe.data not in ignbook.data.STAND_INS:
            raise ValueError(
                f"{run} is to be trained on {recipe.data}, which is not to be had here; set IGN_DATA, see the README."
            )
        network = ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(recipe.data))
        course = _Course(
            folder / "course.json",
            recipe,
            data,
            network,
            ignbook.metrics.features_of(network, test[ignbook.metrics.in_random_order(test)[:n]]),
        )
        resume = (folder / f"{recipe.name}.train.safetensors").exists()
        model = _train(recipe, folder, resume, None, every=max(recipe.steps // 100, 1), callback=course)
        metrics = ignbook.metrics.evaluate(model, network, data, test, n=n, rows=("real", *ignbook.metrics.APPLICATIONS))
        record = {k: model.card[k] for k in ("recipe", "images", "seconds", "device", "precision", "versions", "data")}
        record |= {"parameters": sum(p.numel() for p in model.f.parameters()), "course": course.rows, "metrics": metrics}
        ignbook.plots.save_samples(model.f, model.source, Path(f"{written}.png"), 40, 20)
        ignbook.checkpoints.write_json(Path(f"{written}.json"), record)


class _Course:
    """A callback of fit: a few measures every tenth of a training, kept on disk for a run that is resumed."""

    def __init__(self, path: Path, recipe: ign_core.Recipe, data, network, real: torch.Tensor):
        self.path, self.every, self.look = path, 10 * max(recipe.steps // 100, 1), (network, real)
        self.source = ignbook.baselines.sampling_source(recipe, data)
        self.rows = json.loads(path.read_text()) if path.exists() else []

    def __call__(self, step: int, f: torch.nn.Module) -> None:

        if step % self.every == 0:
            self.rows = [row for row in self.rows if row["step"] < step]
            self.rows.append({"step": step, **ignbook.metrics.glance(f, self.source, *self.look)})
            ignbook.checkpoints.write_file(self.path, json.dumps(self.rows).encode())


def evaluate(name: Annotated[str, tyro.conf.Positional], n: int = 5_000, seed: int = 0) -> None:
    """Measure a checkpoint on its test data and write the numbers into its card (the chapters show them from there).

    Args:
        name: A shipped checkpoint's name, or a path; or a chapter (11_collapse), which is executed in place.
        n: Samples of each kind.
        seed: Of the source and of the noise.
    """

    if (chapter := CHAPTERS / f"{name}.ipynb").exists():
        return ignbook.notebooks.execute([chapter])
    model = ignbook.baselines.load(name)
    data, size = (model.card["recipe"][key] for key in ("data", "size"))
    if data in ignbook.data.MANIFOLDS:
        raise ValueError(
            f"{name} is a toy in the plane; `python experiments/coverage_2d.py --checkpoints {data}` trains and measures it."
        )
    network = ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data))
    metrics = ignbook.metrics.evaluate(
        model, network, ignbook.data.load(data, size=size), ignbook.data.load(data, "test", size), n=n, seed=seed
    )
    ignbook.checkpoints.write_card(name, {"metrics": metrics})
    print(ignbook.metrics.table(metrics))


def fetch(name: Annotated[str, tyro.conf.Positional]) -> None:
    """Download a data set into the cache, once: mnist (11 MB), fashion (30 MB), celeba64 (1.4 GB, needs gdown).

    Args:
        name: Of the data set.
    """

    ignbook.data.fetch(name)
    print(f"{name} is in the cache")


def export(name: Annotated[str, tyro.conf.Positional], out: Path, half: bool = False) -> None:
    """Write a checkpoint's f alone, to be shipped elsewhere.

    Args:
        name: A shipped checkpoint's name, or a path.
        out: Path of the new checkpoint.
        half: Store 16-bit floats.
    """
    model = ignbook.baselines.load(name)
    if half:
        model.f.half(), model.source.half()
    ign_core.save(model, out)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(f"train.py: {error}")
