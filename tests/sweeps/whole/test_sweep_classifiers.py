"""Classifiers that a whole sweep leaves."""

from __future__ import annotations

import pandas as pd
import pytest

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.model_file import read_model
from sweeps.classifiers.sweep_scores import scores_of_sweep
from tests.sweeps.small import Lab, notes, runs

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TWO = ["space.support.mean=null", "folds.seeds=[2]"]  # trials: prototype and contrastive


def test_a_sweep_leaves_the_best_trial_s_classifiers_once(done: Lab, capfd):
    words = done.words(done.plan(), *TWO, "--fit", out="fitted")
    done.finish(words)
    out = done.root / "fitted"
    noted = notes(out)["classifiers"]
    files = [out / "classifiers" / f"{name}.fsamc" for name in ("cap", "tile")]
    assert (noted["files"], noted["without"]) == ([f"classifiers/{file.name}" for file in files], {})
    assert f"fsamc predict {files[0]}" in capfd.readouterr().out.replace("\n", "")
    summary = pd.read_csv(out / "summary.csv").set_index(["trial", "shots", "category"])["mean"]
    for file, photos in zip(files, (15, 10), strict=True):
        record, _ = read_model(file)
        accuracy = summary[noted["trial"], 2, file.stem]
        assert record.scored["sweep, 2 shots"] == pytest.approx(accuracy)
        assert scores_of_sweep(str(out / "best.yaml"), file.stem) == {"sweep, 2 shots": pytest.approx(accuracy)}
        assert (record.category, len(record.photos), record.seed) == (file.stem, photos, 2)
        assert record.config["head"]["kind"] == runs(out)[1][noted["trial"]].data.params["head.kind"]
        classifier = DefectClassifier.load(file, cache=done.root / "none")
        assert len(classifier._fitted.elsewhere) == 1, "the other category lends"
        photo = classifier.photos[0]
        assert classifier.predict(done.data / file.stem / photo.name)[0].label in classifier.classes_
    assert scores_of_sweep(str(out / "best.yaml"), "bolt") == {
        "sweep's average, 2 shots": pytest.approx(summary[noted["trial"], 2, "average"])
    }

    written = [file.stat().st_mtime_ns for file in files]
    done.finish(words)
    assert [file.stat().st_mtime_ns for file in files] == written
