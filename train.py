"""Train, resume, evaluate and export the models of the book.

    python train.py mnist                            train a recipe (any field is a flag: --steps 2000 --tightness 2.5)
    python train.py mnist --resume                   go on where a stopped run was
    python train.py classifier                       train the classifier that the measures use
    python train.py evaluate mnist                   measure a checkpoint, write the numbers into its card
    python train.py export mnist --out mnist.safetensors --half      weights alone, in half precision
    fabric run --devices 2 train.py mnist            the same on several devices
"""

import csv
import sys
import time
from pathlib import Path
from typing import Annotated

import torch
import tyro

import ign_core
import recipes

RUNS = Path("runs")


def main(arguments: list[str]) -> None:
    """Dispatch on the first word: a command or a recipe's name."""
    commands = {"evaluate": evaluate, "export": export, "classifier": classifier}
    commands |= {name: _trainer(recipe) for name, recipe in recipes.RECIPES.items()}
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


def _train(recipe: ign_core.Recipe, out: Path, resume: bool, threads: int | None) -> None:
    import ign_data

    if threads is not None:
        torch.set_num_threads(threads)
    plane = recipe.data in ign_data.MANIFOLDS
    data = ign_data.points(recipe.data) if plane else ign_data.load(recipe.data, size=recipe.size)
    model = ign_core.fit(
        ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe, out=out, resume=resume
    )  # fmt: skip
    ign_core.save(model, out / recipe.name)
    with open(out / f"{recipe.name}.csv", "w", newline="") as file:
        rows = csv.DictWriter(file, model.card["history"][0])
        rows.writeheader()
        rows.writerows(model.card["history"])
    print(f"trained {recipe.name} in {model.card['seconds'] / 60:.1f} minutes: {out / recipe.name}.safetensors")


def classifier(out: Path = RUNS, recipe: Annotated[recipes.ClassifierRecipe, tyro.conf.OmitArgPrefixes] = recipes.classifier) -> None:
    """Train the classifier whose features the measures use.

    Args:
        out: Folder for its weights and card.
        recipe: The recipe's fields.
    """
    import ign_data
    import ign_metrics

    began = time.perf_counter()
    net, card = ign_metrics.train_classifier(recipe, ign_data.load(recipe.data), ign_data.load(recipe.data, "test"))
    card["seconds"] = round(time.perf_counter() - began, 1)
    ign_core.write(out / recipe.name, net.state_dict(), card)
    print(f"trained {recipe.name}: test accuracy {card['metrics']['test accuracy']:.4f}: {out / recipe.name}.safetensors")


def evaluate(name: Annotated[str, tyro.conf.Positional], n: int = 5_000, seed: int = 0) -> None:
    """Measure a checkpoint on its test data and write the numbers into its card (chapter 6 shows them from there).

    Args:
        name: A shipped checkpoint's name, or a path.
        n: Samples of each kind.
        seed: Of the source and of the noise.
    """
    import ign_data
    import ign_metrics

    model = ign_core.load(name)
    data = model.card["recipe"]["data"]
    if data in ign_data.MANIFOLDS:
        raise ValueError(f"{name} is a toy in the plane; `python experiments/coverage_2d.py --checkpoints {data}` trains and measures it.")
    metrics = ign_metrics.evaluate(
        model, ign_metrics.load_classifier(), ign_data.load(data), ign_data.load(data, "test"), n=n, seed=seed
    )  # fmt: skip
    ign_core.write_card(name, {"metrics": metrics})
    print(ign_metrics.table(metrics))


def export(name: Annotated[str, tyro.conf.Positional], out: Path, half: bool = False) -> None:
    """Write a checkpoint's f alone, to be shipped elsewhere.

    Args:
        name: A shipped checkpoint's name, or a path.
        out: Path of the new checkpoint.
        half: Store 16-bit floats.
    """
    model = ign_core.load(name)
    if half:
        model.f.half(), model.source.half()
    ign_core.save(model, out)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(f"train.py: {error}")
