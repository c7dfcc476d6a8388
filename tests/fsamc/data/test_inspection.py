from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.category import load_category
from fsamc.data.examination import examine_all
from fsamc.data.inspection import DataProblem, FolderSummary, folder_summaries, inspect_category
from fsamc.data.textures import load_textures
from fsamc.errors import BadInput
from tests.fsamc.layouts import write_category, write_category_3d


@pytest.fixture
def tiles(tmp_path) -> Path:
    return write_category(tmp_path, "tiles", classes={"crack": 4, "dent": 3}, test_good=2, masks=True)


def found(folder: Path, **features) -> list[DataProblem]:
    return inspect_category(folder.parent, folder.name, Features(**features))[1]


def test_a_sound_category_has_no_problem(tiles):
    category, problems = inspect_category(tiles.parent, "tiles", Features(fit="crop"))
    assert problems == []
    assert category == load_category(tiles.parent, "tiles")


def test_every_unreadable_image_is_named_and_not_only_the_first(tiles):
    broken = ["train/good/002.png", "test/good/001.png", "test/dent/000.png"]
    for path in broken:
        (tiles / path).write_bytes((tiles / path).read_bytes()[:200])
    problems = found(tiles)
    assert [problem.path for problem in problems] == broken
    assert all(problem.serious for problem in problems)


def test_problems_are_found_although_the_category_cannot_be_loaded(tiles):
    (tiles / "groups.csv").write_text("path,group\ntest/crack/nowhere.png,a\n")
    (tiles / "test/crack/001.png").write_text("no image")
    category, problems = inspect_category(tiles.parent, "tiles", Features())
    assert category is None
    assert [problem.serious for problem in problems] == [True, True]
    assert "groups.csv: line 2" in problems[0].text
    assert problems[1].path == "test/crack/001.png"


def test_a_category_named_average_and_an_empty_train_are_problems(tmp_path):
    folder = write_category(tmp_path, "average", good=0, classes={"crack": 2, "dent": 2})
    category, problems = inspect_category(tmp_path, "average", Features())
    assert category is None
    assert any("rename it" in problem.text for problem in problems)
    assert DataProblem("train/good", "no images in it", True) in problems
    with pytest.raises(BadInput, match="no such folder"):
        inspect_category(folder, "nothing", Features())


def test_small_and_empty_classes(tmp_path):
    folder = write_category(tmp_path, "tiles", classes={"crack": 0, "dent": 1, "hole": 2}, test_good=1)
    problems = found(folder)
    assert [(problem.path, problem.serious) for problem in problems] == [("test/crack", False), ("test/dent", True)]
    single = write_category(tmp_path, "single", classes={"hole": 2}, test_good=1)
    assert ["1 defect class" in problem.text for problem in found(single)] == [True]


def test_strays_are_told_but_not_what_every_download_carries(tiles):
    strays = ["notes.md", "test/picture.png", "test/crack/list.txt", "test/dent/more/a.png", "train/bad/0.png"]
    for path in ["readme.txt", "LICENSE", ".DS_Store", "test/crack/Thumbs.db", *strays]:
        (tiles / path).parent.mkdir(exist_ok=True)
        (tiles / path).write_bytes(b"x")
    problems = found(tiles)
    texts = {problem.path: problem.text for problem in problems}
    assert texts == {
        "notes.md": "stray file, not used",
        "train/bad": "stray folder, not used",
        "test/picture.png": "stray image, not used",
        "test/crack/list.txt": "stray file, not used",
        "test/dent/more": "stray folder, not used",
    }
    assert not any(problem.serious for problem in problems)


def test_mixed_sizes_are_told(tiles):
    Image.fromarray(np.tile(np.arange(48, dtype=np.uint8), (32, 1)) * 5).save(tiles / "train/good/000.png")
    (problem,) = found(tiles)
    assert problem.text == "2 image sizes; the most common, 64 x 64, has 12 of 13 images"
    assert not problem.serious


def test_masks_missing_unreadable_empty_and_of_another_size(tiles):
    truth = tiles / "ground_truth"
    (truth / "crack/000_mask.png").unlink()
    (truth / "crack/001_mask.png").write_text("no mask")
    Image.fromarray(np.ones((64, 63), dtype=bool)).save(truth / "dent/000_mask.png")
    Image.fromarray(np.zeros((64, 64), dtype=bool)).save(truth / "dent/001_mask.png")
    problems = found(tiles)
    assert [problem.path for problem in problems] == [
        "ground_truth/crack",
        "ground_truth/crack/001_mask.png",
        "ground_truth/dent/000_mask.png",
        "ground_truth/dent/001_mask.png",
    ]
    assert "1 of 4 images have no mask" in problems[0].text
    assert problems[2].text == "mask is 64 x 63, its image 64 x 64"
    shutil.rmtree(truth)
    assert found(tiles) == []


@pytest.mark.parametrize(
    ("source", "copy", "serious"),
    [
        ("train/good/000.png", "test/good/000.png", True),
        ("test/crack/000.png", "test/crack/003.png", False),
        ("train/good/000.png", "train/good/001.png", False),
        ("test/good/000.png", "test/good/001.png", False),
    ],
)
@pytest.mark.parametrize("same", ["file", "picture"])
def test_copies_are_told_and_serious_where_the_bank_has_seen_a_query(tiles, source, copy, serious, same):
    shutil.copy(tiles / source, tiles / copy)
    if same == "picture":
        Image.open(tiles / source).save(tiles / copy, compress_level=1)
    category, problems = inspect_category(tiles.parent, "tiles", Features())
    assert problems == [DataProblem(source, f"the same {same} as {copy}", serious)]
    assert category.group(source) == category.group(copy)


@pytest.mark.parametrize(
    ("source", "copy"),
    [
        ("train/good/000.png", "test/crack/000.png"),
        ("test/good/000.png", "test/crack/001.png"),
        ("test/crack/000.png", "test/dent/000.png"),
    ],
)
def test_a_picture_in_two_classes_is_a_contradiction(tiles, source, copy):
    shutil.copy(tiles / source, tiles / copy)
    (problem,) = found(tiles)
    assert problem.serious
    assert f"{tiles / source} and {tiles / copy} are the same picture, as " in problem.text
    Image.open(tiles / source).save(tiles / copy, compress_level=1)
    assert found(tiles) == [
        DataProblem(source, f"the same picture as {copy}: one class must be wrong; remove it", True)
    ]


def test_dark_pictures_are_told_once_a_folder(tiles):
    for number in range(3):
        Image.fromarray(np.arange(number, 4096 + number, dtype=np.uint16).reshape(64, 64) // (1 + number)).save(
            tiles / f"test/dent/00{number}.png"
        )
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save(tiles / "train/good/001.png")
    assert found(tiles) == [
        DataProblem("train/good/001.png", "is constant: every value is 7", False),
        DataProblem(
            "test/dent/000.png",
            "is nearly black: its values end at 4095 of 65535; if these are 12 bits, multiply by 16; so are 2 more in "
            "its folder",
            True,
        ),
    ]


def test_folders_of_systems_are_passed_by(tiles):
    before = load_category(tiles.parent, "tiles")
    for place in ("", "test", "test/crack", "train", "train/good"):
        for name in ("@eaDir", "#recycle", "lost+found", "__MACOSX", ".ipynb_checkpoints"):
            shutil.copytree(tiles / "test/dent", tiles / place / name)
    assert inspect_category(tiles.parent, "tiles", Features()) == (before, [])


def test_pictures_of_formats_that_are_not_read_are_named(tiles):
    for name in ("test/dent/IMG_1.HEIC", "train/good/x.gif"):
        (tiles / name).write_bytes(b"x")
    texts = {problem.path: problem.text for problem in found(tiles)}
    assert texts == {
        "test/dent/IMG_1.HEIC": "stray picture of a format that is not read (heic), not used",
        "train/good/x.gif": "stray picture of a format that is not read (gif), not used",
    }


def test_groups_in_two_folders_are_counted(tiles):
    rows = [("crack/000", "a"), ("dent/000", "a"), ("dent/001", "b"), ("crack/001", "b"), ("crack/002", "c")]
    (tiles / "groups.csv").write_text("path,group\n" + "".join(f"test/{path}.png,{group}\n" for path, group in rows))
    (problem,) = found(tiles)
    assert problem.text.startswith("2 groups are in test/crack and test/dent")


def test_a_centre_crop_tells_how_many_defects_it_cuts_off(tmp_path):
    folder = write_category(tmp_path, "wide", classes={"crack": 4, "dent": 2}, size=(64, 128), masks=True)
    columns = {"crack": [(0, 20), (20, 35), (28, 48), (64, 70)], "dent": [(40, 60), (70, 80)]}  # seen: 32 to 95
    for name, spans in columns.items():
        for number, (left, right) in enumerate(spans):
            mask = np.zeros((64, 128), dtype=bool)
            mask[10:20, left:right] = True
            Image.fromarray(mask).save(folder / f"ground_truth/{name}/{number:03}_mask.png")
    oblong, crack = found(folder, fit="crop", size=64)
    assert oblong.text.startswith("10 of 10 images are not square")
    assert (crack.path, crack.serious) == ("test/crack", True)
    assert "of 4 defects 1 lie wholly and 1 more than half outside" in crack.text
    assert found(folder, fit="squash") == found(folder, fit="letterbox") == []


def test_summary_counts_by_hand(tmp_path):
    rows = {"test/crack/000.png": "a", "test/crack/001.png": "a"}
    folder = write_category(tmp_path, "tiles", classes={"crack": 3, "dent": 2}, size=(40, 60), groups=rows, masks=True)
    Image.fromarray(np.zeros((30, 70, 3), dtype=np.uint8)).save(folder / "test/crack/002.png")
    Image.fromarray(np.zeros((99, 40, 3), dtype=np.uint8)).save(folder / "train/good/002.png")
    (folder / "test/dent/000.png").write_text("no image")
    (folder / "ground_truth/dent/001_mask.png").unlink()
    assert folder_summaries(load_category(tmp_path, "tiles")) == [
        FolderSummary("tiles", "train/good", 4, 4, 0, (40, 60), (99, 40)),
        FolderSummary("tiles", "test/good", 0, 0, 0, None, None),
        FolderSummary("tiles", "test/crack", 3, 2, 3, (30, 70), (40, 60)),
        FolderSummary("tiles", "test/dent", 2, 2, 1, (40, 60), (40, 60)),
    ]


def test_examining_names_the_first_in_path_order(tiles):
    category = load_category(tiles.parent, "tiles")
    examine_all(category)
    for path in ("test/dent/001.png", "train/good/003.png", "test/crack/000.png"):
        (tiles / path).write_text("no image")
    with pytest.raises(BadInput, match=r"train/good/003\.png"):
        examine_all(category)


def test_examining_reads_textures_too(tmp_path):
    for name in ("banded", "dotted"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / name / "0.png")
    textures = load_textures(tmp_path)
    examine_all(textures)
    (tmp_path / "dotted" / "0.png").write_text("no image")
    with pytest.raises(BadInput, match=r"dotted/0\.png"):
        examine_all(textures)


@pytest.fixture
def tire(tmp_path) -> Path:
    return write_category_3d(tmp_path, "tire", classes={"combined": 3, "cut": 4}, test_good=2)


def test_a_sound_category_in_the_3d_layout_has_no_problem(tire):
    category, problems = inspect_category(tire.parent, "tire", Features(fit="crop"))
    assert problems == []
    assert [(row.part, row.images, row.masks) for row in folder_summaries(category)] == [
        ("train/good", 4, 0), ("test/good", 2, 0), ("test/combined", 3, 3), ("test/cut", 4, 4)
    ]  # fmt: skip


def test_problems_in_the_3d_layout_are_told_where_they_are(tire):
    (tire / "test/cut/gt/000.png").unlink()
    (tire / "test/cut/rgb/notes.txt").write_text("x")
    (tire / "test/combined/more").mkdir()
    Image.fromarray(np.zeros((64, 64), dtype=bool)).save(tire / "test/combined/gt/001.png")
    (tire / "test/cut/rgb/002.png").write_text("no image")
    shutil.copy(tire / "train/good/rgb/000.png", tire / "train/good/rgb/003.png")
    texts = {problem.path: problem.text for problem in found(tire)}
    assert texts.pop("test/cut/rgb/002.png").startswith(str(tire / "test/cut/rgb/002.png"))
    assert texts == {
        "test/cut/gt": "1 of 4 images have no mask",
        "test/cut/rgb/notes.txt": "stray file, not used",
        "test/combined/more": "stray folder, not used",
        "test/combined/gt/001.png": "mask marks nothing",
        "train/good/rgb/000.png": "the same file as train/good/rgb/003.png",
    }


def test_an_rgb_folder_beside_images_is_not_used_and_said_so(tiles):
    shutil.copytree(tiles / "test/crack", tiles / "test/crack/rgb")
    assert found(tiles) == [DataProblem("test/crack/rgb", "stray folder, not used", False)]


def test_a_class_of_depth_alone_has_no_images(tire):
    shutil.rmtree(tire / "test/cut/rgb")
    assert {problem.path for problem in found(tire)} == {
        "test/cut", "test", "test/cut/gt", "test/cut/xyz"
    }  # fmt: skip


@pytest.mark.real
def test_the_real_boards_are_sound_and_the_real_tiles_do_not_fit_a_crop(shared):
    assert inspect_category(shared / "datasets", "pcb", Features(fit="crop"))[1] == [
        DataProblem("train/good/202.png", "is constant: every value is 255", False)
    ]
    problems = inspect_category(shared / "datasets", "magnetic_tile", Features(fit="crop"))[1]
    assert {problem.path for problem in problems if problem.serious} == {
        f"test/{name}" for name in ("blowhole", "break", "crack", "fray", "uneven")
    }
