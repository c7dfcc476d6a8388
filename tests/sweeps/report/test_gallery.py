"""A gallery shows what was named wrongly and what was unsure, with pictures as the sweep saw them, or says why not."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cluster.folds import Fold, Outcome
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import configuration
from sweeps.report.document.report_blocks import Block, Bullets, Card, Cards, Heading, Strip
from sweeps.report.evidence import gather
from sweeps.report.gallery.answers import Answer, unsure_answers, wrong_answers
from sweeps.report.gallery.gallery import gallery
from sweeps.report.gallery.gallery_settings import GallerySettings
from sweeps.report.write import write_report
from sweeps.results.folder import SweepFolder
from sweeps.results.reader import TrialRecord
from sweeps.results.saved_settings import SavedSettings, read_saved_settings
from sweeps.results.splits import splits, write_splits
from sweeps.tracking import track
from tests.sweeps.outs import result_of
from tests.sweeps.small import Lab, client, copied_databases, runs

CLASSES = ["chip", "dent", "rust"]
answers = st.tuples(st.integers(0, 5), st.integers(0, 2), st.permutations([0.9, 0.5, 0.1]))


def predictions(rows: list[tuple[int, int, list[float]]]) -> pd.DataFrame:
    """Rows of (image, fold, scores): the picture's number tells its class."""
    table = []
    for image, seed, scores in rows:
        truth, said = CLASSES[image % 3], CLASSES[int(np.argmax(scores))]
        named = json.dumps(dict(zip(CLASSES, scores, strict=True)))
        table.append((0, "cap", seed, 0, 2, f"test/{truth}/{image}.png", truth, said, named))
    columns = ["trial", "category", "seed", "draw", "shots", "image", "truth", "predicted", "scores"]
    return pd.DataFrame(table, columns=columns)


@given(st.lists(answers, max_size=20, unique_by=lambda row: row[:2]))
@settings(max_examples=40, deadline=None)
def test_a_picture_is_wrong_or_unsure_or_neither_and_counted_over_its_folds(rows):
    table = predictions(rows)
    wrong, unsure = wrong_answers(table), unsure_answers(table)
    images = [one.image for one in wrong + unsure]
    assert sorted(images) == sorted(table["image"].unique())
    for one in wrong + unsure:
        asked = table[table["image"] == one.image]
        assert one.folds == len(asked)
        assert one.wrong == (asked["truth"] != asked["predicted"]).sum()
        assert list(one.scores) == sorted(one.scores, key=one.scores.__getitem__, reverse=True)
        assert next(iter(one.scores)) == one.said
    assert all(one.truth != one.said for one in wrong)
    assert all(one.truth == one.said and one.wrong == 0 for one in unsure)
    margins = [one.margin for one in unsure]
    assert margins == sorted(margins)


@given(st.lists(answers, max_size=20, unique_by=lambda row: row[:2]))
@settings(max_examples=40, deadline=None)
def test_each_confusion_is_shown_once_before_any_is_shown_twice(rows):
    confusions = [(one.truth, one.said) for one in wrong_answers(predictions(rows))]
    places = [confusions[:place].count(confusion) for place, confusion in enumerate(confusions)]
    assert places == sorted(places)


def test_the_answer_that_is_shown_of_a_picture_is_the_surest_wrong_or_the_least_sure_right_one():
    rows = [(0, 1, [0.1, 0.9, 0.0]), (0, 2, [0.3, 0.5, 0.0]), (1, 1, [0.1, 0.9, 0.0]), (1, 2, [0.4, 0.5, 0.0])]
    (wrong,), (unsure,) = wrong_answers(predictions(rows)), unsure_answers(predictions(rows))
    assert (wrong.seed, wrong.margin, wrong.wrong) == (1, pytest.approx(0.8), 2)
    assert (unsure.seed, unsure.margin) == (2, pytest.approx(0.1))


# --- of a sweep's folder, the images and the cache


def answered(fold: Fold, prepared: Prepared) -> FoldResult:
    """Every third query is named as the next class, by less and less."""
    inputs = fold.inputs(prepared.categories, prepared.textures)
    images = [(label, path) for label, paths in enumerate(inputs.queries.values()) for path in paths]
    n = len(inputs.queries)
    truth = tuple(label for label, _ in images)
    predicted = tuple((label + (place % 3 == 0)) % n for place, label in enumerate(truth))
    scores = [
        [1 / (place + 1) if label == said else -0.5 for label in range(n)] for place, said in enumerate(predicted)
    ]
    return result_of(
        fold,
        classes=tuple(inputs.queries),
        images=tuple(path for _, path in images),
        truth=truth,
        predicted=predicted,
        scores=tuple(map(tuple, scores)),
    )


@pytest.fixture(scope="module")
def out(materials: Path, tmp_path_factory) -> Path:
    """A sweep of one trial whose folds were answered without a head; the cache holds the distances from its banks."""
    root = tmp_path_factory.mktemp("gallery")
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
    prepared = lab.prepared(space={}, search={"algorithm": "random", "trials": 1})
    folder = SweepFolder(root / "out", prepared.plan)
    folder.open(prepared.contents, prepared.averaged)
    write_splits(splits(prepared), root / "out")
    where = {"data": str(lab.data), "textures": str(lab.textures), "cache": str(root / "cache")}
    folder.note({"run": "r", "status": "done", "materials": where})
    folder.proposed(TrialRecord(0, {}))
    for fold in prepared.folds(configuration(prepared.plan, {})):
        inputs = fold.inputs(prepared.categories, prepared.textures)
        Store(root / "cache").get(inputs.nearest(inputs.defects))
        folder.fold(0, {}, Outcome(fold=fold, result=answered(fold, prepared)))
    folder.done(0)
    folder.finish()
    return root / "out"


def shown(out: Path, *, saved: SavedSettings | None = None, **settings: float) -> list[Block]:
    places = read_saved_settings(out) if saved is None else saved
    return gallery(gather(out), out, GallerySettings(**settings), places)


def cards(blocks: list[Block]) -> list[Card]:
    return [card for block in blocks if isinstance(block, Cards) for card in block.cards]


def said(blocks: list[Block]) -> str:
    return " ".join(item for block in blocks if isinstance(block, Bullets) for item in block.items)


def pictures(card: Card) -> dict[str, list[Image.Image]]:
    return {
        strip.caption: [Image.open(io.BytesIO(one.jpeg)).convert("RGB") for one in strip.pictures]
        for strip in card.strips
    }


def size_of(blocks: list[Block]) -> int:
    return sum(len(one.jpeg) for card in cards(blocks) for strip in card.strips for one in strip.pictures)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_every_answer_has_its_query_its_heat_map_and_the_support_of_two_classes(out):
    cache = files(out.parent / "cache")
    blocks = shown(out)
    assert [block.text for block in blocks if isinstance(block, Heading)] == ["cap", "tile"]
    assert said(blocks) == ""
    assert len([block for block in blocks if isinstance(block, Strip)]) == 2, "a scale for each category"
    for card in cards(blocks):
        query, heat, first, second = pictures(card)
        assert (query, heat) == ("query", "heat map")
        named = card.title.partition(", named ")
        if named[1]:
            assert (first, second) == (f"support of {named[2]}", f"support of {named[0]}")
        alone = pictures(card)
        assert alone["query"][0].size == alone["heat map"][0].size
        assert len(alone[first]) == len(alone[second]) == 2
        for strip in card.strips[2:]:
            label = strip.caption.removeprefix("support of ")
            assert all(one.shows.startswith(f"Support test/{label}/") for one in strip.pictures)
    assert files(out.parent / "cache") == cache, "nothing is built"


def test_answers_are_those_of_the_best_trial_and_their_numbers_are_said(out):
    evidence = gather(out)
    text = [" ".join([card.title, *card.lines]) for card in cards(shown(out, answers=99))]
    for _, of_category in groupby(evidence.predictions.to_dict("records"), lambda row: row["category"]):
        for row in of_category:
            assert any(row["image"] in line for line in text)
    assert not [line for line in text if "rightly" in line and "wrongly in 0 of" not in line]


@pytest.mark.parametrize(
    ("name", "value", "measure"),
    [
        ("answers", 1, lambda blocks: len(cards(blocks))),
        ("supports", 1, lambda blocks: sum(len(strip.pictures) for card in cards(blocks) for strip in card.strips)),
        ("side", 40, lambda blocks: pictures(cards(blocks)[0])["query"][0].width),
        ("quality", 5, size_of),
        ("megabytes", 0.02, size_of),
    ],
)
def test_every_setting_bites(out, name, value, measure):
    assert measure(shown(out, **{name: value})) < measure(shown(out))


@pytest.mark.parametrize("megabytes", [0.0, 0.004, 0.01])
def test_pictures_keep_within_what_they_may_take_and_what_is_left_out_is_said(out, megabytes):
    blocks = shown(out, megabytes=megabytes)
    assert size_of(blocks) <= megabytes * 1e6
    without = sum(not card.strips for card in cards(blocks))
    assert f"{without} answers without pictures" in said(blocks)


def test_without_the_images_names_and_numbers_are_left_and_it_is_said(out):
    saved = read_saved_settings(out)
    for gone, line in ((Path("/nowhere"), "no folder /nowhere"), (None, "does not say where its images are")):
        blocks = shown(out, saved=dataclasses.replace(saved, data=gone))
        assert line in said(blocks)
        assert said(blocks).count("No pictures") == 1
        assert [card.title for card in cards(blocks)] == [card.title for card in cards(shown(out))]
        assert not any(card.strips for card in cards(blocks))


def test_without_the_cache_pictures_are_left_and_it_is_said(out, tmp_path):
    for cache in (tmp_path / "pruned", None):
        blocks = shown(out, saved=dataclasses.replace(read_saved_settings(out), cache=cache))
        assert "No heat maps of cap, seed 1" in said(blocks)
        assert not any("heat map" in pictures(card) for card in cards(blocks))
        assert all("query" in pictures(card) for card in cards(blocks))
    assert not (tmp_path / "pruned").exists()


def test_one_picture_that_is_gone_costs_no_other(out, materials, tmp_path):
    shutil.copytree(materials / "data", tmp_path / "data")
    lost = next(card.lines[0] for card in cards(shown(out)))
    (tmp_path / "data" / "cap" / lost).unlink()
    blocks = shown(out, saved=dataclasses.replace(read_saved_settings(out), data=tmp_path / "data"))
    assert f"{lost}: cannot be read" in said(blocks)
    assert sum(not card.strips for card in cards(blocks)) == 1
    assert any("heat map" in pictures(card) for card in cards(blocks)), "of the other category"


def test_the_gallery_is_in_the_report_a_page_of_its_own_and_in_mlflow(out, tmp_path):
    shutil.copytree(out, moved := tmp_path / "out")
    write_report(moved)
    title = "Wrong and unsure answers of trial 0"
    for name in ("report.html", "gallery.html", "report.md"):
        assert title in (moved / name).read_text(), name
    page = (moved / "gallery.html").read_text()
    of_answers = sum(len(strip.pictures) for card in cards(shown(out)) for strip in card.strips)
    assert page.count("data:image/jpeg") == of_answers + 2, "and the scales of two categories"
    assert "<script" not in page
    assert "data:image" not in (moved / "report.md").read_text()
    with copied_databases():
        track(moved, f"sqlite:///{moved / 'mlflow.db'}")
    (parent,), _ = runs(moved)
    assert "gallery.html" in [file.path for file in client(moved).list_artifacts(parent.info.run_id)]
    write_report(moved, shown=GallerySettings(answers=0))
    assert not (moved / "gallery.html").exists()
    assert title not in (moved / "report.html").read_text()


def test_a_margin_is_that_of_two_classes_and_not_known_of_one():
    one = Answer(
        category="cap", seed=1, draw=0, shots=2, image="a", truth="b", said="b", scores={"b": 1.0}, folds=1, wrong=0
    )
    assert np.isnan(one.margin)
