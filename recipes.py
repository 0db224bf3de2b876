"""Every trained model of the book: one `Recipe` each.  `python train.py NAME` trains it; a new one goes in here."""

from dataclasses import dataclass, replace

from ign_core import Recipe


@dataclass(frozen=True)
class ClassifierRecipe:
    """The classifier whose features the measures use (`ign_metrics.Classifier`)."""

    name: str
    data: str
    epochs: int = 4
    batch: int = 128
    lr: float = 3e-3
    seed: int = 0


classifier = ClassifierRecipe("classifier", data="mnist")

# lambda = tightness / reconstruction = 0.65: the paper's 0.125 lets the generator drop most of the data (chapter 3)
mnist = Recipe("mnist", data="mnist", tightness=13.0, lr=3e-4, lr_end=0.1, batch=128, steps=14_000)

# what `make book` and chapter 6 train live: half the width, a faster start and a lower lambda, half a minute on 2 cores
mnist_quick = Recipe("mnist-quick", data="mnist", width=16, tightness=10.0, lr=1e-3, lr_end=0.1, batch=64, steps=600)

# the toys of chapter 4: half a minute each; lambda and distance are the best of those tried for each shape
ring = Recipe("ring", data="ring", net="mlp", width=128, source="gaussian", tightness=2.5, lr=2e-3, lr_end=0.1, batch=512,
              steps=4_000, precision="32-true")  # fmt: skip
moons = replace(ring, name="moons", data="moons", tightness=15.0)
spiral = replace(ring, name="spiral", data="spiral", tightness=2.5, distance="l2")
gaussians = replace(ring, name="gaussians", data="gaussians", tightness=5.0, distance="l2")
checkerboard = replace(ring, name="checkerboard", data="checkerboard", tightness=10.0, distance="l2")
pinwheel = replace(ring, name="pinwheel", data="pinwheel", tightness=10.0, distance="l2")

RECIPES = {recipe.name: recipe for recipe in (mnist, mnist_quick, ring, moons, spiral, gaussians, checkerboard, pinwheel)}


def recipe(name: str) -> Recipe:
    """The recipe of that name.  ValueError: unknown; the sentence names the known ones."""
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; use one of: {', '.join(RECIPES)}.")
    return RECIPES[name]
