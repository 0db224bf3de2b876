"""Settling: the game is over, and f learns to repeat its own answers (chapters 6, 8).  `Recipe.method` "settle" or "keep".

Tightness drives f away from its own outputs for as long as it is trained, so where f rests is never quite where it maps to.
Here f begins as f_0, the checkpoint that the recipe starts from, and f_0's answers are data like x: f(f_0(z)) is to be f_0(z).
It will miss them by a little, as it misses x, and what it does make of them is where z is to go: f(z) = f(f_0(z)).  And
whatever a few more applications make of that, it is to come back.  For photographs f misses its old answers by much, which makes
samples worse.  The method "keep" avoids that: its target for f(z) is f_0(z) itself, and f(f(z)) is a little farther from f(z).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import ign_core
import ignbook.checkpoints

TIMES = (0, 1, 2, 4, 9)  # how often f has been applied to an answer that it is to give back: a fifth of them each


@dataclass
class Settling:
    """The loss of a recipe that settles, in place of `ign_core.objective`; make it by `Settling.of(recipe)`.

    first: f_0, the network that f starts from.  shares: `Recipe.mixture`.  keeps: whether y is a, and not f(a)."""

    first: nn.Module
    shares: dict[str, float]
    keeps: bool = False

    @classmethod
    def of(cls, recipe: ign_core.Recipe) -> "Settling":
        """ValueError: the recipe starts from nothing."""
        if not recipe.start:
            raise ValueError(f"recipe {recipe.name!r} settles and starts from no checkpoint; give start a name or a path.")
        return cls(ign_core.load(recipe.start).f, recipe.mixture, recipe.method == "keep")

    def __call__(
        self, f: nn.Module, x: Tensor, z: Tensor, *, distance, reconstruction: float, idempotence: float,
        extra: ign_core.Extra | None = None, **weights
    ) -> ign_core.Losses:  # fmt: skip
        """reconstruction * (D(x, f(x)) + D(a, f(a))) + idempotence * (D(y, f(z)) + 2 D(u, f(f^k(u)))), means over the batch.

        x, z: (n, *shape), (m, *shape).  a = f_0(z), y = f(a), or a.  u: y and f(x), half of each.  y, u and f^k(u), k as in TIMES, are held
        fixed.  extra: remedies, of a and f(a) in place of z and f(z), so that what f makes of its answers is like data.
        In `Losses`, idempotence stands for D(u, f(f^k(u))), and tightness for D(y, f(z)), which is minimised here."""
        D = ign_core.distance_of(distance)
        with torch.no_grad():
            a = self.answers(z)
        fx, fa, fz = f(torch.cat([x, a, z])).split([len(x), len(z), len(z)])
        n, y = min(len(x), len(z)) // 2, a if self.keeps else fa.detach()
        u = torch.stack([y[::2][:n], fx.detach()[::2][:n]], 1).flatten(0, 1)  # every second z, so some of each part
        shown = u.clone()
        with torch.no_grad():
            for k in range(max(TIMES)):
                rest = sum(time <= k for time in TIMES) * len(u) // len(TIMES)
                shown[rest:] = f(shown[rest:]).to(shown.dtype)
        rebuilt, sent, back = D(x, fx), D(y, fz), D(u, f(shown))
        total = reconstruction * (rebuilt.mean() + D(a, fa).mean()) + idempotence * (sent.mean() + 2 * back.mean())
        if extra is not None:
            total = total + extra(f, x, a, fx, fa)
        return ign_core.Losses(total, rebuilt.detach(), back.detach(), sent.detach())

    def answers(self, z: Tensor) -> Tensor:
        """f_0(z); of what is an image and no noise, f_0 of the nearest image whose values are in the range: (n, *shape) both."""
        if z.ndim == 4:  # points have no range
            noise = ignbook.checkpoints.counts(self.shares, len(z))[0]
            z = torch.cat([z[:noise], z[noise:].clamp(-1, 1)])
        return self.first.to(z.device)(z)
