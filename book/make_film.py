"""Train a small network on digits and draw the film at the head of chapter 1: some five minutes on one core.

python book/make_film.py

Writes book/static/film.png, an animated PNG, and film-still.png, which custom.css shows in its place on paper and to readers who
ask for no motion; and both again for dark pages, where all but the pictures is light on dark.
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "book")]

import figures  # noqa: E402

import ign_core  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.plots  # noqa: E402
import ignbook.recipes  # noqa: E402

RECIPE = replace(ignbook.recipes.mnist_quick, name="film", tightness=10.0, tightness_end=None, ramp=0, steps=1500)
STEPS = (0, 50, 100, 350, 500, 700, 1000, 1500)  # the frames; nothing before 500 depends much on z
COLUMNS = 6


def trained() -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """The noise z, (n, 1, 32, 32), and f(z) and f(f(z)) at each of `STEPS`, (2, n, 1, 32, 32)."""
    data, f = ignbook.data.load(RECIPE.data), ign_core.build(RECIPE)
    source = ign_core.source_of(RECIPE, data)
    z = source.sample(COLUMNS, torch.Generator().manual_seed(3))
    film = {0: ign_core.iterate(f, z, 2)}

    def look(step: int, f: torch.nn.Module) -> None:
        if step in STEPS:
            film[step] = ign_core.iterate(f, z, 2)

    ign_core.fit(f, source, data, RECIPE, every=50, callback=look, progress=False)
    return z, film


def drawn(rows: dict[str, torch.Tensor], title: str = "") -> dict[str, Image.Image]:
    """Rows of images as a picture of few colours, which is small, and wide enough for a narrow screen to halve: {"": on white, "-dark"}."""
    figure = ignbook.plots.rows_of_images(rows, COLUMNS, size=0.5)
    figure.suptitle(title, fontsize=11)
    file = io.BytesIO()
    figure.set_dpi(170)
    figure.savefig(file, format="png", dpi=170)
    at = ignbook.plots.pictures.places(figure, figure.get_tightbbox().padded(ignbook.plots.pictures.PAD))
    plt.close(figure)
    light = Image.open(file).convert("L")
    pictures = {"": light, "-dark": figures.light_on_dark(light, at).convert("L")}
    return {theme: picture.point(lambda grey: 17 * round(grey / 17)) for theme, picture in pictures.items()}


def write(name: str, pictures: list[dict[str, Image.Image]], **options) -> None:
    for theme in pictures[0]:
        first, *others = [picture[theme] for picture in pictures]
        file = io.BytesIO()
        first.save(file, format="png", optimize=True, append_images=others, **options)
        path = ROOT / "book" / "static" / f"{name}{theme}.png"
        ignbook.checkpoints.write_file(path, file.getvalue())
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} KB")


def main() -> None:
    ignbook.plots.style()
    z, film = trained()
    frames = [drawn({"$z$": z, "$f(z)$": fz, "$f(f(z))$": ffz}, f"step {step}") for step, (fz, ffz) in film.items()]
    write("film", frames, save_all=True, loop=0, duration=[900] * (len(frames) - 1) + [3000])
    write("film-still", [drawn({"$z$": z} | {f"step {step}": fz for step, (fz, _) in film.items()})])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
