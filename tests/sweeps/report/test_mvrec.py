from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sweeps.report.mvrec_comparison import SHARED, beside_mvrec, published_accuracies

SHARED_TABLE = Path(__file__).parents[4] / "shared/paper/mvrec.json"


def summary(rows: list[tuple[int, str, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["shots", "category", "mean", "std"])


def test_the_mean_is_over_the_rows_that_both_have():
    at_one = [(1, "bottle", 0.7, 0.01), (1, "cable", 0.5, 0.02), (1, "mine", 0.1, 0.0), (1, "average", 0.43, 0.0)]
    ours = summary([*at_one, (3, "bottle", 0.9, 0.01)])
    beside = beside_mvrec(ours, 1)
    assert [*beside.index] == ["bottle", "cable", "mine", SHARED]
    assert beside.loc["bottle", "training-free"] == pytest.approx(0.5875)
    assert beside.loc[SHARED, "ours"] == pytest.approx(0.6)
    assert beside.loc[SHARED, "training-free"] == pytest.approx((0.5875 + 0.7965) / 2)
    assert beside.loc["mine"].drop(["ours", "std"]).isna().all()


@pytest.mark.skipif(not SHARED_TABLE.exists(), reason=f"no {SHARED_TABLE.name}")
def test_every_published_number_is_there():
    rows = json.loads(SHARED_TABLE.read_text())["rows"]
    expected = {
        (row["trained"], row["views"], row["shots"], category): accuracy
        for row in rows
        for category, accuracy in {**row["accuracy"], "average": row["average"]}.items()
    }
    cells = published_accuracies().set_index(["trained", "views", "shots", "category"])["accuracy"]
    assert (100 * cells).round(2).to_dict() == expected
