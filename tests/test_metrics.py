"""The measures against closed forms, their libraries, and cases that they must rank."""

import math
import re

import numpy as np
import pytest
import scipy.linalg
import torch
from checks import one_sentence

import ign_core
import ignbook.checkpoints
import ignbook.data
import ignbook.metrics as M
import ignbook.recipes


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


@pytest.mark.parametrize("mean, scale", [(0.0, 1.0), (0.6, 1.0), (0.3, 1.5)])
def test_the_frechet_limit_of_normals_is_known_where_the_distance_itself_is_biased(mean, scale):
    d, n, known = 8, 200, 8 * (mean**2 + (scale - 1) ** 2)
    pairs = [(normal(n, d, seed=s), normal(n, d, mean, scale, seed=1000 + s)) for s in range(12)]
    limits, slopes = torch.tensor([M.frechet_at_infinity(a, b) for a, b in pairs]).T
    raw = torch.tensor([M.frechet(a, b) for a, b in pairs])
    error = raw.mean().item() - known
    assert error > 0.1 and abs(limits.mean().item() - known) < 0.4 * error
    means_alone = d * (1 + scale**2)  # n E|m1 - m2|^2 of two sample means, beyond that of the laws
    assert slopes.mean() > means_alone
    assert M.frechet_at_infinity(*pairs[0], seed=3) == M.frechet_at_infinity(*pairs[0], seed=3)


def test_the_frechet_slope_of_one_normal_in_one_dimension():
    """E FD(n, n) = s^2 (1 + 1/2) (1/n + 1/n): chapter 10's proposition."""
    slopes = [
        M.frechet_at_infinity(normal(300, 1, scale=2.0, seed=s), normal(300, 1, scale=2.0, seed=s + 500))[1] for s in range(120)
    ]
    assert np.mean(slopes) == pytest.approx(4 * 1.5 * 2, rel=0.3)


@pytest.mark.parametrize(
    "real, fake, options, words",
    [
        (normal(60), normal(60), {}, "too few"),
        (normal(600), normal(600, d=9), {}, r"\(600, 9\)"),
        (normal(600), normal(600) * math.nan, {}, "finite"),
        (normal(600), normal(600), {"parts": 1}, "give 2 or more"),
    ],
)
def test_a_limit_that_cannot_be_had_gets_one_sentence(real, fake, options, words):
    with pytest.raises(ValueError, match=words) as caught:
        M.frechet_at_infinity(real, fake, **options)
    one_sentence(caught)


def pictures(n, side=4, seed=0):
    return 2 * torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) - 1


def dealt(items, n, seed=1):
    return items[torch.randint(len(items), (n,), generator=torch.Generator().manual_seed(seed))]


@pytest.mark.parametrize("items", [50, 200, 800])
def test_birthdays_count_known_items_even_if_each_is_a_little_different(items):
    x = dealt(pictures(items), 2300)  # more than a block of rows
    x = (x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))).clamp(-1, 1)
    found = M.birthday(x, 0.05)
    assert items / 1.3 < found.support < items * 1.3
    assert found.support == pytest.approx(found.batch**2 / (2 * math.log(2))) and found.batch == found.dealt.median()
    near = torch.pdist(x.flatten(1).double())
    assert found.pairs == (near <= 0.05).sum() and found.distance == pytest.approx(near.min().item(), abs=1e-6)
    i, j = found.closest
    assert i < j and (x[i] - x[j]).norm() == pytest.approx(near.min().item(), abs=1e-6)


def test_of_exact_copies_the_first_pair_is_the_closest_whatever_a_processor_rounds():
    which = torch.randint(300, (2300,), generator=torch.Generator().manual_seed(1)).tolist()
    i = next(i for i, item in enumerate(which) if item in which[i + 1 :])
    x = dealt(pictures(300, side=32), 2300)  # of so many pixels that copies are not quite at 0
    assert M.birthday(x, 0.05).closest == (i, which.index(which[i], i + 1))


def test_birthdays_of_unequal_items_count_less_and_of_distinct_ones_have_no_end():
    items = pictures(400)
    favoured = torch.cat([dealt(items, 1000), items[:1].expand(1000, -1, -1, -1)])
    assert M.birthday(favoured, 0.01).support < 20  # two draws coincide with a probability of a quarter
    alone = M.birthday(items, 1e-4)
    assert alone.support == alone.batch == math.inf and alone.pairs == 0 and torch.isinf(alone.dealt).all()
    assert M.birthday(items[:1].expand(30, -1, -1, -1), 0.01).batch == 2


def test_near_duplicates_are_a_quantile_of_the_pairs():
    x = pictures(1500)
    pairs = torch.pdist(x.flatten(1).double()).sort().values
    for one_in in (1_000, 20_000):
        assert M.near_duplicate(x, one_in) == pytest.approx(pairs[len(pairs) // one_in - 1].item(), rel=1e-9)
    threshold = M.near_duplicate(x, 1_000)
    assert M.birthday(x, threshold * (1 + 1e-9)).pairs == len(pairs) // 1_000


@pytest.mark.parametrize("chunk, k", [(1000, 1), (64, 3), (7, 5)])
def test_nearest_is_a_search_through_everything(chunk, k):
    train, x = pictures(300, seed=1), pictures(20, seed=2)
    x[4] = train[123]
    distance, index = M.nearest(x, train, k, chunk)
    brute = torch.cdist(x.flatten(1).double(), train.flatten(1).double()).sort(1)
    assert torch.equal(index, brute.indices[:, :k]) and torch.allclose(distance.double(), brute.values[:, :k], atol=1e-6)
    assert distance[4, 0] == 0 and index[4, 0] == 123


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: M.nearest(pictures(3), pictures(50, side=5)), "give one shape"),
        (lambda: M.nearest(pictures(3), pictures(50), k=51), "too few"),
        (lambda: M.nearest(pictures(3) * math.nan, pictures(50)), "NaN"),
        (lambda: M.nearest(pictures(3), 200 + pictures(50)), "scale them"),
        (lambda: M.birthday(pictures(9), 0.1), "too few"),
        (lambda: M.birthday(pictures(90) * math.inf, 0.1), "NaN"),
        (lambda: M.birthday(3 * pictures(90), 0.1), "scale them"),
        (lambda: M.birthday(pictures(90), 0.0), "positive"),
        (lambda: M.birthday(pictures(90), math.nan), "threshold is nan"),
        (lambda: M.near_duplicate(pictures(90)), "4005 pairs"),
        (lambda: M.near_duplicate(3 * pictures(90), 100), "scale them"),
    ],
)
def test_bad_input_to_the_measures_of_copies_gets_one_sentence(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    one_sentence(caught)


def run_record(seed, latent=False):
    """What `train.py sweep` stores of a run, as far as the table needs it, with a different FD for each seed."""
    row = {
        "KID": 20.0,
        "precision": 0.9,
        "recall": 0.8,
        "density": 1.0,
        "coverage": 0.7,
        "KL": 0.1,
        "confidence": 0.95,
        "detail": 0.06,
    }
    rows = {"real": row | {"FD": 12.0, "detail": 0.08, "drift": 0.5}, "f(z)": row | {"FD": 30.0 + 10 * seed, "drift": 0.0125}}
    if latent:
        rows["f(z)"].pop("drift")
        return {"seconds": 60.0, "metrics": {"n": 9, "rows": rows}}
    rows["f²(z)"] = row | {"FD": 50.0, "drift": 0.03}
    denoising = {"sigma": 0.3, "clean": 0.99, "noisy": 0.97, "projected": 0.9321}
    return {"seconds": 90.0 + 60 * seed, "metrics": {"n": 9, "rows": rows, "reconstruction": 0.02, "denoising": denoising}}


def test_a_summary_has_mean_and_sample_deviation_of_the_seeds():
    runs = {"ign": [run_record(s) for s in range(3)], "dcgan": [run_record(0, latent=True)]}
    head, rule, real, ign, dcgan = (
        line.strip("| ").split(" | ") for line in M.summary_table(runs, names={"ign": "IGN", "dcgan": "GAN"}).split("\n")
    )
    assert head == ["samples", *(column for column in M.SUMMARY if column != "distance")] and rule[0].count("---") == len(head)
    assert dict(zip(head, real)) | {"samples": ""} == {
        "samples": "", "FD": "12", "KID": "20", "precision": "0.90", "recall": "0.80", "coverage": "0.70", "KL": "0.10",
        "confidence": "0.95", "sharpness": "1.00", "drift": "—", "projected accuracy": "—", "minutes": "—",
    }  # fmt: skip
    line = dict(zip(head, ign))
    assert line["samples"] == "IGN" and line["FD"] == "40 ±\xa010" and line["sharpness"] == "0.75"  # 30, 40, 50
    assert line["minutes"] == "2.5 ±\xa01.0" and line["projected accuracy"] == "0.932"
    assert len(dcgan) == len(head) and [dict(zip(head, dcgan))[k] for k in ("FD", "drift", "projected accuracy")] == [
        "30",
        "—",
        "—",
    ]
    twice = M.summary_table({"ign": runs["ign"]}, "f²(z)").split("\n")
    assert "| 50 |" in twice[3] and "0.030" in twice[3] and M.summary(runs["dcgan"][0], "f²(z)") == {}
    assert "projected accuracy" not in twice[0]  # a column that nothing is in
    lines = M.summary_table(runs, ("f(z)", "f²(z)"), {"dcgan": "GAN", "ign": "IGN"}).split("\n")
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == ["real", "GAN, f(z)", "IGN, f(z)", "IGN, f²(z)"]


def test_a_summary_by_features_without_classes():
    record = run_record(0)
    for row in record["metrics"]["rows"].values():
        for name in ("FD", "KL", "confidence"):
            row.pop(name, None)
        row["KID"] = 0.4567
    record["metrics"]["rows"]["real"]["KID"] = -0.0012  # an unbiased estimate of 0
    head, _, real, ign = (line.strip("| ").split(" | ") for line in M.summary_table({"faces": [record]}).split("\n"))
    assert head == ["samples", "KID", "precision", "recall", "coverage", "sharpness", "drift", "minutes"]
    assert ign[:2] == ["faces", "0.46"] and real[1] == "0.00"


def test_a_summary_of_nothing_gets_one_sentence():
    for call in (lambda: M.summary_table({}), lambda: M.summary_table({"ign": [run_record(0)]}, names={"vae": "VAE"})):
        with pytest.raises(ValueError, match="there are no runs of vae|runs is empty") as caught:
            call()
        one_sentence(caught)


@pytest.fixture(scope="module")
def mnist():
    train, test = ignbook.data.load("mnist"), ignbook.data.load("mnist", "test")
    if not train.card["name"].startswith("mnist"):
        pytest.skip("MNIST is not to be had here: IGN_DATA is not set and there is no network")
    return train, test


def test_the_shipped_classifier_is_as_good_as_its_card_says(mnist):
    _, card = ignbook.checkpoints.read("classifier")
    net, test = M.load_classifier(), mnist[1]
    accuracy = (M.classes_of(net, test[torch.arange(10_000)])[0] == test.labels).double().mean().item()
    assert accuracy == pytest.approx(card["metrics"]["test accuracy"], abs=5e-4)
    assert accuracy >= 0.985


def test_training_a_classifier_learns_and_repeats(mnist):
    from dataclasses import replace

    recipe = replace(ignbook.recipes.classifier, epochs=1)
    part = ignbook.data.Images(mnist[0].pixels[:3000], mnist[0].labels[:3000], "part", 32, "test")
    held = ignbook.data.Images(mnist[1].pixels[:1000], mnist[1].labels[:1000], "held", 32, "test")
    (a, card), (b, _) = (M.train_classifier(recipe, part, held, progress=False) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))
    assert card["metrics"]["test accuracy"] > 0.5  # one epoch of 3,000 digits; chance is 0.1


def test_birthdays_and_neighbours_tell_a_memoriser_of_500_from_digits(mnist):
    train, test = mnist
    memory, real = train[torch.arange(500)], train[torch.arange(10_000, 12_000)]
    threshold = M.near_duplicate(train[torch.arange(20_000, 22_000)], 10_000)
    few = M.birthday(dealt(memory, 2_000), threshold).support
    assert 500 / 1.5 < few < 500 * 1.5 and M.birthday(real, threshold).support > 5 * few
    distance, index = M.nearest(memory[:5], train, 2)
    assert (distance[:, 0] == 0).all() and index[:, 0].tolist() == [0, 1, 2, 3, 4] and (distance[:, 1] > 1).all()
    assert M.nearest(test[torch.arange(5)], train)[0].min() > 1


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
    lines = M.table(result["good"], {"elsewhere": {"precision": 0.5}}).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| real", "| z", "| f(z)", "| f²(z)", "| f³(z)", "| elsewhere"]
    assert lines[-1] == "| elsewhere | — | 0.50 | — | — | — | — | — | — | — |"


@pytest.mark.parametrize("name", ["mnist", "mnist-narrow"])
def test_the_shipped_mnist_model_is_good_by_its_card(name):
    card, recipe = ign_core.load(name).card, ignbook.recipes.recipe(name)
    assert ignbook.checkpoints.recipe_of(card, ign_core.Recipe) == recipe and card["images"] == recipe.steps * recipe.batch
    row, real = card["metrics"]["rows"]["f(z)"], card["metrics"]["rows"]["real"]
    assert card["metrics"]["n"] == 5000
    assert row["precision"] >= 0.85 and row["recall"] >= 0.65 and row["coverage"] >= 0.55 and row["KL"] <= 0.15
    assert real["precision"] > 0.9 and real["recall"] > 0.9 and real["coverage"] > 0.9


def test_high_frequencies_of_waves():
    t = torch.arange(32) * (2 * math.pi / 32)

    def waves(cycles):  # two images, so that the mean that is taken away is zero
        wave = torch.cos(cycles * t).expand(32, 32)[None, None]
        return torch.cat([wave, -wave])

    assert M.high_frequencies(waves(3)) == pytest.approx(0, abs=1e-6)
    assert M.high_frequencies(waves(13)) == pytest.approx(1, abs=1e-6)
    assert M.high_frequencies(torch.cat([waves(3), 3 * waves(13)])) == pytest.approx(0.9, abs=1e-5)  # power, not amplitude
    noise = torch.randn(500, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert M.high_frequencies(noise) == pytest.approx(1 - 17**2 / 32**2, abs=0.01)  # the share of the frequencies beyond half


def test_the_reference_is_a_fair_sample(mnist):
    order = M.in_random_order(mnist[1])
    assert torch.equal(order.sort().values, torch.arange(len(mnist[1]))) and torch.equal(order, M.in_random_order(mnist[1]))
    features, half = M.features_of(M.load_classifier(), mnist[1][torch.arange(len(mnist[1]))]), len(mnist[1]) // 2
    fair, in_file_order = (M.kernel(y[:half], y[half:]) for y in (features[order], features))
    assert abs(fair) < 0.5 * in_file_order  # two halves of one set


def test_a_glance_agrees_with_the_whole_measure(mnist):
    net, real = M.load_classifier(), mnist[0][torch.arange(1500)]
    features = M.features_of(net, mnist[1][torch.arange(1000)])
    found = M.glance(torch.nn.Identity(), Fixed(real), net, features, n=1000)
    whole = M.score(net, real[:1000], features)
    assert found == {key: whole[key] for key in found} and set(found) >= {"coverage", "KL"}
    with pytest.raises(ValueError) as caught:
        M.glance(lambda x: x * float("nan"), Fixed(real), net, features)
    one_sentence(caught)


@pytest.fixture(scope="module")
def imagenet():
    pytest.importorskip("efficientnet_lite_pytorch")
    return M.load_feature_network("imagenet")


def test_features_of_colour_see_the_mean_colour_as_zero(imagenet):
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1).expand(1, 3, 64, 64) * 2 - 1
    expected = imagenet.net.extract_features(torch.zeros(1, 3, 96, 96)).mean((2, 3))
    assert torch.allclose(M.features_of(imagenet, mean), expected, atol=1e-4) and expected.shape == (1, 1280)
    with pytest.raises(ValueError, match="in colour or grey") as error:
        M.features_of(imagenet, torch.zeros(2, 2, 64, 64))
    one_sentence(error)


def test_faces_are_ranked(imagenet, monkeypatch):
    monkeypatch.setattr(M.ImageNetFeatures, "SIDE", 32)  # for speed
    train, test = ignbook.data.load("drawn"), ignbook.data.load("drawn", "test")
    x, real = test[torch.arange(500)], M.features_of(imagenet, train[torch.arange(500)])
    fine, noisy = (
        M.score(imagenet, y, real) for y in (x, ignbook.data.add_noise(x, 0.2, torch.Generator().manual_seed(0)).clamp(-1, 1))
    )
    assert abs(fine["KID"]) < 0.05 * noisy["KID"] and fine["coverage"] > 0.8 > 0.3 > noisy["coverage"]
    assert not {"FD", "KL", "confidence", "histogram"} & set(fine)


def test_evaluate_measures_what_is_denoised_by_distance_where_there_are_no_classes(imagenet, monkeypatch):
    monkeypatch.setattr(M.ImageNetFeatures, "SIDE", 32)
    monkeypatch.setattr(M, "FITTED", 24)
    train, test = ignbook.data.load("drawn"), ignbook.data.load("drawn", "test")
    fixed = Fixed(train[torch.arange(500, 1000)])
    found = M.evaluate(ign_core.Model(torch.nn.Identity(), fixed, {}), imagenet, train, test, n=500, rows=("f(z)",))
    drawn = found["rows"]["f(z)"]  # real drawn faces: on the manifold, and of all kinds
    assert (
        drawn["distance"] < 0.004
        and set(drawn["attributes"]) == set(ignbook.data.ATTRIBUTES)
        and min(drawn["attributes"].values()) > 0.5
    )
    denoising = found["denoising"]
    assert denoising["clean"] == 0 and denoising["noisy"] == pytest.approx(0.3 * math.sqrt(2 / math.pi), rel=0.01)
    assert 0 < denoising["noisy, cut"] == denoising["cut, projected"] < denoising["noisy"] == denoising["projected"]
    record = {"metrics": found | {"rows": {**found["rows"], "real": found["rows"]["f(z)"]}}, "seconds": 60.0}
    assert "projected accuracy" not in M.summary(record) and M.summary(record)["sharpness"] == 1


# --------------------------------------------------------------------------------------------------- what comes in wrongly


def test_bytes_are_told_how_to_become_images_and_doubles_become_floats():
    x, net = pictures(20, 32), M.Classifier().eval()
    for call in (
        lambda y: M.check_images(y, 10),
        lambda y: M.features_of(net, y),
        lambda y: M.classes_of(net, y),
        M.high_frequencies,
    ):
        with pytest.raises(ValueError, match=r"scale them to \[-1, 1\]") as caught:
            call(((x + 1) * 127.5).to(torch.uint8))
        one_sentence(caught)
        y, same = call(x), call(x.double())
        assert (
            all(torch.equal(a, b) for a, b in zip(y, same))
            if isinstance(y, tuple)
            else torch.equal(*map(torch.as_tensor, (y, same)))
        )
    for call in (M.drifts, M.projected):
        with pytest.raises(ValueError, match="scale them to"):
            call(torch.nn.Identity(), (x * 9).to(torch.uint8))
    f = ign_core.ConvAutoencoder(32, 1, 8, 6).eval()
    assert torch.equal(M.drifts(f, x), M.drifts(f, x.double()))
    with pytest.raises(ValueError, match=r"scale them to \[-1, 1\]"):
        M.classes_of(net, 127.5 * (x + 1))  # bytes in floats, of which it would find classes


def test_what_is_no_classifier_is_not_taken_for_one():
    f, x, images = ign_core.ConvAutoencoder(32, 1, 8, 6).eval(), pictures(600, 32), None
    images = ignbook.data.Images(((x + 1) * 127.5).to(torch.uint8), torch.arange(600) % 10, "made", 32, "here")
    model, net = ign_core.Model(f, ign_core.GaussianSource((1, 32, 32)), {}), M.Classifier().eval()
    for call in (
        lambda: M.classes_of(f, x),  # would be the brightest rows of f(x)
        lambda: M.features_of(model, x),
        lambda: M.evaluate(model, f, images, images, n=500),
        lambda: M.evaluate(f, net, images, images, n=500),
        lambda: M.evaluate(model, net, x, images, n=500),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        one_sentence(caught)
    for call, words in {
        lambda: M.evaluate(model, net, images, images, n=0): "give 500 or more",
        lambda: M.evaluate(model, net, images, images, n=500, rows=("f(x)",)): "'f\\(x\\)' is unknown",
        lambda: M.features_of(net, pictures(3, 28)): "grey images",
        lambda: M.projected(f, pictures(3, 28)): "give it that shape",
        lambda: M.load_classifier("ring"): "is no classifier",
        lambda: M.efficientnet("cuda:99"): "there is no device 'cuda:99' on this machine",
        lambda: M.drifts(f, x[:0]): "is empty",
    }.items():
        with pytest.raises(ValueError, match=words) as caught:
            call()
        one_sentence(caught)


def test_a_generator_that_made_one_image_has_no_detail_and_still_a_score():
    assert M.high_frequencies(pictures(1, 32).expand(30, -1, -1, -1)) == 0
    one = torch.full((500, 1, 32, 32), 0.3)
    found = M.score(M.Classifier().eval(), one, normal(500, 64))
    assert found["detail"] == 0 and not any(math.isnan(v) for v in found.values() if isinstance(v, float))


@pytest.mark.parametrize("labels", [torch.zeros(0).long(), torch.tensor([0, 10]), torch.tensor([-1]), torch.rand(4)])
def test_labels_that_are_no_classes_get_one_sentence(labels):
    with pytest.raises(ValueError) as caught:
        M.class_histogram(labels)
    one_sentence(caught)


def test_features_are_compared_in_any_precision_and_as_numbers():
    real, fake = normal(600), normal(600, mean=0.4, seed=1)
    assert M.frechet(real.double(), fake) == pytest.approx(M.frechet(real, fake), rel=1e-4)
    whole = (4 * real).long()
    assert M.neighbours(whole, (4 * fake).long()) == M.neighbours(whole.float(), (4 * fake).long().float())
    for call in (M.frechet, M.kernel, M.neighbours):
        for bad in (fake * math.nan, fake[:, :3], fake[0], fake[:0]):
            with pytest.raises(ValueError) as caught:
                call(real, bad)
            one_sentence(caught)


HOSTILE = 'a | b <img src=x onerror="alert(1)"> & \\| c\nd'


def test_a_hostile_name_stays_in_its_cell():
    tables = M.table({"rows": {HOSTILE: {"FD": 1.0}}}), M.summary_table({"a": [run_record(0)]}, names={"a": HOSTILE})
    for lines in (text.split("\n") for text in tables):
        cells = [re.split(r"(?<!\\)(?:\\\\)*\|", line) for line in lines]  # GitHub's rule: a bar after a backslash is no border
        assert len({len(row) for row in cells}) == 1 and "<" not in "".join(lines) and len(lines) in (3, 4)
        assert "a \\| b &lt;img" in lines[-1] and "&amp;" in lines[-1]
    assert "| f²(z), λ = 1 |" in M.table({"rows": {"f²(z), λ = 1": {"FD": 1.0}}})  # and others are as they were
