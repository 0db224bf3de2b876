"""The chapters' code: read without running it, to know what each cell's outcome depends on, and run.

python -m ignbook.notebooks notebooks/*.ipynb             execute in place: every figure and stored output anew
python -m ignbook.notebooks --count notebooks/*.ipynb     only say how the cells of each chapter can be compared

A cell's metadata then says, under "ign", on which data sets its outcome depends ("data": {key: md5}), and whether on a training
of its own page ("live"), which processor and threads decide; notebooks/conftest.py compares its outputs accordingly.
"""

import argparse
import ast
import builtins
import hashlib
import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

TRAINS = {"ign_core.fit", "ign_core.Run", "ignbook.baselines.train", "ignbook.metrics.train_classifier", ".backward"}
SHOWS = {"print", "display", "Markdown", "HTML", "help"}
DRAWS = ("ignbook.plots.", "matplotlib.")
CHANGES = {"append", "update", "add", "extend", "setdefault", "pop", "popitem", "insert", "remove", "discard", "clear",
           "load_state_dict", "train", "eval", "step"}  # fmt: skip
LOADS = {"ignbook.data.load", "ignbook.data.sketch_pairs"}
EVERYWHERE = ("digits8", "drawn")  # data sets that need no download and are the same on every machine


# ------------------------------------------------------------------------------------------------- what a piece of code does


@dataclass
class Code:
    """What a piece of code reads from before it, binds or changes, and calls; of functions that it defines the same."""

    read: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)  # read while it runs, so not in the body of a function it only defines
    calls: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    functions: dict[str, "Code"] = field(default_factory=dict)
    generators: set[str] = field(default_factory=set)
    modules: dict[str, str] = field(default_factory=dict)  # name here -> name in full
    given: dict[str, set[str]] = field(default_factory=dict)  # function -> names that it is called with


def names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell reads from before it, and those that it binds or may change.

    A name that is bound only in some case, or changed in place, is in both.
    """
    code = _code(ast.parse(source).body, Code())
    return code.read - set(dir(builtins)), code.bound


def _code(body: list[ast.stmt], before: Code) -> Code:
    """`before`: what is known from earlier code of generators and modules."""
    reader = _Reader(before)
    return reader.read(body)


class _Reader(ast.NodeVisitor):
    """Goes through one scope in the order in which it runs."""

    def __init__(self, before: Code):
        self.code = Code(generators=set(before.generators), modules=dict(before.modules))
        self.sure: set[str] = set()  # bound whatever happens
        self.stored: set[str] = set()  # bound in some case
        self.changed: set[str] = set()
        self.calling = 0  # depth of calls around what is visited

    def read(self, body: list[ast.stmt]) -> Code:
        for statement in body:
            self.visit(statement)
        if ".backward" in self.code.calls:  # by hand: which of them has the parameters isn't to be seen
            for name in self.code.used - set(dir(builtins)):
                self._change(name)
        self.code.bound = self.sure | self.changed
        return self.code

    # names

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id)
        elif isinstance(node.ctx, ast.Del):
            self._change(node.id)
        else:
            self.code.used.add(node.id)
            if node.id not in self.sure:
                self.code.read.add(node.id)
            if self.calling and node.id in self.code.generators:  # a draw moves its state
                self._change(node.id)

    def _bind(self, name: str) -> None:
        self.sure.add(name)
        self.stored.add(name)
        for known in (self.code.functions, self.code.modules):
            known.pop(name, None)
        self.code.generators.discard(name)

    def _change(self, name: str | None) -> None:
        if name is not None and name not in self.code.modules:
            self.changed.add(name)
            if name not in self.sure:
                self.code.read.add(name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(_root(node))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(_root(node))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is None:
            return
        self.visit(node.value)
        for target in targets:
            self.visit(target)
            if isinstance(target, ast.Name) and self._is_generator(node.value):
                self.code.generators.add(target.id)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda):
                self.code.functions[target.id] = self._inside(node.value.args, [ast.Expr(node.value.body)])

    visit_AnnAssign = visit_Assign

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._change(_root(node.target))
        if isinstance(node.target, ast.Name):
            self.stored.add(node.target.id)
        else:
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            self._bind(name)
            self.code.modules[name] = start + (alias.name if alias.asname or start else name)

    visit_ImportFrom = visit_Import

    # calls

    def visit_Call(self, node: ast.Call) -> None:
        name = self._dotted(node.func)
        self.code.calls.add(name)
        if isinstance(node.func, ast.Attribute):
            method = node.func.attr
            self.code.calls.add(f".{method}")
            if method in CHANGES or (method.endswith("_") and not method.startswith("_")):
                self._change(_root(node.func.value))
        if name in ("ign_core.fit", "ign_core.Run") and node.args:  # the network that is trained
            self._change(_root(node.args[0]))
        if isinstance(node.func, ast.Name):
            arguments = (*node.args, *(keyword.value for keyword in node.keywords))
            self.code.given.setdefault(name, set()).update(a.id for a in arguments if isinstance(a, ast.Name))
        if name in LOADS:
            self.code.data.add(_key(name, node))
        self.calling += 1
        self.generic_visit(node)
        self.calling -= 1

    def _dotted(self, node: ast.expr) -> str:
        """The full name of what is called, "ignbook.data.load"; that of an object's method begins with a name of the cell."""
        if isinstance(node, ast.Attribute):
            return f"{self._dotted(node.value)}.{node.attr}"
        return self.code.modules.get(node.id, node.id) if isinstance(node, ast.Name) else ""

    def _is_generator(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Call | ast.Attribute):
            if isinstance(node, ast.Call) and self._dotted(node.func) == "torch.Generator":
                return True
            node = node.func if isinstance(node, ast.Call) else node.value
        return False

    # scopes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
        self._define(node.name, self._inside(node.args, node.body, node.name))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self.visit(part)
        self._define(node.name, self._inside(None, node.body, node.name))

    def _define(self, name: str, inside: Code) -> None:
        self.code.read |= inside.read - self.sure
        self._bind(name)
        self.code.functions[name] = inside

    def _inside(self, arguments: ast.arguments | None, body: list[ast.stmt], itself: str = "") -> Code:
        """What a function's body, with those that it defines, does outside of itself."""
        inner = _Reader(self.code)
        inner.code.generators -= (own := _arguments(arguments))
        found = inner.read(body)
        for function in inner.code.functions.values():  # taken as called
            for mine, its in ((inner.code.calls, function.calls), (inner.code.data, function.data)):
                mine |= its
            inner.code.used |= function.read
            inner.code.read |= function.read
            inner.changed |= function.bound
        outside = {name for s in ast.walk(ast.Module(body, [])) if isinstance(s, ast.Global) for name in s.names}
        own = (own | inner.stored | {itself}) - outside
        found.read, found.used = found.read - own, found.used - own
        found.given = {name: given - own for name, given in found.given.items()}
        found.bound = (inner.changed | (inner.stored & outside)) - own
        return found

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Taken as called on the spot."""
        for part in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
        self._apart(_arguments(node.args), [node.body])

    def _comprehension(self, node) -> None:
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        own = {n.id for one in node.generators for n in ast.walk(one.target) if isinstance(n, ast.Name)}
        self.visit(node.generators[0].iter)
        rest = [part for one in node.generators for part in (one.iter, *one.ifs)][1:]
        self._apart(own, [*rest, *parts])

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _apart(self, own: set[str], parts: list[ast.expr]) -> None:
        """Expressions with names of their own, which hide ours."""
        hidden, generators = own - self.sure, set(self.code.generators)
        before = (set(self.code.used), set(self.code.read), set(self.changed))
        self.sure |= own
        self.code.generators -= own
        for part in parts:
            self.visit(part)
        self.sure -= hidden
        self.code.generators = generators
        for now, then in zip((self.code.used, self.code.read, self.changed), before):
            now -= own - then

    # branches

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_Try(self, node: ast.Try) -> None:
        for handler in node.handlers:
            if handler.type:
                self.visit(handler.type)
            if handler.name:
                self._bind(handler.name)
        self._branches([*node.body, *node.orelse], *(handler.body for handler in node.handlers))
        for statement in node.finalbody:
            self.visit(statement)

    visit_TryStar = visit_Try

    def _branches(self, *branches: list[ast.stmt]) -> None:
        """One of them runs: sure is what all of them bind, and the rest may stay what it was."""
        before, ends = self.sure, []
        for branch in branches:
            self.sure = set(before)
            for statement in branch:
                self.visit(statement)
            ends.append(self.sure)
        self.sure = before | set.intersection(*ends)
        for name in set.union(*ends) - self.sure:
            self._change(name)

    def visit_For(self, node: ast.For) -> None:
        """Taken to run at least once."""
        self.visit(node.iter)
        self.visit(node.target)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)


def _arguments(of: ast.arguments | None) -> set[str]:
    if of is None:
        return set()
    return {one.arg for one in (*of.posonlyargs, *of.args, *of.kwonlyargs, *filter(None, (of.vararg, of.kwarg)))}


def _root(node: ast.expr) -> str | None:
    """The name that an attribute, an item or a method's result hangs from; None: it is made on the spot."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
            if isinstance(node, ast.Name):
                return None
        if not isinstance(node, ast.Attribute | ast.Subscript):
            return None
        node = node.value
    return node.id


def _key(name: str, node: ast.Call) -> str:
    """The key of the data set that a call loads, "mnist-train"; its size is no part of it, as one size follows from another."""
    given = dict(zip(("name", "split") if name.endswith(".load") else ("split",), node.args))
    given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in ("name", "split")}
    if not all(isinstance(value, ast.Constant) for value in given.values()):
        raise ValueError(f"line {node.lineno} loads data by a name that is not written out; write it out, for the comparison.")
    of = {key: value.value for key, value in given.items()}
    return f"{of['name']}-{of.get('split', 'train')}" if "name" in of else f"cuhk-{of.get('split', 'test')}"


# --------------------------------------------------------------------------------------------- what depends on what


@dataclass
class _Step:
    """A statement of a cell, with what the functions do that it calls."""

    cell: int
    code: Code
    shows: bool  # it may draw, print or write to stderr
    after: set[int]  # the earlier steps that it may depend on


def _steps(sources: Iterable[str]) -> list[_Step]:
    """All statements of a notebook.  ValueError: one loads data by a name that is not written out."""
    steps: list[_Step] = []
    before, functions, last = Code(), {}, {}
    for cell, source in enumerate(sources):
        for statement in _statements(source):
            code = before = _code([statement], before)
            by_hand = ".backward" in code.calls
            _call(code, functions | code.functions)
            needs = {last[name] for name in code.read if name in last}
            after = needs.union(*(steps[i].after for i in needs))
            if by_hand:  # what the loss was made of may hold the parameters
                made = {name for i in after if steps[i].cell == cell for name in steps[i].code.used}
                code.bound |= {name for name in made if name in last and name not in code.modules}
                code.read |= code.bound & made
            shows = bool(code.data) or _shows(statement) or any(call in SHOWS or call.startswith(DRAWS) for call in code.calls)
            last |= dict.fromkeys(code.bound, len(steps))
            for name in code.bound - code.read:
                functions.pop(name, None)
            functions |= code.functions
            steps.append(_Step(cell, code, shows, after))
    return steps


def _statements(source: str) -> Iterable[ast.stmt]:
    """Those of a cell, magics left out; `a, b = c, d` is two."""
    for statement in ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", source)).body:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
                yield from (ast.Assign([name], value, lineno=statement.lineno) for name, value in zip(names, values))
            case _:
                yield statement


def _call(code: Code, functions: dict[str, Code]) -> None:
    """Add to `code` what the functions do that it uses."""
    todo, done = set(code.used), set()
    while todo:
        name = todo.pop()
        if name in done or name not in functions:
            continue
        done.add(name)
        function = functions[name]
        code.read |= function.read
        code.bound |= function.bound
        code.calls |= function.calls
        code.data |= function.data
        todo |= function.read
    for name, given in [pair for one in (code, *(functions[name] for name in done)) for pair in one.given.items()]:
        if name in functions and _trains(name, functions):
            code.bound |= given


def _trains(name: str, functions: dict[str, Code]) -> bool:
    """Whether a function of the notebook trains, itself or by another one."""
    inside = Code(used={name})
    _call(inside, functions)
    return bool(inside.calls & TRAINS)


def _shows(statement: ast.stmt) -> bool:
    """Whether it has an expression for its own sake, outside of functions that it defines: a call, or what a cell ends in."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(statement, ast.Expr):
        claims = isinstance(statement.value, ast.Call) and getattr(statement.value.func, "id", "") == "claim"
        return not claims and not isinstance(statement.value, ast.Constant)
    return any(_shows(part) for part in ast.iter_child_nodes(statement) if isinstance(part, ast.stmt | ast.ExceptHandler))


def _outcomes(sources: list[str]) -> tuple[list[_Step], list[set[int]]]:
    """All steps, and for each cell those that its outputs may depend on, its own among them.

    An assertion or claim shows nothing, so that what it alone needs doesn't count; in a cell that shows nothing, all counts.
    """
    steps = _steps(sources)
    own = [[i for i, step in enumerate(steps) if step.cell == cell] for cell in range(len(sources))]
    counted = [[i for i in mine if steps[i].shows] or mine for mine in own]
    return steps, [set(mine).union(*(steps[i].after for i in mine)) for mine in counted]


def dependencies(sources: list[str]) -> list[set[int]]:
    """For each cell the earlier cells that must have run for it to run, assertions and all, directly or through others."""
    steps, found = _steps(sources), []
    for cell in range(len(sources)):
        needs = {steps[i].cell for step in steps if step.cell == cell for i in step.after} - {cell}
        found.append(needs.union(*(found[other] for other in needs)))
    return found


def live(sources: list[str]) -> list[bool]:
    """For each cell whether a training of this page is among what its outcome depends on."""
    steps, outcomes = _outcomes(sources)
    return [any(steps[i].code.calls & TRAINS for i in of) for of in outcomes]


def data_of(sources: list[str]) -> list[set[str]]:
    """For each cell the data sets that its outcome depends on and that not everybody has, by key: {"mnist-train"}."""
    steps, outcomes = _outcomes(sources)
    found = [set().union(*(steps[i].code.data for i in of)) for of in outcomes]
    return [{key for key in keys if not key.startswith(EVERYWHERE)} for keys in found]


@lru_cache
def digest(key: str) -> str | None:
    """md5 of the pixels of a data set as it is here, at its own size, or of what stands in for it; None: there is nothing.

    key: "mnist-train", or "cuhk-test" for the pairs of photo and sketch.
    """
    import ignbook.data

    name, _, split = key.rpartition("-")
    try:
        if name == "cuhk":
            return hashlib.md5("".join(part.card["md5"] for part in ignbook.data.sketch_pairs(split)).encode()).hexdigest()
        return ignbook.data.load(name, split).card["md5"]
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------------------------- execution


def _drawn(outputs) -> str | None:
    """What the last figure or player of a cell is, if it is a drawing, with neither a picture nor a map in colours in it."""
    told = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    last = ([""] + [text for text in told if text.startswith(('{"figure":', '{"player":'))])[-1]
    drawn = last and not any(f'"{kind}":' in last for kind in ("image", "images", "mesh"))
    return last[2:8] if drawn else None


def stamp(notebook) -> None:
    """Write into the metadata of each code cell what its outcome depends on, and take out what tells of this machine.

    Drawings on a white ground are marked as such, and pages turn these light on dark in the dark: a figure gets the class
    "drawn", and the cell of a player the tag "drawn".  The class "whole", of which `book/figures.py` tells, stays.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    sources = [cell.source for cell in cells]
    for cell, keys, trained in zip(cells, data_of(sources), live(sources)):
        about = ({"data": {key: digest(key) for key in sorted(keys)}} if keys else {}) | ({"live": True} if trained else {})
        for name in ("ign", "execution"):
            cell.metadata.pop(name, None)
        if about:
            cell.metadata["ign"] = about
        drawn = _drawn(cell.outputs)
        if image := cell.metadata.get("mystnb", {}).get("image"):
            classes = ["drawn"] * (drawn == "figure") + ["whole"] * ("whole" in image.pop("classes", "").split())
            if classes:
                image["classes"] = " ".join(classes)
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != "drawn"] + ["drawn"] * (drawn == "player")
        if tags:
            cell.metadata["tags"] = tags
    notebook.metadata.get("language_info", {}).pop("version", None)


def execute(paths: Iterable[Path], workers: int = 2) -> None:
    """Run notebooks from top to bottom and store their outputs; each kernel has one thread, unless OMP_NUM_THREADS says otherwise.

    CellExecutionError: one failed; it is left as it was, and the others are done all the same.
    """
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(_execute, Path(path)) for path in paths]
    errors = [error for error in (one.exception() for one in running) if error is not None]
    for error in errors[1:]:
        print(error, file=sys.stderr)
    if errors:
        raise errors[0]


def _execute(path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    import ignbook.checkpoints

    notebook = nbformat.read(path, as_version=4)
    environment = {"OMP_NUM_THREADS": "1"} | os.environ | {"IGN_STATIC": "1"}  # what is stored has no panels
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}})  # fmt: skip
    client.execute(env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    stamp(notebook)
    ignbook.checkpoints.write_file(path, (nbformat.writes(notebook) + "\n").encode())
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def _joined(outputs: list) -> list:
    """What was printed, in one piece for each stream: how it comes in pieces is chance."""
    found: list = []
    for output in outputs:
        if output.output_type == "stream" and found and found[-1].get("name") == output.name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def count(path: Path) -> str:
    """How many cells with outputs can be compared, and how."""
    import nbformat

    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    sources = [cell.source for cell in cells]
    kinds = {"compared": 0, "in form only": 0, "of them with data": 0}
    for cell, keys, trained in zip(cells, data_of(sources), live(sources)):
        if cell.outputs:
            kinds["in form only" if trained else "compared"] += 1
            kinds["of them with data"] += bool(keys)
    names = sorted(set().union(*data_of(sources)))
    return (
        f"{path.stem}: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()) + (f" ({', '.join(names)})" if names else "")
    )


def main(arguments: list[str] | None = None) -> None:
    """The command, see the top."""
    parser = argparse.ArgumentParser(prog="python -m ignbook.notebooks", description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--count", action="store_true", help="only say how the cells can be compared")
    parser.add_argument("--workers", type=int, default=2, help="notebooks that run side by side")
    given = parser.parse_args(arguments)
    if given.count:
        print(*map(count, given.paths), sep="\n")
    else:
        execute(given.paths, given.workers)


if __name__ == "__main__":
    main()
