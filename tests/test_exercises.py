"""Every exercise: its stub gets a hint, its solution passes, and two likely mistakes get a hint each, of their own."""

import ast
import copy
import json
import math
import re
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ign_core
import ignbook.exercises
import ignbook.latent
import ignbook.metrics
from ignbook.exercises import CHECKS, check

ROOT = Path(__file__).resolve().parent.parent
NAMES = [f"{chapter:02}-{i}" for chapter in range(1, 13) for i in (1, 2, 3)]
# what a solution needs of its chapter beyond imports, functions and classes
BEFORE = {
    "01-1": "g = torch.Generator().manual_seed(0)",
    "02-2": """
torch.manual_seed(0)
f = ign_core.MLP(dim=2, width=16, depth=2).double()
size = sum(p.numel() for p in f.parameters())
for p in f.parameters():
    p.data += 0.3 * torch.randn(p.shape).double()
z = ign_core.GaussianSource((2,)).sample(64, torch.Generator().manual_seed(0)).double()
""",
}


# ------------------------------------------------------------------------------------- what stands in the chapters


def cells(name: str) -> tuple[list[str], list[str], list[str]]:
    """Code of the chapter before the exercise, between its statement and its solution, and of the solution."""
    (path,) = (ROOT / "notebooks").glob(f"{name[:2]}_*.ipynb")
    before, stub, solution = [], [], []
    place = before
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            place.append(source)
            continue
        if re.search(rf"\{{solution-start\}} ex{name}", source):
            place = solution
        elif f":label: ex{name}\n" in source:
            place = stub
        if place is solution and "{solution-end}" in source.rpartition(f"ex{name}")[2]:
            return before, stub, solution
    raise AssertionError(f"no exercise {name} in {path.name}")


def answered(name: str, sources: list[str], earlier: list[str] = ()):
    """What the last `check(...)` of these cells is given, with as little run before it as it needs."""
    space: dict = {"__name__": "chapter"}
    for source in [*earlier, *sources]:
        body = ast.parse(source).body
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(ast.unparse(node), space)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                try:
                    exec(ast.unparse(node), space)
                except NameError:  # made of what the chapter has computed before; no solution needs it
                    pass
    exec(BEFORE.get(name, ""), space)
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    checks = [node for node in calls if getattr(node.func, "id", "") == "check"]
    assert checks and all(ast.literal_eval(node.args[0]) == name for node in checks), f"no check of {name}"
    asked = ast.unparse(checks[-1].args[1])
    if asked not in space:  # a value and no function: run what comes before the check
        for source in sources:
            exec("\n".join(line for line in source.splitlines() if not line.startswith("check(")), space)
    return space[asked]


def said(name: str, answer, capsys) -> str:
    """The line that `check` prints."""
    capsys.readouterr()  # what making the answer printed
    check(name, answer)
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1 and out.endswith(".\n"), out + err
    assert "Traceback" not in out and "stopped with" not in out, out
    return out


# --------------------------------------------------------------------------------------------------- likely mistakes


def rank(f, y):
    return torch.linalg.matrix_rank(jacobian(f, y))


def jacobian(f, y):
    return torch.func.jacrev(lambda v: f(v[None])[0])(y).reshape(y.numel(), y.numel())


def reversed_average(average, f, decay):
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), f.parameters()):
            slow.lerp_(fast, decay)


def average_with_a_graph(average, f, decay):
    for slow, fast in zip(average.parameters(), f.parameters()):
        slow.lerp_(fast, 1 - decay)


def players(rule):
    """The values of both terms, and the gradients of inner and outer f in each, on a small network."""
    torch.manual_seed(0)
    f = ign_core.MLP(2, 8, 1).double()
    nets = [copy.deepcopy(f) for _ in range(3)]
    nets[2].requires_grad_(False)
    z = torch.randn(16, 2).double()
    found = []
    for term in rule(*nets, z, ign_core.l2):
        for net in nets[:2]:
            net.zero_grad()
        if term.requires_grad:
            term.mean().backward(retain_graph=True)
        found.append([sum(0.0 if p.grad is None else p.grad.abs().sum().item() for p in net.parameters()) for net in nets[:2]])
    return found


def routes_alone(rule):
    (inner_i, outer_i), (inner_t, outer_t) = players(rule)
    assert outer_i == 0, "idempotence trains the outer f."
    assert inner_t == 0, "tightness trains the inner f."
    assert inner_i and outer_t, "a player gets no gradient."


def both_trained_by_both(rule):
    assert all(all(gradients) for gradients in players(rule)), "a player gets no gradient."


def largest_first(game):
    order = sorted(range(game.m), key=lambda i: -game.p_x[i])
    chosen = next(order[:k] for k in range(1, game.m + 1) if sum(game.p_x[i] for i in order[:k]) >= game.ratio)
    mass = sum(game.p_x[i] for i in chosen)
    return tuple(game.p_x[i] / mass if i in chosen else Fraction(0) for i in range(game.m))


def not_divided(game):
    sets = [s for k in range(1, game.m + 1) for s in combinations(range(game.m), k)]
    _, best = min((mass, s) for s in sets if (mass := sum(game.p_x[i] for i in s)) >= game.ratio)
    return tuple(game.p_x[i] if i in best else Fraction(0) for i in range(game.m))


def no_root(p_x, p, ceiling, ratio, b):
    with np.errstate(all="ignore"):
        return np.minimum(ceiling, b * np.arccosh(np.maximum(np.where(p > 0, ratio * p / p_x, 0), 1)))


def uncut(p_x, p, ceiling, ratio, b):
    excess = np.where(p > 0, ratio * p / np.maximum(p_x, 1e-12), 0)
    return b * np.arccosh(np.sqrt(np.maximum(excess, 1)))


class Widened(ign_core.GaussianSource):
    def sample(self, n, generator=None):
        return 1.5 * super().sample(n, generator)


class OnTheModes(ign_core.GaussianSource):
    def sample(self, n, generator=None):
        z = super().sample(n, generator)
        sector = (torch.atan2(z[:, 1], z[:, 0]) / (math.pi / 4)).round() * (math.pi / 4)
        return 0.05 * z + torch.stack([sector.cos(), sector.sin()], -1)


def share(f, source, distance, tolerance, n=4000):
    z = source.sample(n, torch.Generator().manual_seed(0))
    return (distance(f(z)) < tolerance).double().mean()


def fixed_source(f, source, distance, tolerance):
    return share(f, ign_core.GaussianSource((2,)), distance, tolerance)


def without_limit(error, limit, clamp):
    return error.clamp_max(clamp), (error < clamp).to(error.dtype)


def slope_of_one(error, limit, clamp):
    return torch.minimum(error, clamp * limit), torch.ones_like(error)


def mended(f, batches, reset=True, copied=True):
    f = copy.deepcopy(f) if copied else f
    for module in f.train().modules():
        if isinstance(module, nn.BatchNorm2d) and reset:
            module.reset_running_stats()
            module.momentum = None
    for part in batches:
        f(part)
    return f.eval()


def best_constant(x):
    return (x - x.median(0).values).abs().mean()


def along(f, y, k):
    return [ign_core.drift(f, u).mean().item() for u in [y, *ign_core.iterate(f, y, k - 1)]]


def from_the_start(f, y, k):
    return torch.stack([ign_core.l1(u, y).mean() for u in ign_core.iterate(f, y, k)])


def drawn(part, n, generator):
    return part.mean(0) + part.std(0) * torch.randn(n, *part.shape[1:], generator=generator)


def half_plane(data, n, generator):
    return ign_core.FourierSource.of(data).sample(n, generator)


def without_mean(data, n, generator):
    spectrum = torch.fft.fft2(data)
    parts = [drawn(part - part.mean(0), n, generator) for part in (spectrum.real, spectrum.imag)]
    return torch.fft.ifft2(torch.complex(*parts)).real


def steps(f, y, t, k, mix):
    u = y
    for _ in range(k):
        u = mix(y, u, f(u), t)
    return u


def mirror_ratio(f, z, axis, mirrored):
    fz, other = f(z), f(z.flip(axis))
    return ign_core.l1(other, fz.flip(axis) if mirrored else fz).mean() / ign_core.l1(fz, fz.roll(1, 0)).mean()


def without_centring(code, j):
    _, _, w = torch.linalg.svd(code, full_matrices=False)
    return code @ w[:j].T @ w[:j]


def first_numbers(code, j):
    return torch.where(torch.arange(code.shape[1]) < j, code, code.mean(0))


def least_drift(f, y, clean):
    drifts = [ign_core.drift(f, u).mean() for u in [y, *ign_core.iterate(f, y, 4)]]
    return drifts.index(min(drifts))


def off_by_one(f, y, clean):
    away = [ign_core.l1(u, clean).mean() for u in ign_core.iterate(f, y, 4)]
    return away.index(min(away))


def signless(a, b):
    return sum((a.diff(dim=d).abs() - b.diff(dim=d).abs()).abs().flatten(1).mean(1) for d in (2, 3))


def at_the_end(f, y, kept, k):
    return kept * y + (1 - kept) * ign_core.iterate(f, y, k)[-1]


def hole_kept(f, y, kept, k):
    u = y
    for _ in range(k):
        u = (1 - kept) * y + kept * f(u)
    return u


def middles_of(f, one, two, codes, after):
    fade = (one + two) / 2
    return {"cross-fade": fade, "codes": codes(fade), "f(cross-fade)": after(fade)}


class Squashed(ign_core.GaussianSource):
    def from_white(self, e):
        return torch.tanh(e)

    def whiten(self, z):
        return torch.atanh(z)


class Unstretched(ign_core.GaussianSource):
    def from_white(self, e):
        return 2 * torch.special.ndtr(e) - 1

    def whiten(self, z):
        return torch.special.ndtri(z)


def with_itself(real, fake, k=5):
    radii = torch.cdist(real, real).kthvalue(k).values
    return (torch.cdist(real, fake).amin(1) < radii).double().mean()


def precision(real, fake, k=5):
    radii = torch.cdist(real, real).kthvalue(k + 1).values
    return (torch.cdist(fake, real) < radii).any(1).double().mean()


def sideways(y, data, moves=(0, 1, -1)):
    return torch.stack([ignbook.metrics.nearest(y.roll(j, 3), data)[0][:, 0] for j in moves]).amin(0)


def counted(y, labels, threshold, twice, itself):
    found = {}
    for c in labels.unique().tolist():
        near = torch.cdist(y[labels == c].flatten(1), y[labels == c].flatten(1)) <= threshold
        near.fill_diagonal_(itself)
        found[c] = int(near.sum()) if twice else int(near.triu().sum())
    return found


def all_pairs(f, x, z, fx, fz):
    y, r = (torch.cdist(t.flatten(1), t.flatten(1)).square() for t in (fz, x))
    n = len(x)
    return torch.exp(-y / (r.sum() / (n * (n - 1)))).mean()


def own_scale(f, x, z, fx, fz):
    squares = torch.pdist(fz.flatten(1)).square()
    return torch.exp(-squares / squares.mean()).mean()


WORDS = {"ReLU", "absolute value", "sorting", "rounding", "subtracting the mean"}
HALF = ([0, 0, 0], [0, 1, 0], [0, 1, 2], True)

# name -> two wrong answers, each with words of the hint that it must get
WRONG: dict[str, list[tuple[object, str]]] = {
    "01-1": [(WORDS | {"tanh"}, "tanh is not idempotent"), (WORDS - {"sorting"}, "sorting belongs to the set")],
    "01-2": [(rank, "a rank counts"), (lambda f, y: jacobian(f, y).square().sum(), "the squares of all entries")],
    "01-3": [
        (lambda y, width=0.05: len(y.unique(dim=0)), "round to cells"),
        (lambda y, width=0.05: len((y / width).floor().unique()), "compare whole points"),
    ],
    "02-1": [
        (lambda a, b, eps=0.1: ((a - b).square() + eps**2).sqrt().flatten(1).mean(1), "subtract eps"),
        (lambda a, b, eps=0.1: ((a - b).square().flatten(1).mean(1) + eps**2).sqrt() - eps, "the root of a mean"),
    ],
    "02-2": [(routes_alone, "with a finite difference"), (both_trained_by_both, "rejects the right rule")],
    "02-3": [(reversed_average, "exchanged"), (average_with_a_graph, "a graph of all steps")],
    "03-1": [
        ({"1": ([0, 1, 0], [0, 1, 0], [0, 2], False), "1/2": HALF}, "is a tie"),
        ({"1": ([1, 0, 0], [1, 0, 2], [1, 2], False), "1/2": HALF}, "costs the outer player"),
    ],
    "03-2": [(largest_first, "the largest points first"), (not_divided, "divide by the mass")],
    "03-3": [(no_root, "take the root"), (uncut, "above its ceiling")],
    "04-1": [(lambda f, *rest: share(lambda y: y, *rest), "share of z itself"), (fixed_source, "draw by source.sample")],
    "04-2": [(Widened, "pieces, and 8 are asked for"), (OnTheModes, "on the data already")],
    "04-3": [(lambda y: (2 + y.abs()).sum(1), "twice the ceiling"), (lambda y: (2 - y.abs()).mean(1), "nearest corner")],
    "05-1": [(without_limit, "the clamp alone"), (slope_of_one, "slope is 1 everywhere")],
    "05-2": [
        (lambda f, batches: mended(f, batches, reset=False), "remember more"),
        (lambda f, batches: mended(f, batches, copied=False), "f itself was changed"),
    ],
    "05-3": [
        (lambda x, fx, fz: bool((x - fx).abs().mean() < best_constant(x)), "their spread too"),
        (lambda x, fx, fz: bool(fz.std(0).mean() > 0.02), "the reconstruction too"),
        (lambda x, fx, fz: bool((x - fx).abs().mean() < best_constant(x) and fz.std(0).mean() > 0.02), "nearly one image"),
    ],
    "06-1": [(along, "the drift of y itself"), (from_the_start, "how far each has come")],
    "06-2": [(half_plane, "as FourierSource has it"), (without_mean, "the mean image is lost")],
    "06-3": [
        (lambda *args: steps(*args, lambda y, u, fu, t: (1 - t) * y + t * fu), "mixes with the first y"),
        (lambda *args: steps(*args, lambda y, u, fu, t: t * u + (1 - t) * fu), "are exchanged"),
    ],
    "07-1": [
        (lambda f, z: mirror_ratio(f, z, -1, False), "mirror f(z) too"),
        (lambda f, z: mirror_ratio(f, z, -2, True), "mirror the last dimension"),
    ],
    "07-2": [(without_centring, "the mean of the codes has changed"), (first_numbers, "first three numbers are no components")],
    "07-3": [
        (lambda side, channels, code: code * (channels * side**2 + 1), "one to the code and one back"),
        (lambda side, channels, code: 2 * channels * side * code + channels * side + code, "side² pixels"),
    ],
    "08-1": [(off_by_one, "one too small"), (least_drift, "where the drift is least")],
    "08-2": [
        (lambda a, b: (a - b).diff(dim=3).abs().flatten(1).mean(1), "of one direction only"),
        (signless, "from dark to light"),
    ],
    "08-3": [(at_the_end, "after every step"), (hole_kept, "the known part has changed")],
    "09-1": [
        (lambda source, z: z.flatten(1).norm(dim=1) / math.sqrt(z[0].numel()), "the radius in z"),
        (lambda source, z: source.whiten(z).flatten(1).norm(dim=1), "the number of dimensions"),
    ],
    "09-2": [
        (lambda f, a, b: middles_of(f, a, b, f, f), "decodes the code of the cross-fade"),
        (
            lambda f, a, b: middles_of(
                f, a, b, lambda _: f.decoder((f.encoder(a) + f.encoder(b)) / 2), lambda _: (f(a) + f(b)) / 2
            ),
            "fades f(one) into f(two)",
        ),
    ],
    "09-3": [(Squashed, "is not uniform"), (Unstretched, "doesn't undo")],
    "10-1": [(with_itself, "its own first neighbour"), (precision, "the share of fake points")],
    "10-2": [
        (sideways, "move along both dimensions"),
        (lambda y, data: ignbook.metrics.nearest(y, data)[0][:, 0], "no shifted copy was found"),
    ],
    "10-3": [
        (lambda *args: counted(*args, twice=True, itself=False), "counted twice, as"),
        (lambda *args: counted(*args, twice=False, itself=True), "paired with itself."),
    ],
    "11-1": [
        (lambda shares, ratio: int(len(shares) * (1 - ratio) + 1e-9), "are not even"),
        (lambda shares, ratio: sum(sum(shares[: i + 1]) <= 1 - ratio for i in range(len(shares))), "the rarest go first"),
    ],
    "11-2": [(all_pairs, "paired with itself"), (own_scale, "a clump costs no more")],
    "11-3": [
        (lambda now, x, z, gamma, rate=1.0: min(max(now - rate * (gamma * x - z), 0.05), 20), "should rise"),
        (lambda now, x, z, gamma, rate=1.0: now + rate * (gamma * x - z), "so stop at 0.05"),
    ],
    "12-1": [(lambda share: 1 / share, "its part of the step stays whole"), (lambda share: 9 / (6 + 3 * share), "not f(f(z)) alone")],
    "12-2": [
        (lambda memory, parameters, kept: memory // (2 * kept), "the weights take memory too"),
        (lambda memory, parameters, kept: max(memory - 28 * parameters, 0) // (4 * kept), "2 bytes each"),
    ],
    "12-3": [
        (lambda n, p, s, bandwidth: s / (s + (n - 1) / n * 4 * p / bandwidth), "count both ways"),
        (lambda n, p, s, bandwidth: s / (s + 8 * p / bandwidth), "a single device exchanges nothing"),
    ],
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- the tests


def test_every_chapter_has_three():
    assert sorted(CHECKS) == NAMES == list(WRONG)


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_gets_a_hint_and_the_solution_passes(name, capsys):
    before, stub, solution = cells(name)
    assert len(stub) == 1 and len(stub[0].rstrip().splitlines()) <= 6
    assert said(name, answered(name, stub, before), capsys).startswith(f"{name}, to begin with: ")
    assert said(name, answered(name, solution, before), capsys).startswith(f"{name} is right: ")


@pytest.mark.parametrize("name", NAMES)
def test_wrong_answers_are_caught_each_by_its_own_hint(name, capsys):
    hints = [said(name, answer, capsys) for answer, _ in WRONG[name]]
    for hint, (_, words) in zip(hints, WRONG[name], strict=True):
        assert hint.startswith(f"{name}, not yet: ") and words in hint, hint
    assert len(set(hints)) == len(hints) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_whatever_gets_a_traceback(name, capsys):
    def broken(*args, **kwargs):
        raise RuntimeError("the first line\nand a second")

    for answer in (None, ..., 3, "text", broken, lambda *args, **kwargs: "text", lambda *args, **kwargs: math.nan):
        check(name, answer)
        out = capsys.readouterr().out
        assert re.match(rf"{name}, (?:not yet|to begin with): .*\.\n\Z", out), out


def test_a_check_leaves_the_readers_random_numbers_alone(capsys):
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    check("02-1", lambda a, b, eps=0.1: torch.rand(len(a)))
    assert torch.equal(torch.rand(3), wanted)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(ValueError, match="from 01-1 to 12-3"):
        check("13-1", lambda: None)
