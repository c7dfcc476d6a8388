from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, f1_score

from fsamc.errors import BadInput
from fsamc.fold.metrics import wilson_interval
from sweeps.report.axes import Axis, swept_axes
from sweeps.report.confusion import Confusion, confusions
from sweeps.report.content import compose
from sweeps.report.embedding import BUDGET, embedded
from sweeps.report.evidence import gather
from sweeps.report.heads import head_scores
from sweeps.report.heatmap import fold_matrix
from sweeps.report.importance import importances
from sweeps.report.pareto import unbeaten
from sweeps.report.scores import best_detection, best_scores, fold_scores
from sweeps.report.write import write_report
from sweeps.results.choices import leave_one_category_out
from sweeps.results.reader import SweepReader
from sweeps.results.saved_settings import caveats_of
from sweeps.results.tables import DETECTED, best_trial, percent, ranking, summarise

CATEGORIES = {
    "magnetic_tile": ["blowhole", "break", "crack", "fray", "uneven"],
    "pcb": ["missing_hole", "open", "short", "spur"],
}
SPACE = {
    "head.kind": {"choice": ["contrastive", "prototype"]},
    "pretrain.lr": {"loguniform": [1e-5, 1e-2]},
    "pretrain.stop_threshold": {"uniform": [0.2, 0.8]},
    "head.patches": {"integers": [5, 80]},
}


def write_sweep(out: Path, *, trials=12, categories=None, seeds=(1, 2), space=None, shots=(2,), fail=()) -> Path:
    """An OUT folder as a sweep leaves it: accuracies follow the settings, the category, the seed and some noise."""
    categories = categories or CATEGORIES
    space = SPACE if space is None else space
    rng = np.random.default_rng(11)
    folds, predictions, proposed = [], [], []
    for trial in range(trials):
        settings = _settings(trial, rng)
        proposed.append({key: value for key, value in settings.items() if key in space})
        for category, classes in categories.items():
            for seed in seeds:
                skill = _skill(settings, len(category)) + rng.normal(0, 0.02)
                truth, predicted = _answers(classes, skill, rng)
                fold = _fold(trial, category, seed, shots[trial % len(shots)], settings, truth, predicted)
                if trial in fail and category == list(categories)[-1]:
                    fold |= {
                        "accuracy": "",
                        "correct": "",
                        "queries": "",
                        "status": "failed: out of memory in pretrain",
                    }
                    predicted = []
                folds.append(fold | {key: value for key, value in settings.items() if key in space})
                predictions += [
                    (trial, category, seed, 0, f"test/{t}/{i:03}.png", t, p, json.dumps({t: 0.5, p: 0.75}))
                    for i, (t, p) in enumerate(zip(truth, predicted, strict=False))
                ]
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(folds).to_csv(out / "folds.csv", index=False)
    names = ["trial", "category", "seed", "draw", "image", "truth", "predicted", "scores"]
    pd.DataFrame(predictions, columns=names).to_csv(out / "predictions.csv", index=False)
    lines = [json.dumps({"trial": number, "values": values}) + "\n" for number, values in enumerate(proposed)]
    (out / "trials.jsonl").write_text("".join(lines))
    plan = {"name": "tiles and boards", "space": space, "search": {"trials": trials}, "folds": {"seeds": list(seeds)}}
    (out / "plan.yaml").write_text(yaml.safe_dump(plan))
    return out


def _settings(trial: int, rng: np.random.Generator) -> dict:
    return {
        "head.kind": "contrastive" if trial == 0 else ["contrastive", "prototype"][int(rng.integers(2))],
        "pretrain.lr": 1e-4 if trial == 0 else float(10 ** rng.uniform(-5, -2)),
        "pretrain.stop_threshold": 0.4 if trial == 0 else float(rng.uniform(0.2, 0.8)),
        "head.patches": 40 if trial == 0 else int(rng.integers(5, 81)),
    }


def _skill(settings: dict, hardness: int) -> float:
    lr = -0.06 * (math.log10(settings["pretrain.lr"]) + 3.5) ** 2
    kind = 0.05 if settings["head.kind"] == "prototype" else lr + 0.1
    return 0.45 - 0.012 * hardness + kind + 0.1 * settings["pretrain.stop_threshold"]


def _answers(classes: list[str], skill: float, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    truth = [name for name in classes for _ in range(18)]
    right = rng.random(len(truth)) < skill
    guesses = rng.choice(classes, len(truth))
    return truth, [t if ok else str(guess) for t, ok, guess in zip(truth, right, guesses, strict=True)]


def _fold(trial, category, seed, shots, settings, truth, predicted) -> dict:
    correct = sum(t == p for t, p in zip(truth, predicted, strict=True))
    return {
        "trial": trial,
        "config": f"{trial:012x}",
        "category": category,
        "seed": seed,
        "draw": 0,
        "shots": shots,
        "head": settings["head.kind"],
        "accuracy": correct / len(truth),
        "correct": correct,
        "queries": len(truth),
        "status": "ok",
        "seconds": 20.0 + trial,
    }


NOTES = {
    "name": "tiles and boards",
    "status": "done",
    "caveats": ["random backbone: accuracies are not comparable"],
    "warnings": ["pcb: class spur has 2 images fewer than the others"],
    "builds": {"features": 4, "bank": 4, "pseudo-defects": 2},
    "build_seconds": {"features": 61.2, "bank": 33.0},
    "stages": {"head": 412.7, "residuals": 2.1},
    "seconds": 611.4,
    "folds_reused": 3,
    "peak_memory_bytes": 3_221_225_472,
    "versions": {"fsamc": "0.1.0", "torch": "2.14.0"},
    "fingerprint": "5f2c9a1be0d4",
}


class Page(HTMLParser):
    """What a browser would see: tags, their attributes and the text outside scripts and styles."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.texts, self.raw = [], [], {"script": [], "style": []}
        self.inside = None
        self.feed(path.read_text())
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag if tag in self.raw else self.inside

    def handle_endtag(self, tag):
        self.inside = None if tag == self.inside else self.inside

    def handle_data(self, data):
        (self.raw[self.inside] if self.inside else self.texts).append(data)

    def attributes(self, *names):
        return [value for _, found in self.tags for name, value in found.items() if name in names]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    out = write_sweep(tmp_path_factory.mktemp("sweep"), fail=(3,), categories=CATEGORIES | {"wood": ["hole", "knot"]})
    (out / "sweep.json").write_text(json.dumps(NOTES))
    assert write_report(out) == out / "report.html"
    return out


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page(out / "report.html")


@pytest.fixture(scope="module")
def markdown(out: Path) -> str:
    return (out / "report.md").read_text()


SECTIONS = [
    "Headline",
    "What ran",
    "Ranking",
    "Accuracy per category",
    "Every fold",
    "Leave one category out",
    "What each objective would have chosen",
    "Heads",
    "Other measures of trial",
    "Confusion matrices of trial",
    "Swept keys",
    "Importances",
    "Slices",
    "What was spent",
    "Accuracy against time",
    "Failures and warnings",
    "How to read this",
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_in_both(page: Page, markdown: str, section: str):
    assert section in page.text
    assert f"# {section}" in markdown


def test_caveats_are_read_as_older_versions_wrote_them():
    assert caveats_of({"marks": ["RANDOM"]}) == ["RANDOM"]
    assert caveats_of({"marks": ["RANDOM"], "caveats": []}) == caveats_of({}) == []


def test_the_headline_tells_the_choice_from_its_estimate(out: Path, page: Page, markdown: str):
    folds = SweepReader(out).folds
    best = best_trial(folds)
    summary = summarise(folds).set_index(["trial", "category"])
    left_out = leave_one_category_out(folds).iloc[-1]
    chosen = percent(*summary.loc[(best, "average"), ["mean", "std"]])
    honest = percent(left_out["accuracy"], left_out["std"])
    assert f"Best trial {chosen} % trial {best}, chosen on the very queries it is reported on: selection" in page.text
    assert f"Leave-one-category-out {honest} %" in page.text
    assert f"| **Best trial** | **{chosen}** | trial {best}, chosen on the very queries" in markdown
    assert f"| **Leave-one-category-out** | **{honest}** |" in markdown


def test_caveats_warnings_failures_and_costs_are_said(page: Page, markdown: str):
    for said in (
        *NOTES["caveats"],
        *NOTES["warnings"],
        "out of memory in pretrain",
        "10 min 11 s",
        "3.00 GiB",
        "features 4 (1 min 01 s), bank 4 (33 s), pseudo-defects 2",
        "wood (no finished fold in 3)",
    ):
        assert said in page.text
        assert said in markdown


def test_the_page_loads_nothing_from_anywhere(page: Page):
    assert all(source.startswith("data:image/png;base64,") for source in page.attributes("src", "srcset", "poster"))
    assert [link for link in page.attributes("href") if link.startswith(("http", "//"))] == []
    assert "link" not in {tag for tag, _ in page.tags}
    assert "url(" not in "".join(page.raw["style"])
    assert "@import" not in "".join(page.raw["style"])


def test_every_fold_is_a_cell_and_a_missing_one_a_hole(out: Path):
    evidence = gather(out)
    matrix = fold_matrix(evidence)
    table = evidence.folds.set_index(["trial", "category", "seed", "draw"])
    assert matrix.trials[: len(evidence.board)] == evidence.board["trial"].tolist()
    assert sorted(matrix.trials) == sorted(set(evidence.folds["trial"]))
    assert matrix.left_out == 0
    for (row, column), accuracy in np.ndenumerate(matrix.accuracy):
        found = table.loc[(matrix.trials[row], *matrix.folds[column])]
        assert math.isnan(accuracy) == (found["status"] != "ok")
        assert math.isnan(accuracy) or accuracy == found["accuracy"]


def test_of_too_many_cells_the_best_trials_are_shown(out: Path, monkeypatch):
    monkeypatch.setattr("sweeps.report.heatmap.MOST_CELLS", 30)
    evidence = gather(out)
    matrix = fold_matrix(evidence)
    assert matrix.trials == evidence.board["trial"].tolist()[:5]  # of six folds each
    assert matrix.left_out == 7


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=20))
def test_unbeaten_is_what_no_other_beats(points):
    accuracy, seconds = np.array(points, float).T
    expected = [
        not any(a >= mine and s <= took and (a, s) != (mine, took) for a, s in zip(accuracy, seconds, strict=True))
        for mine, took in zip(accuracy, seconds, strict=True)
    ]
    assert unbeaten(accuracy, seconds).tolist() == expected


@pytest.mark.slow
def test_any_number_of_figures_fits(tmp_path: Path):
    for place in range(3):
        Image.effect_noise((1500, 1500), 80).save(tmp_path / f"{place}.png")
    found = embedded([tmp_path / f"{place % 3}.png" for place in range(12)] + [tmp_path / "gone.png"])
    assert found[-1] == ""
    assert all(address.startswith("data:image/webp;base64,") for address in found[:-1])
    assert sum(map(len, found)) < 1.4 * BUDGET


def test_confusions_add_up_to_the_folds(out: Path):
    evidence = gather(out)
    mine = evidence.folds[(evidence.folds["trial"] == evidence.best) & (evidence.folds["status"] == "ok")]
    found = confusions(evidence)
    assert [confusion.category for confusion in found] == sorted(mine["category"].unique())
    for confusion in found:
        of_category = mine[mine["category"] == confusion.category]
        assert confusion.counts.sum() == of_category["queries"].sum()
        assert confusion.counts.trace() == of_category["correct"].sum()
        assert confusion.shares.sum(axis=1) == pytest.approx(1)


def test_other_measures_are_those_of_the_predictions(out: Path):
    evidence = gather(out)
    mine = evidence.folds[(evidence.folds["trial"] == evidence.best) & (evidence.folds["status"] == "ok")]
    measured = fold_scores(evidence.predictions)
    assert measured["accuracy"].tolist() == pytest.approx(mine["accuracy"].tolist())
    assert measured["queries"].tolist() == mine["queries"].tolist()
    one = evidence.predictions[
        (evidence.predictions["category"] == "pcb")
        & (evidence.predictions["seed"] == 1)
        & (evidence.predictions["draw"] == 0)
    ]
    row = measured[(measured["category"] == "pcb") & (measured["seed"] == 1)].iloc[0]
    truth, predicted = one["truth"].tolist(), one["predicted"].tolist()
    assert row["balanced accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert row["macro F1"] == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_the_interval_is_that_of_one_folds_queries_whatever_the_number_of_seeds(tmp_path: Path):
    answers = [("a", "a")] * 6 + [("a", "b")] * 2 + [("b", "b")] * 3 + [("b", "a")]  # 9 of 12
    few, many = (_with_answers(tmp_path / str(seeds), answers, seeds) for seeds in (1, 4))
    for out in (few, many):
        row, average = best_scores(gather(out)).rows
        low, high = (100 * end for end in wilson_interval(9, 12))
        assert [cell.text for cell in row[2:4]] == [f"{low:.1f} to {high:.1f}", "12"]
        assert row[4].text.startswith("75.0")  # recalls 6/8 and 3/4
        assert [cell.text for cell in average[2:4]] == ["", ""]


def _with_answers(out: Path, answers: list[tuple[str, str]], seeds: int) -> Path:
    write_sweep(out, trials=1, seeds=tuple(range(seeds)), categories={"cap": ["a", "b"]}, space={})
    rows = [(0, "cap", seed, 0, "x.png", *pair, "{}") for seed in range(seeds) for pair in answers]
    names = ["trial", "category", "seed", "draw", "image", "truth", "predicted", "scores"]
    pd.DataFrame(rows, columns=names).to_csv(out / "predictions.csv", index=False)
    return out


def test_recall_stands_beside_the_matrix():
    found = Confusion("cap", ["a", "b", "c"], np.array([[3, 1, 0], [0, 0, 0], [1, 0, 1]]))
    assert found.recalls == pytest.approx([0.75, math.nan, 0.5], nan_ok=True)


def test_detection_is_reported_where_it_was_on(out: Path, tmp_path: Path):
    assert best_detection(gather(out)) is None
    here = write_sweep(tmp_path / "out", trials=1, categories={"cap": ["a", "b"]}, space={})
    names = ["trial", "category", "seed", "draw", "threshold", *DETECTED]
    rows = [(0, "cap", 1, 0, 1.5, 0.6, 0.9, "", ""), (0, "cap", 2, 0, 1.5, 0.7, 0.9, "", "")]
    pd.DataFrame(rows, columns=names).to_csv(here / "detection.csv", index=False)
    write_report(here)
    for text in (Page(here / "report.html").text, (here / "report.md").read_text()):
        assert "Detection first" in text
        assert "65.0 ± 7.1" in text
        assert "90.0 ± 0.0" in text


def test_heads_are_the_best_trials_of_each_beside_the_papers_average(out: Path):
    evidence = gather(out)
    found = head_scores(evidence)
    assert found["head"].tolist() == ["contrastive", "prototype"]
    board = evidence.board.assign(head=evidence.board["trial"].map(evidence.of_trials("head")))
    for _, row in found.iterrows():
        assert row["mean"] == board.loc[board["head"] == row["head"], "mean"].max()
    # the contrastive one is pretrained on residual features at two shots: table 1; the paper has no prototype
    assert found["paper"].tolist() == pytest.approx([0.3716, math.nan], nan_ok=True)
    assert (out / "plots" / "heads.png").exists()


def test_one_head_alone_is_not_drawn(tmp_path: Path):
    write_report(write_sweep(tmp_path, trials=1, space={}))
    assert not (tmp_path / "plots" / "heads.png").exists()
    assert "## Heads" not in (tmp_path / "report.md").read_text()


def test_listed_configurations_are_swept_like_any(tmp_path: Path):
    out = write_sweep(tmp_path, trials=3)
    plan = yaml.safe_load((out / "plan.yaml").read_text())
    entries = [{"head.kind": "prototype", "head.patches": 9}, {"pretrain.lr": 0.01, "pretrain.stop_threshold": 0.3}]
    plan |= {"space": {}, "configurations": entries, "search": {"algorithm": "list"}}
    (out / "plan.yaml").write_text(yaml.safe_dump(plan))
    write_report(out)
    assert "| head.kind | choice: contrastive, prototype |" in (out / "report.md").read_text()
    assert [axis.name for axis in swept_axes(gather(out))] == [*entries[0], *entries[1], "average, %"]


def test_markdown_shows_only_plots_that_exist_and_tables_that_are_square(out: Path, markdown: str):
    shown = re.findall(r"\]\((.*?)\)", markdown)
    assert sorted(shown) == sorted(path.relative_to(out).as_posix() for path in (out / "plots").iterdir())
    assert all((out / path).read_bytes().startswith(b"\x89PNG") for path in shown)
    for table in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_names_are_text_and_never_markup(tmp_path: Path):
    evil = {"<script>alert(1)</script>": ["$^$ <b>", "a|b*", "</script><img src=x>"], "c": ["[d](http://e)", "f"]}
    page = Page(write_report(write_sweep(tmp_path, trials=2, categories=evil)))
    naming = [script for script in page.raw["script"] if "alert" in script]
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 4, "two plots, what draws them, and plotly.js"
    assert all(json.loads(script)["data"] and "<" not in script for script in naming), "data, and text even for plotly"
    assert {tag for tag, _ in page.tags} & {"b", "img"} == {"img"}
    assert all(source.startswith("data:") for source in page.attributes("src"))
    for name in (*evil, *evil["<script>alert(1)</script>"]):
        assert name in page.text
    markdown = (tmp_path / "report.md").read_text()
    assert "<" not in markdown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markdown


def test_the_order_of_rows_does_not_matter(out: Path, tmp_path: Path):
    for name in ("folds.csv", "predictions.csv"):
        rows = pd.read_csv(out / name, dtype=str, keep_default_na=False).sample(frac=1, random_state=3)
        rows.to_csv(tmp_path / name, index=False)
    for name in ("plan.yaml", "sweep.json"):
        (tmp_path / name).write_text((out / name).read_text())
    write_report(tmp_path)
    assert (tmp_path / "report.md").read_text() == (out / "report.md").read_text()


def test_of_many_trials_the_best_thirty_and_the_base_are_shown(tmp_path: Path):
    out = write_sweep(tmp_path, trials=45, categories={"pcb": CATEGORIES["pcb"]}, space={})
    folds = SweepReader(out).folds
    folds.loc[folds["trial"] == 0, "accuracy"] = 0.01
    folds.to_csv(out / "folds.csv", index=False)
    content = compose(gather(out))
    board = ranking(folds)["trial"].tolist()
    assert board[-1] == 0
    assert content.trials == [*board[:30], 0]
    assert content.omitted == 14
    assert len(content.ranking.rows) == len(content.scores.rows) == 31


def test_one_category_and_one_seed_are_said_and_not_invented(tmp_path: Path):
    write_report(write_sweep(tmp_path, trials=2, seeds=(1,), categories={"pcb": CATEGORIES["pcb"]}))
    markdown = (tmp_path / "report.md").read_text()
    assert "| **Leave-one-category-out** | **\N{EN DASH}** |" in markdown
    assert "Impossible here" in markdown
    assert "± \N{EN DASH}" in markdown
    assert "± 0" not in markdown
    assert "No other trial can be told apart from the best one" in markdown


def test_a_single_trial_was_not_chosen(tmp_path: Path):
    text = Page(write_report(write_sweep(tmp_path, trials=1, space={}))).text
    assert "The only trial" in text
    assert "chosen on the very queries" not in text
    assert "Nothing is swept" in text


def test_different_shots_are_ranked_with_a_word_of_caution(tmp_path: Path):
    write_report(write_sweep(tmp_path, trials=4, shots=(1, 5)))
    markdown = (tmp_path / "report.md").read_text()
    assert "Trials of 1, 5 shots are ranked together" in markdown
    assert len(re.findall(r"^\| average \| [15] \|", markdown, flags=re.MULTILINE)) == 2


def test_a_running_sweep_without_notes_or_predictions_is_reported_as_far_as_it_got(tmp_path: Path):
    write_sweep(tmp_path, trials=3)
    (tmp_path / "predictions.csv").unlink()
    (tmp_path / "sweep.json").write_text('{"status": "runn')
    folds = (tmp_path / "folds.csv").read_text()
    (tmp_path / "folds.csv").write_text(folds[: len(folds) // 2])
    text = Page(write_report(tmp_path)).text
    assert "Status: unknown" in text
    assert "There are no predictions" in text


@pytest.mark.parametrize("trials", [0, 2])
def test_nothing_finished_is_one_line_and_writes_nothing(tmp_path: Path, trials: int):
    write_sweep(tmp_path, trials=2, fail=(0, 1), categories={"pcb": CATEGORIES["pcb"]})
    lines = (tmp_path / "folds.csv").read_text().splitlines(keepends=True)
    (tmp_path / "folds.csv").write_text("".join(lines[: 1 + 2 * trials]))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInput, match=r"folds\.csv: no finished fold") as error:
        write_report(tmp_path)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["folds.csv", "plan.yaml"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    (write_sweep(tmp_path, trials=1) / name).unlink()
    with pytest.raises(BadInput, match=rf"{name}: No such file"):
        write_report(tmp_path)


def test_axes_follow_the_plan(out: Path):
    axes = {axis.name: axis for axis in swept_axes(gather(out))}
    trials = gather(out).board["trial"]
    rates = trials.map(SweepReader(out).folds.groupby("trial")["pretrain.lr"].first())
    assert 10 ** axes["pretrain.lr"].places == pytest.approx(rates.to_numpy())
    assert axes["pretrain.lr"].labels[0] == "1e-05"
    assert axes["head.kind"].labels == ["contrastive", "prototype"]
    assert set(axes["head.kind"].places) == {0, 1}
    assert set(axes) == {*SPACE, "average, %"}
    assert list(axes)[-1] == "average, %"
    for axis in axes.values():
        assert axis.bounds[0] <= axis.places.min()
        assert axis.places.max() <= axis.bounds[1]


def axis(name, places):
    return Axis(name=name, places=np.asarray(places, float), ticks=[0.0, 1.0], labels=["0", "1"])


def test_importance_goes_to_the_key_that_moves_the_accuracy():
    rng = np.random.default_rng(0)
    moves, idle = rng.random(40), rng.random(40)
    shares, reason = importances([axis("idle", idle), axis("moves", moves), axis("accuracy", 50 + 30 * moves)])
    assert reason == ""
    assert list(shares) == ["moves", "idle"]
    assert shares["moves"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ([], "no swept key"),
        ([axis("a", range(20)), axis("accuracy", range(20))], "1 swept key"),
        ([axis("a", range(20)), axis("b", [1] * 20), axis("accuracy", range(20))], "1 swept key"),
        ([axis("a", range(5)), axis("b", range(5)), axis("accuracy", range(5))], "5 ranked trials are too few"),
        ([axis("a", range(20)), axis("b", range(20)), axis("accuracy", [3] * 20)], "the same average"),
    ],
)
def test_importances_that_cannot_be_estimated_say_why(axes, why):
    shares, reason = importances(axes)
    assert shares == {}
    assert why in reason


def test_a_key_that_some_trials_lack_has_a_place_of_its_own_below_the_others(tmp_path: Path):
    space = SPACE | {"pretrain.lr": {**SPACE["pretrain.lr"], "when": {"head.kind": ["contrastive"]}}}
    out = write_sweep(tmp_path / "out", space=space, trials=14)
    folds = pd.read_csv(out / "folds.csv")
    without = folds["head.kind"] == "prototype"
    folds.loc[without, "pretrain.lr"] = np.nan
    folds.to_csv(out / "folds.csv", index=False)
    evidence = gather(out)
    axes = {axis.name: axis for axis in swept_axes(evidence)}
    lacking = evidence.board["trial"].isin(folds.loc[without, "trial"]).to_numpy()
    places = axes["pretrain.lr"].places
    assert places[lacking].max() < places[~lacking].min()
    assert len({*places[lacking]}) == 1
    assert axes["pretrain.lr"].labels[0] == "\N{EN DASH}"
    assert importances(list(axes.values()))[0]
    text = write_report(out).with_suffix(".md").read_text()
    assert "nan" not in text
    assert "when head.kind is contrastive" in text
