from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from fsamc.detectors.bank import MemoryBank
from fsamc.detectors.base import Detector, channel_scale, channel_spread, detector_class
from fsamc.detectors.cpr import histograms, visual_words
from fsamc.detectors.detector_kinds import PatchCoreSettings
from fsamc.detectors.good_images import GoodImages, SomeImages
from fsamc.detectors.reconpatch import learn_embedding, likeness, relaxed_contrastive_loss
from tests.fsamc.kinds import DETECTORS, settings_of

G, SIDE, D, N = 9, 4, 6, 5
P = SIDE * SIDE
SETTINGS = {"ratio": 0.2, "projection": 4, "starts": 3, "channels": 4}
SETTINGS |= {"images": 3, "words": 4, "blocks": 2, "window": 1}
SETTINGS |= {"embedding": 5, "steps": 6, "batch": 60, "lr": 0.01}


def patches(n: int, seed: int) -> np.ndarray:
    """Images [n, P, D] whose places look different, and whose images do."""
    generator = np.random.default_rng(seed)
    places = np.random.default_rng(99).normal(size=(1, P, D)) * 2
    return (places + generator.normal(size=(n, 1, D)) + generator.normal(size=(n, P, D))).astype(np.float16)


GOOD, QUERIES = patches(G, 1), patches(N, 2)


def detector(kind: str, good: GoodImages = GOOD, *, seed: int = 1, **values) -> Detector:
    settings = settings_of(DETECTORS, kind, **{**SETTINGS, **values})
    made = detector_class(settings)
    return made(made.learn(good, settings, seed=seed), good, settings)


def lengths(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(features.astype(float) - rows.astype(float), axis=-1)


@pytest.mark.parametrize("kind", DETECTORS)
class TestEveryDetector:
    def test_shapes_and_types(self, kind):
        one = detector(kind)
        distances, indices = one.compare(QUERIES)
        assert (distances.dtype, distances.shape) == (np.float32, (N, P))
        assert (indices.dtype, indices.shape) == (np.int64, (N, P))
        assert one.rows.ndim == 2
        assert one.rows.shape[1] == D
        assert (indices >= 0).all()
        assert (indices < len(one.rows)).all()
        assert (distances > 0).all()
        assert (one.scale.dtype, one.scale.shape) == (np.float32, (D,))

    def test_distances_are_the_lengths_of_the_residuals_unless_it_measures_otherwise(self, kind):
        one = detector(kind)
        distances, indices = one.compare(QUERIES)
        same = np.allclose(distances, lengths(QUERIES, one.rows[indices]), rtol=1e-5)
        assert same == (not one.measures)

    def test_the_same_seed_gives_the_same_and_another_what_is_drawn_anew(self, kind):
        first, again, other = detector(kind), detector(kind), detector(kind, seed=2)
        assert all(np.array_equal(first.kept[name], again.kept[name]) for name in first.kept)
        assert any(not np.array_equal(first.kept[name], other.kept[name]) for name in first.kept) == (
            DETECTORS[kind].drawn
        )

    def test_what_it_keeps_depends_on_what_its_settings_say(self, kind):
        others = {"ratio": 0.4, "projection": 2, "starts": 1, "channels": 2, "ridge": 1.0, "images": 1}
        others |= {"words": 3, "blocks": 1, "window": 0}
        others |= {"embedding": 3, "steps": 2, "batch": 30, "lr": 0.1, "neighbours": 9, "bandwidth": 0.2}
        others |= {"contextual": 0.9, "margin": 2.0, "momentum": 0.1}
        first, answer = detector(kind).kept, detector(kind).compare(QUERIES)
        for name, value in others.items():
            if name not in DETECTORS[kind].model_fields:
                continue
            changed = detector(kind, **{name: value})
            learnt = any(not np.array_equal(first[key], changed.kept[key]) for key in first)
            answers = any(not np.array_equal(a, b) for a, b in zip(answer, changed.compare(QUERIES), strict=True))
            assert learnt == (name not in DETECTORS[kind].query_settings), name
            assert answers, name

    def test_each_image_is_compared_by_itself(self, kind):
        one = detector(kind)
        together = one.compare(QUERIES)
        for row in range(N):
            distances, indices = one.compare(QUERIES[[row]])
            np.testing.assert_allclose(distances[0], together[0][row], rtol=1e-5)
            np.testing.assert_array_equal(indices[0], together[1][row])

    def test_it_says_if_neither_a_patchs_place_nor_its_surroundings_matter(self, kind):
        """The patches of an image in another order, and each as the only one of an image of its own."""
        one, order = detector(kind), np.random.default_rng(0).permutation(P)
        here, there = one.compare(QUERIES), one.compare(QUERIES[:, order])
        same = all(np.array_equal(a[:, order], b) for a, b in zip(here, there, strict=True))
        if one.patchwise:
            assert same
            alone = one.compare(QUERIES.reshape(-1, 1, D))
            np.testing.assert_array_equal(alone[1].reshape(N, P), here[1])
        assert one.patchwise == (kind in ("patchcore", "reconpatch"))

    def test_memory_maps_that_may_not_be_written_to_give_the_same(self, kind, tmp_path):
        for name, array in {"good": GOOD, "queries": QUERIES, **detector(kind).kept}.items():
            np.save(tmp_path / f"{name}.npy", array)
        files = {path.stem: np.load(path, mmap_mode="r") for path in tmp_path.iterdir()}
        good, queries = files.pop("good"), files.pop("queries")
        assert all(np.array_equal(files[name], kept) for name, kept in detector(kind, good).kept.items())
        settings = settings_of(DETECTORS, kind, **SETTINGS)
        mapped = detector_class(settings)(files, good, settings).compare(queries)
        assert all(np.array_equal(a, b) for a, b in zip(mapped, detector(kind).compare(QUERIES), strict=True))

    def test_it_learns_the_same_from_some_of_the_images_as_from_a_copy_of_them(self, kind):
        rows = np.array([0, 3, 4, 8])
        some, copied = SomeImages(GOOD, rows), GOOD[rows]
        here, there = detector(kind, some), detector(kind, copied)
        assert all(np.array_equal(here.kept[name], kept) for name, kept in there.kept.items())
        assert np.array_equal(here.rows, there.rows)
        assert all(np.array_equal(a, b) for a, b in zip(here.compare(QUERIES), there.compare(QUERIES), strict=True))


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ({"ratio": 0.1}, 40),
        ({"ratio": 0.0999}, 39),
        ({"ratio": 0.001}, 1),
        ({"ratio": 1.0}, 400),
        ({"rows": 1}, 1),
        ({"rows": 40}, 40),
        ({"rows": 1000}, 400),
        ({"rows": 7, "ratio": None}, 7),
    ],
)
def test_a_bank_is_a_share_rounded_down_or_a_number_of_rows(size, count):
    assert PatchCoreSettings(**size).count(400) == count
    assert detector_class(PatchCoreSettings()).bytes_kept(PatchCoreSettings(**size), (10, 40, D)) == 2 * D * count


def test_a_bank_of_a_number_of_rows_is_the_bank_of_that_share():
    by_share, by_rows = detector("patchcore"), detector("patchcore", ratio=None, rows=int(0.2 * G * P))
    assert np.array_equal(by_share.rows, by_rows.rows)


def test_patchcore_is_the_memory_bank():
    bank = MemoryBank.build(GOOD.reshape(-1, D), 0.2, 1, projection=4, starts=3)
    one = detector("patchcore")
    distances, indices = bank.nearest(QUERIES.reshape(-1, D))
    assert np.array_equal(one.rows, bank.rows)
    assert np.array_equal(one.compare(QUERIES)[0].ravel(), distances)
    assert np.array_equal(one.compare(QUERIES)[1].ravel(), indices)
    np.testing.assert_allclose(one.scale, bank.rows.astype(float).std(0), rtol=1e-3)


@pytest.mark.parametrize(("channels", "used"), [(4, 4), (6, 6), (100, 6)])
def test_padim_is_numpys_mean_and_covariance_and_scipys_distance(channels, used):
    one = detector("padim", channels=channels, ridge=0.05)
    drawn = one.kept["channels"]
    assert len(set(drawn.tolist())) == len(drawn) == used
    np.testing.assert_allclose(one.rows, GOOD.astype(float).mean(0), rtol=1e-6)
    distances, indices = one.compare(QUERIES)
    for place in range(P):
        covariance = np.cov(GOOD[:, place, drawn].astype(float), rowvar=False) + 0.05 * np.eye(used)
        factor = np.linalg.inv(one.kept["whitening"][place].astype(float))
        np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-4, atol=1e-4)
        for row in range(N):
            query, mean = QUERIES[row, place, drawn].astype(float), GOOD[:, place, drawn].astype(float).mean(0)
            expected = mahalanobis(query, mean, np.linalg.inv(covariance))
            assert distances[row, place] == pytest.approx(expected, rel=1e-4)
            assert indices[row, place] == place


def test_padim_of_one_image_has_the_ridge_alone():
    one = detector("padim", GOOD[:1], ridge=0.25)
    channels = one.kept["channels"]
    expected = lengths(QUERIES[..., channels], GOOD[0][:, channels]) / 0.5
    np.testing.assert_allclose(one.compare(QUERIES)[0], expected, rtol=1e-5)
    assert (one.scale == 1).all()


def test_the_scale_is_the_spread_around_what_is_normal():
    wide = GOOD.astype(float)
    np.testing.assert_allclose(detector("padim").scale, (wide - wide.mean(0)).std((0, 1)), rtol=1e-4)
    for kind in ("spade", "cpr"):
        np.testing.assert_allclose(detector(kind).scale, wide.std((0, 1)), rtol=1e-4)
    assert channel_spread(np.array([[[1.0, 5], [3, 5]]]), np.array([2.0, 5])).tolist() == [1, 1]  # 5 never varies


def test_channel_scale_by_hand():
    scale = channel_scale(np.array([[1, 5, 0.0], [3, 5, 0.0], [1, 5, 6.0], [3, 5, 6.0]], np.float16))
    assert scale.dtype == np.float32
    assert scale.tolist() == [1, 1, 3]  # the second never varies


def test_channel_scale_of_many_rows_does_not_lose_them_in_float16():
    rows = np.random.default_rng(0).normal(50, 0.1, (20000, 2)).astype(np.float16)
    np.testing.assert_allclose(channel_scale(rows), rows.astype(float).std(0), rtol=1e-3)


def retrieved_by_means(image: np.ndarray, count: int) -> list[int]:
    apart = [np.linalg.norm(image.astype(float).mean(0) - one.astype(float).mean(0)) for one in GOOD]
    return sorted(range(G), key=lambda number: apart[number])[:count]


def retrieved_by_words(image: np.ndarray, words: np.ndarray, blocks: int, count: int) -> list[int]:
    def of_block(one: np.ndarray, down: int, right: int) -> list[int]:
        counts = [0] * len(words)
        for y, x in product(range(SIDE), repeat=2):
            if (y * blocks // SIDE, x * blocks // SIDE) == (down, right):
                counts[int(lengths(one[y * SIDE + x], words).argmin())] += 1
        return counts

    shared = [0] * G
    for number, down, right in product(range(G), range(blocks), range(blocks)):
        pairs = zip(of_block(image, down, right), of_block(GOOD[number], down, right), strict=True)
        shared[number] += sum(min(pair) for pair in pairs)
    return sorted(range(G), key=lambda number: -shared[number])[:count]


def nearest_slowly(image: np.ndarray, numbers: list[int], window: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest patch of the images `numbers` within the window, patch by patch; of equal ones the lowest row."""
    distances, rows = np.empty(P), np.empty(P, int)
    for y, x in product(range(SIDE), repeat=2):
        best = (np.inf, -1)
        for number, v, u in product(sorted(numbers), range(SIDE), range(SIDE)):
            if abs(v - y) <= window and abs(u - x) <= window:
                row = number * P + v * SIDE + u
                best = min(best, (float(lengths(image[y * SIDE + x], GOOD.reshape(-1, D)[row])), row))
        distances[y * SIDE + x], rows[y * SIDE + x] = best
    return distances, rows


def assert_found(one: Detector, expected: list[tuple[np.ndarray, np.ndarray]]) -> None:
    distances, indices = one.compare(QUERIES)
    np.testing.assert_allclose(distances, [slow for slow, _ in expected], rtol=1e-5)
    np.testing.assert_array_equal(indices, [rows for _, rows in expected])


@pytest.mark.parametrize("count", [1, 3, 20])
def test_spade_is_its_definition(count):
    expected = [nearest_slowly(image, retrieved_by_means(image, count), SIDE) for image in QUERIES]
    assert_found(detector("spade", images=count), expected)


@pytest.mark.parametrize(
    ("count", "words", "blocks", "window"), [(1, 4, 2, 1), (3, 4, 1, 0), (3, 2, 3, 2), (2, 5, 4, 3), (20, 4, 2, 99)]
)
def test_cpr_is_its_definition(count, words, blocks, window):
    one = detector("cpr", images=count, words=words, blocks=blocks, window=window)
    found = [retrieved_by_words(image, one.kept["words"], blocks, count) for image in QUERIES]
    assert_found(one, [nearest_slowly(image, numbers, window) for image, numbers in zip(QUERIES, found, strict=True)])


@pytest.mark.parametrize("kind", ["spade", "cpr"])
def test_of_equal_images_the_first_is_taken(kind):
    twice = np.concatenate([GOOD, GOOD])
    for images in (1, 2 * G):
        assert (detector(kind, twice, images=images).compare(GOOD)[1] < G * P).all()


def test_of_equal_patches_within_the_window_the_first_is_taken():
    flat = np.ascontiguousarray(np.broadcast_to(GOOD[:, :1], GOOD.shape))  # all patches of an image alike
    _, indices = detector("cpr", flat, images=G, window=1).compare(flat)
    first = np.array([max(y - 1, 0) * SIDE + max(x - 1, 0) for y, x in product(range(SIDE), repeat=2)])
    np.testing.assert_array_equal(indices, np.arange(G)[:, None] * P + first)


def test_words_find_what_kinds_of_patches_there_are():
    kinds = np.eye(4, D) * 20
    drawn = np.random.default_rng(5).integers(0, 4, (G, P))
    good = (kinds[drawn] + np.random.default_rng(6).normal(size=(G, P, D)) * 0.1).astype(np.float16)
    words = visual_words(good, 4, seed=1)
    nearest = np.array([lengths(words, kind).argmin() for kind in kinds])
    assert sorted(nearest) == [0, 1, 2, 3]
    np.testing.assert_allclose(words[nearest], kinds, atol=0.5)
    counts = histograms(good[0], words, 1)
    assert [counts[word] for word in nearest] == [(drawn[0] == kind).sum() for kind in range(4)]


def test_there_are_no_more_words_than_patches():
    assert len(visual_words(GOOD[:1, :4], 12, seed=1)) == 4


def test_a_histogram_by_hand():
    """Four by four patches in two by two blocks; the left half is word 0, of the right one patch is, at the bottom."""
    image = np.ones((SIDE, SIDE, 1))
    image[:, :2] = image[3, 3] = 0
    found = histograms(image.reshape(P, 1), np.array([[0.0], [1.0]]), 2)
    assert found.tolist() == [4, 0, 0, 4, 4, 0, 1, 3]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", DETECTORS)
def test_the_device_changes_rounding_alone(kind):
    settings = settings_of(DETECTORS, kind, **SETTINGS)
    made = detector_class(settings)
    there = made(made.learn(GOOD, settings, seed=1, device="cuda"), GOOD, settings, device="cuda").compare(QUERIES)
    here = detector(kind).compare(QUERIES)
    np.testing.assert_allclose(there[0], here[0], rtol=1e-3)
    assert np.array_equal(there[1], here[1])


def test_reconpatch_searches_its_embedding_and_subtracts_what_it_found():
    one = detector("reconpatch")
    embedded = QUERIES.reshape(-1, D).astype(float) @ one.kept["matrix"].astype(float)
    rows = one.rows.astype(float) @ one.kept["matrix"].astype(float)
    apart = np.linalg.norm(embedded[:, None] - rows, axis=-1)
    distances, indices = one.compare(QUERIES)
    np.testing.assert_array_equal(indices.ravel(), apart.argmin(1))
    np.testing.assert_allclose(distances.ravel(), apart.min(1), rtol=1e-4)
    np.testing.assert_array_equal(GOOD.reshape(-1, D)[one.kept["indices"]], one.rows)


def test_the_likeness_of_four_patches_by_hand():
    """Two pairs, far apart: each patch shares both its neighbours with its partner, and none with the others."""
    settings = settings_of(DETECTORS, "reconpatch", neighbours=2, contextual=1.0)
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    pairs = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2))
    torch.testing.assert_close(likeness(points, settings), pairs)
    by_distance = likeness(points, settings.model_copy(update={"contextual": 0.0}))
    mean = np.mean([(a - b) ** 2 for a in (0, 1, 10, 11) for b in (0, 1, 10, 11)])
    assert by_distance[0].tolist() == pytest.approx([1, np.exp(-1 / mean), np.exp(-100 / mean), np.exp(-121 / mean)])


def test_the_relaxed_contrastive_loss_by_hand():
    """Two patches: distances from each are 0 and 2 in means."""
    alike = torch.tensor([[1.0, 0.25], [0.25, 1.0]])
    loss = relaxed_contrastive_loss(torch.tensor([[0.0], [3.0]]), alike, margin=3.0)
    assert float(loss) == pytest.approx(0.25 * 4 + 0.75 * 1, rel=1e-5)
    assert float(relaxed_contrastive_loss(torch.zeros(2, 1), torch.zeros(2, 2), margin=0.5)) == pytest.approx(0.0)


def test_what_reconpatch_learns_brings_patches_of_one_kind_together():
    """Four kinds that differ in four channels, beside four that are noise."""
    generator = np.random.default_rng(3)
    kinds, shows = generator.integers(4, size=600), np.repeat([1.0, 0.0], 4)
    noise = generator.normal(size=(600, 8)) * np.repeat([0.3, 1.0], 4)
    points = ((generator.normal(size=(4, 8)) * 2 * shows)[kinds] + noise).astype(np.float32)
    settings = settings_of(DETECTORS, "reconpatch", embedding=8, batch=100, lr=0.01, neighbours=20)

    def between_to_within(steps: int) -> float:
        own = points @ learn_embedding(points, settings.model_copy(update={"steps": steps}), seed=1)
        means = np.stack([own[kinds == kind].mean(0) for kind in range(4)])
        between = np.linalg.norm(means[:, None] - means, axis=-1)[np.triu_indices(4, 1)].mean()
        return float(between / np.linalg.norm(own - means[kinds], axis=1).mean())

    assert between_to_within(200) > 1.3 * between_to_within(0)
