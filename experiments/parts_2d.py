"""Which share must a part of the source have before it leaves a wrong set?  Chapter 8's proposition, in the plane.

    python experiments/parts_2d.py [--out results/parts_2d.json]

Data: a ring, and three tenths of them on a smaller ring inside it.  Source: normal noise, and a part that starts on the smaller ring.
Trains a toy for each (share, seed) and writes a row for each, after every run, so that a stopped experiment goes on where
it was.  Half a minute a run on one core.
"""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.recipes  # noqa: E402

INNER = 0.4  # radius of the smaller ring, in units of the ring's
RARE = 0.3  # share of the data that is on it: the proposition's epsilon
RATIO = 0.75  # lambda
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)  # of the source's part that starts there: the proposition's pi
SEEDS = (0, 1, 2)
N = 5_000  # samples that a row is measured on
TOLERANCE = 0.1  # a point is on a ring if it is no farther off than this
OUT = ignbook.checkpoints.shipped("results") / "parts_2d.json"
KEPT = 250  # points of seed 0 kept in the file, for pictures


class Inner:
    """A source: the smaller ring."""

    shape = (2,)

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return INNER * ignbook.data.manifold("ring").sample(n, generator)


def data(n: int, seed: int) -> torch.Tensor:
    """(n, 2), of which three tenths are on the smaller ring."""
    g, few = torch.Generator().manual_seed(seed), round(RARE * n)
    return torch.cat([ignbook.data.manifold("ring").sample(n - few, g), Inner().sample(few, g)])[torch.randperm(n, generator=g)]


def on(y: torch.Tensor, radius: float) -> float:
    """Share of y (n, 2) on the ring of that radius."""
    return ((y.norm(dim=1) - radius).abs() <= TOLERANCE).double().mean().item()


def run(share: float, seed: int) -> dict:
    """Train one toy and measure where the part that started on the smaller ring is."""
    recipe = replace(ignbook.recipes.ring, name="parts", tightness=20 * RATIO, steps=3_000, mixture={"inner": share}, seed=seed)
    source = ign_core.MixedSource(ign_core.GaussianSource((2,)), {"inner": Inner()}, recipe.mixture)
    model = ign_core.fit(ign_core.build(recipe), source, data(50_000, seed), recipe, every=500, progress=False)
    z = Inner().sample(N, torch.Generator().manual_seed(12345))
    fz, fx = (ign_core.project(model.f, y) for y in (z, data(N, 54321)))
    row = {"share": share, "seed": seed, "bound": min(1.0, RARE / (RATIO * share))}
    row |= {"on the smaller ring": on(fz, INNER), "on the ring": on(fz, 1.0), "rare data kept": on(fx, INNER) / RARE}
    noise = ign_core.project(model.f, ign_core.GaussianSource((2,)).sample(N, torch.Generator().manual_seed(12345)))
    row |= {"noise on the smaller ring": on(noise, INNER), "noise on the ring": on(noise, 1.0)}
    if seed == 0:
        row["points"] = [[round(v, 2) for v in point] for point in fz[:KEPT].tolist()]
    return row


def main(out: Path = OUT) -> None:
    """Train and measure every share and seed.

    Args:
        out: The JSON file to write, and to go on from.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    about = {"inner": INNER, "rare": RARE, "ratio": RATIO, "tolerance": TOLERANCE, "samples": N}
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"] if out.exists() else []
    for seed, share in itertools.product(SEEDS, SHARES):
        if any((row["share"], row["seed"]) == (share, seed) for row in rows):
            continue
        rows.append(run(share, seed))
        print({k: v for k, v in rows[-1].items() if k != "points"}, flush=True)
        ignbook.checkpoints.write_json(out, about | {"rows": rows})


if __name__ == "__main__":
    tyro.cli(main)
