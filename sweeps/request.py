"""What `fsamc sweep` was asked, and whether that can be: the checks in the order of their cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fsamc.data.remote import Source
from fsamc.store.store import Store
from sweeps.checks.disk import check_space, check_writable
from sweeps.checks.nodes import check_nodes
from sweeps.checks.prepare import Prepared, prepare
from sweeps.checks.resources import resolve_resources
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.results.extend import extended
from sweeps.results.identity import check_resumable
from sweeps.results.saved_settings import read_saved_settings, saved_changes
from sweeps.search import Home, check_search
from sweeps.tracking.uri import check_no_password, check_tracking

Mode = Literal["screen", "quiet", "json"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `fsamc sweep` was asked.

    Attributes:
        extend: by how many trials the sweep in `out` is to be extended.
        time_budget: seconds after which no more folds are started.
        view: who looks on.
    """

    plan: str
    changes: tuple[str, ...]
    data: Source
    textures: Source | None
    out: Path
    cache: Path
    backbone: str | None = None
    weights: str | None = None
    tracking_uri: str | None = None
    offline: bool = False
    address: str | None = None
    resume: str = "auto"
    reuse: bool = True
    figures: bool = True
    dry_run: bool = False
    random_backbone: bool = False
    extend: int = 0
    time_budget: float | None = None
    view: Mode = "screen"

    @property
    def runs_at(self) -> str:
        """Where MLflow keeps the runs."""
        return self.tracking_uri or f"sqlite:///{(self.out / 'mlflow.db').absolute()}"

    def home(self, run: str, fingerprint: str) -> Home:
        """What the search is told of its sweep."""
        return Home(out=self.out, run=run, data=fingerprint)


def check(request: Request) -> tuple[Prepared, int]:
    """The plan, ready to run, and how many folds may run at once. Raises BadInput for whatever would stop it."""
    plan = _load(request)
    if request.tracking_uri:
        check_no_password(request.tracking_uri)
    check_writable(request.out)
    check_writable(request.cache)
    plan, workers = resolve_resources(plan, request.address)
    prepared = prepare(
        plan,
        data=request.data,
        textures=request.textures,
        store=Store(request.cache),
        device="cuda" if plan.resources.gpus else "cpu",
        random=request.random_backbone,
    )
    check_resumable(request.out, prepared.plan, prepared.contents, request.resume)
    if request.extend:
        prepared = replace(prepared, plan=extended(prepared.plan, request.out, request.extend))
    check_search(prepared.plan, request.home("", prepared.fingerprint))
    check_space(prepared, cache=request.cache, out=request.out)
    if request.tracking_uri and not request.offline:
        check_tracking(request.tracking_uri, plan.name)
    if request.address:
        differing = check_nodes(prepared, cache=request.cache, out=request.out)
        prepared = replace(prepared, warnings=(*prepared.warnings, *differing))
    return prepared, workers


def _load(request: Request) -> Plan:
    """The plan; of a sweep that has been extended, with the trials it has by now."""
    own = Path(request.plan) == request.out / "plan.yaml"
    kept = saved_changes(read_saved_settings(request.out)) if request.extend or own else []
    changes = [*kept, *request.changes]
    return load_plan(request.plan, changes, backbone=request.backbone, weights=request.weights)
