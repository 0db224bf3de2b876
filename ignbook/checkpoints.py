"""What a training and its results need, and a student of the method would not change: devices, the order of the data, the
progress bar, states to resume from, cards, checkpoints, atomic files.

Below `ign_core`: of ours it imports `ignbook.arrays` and `ignbook.checks` alone, and is handed what it stores.  Nothing is unpickled.
"""

import contextlib
import difflib
import errno
import hashlib
import json
import logging
import math
import operator
import os
import platform
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ignbook import checks
from ignbook.arrays import Batches

try:
    import fcntl
except ImportError:  # Windows: there two runs in one folder are not kept apart
    fcntl = None  # type: ignore[assignment]

FORMAT = "ign-1"  # of checkpoints; raise it when an older one can no longer be read

# ----------------------------------------------------------------------------------------------------- a recipe's numbers

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")

# from, to, both included; what lies above is a slip of the keyboard, or a card that wants the machine's memory
_WHOLE = {
    "size": (1, 1024), "channels": (1, 64), "width": (1, 4096), "code": (1, 65_536), "depth": (1, 64), "linear": (0, 1024),
    "batch": (1, 2**20), "steps": (1, 10**9), "ramp": (0, 10**9), "seed": (0, 2**32),
}  # fmt: skip
_MOST = 1e9
_AT_LEAST_0 = ("reconstruction", "idempotence", "tightness", "tightness_end", "lr_end")
_ABOVE_0 = ("lr", "clip", "clamp")
_OPTIONAL = ("tightness_end", "clip", "clamp")  # may be None
_WEIGHTS = 2**29  # of a network: 2 GB


def check_recipe(recipe) -> None:
    """ValueError, one sentence that says what to do: a field of the wrong type or out of range, or two that don't go together.

    The names of networks, sources, distances and remedies are left to what looks them up.
    """
    for name, (least, most) in _WHOLE.items():
        value = getattr(recipe, name)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name} is {_short(value)}; give a whole number from {least} to {most}.")
    for name in (*_AT_LEAST_0, *_ABOVE_0):
        value, above = getattr(recipe, name), name in _ABOVE_0
        if name in _OPTIONAL and value is None:
            continue
        if not _real(value) or not 0 <= value <= _MOST or (above and value == 0):
            options = f"{'above' if above else 'from'} 0{'' if above else f' to {_MOST:g}'}"
            raise ValueError(f"{name} is {_short(value)}; give a number {options}{', or None' if name in _OPTIONAL else ''}.")
    betas = recipe.betas if isinstance(recipe.betas, tuple) and len(recipe.betas) == 2 else (None, None)
    if not all(_real(value) and 0 <= value < 1 for value in (*betas, recipe.ema)):
        which = "ema" if all(_real(value) and 0 <= value < 1 for value in betas) else "betas"
        wanted = "a number from 0 to below 1" if which == "ema" else "two numbers from 0 to below 1"
        raise ValueError(f"{which} is {_short(getattr(recipe, which))}; give {wanted}.")
    for name in ("mirror", "apart"):
        if type(getattr(recipe, name)) is not bool:
            raise ValueError(f"{name} is {_short(getattr(recipe, name))}; give True or False.")
    if recipe.precision not in PRECISIONS:
        raise ValueError(f"precision {_short(recipe.precision)} is unknown; use one of: {', '.join(PRECISIONS)}.")
    extras = recipe.extras
    if not isinstance(extras, dict) or not all(
        (isinstance(k, str) or callable(k)) and _real(v) and abs(v) <= _MOST for k, v in extras.items()
    ):
        raise ValueError(f"extras are {_short(extras)}; give the weights of terms, as {{'imle': 5.0}}.")
    for name in ("net", "source", "distance", "data", "norm", "method"):
        value = getattr(recipe, name)
        if not (isinstance(value, str) or (name in ("net", "source", "distance") and _made(value))):
            raise ValueError(f"{name} is {_short(value)}; give a name.")
    if not (recipe.distance_end is None or isinstance(recipe.distance_end, str) or callable(recipe.distance_end)):
        raise ValueError(f"distance_end is {_short(recipe.distance_end)}; give a name, or None.")
    check_name(recipe.name)
    check_shares(recipe.mixture)
    if not _real(recipe.recall) or not 0 <= recipe.recall <= 1:
        raise ValueError(f"recall is {_short(recipe.recall)}; give a share of the batch, from 0 to 1.")
    if not _real(recipe.z_share) or not 0 < recipe.z_share <= 1:
        raise ValueError(f"z_share is {_short(recipe.z_share)}; give a number above 0 and at most 1.")
    if recipe.tightness_end is not None and not recipe.tightness > 0:
        raise ValueError("tightness_end needs a tightness above 0 to start from; set both.")
    if recipe.net == "mlp" and recipe.method not in ("ign", "settle", "keep"):
        raise ValueError(f"method {_short(recipe.method)} is for images; use net 'conv', or method 'ign' for points.")
    images = len(recipe.shape) == 3
    if recipe.mirror and not images:
        raise ValueError(f"recipe {recipe.name!r} mirrors, which is for images; leave mirror off for points.")
    if any(getattr(d, "__name__", d) == "pyramid" for d in (recipe.distance, recipe.distance_end)):
        if not images or recipe.shape[-1] % 8:
            raise ValueError("the distance 'pyramid' halves images three times; give a size that 8 divides, or another one.")
    if recipe.net in ("conv", "mlp") and (weights := _weights(recipe)) > _WEIGHTS:
        raise ValueError(f"the network would have about {weights:.1g} weights; give a smaller width, code, depth or size.")


def check_name(name) -> None:
    """ValueError unless a file of that name stands in the folder it is put into, and is no other file of a run."""
    plain = isinstance(name, str) and re.fullmatch(r'[^/\\:*?"<>|\x00-\x1f\x7f]{1,100}', name) and not name.startswith(".")
    if not plain or name.endswith((".train", ".safetensors", ".json", " ", ".")):
        raise ValueError(f"name is {_short(name)}; give a plain file name of 100 characters at most, no folder and no ending.")


def _weights(recipe) -> int:
    """About how many the recipe's network has, for a machine that should not be asked for a thousand times that."""
    if recipe.net == "mlp":
        return recipe.width**2 * recipe.depth
    widest = recipe.width * recipe.size // 8  # channels where the side is 4 to 7
    return 16 * widest * (widest + 4 * recipe.code) + 2 * recipe.channels * recipe.linear**2 * recipe.code


def _real(value) -> bool:
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def _made(value) -> bool:
    """What a recipe may hold in place of a name: a function, a module, a source of one's own."""
    return callable(value) or hasattr(value, "sample")


def _short(value) -> str:
    text = repr(value) if not (type(value) is int and abs(value) > 10**40) else "a number of many digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


TABLES: dict[str, dict[str, Any]] = {}  # by module and name


def table(name: str, entries: dict[str, Any]) -> dict[str, Any]:
    """A registry with these entries.  It outlives a reload of the module that asks for it, with what others have entered."""
    TABLES.setdefault(name, {}).update(entries)
    return TABLES[name]


def entry(table: dict[str, Any], name, what: str) -> Any:
    """What a recipe names: in a registry, or as "module:name", which is how cards name classes and functions of one's own.

    Anything but a string is the thing itself.  A card may come from anyone, so a name imports nothing: it is looked up among
    the modules that are loaded already, and nothing of Python's own is taken.  ValueError: an unknown name."""
    if not isinstance(name, str) or name in table:
        return table[name] if isinstance(name, str) else name
    module, colon, inside = name.partition(":")
    if not colon:
        own = 'give one of your own, or its "module:name", in its place'
        raise ValueError(f"{what} {name!r} is unknown; use {', '.join(table)}, or {own}.")
    try:
        found = operator.attrgetter(inside)(sys.modules[module])
    except (KeyError, AttributeError):
        do = "define it there" if module in sys.modules else f"import {module}, if you trust that code,"
        raise ValueError(f"{what} {name!r} is not among the modules that are loaded; {do} and try again.") from None
    if not hasattr(found, "__qualname__") or re.split("[:.]", named(found))[0] in sys.stdlib_module_names:
        raise ValueError(f"{what} {name!r} is no function or class of your own; name one that is.")
    return found


def check_shares(shares: dict[str, float]) -> None:
    """ValueError, one sentence that says what to do: shares of a mixture below 0, or together above 1."""
    named = isinstance(shares, dict) and all(isinstance(k, str) and _real(v) and v >= 0 for k, v in shares.items())
    if not named or sum(shares.values()) > 1:
        raise ValueError(
            f"the shares {_short(shares)} are below 0 or together above 1; what they leave of 1 is the source's own."
        )


def counts(shares: dict[str, float], n: int) -> list[int]:
    """How many of n samples are of each part of a mixture: what the shares leave first, then the parts in their order."""
    parts = [round(share * n) for share in shares.values()]
    return [n - sum(parts), *parts]


def check_input(y, f) -> Tensor:
    """y (n, *f.shape) in f's precision.  TypeError, ValueError, one sentence: no tensor, bytes, empty, not finite, another shape."""
    shape = getattr(f, "shape", None)
    if isinstance(y, Tensor) and shape is not None and tuple(y.shape[1:]) != tuple(shape):
        hint = f"; resize the images, or give them {shape[0]} channels" if len(shape) == 3 else ""
        raise ValueError(f"the input is {tuple(y.shape)} and f takes (n, {', '.join(map(str, shape))}){hint}.")
    return checks.inputs(f, checks.floats(y, "n, ...") if not isinstance(y, Tensor) or y.dtype != torch.uint8 else y)


def check_draw(n, generator: torch.Generator | None, device) -> torch.device:
    """Where to draw n samples: the generator's device, else the given one.  TypeError, ValueError, one sentence: a bad n, a seed."""
    if type(n) is not int or n < 0:
        raise ValueError(f"{_short(n)} samples are asked for; give a whole number from 0.")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"the generator is {_short(generator)}; pass torch.Generator().manual_seed(seed), or none.")
    return device if generator is None else generator.device


# ---------------------------------------------------------------------------------------------------------- a training


def fabric(precision: str = "auto"):
    """A Lightning Fabric on what the machine has.  precision: one of `PRECISIONS`; auto is bf16 where the device has it, fp16
    on older CUDA, else float32.  ValueError: `fabric run` was given a strategy that splits the weights."""
    from lightning_fabric import Fabric  # here, because it takes a second and only training needs it
    from lightning_fabric.strategies import DDPStrategy, SingleDeviceStrategy

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
    if type(opened.strategy) is not DDPStrategy and not isinstance(opened.strategy, SingleDeviceStrategy):
        reason = "splits f's weights among the processes, and the averaged f and the states on disk need them whole"
        raise ValueError(f"{type(opened.strategy).__name__} {reason}; use --strategy ddp.")
    if not launched:
        opened.launch()
    return opened


def is_first() -> bool:
    """Whether this process is the one that writes and draws: the only one, or the first of those of `fabric run --devices N`."""
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    return rank_zero_only.rank == 0


class Order(torch.utils.data.Sampler):
    """Batches of indices without end, each epoch a new permutation; a pure function of (n, batch, seed, step).

    That is what makes a resumed run see the data in the order of an unbroken one: nothing is stored but the step.
    rank, world: of several processes each gets every world-th sample of each batch, from its rank on, whatever their number.
    """

    def __init__(self, n: int, batch: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):
        if n < batch:
            raise ValueError(f"a batch of {batch} is more than the {n} samples there are; give more data or a smaller batch.")
        if batch % world:  # or their gradients would not count alike
            raise ValueError(f"a batch of {batch} can't be split evenly among {world} processes; give a multiple of {world}.")
        self.n, self.batch, self.seed, self.start, self.rank, self.world = n, batch, seed, start, rank, world

    def __iter__(self):
        per_epoch = self.n // self.batch
        epoch, position = divmod(self.start, per_epoch)
        while True:
            g = torch.Generator().manual_seed(1_000_003 * self.seed + epoch)
            order = torch.randperm(self.n, generator=g)
            for i in range(position, per_epoch):
                yield self.part(order[i * self.batch : (i + 1) * self.batch])
            epoch, position = epoch + 1, 0

    def part(self, batch: Tensor) -> Tensor:
        """What of a whole batch is this process's: (batch, ...) -> (batch / world, ...)."""
        return batch[self.rank :: self.world]


def batches(data, order: Order) -> Iterable[Tensor]:
    """x of each step, this process's part of it: what the order names, or of data that stream themselves, what comes."""
    if hasattr(data, "stream"):
        return data.stream(order)
    return torch.utils.data.DataLoader(data, batch_size=None, sampler=order)  # `Order` yields whole batches of indices


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
    if recipe.mixture and hasattr(data, "stream"):
        raise ValueError("a mixture draws single samples from the data, and these come in a stream; leave mixture empty.")
    x = data[torch.arange(min(len(data), 64))]
    if len(recipe.shape) == 3 and x.min() >= 0:
        raise ValueError("the images have no value below 0; scale them from [0, 1] to [-1, 1] with 2 * x - 1.")
    return data


class Log:
    """What `ign_core.fit` keeps of an `ign_core.Run`: its history, its states on disk, a progress bar, and at the end its card.

    In a `with`, which holds the folder for this run alone, and turns Ctrl-C and SIGTERM into a state and a KeyboardInterrupt
    that says how to go on.  run: a Run, whose step this one sets when it resumes.  folder: of the state; None keeps none.
    every: steps between rows of the history, with a state each; None: 200 rows and 20 states, and one a minute.
    Of several processes the first alone writes, and calls callbacks.  A state is of no number of processes: on another number
    the same data and z follow, and what changes is rounding, and what couples the samples of a process's part of a batch
    (BatchNorm, terms that compare within a batch).
    ValueError: nothing to resume from, a damaged state, that of another recipe or other data; a run that is there already and
    neither to be resumed nor overwritten; another process at work on it; a batch that the processes can't split evenly.
    ConnectionError: another process of the run is gone.
    """

    def __init__(self, run, data, folder, every: int | None, resume: bool, overwrite: bool, progress: bool):
        if resume and overwrite:
            raise ValueError("a run is either resumed or overwritten; give one of --resume and --overwrite.")
        Order(len(data), run.recipe.batch, run.recipe.seed, world=run.fabric.world_size)  # raises if it can't be split
        self.run, self.data, self.resume, self.overwrite = run, data, resume, overwrite
        self.path = None if folder is None else Path(folder) / f"{run.recipe.name}.train.safetensors"
        self.each, self.every = bool(every), every or max(run.recipe.steps // 200, 1)
        self.shown = progress and run.fabric.is_global_zero
        self.seconds, self.signal = 0.0, 0
        self.history: list[dict] = []
        self.courses = [{"step": 0, "lr": run.recipe.lr, "steps": run.recipe.steps}]  # from which step on
        self.stored: int | None = None  # the step of the state on disk

    def __enter__(self) -> "Log":
        from tqdm.auto import tqdm

        run, path, name = self.run, self.path, self.run.recipe.name
        if self.resume and (path is None or not path.exists()):
            raise ValueError(f"there is nothing to resume from at {path}; start without --resume.")
        self.about_data = {} if path is None else identity(self.data)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._together())
            if path is not None and run.fabric.is_global_zero:
                stack.enter_context(_alone(path.with_name(f".{name}.lock"), name))
                _sweep(path.parent, name)
                there = [p for p in (path, path.with_name(f"{name}.safetensors"), path.with_name(f"{name}.json")) if p.exists()]
                if there and not (self.resume or self.overwrite):
                    raise ValueError(f"{there[0]} is there from an earlier run; give --resume, --overwrite or another --out.")
            if self.resume:
                self._restore(path)
            self.good, self.began, self.first = self._snapshot(), time.perf_counter() - self.seconds, run.step
            if not self.resume:
                self._store()  # there is something to go on from at any moment, and a folder that can't be written says so now
            self.looked = time.perf_counter()
            stack.enter_context(self._heeding())
            self.bar = stack.enter_context(
                tqdm(initial=run.step, total=run.recipe.steps, disable=not self.shown, desc=name, mininterval=0.5)
            )
            run.fabric.barrier()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def tick(self, losses, callback: Callable[[int, nn.Module], None] | None = None) -> None:
        """A step has been made.  Where a row is due: the row, a state, and callback(step, averaged f); a callback with a
        method `row` is given the row first.  FloatingPointError: NaN; f has the last good weights."""
        self.bar.update()
        run = self.run
        if run.step % self.every == 0 or run.step == run.recipe.steps:
            self._keep(losses)
            if callback is not None and run.fabric.is_global_zero:
                if hasattr(callback, "row"):
                    callback.row(self.history[-1])
                callback(run.step, run.average)
        if self._signalled():
            self._stop()

    def _keep(self, losses) -> None:
        run, steps = self.run, self.run.recipe.steps
        # the loss is that before the step, which itself may have ruined the weights
        if not (math.isfinite(losses.total.item()) and self._finite()):
            for t, g in zip(self._tensors(), self.good):
                t.copy_(g)
            kept, again = "f has the last good weights", "start again with"
            if self.stored is not None:
                kept, again = f"{self.path} has the good state of step {self.stored}", "go on from it by --resume with"
            raise FloatingPointError(f"the loss became NaN by step {run.step}; {kept}: {again} an lr below {run.recipe.lr:g}.")
        self.good = self._snapshot()
        self.seconds = time.perf_counter() - self.began
        terms = {k: getattr(losses, k).mean().item() for k in losses._fields[1:]}
        self.history.append({"step": run.step, **terms, "seconds": round(self.seconds, 2)})
        rate = run.recipe.batch * (run.step - self.first) / max(self.bar.format_dict["elapsed"], 1e-9)
        self.bar.set_postfix({k[:5]: f"{v:.3f}" for k, v in terms.items()} | {"images/s": f"{rate:.0f}"}, refresh=False)
        due = self.each or 20 * run.step // steps > 20 * (self.stored or 0) // steps
        if run.fabric.broadcast(due or time.perf_counter() - self.looked > 60):  # the first process has the clock
            self._store()

    def card(self) -> dict:
        """The card of the finished run: recipe, what it cost, on what, its data's own card, and its history."""
        run = self.run
        changed = {"courses": self.courses} if len(self.courses) > 1 else {}
        return {
            "format": FORMAT,
            "recipe": plain(run.recipe),
            "images": run.recipe.steps * run.recipe.batch,
            "seconds": round(self.seconds, 1),
            "device": _device_name(run.fabric.device, run.fabric.world_size),
            "precision": str(run.fabric._precision.precision),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "data": getattr(self.data, "card", {"n": len(self.data)}),
            **changed,
            "history": self.history,
        }

    def _restore(self, path: Path) -> None:
        state = restore(self.run, path, self.about_data)
        self.seconds, self.history, self.courses = (state[k] for k in ("seconds", "history", "courses"))
        self.stored = self.run.step
        recipe, last = self.run.recipe, self.courses[-1]
        if (recipe.lr, recipe.steps) != (last["lr"], last["steps"]):
            was = f"{last['steps']} steps and lr {last['lr']:g}"
            self.courses = [c for c in self.courses if c["step"] < self.run.step]
            self.courses.append({"step": self.run.step, "lr": recipe.lr, "steps": recipe.steps})
            if self.shown:
                print(f"{recipe.name}: from step {self.run.step} on, lr and lambda follow the courses of {recipe.steps} steps and "
                      f"lr {recipe.lr:g}, no longer those of {was}.")  # fmt: skip

    def _store(self) -> None:
        if self.path is not None:
            if self.run.fabric.is_global_zero:
                rest = {"seconds": self.seconds, "history": self.history, "courses": self.courses, "data": self.about_data}
                store(self.run, self.path, rest)
            self.run.fabric.barrier()  # so that no process names a state that isn't there yet
            self.stored, self.looked = self.run.step, time.perf_counter()

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        """What gloo or NCCL raise within, when another process of the run is gone, as one sentence."""
        try:
            yield
        except RuntimeError as error:
            several = self.run.fabric.world_size > 1
            if not several or not (isinstance(error, torch.distributed.DistError) or "gloo" in str(error)):
                raise
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the launcher ends the others now; this one has to say why
            kept = "no state was kept; start again"
            if self.stored is not None:
                kept = f"{self.path} has the state of step {self.stored}: go on from it by --resume"
            raise ConnectionError(f"another process of this run has ended at step {self.run.step}; {kept}.") from None

    def _signalled(self) -> bool:
        """Whether a signal has come; several processes ask each other, every tenth step, so that they stop at the same one."""
        fabric = self.run.fabric
        if fabric.world_size == 1:
            return bool(self.signal)
        if self.run.step % 10:
            return False
        return bool(fabric.all_reduce(torch.tensor(float(self.signal), device=fabric.device), reduce_op="sum"))

    @contextlib.contextmanager
    def _heeding(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop a run that has a folder between two steps; a second one stops it where it is."""

        def heed(number: int, _) -> None:
            if self.signal:
                raise KeyboardInterrupt
            self.signal = number

        heeded = self.path is not None and threading.current_thread() is threading.main_thread()
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)} if heeded else {}
        before = {s: handler for s, handler in before.items() if handler not in (None, signal.SIG_IGN)}
        for s in before:
            signal.signal(s, heed)
        try:
            yield
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)

    def _stop(self) -> None:
        self.seconds = time.perf_counter() - self.began
        if self._finite():
            self._store()
        raise KeyboardInterrupt(
            f"stopped after step {self.run.step}; {self.path} has the state of step {self.stored}: go on from it by --resume."
        )

    def _tensors(self) -> list[Tensor]:
        return [t for module in (self.run.f.module, self.run.average) for t in module.state_dict().values()]

    def _finite(self) -> bool:
        return all(bool(torch.isfinite(t).all()) for t in self._tensors())

    def _snapshot(self) -> list[Tensor]:
        return [t.clone() for t in self._tensors()]


def _device_name(device: torch.device, world: int) -> str:
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} thread(s)"
    )
    return name if world == 1 else f"{world} x {name}"


def begin(f: nn.Module, start: str | Path) -> None:
    """Put a checkpoint's weights into f, to train it further; where f's code is larger, into its first numbers.

    The numbers that are new count for nothing in the decoder at first, so that f is the same function as before (Net2Net,
    Chen et al. 2016).  Errors: `read`; ValueError: it is of another network.
    """
    try:
        _fill(f, "f", _widened(f, read(start)[0]))
    except RuntimeError:
        raise ValueError(
            f"training can't start from {start}, whose network is another than the recipe's; change one."
        ) from None


def _widened(f: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those of encoder and decoder that are smaller than f's along one side filled up."""
    found = dict(tensors)
    for name, mine in f.state_dict().items():
        old = tensors.get(f"f.{name}", mine)
        larger = [a > b for a, b in zip(mine.shape, old.shape)]
        if name.split(".")[0] in ("encoder", "decoder") and old.ndim == mine.ndim and sum(larger) == 1:
            whole = torch.zeros_like(mine) if name.startswith("decoder") else mine.clone()
            whole[tuple(slice(side) for side in old.shape)] = old.to(whole)
            found[f"f.{name}"] = whole
    return found


# -------------------------------------------------------------------------------------------------- states to resume from


def identity(data) -> dict:
    """What a state remembers a data set by: its card's md5, else its card, else its length and a digest of a few samples."""
    if card := getattr(data, "card", None):
        return json.loads(_json({"md5": card["md5"]} if "md5" in card else card))
    some = torch.linspace(0, len(data) - 1, min(len(data), 8)).long()
    digests = {hashlib.sha256(data[some].detach().cpu().double().contiguous().numpy().tobytes()).hexdigest() for _ in range(2)}
    return {"n": len(data)} | ({"sha256": digests.pop()} if len(digests) == 1 else {})  # two: samples are made by lot


def store(run, path: Path, rest: dict) -> None:
    """All that a run has, as one file with a sum over all of it, so that a kill at any moment leaves one whole state.

    rest: what `Log` knows: "seconds", "history", "courses" and "data"."""
    moments = run.optimiser.state_dict()["state"]
    state = {"recipe": plain(run.recipe), "step": run.step, **_where(run), "moments": sorted(moments), **rest}
    state["scaler"] = run.fabric._precision.state_dict()  # fp16 scales its loss, and the scale moves; else empty
    tensors = _tensors(run) | {f"adam.{i}.{k}": v for i, of in moments.items() for k, v in of.items()}
    write_file(path, sealed(tensors, state))


def restore(run, path: Path, data: dict) -> dict:
    """Put a stored state into a run; what the state says.  data: `identity` of the run's.

    ValueError: damaged, of another recipe but for steps and lr, of more steps, of other data, of another precision or device.
    """
    recipe, anew = run.recipe, "start anew with --overwrite"
    tensors, state = opened(path)
    mine, was = json.loads(_json(plain(recipe))), state["recipe"]
    if odd := set(mine) ^ set(was):
        raise ValueError(f"{path} is of another version, whose recipes differ in {_short(min(odd))}; {anew}.")
    if changed := [k for k in mine if k not in ("steps", "lr", "precision") and mine[k] != was[k]]:
        raise ValueError(f"{path} was trained with another {', '.join(changed)}; resume with the same recipe, or {anew}.")
    if state["step"] > recipe.steps:
        raise ValueError(f"{path} has made {state['step']} steps already; resume with as many or more --steps, or {anew}.")
    for what, now in _where(run).items():  # either would give other numbers, and nothing would say so
        if (then := state[what]) != now:
            how = f"resume with --precision {then}" if what == "precision" else "resume on the same"
            raise ValueError(f"{path} was trained with {what} {then} and would go on with {now}; {how}, or {anew}.")
    if state["data"] != data:
        raise ValueError(f"{path} was trained on other data; resume with the same, or {anew}.")
    with _whole(path):
        parameters = list(run.f.module.parameters())
        moments = {i: {k: tensors[f"adam.{i}.{k}"] for k in ("step", "exp_avg", "exp_avg_sq")} for i in state["moments"]}
        expected = _tensors(run)
        for i in moments:
            like = {"step": torch.zeros(()), "exp_avg": parameters[i], "exp_avg_sq": parameters[i]}
            expected |= {f"adam.{i}.{k}": t for k, t in like.items()}
        if odd := set(expected) ^ set(tensors):
            raise ValueError(f"{min(odd)} is missing or too many")
        for key, t in tensors.items():
            if (t.shape, t.dtype) != (expected[key].shape, expected[key].dtype):
                raise ValueError(f"{key} is {tuple(t.shape)} of {t.dtype}")
            positive = key.startswith("adam.") and not key.endswith(".exp_avg")
            if not torch.isfinite(t).all() or (positive and (t < 0).any()):
                raise ValueError(f"{key} has numbers that can't be")
        for name, module in {"f": run.f.module, "average": run.average, "source": run.source}.items():
            _fill(module, name, tensors)
        run.generator.set_state(tensors["generator"])
        run.optimiser.load_state_dict({"state": moments, "param_groups": run.optimiser.state_dict()["param_groups"]})
        if state["scaler"].keys() != run.fabric._precision.state_dict().keys() or not all(map(_real, state["scaler"].values())):
            raise ValueError(f"scaler is {_short(state['scaler'])}")
        run.fabric._precision.load_state_dict(state["scaler"])
    run.step = state["step"]
    return state


_SUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')  # in a file's header; within the state's own text quotes are escaped


def sealed(tensors: dict[str, Tensor], state: dict) -> bytes:
    """A state's file.  Its sum is over the file with zeros in the sum's place."""
    blob = _blob(tensors, {"ign": _json(state), "sha256": "0" * 64})
    return _SUM.sub(b'"sha256":"%s"' % hashlib.sha256(blob).hexdigest().encode(), blob, count=1)


def opened(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and the rest of a state's file.  ValueError: damaged, or none."""
    blob = path.read_bytes()
    with _whole(path):
        found = _SUM.search(blob)
        zeroed = b"" if found is None else blob[: found.start(1)] + b"0" * 64 + blob[found.end(1) :]
        if found is None or hashlib.sha256(zeroed).hexdigest().encode() != found[1]:
            raise ValueError("its sum is wrong")
        tensors = safetensors.torch.load(blob)
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        state = json.loads(header["__metadata__"]["ign"])
        _check_state(state)
    return tensors, state


def _check_state(state: dict) -> None:
    step, seconds, rows, courses, moments = (state[k] for k in ("step", "seconds", "history", "courses", "moments"))
    numbers = ("step", "reconstruction", "idempotence", "tightness", "seconds")
    good = {
        "step": type(step) is int and 0 <= step <= 10**9,
        "seconds": _real(seconds) and seconds >= 0,
        "history": isinstance(rows, list) and all(set(row) == set(numbers) and all(map(_real, row.values())) for row in rows),
        "courses": bool(courses) and all(_real(c[k]) for c in courses for k in ("step", "lr", "steps")),
        "moments": isinstance(moments, list) and all(type(i) is int and i >= 0 for i in moments),
        "recipe": isinstance(state["recipe"], dict),
        "scaler": isinstance(state["scaler"], dict),
        "data": isinstance(state["data"], dict),
        "precision": state["precision"] in PRECISIONS,
        "device": isinstance(state["device"], str) and state["device"].isalnum(),
    }
    for name, fine in good.items():
        if not fine:
            raise ValueError(f"{name} is {_short(state[name])}")


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Whatever a damaged or hostile file makes go wrong within, as one sentence."""
    try:
        yield
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = _reason(error) if isinstance(error, ValueError) else type(error).__name__
        raise ValueError(f"{path} is damaged or not a training state ({reason}); start anew with --overwrite.") from None


def _tensors(run) -> dict[str, Tensor]:
    return tensors_of(f=run.f.module, average=run.average, source=run.source) | {"generator": run.generator.get_state()}


def _where(run) -> dict[str, str]:
    return {"precision": str(run.fabric._precision.precision), "device": run.fabric.device.type}


# --------------------------------------------------------------------------------------------------- models and their cards


def save(path: str | Path, card: dict, **modules: nn.Module) -> None:
    """`write` modules by name, with what they are: load must make the same."""
    write(path, tensors_of(**modules), {**card, "built": {part: named(type(module)) for part, module in modules.items()}})


def write(path: str | Path, tensors: dict[str, Tensor], card: dict, **metadata: str) -> None:
    """PATH.safetensors and PATH.json (the card): both made and written aside before the first is renamed, so that neither a
    crash nor a full disk nor a card that is no JSON (ValueError) leaves half a file, or one without the other."""
    path = Path(str(path).removesuffix(".safetensors"))
    blob = _blob(tensors, metadata or None)
    text = _text({**card, "sha256": hashlib.sha256(blob).hexdigest()})
    write_files({Path(f"{path}.safetensors"): blob, Path(f"{path}.json"): text})


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
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:  # of JSON: no JSON, no UTF-8, too deep or long
        raise ValueError(f"the checkpoint {path} is damaged ({type(error).__name__}); copy or train it again.") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ValueError(f"{path}.json is not a card of format {FORMAT!r}; train the model again with this version.")
    if card.get("sha256") != hashlib.sha256(blob).hexdigest():
        raise ValueError(f"{path}.json does not belong to {path.name}.safetensors, or that is damaged; copy both files again.")
    recipe = card.get("recipe", {})
    if not isinstance(recipe, dict) or not isinstance(recipe.get("method", ""), str):
        reason = f"is of another architecture than its card says (the recipe is {_short(recipe)})"
        raise ValueError(f"the checkpoint {name} {reason}; copy it again.")
    return tensors, card


def write_card(name: str | Path, changes: dict) -> None:
    """Change entries of a checkpoint's card and leave its weights alone.  Errors: see `read`."""
    _, card = read(name)
    write_json(Path(f"{_find(name)}.json"), card | changes)


def recipe_of(card: dict, kind: Callable[..., Any], name: str | Path = "") -> Any:
    """The recipe on a card as a `kind`, `ign_core.Recipe`.  ValueError: there is none, or one that this version doesn't know."""
    try:
        return kind(**{k: _tuples(v) for k, v in card["recipe"].items()})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the checkpoint {name} is of another architecture than its card says ({_reason(error)}).") from None


def plain(recipe) -> dict:
    """A recipe as a card holds it: functions and objects by their `named`."""
    return {field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)}


def _plain(value):
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return value if value is None or isinstance(value, (str, int, float)) else named(value)


def named(what) -> str:
    """ "module:qualname" of a function or a class, or of an object's class."""
    what = what if hasattr(what, "__qualname__") else type(what)
    return f"{what.__module__}:{what.__qualname__}"


def tensors_of(**modules: nn.Module) -> dict[str, Tensor]:
    """The states of modules under one roof: {"f.weight": ..., "source.std": ...}."""
    held = {name: module for name, module in modules.items() if isinstance(module, nn.Module)}  # a source may have no state
    return {f"{name}.{k}": v for name, module in held.items() for k, v in module.state_dict().items()}


def filled(tensors: dict[str, Tensor], card: dict, name: str | Path, **makers: Callable[[], nn.Module]) -> list[nn.Module]:
    """The modules that these functions make, with the tensors put in.

    ValueError: they are of another architecture or, by the card, of another class, or have weights that aren't finite.  What
    a card names is compared or, by `entry`, looked up among what is loaded: never imported.
    """
    modules, built = [], card.get("built")
    for part, make in makers.items():
        was, module = built.get(part) if isinstance(built, dict) else None, None
        try:
            module = make()
            if isinstance(was, str) and not _same_class(was, module):
                module = None
                raise ValueError(f"its {part} is not what this would make")
            _fill(module, part, tensors)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            reason = f"the checkpoint {name} is of another architecture than its card says ({_reason(error)})"
            option = "build" if part == "f" else part
            hint = (
                f"; give load a {option}=, a function of the recipe that makes a {_short(was)}"
                if was and module is None
                else ""
            )
            raise ValueError(f"{reason}{hint}.") from None
        if not all(torch.isfinite(t).all() for t in tensors_of(**{part: module}).values()):
            raise ValueError(f"the checkpoint {name} has weights that aren't finite; train it again with a lower lr.")
        modules.append(module)
    return modules


def _same_class(was: str, module: nn.Module) -> bool:
    """By the name alone where it was defined in a script or a notebook, __main__ at one time and a module at another."""
    names = {named(kind) for kind in type(module).__mro__}
    return was in names or ("__main__" in f"{was} {names}" and str(was).split(":")[-1] in {n.split(":")[-1] for n in names})


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:240]


def shipped(folder: str) -> Path:
    """The book's "checkpoints" or "results": in the package, so that a clone and a wheel have them at one place."""
    return Path(str(resources.files("ignbook"))) / "shipped" / folder


def _find(name: str | Path) -> Path:
    name = str(name).removesuffix(".safetensors").removesuffix(".json")
    for path in (Path(name), shipped("checkpoints") / name):
        if Path(f"{path}.safetensors").exists() or Path(f"{path}.json").exists():
            return path
    known = sorted(p.stem for p in shipped("checkpoints").glob("*.safetensors"))
    near = difflib.get_close_matches(Path(name).name, known, 3, 0.0)
    raise FileNotFoundError(
        f"there is no checkpoint {name}; give a path, or the name of a shipped one, such as {', '.join(near)} "
        "(all: ignbook/shipped/checkpoints)."
    )


def _tuples(value):
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _fill(module: nn.Module, part: str, tensors: dict[str, Tensor]) -> None:
    if isinstance(module, nn.Module):
        module.load_state_dict({k.removeprefix(part + "."): v for k, v in tensors.items() if k.startswith(part + ".")})


def _blob(tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> bytes:
    return safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)


# ---------------------------------------------------------------------------------------------------------------- files


def write_files(files: dict[Path, bytes]) -> None:
    """Write all of them aside and to the disk, then rename one after the other: a crash at any moment leaves an old file or a
    new one, never half of one, and an OSError before the first is renamed leaves all old ones."""
    asides: dict[Path, Path] = {}
    try:
        for path, blob in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.aside")
            # exclusively: whoever can write to the folder must not have laid a link here
            descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
            asides[aside] = path
            with open(descriptor, "wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
        for aside, path in asides.items():
            os.replace(aside, path)
    except BaseException:
        for aside in asides:
            aside.unlink(missing_ok=True)
        raise


def write_file(path: Path, blob: bytes) -> None:
    """`write_files` for one."""
    write_files({path: blob})


def write_json(path: Path, content: dict) -> None:
    """As text that a person reads and git compares, by `write_file`."""
    write_file(path, _text(content))


def _text(content) -> bytes:
    return (_json(content, indent=1) + "\n").encode()


def _json(content, indent: int | None = None) -> str:
    try:
        text = json.dumps(content, indent=indent, ensure_ascii=False)
        text.encode()  # half of a surrogate pair is no text
        return text
    except (TypeError, ValueError) as error:
        reason = f"{_reason(error)}); it may hold text, numbers, lists and tables"
        raise ValueError(f"a card can't be written as JSON ({reason}.") from None


def _sweep(folder: Path, name: str) -> None:
    """Remove what writes of a run that was killed left aside."""
    files = "train\\.safetensors|safetensors|json|csv"
    left = re.compile(rf"\.{re.escape(name)}\.({files})\.[0-9a-f]{{16}}\.aside")
    for path in folder.iterdir():
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(lock: Path, name: str) -> Iterator[None]:
    """Hold a lock file, which the system lets go with the process, however that ends.  ValueError: another process has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    while True:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace")
            os.close(descriptor)
            who = f"another run, process {holder}," if holder else "another run"
            raise ValueError(f"{who} is at work on {name!r} in {lock.parent}; let it end, or give another --out.") from None
        except OSError:
            break  # a file system without locks
        if lock.exists() and os.fstat(descriptor).st_ino == lock.stat().st_ino:
            break
        os.close(descriptor)  # one that its last holder has removed meanwhile
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)
