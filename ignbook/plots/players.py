"""Sliders over ready-made frames, which work in the rendered book with no kernel."""

import math

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from ignbook.plots.base import _grid


def player(frames: list[bytes], values: list, label: str, alt: str, width: int = 560, second: tuple[list, str] | None = None):
    """A slider over ready-made frames, PNG or WebP, that works in the rendered book, with no kernel; one value for each frame.

    second: values and label of a second slider.  The frames then stand row by row, all of the first value come first.
    Returns an IPython HTML object.  Tag its cell nbval-ignore-output: the bytes of a picture differ between machines.
    ValueError: the number of frames is another than the values need.
    """
    import base64
    import json
    import uuid

    from IPython.display import HTML

    dials = [(values, label)] + ([second] if second else [])
    if len(frames) != (needed := math.prod(len(of) for of, _ in dials)):
        raise ValueError(f"{len(frames)} frames don't fit sliders of {needed} positions in all; give one frame for each.")
    name = f"player-{uuid.uuid4().hex[:8]}"
    kinds = ["webp" if frame[8:12] == b"WEBP" else "png" for frame in frames]
    urls = [f"data:image/{kind};base64,{base64.b64encode(frame).decode()}" for kind, frame in zip(kinds, frames)]
    sliders = "\n".join(f"""<label style="display:flex;gap:.7em;align-items:center"><span>{text}</span>
<input type="range" min="0" max="{len(of) - 1}" value="0" style="flex:1" aria-label="{text}">
<output style="min-width:4em">{of[0]}</output></label>""" for of, text in dials)  # fmt: skip
    texts = [[str(v) for v in of] for of, _ in dials]
    return HTML(f"""<div id="{name}" class="ign-player" style="max-width:{width}px">
<img src="{urls[0]}" alt="{alt}" style="width:100%;image-rendering:pixelated">
{sliders}</div>
<script>(() => {{
  const box = document.getElementById("{name}"), values = {json.dumps(texts)}, urls = {json.dumps(urls)};
  const dials = [...box.querySelectorAll("input")], outputs = box.querySelectorAll("output");
  const show = () => {{
    box.querySelector("img").src = urls[dials.reduce((i, dial, d) => i * values[d].length + Number(dial.value), 0)];
    dials.forEach((dial, d) => outputs[d].value = values[d][Number(dial.value)]);
  }};
  dials.forEach((dial) => dial.addEventListener("input", show));
}})();</script>""")


def png(x: Tensor, columns: int = 8) -> bytes:
    """Images (n, C, H, W) in [-1, 1] as the bytes of one PNG, in rows of `columns`: a frame for `player`."""
    return _encoded(x, columns, format="png")


def webp(x: Tensor, columns: int = 8) -> bytes:
    """The same as a WebP, not exactly and in a tenth of the bytes: for many frames in colour."""
    return _encoded(x, columns, format="webp", quality=85)


def _encoded(x: Tensor, columns: int, **how) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((255 * _grid(x, columns)).round().to(torch.uint8).permute(1, 2, 0).numpy()).save(file, **how)
    return file.getvalue()


def figure_png(figure) -> bytes:
    """A matplotlib figure as the bytes of a PNG, and close it: a frame for `player`."""
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()
