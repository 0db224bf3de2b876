"""How far is each claim of a live training from failing?  Over 5 seeds, 1 and 2 threads, float32 and bfloat16.

    python experiments/margins.py                     all chapters with claims: an hour of two cores; or `make margins`
    python experiments/margins.py 05_stability        one of them

Runs the cells that the claims of a chapter need, with every seed moved, and keeps the steps between the values of each
claim (`ignbook.claims`).  The margin of a claim is the least mean step over the settings of threads and precision, in
standard deviations over the seeds (pooled over the settings).  A recipe that fixes its precision has no second one.
Writes ignbook/shipped/results/margins.json after every chapter, prints its table, and puts it into book/margins.md.
"""

import ast
import contextlib
import hashlib
import io
import itertools
import json
import math
import multiprocessing
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
import tyro

import ignbook.checkpoints
import ignbook.claims
import ignbook.notebooks

CHAPTERS = Path(__file__).resolve().parent.parent / "notebooks"
SEEDS, THREADS, PRECISIONS = range(5), (1, 2), ("32-true", "bf16-mixed")
RUNS = CHAPTERS.parent / "runs" / "margins"
LEAST = 3.0  # standard deviations; below it a claim leaves its chapter
PAGE, MARKS = CHAPTERS.parent / "book" / "margins.md", ("% table", "% end of table")
OUT = ignbook.checkpoints.shipped("results") / "margins.json"


def code_of(chapter: Path) -> list[str]:
    """The sources of a notebook's code cells."""
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def needed(chapter: str) -> list[str]:
    """The cells of a chapter that claim something, and those that these depend on, but for the one that installs."""
    sources = code_of(CHAPTERS / f"{chapter}.ipynb")
    wanted = {i for i, source in enumerate(sources) if claiming(source)}
    wanted |= set().union(*(ignbook.notebooks.dependencies(sources)[i] for i in wanted)) - {0}
    return [sources[i] for i in sorted(wanted)]


def claiming(source: str) -> bool:
    return any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim" for node in ast.walk(ast.parse(source)))


class _Moved(ast.NodeTransformer):
    """manual_seed(s) becomes manual_seed(s + 1000 * seed): the page's own generators move with the recipes' seeds."""

    def __init__(self, seed: int):
        self.seed = seed

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "manual_seed":
            node.args[0] = ast.BinOp(node.args[0], ast.Add(), ast.Constant(1000 * self.seed))
        return node


def run(chapter: str, seed: int, threads: int, precision: str) -> tuple[list[tuple[str, list[float]]], bool]:
    """The claims of one run of a chapter, and whether a recipe left its precision open."""
    import matplotlib

    import ign_core

    matplotlib.use("Agg")
    torch.set_num_threads(threads)
    torch.set_num_threads = lambda n: None  # the page's own wish
    build, fit, free = ign_core.build, ign_core.fit, []

    def moved(recipe):
        free.append(recipe.precision == "auto")
        return replace(recipe, seed=recipe.seed + 1000 * seed, precision=precision if free[-1] else recipe.precision)

    ign_core.build = lambda recipe: build(moved(recipe))
    ign_core.fit = lambda f, source, data, recipe, **options: fit(f, source, data, moved(recipe), **options)
    room: dict = {"__name__": "__main__"}
    ignbook.claims.SEEN.clear()
    with contextlib.redirect_stdout(io.StringIO()):
        for source in needed(chapter):
            exec(compile(ast.fix_missing_locations(_Moved(seed).visit(ast.parse(source))), chapter, "exec"), room)
    return list(ignbook.claims.SEEN), any(free)


def kept(chapter: str, seed: int, threads: int, precision: str, missing: bool = True):
    """`run`, or what it gave before for the same code of the chapter: a stopped measurement goes on where it was.

    missing: False to get None for a run that is still to be made.
    """
    digest = hashlib.md5("\n\n".join(needed(chapter)).encode()).hexdigest()[:8]
    path = RUNS / f"{chapter}-{digest}" / f"{threads}-{precision}-{seed}.json"
    if not path.exists() and not missing:
        return None
    if not path.exists():
        ignbook.checkpoints.write_json(path, run(chapter, seed, threads, precision))
    return json.loads(path.read_text(encoding="utf-8"))


def margins(chapter: str) -> list[dict]:
    """One row a claim: how often it held, and its margin."""
    found: dict[tuple[int, str], list] = {}
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:

        def ask(seed: int, threads: int, precision: str):
            """A function that gives the run's result, made already or by a process of its own."""
            known = kept(chapter, seed, threads, precision, missing=False)
            return (lambda: known) if known else pool.submit(kept, chapter, seed, threads, precision).result

        _, free = ask(0, 1, PRECISIONS[0])()
        settings = list(itertools.product(THREADS, PRECISIONS if free else PRECISIONS[:1], SEEDS))
        jobs = [ask(seed, threads, precision) for threads, precision, seed in settings]
        for (threads, precision, seed), result in zip(settings, jobs):
            found.setdefault((threads, precision), []).append(result()[0])
            print(f"{chapter}: {threads} thread(s), {precision}, seed {seed}", flush=True)
    rows = []
    for i, (sentence, steps) in enumerate(next(iter(found.values()))[0]):
        for j in range(len(steps)):
            groups = [[seen[i][1][j] for seen in of] for of in found.values()]
            rows.append({"claim": sentence, "step": j + 1, **margin(groups)})
    return rows


def margin(groups: list[list[float]]) -> dict:
    """Steps by setting: how many runs held, of how many, and the least mean in pooled standard deviations (None: no spread)."""
    everything = [step for group in groups for step in group]
    inner = sum((step - statistics.fmean(group)) ** 2 for group in groups for step in group)
    deviation = math.sqrt(inner / (len(everything) - len(groups)))
    least = min(statistics.fmean(group) for group in groups)
    spread = deviation > 1e-9 * max(abs(least), 1e-30)
    return {"held": sum(step > 0 for step in everything), "of": len(everything), "least": min(everything),
            "margin": round(least / deviation, 2) if spread else None}  # fmt: skip


def table(result: dict) -> str:
    """As Markdown: a claim of several values has a row for each step, the least of them shown."""
    lines = ["| chapter | claim | held | margin, standard deviations |", "|---|---|---|---|"]
    for chapter, rows in result["chapters"].items():
        for sentence in dict.fromkeys(row["claim"] for row in rows):
            steps = [row for row in rows if row["claim"] == sentence]
            worst = min(steps, key=lambda row: math.inf if row["margin"] is None else row["margin"])
            shown = "no spread" if worst["margin"] is None else f"{worst['margin']:.1f}"
            lines.append(f"| {chapter} | {sentence} | {min(row['held'] for row in steps)} of {worst['of']} | {shown} |")
    return "\n".join(lines)


def main(chapters: tyro.conf.Positional[tuple[str, ...]] = (), out: Path = OUT) -> None:
    """Measure the margins of claims.

    Args:
        chapters: Names of notebooks, such as 05_stability; all that claim something.
        out: The JSON file to write; chapters that are not measured now stay as they are in it.
    """
    os.environ.pop("IGN_STRICT", None)  # here a claim that fails is a number
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}  # two runs of two threads share two cores
    claim = [path.stem for path in sorted(CHAPTERS.glob("*.ipynb")) if any(map(claiming, code_of(path)))]
    result = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"chapters": {}}
    result |= {"seeds": len(SEEDS), "threads": list(THREADS), "precisions": list(PRECISIONS), "torch": torch.__version__}
    for chapter in chapters or claim:
        result["chapters"][chapter] = margins(chapter)
        result["chapters"] = {name: result["chapters"][name] for name in claim if name in result["chapters"]}
        ignbook.checkpoints.write_json(out, result)
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(MARKS[0])
    ignbook.checkpoints.write_file(PAGE, f"{head}{MARKS[0]}\n\n{table(result)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}".encode())
    print(table(result))


if __name__ == "__main__":
    tyro.cli(main)
