"""Sweep from a request to its table: check, in the order of what each check costs; start Ray; run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import ray
from rich.console import Console

from fsamc.data.remote import source
from fsamc.errors import BadInput
from fsamc.reading import Tell, silent
from fsamc.store.store import Store
from sweeps.checks.disk import check_cache_readable, check_databases, check_out, check_space, check_writable
from sweeps.checks.nodes import check_nodes
from sweeps.checks.prepare import prepare
from sweeps.checks.resources import resolve_resources, start_ray
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.progress.counter import announce
from sweeps.progress.events import Noted
from sweeps.progress.lines import make_view
from sweeps.progress.reading_bar import reading_bar
from sweeps.request import CheckedRequest, Places, Request, default_cache
from sweeps.results.identity import check_resumable, extended, with_backbone_of
from sweeps.results.lock import lock
from sweeps.results.saved_settings import SavedSettings, read_saved_settings, saved_changes
from sweeps.run import SweepRun
from sweeps.search import Home, check_search, make_proposer
from sweeps.tracking.uri import check_no_password, check_tracking
from sweeps.trials.interrupts import Interrupts, seconds_of
from sweeps.trials.status import is_finished


def run_sweep(request: Request, console: Console) -> None:
    """Run a sweep and write its results.

    A Ray that is up in this process already is used, and stays up. A sweep that is finished starts none.

    Raises:
        BadInput: before anything is written.
        Unfinished: a fold failed, the sweep was interrupted, or it could not go on.
    """
    started = time.monotonic()
    view, ray_was_up = make_view(request.view, console), ray.is_initialized()
    try:
        with reading_bar(view.console, "checking the plan, the images and the backbone") as tell:
            checked = check(request, tell)
        proposer = make_proposer(checked.prepared.plan)
        announce(checked.prepared, proposer, out=request.out, view=view)
        if notice := proposer.notice():
            view.tell(Noted(text=notice))
        if request.dry_run:
            from sweeps.estimate.dry_run import dry_run  # here, because it loads torch

            dry_run(checked, proposer, console)
            return
        if request.extend or not is_finished(request.out):
            with view.console.status("starting Ray"):  # before OUT is touched
                start_ray(checked.prepared.plan, checked.workers)
        with lock(request.out), Interrupts(checked.seconds, started=started) as interrupts:
            SweepRun(checked, interrupts, view).run()
    finally:
        if not ray_was_up:
            ray.shutdown()


def check(request: Request, tell: Tell = silent) -> CheckedRequest:
    """Load the plan and its data, ready to run; `tell` hears of each picture that is read.

    Raises BadInput for whatever would stop the sweep later.
    """
    if request.json and (request.quiet or request.dry_run):
        other = "--quiet" if request.quiet else "--dry-run"
        raise BadInput(f"--json and {other} exclude each other; leave one out")
    seconds = seconds_of(request.time_budget) if request.time_budget else None
    out, places = request.out, _places(request)
    plan = _load(request, places.plan)
    if places.tracking_uri:
        check_no_password(places.tracking_uri)
    check_out(out)
    check_writable(places.cache)
    check_cache_readable(places.cache)
    plan, workers = resolve_resources(plan, request.address)
    prepared = prepare(
        with_backbone_of(plan, out),
        data=places.data,
        textures=places.textures,
        store=Store(places.cache),
        device="cuda" if plan.resources.gpus else "cpu",
        tell=tell,
    )
    check_resumable(out, prepared.plan, prepared.contents, request.resume)
    check_databases(out)
    if request.extend:
        prepared = replace(prepared, plan=extended(prepared.plan, out, request.extend))
    check_search(prepared.plan, Home(out=out, run="", data=prepared.fingerprint))
    check_space(prepared, cache=places.cache, out=out)
    if places.tracking_uri and not request.offline:
        check_tracking(places.tracking_uri, plan.name, deadline=plan.resources.deadline)
    if request.address:
        differing = check_nodes(prepared, cache=places.cache, out=out)
        prepared = replace(prepared, warnings=(*prepared.warnings, *differing))
    return CheckedRequest(request=request, places=places, prepared=prepared, workers=workers, seconds=seconds)


def _places(request: Request) -> Places:
    """Fill in what the request leaves out. Raises BadInput where OUT holds no sweep that says it."""
    saved = read_saved_settings(request.out) if request.plan is None or request.data is None else SavedSettings()
    plan = request.plan or saved.plan
    data = source(request.data, "--data") if request.data else saved.data
    if plan is None or data is None:
        name = "PLAN" if plan is None else "--data"
        raise BadInput(
            f"{name} is missing, and {request.out} holds no sweep that says it; `fsamc sweep --help` lists what there "
            "is"
        )
    return Places(
        plan=plan,
        data=data,
        textures=source(request.textures, "--textures") if request.textures else saved.textures,
        cache=request.cache or saved.cache or default_cache(),
        tracking_uri=request.tracking_uri or saved.tracking_uri,
    )


def _load(request: Request, source_of_plan: str) -> Plan:
    """Load the plan; of a sweep that has been extended, with the trials it has by now."""
    own = Path(source_of_plan) == request.out / "plan.yaml"
    saved = saved_changes(read_saved_settings(request.out)) if request.extend or own else []
    changes = [*saved, *(request.changes or ())]
    return load_plan(source_of_plan, changes, backbone=request.backbone, weights=request.weights)
