"""Corruptions, operators with their adjoints, restoration where the answer is known, detection and retrieval."""

import math

import pytest
import torch
from checks import one_sentence

import ign_core
import ignbook.data
import ignbook.metrics
import ignbook.projector as P


@pytest.fixture
def faces(generator):
    return ignbook.data.draw_faces(ignbook.data.draw_attributes(4, generator))


@pytest.mark.parametrize("name", [*P.CORRUPTIONS, *P.UNSEEN])
def test_corruptions_give_images_and_repeat(name, faces):
    grey = faces.mean(1, keepdim=True)
    for x in (faces, grey):
        strengths = (P.CORRUPTIONS | P.UNSEEN)[name][1]
        weak, strong = strengths[0], strengths[-1]
        y, again = (P.corrupt(x, name, strong, torch.Generator().manual_seed(3)) for _ in range(2))
        assert y.shape == x.shape and -1 <= y.min() and y.max() <= 1 and torch.equal(y, again)
        if name not in ("grey", "sepia") or x is faces:
            assert (y - x).abs().mean() > 0.01
        if weak != strong:
            assert (P.corrupt(x, name, weak, torch.Generator().manual_seed(3)) - x).abs().mean() <= (y - x).abs().mean()


def test_corruptions_of_no_strength_change_nothing(faces):
    for name in ("noise", "grey", "blur", "mask", "salt and pepper", "rotation", *P.UNSEEN):
        torch.testing.assert_close(P.corrupt(faces, name, 0), faces, rtol=0, atol=1e-6)


def test_corruptions_are_what_they_say(faces, generator):
    x = ignbook.data.draw_faces(ignbook.data.draw_attributes(32, generator))
    assert ((P.mask(x, 0.25, generator) - x).abs().sum(1) > 0).sum((1, 2)).max() <= 16 * 16
    flat = torch.full((32, 3, 64, 64), 0.5)
    assert (P.mask(flat, 0.25, generator) == 0).sum((1, 2, 3)).tolist() == [3 * 16 * 16] * 32
    assert (P.salt_and_pepper(flat, 0.1, generator).abs() == 1).double().mean() == pytest.approx(0.1, abs=0.005)
    assert torch.allclose(P.rotation(faces, 90), faces.rot90(1, (2, 3)), atol=1e-5)
    assert (P.jpeg(flat[:1], 95) - flat[:1]).abs().max() < 0.02 and (P.jpeg(faces, 95) - faces).abs().mean() < 0.04
    red, green = (torch.tensor(c).reshape(1, 3, 1, 1).expand(1, 3, 8, 8) for c in ((1.0, -1.0, -1.0), (-1.0, 1.0, -1.0)))
    assert P.grey(red).unique().tolist() == pytest.approx([2 * 0.2989 - 1], abs=1e-3)  # ITU-R 601
    assert P.grey(green).unique().tolist() == pytest.approx([2 * 0.587 - 1], abs=1e-3)


def test_no_strength_is_the_strongest(faces):
    for name, (_, strengths) in (P.CORRUPTIONS | P.UNSEEN).items():
        a, b = (P.corrupt(faces, name, s, torch.Generator().manual_seed(3)) for s in (None, strengths[-1]))
        assert torch.equal(a, b) and not torch.equal(a, faces)


def test_unseen_corruptions_are_what_they_say(faces, generator):
    white, grey = torch.ones(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)
    assert P.sepia(white)[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.64, 0.2], abs=1e-3)
    assert P.outlines(grey).eq(1).all()  # nothing changes, so nothing is drawn
    step = torch.cat([-torch.ones(1, 3, 16, 8), torch.ones(1, 3, 16, 8)], 3)
    dark = P.outlines(step)[0, 0, 8] < 0
    assert dark.nonzero().flatten().tolist() == [7, 8]
    assert P.fog(grey)[0, 0, 0, 0].item() == pytest.approx(2 / 3) and P.fog(grey)[0, 0, -1, 0].item() == pytest.approx(1 / 3)
    covered = (P.discs(torch.full((200, 1, 90, 90), 2.0 - 1.0), 1.0, generator) != 1).double().mean()
    assert 0.05 < covered < 3 * math.pi / 36  # three discs of a sixth of the side at most, some over the border


def test_bridges_take_from_the_draw_what_the_corruption_took(faces, generator):
    z = ign_core.FourierSource.of(faces).sample(len(faces), generator)
    y, light = P.grey(faces), torch.tensor([0.2989, 0.587, 0.114]).reshape(3, 1, 1)
    tinted = P.tinted(y, z, 0.5)
    torch.testing.assert_close((tinted * light).sum(1), y[:, 0], rtol=0, atol=2e-3)  # light is y's
    spread = [(u - u.mean(1, keepdim=True)).abs().mean() for u in (tinted, z)]
    assert spread[0].item() == pytest.approx(0.5 * spread[1].item(), rel=1e-3)  # colour half of z's
    assert torch.allclose(P.tinted(y, z, 0.0), y)
    sketch = P.sketch(faces)
    means = [u.mean((2, 3)) for u in (P.grounded(sketch, z, 2.0, 1.0), z, sketch)]
    assert (means[0] - means[1]).abs().mean() < 0.2 * (means[0] - means[2]).abs().mean()  # brightness is z's
    assert torch.allclose(P.grounded(z.clamp(-1, 1), z.clamp(-1, 1), 2.0, 1.0), z.clamp(-1, 1), atol=1e-5)


def test_the_steadiest_is_the_one_of_least_drift(generator):
    several = torch.rand(5, 7, 2, generator=generator)

    def f(y):
        return y * y  # moves by |y^2 - y^4| what it made

    kept, fy = P.steadiest(f, several), several**2
    for i in range(7):
        moved = (fy[:, i] - fy[:, i] ** 2).abs().mean(1)
        assert torch.equal(kept[i], fy[moved.argmin(), i])


def test_a_sketch_keeps_edges_and_drops_what_is_flat():
    step = torch.full((1, 3, 64, 64), -0.5)
    step[..., 32:] = 0.5
    drawn = P.sketch(step)[0, 0, 32]
    assert drawn[:16].min() > 0.99 and drawn[48:].min() > 0.99  # white away from the edge, on the dark side too
    assert drawn[31] < 0.2 and drawn[32] > 0.99  # and a line on its dark side


def test_wrong_corruptions_get_one_sentence(faces):
    with pytest.raises(ValueError, match="'mist' is unknown; use noise, grey") as error:
        P.corrupt(faces, "mist", 1.0)
    one_sentence(error)
    with pytest.raises(ValueError, match=r"give real numbers \(n, C, H, W\)") as error:
        P.corrupt(faces[0], "noise", 1.0)
    one_sentence(error)
    with pytest.raises(ValueError, match="scale them to"):
        P.corrupt(3 * faces, "noise", 1.0)


def operators(generator):
    kept = (torch.rand(1, 1, 8, 8, generator=generator) > 0.4).double()
    return {"blur": P.blurring(8, 1.0), "hide": P.hiding(kept), "shrink": P.shrinking(4)}


@pytest.mark.parametrize("name", ["blur", "hide", "shrink"])
def test_operators_have_their_adjoint_and_norm(name, generator):
    A = operators(generator)[name]
    matrix = torch.stack([A.forward(e.reshape(1, 1, 8, 8)).flatten() for e in torch.eye(64, dtype=torch.float64)], 1)
    side = int(math.sqrt(len(matrix)))
    adjoint = torch.stack(
        [A.adjoint(e.reshape(1, 1, side, side)).flatten() for e in torch.eye(len(matrix), dtype=torch.float64)], 1
    )
    torch.testing.assert_close(adjoint, matrix.T, rtol=0, atol=1e-7)
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=1e-6)


def test_blurring_is_a_gaussian():
    point = torch.zeros(1, 1, 32, 32)
    point[..., 16, 16] = 1
    spread = P.blurring(32, 2.0).forward(point)[0, 0]
    at = torch.arange(32) - 16.0
    assert spread.sum().item() == pytest.approx(1, abs=1e-5)
    assert ((spread.sum(0) * at.square()).sum()).item() == pytest.approx(4, rel=0.02)  # the variance


def test_plug_and_play_finds_the_image_where_f_is_a_projection(generator):
    """f: onto images that are constant along rows.  Then hidden pixels are known from the rest of their row."""
    x = torch.rand(3, 1, 8, 1, generator=generator).mul(1.8).sub(0.9).expand(3, 1, 8, 8).contiguous()
    kept = torch.ones(1, 1, 8, 8)
    kept[..., 2:7] = 0  # three of eight columns are left
    A = P.hiding(kept)
    found = P.plug_and_play(lambda y: y.mean(3, keepdim=True).expand_as(y), A.forward(x), A, steps=60)
    torch.testing.assert_close(found, x, rtol=0, atol=1e-4)
    assert torch.equal(A.forward(found), A.forward(x))  # it ends with the data
    half = P.plug_and_play(lambda y: y, A.forward(x), A, steps=5)  # no prior: the hole stays
    assert torch.equal(half, A.forward(x))


def test_restorations_start_from_images(faces):
    for operator, start in P.restorations(64).values():
        first = start(operator.forward(faces))
        assert first.shape == faces.shape and first.abs().max() <= 1 + 1e-5
        assert 0.005 < (first - faces).abs().mean() < 0.5
        perfect = P.plug_and_play(lambda y: faces, operator.forward(faces), operator, steps=1)  # a prior that knows the answer
        torch.testing.assert_close(perfect, faces, rtol=0, atol=1e-5)


def test_detection_is_the_share_of_pairs_in_order():
    on, off = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.25, 0.4])
    assert P.detected(on, off) == pytest.approx(5 / 6)
    assert P.detected(off, on) == pytest.approx(1 / 6)


def test_ranks_of_partners(generator):
    gallery = torch.randn(20, 5, generator=generator)
    assert P.ranks(3 * gallery, gallery).tolist() == [1] * 20  # length doesn't matter
    queries = torch.randn(20, 5, generator=generator)
    cosine = torch.nn.functional.cosine_similarity(queries[:, None], gallery[None], dim=2)
    expected = [sorted(row.tolist(), reverse=True).index(row[i].item()) + 1 for i, row in enumerate(cosine)]
    assert P.ranks(queries, gallery).tolist() == expected


def test_drifts_are_those_of_each_image(faces):
    assert torch.allclose(ignbook.metrics.drifts(lambda y: 0.5 * y, faces), (0.5 * faces).abs().mean((1, 2, 3)))


@pytest.mark.parametrize("low", [0.1, 100.0, -3e4])
def test_detection_takes_scores_of_any_size(low, generator):
    """Far from 0 a sigmoid is flat: of scores outside of [0, 1] torchmetrics would make ties."""
    assert P.detected(low + torch.tensor([0.0, 1.0]), low + torch.tensor([100.0, 101.0])) == 1
    on, off = low + torch.randn(40, generator=generator).round(), low + torch.randn(30, generator=generator).round() + 1
    pairs = off[:, None].double() - on[None].double()
    expected = ((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean().item()  # Mann and Whitney's count
    assert P.detected(on, off) == pytest.approx(expected, abs=1e-6)
    on, off = (9 * on).long(), (9 * off).long()
    assert P.detected(on, off) == P.detected(on.double(), off.double())


def test_scores_that_are_all_equal_are_a_guess():
    assert P.detected(torch.full((4,), 7.0), torch.full((5,), 7.0)) == 0.5


@pytest.mark.parametrize("scores", [torch.tensor([0.1, math.nan]), torch.tensor([math.inf]), torch.zeros(0), torch.zeros(2, 2)])
def test_scores_that_are_none_get_one_sentence(scores):
    for call in (lambda: P.detected(scores, torch.ones(2)), lambda: P.detected(torch.ones(2), scores)):
        with pytest.raises(ValueError) as error:
            call()
        one_sentence(error)


def test_features_that_tell_nothing_are_ranked_last(generator):
    told, n = torch.randn(20, 5, generator=generator), 20
    for empty in (torch.zeros(n, 5), torch.full((n, 5), 0.3), torch.randn(1, 5, generator=generator).expand(n, 5)):
        assert P.ranks(empty, empty).tolist() == P.ranks(told, empty).tolist() == [n] * n
    assert P.ranks(torch.zeros(n, 5), told).tolist() == [n] * n  # no direction: as near to all
    twice = told[[0, 0, *range(2, n)]]  # two of a kind: neither is the nearest
    assert P.ranks(twice, twice).tolist() == [2, 2] + [1] * (n - 2)
    for bad in (told * math.nan, told[:19], told[:, :4]):
        with pytest.raises(ValueError) as error:
            P.ranks(told, bad)
        one_sentence(error)


def test_strengths_outside_of_what_a_corruption_knows_get_one_sentence(faces):
    for name, strengths in {"noise": (-1, math.nan), "grey": (1.5,), "sketch": (4, 0, 999), "blur": (-1.0, 60), "mask": (1.2, -0.1),
                            "salt and pepper": (2,), "JPEG": (0, 96), "rotation": (math.inf,)}.items():  # fmt: skip
        for strength in strengths:
            with pytest.raises(ValueError) as error:
                P.corrupt(faces, name, strength)
            one_sentence(error)


def test_an_operator_takes_only_sizes_that_it_fits(faces):
    with pytest.raises(ValueError, match="can't be shrunk by 7") as error:
        P.shrinking(7).forward(faces)
    one_sentence(error)
