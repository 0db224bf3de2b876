"""What f makes of inputs that it never saw, against a network trained to denoise.  Chapter 8.

    python experiments/projector.py faces-narrow faces-denoise --n 500     writes ignbook/shipped/results/projector-celeba64.json, in half an hour on one core
    python experiments/projector.py drawn drawn-denoise --n 500     writes ignbook/shipped/results/projector-drawn.json

For every corruption and strength of `ignbook.projector`: L1 to the clean image before and after, KID to other real images
before and after, and how well drift tells the corrupted from the clean (AUROC), where the denoiser's own change of an
image is the detector to compare with.  Then restoration with the network as a prior where the corruption is linear.  For
real faces: pencil sketches and whether their photo is found, and digits.  For drawn ones: exact distance to the manifold.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.baselines  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.projector  # noqa: E402
import ignbook.recipes  # noqa: E402

FITTED = 100  # drawn faces whose distance to the manifold is measured: a dozen a second


def projections(f, denoise, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """An input and what the projectors make of it, by name."""
    once = ignbook.metrics.projected(f, y)
    return {"input": y, "f": once, "f²": ignbook.metrics.projected(f, once), "denoiser": ignbook.metrics.projected(denoise, y)}


def distances(kinds: dict[str, torch.Tensor], clean: torch.Tensor) -> dict[str, float]:
    return {name: ign_core.l1(y, clean).mean().item() for name, y in kinds.items()}


def corruptions(f, denoise, clean: torch.Tensor, network, real: torch.Tensor) -> list[dict]:
    """A row for each corruption and strength."""
    detectors, rows = {"drift of f": "f", "change by the denoiser": "denoiser"}, []
    for name, (_, strengths) in {"none": (None, (0,)), **ignbook.projector.CORRUPTIONS}.items():
        for strength in strengths:
            y = clean if name == "none" else ignbook.projector.corrupt(clean, name, strength, torch.Generator().manual_seed(1))
            kinds = projections(f, denoise, y)
            row = {"corruption": name, "strength": strength, "L1": distances(kinds, clean)}
            row["KID"] = {
                kind: ignbook.metrics.kernel(real, ignbook.metrics.features_of(network, x)) for kind, x in kinds.items()
            }
            moved = {detector: ign_core.l1(y, kinds[kind]) for detector, kind in detectors.items()}
            if name == "none":  # the first
                on = moved
            else:
                row["AUROC"] = {detector: ignbook.projector.detected(on[detector], off) for detector, off in moved.items()}
            rows.append(row)
            print(row, flush=True)
    return rows


def restorations(f, denoise, clean: torch.Tensor) -> dict[str, dict[str, float]]:
    """L1 to the clean image of restorations, by task and way; "input" is what the adjoint makes of the measurement."""
    rows = {}
    for task, (operator, start) in ignbook.projector.restorations(clean.shape[-1]).items():
        w = operator.forward(clean)
        first = start(w)
        ways = {"input": first, "f": ignbook.metrics.projected(f, first), "denoiser": ignbook.metrics.projected(denoise, first)}
        for name, net in (("f as prior", f), ("denoiser as prior", denoise)):
            ways[name] = ignbook.projector.plug_and_play(net, w, operator, start=first)
        rows[task] = distances(ways, clean)
    return rows


def sketches(f, denoise, network) -> dict:
    """Is the photo that belongs to a pencil sketch found among the 100 by features, before and after projection?"""
    photos, drawings = (images[torch.arange(len(images))] for images in ignbook.data.sketch_pairs("test"))
    gallery, rows = ignbook.metrics.features_of(network, photos), {}
    for name, y in projections(f, denoise, drawings).items():
        ranks = ignbook.projector.ranks(ignbook.metrics.features_of(network, y), gallery).double()
        rows[name] = {"mean rank": ranks.mean().item(), "first": (ranks == 1).double().mean().item(),
                      "among ten": (ranks <= 10).double().mean().item(), "L1": ign_core.l1(y, photos).mean().item()}  # fmt: skip
    drifts = {name: ignbook.metrics.drifts(f, y) for name, y in (("photo", photos), ("sketch", drawings))}
    return {"n": len(photos), "rows": rows, "drift": {name: d.mean().item() for name, d in drifts.items()},
            "AUROC of the drift": ignbook.projector.detected(drifts["photo"], drifts["sketch"])}  # fmt: skip


def foreign(f, denoise, clean: torch.Tensor, n: int) -> dict[str, dict[str, float]]:
    """Drift as a detector of another data set: digits before the face model, clothes before the digit model."""
    digits = ignbook.data.real("mnist", "test")[torch.arange(n)]
    clothes = ignbook.data.real("fashion", "test")[torch.arange(n)]
    enlarged = F.interpolate(digits, clean.shape[2:], mode="bilinear").expand(-1, 3, -1, -1)
    cases = {"digits before the face model": (f, clean, enlarged), "the same by the denoiser's change": (denoise, clean, enlarged),
             "clothes before the digit model": (ign_core.load("mnist-narrow").f, digits, clothes)}  # fmt: skip
    rows = {}
    for name, (net, on, off) in cases.items():
        inside, outside = ignbook.metrics.drifts(net, on), ignbook.metrics.drifts(net, off)
        rows[name] = {"AUROC": ignbook.projector.detected(inside, outside), "drift of its own": inside.mean().item(),
                      "drift of the foreign": outside.mean().item()}  # fmt: skip
    return rows


def to_manifold(f, denoise, clean: torch.Tensor) -> list[dict]:
    """Exact distance to the manifold of drawn faces, RMS, before and after projection, and the change of each attribute."""
    rows, truth = [], ignbook.metrics.read_attributes(clean)[0]
    for name, strength in (("none", 0), ("noise", 0.3), ("noise", 0.6), ("blur", 2.0), ("mask", 0.3), ("grey", 1.0)):
        y = clean if name == "none" else ignbook.projector.corrupt(clean, name, strength, torch.Generator().manual_seed(1))
        row = {"corruption": name, "strength": strength, "distance": {}, "attributes": {}}
        for kind, x in projections(f, denoise, y).items():
            attributes, distance = ignbook.metrics.read_attributes(x)
            row["distance"][kind] = distance.mean().item()
            row["attributes"][kind] = (attributes - truth).abs().mean(0).tolist()
        rows.append(row)
    return rows


def main(f: tyro.conf.Positional[str], denoise: tyro.conf.Positional[str], n: int = 1_000, out: Path | None = None) -> None:
    """Measure a model as a projector.

    Args:
        f: An IGN, a shipped checkpoint's name or a path.
        denoise: A denoising autoencoder of the same data.
        n: Test images.
        out: The JSON file to write; results/projector-DATA.json.
    """
    model, other = ignbook.baselines.load(f), ignbook.baselines.load(denoise)
    data = model.card["recipe"]["data"]
    if other.card["recipe"]["data"] != data:
        raise ValueError(
            f"{denoise} was trained on {other.card['recipe']['data']} and {f} on {data}; give two models of the same data."
        )
    test, network = ignbook.data.real(data, "test"), ignbook.metrics.load_feature_network(ignbook.recipes.feature_network(data))
    order = ignbook.metrics.in_random_order(test)
    clean, others = test[order[:n]], test[order[n : 2 * n]]
    real = ignbook.metrics.features_of(network, others)
    nets = (model.f, other.f)
    result = {"n": n, "data": test.card, "models": {name: {k: m.card[k] for k in ("recipe", "images", "sha256")} for name, m in
              (("f", model), ("denoiser", other))}, "corruptions": corruptions(*nets, clean, network, real),
              "restorations": restorations(*nets, clean[:200])}  # fmt: skip
    if data == "drawn":
        result["manifold"] = to_manifold(*nets, clean[:FITTED])
    else:
        result |= {"sketches": sketches(*nets, network), "foreign": foreign(*nets, clean, n)}
    out = out or ignbook.checkpoints.shipped("results") / f"projector-{data}.json"
    ignbook.checkpoints.write_json(out, result)


if __name__ == "__main__":
    tyro.cli(main)
