"""How much of the data does f(z) cover, against lambda = tightness/reconstruction?  Chapter 4; theory in chapter 3.

    python experiments/coverage_2d.py [--out results/coverage_2d.json] [--steps 4000] [--distances l1]
    python experiments/coverage_2d.py --checkpoints ring moons        trains and measures those toys' recipes instead

Trains a toy for each (manifold, distance, lambda, seed) and writes one row for each into the JSON, after every run and
all at once, so that a stopped experiment goes on where it was.  About 20 seconds a run on one core.
"""

import argparse
import itertools
import json
import sys
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.recipes  # noqa: E402

MANIFOLDS = ("ring", "gaussians")
RATIOS = (0.05, 0.125, 0.25, 0.5, 0.75, 1.0, 1.2)
SEEDS = (0, 1, 2)
KEY = ("manifold", "distance", "ratio", "seed")

N = 5_000  # samples that a row is measured on
TOLERANCE = 0.1  # a point is on a curve if it is no farther off than this
QUANTILE = 0.01  # ... and on a density if no less likely than all but this share of real samples
SHARE = 0.1  # a mode is covered if it gets this share of what is due to it
KEPT = 300  # samples of seed 0 kept in the file, for pictures


def on_support(manifold: ignbook.data.Manifold, y: torch.Tensor) -> torch.Tensor:
    """(n, 2) -> (n,) bool: near enough to the curve, or likely enough where the data has a density."""
    if manifold.distance is not None:
        return manifold.distance(y) <= TOLERANCE
    real = manifold.sample(20_000, torch.Generator().manual_seed(99))
    return manifold.log_density(y) >= manifold.log_density(real).quantile(QUANTILE)


def hits(manifold: ignbook.data.Manifold, y: torch.Tensor) -> dict:
    """y: samples to judge (n, 2).  With p the modes' shares of the data (1/m each, by symmetry)
    and q their shares of the samples that are on the support:

    precision: share on the support.  coverage: data mass of the modes with q >= SHARE p.  overlap: sum of min(p, q).
    peak: max q/p.
    """
    on, m = on_support(manifold, y), len(manifold.modes)
    q = torch.bincount(torch.cdist(y, manifold.modes).argmin(1)[on], minlength=m).double() / len(y)
    return {
        "precision": on.double().mean().item(),
        "coverage": (q * m >= SHARE).double().mean().item(),
        "overlap": q.clamp(max=1 / m).sum().item(),
        "peak": (q * m).max().item(),
    }


def measures(manifold: ignbook.data.Manifold, y: torch.Tensor, real: torch.Tensor) -> dict:
    """`hits`, and the sliced Wasserstein distance by POT: 100 directions, 2,000 points of each.  real: held-out data (n, 2)."""
    import ot  # of the extra `experiments`; `hits` does without

    sliced = ot.sliced_wasserstein_distance(y[:2000].double().numpy(), real[:2000].double().numpy(), n_projections=100, seed=0)
    return hits(manifold, y) | {"sliced Wasserstein": float(sliced)}


def samples(manifold: ignbook.data.Manifold, source) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What every row is measured on: held-out data, another draw of data, source; (N, 2) each."""
    g = torch.Generator().manual_seed(12345)
    return manifold.sample(N, g), manifold.sample(N, g), source.sample(N, g)


def run(recipe: ign_core.Recipe) -> dict:
    """Train one toy and measure it."""
    manifold, data = ignbook.data.manifold(recipe.data), ignbook.data.points(recipe.data)
    began = time.process_time()
    model = ign_core.fit(ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe, every=500, progress=False)
    seconds = time.process_time() - began
    real, _, z = samples(manifold, model.source)
    fz = ign_core.iterate(model.f, z, 1)[0]
    row = {
        **measures(manifold, fz, real),
        "reconstruction": ign_core.drift(model.f, real, recipe.distance).mean().item(),
        "drift of f(z)": ign_core.drift(model.f, fz, recipe.distance).mean().item(),
        "drift of z": ign_core.drift(model.f, z, recipe.distance).mean().item(),
        "seconds": round(seconds, 1),
    }
    if recipe.seed == 0:
        row["samples"] = [[round(v, 2) for v in point] for point in fz[:KEPT].tolist()]
    return row


def baselines(name: str) -> dict:
    """The measures of real data and of the source itself, against the same held-out data."""
    manifold = ignbook.data.manifold(name)
    real, again, z = samples(manifold, ign_core.GaussianSource((2,)))
    return {"real": measures(manifold, again, real), "source": measures(manifold, z, real)}


def checkpoint(name: str) -> None:
    """Train the recipe of a toy, measure it, and ship it as checkpoints/NAME."""
    recipe, manifold, data = ignbook.recipes.recipe(name), ignbook.data.manifold(name), ignbook.data.points(name)
    model = ign_core.fit(
        ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe, every=recipe.steps // 50, progress=False
    )
    real, again, z = samples(manifold, model.source)
    steps = ign_core.iterate(model.f, z, 2)
    kinds = {"real": again, "z": z, "f(z)": steps[0], "f²(z)": steps[1]}
    rows = {
        kind: measures(manifold, y, real) | {"drift": ign_core.drift(model.f, y).mean().item()} for kind, y in kinds.items()
    }
    model.card["metrics"] = digits({"n": N, "rows": rows, "reconstruction": ign_core.drift(model.f, real).mean().item()})
    ign_core.save(model, ignbook.checkpoints.shipped("checkpoints") / name)
    print(name, model.card["metrics"], flush=True)


def digits(value):
    """Floats to four significant digits, all the way down."""
    if isinstance(value, dict):
        return {k: digits(v) for k, v in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(path: Path, content: dict) -> None:
    """One row to a line."""
    head = {k: v for k, v in content.items() if k != "rows"}
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in content["rows"])
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "rows": [\n' + lines + "\n ]\n}\n"
    ignbook.checkpoints.write_file(path, text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ignbook.checkpoints.shipped("results") / "coverage_2d.json")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--distances", nargs="+", default=["l1"], choices=list(ign_core.DISTANCES), help="l1 is the paper's")
    parser.add_argument("--checkpoints", nargs="+", metavar="NAME", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # gradients below the clamp's floor would slow a CPU down
    for name in options.checkpoints:
        checkpoint(name)
    if options.checkpoints:
        return

    base = replace(ignbook.recipes.ring, steps=options.steps, batch=256, lr=1e-3, lr_end=0.1, seed=0)
    settings = {k: v for k, v in asdict(base).items() if k not in ("name", "data", "tightness", "distance", "seed")}
    content = {"settings": settings, "samples": N, "tolerance": TOLERANCE, "quantile": QUANTILE, "share": SHARE}
    content |= {"versions": {"torch": torch.__version__, "POT": version("POT")}}
    content |= {"baselines": digits({name: baselines(name) for name in MANIFOLDS}), "rows": []}
    if options.out.exists():
        before = json.loads(options.out.read_text(encoding="utf-8"))
        changed = [k for k in content if k != "rows" and json.loads(json.dumps(content[k])) != before.get(k)]
        if changed:
            raise SystemExit(f"{options.out} was made with other {', '.join(changed)}; give another --out or delete it.")
        content["rows"] = before["rows"]
    done = {tuple(row[k] for k in KEY) for row in content["rows"]}
    for distance, seed, ratio, name in itertools.product(options.distances, SEEDS, RATIOS, MANIFOLDS):
        if (name, distance, ratio, seed) in done:
            continue
        recipe = replace(base, data=name, distance=distance, tightness=base.reconstruction * ratio, seed=seed)
        row = dict(zip(KEY, (name, distance, ratio, seed))) | digits(run(recipe))
        content["rows"].append(row)
        write(options.out, content)
        print({k: v for k, v in row.items() if k != "samples"}, flush=True)


if __name__ == "__main__":
    main()
