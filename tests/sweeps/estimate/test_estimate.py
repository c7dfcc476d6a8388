"""The dry run: what a sweep consists of, counted; what a fold of each kind takes, measured; and the sum."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cluster.folds import Fold
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from sweeps.estimate import estimate as module
from sweeps.estimate.estimate import Estimate, Seconds, estimate
from sweeps.estimate.measure import Measured, measure
from sweeps.plan.configurations import configuration, variants
from sweeps.progress.eta import Kind, kind_of
from sweeps.request import CheckedRequest, Places, Request
from sweeps.search import make_proposer
from tests.sweeps.small import Lab, fsamc

# The lab: cap has 3 classes of 5 images and 5 good ones, tile 2 classes of 5 and 4; 3 textures, 4 pseudo-defects each.
BUILDS = {"features": 4, "statistics": 2, "pseudo": 2, "sourcerows": 2, "bank": 4, "nearest": 4, "vectors": 6}
SECONDS = {"prototype": 1.0, "contrastive": 10.0}  # for each shot
KINDS = {(head, shots): SECONDS[head] * shots for head in SECONDS for shots in (2, 3)}
FIXED = Measured(
    least=KINDS,
    most={(head, shots): seconds * (3 if head == "contrastive" else 1) for (head, shots), seconds in KINDS.items()},
    per_byte={"features": 0.0, "bank": 1e-3},
)


def checked(lab: Lab, *changes: str, workers: int = 1, **parts: Any) -> CheckedRequest:
    prepared = lab.prepared("folds.shots=[2, 3]", *changes, **parts)
    places = Places(plan="", data=lab.data, textures=lab.textures, cache=lab.root / "cache", tracking_uri=None)
    request = Request(out=lab.root / "new")
    return CheckedRequest(request=request, places=places, prepared=prepared, workers=workers, seconds=None)


@pytest.fixture
def estimated(lab, monkeypatch):
    """The estimate of a plan, were its folds and builds to take what FIXED says."""
    monkeypatch.setattr(module, "measure", lambda *_, **__: FIXED)

    def estimated(*changes: str, **more: Any) -> Estimate:
        request = checked(lab, *changes, **more)
        return estimate(request, make_proposer(request.prepared.plan))

    return estimated


def test_every_fold_takes_as_long_as_the_one_of_its_kind(estimated):
    size = estimated()
    assert size.missing == BUILDS
    assert (size.left, size.finished, size.exact) == (32, 0, True)
    assert {*size.disk} == {"results", *size.missing}
    assert size.folds == Seconds(8 * (2 + 3 + 20 + 30), 8 * (2 + 3 + 3 * 20 + 3 * 30))
    assert size.builds["bank"] > 0 == size.builds["features"]
    assert size.wall == tuple(seconds + size.builds["bank"] for seconds in size.folds)


@pytest.mark.parametrize(("more", "banks"), [("folds.draws=[0,1]", 1), ("folds.seeds=[1,2,3,4]", 2)])
def test_another_draw_costs_no_build_and_another_seed_a_bank(estimated, more, banks):
    once, again = estimated(), estimated(more)
    assert again.left == 2 * once.left
    assert again.folds == tuple(2 * seconds for seconds in once.folds)
    assert again.builds["bank"] == pytest.approx(banks * once.builds["bank"])
    assert again.missing["features"] == once.missing["features"]


def test_workers_share_the_time(estimated):
    assert estimated(workers=2).wall == tuple(seconds / 2 for seconds in estimated().wall)


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_a_search_has_the_folds_of_its_budget(estimated, algorithm):
    size = estimated(f"search={{algorithm: {algorithm}, trials: 3}}", "folds.seeds=[1]")
    assert (size.left, size.exact) == (3 * 2 * 2, algorithm == "random")
    assert 12 * 2 < size.folds.least < 12 * 30


def test_a_grid_of_a_million_is_counted_and_not_listed(lab, capfd, monkeypatch):
    monkeypatch.setattr("sweeps.search.enumerated.points", lambda *_: pytest.fail("the grid is listed"))
    tenths, numbers = {"choice": [n / 10 for n in range(1, 11)]}, {"choice": [*range(1, 11)]}
    space = dict.fromkeys(("pretrain.lr", "pretrain.stop_threshold", "finetune.lr"), tenths)
    space |= dict.fromkeys(("representation.patches", "pretrain.queries", "finetune.epochs.2"), numbers)
    assert fsamc(*lab.words(lab.plan(space=space), "--dry-run")) == 0
    output = capfd.readouterr().out
    assert output.startswith("small: 1000001 trials (grid), 4000004 folds")  # and the base, which is none of them
    assert rows(output)["run folds"][:2] == ["4000004", "0"]


# --- measured


def test_a_measured_fold_leaves_nothing_and_says_what_all_rounds_would_take(lab):
    request, before = checked(lab, "base.pretrain.max_rounds=100"), everything(lab.root)
    configs: dict[Kind, list[Fold]] = {}
    for config in variants(request.prepared.plan):
        for fold in request.prepared.folds(config):
            configs.setdefault(kind_of(fold), []).append(fold)
    measured = measure(request.prepared, configs.values(), cache=request.places.cache, missing={"bank"})
    assert set(measured.least) == set(measured.most) == set(configs)
    for head, shots in configs:
        assert (measured.most[head, shots] > measured.least[head, shots] > 0) == (head == "contrastive")
    assert set(measured.per_byte) == set(BUILDS)
    assert min(measured.per_byte.values()) > 0
    assert everything(lab.root) == before


def test_one_pass_of_fine_tuning_stands_for_all(lab):
    least = []
    for passes in (1, 300):
        request = checked(lab, "space={}", "base.head.kind=contrastive", f"base.finetune.epochs={{2: {passes}}}")
        base = request.prepared.plan.base
        least += measure(
            request.prepared, [request.prepared.folds(base)], cache=lab.root, missing={"bank"}
        ).least.values()
    assert least[1] > 3 * least[0]


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab whose cache holds every fold of small.PLAN."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("estimate"))
    prepared, store = checked(lab).prepared, Store(lab.root / "cache")
    for values in make_proposer(prepared.plan).foreseen():
        for fold in prepared.folds(configuration(prepared.plan, values)):
            where = {"seed": fold.seed, "draw": fold.draw, "textures": prepared.textures}
            result = run_fold(prepared.categories[fold.category], fold.config, store=store, **where)
            store.put_text("fold", result.key, result.to_json())
    return lab


def everything(root: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def rows(output: str) -> dict[str, list[str]]:
    """The table: to do, in the cache and seconds, by row."""
    cells = [[cell.strip() for cell in line.strip("│\n ").split("│")] for line in output.splitlines() if "│" in line]
    return {name: rest for name, *rest in cells}


def test_what_the_cache_has_is_not_built_again_to_be_measured(done):
    request = checked(done)
    measured = measure(
        request.prepared,
        [request.prepared.folds(request.prepared.plan.base)],
        cache=done.root / "cache",
        missing={"bank"},
    )
    assert set(measured.per_byte) == {"bank"}


def test_the_counts_are_those_of_the_sweep_and_the_seconds_are_not_nonsense(done, tmp_path):
    anew = Lab(done.data, done.textures, done.backbone, tmp_path)
    request = checked(anew)
    size = estimate(request, make_proposer(request.prepared.plan))
    store = Store(done.root / "cache")
    assert size.missing == Counter(build.kind for build in store.builds())
    folds = [FoldResult.from_json(store.get_text(kind, key)) for kind, key, _ in store.entries() if kind == "fold"]
    assert size.left == len(folds) == 32
    assert size.folds.least / 20 < sum(sum(fold.stages.values()) for fold in folds) < size.folds.most * 20
    assert 1 / 20 < sum(size.builds.values()) / sum(build.seconds for build in store.builds()) < 20


def test_a_warm_cache_has_nothing_to_build_and_a_finished_fold_is_not_run_again(done, capfd):
    before = everything(done.root)
    assert fsamc(*done.words(done.plan(), "--dry-run", out="new")) == 0
    shown = rows(capfd.readouterr().out)
    assert {name: cells[:2] for name, cells in shown.items() if name.startswith(("build", "run"))} == {
        **{f"build {kind}": ["0", str(count)] for kind, count in BUILDS.items()},
        "run folds": ["0", "16"],
    }
    assert fsamc(*done.words(done.plan(), "--dry-run", "--no-reuse", "folds.seeds=[1,2,3]", out="new")) == 0
    output = capfd.readouterr().out
    assert rows(output)["run folds"][:2] == ["24", "0"]
    assert rows(output)["build bank"][:2] == ["2", "4"]
    assert re.search(r"^time     \d+", output, re.MULTILINE)
    assert everything(done.root) == before
