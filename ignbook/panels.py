"""Controls for a live kernel (JupyterLab, Colab): they compute with the networks in memory.  One function a panel.

A page that is only executed to be stored (IGN_STATIC=1: `ignbook.notebooks`, the tests of the chapters) shows none of them: a
stored page has the lab or a figure in their place, and no control that is dead.  A panel is a box whose `controls` are by name.
"""

import io
import os
import threading
from collections.abc import Callable
from dataclasses import replace

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

import ign_core
import ignbook.data
import ignbook.latent
import ignbook.plots
import ignbook.projector
from ignbook import checks
from ignbook.checks import door

SIDE = 112  # pixels to which an image is enlarged at least
DRAWN = 20  # how often a training is drawn


def static() -> bool:
    """Whether the page is only executed to be stored."""
    return os.environ.get("IGN_STATIC") == "1"


def _widgets():
    try:
        import ipywidgets
    except ImportError:
        raise ValueError("a panel needs ipywidgets; run `pip install ipywidgets` and restart the kernel.") from None
    return ipywidgets


def _box(controls: dict, *children):
    """The controls in rows of three, and what they change below."""
    widgets = _widgets()
    shown = list(controls.values())
    rows = [widgets.HBox(shown[i : i + 3], layout={"flex_flow": "row wrap"}) for i in range(0, len(shown), 3)]
    box = widgets.VBox([*rows, *children])
    box.controls = controls
    return box


def _picture(x: Tensor, columns: int) -> bytes:
    """A PNG of images (n, C, H, W) in rows of `columns`, small ones enlarged in whole steps."""
    file = io.BytesIO()
    pixels = (127.5 * (x.detach().cpu().clamp(-1, 1) + 1)).round().to(torch.uint8)
    pixels = pixels.repeat_interleave(k := max(1, SIDE // x.shape[-1]), -1).repeat_interleave(k, -2)
    rows = [torch.cat(list(torch.nn.functional.pad(row, (0, 4, 0, 4), value=255)), -1) for row in pixels.split(columns)]
    grid = torch.cat(rows, -2).movedim(0, -1)
    Image.fromarray(grid.squeeze(-1).numpy()).save(file, "png")
    return file.getvalue()


def _file(uploaded) -> bytes | None:
    """The bytes of a FileUpload's value, which is a dictionary in ipywidgets 7 and a tuple since."""
    files = list(uploaded.values()) if isinstance(uploaded, dict) else list(uploaded)
    return bytes(files[-1]["content"]) if files else None


def _told(function: Callable, told) -> Callable:
    """A callback that says what is wrong below the panel, in place of a traceback somewhere."""

    def call(*_):
        try:
            told.value = function() or ""
        except (ValueError, OSError, FloatingPointError) as error:
            told.value = str(error)

    return call


@door
def projector(models: dict, x: Tensor):
    """A panel: one of x or an image of your own, damaged, and f^k of it by each model, with its drift.  None on a static page.

    models: {name: `ign_core.Model`} of one kind of data.  x: images (n, C, H, W) in [-1, 1]."""
    x = checks.images(x)
    if static():
        return None
    widgets = _widgets()
    choices = {"none": (0.0,)} | {name: of for name, (_, of) in ignbook.projector.CORRUPTIONS.items()}
    controls = {
        "image": widgets.IntSlider(0, 0, len(x) - 1, description="image", continuous_update=False),
        "corruption": widgets.Dropdown(options=list(choices), description="damage"),
        "strength": widgets.SelectionSlider(options=choices["none"], description="strength"),
        "k": widgets.IntSlider(1, 0, 10, description="k", continuous_update=False),
        "upload": widgets.FileUpload(accept="image/*", multiple=False, description="your image"),
    }
    seen, told = widgets.Image(format="png"), widgets.Label()
    own: list[Tensor] = []

    def show():
        y = own[-1] if own else x[controls["image"].value][None]
        if (name := controls["corruption"].value) != "none":
            y = ignbook.projector.corrupt(y, name, controls["strength"].value, torch.Generator().manual_seed(1))
        k = controls["k"].value
        paths = {name: [y, *ign_core.iterate(model.f, y, max(k, 1))] for name, model in models.items()}
        of_k = [y, *(path[k] for path in paths.values())]
        seen.value = _picture(torch.cat(of_k), len(of_k))
        drifts = (f"{name} {ign_core.l1(y, path[1]).item():.3f}" for name, path in paths.items())
        return f"from left to right: input, {', '.join(f'f^k by {name}' for name in models)}; drift of the input: {', '.join(drifts)}"

    def read():
        if (content := _file(controls["upload"].value)) is None:
            return None
        try:
            picture = Image.open(io.BytesIO(content))
        except OSError:
            raise ValueError("this file is no image; choose a PNG or JPEG file.") from None
        own.append(ignbook.data.prepare(picture, next(iter(models.values()))))
        return show()

    def choose():
        own.clear()
        return show()

    def damage():
        controls["strength"].options = choices[controls["corruption"].value]  # which shows, if the value changes
        return show()

    for name, function in {"image": choose, "corruption": damage, "strength": show, "k": show, "upload": read}.items():
        controls[name].observe(_told(function, told), "value")
    _told(show, told)()
    return _box(controls, seen, told)


@door
def walk(model: ign_core.Model):
    """A panel: the path between two draws of the model's source, z, f(z) and f^2(z) side by side.  None on a static page."""
    if static():
        return None
    widgets = _widgets()
    controls = {
        "from": widgets.BoundedIntText(0, 0, 10**6, description="from draw"),
        "to": widgets.BoundedIntText(1, 0, 10**6, description="to draw"),
        "t": widgets.FloatSlider(0.0, min=0.0, max=1.0, step=0.02, description="position t"),
    }
    seen, told = widgets.Image(format="png"), widgets.Label()

    def draw(name: str) -> Tensor:
        return model.source.sample(1, torch.Generator().manual_seed(controls[name].value))

    def show():
        white = [model.source.whiten(draw(name)) for name in ("from", "to")]
        z = model.source.from_white(ignbook.latent.arc(*white, controls["t"].value))
        fz, ffz = ign_core.iterate(model.f, z, 2)
        seen.value = _picture(torch.cat([z, fz, ffz]), 3)
        return f"from left to right: z, f(z), f²(z); drift of f(z): {ign_core.l1(fz, ffz).item():.3f}"

    for control in controls.values():
        control.observe(_told(show, told), "value")
    _told(show, told)()
    return _box(controls, seen, told)


@door
def train(recipe: ign_core.Recipe):
    """A panel: train a toy in the plane with a λ of your own, watch it, and stop it.  None on a static page.

    recipe: of points, such as `ignbook.recipes.ring`; data, λ and steps are the panel's.  The panel's `wait()` returns at the end."""
    if recipe.net != "mlp":
        raise ValueError(f"recipe {recipe.name!r} is of images; give one of points, such as ignbook.recipes.ring.")
    if static():
        return None
    widgets = _widgets()
    controls = {
        "data": widgets.Dropdown(options=list(ignbook.data.MANIFOLDS), value=recipe.data, description="data"),
        "ratio": widgets.FloatSlider(recipe.tightness / recipe.reconstruction, min=0.0, max=1.5, step=0.05, description="λ"),
        "steps": widgets.IntSlider(600, 100, 4_000, 100, description="steps"),
        "train": widgets.Button(description="Train", button_style="primary"),
        "stop": widgets.Button(description="Stop", disabled=True),
    }
    seen, told = widgets.Image(format="png"), widgets.Label("Choose, and press Train.")
    stopped, threads = threading.Event(), []

    def work(now: ign_core.Recipe):
        points, rows = ignbook.data.points(now.data), []
        run = ign_core.Run(ign_core.build(now), ign_core.source_of(now, points), now)
        x, z = points[:600], run.source.sample(600, torch.Generator().manual_seed(1))
        for step, losses, f in run.train(points):
            if step % max(now.steps // DRAWN, 1) == 0 or stopped.is_set():
                rows.append([step, *(float(term.mean()) for term in losses[1:])])
                seen.value, told.value = _course(f, x, z, rows), f"step {step} of {now.steps}"
            if stopped.is_set():
                break
        return f"stopped after step {step}" if stopped.is_set() else f"done, after {step} steps"

    def work_and_tell(now: ign_core.Recipe):
        _told(lambda: work(now), told)()
        controls["train"].disabled, controls["stop"].disabled = False, True

    def start(_):
        changes = {"data": controls["data"].value, "steps": controls["steps"].value, "tightness_end": None}
        changes["tightness"] = controls["ratio"].value * recipe.reconstruction
        stopped.clear()
        controls["train"].disabled, controls["stop"].disabled = True, False
        now = replace(recipe, **changes)
        threads[:] = [threading.Thread(target=work_and_tell, args=(now,), daemon=True)]
        threads[0].start()  # aside, so that the kernel hears the other button

    controls["train"].on_click(start)
    controls["stop"].on_click(lambda _: stopped.set())
    box = _box(controls, seen, told)
    box.wait = lambda: [thread.join() for thread in threads]
    return box


def _course(f: nn.Module, x: Tensor, z: Tensor, rows: list[list[float]]) -> bytes:
    """A PNG: data and f(z) on the left, the three terms over the steps on the right."""
    figure, file = Figure(figsize=(7.5, 3.2), layout="constrained"), io.BytesIO()
    left, right = figure.subplots(1, 2)
    ignbook.plots.points(x, "x", left)
    ignbook.plots.points(ign_core.project(f, z), "fz", left)
    steps, *terms = zip(*rows)
    for name, values in zip(("reconstruction", "idempotence", "tightness"), terms):
        right.plot(steps, values, label=name)
    right.set(xlabel="step", yscale="log")
    right.legend()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
