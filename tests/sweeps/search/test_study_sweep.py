"""Whole sweeps on a study: interrupted, resumed, and added to by another driver."""

from __future__ import annotations

import json

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from tests.sweeps.asleep import budget_spent_after, folds_that_sleep
from tests.sweeps.small import notes, runs, table

pytestmark = pytest.mark.ray

SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "representation.patches": {"integers": [2, 30], "when": {"head.kind": ["prototype"]}},
    "finetune.lr": {"loguniform": [1e-4, 1e-2], "when": {"head.kind": ["contrastive"]}},
}
FOLDS = 4  # of a trial


@pytest.mark.slow
def test_a_conditional_search_is_interrupted_resumed_and_added_to_by_another_driver(lab):
    address = f"sqlite:///{lab.root / 'shared.db'}"
    search = {"algorithm": "optuna", "trials": 5, "startup": 3, "storage": address, "goals": ["accuracy", "seconds"]}
    search["stopping"] = {"kind": "none"}  # folds are counted below
    first = lab.words(lab.plan(space=SPACE, search=search), out="first")
    out, other = lab.root / "first", lab.root / "other"
    more = lab.plan("more.yaml", space=SPACE, search={**search, "trials": 7})
    with folds_that_sleep(0.05):
        with budget_spent_after(FOLDS + 1, out):
            lab.finish(first)
        assert FOLDS < len(table(out)) < 5 * FOLDS
        lab.finish(first)
        lab.finish(lab.words(more, out="other"))

    study = optuna.load_study(study_name="small", storage=address)
    assert [trial.number for trial in study.trials] == list(range(7))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    folds = pd.concat([table(out), table(other)])
    assert [{*table(found)["trial"]} for found in (out, other)] == [{*"01234"}, {*"56"}]
    assert len(folds) == len(folds.drop_duplicates(["trial", "category", "seed"])) == 7 * FOLDS
    assert len(folds.drop_duplicates(list(SPACE))) == 7
    for row in folds.to_dict("records"):
        trial = study.trials[int(row["trial"])]
        assert {key: row[key] for key in SPACE if row[key]} == {key: str(v) for key, v in trial.params.items()}
        assert (row["representation.patches"] == "") == (row["head"] == "contrastive")
        assert (row["finetune.lr"] == "") == (row["head"] == "prototype")
        assert trial.user_attrs["config"] == row["config"]
    for found in (out, other):
        mine = pd.read_csv(found / "folds.csv")
        for trial, of_trial in mine.groupby("trial"):
            assert study.trials[trial].values == pytest.approx(
                [of_trial["accuracy"].mean(), of_trial["seconds"].mean()]
            )
        best = {trial.number for trial in study.best_trials}
        assert best & {*mine["trial"]} <= {*notes(found)["pareto"]} <= {*mine["trial"]}
        assert sorted(runs(found)[1]) == sorted({*mine["trial"]})
        assert (found / "report.html").exists()
        assert {json.loads(line)["trial"] for line in (found / "trials.jsonl").read_text().splitlines()} == {
            *mine["trial"]
        }
