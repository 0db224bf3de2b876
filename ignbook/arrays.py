"""What `ign_core.fit` takes as data, brought to one form: data[LongTensor] -> (n, *shape) float32, checked at every batch.

Below `ignbook.checkpoints`, which alone imports it: it imports nothing of ours.
"""

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

FORMS = "a tensor, an array, a list of images, a Dataset or a DataLoader"
MODES = {1: "L", 3: "RGB"}  # channels: PIL's name of it
SLACK = 1e-3  # by which an image may leave [-1, 1]: interpolation and half precision round


class Batches:
    """Data as a training reads them: len(batches), and batches[LongTensor] -> (n, *shape) float32, images in [-1, 1].

    data: a tensor (n, *shape); an array, or a list of arrays or PIL images, whose channels may be last, or left out where
    there is one; a Dataset, of samples or pairs (sample, label); a DataLoader, of which the data set alone is used; or anything with
    len() and data[LongTensor] -> (n, *shape).  Images as bytes stay bytes in memory, and are brought from [0, 255] to [-1, 1]
    batch by batch.  card: the data's own, if they have one.  What a Dataset draws at random is not resumed bit for bit.
    recipe: an `ign_core.Recipe`, for its shape and its name.  checked: False takes any range, for a source's statistics.
    ValueError, one sentence that says what to do: what can't be data at once, a sample of another shape or range when it comes.
    """

    def __init__(self, data, recipe, checked: bool = True):
        data = data.data if isinstance(data, Batches) else data
        data = data.dataset if isinstance(data, DataLoader) else data
        if isinstance(data, IterableDataset):
            raise ValueError("an IterableDataset has neither a length nor an order to resume by; give a Dataset with both.")
        if isinstance(data, str | bytes | Mapping) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
            raise ValueError(f"the data are of type {type(data).__name__}; give {FORMS}.")
        self.data, self.name, self.shape = data, recipe.name, tuple(recipe.shape)
        self.images, self.checked = len(self.shape) == 3, checked
        self.by_item = isinstance(data, list | tuple | Dataset) or not _takes_indices(data)
        if hasattr(data, "card"):
            self.card = data.card
        if hasattr(data, "stream"):  # `ignbook.data.Shards`, whose images are what this class would make of them
            self.stream = data.stream

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Tensor) -> Tensor:
        if self.by_item:
            x = torch.stack([self._formed(_sample(self.data[i]), i) for i in index.tolist()])
        else:
            x = self._formed(self.data[index.numpy() if isinstance(self.data, np.ndarray) else index])
        if self.images and x.dtype == torch.uint8:
            x = x.float() / 127.5 - 1
        elif self.images and not x.is_floating_point():
            raise ValueError(f"the images are of type {x.dtype}; give bytes (uint8) from 0 to 255, or floats in [-1, 1].")
        x = x.float()
        if not self.checked:
            return x
        bound = 1 + SLACK if self.images else torch.finfo(x.dtype).max
        low, high = x.aminmax()  # of NaN, NaN
        if not (low >= -bound and high <= bound):
            first = int(((x.abs() <= bound).flatten(1).all(1)).int().argmin())
            raise ValueError(
                f"sample {int(index[first])} of the data runs from {x[first].min():.3g} to {x[first].max():.3g}; "
                "scale images to [-1, 1] and drop what isn't finite."
            )
        return x

    def _formed(self, x, i: int | None = None) -> Tensor:
        """Sample i, or for None a batch, as a tensor with channels in front.  ValueError: it isn't of the recipe's shape."""
        what = "the data" if i is None else f"item {i} of the data"
        if isinstance(x, Image.Image) and (not self.images or x.mode != MODES.get(self.shape[0])):
            raise ValueError(f"{what} is a PIL image of mode {x.mode}{self._wanted()}")
        if not isinstance(x, Tensor):
            x = np.asarray(x)
            if x.dtype.kind not in "biuf":
                raise ValueError(f"{what} can't be read as numbers (numpy makes it {x.dtype}); give {FORMS}.")
            x = torch.from_numpy(x.astype(x.dtype.newbyteorder("="), order="C"))  # a copy: an image lends its bytes
            start = x.shape[:1] if i is None else ()
            if self.images and x.shape == (*start, *self.shape[1:]) and self.shape[0] == 1:
                x = x.unsqueeze(-3)
            elif self.images and x.shape == (*start, *self.shape[1:], self.shape[0]) and self.shape[0] != self.shape[2]:
                x = x.movedim(-1, -3)
        shape = tuple(x.shape if i is not None else x.shape[1:])
        if shape != self.shape:
            raise ValueError(f"the data has samples of shape {shape}{self._wanted()}")
        return x

    def _wanted(self) -> str:
        hint = "; ignbook.data.prepare brings images to it" if self.images else ""
        return f" and recipe {self.name!r} wants {self.shape}{hint}."


def _sample(item):
    """The sample of an item, which may be a pair (sample, label)."""
    if isinstance(item, Mapping):
        raise ValueError("the items of the data are dicts; give a Dataset whose items are samples or pairs (sample, label).")
    paired = isinstance(item, list | tuple) and len(item) > 0 and isinstance(item[0], Tensor | np.ndarray | Image.Image)
    return item[0] if paired else item


def _takes_indices(data) -> bool:
    """Whether data[LongTensor] gives as many samples; else it is asked for one at a time."""
    if isinstance(data, Tensor | np.ndarray):
        return True
    index = torch.arange(min(len(data), 2)).flip(0)  # backwards, as some take indices in order alone
    try:
        batch = data[index]
    except Exception:  # whatever it raises; asked for an item, it will raise again if it is broken
        return False
    return isinstance(batch, Tensor | np.ndarray) and len(batch) == len(index)
