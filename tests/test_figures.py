"""book/figures.py: what pages make of a figure for narrow screens."""

import io
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from checks import script
from docutils import nodes
from docutils.utils import new_document
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
WIDE, HIGH = 200, 120  # of an axes, in pixels
SPOTS = {"red": (200, 30, 30), "green": (30, 150, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="module")
def figures():
    return script(ROOT / "book" / "figures.py")


def words(pixels, left, top, count):
    """Things as large and as far apart as letters, 4 pixels wide and 2 apart."""
    for i in range(count):
        pixels[top : top + 8, left + 6 * i : left + 6 * i + 4] = 90


def side_by_side(labels=(True, True, True), widths=(WIDE, WIDE, WIDE)) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """Axes in a row, a spot of another colour in each, with or without labels on the left; and the boxes of axes with labels below."""
    pixels = np.full((HIGH + 40, 20 + sum(widths) + 50 * len(widths), 3), 255, np.uint8)
    boxes, left = [], 50
    for own, width, colour in zip(labels, widths, SPOTS.values()):
        pixels[10 : 10 + HIGH, left : left + 2] = pixels[8 + HIGH : 10 + HIGH, left : left + width] = 0
        pixels[30:60, left + 10 : left + 40] = colour
        if own:
            for at in (20, 60, 100):
                words(pixels, left - 26, at, 3)
        words(pixels, left + width // 2 - 20, 16 + HIGH, 7)
        boxes.append((left - 26 if own else left, 10, left + width, 24 + HIGH))
        left += width + 50
    return Image.fromarray(pixels), boxes


def rows_of(stack: Image.Image, n: int, height: int, gap: int) -> list[Image.Image]:
    return [stack.crop((0, i * (height + gap), stack.width, i * (height + gap) + height)) for i in range(n)]


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_panels_come_one_below_the_other_with_their_own_pixels(figures, mode):
    picture, boxes = side_by_side()
    picture = picture if mode == "RGB" else picture.quantize(16)
    stack = figures.stacked(picture, scale=1.0)
    height = boxes[0][3] - boxes[0][1]
    assert stack.mode == mode and stack.size == (WIDE + 26, 3 * height + 2 * figures.GAP)
    for row, box in zip(rows_of(stack, 3, height, figures.GAP), boxes):
        np.testing.assert_array_equal(np.asarray(row.convert("RGB")), np.asarray(picture.crop(box).convert("RGB")))


def test_axes_without_labels_get_those_that_they_share(figures):
    picture, boxes = side_by_side(labels=(True, False, False))
    stack = figures.stacked(picture)
    height = boxes[0][3] - boxes[0][1]
    labels = picture.crop((24, 10, 50, 10 + height))
    for row, (*_, right, bottom) in zip(rows_of(stack, 3, height, figures.GAP), boxes):
        axes = picture.crop((right - WIDE, 10, right, bottom))
        np.testing.assert_array_equal(np.asarray(row), np.concatenate([np.asarray(labels), np.asarray(axes)], 1))


def test_small_panels_share_a_row(figures):
    picture, _ = side_by_side()
    stack = figures.stacked(picture, scale=2.0)  # 113 CSS pixels each with its labels
    assert stack.width > 2 * WIDE
    assert [(np.asarray(stack) == colour).all(2).sum() for colour in SPOTS.values()] == [900] * 3


def test_a_legend_of_all_is_wrapped_and_comes_first(figures):
    picture, boxes = side_by_side()
    pixels = np.asarray(picture)
    legend = np.full((30, pixels.shape[1], 3), 255, np.uint8)
    for i in range(4):
        words(legend, 100 + 150 * i, 5, 18)  # one stands across the first gutter
    stack = figures.stacked(Image.fromarray(np.concatenate([legend, pixels])))
    alone = figures.stacked(picture)
    assert stack.width == alone.width and stack.height == alone.height + 4 * (8 + figures.GAP)
    np.testing.assert_array_equal(np.asarray(stack)[-alone.height :], np.asarray(alone))
    for i in range(4):
        np.testing.assert_array_equal(np.asarray(stack)[22 * i : 22 * i + 8, :106], legend[5:13, 100:206])


def whole():
    one, _ = side_by_side(labels=(True,), widths=(WIDE,))
    unlike, _ = side_by_side(widths=(WIDE, 60, WIDE))
    picture, _ = side_by_side()
    line, bar = np.array(picture), np.array(picture)
    line[70:72] = 0
    bar[:, 240:300] = np.linspace(0, 200, 60)[:, None].astype(np.uint8)  # what touches both, as a map in colours would
    close = np.delete(np.array(side_by_side(labels=(True, False, False))[0]), slice(250, 298), axis=1)
    return {"one panel": one, "unlike": unlike, "line": Image.fromarray(line), "bar": Image.fromarray(bar),
            "no gutter": Image.fromarray(close), "blank": Image.new("RGB", (300, 100), "white")}  # fmt: skip


@pytest.mark.parametrize("name, picture", whole().items())
def test_what_does_not_come_apart_stays_whole(figures, name, picture):
    assert figures.stacked(picture) is None


def test_figures_of_matplotlib_are_cut(figures):
    def drawn(columns):
        with plt.rc_context({"figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False}):
            figure, axes = plt.subplots(1, columns, figsize=(3 * columns, 2.5), sharey=True, squeeze=False)
            for i, ax in enumerate(axes[0]):
                ax.plot([0, 1, 2], [i, 2, 1])
                ax.set(title=f"step {i}", xlabel="$y$")
            axes[0, 0].set_ylabel("$f(y)$")
            file = io.BytesIO()
            figure.savefig(file, dpi=110)
            plt.close(figure)
        return Image.open(file).convert("RGB")

    picture = drawn(4)
    stack = figures.stacked(picture)
    assert stack.width < 0.35 * picture.width and stack.height > 3.5 * picture.height
    assert figures.stacked(drawn(1)) is None


@pytest.fixture
def page(figures, tmp_path):
    """A page with one figure of these classes, as HTML is written of it: the document, and the pictures that were made."""
    picture, _ = side_by_side()
    picture.save(tmp_path / "one.png")

    def made(classes, kind="html"):
        document = new_document("page")
        image = nodes.image(uri="one.png", alt="three", classes=classes, width=str(picture.width))
        document += nodes.container("", image)
        env = SimpleNamespace(images={"one.png": ({"notebooks/a"}, "one.png")})
        app = SimpleNamespace(builder=SimpleNamespace(format=kind), env=env, srcdir=tmp_path, outdir=tmp_path / "out")
        figures.add_versions(app, document, "notebooks/a")
        return document[0], sorted(path.name for path in tmp_path.glob("out/_images/*"))

    return made


def test_a_drawing_gets_a_second_picture(page):
    around, files = page(["drawn"])
    before, image, after = around
    assert files == ["narrow-one.png"] and image["alt"] == "three" and "drawn" in image["classes"]
    assert '<a class="reference internal image-reference" href="../_images/one.png"><picture><source' in before.astext()
    assert 'media="(max-width: 500px)" srcset="../_images/narrow-one.png 1.000x"' in before.astext()
    assert after.astext() == "</picture></a>"


@pytest.mark.parametrize("classes, kind", [([], "html"), (["drawn", "whole"], "html"), (["drawn"], "")])
def test_other_figures_are_left_as_they_are(page, classes, kind):
    around, files = page(classes, kind)
    assert len(around) == 1 and around[0]["uri"] == "one.png" and not files


SIDE, TOP, LEFT = 40, 30, 60  # of the images in the pictures below, and where these begin, in pixels


def rows_of_pictures(columns=8, rows=("x", "f(x)"), label=True, title=False) -> tuple[Image.Image, list[list]]:
    """Rows of grey images on white, each darker than the one on its left, with words before each row; and where the rows are."""
    pixels = np.full((TOP + len(rows) * (SIDE + 10), LEFT + columns * SIDE + 10, 3), 255, np.uint8)
    at = []
    for i in range(len(rows)):
        top = TOP + i * (SIDE + 10)
        for j in range(columns):
            pixels[top + 1 : top + SIDE - 1, LEFT + j * SIDE + 1 : LEFT + (j + 1) * SIDE - 1] = 200 - 20 * j
        if label:
            words(pixels, 20, top + 15, 5)
        at.append([LEFT, top, LEFT + columns * SIDE, top + SIDE, "picture", columns])
    if title:
        pixels[4:12, LEFT + 2 : LEFT + columns * SIDE - 2] = 90  # without a blank
    return Image.fromarray(pixels), at


def broken(figures, picture, at, scale):
    return figures.broken(picture, figures.pieces(picture, at, scale))


def test_rows_of_images_are_broken_between_images_and_keep_their_names(figures):
    picture, at = rows_of_pictures()
    narrow = np.asarray(broken(figures, picture, at, scale=0.7))  # room for four images beside the names
    pixels = np.asarray(picture)
    assert narrow.shape == (2 * len(pixels), LEFT + 4 * SIDE + 10, 3)
    np.testing.assert_array_equal(narrow[: len(pixels), : LEFT + 4 * SIDE], pixels[:, : LEFT + 4 * SIDE])
    np.testing.assert_array_equal(narrow[len(pixels) :, :LEFT], pixels[:, :LEFT])
    np.testing.assert_array_equal(narrow[len(pixels) :, LEFT:], pixels[:, LEFT + 4 * SIDE :])


def test_a_map_is_parted_from_the_next_one_and_not_from_its_bar(figures):
    pixels = np.full((100, 500, 3), 255, np.uint8)
    at = [[60, 10, 160, 90, "picture", 1], [200, 10, 300, 90, "picture", 1], [330, 10, 340, 90, "bar", 1]]
    for i, (left, top, right, bottom, *_) in enumerate(at):
        pixels[top:bottom, left:right] = 40 * (i + 1)
    for left in (30, 350):  # at the first ordinate, and at the bar
        words(pixels, left, 40, 3)
    pixels[60, 194:200] = 0  # a mark at the second one's
    narrow = np.asarray(broken(figures, Image.fromarray(pixels), at, scale=1.0))
    assert narrow.shape[0] == 200
    assert [(narrow == 40 * i).all(2).sum() for i in (1, 2, 3)] == [8000, 8000, 800]
    assert (narrow[:100] == 40).any() and not (narrow[:100] == 80).any() and (narrow[100:] == 120).any()
    assert (narrow[140:148, 30:46] == 90).any(), "the second has no labels of its own, so it gets those of the first"


def test_a_row_that_ends_before_a_piece_begins_leaves_no_labels_in_it(figures):
    pixels = np.full((200, 330, 3), 255, np.uint8)
    at = [[60, 10, 160, 90, "picture", 1], [200, 10, 300, 90, "picture", 1], [60, 110, 160, 190, "picture", 1]]
    for i, (left, top, right, bottom, *_) in enumerate(at):
        pixels[top:bottom, left:right] = 40 * (i + 1)
    for top in (40, 140):  # at both ordinates
        words(pixels, 30, top, 3)
    narrow = np.asarray(broken(figures, Image.fromarray(pixels), at, scale=0.8))
    assert [(narrow == 40 * i).all(2).sum() for i in (1, 2, 3)] == [8000, 8000, 8000]
    assert [bool((narrow[top : top + 8, 30:46] == 90).any()) for top in (40, 140, 240, 340)] == [True, True, True, False]


def unbroken():
    return {"narrow": (*rows_of_pictures(4), 1.0), "nothing to read": (*rows_of_pictures(label=False), 0.7),
            "a title across": (*rows_of_pictures(title=True), 0.7)}  # fmt: skip


@pytest.mark.parametrize("name, case", unbroken().items())
def test_pictures_that_stay_whole(figures, name, case):
    assert figures.pieces(*case) == []


def test_the_dark_version_keeps_the_pictures_and_turns_the_rest_as_the_style_sheet_does(figures):
    picture, at = rows_of_pictures()
    colours = {"white": (255, 255, 255), "black": (0, 0, 0), "blue": (47, 109, 179)}
    for i, colour in enumerate(colours.values()):
        picture.paste(colour, (10 * i, 0, 10 * i + 10, 8))
    dark, light = np.asarray(figures.light_on_dark(picture, at)), np.asarray(picture)
    for left, top, right, bottom, *_ in at:  # within the white frame
        inner = slice(top + 1, bottom - 1), slice(left + 1, right - 1)
        np.testing.assert_array_equal(dark[inner], light[inner])
    # what Chromium 150 shows of these with `filter: invert(0.93) hue-rotate(180deg)`
    for i, expected in enumerate(((18, 18, 18), (237, 237, 237), (104, 157, 218))):
        assert np.abs(dark[4, 10 * i + 5].astype(int) - expected).max() <= 2


@pytest.mark.parametrize("off", [-2, -1, 0, 1, 2])
def test_a_place_that_is_off_by_a_pixel_or_two_leaves_no_white_line(figures, off):
    pixels = np.full((60, 60, 3), 255, np.uint8)
    pixels[20:40, 10:50] = 40
    at = [[10 + off, 20 + off, 50 + off, 40 + off, "picture", 1]]
    dark = np.asarray(figures.light_on_dark(Image.fromarray(pixels), at))
    assert (dark[20:40, 10:50] == 40).all() and dark.max() == 40


def test_what_would_be_too_high_for_a_file_stays_whole(figures):
    picture, at = rows_of_pictures()
    assert figures.pieces(picture.resize((picture.width, 9000)), at, 0.7) == []


def test_the_tip_of_a_bar_of_colours_is_of_the_bar(figures):
    picture = Image.new("RGB", (60, 80), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 30, 39, 70), fill="orange")
    draw.polygon([(20, 29), (39, 29), (30, 20), (29, 20)], fill="purple")
    draw.line((20, 10, 39, 10), fill="black")  # words above it
    dark, light = (np.asarray(p) for p in (figures.light_on_dark(picture, [[20, 30, 40, 71, "bar", 1]]), picture))
    np.testing.assert_array_equal(dark[20:71, 29], light[20:71, 29])
    assert dark[10, 29].min() > 200 and dark[22, 21].max() < 30  # words are light, and so is not the ground beside the tip


def test_a_picture_gets_a_version_for_each_theme_and_width(figures, tmp_path):
    from ignbook.plots.pictures import _file

    picture, at = rows_of_pictures(10)
    picture.info["places"] = at
    (tmp_path / "one.png").write_bytes(_file(picture, format="png"))
    document = new_document("page")
    document += nodes.container("", nodes.image(uri="one.png", alt='a "few"', classes=[]))
    env = SimpleNamespace(images={"one.png": ({"notebooks/a"}, "one.png")})
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), env=env, srcdir=tmp_path, outdir=tmp_path / "out")
    figures.add_versions(app, document, "notebooks/a")
    files = sorted(path.name for path in tmp_path.glob("out/_images/*"))
    assert files == ["dark-one.webp", "narrow-dark-one.webp", "narrow-light-one.webp"]
    before, image, after, dark = document[0]
    assert "only-light" in before.astext() and "only-light" in image["classes"] and after.astext() == "</picture></a>"
    assert 'srcset="../_images/narrow-light-one.webp 1.000x"' in before.astext()
    assert 'class="reference internal image-reference only-dark" href="../_images/dark-one.webp"' in dark.astext()
    assert 'alt="a &quot;few&quot;"' in dark.astext() and "narrow-dark-one.webp" in dark.astext()
