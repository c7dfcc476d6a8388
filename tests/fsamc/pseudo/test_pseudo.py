from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.config.dotted import updated
from fsamc.config.pseudo import Polygon, Pseudo
from fsamc.errors import BadInput
from fsamc.fold.inputs import check_textures
from fsamc.pseudo.classes import pseudo_classes
from fsamc.pseudo.defects import blend, defects
from fsamc.pseudo.preview import preview_sheet

SIDE, GOOD = 48, 6
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] / SIDE
CONFIG = Pseudo(per_class=4, textures_per_class=2)


def images(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


SOURCES = images(0, GOOD)
FOREGROUNDS = np.stack([(ROWS - 0.5) ** 2 + (COLUMNS - 0.4 - 0.04 * i) ** 2 < 0.09 for i in range(GOOD)])
FIELDS = ("image", "label", "source", "mask", "beta")
TEXTURES = {name: images(seed, 3) for seed, name in enumerate(("banded", "bubbly", "cracked"), start=1)}


def make(textures=TEXTURES, config=CONFIG, purpose="test"):
    """The pseudo-defects' fields, an array each."""
    made = list(defects(SOURCES, FOREGROUNDS, textures, config, purpose=purpose))
    return {field: np.array([getattr(one, field) for one in made]) for field in FIELDS}


def assert_same(one, other, rows=slice(None)):
    for field in FIELDS:
        np.testing.assert_array_equal(one[field], other[field][rows], err_msg=field)


@pytest.mark.parametrize(
    ("beta", "expected"),
    [(0.0, [200, 10, 255]), (1.0, [100, 13, 0]), (0.5, [150, 12, 128]), (0.25, [175, 11, 191]), (0.1, [190, 10, 230])],
)
def test_blend_by_hand(beta, expected):
    image = np.full((2, 2, 3), [100, 13, 0], np.uint8)
    texture = np.full((2, 2, 3), [200, 10, 255], np.uint8)
    mask = np.array([[True, False], [False, False]])
    # at 0.5: 11.5 and 127.5 go to the even neighbour, 12 and 128; at 0.1: 10.3 and 229.5 go to 10 and 230
    blended = blend(image, texture, mask, beta)
    assert blended.dtype == np.uint8
    assert blended[0, 0].tolist() == expected
    np.testing.assert_array_equal(blended[~mask], image[~mask])
    assert (image == [100, 13, 0]).all(), "the arguments are left alone"


def test_classes_follow_each_other():
    made = make()
    assert made["label"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert made["image"].shape == (12, SIDE, SIDE, 3)
    assert made["mask"].shape == (12, SIDE, SIDE)
    assert (made["image"].dtype, made["mask"].dtype) == (np.uint8, np.bool_)


def test_outside_the_mask_is_the_source_and_inside_is_the_blend():
    for one in defects(SOURCES, FOREGROUNDS, TEXTURES, CONFIG, purpose="test"):
        source, textures = SOURCES[one.source], TEXTURES[("banded", "bubbly", "cracked")[one.label]]
        np.testing.assert_array_equal(one.image[~one.mask], source[~one.mask])
        inside = [(1 - one.beta) * texture + one.beta * source.astype(float) for texture in textures[:2]]
        errors = [np.abs(one.image - each)[one.mask].max() for each in inside]
        assert min(errors) <= 0.501


def test_masks_lie_in_the_foreground_of_their_source():
    made = make()
    for mask, source in zip(made["mask"], made["source"], strict=True):
        assert not (mask & ~FOREGROUNDS[source]).any()
        assert 0.1 <= mask.sum() / FOREGROUNDS[source].sum() <= 0.4


def test_everything_is_drawn_over_its_range():
    plain = {"one": np.stack([np.full((SIDE, SIDE, 3), level, np.uint8) for level in (50, 100, 200)])}
    config = Pseudo(per_class=200, textures_per_class=2, beta=(0.0, 0.5))
    dark = np.zeros_like(SOURCES)
    made = list(defects(dark, FOREGROUNDS, plain, config, purpose="test"))
    betas = np.array([one.beta for one in made])
    assert betas.min() >= 0.0
    assert betas.max() < 0.5
    assert abs(betas.mean() - 0.25) < 0.03
    assert {one.source for one in made} == set(range(GOOD))
    levels = [one.image.max() / (1 - one.beta) for one in made]
    assert {round(level, -1) for level in levels} == {50, 100}


def test_equal_arguments_give_equal_defects_and_another_purpose_others():
    assert_same(make(), make())
    assert (make()["beta"] != make(purpose="other")["beta"]).all()


def test_image_i_does_not_depend_on_how_many_there_are():
    few, many = make(config=CONFIG.model_copy(update={"per_class": 2})), make()
    assert_same(few, many, [0, 1, 4, 5, 8, 9])


def test_mask_settings_leave_sources_and_betas_as_they_were():
    made, other = make(), make(config=CONFIG.model_copy(update={"blur": 0.02}))
    np.testing.assert_array_equal(made["source"], other["source"])
    np.testing.assert_array_equal(made["beta"], other["beta"])
    assert (made["mask"] != other["mask"]).any()


def test_the_streamed_form_makes_no_more_than_it_is_asked_for():
    asked = []

    class Watched:
        def __len__(self):
            return GOOD

        def __getitem__(self, index):
            asked.append(index)
            return SOURCES[index]

    stream = defects(Watched(), FOREGROUNDS, TEXTURES, CONFIG, purpose="test")
    taken = [next(stream) for _ in range(3)]
    assert asked == [one.source for one in taken]


POLYGONS = CONFIG.model_copy(update={"mask": "polygon", "polygon": Polygon(sides=(3, 6), size=0.4)})


def test_texture_x_number_of_sides_is_the_pseudo_class_of_polygons():
    names = [one.name for one in pseudo_classes(TEXTURES, POLYGONS)]
    assert names == ["banded/3", "banded/6", "bubbly/3", "bubbly/6", "cracked/3", "cracked/6"]
    assert make(config=POLYGONS)["label"].tolist() == [label for label in range(6) for _ in range(4)]
    for mask in ("poisson", "perlin"):
        config = POLYGONS.model_copy(update={"mask": mask})
        assert [one.name for one in pseudo_classes(TEXTURES, config)] == ["banded", "bubbly", "cracked"]


def test_the_shape_and_the_texture_are_those_of_the_class():
    plain = {name: np.full((2, SIDE, SIDE, 3), level, np.uint8) for name, level in (("dark", 40), ("bright", 240))}
    config = POLYGONS.model_copy(update={"beta": (0.0, 0.0)})
    everywhere = np.ones((GOOD, SIDE, SIDE), bool)
    radius = 0.4 * SIDE / 2
    for one in defects(SOURCES, everywhere, plain, config, purpose="test"):
        assert (one.image[one.mask] == (40, 240)[one.label // 2]).all()
        sides = (3, 6)[one.label % 2]
        assert one.mask.sum() == pytest.approx(sides / 2 * radius**2 * np.sin(2 * np.pi / sides), rel=0.06)


@pytest.mark.parametrize("mask", ["poisson", "perlin", "polygon"])
def test_a_class_does_not_depend_on_the_other_classes_whatever_the_mask(mask):
    config = POLYGONS.model_copy(update={"mask": mask})
    among = make(config=config)
    alone = make({"bubbly": TEXTURES["bubbly"]}, config.model_copy(update={"polygon": Polygon(sides=(6,), size=0.4)}))
    place = 3 if mask == "polygon" else 1
    assert_same({**alone, "label": alone["label"] + place}, among, slice(4 * place, 4 * place + 4))


def test_more_pseudo_classes_than_there_are_is_one_line_that_counts_polygons(tiny_textures, tiny_config):
    few = updated(tiny_config, {"pretrain.pseudo_classes": 6, "pseudo.mask": "polygon", "pseudo.polygon.sides": [3, 5]})
    check_textures(tiny_textures, few)
    many = updated(few, {"pretrain.pseudo_classes": 7})
    with pytest.raises(BadInput, match=r"is 7, but .* holds 3 texture classes, with polygons 6 pseudo-classes; lower"):
        check_textures(tiny_textures, many)
    with pytest.raises(BadInput, match=r"is 4, but .* holds 3 texture classes; lower"):
        check_textures(tiny_textures, updated(tiny_config, {"pretrain.pseudo_classes": 4}))


@pytest.mark.parametrize("mask", ["poisson", "perlin", "polygon"])
def test_settings_of_another_mask_do_not_have_pseudo_defects_built_again(
    tiny_category, tiny_textures, tiny_config, mask
):
    def key(**settings):
        pseudo = Pseudo(mask=mask, **settings)
        features, compute = tiny_config.features, tiny_config.compute
        return PseudoSet(
            category=tiny_category, textures=tiny_textures, pseudo=pseudo, features=features, compute=compute
        ).key

    own = {
        "poisson": [{"rate": 3.0}, {"blur": 0.1}, {"threshold": 0.1}, {"area": (0.1, 0.2)}],
        "perlin": [{"perlin": {"threshold": 0.1}}, {"perlin": {"scales": (1, 2)}}, {"area": (0.1, 0.2)}],
        "polygon": [{"polygon": {"sides": (4,)}}, {"polygon": {"size": 0.3}}, {"polygon": {"inside": 0.3}}],
    }
    for kind, changes in own.items():
        for change in changes:
            assert (key(**change) == key()) == (change not in own[mask]), (kind, change)


def preview(sources, foregrounds, textures, rows):
    made = list(defects(sources, foregrounds, textures, CONFIG, purpose="test"))
    return made, preview_sheet(made, list(textures), sources, foregrounds, rows=rows)


def test_preview_shows_each_class_in_turn():
    row_height = 22 + 224 + 6
    made, sheet = preview(SOURCES, FOREGROUNDS, TEXTURES, 99)
    assert sheet.shape[0] == len(made) * row_height + 6
    _, sheet = preview(SOURCES, FOREGROUNDS, TEXTURES, 4)
    assert sheet.shape[0] == 4 * row_height + 6
    for row, index in enumerate((0, 4, 8, 1)):
        result = sheet[row * row_height + 22 :][:224, 6 + 3 * 230 :][:, :224]
        np.testing.assert_array_equal(result, Image.fromarray(made[index].image).resize((224, 224)))


def test_preview_shows_source_foreground_mask_and_result():
    big = {"plain": np.zeros((2, 224, 224, 3), np.uint8)}
    sources = np.full((1, 224, 224, 3), 200, np.uint8)
    foreground = np.zeros((1, 224, 224), bool)
    foreground[:, 40:180, 40:180] = True
    made, sheet = preview(sources, foreground, big, 1)
    cells = [sheet[22 : 22 + 224, 6 + 230 * column : 230 + 230 * column] for column in range(4)]
    np.testing.assert_array_equal(cells[0], sources[0])
    changed = (cells[1] != sources[0]).any(axis=2)
    assert changed.sum() == 4 * 139
    assert not (changed & ~foreground[0]).any()
    np.testing.assert_array_equal(cells[2][..., 0] == 255, made[0].mask)
    np.testing.assert_array_equal(cells[3], made[0].image)
