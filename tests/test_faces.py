"""Drawn faces and their attributes; CelebA and sketches by tiny zips and folders that are made here."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from checks import one_sentence
from PIL import Image

import ignbook.data
import ignbook.metrics

NAMES = list(ignbook.data.ATTRIBUTES)
GLASSES = NAMES.index("glasses")
PLAIN = {"skin": 1.0, "hair": 0.0, "length": 0.2, "fringe": 0.3, "smile": 0.0, "glasses": 0.0, "turn": 0.0, "background": 1.0}


def face(size=64, **changes):
    """One drawn face, (3, size, size) in [0, 1]."""
    return (ignbook.data.draw_faces(torch.tensor([list((PLAIN | changes).values())]), size)[0] + 1) / 2


def pixel(image, u, v):
    size = image.shape[-1]
    return image[:, int((v + 1) / 2 * size), int((u + 1) / 2 * size)]


def redness(image):
    """What is lips: red without being skin."""
    return (image[0] - 2.2 * image[1]).clamp(min=0)[40:52]


def test_attributes_are_independent_and_even_over_their_ranges():
    a = ignbook.data.draw_attributes(20_000, torch.Generator().manual_seed(0))
    low, high = torch.tensor(list(ignbook.data.ATTRIBUTES.values())).unbind(1)
    share = (a - low) / (high - low)
    glasses = NAMES.index("glasses")
    assert set(share[:, glasses].tolist()) == {0.0, 1.0}
    assert abs(share[:, glasses].mean() - ignbook.data.WITH_GLASSES) < 0.02
    even = [i for i in range(len(NAMES)) if i != glasses]
    assert (share[:, even].mean(0) - 0.5).abs().max() < 0.02
    assert (share[:, even].std(0) - 12**-0.5).abs().max() < 0.02  # a uniform law's
    assert (torch.corrcoef(a.T) - torch.eye(len(NAMES))).abs().max() < 0.03


def test_the_same_attributes_give_the_same_face_alone_or_among_others():
    a = ignbook.data.draw_attributes(40, torch.Generator().manual_seed(1))
    together = ignbook.data.draw_faces(a)
    assert together.shape == (40, 3, 64, 64) and together.min() >= -1 and together.max() <= 1
    alone = torch.cat([ignbook.data.draw_faces(one[None]) for one in a])
    assert torch.allclose(alone, together, atol=1e-6)


def test_a_mirrored_face_is_one_turned_the_other_way():
    a = ignbook.data.draw_attributes(40, torch.Generator().manual_seed(2))
    mirrored = a.clone()
    mirrored[:, NAMES.index("turn")] *= -1
    assert torch.allclose(ignbook.data.draw_faces(mirrored), ignbook.data.draw_faces(a).flip(-1), atol=1e-5)


def test_colours_are_where_they_should_be():
    for skin, colour in ((0.0, ignbook.data._SKIN[0]), (0.5, ignbook.data._SKIN[1]), (1.0, ignbook.data._SKIN[2])):
        assert torch.allclose(pixel(face(skin=skin), 0.0, 0.55), colour, atol=1e-5)  # the chin
    for hair, colour in ((0.0, ignbook.data._HAIR[0]), (1.0, ignbook.data._HAIR[3])):
        assert torch.allclose(pixel(face(hair=hair), 0.0, -0.72), colour, atol=1e-5)
    wall = pixel(face(background=0.0), 0.95, -0.95)
    assert wall[0] > wall[1] + 0.2 and pixel(face(background=1.0), 0.95, -0.95).argmax() == 2


def test_each_attribute_changes_what_it_is_called_after():
    assert torch.allclose(pixel(face(length=1.0), 0.56, 0.3), ignbook.data._HAIR[0], atol=1e-5)
    assert pixel(face(length=0.0), 0.56, 0.3)[2] > 0.5  # the wall
    assert pixel(face(fringe=1.0), 0.0, -0.32).max() < 0.2 < pixel(face(fringe=0.0), 0.0, -0.32).min()
    bridge = [pixel(face(glasses=g), 0.0, -0.08).max() for g in (0.0, 1.0)]
    assert bridge[0] > 0.5 and bridge[1] < 0.4
    columns = torch.arange(64.0)
    middle = [(redness(face(turn=t)).sum(0) * columns).sum() / redness(face(turn=t)).sum() for t in (-1.0, 0.0, 1.0)]
    assert middle[0] < middle[1] - 3 and middle[1] < middle[2] - 3 and abs(middle[1] - 31.5) < 0.1
    rows = torch.arange(12.0)

    def corners_above_middle(smile):
        lips = redness(face(smile=smile))
        inner, outer = lips[:, 30:34].sum(1), lips[:, 25:28].sum(1) + lips[:, 36:39].sum(1)
        return (inner * rows).sum() / inner.sum() - (outer * rows).sum() / outer.sum()  # rows go down

    bend = [corners_above_middle(s) for s in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert bend == sorted(bend) and bend[0] < -1 and abs(bend[2]) < 0.2 and bend[4] > 1


def test_a_change_of_one_attribute_leaves_the_rest_of_the_picture_alone():
    changed = {
        name: (face(**{name: low}) - face(**{name: high})).abs().amax(0) > 0.01
        for name, (low, high) in ignbook.data.ATTRIBUTES.items()
    }
    assert not changed["smile"][:38].any() and not changed["smile"][52:].any()
    assert not changed["glasses"][:24].any() and not changed["glasses"][36:].any()
    assert not changed["background"][20:30, 20:44].any()  # nothing shines through
    assert changed["skin"].sum() > 400 and not changed["skin"][:, :8].any()
    assert all(part.any() for part in changed.values())


def test_other_sizes_are_the_same_faces():
    small, large = face(32, smile=0.6, turn=0.4), face(64, smile=0.6, turn=0.4)
    shrunk = torch.nn.functional.avg_pool2d(large[None], 2)[0]
    assert (small - shrunk).abs().mean() < 0.02 < (small - face(32, turn=-0.4)).abs().mean()


@pytest.mark.parametrize("bad", [torch.zeros(8), torch.zeros(2, 7), torch.full((1, 8), 1.5), torch.full((1, 8), float("nan"))])
def test_bad_attributes_get_one_sentence(bad):
    with pytest.raises(ValueError, match="attribute") as caught:
        ignbook.data.draw_faces(bad)
    one_sentence(caught)


# ------------------------------------------------------------------------------------------------------------- data sets


@pytest.fixture
def few(monkeypatch):
    """A few drawn faces in place of thousands; load forgets what it knew."""
    monkeypatch.setattr(ignbook.data, "DRAWN", {"train": (30, 0), "test": (10, 1)})
    ignbook.data.load.cache_clear()
    yield
    ignbook.data.load.cache_clear()


def pictures(path: Path, counts: dict[str, int]) -> dict[str, np.ndarray]:
    """A zip of tiny flat PNGs, by name; their colours."""
    colours, rng = {}, np.random.default_rng(0)
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as file:
        for folder, n in counts.items():
            for i in reversed(range(n)):
                colours[f"{folder}/{i:03d}.png"] = colour = rng.integers(0, 255, 3, dtype=np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(np.broadcast_to(colour, (64, 64, 3)).copy()).save(buffer, "png")
                file.writestr(f"{folder}/{i:03d}.png", buffer.getvalue())
    return colours


def test_drawn_faces_are_a_data_set_with_their_attributes(few):
    data = ignbook.data.load("drawn")
    assert data[torch.arange(30)].shape == (30, 3, 64, 64) and data.labels.shape == (30, len(NAMES))
    again = ignbook.data.draw_faces(data.labels)
    assert (again - data[torch.arange(30)]).abs().max() <= 1 / 127.5
    test = ignbook.data.load("drawn", "test")
    assert len(test) == 10 and not torch.equal(test.labels, data.labels[:10])


def test_faces_shrink_by_the_mean_of_squares(few):
    large, small = ignbook.data.load("drawn", "test"), ignbook.data.load("drawn", "test", 32)
    assert small.size == 32
    mean = torch.nn.functional.avg_pool2d(large[torch.arange(10)], 2)
    assert (small[torch.arange(10)] - mean).abs().max() <= 1.01 / 127.5
    for size in (48, 128, 0):
        with pytest.raises(ValueError, match="divides 64") as caught:
            ignbook.data.load("drawn", "test", size)
        one_sentence(caught)


@pytest.fixture
def places(tmp_path, monkeypatch, few):
    """IGN_DATA and the cache in a folder of this test."""
    monkeypatch.setenv("IGN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path


def test_celeba_comes_from_the_zip_by_name_and_then_from_the_cache(places, monkeypatch):
    path = places / "data" / "celeba64" / "celeba64.zip"
    colours = pictures(path, {"train": 5, "val": 2, "test": 3})
    for split, n in (("train", 5), ("test", 3), ("validation", 2)):
        data = ignbook.data.load("celeba64", split)
        assert len(data) == n and data.card["name"] == f"celeba64-{split}"
        for i in range(n):
            assert (
                data.pixels[i, :, 7, 9].tolist() == colours[f"{'val' if split == 'validation' else split}/{i:03d}.png"].tolist()
            )
    first = ignbook.data.load("celeba64", "test").pixels.clone()
    ignbook.data.load.cache_clear()
    monkeypatch.setattr(ignbook.data, "_unzipped", None)  # not again
    assert torch.equal(ignbook.data.load("celeba64", "test").pixels, first)


def test_another_zip_is_not_taken_for_the_cached_one(places):
    path = places / "data" / "celeba64" / "celeba64.zip"
    pictures(path, {"test": 3})
    assert len(ignbook.data.load("celeba64", "test")) == 3
    path.unlink()
    path.parent.rmdir()
    pictures(path, {"test": 4})
    ignbook.data.load.cache_clear()
    assert len(ignbook.data.load("celeba64", "test")) == 4


def test_a_cache_that_cannot_be_written_does_no_harm(places):
    pictures(places / "data" / "celeba64" / "celeba64.zip", {"test": 3})
    (places / "cache").write_text("in the way")
    assert len(ignbook.data.load("celeba64", "test")) == 3


def test_missing_and_damaged_faces_get_one_sentence(places):
    path = places / "data" / "celeba64" / "celeba64.zip"
    pictures(path, {"train": 3})
    with pytest.raises(ValueError, match="no images in test/") as caught:
        ignbook.data.load("celeba64", "test")
    one_sentence(caught)
    with zipfile.ZipFile(path, "a") as file:
        larger = io.BytesIO()
        Image.new("RGB", (80, 64)).save(larger, "png")
        file.writestr("train/larger.png", larger.getvalue())
    with pytest.raises(ValueError, match="several sizes") as caught:
        ignbook.data.load("celeba64")
    one_sentence(caught)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="damaged") as caught:
        ignbook.data.load("celeba64")
    one_sentence(caught)


@pytest.mark.parametrize("given", [False, True])
def test_without_celeba_drawn_faces_come_unasked_for_no_download_and_one_line_says_so(places, monkeypatch, capsys, given):
    if not given:
        monkeypatch.delenv("IGN_DATA")
    monkeypatch.setattr(torchvision.datasets, "CelebA", None)  # 1.4 GB: not without being told
    data = ignbook.data.load("celeba64", "test")
    assert data.card["name"] == "drawn-test"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "drawn faces" in lines[0] and "fetch celeba64" in lines[0]
    assert ("IGN_DATA has neither" if given else "IGN_DATA is not set") in lines[0]


@pytest.mark.parametrize(
    "error, words",
    [(RuntimeError("quota"), r"failed \(RuntimeError\)"), (ImportError("gdown"), "pip install 'ign-book.celeba.'")],
)
def test_a_fetch_that_fails_gets_one_sentence(places, monkeypatch, error, words):
    def unreachable(*_, **options):
        assert options["download"]
        raise error

    monkeypatch.setattr(torchvision.datasets, "CelebA", unreachable)
    with pytest.raises(ValueError, match=words) as caught:
        ignbook.data.fetch("celeba64")
    one_sentence(caught)


def test_torchvisions_celeba_is_cut_as_usual(places, monkeypatch):
    (places / "data" / "celeba").mkdir(parents=True)

    class CelebA:
        """Two pictures of 178x218 with a white middle."""

        def __init__(self, root, split, transform, download):
            assert (Path(root), split, download) == (places / "data", "test", False)
            self.transform = transform

        def __len__(self):
            return 2

        def __getitem__(self, i):
            y = np.zeros((218, 178, 3), np.uint8)
            y[20:-20] = 255  # 20 rows fall to the crop: 218 * 64 / 178 is 78 rows
            return self.transform(Image.fromarray(y)), i

    monkeypatch.setattr(torchvision.datasets, "CelebA", CelebA)
    data = ignbook.data.load("celeba64", "test")
    assert data[torch.arange(2)].shape == (2, 3, 64, 64) and data.pixels[:, :, 2:-2].min() > 250


def test_sketches_go_with_their_photos(places):
    with pytest.raises(ValueError, match="cuhk_sketch64.zip") as caught:
        ignbook.data.sketch_pairs()
    one_sentence(caught)
    path = places / "data" / "cuhk_sketch64" / "cuhk_sketch64.zip"
    colours = pictures(path, {"test/photo": 3, "test/sketch": 3, "train/photo": 2, "train/sketch": 2})
    photos, sketches = ignbook.data.sketch_pairs()
    assert len(photos) == len(sketches) == 3
    for i in range(3):
        assert photos.pixels[i, :, 0, 0].tolist() == colours[f"test/photo/{i:03d}.png"].tolist()
        assert sketches.pixels[i, :, 0, 0].tolist() == colours[f"test/sketch/{i:03d}.png"].tolist()
    with pytest.raises(ValueError, match="unknown") as caught:
        ignbook.data.sketch_pairs("val")
    one_sentence(caught)


def test_the_real_faces_where_they_are():
    folder = Path(ignbook.data.os.environ.get("IGN_DATA", ""))
    if not (folder / "celeba64" / "celeba64.zip").exists() or "IGN_DATA" not in ignbook.data.os.environ:
        pytest.skip("CelebA is not there")
    test = ignbook.data.load("celeba64", "test")
    assert test.pixels.shape == (3478, 3, 64, 64)
    photos, sketches = ignbook.data.sketch_pairs()
    assert len(photos) == len(sketches) == 100
    pairs = [
        torch.corrcoef(torch.stack([a[torch.tensor([i])].mean(1).flatten() for a in (photos, sketches)]))[0, 1]
        for i in range(100)
    ]
    assert torch.stack(pairs).mean() > 0.3


# ------------------------------------------------------------------------------------------------------------- read-out


def test_attributes_are_read_off_faces(generator):
    known = ignbook.data.draw_attributes(40, generator)
    x = ignbook.data._bytes(ignbook.data.draw_faces(known)).float() / 127.5 - 1  # as a file would hold it
    read, distance = ignbook.metrics.read_attributes(x)
    off = ((read - known) / (ignbook.data._HIGH - ignbook.data._LOW)).abs()
    assert (off < 0.02).double().mean() > 0.98 and torch.equal(read[:, GLASSES], known[:, GLASSES])
    assert distance.median() < 0.003 and (distance < 0.01).double().mean() > 0.9
    redrawn = (ignbook.data.draw_faces(read) - x).square().mean((1, 2, 3)).sqrt()
    assert torch.allclose(distance, redrawn, atol=1e-4)


def test_what_is_no_drawn_face_is_far_from_them(generator):
    known = ignbook.data.draw_attributes(12, generator)
    x = ignbook.data.draw_faces(known)
    noise = 0.2 * torch.randn(x.shape, generator=generator)
    read, distance = ignbook.metrics.read_attributes(torch.cat([x + noise, x.lerp(x.roll(1, 0), 0.5)]))
    noisy, ghosts = distance.chunk(2)
    assert torch.allclose(noisy, noise.square().mean((1, 2, 3)).sqrt(), rtol=0.02)  # nearest: the face without the noise
    assert (noisy <= noise.square().mean((1, 2, 3)).sqrt()).double().mean() > 0.9  # ... or nearer still
    assert ghosts.min() > 0.03
    low, high = ignbook.data._LOW, ignbook.data._HIGH
    assert ((read >= low) & (read <= high)).all()
    with pytest.raises(ValueError, match="attributes are read off images") as error:
        ignbook.metrics.read_attributes(torch.zeros(2, 3, 32, 32))
    one_sentence(error)


def test_coverage_of_attributes_is_one_minus_total_variation():
    even = ignbook.data._LOW + (ignbook.data._HIGH - ignbook.data._LOW) * ((torch.arange(1000) + 0.5) / 1000)[:, None]
    even[:, GLASSES] = (torch.arange(1000) < 300).float()
    assert all(value == pytest.approx(1, abs=1e-6) for value in ignbook.metrics.attribute_coverage(even).values())
    lopsided = even.clone()
    lopsided[:, 0] = 0.5 * lopsided[:, 0]  # half of the skins are missing
    lopsided[:, GLASSES] = 1.0
    found = ignbook.metrics.attribute_coverage(lopsided)
    assert (
        found["skin"] == pytest.approx(0.5, abs=1e-6)
        and found["glasses"] == pytest.approx(0.3)
        and found["smile"] == pytest.approx(1, abs=1e-6)
    )


# ------------------------------------------------------------------------------------------- zips and the cache, tampered


def test_an_encrypted_zip_gets_one_sentence(places):
    path = places / "data" / "celeba64" / "celeba64.zip"
    pictures(path, {"test": 2})
    blob = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag of encryption in both headers of each file
        for place in (m.start() for m in re.finditer(re.escape(mark), bytes(blob))):
            blob[place + at] |= 1
    path.write_bytes(bytes(blob))
    with pytest.raises(ValueError, match="celeba64.zip is encrypted") as caught:
        ignbook.data.load("celeba64", "test")
    one_sentence(caught)


@pytest.mark.parametrize("name", ["test/huge.png", "test/bomb.png"])
def test_a_zip_that_would_unpack_to_too_much_gets_one_sentence(places, monkeypatch, name):
    path = places / "data" / "celeba64" / "celeba64.zip"
    pictures(path, {"train": 1})
    monkeypatch.setattr(ignbook.data, "PIXELS", 1_000)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "png")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, buffer.getvalue() if "huge" in name else bytes(9_000))
    with pytest.raises(ValueError, match="megapixels" if "huge" in name else "unpacks to") as caught:
        ignbook.data.load("celeba64", "test")
    one_sentence(caught)
    assert name in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "edited", "empty"])
def test_a_cache_that_is_not_what_was_stored_is_named(places, damage):
    pictures(places / "data" / "celeba64" / "celeba64.zip", {"test": 3})
    first = ignbook.data.load("celeba64", "test").pixels.clone()
    (path,) = (places / "cache").glob("*.npy")
    blob = path.read_bytes()
    path.write_bytes({"cut": blob[:-100], "edited": blob[:-1] + bytes([blob[-1] ^ 1]), "empty": b""}[damage])
    ignbook.data.load.cache_clear()
    with pytest.raises(ValueError, match="is damaged.*delete it") as caught:
        ignbook.data.load("celeba64", "test")
    one_sentence(caught)
    assert str(path) in str(caught.value)
    path.unlink()
    assert torch.equal(ignbook.data.load("celeba64", "test").pixels, first)


def test_a_cache_without_its_digest_is_made_again(places):
    pictures(places / "data" / "celeba64" / "celeba64.zip", {"test": 3})
    first = ignbook.data.load("celeba64", "test").pixels.clone()
    (digest,) = (places / "cache").glob("*.sha1")
    digest.unlink()
    (path,) = (places / "cache").glob("*.npy")
    path.write_bytes(b"of an earlier version")
    ignbook.data.load.cache_clear()
    assert torch.equal(ignbook.data.load("celeba64", "test").pixels, first) and digest.exists()


def test_sketches_without_their_photos_get_one_sentence(places):
    path = places / "data" / "cuhk_sketch64" / "cuhk_sketch64.zip"
    pictures(path, {"test/photo": 3, "test/sketch": 2})
    with pytest.raises(ValueError, match="3 photos and 2 sketches") as caught:
        ignbook.data.sketch_pairs()
    one_sentence(caught)
