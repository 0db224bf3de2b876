"""What `fit` takes as data: every form trains as the plain tensor does, and what can't be taken is told in a sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from checks import one_sentence, same
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import ign_core
import ignbook.sources  # noqa: F401  registers "masked"
from ign_core import Recipe
from ignbook.arrays import Batches

GREY = Recipe("grey", "none", size=8, width=8, code=8, batch=8, steps=5, lr=1e-3, source="gaussian", precision="32-true")
COLOUR = replace(GREY, name="colour", channels=3)
POINTS = Recipe("points", "none", net="mlp", width=8, batch=8, steps=5, lr=1e-3, source="gaussian", precision="32-true")


def pixels(recipe: Recipe, n: int = 20) -> np.ndarray:
    """(n, C, H, W) bytes."""
    return np.random.default_rng(7).integers(0, 256, (n, *recipe.shape), np.uint8)


def floats(recipe: Recipe, n: int = 20) -> Tensor:
    """The same in [-1, 1], as a tensor of 32 bits: what everything else is compared with."""
    return torch.tensor(pixels(recipe, n), dtype=torch.float32) / 127.5 - 1


def pictures(recipe: Recipe) -> list[Image.Image]:
    return [Image.fromarray(p[0] if len(p) == 1 else p.transpose(1, 2, 0)) for p in pixels(recipe)]


class Items(Dataset):
    """A data set of what is given, one at a time, by an int and nothing else."""

    def __init__(self, items, label: bool = False):
        self.items, self.label = items, label

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        assert type(i) is int
        return (self.items[i], i % 10) if self.label else self.items[i]


class Indexed:
    """What the book's own data sets are: data[LongTensor] -> (n, *shape), and here nothing else."""

    card = {"name": "indexed", "n": 20}

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(floats(GREY))


def fitted(data, recipe: Recipe, **options) -> ign_core.Model:
    source = options.pop("source", None) or ign_core.GaussianSource(recipe.shape)
    return ign_core.fit(ign_core.build(recipe), source, data, recipe, progress=False, **options)


FORMS = {
    "bytes": lambda r: torch.from_numpy(pixels(r)),
    "float64": lambda r: floats(r).double(),
    "an array of bytes": pixels,
    "an array of float64": lambda r: floats(r).double().numpy(),
    "an array of the other byte order": lambda r: floats(r).numpy().astype(">f4"),
    "an array, channels last": lambda r: pixels(r).transpose(0, 2, 3, 1),
    "an array that may only be read": lambda r: np.broadcast_to(pixels(r), pixels(r).shape),
    "PIL images": pictures,
    "a tuple of PIL images": lambda r: tuple(pictures(r)),
    "a list of arrays": lambda r: list(pixels(r)),
    "a list of tensors": lambda r: list(floats(r)),
    "pairs": lambda r: [(x, 3) for x in floats(r)],
    "a Dataset of pairs with PIL images": lambda r: Items(pictures(r), label=True),
    "a Dataset of tensors": lambda r: Items(floats(r)),
    "a TensorDataset": lambda r: TensorDataset(floats(r), torch.arange(20)),
    "a DataLoader": lambda r: DataLoader(Items(pictures(r), label=True), batch_size=3, shuffle=True),
    "indexed by tensors": lambda r: Indexed(floats(r)),
    "indexed by tensors, bytes": lambda r: Indexed(torch.from_numpy(pixels(r))),
}


@pytest.mark.parametrize("recipe", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_trains_as_the_tensor_does(form, recipe):
    x, batches = floats(recipe), Batches(FORMS[form](recipe), recipe)
    index = torch.tensor([3, 19, 0, 3])
    assert len(batches) == 20 and batches[index].dtype == torch.float32 and torch.equal(batches[index], x[index])
    assert same(fitted(FORMS[form](recipe), recipe).f, fitted(x, recipe).f)


@pytest.mark.parametrize("form", FORMS)
def test_a_source_is_fitted_to_every_form(form):
    recipe = replace(GREY, source="fourier")
    assert same(ign_core.source_of(recipe, FORMS[form](recipe)), ign_core.FourierSource.of(floats(GREY)))


def test_a_mixture_draws_from_its_half_of_a_list(generator):
    """The odd samples, for what is reconstructed are the even ones."""
    recipe = replace(GREY, mixture={"masked": 0.5}, batch=4)
    source = ign_core.source_of(recipe, pictures(GREY))
    drawn, x = source.parts["masked"].sample(40, generator), floats(GREY)
    alike = (drawn[:, None] == x[None]).flatten(2).float().mean(2)  # share of pixels that the mask left alone
    assert (alike.max(1).values > 0.5).all() and set((alike.argmax(1) % 2).tolist()) == {1}
    assert same(fitted(pictures(GREY), recipe, source=source).f, fitted(x, recipe, source=ign_core.source_of(recipe, x)).f)


def test_grey_images_may_do_without_an_axis_for_channels():
    for data in (pixels(GREY)[:, 0], [p[0] for p in pixels(GREY)], Items(list(pixels(GREY)[:, 0]))):
        assert torch.equal(Batches(data, GREY)[torch.arange(20)], floats(GREY))


def test_points_may_come_as_numbers_of_any_kind():
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)) * 4
    for data in (x.double(), x.double().numpy(), [tuple(p) for p in x.double().tolist()], TensorDataset(x)):
        assert torch.equal(Batches(data, POINTS)[torch.arange(20)], x)
    assert torch.equal(Batches(x.long(), POINTS)[torch.arange(20)], x.long().float())


def test_the_order_is_that_of_the_indices_and_bytes_stay_bytes():
    asked, x = [], torch.from_numpy(pixels(GREY))

    class Asked(Indexed):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    batches = Batches(Asked(x), GREY)
    asked.clear()
    batches[torch.tensor([5, 2])]
    assert [i.tolist() for i in asked] == [[5, 2]]
    assert Batches(x, GREY).data is x and Batches(Batches(x, GREY), GREY).data is x


def test_the_card_is_the_datas():
    data = Indexed(floats(GREY))
    assert fitted(data, GREY).card["data"] == fitted(DataLoader(data, batch_size=2), GREY).card["data"] == Indexed.card
    assert fitted(pictures(GREY), GREY).card["data"] == {"n": 20}


def test_a_run_on_a_data_set_of_items_resumes_bit_for_bit(tmp_path):
    class Stop(Exception):
        pass

    def stop(step, _):
        if step == 3:
            raise Stop

    def data():
        return DataLoader(Items(pictures(GREY), label=True), batch_size=4)

    with pytest.raises(Stop):
        fitted(data(), GREY, folder=tmp_path, every=1, callback=stop)
    assert same(fitted(data(), GREY, folder=tmp_path, every=1, resume=True).f, fitted(floats(GREY), GREY).f)


# ------------------------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize("form", [lambda x: x, list, Items, lambda x: x.numpy(), Indexed])
@pytest.mark.parametrize("value", [255.0, -1.1, float("nan"), float("inf")])
def test_what_comes_late_is_seen_when_it_comes(form, value):
    """After the first 64 samples, in one pixel; which sample it was is said."""
    x = floats(GREY, 300)
    x[250, 0, 4, 4] = value
    batches = Batches(form(x), GREY)
    assert len(batches[torch.arange(250)]) == 250
    with pytest.raises(ValueError, match=r"^sample 250 of the data .* scale images to \[-1, 1\]") as caught:
        batches[torch.tensor([7, 250, 8])]
    one_sentence(caught)
    with pytest.raises(ValueError, match="sample 250 "):
        fitted(form(x), replace(GREY, steps=300 // 8 + 1))


def test_points_may_lie_anywhere_but_must_be_finite():
    x = 1e6 * torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    fitted(x, POINTS)
    x[250, 1] = float("nan")
    with pytest.raises(ValueError, match="sample 250 "):
        fitted(x, replace(POINTS, steps=300 // 8 + 1))


def test_rounding_is_no_error():
    x = floats(GREY).clamp(-1, 1)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 1 + 1e-5, -1 - 1e-5
    fitted(x, GREY)


BAD = {
    "a stream": (lambda: Stream(), "IterableDataset has neither a length nor an order"),
    "a loader of a stream": (lambda: DataLoader(Stream()), "give a Dataset"),
    "a dict": (lambda: {"train": floats(GREY)}, "of type dict; give a tensor, an array, a list of images, a Dataset"),
    "a path": (lambda: "images/", "of type str; give a tensor"),
    "a generator": (lambda: (x for x in floats(GREY)), "of type generator; give"),
    "nothing": (lambda: None, "of type NoneType; give"),
    "items that are dicts": (lambda: [{"image": x} for x in floats(GREY)], "items of the data are dicts; give a Dataset"),
    "items that are names": (lambda: ["a.png"] * 20, "item [0-9]+ of the data can't be read as numbers"),
    "transparent": (lambda: [i.convert("RGBA") for i in pictures(GREY)], r"mode RGBA and .*\(1, 8, 8\); ignbook.data.prepare"),
    "colour for grey": (lambda: pictures(COLOUR), r"mode RGB and recipe 'grey' wants .*ignbook.data.prepare"),
    "a palette": (lambda: [i.convert("P") for i in pictures(GREY)], "mode P and .*ignbook.data.prepare"),
    "larger": (lambda: [i.resize((9, 8)) for i in pictures(GREY)], r"shape \(8, 9\) and .*ignbook.data.prepare"),
    "one that is larger": (lambda: [*pictures(GREY)[:9], Image.new("L", (4, 4))] * 2, r"\(4, 4\) and recipe 'grey'"),
    "whole numbers": (lambda: torch.from_numpy(pixels(GREY)).long(), r"type torch.int64; give bytes \(uint8\)"),
    "an array of objects": (lambda: np.array([None] * 20), "the data can't be read as numbers .*object"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cant_be_data_gets_one_sentence(what):
    make, words = BAD[what]
    with pytest.raises(ValueError, match=words) as caught:
        fitted(make(), GREY)
    one_sentence(caught)


def test_an_error_of_the_datas_own_is_shown_as_it_is():
    class Broken(Items):
        def __getitem__(self, i):
            raise PermissionError("no entry")

    with pytest.raises(PermissionError, match="no entry"):
        fitted(Broken(floats(GREY)), GREY)
