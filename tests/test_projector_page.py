"""The projector, book/lab/projector.html, in a real browser: what it computes against ignbook, and who can use it.

Skipped where there is no Chromium, or the weights aren't there (`python book/weights.py`); with IGN_REQUIRE_BOOK=1 either is
a failure.  What needs no browser is tested by node, in book/lab/test.
"""

import base64
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from checks import opener, script, tab_to
from PIL import Image, ImageDraw
from test_book import BARRIERS, LOCAL, PAPER, axe, browser, serve, static_problems, unavailable  # noqa: F401, two are fixtures

import ign_core
import ignbook

ROOT = Path(__file__).resolve().parent.parent
LAB, WEIGHTS = ROOT / "book" / "lab", ROOT / "book" / "_weights"
PAGE = LAB / "projector.html"
EQUAL = 2e-3  # a thousandth of the range [-1, 1]


def load_weights():
    return script(ROOT / "book" / "weights.py")


MODELS = load_weights().names()


@pytest.fixture
def projector(browser):  # noqa: F811
    """Opens the page from disk in a context of one's own and waits for its first projection: projector(hash, **settings)."""
    if not all((WEIGHTS / f"lab-weights-{name}.js").exists() for name in MODELS):
        unavailable("the weights of the projector aren't there; run `python book/weights.py` first")
    ready = "window.ignProjector && ignProjector.state().first && document.querySelector('#sample-6')"
    with opener(browser, LOCAL, ready) as opened:

        def open_(end: str = "", page_at: str = PAGE.as_uri(), home: str = (ROOT / "book").as_uri(), **settings):
            return opened(page_at + end, home, **settings)

        yield open_


@pytest.fixture(scope="module")
def model():
    loaded = {}
    return lambda name: loaded.setdefault(name, ignbook.baselines.load(name))


# Numbers go to and fro as bytes in base 64: lists of them would take minutes.
ASKED = """async ([name, given]) => {
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const read = v => v.floats ? new Float32Array(bytes(v.floats).buffer) : v.bytes ? {...v, data: bytes(v.bytes)} : v;
  const found = new Uint8Array(Float32Array.from((await ignProjector[name](...given.map(read))).flat()).buffer);
  return btoa(Array.from(found, byte => String.fromCharCode(byte)).join(""));
}"""


def ask(page, name: str, *given) -> torch.Tensor:
    """What a function of the page's ignProjector gives, flat; tensors among the arguments become Float32Arrays."""
    coded = [{"floats": encoded(v.float().numpy().tobytes())} if isinstance(v, torch.Tensor) else v for v in given]
    return torch.frombuffer(bytearray(base64.b64decode(page.evaluate(ASKED, [name, coded]))), dtype=torch.float32)


def encoded(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def state(page) -> dict:
    return page.evaluate("ignProjector.state()")


def called(page, words: str) -> None:
    """Waits until the page says so of y."""
    page.wait_for_function("words => document.getElementById('y-called').textContent === words", arg=words)


def changed(page, before: list) -> None:
    page.wait_for_function("before => JSON.stringify(ignProjector.state().y) !== JSON.stringify(before)", arg=before)


def test_f_is_that_of_torch(projector, model, generator, capsys):
    page = projector()
    for name in MODELS:
        f, z = model(name).f, model(name).source.sample(1, generator)
        with torch.no_grad():
            for y in (z, f(z), 2 * torch.rand(z.shape, generator=generator) - 1):
                assert (ask(page, "apply", name, y) - f(y).flatten()).abs().max() < EQUAL, name
        for plain in (False, True):
            own = page.evaluate("([name, plain]) => ignProjector.compare(name, {plain})", [name, plain])
            assert own["difference"] < 1e-3 and own["fast"] is not plain, name
            with capsys.disabled():
                how = "without WebAssembly" if plain else "with it"
                print(f"\nthe projector: {name} takes {own['milliseconds']:.1f} ms {how}", end="")


@pytest.mark.parametrize("name", ["mnist", "faces-settled"])
def test_draws_and_the_path_between_them_are_the_sources(projector, model, generator, name):
    page, source = projector(), model(name).source
    a, b = torch.randn(2, 1, *source.mean.shape, generator=generator)
    ends = [source.from_white(e) for e in (a, b)]
    for t in (0.0, 0.3, 1.0):
        expected = ignbook.latent.PATHS["spherical, white"](source, *ends, t)
        assert (ask(page, "path", name, a, b, t) - expected.flatten()).abs().max() < 1e-3, t


def test_draws_have_the_sources_statistics(projector, model, generator):
    n = 400
    drawn = ask(projector(), "draws", "mnist", n).reshape(n, 1, 32, 32)
    expected = model("mnist").source.sample(n, generator)
    for one in (lambda z: z.mean(0), lambda z: z.std(0)):
        assert (one(drawn) - one(expected)).abs().mean() < 0.1 * expected.std()
    again = ign_core.FourierSource.of(drawn)
    assert (again.std - model("mnist").source.std).abs().mean() < 0.1 * again.std.mean()


def test_corruptions_are_those_of_python(projector, generator):
    page = projector()
    for shape in ((1, 1, 32, 32), (1, 3, 64, 64)):
        x = 2 * torch.rand(shape, generator=generator) - 1
        for name, strength in (("grey", 1.0), ("grey", 0.5), ("sketch", 21), ("sketch", 5), ("blur", 2.0), ("blur", 0.5)):
            expected = ignbook.projector.corrupt(x, name, strength)
            assert (ask(page, "corrupt", name, shape[1:3], x, strength) - expected.flatten()).abs().max() < 1e-4, (
                shape,
                name,
                strength,
            )


def test_erasing_leaves_a_grey_square(projector):
    x = torch.ones(1, 3, 64, 64)
    found = ask(projector(), "erase", (3, 64), x, 20, 3, 7)
    x[..., 3:23, 7:27] = 0
    assert torch.equal(found, x.flatten())


def a_drawing(width: int, height: int, light: bool) -> Image.Image:
    """A thick seven on uneven paper, away from the middle."""
    noise = np.random.default_rng(0).integers(0, 6, (height, width, 3))
    picture = Image.fromarray(((235 + noise) if light else 10 + noise).astype(np.uint8))
    line = [(width * a, height * b) for a, b in ((0.3, 0.2), (0.6, 0.22), (0.4, 0.7))]
    ImageDraw.Draw(picture).line(line, (40, 30, 20) if light else (250, 240, 255), width=width // 15)
    return picture


def test_images_are_prepared_as_python_does_it(projector, model):
    page = projector()
    for name in ("mnist", "fashion", "faces-settled"):
        recipe = ignbook.checkpoints.recipe_of(model(name).card, ign_core.Recipe)
        for width, height, light in ((280, 280, True), (301, 200, False), (90, 131, True), (90, 131, False)):
            picture = a_drawing(width, height, light)
            given = {"bytes": encoded(picture.convert("RGBA").tobytes()), "width": width, "height": height}
            expected = ignbook.data.prepare(picture, recipe)
            apart = (ask(page, "prepare", name, given) - expected.flatten()).abs()  # a byte's rounding, here and there
            assert apart.max() < 1.01 * 2 / 255 and (apart > 1e-4).float().mean() < 0.02, (name, width, light)


def test_it_works_over_http_and_from_disk_and_its_first_projection_is_told(projector, tmp_path, capsys):
    for path in (PAGE, *WEIGHTS.glob("*.js")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 25e6
    server = serve(tmp_path)
    http = f"http://127.0.0.1:{server.server_port}/"
    try:
        for home in (tmp_path.as_uri() + "/", http):
            page = projector("#faces", page_at=f"{home}projector.html", home=home)
            assert list(state(page)["drifts"]) == ["faces-settled"]
            with capsys.disabled():
                print(f"\nthe projector: {state(page)['first']:.0f} ms to the first projection, {home.split(':')[0]}", end="")
    finally:
        server.shutdown()
        server.server_close()


def test_a_model_is_loaded_when_it_is_asked_for(projector):
    page = projector()
    asked = []
    page.on("request", lambda r: asked.append(Path(r.url).name))
    page.check("#model-mnist-paper-light")
    page.wait_for_function("ignProjector.state().drifts['mnist-paper-light']")
    assert asked == ["lab-weights-mnist-paper-light.js"]
    page.uncheck("#model-mnist-paper-light")
    page.check("#model-mnist-paper-light")
    assert len(asked) == 1 and state(page)["models"] == ["mnist", "mnist-paper-light"]
    assert page.locator("#card-mnist-paper-light").is_visible()


def test_missing_weights_are_told_in_one_sentence(browser, tmp_path):  # noqa: F811
    (tmp_path / "projector.html").write_bytes(PAGE.read_bytes())
    page = browser.new_page()
    page.goto((tmp_path / "projector.html").as_uri())
    page.wait_for_function("document.getElementById('status').textContent.includes('lab-weights-mnist.js')")
    assert "make html" in page.inner_text("#status")
    failed = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.select_option("#corruption", "noise")
    page.click("#draw")
    page.wait_for_timeout(200)
    assert not failed
    page.close()


def test_the_drift_falls_as_f_is_applied(projector):
    page = projector()
    page.fill("#times", "3")
    [drifts] = state(page)["drifts"].values()
    assert len(drifts) == 4 and drifts[0] > 5 * drifts[1]
    assert page.get_attribute("#times", "aria-valuetext") == "3 times: f³(y)"
    page.wait_for_function("document.getElementById('told').textContent.includes('f³(y) drifts by 0.0')")


def test_z_is_drawn_anew_and_dragged_along_a_path(projector):
    page = projector()
    ys = [state(page)["y"]]
    for t in ("0.5", "1"):
        page.fill("#path", t)
        changed(page, ys[-1])
        ys.append(state(page)["y"])
    page.click("#draw")
    changed(page, ys[-1])
    assert page.input_value("#path") == "0" and state(page)["y"] not in ys
    page.select_option("#corruption", "noise")
    assert page.locator("#undamaged").is_visible()  # z is no image


def test_a_sample_is_damaged_and_projected(projector):
    page = projector("#faces")
    page.check("#model-faces-narrow")
    page.click("#sample-2")
    called(page, "sample 2")
    clean = state(page)["y"]
    for name, words in (("sketch", "sketch filter"), ("grey", "grey"), ("mask", "erase a square"), ("noise", "noise")):
        page.select_option("#corruption", name)
        called(page, f"sample 2, {words}")
        assert state(page)["y"] != clean
    damaged = state(page)["y"]
    page.click("#again")
    changed(page, damaged)
    page.fill("#strength", "0.05")
    page.wait_for_function(
        "clean => Math.max(...ignProjector.state().y.map((v, i) => Math.abs(v - clean[i]))) < 0.3", arg=clean
    )


def test_one_can_draw_with_mouse_and_with_keys_and_take_it_to_another_kind(projector):
    page = projector()
    box = page.locator("#pad").bounding_box()
    at = lambda a, b: (box["x"] + a * box["width"], box["y"] + b * box["height"])  # noqa: E731
    page.mouse.move(*at(0.3, 0.3))
    page.mouse.down()
    page.mouse.move(*at(0.6, 0.3), steps=5)
    page.mouse.move(*at(0.4, 0.8), steps=5)
    page.mouse.up()
    called(page, "your drawing")
    drawn = torch.tensor(state(page)["y"]).reshape(32, 32)
    rows, columns = (drawn > 0).nonzero().unbind(1)
    assert max(rows.max() - rows.min(), columns.max() - columns.min()) + 1 in (19, 20)  # as MNIST has it
    before = state(page)["y"]
    page.focus("#pad")
    for key in ("Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    changed(page, before)
    page.click("#kind-faces")
    page.wait_for_function("ignProjector.state().y?.length === 3 * 64 * 64")
    assert state(page)["called"] == "your drawing" and "#faces" in page.url
    page.click("#clear")
    called(page, "z")


def test_files_are_taken_and_what_is_none_is_told(projector):
    page, file = projector(), io.BytesIO()
    a_drawing(200, 300, True).save(file, "PNG")
    page.set_input_files("#file", {"name": "seven.png", "mimeType": "image/png", "buffer": file.getvalue()})
    called(page, "your image")
    before = state(page)["y"]
    blank = io.BytesIO()
    Image.new("RGB", (50, 50), "white").save(blank, "PNG")
    for content, words in ((b"nothing", "no image"), (blank.getvalue(), "stands out")):
        page.set_input_files("#file", {"name": "other.png", "mimeType": "image/png", "buffer": content})
        page.wait_for_function("words => document.getElementById('status').textContent.includes(words)", arg=words)
        assert state(page)["y"] == before
    page.click("#sample-1")
    called(page, "sample 1")
    assert page.inner_text("#status") == ""


BROUGHT = """([type, field, bytes]) => {
  const transfer = new DataTransfer();
  if (bytes) transfer.items.add(new File([Uint8Array.from(bytes)], "seven.png", {type: "image/png"}));
  else transfer.items.add("words", "text/plain");
  const Kind = type === "paste" ? ClipboardEvent : DragEvent;
  document.body.dispatchEvent(new Kind(type, {bubbles: true, cancelable: true, [field]: transfer}));
}"""


@pytest.mark.parametrize("event, field", [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_images_are_dropped_and_pasted(projector, event, field):
    page, file = projector(), io.BytesIO()
    a_drawing(200, 300, True).save(file, "PNG")
    page.evaluate(BROUGHT, [event, field, None])
    assert "no image" in page.inner_text("#status")
    page.evaluate(BROUGHT, [event, field, list(file.getvalue())])
    called(page, "your image")


FILMED = """navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 320, height: 240});
  const context = canvas.getContext("2d");
  setInterval(() => {
    context.fillStyle = "white"; context.fillRect(0, 0, 320, 240);
    context.fillStyle = "black"; context.fillRect(150, 60, 20, 120);
  }, 20);
  return canvas.captureStream();
}"""


def test_the_camera_is_asked_for_and_let_go(projector):
    page = projector(script=FILMED)
    page.click("#camera")
    page.wait_for_function("document.activeElement.id === 'take' && document.getElementById('video').videoWidth === 320")
    page.click("#take")
    called(page, "your image")
    assert not page.locator("#shot").is_visible() and page.evaluate("document.activeElement.id") == "camera"
    refused = projector(script="navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no'))")
    refused.click("#camera")
    assert "choose a file" in refused.inner_text("#status")


def test_without_webassembly_it_projects_all_the_same_and_says_so(projector):
    page = projector(script="delete globalThis.WebAssembly")
    assert page.locator("#slow").is_visible() and state(page)["drifts"]["mnist"]
    assert not projector().locator("#slow").is_visible()


def test_a_keyboard_reaches_and_works_everything(projector):
    page = projector()
    reach = partial(tab_to, page, at_most=40)
    reach("kind-clothes")
    page.keyboard.press("Enter")
    page.wait_for_function("ignProjector.state().drifts.fashion")
    reach("pad")
    reach("times")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("ignProjector.state().drifts.fashion.length === 3")
    reach("file")
    reach("camera")
    page.wait_for_selector("#sample-1")
    reach("sample-1")
    page.keyboard.press("Enter")
    called(page, "sample 1")
    reach("corruption")
    page.keyboard.press("ArrowDown")
    called(page, "sample 1, noise")
    for name in ("strength", "again", "draw", "path", "model-fashion", "check"):
        reach(name)
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('checked').textContent.startsWith('fashion: equal')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_keeps_readers_out(projector, axe, width, scheme):  # noqa: F811
    page = projector("#faces", viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(axe)
    problems = page.evaluate(BARRIERS)
    page.check("#model-faces-denoise")
    page.wait_for_function("ignProjector.state().drifts['faces-denoise']")  # its card grows then, and moves what is below it
    page.click("#sample-1")
    page.select_option("#corruption", "mask")
    page.evaluate("document.getElementById('shot').hidden = false")
    page.click("#erase")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowLeft")
    page.click("#check")
    page.wait_for_function("document.getElementById('checked').textContent")
    problems += page.evaluate(BARRIERS)
    assert not problems, "\n".join(problems)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_brush_erases_by_hand_and_by_keys(projector, generator):
    page = projector()
    page.click("#sample-2")
    called(page, "sample 2")
    whole = torch.tensor(state(page)["y"])
    page.click("#erase")
    box = page.locator("#y").bounding_box()
    at = {share: (box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.3, 0.5)}
    page.mouse.move(*at[0.3])
    page.mouse.down()
    page.mouse.move(*at[0.5])
    page.mouse.up()
    called(page, "sample 2, erased by hand")
    by_hand = torch.tensor(state(page)["y"])
    changed_at = (by_hand != whole).nonzero().flatten()
    assert len(changed_at) > 20 and by_hand[changed_at].abs().max() == 0
    rows, columns = changed_at // 32, changed_at % 32
    assert rows.min() > 4 and rows.max() < 21 and (rows - columns).abs().max() < 10  # along the diagonal that was drawn
    page.focus("#y")
    for key in (" ", "ArrowLeft", "ArrowLeft", " "):
        page.keyboard.press(key)
    assert (torch.tensor(state(page)["y"]) == 0).sum() > (by_hand == 0).sum()
    page.click("#unerase")
    called(page, "sample 2")
    assert torch.equal(torch.tensor(state(page)["y"]), whole)
    page.click("#erase")
    assert page.get_attribute("#y", "role") == "img"  # and a touch scrolls the page again


def test_on_a_small_screen_a_strip_shows_what_is_out_of_sight(projector):
    page = projector(viewport={"width": 360, "height": 600})
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("document.getElementById('strip').hidden")
    page.focus("#path")
    page.wait_for_function("!document.getElementById('strip').hidden")
    assert page.locator("#strip canvas").count() == 2  # y and f(y)
    through = page.evaluate("getComputedStyle(document.getElementById('strip')).pointerEvents")
    assert through == "none"  # it may come up between the press and the release of a button
    strip, slider = (page.locator(name).bounding_box() for name in ("#strip", "#path"))
    assert strip["y"] + strip["height"] <= 601 and slider["y"] + slider["height"] <= strip["y"] + 1


def test_it_is_fit_for_the_book_and_leads_to_the_lab_and_back(projector):
    html = PAGE.read_text(encoding="utf-8")
    assert not static_problems(html) and len(html.encode()) < 100_000
    page = projector(viewport={"width": 718, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.evaluate(PAPER)
    page.emulate_media(media="screen")
    page.click("text=the lab")
    page.wait_for_function("window.ignLab")
    page.click("text=the projector")
    page.wait_for_function("window.ignProjector")


def test_weights_are_written_whole_or_not_at_all(projector, tmp_path, monkeypatch):
    weights, target = load_weights(), tmp_path / "_weights"
    monkeypatch.setattr(weights, "names", lambda: ["fashion"])
    weights.main(target)
    written, there = ((folder / "lab-weights-fashion.js").read_text().split('"data": "') for folder in (target, WEIGHTS))
    assert written[0] == there[0] and len(written[1]) == pytest.approx(len(there[1]), rel=1e-4)
    monkeypatch.setattr(weights, "names", lambda: ["mnist-paper-light", "ring"])
    with pytest.raises(ValueError, match="ring is another kind of f"):
        weights.main(target)
    assert [path.name for path in target.iterdir()] == ["lab-weights-fashion.js"] and len(list(tmp_path.iterdir())) == 1
