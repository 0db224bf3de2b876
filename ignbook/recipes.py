"""The recipes of the book's models: `python train.py NAME` trains one; a new one goes in here.

`faces-denoise` and `drawn-denoise` are the runs `denoise-s0` of `python train.py sweep faces` and `sweep drawn`.
"""

import math
from dataclasses import dataclass, replace

from ign_core import Recipe


@dataclass(frozen=True)
class ClassifierRecipe:
    """The classifier whose features the measures use (`ignbook.metrics.Classifier`)."""

    name: str
    data: str
    epochs: int = 4
    batch: int = 128
    lr: float = 3e-3
    seed: int = 0


classifier = ClassifierRecipe("classifier", data="mnist")  # measures digits
perceiver = ClassifierRecipe("perceiver", data="mnist", seed=1)  # the perceptual distance's, so that no measure is trained on
fashion_classifier = ClassifierRecipe("fashion-classifier", data="fashion", epochs=8)  # measures Fashion-MNIST
CLASSIFIERS = {recipe.name: recipe for recipe in (classifier, perceiver, fashion_classifier)}

# lambda = tightness / reconstruction rises from 0.25 to 0.7: the paper's 0.125 lets the generator drop most of the data
# (chapter 3), and a high one from the start may never leave the constant; the two terms are remedies (chapter 11)
mnist_narrow = Recipe("mnist-narrow", data="mnist", tightness=5.0, tightness_end=14.0, extras={"feature-matching": 1.0, "imle": 5.0}, ramp=500,
               lr=1e-3, lr_end=0.02, batch=64, steps=20_000)  # fmt: skip

# the same f played further, with part matching in place of feature matching: more even classes, and nearer to digits by half
mnist_matched = replace(mnist_narrow, name="mnist-matched", start="mnist-narrow", tightness=14.0, tightness_end=12.0,
                        extras={"part-matching": 0.35, "imle": 5.0}, ramp=300, lr=4e-4, lr_end=0.05, ema=0.998, steps=2_400)  # fmt: skip
# and settled: it repeats its answers, and takes digits with noise beyond the range for the nearest within
settling: dict = {
    "method": "settle",
    "tightness": 0.0,
    "tightness_end": None,
    "extras": {},
    "ramp": 0,
    "lr": 5e-4,
    "lr_end": 0.05,
}
mnist = replace(mnist_matched, name="mnist", start="mnist-matched", code=256, mixture={"noisy": 0.25}, **settling, steps=4_000)

# what `make book` and chapter 6 train live: half the width and a faster start, half a minute on 2 cores; with a constant lambda and no
# ramp, f(z) was nearly a constant at the end in one of two seeds, with these in none of three
mnist_quick = Recipe(
    "mnist-quick", data="mnist", width=16, tightness=2.5, tightness_end=13.0, ramp=100, lr=1e-3, lr_end=0.1, batch=64, steps=600
)

# the toys of chapter 4: half a minute each; lambda and distance are the best of those tried for each shape
ring = Recipe("ring", data="ring", net="mlp", width=128, source="gaussian", tightness=2.5, lr=2e-3, lr_end=0.1, batch=512,
              steps=4_000, precision="32-true")  # fmt: skip
moons = replace(ring, name="moons", data="moons", tightness=15.0)
spiral = replace(ring, name="spiral", data="spiral", tightness=2.5, distance="l2")
gaussians = replace(ring, name="gaussians", data="gaussians", tightness=5.0, distance="l2")
checkerboard = replace(ring, name="checkerboard", data="checkerboard", tightness=10.0, distance="l2")
pinwheel = replace(ring, name="pinwheel", data="pinwheel", tightness=10.0, distance="l2")

# a collapse that the book keeps: the paper's weights on the same net, images and steps as `mnist-narrow` (chapter 11)
mnist_paper = replace(mnist_narrow, name="mnist-paper", tightness=2.5, tightness_end=None, extras={})

# the recipe of the digits, nothing tuned
fashion = replace(mnist_narrow, name="fashion", data="fashion")

# what the projector's page shows beside the others: half the width and a small code, for a page that stays light
_light = Recipe("light", data="mnist", width=16, code=32, lr=1e-3, lr_end=0.05, ramp=300, batch=64, steps=4_000)
mnist_paper_light = replace(_light, name="mnist-paper-light")
mnist_denoise = replace(_light, name="mnist-denoise", method="denoise", tightness=0.0, ramp=0)
fashion_denoise = replace(mnist_denoise, name="fashion-denoise", data="fashion")
fashion_paper = replace(_light, name="fashion-paper", data="fashion")
fashion_broad = replace(_light, name="fashion-broad", data="fashion", mixture={"noisy": 0.25}, tightness=5.0,
                        extras={"feature-matching": 1.0, "imle": 5.0})  # fmt: skip
faces_paper = replace(_light, name="faces-paper", data="celeba64", size=64, channels=3, width=8, code=128, mirror=True)

# faces keep lambda low: what tightness takes from reconstruction shows in colour as blur, and then in f(z) (chapter 7);
# the rate keeps a quarter, because with less the samples get worse again;
# the linear path carries what a blur leaves, and the convolutions the rest; width and code are what 4 MB hold in 16-bit floats
faces_narrow = Recipe("faces-narrow", data="celeba64", size=64, channels=3, width=16, code=256, linear=16, mirror=True, tightness=1.0, tightness_end=3.0,
               extras={"feature-matching": 1.0}, ramp=1_000, lr=1e-3, lr_end=0.25, batch=64, steps=16_000)  # fmt: skip

# the same f trained further on a source that holds what it is to project (chapter 8), each part drawn to faces by its codes
faces = replace(faces_narrow, name="faces", start="faces-narrow", mixture={"grey": 0.25, "sketch": 0.2, "damaged": 0.1, "own": 0.1},
                      tightness=4.0, tightness_end=None, extras={"part-matching": 1.0}, ramp=300, lr=5e-4, lr_end=0.1, ema=0.998,
                      steps=4_000)  # fmt: skip
# with three tenths of own outputs, so that a second and a third application improve on the first (chapter 8)
faces_own = replace(faces, name="faces-own", mixture={"grey": 0.2, "sketch": 0.15, "damaged": 0.05, "own": 0.3})
# `faces` sharpened, with a code twice as large: what D misses of a reconstruction a network of images sees (chapters 7, 11).  Its
# weights are not in the book; with --start runs/faces-sharp the next goes on from those that you train ...
faces_sharp = replace(faces, name="faces-sharp", start="faces", code=512, extras={"perceptual-reconstruction": 6.0, "part-matching": 2.0},
                      steps=1_500)  # fmt: skip
# ... and it looks at what is made of z as well
faces_matched = replace(faces_sharp, name="faces-matched", start="faces-sharp", ramp=100, steps=900,
                        extras={"perceptual-reconstruction": 6.0, "part-matching": 1.0, "perceptual-matching": 0.02})  # fmt: skip
# and settled; f(z) is kept as it is, as what f makes of it again is a worse face.  In two phases, the first not in the book ...
faces_rested = replace(faces_matched, name="faces-rested", start="faces-matched", mixture={"grey": 0.25, "sketch": 0.2, "damaged": 0.1},
                       **settling | {"method": "keep"}, distance="perceptual", batch=32, steps=700)  # fmt: skip
# ... and what f makes of its answers is matched to faces, so that a second application is hardly a worse one
faces_settled = replace(
    faces_rested, name="faces-settled", start="faces-rested", extras={"perceptual-matching": 0.03}, steps=600
)
# for a GPU: four times as wide (15 M parameters, 59 MB), what `benchmarks/estimate.py` counts; not trained here.
# `train.py faces --start runs/faces-gpu --width 64 --code 512 --batch 256` goes on from it
faces_gpu = replace(faces_narrow, name="faces-gpu", width=64, code=512, batch=256, steps=60_000)
decaying = replace(faces_narrow, lr_end=0.02)  # what faces are compared with
# what the projector is compared with (chapter 8): from the denoiser's weights, trained further with pairs, as often as `faces` is
faces_restore = replace(decaying, name="faces-restore", method="restore", start="faces-denoise", tightness=0.0, tightness_end=None,
                        extras={}, ramp=0, lr=5e-4, steps=8_000)  # fmt: skip
drawn = replace(decaying, name="drawn", data="drawn", tightness_end=5.0, steps=8_000)  # simpler pictures, half of the steps

# what chapter 7 trains live, at half the side
faces_quick = replace(faces_narrow, name="faces-quick", size=32, code=128, tightness=2.0, tightness_end=None, ramp=200, lr_end=0.1,
                      steps=500)  # fmt: skip

RECIPES = {
    recipe.name: recipe
    for recipe in (
        mnist,
        mnist_narrow,
        mnist_matched,
        mnist_paper,
        mnist_paper_light,
        mnist_denoise,
        fashion,
        fashion_broad,
        fashion_paper,
        fashion_denoise,
        faces,
        faces_narrow,
        faces_paper,
        faces_sharp,
        faces_own,
        faces_matched,
        faces_rested,
        faces_settled,
        faces_restore,
        faces_gpu,
        drawn,
        mnist_quick,
        faces_quick,
        ring,
        moons,
        spiral,
        gaussians,
        checkerboard,
        pinwheel,
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.  ValueError: unknown; the sentence names the known ones."""
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; use one of: {', '.join(RECIPES)}.")
    return RECIPES[name]


def of_images(size: int, channels: int) -> Recipe:
    """The recipe for a folder of such images: that of digits for small grey ones, else that of faces, from its weights where they fit.

    ValueError: a size that no network takes.
    """
    nearest = mnist_narrow if channels == 1 and size <= mnist_narrow.size else faces_narrow
    linear = math.gcd(nearest.linear, size) if nearest.linear else 0
    same = (size, channels) == (nearest.size, nearest.channels)
    start: dict = {"start": nearest.name, "lr": 5e-4, "ramp": 300} if same else {}  # as gently as `faces` goes on from there
    return replace(nearest, name="folder", data="folder", size=size, channels=channels, linear=linear, **start)


def feature_network(data: str) -> str:
    """Whose features measure that data set, for `ignbook.metrics.load_feature_network`."""
    return {"fashion": "fashion-classifier", "celeba64": "imagenet", "drawn": "imagenet"}.get(data, "classifier")


# ------------------------------------------------------------------------------- families of runs: `train.py sweep NAME`

SEEDS = (0, 1, 2)


def _seeded(seeds: tuple[int, ...] = SEEDS, **variants: Recipe) -> dict[str, Recipe]:
    """{"VARIANT-sSEED": recipe}, seeds outermost, so that a sweep cut short has every variant."""
    return {f"{name.replace('_', '-')}-s{s}": replace(recipe, seed=s) for s in seeds for name, recipe in variants.items()}


def _compared(ign: Recipe) -> dict[str, Recipe]:
    """An IGN's recipe and the baselines of the same widths and images; what else differs they were published with (`ignbook.baselines`)."""
    alone = replace(ign, tightness=0.0, tightness_end=None, extras={}, ramp=0)
    return {
        "ign": ign,
        "dcgan": replace(alone, method="dcgan", norm="batch", lr=2e-4, lr_end=1.0, clip=None),
        "vae": replace(alone, method="vae", lr_end=1.0, betas=(0.9, 0.999)),
        "denoise": replace(alone, method="denoise"),
        "imle": replace(alone, method="imle"),
    }


def _compared_on_faces(ign: Recipe) -> dict[str, Recipe]:
    return {name: recipe for name, recipe in _compared(ign).items() if name != "imle"}


_dcgan_of_faces = _compared_on_faces(decaying)["dcgan"]

# what a comparison needs many of: half the width, three epochs, two minutes of one core
small = Recipe("small", data="mnist", width=16, lr=1e-3, lr_end=0.05, ramp=300, batch=128, steps=1_500)
good = replace(small, tightness=13.0)

rising = replace(small, tightness=5.0, tightness_end=14.0)
matching = replace(rising, extras={"feature-matching": 1.0})
both = replace(matching, extras={"feature-matching": 1.0, "imle": 5.0})  # the course and the terms of `mnist-narrow`

# what each part of the broad source does: some minutes each from the narrow f, by `experiments/sources.py`
short = replace(faces, steps=750)
_new = replace(faces_quick, mixture=faces.mixture, tightness=faces.tightness, extras=faces.extras, steps=3_000)
_and_sketch, _and_damaged = {"grey": 0.25, "sketch": 0.2}, {"grey": 0.25, "sketch": 0.2, "damaged": 0.1}
SOURCES = {
    "narrow": replace(short, mixture={}),
    "grey": replace(short, mixture={"grey": 0.25}),
    "sketch": replace(short, mixture={"sketch": 0.2}),
    "grey-and-sketch": replace(short, mixture=_and_sketch),
    "and-damaged": replace(short, mixture=_and_damaged),
    "and-own": short,
    "halves-not-apart": replace(short, apart=False),
    "longer": faces,  # and two more that are as long
    "own-longer": replace(faces_own, name="faces"),
    "feature-matching": replace(short, extras={"feature-matching": 1.0}),
    "feature-matching-longer": replace(faces, extras={"feature-matching": 1.0}),
    "consistency": replace(short, extras={"part-matching": 1.0, "consistency": 5.0}),
    "recall": replace(short, recall=0.25),
    **{f"lambda-{ratio}": replace(short, tightness=20 * ratio) for ratio in (0.05, 0.1, 0.35, 0.5)},
    # the same source at half the side and from new weights, for what the narrow f has already: the linear path
    "new-at-32": _new,
    "no-linear-path-at-32": replace(_new, linear=0),
}
THRICE = (
    "narrow",
    "and-damaged",
    "and-own",
    "feature-matching",
    "consistency",
    "new-at-32",
    "no-linear-path-at-32",
)  # the chapter claims something of these

# what `train.py sweep` measures on validation data, because a recipe was chosen by it; all others on test data
CHOOSING = ("search",)
ELSEWHERE = {"source": "python experiments/sources.py"}  # families that another command trains and measures

SWEEPS: dict[str, dict[str, Recipe]] = {
    # in the open: what was tried for `mnist-narrow`, one setting at a time from rising-matching, one seed, on the small net
    "search": _seeded((0,), **{
        "rising-matching": matching,
        "rising-to-0.6-matching-3": replace(matching, tightness_end=12.0, extras={"feature-matching": 3.0}),
        "matching-3": replace(matching, extras={"feature-matching": 3.0}),
        "matching-and-IMLE": both,
        "learning-rate-0.0005": replace(matching, lr=5e-4),
        "idempotence-40": replace(matching, idempotence=40.0),
        "no-matching": rising,
        "IMLE-for-matching": replace(rising, extras={"imle": 10.0}),
        "statistics-for-matching": replace(rising, extras={"minibatch-statistics": 20.0}),
        "constant-0.4": replace(matching, tightness=8.0, tightness_end=None),
        "constant-0.65": replace(matching, tightness=13.0, tightness_end=None),
        "rising-to-0.5": replace(matching, tightness_end=10.0),
        "learning-rate-0.002": replace(matching, lr=2e-3),
        "no-ramp": replace(matching, ramp=0),
        "batch-64": replace(matching, batch=64, steps=3_000),
        "batch-256": replace(matching, batch=256, steps=750),
        "width-24": replace(matching, width=24),
        "L2": replace(matching, distance="l2"),
        "Gaussian-source": replace(matching, source="gaussian"),
        "averaging-0.99": replace(matching, ema=0.99),
        "no-clamp": replace(matching, clamp=None),
    }),
    "baselines": _seeded(**_compared(mnist_narrow)),
    "settled": _seeded(settled=mnist),  # all from the shipped mnist-matched
    # up to an hour each: the baselines that one asks for first; a DCGAN as wide as the IGN's number of parameters allows,
    # it with a rate that falls, and from a higher one; the IGN with more decay of the rate, and with that, other courses of lambda
    "faces": _seeded((0,), **_compared_on_faces(decaying) | {
        "ign": faces_narrow,
        "dcgan-wide": replace(_dcgan_of_faces, width=26),
        "dcgan-decay": replace(_dcgan_of_faces, lr_end=0.02),
        "dcgan-faster": replace(_dcgan_of_faces, lr=5e-4, lr_end=0.02),
        "ign-to-0.25": replace(decaying, tightness_end=5.0),
        "ign-falling": replace(decaying, tightness=4.0, tightness_end=0.8),
        "ign-decay": decaying,
    }) | _seeded((1, 2), ign=faces_narrow, dcgan=_dcgan_of_faces),
    "drawn": _seeded((0,), **_compared_on_faces(drawn)),
    "source": _seeded((0,), **SOURCES) | _seeded((1, 2), **{name: SOURCES[name] for name in THRICE})
    | _seeded((1,), own_longer=SOURCES["own-longer"]),
    # what fewer z a step cost, at equal images and at equal operations (chapter 12)
    "z-share": _seeded(**{f"{share}": replace(matching, z_share=share) for share in (1.0, 0.5, 0.25)})
    | _seeded(**{f"{share}-longer": replace(matching, z_share=share, steps=steps) for share, steps in ((0.5, 2_250), (0.25, 3_000))})
    | _seeded((0,), **{"0.125-longer": replace(matching, z_share=0.125, steps=3_600)}),
    "z-share-faces": _seeded(**{f"{share}": replace(faces_quick, z_share=share, steps=steps)
                                for share, steps in ((1.0, 1_500), (0.25, 3_000))}),  # at equal operations
    # what the game adds to the terms, and they to it
    "game": _seeded(both=both, terms_alone=replace(both, tightness=0.0, tightness_end=None), game_alone=rising),
    "lambda": _seeded(**{f"{ratio}": replace(small, tightness=20 * ratio) for ratio in (0.05, 0.125, 0.25, 0.5, 0.65, 0.8, 1.0, 1.2)}),
    # each alone on the paper's collapsing weights, and some on the better lambda
    "remedies": _seeded(
        paper=small,
        lambda_0_65=good,
        lambda_falling=replace(small, tightness=15.0, tightness_end=8.0),
        lambda_rising=replace(small, tightness=2.5, tightness_end=13.0),
        feature_matching=replace(small, extras={"feature-matching": 1.0}),
        minibatch_statistics=replace(small, extras={"minibatch-statistics": 20.0}),
        imle=replace(small, extras={"imle": 20.0}),
        two_step=replace(small, distance_end="pyramid"),
        good_imle=replace(good, extras={"imle": 5.0}),
        good_perceptual=replace(good, distance="perceptual"),
        good_two_step_pyramid=replace(good, distance_end="pyramid"),
        good_two_step_perceptual=replace(good, distance_end="perceptual"),
        rising_feature_matching=matching,
        rising_imle=replace(rising, extras={"imle": 10.0}),
    ),
}  # fmt: skip
