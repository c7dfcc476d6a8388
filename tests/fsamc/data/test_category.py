from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fsamc.data.category import Category, load_category
from fsamc.data.examination import with_pictures_grouped
from fsamc.data.folders import find_categories, nested_categories
from fsamc.errors import BadInput
from tests.fsamc.layouts import write_category, write_category_3d


def category(images: dict[str, list[str | None]], name: str = "thing") -> Category:
    """A category without files: per class, the group of each image (None: its own)."""
    classes = {label: tuple(f"test/{label}/{n}.png" for n in range(len(groups))) for label, groups in images.items()}
    given = zip(
        (p for paths in classes.values() for p in paths), (g for gs in images.values() for g in gs), strict=True
    )
    return Category(
        folder=Path("nowhere"),
        name=name,
        train=("train/good/0.png",),
        good=(),
        classes=classes,
        masks={},
        groups={path: group for path, group in given if group},
        digests={},
    )


groups_of_a_class = st.lists(st.sampled_from([None, None, "a", "b", "c", "d"]), min_size=3, max_size=12)
categories = st.dictionaries(st.sampled_from(["crack", "dent", "hole"]), groups_of_a_class, min_size=2).map(category)


def flat(by_class: dict[str, tuple[str, ...]]) -> list[str]:
    return [path for paths in by_class.values() for path in paths]


@pytest.fixture
def tiles(tmp_path) -> Path:
    write_category(tmp_path, "tiles", classes={"crack": 12, "dent": 4}, test_good=2, masks=True)
    return tmp_path


@given(categories, st.integers(1, 3), st.integers(0, 4))
def test_support_queries_and_left_out_partition_the_defects(thing, shots, draw):
    if any(len({thing.group(path) for path in paths}) < shots for paths in thing.classes.values()):
        with pytest.raises(BadInput, match="group"):
            thing.support(shots, draw)
        return
    support, queries = thing.support(shots, draw), thing.queries(shots, draw)
    everything = flat(support) + flat(queries) + list(thing.excluded(shots, draw))
    assert sorted(everything) == sorted(thing.defects)
    assert all(len(paths) == shots for paths in support.values())
    assert list(support) == list(queries) == list(thing.classes)
    assert all(set(support[name] + queries[name]) <= set(paths) for name, paths in thing.classes.items())


@given(categories, st.integers(1, 3), st.integers(0, 4))
def test_no_group_is_on_both_sides_and_none_twice_in_a_class(thing, shots, draw):
    if thing.problem(shots, draw):
        return
    support = thing.support(shots, draw)
    groups = {thing.group(path) for path in flat(support)}
    assert groups.isdisjoint(thing.group(path) for path in flat(thing.queries(shots, draw)))
    assert groups >= {thing.group(path) for path in thing.excluded(shots, draw)}
    for paths in support.values():
        assert len({thing.group(path) for path in paths}) == shots


@given(categories, st.integers(0, 4))
def test_fewer_shots_are_the_beginning_of_more(thing, draw):
    if thing.problem(3, draw):
        return
    for name, paths in thing.support(3, draw).items():
        assert thing.support(2, draw)[name] == paths[:2]
        assert thing.support(1, draw)[name] == paths[:1]


def test_draw_0_is_the_first_images_of_distinct_groups():
    thing = category({"crack": ["a", "a", None, "b", "a", "b", None], "dent": [None] * 4})
    assert thing.support(3)["crack"] == ("test/crack/0.png", "test/crack/2.png", "test/crack/3.png")
    assert thing.queries(3)["crack"] == ("test/crack/6.png",)
    assert thing.excluded(3) == ("test/crack/1.png", "test/crack/4.png", "test/crack/5.png")
    assert thing.support(2)["dent"] == ("test/dent/0.png", "test/dent/1.png")


def test_a_group_in_the_support_of_one_class_leaves_the_queries_of_another():
    thing = category({"crack": ["a", None, None], "dent": [None, "a", None]})
    assert thing.queries(1)["dent"] == ("test/dent/2.png",)
    assert thing.excluded(1) == ("test/dent/1.png",)


def test_draws_differ_and_depend_on_category_class_and_draw_alone():
    thing = category({"crack": [None] * 30, "dent": [None] * 30})
    draws = [thing.support(5, draw)["crack"] for draw in range(20)]
    assert len(set(draws)) == 20
    numbers = [[path.rsplit("/")[-1] for path in paths] for paths in thing.support(5, 3).values()]
    assert numbers[0] != numbers[1]
    assert category({"crack": [None] * 30, "dent": [None] * 30}, "other").support(5, 3) != thing.support(5, 3)
    more = category({"bend": [None] * 30, "crack": [None] * 30, "dent": ["x"] * 3 + [None] * 30})
    assert more.support(5, 3)["crack"] == thing.support(5, 3)["crack"]


def test_random_draws_choose_groups_evenly_and_images_within_them_evenly():
    thing = category({"crack": ["a"] * 9 + [None, None], "dent": [None] * 3})
    chosen = [thing.support(1, draw)["crack"][0] for draw in range(1, 1501)]
    from_big_group = [path for path in chosen if thing.group(path) == "a"]
    assert 430 < len(from_big_group) < 570  # a third; were images drawn evenly it would be 1227
    counts = [from_big_group.count(path) for path in thing.classes["crack"][:9]]
    assert min(counts) > 25  # 55 each on average


def test_listed_support_is_taken_as_it_stands():
    thing = category({"crack": [None, None, "a", "a"], "dent": [None] * 4})
    files = ["thing/test/crack/3.png", "other/test/crack/0.png", "thing/test/dent/2.png"]
    assert thing.support(1, files=files) == {"crack": ("test/crack/3.png",), "dent": ("test/dent/2.png",)}
    assert thing.queries(1, files=files)["crack"] == ("test/crack/0.png", "test/crack/1.png")
    assert thing.excluded(1, files=files) == ("test/crack/2.png",)
    assert thing.problem(1, files=files) is None


@pytest.mark.parametrize(
    ("shots", "files", "says"),
    [
        (1, ["thing/test/crack/9.png", "thing/test/dent/0.png"], "thing/test/crack/9.png"),
        (1, ["thing/test/crack/0.png"], "names 0 images of thing/test/dent"),
        (1, ["other/test/crack/0.png"], "names 0 images of thing/test/crack"),
        (1, ["thing/test/crack/0.png", "thing/test/crack/1.png", "thing/test/dent/0.png"], "names 2 images"),
        (2, ["thing/test/crack/0.png"] * 2 + ["thing/test/dent/0.png", "thing/test/dent/1.png"], "twice"),
        (1, ["thing/train/good/0.png", "thing/test/crack/1.png", "thing/test/dent/0.png"], "train/good"),
    ],
)
def test_a_wrong_list_is_bad_input(shots, files, says):
    with pytest.raises(BadInput, match=says):
        category({"crack": [None] * 4, "dent": [None] * 4}).support(shots, files=files)


def test_a_list_with_a_random_draw_is_bad_input():
    with pytest.raises(BadInput, match=r"draw 1.*folds\.draws"):
        category({"crack": [None] * 4, "dent": [None] * 4}).support(1, 1, files=["thing/test/crack/0.png"])


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ({"crack": [None] * 9}, r"1 defect class \(crack\), 2 are needed"),
        ({"crack": [None] * 9, "dent": [None] * 2}, "class dent has 2 images of 2 groups, .* need 3"),
        ({"crack": [None] * 9, "dent": ["a", "a", "a", "b"]}, "class dent has 4 images of 2 groups, .* need 3"),
        ({"crack": ["a", "b", None], "dent": ["c", "d", "a", "b"]}, "class dent has no query left"),
    ],
)
def test_problem_names_class_found_and_needed(images, says):
    thing = category(images)
    assert re.search(says, thing.problem(2) or "")
    assert category({"crack": [None] * 3, "dent": ["a", "b", "c"]}).problem(2) is None


@given(categories, st.integers(1, 4), st.integers(0, 3))
def test_no_problem_means_a_fold(thing, shots, draw):
    if thing.problem(shots, draw) is None:
        assert all(len(paths) == shots for paths in thing.support(shots, draw).values())
        assert all(thing.queries(shots, draw).values())


def test_loading_lists_in_natural_order(tmp_path):
    folder = write_category(tmp_path, "tiles", classes={"class10": 12, "class2": 2}, masks=True)
    for path in (folder / "test" / "class10").iterdir():
        path.rename(path.with_stem(str(int(path.stem))))
    tiles = load_category(tmp_path, "tiles")
    assert list(tiles.classes) == ["class2", "class10"]
    assert [Path(path).stem for path in tiles.classes["class10"]] == [str(n) for n in range(12)]
    assert tiles.train == tuple(f"train/good/{n:03}.png" for n in range(4))


def test_stray_files_and_empty_folders_are_no_images(tiles):
    before = load_category(tiles, "tiles")
    folder = tiles / "tiles"
    for stray in ("readme.txt", "test/crack/Thumbs.db", "test/crack/.hidden.png", "test/crack/notes.txt", "test/x.png"):
        (folder / stray).write_text("stray")
    for empty in ("test/empty", "test/.cache", "test/crack/sub.png"):
        (folder / empty).mkdir()
    after = load_category(tiles, "tiles")
    assert after == before
    assert after.fingerprint == before.fingerprint


def test_masks_are_found_under_both_names(tiles):
    truth = tiles / "tiles" / "ground_truth"
    (truth / "crack" / "003_mask.png").rename(truth / "crack" / "003.png")
    (truth / "dent" / "001_mask.png").unlink()
    masks = load_category(tiles, "tiles").masks
    assert masks["test/crack/002.png"] == "ground_truth/crack/002_mask.png"
    assert masks["test/crack/003.png"] == "ground_truth/crack/003.png"
    assert set(load_category(tiles, "tiles").defects) - set(masks) == {"test/dent/001.png"}


def test_a_category_travels_and_its_fingerprint_is_about_content_alone(tiles, tmp_path):
    here = load_category(tiles, "tiles")
    assert pickle.loads(pickle.dumps(here)) == here
    assert set(here.digests) == set(here.images)
    there = load_category(shutil.copytree(tiles, tmp_path / "copy"), "tiles")
    assert there.folder != here.folder
    assert there.fingerprint == here.fingerprint


def test_every_content_changes_the_fingerprint(tiles):
    seen = {load_category(tiles, "tiles").fingerprint}
    folder = tiles / "tiles"

    def now_differs() -> bool:
        before = len(seen)
        seen.add(load_category(tiles, "tiles").fingerprint)
        return len(seen) > before

    (folder / "groups.csv").write_text("path,group\ntest/crack/000.png,a\n")
    assert now_differs()
    shutil.copy(folder / "train/good/000.png", folder / "train/good/001.png")
    assert now_differs()
    (folder / "test/dent/003.png").unlink()
    assert now_differs()
    (folder / "test/dent").rename(folder / "test/bend")
    assert now_differs()
    folder.rename(tiles / "other")
    assert load_category(tiles, "other").fingerprint not in seen


def test_groups_are_read_with_a_byte_order_mark_and_further_columns(tiles):
    rows = "\ufeffgroup,path,note\r\na,test/crack/000.png,x\r\na,test/dent/001.png,\r\n"
    (tiles / "tiles" / "groups.csv").write_text(rows, encoding="utf-8", newline="")
    loaded = load_category(tiles, "tiles")
    assert loaded.groups == {"test/crack/000.png": "a", "test/dent/001.png": "a"}
    assert loaded.group("test/crack/001.png") not in {
        loaded.group(p) for p in loaded.images if p != "test/crack/001.png"
    }


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("file;group\n", r"columns \['file;group'\], expected path,group"),
        ("", "expected path,group"),
        ("path,group\ntest/crack/000.png,a\ntest/crack/099.png,b\n", "line 3 names test/crack/099.png"),
        ("path,group\ntest/crack/000.png\n", "line 2"),
        ("path,group\ntest/crack/000.png,\n", "line 2"),
        ("path,group\ntest/crack/000.png,a\ntest/crack/000.png,b\n", "line 3"),
        ("path,group\ntest/crack/000.png,\xe4\n", "UTF-8"),
    ],
)
def test_wrong_groups_are_bad_input(tiles, rows, says):
    (tiles / "tiles" / "groups.csv").write_bytes(rows.encode("latin-1"))
    with pytest.raises(BadInput, match=rf"groups\.csv.*{says}"):
        load_category(tiles, "tiles")


def test_wrong_layouts_are_bad_input(tmp_path):
    write_category(tmp_path, "no_good", good=0, classes={"crack": 3})
    write_category(tmp_path, "no_defect", classes={"crack": 0}, test_good=2)
    write_category(tmp_path, "average", classes={"crack": 3})
    (tmp_path / "no_train" / "test").mkdir(parents=True)
    expected = {
        "missing": "missing: no such folder",
        "no_good": "train/good: no images",
        "no_train": "train/good: no images",
        "no_defect": "test: no defect class",
        "average": "rename it",
    }
    for name, says in expected.items():
        with pytest.raises(BadInput, match=says):
            load_category(tmp_path, name)


def test_find_categories(tmp_path):
    for name in ("part10", "part2"):
        write_category(tmp_path, name, classes={"crack": 1})
    (tmp_path / "textures" / "banded").mkdir(parents=True)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / ".cache" / "train" / "good").mkdir(parents=True)
    assert find_categories(tmp_path) == ["part2", "part10"]
    (tmp_path / "part3" / "test").mkdir(parents=True)  # half a category is not passed over in silence
    assert find_categories(tmp_path) == ["part2", "part3", "part10"]


def test_find_categories_says_what_is_wrong(tmp_path):
    write_category(tmp_path, "tiles", classes={"crack": 1})
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no such folder"):
        find_categories(tmp_path / "missing")
    with pytest.raises(BadInput, match="no such folder"):
        find_categories(tmp_path / "tiles" / "train" / "good" / "000.png")
    with pytest.raises(BadInput, match="no category"):
        find_categories(tmp_path / "empty")
    with pytest.raises(BadInput, match=f"is itself a category; pass the folder above it, {tmp_path}$"):
        find_categories(tmp_path / "tiles")


@pytest.mark.real
def test_the_real_tiles_never_share_a_part_between_support_and_queries(shared):
    tiles = load_category(shared / "datasets", "magnetic_tile")
    assert {name: len(paths) for name, paths in tiles.classes.items()} == {
        "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 99
    }  # fmt: skip
    assert len(tiles.masks) == 388
    for shots in (1, 2, 5):
        for draw in range(11):
            support, queries = tiles.support(shots, draw), tiles.queries(shots, draw)
            parts = {tiles.groups[path] for path in flat(support)}
            assert len(parts) == shots * 5
            assert parts.isdisjoint(tiles.groups[path] for path in flat(queries))
            assert len(flat(queries)) + len(tiles.excluded(shots, draw)) + shots * 5 == 388
    # Numbering takes the groups in turn, so the first n images are the first n of the folder.
    assert tiles.support(5)["crack"] == tuple(f"test/crack/{n:03}.jpg" for n in range(5))
    assert tiles.excluded(5) != replace(tiles, groups={}).excluded(5) == ()


# --- MVTec 3D AD


@pytest.fixture
def tire(tmp_path) -> Path:
    return write_category_3d(tmp_path, "tire", classes={"combined": 3, "cut": 4}, test_good=2)


def test_in_the_3d_layout_images_are_the_rgb_ones_and_masks_those_beside_them(tire):
    loaded = load_category(tire.parent, "tire")
    assert loaded.train == tuple(f"train/good/rgb/{n:03}.png" for n in range(4))
    assert loaded.good == ("test/good/rgb/000.png", "test/good/rgb/001.png")
    assert loaded.classes["cut"] == tuple(f"test/cut/rgb/{n:03}.png" for n in range(4))
    assert list(loaded.classes) == ["combined", "cut"]
    assert loaded.masks == {path: path.replace("/rgb/", "/gt/") for path in loaded.defects}
    assert set(loaded.digests) == set(loaded.images), "neither depth nor validation images are read"
    assert find_categories(tire.parent) == ["tire"]


def test_the_two_layouts_hold_the_same_pictures(tire, tmp_path):
    write_category(tmp_path / "flat", "tire", classes={"combined": 3, "cut": 4}, test_good=2)
    flat, nested = load_category(tmp_path / "flat", "tire"), load_category(tire.parent, "tire")
    assert [flat.digests[path] for path in flat.images] == [nested.digests[path] for path in nested.images]
    assert [path.replace("/rgb/", "/") for path in nested.images] == list(flat.images)


def test_images_directly_in_a_class_win_over_its_rgb_folder(tire):
    (tire / "ground_truth" / "cut").mkdir(parents=True)
    for n in range(2):
        shutil.copy(tire / f"test/cut/rgb/00{n}.png", tire / f"test/cut/00{n}.png")
        shutil.copy(tire / f"test/cut/gt/00{n}.png", tire / f"ground_truth/cut/00{n}_mask.png")
    loaded = load_category(tire.parent, "tire")
    assert loaded.classes["cut"] == ("test/cut/000.png", "test/cut/001.png")
    assert loaded.masks["test/cut/001.png"] == "ground_truth/cut/001_mask.png"
    assert loaded.classes["combined"][0] == "test/combined/rgb/000.png"


def test_groups_and_listed_support_name_images_of_the_3d_layout_by_their_paths(tire):
    (tire / "groups.csv").write_text("path,group\ntest/cut/rgb/000.png,a\ntest/cut/rgb/001.png,a\n")
    loaded = load_category(tire.parent, "tire")
    assert loaded.support(2)["cut"] == ("test/cut/rgb/000.png", "test/cut/rgb/002.png")
    files = ["tire/test/combined/rgb/002.png", "tire/test/cut/rgb/003.png"]
    assert loaded.support(1, files=files)["combined"] == ("test/combined/rgb/002.png",)


# --- good as a class


def test_good_is_the_first_class_and_is_split_like_the_others(tiles):
    plain = load_category(tiles, "tiles")
    with_good = plain.with_classes(good=True)
    assert list(with_good.classes) == ["good", "crack", "dent"]
    assert with_good.support(1)["good"] == ("test/good/000.png",)
    assert with_good.queries(1)["good"] == ("test/good/001.png",)
    assert sorted(with_good.images) == sorted(plain.images)
    assert with_good.fingerprint != plain.fingerprint
    assert plain.with_classes(good=False) is plain
    assert with_good.with_classes(good=True) is with_good
    files = ["tiles/test/good/001.png", "tiles/test/crack/003.png", "tiles/test/dent/002.png"]
    assert with_good.queries(1, files=files)["good"] == ("test/good/000.png",)


@given(categories, st.lists(st.sampled_from([None, "a", "b"]), min_size=2, max_size=5), st.integers(0, 3))
def test_a_good_class_leaves_the_support_of_the_others_as_it_was(thing, groups, draw):
    good = {f"test/good/{n}.png": group for n, group in enumerate(groups)}
    whole = replace(thing, good=tuple(good), groups=thing.groups | {path: g for path, g in good.items() if g})
    with_good = whole.with_classes(good=True)
    if whole.problem(1, draw) or with_good.problem(1, draw):
        return
    support = with_good.support(1, draw)
    assert {name: support[name] for name in thing.classes} == whole.support(1, draw)
    everything = [*flat(support), *flat(with_good.queries(1, draw)), *with_good.excluded(1, draw)]
    assert sorted(everything) == sorted([*thing.defects, *good])
    taken = {with_good.group(path) for path in flat(support)}
    assert taken.isdisjoint(with_good.group(path) for path in flat(with_good.queries(1, draw)))


def test_good_may_be_too_few_and_may_be_missing(tiles):
    with_good = load_category(tiles, "tiles").with_classes(good=True)
    assert with_good.problem(1) is None
    assert with_good.problem(2) == ("tiles: class good has 2 images of 2 groups, 2 shots and a query need 3 groups")
    shutil.rmtree(tiles / "tiles" / "test" / "good")
    without = load_category(tiles, "tiles")
    with pytest.raises(BadInput, match=r"tiles/test/good: no images, but `good` is to be a class; set good=false"):
        without.with_classes(good=True)


def test_one_defect_class_beside_good_is_something_to_tell_apart(tmp_path):
    write_category(tmp_path, "brush", classes={"bent": 3}, test_good=3)
    brush = load_category(tmp_path, "brush")
    assert "1 defect class" in brush.problem(1)
    assert brush.with_classes(good=True).problem(1) is None


# --- folders as people have them


@pytest.mark.parametrize("name", ["groups.csv", "Groups.csv", "GROUPS.CSV"])
@pytest.mark.parametrize("text", ["path,group\n{},a\n{},a \n", " path , group \n {} , a\n{},a\t\n"])
def test_groups_have_any_capitals_and_blanks(tiles, name, text):
    (tiles / "tiles" / name).write_text(text.format("test/crack/000.png", "test/crack/001.png"))
    assert load_category(tiles, "tiles").groups == {"test/crack/000.png": "a", "test/crack/001.png": "a"}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_groups_name_files_in_either_form_of_unicode(tiles, forms):
    written, on_disk = (unicodedata.normalize(form, "größe-é.png") for form in forms)
    folder = tiles / "tiles"
    (folder / "test/crack/000.png").rename(folder / "test/crack" / on_disk)
    (folder / "groups.csv").write_text(f"path,group\ntest/crack/{written},a\n", encoding="utf-8")
    loaded = load_category(tiles, "tiles")
    assert loaded.groups == {f"test/crack/{on_disk}": "a"}
    files = [f"tiles/test/crack/{written}", "tiles/test/dent/000.png"]
    assert loaded.support(1, files=files)["crack"] == (f"test/crack/{on_disk}",)


def test_two_files_of_groups_are_one_too_many(tiles):
    for name in ("groups.csv", "Groups.csv"):
        (tiles / "tiles" / name).write_text("path,group\n")
    with pytest.raises(BadInput, match=r"Groups\.csv and groups\.csv: one too many; merge them"):
        load_category(tiles, "tiles")


@pytest.mark.parametrize(
    "name", ["test/ok", "test/OK", "test/Good", "test/GOOD", "test/normal", "train/Good", "train/ok"]
)
def test_good_images_under_another_name_are_no_defect_class(tiles, name):
    shutil.copytree(tiles / "tiles/test/good", tiles / "tiles" / name)
    with pytest.raises(BadInput, match=f"tiles/{name}: good images are expected in .*/good; rename the folder"):
        load_category(tiles, "tiles")


def test_a_category_one_folder_too_deep_can_be_moved_by_the_command_that_is_printed(tiles):
    before = load_category(tiles, "tiles").digests
    (tiles / "tiles").rename(tiles / "moved")
    (tiles / "tiles").mkdir()
    (tiles / "moved").rename(tiles / "tiles/tiles")
    with pytest.raises(BadInput, match="the category lies one folder deeper; move it up: ") as told:
        find_categories(tiles)
    subprocess.run(str(told.value).partition("move it up: ")[2], shell=True, check=True)
    (tiles / "tiles/tiles").rmdir()
    assert find_categories(tiles) == ["tiles"]
    assert load_category(tiles, "tiles").digests == before


def test_categories_in_a_folder_of_another_name_are_told_of(tiles):
    shutil.copytree(tiles / "tiles", tiles / "archive/bolt")
    assert find_categories(tiles) == ["tiles"]
    assert nested_categories(tiles) == [f"{tiles}/archive/bolt: a category that is one folder too deep is not read"]
    shutil.rmtree(tiles / "tiles")
    with pytest.raises(BadInput, match=r"no category in it; .*archive/bolt: a category that is one folder too deep"):
        find_categories(tiles)


# --- copies


def load_and_decode(root: Path, name: str) -> Category:
    return with_pictures_grouped(load_category(root, name))


@pytest.mark.parametrize(
    ("copy", "load"),
    [
        (shutil.copy, load_category),
        (lambda source, target: Image.open(source).save(target, compress_level=1), load_and_decode),
    ],
    ids=["equal bytes", "equal pixels"],
)
def test_a_copy_of_a_support_image_is_no_query(tiles, copy, load):
    folder = tiles / "tiles"
    copy(folder / "test/crack/000.png", folder / "test/crack/005.png")
    loaded = load(tiles, "tiles")
    assert loaded.support(2)["crack"] == ("test/crack/000.png", "test/crack/001.png")
    assert "test/crack/005.png" not in loaded.queries(2)["crack"]
    assert loaded.excluded(2) == ("test/crack/005.png",)
    assert load(tiles, "tiles").fingerprint == loaded.fingerprint


@pytest.mark.parametrize(
    ("source", "copy", "labels"),
    [
        ("test/crack/000.png", "test/dent/000.png", "as crack and as dent"),
        ("train/good/000.png", "test/dent/000.png", "as good and as dent"),
        ("test/good/000.png", "test/crack/000.png", "as good and as crack"),
    ],
)
def test_a_picture_in_two_classes_is_refused(tiles, source, copy, labels):
    shutil.copy(tiles / "tiles" / source, tiles / "tiles" / copy)
    with pytest.raises(
        BadInput, match=f"{source} and .*{copy} are the same picture, {labels}: one of them must be wrong"
    ):
        load_category(tiles, "tiles")
