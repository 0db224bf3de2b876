"""How well the latent space behaves: paths, arithmetic, directions, stretch, inversion.  Chapter 9.

python experiments/latent.py faces-narrow     writes ignbook/shipped/results/latent-celeba64.json, in a quarter of an hour on one core
python experiments/latent.py drawn     writes ignbook/shipped/results/latent-drawn.json, with what arithmetic does to each attribute
"""

import sys
from pathlib import Path

import torch
import tyro
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.latent  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.recipes  # noqa: E402

KNOWN, MOVED = 600, 100  # draws that directions are found from, and others that they are tried on
ANGLES = (0.01, 0.03, 0.1, 0.3, 1.0)  # radians on the sphere of white numbers
RANGE = torch.tensor([high - low for low, high in ignbook.data.ATTRIBUTES.values()])


def paths(f, source, network, real: Tensor, n: int, g: torch.Generator) -> dict[str, dict[str, float]]:
    """Of the middles of paths between draws, by kind: KID and precision, radius in white numbers over that of the ends, and
    the length of the path in features over the distance of its ends (1 is the shortest)."""
    a, b = source.sample(n, g), source.sample(n, g)
    radius = source.whiten(a).flatten(1).norm(dim=1).mean()
    ends = ignbook.metrics.features_of(network, ignbook.metrics.projected(f, a))
    rows = {
        "ends": {"KID": ignbook.metrics.kernel(real, ends), "precision": ignbook.metrics.neighbours(real, ends)["precision"]}
    }
    for kind in (*ignbook.latent.PATHS, "codes"):
        row = {}
        if kind in ignbook.latent.PATHS:
            z = ignbook.latent.path(source, a, b, kind, 3)[1]
            row = {"radius": (source.whiten(z).flatten(1).norm(dim=1).mean() / radius).item()}
        features = ignbook.metrics.features_of(network, ignbook.latent.walk(f, source, a, b, kind, 3)[1])
        way = ignbook.latent.walk(f, source, a[:MOVED], b[:MOVED], kind)
        along = torch.stack([ignbook.metrics.features_of(network, y) for y in way])
        length = (along[1:] - along[:-1]).norm(dim=2).sum(0) / (along[-1] - along[0]).norm(dim=1)
        row |= {"KID": ignbook.metrics.kernel(real, features), "precision": ignbook.metrics.neighbours(real, features)["precision"],
                "length": length.median().item()}  # fmt: skip
        rows[kind] = row
    return rows


def stretches(f, source, n: int, g: torch.Generator) -> dict[str, list[float]]:
    """RMS move of f(z), f²(z), f³(z) for each angle by which z is turned."""
    z = source.sample(n, g)
    return {f"{angle:g}": ignbook.latent.stretch(f, source, z, angle, 3, g).mean(1).tolist() for angle in ANGLES}


def inversions(f, source, x: Tensor, g: torch.Generator) -> dict[str, float]:
    """L1 to x: of f(x), of f of the sphere's point in x's direction, and of f(z) for the z that two searches found."""
    nearest = source.from_white(ignbook.latent.on_sphere(source, source.whiten(x)))
    ways = {"f(x)": x, "the sphere's point nearest in direction": nearest, "search from there": ignbook.latent.invert(f, source, x),
            "search from another draw": ignbook.latent.invert(f, source, x, start=source.sample(len(x), g))}  # fmt: skip
    return {name: ign_core.l1(x, ignbook.metrics.projected(f, z)).mean().item() for name, z in ways.items()}


def principal(f, source, g: torch.Generator, k: int = 6) -> tuple[Tensor, list[float]]:
    directions, share = ignbook.latent.principal(ignbook.latent.codes(f, source.sample(2_000, g)), k)
    return directions, share[:k].tolist()


def arithmetic(f, source, g: torch.Generator) -> list[dict]:
    """Add half of an attribute's range to draws that the direction wasn't found from: what changes, in shares of the range.

    Spaces: the white numbers of z, and codes.  Ways: another pair of draws for each, with and without, as the paper;
    difference of means; regression on all attributes; a random direction as long as the difference.  An attribute that
    hardly any draw has, or lacks, has no row.  "possible" is what the ends of its range leave room for.
    """
    known, moved = source.sample(KNOWN, g), source.sample(MOVED, g)
    attributes = ignbook.metrics.read_attributes(ignbook.metrics.projected(f, known))[0]
    before = ignbook.metrics.read_attributes(ignbook.metrics.projected(f, moved))[0]
    names, rows = list(ignbook.data.ATTRIBUTES), []
    for space in ("white numbers", "codes"):
        coordinates = [
            source.whiten(z).flatten(1) if space == "white numbers" else ignbook.latent.codes(f, z) for z in (known, moved)
        ]
        slopes = ignbook.latent.regression(coordinates[0], attributes)
        for name in ("smile", "glasses", "turn", "hair", "background"):
            i, middle = names.index(name), sum(ignbook.data.ATTRIBUTES[name]) / 2
            has = attributes[:, i] > middle
            possible = (RANGE[i] / 2).minimum(ignbook.data.ATTRIBUTES[name][1] - before[:, i]).mean() / RANGE[i]
            if name == "glasses":  # on or off
                possible = (~(before[:, i] > middle)).float().mean()
            if min(has.sum(), (~has).sum()) < KNOWN // 50:  # too few draws with it, or without
                continue
            gap = attributes[has, i].mean() - attributes[~has, i].mean()
            plus, minus = (c[torch.randint(len(c), (MOVED,), generator=g)] for c in (coordinates[0][has], coordinates[0][~has]))
            ways = {
                "pair": (plus - minus) / gap,
                "difference": ignbook.latent.difference(coordinates[0], has) / gap,
                "regression": slopes[i],
            }
            chance = torch.randn(slopes[i].shape, generator=g)
            ways["random"] = chance * (ways["difference"].norm() / chance.norm())  # what any move of that length changes
            for way, direction in ways.items():
                there = coordinates[1] + direction * RANGE[i] / 2
                if space == "white numbers" and way == "pair":  # as `ignbook.latent.analogy`
                    there = ignbook.latent.on_sphere(source, there)
                y = (
                    ignbook.latent.decoded(f, there)
                    if space == "codes"
                    else ignbook.metrics.projected(f, source.from_white(there.unflatten(1, source.mean.shape)))
                )
                after, distance = ignbook.metrics.read_attributes(y)
                change = (after - before) / RANGE
                rows.append({"space": space, "way": way, "attribute": name, "possible": possible.item(), "distance": distance.median().item(),
                             "change": dict(zip(names, change.mean(0).tolist())),
                             "size of change": dict(zip(names, change.abs().mean(0).tolist())), "step": (direction * RANGE[i] / 2).norm(dim=-1).mean().item()})  # fmt: skip
                print(rows[-1], flush=True)
    return rows


def of_directions(f, source, directions: Tensor, g: torch.Generator) -> list[dict[str, float]]:
    """What each principal direction changes, per standard deviation, in shares of the attributes' ranges."""
    code = ignbook.latent.codes(f, source.sample(MOVED // 2, g))
    rows = []
    for direction in directions:
        plus, minus = (
            ignbook.metrics.read_attributes(ignbook.latent.decoded(f, code + sign * direction))[0] for sign in (1, -1)
        )
        rows.append(dict(zip(ignbook.data.ATTRIBUTES, ((plus - minus) / 2 / RANGE).mean(0).tolist())))
    return rows


def main(name: tyro.conf.Positional[str], n: int = 1_000, out: Path | None = None) -> None:
    """Measure a model's latent space.

    Args:
        name: An IGN, a shipped checkpoint's name or a path.
        n: Draws.
        out: The JSON file to write; results/latent-DATA.json.
    """
    model = ign_core.load(name)
    f, source, data = model.f, model.source, model.card["recipe"]["data"]
    test, network, g = (
        ignbook.data.real(data, "test"),
        ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data)),
        torch.Generator().manual_seed(0),
    )
    clean = test[ignbook.metrics.in_random_order(test)[:n]]
    directions, share = principal(f, source, g)
    result = {"n": n, "data": test.card, "model": {k: model.card[k] for k in ("recipe", "images", "sha256")},
              "paths": paths(f, source, network, ignbook.metrics.features_of(network, clean), n, g), "stretch": stretches(f, source, 200, g),
              "inversion": inversions(f, source, clean[:50], g), "principal": {"share": share}}  # fmt: skip
    if data == "drawn":
        result["arithmetic"] = arithmetic(f, source, g)
        result["principal"]["change"] = of_directions(f, source, directions, g)
    out = out or ignbook.checkpoints.shipped("results") / f"latent-{data}.json"
    ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
