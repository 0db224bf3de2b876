"""One-step relatives of an IGN of the same size on digits: flow matching with few and many steps, and a student of it.

    python experiments/one_step.py        writes ignbook/shipped/results/one_step.json, in half an hour on one core

Chapter 12.  The network is the IGN's of `SWEEPS["z-share"]` with a channel more, the time t; with the package flow_matching
(Lipman et al. 2024) it learns the data that belong to x_t = (1 - t) z + t x, from which the velocity follows.  The student
is the same network without t, and learns to make in one application of the same z what the teacher makes in 16 steps.
Each is measured like the runs of the family, with which chapter 12 sets it side by side.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.plots  # noqa: E402
import ignbook.recipes  # noqa: E402

OUT = ignbook.checkpoints.shipped("results") / "one_step.json"
PICTURES = ignbook.checkpoints.shipped("results") / "runs" / "one-step"
TAUGHT, TEACHES = 20_000, 16  # pairs that the student learns from; the teacher's steps for each


class Flow(nn.Module):
    """What x is, by x_t and t: (n, C, H, W) and (n,) -> (n, C, H, W); f(z) is the sample of `self.times` Euler steps from z."""

    def __init__(self, recipe: ign_core.Recipe, times: int = 1):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.net = ign_core.ConvAutoencoder(recipe.size, recipe.channels + 1, recipe.width, recipe.code, recipe.norm)
        self.shape, self.times = recipe.shape, times

    def guess(self, y: Tensor, t: Tensor) -> Tensor:
        plane = t.reshape(-1, 1, 1, 1).expand(len(y), 1, *y.shape[2:]).to(y)
        return self.net(torch.cat([y, plane], 1))[:, : y.shape[1]]

    def forward(self, z: Tensor, t: Tensor | None = None) -> Tensor:
        if t is not None:
            return self.guess(z, t)
        from flow_matching.solver import ODESolver

        def velocity(x, t, **extras):
            return (self.guess(x, t.expand(len(x))) - x) / (1 - t).clamp_min(1e-3).reshape(-1, 1, 1, 1)

        grid = torch.linspace(0, 1, self.times + 1, device=z.device)
        return ODESolver(velocity).sample(z, step_size=None, method="euler", time_grid=grid).clamp(-1, 1)


def flow_loss(f, x: Tensor, z: Tensor, **weights) -> ign_core.Losses:
    """Mean squared error of the guess of x, at times that part [0, 1] evenly; x comes in random order."""
    from flow_matching.path import CondOTProbPath

    t = (torch.arange(len(x), device=x.device) + 0.5) / len(x)
    y = CondOTProbPath().sample(t=t, x_0=z, x_1=x).x_t
    return _of_error(ign_core.l2(f(y, t), x))


def student_loss(f, x: Tensor, z: Tensor, **weights) -> ign_core.Losses:
    """x holds the teacher's z and its sample, one above the other: L1 of the sample."""
    noise, made = x.chunk(2, 2)
    return _of_error(ign_core.l1(f(noise), made))


def _of_error(error: Tensor) -> ign_core.Losses:
    none = torch.zeros_like(error.detach())
    return ign_core.Losses(error.mean(), error.detach(), none, none)


def main(steps: int = 3_000, taught: int = 1_500, n: int = 5_000, seeds: tuple[int, ...] = (0, 1, 2), threads: int = 1,
         out: Path = OUT, pictures: Path = PICTURES) -> None:  # fmt: skip
    """Train the two for each seed, and measure them.

    Args:
        steps: Of the flow's training, batches of the recipe's size.
        taught: Of the student's.
        n: Samples, and test digits.
        seeds: Of weights, order and noise.
        threads: CPU threads.
        out: The JSON file to write; a seed that is in it is left alone.
        pictures: Folder for 40 samples of each.
    """
    torch.set_num_threads(threads)
    data, test = (ignbook.data.real("mnist", split, 32) for split in ("train", "test"))
    network = ignbook.metrics.load_feature_network("classifier")
    real = ignbook.metrics.features_of(network, test[ignbook.metrics.in_random_order(test)[:n]])

    def measured(f, z: Tensor, picture: Path) -> dict:
        y = ignbook.metrics.projected(f, z)
        ignbook.plots.save_grid(y[:40], picture, 20)
        return ignbook.metrics.score(network, y, real)

    result = json.loads(out.read_text()) if out.exists() else {"n": n, "steps": steps, "taught": taught, "seeds": {}}
    for seed in (seed for seed in seeds if str(seed) not in result["seeds"]):
        plain = ignbook.recipes.SWEEPS["z-share"]["1.0-s0"]
        recipe = replace(
            plain, name="flow", source="gaussian", extras={}, tightness=0.0, tightness_end=None, ramp=0, steps=steps, seed=seed
        )
        began = time.process_time()
        source = ign_core.GaussianSource(recipe.shape)
        flow = ign_core.fit(Flow(recipe), source, data, recipe, loss=flow_loss).f
        minutes = (time.process_time() - began) / 60
        z, rows = source.sample(n, torch.Generator().manual_seed(0)), {}

        for flow.times in (1, 2, 4, 8, 16, 32):
            name = f"flow-{flow.times}"
            rows[name] = measured(flow, z, pictures / f"{name}-s{seed}.png") | {"minutes": minutes}
        began, flow.times = time.process_time(), TEACHES
        noise = source.sample(TAUGHT, torch.Generator().manual_seed(seed + 1))
        pairs = torch.cat([noise, ignbook.metrics.projected(flow, noise)], 2)
        pupil = replace(recipe, name="student", steps=taught)
        lesson = ign_core.Run(ign_core.build(pupil), source, pupil)
        for _ in lesson.train(pairs, student_loss):
            pass
        minutes += (time.process_time() - began) / 60
        rows["student-1"] = measured(lesson.average, z, pictures / f"student-1-s{seed}.png") | {"minutes": minutes}
        parameters = {
            "flow": sum(p.numel() for p in flow.parameters()),
            "student": sum(p.numel() for p in lesson.average.parameters()),
        }
        result["seeds"][str(seed)] = {"rows": rows, "parameters": parameters}
        ignbook.checkpoints.write_json(out, result)
        for name, row in rows.items():
            print(seed, name, {key: round(row[key], 3) for key in ("FD", "KID", "precision", "recall", "coverage", "minutes")})


if __name__ == "__main__":
    tyro.cli(main)
