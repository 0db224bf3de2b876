"""The lab, book/lab/lab.html, in a real browser: what it computes against ign_core, and who can use it.

Skipped where there is no Chromium; with IGN_REQUIRE_BOOK=1 that is a failure.  What needs no browser is tested by node, in
book/lab/test.
"""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from checks import opener, tab_to
from test_book import BARRIERS, LOCAL, PAPER, axe, browser, serve, static_problems  # noqa: F401, two are fixtures

import ign_core
import ignbook.data

LAB = Path(__file__).resolve().parent.parent / "book" / "lab"
PAGE = (LAB / "lab.html").as_uri()
WIDTH, BATCH = 64, 64


@pytest.fixture
def lab(browser):  # noqa: F811
    """Opens the page from disk, at an address's end, in a context of one's own: lab(hash, **settings) -> page."""
    with opener(browser, LOCAL, "window.ignLab && ignLab.state().precision !== null") as opened:
        yield lambda end="", home=PAGE, **settings: opened(home + end, home, **settings)


def network(width: int = WIDTH) -> ign_core.MLP:
    torch.manual_seed(0)
    f = ign_core.MLP(2, width, 3)
    with torch.no_grad():  # away from its start, where f is nearly constant
        [p.add_(0.1 * torch.randn(p.shape)) for p in f.parameters()]
    return f


def flat(tensors) -> list[float]:
    return torch.cat([t.detach().flatten() for t in tensors]).tolist()


@pytest.fixture
def batches(generator):
    ring = ignbook.data.manifold("ring")
    return [(ring.sample(BATCH, generator), torch.randn(BATCH, 2, generator=generator)) for _ in range(20)]


def test_the_gradient_of_each_term_is_that_of_ign_core(lab, batches):
    f, (x, z) = network(width=32), batches[0]
    zero = {"reconstruction": 0.0, "idempotence": 0.0, "tightness": 0.0}
    each = [*({**zero, term: 1.0} for term in zero), {"reconstruction": 20.0, "idempotence": 20.0, "tightness": 10.0}]
    cases = [
        ({**weights, "distance": distance, "clamp": clamp}, plain)
        for distance in ("l1", "l2") for clamp in (1.5, 0.3, None) for weights in each for plain in (False, True)
    ]  # fmt: skip
    given = {"width": 32, "theta": flat(f.parameters()), "x": flat([x]), "z": flat([z])}
    found = lab().evaluate(
        "([given, cases]) => cases.map(([weights, plain]) => ignLab.gradient({...given, weights, plain}))", [given, cases]
    )
    for (weights, plain), page in zip(cases, found):
        assert page["fast"] is not plain
        for loss in (ign_core.objective, ign_core.literal_objective):
            f.zero_grad()
            losses = loss(f, x, z, **weights)
            losses.total.backward()
            expected = torch.tensor(flat(torch.zeros_like(p) if p.grad is None else p.grad for p in f.parameters()))
            assert (expected != 0).any()
            largest = expected.abs().max().clamp_min(1)
            assert (torch.tensor(page["gradient"]) - expected).abs().max() < 1e-4 * largest, (weights, plain, loss)
            for term in zero:
                assert page["means"][term] == pytest.approx(getattr(losses, term).mean().item(), abs=1e-5)


class Given:
    """Batches handed out one after the other, as data and as a source."""

    def __init__(self, given):
        self.given = iter(given)

    def __len__(self):
        return BATCH

    def __getitem__(self, _):
        return next(self.given)

    def sample(self, n, generator=None):
        return next(self.given)


@pytest.mark.parametrize("distance, clamp", [("l1", 1.5), ("l2", None)])
def test_twenty_steps_follow_those_of_ign_core(lab, batches, distance, clamp):
    f, settings = network(), {"tightness": 10.0, "clamp": clamp, "distance": distance}
    start, lr = flat(f.parameters()), 2e-3
    recipe = ign_core.Recipe("lab", "ring", net="mlp", width=WIDTH, lr=lr, batch=BATCH, steps=len(batches),
                             precision="32-true", **settings)  # fmt: skip
    run = ign_core.Run(f, Given(z for _, z in batches), recipe)
    for _ in run.train(Given(x for x, _ in batches)):
        pass
    weights = {"reconstruction": 20.0, "idempotence": 20.0, **settings}
    given = [{"x": flat([x]), "z": flat([z])} for x, z in batches]
    found = lab().evaluate(
        "asked => ignLab.follow(asked)", {"width": WIDTH, "theta": start, "batches": given, "weights": weights, "lr": lr}
    )
    for name, of in (("theta", f), ("average", run.average)):
        expected, moved = torch.tensor(flat(of.parameters())), torch.tensor(found[name])
        assert (expected - torch.tensor(start)).abs().max() > 5 * lr
        assert (moved - expected).abs().max() < 0.01 * lr, name


@pytest.mark.parametrize("name", ["ring", "moons", "spiral", "gaussians"])
def test_precision_and_coverage_are_those_of_chapter_4(lab, generator, name):
    sys.path.insert(0, str(LAB.parent.parent / "experiments"))
    import coverage_2d

    manifold = ignbook.data.manifold(name)
    y = manifold.sample(1000, generator) + 0.08 * torch.randn(1000, 2, generator=generator)
    y[y[:, 0] > 0.4] += 3  # some parts get nothing
    expected = coverage_2d.hits(manifold, y)
    found = lab().evaluate("asked => ignLab.measure(asked)", {"data": name, "points": flat([y])})
    assert found["precision"] == pytest.approx(expected["precision"], abs=0.01)
    assert found["coverage"] == pytest.approx(expected["coverage"], abs=1 / 32)


def test_it_trains_over_http_and_from_disk_and_its_rates_are_told(lab, capsys):
    server = serve(LAB)
    try:
        for home in (PAGE, f"http://127.0.0.1:{server.server_port}/lab.html"):
            page = lab("#ring-lambda-0.125", home=home)
            page.click("#play")
            page.wait_for_function("ignLab.state().precision > 0.4 && ignLab.rates().steps > 0", timeout=30_000)
            rates = page.evaluate("ignLab.rates()")
            assert page.evaluate("ignLab.state().running")
            with capsys.disabled():
                print(f"\nthe lab: {rates['steps']:.0f} steps and {rates['frames']:.0f} frames a second, {home.split(':')[0]}")
            page.click("#play")
            page.wait_for_function("!ignLab.state().running")
    finally:
        server.shutdown()
        server.server_close()


def test_without_webassembly_it_trains_all_the_same_and_says_so(lab):
    page = lab(script="delete globalThis.WebAssembly")
    assert page.locator("#slow").is_visible()
    page.click("#step")
    page.wait_for_function("ignLab.state().step === 1")
    assert not lab().locator("#slow").is_visible()


def test_a_keyboard_reaches_and_works_everything(lab):
    page = lab()
    reach = partial(tab_to, page, at_most=60)
    reach("play")
    page.keyboard.press("Enter")
    page.wait_for_function("ignLab.state().step > 3")
    page.keyboard.press("Space")
    page.wait_for_function("!ignLab.state().running")
    assert "Paused" in page.inner_text("#status")
    reach("plane")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.getElementById('probe').textContent.startsWith('y (0.10, 0.00)')")
    reach("parts-next")
    for part in range(7):
        page.keyboard.press("Enter")
        page.wait_for_function(f"ignLab.state().part === {part}")
        assert page.inner_text("#told").startswith(f"{part + 1}.")
    reach("data")
    reach("lambda")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("location.hash") == "#ring-lambda-0.15"
    assert page.get_attribute("#lambda", "aria-valuetext") == "0.15"
    reach("break-frozen")


def test_a_step_in_parts_is_one_step(lab):
    page = lab()
    for part in range(7):
        page.click("#parts-next")
        page.wait_for_function(f"ignLab.state().part === {part}")
        assert part == 6 or page.evaluate("ignLab.state().step") == 0
    page.wait_for_function("ignLab.state().step === 1")
    page.click("#parts-back")
    page.click("#parts-next")
    page.click("#parts-end")
    assert page.evaluate("ignLab.state()")["step"] == 1 and page.inner_text("#told") == ""


def test_each_button_breaks_it_and_stands_in_the_address(lab):
    page = lab(reduced_motion="reduce")
    seen = set()
    for button in page.locator("#presets button").all():
        button.click()
        end = page.evaluate("location.hash")
        assert end not in seen and button.get_attribute("aria-pressed") == "true"
        assert "What to see" in page.inner_text("#told")
        page.wait_for_function("ignLab.state().running && ignLab.state().step > 1")
        seen.add(end)
    again = lab(end)
    assert again.evaluate("ignLab.settings()") == page.evaluate("ignLab.settings()")
    again.evaluate("location.hash = '#moons-lambda-0.5'")
    again.wait_for_function("ignLab.settings().data === 'moons' && ignLab.settings().lambda === 0.5")


def test_one_can_draw_with_mouse_and_with_keys(lab):
    page = lab()
    page.select_option("#data", "own")
    page.click("#draw-data")
    box = page.locator("#plane").bounding_box()
    at = lambda a, b: (box["x"] + a * box["width"], box["y"] + b * box["height"])  # noqa: E731
    page.mouse.move(*at(0.3, 0.3))
    page.mouse.down()
    page.mouse.move(*at(0.7, 0.4), steps=10)
    page.mouse.up()
    [stroke] = page.evaluate("ignLab.settings().drawing")
    assert len(stroke) > 5 and stroke[0] == pytest.approx([-0.88, 0.88], abs=0.02)
    page.focus("#plane")
    for key in ("Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    assert len(page.evaluate("ignLab.settings().drawing")) == 2
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "play"
    assert lab(page.evaluate("location.hash")).evaluate("ignLab.settings().drawing.length") == 2


def test_nothing_moves_unasked_where_less_motion_is_wanted(lab):
    moving = lab("#ring-play-1")
    moving.wait_for_function("ignLab.state().step > 0")
    assert not lab("#ring-play-1", reduced_motion="reduce").evaluate("ignLab.state().running")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_keeps_readers_out(lab, axe, width, scheme):  # noqa: F811
    page = lab("#own-source-broad", viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.evaluate(axe)
    page.click("#draw-data")
    problems = page.evaluate(BARRIERS)  # while one draws
    page.click("#break-runaway")
    page.click("#play")
    problems += page.evaluate(BARRIERS)
    assert not problems, "\n".join(problems)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_frame_can_hold_the_plane_alone(lab, axe):  # noqa: F811
    page = lab("#moons-view-plane", viewport={"width": 400, "height": 600})
    assert page.locator("#play").is_visible() and not page.locator("#lambda").is_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 600
    page.click("#play")
    page.wait_for_function("ignLab.state().step > 0")
    page.evaluate(axe)
    assert not page.evaluate(BARRIERS)
    with page.context.expect_page() as opened:
        page.click("#whole a")
    opened.value.wait_for_function("window.ignLab")
    assert opened.value.locator("#lambda").is_visible()
    assert opened.value.evaluate("ignLab.settings()") == {**page.evaluate("ignLab.settings()"), "view": "full"}


def test_it_is_fit_for_the_book(lab):
    """What tests/test_book.py asks of every page of the book."""
    html = (LAB / "lab.html").read_text(encoding="utf-8")
    assert not static_problems(html) and len(html.encode()) < 300_000
    page = lab(viewport={"width": 718, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.evaluate(PAPER)


def test_the_committed_pages_are_what_the_sources_make(tmp_path):
    if not (LAB / "node_modules").exists() or not shutil.which("node"):
        pytest.skip("the bundler isn't there; run `npm ci` in book/lab to compare the page with its sources")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=LAB, check=True, capture_output=True)
    for name in ("lab.html", "projector.html", "gemm.wasm.js"):
        assert (tmp_path / name).read_bytes() == (LAB / name).read_bytes(), f"{name} is old; run `npm run build` in book/lab"


def test_what_needs_no_browser():
    if not shutil.which("node"):
        pytest.skip("node isn't there; install Node.js 20 or later to test the lab's modules")
    done = subprocess.run(["node", "--test", "test/"], cwd=LAB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
