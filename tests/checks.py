"""Checks that several test modules share."""

import torch
from torch import nn


def one_sentence(caught, at_most: int = 400) -> None:
    """The caught error says one sentence, on one line, of fewer than `at_most` characters."""
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < at_most


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules hold the same parameters and buffers, bit for bit."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
