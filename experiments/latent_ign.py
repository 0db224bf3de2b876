"""An IGN on the codes of a small autoencoder, against one on pixels, in the same minutes: drawn faces of 128 pixels.

    python experiments/latent_ign.py        writes ignbook/shipped/results/latent_ign.json, in half an hour on one core

Chapter 12.  The autoencoder makes 8 numbers of each 8 by 8 pixels, in [-1, 1], and its codes are the x of an IGN whose
network and recipe are those of images of 16 pixels with 8 channels.  Minutes are of the processor, so that other work on the
machine doesn't count; a training is given steps, and how long they took stands beside.
"""

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
import ignbook.baselines  # noqa: E402
import ignbook.checkpoints  # noqa: E402
import ignbook.data  # noqa: E402
import ignbook.metrics  # noqa: E402
import ignbook.plots  # noqa: E402
import ignbook.recipes  # noqa: E402

OUT = ignbook.checkpoints.shipped("results") / "latent_ign.json"
PICTURES = ignbook.checkpoints.shipped("results") / "runs" / "latent-ign"
SIDE, TRAIN = 128, 8_000  # pixels; faces to train on


class Autoencoder(nn.Module):
    """(n, 3, H, W) -> (n, 8, H/8, W/8) in [-1, 1] -> (n, 3, H, W)."""

    def __init__(self, recipe: ign_core.Recipe, width: int = 24, code: int = 8):
        super().__init__()
        widths = [width, 2 * width, 4 * width]

        def block(layer) -> list[nn.Module]:
            return [layer, nn.GroupNorm(8, layer.out_channels), nn.SiLU()]

        down = [layer for i, o in zip([3, *widths], widths) for layer in block(nn.Conv2d(i, o, 4, 2, 1))]
        up = [layer for i, o in zip(widths[::-1], widths[-2::-1]) for layer in block(nn.ConvTranspose2d(i, o, 4, 2, 1))]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], code, 3, 1, 1), nn.Tanh())
        first = block(nn.Conv2d(code, widths[-1], 3, 1, 1))
        self.decoder = nn.Sequential(*first, *up, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())
        self.shape = recipe.shape

    def forward(self, y: Tensor) -> Tensor:
        return self.decoder(self.encoder(y))


def reconstruction(f, x: Tensor, z: Tensor, *, distance, **weights) -> ign_core.Losses:
    """D(x, f(x)) alone; the source is not looked at."""
    error, none = ign_core.distance_of(distance)(x, f(x)), torch.zeros(len(x))
    return ign_core.Losses(error.mean(), error.detach(), none, none)


def recipes(steps: dict[str, int]) -> dict[str, ign_core.Recipe]:
    """The autoencoder's, the IGN's on codes, and the IGN's on pixels."""
    drawn = replace(ignbook.recipes.drawn, size=SIDE, ramp=150, batch=32)
    found = {
        "autoencoder": replace(drawn, net=Autoencoder, source="gaussian", batch=16, linear=0, extras={}, ramp=0),
        "codes": replace(drawn, size=SIDE // 8, channels=8, width=64, linear=4, ramp=300, batch=64, mirror=False),
        "pixels": drawn,
    }
    return {name: replace(recipe, name=name, steps=steps[name]) for name, recipe in found.items()}


def trained(recipe: ign_core.Recipe, data, folder: Path, **options) -> tuple[ign_core.Model, float]:
    """The model, and the minutes of the processor that its training took."""
    began = time.process_time()
    model = ignbook.baselines.train(recipe, data, folder=folder, overwrite=True, **options)
    return model, (time.process_time() - began) / 60


@torch.no_grad()
def batched(f, y: Tensor) -> Tensor:
    return torch.cat([f(part) for part in y.split(200)])


def main(autoencoder: int = 2_000, codes: int = 5_000, pixels: int = 1_200, n: int = 1_000, seed: int = 0, threads: int = 1,
         out: Path = OUT, pictures: Path = PICTURES) -> None:  # fmt: skip
    """Train the three and measure them.

    Args:
        autoencoder: Steps of the autoencoder, of 16 faces each.
        codes: Steps of the IGN on codes, of 64.
        pixels: Steps of the IGN on pixels, of 32.
        n: Samples, and held-out faces.
        seed: Of everything.
        threads: CPU threads.
        out: The JSON file to write.
        pictures: Folder for eight images of each kind.
    """
    torch.set_num_threads(threads)
    g = torch.Generator().manual_seed(seed)
    x, held_out = (ignbook.data.draw_faces(ignbook.data.draw_attributes(number, g), SIDE) for number in (TRAIN, n))
    chosen = {name: replace(recipe, seed=seed) for name, recipe in
              recipes({"autoencoder": autoencoder, "codes": codes, "pixels": pixels}).items()}  # fmt: skip
    network = ignbook.metrics.load_feature_network("imagenet")
    real, folder = ignbook.metrics.features_of(network, held_out), Path("runs") / "latent_ign"

    def row(y: Tensor, minutes: float = 0, parameters: int = 0) -> dict:
        found = ignbook.metrics.score(network, y, real)
        return {key: found[key] for key in ("KID", "precision", "recall", "coverage")} | {
            "minutes": minutes, "parameters": parameters}  # fmt: skip

    def size(*nets: nn.Module) -> int:
        return sum(p.numel() for net in nets for p in net.parameters())

    rows = {"other faces": row(x[:n])}
    recipe = chosen["autoencoder"]
    f, source = Autoencoder(recipe), ign_core.GaussianSource(recipe.shape)
    began = time.process_time()
    model = ign_core.fit(f, source, x, recipe, loss=reconstruction, folder=folder, overwrite=True)
    first, auto = (time.process_time() - began) / 60, model.f
    again = batched(auto, held_out)
    rows["autoencoder, reconstructions"] = row(again, first, size(auto))
    latent, minutes = trained(chosen["codes"], batched(auto.encoder, x), folder)
    total = size(auto, latent.f)
    codes_of = ign_core.iterate(latent.f, latent.source.sample(n, g), 2)
    fz, ffz = (batched(auto.decoder, y) for y in codes_of)
    rows["on codes, f(z)"], rows["on codes, f²(z)"] = (row(y, first + minutes, total) for y in (fz, ffz))
    drawn = {"autoencoder": again, "on-codes": fz}
    through = batched(lambda y: auto.decoder(latent.f(auto.encoder(y))), held_out)
    plain, spent = trained(chosen["pixels"], x, folder)
    fz, ffz = ign_core.iterate(plain.f, plain.source.sample(n, g), 2)
    drawn["on-pixels"] = fz
    rows["on pixels, f(z)"], rows["on pixels, f²(z)"] = (row(y, spent, size(plain.f)) for y in (fz, ffz))
    errors = {"autoencoder": again, "on codes": through, "on pixels": batched(plain.f, held_out)}
    result = {"size": SIDE, "n": n, "seed": seed, "train": TRAIN, "minutes of the IGN on codes alone": minutes, "rows": rows,
              "recipes": {name: {"steps": one.steps, "batch": one.batch} for name, one in chosen.items()},
              "reconstruction": {name: ign_core.l1(y, held_out).mean().item() for name, y in errors.items()}}  # fmt: skip
    ignbook.checkpoints.write_json(out, result)
    for name, y in drawn.items():
        ignbook.plots.save_grid(y[:8], pictures / f"{name}-s{seed}.png", 8)
    for name, numbers in rows.items():
        print(name, {key: round(value, 3) for key, value in numbers.items()})


if __name__ == "__main__":
    tyro.cli(main)
