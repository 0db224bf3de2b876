"""Layers that the networks of `ign_core` are made of beside PyTorch's own: faster, or beyond the paper's.

Below `ign_core`, as `ignbook.checkpoints` is: it imports nothing of ours.
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn


class ToCode(nn.Conv2d):
    """A convolution over all of its input, (n, C, k, k) -> (n, code, 1, 1), computed as the matrix product that it is."""

    def forward(self, y: Tensor) -> Tensor:
        return nn.functional.linear(y.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class FromCode(nn.ConvTranspose2d):
    """Its mirror image, (n, code, 1, 1) -> (n, C, k, k)."""

    def forward(self, code: Tensor, output_size=None) -> Tensor:
        y = (code.flatten(1) @ self.weight.flatten(1)).unflatten(1, self.weight.shape[1:])
        return y if self.bias is None else y + self.bias[:, None, None]


class BesideLinear(nn.Module):
    """deep(y) plus a linear map: to the code (n, code, 1, 1) from images averaged to `side` pixels, or back, enlarged."""

    def __init__(self, deep: nn.Module, channels: int, side: int, code: int, to_code: bool):
        super().__init__()
        pixels = channels * side * side
        self.deep, self.side, self.to_code = deep, side, to_code
        self.linear = nn.Linear(pixels, code) if to_code else nn.Linear(code, pixels)
        nn.init.normal_(self.linear.weight, 0.0, self.linear.in_features**-0.5)  # a projection keeps the size of numbers
        nn.init.zeros_(self.linear.bias)

    def forward(self, y: Tensor) -> Tensor:
        if self.to_code:
            small = nn.functional.avg_pool2d(y, y.shape[-1] // self.side)
            return self.deep(y) + self.linear(small.flatten(1))[:, :, None, None]
        image, small = self.deep(y), self.linear(y.flatten(1)).unflatten(1, (-1, self.side, self.side))
        device = y.device.type  # "meta" has no autocast to leave
        with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
            small = small.to(torch.promote_types(small.dtype, torch.float32))
            # two matrix products are cheaper than `interpolate` is
            rows = nn.functional.interpolate(
                torch.eye(self.side).to(small)[None, None], (image.shape[-1], self.side), mode="bilinear"
            )
            return image + rows @ small @ rows.mT
