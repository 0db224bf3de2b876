"""What public functions ask of their arguments, so that a wrong one gets a sentence that says what to do, and never a NaN.

TypeError: of the wrong kind.  ValueError: of the right kind with the wrong content.  What all functions ask stands in `door`,
which goes by their annotations; shapes and ranges are asked within them.  Imports nothing of ours.
"""

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable)
HUGE = 20.0  # no image in [-1, 1] is so large, whatever noise was added; bytes taken for floats are
NETWORK = {nn.Module, Callable}  # annotations of what is called
_WIDER = {
    float: Real,
    int: Integral,
    dict: Mapping,
    list: Iterable,
    tuple: Iterable,
}  # what else does where these are asked for
_NAMED = {Tensor: "a tensor", float: "a number", int: "a whole number", dict: "a dict", list: "a list", tuple: "a tuple"}


def door(function: F) -> F:
    """The function, with each argument looked at before, by its annotation.

    A tensor is one, not empty, and finite; so is a number.  A dict or list that has no default is not empty,
    and no NaN is in it, however deep.  A generator is no seed.  A network, or a source, can be called.
    """
    parameters = inspect.signature(function).parameters
    kinds = {name: _kinds(parameter.annotation) for name, parameter in parameters.items()}
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*args, **kwargs):
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if not (value is None and type(None) in kinds[name]):
                _kind(name, value, kinds[name])
                asked = bool(kinds[name]) and parameters[name].default is inspect.Parameter.empty
                _content(name, value, asked)
        return function(*args, **kwargs)

    return typing.cast(F, checked)


def _kinds(annotation) -> tuple:
    """Classes that an annotation names; none: it may be anything."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        found = [_kinds(each) for each in typing.get_args(annotation)]
        return sum(found, ()) if all(found) else ()
    kind = typing.get_origin(annotation) or annotation
    return (kind,) if isinstance(kind, type) and kind not in (inspect.Parameter.empty, object) else ()


def _kind(name: str, value, kinds: tuple) -> None:
    for kind in kinds:
        if name == "source" and not hasattr(value, "sample"):
            continue
        if kind in (list, tuple) and isinstance(value, str | Mapping):
            continue
        if isinstance(value, kind) or isinstance(value, _WIDER.get(kind, kind)):
            return
        if kind in NETWORK and (hasattr(value, "sample") if name == "source" else callable(value)):
            return
    if not kinds:
        return
    hint = "give one"
    if torch.Generator in kinds and isinstance(value, Integral):
        hint = f"pass torch.Generator().manual_seed({value})"
    elif Tensor in kinds:
        hint = "convert it by torch.as_tensor"
    elif set(kinds) & NETWORK and hasattr(value, "f"):
        hint = "give its f"
    wanted = " or ".join(_NAMED.get(kind, kind.__name__) for kind in kinds if kind is not type(None))
    if set(kinds) & NETWORK:
        wanted = "a source, with sample(n, generator)" if name == "source" else "a network, which can be called"
    raise TypeError(f"{name} is to be {wanted} and is of type {type(value).__name__}; {hint}.")


def _content(name: str, value, asked: bool, inside: bool = False) -> None:
    """asked: it must not be empty.  inside: it is a part of an argument, where infinite values may have a meaning."""
    if isinstance(value, Tensor | np.ndarray):
        if asked and 0 in value.shape:
            raise ValueError(f"{name} is empty, of shape {tuple(value.shape)}; give at least one sample.")
        if isinstance(value, Tensor) or value.dtype.kind == "f":  # else whole numbers, or objects such as Fractions
            bad = torch if isinstance(value, Tensor) else np
            if bad.isnan(value).any() if inside else not bad.isfinite(value).all():
                raise ValueError(f"{name} has NaN or infinite values; look at what made it.")
    elif isinstance(value, float | np.floating):
        if math.isnan(value) or (math.isinf(value) and not inside):
            raise ValueError(f"{name} {'holds a NaN' if inside else f'is {value}'}; give finite numbers.")
    elif isinstance(value, Mapping | list | tuple):
        if asked and not value:
            raise ValueError(f"{name} is empty; give at least one entry.")
        for part in value.values() if isinstance(value, Mapping) else value:
            _content(name, part, False, True)


# ------------------------------------------------------------------------------------------------------ shapes and ranges


def floats(x: Any, shape: str, name: str = "the input", least: int = 1) -> Tensor:
    """x as floats, integers converted, if it is finite and of that shape, such as "n, d" or "n, 2"; "n, ..." is any with a batch.

    least: how many rows it needs.  TypeError: no tensor.  ValueError: another shape, complex numbers, too few rows, NaN.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is to be a tensor ({shape}) and is of type {type(x).__name__}; convert it by torch.as_tensor.")
    sides = shape.split(", ")
    fits = x.ndim >= len(sides) if sides[-1] == "..." else x.ndim == len(sides)
    if not fits or x.is_complex() or any(side.isdigit() and int(side) != found for side, found in zip(sides, x.shape)):
        kind = f"{tuple(x.shape)}, {x.dtype}" if x.is_complex() else f"{tuple(x.shape)}"
        raise ValueError(f"{name} has shape {kind}; give real numbers ({shape}).")
    enough(len(x), least)
    if x.numel() == 0:
        raise ValueError(f"{name} is empty, of shape {tuple(x.shape)}; give at least one number a sample.")
    if not torch.isfinite(x).all():
        raise ValueError(f"{name} has NaN or infinite values; look at what made it.")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def alike(*several: Tensor) -> tuple[Tensor, ...]:
    """Tensors in the finest precision that one of them has."""
    kind = functools.reduce(torch.promote_types, (x.dtype for x in several))
    return tuple(x.to(kind) for x in several)


def data(given: Any, least: int = 1) -> Any:
    """What has len() and can be indexed, if there are at least so many samples in it."""
    if not (hasattr(given, "__len__") and hasattr(given, "__getitem__")):
        raise TypeError(f"data have a length and can be indexed, and this is of type {type(given).__name__}; give a tensor.")
    enough(len(given), least)
    return given


def images(x: Any, least: int = 1, limit: float = 1.0) -> Tensor:
    """x as float32, if it is at least `least` finite images (n, C, H, W), floats within [-limit, limit].

    TypeError: no tensor.  ValueError: anything else, uint8 among it, which is not in [-1, 1].
    """
    if isinstance(x, Tensor) and x.ndim == 4 and not x.is_floating_point():
        raise ValueError(f"the images are {x.dtype}, not floats; scale them to [-1, 1], bytes by x / 127.5 - 1.")
    if isinstance(x, Tensor) and len(x) and not torch.isfinite(x).all():
        raise ValueError("the images have NaN or infinite values; the generator that made them is broken.")
    x = floats(x, "n, C, H, W", "the batch of images", least)
    if x.min() < -1.001 * limit or x.max() > 1.001 * limit:
        raise ValueError(f"the images run from {x.min():.3g} to {x.max():.3g}; scale them to [-1, 1].")
    return x.float()


def inputs(f: Any, x: Tensor) -> Tensor:
    """x as floats of the network's precision, if f can take it: a batch, of f.shape where f has one; bytes are no images."""
    if x.dtype == torch.uint8:
        raise ValueError("the images are bytes, torch.uint8; scale them to [-1, 1] by x / 127.5 - 1.")
    x, shape = floats(x, "n, ..."), getattr(f, "shape", None)
    if isinstance(shape, tuple) and tuple(x.shape[1:]) != shape:
        raise ValueError(f"the input is {tuple(x.shape)} and f takes (n, {', '.join(map(str, shape))}); give it that shape.")
    return cast(f, x)


def cast(f: Any, x: Tensor) -> Tensor:
    """x in the precision of a network, where f is one."""
    kinds = {p.dtype for p in f.parameters()} if isinstance(f, nn.Module) else set()
    return x.to(kinds.pop()) if len(kinds) == 1 else x


def finite(y: Tensor, of: str) -> Tensor:
    """y, what a function of the reader's returned.  ValueError: it has NaN or infinite values."""
    if not torch.isfinite(y).all():
        raise ValueError(f"{of} has NaN or infinite values; the network that made them is broken, or was trained too fast.")
    return y


def enough(n: int, least: int) -> None:
    """ValueError: there are fewer than `least` samples."""
    if n < least:
        raise ValueError(f"{n} samples are too few for this measure; give at least {least}.")


def between(name: str, value: float, low: float, high: float = math.inf) -> None:
    """ValueError: the number is not in [low, high], or it is NaN or infinite."""
    if not (low <= value <= high and math.isfinite(value)):
        wanted = f"{low:g} or more" if high == math.inf else f"a number from {low:g} to {high:g}"
        raise ValueError(f"{name} is {value}; give {wanted}.")


def device(name: str | torch.device) -> torch.device:
    """The device of that name.  ValueError: there is none here."""
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ValueError(f"there is no device {str(name)!r} on this machine; use 'cpu'.") from None
    return found
