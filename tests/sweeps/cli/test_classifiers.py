"""`fsamc fit` and `fsamc predict` on the words of a user, beside what the classifier itself answers."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.configuration import ROWS
from fsamc.classifier.model_file import read_model
from fsamc.errors import BadInput
from sweeps.classifiers.predicting import PredictRequest, check_words
from tests.fsamc.layouts import TinyNetwork, export_program, write_category
from tests.sweeps.small import FSAMC, PLAN, ROOT, fsamc, wait_for

CLASSES = {"crack": 3, "dent": 3, "hole": 2}


@dataclass(frozen=True)
class Desk:
    """A user's folder: photos of a bolt, a network, a plan."""

    here: Path

    def fit(self, *words: object, out: str = "bolt.fsamc", source: object | None = None) -> int:
        """Fit to the bolt, or another source, by the plan unless `words` name one."""
        plan = [] if "--plan" in words else ["--plan", self.here / "plan.yaml"]
        given = [self.here / "data" / "bolt"] if source is None else source
        backbone = ["--backbone", self.here / "tiny.pt2", "--cache", self.here / "cache"]
        return fsamc("fit", *given, *words, *plan, "--out", self.here / out, *backbone)

    def predict(self, *words: object, model: str = "bolt.fsamc") -> int:
        return fsamc("predict", self.here / model, *words, "--cache", self.here / "cache")

    @property
    def photos(self) -> Path:
        return self.here / "data" / "bolt" / "test"

    def classifier(self, model: str = "bolt.fsamc") -> DefectClassifier:
        return DefectClassifier.load(self.here / model, cache=self.here / "cache")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    here = tmp_path_factory.mktemp("desk")
    write_category(here / "data", "bolt", good=5, classes=CLASSES)
    export_program(TinyNetwork(), here / "tiny.pt2")
    base = {key: PLAN["base"][key] for key in ("features", "reference", "representation", "views")}
    (here / "plan.yaml").write_text(yaml.safe_dump({"name": "x", "base": {**base, "head": {"kind": "prototype"}}}))
    made = Desk(here)
    assert made.fit() == 0
    return made


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def loose(desk: Desk) -> list[Any]:
    """The words that name the same photos one class at a time."""
    words: list[Any] = ["--good", desk.here / "data" / "bolt" / "train" / "good"]
    return [*words, *(word for name in CLASSES for word in ("--class", f"{name}={desk.photos / name}"))]


def test_a_fit_says_what_was_learnt_and_what_comes_next(desk, capsys):
    assert desk.fit(out="again.fsamc") == 0
    shown = capsys.readouterr().out
    for text in (
        "5 good images",
        "crack 3, dent 3, hole 2",
        f"bank of {ROWS} rows",
        "by leave-one-out",
        "5 % of held-out",
    ):
        assert text in shown
    assert f"fsamc predict {desk.here / 'again.fsamc'}" in shown
    assert (desk.here / "again.fsamc").stat().st_size < 10e6


def test_photos_in_no_layout_make_the_classifier_that_the_category_makes(desk, capsys):
    assert desk.fit(source=loose(desk), out="loose.fsamc") == 0
    assert desk.predict(desk.photos, "--json", model="loose.fsamc") == 0
    ours = capsys.readouterr().out.splitlines()
    assert desk.predict(desk.photos, "--json") == 0
    for one, other in zip(ours[-8:], capsys.readouterr().out.splitlines(), strict=True):
        assert {**json.loads(one), "nearest": ""} == {**json.loads(other), "nearest": ""}
    assert read_model(desk.here / "loose.fsamc")[0].category == "loose"


def test_the_size_of_the_bank_is_small_unless_somebody_says_otherwise(desk):
    for word, expected in (("base.reference.ratio=0.5", (None, 0.5)), ("base.head.kind=ridge", (ROWS, None))):
        assert desk.fit(word, out="sized.fsamc") == 0
        reference = read_model(desk.here / "sized.fsamc")[0].config["reference"]
        assert (reference["rows"], reference["ratio"]) == expected


def test_files_and_screen_say_what_the_classifier_answers(desk, tmp_path, capsys):
    table, lines = tmp_path / "answers.csv", tmp_path / "answers.jsonl"
    assert desk.predict(desk.photos, desk.photos.parent / "train", "--csv", table, "--jsonl", lines) == 0
    shown = capsys.readouterr().out
    expected = desk.classifier().predict([desk.photos, desk.photos.parent / "train"])
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    for one, row, cells in zip(expected, read, rows(table), strict=True):
        assert row["path"] == cells["path"] == one.name
        assert row["answer"] == cells["answer"] == one.answer
        assert row["labels"] == json.loads(cells["labels"]) == list(one.labels)
        assert row["known"] is json.loads(cells["known"]) is one.known
        assert row["defective"] is json.loads(cells["defective"]) is one.defective
        assert row["probability"] == float(cells["probability"]) == pytest.approx(one.probability, abs=1e-4)
        assert row["anomaly"] == float(cells["anomaly"]) == pytest.approx(one.anomaly, rel=1e-4)
        assert row["scores"] == {name: float(cells[f"score {name}"]) for name in CLASSES}
        assert one.answer in next(line for line in shown.splitlines() if one.name in line)
    assert "13 pictures" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv", "answers.jsonl"]


def test_a_picture_that_cannot_be_read_is_told_and_all_others_are_answered(desk, tmp_path, capsys):
    shutil.copytree(desk.photos / "dent", tmp_path / "new")
    (tmp_path / "new" / "torn.png").write_bytes(b"torn")
    assert desk.predict(tmp_path / "new", "--csv", tmp_path / "a.csv") == 1
    shown = capsys.readouterr()
    assert [line.startswith(f"fsamc: {tmp_path / 'new' / 'torn.png'}: ") for line in shown.err.splitlines()] == [True]
    assert len(rows(tmp_path / "a.csv")) == 3
    assert "1 not read" in shown.out


def test_the_network_is_found_again_where_the_fit_kept_it(desk, tmp_path, capsys):
    here = tmp_path / "elsewhere"
    here.mkdir()
    network = shutil.copy(desk.here / "tiny.pt2", here / "moved.pt2")
    words = [desk.here / "data" / "bolt", "--plan", desk.here / "plan.yaml", "--backbone", network]
    assert fsamc("fit", *words, "--out", here / "b.fsamc", "--cache", here / "cache") == 0
    Path(network).unlink()
    assert fsamc("predict", here / "b.fsamc", desk.photos, "--cache", here / "cache") == 0
    capsys.readouterr()
    assert fsamc("predict", here / "b.fsamc", desk.photos, "--cache", tmp_path / "empty") == 2
    assert "give --backbone FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["DESK/none.png"], "no such file or folder"),
        (["DESK/data", "--alpha", "1"], "--alpha 1.0: expected a share"),
        (["DESK/data", "--csv", "DESK/none/a.csv"], "give a file in a folder that is there"),
        (["DESK/tiny.pt2", "--watch"], "--watch looks into folders"),
    ],
)
def test_bad_words_of_a_prediction_are_one_line_before_any_answer(desk, words, text, capsys):
    assert desk.predict(*(word.replace("DESK", str(desk.here)) for word in words)) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert text in shown.err


def test_a_cluster_is_asked_where_ray_is_installed(desk, monkeypatch):
    words = {
        "model": desk.here / "bolt.fsamc",
        "images": [desk.photos],
        "cache": desk.here,
        "alpha": 0.1,
        "json": False,
    }
    nothing = dict.fromkeys(("table", "lines", "page", "overlays", "backbone"))
    request = PredictRequest(**words, **nothing, watch=False, address="here:1")
    check_words(request)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"--address here:1: this takes ray, .*; pip install 'fsamc\[sweep\]'"):
        check_words(request)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "nothing to fit: give DATA/CATEGORY, or --good DIR and --class NAME=DIR"),
        (["--good", "DESK/data/bolt/train/good"], "nothing to fit"),
        (["DESK/data/nut"], "no such folder"),
        (["DESK/data/bolt", "--good", "DESK/data"], "give one or the other"),
        (["--good", "DESK/data/bolt/train", "--class", "dent"], "expected NAME=DIR"),
        (["--good", "DESK/data/bolt/train", "--class", "=DESK/data/bolt/test/dent"], "no name of a defect class"),
        (["--good", "DESK/data/bolt/train", "--class", "dent=DESK/data/bolt/test/dent"], "2 are needed"),
        (["DESK/data/bolt", "base.reference.kind=spade"], "choose patchcore or padim"),
        (["DESK/data/bolt", "base.head.kind=contrastive"], "give --textures DIR, or set base.pretrain.enabled=false"),
        (
            ["DESK/data/bolt", "base.head.kind=contrastive", "base.pretrain.enabled=false"],
            "equally many photos of each class",
        ),
        (["DESK/data/bolt", "base.head.kin=x"], "base.head.kin"),
        (["DESK/data/bolt", "--seed", "x"], "--seed"),
    ],
)
def test_bad_words_of_a_fit_are_one_line_and_nothing_is_written(desk, words, text, capsys):
    words = [word.replace("DESK", str(desk.here)) for word in words]
    assert desk.fit(source=words, out="never.fsamc") == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert text in shown.err
    assert not (desk.here / "never.fsamc").exists()


def test_a_category_is_fitted_and_checked_from_its_address(desk, capsys):
    """As sweeps are, by a mirror in the cache; under the name that the address has."""
    address = (desk.here / "data" / "bolt").as_uri()
    assert desk.fit(source=[address], out="remote.fsamc") == 0
    here, remote = (read_model(desk.here / name)[0] for name in ("bolt.fsamc", "remote.fsamc"))
    assert (remote.category, remote.photos, remote.fingerprint) == (here.category, here.photos, here.fingerprint)
    assert check(desk, address) == 0
    assert desk.fit(source=["ftp://host/bolt"], out="never.fsamc") == 2
    assert "no such kind of address" in capsys.readouterr().err


def test_copies_within_a_class_are_told_and_a_photo_in_two_classes_is_refused(desk, tmp_path, capsys):
    shutil.copytree(desk.photos, tmp_path / "photos")
    shutil.copy(desk.photos / "dent" / "000.png", tmp_path / "photos" / "dent" / "again.png")
    words = ["--good", desk.photos.parent / "train", "--class", f"dent={tmp_path / 'photos' / 'dent'}"]
    assert desk.fit(source=[*words, "--class", f"crack={desk.photos / 'crack'}"], out="copies.fsamc") == 0
    assert "1 of 12 images is a copy of another" in capsys.readouterr().out
    shutil.copy(desk.photos / "dent" / "000.png", tmp_path / "photos" / "crack" / "dented.png")
    words += ["--class", f"crack={tmp_path / 'photos' / 'crack'}"]
    assert desk.fit(source=words, out="never.fsamc") == 2
    assert "are the same picture, as dent and as crack" in capsys.readouterr().err


def test_photos_and_classes_come_and_go_and_the_file_says_how_many_there_are(desk, tmp_path, capsys):
    shutil.copy(desk.here / "bolt.fsamc", tmp_path / "b.fsamc")

    def change(command: str, *words: object) -> str:
        assert fsamc(command, tmp_path / "b.fsamc", *words, "--cache", desk.here / "cache") == 0
        return capsys.readouterr().out

    write_category(tmp_path, "more", good=1, classes={"dent": 2, "chip": 1}, seed=1)
    assert "crack 3, dent 5, hole 2" in change("add", "dent", tmp_path / "more" / "test" / "dent")
    shown = change("add", "chip", tmp_path / "more" / "test" / "chip" / "000.png")
    assert "chip 1" in shown
    assert "by leave-one-out on its 11 photos" in shown
    assert "dent 4" in change("remove", "test/dent/001.png")
    assert "hole" not in change("remove", "hole")
    assert "scratch 3, dent 4, chip 1" in change("rename", "crack", "scratch")
    assert "scratch 4, dent 4" in change("rename", "chip", "scratch")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
    answers = DefectClassifier.load(tmp_path / "b.fsamc", cache=desk.here / "cache").predict(desk.photos / "dent")
    assert {answer.label for answer in answers} == {"dent"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["add", "dent", "DESK/none.png"], "no such file or folder"),
        (["add", "=dent", "DESK/data/bolt/train/good/000.png"], "no name of a defect class"),
        (["add", "dent", "DESK/data/bolt/test/crack/000.png"], "is in class crack already"),
        (["remove", "scratch"], "its classes are crack, dent, hole"),
        (["rename", "scratch", "x"], "its classes are crack, dent, hole"),
    ],
)
def test_a_change_that_cannot_be_made_is_one_line_and_leaves_the_file(desk, words, text, capsys):
    before = (desk.here / "bolt.fsamc").read_bytes()
    command, *rest = (word.replace("DESK", str(desk.here)) for word in words)
    assert fsamc(command, desk.here / "bolt.fsamc", *rest, "--cache", desk.here / "cache") == 2
    assert text in capsys.readouterr().err
    assert (desk.here / "bolt.fsamc").read_bytes() == before


def test_a_packed_network_stays_packed(desk, tmp_path):
    words = ["--out", tmp_path / "b.fsamc", "--cache", tmp_path / "cache", "--with-backbone"]
    network = shutil.copy(desk.here / "tiny.pt2", tmp_path / "gone.pt2")
    given = [desk.here / "data" / "bolt", "--plan", desk.here / "plan.yaml", "--backbone", network]
    assert fsamc("fit", *given, *words) == 0
    Path(network).unlink()
    assert fsamc("rename", tmp_path / "b.fsamc", "dent", "bump", "--cache", tmp_path / "new") == 0
    assert read_model(tmp_path / "b.fsamc")[0].backbone.packed
    assert fsamc("predict", tmp_path / "b.fsamc", desk.photos / "dent", "--cache", tmp_path / "newer") == 0


def test_a_file_is_described_for_people_and_for_programs(desk, tmp_path, capsys):
    assert fsamc("info", desk.here / "bolt.fsamc", "--photos") == 0
    shown = capsys.readouterr().out
    for text in ("bolt, 5 good images", "crack 3, dent 3, hole 2", "by leave-one-out", "test/hole/001.png"):
        assert text in shown
    assert fsamc("info", desk.here / "bolt.fsamc", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["classes"], told["good"], told["scored"]) == (CLASSES, 5, desk.classifier().scored)
    (tmp_path / "foreign.fsamc").write_bytes(b"foreign")
    assert fsamc("info", tmp_path / "foreign.fsamc") == 2
    assert "no classifier of fsamc" in capsys.readouterr().err


def test_one_photo_of_each_class_makes_a_file_and_no_accuracy(desk, tmp_path, capsys):
    words = [word for name in CLASSES for word in ("--class", f"{name}={desk.photos / name / '000.png'}")]
    assert desk.fit(source=["--good", desk.photos.parent / "train", *words], out="single.fsamc") == 0
    shown = capsys.readouterr().out
    assert "accuracy   unknown: no photo can be left out" in shown
    assert "3 photos of 9 that unknown and sets of classes take to hold at --alpha 0.1" in shown


def test_the_gallery_shows_every_picture_with_its_answer(desk, tmp_path):
    shutil.copytree(desk.photos, tmp_path / "new")
    (tmp_path / "new" / "dent" / "000.png").rename(tmp_path / "new" / "dent" / "a&b.png")
    assert desk.predict(tmp_path / "new", desk.photos.parent / "train", "--gallery", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    answers = desk.classifier().predict([tmp_path / "new", desk.photos.parent / "train"])
    assert page.count('<figure class="card">') == len(answers) == 13
    for answer in answers:
        assert html.escape(answer.name) in page
    for name in {answer.answer for answer in answers}:
        assert f"{name} ({sum(answer.answer == name for answer in answers)})</h2>" in page
    assert page.count("src=") == 13
    assert "http" not in page.replace("http-equiv", "")


def test_a_folder_that_is_watched_gives_lines_as_pictures_come_until_ctrl_c(desk, tmp_path, monkeypatch, capsys):
    folder, table, counts = tmp_path / "line", tmp_path / "a.csv", []
    folder.mkdir()

    def arriving(folders, wait):
        assert folders == [folder]
        for name in ("000.png", "001.png"):
            yield [Path(shutil.copy(desk.photos / "dent" / name, folder))]
            counts.append(len(rows(table)))
        signal.raise_signal(signal.SIGINT)
        assert wait()

    monkeypatch.setattr("sweeps.classifiers.predicting.arriving", arriving)
    assert desk.predict(folder, "--watch", "--csv", table, "--gallery", tmp_path / "page.html") == 130
    assert counts == [1, 2]
    assert [Path(row["path"]).name for row in rows(table)] == ["000.png", "001.png"]
    assert (tmp_path / "page.html").read_text().count('<figure class="card">') == 2
    assert "2 pictures: " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM]], ids=str)
def test_a_watch_in_a_process_of_its_own_ends_in_good_order(desk, tmp_path, signals):
    """Once or twice Ctrl-C, while pictures come: whole files, and no traceback."""
    folder, table, page = tmp_path / "line", tmp_path / "a.csv", tmp_path / "page.html"
    shutil.copytree(desk.photos / "dent", folder / "dent")
    files = ["--csv", table, "--jsonl", tmp_path / "a.jsonl", "--gallery", page, "--cache", desk.here / "cache"]
    words = map(str, ["predict", desk.here / "bolt.fsamc", folder, "--watch", *files])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*FSAMC, *words], cwd=tmp_path, env=env, **pipes) as process:
        wait_for(lambda: table.exists() and len(rows(table)) >= 3, process)
        shutil.copytree(desk.photos / "crack", folder / "crack")
        for number in signals:
            process.send_signal(number)
        shown, said = process.communicate(timeout=240)
    assert process.returncode == 128 + signals[0]
    assert said == ""
    assert "Traceback" not in shown
    count = len(rows(table))
    assert f"{count} pictures: " in shown
    assert [json.loads(line)["path"] for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [
        row["path"] for row in rows(table)
    ]
    assert page.read_text().count('<figure class="card">') == count
    assert page.read_text().rstrip().endswith("</html>")


def test_overlays_are_pictures_of_the_same_size_that_differ_where_the_defect_is(desk, tmp_path):
    photo = desk.photos / "crack" / "000.png"
    again = Path(shutil.copy(photo, tmp_path / "000.png"))
    folder = tmp_path / "over" / "lays"
    assert desk.predict(photo, desk.photos / "dent", again, photo, "--overlays", folder) == 0
    names = {f"dent_{number:03}.png" for number in range(3)} | {"crack_000.png", "crack_000_2.png"}
    assert {file.name for file in folder.iterdir()} == names | {f"{tmp_path.name}_000.png"}
    before, after = (np.asarray(Image.open(file).convert("RGB"), int) for file in (photo, folder / "crack_000.png"))
    assert before.shape == after.shape
    changed = np.abs(after - before).sum(-1)
    prediction = desk.classifier().predict(photo)[0]
    assert changed[prediction.heatmap > prediction.anomaly / 2].mean() > 2 * changed[prediction.heatmap < 1].mean()
    assert desk.predict(photo, "--overlays", photo) == 2


# --- check


def check(desk: Desk, *words: object) -> int:
    network = ["--backbone", desk.here / "tiny.pt2", "--cache", desk.here / "cache"]
    return fsamc("check", *words, "--plan", desk.here / "plan.yaml", *network)


def test_check_tells_of_a_photo_in_the_wrong_class_and_which_to_take_next(desk, tmp_path, capsys):
    folder = shutil.copytree(desk.here / "data" / "bolt", tmp_path / "bolt")
    assert check(desk, folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["next photo", "nothing to mend"]
    (folder / "test" / "dent" / "002.png").rename(folder / "test" / "crack" / "wrong.png")
    assert check(desk, folder, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["photos"] for one in told["findings"] if one["kind"] == "mislabelled"] == [["test/crack/wrong.png"]]


def test_check_tells_of_files_before_anything_is_fitted(desk, tmp_path, capsys):
    folder = shutil.copytree(desk.here / "data" / "bolt", tmp_path / "bolt")
    shutil.copy(folder / "test" / "crack" / "000.png", folder / "test" / "dent" / "copy.png")
    assert check(desk, folder) == 1
    output = capsys.readouterr().out
    assert re.search(r"serious  bolt: .*000\.png.*copy\.png", output)
    assert "next photo" not in output
    assert check(desk, tmp_path / "missing") == 2
    assert "no such folder" in capsys.readouterr().err
