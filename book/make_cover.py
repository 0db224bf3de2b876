"""Train a small network on two crescents and draw the landing page's picture, book/static/cover.png: a minute on one core.

python book/make_cover.py
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import ign_core  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.plots  # noqa: E402
import ignbook.recipes  # noqa: E402


def main(path: Path = ROOT / "book" / "static" / "cover.png", n: int = 330) -> None:
    """n: draws of noise; those that would fall outside the frame are left out."""
    recipe = replace(ignbook.recipes.ring, name="cover", data="moons")
    data = ignbook.data.points(recipe.data)
    model = ign_core.fit(ign_core.build(recipe), ign_core.source_of(recipe, data), data, recipe)
    z = model.source.sample(10 * n, torch.Generator().manual_seed(3))
    z = z[(z[:, 0].abs() < 2.55) & (z[:, 1].abs() < 1.2)][:n]
    ignbook.plots.style()
    picture = io.BytesIO()
    ignbook.plots.cover(data[:4000], z, *ign_core.iterate(model.f, z, 2)).savefig(picture, format="png")
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
