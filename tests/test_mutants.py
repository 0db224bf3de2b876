"""Broken copies of `ign_core`, each with one mistake that public code makes or could; the checks must catch every one."""

import inspect
import sys
import types

import pytest
from test_core import check_spectrum
from test_objective import check_batchnorm, check_gradients, check_same, check_samples_apart

import ign_core

SOURCE = inspect.getsource(ign_core)

# name: (what stands in ign_core, what stands in the mutant, the checks of which every one must fail)
MUTANTS = {
    # the literal algorithm
    "tightness on the frozen copy, so that it trains nothing": (
        "D(fz.detach(), f(fz.detach()))",
        "D(fz.detach(), f_copy(fz.detach()))",
        [check_gradients, check_same],
    ),
    "idempotence trains the outer f too": (
        "l_i = D(fz, f_copy(fz))",
        "l_i = D(fz, f(fz))",
        [check_gradients, check_same],
    ),
    "idempotence does not reach the inner f": (
        "l_i = D(fz, f_copy(fz))",
        "l_i = D(fz.detach(), f_copy(fz.detach())) + 0 * D(fz, fz)",
        [check_gradients, check_same],
    ),
    "idempotence through its second argument only": (
        "l_i = D(fz, f_copy(fz))",
        "l_i = D(fz.detach(), f_copy(fz))",
        [check_gradients, check_same],
    ),
    "tightness trains the inner f through both arguments": (
        "D(fz.detach(), f(fz.detach()))",
        "D(fz, f(fz))",
        [check_gradients, check_same],
    ),
    "tightness trains the inner f through its first argument": (
        "D(fz.detach(), f(fz.detach()))",
        "D(fz, f(fz.detach()))",
        [check_gradients, check_same],
    ),
    "the clamp's limit trains f": (
        "D(z, fz).detach(), clamp)\n    total",
        "D(z, fz), clamp)\n    total",
        [check_gradients, check_same],
    ),
    "sign of tightness, literal": (
        "idempotence * l_i.mean() - tightness",
        "idempotence * l_i.mean() + tightness",
        [check_gradients, check_same],
    ),
    "arguments of the distance swapped": (
        "l_r = D(x, fx)\n    l_i",
        "l_r = D(fx, x)\n    l_i",
        [check_gradients],
    ),
    "the frozen copy counts batch statistics": (
        "{name: b.clone() for name, b in f.named_buffers()}",
        "{name: b for name, b in f.named_buffers()}",
        [check_batchnorm],
    ),
    # the one-graph step
    "sign of tightness, one graph": (
        "idempotence * inner.mean() - tightness",
        "idempotence * inner.mean() + tightness",
        [check_gradients, check_same],
    ),
    "sign of the ratio": (
        "ratio = (-idempotence",
        "ratio = (idempotence",
        [check_gradients, check_same],
    ),
    "the slope forgotten in the ratio": (
        "(-idempotence / (tightness * slope))",
        "(-idempotence / (tightness + 0 * slope))",
        [check_gradients, check_same],
    ),
    "the slope forgotten in tightness": (
        "outer = slope * error",
        "outer = 1.0 * error",
        [check_gradients, check_same],
    ),
    "what flows back into the inner f is not rescaled": (
        "if y.requires_grad:",
        "if False:",
        [check_gradients, check_same],
    ),
    "the inner f is rescaled on every path": (
        "y = fz.view_as(fz)",
        "y = fz",
        [check_gradients, check_same],
    ),
    "the inner f is cut off from the outer": (
        "y = fz.view_as(fz)",
        "y = fz.detach()",
        [check_gradients, check_same],
    ),
    "error not detached in its first argument": (
        "error = D(fz.detach(), ffz)",
        "error = D(fz, ffz)",
        [check_gradients, check_same],
    ),
    "idempotence trains the outer f, one graph": (
        "inner = D(fz, ffz.detach())",
        "inner = D(fz, ffz)",
        [check_gradients, check_same],
    ),
    "idempotence forgets its first argument": (
        "inner = D(fz, ffz.detach())",
        "inner = D(fz.detach(), ffz.detach())",
        [check_gradients, check_same],
    ),
    "x and z share batch statistics": (
        "if tightness == 0 or mixes_samples(f):",
        "if tightness == 0:",
        [check_batchnorm],
    ),
    "BatchNorm is not looked for inside f": (
        "for m in f.modules())\n\n\ndef _check_pair",
        "for m in [f])\n\n\ndef _check_pair",
        [check_batchnorm],
    ),
    # the clamp of both
    "the clamp's limit is the batch's mean": (
        "bound = (clamp * limit)",
        "bound = (clamp * limit.mean().expand_as(limit))",
        [check_gradients, check_samples_apart],
    ),
    "the clamp bends the batch's mean": (
        "bent = torch.tanh(error / bound)",
        "bent = torch.tanh(error.mean() / bound)",
        [check_gradients, check_samples_apart],
    ),
    "the clamp forgets its factor": (
        "return bound * bent,",
        "return limit * bent,",
        [check_gradients],
    ),
    # the Fourier source
    "no mirror columns": (
        "spectrum[..., height // 2 + 1 :, column] = upper.flip(-1).conj()",
        "pass",
        [check_spectrum],
    ),
    "mirror columns not conjugated": (
        "upper.flip(-1).conj()",
        "upper.flip(-1)",
        [check_spectrum],
    ),
    "only the first column is mirrored": (
        "(0, width // 2) if width % 2 == 0 else (0,)",
        "(0,)",
        [check_spectrum],
    ),
    "the mirror half made up, and the imaginary part of the image dropped": (
        "return torch.fft.irfft2(spectrum, s=(height, width))",
        "return torch.fft.ifft2(torch.cat([spectrum, spectrum[..., 1 : (width + 1) // 2].flip(-1)], -1)).real",
        [check_spectrum],
    ),
    "variance in place of the standard deviation": (
        "(square / n - mean.square()).clamp_min(0).sqrt()",
        "(square / n - mean.square()).clamp_min(0)",
        [check_spectrum],
    ),
}  # fmt: skip

CHECKS = [check_gradients, check_same, check_batchnorm, check_samples_apart, check_spectrum]


def module_of(source: str) -> types.ModuleType:
    """ign_core's source, run as a module of its own."""
    mutant = types.ModuleType("ign_mutant")
    mutant.__file__ = ign_core.__file__
    sys.modules["ign_mutant"] = mutant  # dataclasses look their module up by name
    try:
        exec(compile(source, "ign_mutant.py", "exec"), mutant.__dict__)
    finally:
        del sys.modules["ign_mutant"]
    return mutant


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
def test_the_checks_pass_on_an_unchanged_copy(check):
    check(module_of(SOURCE))


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name):
    right, wrong, checks = MUTANTS[name]
    assert SOURCE.count(right) == 1, f"{right!r} stands {SOURCE.count(right)} times in ign_core.py; mend the pattern"
    mutant = module_of(SOURCE.replace(right, wrong))
    for check in checks:
        with pytest.raises(AssertionError):  # by a wrong number, and not by falling over
            check(mutant)


def test_the_mutants_cover_the_list():
    assert len(MUTANTS) >= 7
    assert {check for _, _, checks in MUTANTS.values() for check in checks} == set(CHECKS)
