"""The measures against closed forms, their libraries, and cases that they must rank."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

import ign_core
import ign_data
import ign_metrics as M
import recipes


def normal(n, d=8, mean=0.0, scale=1.0, seed=0):
    return mean + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_frechet_is_its_closed_form():
    real, fake = normal(2000, seed=1), normal(2000, mean=0.5, scale=1.3, seed=2)
    a, b = real.double().numpy(), fake.double().numpy()
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * scipy.linalg.sqrtm(ca @ cb).real)
    assert M.frechet(real, fake) == pytest.approx(expected, rel=1e-4)
    assert M.frechet(real, real) == pytest.approx(0, abs=1e-3)


def test_kernel_distance_is_unbiased_and_ranks():
    real = normal(1000, seed=1)
    same, near, far = (M.kernel(real, normal(1000, mean=m, seed=2)) for m in (0.0, 0.3, 0.8))
    assert abs(same) < 0.02 < near < far
    assert M.kernel(real, normal(1000, seed=2)) == same  # its subsets come from a seed
    state = torch.get_rng_state()
    M.kernel(real, real)
    assert torch.equal(state, torch.get_rng_state())


def brute_neighbours(real, fake, k):
    """Precision, recall and coverage by their definitions, point by point."""
    d_rr, d_ff, d_rf = torch.cdist(real, real), torch.cdist(fake, fake), torch.cdist(real, fake)
    r_real, r_fake = d_rr.sort(1).values[:, k], d_ff.sort(1).values[:, k]
    inside = d_rf < r_real[:, None]
    return {
        "precision": inside.any(0).double().mean().item(),
        "recall": (d_rf < r_fake[None]).any(1).double().mean().item(),
        "density": inside.double().sum(0).mean().item() / k,
        "coverage": (d_rf.min(1).values < r_real).double().mean().item(),
    }


@pytest.mark.parametrize("mean, scale", [(0.0, 1.0), (1.0, 0.4), (0.0, 2.0)])
def test_neighbours_are_their_definitions(mean, scale):
    real, fake = normal(150, seed=1), normal(130, mean=mean, scale=scale, seed=2)
    assert M.neighbours(real, fake) == pytest.approx(brute_neighbours(real, fake, 5), abs=1e-6)


def test_neighbours_rank_a_collapsed_and_a_wide_generator():
    real = normal(400, seed=1)
    collapsed, wide = M.neighbours(real, normal(400, scale=0.2, seed=2)), M.neighbours(real, normal(400, scale=3.0, seed=2))
    assert collapsed["precision"] > 0.95 and collapsed["recall"] < 0.3 and collapsed["coverage"] < 0.5
    assert wide["precision"] < 0.3 and wide["recall"] > 0.9


def test_class_histogram():
    share, kl = M.class_histogram(torch.arange(10).repeat(7))
    assert share == pytest.approx([0.1] * 10) and kl == pytest.approx(0, abs=1e-12)
    assert M.class_histogram(torch.full((50,), 3))[1] == pytest.approx(math.log(10))


@pytest.mark.parametrize(
    "x, words",
    [
        (torch.zeros(9, 1, 32, 32), "too few"),
        (torch.full((20, 1, 32, 32), math.nan), "NaN"),
        (torch.full((20, 1, 32, 32), 200.0), r"scale them to \[-1, 1\]"),
    ],
)
def test_bad_images_get_one_sentence(x, words):
    with pytest.raises(ValueError, match=words) as caught:
        M.check_images(x, 10)
    assert "\n" not in str(caught.value)


def test_too_few_features():
    with pytest.raises(ValueError, match="too few"):
        M.kernel(normal(100), normal(100))
    with pytest.raises(ValueError, match="too few"):
        M.neighbours(normal(5), normal(5))


@pytest.fixture(scope="module")
def mnist():
    train, test = ign_data.load("mnist"), ign_data.load("mnist", "test")
    if not train.card["name"].startswith("mnist"):
        pytest.skip("MNIST is not to be had here: IGN_DATA is not set and there is no network")
    return train, test


def test_the_shipped_classifier_is_as_good_as_its_card_says(mnist):
    _, card = ign_core.read("classifier")
    net, test = M.load_classifier(), mnist[1]
    accuracy = (M.classes_of(net, test[torch.arange(10_000)])[0] == test.labels).double().mean().item()
    assert accuracy == pytest.approx(card["metrics"]["test accuracy"], abs=5e-4)
    assert accuracy >= 0.985


def test_training_a_classifier_learns_and_repeats(mnist):
    from dataclasses import replace

    recipe = replace(recipes.classifier, epochs=1)
    part = ign_data.Images(mnist[0].pixels[:3000], mnist[0].labels[:3000], "part", 32, "test")
    held = ign_data.Images(mnist[1].pixels[:1000], mnist[1].labels[:1000], "held", 32, "test")
    (a, card), (b, _) = (M.train_classifier(recipe, part, held, progress=False) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert card["metrics"]["test accuracy"] > 0.5  # one epoch of 3,000 digits; chance is 0.1


class Fixed(torch.nn.Module):
    """A source that deals out given images, and with the identity as f a generator of known quality."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def sample(self, n, generator=None):
        return self.x[:n]


def test_evaluate_ranks_known_generators(mnist):
    train, test = mnist
    real = train[torch.arange(20_000, 20_600)]
    kinds = {
        "good": real,
        "one class": train[(train.labels == 3).nonzero().flatten()[:600]],
        "noise": torch.rand(600, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    }
    net = M.load_classifier()
    result = {
        name: M.evaluate(ign_core.Model(torch.nn.Identity(), Fixed(x), {}), net, train, test, n=600)
        for name, x in kinds.items()
    }
    rows = {name: r["rows"]["f(z)"] for name, r in result.items()}
    assert rows["good"]["FD"] < min(rows["one class"]["FD"], rows["noise"]["FD"])
    assert rows["good"]["KL"] < 0.05 and rows["one class"]["KL"] > 1.5
    assert rows["good"]["recall"] > 0.8 > rows["one class"]["recall"]
    assert rows["noise"]["coverage"] < 0.1  # its precision is not small: one wide real neighbourhood takes all the noise
    assert rows["good"]["drift"] == 0 and result["good"]["reconstruction"] == 0
    assert result["good"]["denoising"]["projected"] == result["good"]["denoising"]["noisy"]
    assert "f³(z)" in M.table(result["good"])


def test_the_shipped_mnist_model_is_good_by_its_card():
    card = ign_core.load("mnist").card
    assert ign_core.recipe_from(card["recipe"]) == recipes.mnist and card["images"] == recipes.mnist.steps * recipes.mnist.batch
    row, real = card["metrics"]["rows"]["f(z)"], card["metrics"]["rows"]["real"]
    assert card["metrics"]["n"] == 5000
    assert row["precision"] >= 0.85 and row["recall"] >= 0.65 and row["coverage"] >= 0.55 and row["KL"] <= 0.15
    assert real["precision"] > 0.9 and real["recall"] > 0.9 and real["coverage"] > 0.9
