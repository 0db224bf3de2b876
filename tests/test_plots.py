"""Figures by their data: what was drawn is what was given, and the sliders work without a kernel."""

import base64
import io
import json
import re

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

import ign_plots  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def halve(y):
    return y / 2


def test_moves_and_drift_of_a_known_map():
    y, move = ign_plots.moves(halve, side=2.0, n=5)
    assert y.shape == move.shape == (25, 2) and np.allclose(move, -y / 2)
    t, drift = ign_plots.drift_grid(halve, side=2.0, n=5)
    assert np.allclose(t, [-2, -1, 0, 1, 2]) and drift.shape == (5, 5)
    assert drift[2, 4] == pytest.approx(1.0) and drift[4, 4] == pytest.approx(np.sqrt(2))  # rows along y_2
    t, drift = ign_plots.drift_grid(lambda y: y * torch.tensor([1.0, 0.0]), side=2.0, n=5)
    assert np.allclose(drift, abs(t)[:, None])  # only the second coordinate moves


def test_drift_maps_show_the_drift_and_the_data():
    x = torch.tensor([[0.5, 0.0], [0.0, -1.0]])
    figure = ign_plots.drift_maps({"half": halve, "rest": lambda y: y}, x, columns=3)
    half, rest, unused, _ = figure.axes
    assert half.get_title() == "half" and half.get_xlabel() == "$y_1$" and not unused.axison
    assert np.allclose(half.collections[0].get_array(), ign_plots.drift_grid(halve)[1])
    assert (rest.collections[0].get_array() == 0).all()
    assert np.allclose(half.collections[1].get_offsets(), x)


def test_forces_point_where_the_gradients_do():
    """f(y) = y / 2 on the line: the only fixed point is 0."""
    x, z = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-1.5], [1.5]])
    figure = ign_plots.forces(halve, x, z, lengths=0.3)
    up = [ax.collections[0].V for ax in figure.axes]
    assert np.allclose(up[0], [-0.3, 0.3])  # f(x) towards x, away from 0
    assert np.allclose(up[1], [0.3, -0.3])  # f(z) towards the fixed point
    assert np.allclose(up[2], [0.3, -0.3])  # f(f(z)) away from f(z)


def test_spectra_of_white_noise_are_flat_and_of_a_wave_are_one_peak():
    g = torch.Generator().manual_seed(0)
    wave = torch.cos(2 * torch.pi * 5 * torch.arange(32) / 32).expand(3, 1, 32, 32)
    figure = ign_plots.spectra({"white": (torch.randn(500, 1, 32, 32, generator=g), "black"), "wave": (wave, "red")})
    white, peak = (line.get_ydata() for line in figure.axes[0].lines)
    assert len(white) == 17 and np.allclose(white[1:], 1, atol=0.05)  # radius 0 is one frequency, and noisy
    assert peak.argmax() == 5 and peak[5] > 1e3 * np.delete(peak, 5).max()


def test_history_has_every_row():
    rows = [{"step": s, "reconstruction": 1 / s, "idempotence": 0.5, "tightness": 0.4, "seconds": s} for s in (1, 2, 3)]
    lines = {line.get_label(): line for line in ign_plots.history(rows).lines}
    assert set(lines) == {"reconstruction", "idempotence", "tightness"}
    assert np.allclose(lines["reconstruction"].get_xydata(), [[1, 1], [2, 1 / 2], [3, 1 / 3]])


def test_images_are_shown_as_they_are():
    x = torch.linspace(-1, 1, 3 * 64).reshape(3, 1, 8, 8)
    with Image.open(io.BytesIO(ign_plots.png(x, columns=3))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (12, 3 * 10 + 2, 3)
    assert np.abs(pixels[2:10, 2:10, 0] / 127.5 - 1 - x[0, 0].numpy()).max() < 0.01
    assert (pixels[0] == 255).all()  # the frame
    figure = ign_plots.rows_of_images({"a": x, "b": -x}, columns=2)
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["a", "b"]


def test_a_player_carries_its_frames_and_values():
    frames = [ign_plots.png(torch.full((1, 1, 8, 8), v)) for v in (-1.0, 0.0, 1.0)]
    html = ign_plots.player(frames, [0, 0.5, 1], "noise σ", alt="a grey square").data
    urls, values = (json.loads(re.search(rf"{name} = (\[.*?\])[,;]", html)[1]) for name in ("urls", "values"))
    assert values == ["0", "0.5", "1"] and 'max="2"' in html and 'alt="a grey square"' in html
    assert [base64.b64decode(url.split(",")[1]) for url in urls] == frames
    other = ign_plots.player(frames, [0, 1, 2], "again", alt="again").data
    assert re.search(r'id="([^"]+)"', html)[1] != re.search(r'id="([^"]+)"', other)[1]


def test_seeds_are_dots_in_their_rows():
    scores = {"right": [{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.4}], "wrong": [{"a": 0.9, "b": 1.0}]}
    left, right = ign_plots.seeds(scores).axes
    assert [line.get_xdata().tolist() for line in left.lines if len(line.get_xdata())] == [[0.1, 0.3], [0.9]]
    assert [t.get_text() for t in left.get_yticklabels()] == ["right", "wrong"] and "b" in right.get_xlabel()
