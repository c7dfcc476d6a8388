from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.config.compute import Compute
from fsamc.config.dotted import flatten, with_value
from fsamc.config.features import Features
from fsamc.config.learning import Finetune
from fsamc.counting import counted
from fsamc.data.category import load_category, scan_category
from fsamc.data.inspection import folder_summaries
from fsamc.data.textures import load_textures
from fsamc.errors import BadInput
from sweeps.cli.options import show_table
from sweeps.cli.show import _image_table, _summary, draw_previews, inspect_data, knob_line, knob_table
from sweeps.plan.keys import knobs
from sweeps.plan.kinds import FIELDS, owners
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from tests.fsamc.layouts import write_category, write_textures

SMALL = ["base.features.size=64", "base.pseudo.foreground=whole"]


def screen(data, **features):
    console = Console(record=True, width=160)
    sound = inspect_data(data, Features(**features), console, cache=data)
    return sound, console.export_text()


def line(text, start):
    return next(each for each in text.splitlines() if each.startswith(start))


def table_row(text, part):
    found = next(each for each in text.splitlines() if part in each)
    return [cell.strip() for cell in found.strip("│\n ").split("│")]


# --- inspect


@pytest.fixture
def data(tmp_path):
    groups = {f"test/dent/{n:03}.png": f"part {n % 2}" for n in range(5)}
    write_category(tmp_path, "tiles", good=3, classes={"crack": 4, "dent": 5}, masks=True, groups=groups)
    write_category(tmp_path, "wires", good=2, classes={"bent": 3, "cut": 3}, size=(40, 64))
    return tmp_path


def test_the_table_counts_images_groups_and_masks_and_shows_sizes(data):
    Image.new("RGB", (100, 80)).save(data / "tiles" / "test" / "dent" / "000.png")
    _, text = screen(data)
    assert table_row(text, "train/good") == ["tiles", "train/good", "3", "3", "0", "64 x 64"]
    assert table_row(text, "test/dent")[-5:] == ["test/dent", "5", "2", "5", "64 x 64 to 80 x 100"]
    assert table_row(text, "test/cut")[-5:] == ["test/cut", "3", "3", "0", "40 x 64"]


@pytest.mark.parametrize("long", ["tiles", "housing-lid-of-the-second-production-line", "x" * 90])
@pytest.mark.parametrize("width", [80, 120])
def test_no_width_of_the_screen_breaks_a_name(data, long, width):
    (data / "tiles").rename(data / long)
    for n in range(20):
        (data / long / "test" / f"scratched_{n}_times").mkdir()
        shutil.copy(data / long / "test" / "crack" / "000.png", data / long / "test" / f"scratched_{n}_times")
    rows = folder_summaries(scan_category(data, long))
    console = Console(record=True, width=width)
    show_table(_image_table(rows), map(_summary, rows), console)
    words = console.export_text().replace(":", " ").replace("/test/", " test/").split()
    assert long in words
    assert {f"test/scratched_{n}_times" for n in range(20)} <= set(words)


@pytest.mark.parametrize(("name", "shots", "limit"), [("tiles", 1, "class dent"), ("wires", 2, "class bent")])
def test_the_shots_served_are_the_most_that_a_sweep_accepts(data, name, shots, limit):
    category = load_category(data, name)
    assert category.problem(shots) is None
    assert category.problem(shots + 1) is not None
    _, text = screen(data)
    assert line(text, f"{name}: ").startswith(f"{name}: up to {counted(shots, 'shot')}; for more: {limit}")


def test_a_sound_folder_has_no_problem_and_a_remark_is_not_serious(data):
    assert screen(data) == (True, screen(data)[1])
    assert line(screen(data)[1], "problems") == "problems: 0, serious: 0"
    (data / "wires" / "notes.txt").write_text("x")
    sound, text = screen(data)
    assert sound
    assert line(text, "note") == f"note     {data}/wires/notes.txt: stray file, not used"
    assert line(text, "problems") == "problems: 1, serious: 0"


def test_every_serious_problem_is_one_line_with_its_path_once(data):
    for path in ("tiles/test/crack/001.png", "wires/train/good/000.png"):
        (data / path).write_bytes((data / path).read_bytes()[:100])
    sound, text = screen(data)
    assert not sound
    serious = [each for each in text.splitlines() if each.startswith("serious")]
    assert len(serious) == 2
    for path, found in zip(("tiles/test/crack/001.png", "wires/train/good/000.png"), serious, strict=True):
        assert found.count(path) == 1
        assert f"{data / path}: " in found


def test_a_category_that_cannot_be_loaded_is_counted_all_the_same(data):
    for file in (data / "wires" / "train" / "good").iterdir():
        file.unlink()
    sound, text = screen(data)
    assert not sound
    assert table_row(text, "test/cut")[-5:] == ["test/cut", "3", "3", "0", "40 x 64"]
    assert not any(each.startswith("wires: ") for each in text.splitlines())


def test_what_the_crop_hides_depends_on_the_fit_asked_for(data):
    assert "crop cuts their ends off" in screen(data, fit="crop")[1]
    assert "crop" not in screen(data, fit="squash")[1]


# --- previews


@pytest.fixture
def textures(tmp_path_factory):
    return write_textures(tmp_path_factory.mktemp("textures"), {"dots": 1, "lines": 1, "waves": 1})


def draw(data, textures, out, changes=(), rows=3):
    return list(draw_previews("smoke", [*SMALL, *changes], data=data, textures=textures, cache=out, out=out, rows=rows))


def test_a_sheet_per_category_named_after_it_and_its_foreground(data, textures, tmp_path):
    out = tmp_path / "sheets"
    assert draw(data, textures, out) == [out / "tiles-whole.png", out / "wires-whole.png"]
    assert draw(data, textures, out, ["folds.categories=[wires]"]) == [out / "wires-whole.png"]
    flood = draw(data, textures, out, ["base.pseudo.foreground={tiles: flood, wires: whole}"])
    assert flood == [out / "tiles-flood.png", out / "wires-whole.png"]


def test_fewer_rows_are_the_beginning_of_more(data, textures, tmp_path):
    few, many = (
        np.asarray(Image.open(draw(data, textures, tmp_path / str(rows), rows=rows)[0])).astype(int) for rows in (3, 6)
    )
    assert len(many) - len(few) == 3 * (224 + 22 + 6)
    assert np.array_equal(many[: len(few)], few)


def test_a_sheet_shows_the_very_pictures_that_a_sweep_pretrains_on(data, textures, tmp_path):
    plan = load_plan("smoke", [*SMALL, "base.pseudo.per_class=4"])
    wanted = PseudoSet(
        category=load_category(data, "tiles"),
        textures=load_textures(textures),
        pseudo=plan.base.pseudo,
        features=plan.base.features,
        compute=Compute(),
    )
    first_of_each = list(wanted.defects())[::4]
    sheet = np.asarray(Image.open(draw(data, textures, tmp_path / "out")[0]))
    for row, made in enumerate(first_of_each):
        top = row * (224 + 22 + 6) + 22
        cell = sheet[top : top + 224, -224 - 6 : -6]
        assert np.array_equal(cell, np.asarray(Image.fromarray(made.image).resize((224, 224))))


def test_a_sheet_of_polygons_has_a_row_per_texture_and_number_of_sides(data, textures, tmp_path):
    polygons = ["base.pseudo.mask=polygon", "base.pseudo.polygon.size=0.5", "folds.categories=[tiles]"]
    (file,) = draw(data, textures, tmp_path, polygons, rows=4)
    sheet = np.asarray(Image.open(file))
    masks = [sheet[top : top + 224, 6 + 2 * 230 :][:, :224, 0] > 127 for top in range(22, 4 * 252, 252)]
    areas = [mask.mean() for mask in masks]
    regular = [sides / 2 * 0.25**2 * np.sin(2 * np.pi / sides) for sides in (3, 4, 5, 6)]
    assert areas == pytest.approx(regular, rel=0.1)
    (perlin,) = draw(data, textures, tmp_path / "perlin", ["base.pseudo.mask=perlin", "folds.categories=[tiles]"])
    assert len(np.asarray(Image.open(perlin))) == 3 * 252 + 6


def test_bad_input_stops_before_a_sheet_is_drawn(data, textures, tmp_path):
    out = tmp_path / "sheets"
    with pytest.raises(BadInput, match=r"pseudo\.textures_per_class asks for 2"):
        draw(data, textures, out, ["base.pseudo.textures_per_class=2"])
    with pytest.raises(BadInput, match="nowhere: no such folder"):
        draw(data, textures, out, ["folds.categories=[tiles, nowhere]"])
    assert not out.exists()


# --- knobs


def having(key: str, meaning: str) -> list[str]:
    """The kinds that a knob is listed for, none where all have it or its key is of no kind."""
    of = owners(key.removeprefix("base."))
    named = meaning.partition(":")[0].split(", ")
    return named if set(named) <= set(of) else of


def test_every_key_of_a_plan_is_listed_once_for_each_kind_and_described():
    every = [(key, kind) for key, _, meaning in knobs() for kind in having(key, meaning) or [None]]
    assert len(every) == len(set(every))
    listed = [key for key, _, _ in knobs()]
    tree = Plan(name="x").model_dump(mode="json", exclude={"base": {"compute", "scoring", "shots"}})
    plain = {"base.finetune.epochs" if key.startswith("base.finetune.epochs.") else key for key in flatten(tree)}
    fields = [(field, kind) for field, kinds in FIELDS.items() for kind in kinds.values()]
    of_kinds = {f"base.{field}.{name}" for field, kind in fields for name in kind.model_fields}
    assert {key for key in listed if "KEY" not in key} == plain | of_kinds
    assert {f"space.KEY.{form}" for form in ("choice", "uniform", "loguniform", "integers")} < set(listed)
    assert all(meaning for _, _, meaning in knobs())


@pytest.mark.parametrize(
    ("key", "default", "kinds"), [(k, d, having(k, m)) for k, d, m in knobs() if d and "KEY" not in k]
)
def test_a_listed_default_is_what_the_plan_has_and_what_the_command_line_takes(key, default, kinds):
    kind = {f"{key.rpartition('.')[0]}.kind": kinds[0]} if kinds else {}
    plain = Plan.model_validate({"name": "x"} | merged(kind))
    assert load_plan("smoke", [*(f"{name}={value}" for name, value in kind.items()), f"{key}={default}"]) is not None
    value = plain
    for part in key.split("."):
        value = getattr(value, part)
    assert plain.model_validate({"name": "x"} | merged({**kind, key: yaml.safe_load(default)})) == plain
    assert yaml.safe_load(default) == (list(value) if isinstance(value, tuple) else value)


def merged(values):
    tree = {}
    for key, value in values.items():
        tree = with_value(tree, key, value)
    return tree


@pytest.mark.parametrize("width", [40, 80, 120, 160])
def test_no_width_of_the_screen_breaks_a_word_of_the_knobs(width):
    console = Console(record=True, width=width)
    show_table(knob_table(), map(knob_line, knobs()), console)
    shown = set(console.export_text().replace(":", " ").split())
    assert shown >= {word for knob in knobs() for cell in knob for word in cell.replace(":", " ").split()}


@pytest.mark.parametrize("width", [30, 40, 80])
def test_a_table_that_is_too_wide_is_a_line_a_row_with_the_names_of_its_columns(width):
    table = Table("", "configuration", Column("folds in common"), title="compared")
    table.add_row(Text("a-rather-long-name"), Text(""), "8")
    table.add_row("b", "head=contrastive", "12")
    console = Console(record=True, width=width)
    show_table(table, screen=console)
    text = " ".join(console.export_text().split())
    if width == 80:
        assert "┃" in text
    else:
        assert text == (
            "compared a-rather-long-name; folds in common: 8 b; configuration: head=contrastive; folds in common: 12"
        )


def test_the_table_prints_brackets_as_they_are():
    console = Console(record=True, width=200)
    console.print(knob_table())
    text = console.export_text()
    assert table_row(text, "base.features.layers")[1] == "[layer2, layer3]"
    assert yaml.safe_load(table_row(text, "base.finetune.epochs")[1]) == Finetune().epochs
