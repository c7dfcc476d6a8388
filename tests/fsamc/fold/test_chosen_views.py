"""Views that `auto` chooses, by numbers worked out by hand and on images whose classes differ by their direction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fsamc.artifacts.turned_good import TURNED
from fsamc.config.dotted import updated
from fsamc.config.representation import Views
from fsamc.data.category import Category, load_category
from fsamc.detectors.bank import anomaly_score
from fsamc.features.extraction import square_features
from fsamc.fold.chosen_views import choose_views, left_out_margins, widest_normal
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.run import run_fold
from fsamc.representation.views import VIEWS
from fsamc.seeds import numpy_generator

AUTO = {"head.kind": "prototype", "views.support": "auto", "views.queries": "auto"}


def scores(**high: float) -> dict:
    """Three good images of scores 1, 2 and 3 in each view; in the named views, of which `90` is turned, all of one."""
    return {view: np.full(3, high[str(view)]) if str(view) in high else np.array([1.0, 2.0, 3.0]) for view in TURNED}


@pytest.mark.parametrize(
    ("abnormal", "widest"),
    [((), "all"), (("flip 90",), "turns"), (("90",), "flips"), (("90", "flip 0"), "none"), (("180",), "none")],
)
def test_the_widest_views_are_those_in_which_good_images_stay_below_defects(abnormal, widest):
    turned = scores(**dict.fromkeys(abnormal, 2.5))
    assert widest_normal(turned, np.array([2.4, 9.0, 0.1])) == widest, "medians of 2 and 2.5 against one of 2.4"
    assert widest_normal(turned, np.array([2.6])) == "all"
    assert widest_normal(turned, np.array([2.0])) == "none", "as anomalous is not less"


def test_margins_by_hand():
    """The first of `a` is named by b and by a's second image, (0.6, 0.8); its cosines are 0.6 and 0."""
    support = [torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0]])]
    margins = left_out_margins(support, support, centre=0.0)
    np.testing.assert_allclose(margins, [0.6 - 0.0, 0.6 - 0.8], atol=1e-6)  # b has no other image to name it by
    turned = [torch.tensor([[0.0, 1.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0]])]
    margins = left_out_margins(support, turned, centre=0.0)
    np.testing.assert_allclose(margins, [0.8 - 1.0, 0.6 - 0.8], atol=1e-6)


def encoded(**gains: float) -> Callable:
    """Two classes of two images; in the named views they lie apart by an angle, in others they coincide."""

    def of(views: str) -> list[torch.Tensor]:
        angle = gains.get(views, 0.0)
        spread = torch.tensor([[0.0, 0.1], [0.1, 0.0]])
        angles = torch.tensor([[0.0], [angle]]) + spread
        return list(torch.stack([angles.cos(), angles.sin()], -1))

    return of


def test_the_support_must_prefer_other_views_by_so_many_errors():
    """Margins gained by `flips` over `all`: two pairs by symmetry, whose mean and spread are written out."""
    of = encoded(flips=0.4)
    gains = left_out_margins(of("flips"), of("flips"), centre=0.0) - left_out_margins(of("all"), of("all"), centre=0.0)
    errors = gains.mean() / (gains.std(ddof=1) / 4**0.5)
    assert gains.mean() > 0
    for settings, expected in ((Views(errors=0.99 * errors), "flips"), (Views(errors=1.01 * errors), "all")):
        settings = settings.model_copy(update={"support": "auto", "queries": "auto"})
        chosen = choose_views(settings, of, turned=scores(), defects=np.array([5.0]), centre=0.0)
        assert (chosen.support, chosen.queries) == (expected, expected)
        assert ("left out" in chosen.because) == (expected == "flips")


def test_what_the_configuration_names_is_not_chosen():
    settings = Views(support="auto", queries="turns", errors=1e9)
    chosen = choose_views(settings, encoded(), turned=scores(**{"90": 9.0}), defects=np.array([5.0]), centre=0.0)
    assert (chosen.support, chosen.queries) == ("flips", "turns")
    assert "in more not" in chosen.because


def test_one_shot_is_decided_by_the_good_images():
    one = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])]
    settings = Views(support="auto", queries="auto", errors=0.0)
    chosen = choose_views(settings, lambda views: one, turned=scores(), defects=np.array([5.0]), centre=0.0)
    assert chosen.support == "all"


def striped(root: Path) -> Category:
    """Good images of noise; the classes are patches of stripes that lie or stand, at a place of its own."""
    for part, count in (("train/good", 6), ("test/lying", 8), ("test/standing", 8)):
        folder = root / "striped" / part
        folder.mkdir(parents=True)
        for number in range(count):
            generator = numpy_generator("striped", part, number)
            pixels = generator.normal(128, 4, (64, 64, 3))
            if part != "train/good":
                top, left = 8 * generator.integers(0, 5, 2)
                pixels[top : top + 32, left : left + 32] += np.where(np.arange(32) % 8 < 4, 60, -60)[:, None, None]
            if part == "test/standing":
                pixels = pixels.transpose(1, 0, 2)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return load_category(root, "striped")


@pytest.fixture(scope="module")
def directed(tmp_path_factory) -> Category:
    return striped(tmp_path_factory.mktemp("data"))


@pytest.fixture
def config(tiny_config) -> FoldConfig:
    return updated(tiny_config, {**AUTO, "representation.patches": 16, "representation.extent": 0.0, "shots": 4})


def test_where_the_direction_is_the_class_the_support_says_so(directed, config, store):
    def result(**changes):
        return run_fold(directed, updated(config, changes), seed=1, store=store)

    both = {"views.support": "all", "views.queries": "all"}
    chosen = result()
    assert chosen.accuracy > result(**both).accuracy + 0.2
    assert chosen.views["support"] == chosen.views["queries"] in ("none", "flips")
    assert "left out" in chosen.views["because"]
    assert result(shots=1).views["support"] == "all", "turned good images are as normal as others"
    assert not result(**both).views


def test_a_fold_is_that_of_the_views_that_it_chose(directed, config, store):
    chosen = run_fold(directed, config, seed=1, store=store)
    named = updated(config, {f"views.{of}": chosen.views[of] for of in ("support", "queries")})
    assert run_fold(directed, named, seed=1, store=store).scores == chosen.scores


def test_scores_of_turned_good_images_are_the_definitions(tiny_category, config, store):
    inputs = FoldInputs(tiny_category, updated(config, {"views.good": 3}), seed=1)
    found, detector = store.get(inputs.turned_good)["scores"], inputs.bank.load(store)
    assert inputs.turned_good.rows == [0, 1, 3]
    assert VIEWS["all"][1:] == TURNED
    for view, of_view in zip(TURNED, found, strict=True):
        turned = np.stack([view.of(inputs.bank.good.square(row)) for row in (0, 1, 3)])
        features = square_features(turned, inputs.config.features, "cpu")
        np.testing.assert_allclose(of_view, anomaly_score(detector.compare(features)[0]), rtol=1e-5)


def test_no_artifact_of_a_view_is_another_for_auto(tiny_category, config):
    every = updated(config, {"views.support": "all", "views.queries": "all"})
    keys, others = (
        {artifact.key: artifact.kind for artifact in FoldInputs(tiny_category, one, seed=1).artifacts}
        for one in (config, every)
    )
    assert {keys[key] for key in {*keys} - {*others}} == {"turnedgood"}
    assert {*others} < {*keys}
