"""Images: MNIST where IGN_DATA has it, and everything that can go wrong on the way, on small files made here."""

import gzip
import hashlib
import io
import os
import re
import shutil
import socket
import struct
import urllib.error
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from checks import one_sentence
from PIL import Image

import ign_core
import ignbook.checkpoints
import ignbook.data

RAW = Path(os.environ.get("IGN_DATA", "/nonexistent")) / "MNIST" / "raw"
needs_mnist = pytest.mark.skipif(not RAW.is_dir(), reason="IGN_DATA is not set to a folder with MNIST/raw")

FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


@pytest.fixture(autouse=True)
def forget():
    """load() remembers what it read, and other tests want the real MNIST again."""
    ignbook.data.load.cache_clear()
    yield
    ignbook.data.load.cache_clear()


def framed(x: torch.Tensor) -> bool:
    """Nothing but background outside the 28x28 in the middle of 32x32."""
    frame = x.clone()
    frame[:, :, 2:30, 2:30] = -1
    return bool((frame == -1).all())


# ----------------------------------------------------------------------------------------------------------- real MNIST


def by_hand(file: str, header: int) -> np.ndarray:
    with gzip.open(RAW / file) as stream:
        return np.frombuffer(stream.read()[header:], np.uint8)


@needs_mnist
@pytest.mark.parametrize("split, n, stem", [("train", 60_000, "train"), ("test", 10_000, "t10k")])
def test_mnist_is_all_there(split, n, stem):
    data = ignbook.data.load("mnist", split)
    pixels = by_hand(f"{stem}-images-idx3-ubyte.gz", 16).reshape(n, 28, 28)
    labels = by_hand(f"{stem}-labels-idx1-ubyte.gz", 8)
    assert len(data) == len(data.labels) == n
    assert np.array_equal(data.labels.numpy(), labels) and data.labels.dtype == torch.int64
    some = torch.arange(0, n, 97)
    x = data[some]
    assert x.shape == (len(some), 1, 32, 32) and x.dtype == torch.float32
    assert np.allclose(x[:, 0, 2:30, 2:30], pixels[some] / 255.0 * 2 - 1, atol=1e-6)
    assert framed(x)
    assert x.min() == -1 and x.max() == 1
    md5 = hashlib.md5(pixels.tobytes()).hexdigest()
    assert data.card == {"name": f"mnist-{split}", "n": n, "md5": md5, "origin": "IDX files"}
    assert len(data.classes) == 10 and data.classes[3].startswith("3")


@needs_mnist
def test_mnist_has_its_published_numbers():
    """Class counts, first labels and pixel statistics as printed in many places: not ours, so not ours to get wrong twice."""
    train, test = ignbook.data.load("mnist"), ignbook.data.load("mnist", "test")
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9] and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.pixels.double().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert train.pixels.double().std() / 255 == pytest.approx(0.3081, abs=5e-5)


@needs_mnist
def test_mnist_fits_the_recipes_network():
    data = ignbook.data.load("mnist", "test")
    x = data[torch.arange(64)]
    recipe = ign_core.Recipe("m", "mnist", width=8, code=8, batch=8, steps=1)
    ignbook.checkpoints.check_data(data, recipe)
    assert ign_core.build(recipe)(x[:2]).shape == (2, 1, 32, 32)
    assert ign_core.FourierSource.of(x).sample(2).shape == (2, 1, 32, 32)


@needs_mnist
def test_other_sizes_pad_on_every_side():
    x = {size: ignbook.data.load("mnist", "test", size)[torch.arange(5)] for size in (28, 29, 32, 64)}
    assert all(image.shape == (5, 1, size, size) for size, image in x.items())
    assert torch.equal(x[64][:, :, 18:46, 18:46], x[28]) and torch.equal(x[29][:, :, :28, :28], x[28])
    assert (x[29][:, :, 28] == -1).all() and (x[64][:, :, :18] == -1).all()


@needs_mnist
def test_fashion_mnist():
    if not (RAW.parents[1] / "FashionMNIST" / "raw").is_dir():
        pytest.skip("IGN_DATA has no FashionMNIST/raw")
    data = ignbook.data.load("fashion", "test")
    assert data.labels.bincount().tolist() == [1000] * 10 and data.card["name"] == "fashion-test"
    assert data.classes[9] == "Ankle boot" and data[torch.arange(3)].shape == (3, 1, 32, 32)


@needs_mnist
def test_a_truncated_real_file_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).symlink_to(RAW / file)
    cut = folder / "t10k-images-idx3-ubyte.gz"
    blob = cut.read_bytes()
    cut.unlink()
    cut.write_bytes(blob[: len(blob) // 2])
    monkeypatch.setenv("IGN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.gz is damaged") as caught:
        ignbook.data.load("mnist", "test")
    one_sentence(caught)
    assert len(ignbook.data.load("mnist")) == 60_000  # the other split is whole


# ------------------------------------------------------------------------------------- a small MNIST, in the same format


def idx(values: np.ndarray) -> bytes:
    sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + sides + values.tobytes())


PIXELS = {"train": 7, "t10k": 5}  # images in the small sets


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A root folder whose MNIST/raw has a few images; torchvision's list of md5 sums is that of these files."""
    root, rng = tmp_path / "data", np.random.default_rng(0)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for stem, n in PIXELS.items():
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(idx(rng.integers(0, 256, (n, 28, 28), np.uint8)))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(idx(rng.integers(0, 10, n, np.uint8)))
    sums = [(file, hashlib.md5((folder / file).read_bytes()).hexdigest()) for file in FILES]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["https://first.invalid/", "https://second.invalid/"])
    monkeypatch.setenv("IGN_DATA", str(root))
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "cache"))
    return root


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_that_may_only_be_read(small, tmp_path, capsys):
    before = content(small)
    folder = small / "MNIST" / "raw"
    for file in folder.iterdir():
        file.chmod(0o444)
    for path in (folder, folder.parent, small):
        path.chmod(0o555)
    try:
        train, test = ignbook.data.load("mnist"), ignbook.data.load("mnist", "test")
    finally:
        for path in (small, folder.parent, folder):
            path.chmod(0o755)
    assert (len(train), len(test)) == (7, 5)
    assert content(small) == before  # root may write anywhere, so look at what was written
    assert not (tmp_path / "cache").exists()
    assert capsys.readouterr().err == ""


DAMAGES = {
    "truncated": lambda blob: blob[: len(blob) // 2],
    "empty": lambda blob: b"",
    "one byte": lambda blob: blob[: len(blob) // 2] + bytes([blob[len(blob) // 2] ^ 1]) + blob[len(blob) // 2 + 1 :],
    "not gzip": lambda blob: b"<html>404</html>",
    "another file of the set": lambda blob: idx(np.zeros((5, 28, 28), np.uint8)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_damaged_file_is_named_in_one_sentence(small, file, damage):
    path = small / "MNIST" / "raw" / file
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match="is damaged") as caught:
        ignbook.data.load("mnist", "test")
    one_sentence(caught)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_missing_file_is_named_in_one_sentence(small, file):
    (small / "MNIST" / "raw" / file).unlink()
    with pytest.raises(ValueError, match="is missing") as caught:
        ignbook.data.load("mnist", "test")
    one_sentence(caught)
    assert str(small / "MNIST" / "raw" / file) in str(caught.value)
    assert len(ignbook.data.load("mnist")) == 7


@pytest.mark.parametrize("place", ["nonesuch", "file"])
@pytest.mark.parametrize("name", ["mnist", "celeba64"])
def test_ign_data_that_is_no_folder_gets_one_sentence(tmp_path, monkeypatch, place, name):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IGN_DATA", str(tmp_path / place))
    with pytest.raises(ValueError, match="IGN_DATA is set but .* not a folder; .* unset IGN_DATA") as caught:
        ignbook.data.load(name)
    one_sentence(caught)


def test_unknown_names_and_splits_get_one_sentence():
    with pytest.raises(ValueError, match="'mnits' is unknown; use one of: mnist, fashion, digits8") as caught:
        ignbook.data.load("mnits")
    one_sentence(caught)
    for split in ("valid", "Train", ""):
        with pytest.raises(ValueError, match="is unknown; use one of: 'train', 'test', 'validation'") as caught:
            ignbook.data.load("mnist", split)
        one_sentence(caught)


@pytest.mark.parametrize("name, size", [("mnist", 27), ("mnist", 16), ("digits8", 0)])
def test_a_size_that_would_cut_the_images_gets_one_sentence(small, name, size):
    """Padding by a negative number crops without a word."""
    with pytest.raises(ValueError, match="28") as caught:
        data = ignbook.data.load(name, "test", size)
        data[torch.arange(2)]
    one_sentence(caught)


# -------------------------------------------------------------------------------------------- the download and its fallback


@pytest.fixture
def online(small, monkeypatch):
    """IGN_DATA unset, an empty cache, and a download_url that copies from the small set; its calls are recorded."""
    monkeypatch.delenv("IGN_DATA")
    calls = []

    def download_url(url, root, filename=None, md5=None):
        calls.append(url)
        shutil.copy(small / "MNIST" / "raw" / filename, Path(root) / filename)

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download_url)
    return calls


def cached() -> Path:
    return Path(os.environ["IGN_CACHE"]) / "MNIST" / "raw"


def test_download_goes_into_the_cache_once(online, small, capsys):
    assert len(ignbook.data.load("mnist")) == 7 and len(ignbook.data.load("mnist", "test")) == 5
    assert content(cached()) == content(small / "MNIST" / "raw")
    assert online == [f"https://first.invalid/{file}" for file in FILES]
    ignbook.data.load.cache_clear()
    assert len(ignbook.data.load("mnist")) == 7 and len(online) == 4
    assert "digits" not in capsys.readouterr().err


def test_the_second_mirror_is_asked(online, monkeypatch, capsys):
    copy = torchvision.datasets.utils.download_url

    def first_is_down(url, *arguments):
        if "first" in url:
            raise urllib.error.URLError("down")
        copy(url, *arguments)

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", first_is_down)
    assert len(ignbook.data.load("mnist")) == 7
    assert online[0].startswith("https://second.invalid/") and capsys.readouterr().err == ""


def test_a_folder_without_mnist_is_as_good_as_none(online, tmp_path, monkeypatch):
    (tmp_path / "else").mkdir()
    monkeypatch.setenv("IGN_DATA", str(tmp_path / "else"))
    assert len(ignbook.data.load("mnist")) == 7 and online
    with pytest.raises(ValueError, match="not to be fetched") as caught:
        ignbook.data.fetch("drawn")
    one_sentence(caught)


@pytest.mark.parametrize("given", [False, True])
def test_with_no_network_the_digits_come_and_one_line_says_so(small, monkeypatch, capsys, tmp_path, given):
    monkeypatch.delenv("IGN_DATA")
    if given:  # a folder, with something else in it
        (tmp_path / "else").mkdir()
        monkeypatch.setenv("IGN_DATA", str(tmp_path / "else"))

    def download_url(*_, **__):
        assert 0 < socket.getdefaulttimeout() < 120  # a network that swallows packets must not hang a reader
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download_url)
    timeout = socket.getdefaulttimeout()
    train, test = ignbook.data.load("mnist"), ignbook.data.load("mnist", "test")
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 2 and printed.out == ""  # one a split
    for line in lines:
        assert "scikit-learn" in line and "MNIST" in line and "URLError" in line
        assert ("IGN_DATA has no MNIST/raw" if given else "IGN_DATA is not set") in line
    assert socket.getdefaulttimeout() == timeout
    assert train.card["name"] == "digits8-train" and (len(train), len(test)) == (1500, 297)
    assert ignbook.data.load("mnist") is train and capsys.readouterr().err == ""  # and not again at every call
    assert not content(cached())
    with pytest.raises(ValueError, match="MNIST can't be had: .* the download failed") as caught:
        ignbook.data.fetch("mnist")
    one_sentence(caught)


@pytest.mark.parametrize("name", ["mnist", "celeba64"])
def test_in_a_notebook_the_line_stands_on_the_page(name, online, tmp_path, monkeypatch, capsys):
    """The built book drops stderr, and a reader is to see that the data are others."""
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "in the way"))
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr(ignbook.data, "DRAWN", {"train": (20, 0)})
    ignbook.data.load(name)
    printed = capsys.readouterr()
    assert printed.err == "" and re.fullmatch(r"ignbook\.data: using .* in place of \w+, because .*\.\n", printed.out)
    ignbook.data.load(name)
    assert capsys.readouterr().out == ""  # once a page


def test_a_data_set_of_ones_own_goes_into_the_table(monkeypatch):
    def mine(split, size):
        return ignbook.data.Images(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.zeros(3), f"mine-{split}", size, "here")

    monkeypatch.setitem(ignbook.data.SETS, "mine", mine)
    assert ignbook.data.load("mine", "test", 12).card["name"] == "mine-test"
    assert ignbook.data.load("mine")[torch.arange(3)].shape == (3, 1, 32, 32)
    monkeypatch.undo()
    ignbook.data.load.cache_clear()
    with pytest.raises(ValueError, match="'mine' is unknown; use one of: mnist.*add it to ignbook.data.SETS"):
        ignbook.data.load("mine")


def test_a_cache_that_cannot_be_written_falls_back_too(online, tmp_path, monkeypatch, capsys):
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "in the way"))
    assert ignbook.data.load("mnist").card["name"] == "digits8-train"
    assert "scikit-learn" in capsys.readouterr().err


class Kill(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("gone"), RuntimeError("File not found or corrupted."), TimeoutError(), Kill()]
)
def test_a_download_that_dies_half_way_leaves_nothing_to_trust(online, small, monkeypatch, error, capsys):
    whole = torchvision.datasets.utils.download_url

    def dies(url, root, filename=None, md5=None):
        if filename == FILES[2]:  # two files are whole by then
            (Path(root) / filename).write_bytes((small / "MNIST" / "raw" / filename).read_bytes()[:50])
            raise error
        whole(url, root, filename, md5)

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", dies)
    if isinstance(error, Kill):
        with pytest.raises(Kill):
            ignbook.data.load("mnist", "test")
    else:
        assert ignbook.data.load("mnist", "test").card["name"] == "digits8-test"
        assert type(error).__name__ in capsys.readouterr().err
    assert sorted(content(cached())) == FILES[:2]

    ignbook.data.load.cache_clear()
    monkeypatch.setattr(torchvision.datasets.utils, "download_url", whole)
    assert len(ignbook.data.load("mnist", "test")) == 5
    assert content(cached()) == content(small / "MNIST" / "raw")
    assert len(online) == 4  # what was whole was not fetched again


def test_a_kill_during_the_download_leaves_nothing_to_trust(online, small):
    """kill -9 leaves the folder aside behind; the next run must not take its half file for the real one."""
    aside = cached() / "tmpabc"
    aside.mkdir(parents=True)
    (aside / FILES[2]).write_bytes(b"half")
    assert len(ignbook.data.load("mnist", "test")) == 5


def test_a_damaged_file_in_the_cache_is_named(online):
    cached().mkdir(parents=True)
    (cached() / FILES[0]).write_bytes(b"half a file of an old version")
    with pytest.raises(ValueError, match=f"{FILES[0]} is damaged.*delete it") as caught:
        ignbook.data.load("mnist")
    one_sentence(caught)


# ---------------------------------------------------------------------------------------------------- scikit-learn's digits


def test_digits8_are_scikit_learns():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    train, test = ignbook.data.load("digits8"), ignbook.data.load("digits8", "test")
    assert (len(train), len(test)) == (1500, 297)
    assert np.array_equal(torch.cat([train.labels, test.labels]), bunch.target)
    x = train[torch.arange(1500)]
    assert x.shape == (1500, 1, 32, 32) and x.min() == -1 and x.max() == 1
    assert framed(x)
    # enlarged and not shuffled: shrunk again, each image is most like its own original
    small = torch.nn.functional.interpolate(x[:200, :, 2:30, 2:30], size=8, mode="area").flatten(1)
    original = torch.from_numpy(bunch.images[:200]).float().flatten(1) / 8 - 1
    assert torch.equal(torch.cdist(small, original).argmin(1), torch.arange(200))
    assert ignbook.data.load("digits8", size=28)[torch.arange(2)].shape == (2, 1, 28, 28)


def test_images_index_like_a_data_set():
    pixels = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).to(torch.uint8)
    data = ignbook.data.Images(pixels, torch.tensor([1, 0]), "made", 6, "here")
    assert len(data) == 2 and data.card["md5"] == hashlib.md5(pixels.numpy().tobytes()).hexdigest()
    x = data[torch.tensor([1, 0, 1])]
    assert x.shape == (3, 3, 6, 6) and torch.equal(x[0], x[2]) and torch.equal(data[1], x[0])
    assert torch.allclose(x[1][:, 1:5, 1:5], pixels[0] / 127.5 - 1)
    assert torch.equal(pixels, torch.arange(96).reshape(2, 3, 4, 4).to(torch.uint8))  # the stored bytes are not touched


def test_pixels_are_bytes_and_nothing_else():
    for pixels in (torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.uint8)):
        with pytest.raises(ValueError, match="give bytes") as caught:
            ignbook.data.Images(pixels, torch.zeros(2), "made", 4, "here")
        one_sentence(caught)


# ------------------------------------------------------------------------------------------------------- files of images


def saved(folder: Path, image: Image.Image, name: str, **how) -> Path:
    image.save(folder / name, **how)
    return folder / name


def test_images_are_read_as_they_are_shown(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 6, 3), np.uint8)
    colour = saved(tmp_path, Image.fromarray(pixels), "a.png")
    assert np.array_equal(ignbook.data.read_image(colour).permute(1, 2, 0), pixels)
    grey = saved(tmp_path, Image.fromarray(pixels[..., 0]), "b.png")
    assert all(np.array_equal(channel, pixels[..., 0]) for channel in ignbook.data.read_image(grey))


def test_sixteen_bits_keep_their_range(tmp_path):
    values = np.linspace(0, 65535, 48).round().astype(np.uint16).reshape(6, 8)
    for name in ("deep.png", "deep.tif"):
        read = ignbook.data.read_image(saved(tmp_path, Image.fromarray(values), name))
        assert read.shape == (3, 6, 8) and abs(read[0].double().numpy() - values / 257).max() <= 0.5
        read += 1  # its own memory


def test_a_photo_stands_upright(tmp_path):
    """EXIF's orientation 6: the camera was turned; what is stored as the left column is the top row."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("turned.png", "turned.jpg"):
        read = ignbook.data.read_image(saved(tmp_path, Image.fromarray(pixels), name, exif=exif))
        assert read.shape == (3, 16, 8) and read[:, :3].min() > 200 and read[:, 6:].max() < 60


def png_of(width: int, height: int) -> bytes:
    """The header of a PNG of that size, and no pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", b""), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


@pytest.mark.parametrize("side", [9_000, 11_000, 20_000, 60_000])
def test_an_image_with_too_many_pixels_is_refused_by_its_header(side):
    with pytest.raises(ValueError, match="big.png has more than 67 megapixels") as caught:
        ignbook.data.read_image(io.BytesIO(png_of(side, side)), "big.png")
    one_sentence(caught)


def test_files_that_are_no_images_get_one_sentence(tmp_path):
    saved(tmp_path, Image.fromarray(np.full((4, 4), 0.5, np.float32)), "floats.tif")
    saved(tmp_path, Image.fromarray(np.zeros((64, 64, 3), np.uint8)), "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    (tmp_path / "text.png").write_text("no image")
    for name, words in {
        "floats.tif": "save it with 8 or 16 bits",
        "cut.png": "damaged",
        "text.png": "damaged or no image",
    }.items():
        with pytest.raises(ValueError, match=words) as caught:
            ignbook.data.read_image(tmp_path / name)
        one_sentence(caught)
        assert name in str(caught.value)
    with pytest.raises(FileNotFoundError, match="there is no image") as caught:
        ignbook.data.read_image(tmp_path / "nothing.png")
    one_sentence(caught)


@pytest.mark.parametrize("name", ["digits8", "mnist", "drawn"])
def test_validation_has_no_image_that_a_measure_takes(name):
    test, validation = (ignbook.data.load(name, split) for split in ("test", "validation"))
    taken = test.pixels[ignbook.metrics.in_random_order(test)[: len(test) // 2]]
    assert len(validation) >= len(test) // 2 and len(validation.labels) == len(validation)
    there = {image.numpy().tobytes() for image in taken}
    assert not there & {image.numpy().tobytes() for image in validation.pixels}
    with pytest.raises(ValueError, match="'validation'") as caught:
        ignbook.data.load(name, "prayer")
    one_sentence(caught)
