"""Train, resume, evaluate and export the models of the book.

python train.py mnist                            train a recipe (any field is a flag: --steps 2000 --tightness 2.5)
python train.py mnist --resume                   go on where a stopped run was (--overwrite starts it anew)
python train.py mnist --dry-run                  what it would take: parameters, operations, memory, time
python train.py folder --data photos             train on images of your own: a folder of them, with subfolders
python train.py classifier                       train the classifier that the measures use
python train.py evaluate mnist                   measure a checkpoint, write the numbers into its card
python train.py sample mnist --out grid.png      a picture of what a checkpoint draws
python train.py project faces photos out --k 2   apply f to images of your own
python train.py evaluate 11_collapse             draw a chapter's figures and tables anew from cards and results files
python train.py sweep remedies                   train and measure a family of runs, a results file each
python train.py fetch celeba64                   download a data set that the book never downloads unasked
python train.py export mnist --out mnist.safetensors --half      f and its source in half precision, with the card
python train.py export mnist --onnx --half       f as runs/mnist.onnx, for other programs
fabric run --devices 2 train.py mnist            the same on several devices

--import MODULE, with any of them, first imports what has networks of your own: --import mynets --net mynets:Mine.
evaluate, sample, project and export take a path, or a NAME: then the newer of runs/NAME and the shipped checkpoint.
"""

import contextlib
import csv
import importlib
import io
import json
import os
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import matplotlib.pyplot as plt
import torch
import tyro
from matplotlib.figure import Figure
from matplotlib.image import imread
from tqdm.auto import tqdm

import ign_core
import ignbook  # its modules load when they are first named

RUNS = Path("runs")
RESULTS = ignbook.checkpoints.shipped("results") / "runs"
CHAPTERS = Path(__file__).parent / "notebooks"


def main(arguments: list[str]) -> None:
    """Dispatch on the first word: a command or a recipe's name."""
    arguments = _imported(list(arguments))
    commands = {"evaluate": evaluate, "export": export, "fetch": fetch, "folder": folder, "project": project,
                "sample": sample, "sweep": sweep}  # fmt: skip
    commands |= {name: _trainer(recipe) for name, recipe in ignbook.recipes.RECIPES.items()}
    commands |= {name: _classifier(recipe) for name, recipe in ignbook.recipes.CLASSIFIERS.items()}
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        raise ValueError(f"{arguments[0]!r} is neither a recipe nor a command; use one of: {', '.join(commands)}.")
    tyro.extras.subcommand_cli_from_dict(commands, args=arguments, description=__doc__, prog="train.py")


def _imported(arguments: list[str]) -> list[str]:
    """What is left of the arguments once each --import MODULE is taken out and imported.  ValueError: no such module."""
    while "--import" in arguments:
        at = arguments.index("--import")
        name = "".join(arguments[at + 1 : at + 2])
        del arguments[at : at + 2]
        sys.path[:0] = [] if os.getcwd() in sys.path else [os.getcwd()]
        try:
            importlib.import_module(name)
        except (ImportError, ValueError) as error:
            raise ValueError(f"--import can't import {name!r} ({error}); give a module that Python finds.") from None
    return arguments


def _trainer(recipe: ign_core.Recipe):
    def train(
        recipe: Annotated[ign_core.Recipe, tyro.conf.OmitArgPrefixes] = recipe,
        out: Path = RUNS,
        resume: bool = False,
        overwrite: bool = False,
        threads: int | None = None,
        tensorboard: Path | None = None,
        compile: bool = False,
        recompute: bool = False,
        dry_run: bool = False,
    ) -> None:
        if dry_run:
            return _dry_run(recipe, threads)
        options: dict = {"compile": compile, "recompute": recompute}
        _train(recipe, out, resume, threads, overwrite=overwrite, tensorboard=tensorboard, **options)

    train.__doc__ = f"""Train the recipe "{recipe.name}".

    Args:
        recipe: The recipe's fields, each to be changed by its flag.
        out: Folder for the trained model, the state to resume from, the history with its curves, and grids of samples.
        resume: Go on from the state in that folder, bit for bit as if never stopped. With more steps, or with another lr
            (after NaN, a lower one), lr and lambda follow the courses of the new numbers from there on. On another number of
            devices it goes on too, and rounding differs.
        overwrite: Start anew where a run is in that folder already.
        threads: CPU threads; one is best where two runs go side by side.
        tensorboard: Folder for TensorBoard's log of the terms and the samples; needs the package tensorboard.
        compile: Compile f (torch.compile): a minute or more to begin with, faster steps on a GPU; it needs a C++ compiler.
        recompute: Keep less for the backward pass and compute it again there: less memory, the same gradients, slower steps.
        dry_run: Print parameters, operations, memory and time that the training would take, and train nothing.
    """
    return train


def _dry_run(recipe: ign_core.Recipe, threads: int | None) -> None:
    if threads is not None:
        _set_threads(threads)
    print(ignbook.costs.summary(recipe))


def _train(recipe: ign_core.Recipe, out: Path, resume: bool, threads: int | None, callback=None, tensorboard: Path | None = None,
           data=None, **options) -> ign_core.Model:  # fmt: skip

    if threads is not None:
        _set_threads(threads)
    plane = recipe.data in ignbook.data.MANIFOLDS
    if data is None:
        data = ignbook.data.points(recipe.data) if plane else ignbook.data.load(recipe.data, size=recipe.size)
    first = ignbook.checkpoints.is_first()
    with _board(tensorboard if first else None) as board:
        look = _Look(recipe, ignbook.baselines.sampling_source(recipe, data), None if plane else out, board, callback)
        model = ignbook.baselines.train(recipe, data, folder=out, resume=resume, callback=look, **options)
    if not first:
        return model
    ign_core.save(model, out / recipe.name)
    rows = io.StringIO(newline="")
    table = csv.DictWriter(rows, model.card["history"][0])
    table.writeheader()
    table.writerows(model.card["history"])
    ignbook.checkpoints.write_file(out / f"{recipe.name}.csv", rows.getvalue().encode())
    ignbook.checkpoints.write_file(out / f"{recipe.name}-history.png", _curves(model.card["history"]))
    print(f"trained {recipe.name} in {model.card['seconds'] / 60:.1f} minutes: {out / recipe.name}.safetensors")
    return model


class _Look:
    """The callback of every training: at most 20 grids of samples, TensorBoard, and what a sweep measures.

    out: folder; None draws no grids, as of points.  board: a SummaryWriter, or None."""

    def __init__(self, recipe: ign_core.Recipe, source, out: Path | None, board, callback):
        self.recipe, self.source, self.out, self.board, self.callback, self.drawn = recipe, source, out, board, callback, 0

    def row(self, row: dict) -> None:
        for term in set(row) - {"step"} if self.board else ():
            self.board.add_scalar(term, row[term], row["step"])

    def __call__(self, step: int, f: torch.nn.Module) -> None:
        part = 20 * step // self.recipe.steps
        if self.out is not None and part > self.drawn:
            path = self.out / f"{self.recipe.name}-samples" / f"{step:07d}.png"
            ignbook.plots.save_samples(f, self.source, path)
            if self.board:
                self.board.add_image("f(z)", imread(path), step, dataformats="HWC")
            self.drawn = part
        if self.callback is not None:
            self.callback(step, f)


def _board(folder: Path | None):
    """A context that gives a SummaryWriter, or None without a folder.  ValueError: no TensorBoard here."""
    if folder is None:
        return contextlib.nullcontext()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("--tensorboard needs that package; run `pip install tensorboard`, or leave it out.") from None
    return SummaryWriter(str(folder))


def _curves(rows: list[dict]) -> bytes:
    """A PNG of the three terms over the steps."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    ignbook.plots.history(rows, figure.subplots())
    return _png(figure)


def _png(figure: Figure, **options) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150, **options)
    return image.getvalue()


def _set_threads(n: int) -> None:
    _within("--threads", n, 1, 1024)
    torch.set_num_threads(n)


def _within(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{flag} is {value}; give a number from {least} to {most}.")


def _checkpoint(name: str, shipped: bool = False) -> Path:
    """Where a checkpoint is that the command line names: a path as it stands, or a name's newest, which is then printed.

    shipped: of that name among the shipped ones alone."""
    stem = name.removesuffix(".safetensors").removesuffix(".json")
    places = [folder / stem for folder in (RUNS, ignbook.checkpoints.shipped("checkpoints"))]
    there = [place for place in places[shipped:] if Path(f"{place}.safetensors").exists()]
    if (Path(f"{stem}.safetensors").exists() and not shipped) or not there:
        return Path(stem)  # if it isn't there either, `ignbook.checkpoints.read` says so
    taken = max(there, key=lambda place: Path(f"{place}.safetensors").stat().st_mtime)
    print(f"{name} is {taken}.safetensors")
    return taken


def _is_shipped(path: Path) -> bool:
    return path.resolve().parent == ignbook.checkpoints.shipped("checkpoints").resolve()


def _classifier(recipe: ignbook.recipes.ClassifierRecipe):
    def classifier(
        out: Path = RUNS, recipe: Annotated[ignbook.recipes.ClassifierRecipe, tyro.conf.OmitArgPrefixes] = recipe
    ) -> None:

        ignbook.checkpoints.check_name(recipe.name)
        for field, most in (("epochs", 10_000), ("batch", 2**20), ("seed", 2**32)):
            _within(f"--{field}", getattr(recipe, field), int(field != "seed"), most)
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

    if command := ignbook.recipes.ELSEWHERE.get(family):
        raise ValueError(f"the runs of {family!r} are trained and measured by another command; use `{command}`.")
    if family not in ignbook.recipes.SWEEPS:
        raise ValueError(f"family {family!r} is unknown; use one of: {', '.join(ignbook.recipes.SWEEPS)}.")
    _set_threads(threads)
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("a sweep's runs go side by side by --part and --of; start it without `fabric run`.")
    _within("--of", of, 1, 1000)
    _within("--part", part, 0, of - 1)
    _within("--n", n, 1, 10**7)
    for run, recipe in list(ignbook.recipes.SWEEPS[family].items())[part::of]:
        written, folder = results / family / run, out / family / run
        if Path(f"{written}.json").exists():
            continue
        held_out = "validation" if family in ignbook.recipes.CHOOSING else "test"
        data, test = (ignbook.data.real(recipe.data, split, recipe.size) for split in ("train", held_out))
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
        record |= {"measured on": test.card}
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


def evaluate(name: Annotated[str, tyro.conf.Positional], n: int = 5_000, seed: int = 0, shipped: bool = False) -> None:
    """Measure a checkpoint on its test data and write the numbers into its card.

    The chapters show the cards of shipped checkpoints; to change one of these give --shipped.

    Args:
        name: A checkpoint's name or path; or a chapter (11_collapse), which is executed in place.
        n: Samples of each kind.
        seed: Of the source and of the noise.
        shipped: Take the shipped checkpoint, and write into the card that the book shows.
    """

    if (chapter := CHAPTERS / f"{name}.ipynb").exists():
        return ignbook.notebooks.execute([chapter])
    _within("--n", n, 1, 10**7)
    _within("--seed", seed, 0, 2**32)
    path = _checkpoint(name, shipped)
    model = ignbook.baselines.load(path)
    data, size = (model.card["recipe"][key] for key in ("data", "size"))
    if data in ignbook.data.MANIFOLDS:
        raise ValueError(
            f"{name} is a toy in the plane; `python experiments/coverage_2d.py --checkpoints {data}` trains and measures it."
        )
    if data == "folder":
        raise ValueError(f"{name} was trained on a folder of images; `python train.py folder --data DIR --resume` measures it.")
    if _is_shipped(path) and not shipped:
        raise ValueError(f"{name} is shipped, and its card would be changed; give --shipped for that, or the path of a copy.")
    train, test = (ignbook.data.real(data, split, size) for split in ("train", "test"))
    network = ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data))
    metrics = ignbook.metrics.evaluate(model, network, train, test, n=n, seed=seed)
    ignbook.checkpoints.write_card(path, {"metrics": metrics})
    print(ignbook.metrics.table(metrics))


def folder(data: Path, size: int = 64, channels: Literal[1, 3] | None = None, name: str = "folder", start: str | None = None,
           steps: int | None = None, batch: int | None = None, lr: float | None = None, mirror: bool | None = None,
           seed: int = 0, n: int = 5_000, out: Path = RUNS, resume: bool = False, overwrite: bool = False,
           threads: int | None = None, tensorboard: Path | None = None, compile: bool = False, recompute: bool = False,
           dry_run: bool = False) -> None:  # fmt: skip
    """Train on images of your own, measure on the tenth of them that is held out, and draw a contact sheet.

    The recipe is that of mnist-narrow for grey images of at most 32 pixels, else that of faces-narrow; grey ones of 32 pixels and
    colour ones of 64 start from its weights. Those of faces are for non-commercial use only, and so is what starts from them.
    Each image is turned upright, cut to the square in its middle and resized (ignbook.data.folder).

    Args:
        data: Folder with images of any sizes and formats, and subfolders.
        size: Side that they are resized to, 4, 5, 6 or 7 times a power of two.
        channels: 3 for colour, 1 for grey; by default colour, unless all images are grey.
        name: Of the files that are written.
        start: A checkpoint to start from, by name or path, or none; by default the recipe's, where its weights fit.
        steps: As the recipe by default, like the next three.
        batch: Images a step.
        lr: Learning rate.
        mirror: True or False: whether half of the images are shown reversed from left to right; not for letters.
        seed: Of weights, order and noise.
        n: Images and samples that are measured, at most.
        out: Folder for what a recipe writes too, and the contact sheet.
        resume: Go on from the state in that folder; a run that is finished is measured again.
        overwrite: Start anew where a run is in that folder already.
        threads: CPU threads.
        tensorboard: Folder for TensorBoard's log; needs the package tensorboard.
        compile: Compile f (torch.compile).
        recompute: Keep less for the backward pass and compute it again there: less memory, slower steps.
        dry_run: Say what was found and what the training would take, and train nothing.
    """
    _within("--n", n, 1, 10**7)
    start = "" if start == "none" else start
    asked = {"name": name, "start": start, "steps": steps, "batch": batch, "lr": lr, "mirror": mirror, "seed": seed}
    asked = {field: value for field, value in asked.items() if value is not None}
    ign_core.build(
        replace(ignbook.recipes.of_images(size, channels or 3), **asked)
    )  # what can't be is told before images are read
    train, held_out = (ignbook.data.folder(data, size, channels, split) for split in ("train", "validation"))
    nearest = ignbook.recipes.of_images(size, train.pixels.shape[1])
    recipe = replace(nearest, **asked)
    begins = f"the weights of {recipe.start}" if recipe.start else "random weights"
    begins += " (for non-commercial use only)" if recipe.start.startswith("faces") else ""
    if ignbook.checkpoints.is_first():
        print(f"{len(train)} images to train on and {len(held_out)} held out; {recipe.steps} steps from {begins}")
    if dry_run:
        return _dry_run(recipe, threads)
    options: dict = {"overwrite": overwrite, "compile": compile, "recompute": recompute}
    model = _train(recipe, out, resume, threads, data=train, tensorboard=tensorboard, **options).to("cpu")
    if not ignbook.checkpoints.is_first():
        return
    metrics, why = ignbook.metrics.measured(model, train, held_out, n)
    if why:
        print(f"only drifts are measured: {why}")
    ignbook.checkpoints.write_card(out / name, {"metrics": metrics})
    print(f"{ignbook.metrics.table(metrics)}\n\nheld-out images: mean D(x, f(x)) is {metrics['reconstruction']:.3f}")
    sheet = out / f"{name}-contact-sheet.png"
    ignbook.checkpoints.write_file(sheet, _sheet(model, held_out))
    print(f"x, f(x), z, f(z), f(f(z)): {sheet}")


def _sheet(model: ign_core.Model, held_out: ignbook.data.Images, columns: int = 8) -> bytes:
    """A PNG with a row each of held-out x, f(x), z, f(z) and f(f(z))."""
    x = held_out[torch.linspace(0, len(held_out) - 1, min(columns, len(held_out))).long()]
    z = model.source.sample(columns, torch.Generator().manual_seed(0))
    fz, ffz = ign_core.iterate(model.f, z, 2)
    rows = {"x": x, "f(x)": ign_core.project(model.f, x), "z": z.clamp(-1, 1), "f(z)": fz, "f(f(z))": ffz}
    figure = ignbook.plots.rows_of_images(rows, columns)
    sheet = _png(figure, bbox_inches="tight")
    plt.close(figure)
    return sheet


def sample(name: Annotated[str, tyro.conf.Positional], out: Path, n: int = 64, seed: int = 0) -> None:
    """Draw f(z) into a PNG: images in rows of 8, points as a scatter.

    Args:
        name: A checkpoint's name or path.
        out: Path of the picture.
        n: How many.
        seed: Of the source.
    """

    _within("--n", n, 1, 10_000)
    _within("--seed", seed, 0, 2**32)
    if out.suffix != ".png":
        raise ValueError(f"--out is {out}; give a path that ends in .png.")
    model = ignbook.baselines.load(_checkpoint(name))
    if len(getattr(model.f, "shape", ())) == 1:
        figure, z = Figure(figsize=(4, 4), layout="constrained"), model.source.sample(n, torch.Generator().manual_seed(seed))
        ignbook.plots.points(ign_core.project(model.f, z), "fz", figure.subplots())
        ignbook.checkpoints.write_file(out, _png(figure))
    else:
        ignbook.plots.save_samples(model.f, model.source, out, n, seed=seed)
    print(f"{n} samples of {name} (seed {seed}): {out}")


def project(name: Annotated[str, tyro.conf.Positional], source: Annotated[Path, tyro.conf.Positional],
            out: Annotated[Path, tyro.conf.Positional], k: int = 1, corruption: str | None = None,
            strength: float | None = None, seed: int = 0) -> None:  # fmt: skip
    """Apply f to images: each becomes out/FILE.png, and the first 64 stand in out/contact-sheet.png, input above output.

    An image is turned upright, cut to the square in its middle and resized; a drawing for a model of digits is found and
    placed as MNIST does it (ignbook.data.prepare).

    Args:
        name: A checkpoint's name or path.
        source: An image, or a folder of them (with its subfolders).
        out: Folder to write into.
        k: How often f is applied.
        corruption: What is done to the images before, as grey or sketch (ignbook.projector.CORRUPTIONS).
        strength: Of the corruption; the strongest of chapter 8 by default.
        seed: Of corruptions that draw at random.
    """

    _within("--k", k, 1, 10_000)
    _within("--seed", seed, 0, 2**32)
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    model, generator, shown, failed = ignbook.baselines.load(_checkpoint(name)), torch.Generator().manual_seed(seed), [], []
    for path in tqdm(files, desc="images", disable=len(files) == 1):
        try:
            x = ignbook.data.prepare(path, model)
        except ValueError as error:
            if len(files) == 1:
                raise
            failed.append(path)
            tqdm.write(f"left out: {error}")
            continue
        if corruption is not None:
            x = ignbook.projector.corrupt(x, corruption, strength, generator)
        y = ign_core.project(model.f, x, k)
        ignbook.plots.save_grid(y, out / f"{path.relative_to(source) if source.is_dir() else path.name}.png", 1)
        shown += [(x, y)] if len(shown) < 64 else []
    if not shown:
        raise ValueError(f"there is no image in {source}; give a PNG or JPEG file, or a folder of them.")
    rows = [torch.cat(part) for i in range(0, len(shown), 8) for part in zip(*shown[i : i + 8])]
    ignbook.plots.save_grid(_padded(rows), out / "contact-sheet.png", len(rows[0]))
    print(f"{len(files) - len(failed)} images, {len(failed)} left out: {out}")


def _padded(rows: list[torch.Tensor]) -> torch.Tensor:
    """Rows of images, the last ones filled up with black to the length of the first."""
    width = len(rows[0])
    return torch.cat([torch.cat([row, row.new_full((width - len(row), *row.shape[1:]), -1)]) for row in rows])


def fetch(name: Annotated[str, tyro.conf.Positional]) -> None:
    """Download a data set into the cache, once: mnist (11 MB), fashion (30 MB), celeba64 (1.4 GB, needs gdown).

    Args:
        name: Of the data set.
    """

    ignbook.data.fetch(name)
    print(f"{name} is in the cache")


def export(name: Annotated[str, tyro.conf.Positional], out: Path | None = None, half: bool = False, onnx: bool = False) -> None:
    """Write a model without its training state: f, its source and its card; or, with --onnx, f alone.

    Args:
        name: A checkpoint's name or path.
        out: Path of the new checkpoint, or of the ONNX file, which is runs/NAME.onnx otherwise.
        half: Store 16-bit floats.
        onnx: Write an ONNX file, with input y and output fy; needs the extra `onnx`.
    """
    if out is None and not onnx:
        raise ValueError("--out is missing; give the path of the new checkpoint.")
    path = _checkpoint(name)
    model = ignbook.baselines.load(path)
    if onnx:
        out = out or RUNS / f"{path.name}.onnx"
        ignbook.checkpoints.write_file(out, ignbook.exchange.onnx_of(model, half))
        print(f"{name} as ONNX: {out}")
        return
    if half:
        model.f.half(), model.source.half()
    ign_core.save(model, out)


def guarded(arguments: list[str]) -> int:
    """`main`, with what can go wrong said in one sentence on stderr.  Returns the exit status."""
    try:
        main(arguments)
    except KeyboardInterrupt as error:
        _complain(str(error) or "stopped.")
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.errno is not None:  # not one of our own sentences
            where = error.filename2 or error.filename or "a file"
            text = f"{where} can't be read or written ({error.strerror}); mend that, or give another path."
        _complain(" ".join(text.split()))
        return 1
    return 0


def _complain(sentence: str) -> None:
    """On stderr; of several processes, which mostly fail together, the first to come here says it."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        with contextlib.suppress(KeyError, RuntimeError):  # the launcher, who keeps count, is gone too
            where = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
            store = torch.distributed.TCPStore(*where, is_master=False, timeout=timedelta(seconds=10))
            if store.add("train.py has complained", 1) > 1:
                return
    print(f"train.py: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(guarded(sys.argv[1:]))
