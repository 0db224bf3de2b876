"""Panels for a live kernel: driven in this process, and in JupyterLab by a browser."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_book import browser  # noqa: F401

import ign_core
import ignbook.data
import ignbook.panels
import ignbook.recipes

ROOT = Path(__file__).resolve().parent.parent
RING = replace(ignbook.recipes.ring, width=16, batch=32)


@pytest.fixture(autouse=True)
def alive(monkeypatch):
    monkeypatch.delenv("IGN_STATIC", raising=False)


@pytest.fixture(scope="module")
def digits() -> ign_core.Model:
    return ign_core.load("mnist")


def pixels(box) -> torch.Tensor:
    """What the panel's picture shows: (H, W) or (H, W, 3)."""
    seen = next(child for child in box.children if hasattr(child, "format"))
    return torch.frombuffer(bytearray(Image.open(io.BytesIO(seen.value)).tobytes()), dtype=torch.uint8)


def sentence(box) -> str:
    return box.children[-1].value


def test_a_stored_page_has_no_panel(digits, monkeypatch):
    monkeypatch.setenv("IGN_STATIC", "1")
    x = ignbook.data.load("digits8", "test")[torch.arange(3)]
    assert ignbook.panels.projector({"f": digits}, x) is None
    assert ignbook.panels.walk(digits) is None and ignbook.panels.train(RING) is None


def test_the_projector_applies_f_to_what_is_chosen(digits):
    x = ignbook.data.load("digits8", "test")[torch.arange(3)]
    box = ignbook.panels.projector({"f": digits}, x)
    told = {(0, "none", 1): sentence(box)}
    seen = {(0, "none", 1): pixels(box)}
    for image, damage, k in ((1, "none", 1), (1, "noise", 1), (1, "noise", 3)):
        box.controls["image"].value, box.controls["corruption"].value, box.controls["k"].value = image, damage, k
        told[image, damage, k], seen[image, damage, k] = sentence(box), pixels(box)
    assert f"f {ign_core.drift(digits.f, x[:1]).item():.3f}" in told[0, "none", 1]
    assert len(set(told.values())) == 3 and told[1, "noise", 1] == told[1, "noise", 3]  # the drift is the input's
    assert not torch.equal(seen[1, "noise", 1], seen[1, "noise", 3])
    box.controls["k"].value = 0
    height, side = 100, 100  # 32 pixels thrice as large, and a rim of 4
    left, right = pixels(box).reshape(height, 2, side).unbind(1)
    assert torch.equal(left, right)  # f^0 of the input


@pytest.mark.parametrize("old", [False, True])
def test_an_image_of_ones_own_is_taken_and_others_get_a_sentence(digits, old, monkeypatch):
    file = io.BytesIO()
    Image.fromarray((255 - torch.eye(40).mul(255)).byte().numpy()).save(file, "png")
    assert ignbook.panels._file(()) is None and ignbook.panels._file({}) is None
    content = {"content": memoryview(file.getvalue()), "name": "a.png"}
    assert ignbook.panels._file({"a.png": content} if old else (content,)) == file.getvalue()
    box = ignbook.panels.projector({"f": digits}, ignbook.data.load("digits8", "test")[torch.arange(3)])
    before = pixels(box)
    monkeypatch.setattr(ignbook.panels, "_file", lambda value: file.getvalue())
    upload = box.controls["upload"]
    upload.notify_change({"name": "value", "old": (), "new": (content,), "owner": upload, "type": "change"})
    assert not torch.equal(pixels(box), before) and "drift" in sentence(box)
    monkeypatch.setattr(ignbook.panels, "_file", lambda value: b"no picture")
    upload.notify_change({"name": "value", "old": (), "new": (content,), "owner": upload, "type": "change"})
    assert sentence(box) == "this file is no image; choose a PNG or JPEG file."


def test_the_walk_begins_and_ends_at_its_draws(digits):
    box = ignbook.panels.walk(digits)
    seen = {}
    for t in (0.0, 0.5, 1.0):
        box.controls["t"].value = t
        seen[t] = pixels(box)
    box.controls["from"].value, box.controls["to"].value, box.controls["t"].value = 1, 0, 1.0
    backwards_end = pixels(box)
    assert (backwards_end.int() - seen[0.0].int()).abs().max() <= 2  # the same draw, reached from the other side
    assert not torch.equal(seen[0.5], seen[0.0]) and not torch.equal(seen[0.5], seen[1.0])


def test_a_training_runs_and_stops():
    box = ignbook.panels.train(RING)
    box.controls["steps"].value = 100
    box.controls["train"].click()
    box.wait()
    assert sentence(box) == "done, after 100 steps" and not box.controls["train"].disabled
    box.controls["steps"].value = 4_000
    box.controls["train"].click()
    assert box.controls["train"].disabled and not box.controls["stop"].disabled
    box.controls["stop"].click()
    box.wait()
    assert sentence(box).startswith("stopped after step ") and box.controls["stop"].disabled
    with pytest.raises(ValueError, match="is of images; give one of points"):
        ignbook.panels.train(ignbook.recipes.mnist)


CELL = """import ign_core, ignbook.data, ignbook.panels
ignbook.panels.projector({"f": ign_core.load("mnist")}, ignbook.data.load("digits8", "test")[__import__("torch").arange(3)])"""


@pytest.fixture
def jupyterlab(tmp_path):
    """A JupyterLab of its own on this machine, with one notebook: its address."""
    cell = {"cell_type": "code", "source": CELL, "metadata": {}, "outputs": [], "execution_count": None, "id": "a"}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (tmp_path / "panel.ipynb").write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"]  # fmt: skip
    homes = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = os.environ | homes | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "jupyterlab", *options, "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=2)
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "log").read_text()[-2000:]
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()


def test_a_panel_computes_in_jupyterlab(jupyterlab, browser):  # noqa: F811
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{jupyterlab}/lab/tree/panel.ipynb")
    page.locator(".jp-Cell .cm-content").first.click(timeout=120_000)
    page.keyboard.press("Shift+Enter")
    picture = page.locator(".jp-OutputArea-output img.widget-image")
    picture.wait_for(timeout=120_000)
    assert "drift of the input: f 0." in page.locator(".widget-vbox").inner_text()
    before = picture.get_attribute("src")
    page.locator(".widget-slider").first.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('img.widget-image').src !== before", arg=before, timeout=60_000)
    page.context.close()
