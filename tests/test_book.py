"""The built book in a real browser: _build/html, or the folder that IGN_BOOK names.

Skipped where there is no build or no Chromium; with IGN_REQUIRE_BOOK=1, as in .ci/run, that is a failure.
"""

import base64
import functools
import hashlib
import http.server
import io
import os
import re
import shutil
import tarfile
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import numpy as np
import pytest
from checks import script
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BOOK = Path(os.environ.get("IGN_BOOK", ROOT / "_build" / "html"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OFFLINE = [  # a browser that asks for nothing of its own accord
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--no-default-browser-check", "--disable-features=MediaRouter,OptimizationHints",
]  # fmt: skip
LOCAL = ("data:", "blob:", "about:")
REDIRECT = re.compile(r'http-equiv="Refresh" content="0; url=([^"]+)"', re.I)
A4 = 718  # pixels between margins of 10 mm

# Runs in the page after everything has been loaded; returns what only the rendered page knows.
PROBE = r"""async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const problems = [];
  const short = s => s.replace(/\s+/g, ' ').trim().slice(0, 80);

  for (const img of document.images) {
    const name = img.getAttribute('src').slice(0, 80);
    img.loading = 'eager';  // a lazy image that isn't shown would be waited for without end
    try { await img.decode(); } catch { problems.push('image does not load: ' + name); continue; }
    if (!(img.getAttribute('alt') || '').trim()) problems.push('image without alt text: ' + name);
  }
  for (const math of document.querySelectorAll('.math'))
    if (!math.querySelector('mjx-container')) problems.push('mathematics not rendered: ' + short(math.textContent));
  for (const bad of document.querySelectorAll('mjx-merror, mjx-container [style*="color: red"]'))
    problems.push('mathematics with an error: ' + short(bad.getAttribute('data-mjx-error') || bad.parentElement.outerHTML));

  if (document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]'))
    problems.push('a stored widget, and no script to draw it: use a player');
  for (const box of document.querySelectorAll('.ign-player')) {
    const img = box.querySelector('img');
    for (const slider of box.querySelectorAll('input')) {
      const before = img.src;
      slider.value = slider.max;
      slider.dispatchEvent(new Event('input'));
      if (img.src === before) problems.push('a slider that changes nothing: ' + short(box.textContent));
    }
    try { await img.decode(); } catch { problems.push('a slider whose last picture does not load'); }
  }

  const prose = document.createTreeWalker(document.querySelector('article, main') || document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = prose.nextNode());) {
    if (node.parentElement.closest('pre, code, script, style, mjx-container, .math')) continue;
    const raw = node.textContent.match(/\$[^$\n]+\$|\\\(|\{[a-z:]+\}`|`{3}|^:::/m);
    if (raw) problems.push('markup left in the text: ' + short(node.textContent.slice(raw.index)));
  }
  const ids = [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.getAttribute('name'));
  const links = [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'));
  return {problems, ids, links, mathematics: document.querySelectorAll('mjx-container').length};
}"""

# axe-core finds what keeps people out of a page; it is fetched once, into pytest's cache
AXE = (
    "axe-core@4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"axe.min.js": "axe.min.js", "LICENSE": "LICENSE"},
)

# Unfolds all that is folded, as axe sees only what can be seen, and lets it run with all rules that it has by default.
BARRIERS = r"""async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  document.querySelectorAll('details').forEach(e => e.open = true);
  document.querySelectorAll('.toggle-hidden .toggle-button').forEach(e => e.click());
  await Promise.all(document.getAnimations().map(fade => fade.finished));
  await new Promise(r => requestAnimationFrame(() => setTimeout(r, 50)));  // what has been unfolded is measured then
  const {violations} = await axe.run({resultTypes: ['violations']});
  return violations.flatMap(({id, impact, nodes}) => nodes.map(({html, failureSummary}) =>
    `${id} (${impact}): ${html.slice(0, 150)}: ${failureSummary}`.replace(/\s+/g, ' ')));
}"""

# Runs in a page of which the rules for print hold, as wide as a sheet of A4 between its margins.
PAPER = r"""async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  dispatchEvent(new Event('beforeprint'));
  await new Promise(r => requestAnimationFrame(() => setTimeout(r, 50)));
  const problems = [], main = document.querySelector('article, main') || document.body;
  const name = e => `${e.localName}: ${(e.alt || e.textContent).replace(/\s+/g, ' ').trim().slice(0, 80)}`;
  for (const e of main.querySelectorAll('pre, table, img, mjx-container'))
    if (e.getBoundingClientRect().right > innerWidth + 1 || getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1)
      problems.push('cut off on paper: ' + name(e));
  for (const e of main.querySelectorAll('details:not([open]), .toggle-hidden')) problems.push('folded on paper: ' + name(e));
  for (const e of main.querySelectorAll('details.hide > summary, button, input'))
    if (e.checkVisibility({visibilityProperty: true})) problems.push('nothing to press on paper: ' + name(e));
  if (document.documentElement.dataset.theme === 'dark') problems.push('dark on paper');
  return problems;
}"""


def unavailable(reason: str):
    if os.environ.get("IGN_REQUIRE_BOOK") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("Playwright is not installed; install the extra `test` to test the built book")
    with sync_playwright() as p:
        own = p.chromium.executable_path  # what `playwright install chromium` has put there, if it was run
        path = next(filter(None, map(shutil.which, BROWSERS)), own if os.path.exists(own) else None)
        if path is None:
            unavailable(f"no browser on PATH (looked for {', '.join(BROWSERS)}); install Chromium to test the built book")
        instance = p.chromium.launch(executable_path=path, args=OFFLINE)
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def book() -> Path:
    if not (BOOK / "index.html").exists():
        unavailable(f"there is no built book in {BOOK}; run `make html` first")
    return BOOK


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on a free port of 127.0.0.1, in a thread; close it with .shutdown() and .server_close()."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def pages_of(folder: Path) -> list[str]:
    """Paths of the pages, relative to `folder`; the theme's fragments in _static are none."""
    found = (path.relative_to(folder) for path in folder.rglob("*.html"))
    return sorted(path.as_posix() for path in found if path.parts[0] not in ("_static", "_sources"))


def visit(browser, url: str, home: str) -> dict:
    """Open one page and report problems, ids, links, mathematics.  A request that doesn't begin with `home` is refused."""
    problems = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
    page = context.new_page()

    def route(request):
        if request.request.url.startswith((home, *LOCAL)):
            request.continue_()
        else:
            problems.append(f"a request leaves the machine: {request.request.url}")
            request.abort()

    context.route("**/*", route)
    page.on("console", lambda m: m.type == "error" and problems.append(f"console error: {m.text[:200]}"))
    page.on("pageerror", lambda e: problems.append(f"script error: {str(e)[:200]}"))
    page.on("response", lambda r: r.status >= 400 and problems.append(f"status {r.status}: {r.url}"))
    page.goto(url, wait_until="load")
    page.wait_for_load_state("networkidle")
    report = page.evaluate(PROBE)
    page.wait_for_load_state("networkidle")
    context.close()
    report["problems"] = problems + report["problems"]
    return report


def static_problems(html: str) -> list[str]:
    """What would be loaded from elsewhere, seen in the source: it need not be loaded at once to be wrong."""
    elsewhere = r"\s*=\s*[\"']((?:https?:)?//[^\"']*)"
    found = re.findall(r"<(script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc" + elsewhere, html, re.I)
    for tag in re.findall(r"<link\b[^>]*>", html, re.I):
        address = re.search(r"\bhref" + elsewhere, tag, re.I)
        if address and re.search(r"\brel\s*=\s*[\"'](?:stylesheet|\w*preload|preconnect|icon|shortcut icon)", tag, re.I):
            found.append(("link", address[1]))
    return [f"{tag} from elsewhere: {address}" for tag, address in found]


LAB = ("lab.html", "projector.html")  # what follows the # in their addresses is what a reader has set, no place of the page


def broken_links(reports: dict[str, dict], folder: Path) -> list[str]:
    """Internal links of all pages that lead to no file, or to no element of the page that they lead to."""
    problems = []
    for name, report in reports.items():
        for href in report["links"]:
            target, fragment = urldefrag(urljoin(f"http://book/{name}", href))
            parts = urlsplit(target)
            if parts.scheme not in ("http", "https") or parts.netloc != "book":
                continue  # leads out of the book: allowed, not followed
            path = unquote(parts.path).lstrip("/") or "index.html"
            if not (folder / path).is_file():
                problems.append(f"{name}: link to {href}: no such file")
            elif fragment and path in reports and path not in LAB and unquote(fragment) not in reports[path]["ids"]:
                problems.append(f"{name}: link to {href}: nothing has that id")
    return problems


def inspect(browser, folder: Path) -> tuple[dict[str, dict], list[str]]:
    """All pages of a folder over HTTP: (report of each page, problems)."""
    server = serve(folder)
    home = f"http://127.0.0.1:{server.server_port}/"
    reports, problems = {}, []
    try:
        for name in pages_of(folder):
            html = (folder / name).read_text(encoding="utf-8")
            problems += [f"{name}: {problem}" for problem in static_problems(html)]
            redirect = REDIRECT.search(html)
            if redirect:
                reports[name] = {"problems": [], "ids": [], "links": [redirect[1]], "mathematics": 0}
            else:
                reports[name] = visit(browser, home + name, home)
            problems += [f"{name}: {problem}" for problem in reports[name]["problems"]]
    finally:
        server.shutdown()
        server.server_close()
    return reports, problems + broken_links(reports, folder)


def opened(browser, folder: Path, **settings):
    """Every page of a folder but those that lead on at once, in turn, loaded: (name, page), in contexts of these settings."""
    server = serve(folder)
    home = f"http://127.0.0.1:{server.server_port}/"
    try:
        for name in pages_of(folder):
            if REDIRECT.search((folder / name).read_text(encoding="utf-8")):
                continue
            context = browser.new_context(service_workers="block", **settings)
            context.route(lambda url: not url.startswith((home, *LOCAL)), lambda route: route.abort())
            page = context.new_page()
            page.goto(home + name, wait_until="load")
            yield name, page
            context.close()
    finally:
        server.shutdown()
        server.server_close()


def barriers(browser, folder: Path, axe: str) -> list[str]:
    """What axe finds on the pages of a folder, wide in the light and narrow in the dark."""
    problems = []
    for width, scheme in ((1280, "light"), (390, "dark")):
        for name, page in opened(browser, folder, viewport={"width": width, "height": 900}, color_scheme=scheme):
            page.evaluate(axe)
            problems += [f"{name}, {width} px, {scheme}: {problem}" for problem in page.evaluate(BARRIERS)]
    return problems


def spoilt_on_paper(browser, folder: Path) -> list[str]:
    problems = []
    for name, page in opened(browser, folder, viewport={"width": A4, "height": 1000}, color_scheme="dark"):
        page.emulate_media(media="print", color_scheme="dark")
        problems += [f"{name}: {problem}" for problem in page.evaluate(PAPER)]
    return problems


@pytest.fixture(scope="module")
def axe(request) -> str:
    folder = request.config.cache.mkdir("axe") / AXE[0]
    try:
        load_vendor().main(folder, [AXE])
    except (OSError, RuntimeError) as error:
        unavailable(str(error))
    return (folder / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def inspected(browser, book):
    return inspect(browser, book)


def test_every_page_is_whole(inspected):
    _, problems = inspected
    assert not problems, "\n".join(problems)


def test_the_pages_of_the_table_of_contents_are_there(inspected):
    reports, _ = inspected
    files = re.findall(r"(?:root|file):\s*(\S+)", (ROOT / "_toc.yml").read_text())
    assert {f"{name}.html" for name in files} <= set(reports)


def test_pages_with_mathematics_have_it_drawn(inspected, book):
    reports, _ = inspected
    for name, report in reports.items():
        written = len(re.findall(r'class="(?:math|[^"]* math)[ "]', (book / name).read_text(encoding="utf-8")))
        assert report["mathematics"] >= written, name
    assert sum(report["mathematics"] for report in reports.values()) > 50


def test_no_line_begins_with_the_mark_after_a_formula(browser, book):
    """At many widths: the mark stands in the line in which its formula ends."""
    parted = r"""() => [...document.querySelectorAll('span.math')].filter(math => {
      const after = math.nextSibling, box = math.getBoundingClientRect();
      if (!box.width || after?.nodeType !== Node.TEXT_NODE || !/^[.,;:!?)]/.test(after.data)) return false;
      const mark = document.createRange();
      mark.setStart(after, 0);
      mark.setEnd(after, 1);
      return mark.getBoundingClientRect().top > box.bottom;
    }).map(math => math.closest('p, li, dd')?.textContent.trim().slice(0, 80))"""
    page = browser.new_page()
    for name in ("notebooks/01_idempotence.html", "notebooks/03_theory.html"):
        page.goto((book / name).resolve().as_uri())
        page.evaluate(
            "async () => { await MathJax.startup.promise; document.querySelectorAll('details').forEach(e => e.open = true); }"
        )
        for width in range(340, 420, 8):
            page.set_viewport_size({"width": width, "height": 900})
            assert not page.evaluate(parted), (name, width)
    page.context.close()


def test_pages_work_from_disk(browser, book):
    """Opened as files, with no server: a copied book can be read."""
    for name in ("book/notation.html", *(n for n in pages_of(book) if n.startswith("notebooks/"))):
        report = visit(browser, (book / name).resolve().as_uri(), book.resolve().as_uri())
        # browsers refuse the theme's preloading of its icon fonts from disk, and then load them as they need them
        problems = [p for p in report["problems"] if not re.search("Access to font at 'file:|net::ERR_FAILED", p)]
        assert not problems, f"{name}: {problems}"


def test_nothing_keeps_readers_out(browser, book, axe):
    problems = barriers(browser, book, axe)
    assert not problems, "\n".join(problems)


def test_no_page_is_wider_than_a_narrow_screen(browser, book):
    wide = {}
    for name, page in opened(browser, book, viewport={"width": 360, "height": 900}):
        page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 360:
            wide[name] = width
    assert not wide


def test_a_keyboard_scrolls_what_is_too_wide(browser, book):
    waiting = {"table": ".pst-scrollable-table-container", "code": ".cell_input pre"}  # outputs wrap
    for _, page in opened(browser, book, viewport={"width": 390, "height": 900}):
        for kind, selector in list(waiting.items()):
            box = page.locator(f"{selector}[tabindex='0']").filter(visible=True)
            if box.count():
                box.first.focus()
                page.keyboard.press("ArrowRight")
                page.wait_for_function("document.activeElement.scrollLeft > 0", timeout=3000)
                assert box.first.get_attribute("role") == "group"
                assert box.first.get_attribute("aria-label").lower().startswith(kind)
                del waiting[kind]
        if not waiting:
            break
    assert not waiting


def test_paper_has_all_that_a_screen_has(browser, book):
    problems = spoilt_on_paper(browser, book)
    assert not problems, "\n".join(problems)


def test_github_pages_will_keep_the_folders_with_an_underscore(book):
    assert (book / ".nojekyll").exists()


# a page that is wrong in every way that the checks above are to notice
BROKEN = """<!doctype html><html lang="en"><head><title>broken</title>
<script src="https://cdn.example.org/lib.js"></script><link rel="stylesheet" href="//fonts.example.org/css">
<script>console.error("first failure"); setTimeout(() => { throw new Error("second failure"); });</script></head>
<body><main><h1 id="here">Broken</h1>
<p>An unfinished $x$ and {cite:p}`nobody`, and <span class="math">\\(y\\)</span>.</p>
<p><mjx-container><mjx-merror data-mjx-error="Undefined">z</mjx-merror></mjx-container></p>
<img src="gone.png" alt="gone"><img src="there.svg">
<a href="#nowhere">a</a> <a href="missing.html">b</a> <a href="other.html#away">c</a> <a href="#here">fine</a>
<a href="https://example.org/">fine too</a>
<script type="application/vnd.jupyter.widget-view+json">{"model_id": "1"}</script>
<div class="ign-player"><img src="there.svg" alt="picture"><input type="range" min="0" max="3" value="0"></div>
<p style="color: #ccc">Hardly to be seen.</p>
<pre style="width: 300px; overflow: auto">a line of code that is longer than the box in which it stands, which scrolls</pre>
<table style="width: 2000px"><tr><td>too wide for any sheet</td></tr></table>
<details><summary>Folded</summary><img src="there.svg"></details>
</main></body></html>"""
NOTICED = [
    "script from elsewhere: https://cdn.example.org/lib.js",
    "link from elsewhere: //fonts.example.org/css",
    "a request leaves the machine: https://cdn.example.org/lib.js",
    "a request leaves the machine: http://fonts.example.org/css",
    "console error: first failure",
    "script error: second failure",
    "status 404",
    "markup left in the text: $x$",
    "mathematics not rendered",
    "mathematics with an error",
    "image does not load: gone.png",
    "image without alt text: there.svg",
    "a stored widget",
    "a slider that changes nothing",
    "link to #nowhere: nothing has that id",
    "link to missing.html: no such file",
    "link to other.html#away: nothing has that id",
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "broken.html").write_text(BROKEN)
    (folder / "other.html").write_text('<!doctype html><html><head><link rel="icon" href="data:,"></head><body></body></html>')
    (folder / "there.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    return folder


@pytest.fixture(scope="module")
def problems_of_broken(browser, broken):
    return inspect(browser, broken)[1]


@pytest.mark.parametrize("problem", NOTICED)
def test_the_checks_notice(problem, problems_of_broken):
    assert any(problem in found for found in problems_of_broken), "\n".join(problems_of_broken)


def test_the_checks_do_not_notice_what_is_right(problems_of_broken):
    assert not any("#here" in found or "https://example.org" in found for found in problems_of_broken)
    assert not any(found.startswith("other.html") for found in problems_of_broken)


def test_what_keeps_readers_out_is_noticed(browser, broken, axe):
    found = [problem for problem in barriers(browser, broken, axe) if problem.startswith("broken.html, 1280 px, light")]
    rules = ["image-alt (critical)", "label (critical)", "color-contrast (serious)", "scrollable-region-focusable (serious)"]
    assert all(any(rule in problem for problem in found) for rule in rules), "\n".join(found)
    assert sum("image-alt" in problem for problem in found) == 2  # one of them is folded


def test_what_is_spoilt_on_paper_is_noticed(browser, broken):
    found = "\n".join(spoilt_on_paper(browser, broken))
    for problem in ("cut off on paper: pre", "cut off on paper: table", "folded on paper: details", "press on paper: input"):
        assert problem in found


def load_vendor():
    return script(ROOT / "book" / "vendor.py")


@pytest.fixture
def vendor(monkeypatch, tmp_path):
    """book/vendor.py with one small package, and an npm on PATH that makes it; set NPM_FAILS for one that cannot."""
    module = load_vendor()
    with tarfile.open(tmp_path / "small-1.0.0.tgz", "w:gz") as tar:
        for name in ("package/dist/a.js", "package/dist/deep/b.js", "package/other.js"):
            info = tarfile.TarInfo(name)
            info.size = 2
            tar.addfile(info, io.BytesIO(b"1\n"))
    checksum = base64.b64encode(hashlib.sha512((tmp_path / "small-1.0.0.tgz").read_bytes()).digest()).decode()
    monkeypatch.setattr(module, "PACKAGES", [("small@1.0.0", checksum, {"dist": "small"})])
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.write_text(  # it is run in the folder in which the archive is wanted
        f'#!/bin/sh\nif [ "$NPM_FAILS" ]; then echo "npm error network" >&2; exit 1; fi\n'
        f"echo run >> {tmp_path}/runs\ncp {tmp_path}/small-1.0.0.tgz .\n"
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return module


def test_vendor_fetches_once_and_replaces_another_version(vendor, tmp_path, monkeypatch):
    target = tmp_path / "book" / "_vendor"
    vendor.main(target)
    vendor.main(target)
    assert (tmp_path / "runs").read_text() == "run\n"
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert found == ["VERSIONS", "small/a.js", "small/deep/b.js"]
    monkeypatch.setattr(vendor, "PACKAGES", [(*vendor.PACKAGES[0][:2], {"other.js": "other.js"})])
    vendor.main(target)
    assert sorted(os.listdir(target)) == ["VERSIONS", "other.js"]
    assert os.listdir(target.parent) == ["_vendor"]


@pytest.mark.parametrize("wrong", ["no npm", "no network", "another file", "another layout"])
def test_vendor_says_in_one_sentence_what_is_wrong_and_leaves_nothing(vendor, tmp_path, monkeypatch, wrong):
    name, checksum, paths = vendor.PACKAGES[0]
    if wrong == "no npm":
        monkeypatch.setattr(vendor.shutil, "which", lambda _: None)
    elif wrong == "no network":
        monkeypatch.setenv("NPM_FAILS", "1")
    elif wrong == "another file":
        monkeypatch.setattr(vendor, "PACKAGES", [(name, checksum[::-1], paths)])
    else:
        monkeypatch.setattr(vendor, "PACKAGES", [(name, checksum, {"lib": "small"})])
    with pytest.raises(RuntimeError, match="npm was not found|network|SHA-512|has no lib") as caught:
        vendor.main(tmp_path / "book" / "_vendor")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "book").exists() or not os.listdir(tmp_path / "book")


def test_the_lab_stands_in_the_pages(browser, book):
    """In a frame that has the copy beside; without scripts the link is left, and on the first page the still picture."""
    settings = {"viewport": {"width": 1280, "height": 900}}
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts, **settings)
        page = context.new_page()
        for name in ("book/index.html", "notebooks/05_stability.html"):
            page.goto((book / name).resolve().as_uri())
            frame, link = page.locator("iframe.lab"), page.locator("p.lab-link a")
            assert frame.is_visible() == scripts and link.get_attribute("href").startswith("../lab.html#ring")
            if scripts:
                frame.scroll_into_view_if_needed()
                page.frame_locator("iframe.lab").locator("#play").wait_for()
        page.goto((book / "notebooks/06_mnist.ipynb").with_suffix(".html").resolve().as_uri())
        assert page.locator("iframe.lab").is_visible() == scripts
        if scripts:
            page.locator("iframe.lab").scroll_into_view_if_needed()
            page.frame_locator("iframe.lab").locator("#results canvas").first.wait_for()  # f(z), by the copy's own weights
        page.goto((book / "book/index.html").resolve().as_uri())
        assert page.locator("img.cover").is_visible() != scripts
        context.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_panels_of_a_figure_stand_one_below_the_other_on_a_narrow_screen(browser, book, width):
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    found = 0
    for path in sorted(book.glob("notebooks/*.html")):
        page.goto(path.resolve().as_uri())
        for image in page.locator(".cell_output picture > img.drawn").all():
            image.evaluate("image => image.decode()")
            shown, narrow = image.evaluate("image => image.currentSrc"), width == 360
            assert ("/_images/narrow-" in shown) == narrow
            across, natural = image.evaluate("image => [image.getBoundingClientRect().width, image.naturalWidth]")
            assert not narrow or across <= natural + 1  # smaller where there is no room for it, never enlarged
            found += 1
    assert found >= 30
    page.context.close()


def test_no_figure_has_a_white_ground_in_the_dark(browser, book):
    """The corner of each: a drawing's is white and inverted, and a picture has a version whose corner is dark."""
    page, found = browser.new_context(color_scheme="dark").new_page(), 0
    shown = """images => images.filter(image => image.checkVisibility() && !image.closest('.ign-player'))
      .map(image => [decodeURI(new URL(image.src).pathname), getComputedStyle(image).filter.includes('invert')])"""
    for path in sorted(book.glob("notebooks/*.html")):
        page.goto(path.resolve().as_uri())
        for file, inverted in page.locator(".cell_output img").evaluate_all(shown):
            with Image.open(file) as picture:
                corner = np.array(picture.convert("RGB").getpixel((0, 0)))
            assert np.abs(corner - (255 if inverted else 18)).max() < 6, (path.name, file)
            found += 1
    assert found > 80
    page.context.close()


def test_drawings_of_sliders_are_dark_in_the_dark_and_pictures_are_not(browser, book):
    page = browser.new_context(color_scheme="dark").new_page()
    for name, dark in (("01_idempotence", True), ("03_theory", True), ("07_celeba", False), ("12_scale", False)):
        page.goto((book / "notebooks" / f"{name}.html").resolve().as_uri())
        style = page.locator(".ign-player img").evaluate("image => getComputedStyle(image).filter")
        assert ("invert" in style) == dark, name
    page.context.close()
