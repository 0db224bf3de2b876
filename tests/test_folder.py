"""Images of one's own: what becomes of a folder and of a Dataset, held against Pillow by hand, and the command that trains on it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from checks import one_sentence, same
from matplotlib.image import imread
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

import ign_core
import ignbook.data
import ignbook.recipes
import train

SIZE = 16
RNG = np.random.default_rng()
START = np.random.default_rng(3).bit_generator.state


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Coarse noise, so that a turn or a shift of the crop is seen."""
    coarse = RNG.integers(0, 256, (4, 5, channels), np.uint8)
    return np.array(Image.fromarray(coarse.squeeze()).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "cache"))
    ignbook.data._cut.cache_clear()
    RNG.bit_generator.state = START  # whatever other tests have drawn


@pytest.fixture
def photos(tmp_path) -> Path:
    """40 PNG files of several sizes in two folders."""
    root = tmp_path / "photos"
    for i in range(40):
        path = root / "ab"[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(20 + i % 7, 24)).save(path)
    return root


def taken(root: Path, split: str | None = None, size: int = SIZE, **options) -> torch.Tensor:
    """In a new process, as it were: nothing is remembered but the cache."""
    ignbook.data._cut.cache_clear()
    return ignbook.data.folder(root, size, split=split, **options).pixels


def rows(pixels: torch.Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in pixels]


def by_hand(picture: Image.Image, size: int = SIZE) -> bytes:
    """The square in the middle, (C, size, size), by Pillow's resize alone."""
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    cut = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return np.asarray(cut).reshape(size, size, -1).transpose(2, 0, 1).tobytes()


def test_every_mode_and_format_becomes_what_pillow_makes_of_it_by_hand(photos, capsys):
    colour = Image.fromarray(noise(24, 40))
    wanted = {}

    def put(name: str, picture: Image.Image, meant: Image.Image, **options) -> None:
        picture.save(photos / name, **options)
        wanted[name] = by_hand(meant.convert("RGB"))

    put("plain.png", colour, colour)
    put("b/deep.bmp", colour, colour)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise by a quarter
    colour.save(photos / "turned.jpg", exif=turned, quality=95)
    wanted["turned.jpg"] = by_hand(Image.open(photos / "turned.jpg").transpose(Image.Transpose.ROTATE_270))
    palette = colour.quantize(16)
    put("palette.gif", palette, palette)
    see_through = colour.copy()
    see_through.putalpha(Image.fromarray(noise(24, 40, 1)))
    on_white = Image.new("RGB", colour.size, "white")
    on_white.paste(colour, mask=see_through.getchannel("A"))
    put("see-through.png", see_through, on_white)
    fine = noise(24, 40, 1).astype(np.uint16)
    put("16-bit.png", Image.fromarray(fine * 257), Image.fromarray(fine.astype(np.uint8)))
    put("grey.png", colour.convert("L"), colour.convert("L"))
    ink = colour.convert("CMYK")
    put("ink.tif", ink, ink)
    put("narrow.png", colour.resize((8, 30)), colour.resize((8, 30)))  # is enlarged

    whole = (photos / "turned.jpg").read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "notes.txt").write_text("no image")
    (photos / "ink").mkdir()
    (photos / "ink" / "empty.png").write_bytes(b"")
    (photos / ".hidden").mkdir()
    colour.save(photos / ".hidden" / "thumbnail.png")

    names = sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*.*") if p.is_file() and ".hidden" not in p.parts)
    names = [name for name in names if name not in ("half.jpg", "notes.txt", "ink/empty.png")]
    capsys.readouterr()
    data = ignbook.data.folder(photos, SIZE, split=None)
    found = dict(zip(names, rows(data.pixels)))
    assert data.pixels.shape == (40 + len(wanted), 3, SIZE, SIZE) and len(names) == len(data)
    for name, pixels in wanted.items():
        near = np.frombuffer(found[name], np.uint8).astype(int) - np.frombuffer(pixels, np.uint8)
        assert abs(near).max() <= (1 if name == "see-through.png" else 0), name  # two ways to blend round differently
    x = data[torch.arange(3)]
    assert x.shape == (3, 3, SIZE, SIZE) and x.min() >= -1 and x.max() <= 1 and x.min() < 0

    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(".\n")
    assert "49 colour images, 1 of them enlarged to 16 pixels, 3 files left out" in said
    for words in ("half.jpg (damaged)", "notes.txt (no image)", "ink/empty.png (no image)"):
        assert words in said
    assert "hidden" not in said and str(photos) not in str(data.card)


def test_parts_are_disjoint_and_no_image_changes_its_part(photos):
    parts = {split: rows(taken(photos, split)) for split in ("train", "validation", None)}
    assert sorted(parts["train"] + parts["validation"]) == sorted(parts[None]) and len(parts[None]) == 40
    assert 1 <= len(parts["validation"]) <= 12
    for i in range(60):
        Image.fromarray(noise(20, 20)).save(photos / f"new-{i}.png")
    (photos / "a" / "00.png").rename(photos / "renamed.png")
    shutil.copytree(photos / "b", photos / "copies")
    later = {split: set(rows(taken(photos, split))) for split in ("train", "validation")}
    assert not later["train"] & later["validation"]  # copies go where the original went
    assert set(parts["train"]) <= later["train"] and set(parts["validation"]) <= later["validation"] | later["train"]
    if len(parts["validation"]) > 1:  # one alone may have been taken for want of any
        assert set(parts["validation"]) <= later["validation"]


def test_about_a_tenth_is_held_out_and_never_none():
    pixels = torch.randint(0, 256, (3_000, 3, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)

    def held_out(some: torch.Tensor) -> int:
        return len(ignbook.data.from_dataset(some, 4, split="validation"))

    assert 240 < held_out(pixels) < 360  # 300, and four standard deviations of 16
    assert all(held_out(part) >= 1 for part in pixels.split(32)[:-1])


def test_grey_images_have_one_channel_unless_one_is_coloured_or_the_caller_says(tmp_path):
    for i in range(40):
        Image.fromarray(noise(20, 20, 1)).convert(("L", "RGB", "P")[i % 3]).save(tmp_path / f"{i:02d}.png")
    grey = taken(tmp_path)
    assert grey.shape == (40, 1, SIZE, SIZE)
    assert rows(grey) == [by_hand(Image.open(path).convert("L")) for path in sorted(tmp_path.glob("*.png"))]
    three = taken(tmp_path, channels=3)
    assert three.shape[1] == 3 and torch.equal(three[:, 1:2], grey)
    before = taken(tmp_path, "validation")
    Image.fromarray(noise(20, 20)).save(tmp_path / "colour.png")
    mixed = taken(tmp_path)
    assert mixed.shape == (41, 3, SIZE, SIZE)
    assert set(rows(before)) <= set(rows(taken(tmp_path, "validation")[:, :1])) or len(before) == 1
    assert by_hand(Image.open(tmp_path / "colour.png").convert("L")) in rows(taken(tmp_path, channels=1))


def test_the_cache_is_used_until_something_changes(photos, monkeypatch, capsys):
    read, reads = ignbook.data.read_image, []
    monkeypatch.setattr(ignbook.data, "read_image", lambda path: (reads.append(path), read(path))[1])
    (photos / "notes.txt").write_text("no image")

    def again(**options) -> int:
        reads.clear()
        taken(photos, **options)
        return len(reads)

    assert again() == 41
    first = capsys.readouterr().err
    assert again() == 0 and capsys.readouterr().err == first and "notes.txt" in first  # it says the same
    assert again(size=8) == 41 and again(channels=1) == 41 and again() == 0
    one = photos / "a" / "00.png"
    os.utime(one, (1, 1))
    assert again() == 41 and again() == 0
    Image.fromarray(noise(20, 20)).save(photos / "new.png")
    assert again() == 42
    one.unlink()
    assert again() == 41
    next((photos.parent / "cache").glob("folder-*.npy")).unlink()
    taken(photos)
    for notes in (photos.parent / "cache").glob("folder-*.json"):
        notes.unlink()
    assert again() == 41 and again() == 0
    assert not list((photos.parent / "cache").glob("*.aside"))


def test_without_a_cache_it_reads_anew(photos, monkeypatch, tmp_path):
    expected = taken(photos)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "file"))
    assert torch.equal(taken(photos), expected)


def items(some: list) -> Dataset:
    return Subset(some, range(len(some)))


def test_a_dataset_gives_what_the_folder_gives(photos):
    expected = {split: taken(photos, split) for split in ("train", "validation", None)}
    labelled = ImageFolder(str(photos))  # pairs (PIL image, class), in the order of the names
    for split, pixels in expected.items():
        data = ignbook.data.from_dataset(labelled, SIZE, split=split)
        assert torch.equal(data.pixels, pixels) and data.size == SIZE and len(data.labels) == len(data)
    assert ignbook.data.from_dataset(labelled, SIZE, split=None).labels.tolist() == labelled.targets

    unit = [ToTensor()(image) for image, _ in labelled]  # in [0, 1]
    forms = {
        "in [0, 1]": unit,
        "bytes": [(255 * x).round().to(torch.uint8) for x in unit],
        "in [-1, 1]": [2 * x - 1 for x in unit],
        "pairs": [(x, "a name") for x in unit],
    }
    for name, form in forms.items():
        assert torch.equal(ignbook.data.from_dataset(items(form), SIZE, split=None).pixels, expected[None]), name


def test_floats_in_one_dataset_have_one_range():
    """An image without a value below 0 is of the range of the others."""
    signed = [torch.full((3, 8, 8), -1 + i / 20) for i in range(41)]
    wanted = [round(127.5 * i / 20) for i in range(41)]
    found = ignbook.data.from_dataset(signed, 8, split=None).pixels[:, 0, 0, 0].tolist()
    assert max(abs(a - b) for a, b in zip(found, wanted)) <= 1


def test_what_is_no_data_gets_one_sentence(photos, tmp_path):
    few, none, text = tmp_path / "few", tmp_path / "none", tmp_path / "text"
    for folder in (few, none, text):
        folder.mkdir()
    (text / "a.txt").write_text("a")
    shutil.copy(photos / "a" / "00.png", few)
    picture, x = Image.new("RGB", (9, 9)), torch.zeros(3, 9, 9)
    wrong = [
        (lambda: ignbook.data.folder(tmp_path / "nowhere"), "there is no folder"),
        (lambda: ignbook.data.folder(photos / "a" / "00.png"), "there is no folder"),
        (lambda: ignbook.data.folder(none), "it has no files"),
        (lambda: ignbook.data.folder(text), "none of its 1 files is one"),
        (lambda: ignbook.data.folder(few), "has 1 images, too few to learn from; give at least 32"),
        (lambda: ignbook.data.folder(photos, 0), "the size is 0"),
        (lambda: ignbook.data.folder(photos, SIZE, 2), "channels is 2"),
        (lambda: ignbook.data.folder(photos, SIZE, split="test"), "split 'test' is unknown"),
        (lambda: ignbook.data.from_dataset([picture] * 3), "too few"),
        (lambda: ignbook.data.from_dataset(items([])), "the data set is empty"),
        (lambda: ignbook.data.from_dataset(DataLoader(items([x] * 40))), "DataLoader"),
        (lambda: ignbook.data.from_dataset(str(photos)), "ignbook.data.folder"),
        (lambda: ignbook.data.from_dataset([x] * 39 + [{"image": x}]), "item 39 of the data set: dict is no image"),
        (lambda: ignbook.data.from_dataset([x] * 39 + [x + 7]), "item 39 of the data set: the image runs from 7"),
        (lambda: ignbook.data.from_dataset([torch.zeros(5, 9, 9)]), "item 0 of the data set"),
    ]
    for call, words in wrong:
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        one_sentence(caught)
        assert words in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "size, channels, nearest, start",
    [(64, 3, "faces-narrow", "faces-narrow"), (32, 1, "mnist-narrow", "mnist-narrow"), (32, 3, "faces-narrow", ""),
     (64, 1, "faces-narrow", ""), (28, 1, "mnist-narrow", ""), (28, 3, "faces-narrow", ""), (96, 3, "faces-narrow", "")],
)  # fmt: skip
def test_the_nearest_recipe_is_taken_and_its_weights_where_they_fit(size, channels, nearest, start):
    recipe, shipped = ignbook.recipes.of_images(size, channels), ignbook.recipes.recipe(nearest)
    assert recipe.start == start and recipe.shape == (channels, size, size) and recipe.extras == shipped.extras
    f = ign_core.build(recipe)
    if start:
        ignbook.checkpoints.begin(f, start)
        assert same(f, ign_core.load(start).f)


def test_the_command_trains_resumes_measures_and_draws(photos, tmp_path, capsys):
    out, arguments = tmp_path / "out", ["folder", "--data", str(photos), "--name", "mine", "--batch", "8", "--threads", "1"]
    arguments += ["--out", str(out)]
    train.main([*arguments, "--steps", "2"])
    said = capsys.readouterr()
    assert "40 colour images" in said.err and "2 steps from the weights of faces-narrow" in said.out
    assert "only drifts are measured: " in said.out and "f(f(z)): " in said.out
    names = {p.name for p in out.iterdir()}
    assert names == {"mine.safetensors", "mine.json", "mine.csv", "mine-history.png", "mine.train.safetensors", "mine-samples",
                     "mine-contact-sheet.png"}  # fmt: skip
    assert [p.stem for p in sorted((out / "mine-samples").iterdir())] == ["0000001", "0000002"]
    assert imread(out / "mine-contact-sheet.png").std() > 0

    train.main([*arguments, "--steps", "3", "--resume"])
    photos.rename(tmp_path / "gone")  # a model needs its folder no longer
    model = ign_core.load(out / "mine")
    assert model.card["recipe"]["data"] == "folder" and [row["step"] for row in model.card["history"]] == [1, 2, 3]
    assert model.f.shape == (3, 64, 64) and str(tmp_path) not in (out / "mine.json").read_text()
    held_out = taken(tmp_path / "gone", "validation", 64).float() / 127.5 - 1
    expected = ign_core.drift(model.f, held_out).mean().item()
    assert model.card["metrics"]["reconstruction"] == pytest.approx(expected, rel=1e-4)
    x = ignbook.data.prepare(tmp_path / "gone" / "a" / "00.png", model)
    assert torch.equal(
        x[0], taken(tmp_path / "gone", size=64)[0].float() / 127.5 - 1
    )  # a model is shown what it was trained on
    capsys.readouterr()
    assert train.guarded(["evaluate", str(out / "mine")]) == 1
    assert "train.py folder --data DIR --resume" in capsys.readouterr().err.splitlines()[-1]


def test_a_dry_run_says_what_was_found_and_what_it_would_take(photos, tmp_path, capsys):
    out = tmp_path / "out"
    train.main(["folder", "--data", str(photos), "--size", "16", "--batch", "8", "--out", str(out), "--dry-run"])
    said = capsys.readouterr().out
    assert "images to train on" in said and "nothing is trained" in said and "a step of 8 samples" in said
    assert not out.exists()


def test_the_command_starts_from_nothing_when_told_and_for_other_sizes(photos, tmp_path, capsys):
    arguments = [
        "folder",
        "--data",
        str(photos),
        "--batch",
        "4",
        "--steps",
        "1",
        "--threads",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    train.main([*arguments, "--start", "none", "--mirror", "False", "--seed", "3"])
    recipe = ign_core.load(tmp_path / "out" / "folder").card["recipe"]
    assert (recipe["start"], recipe["mirror"], recipe["seed"], recipe["size"]) == ("", False, 3, 64)
    train.main([*arguments, "--size", "32", "--channels", "1", "--name", "small"])
    recipe = ign_core.load(tmp_path / "out" / "small").card["recipe"]
    assert (recipe["start"], recipe["width"], recipe["channels"]) == ("mnist-narrow", 32, 1)
    assert "from random weights" in capsys.readouterr().out


def test_with_enough_images_quality_is_measured():
    """By ImageNet's features, which take grey images as colours that are alike."""
    pytest.importorskip("efficientnet_lite_pytorch")
    g = torch.Generator().manual_seed(0)
    bytes_ = torch.nn.functional.interpolate(torch.rand(1_000, 1, 2, 2, generator=g) * 255, 16, mode="bilinear").to(torch.uint8)
    parts = [ignbook.data.Images(part, torch.zeros(500), "folder", 16, "here") for part in bytes_.split(500)]
    recipe = ign_core.Recipe("r", "folder", size=16, width=4, code=4)
    model = ign_core.Model(ign_core.build(recipe).eval(), ign_core.source_of(recipe, parts[0]), {})
    network = ignbook.metrics.load_feature_network("imagenet")
    x = parts[0][torch.arange(10)]
    assert torch.equal(network.features(x), network.features(x.repeat(1, 3, 1, 1)))
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ignbook.metrics, "evaluate", lambda *given, n: (calls.append((type(given[1]), n)), {"rows": {}})[1])
        assert ignbook.metrics.measured(model, *parts) == ({"rows": {}}, "")
    assert calls == [(ignbook.metrics.ImageNetFeatures, 500)]


@pytest.mark.parametrize(
    "flags, words",
    [(["--data", "nowhere"], "there is no folder nowhere"), (["--data", "{photos}", "--size", "50"], "images of side 50 don't fit"),
     (["--data", "{photos}", "--batch", "64"], "a batch of 64 is more than the"), (["--data", "{photos}", "--n", "0"], "--n is 0"),
     (["--data", "{photos}", "--name", "../evil"], "plain file name"), (["--data", "{photos}", "--steps", "0"], "steps is 0"),
     (["--data", "{photos}", "--batch", "8", "--start", "nonesuch"], "there is no checkpoint nonesuch"),
     (["--data", "{photos}", "--batch", "8", "--start", "mnist"], "training can't start from mnist")],
)  # fmt: skip
def test_a_wrong_flag_is_told_in_one_sentence_and_nothing_is_written(flags, words, photos, tmp_path, capsys):
    status = train.guarded(["folder", *(flag.format(photos=photos) for flag in flags), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err.splitlines()[-1]
    assert status == 1 and said.startswith("train.py: ") and said.endswith(".") and words in said
    assert not (tmp_path / "out").exists()
