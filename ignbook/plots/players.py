"""Sliders over ready-made frames, which work in the rendered book with no kernel."""

import base64
import hashlib
import html
import json
import math
import re

from ignbook.checks import door
from ignbook.plots.summary import as_text


class Player:
    """What `player` returns.  data: its HTML; its text tells labels, values and what the frames show."""

    def __init__(self, data: str, text: str):
        self.data, self.text = data, text

    def _repr_html_(self) -> str:
        return self.data

    def __repr__(self) -> str:
        return self.text


@door
def player(frames: list[bytes], values: list, label: str, alt: str, width: int = 560, second: tuple[list, str] | None = None):
    """A slider over ready-made pictures (`frame`, or bytes of a WebP or PNG) that works in the rendered book, with no kernel.

    values: one for each frame.  second: values and label of a second slider; the frames then stand row by row, all of the
    first value come first.  Returns a `Player`, which a notebook shows.
    ValueError: the number of frames is another than the values need.
    """
    dials = [(values, label)] + ([second] if second else [])
    if len(frames) != (needed := math.prod(len(of) for of, _ in dials)):
        raise ValueError(f"{len(frames)} frames don't fit sliders of {needed} positions in all; give one frame for each.")
    texts, labels = [[str(v) for v in of] for of, _ in dials], [text for _, text in dials]
    # from the content, so that it is the same in every run; on one page no two players have the same words
    name = f"player-{hashlib.md5(json.dumps([labels, texts, alt]).encode()).hexdigest()[:8]}"
    kinds = ["webp" if frame[8:12] == b"WEBP" else "png" for frame in frames]
    urls = [f"data:image/{kind};base64,{base64.b64encode(frame).decode()}" for kind, frame in zip(kinds, frames)]
    crisp = ";image-rendering:pixelated" if all(getattr(frame, "of_images", False) for frame in frames) else ""  # not letters
    sliders = "\n".join(f"""<div style="display:flex;gap:.7em;align-items:center">
<label for="{name}-{i}">{html.escape(text)}</label>
<input id="{name}-{i}" type="range" min="0" max="{len(of) - 1}" value="0" aria-valuetext="{html.escape(of[0])}" style="flex:1">
<output for="{name}-{i}" aria-live="polite" style="min-width:4em">{html.escape(of[0])}</output></div>"""
                        for i, (of, text) in enumerate(zip(texts, labels)))  # fmt: skip
    data = f"""<div id="{name}" class="ign-player" style="max-width:{width}px">
<img src="{urls[0]}" alt="{html.escape(alt)}" style="width:100%{crisp}">
{sliders}</div>
<script>(() => {{
  const box = document.getElementById("{name}"), values = {_script(texts)}, urls = {_script(urls)};
  const dials = [...box.querySelectorAll("input")], outputs = box.querySelectorAll("output");
  const show = () => {{
    box.querySelector("img").src = urls[dials.reduce((i, dial, d) => i * values[d].length + Number(dial.value), 0)];
    dials.forEach((dial, d) => {{
      outputs[d].value = values[d][Number(dial.value)];
      dial.setAttribute("aria-valuetext", outputs[d].value);
    }});
  }};
  dials.forEach((dial) => dial.addEventListener("input", show));
}})();</script>"""
    records = [{"player": labels, "values": texts}]
    for i, frame in enumerate(frames):
        records += [{"frame": i}, *getattr(frame, "summary", [])]
    return Player(data, as_text(records))


def without_frames(data: str) -> str:
    """A player's HTML without its pictures, whose bytes differ between machines."""
    return re.sub(r"data:image/\w+;base64,[A-Za-z0-9+/=]+", "a picture", data)


def _script(content) -> str:
    """JSON that may stand in a <script>: nothing in it ends that."""
    return json.dumps(content).replace("<", "\\u003c")
