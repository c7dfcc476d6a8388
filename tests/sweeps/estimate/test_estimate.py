from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.fold.costs import DetectorCost, HeadCost, PseudoCost, finetuning_steps
from fsamc.store.store import Store
from sweeps.checks.prepare import Prepared, prepare
from sweeps.estimate.dry_run import duration
from sweeps.estimate.estimate import Estimate, Seconds, estimate
from sweeps.estimate.probes import Measured
from sweeps.plan.load import load_plan
from sweeps.search import make_proposer
from tests.sweeps.small import Lab, fsamc, notes

# The lab: cap has 3 classes of 5 images and 5 good ones, tile 2 classes of 5 and 4; 3 textures, 4 pseudo-defects each.
PROTOTYPE = ["space={}", "base.head.kind=prototype"]
CONTRASTIVE = ["space={}", "base.head.kind=contrastive"]


@dataclass
class Fixed:
    """Costs that are given."""

    image_: float = 0.0
    pseudo_: PseudoCost = field(default_factory=lambda: PseudoCost(foreground=0.0, defect=0.0))
    detector_: DetectorCost = field(default_factory=lambda: DetectorCost(learn=0.0, compare=0.0))
    head_: HeadCost = field(default_factory=HeadCost)

    def image(self, wanted: FeatureSet | PseudoSet) -> float:
        return self.image_

    def pseudo(self, wanted: PseudoSet) -> PseudoCost:
        return self.pseudo_

    def detector(self, bank: Bank) -> DetectorCost:
        return self.detector_

    def head(self, category: Any, config: Any) -> HeadCost:
        return self.head_

    def steps(self, config: Any, *, n_classes: int) -> int:
        return finetuning_steps(config, n_classes=n_classes)


def prepared(lab: Lab, *changes: str, **parts: Any) -> Prepared:
    plan = load_plan(str(lab.plan(**parts)), changes, backbone=str(lab.backbone))
    store = Store(lab.root / "cache")
    return prepare(plan, data=lab.data, textures=lab.textures, store=store, device="cpu", random=False)


@pytest.fixture
def reckon(lab):
    def reckon(*changes: str, costs: Any, workers: int = 1, **parts: Any) -> Estimate:
        found = prepared(lab, *changes, **parts)
        cache = lab.root / "cache"
        return estimate(found, make_proposer(found.plan), costs, workers=workers, cache=cache, results=(cache,))

    return reckon


# --- counted by hand


def test_classification_counts_support_and_queries(reckon):
    found = reckon(*PROTOTYPE, "folds.seeds=[1]", costs=Fixed(head_=HeadCost(image=1.0, step=100.0, round=1000.0)))
    assert found.folds == Seconds(15 + 10, 15 + 10)


def test_what_is_measured_besides_is_counted(reckon):
    costs = Fixed(head_=HeadCost(image=1.0))
    changes = [*PROTOTYPE, "folds.seeds=[1]", "base.shots=3", "base.pseudo.per_class=8"]
    left_out, tasks = 3 * (3 * 3 + 3 * 2), 5 * (3 * 4 + 2 * 4)
    for more, images in {
        "objective.also=[support]": 15 + 10 + left_out,
        "folds.score=support": left_out,
        "objective={kind: pseudo}": 15 + 10 + tasks,
    }.items():
        assert reckon(*changes, more, costs=costs).folds == Seconds(images, images)


def test_leaving_one_out_tunes_on_one_shot_fewer_and_pseudo_pretrains_again(reckon):
    changes = [*CONTRASTIVE, "folds.seeds=[1]", "base.shots=3", "base.pseudo.per_class=8"]
    plain = [*changes, "base.pretrain.enabled=false", "objective.also=[support]"]
    steps = 10 * (3 * 3 * 2 + 2 * 3 * 2) + 3 * 15 * (3 * 2 * 1 + 2 * 2 * 1)
    assert reckon(*plain, costs=Fixed(head_=HeadCost(step=1.0))).folds.low == steps
    found = reckon(*changes, "objective.also=[pseudo]", costs=Fixed(head_=HeadCost(round=1.0))).folds
    assert found == Seconds(2 * 2, 2 * 2 * 4)


def test_fine_tuning_counts_episodes_by_epochs(reckon):
    changes = [*CONTRASTIVE, "folds.seeds=[1]", "base.shots=3", "base.pretrain.enabled=false"]
    found = reckon(*changes, costs=Fixed(head_=HeadCost(step=1.0)))
    assert found.folds.low == found.folds.high == 10 * (3 * 3 * 2 + 2 * 3 * 2)


def test_pretraining_takes_one_round_at_least_and_all_at_most(reckon):
    costs = Fixed(head_=HeadCost(round=1.0))
    assert reckon(*CONTRASTIVE, costs=costs).folds == Seconds(4, 4 * 4)
    assert reckon(*CONTRASTIVE, "base.pretrain.max_rounds=1", costs=costs).folds == Seconds(4, 4)
    assert reckon(*CONTRASTIVE, "base.pretrain.enabled=false", costs=costs).folds == Seconds(0, 0)


def test_images_go_through_the_backbone_once(reckon):
    found = reckon(costs=Fixed(image_=1.0))
    assert found.builds["features"] == (5 + 15) + (4 + 10)
    assert found.builds["pseudo"] == 2 * 3 * 4


def test_pseudo_defects_need_as_many_foregrounds_as_there_are_good_images(reckon):
    found = reckon(costs=Fixed(pseudo_=PseudoCost(foreground=10.0, defect=1.0)))
    assert found.builds["pseudo"] == 2 * 12 + 10 * (5 + 4)


def test_every_seed_has_a_bank_that_every_defect_is_compared_with(reckon):
    costs = Fixed(detector_=DetectorCost(learn=1.0, compare=100.0, each=10.0))
    found = reckon(costs=costs)
    assert found.builds["bank"] == 2 * (5 + 4)
    assert found.builds["nearest"] == 2 * (15 * (100 + 50) + 10 * (100 + 40))
    assert found.missing == {"features": 4, "pseudo": 2, "bank": 4, "nearest": 4}


# --- properties

ONES = Fixed(
    1.0,
    PseudoCost(foreground=1.0, defect=1.0),
    DetectorCost(learn=1.0, compare=1.0),
    HeadCost(round=1.0, step=1.0, image=1.0),
)


@pytest.mark.parametrize("more", ["folds.draws=[0,1]", "folds.seeds=[1,2,3,4]"])
def test_twice_the_folds_take_twice_the_time(reckon, more):
    once, twice = reckon(costs=ONES), reckon(more, costs=ONES)
    assert twice.left == 2 * once.left == 32
    assert twice.folds == once.folds * 2


def test_another_draw_costs_no_build_and_another_seed_a_bank(reckon):
    once, drawn, seeded = (reckon(*more, costs=ONES) for more in ([], ["folds.draws=[0,1]"], ["folds.seeds=[1,2,3]"]))
    assert drawn.builds == once.builds
    assert seeded.builds["features"] == once.builds["features"]
    assert seeded.builds["bank"] == 1.5 * once.builds["bank"]


def test_ranges_are_in_order_and_workers_share_the_time(reckon):
    alone, two, many = (reckon(costs=ONES, workers=workers) for workers in (1, 2, 1000))
    for found in (alone, two, many):
        assert 0 < found.wall.low < found.wall.high
        assert found.folds == alone.folds
    assert alone.wall == alone.folds + Seconds(*[sum(alone.builds.values())] * 2)
    assert two.wall == alone.wall * 0.5
    chain = (
        15 + 15
    )  # cap's defects are compared once their features and, ten seconds after the start, the bank is there
    steps = 10 * 3 * 3 * 2  # of cap at three shots
    assert many.wall == Seconds(chain + 15 + steps + 1, chain + 15 + steps + 4)


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_a_search_is_reckoned_by_the_ends_of_its_space(reckon, algorithm):
    space = {"finetune.epochs.2": {"integers": [0, 20]}}
    changes = ["base.head.kind=contrastive", "base.pretrain.enabled=false", "folds.seeds=[1]"]
    search = {"algorithm": algorithm, "trials": 20}
    found = reckon(*changes, costs=Fixed(head_=HeadCost(step=1.0)), space=space, search=search)
    per_epoch = 3 * 2 + 2 * 2
    assert not found.exact
    assert found.folds.low == pytest.approx(20 * per_epoch * (15 + 0 + 20) / 3)
    assert found.left == pytest.approx(20 * 2)


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (100, "2 min"), (3000, "50 min"), (9000, "2.5 h")])
def test_a_duration_is_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


# --- against what is


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab with a finished sweep of small.PLAN in `out`, and its cache."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("estimate"))
    lab.sweep(lab.plan())
    return lab


def everything(root: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def rows(output: str) -> dict[str, list[str]]:
    """The table: to do, in the cache and seconds, by row."""
    cells = [[cell.strip() for cell in line.strip("│\n ").split("│")] for line in output.splitlines() if "│" in line]
    return {name: rest for name, *rest in cells}


@pytest.mark.ray
def test_the_counts_are_those_of_the_sweep_and_the_seconds_are_not_nonsense(done):
    found = prepared(done)
    costs = Measured((2, 3))
    nowhere = done.root / "nowhere"
    guess = estimate(found, make_proposer(found.plan), costs, workers=1, cache=nowhere, results=(nowhere,))
    assert guess.missing == notes(done.root / "out")["builds"]
    folds = pd.read_csv(done.root / "out" / "folds.csv")
    assert guess.left == len(folds)
    seconds = folds["seconds"].sum()
    print(f"predicted {guess.folds.low:.2f} to {guess.folds.high:.2f} s, taken {seconds:.2f} s")
    assert guess.folds.low / 20 < seconds < guess.folds.high * 20
    built = sum(notes(done.root / "out")["build_seconds"].values())
    print(f"builds: predicted {sum(guess.builds.values()):.2f} s, taken {built:.2f} s")


@pytest.mark.ray
def test_a_warm_cache_has_nothing_to_build_and_a_finished_fold_is_not_run_again(done, capfd):
    before = everything(done.root)
    assert fsamc(*done.words(done.plan(), "--dry-run", out="new")) == 0
    shown = rows(capfd.readouterr().out)
    assert {name: cells[:2] for name, cells in shown.items() if name.startswith(("build", "run"))} == {
        "build features": ["0", "4"],
        "build pseudo": ["0", "2"],
        "build bank": ["0", "4"],
        "build nearest": ["0", "4"],
        "run folds": ["0", "16"],
    }
    assert fsamc(*done.words(done.plan(), "--dry-run", "--no-reuse", "folds.seeds=[1,2,3]", out="new")) == 0
    output = capfd.readouterr().out
    assert rows(output)["run folds"][:2] == ["24", "0"]
    assert rows(output)["build bank"][:2] == ["2", "4"]
    assert re.search(r"^time     \d+ (s|min)", output, re.MULTILINE)
    assert everything(done.root) == before
