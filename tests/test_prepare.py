"""An image of one's own: a photographed digit becomes what MNIST's are, a photograph what faces are, and a wrong one is told."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from checks import one_sentence
from PIL import Image, ImageOps

import ign_core
import ignbook.data
import ignbook.projector
import ignbook.recipes


@pytest.fixture(scope="module")
def mnist() -> ign_core.Model:
    return ign_core.load("mnist")


@pytest.fixture(scope="module")
def digits(mnist) -> torch.Tensor:
    """(20, 28, 28) from 0 to 1, light on dark: MNIST's where it is, else what the shipped model makes."""
    test = ignbook.data.load("mnist", "test", 28)
    if test.card["name"].startswith("mnist"):
        return (test[torch.arange(20)][:, 0] + 1) / 2
    z = mnist.source.sample(20, torch.Generator().manual_seed(0))
    return ((ign_core.iterate(mnist.f, z, 3)[-1][:, 0, 2:30, 2:30] + 1) / 2).clamp(0, 1)


def photographed(digit: torch.Tensor, scale: int = 9, noise: float = 0.02) -> Image.Image:
    """Dark ink on shaded paper, off the middle of a 420x560 picture in colour, with the noise of a camera."""
    ink = F.interpolate(digit[None, None], scale_factor=scale, mode="bicubic")[0, 0].clamp(0, 1)
    across, down = torch.linspace(0, 1, 560), torch.linspace(0, 1, 420)[:, None]
    paper = 0.75 + 0.06 * across + 0.04 * down
    paper[30 : 30 + len(ink), 250 : 250 + len(ink)] *= 1 - 0.85 * ink
    warm = torch.stack([paper, 0.96 * paper, 0.9 * paper], -1)
    warm = warm + noise * torch.randn(warm.shape, generator=torch.Generator().manual_seed(0))
    return Image.fromarray((255 * warm.clamp(0, 1)).round().to(torch.uint8).numpy())


def framed(x: torch.Tensor) -> torch.Tensor:
    """28x28 from 0 to 1 -> (1, 1, 32, 32) in [-1, 1], as the model's data are."""
    return F.pad(2 * x[None, None] - 1, (2, 2, 2, 2), value=-1.0)


def drift(model: ign_core.Model, x: torch.Tensor) -> float:
    with torch.no_grad():
        return ign_core.drift(model.f, x).item()


def test_a_photographed_digit_is_as_near_as_the_digit_itself(mnist, digits):
    for digit in digits:
        picture = photographed(digit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            x = ignbook.data.prepare(picture, mnist)
        assert x.shape == (1, 1, 32, 32) and x.dtype == torch.float32 and x.min() == -1 and x.max() == 1
        naive = torch.from_numpy(np.array(picture.convert("L").resize((32, 32)))).float()[None, None] / 127.5 - 1
        original = drift(mnist, framed(digit))
        assert drift(mnist, x) < 2 * original + 0.02
        assert drift(mnist, naive) > 8 * max(drift(mnist, x), original)
        assert not ignbook.projector.far(mnist, x).item() and ignbook.projector.far(mnist, naive).item()


def test_a_digit_of_mnist_comes_out_as_it_went_in(digits):
    """Light on dark as dark on light; only what is all but black at the edges of its box may be cut off."""
    real = ignbook.data.load("mnist", "test").card["name"].startswith("mnist")  # the model's own are not centred so exactly
    for digit in digits:
        pixels = (255 * digit).round().to(torch.uint8)
        x = ignbook.data.prepare(pixels, ignbook.recipes.mnist)
        assert torch.equal(x, ignbook.data.prepare(255 - pixels, ignbook.recipes.mnist))
        if real:
            assert (x - framed(digit)).abs().max() < 0.1


def test_what_is_drawn_fills_its_box_around_its_centre_of_mass():
    """A bar of 60x20 pixels in a corner becomes one of 20x7 around the middle; for clothes, of 28x9."""
    page = torch.full((300, 200), 240, dtype=torch.uint8)
    page[10:70, 20:40] = 15
    x = ignbook.data.prepare(page, ignbook.recipes.mnist)[0, 0]
    light = (x > 0).nonzero()
    top, left, bottom, right = *light.min(0).values.tolist(), *light.max(0).values.tolist()
    assert bottom + 1 - top == 20 and right + 1 - left in (6, 7) and abs(top + bottom - 31) <= 1 and abs(left + right - 31) <= 1
    assert (ignbook.data.prepare(page, ignbook.recipes.fashion)[0, 0] > 0).any(1).sum() == 28


def test_all_that_is_no_drawing_is_dark(digits):
    """The shades of the paper don't stay as a grey ground."""
    x = ignbook.data.prepare(photographed(digits[0]), ignbook.recipes.mnist)
    assert (x == -1).float().mean() > 0.6


# ------------------------------------------------------------------------------------------------------------ photographs


def scene(height: int = 200, width: int = 320) -> np.ndarray:
    """(h, w, 3): red grows to the right, green downwards."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.full_like(red, 100)], -1).round().astype(np.uint8)


def averaged(pixels: np.ndarray, size: int) -> torch.Tensor:
    """The square in the middle, by the mean over equal squares: (h, w, 3) -> (1, 3, size, size)."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    x = torch.from_numpy(pixels[top : top + side, left : left + side].copy()).float().movedim(-1, 0)[None]
    return F.adaptive_avg_pool2d(x, size) / 127.5 - 1


def test_a_photograph_is_cut_to_a_square_and_shrunk():
    x = ignbook.data.prepare(Image.fromarray(scene()), ignbook.recipes.faces)
    assert x.shape == (1, 3, 64, 64) and x.dtype == torch.float32
    assert (x - averaged(scene(), 64)).abs().max() < 0.03
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[::2] = 255
    assert ignbook.data.prepare(Image.fromarray(stripes), ignbook.recipes.faces).abs().max() < 0.1  # grey, no pattern


@pytest.mark.parametrize("orientation, turn", [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_a_file_is_turned_upright(tmp_path, orientation, turn):
    """An EXIF orientation says how the camera was held; turn: quarters, anticlockwise, that set it right."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(scene()).save(tmp_path / "photo.png", exif=exif)
    for path in (tmp_path / "photo.png", str(tmp_path / "photo.png")):
        x = ignbook.data.prepare(path, ignbook.recipes.faces)
        assert (x - averaged(np.rot90(scene(), turn), 64)).abs().max() < 0.03


def test_every_kind_of_image_is_taken():
    picture = Image.fromarray(scene())
    x = ignbook.data.prepare(picture, ignbook.recipes.faces)
    tensor = torch.from_numpy(scene()).movedim(-1, 0)
    for same in (tensor, tensor[None], tensor / 127.5 - 1, picture.convert("RGBA")):
        assert torch.equal(ignbook.data.prepare(same, ignbook.recipes.faces), x)
    grey = ignbook.data.prepare(ImageOps.grayscale(picture), ignbook.recipes.faces)
    assert torch.equal(grey[:, 0], grey[:, 2])
    see_through = picture.copy()
    see_through.putalpha(0)
    assert (ignbook.data.prepare(see_through, ignbook.recipes.faces) == 1).all()  # white


def test_a_list_of_photographs_becomes_data(digits):
    """As the sentences of `fit` say."""
    x = torch.cat([ignbook.data.prepare(photographed(digit), ignbook.recipes.mnist) for digit in digits[:3]])
    assert x.shape == (3, *ignbook.recipes.mnist.shape)


# -------------------------------------------------------------------------------------------------- what is far, or wrong


def test_what_is_far_from_the_data_is_told(mnist):
    board = np.kron(np.indices((8, 8)).sum(0) % 2 * 255, np.ones((25, 25))).astype(np.uint8)
    with pytest.warns(UserWarning, match=r"the drift of this image is \d+ times the data's; .*\.$"):
        x = ignbook.data.prepare(Image.fromarray(np.pad(board, 20)), mnist)
    assert ignbook.projector.far(mnist, x).tolist() == [True]


def test_the_limit_comes_from_the_card_or_from_a_sample():
    ring = ign_core.load("ring")
    x = ignbook.data.points("ring", 500)
    inputs = torch.cat([x[:50], 0.3 * x[50:60]])
    for given in ((), (x,)):
        far = ignbook.projector.far(ring, inputs, *given)
        assert far.shape == (60,) and far.dtype == torch.bool and far[50:].all() and far[:50].float().mean() < 0.1
    with torch.no_grad():
        ratio = ign_core.drift(ring.f, inputs) / ign_core.drift(ring.f, x).mean()
    assert torch.equal(ratio > ignbook.data.FAR, ignbook.projector.far(ring, inputs, x))
    ring.card = {**ring.card, "metrics": {}}
    with pytest.raises(ValueError, match="holds no drift of its data; give a sample") as caught:
        ignbook.projector.far(ring, inputs)
    one_sentence(caught)


@pytest.mark.parametrize(
    "image, name, words",
    [
        ("nowhere.png", "mnist", "there is no image nowhere.png"),
        (__file__, "mnist", r"damaged or no image \(UnidentifiedImageError\)"),
        (np.zeros((8, 8)), "mnist", "ndarray is no image; give a path, a PIL image or a tensor"),
        (torch.zeros(2, 8, 8), "faces", r"shape \(2, 8, 8\) is no image"),
        (torch.zeros(5), "faces", "is no image"),
        (torch.rand(3, 8, 8) + 0.1, "faces", r"scale it to \[-1, 1\]"),
        (255 * torch.rand(3, 8, 8), "faces", r"scale it to \[-1, 1\]"),
        (Image.new("L", (90, 90), 200), "mnist", "nothing is drawn"),
        (Image.new("L", (90, 90), 200), "ring", r"have shape \(2,\); images have 1 or 3 channels"),
    ],
)
def test_what_is_no_image_gets_one_sentence(image, name, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        ignbook.data.prepare(image, ignbook.recipes.recipe(name))
    one_sentence(caught)
