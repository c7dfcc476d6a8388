from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sweeps.results import tables
from sweeps.results.choices import leave_one_category_out

DASH = "\N{EN DASH}"


def row(trial, category, seed, accuracy, *, draw=0, shots=2, status="ok"):
    return {
        "trial": trial,
        "config": f"{trial:012x}",
        "category": category,
        "seed": seed,
        "draw": draw,
        "shots": shots,
        "head": "contrastive",
        "accuracy": accuracy,
        "correct": 0,
        "queries": 10,
        "status": status,
        "seconds": 1.0,
    }


def table(*rows):
    return pd.DataFrame(list(rows))


def grid(scores, **options):
    """Folds from {trial: {category: [accuracy of seed 1, of seed 2, ...]}}."""
    return table(
        *(
            row(trial, category, seed, accuracy, **options)
            for trial, categories in scores.items()
            for category, accuracies in categories.items()
            for seed, accuracy in enumerate(accuracies, start=1)
        )
    )


def cell(summary, trial, category, shots=None):
    """The row over all shots, or at some."""
    of_shots = summary["shots"].isna() if shots is None else summary["shots"] == shots
    found = summary[(summary["trial"] == trial) & (summary["category"] == category) & of_shots]
    assert len(found) == 1
    return found.iloc[0]


def test_average_is_over_the_categories_that_every_trial_has():
    summary = tables.summarise(grid({0: {"pcb": [0.2], "tile": [1.0]}, 1: {"pcb": [0.3]}}))
    assert cell(summary, 0, "average")["mean"] == pytest.approx(0.2)
    assert cell(summary, 0, "average")["categories"] == 1
    assert cell(summary, 0, "tile")["mean"] == pytest.approx(1.0)


def test_a_trial_whose_folds_all_failed_takes_no_category_from_the_others():
    folds = pd.concat([grid({0: {"pcb": [0.2], "tile": [0.4]}}), table(row(1, "pcb", 1, np.nan, status="failed: x"))])
    summary = tables.summarise(folds)
    assert cell(summary, 0, "average")["mean"] == pytest.approx(0.3)
    assert set(summary["trial"]) == {0}


def test_one_seed_has_a_dash_for_its_spread_and_a_missing_category_is_a_dash():
    summary = tables.summarise(grid({0: {"pcb": [0.25], "tile": [0.5]}, 1: {"pcb": [0.125]}}))
    assert math.isnan(cell(summary, 0, "pcb")["std"])
    shown = tables.format_table(tables.over_shots(summary))
    assert list(shown.columns) == ["pcb", "tile", "average"]
    assert shown.loc[0].tolist() == [f"{mean} ± {DASH} *" for mean in ("25.0", "50.0", "25.0")]
    assert shown.loc[1].tolist() == [f"12.5 ± {DASH}", DASH, f"12.5 ± {DASH}"]


def test_every_equal_best_is_marked():
    shown = tables.format_table(
        tables.over_shots(tables.summarise(grid({0: {"pcb": [0.1, 0.3]}, 1: {"pcb": [0.2, 0.2]}})))
    )
    assert shown["pcb"].tolist() == ["20.0 ± 14.1 *", "20.0 ± 0.0 *"]


def test_paired_interval_by_hand():
    # Differences of trial 1 to trial 0: -0.1, -0.2, -0.3, -0.2. Mean -0.2, s = sqrt(0.02 / 3), t(0.975; 3) = 3.18245.
    folds = grid({0: {"pcb": [0.5, 0.6], "tile": [0.7, 0.8]}, 1: {"pcb": [0.4, 0.4], "tile": [0.4, 0.6]}})
    board = tables.ranking(folds)
    half = 3.182446 * math.sqrt(0.02 / 3) / 2
    assert board["trial"].tolist() == [0, 1]
    assert board.loc[1, ["difference", "low", "high"]].tolist() == pytest.approx([-0.2, -0.2 - half, -0.2 + half])
    assert board["tied"].tolist() == [True, False]


def test_pairing_tells_apart_what_unpaired_spread_hides():
    # Categories differ by 80 points, the trials by 5 in every one of them.
    folds = grid({0: {"a": [0.1, 0.11], "b": [0.9, 0.91]}, 1: {"a": [0.05, 0.06], "b": [0.85, 0.86]}})
    assert tables.ranking(folds)["tied"].tolist() == [True, False]


def test_differences_use_only_draws_that_both_trials_have():
    folds = table(
        *(row(trial, "pcb", seed, 0.5, draw=0) for trial in (0, 1) for seed in (1, 2)),
        *(row(0, "pcb", seed, 0.9, draw=1) for seed in (1, 2)),
    )
    board = tables.ranking(folds)
    assert board.loc[1, "difference"] == 0.0
    assert board["complete"].tolist() == [True, False]


def test_one_difference_cannot_tell_trials_apart():
    board = tables.ranking(grid({0: {"pcb": [0.9]}, 1: {"pcb": [0.1]}}))
    assert board["tied"].tolist() == [True, True]
    assert board["low"].isna().all()


def test_an_unfinished_trial_ranks_after_the_complete_ones():
    folds = grid({0: {"pcb": [0.5, 0.5]}, 1: {"pcb": [0.4, 0.4]}, 2: {"pcb": [0.9]}})
    assert tables.ranking(folds)["trial"].tolist() == [0, 1, 2]
    assert tables.best_trial(folds) == 0


def test_equal_averages_go_to_the_lower_trial_whatever_the_rounding():
    # 0.1 + 0.2 and 0.3 + 0.0 differ in the last bit.
    folds = grid({3: {"pcb": [0.3, 0.0]}, 5: {"pcb": [0.1, 0.2]}})
    assert tables.best_trial(folds) == 3


def test_trials_without_a_common_category_are_not_ranked():
    folds = grid({0: {"pcb": [0.5]}, 1: {"tile": [0.4]}})
    assert tables.best_trial(folds) is None
    assert tables.ranking(folds).empty
    assert leave_one_category_out(folds).empty
    assert "average" not in set(tables.summarise(folds)["category"])


def test_no_finished_fold_gives_empty_tables():
    folds = table(row(0, "pcb", 1, np.nan, status="failed: x"))
    assert tables.summarise(folds).empty
    assert tables.best_trial(folds) is None


def test_leave_one_category_out_by_hand():
    # Means:      a    b    c
    # trial 0    0.5  0.5  0.5
    # trial 1    0.9  0.2  0.3
    # trial 2    0.1  0.6  0.5
    # Without a: trial 2 (0.55) scores 0.1 on a. Without b: trial 1 (0.6) scores 0.2 on b.
    # Without c: trial 1 (0.55) scores 0.3 on c. Average 0.2; the best trial's own average is 0.5.
    folds = grid(
        {
            0: {"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.5, 0.5]},
            1: {"a": [0.8, 1.0], "b": [0.2, 0.2], "c": [0.3, 0.3]},
            2: {"a": [0.0, 0.2], "b": [0.6, 0.6], "c": [0.5, 0.5]},
        }
    )
    left_out = leave_one_category_out(folds)
    assert left_out["category"].tolist() == ["a", "b", "c", "average"]
    assert left_out["trial"].tolist() == [2, 1, 1, pd.NA]
    assert left_out["accuracy"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.2])
    # Per seed: (0.0 + 0.2 + 0.3) / 3 and (0.2 + 0.2 + 0.3) / 3; they are 0.2 / 3 apart.
    assert left_out["std"].iloc[-1] == pytest.approx(0.2 / 3 / math.sqrt(2))
    assert tables.best_trial(folds) == 0


def test_leave_one_category_out_ties_go_to_the_lower_trial():
    folds = grid({1: {"a": [0.9], "b": [0.5]}, 0: {"a": [0.2], "b": [0.5]}})
    left_out = leave_one_category_out(folds)
    assert left_out["trial"].tolist() == [0, 1, pd.NA]
    assert left_out["accuracy"].tolist() == pytest.approx([0.2, 0.5, 0.35])


def test_leave_one_category_out_chooses_within_each_shots():
    folds = pd.concat(
        [
            grid({0: {"a": [0.1], "b": [0.2]}, 1: {"a": [0.0], "b": [0.1]}}, shots=1),
            grid({0: {"a": [0.7], "b": [0.6]}, 1: {"a": [0.8], "b": [0.9]}}, shots=5),
        ]
    )
    left_out = leave_one_category_out(folds)
    assert left_out["shots"].tolist() == [1, 1, 1, 5, 5, 5, pd.NA]
    assert left_out["trial"].tolist() == [0, 0, pd.NA, 1, 1, pd.NA, pd.NA]
    assert left_out["accuracy"].tolist() == pytest.approx([0.1, 0.2, 0.15, 0.8, 0.9, 0.85, 0.5])


def test_a_single_category_leaves_nothing_to_choose_on():
    assert leave_one_category_out(grid({0: {"pcb": [0.5]}, 1: {"pcb": [0.4]}})).empty


# --- trials stopped early


def in_state(folds, **states):
    """Say which trials were stopped or go on; all others are done."""
    by_trial = {trial: state for state, trials in states.items() for trial in trials}
    return folds.assign(**{tables.STATE: [by_trial.get(trial, tables.DONE) for trial in folds["trial"]]})


def raced():
    """Trial 2 was lucky on its only fold, and stopped all the same; trial 1 is complete and best."""
    complete = grid({0: {"pcb": [0.5, 0.6], "tile": [0.7, 0.8]}, 1: {"pcb": [0.6, 0.6], "tile": [0.8, 0.8]}})
    return in_state(pd.concat([complete, grid({2: {"pcb": [0.9]}})]), stopped=[2])


def test_a_trial_stopped_early_has_no_average_and_takes_no_category_from_the_others():
    folds = raced()
    assert tables.averaged_categories(folds) == {2: ["pcb", "tile"]}
    summary = tables.over_shots(tables.summarise(folds))
    assert summary.loc[summary["category"] == "average", "trial"].tolist() == [0, 1]
    means = summary.set_index(["trial", "category"])["mean"]
    assert (means[1, "average"], means[2, "pcb"]) == (pytest.approx(0.7), pytest.approx(0.9))


def test_a_trial_stopped_early_is_neither_ranked_nor_chosen_nor_marked_as_best():
    folds = raced()
    assert tables.ranking(folds)["trial"].tolist() == [1, 0]
    assert tables.best_trial(folds) == 1
    assert 2 not in set(leave_one_category_out(folds)["trial"].dropna())
    assert tables.format_table(tables.over_shots(tables.summarise(folds))).loc[[1, 2], "pcb"].tolist() == [
        "60.0 ± 0.0 *",
        f"90.0 ± {DASH}",
    ]


def test_complete_is_a_trial_that_has_all_of_its_folds_and_not_the_one_that_has_the_most():
    """Trial 0 is under way, and has as many folds as any; trial 1 was to have no more than these."""
    folds = grid({0: {"pcb": [0.9, 0.9], "tile": [0.9, 0.9]}, 1: {"pcb": [0.6, 0.6], "tile": [0.8, 0.8]}})
    board = tables.ranking(in_state(folds, open=[0]))
    assert board[["trial", "complete"]].values.tolist() == [[1, True], [0, False]]
    assert tables.pareto(in_state(folds, open=[0, 1])) == []
    assert tables.best_trial(in_state(folds, open=[0, 1])) == 0


def test_shuffled_rows_give_the_same_tables():
    rng = np.random.default_rng(7)
    folds = pd.concat(
        grid({t: {c: rng.random(3).tolist() for c in "abc"} for t in range(4)}, draw=draw) for draw in range(3)
    )
    for functions in (tables.summarise, tables.ranking, leave_one_category_out):
        pd.testing.assert_frame_equal(
            functions(folds), functions(folds.sample(frac=1, random_state=1)), check_exact=True
        )


def test_the_summary_is_written_as_the_contract_says(tmp_path: Path):
    tables.write_summary(tables.summarise(grid({0: {"NA": [0.5], "b, c": [0.25]}})), tmp_path)
    assert (tmp_path / "summary.csv").read_text().splitlines() == [
        "trial,shots,category,mean,std,seeds,categories",
        "0,2,NA,0.5,,1,",
        '0,2,"b, c",0.25,,1,',
        "0,2,average,0.375,,1,2",
        "0,,NA,0.5,,1,",
        '0,,"b, c",0.25,,1,',
        "0,,average,0.375,,1,2",
    ]
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_intervals_are_over_category_and_seed_and_not_over_draws():
    # Two draws whose differences cancel out leave -0.1 in each of the two cells: no spread, so told apart.
    folds = table(
        *(row(0, "pcb", seed, 0.5, draw=draw) for seed in (1, 2) for draw in (0, 1)),
        *(row(1, "pcb", seed, accuracy, draw=draw) for seed in (1, 2) for draw, accuracy in enumerate((0.1, 0.7))),
    )
    second = tables.ranking(folds).loc[1]
    assert second[["difference", "low", "high"]].tolist() == pytest.approx([-0.1, -0.1, -0.1])
    assert not second["tied"]


def test_an_unfinished_trial_is_not_chosen_by_the_others():
    whole = {0: {"a": [0.5, 0.5], "b": [0.5, 0.5]}, 1: {"a": [0.4, 0.4], "b": [0.4, 0.4]}}
    left_out = leave_one_category_out(grid(whole | {2: {"a": [0.9], "b": [0.9]}}))
    assert left_out["trial"].tolist() == [0, 0, pd.NA]


def test_leave_one_category_out_averages_only_seeds_that_every_category_has():
    left_out = leave_one_category_out(grid({0: {"a": [0.2, 0.9], "b": [0.4]}, 1: {"a": [0.1, 0.1], "b": [0.1]}}))
    assert left_out["accuracy"].iloc[-1] == pytest.approx(0.3)
    assert math.isnan(left_out["std"].iloc[-1])


def test_a_trials_score_is_its_average_in_the_summary():
    folds = grid({0: {"pcb": [0.2, 0.4], "tile": [0.6, 0.8]}, 1: {"pcb": [0.5, 0.9]}}).assign(
        seconds=[1, 2, 3, 4, 5, 7]
    )
    scores = tables.trial_scores(folds)
    assert list(scores.columns) == ["mean", "std", "seconds"]
    for trial in (0, 1):
        average = cell(tables.summarise(folds), trial, tables.AVERAGE)
        assert scores.loc[trial, ["mean", "std"]].tolist() == average[["mean", "std"]].tolist()
    assert scores["seconds"].to_list() == [2.5, 6.0]


# --- several numbers of shots

# At five shots `tile` is too small, for every trial alike.
#            2 shots: pcb, tile    5 shots: pcb    averages: 2 shots, 5 shots, both
# trial 0        0.2, 0.4              0.9                  0.3, 0.9, 0.6
# trial 1        0.4, 0.6              0.5                  0.5, 0.5, 0.5
AVERAGED = {2: ["pcb", "tile"], 5: ["pcb"]}


def at_two_and_five() -> pd.DataFrame:
    two = grid({0: {"pcb": [0.1, 0.3], "tile": [0.4, 0.4]}, 1: {"pcb": [0.4, 0.4], "tile": [0.6, 0.6]}})
    five = grid({0: {"pcb": [0.9, 0.9]}, 1: {"pcb": [0.5, 0.5]}}, shots=5)
    return pd.concat([two, five], ignore_index=True)


@pytest.mark.parametrize("marked", [True, False])
def test_the_accuracy_is_the_mean_over_shots_of_the_averages_at_each(marked):
    folds = at_two_and_five()
    summary = tables.summarise(tables.mark_averaged(folds, AVERAGED) if marked else folds)
    means = [cell(summary, 0, name, n)["mean"] for n in (2, 5, None) for name in ("pcb", "average")]
    assert means == pytest.approx([0.2, 0.3, 0.9, 0.9, 0.55, 0.6])
    assert cell(summary, 0, "tile")["mean"] == pytest.approx(0.4)  # over the shots that it has
    assert cell(summary, 0, "average")["std"] == pytest.approx(0.05 / math.sqrt(2))  # of 0.575 and 0.625
    assert [cell(summary, 0, "average", n)["categories"] for n in (2, 5, None)] == [2, 1, 2]


def test_what_is_averaged_is_what_was_decided_and_not_what_has_finished():
    folds = tables.mark_averaged(at_two_and_five(), AVERAGED)
    first = folds[(folds["trial"] == 0) | (folds["category"] == "pcb")]  # trial 1 has not come to tile yet
    average = cell(tables.summarise(first), 0, "average")
    pd.testing.assert_series_equal(average, cell(tables.summarise(folds), 0, "average"), check_names=False)
    assert "average" not in set(tables.over_shots(tables.summarise(first)).query("trial == 1")["category"])


def test_trials_are_ranked_by_their_accuracy_over_the_shots_and_paired_by_category_and_seed():
    board = tables.ranking(tables.mark_averaged(at_two_and_five(), AVERAGED))
    assert board["trial"].tolist() == [0, 1]
    # Cells of trial 1 - trial 0: pcb ((0.3, 0.1) at 2 and -0.4 at 5)/2 = -0.05, -0.15; tile 0.2, 0.2.
    cells = np.array([-0.05, -0.15, 0.2, 0.2])
    half = stats.t.ppf(0.975, 3) * cells.std(ddof=1) / 2
    assert board.loc[1, ["difference", "low", "high"]].tolist() == pytest.approx([-0.1, -0.1 - half, -0.1 + half])


def test_the_pareto_set_holds_what_none_beats_in_both_best_first():
    means = {0: 0.5, 1: 0.9, 2: 0.7, 3: 0.7, 4: 0.6, 5: 0.9, 6: 0.4}
    seconds = {0: 1.0, 1: 9.0, 2: 3.0, 3: 3.0, 4: 3.0, 5: 9.5, 6: 2.0}
    folds = grid({trial: {"pcb": [mean, mean]} for trial, mean in means.items()})
    folds["seconds"] = folds["trial"].map(seconds)
    assert tables.pareto(folds) == [1, 2, 3, 0]
    incomplete = folds.drop(index=folds[(folds["trial"] == 1) & (folds["seed"] == 2)].index)
    assert tables.pareto(incomplete) == [5, 2, 3, 0]


def test_paired_differences_of_many_trials_are_those_of_one_after_the_other():
    rng = np.random.default_rng(3)
    folds = table(
        *(
            row(trial, category, seed, round(float(rng.random()), 2), draw=draw)
            for trial in range(12)
            for category in ("cap", "tile", "pcb")
            for seed in (1, 2)
            for draw in (0, 1)
            if trial < 2 or rng.random() < 0.8 or (seed, draw) == (1, 0)
        )
    )
    board = tables.ranking(folds)
    scores = folds.set_index(["trial", *tables.FOLD])["accuracy"]
    best = scores.loc[board["trial"].iloc[0]]
    for _, found in board.iterrows():
        gaps = (scores.loc[found["trial"]] - best).dropna().groupby(level=["category", "seed"]).mean()
        half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std() / math.sqrt(len(gaps))
        expected = [gaps.mean(), gaps.mean() - half, gaps.mean() + half]
        assert found[["difference", "low", "high"]].tolist() == pytest.approx(expected)
