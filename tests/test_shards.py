"""Images streamed from tar files: each once an epoch, shuffled, resumed at a step, shared among processes."""

import io
import os
import sys
import tarfile
from itertools import islice
from pathlib import Path

import pytest
import torch
from checks import one_sentence, same
from PIL import Image

import ign_core
import ignbook.data
from ign_core import Recipe
from ignbook.checkpoints import Order

pytest.importorskip("webdataset", reason="webdataset is not installed; install the extra `shards`")
N, BATCH, SIZE = 45, 8, 28
RECIPE = Recipe("tiny", "none", size=SIZE, width=8, code=8, batch=BATCH, steps=9, lr=1e-3, precision="32-true")


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv("IGN_CACHE", str(tmp_path / "cache"))


def write(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def png(pixels: torch.Tensor) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[0].numpy()).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """Handwritten digits, MNIST's where IGN_DATA has them, no two alike, as bytes of 28 pixels."""
    pixels = ignbook.data.load("mnist" if os.environ.get("IGN_DATA") else "digits8", "test").pixels
    pixels = torch.nn.functional.interpolate(pixels[:N].float(), (SIZE, SIZE)).to(torch.uint8)
    assert len({image.numpy().tobytes() for image in pixels}) == N
    return pixels


@pytest.fixture
def folder(tmp_path, digits) -> Path:
    """They in four tar files of unlike lengths, each image beside its label, and what is none of them."""
    root, starts = tmp_path / "shards", [0, 5, 20, 21, N]
    root.mkdir()
    for k, (start, stop) in enumerate(zip(starts, starts[1:])):
        members = {"__meta__/of.png": b"none", ".png": b"none", "notes.txt": b"none"}
        for i in range(start, stop):
            members |= {f"a.b/{i:03d}.PNG": png(digits[i]), f"a.b/{i:03d}.json": b"{}"}
        write(root / f"digits-{k}.tar", members)
    return root


def places(batch: torch.Tensor, digits: torch.Tensor) -> list[int]:
    """Which of the digits are in a batch, by their pixels."""
    known = {image.numpy().tobytes(): i for i, image in enumerate(digits)}
    return [known[image.numpy().tobytes()] for image in ((batch + 1) * 127.5).round().to(torch.uint8)]


def streamed(
    folder: Path, k: int, seed: int = 0, start: int = 0, rank: int = 0, world: int = 1, **options
) -> list[torch.Tensor]:
    data = ignbook.data.shards(folder, SIZE, 1, **options)
    return list(islice(data.stream(Order(len(data), BATCH, seed, start, rank, world)), k))


def test_what_is_in_the_files_comes_as_a_folders_images_do(folder, digits):
    data = ignbook.data.shards(folder, SIZE, 1)
    assert len(data) == N and data.card["n"] == N
    for index in ([0, 1, 2], [30, 44], [44, 3, 3, 20], [0]):
        assert places(data[torch.tensor(index)], digits) == index
    with pytest.raises(IndexError, match="from 0 to 44"):
        data[torch.tensor([N])]
    assert len(ignbook.data.shards(folder / "digits-[13].tar", SIZE)) == 15 + 24
    assert ignbook.data.shards(folder, SIZE // 2)[torch.tensor([7])].shape == (1, 3, SIZE // 2, SIZE // 2)


@pytest.mark.parametrize("buffer", [1, 10, 1_000])
def test_every_epoch_is_the_images_in_another_order(folder, digits, buffer):
    """Five batches of eight, of 45 images: no image twice in an epoch."""
    epochs, firsts = N // BATCH, []
    for seed in (0, 1):
        taken = [places(batch, digits) for batch in streamed(folder, 3 * epochs, seed, buffer=buffer)]
        orders = [sum(taken[i * epochs : (i + 1) * epochs], []) for i in range(3)]
        assert all(len(set(order)) == len(order) == epochs * BATCH for order in orders)
        assert len({tuple(order) for order in orders}) == 3
        if buffer == 1_000:  # then all of them are drawn from: no run of neighbours is left
            assert sum(abs(a - b) == 1 for a, b in zip(orders[0], orders[0][1:])) < 12
        firsts.append(orders[0])
    assert firsts[0] != firsts[1]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.skipif(sys.platform == "win32", reason="POSIX"))])
@pytest.mark.parametrize("start", [0, 3, 5, 12])
def test_the_stream_goes_on_at_a_step(folder, start, workers):
    whole, rest = streamed(folder, start + 7, 3, buffer=10), streamed(folder, 7, 3, start, buffer=10, workers=workers)
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_processes_share_each_batch(folder):
    whole = streamed(folder, 7)
    parts = [streamed(folder, 7, rank=rank, world=2) for rank in (0, 1)]
    for batch, one, two in zip(whole, *parts, strict=True):
        assert torch.equal(batch[0::2], one) and torch.equal(batch[1::2], two)


def trained(data, folder, **options):
    f = ign_core.build(RECIPE)
    source = ign_core.source_of(RECIPE, data)
    return f, ign_core.fit(f, source, data, RECIPE, folder=folder, every=2, progress=False, **options)


def test_a_training_on_shards_is_resumed_bit_for_bit(folder, tmp_path, digits):
    """Stopped in the second epoch; its Fourier source is that of the same images in memory."""

    def stop(step, f):
        if step == 6:
            raise KeyboardInterrupt

    def data():
        return ignbook.data.shards(folder, SIZE, 1, buffer=10)

    f, whole = trained(data(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(data(), tmp_path / "parts", callback=stop)
    g, parts = trained(data(), tmp_path / "parts", resume=True)
    assert same(f, g) and same(whole.f, parts.f) and not same(f, ign_core.build(RECIPE))
    in_memory = ignbook.data.Images(digits, torch.zeros(N), "digits", SIZE, "here")
    torch.testing.assert_close(whole.source.std, ign_core.source_of(RECIPE, in_memory).std)
    assert whole.card["data"]["n"] == N
    (folder / "digits-2.tar").unlink()
    with pytest.raises(ValueError, match="trained on other data"):
        trained(data(), tmp_path / "parts", resume=True)


def test_what_cannot_be_streamed_gets_a_sentence(folder, tmp_path, monkeypatch, digits):
    (tmp_path / "empty").mkdir()
    few, broken, torn = (tmp_path / name for name in ("few", "broken", "torn"))
    for path in (few, broken, torn):
        path.mkdir()
    write(few / "a.tar", {"1.png": png(digits[0])})
    (broken / "a.tar").write_bytes(b"no tar file" * 100)
    (torn / "a.tar").write_bytes((folder / "digits-3.tar").read_bytes()[:9_000])
    for path, words in ((tmp_path / "none", "no tar file at"), (tmp_path / "empty", "no tar file at"), (few, "1 images, too few"),
                        (broken, "a.tar is damaged or no tar file"), (torn, "a.tar is damaged or no tar file")):  # fmt: skip
        with pytest.raises(ValueError, match=words) as caught:
            ignbook.data.shards(path, SIZE, 1)
        one_sentence(caught)
    data = ignbook.data.shards(folder, SIZE, 1)
    with pytest.raises(ValueError, match="a mixture draws single samples") as caught:
        ign_core.fit(ign_core.build(RECIPE), None, data, Recipe("m", "none", size=SIZE, batch=8, mixture={"noisy": 0.5}))
    one_sentence(caught)
    with pytest.raises(ValueError, match="wants \\(1, 32, 32\\)"):
        ign_core.fit(ign_core.build(RECIPE), None, data, Recipe("m", "none", size=32, batch=8))
    (folder / "digits-3.tar").write_bytes((folder / "digits-3.tar").read_bytes()[:9_000])  # after it was counted
    with pytest.raises(ValueError, match="a shard is damaged or gone .*digits-3.tar") as caught:
        list(islice(data.stream(Order(len(data), BATCH, 0)), 5))
    one_sentence(caught)
    write(folder / "digits-3.tar", {f"{i}.png": b"no image" if i == 3 else png(digits[i]) for i in range(24)})
    with pytest.raises(ValueError, match="3.png in .*digits-3.tar is damaged or no image") as caught:
        list(islice(data.stream(Order(len(data), BATCH, 0)), 5))
    one_sentence(caught)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'ign-book\[shards\]'"):
        ignbook.data.shards(folder, SIZE, 1)
