"""The objective against finite differences of the paper's terms, and the one-graph step against the literal algorithm.

The checks are functions of a module `core`, because `test_mutants.py` runs the same ones on broken copies of `ign_core`.
"""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

import ign_core

# ------------------------------------------------------------------------------------------------------ networks, distances


class TinyConv(nn.Module):
    """A smooth f for images with few enough parameters to differentiate one by one."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 1, 3, padding=1))

    def forward(self, y):
        return self.layers(y)


class WithBatchNorm(nn.Module):
    """f whose samples see each other, with a buffer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, y):
        return self.layers(y)


class Twice(nn.Module):
    """f that holds one part under two names, as Fabric's wrapper holds f itself, and one weight in two layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        self.again = self.first
        self.last = nn.Linear(2, 2)
        self.last.weight = self.first[0].weight

    def forward(self, y):
        return self.last(self.again(self.first(y)))


def shaken(net: nn.Module, dtype=torch.float64, seed: int = 0) -> nn.Module:
    """The network with every parameter moved off its start: at DCGAN's, f is nearly constant and most gradients vanish."""
    g = torch.Generator().manual_seed(seed)
    for p in net.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=g)
    return net.to(dtype)


def net_of(name: str, dtype=torch.float64) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        nets = {
            "mlp": lambda: ign_core.MLP(2, width=5, depth=2),
            "tiny conv": TinyConv,
            "batchnorm": WithBatchNorm,
            "twice": Twice,
            "conv": lambda: ign_core.ConvAutoencoder(8, channels=2, width=8, code=6),
            "conv 28": lambda: ign_core.ConvAutoencoder(28, width=8, code=6),
            "conv, linear path": lambda: ign_core.ConvAutoencoder(8, channels=2, width=8, code=6, linear=4),
            "conv, no norm": lambda: ign_core.ConvAutoencoder(8, channels=2, width=8, code=6, norm="none"),
            "conv, batchnorm": lambda: ign_core.ConvAutoencoder(16, channels=2, width=8, code=6, norm="batch"),
        }
        return shaken(nets[name](), dtype)


def batch_of(name: str, n: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    shape = {"tiny conv": (1, 5, 4), "conv": (2, 8, 8), "conv 28": (1, 28, 28), "conv, no norm": (2, 8, 8)}
    shape |= {"conv, batchnorm": (2, 16, 16), "conv, linear path": (2, 8, 8)}
    return torch.randn(n, *shape.get(name, (2,)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def lopsided(a, b):
    """A smooth distance that is not symmetric, so that swapped arguments show."""
    return ((a - b).square() * (1 + 0.5 * torch.tanh(a))).flatten(1).mean(1)


DISTANCES = {
    "l1": lambda a, b: torch.stack([abs(p - q).sum() / p.numel() for p, q in zip(a, b)]),
    "l2": lambda a, b: torch.stack([((p - q) ** 2).sum() / p.numel() for p, q in zip(a, b)]),
}

# ------------------------------------------------------------------------------- an independent reference: finite differences


def with_parameters(f):
    """A function (parameters, y) -> f(y) with those parameters, on a copy that is f's in nothing but its structure."""
    twin = copy.deepcopy(f)

    @torch.no_grad()
    def apply(parameters, y):
        for name, p in twin.named_parameters():
            p.copy_(parameters[name])
        return twin(y)

    return apply


def terms_of(f, x, z, clamp, distance):
    """The paper's three terms, each a function of the parameters that it may train -> (n,).

    Two sets of parameters: the inner f's (idempotence), the outer f's (tightness).  Whichever f a term does not train
    keeps the parameters as they are now, and so does the limit of the clamp.
    """
    now = {name: p.detach().clone() for name, p in f.named_parameters()}
    D, apply = DISTANCES.get(distance, distance), with_parameters(f)
    fz = apply(now, z)
    limit = D(z, fz)

    def reconstruction(theta):
        return D(x, apply(theta, x))

    def idempotence(theta_inner):
        y = apply(theta_inner, z)
        return D(y, apply(now, y))

    def tightness(theta_outer):
        error = D(fz, apply(theta_outer, fz))
        return error if clamp is None else clamp * limit * torch.tanh(error / (clamp * limit))

    return now, {"reconstruction": reconstruction, "idempotence": idempotence, "tightness": tightness}


@torch.no_grad()
def numerical_gradient(term, now, step=1e-5):
    """Central differences of mean(term), parameter by parameter, as one vector."""
    gradient = []
    for name, p in now.items():
        for i in range(p.numel()):
            ends = []
            for sign in (1, -1):
                moved = p.clone()
                moved.view(-1)[i] += sign * step
                ends.append(term({**now, name: moved}).mean().item())
            gradient.append((ends[0] - ends[1]) / (2 * step))
    return torch.tensor(gradient, dtype=torch.float64)


def gradient_of(f, losses) -> torch.Tensor:
    f.zero_grad()
    losses.total.backward()
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in f.parameters()])


def close(a, b, tolerance: float, what: str) -> None:
    """AssertionError unless |a - b| <= tolerance |b|."""
    assert a.shape == b.shape, f"{what}: shapes {tuple(a.shape)} and {tuple(b.shape)}"
    error, size = (a.double() - b.double()).norm().item(), b.double().norm().item()
    assert math.isfinite(error) and error <= tolerance * size, f"{what}: off by {error:.3g} of {size:.3g}"


# weights alone and together; (0, 0.5, 2) and the like keep the one-graph path, which a tightness of 0 would leave
WEIGHTS = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0.5, 2), (0, 20, 2.5), (20, 20, 2.5), (1.5, 0, 0.7)]


def check_gradients(core, net="mlp", clamp=1.5, distance=lopsided):
    """Values and gradients of both objectives against the terms' own values and their finite differences."""
    f = net_of(net)
    x, z = batch_of(net, 4, seed=1), batch_of(net, 3, seed=2)
    now, terms = terms_of(f, x, z, clamp, distance)
    with torch.no_grad():
        values = {name: term(now) for name, term in terms.items()}
    slopes = {name: numerical_gradient(term, now) for name, term in terms.items()}
    for function in (core.objective, core.literal_objective):
        for r, i, t in WEIGHTS:
            losses = function(f, x, z, reconstruction=r, idempotence=i, tightness=t, clamp=clamp, distance=distance)
            what = f"{function.__name__}({r}, {i}, {t})"
            for name, value in values.items():
                close(getattr(losses, name), value, 1e-12, f"{what} {name}")
            total = r * values["reconstruction"].mean() + i * values["idempotence"].mean() - t * values["tightness"].mean()
            close(losses.total.detach(), total, 1e-12, f"{what} total")
            expected = r * slopes["reconstruction"] + i * slopes["idempotence"] - t * slopes["tightness"]
            close(gradient_of(f, losses), expected, 1e-7, f"{what} gradient")


@pytest.mark.parametrize("distance", ["l1", "l2", lopsided])
@pytest.mark.parametrize("clamp", [1.5, 0.4, None])
@pytest.mark.parametrize("net", ["mlp", "tiny conv"])
def test_each_terms_gradient_is_its_finite_difference(net, clamp, distance):
    check_gradients(ign_core, net, clamp, distance)


def test_parts_and_weights_used_twice():
    """The frozen copy must freeze every use of a weight, and give every one back."""
    check_gradients(ign_core, "twice")
    f = net_of("twice")
    for function in (ign_core.objective, ign_core.literal_objective):
        before = [id(p) for _, p in f.named_parameters(remove_duplicate=False)]
        function(f, batch_of("twice", 3, 1), batch_of("twice", 3, 2))
        assert [id(p) for _, p in f.named_parameters(remove_duplicate=False)] == before


@pytest.mark.parametrize("net", ["mlp", "tiny conv"])
def test_the_finite_differences_tell_inner_from_outer(net):
    """Were the two alike, the test above could not see a gradient that reaches the wrong f."""
    f, z = net_of(net), batch_of(net, 3, seed=2)
    now, terms = terms_of(f, z, z, None, lopsided)
    apply = with_parameters(f)
    inner, outer = (numerical_gradient(terms[name], now) for name in ("idempotence", "tightness"))

    def both(theta):
        y = apply(theta, z)
        return lopsided(y, apply(theta, y))

    everything = numerical_gradient(both, now)
    close(inner + outer, everything, 1e-7, "chain rule")
    assert min(inner.norm(), outer.norm(), (inner - outer).norm()) > 0.05 * everything.norm()
    cosine = torch.cosine_similarity(inner, outer, dim=0).abs()
    assert cosine < 0.9


def test_kinks_of_the_real_network_do_not_hide_an_error():
    """The autoencoder with its ReLUs, along random directions: kinks are too rare to lie within the step."""
    f = net_of("conv")
    x, z = batch_of("conv", 3, seed=1), batch_of("conv", 2, seed=2)
    now, terms = terms_of(f, x, z, 1.5, "l2")
    weights = {"reconstruction": 20.0, "idempotence": 20.0, "tightness": 2.5}
    for part in ({"reconstruction"}, {"idempotence", "tightness"}, {"tightness"}, set(weights)):
        on = {name: w if name in part else 0.0 for name, w in weights.items()}
        losses = ign_core.objective(f, x, z, **on, clamp=1.5, distance="l2")
        gradient = gradient_of(f, losses)
        for seed in range(3):
            g = torch.Generator().manual_seed(seed)
            direction = {name: torch.randn(p.shape, generator=g, dtype=p.dtype) for name, p in now.items()}

            ahead, behind = ({name: p + h * direction[name] for name, p in now.items()} for h in (1e-6, -1e-6))
            slopes = {k: (term(ahead).mean() - term(behind).mean()).item() / 2e-6 for k, term in terms.items()}
            expected = on["reconstruction"] * slopes["reconstruction"] + on["idempotence"] * slopes["idempotence"]
            expected -= on["tightness"] * slopes["tightness"]
            got = gradient @ torch.cat([d.flatten() for d in direction.values()])
            assert got.item() == pytest.approx(expected, rel=1e-5, abs=1e-6 * gradient.norm().item())


# ---------------------------------------------------------------------------------------------- one graph equals four passes


def check_same(core, net="mlp", sizes=(3, 5), dtype=torch.float64, tolerance=1e-10, **options):
    """objective and literal_objective: every field, every parameter's gradient, every buffer."""
    x, z = batch_of(net, sizes[0], 1, dtype), batch_of(net, sizes[1], 2, dtype)
    results = []
    for function in (core.objective, core.literal_objective):
        f = net_of(net, dtype)
        losses = function(f, x, z, **options)
        assert all(len(term) == n for term, n in zip(losses[1:], (sizes[0], sizes[1], sizes[1])))
        assert not any(term.requires_grad for term in losses[1:]) and losses.total.shape == ()
        losses.total.backward()
        results.append((losses, {k: p.grad for k, p in f.named_parameters()}, dict(f.named_buffers())))
    (losses, gradients, buffers), (expected, expected_gradients, expected_buffers) = results
    for name, a, b in zip(losses._fields, losses, expected):
        close(a.detach(), b.detach(), tolerance, name)
    for name, b in expected_gradients.items():
        close(gradients[name], b, tolerance, f"gradient of {name}")
    for name, b in expected_buffers.items():
        close(buffers[name], b, tolerance, name)


PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 5e-5)]  # sums of thousands of floats differ by processor: 1.2e-5 seen


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("distance", ["l1", "l2", lopsided])
@pytest.mark.parametrize("clamp", [1.5, None])
@pytest.mark.parametrize("net", ["mlp", "conv", "conv, no norm", "conv, linear path"])
def test_one_graph_is_the_literal_algorithm(net, clamp, distance, dtype, tolerance):
    for sizes in ((1, 1), (3, 5), (7, 2)):
        check_same(ign_core, net, sizes, dtype, tolerance, clamp=clamp, distance=distance)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
def test_one_graph_is_the_literal_algorithm_on_odd_images_and_other_weights(dtype, tolerance):
    check_same(ign_core, "conv 28", (2, 3), dtype, tolerance)  # sides 28, 14, 7: odd inside
    check_same(
        ign_core, "tiny conv", (2, 3), dtype, tolerance, reconstruction=1.0, idempotence=1.0, tightness=0.1, distance="l2"
    )
    check_same(ign_core, "mlp", (4, 4), dtype, tolerance, reconstruction=0.0, idempotence=1.0, tightness=40.0)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("net", ["mlp", "conv"])
@pytest.mark.parametrize(
    "options", [{"tightness": 0.0}, {"idempotence": 0.0}, {"clamp": 1e-5}, {"clamp": 1e-3}, {"clamp": 0.05}], ids=str
)
def test_one_graph_is_the_literal_algorithm_at_its_edges(net, options, dtype, tolerance):
    """No tightness to divide by, nothing to route, a clamp in full saturation (slope 0), and less so."""
    check_same(ign_core, net, (3, 4), dtype, tolerance, **options)


@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_the_saturated_case_is_saturated(net):
    f, z = net_of(net), batch_of(net, 4, 2)
    fz = f(z)
    slopes = [ign_core.clamped(ign_core.l1(fz, f(fz)), ign_core.l1(z, fz), clamp)[1] for clamp in (1e-5, 0.05)]
    assert (slopes[0] == 0).all() and ((slopes[1] > 0) & (slopes[1] < 0.99)).all()


def check_batchnorm(core):
    """With BatchNorm each of x, z and f(z) is a batch of its own, counted once each; the frozen copy counts nothing."""
    check_gradients(core, "batchnorm")
    for net in ("batchnorm", "conv, batchnorm"):
        check_same(core, net, (4, 3))
    for function in (core.objective, core.literal_objective):
        f = net_of("batchnorm")
        x, z = batch_of("batchnorm", 4, 1), batch_of("batchnorm", 3, 2) + 1
        function(f, x, z)
        by_hand = net_of("batchnorm")
        with torch.no_grad():
            by_hand(x), by_hand(by_hand(z))
        for (name, a), b in zip(f.named_buffers(), by_hand.buffers()):
            close(a, b, 1e-12, name)


def test_batchnorm_falls_back_to_separate_passes():
    check_batchnorm(ign_core)


def test_batchnorm_in_eval_mode_takes_the_one_graph():
    f = net_of("batchnorm")
    assert ign_core.mixes_samples(f) and not ign_core.mixes_samples(f.eval())
    calls = []
    f.register_forward_hook(lambda *_: calls.append(1))
    ign_core.objective(f, batch_of("batchnorm", 4, 1), batch_of("batchnorm", 3, 2))
    assert len(calls) == 2
    ign_core.objective(f.train(), batch_of("batchnorm", 4, 1), batch_of("batchnorm", 3, 2))
    assert len(calls) == 2 + 4


def check_samples_apart(core):
    """A sample's terms don't depend on the others of its batch: the clamp is per sample."""
    f, x, z = net_of("mlp"), batch_of("mlp", 3, 1), batch_of("mlp", 4, 2) * torch.tensor([[0.1], [1.0], [3.0], [9.0]])
    for function in (core.objective, core.literal_objective):
        together = function(f, x, z, clamp=0.5)
        for i in range(4):
            alone = function(f, x[:1], z[i : i + 1], clamp=0.5)
            close(alone.idempotence, together.idempotence[i : i + 1], 1e-12, "idempotence")
            close(alone.tightness, together.tightness[i : i + 1], 1e-12, "tightness")


def test_samples_are_apart():
    check_samples_apart(ign_core)


# ---------------------------------------------------------------------------------------------------- clamp, edges, bad input


def test_the_clamp_and_its_slope():
    error = torch.linspace(0, 5, 41, dtype=torch.float64).requires_grad_()
    limit = torch.linspace(0.2, 2, 41, dtype=torch.float64)
    value, slope = ign_core.clamped(error, limit, 1.5)
    assert torch.allclose(value, 1.5 * limit * torch.tanh(error / (1.5 * limit)), rtol=1e-12)
    assert (value <= 1.5 * limit).all() and not slope.requires_grad
    (by_autograd,) = torch.autograd.grad(value.sum(), error)
    assert torch.allclose(slope, by_autograd, rtol=1e-9, atol=1e-12)
    unbent, ones = ign_core.clamped(error, limit, None)
    assert unbent is error and (ones == 1).all()


@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
@pytest.mark.parametrize("distance", ["l1", "l2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fixed_points_of_f_give_no_nan(function, distance, dtype):
    f = nn.Linear(2, 2, bias=False).to(dtype)
    f.weight.data = torch.eye(2, dtype=dtype)  # every z is a fixed point: the clamp's limit is 0
    losses = function(f, batch_of("mlp", 3, 1, dtype), batch_of("mlp", 3, 2, dtype), distance=distance)
    losses.total.backward()
    assert all((term == 0).all() for term in losses) and torch.isfinite(f.weight.grad).all()


@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
def test_the_step_leaves_f_and_its_inputs_alone(function):
    f, x, z = net_of("conv"), batch_of("conv", 3, 1), batch_of("conv", 2, 2)
    before = [t.clone() for t in (*f.parameters(), x, z)]
    function(f, x, z).total.backward()
    assert all(torch.equal(a, b) for a, b in zip(before, (*f.parameters(), x, z)))
    assert all(p.requires_grad for p in f.parameters())
    once = gradient_of(f, function(f, x, z))
    assert torch.equal(once, gradient_of(f, function(f, x, z)))  # no hook of an earlier step is left behind


@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
@pytest.mark.parametrize(
    "x, z", [((3, 2), (3, 3)), ((0, 2), (3, 2)), ((3, 2), (0, 2)), ((3, 2), (3, 2, 1)), ((3, 1, 8, 8), (3, 1, 8, 9))], ids=str
)
def test_batches_that_do_not_match_get_one_sentence(function, x, z):
    with pytest.raises(ValueError, match="non-empty batches of one sample shape") as caught:
        function(nn.Identity(), torch.zeros(x), torch.zeros(z))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
def test_an_unknown_distance_gets_one_sentence(function):
    with pytest.raises(ValueError, match="'l3' is unknown; use .*l1.*l2.*of your own"):
        function(nn.Identity(), torch.zeros(1, 2), torch.zeros(1, 2), distance="l3")


def test_drift_and_distances_are_their_definitions():
    a, b = batch_of("conv", 3, 1), batch_of("conv", 3, 2)
    for name in ("l1", "l2"):
        assert torch.allclose(getattr(ign_core, name)(a, b), DISTANCES[name](a, b), rtol=1e-12)
        assert ign_core.distance_of(name) is ign_core.DISTANCES[name]
    f = net_of("conv")
    assert torch.allclose(ign_core.drift(f, a, "l2"), DISTANCES["l2"](a, f(a)), rtol=1e-12)
    assert torch.allclose(ign_core.drift(f, a), DISTANCES["l1"](a, f(a)), rtol=1e-12)
    assert ign_core.distance_of(lopsided) is lopsided
    assert ign_core.l1(a.bfloat16(), b.bfloat16()).dtype == torch.float32


# ----------------------------------------------------------------------------------------- devices, precisions, compilation


@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
@pytest.mark.parametrize("net", ["mlp", "conv", "conv, batchnorm", "conv, linear path"])
def test_the_step_runs_on_the_meta_device(net, function):
    """A tensor made on a device by name would meet a meta tensor here, and that raises."""
    f = net_of(net).to("meta")
    x, z = batch_of(net, 3, 1).to("meta"), batch_of(net, 2, 2).to("meta")
    losses = function(f, x, z)
    losses.total.backward()
    assert all(t.device.type == "meta" for t in losses)
    assert all(p.grad.device.type == "meta" and p.grad.shape == p.shape for p in f.parameters())


@pytest.mark.parametrize("source", [ign_core.GaussianSource((1, 8, 8)), ign_core.FourierSource((1, 8, 8))])
def test_sources_follow_their_device(source):
    assert source.to("meta").sample(3).device.type == "meta"


@pytest.mark.parametrize("net", ["mlp", "conv"])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("function", [ign_core.objective, ign_core.literal_objective])
def test_autocast_is_close_to_float32(function, net, half):
    f, x, z = net_of(net, torch.float32), batch_of(net, 9, 1, torch.float32), batch_of(net, 8, 2, torch.float32)
    full = function(f, x, z)
    exact = gradient_of(f, full)
    with torch.autocast("cpu", half):
        losses = function(f, x, z)
    assert all(t.dtype == torch.float32 for t in losses)
    assert torch.cosine_similarity(gradient_of(f, losses), exact, dim=0) > 0.98
    for a, b in zip(losses, full):
        close(a.detach(), b.detach(), 0.05, "terms under autocast")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_a_compiled_network_gets_the_same_gradients(net):
    f, x, z = net_of(net), batch_of(net, 3, 1), batch_of(net, 2, 2)
    expected = gradient_of(f, ign_core.objective(f, x, z))
    compiled = torch.compile(f, backend="aot_eager")  # its own backward graph, without the minutes of a C++ compiler
    close(gradient_of(f, ign_core.objective(compiled, x, z)), expected, 1e-10, "gradient of the compiled network")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("net, half", list(itertools.product(["mlp", "conv"], [None, torch.bfloat16, torch.float16])))
def test_the_step_on_cuda(net, half):
    f, x, z = net_of(net, torch.float32).cuda(), *(batch_of(net, n, n, torch.float32).cuda() for n in (9, 8))
    expected = gradient_of(f, ign_core.literal_objective(f, x, z))
    with torch.autocast("cuda", half or torch.float32, enabled=half is not None):
        losses = ign_core.objective(f, x, z)
    assert torch.cosine_similarity(gradient_of(f, losses), expected, dim=0) > (0.98 if half else 0.999)
