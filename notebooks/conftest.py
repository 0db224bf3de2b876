"""nbval made for these chapters: figures are compared by what they draw, and a cell only as far as other machines agree.

A cell's metadata says what its outcome depends on (`ignbook.notebooks.stamp`).  Where a data set is another one here, the cell
is only run: errors and assertions count.  Where the page itself trained, the cell is compared in form: which figures, panels,
labels and how many points, but no numbers and no printed text.  Everything else is compared in full.
"""

import copy
import os
from collections import Counter

import nbval.plugin

os.environ["IGN_STATIC"] = "1"  # for the kernels: stored outputs have no panels

COUNTS: Counter = Counter()  # how: outputs
OTHERS: set[str] = set()  # data sets that are not those of the stored outputs


by_nbval = nbval.plugin.IPyNbCell.compare_outputs


def compare_outputs(self, test, ref, skip_compare=None) -> bool:
    """Whether the outputs of a cell's run agree with the stored ones; if not, `comparison_traceback` says where."""
    import ignbook.notebooks

    about = self.cell.metadata.get("ign", {})
    others = sorted(key for key, md5 in about.get("data", {}).items() if ignbook.notebooks.digest(key) != md5)
    how = "only run" if others else "in form only" if about.get("live") else "in full"
    self.user_properties.append(("compared", [how, others, len(ref)]))
    if others:
        return True
    test, ref, self.comparison_traceback = _reconciled(test, ref, form=how == "in form only")
    return not self.comparison_traceback and by_nbval(self, test, ref, skip_compare)


def _reconciled(test: list, ref: list, form: bool) -> tuple[list, list, list[str]]:
    """Outputs in which what need not be equal is left out or made equal, and what of the figures differs."""
    from ignbook import plots

    new, old = ([output for output in copy.deepcopy(outputs) if not form or _drawn(output)] for outputs in (test, ref))
    found = []
    for a, b in zip(*([output.data for output in outputs if "data" in output] for outputs in (old, new))):
        was, now = (plots.from_text(data.get("text/plain", "")) for data in (a, b))
        if was and now:
            found += plots.differences(was, now, form)
            b["text/plain"] = a["text/plain"]
        for data in (a, b):
            if "text/html" in data:
                data["text/html"] = plots.without_frames(data["text/html"])
    return new, old, found


def _drawn(output) -> bool:
    """Whether an output is a figure or a player."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) or "ign-player" in data.get("text/html", "")


nbval.plugin.IPyNbCell.compare_outputs = compare_outputs


def pytest_runtest_logreport(report) -> None:
    """Count what was compared, on the process that has the terminal."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "compared":
                how, others, outputs = value
                COUNTS[how] += outputs
                OTHERS.update(others)


def pytest_terminal_summary(terminalreporter) -> None:
    """One line on how much was compared, and why the rest was not."""
    why = {
        "in full": "",
        "in form only": " (after a training of the page's own)",
        "only run": f" (another data set here: {', '.join(sorted(OTHERS))})",
    }
    if parts := [f"{COUNTS[how]} {how}{reason}" for how, reason in why.items() if COUNTS[how]]:
        terminalreporter.write_line(f"outputs compared: {'; '.join(parts)}")
