"""Sources that hold what f is to project: corrupted data, and f's own outputs (chapter 8).  `Recipe.mixture` names them.

They draw from data that is independent of x: nothing is paired with its original, and there is no target for them.
A new one goes into `ign_core.SOURCES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import ign_core
import ignbook.data
from ignbook import projector


@dataclass(frozen=True)
class Kind:
    """A corruption (x, strength, generator) -> the same shape, and the range in which its strength is drawn."""

    corrupt: Callable[[Tensor, float, torch.Generator], Tensor]
    low: float
    high: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        strength = self.low + (self.high - self.low) * torch.rand((), generator=generator).item()
        return self.corrupt(x, strength, generator)


def _sketch(x: Tensor, kernel: float, generator: torch.Generator) -> Tensor:
    return projector.sketch(x, 2 * int(kernel) + 1)


KINDS = {
    "grey": Kind(projector.grey, 1.0, 1.0),
    "pale": Kind(projector.grey, 0.5, 1.0),
    "sketch": Kind(_sketch, 3, 14),  # kernels of 7 to 29 pixels
    "noisy": Kind(ignbook.data.add_noise, 0.0, 0.8),  # not cut to the range of images
    "blurred": Kind(projector.blur, 0.5, 3.0),
    "masked": Kind(projector.mask, 0.15, 0.4),
}


class CorruptedSource(nn.Module):
    """Data with one of some corruptions each, its strength drawn by lot.  shape: (C, H, W).

    data: len() and data[LongTensor] -> (n, *shape); without it `sample` raises ValueError.
    """

    def __init__(self, shape, kinds: Sequence[Kind], data=None):
        super().__init__()
        self.shape, self.kinds, self.data = tuple(shape), tuple(kinds), data

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, C, H, W), on the generator's device: as many of each kind, by turns, and which kind begins drawn by lot."""
        if self.data is None:
            raise ValueError("this source corrupts data and has none; make it by ign_core.source_of(recipe, data).")
        g = _on_cpu(generator)
        x = self.data[torch.randint(len(self.data), (n,), generator=g)]
        first = int(torch.randint(len(self.kinds), (), generator=g))
        z = torch.empty_like(x)
        for i in range(min(n, len(self.kinds))):
            z[i :: len(self.kinds)] = self.kinds[(first + i) % len(self.kinds)](x[i :: len(self.kinds)], g)
        return z if generator is None else z.to(generator.device)


class OwnOutputs(nn.Module):
    """f(z) and f(f(z)) of the averaged f, half and half, held fixed: what makes a second application trained."""

    def __init__(self, shape):
        super().__init__()
        self.shape = tuple(shape)
        self._follows: tuple = ()  # in a tuple, so that f is no part of the source's state

    def follow(self, f: nn.Module, noise) -> None:
        self._follows = (f, noise)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, *shape)."""
        if not self._follows:
            raise ValueError("this source is of f's own outputs and has no f; call follow(f, noise) first.")
        f, noise = self._follows
        y = f(noise.sample(n, generator))
        y[: n // 2] = f(y[: n // 2])
        return y


@dataclass(frozen=True)
class Corrupting:
    """An entry of `ign_core.SOURCES`: a `CorruptedSource` of these kinds."""

    kinds: tuple[Kind, ...]

    def __call__(self, shape) -> CorruptedSource:
        return CorruptedSource(shape, self.kinds)

    def of(self, data) -> CorruptedSource:
        return CorruptedSource(data[torch.arange(1)].shape[1:], self.kinds, data)


ign_core.SOURCES |= {name: Corrupting((kind,)) for name, kind in KINDS.items()}
ign_core.SOURCES |= {"damaged": Corrupting(tuple(KINDS[k] for k in ("noisy", "blurred", "masked"))), "own": OwnOutputs}


def _on_cpu(generator: torch.Generator | None) -> torch.Generator:
    """A generator for what draws on the CPU, seeded by the one given, on whatever device that is."""
    where = {} if generator is None else {"generator": generator, "device": generator.device}
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), **where)))
