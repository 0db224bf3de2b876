"""What a broad source changes: f narrow, broad, and sharpened and settled; a denoiser and a restorer; on damage that it held and other.

    python experiments/broad.py     writes ignbook/shipped/results/broad.json, in half an hour on one core

For each kind of damage: L1 to the clean image, KID to other real images, and colour, as a share of the real images' own.
Pencil sketches: KID to photos, and the mean rank of the right photo by two readings of the features.  Chapter 8.
"""

import json
import sys
from pathlib import Path

import torch
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.baselines  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.projector  # noqa: E402
import ignbook.recipes  # noqa: E402

HELD = {"grey": 1.0, "sketch": 21, "noise": 0.3, "blur": 2.0, "mask": 0.3}  # of the broad source, at these strengths
OTHER = {"salt and pepper": 0.1, "JPEG": 5, "rotation": 20} | dict.fromkeys(ignbook.projector.UNSEEN, 1.0)
TRIED = 1_300  # held-out images, in random order, by which the recipe was chosen; the others report
# what narrow f is given in place of a damaged image: that and a draw of its source
BRIDGES = {"grey": ignbook.projector.tinted, "sketch": ignbook.projector.grounded}
DRAWS = 8  # of which the one is kept that f moves least afterwards
OUT = ignbook.checkpoints.shipped("results") / "broad.json"


def colour(x: torch.Tensor) -> float:
    """Mean distance of a pixel's channels from their mean: (n, 3, H, W) -> a number, 0 for grey images."""
    return (x - x.mean(1, keepdim=True)).abs().mean().item()


def kinds(nets: dict, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """An input and what each network makes of it, and of that again."""
    found = {"input": y}
    for name, net in nets.items():
        found[name] = ignbook.metrics.projected(net, y)
        found[f"{name}²"] = ignbook.metrics.projected(net, found[name])
    return found


def bridged(narrow: ign_core.Model, y: torch.Tensor, bridge) -> dict[str, torch.Tensor]:
    """What narrow f makes of y and one draw, and the steadiest of several, without any training."""
    g = torch.Generator().manual_seed(2)
    several = torch.stack([bridge(y, narrow.source.sample(len(y), g)) for _ in range(DRAWS)])
    best = [ignbook.projector.steadiest(narrow.f, part) for part in several.split(100, dim=1)]
    return {"bridge": ignbook.metrics.projected(narrow.f, several[0]), f"bridge of {DRAWS}": torch.cat(best)}


def judged(found: dict[str, torch.Tensor], clean: torch.Tensor, network, real: torch.Tensor) -> dict[str, dict[str, float]]:
    """{measure: {kind: value}} of `found`, images by kind: L1 to the clean ones, KID to features of others, share of colour."""
    return {
        "L1": {kind: ign_core.l1(x, clean).mean().item() for kind, x in found.items()},
        "KID": {kind: ignbook.metrics.kernel(real, ignbook.metrics.features_of(network, x)) for kind, x in found.items()},
        "colour": {kind: colour(x) / colour(clean) for kind, x in found.items()},
    }


def damaged(models: dict, clean: torch.Tensor, network, real: torch.Tensor, kept: dict) -> dict:
    """A row for each kind of damage, of the models that are to be measured; kept: rows that have the others."""
    nets, rows = {name: model.f for name, model in models.items()}, {}
    for name, strength in {"none": 0.0, **HELD, **OTHER}.items():
        y = clean
        if name != "none":
            y = ignbook.projector.corrupt(clean, name, strength, torch.Generator().manual_seed(1))
        found = kinds(nets, y)
        if "narrow" in models and name in BRIDGES:
            found |= bridged(models["narrow"], y, BRIDGES[name])
        measures = judged(found, clean, network, real)
        of_others = kept.get(name, {})
        rows[name] = {"held": name in HELD, "strength": strength}
        rows[name] |= {measure: of_others.get(measure, {}) | row for measure, row in measures.items()}
        print(name, rows[name], flush=True)
    return rows


def pencil(nets: dict, network) -> dict:
    """By two readings of the features, of images enlarged to 96 pixels, as everywhere, and to 160: KID to photos, mean rank."""
    photos, sketches = (images[torch.arange(len(images))] for images in ignbook.data.sketch_pairs("test"))
    found = kinds(nets, sketches)
    rows: dict[str, dict] = {kind: {} for kind in found}
    for side in (160, network.SIDE):
        network.SIDE = side
        gallery = ignbook.metrics.features_of(network, photos)
        for kind, x in found.items():
            features = ignbook.metrics.features_of(network, x)
            rank = ignbook.projector.ranks(features, gallery).double()
            rows[kind][f"{side} pixels"] = {"KID": ignbook.metrics.kernel(gallery, features, subset_size=len(photos)),
                                   "mean rank": rank.mean().item(), "first ten": (rank <= 10).double().mean().item()}  # fmt: skip
    return {"n": len(photos), "rows": rows}


def main(
    narrow: str = "faces-narrow",
    broad: str = "faces",
    settled: str = "faces-settled",
    denoiser: str = "faces-denoise",
    restorer: str = "faces-restore",
    n: int = 500,
    keep: bool = False,
    out: Path = OUT,
) -> None:
    """Measure five models on the same images.

    Args:
        narrow: An IGN trained on noise and data alone, a shipped checkpoint's name or a path.
        broad: One whose source held damaged data.
        settled: One that went on from it: sharpened, with a code twice as large, and then settled.
        denoiser: A denoising autoencoder.
        restorer: One that was trained with pairs on the damage that the broad source holds.
        n: Test images.
        keep: The rows of models whose weights are those that the file at `out` was written with; true of the same code alone.
        out: The JSON file to write.
    """
    paths = {"narrow": narrow, "broad": broad, "settled": settled, "denoiser": denoiser, "restorer": restorer}
    models = {name: ignbook.baselines.load(path) for name, path in paths.items()}
    data = models["narrow"].card["recipe"]["data"]
    test, network = ignbook.data.real(data, "test"), ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data))
    order = ignbook.metrics.in_random_order(test)
    clean, others = test[order[TRIED : TRIED + n]], test[order[TRIED + n : TRIED + 2 * n]]
    real = ignbook.metrics.features_of(network, others)
    about = {name: {k: model.card[k] for k in ("recipe", "images", "sha256")} for name, model in models.items()}
    before = json.loads(out.read_text()) if keep else {"models": {}, "damage": {}}
    fresh = {name: model for name, model in models.items() if about[name] != before["models"].get(name)}
    result = {"n": n, "data": test.card, "models": about}
    result |= {"damage": damaged(fresh, clean, network, real, before["damage"])}
    nets = {name: model.f for name, model in models.items()}
    ignbook.checkpoints.write_json(out, result | {"pencil": pencil(nets, network)})


if __name__ == "__main__":
    tyro.cli(main)
