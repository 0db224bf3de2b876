"""Every public function of measures, projector, latent space, theory and figures, with one argument after the other made bad:
it must say what to do, in one sentence of a ValueError or TypeError, or give an answer without a NaN."""

import inspect
import math
from fractions import Fraction as Half
from pathlib import Path
from types import ModuleType

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import ign_core
import ignbook.data
import ignbook.exercises
import ignbook.latent
import ignbook.metrics
import ignbook.panels
import ignbook.plots
import ignbook.projector
import ignbook.recipes
import ignbook.tables
import ignbook.theory

G = torch.Generator().manual_seed(0)
AUTO = ign_core.ConvAutoencoder(32, 1, 8, 6).eval().requires_grad_(False)
SOURCE = ign_core.GaussianSource((1, 32, 32))
NET = ignbook.metrics.Classifier().eval().requires_grad_(False)
MODEL = ign_core.Model(AUTO, SOURCE, {})
X = torch.rand(500, 1, 32, 32, generator=G) * 2 - 1
X3, FEW = X[:3], X[:20, :, :8, :8].contiguous()
FEATURES = torch.randn(500, 64, generator=G)
CODES, SCORES, POINTS, LINE = FEATURES[:20, :6], FEATURES[0], FEATURES[:30, :2], FEATURES[:30, :1]
ATTRIBUTES = ignbook.data.draw_attributes(20, G)
FACES = ignbook.data.draw_faces(ATTRIBUTES[:2])
BYTES = ((X + 1) * 127.5).to(torch.uint8)
IMAGES = ignbook.data.Images(BYTES, torch.arange(500) % 10, "made", 32, "here")
GAME = ignbook.theory.game([1, 2, 1], [1, 2, 1], "1/2")
LAW, DRIFT, LAW_2 = [0.25, 0.5, 0.25], [0.0, 1.0, 0.5], np.array([0.5, 0.25, 0.25])
PLANE = ign_core.MLP(2, 8, 1).eval().requires_grad_(False)
ON_LINE = ign_core.MLP(1, 8, 1).eval().requires_grad_(False)
SCORED = {"FD": 10.0, "KID": 3.0, "precision": 0.9, "recall": 0.9, "density": 1.0, "coverage": 0.9, "KL": 0.01, "confidence": 0.99,
          "detail": 0.08, "drift": 0.1}  # fmt: skip
RECORD = {"seconds": 9.0, "metrics": {"rows": {"real": SCORED, "f(z)": SCORED}}}
BIRTHDAY = ignbook.metrics.birthday(FEW[:5].repeat(6, 1, 1, 1), 0.1, 20)
OPERATOR = ignbook.projector.shrinking(2)
TABLE = {"real": {"FD": 1.0}}
HISTORY = [{"step": s, "reconstruction": 1.0, "idempotence": 1.0, "tightness": 1.0} for s in (1, 2)]
FRAME = ignbook.plots.frame(X3)

# module -> {function: arguments of one valid call}
CALLS: dict[ModuleType, dict[str, dict]] = {
    ignbook.metrics: {
        "features_of": {"network": NET, "x": X3},
        "classes_of": {"classifier": NET, "x": X3},
        "frechet": {"real": FEATURES[:, :4], "fake": FEATURES[:, :4]},
        "frechet_at_infinity": {"real": FEATURES[:, :4], "fake": FEATURES[:, 4:8], "parts": 3, "seed": 0},
        "kernel": {"real": FEATURES, "fake": FEATURES, "subsets": 2, "subset_size": 50, "seed": 0},
        "neighbours": {"real": CODES, "fake": CODES, "k": 3},
        "class_histogram": {"labels": torch.arange(10), "classes": 10},
        "high_frequencies": {"x": FEW},
        "nearest": {"x": X3, "train": X[:9], "k": 2, "chunk": 4},
        "near_duplicate": {"real": FEW, "one_in": 50},
        "birthday": {"x": FEW, "threshold": 0.5, "orders": 5, "seed": 0},
        "read_attributes": {"x": FACES[:1]},
        "attribute_coverage": {"attributes": ATTRIBUTES, "bins": 5},
        "on_drawn_faces": {"x": FACES[:1]},
        "check_images": {"x": X3, "least": 2},
        "score": {"network": NET, "x": X, "real": FEATURES},
        "evaluate": {"model": MODEL, "network": NET, "train": IMAGES, "test": IMAGES, "n": 500, "seed": 0, "rows": ("f(z)",)},
        "measured": {"model": MODEL, "train": IMAGES, "held_out": IMAGES, "n": 20},
        "glance": {"f": AUTO, "source": SOURCE, "network": NET, "real": FEATURES, "n": 50, "seed": 0},
        "projected": {"f": AUTO, "x": X3},
        "drifts": {"f": AUTO, "x": X3},
        "table": {"metrics": {"rows": TABLE}, "more": TABLE},
        "summary": {"record": RECORD, "row": "f(z)"},
        "over_seeds": {"values": [0.1, 0.2], "digits": 2},
        "summary_table": {"runs": {"a": [RECORD]}, "rows": "f(z)", "names": {"a": "A"}},
        "efficientnet": {"device": "cpu"},
        "load_feature_network": {"name": "classifier"},
        "load_classifier": {"name": "classifier"},
        "in_random_order": {"data": X3},
        "train_classifier": {"recipe": ignbook.recipes.ClassifierRecipe("c", "mnist", epochs=1, batch=250), "train": IMAGES,
                             "test": IMAGES, "progress": False},
    },
    ignbook.projector: {
        **{name: {"x": FACES, strength: value, "generator": G} for name, strength, value in (
            ("noise", "sigma", 0.1), ("grey", "share", 0.5), ("sketch", "kernel", 5), ("blur", "sigma", 1.0), ("mask", "side", 0.3),
            ("sepia", "share", 1.0), ("outlines", "share", 1.0), ("fog", "share", 1.0), ("discs", "share", 1.0),
            ("salt_and_pepper", "share", 0.1), ("jpeg", "quality", 50), ("rotation", "degrees", 10.0))},
        "corrupt": {"x": FACES, "name": "noise", "strength": 0.1, "generator": G},
        "tinted": {"y": FACES, "z": FACES, "share": 0.5},
        "grounded": {"y": FACES, "z": FACES, "sigma": 2.0, "share": 0.5},
        "steadiest": {"f": AUTO, "several": torch.stack([X3, -X3])},
        "blurring": {"size": 8, "sigma": 1.0},
        "hiding": {"kept": torch.ones(1, 1, 8, 8)},
        "shrinking": {"factor": 2},
        "restorations": {"size": 8},
        "plug_and_play": {"f": AUTO, "w": OPERATOR.forward(X3), "operator": OPERATOR, "steps": 2, "start": X3},
        "detected": {"on": SCORES, "off": SCORES + 1},
        "ranks": {"queries": CODES, "gallery": CODES},
        "far": {"model": MODEL, "x": X3, "data": X3},
    },
    ignbook.latent: {
        "line": {"a": CODES, "b": -CODES, "t": 0.5},
        "arc": {"a": CODES, "b": -CODES, "t": 0.5},
        "path": {"source": SOURCE, "a": X3, "b": -X3, "kind": "spherical", "steps": 3},
        "codes": {"f": AUTO, "y": X3},
        "decoded": {"f": AUTO, "code": CODES},
        "walk": {"f": AUTO, "source": SOURCE, "a": X3, "b": -X3, "kind": "codes", "steps": 3},
        "analogy": {"source": SOURCE, "plus": X3, "minus": -X3, "other": X3},
        "difference": {"code": CODES, "has": torch.arange(20) % 2 == 0},
        "regression": {"code": CODES, "attributes": CODES[:, :2], "ridge": 0.1},
        "principal": {"code": CODES, "k": 2},
        "stretch": {"f": AUTO, "source": SOURCE, "z": X3, "length": 0.1, "k": 2, "generator": G},
        "followed": {"f": AUTO, "y": X3, "move": X3},
        "on_sphere": {"source": SOURCE, "e": X3},
        "invert": {"f": AUTO, "source": SOURCE, "x": X3, "steps": 2, "lr": 0.1, "start": X3},
    },
    ignbook.theory: {
        "game": {"weights": [1, 2], "ceiling": [1, 1], "ratio": "1/2"},
        "ceilings": {"distances": [[0, 1], [1, 0]]},
        **{name: {"game": GAME, "p": LAW} for name in ("advantage", "outer_response", "generator_loss", "supported", "permitted",
                                                       "covered", "overlap")},
        **{name: {"game": GAME, "p": LAW, "delta": DRIFT} for name in ("outer_loss", "inner_loss", "gap", "predicted")},
        "inner_response": {"game": GAME, "delta": DRIFT, "tol": 0.1},
        "is_equilibrium": {"game": GAME, "p": LAW, "delta": DRIFT, "tol": 0.1},
        "laws": {"m": 2, "parts": 3},
        "equilibria": {"game": GAME, "parts": 3},
        "play": {"game": GAME, "start": LAW, "steps": 9, "rate": 0.1},
    },
    ignbook.panels: {
        "static": {},
        "projector": {"models": {"f": MODEL}, "x": X3},
        "walk": {"model": MODEL},
        "train": {"recipe": ignbook.recipes.ring},
    },
    ignbook.data: {
        "manifold": {"name": "ring"},
        "points": {"name": "ring", "n": 9, "seed": 0},
        "shuffled": {"n": 9},
        "draw_attributes": {"n": 2, "generator": G},
        "draw_faces": {"attributes": ATTRIBUTES[:2], "size": 16},
        "check_attributes": {"attributes": ATTRIBUTES},
        "add_noise": {"x": X3, "sigma": 0.1, "generator": G},
        "load": {"name": "digits8", "split": "test", "size": 32},
        "real": {"name": "digits8", "split": "test", "size": 32},
        "sketch_pairs": {"split": "nonesuch"},
        "fetch": {"name": "nonesuch"},
        "drift_ratio": {"model": MODEL, "x": X3, "data": X3},
        "prepare": {"image": X3[0], "model": ignbook.recipes.mnist},
        "read_image": {"file": "nonesuch.png", "name": "x"},
        "folder": {"path": "nonesuch", "size": 16, "channels": 1, "split": "train"},
        "from_dataset": {"dataset": list(BYTES[:40]), "size": 16, "channels": 1, "split": "train"},
        "shards": {"path": "nonesuch", "size": 16, "channels": 1, "buffer": 10, "workers": 0},
        "result": {"name": "step"},
        "runs": {"family": "lambda"},
        **{name: {} for name in ("ring", "moons", "spiral", "gaussians", "checkerboard", "pinwheel")},
    },
    ignbook.exercises: {"check": {"name": "06-3", "answer": lambda f, y, t, k: y}},
    ignbook.plots: {
        "images": {"x": X3, "columns": 2, "title": "a"},
        "points": {"y": POINTS, "role": "x", "size": 3.0, "label": "a", "limit": 1.9},
        "panels": {"rows": {"a": {"b": [(POINTS, "x")]}}, "size": 1.0},
        "gallery": {"cells": {"a": [(POINTS, "x")]}, "columns": 2},
        "rows_of_images": {"rows": {"a": X3}, "columns": 3, "titles": ["a"]},
        "captioned": {"rows": {"a": X3}, "captions": {"b": ["1", "2", "3"]}},
        "numbered": {"x": X3, "columns": 2, "start": 0},
        "save_samples": {"f": AUTO, "source": SOURCE, "path": Path("samples.png"), "n": 2, "columns": 2, "seed": 0},
        "save_grid": {"x": X3, "path": Path("grid.png"), "columns": 2},
        "by_row": {"panels_": {"L1": {"a": {"input": 0.1}}}, "lines": {"L1": 0.5}, "wide": ("KID",)},
        "attribute_errors": {"kinds": {"f": {"a": [0.1]}}, "names": ["skin"], "chance": [0.3]},
        "stretches": {"moved": {0.1: [0.2], 0.2: [0.3]}},
        "stretches_of": {"models": {"a": {0.1: [0.2], 0.2: [0.3]}}},
        "radii": {"draws": SCORES, "real": SCORES, "paths": {"a": CODES}},
        "changes": {"panels_": {"a": {"b": {"c": 0.1}}}, "columns": 2, "top": 0.5},
        "report_card": {"kinds": {"real": (X3, SCORED)}, "shown": 2},
        "size_bias": {"series": {"a": ("red", {9: [1.0]}, {9: [1.0]}, (1.0, 2.0))}, "mean_term": 2.0},
        "birthdays": {"found": {"a": (BIRTHDAY, FEW, "red")}},
        "cumulative": {"kinds": {"a": (SCORES, "red")}, "label": "t"},
        "strengths": {"rows": {0.0: SCORED, 1.0: SCORED}},
        "strength": {"x": FEW, "row": SCORED, "real": SCORED, "top_fd": 100.0},
        "samples_of_run": {"family": "lambda", "variant": "nonesuch", "seed": 0},
        "costs": {"points": [{"side": 8, "operations": 1.0, "seconds": 1.0, "predicted": 1.0}], "held_out": 16},
        "strips": {"kinds": {"a": np.zeros((4, 8), np.uint8)}},
        "runs_by_measure": {"lines": {"a": [{"FD": 1.0}]}, "measures": ["FD"]},
        "against_lambda": {"courses": {"a": {0.5: [{"FD": 1.0}]}}, "measures": {"FD": "FD"}, "real": {"FD": 1.0}},
        "shares_against_bound": {"share": [0.5, 0.5], "real": [0.5, 0.5], "ratio": 0.5, "picture": np.zeros((4, 8)), "names": "ab"},
        "forces": {"f": ON_LINE, "x": LINE, "z": LINE, "lengths": 0.3},
        "routing": {},
        "network": {"f": AUTO, "y": X[:1]},
        "graphs": {"snapshots": {1: ON_LINE}, "x": LINE, "z": LINE},
        "clamp_curves": {"factors": (0.5, 1.5), "limit": 1.0},
        "seeds": {"scores": {"a": [{"b": 0.5}]}},
        "frame": {"shown": X3, "columns": 2},
        "style": {},
        "moves": {"f": PLANE, "side": 1.0, "n": 3},
        "drift_grid": {"f": PLANE, "side": 1.0, "n": 3},
        "drift_maps": {"maps": {"a": PLANE}, "x": POINTS, "columns": 1, "top": 1.0},
        "picture_manifold": {},
        "supports": {"shapes": {"a": (ignbook.data.ring(), POINTS)}, "n": 9},
        "film": {"networks": {1: PLANE}, "x": POINTS, "z": POINTS},
        "landscape": {"f": PLANE, "x": POINTS, "z": POINTS, "title": "a"},
        "part_kept": {"rows": [{"share": 0.1, "bound": 1.0, "on the smaller ring": 1.0, "points": [[0.1, 0.4]]}], "x": POINTS,
                      "shares": (0.1, 0.1)},
        "against_ratio": {"rows": [{"manifold": "ring", "ratio": 0.5, "a": 1.0}], "measures": {"a": "A"}, "manifolds": ("ring",),
                          "baselines": {"ring": {"real": {"a": 1.0}, "source": {}}}},
        "cover": {"x": POINTS, "z": POINTS, "fz": POINTS, "ffz": POINTS},
        "player": {"frames": [FRAME], "values": [1], "label": "a", "alt": "b", "width": 100},
        "laws_and_drift": {"y": [0, 1, 2], "p_x": LAW, "p": LAW, "delta": DRIFT, "ceiling": [1, 1, 1]},
        "picture_game": {"y": [0, 1, 2], "p_x": LAW, "rounds": [("a", LAW, DRIFT)], "ceiling": [1, 2, 1]},
        "phase_diagram": {"rows": [{"ratio": Half(1, 2), "covered": 1, "level": (0, 1)}]},
        "generator_losses": {"q": [0.0, 1.0], "curves": {"a": [[0.0, 1.0]]}, "p_x": 0.5, "ceilings": ["a"]},
        "plays": {"y": [0, 1, 2], "p_x": LAW, "laws": {"a": LAW_2}, "start": LAW},
        "overlaps": {"histories": {"a": LAW_2}, "ratios": [0.5, 1.0], "ends": [0.5, 1.0]},
        "orbits": {"paths": {"a": np.zeros((4, 2))}},
        "drifts_of_orbits": {"drifts": {"a": [1.0, 0.5]}},
        "clamped_responses": {"excess": LAW_2, "curves": {"a": LAW_2}},
        "history": {"rows": HISTORY},
        "three_ends": {"x": LINE, "z": LINE},
        "by_setting": {"panels_": {"a": {"b": [1.0]}}, "label": "c", "lines": {"d": 1.0}, "log": True},
        "courses": {"runs": {"a": [{"step": 1, "u": 1.0}]}, "measures": {"u": "U"}, "lines": {"u": {"b": 1.0}}},
        "mixture": {"parts": {"a": (0.0, 1.0, "red")}},
        "spectra": {"kinds": {"a": (X3, "red")}},
        "class_shares": {"kinds": {"a": ([0.5, 0.5], "red")}, "names": ("0", "1")},
    },
    ignbook.tables: {
        "show": {"text": "| a | b |\n|---|---|\n| 1 | 2 |", "columns": 1, "names": 1},
        "table": {"rows": {"f": {"b": 1.0}}, "head": ["a", "b"], "form": "{:.1f}", "columns": 1, "names": 1},
    },
}  # fmt: skip
# what takes an axes, or compares summaries that it made itself, and what has its own tests
ELSEWHERE = {"permitted_laws", "as_text", "differences", "from_text", "summary", "without_frames"}
MAPS = {"moves", "drift_grid"}  # a map of f, which may have holes
SWEPT = [(module, name) for module, calls in CALLS.items() for name in calls]


def public(module: ModuleType) -> set[str]:
    names = vars(module).get("__all__", vars(module))
    found = {n: vars(module)[n] for n in names if not n.startswith("_")}
    home = module.__name__
    return {n for n, v in found.items() if inspect.isfunction(inspect.unwrap(v)) and v.__module__.startswith(home)}


def bad(value) -> list:
    """What a reader might give in place of it."""
    if isinstance(value, torch.Tensor):
        wrong = [value[:0], value[0], value[None], value.numpy(), None, 3, value.to(torch.complex64)]
        if value.is_floating_point():
            wrong += [value * math.nan, value * math.inf, (9 * value).long(), (9 * value).abs().to(torch.uint8), 0 * value]
            wrong += [torch.where(torch.arange(value.numel()).reshape(value.shape) == 1, math.nan, value), value.double()]
        return [*wrong, value[..., :0], value[:1], value.bool(), value.to(torch.float16)]
    if isinstance(value, np.ndarray):
        return [value[:0], value[0], value * math.nan, None, 3]
    if isinstance(value, torch.Generator):
        return [3, "seed"]
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [0, -1, "three", math.nan, None]
    if isinstance(value, float):
        return [math.nan, math.inf, -1.0, "much", None]
    if isinstance(value, str | Path):
        return ["nonesuch", 3] if isinstance(value, str) else [3]
    if isinstance(value, dict | list | tuple):
        kind = type(value)
        return [kind() if kind in (dict, list, tuple) else (), 3, spoilt(value)]
    if isinstance(value, nn.Module | ign_core.Model | ignbook.data.Images):
        return [3, None, "mnist", MODEL, X3, {}, lambda y: y * math.nan]
    return [3, None, "x"]


def spoilt(value):
    """The same with every float NaN, however deep."""
    if isinstance(value, dict):
        return {key: spoilt(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(spoilt, value))
    if isinstance(value, list | tuple):
        return type(value)(map(spoilt, value))
    if isinstance(value, torch.Tensor | np.ndarray) and "float" in str(value.dtype):
        return value * math.nan
    return math.nan if isinstance(value, float) else value


def holds_nan(found) -> bool:
    if isinstance(found, torch.Tensor | np.ndarray):
        found = np.asarray(found)
        return found.dtype.kind in "fc" and bool(np.isnan(found).any())
    if isinstance(found, dict | list | tuple):
        return any(map(holds_nan, found.values() if isinstance(found, dict) else found))
    return isinstance(found, float) and math.isnan(found)


def complaint(call, arguments, passed_on: bool = False) -> str | None:
    """What is wrong with what a call did; None: nothing.  passed_on: a NaN that f itself gave is the answer."""
    try:
        found = call(**arguments)
        if inspect.isgenerator(found):
            found = list(found)
    except (ValueError, TypeError, FileNotFoundError) as error:
        text = str(error)
        fine = text.endswith(".") and "\n" not in text and len(text) < 400
        return None if fine else f"{type(error).__name__}: {text}"
    except Exception as error:  # anything else is as obscure
        return f"{type(error).__name__}: {error}"
    return "NaN" if holds_nan(found) and not passed_on else None


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IGN_DATA", raising=False)
    monkeypatch.setenv("IGN_CACHE", str(tmp_path))
    yield
    plt.close("all")


@pytest.mark.parametrize("module, name", SWEPT, ids=[f"{m.__name__.removeprefix('ignbook.')}.{n}" for m, n in SWEPT])
@pytest.mark.filterwarnings("ignore")
def test_a_bad_argument_gets_a_sentence_and_never_a_nan(module, name):
    call, good, wrong = getattr(module, name), CALLS[module][name], []
    if name == "efficientnet":
        pytest.importorskip("efficientnet_lite_pytorch")
    if said := complaint(call, good):
        wrong.append(f"as it should be: {said}")
    for key, value in good.items():
        for i, other in enumerate(bad(value)):
            if said := complaint(call, {**good, key: other}, name in MAPS and key == "f"):
                wrong.append(f"{key}, case {i}, {type(other).__name__}: {said[:200]}")
            plt.close("all")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", CALLS, ids=lambda m: m.__name__)
def test_no_public_function_is_left_out(module):
    assert public(module) - ELSEWHERE <= set(CALLS[module])
