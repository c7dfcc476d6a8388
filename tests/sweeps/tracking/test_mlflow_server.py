"""A real MLflow server: it is away from start to end of a sweep, and is looked at in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from sweeps.tracking import MlflowSync, track
from sweeps.tracking.views import HEADS, SWEEPS, TRIALS, address
from tests.mlflow_server import MlflowServer, mlflow_server
from tests.sweeps.in_mlflow import contents
from tests.sweeps.outs import PLAN, Out
from tests.sweeps.small import fsamc


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.slow
def test_a_server_that_is_away_is_told_of_and_delivered_to_later(server, tmp_path):
    plan = PLAN.model_copy(update={"resources": PLAN.resources.model_copy(update={"tracking_patience": 0.0})})
    out = Out(tmp_path / "out", sweep="away", plan=plan)
    server.kill()
    try:
        with MlflowSync(out.root, out.plan, server.uri) as sync:
            out.trial(0)
            out.trial(1)
            out.end()
            assert sync.finish().startswith("2 trials are not delivered to MLflow (")
        assert fsamc("track", out.root, "--tracking-uri", server.uri) == 2
    finally:
        server.start()
    assert track(out.root, server.uri) == 2
    found = contents(server.uri, PLAN.name, "away", tmp_path / "found")
    assert {name: run["status"] for name, run in found.items()} == dict.fromkeys(("parent", "0", "1"), "FINISHED")


# --- as people see it


@pytest.fixture
def page(browser) -> Iterator[Any]:
    """A page of its own for each test: where only the address behind # changes, MLflow keeps what it showed before."""
    page = browser.new_page(viewport={"width": 1800, "height": 1000})
    yield page
    page.close()


@pytest.fixture(scope="module")
def shown(server, tmp_path_factory) -> str:
    """An ended sweep of four trials on the server; its experiment."""
    out = Out(
        tmp_path_factory.mktemp("shown") / "results", sweep="shown", plan=PLAN.model_copy(update={"name": "shown"})
    )
    for number in range(4):
        out.trial(number)
    out.end()
    with MlflowSync(out.root, out.plan, server.uri) as sync:
        assert sync.finish() is None
        return sync.page.split("/")[3]


def test_the_experiment_opens_on_the_trials_from_the_best_to_the_worst(page, server, shown):
    page.goto(server.uri + address(shown))
    page.wait_for_selector("text=trial 0: prototype", timeout=60_000)
    page.wait_for_selector("[role=columnheader]:has-text('representation.patches')", timeout=60_000)
    client = MlflowClient(server.uri)
    accuracy = {run.info.run_name: run.data.metrics["accuracy"] for run in client.search_runs([shown])}
    top = {name: page.locator(f"a:has-text('{name.partition(',')[0]}')").first.bounding_box()["y"] for name in accuracy}
    assert len(accuracy) == 5
    assert accuracy["shown: results"] == max(accuracy.values()), "the sweep has the accuracy of its best trial"
    downwards = [accuracy[name] for name in sorted(top, key=top.__getitem__)]
    assert downwards == sorted(accuracy.values(), reverse=True)


def test_the_sweeps_are_shown_with_nested_children_and_the_accuracy_columns(page, server, shown):
    page.goto(server.uri + address(shown, SWEEPS))
    page.wait_for_selector("text=shown: results", timeout=60_000)
    page.wait_for_selector("text=trial 0: prototype", timeout=60_000)
    for column in (
        "User",
        "Source",
        "accuracy",
        "accuracy_std",
        "accuracy/cap",
        "accuracy/tile",
        "head.kind",
        "representation.patches",
    ):
        page.wait_for_selector(f"[role=columnheader]:has-text('{column}')", timeout=60_000)
    sweep, trial = (page.locator(f"a:has-text('{name}')").first for name in ("shown: results", "trial 3: "))
    assert sweep.bounding_box()["x"] < trial.bounding_box()["x"], "a trial stands below its sweep, and farther right"
    assert sum(f"trial {number}: " in page.inner_text("body") for number in range(4)) == 4
    page.click("text=shown: results")
    page.wait_for_selector("text=nested below", timeout=60_000)


@pytest.mark.parametrize("view", [TRIALS, HEADS])
def test_charts_set_trials_and_heads_side_by_side(page, server, shown, view):
    page.goto(server.uri + address(shown, view, charts=True))
    page.wait_for_selector("text=accuracy/tile", timeout=60_000)
    page.wait_for_selector("svg.main-svg, canvas", timeout=60_000)
    if view == HEADS:
        page.wait_for_selector("text=Group: contrastive", timeout=60_000)
