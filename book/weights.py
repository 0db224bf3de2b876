"""Write the weights that the projector's page loads, book/_weights/lab-weights-NAME.js, from the shipped checkpoints.

    python book/weights.py

Browsers read no data files from disk, but they run scripts from there, so each model is a script with one call,

    IGN_WEIGHTS(name, {"recipe": ..., "drift": ..., "tensors": [[name, shape], ...], "data": "..."})

`data` is base 85 (`base64.b85encode`, a sixteenth shorter than base 64) of raw deflate of all tensors in half precision, one after the other, the low byte of every number first
and then the high bytes, which are alike and so compress.  "check.y" and "check.fy" among them are an input and what
PyTorch's f makes of it: by these the page tests itself.  The files are derived, so they are not committed.
"""

import base64
import json
import os
import re
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

import ignbook

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "book" / "_weights"
MODELS = ROOT / "book" / "lab" / "models.js"  # the one list of what the page offers


def names() -> list[str]:
    """The models that the page offers, in its order."""
    return re.findall(r'name: "([\w-]+)"', MODELS.read_text(encoding="utf-8"))


def script(name: str) -> str:
    """One model as a script.  ValueError: it is of a kind that the page can't compute, or not yet measured."""
    model = ignbook.baselines.load(ignbook.checkpoints.shipped("checkpoints") / name)
    recipe = model.card["recipe"]
    if (recipe["net"], recipe["source"]) != ("conv", "fourier") or recipe["norm"] not in ("group", "none"):
        raise ValueError(f"the page computes convolutions with group normalisation or none, and {name} is another kind of f.")
    usual = model.card.get("metrics", {}).get("rows", {}).get("real", {}).get("drift")
    if usual is None:
        raise ValueError(f"the card of {name} holds no drift of its data; run `python train.py evaluate {name} --shipped`.")
    y = model.source.sample(1, torch.Generator().manual_seed(0)).half()
    with torch.no_grad():
        fy = model.f(y.float())
    tensors = {f"f.{key}": value for key, value in model.f.state_dict().items()}
    tensors |= {"source.mean": model.source.mean, "source.std": model.source.std, "check.y": y[0], "check.fy": fy[0]}
    halves = np.concatenate([value.half().flatten().numpy() for value in tensors.values()])
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeeze.compress(halves.view(np.uint8).reshape(-1, 2).T.tobytes()) + squeeze.flush()
    content = {
        "recipe": {key: recipe.get(key, 0) for key in ("data", "size", "channels", "code", "linear", "norm")},
        "drift": usual,
        "tensors": [[key, list(value.shape)] for key, value in tensors.items()],
        "data": base64.b85encode(packed).decode(),
    }
    return f"IGN_WEIGHTS({json.dumps(name)}, {json.dumps(content)});\n"


def main(target: Path = TARGET) -> None:
    """Fill `target`, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="_weights-", dir=target.parent) as aside:
        new = Path(aside) / "new"
        new.mkdir()
        for name in names():
            (new / f"lab-weights-{name}.js").write_text(script(name), encoding="utf-8")
        size = sum(path.stat().st_size for path in new.iterdir())
        if target.exists():
            os.replace(target, Path(aside) / "old")  # goes with the temporary folder
        os.replace(new, target)
    print(f"weights: {len(names())} models, {size / 1e6:.1f} MB in {os.path.relpath(target)}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"weights.py: {error}")
