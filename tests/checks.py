"""Checks that several test modules share."""

import importlib.util
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn


def script(path: Path):
    """The module of a file that no package holds, such as the book's extensions."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_sentence(caught, at_most: int = 400) -> None:
    """The caught error says one sentence, on one line, of fewer than `at_most` characters, whatever a temporary folder is called."""
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/pytest-of-[^/ ]+/[\w/-]+/", "", str(caught.value))
    assert "\n" not in text and text.endswith(".") and len(text) < at_most


def code_and_solutions(cells) -> list[tuple[dict, bool]]:
    """The code cells of a notebook, each with whether it belongs to the solution of an exercise."""
    found, inside = [], False
    for cell in cells:
        for mark in re.findall(r"\{solution-(start|end)\}", "".join(cell["source"])):
            inside = mark == "start"
        if cell["cell_type"] == "code":
            found.append((cell, inside))
    return found


def same(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules hold the same parameters and buffers, bit for bit."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@contextmanager
def opener(browser, local: tuple[str, ...], ready: str):
    """Opens pages, each in a context of its own: open_(url, home, script, **settings) -> page, once it says that it is `ready`.

    Fails at the end if a request went elsewhere than to `home` and `local`, or a script or the console had an error."""
    contexts, problems = [], []

    def open_(url: str, home: str, script: str = "", **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "service_workers": "block"} | settings)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("request", lambda r: r.url.startswith((home, *local)) or problems.append(f"a request leaves: {r.url}"))
        page.on("console", lambda m: m.type == "error" and problems.append(f"console error: {m.text[:200]}"))
        page.on("pageerror", lambda e: problems.append(f"script error: {str(e)[:200]}"))
        page.goto(url)
        page.wait_for_function(ready)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


def tab_to(page, name: str, at_most: int) -> None:
    """Press the tab key until the element with that id has the focus."""
    for _ in range(at_most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == name:
            return
    pytest.fail(f"the tab key doesn't reach #{name}")
