"""What a training and its results need, and a student of the method would not change: devices, the order of the data, the
progress bar, states to resume from, cards, checkpoints, atomic files.

Below `ign_core`: of ours it imports `ignbook.arrays` alone, and is handed what it stores.  Nothing is unpickled.
"""

import hashlib
import json
import logging
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ignbook.arrays import Batches

FORMAT = "ign-1"  # of checkpoints; raise it when an older one can no longer be read

# ----------------------------------------------------------------------------------------------- what a recipe may hold


TABLES: dict[str, dict[str, Any]] = {}  # of `ign_core`, by name


def table(name: str, entries: dict[str, Any]) -> dict[str, Any]:
    """A registry with these entries.  It outlives a reload of the module that asks for it, with what others have entered."""
    TABLES.setdefault(name, {}).update(entries)
    return TABLES[name]


def entry(table: dict[str, Any], name, what: str) -> Any:
    """What a recipe names in a registry; anything but a string is the thing itself.  ValueError: an unknown name."""
    if isinstance(name, str) and name not in table:
        raise ValueError(f"{what} {name!r} is unknown; use {', '.join(table)}, or give one of your own in its place.")
    return table[name] if isinstance(name, str) else name


def check_recipe(recipe) -> None:
    """ValueError, one sentence that says what to do: a field of a recipe is out of range."""
    if recipe.tightness_end is not None and not recipe.tightness > 0:
        raise ValueError("tightness_end needs a tightness above 0 to start from; set both.")
    check_shares(recipe.mixture)
    if not 0 <= recipe.recall <= 1:
        raise ValueError(f"recall is a share of the batch, from 0 to 1, not {recipe.recall}.")


def check_shares(shares: dict[str, float]) -> None:
    """ValueError, one sentence that says what to do: shares of a mixture below 0, or together above 1."""
    if not all(share >= 0 for share in shares.values()) or not sum(shares.values()) <= 1:
        raise ValueError(f"the shares {shares} are below 0 or together above 1; what they leave of 1 is the source's own.")


def counts(shares: dict[str, float], n: int) -> list[int]:
    """How many of n samples are of each part of a mixture: what the shares leave first, then the parts in their order."""
    parts = [round(share * n) for share in shares.values()]
    return [n - sum(parts), *parts]


def check_input(y: Tensor, shape) -> None:
    """ValueError, one sentence that says what to do: y (n, *shape) is of another shape, or not finite."""
    if tuple(y.shape[1:]) != tuple(shape):
        hint = f"; resize the images, or give them {shape[0]} channels" if len(shape) == 3 else ""
        raise ValueError(f"the input is {tuple(y.shape)} and f takes (n, {', '.join(map(str, shape))}){hint}.")
    if not torch.isfinite(y).all():
        raise ValueError("the input has NaN or infinite values; remove them first.")


# ---------------------------------------------------------------------------------------------------------- a training


def fabric(precision: str = "auto"):
    """A Lightning Fabric on what the machine has.  precision: Fabric's names; auto is bf16 where the device has it, fp16 on
    older CUDA, else float32."""
    from lightning_fabric import Fabric  # here, because it takes a second and only training needs it

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # what it announces on stderr stands on the card
    if precision == "auto":
        precision = "32-true"
        if torch.cuda.is_available():
            precision = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
        elif not torch.backends.mps.is_available() and torch.cpu.get_capabilities().get("avx512_bf16"):
            precision = "bf16-mixed"
    launched = "LT_CLI_USED" in os.environ  # `fabric run train.py ...` has chosen the devices
    devices: dict = {} if launched else {"devices": 1}
    opened = Fabric(precision=precision, **devices)  # type: ignore[arg-type]  # Fabric checks the name itself
    opened.launch()
    return opened


class Order(torch.utils.data.Sampler):
    """Batches of indices without end, each epoch a new permutation; a pure function of (n, batch, seed, step).

    That is what makes a resumed run see the data in the order of an unbroken one: nothing is stored but the step.
    """

    def __init__(self, n: int, batch: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):
        if n < batch:
            raise ValueError(f"a batch of {batch} is more than the {n} samples there are; give more data or a smaller batch.")
        self.n, self.batch, self.seed, self.start, self.rank, self.world = n, batch, seed, start, rank, world

    def __iter__(self):
        per_epoch = self.n // self.batch
        epoch, position = divmod(self.start, per_epoch)
        while True:
            g = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            order = torch.randperm(self.n, generator=g)
            for i in range(position, per_epoch):
                yield order[i * self.batch : (i + 1) * self.batch][self.rank :: self.world]
            epoch, position = epoch + 1, 0


class Half:
    """Every second sample of `data`, from the first (which = 0) or the second (1): two halves with no sample in common."""

    def __init__(self, data, which: int):
        self.data, self.which = data, which

    def __len__(self) -> int:
        return (len(self.data) + 1 - self.which) // 2

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self.data[2 * indices + self.which]


def check_data(data, recipe) -> Batches:
    """The data in the form that a training reads, which checks each batch; what `Batches` takes will do.

    ValueError, one sentence that says what to do: less than a batch, wrong shape, wrong range, not finite.
    """
    data = Batches(data, recipe)
    Order(len(data), recipe.batch, recipe.seed)  # raises if there is less than one batch
    x = data[torch.arange(min(len(data), 64))]
    if recipe.mirror and len(recipe.shape) != 3:
        raise ValueError(f"recipe {recipe.name!r} mirrors, which is for images; leave mirror off for points.")
    if len(recipe.shape) == 3 and x.min() >= 0:
        raise ValueError("the images have no value below 0; scale them from [0, 1] to [-1, 1] with 2 * x - 1.")
    return data


class Log:
    """What `ign_core.fit` keeps of an `ign_core.Run`: its history, its states on disk, a progress bar, and at the end its card.

    run: a Run, whose step this one sets when it resumes.  path: of the state; None keeps none.
    ValueError: nothing to resume from, a damaged state, or that of another recipe.
    """

    def __init__(self, run, path: Path | None, resume: bool, progress: bool):
        from tqdm.auto import tqdm

        self.run, self.path, self.seconds = run, path, 0.0
        self.history: list[dict] = []
        if resume:
            self.seconds, self.history = restore(run, path)
        self.good = self._snapshot()
        self.first, self.began = run.step, time.perf_counter() - self.seconds
        total, name = run.recipe.steps, run.recipe.name
        shown = progress and run.fabric.is_global_zero
        self.bar = tqdm(initial=run.step, total=total, disable=not shown, desc=name, mininterval=0.5)

    def tick(self) -> None:
        """A step has been made."""
        self.bar.update()

    def keep(self, losses) -> None:
        """A row of the history and a state on disk.  FloatingPointError: NaN; f has the last good weights."""
        run = self.run
        # the loss is that before the step, which itself may have ruined the weights
        if not (math.isfinite(losses.total.item()) and all(torch.isfinite(p).all() for p in run.f.parameters())):
            for t, g in zip(self._tensors(), self.good):
                t.copy_(g)
            stored = self.path is not None and self.path.exists()
            kept = f"the last good weights are in {self.path}" if stored else "f has the last good weights"
            raise FloatingPointError(f"the loss became NaN by step {run.step}; {kept}. Lower lr, or use the clamp.")
        self.good = self._snapshot()
        self.seconds = time.perf_counter() - self.began
        terms = {k: getattr(losses, k).mean().item() for k in losses._fields[1:]}
        self.history.append({"step": run.step, **terms, "seconds": round(self.seconds, 2)})
        rate = run.recipe.batch * (run.step - self.first) / max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix({k[:5]: f"{v:.3f}" for k, v in terms.items()} | {"images/s": f"{rate:.0f}"}, refresh=False)
        if self.path is not None and run.fabric.is_global_zero:
            store(run, self.path, self.seconds, self.history)

    def card(self, data: dict) -> dict:
        """The card of the finished run: recipe, what it cost, on what, and its history.  data: the data set's own card."""
        self.bar.close()
        run = self.run
        return {
            "format": FORMAT,
            "recipe": asdict(run.recipe),
            "images": run.recipe.steps * run.recipe.batch,
            "seconds": round(self.seconds, 1),
            "device": _device_name(run.fabric.device, run.fabric.world_size),
            "precision": str(run.fabric._precision.precision),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "data": data,
            "history": self.history,
        }

    def _tensors(self) -> list[Tensor]:
        return [t for module in (self.run.f.module, self.run.average) for t in module.state_dict().values()]

    def _snapshot(self) -> list[Tensor]:
        return [t.clone() for t in self._tensors()]


def _device_name(device: torch.device, world: int) -> str:
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} thread(s)"
    )
    return name if world == 1 else f"{world} x {name}"


def begin(f: nn.Module, start: str | Path) -> None:
    """Put a checkpoint's weights into f, to train it further.  Errors: `read`; ValueError: it is of another network."""
    try:
        _fill(f, "f", read(start)[0])
    except RuntimeError:
        raise ValueError(
            f"training can't start from {start}, whose network is another than the recipe's; change one."
        ) from None


# -------------------------------------------------------------------------------------------------- states to resume from


def store(run, path: Path, seconds: float, history: list[dict]) -> None:
    """All that a run has, as one file, so that a kill at any moment leaves one whole state."""
    tensors = tensors_of(f=run.f.module, average=run.average, source=run.source)
    for i, moments in run.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": v for k, v in moments.items()}
    tensors["generator"] = run.generator.get_state()
    state = {"recipe": asdict(run.recipe), "step": run.step, "seconds": seconds, "history": history}
    state["scaler"] = run.fabric._precision.state_dict()  # fp16 scales its loss, and the scale moves; else empty
    write_file(path, _blob(tensors, {"ign": json.dumps(state)}))


def restore(run, path: Path | None) -> tuple[float, list[dict]]:
    """Put a stored state into a run; its seconds and history.  ValueError: none there, damaged, or of another recipe."""
    if path is None or not path.exists():
        raise ValueError(f"there is nothing to resume from at {path}; start without --resume.")
    recipe = run.recipe
    try:
        with safetensors.safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["ign"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}
        was = _recipe(state["recipe"], type(recipe))
    except (safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or not a training state ({type(error).__name__}); start without --resume."
        ) from None
    if replace(was, steps=recipe.steps) != recipe:
        changed = [k.name for k in fields(recipe) if k.name != "steps" and getattr(was, k.name) != getattr(recipe, k.name)]
        raise ValueError(
            f"{path} was trained with another {', '.join(changed)}; resume with the same recipe or choose another --out."
        )
    try:
        for name, module in {"f": run.f.module, "average": run.average, "source": run.source}.items():
            _fill(module, name, tensors)
        run.generator.set_state(tensors["generator"])
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path} holds another network than its recipe ({type(error).__name__}); start without --resume."
        ) from None
    moments: dict[int, dict] = {}
    for key in tensors:
        if key.startswith("adam."):
            _, i, name = key.split(".")
            moments.setdefault(int(i), {})[name] = tensors[key]
    run.optimiser.load_state_dict({"state": moments, "param_groups": run.optimiser.state_dict()["param_groups"]})
    if state.get("scaler"):
        run.fabric._precision.load_state_dict(state["scaler"])
    run.step = state["step"]
    return state["seconds"], state["history"]


# --------------------------------------------------------------------------------------------------- models and their cards


def write(path: str | Path, tensors: dict[str, Tensor], card: dict, **metadata: str) -> None:
    """PATH.safetensors and PATH.json (the card), each written aside and renamed: a crash never leaves half a file."""
    path = Path(str(path).removesuffix(".safetensors"))
    blob = _blob(tensors, metadata or None)
    write_file(Path(f"{path}.safetensors"), blob)
    write_json(Path(f"{path}.json"), {**card, "sha256": hashlib.sha256(blob).hexdigest()})


def read(name: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and card of a checkpoint: a path, or a name among the shipped ones.

    FileNotFoundError: no such file.  ValueError: it is damaged, foreign, or the card belongs to other weights.
    """
    path = _find(name)
    try:
        card = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        blob = Path(f"{path}.safetensors").read_bytes()
        tensors = safetensors.torch.load(blob)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{Path(error.filename).name} is missing beside its other half in {path.parent}; copy both."
        ) from None
    except (safetensors.SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"the checkpoint {path} is damaged ({type(error).__name__}); copy or train it again.") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{path}.json is not a card of format {FORMAT!r}; train the model again with this version.")
    if card.get("sha256") != hashlib.sha256(blob).hexdigest():
        raise ValueError(f"{path}.json does not belong to {path.name}.safetensors, or that is damaged; copy both files again.")
    return tensors, card


def write_card(name: str | Path, changes: dict) -> None:
    """Change entries of a checkpoint's card and leave its weights alone.  Errors: see `read`."""
    _, card = read(name)
    write_json(Path(f"{_find(name)}.json"), card | changes)


def recipe_of(card: dict, kind: Callable[..., Any], name: str | Path = "") -> Any:
    """The recipe on a card as a `kind`, `ign_core.Recipe`.  ValueError: there is none, or one that this version doesn't know."""
    try:
        return _recipe(card["recipe"], kind)
    except (KeyError, TypeError) as error:
        raise ValueError(f"the checkpoint {name} is of another architecture than its card says ({error}).") from None


def tensors_of(**modules: nn.Module) -> dict[str, Tensor]:
    """The states of modules under one roof: {"f.weight": ..., "source.std": ...}."""
    held = {name: module for name, module in modules.items() if isinstance(module, nn.Module)}  # a source may have no state
    return {f"{name}.{k}": v for name, module in held.items() for k, v in module.state_dict().items()}


def filled(tensors: dict[str, Tensor], name: str | Path, **makers: Callable[[], nn.Module]) -> list[nn.Module]:
    """The modules that these functions make, with the tensors put in.  ValueError: they are of another architecture."""
    modules = []
    try:
        for part, make in makers.items():
            modules.append(make())
            _fill(modules[-1], part, tensors)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        message = f"the checkpoint {name} is of another architecture than its card says ({error})."
        raise ValueError(message.replace("\n", " ")) from None
    return modules


def shipped(folder: str) -> Path:
    """The book's "checkpoints" or "results": in the package, so that a clone and a wheel have them at one place."""
    return Path(str(resources.files("ignbook"))) / "shipped" / folder


def _find(name: str | Path) -> Path:
    name = str(name).removesuffix(".safetensors").removesuffix(".json")
    for path in (Path(name), shipped("checkpoints") / name):
        if Path(f"{path}.safetensors").exists() or Path(f"{path}.json").exists():
            return path
    known = sorted(p.stem for p in shipped("checkpoints").glob("*.safetensors"))
    raise FileNotFoundError(f"there is no checkpoint {name}; give a path, or one of: {', '.join(known) or 'none shipped'}.")


def _recipe(stored: dict, kind: Callable[..., Any]) -> Any:
    if not isinstance(stored, dict):
        raise TypeError(f"the recipe is {stored!r}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()})


def _fill(module: nn.Module, part: str, tensors: dict[str, Tensor]) -> None:
    if isinstance(module, nn.Module):
        module.load_state_dict({k.removeprefix(part + "."): v for k, v in tensors.items() if k.startswith(part + ".")})


def _blob(tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> bytes:
    return safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)


# ---------------------------------------------------------------------------------------------------------------- files


def write_file(path: Path, blob: bytes) -> None:
    """Write aside and rename, so that a crash at any moment leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(blob)
    os.replace(aside, path)


def write_json(path: Path, content: dict) -> None:
    """As text that a person reads and git compares, by `write_file`."""
    write_file(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
