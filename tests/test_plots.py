"""Figures by their data: what was drawn is what was given, and the sliders work without a kernel."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch
from checks import one_sentence
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import ign_core
import ignbook.checkpoints
import ignbook.data
import ignbook.metrics
import ignbook.plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def halve(y):
    return y / 2


def test_moves_and_drift_of_a_known_map():
    y, move = ignbook.plots.moves(halve, side=2.0, n=5)
    assert y.shape == move.shape == (25, 2) and np.allclose(move, -y / 2)
    t, drift = ignbook.plots.drift_grid(halve, side=2.0, n=5)
    assert np.allclose(t, [-2, -1, 0, 1, 2]) and drift.shape == (5, 5)
    assert drift[2, 4] == pytest.approx(1.0) and drift[4, 4] == pytest.approx(np.sqrt(2))  # rows along y_2
    t, drift = ignbook.plots.drift_grid(lambda y: y * torch.tensor([1.0, 0.0]), side=2.0, n=5)
    assert np.allclose(drift, abs(t)[:, None])  # only the second coordinate moves


def test_drift_maps_show_the_drift_and_the_data():
    x = torch.tensor([[0.5, 0.0], [0.0, -1.0]])
    figure = ignbook.plots.drift_maps({"half": halve, "rest": lambda y: y}, x, columns=3)
    half, rest, _ = figure.axes
    assert half.get_title() == "half" and half.get_xlabel() == "$y_1$"
    assert np.allclose(half.collections[0].get_array(), ignbook.plots.drift_grid(halve)[1])
    assert (rest.collections[0].get_array() == 0).all()
    assert np.allclose(half.collections[1].get_offsets(), x)


def test_panels_have_labels_where_no_neighbour_has_them():
    """Three in rows of two: below the second is nothing."""
    figure = ignbook.plots.drift_maps({name: halve for name in "abc"}, torch.zeros(1, 2), columns=2)
    *axes, unused, _ = figure.axes
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes] == [("", "$y_2$"), ("$y_1$", ""), ("$y_1$", "$y_2$")]
    figure.canvas.draw()
    shown = [[any(label.get_visible() for label in axis.get_ticklabels()) for axis in (ax.xaxis, ax.yaxis)] for ax in axes]
    assert shown == [[False, True], [True, False], [True, True]] and not unused.axison
    told = ignbook.plots.pictures.places(figure, figure.get_tightbbox())
    assert [kind for *_, kind, _ in told] == ["picture"] * 3 + ["bar"]  # what is left empty is no place


def test_forces_point_where_the_gradients_do():
    """f(y) = y / 2 on the line: the only fixed point is 0."""
    x, z = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-1.5], [1.5]])
    figure = ignbook.plots.forces(halve, x, z, lengths=0.3)
    up = [ax.collections[0].V for ax in figure.axes]
    assert np.allclose(up[0], [-0.3, 0.3])  # f(x) towards x, away from 0
    assert np.allclose(up[1], [0.3, -0.3])  # f(z) towards the fixed point
    assert np.allclose(up[2], [0.3, -0.3])  # f(f(z)) away from f(z)


@pytest.mark.parametrize("linear", [0, 16])
def test_the_network_is_drawn_with_its_own_sizes(linear):
    f = ign_core.ConvAutoencoder(size=64, channels=3, width=4, code=9, linear=linear)
    (ax,) = ignbook.plots.network(f, torch.zeros(1, 3, 64, 64)).axes
    inward = ["3×64²", "4×32²", "8×16²", "16×8²", "32×4²"]  # half the side, twice the channels, down to a side of 4
    assert [text.get_text() for text in ax.texts] == [*inward, "code\n9", *inward[::-1], "$y$", "$f(y)$"]
    heights = [patch.get_height() for patch in ax.patches]
    assert heights[:5] == sorted(heights[:5], reverse=True) and heights == heights[::-1]


def test_spectra_of_white_noise_are_flat_and_of_a_wave_are_one_peak():
    g = torch.Generator().manual_seed(0)
    wave = torch.cos(2 * torch.pi * 5 * torch.arange(32) / 32).expand(3, 1, 32, 32)
    figure = ignbook.plots.spectra({"white": (torch.randn(500, 1, 32, 32, generator=g), "black"), "wave": (wave, "red")})
    white, peak = (line.get_ydata() for line in figure.axes[0].lines)
    assert len(white) == 17 and np.allclose(white[1:], 1, atol=0.05)  # radius 0 is one frequency, and noisy
    assert peak.argmax() == 5 and peak[5] > 1e3 * np.delete(peak, 5).max()


def test_history_has_every_row():
    rows = [{"step": s, "reconstruction": 1 / s, "idempotence": 0.5, "tightness": 0.4, "seconds": s} for s in (1, 2, 3)]
    lines = {line.get_label(): line for line in ignbook.plots.history(rows).lines}
    assert set(lines) == {"reconstruction", "idempotence", "tightness"}
    assert np.allclose(lines["reconstruction"].get_xydata(), [[1, 1], [2, 1 / 2], [3, 1 / 3]])


def pixels_of(frame: bytes) -> np.ndarray:
    """(H, W, 3), 0 to 255."""
    with Image.open(io.BytesIO(frame)) as image:
        return np.asarray(image.convert("RGB")).astype(float)


def test_images_are_shown_as_they_are():
    x = torch.linspace(-1, 1, 3 * 64).reshape(3, 1, 8, 8)
    pixels = pixels_of(ignbook.plots.frame(x, columns=3))
    assert pixels.shape == (12, 3 * 10 + 2, 3)
    assert np.abs(pixels[2:10, 2:10, 0] / 127.5 - 1 - x[0, 0].numpy()).max() < 0.05
    assert (pixels[0] > 250).all()  # what is between them
    figure = ignbook.plots.rows_of_images({"a": x, "b": -x}, columns=2)
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["a", "b"]


def test_frames_are_nearly_the_same_in_few_bytes():
    x = ignbook.data.draw_faces(ignbook.data.draw_attributes(8, torch.Generator().manual_seed(0)))
    frame = ignbook.plots.frame(x)
    assert np.abs(pixels_of(frame)[2:66, 2:66] / 127.5 - 1 - x[0].permute(1, 2, 0).numpy()).mean() < 0.04
    assert frame[8:12] == b"WEBP" and frame == ignbook.plots.frame(x) and len(frame) < 25_000
    noise = torch.rand(40, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert len(ignbook.plots.frame(2 * noise - 1, 10)) < 100_000


def shown(figure) -> tuple[str, np.ndarray, dict]:
    """What a notebook gets of a figure: its kind, its pixels, and the width that it is shown at."""
    from ignbook.plots.pictures import bundle

    data, about = bundle(figure)
    (kind,) = data.keys() - {"text/plain"}
    assert ignbook.plots.from_text(data["text/plain"]) == ignbook.plots.summary(figure)
    return kind, pixels_of(base64.b64decode(data[kind])), about.get(kind, {})


def test_lines_become_a_fine_png_and_photographs_a_fine_jpeg():
    ignbook.plots.style()
    y = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    figure, same = (ignbook.plots.panels({"a": {"b": [(y, "x")], "c": [(y, "fz")]}}) for _ in range(2))
    kind, pixels, about = shown(figure)
    assert kind == "image/png" and pixels.shape[1] == pytest.approx(2 * about["width"], abs=2)
    file = io.BytesIO()
    same.savefig(file, dpi=220)
    off = np.abs(pixels_of(file.getvalue()) - pixels)
    assert off.mean() < 0.4 and np.quantile(off, 0.999) <= 16
    _, pixels, about = shown(plt.subplots(figsize=(11, 2))[0])
    assert 1300 < pixels.shape[1] < 1450 and 1100 < about["width"] < 1250  # no finer than twice the page
    x = ignbook.data.draw_faces(ignbook.data.draw_attributes(8, torch.Generator().manual_seed(0)))
    kind, pixels, about = shown(ignbook.plots.images(x).figure)
    assert kind == "image/jpeg" and pixels.shape[1] == pytest.approx(2 * about["width"], abs=2)
    assert shown(ignbook.plots.images(x.mean(1, keepdim=True)).figure)[0] == "image/png"  # grey ones


def test_files_of_pictures_tell_where_their_axes_are():
    from ignbook.plots.pictures import bundle

    ignbook.plots.style()
    x = ignbook.data.draw_faces(ignbook.data.draw_attributes(6, torch.Generator().manual_seed(0)))
    data, _ = bundle(ignbook.plots.rows_of_images({"x": x, "black": -torch.ones_like(x)}, 6))
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
    (*first, kind, columns), (*second, _, _) = json.loads(picture.info["comment"])
    pixels = np.asarray(picture.convert("L"))
    assert (kind, columns) == ("picture", 6) and first[0] == second[0] and first[2] == second[2]
    rows = np.flatnonzero((pixels < 30).mean(1) > 0.7)  # those of the black images, in their frame of white
    columns = np.flatnonzero((pixels[rows] < 30).mean(0) > 0.7)
    frame = round(2 / 66 * (second[3] - second[1])) + 2
    assert np.abs(np.array(second) - (columns[0], rows[0], columns[-1], rows[-1])).max() <= frame
    figure, ax = plt.subplots()
    figure.colorbar(ax.pcolormesh(np.eye(3), cmap="magma"))
    picture = Image.open(io.BytesIO(base64.b64decode(bundle(figure)[0]["image/png"])))
    at, pixels = json.loads(picture.info["comment"]), np.asarray(picture.convert("L"))
    assert [kind for *_, kind, _ in at] == ["picture", "bar"]
    for left, top, right, bottom, *_ in at:  # colours to the edge
        across, down = pixels[(top + bottom) // 2], pixels[:, (left + right) // 2]
        assert max(across[left + 3], across[right - 4], down[top + 3], down[bottom - 4]) < 250
        assert down[top - 5] > 250 and pixels[top + 20, right + 5] > 250  # no spines there
    lines = bundle(ignbook.plots.panels({"a": {"b": [(torch.zeros(3, 2), "x")]}}))[0]["image/png"]
    assert "comment" not in Image.open(io.BytesIO(base64.b64decode(lines))).info


def test_frames_with_pictures_are_read_on_white_and_on_black():
    ignbook.plots.style()
    figure = ignbook.plots.rows_of_images({"a name": torch.zeros(3, 1, 32, 32)}, 3)
    frame = Image.open(io.BytesIO(ignbook.plots.frame(figure)))
    assert frame.mode == "RGBA" and frame.getpixel((0, 0))[3] == 0
    for ground in (0, 255):
        shown = Image.new("RGBA", frame.size, (ground,) * 3 + (255,))
        shown.alpha_composite(frame)
        words = np.asarray(shown.convert("L")).astype(int)[:, : frame.width // 6]
        assert np.abs(words - ground).max() > 100


def carried(html: str) -> tuple[list, list]:
    """The pictures of a player, and the values of each of its sliders."""
    return tuple(json.loads(re.search(rf"{name} = (\[.*?\])[,;](?= urls|\n)", html)[1]) for name in ("urls", "values"))


def test_a_player_carries_its_frames_and_values():
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "png")
    frames = [*(ignbook.plots.frame(torch.full((1, 1, 8, 8), v)) for v in (-1.0, 0.0)), png.getvalue()]
    player = ignbook.plots.player(frames, [0, 0.5, 1], "noise σ", alt="a grey square")
    html = player.data
    urls, values = carried(html)
    assert values == [["0", "0.5", "1"]] and 'max="2"' in html and 'alt="a grey square"' in html
    assert [base64.b64decode(url.split(",")[1]) for url in urls] == frames
    assert [url.split(";")[0] for url in urls] == ["data:image/webp", "data:image/webp", "data:image/png"]
    again = ignbook.plots.player(frames, [0, 0.5, 1], "noise σ", alt="a grey square").data
    other = ignbook.plots.player(frames, [0, 1, 2], "again", alt="again").data
    assert again == html and re.search(r'id="([^"]+)"', html)[1] != re.search(r'id="([^"]+)"', other)[1]
    assert "pixelated" in ignbook.plots.player(frames[:2], [0, 1], "noise", alt="letters").data
    written = ignbook.plots.frame(ignbook.plots.images(torch.zeros(1, 1, 2, 2), title="letters").figure)
    assert "pixelated" not in ignbook.plots.player([frames[0], written], [0, 1], "noise", alt="letters").data
    records = ignbook.plots.from_text(repr(player))
    assert records[0] == {"player": ["noise σ"], "values": [["0", "0.5", "1"]]}
    assert records[1:] == [{"frame": 0}, *frames[0].summary, {"frame": 1}, *frames[1].summary, {"frame": 2}]
    assert "base64" not in ignbook.plots.without_frames(html)


def test_the_words_of_a_player_are_escaped_and_its_sliders_named():
    frames = [ignbook.plots.frame(torch.full((1, 1, 8, 8), v)) for v in (-1.0, 1.0)]
    html = ignbook.plots.player(frames, ["</script><b>", '"'], "a < b & c", alt='"two" <pictures>').data
    assert html.count("</script>") == 1 and "<b>" not in html
    assert carried(html)[1] == [["</script><b>", '"']]
    assert 'alt="&quot;two&quot; &lt;pictures&gt;"' in html
    (label,) = re.findall(r'<label for="([^"]+)">a &lt; b &amp; c</label>', html)
    assert f'<input id="{label}" type="range"' in html and "aria-label" not in html  # the label is all of its name
    assert re.search(rf'</label>\s*<input [^>]*>\s*<output for="{label}" aria-live="polite"', html)


def test_a_player_with_two_sliders_finds_its_frames_row_by_row(tmp_path):
    frames = [ignbook.plots.frame(torch.full((1, 1, 8, 8), v)) for v in torch.linspace(-1, 1, 6)]
    html = ignbook.plots.player(frames, ["a", "b"], "noise σ", alt="grey", second=([0, 1, 2], "k")).data
    urls, values = carried(html)
    assert values == [["a", "b"], ["0", "1", "2"]] and [base64.b64decode(url.split(",")[1]) for url in urls] == frames
    assert re.findall(r'max="(\d)"', html) == ["1", "2"] and re.findall(r"<label [^>]*>([^<]+)<", html) == ["noise σ", "k"]
    with pytest.raises(ValueError, match="6 frames don't fit") as error:
        ignbook.plots.player(frames, ["a", "b"], "noise σ", alt="grey", second=([0, 1], "k"))
    one_sentence(error)
    if not (node := shutil.which("node")):
        pytest.skip("node is not there to run the player's script")
    script = re.search(r"<script>(.*)</script>", html, re.S)[1]
    page = """
const inputs = [0, 1].map(() => ({
  value: "0", addEventListener(kind, f) { this.moved = f; }, setAttribute(name, text) { this[name] = text; },
}));
const img = {}, outputs = [{}, {}];
const box = {querySelector: () => img, querySelectorAll: (kind) => kind === "input" ? inputs : outputs};
const document = {getElementById: () => box}, seen = [];
"""
    drag = """
for (const i of [0, 1]) for (const j of [0, 1, 2]) {
  inputs[0].value = String(i); inputs[1].value = String(j); inputs[(i + j) % 2].moved();
  seen.push([img.src, outputs[0].value, outputs[1].value, inputs[0]["aria-valuetext"]]);
}
console.log(JSON.stringify(seen));
"""
    (tmp_path / "page.js").write_text(page + script + drag)
    seen = json.loads(subprocess.run([node, str(tmp_path / "page.js")], capture_output=True, text=True, check=True).stdout)
    assert seen == [[urls[3 * i + j], "ab"[i], str(j), "ab"[i]] for i in range(2) for j in range(3)]


def test_seeds_are_dots_in_their_rows():
    scores = {"right": [{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.4}], "wrong": [{"a": 0.9, "b": 1.0}]}
    left, right = ignbook.plots.seeds(scores).axes
    assert [line.get_xdata().tolist() for line in left.lines if len(line.get_xdata())] == [[0.1, 0.3], [0.9]]
    assert [t.get_text() for t in left.get_yticklabels()] == ["right", "wrong"] and "b" in right.get_xlabel()


def scored(**changes):
    """A row of `ignbook.metrics.score`."""
    row = {
        "FD": 10.0,
        "KID": -3.0,
        "precision": 0.9,
        "recall": 0.9,
        "density": 1.0,
        "coverage": 0.9,
        "KL": 0.01,
        "confidence": 0.99,
    }
    return row | {"detail": 0.08} | changes


def test_a_report_card_prints_its_numbers_and_is_red_where_they_are_off():
    x = torch.zeros(9, 1, 8, 8)
    card = {
        "real": (x, scored()),
        "blur": (x, scored(detail=0.008, FD=4321.0)),
        "collapse": (x, scored(coverage=0.05, KL=2.3, KID=900.0)),
    }
    left, right, *_ = ignbook.plots.report_card(card, shown=4).axes
    names = [t.get_text() for t in right.get_xticklabels()]
    assert [t.get_text() for t in left.get_yticklabels()] == list(card) and left.images[0].get_array().shape[:2] == (32, 42)
    texts = np.array([t.get_text() for t in right.texts]).reshape(3, -1)
    red = dict(zip(names, np.asarray(right.images[0].get_array()).T))
    assert texts[1, names.index("sharpness")] == "0.10" and texts[1, names.index("FD")] == "4,321"
    assert (np.asarray(right.images[0].get_array())[0] == 0).all()
    assert red["sharpness"][1] > 0.9 and red["FD"][1] > 0.9 and red["coverage"][1] == red["KL"][1] == 0
    assert red["coverage"][2] > 0.9 and red["KL"][2] > 0.9 and red["KID"][2] > 0.4 and red["sharpness"][2] == 0


def test_size_bias_draws_dots_and_lines():
    fd, kid = {100: [5.0, 6.0], 1000: [2.0, 1.0]}, {100: [-1.0, 1.0], 1000: [0.1, 0.2]}
    left, right = ignbook.plots.size_bias({"real": ("red", fd, kid, (1.0, 400.0))}, mean_term=50.0).axes
    dots, line, means, _ = left.lines
    assert np.allclose(dots.get_xydata(), [[0.01, 5], [0.01, 6], [0.001, 2], [0.001, 1]])
    assert np.allclose(line.get_xydata(), [[0, 1], [0.01, 5]]) and np.allclose(means.get_xydata(), [[0, 0], [0.01, 0.5]])
    assert np.allclose(right.lines[0].get_ydata(), [-1, 1, 0.1, 0.2])


def test_birthdays_cross_one_half_at_the_batch():
    g = torch.Generator().manual_seed(0)
    x = (2 * torch.rand(60, 1, 8, 8, generator=g) - 1)[torch.randint(60, (300,), generator=g)]
    found = ignbook.metrics.birthday(x, 0.01)
    left, right = ignbook.plots.birthdays({"few": (found, x, "red")}).axes
    t, share = left.lines[0].get_data()
    assert share[t < found.batch].max(initial=0) <= 0.5 <= share[t <= found.batch].max() and share[-1] == 1
    assert left.lines[1].get_xydata().tolist() == [[found.batch, 0.5]]
    assert right.texts[0].get_text() == "few\n0.00 apart"


def test_cumulative_shares():
    ax = ignbook.plots.cumulative({"a": (torch.tensor([3.0, 1.0, 2.0, 2.0]), "red")}, "distance").axes[0]
    t, share = ax.lines[0].get_data()
    assert t.tolist() == [1, 1, 2, 2, 3] and share.tolist() == [0, 0.25, 0.5, 0.75, 1] and ax.get_xlabel() == "distance"


def test_strengths_as_lines_and_as_a_frame():
    rows = {0.0: scored(), -1.0: scored(detail=0.02, precision=0.5, FD=100.0), 1.0: scored(detail=0.4, recall=0.1)}
    left, right = ignbook.plots.strengths(rows).axes
    lines = {line.get_label(): line for line in left.lines}
    assert list(lines["sharpness"].get_xdata()) == [-1, 0, 1] and np.allclose(lines["sharpness"].get_ydata(), [0.25, 1, 5])
    assert list(lines["precision"].get_ydata()) == [0.5, 0.9, 0.9] and list(right.lines[0].get_ydata()) == [100, 10, 10]
    _, below = ignbook.plots.strength(torch.zeros(10, 1, 8, 8), rows[-1.0], rows[0.0], 1000.0).axes
    names = [t.get_text() for t in below.get_yticklabels()]
    widths = dict(zip(names, (bar.get_width() for bar in below.patches)))
    marks = dict(zip(names, (line.get_xdata()[0] for line in below.lines)))
    assert (
        widths["precision"] == 0.5 and widths["sharpness"] == pytest.approx(0.25) and widths["FD (log)"] == pytest.approx(1.0)
    )
    assert marks["precision"] == 0.9 and marks["sharpness"] == 1 and marks["FD (log)"] == pytest.approx(0.5)


def test_samples_of_a_run_are_found_and_shown_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(ignbook.checkpoints, "shipped", lambda folder: tmp_path / folder)
    picture = np.arange(60 * 30, dtype=np.uint8).reshape(30, 60)
    path = tmp_path / "results" / "runs" / "family" / "one-s2.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(picture).save(path)
    found = ignbook.plots.samples_of_run("family", "one", 2)
    assert np.array_equal(found, picture)
    ignbook.plots.save_grid(torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)), tmp_path / "sheet.png", 20)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    (ax,) = ignbook.plots.strips({"a name that is too long for one line": sheet}).axes
    assert ax.images[0].get_gid() == "20" and "\n" in ax.texts[0].get_text()
    axes = ignbook.plots.strips({"a": found, "b": picture // 2}).axes
    assert [ax.texts[0].get_text() for ax in axes] == ["a", "b"] and np.array_equal(axes[1].images[0].get_array(), picture // 2)
    with pytest.raises(FileNotFoundError, match="one-s0"):
        ignbook.plots.samples_of_run("family", "one")
    colour = np.stack([picture, picture // 2, picture // 3], 2)
    Image.fromarray(colour).save(path.with_name("two-s0.png"))
    assert np.array_equal(ignbook.plots.samples_of_run("family", "two"), colour)
    assert np.array_equal(ignbook.plots.strips({"a": colour}).axes[0].images[0].get_array(), colour)


def test_stretch_is_drawn_beside_what_is_in_proportion():
    ax = ignbook.plots.stretches({0.1: [0.02, 0.01], 0.01: [0.002, 0.003], 1.0: [0.1, 0.1]}).axes[0]
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}
    assert lines["$f(z)$"] == ([0.01, 0.1, 1.0], [0.002, 0.02, 0.1]) and lines["$f^2(z)$"][1] == [0.003, 0.01, 0.1]
    assert lines["in proportion"][1] == pytest.approx([0.002, 0.02, 0.2])


def test_stretches_of_several_models_share_an_axis():
    left, right = ignbook.plots.stretches_of({"a": {0.1: [0.02], 1.0: [0.1]}, "b": {0.1: [0.03], 1.0: [0.2]}}).axes
    assert (left.get_title(), right.get_title()) == ("a", "b") and list(right.lines[0].get_ydata()) == [0.03, 0.2]


def test_radii_along_paths_have_mean_and_range():
    path = torch.tensor([[1.0, 1.0], [0.7, 0.9], [1.0, 1.1]])
    left, right = ignbook.plots.radii(torch.ones(50), torch.linspace(0.5, 1.5, 11), {"line": path}).axes
    assert left.lines[0].get_ydata() == pytest.approx([1.0, 0.8, 1.05]) and list(left.lines[0].get_xdata()) == [0, 0.5, 1]
    edge = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == pytest.approx((0.7, 1.1))
    assert [sum(bar.get_width() for bar in bars) for bars in right.containers] == pytest.approx([1, 1])  # shares


def test_changes_are_numbers_on_colours_and_the_one_asked_for_has_a_frame():
    rows = {"smile": {"hair": -0.001, "smile": 0.4, "turn": 0.0}, "turn": {"hair": 0.1, "smile": -0.2, "turn": 0.5}}
    figure = ignbook.plots.changes({"codes": rows, "white": rows, "pixels": rows}, columns=2, top=0.5)
    ax = figure.axes[0]
    assert ax.images[0].get_array().tolist() == [[-0.001, 0.4, 0.0], [0.1, -0.2, 0.5]] and ax.images[0].get_clim() == (
        -0.5,
        0.5,
    )
    assert [t.get_text() for t in ax.texts] == [".00", ".40", ".00", ".10", "-.20", ".50"]
    assert [(frame.get_x(), frame.get_y()) for frame in ax.patches] == [(0.5, -0.5), (1.5, 0.5)]
    assert [ax.get_title() for ax in figure.axes[:4]] == ["codes", "white", "pixels", ""]


def test_captions_and_numbers_stand_at_their_images():
    x = torch.zeros(3, 3, 8, 8)
    figure = ignbook.plots.captioned({"a": x, "b": x}, {"smile": ["0.1", "0.2", "0.3"]})
    texts = {t.get_text(): t.get_position()[0] for t in figure.axes[-1].texts}
    assert [texts[name] for name in ("0.1", "0.2", "0.3")] == pytest.approx([1 / 6, 1 / 2, 5 / 6]) and texts["smile"] < 0
    sheet = ignbook.plots.numbered(x, columns=2, start=7).axes[0]
    assert [(t.get_text(), t.get_position()) for t in sheet.texts] == [("7", (4, 4)), ("8", (14, 4)), ("9", (4, 14))]


def test_runs_are_dots_in_their_rows_and_real_data_a_line():
    lines = {"real": [{"FD": 3.0, "drift": 0.0}], "a": [{"FD": 5.0, "drift": 0.1}, {"FD": 6.0}], "b": [{"FD": 9.0}]}
    fd, drift = ignbook.plots.runs_by_measure(lines, ["FD", "drift"]).axes
    assert [list(line.get_xdata()) for line in fd.lines] == [[3.0, 3.0], [5.0, 6.0], [9.0]] and fd.get_xlabel() == "FD"
    assert [list(line.get_xdata()) for line in drift.lines[1:]] == [[0.1], []]
    assert [t.get_text() for t in fd.get_yticklabels()] == ["a", "b"]


def test_three_ends_are_what_their_titles_say():
    x, z = torch.tensor([[-1.0], [-0.7], [0.8]]), torch.tensor([[-2.0], [0.3], [1.0]])
    axes = constant, projector, runaway = ignbook.plots.three_ends(x, z).axes
    fz = {ax: next(line for line in ax.lines if line.get_label() == "$f(z)$").get_ydata().ravel() for ax in axes}
    assert np.allclose(fz[constant], -0.7) and "$\\delta(f(z))$ = 0.0" in constant.get_title()  # the median, a fixed point
    assert np.allclose(fz[projector], [-1.2, 0.6, 1.0]) and "$\\delta(x)$ = 0.0, $\\delta(f(z))$ = 0.0" in projector.get_title()
    assert np.allclose(fz[runaway], [-6.6, 1.5, 1.0])  # 3 y -+ 0.6 off the data; of these, the drifts are 13.8, 3.6 and 0
    assert "$\\delta(x)$ = 0.0, $\\delta(f(z))$ = 5.8" in runaway.get_title()
    graph = np.concatenate([line.get_xydata() for line in projector.lines if line.get_color() == "black"])
    assert len(graph) > 990  # all of the axis, but for the jump and its like
    assert np.allclose(graph[:, 1], np.sign(graph[:, 0]) * np.clip(abs(graph[:, 0]), 0.6, 1.2))


def test_settings_and_courses_draw_what_they_are_given():
    settings = {"low": {"a": [1.0, 2.0], "b": [3.0]}, "high": {"a": [4.0], "b": [5.0]}}
    low, high = ignbook.plots.by_setting(settings, "drift", {"best": 2.5}).axes
    dots = [line.get_xydata().tolist() for line in low.lines if line.get_marker() == "o"]
    assert dots == [[[0, 1], [0, 2]], [[1, 3]]] and low.get_yscale() == "log" and low.get_ylabel() == "drift"
    assert [t.get_text() for t in high.get_xticklabels()] == ["a", "b"] and high.get_title() == "high"
    assert [t.get_text() for t in low.get_legend().get_texts()] == ["best"]

    rows = [{"step": 1, "u": 0.5, "v": 3.0}, {"step": 7, "u": 0.25, "v": 4.0}]
    left, right = ignbook.plots.courses({"run": rows}, {"u": "U", "v": "V"}, {"v": {"data": 1.0}}).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 0.5], [7, 0.25]] and left.get_ylabel() == "U"
    assert right.lines[0].get_xydata().tolist() == [[1, 3.0], [7, 4.0]] and set(right.lines[1].get_ydata()) == {1.0}
    assert [t.get_text() for ax in (left, right) for t in ax.get_legend().get_texts()] == ["run", "data"]
    (timed,) = ignbook.plots.courses({"run": rows}, {"u": "U"}, across="v").axes
    assert timed.lines[0].get_xydata().tolist() == [[3, 0.5], [4, 0.25]] and timed.get_xlabel() == "v"


def test_the_mixture_has_the_moments_of_its_parts():
    figure = ignbook.plots.mixture({"x": (1.0, 0.25, "blue"), "z": (-0.5, 0.64, "grey")})
    for ax, mean, variance in zip(figure.axes, (0.25, 0.0), (0.445 + 1.5**2 / 4, 1.0)):  # by hand, two halves
        t, density = ax.lines[0].get_xdata(), ax.lines[0].get_ydata()
        assert t[density.argmax()] == pytest.approx(mean, abs=0.02)
        assert density.max() == pytest.approx(1 / np.sqrt(2 * np.pi * variance), rel=1e-3)
    after = [c.get_paths()[0].vertices for c in figure.axes[1].collections]
    tops = [v[v[:, 1].argmax(), 0] for v in after]
    assert np.allclose(tops, np.array([0.75, -0.75]) / np.sqrt(1.0075), atol=0.02)


def test_against_lambda_draws_each_seed_the_mean_and_the_bound():
    line = {"coverage": 0.5, "excess": 3.0}
    constant = {0.25: [line, line | {"coverage": 0.7}], 1.0: [line | {"excess": 1.5}]}
    courses = {"constant": constant, "rising": {0.25: [line | {"coverage": 0.9}]}}
    figure = ignbook.plots.against_lambda(courses, {"coverage": "coverage", "excess": "excess"}, {"coverage": 0.96})
    lines = {ax.get_ylabel(): {one.get_label(): one for one in ax.get_lines()} for ax in figure.axes}
    means = [one.get_ydata().tolist() for one in figure.axes[0].get_lines() if one.get_linewidth() == 1.3]
    assert means == [pytest.approx([0.6, 0.5]), [0.9]] and lines["coverage"]["real data"].get_ydata() == [0.96] * 2
    dots = [one for one in figure.axes[0].get_lines() if one.get_marker() == "o"]
    assert {one.get_label(): sorted(one.get_ydata()) for one in dots} == {"constant": [0.5, 0.5, 0.7], "rising": [0.9]}
    t, bound = lines["excess"]["bound $1/\\lambda$"].get_data()
    assert bound == pytest.approx(1 / t) and (t.min(), t.max()) == (0.25, 1.0)
    plt.close(figure)


def test_shares_stand_below_their_bound():
    share, real = [0.3, 0.7], [0.4, 0.6]
    figure = ignbook.plots.shares_against_bound(share, real, 0.5, np.zeros((8, 20)), names="ab")
    ax = figure.axes[1]
    assert [bar.get_height() for bar in ax.containers[0]] == share
    bound, data = (patch for patch in ax.patches if patch not in ax.containers[0].patches)
    assert bound.get_data().values.tolist() == pytest.approx([0.8, 1.2]) and data.get_data().values.tolist() == real
    plt.close(figure)


def test_rows_of_images_take_titles():
    figure = ignbook.plots.rows_of_images({"a": torch.zeros(2, 1, 8, 8)}, columns=2, titles=["left", "right"])
    name, left, right = figure.axes[0].texts
    assert [t.get_text() for t in (name, left, right)] == ["a", "left", "right"]
    assert (left.get_position()[0], right.get_position()[0]) == (0.25, 0.75)


def test_marks_stand_in_the_row_and_panel_of_their_value():
    panels = {
        "L1": {"none": {"input": 0.0, "f": 0.1}, "noise": {"input": 0.3, "f": 0.2}},
        "AUROC": {"noise": {"drift of f": 0.9}},
    }
    left, right = ignbook.plots.by_row(panels, {"AUROC": 0.5}).axes
    marks = [
        [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() != "None"] for ax in (left, right)
    ]
    assert marks == [[(0.0, 0), (0.1, 0), (0.3, -1), (0.2, -1)], [(0.9, -1)]]
    assert [t.get_text() for t in left.get_yticklabels()] == ["none", "noise"] and left.get_xlabel() == "L1"
    assert 0.5 in [line.get_xdata()[0] for line in right.lines]
    assert [t.get_text() for t in left.figure.legends[0].get_texts()] == ["input", "f", "drift of f"]
    row = {"none": {"input": 0.0, "f": 1.0, "denoiser": 2.0}}
    one, two, other = ignbook.plots.by_row({"KID, a": row, "KID, b": {"none": {"f": 50.0}}, "L1": row}, wide=("KID",)).axes
    assert one.get_xlim() == two.get_xlim() != other.get_xlim() and one.get_xscale() == two.get_xscale() == "symlog"
    assert one.get_xlim()[1] > 50 and other.get_xscale() == "linear"


def test_errors_of_attributes_are_written_out_and_full_at_chance():
    figure = ignbook.plots.attribute_errors({"f": {"none": [0.0, 0.33], "noise": [0.1, 0.2]}}, ["skin", "hair"], [0.33, 0.33])
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.texts] == [".00", ".33", ".10", ".20"] and ax.get_title() == "f"
    assert ax.images[0].get_array()[0].tolist() == [0, 1]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["none", "noise"]


HOSTILE = """a | <b> "quoted" 'too' & </script><img src=x onerror=alert(1)> c"""


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self):
        super().__init__()
        self.found, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_hostile_words_stay_words_in_a_player():
    frames = [ignbook.plots.frame(torch.full((1, 1, 8, 8), v)) for v in (-1.0, 1.0)]
    data = ignbook.plots.player(frames, [HOSTILE, "b"], HOSTILE, alt=HOSTILE, second=([HOSTILE], HOSTILE)).data
    harmless = ignbook.plots.player(frames, ["a", "b"], "c", alt="d", second=(["e"], "f")).data
    pages = Tags(), Tags()
    for page, text in zip(pages, (data, harmless)):
        page.feed(text)
    assert [tag for tag, _ in pages[0].found] == [tag for tag, _ in pages[1].found]
    assert [set(about) for _, about in pages[0].found] == [set(about) for _, about in pages[1].found]
    (picture,) = (about for tag, about in pages[0].found if tag == "img")
    assert picture["alt"] == HOSTILE and pages[0].text.count(HOSTILE) == 4  # two labels, two values
    assert carried(data)[1] == [[HOSTILE, "b"], [HOSTILE]]


@pytest.mark.parametrize("width", ["1px;background:url(x)", 1.5, None])
def test_the_width_of_a_player_is_a_number(width):
    frame = ignbook.plots.frame(torch.zeros(1, 1, 8, 8))
    with pytest.raises(TypeError, match="width is to be a whole number") as error:
        ignbook.plots.player([frame], [1], "a", alt="b", width=width)
    one_sentence(error)


def test_bytes_are_not_shown_as_white():
    for x in (torch.full((2, 1, 8, 8), 128, dtype=torch.uint8), torch.full((2, 1, 8, 8), 128.0)):
        for call in (ignbook.plots.images, ignbook.plots.frame, lambda y: ignbook.plots.rows_of_images({"a": y})):
            with pytest.raises(ValueError, match=r"scale them to \[-1, 1\]") as error:
                call(x)
            one_sentence(error)


def test_one_column_is_a_figure_too():
    y = torch.zeros(5, 2)
    assert len(ignbook.plots.film({"a": lambda y: y}, y, y).axes) == 3  # two and their colour bar
    assert ignbook.plots.generator_losses([0.0, 1.0], {"a": [[2.0, 3.0]]}, 0.5, ["M"]).axes[0].get_title() == "M"
    assert len(ignbook.plots.picture_game([0, 1], [0.5, 0.5], [("a", [0.5, 0.5], [0, 1])], [1, 1]).axes) == 2


def test_costs_draw_each_point_twice_and_the_held_out_ones_apart():
    points = [{"side": side, "operations": side * 1e6, "seconds": side / 10, "predicted": side / 9} for side in (32, 64, 128)]
    figure = ignbook.plots.costs(points, 128)
    drawn = [[tuple(zip(*line.get_data())) for line in ax.get_lines() if line.get_marker() == "o"] for ax in figure.axes]
    assert drawn[0] == [((32e6, 3.2), (64e6, 6.4)), ((128e6, 12.8),)]
    assert drawn[1] == [((32 / 9, 3.2), (64 / 9, 6.4)), ((128 / 9, 12.8),)]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["32, 64 pixels", "128 pixels"]
    plt.close(figure)
