"""Account of a sweep: what ran, what it cost and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsamc.counting import counted
from sweeps.plan.configurations import swept
from sweeps.plan.labels import written
from sweeps.report.document.numbers import duration, listed
from sweeps.report.document.report_blocks import Table
from sweeps.report.evidence import Evidence
from sweeps.results import tables
from sweeps.results.usage import saved_by

MOST_REASONS = 20


def what_ran(evidence: Evidence) -> Table:
    """List plan, trials, folds, and what identifies data and software."""
    folds, notes = evidence.folds, evidence.notes
    scored = len(tables.finished(folds))
    rows = [
        ("status", str(notes.get("status", "unknown"))),
        ("trials", f"{folds['trial'].nunique()}, proposed by {evidence.plan.search.algorithm}; trial 0 is the base"),
        ("folds", f"{scored} scored, {len(folds) - scored} failed"),
        ("categories", listed(sorted(folds["category"].unique()))),
        ("seeds", listed(sorted(folds["seed"].unique()))),
        ("draws", listed(sorted(folds["draw"].unique()))),
        ("shots", listed(sorted(folds["shots"].unique()))),
        ("heads", listed(sorted(folds["head"].unique()))),
        *((key, _distribution(evidence, key)) for key in evidence.keys),
        ("backbone", "; ".join(notes.get("backbones", []))),
        ("data fingerprint", str(notes.get("fingerprint", ""))),
        ("software", listed((f"{name} {version}" for name, version in notes.get("versions", {}).items()), most=20)),
        ("tracking", str(notes.get("tracking_uri", ""))),
    ]
    return Table.of(["", ""], [row for row in rows if row[1]], names=2)


def _distribution(evidence: Evidence, key: str) -> str:
    space = swept(evidence.plan)[key]
    bounds = space.extremes
    values = listed(map(written, bounds)) if space.form == "choice" else f"{bounds[0]} to {bounds[1]}"
    when = "".join(f", when {key} is {' or '.join(map(written, allowed))}" for key, allowed in space.when.items())
    return f"{space.form}: {values}{when}"


def what_was_spent(evidence: Evidence) -> Table:
    """Sum up time, folds, builds and memory."""
    notes, seconds = evidence.notes, evidence.folds["seconds"]
    peak = notes.get("peak_memory_bytes")
    took = notes.get("build_seconds", {})
    builds = (
        f"{kind} {count}{f' ({duration(took[kind])})' if kind in took else ''}"
        for kind, count in notes.get("builds", {}).items()
    )
    rows = [
        ("wall time", duration(notes["seconds"]) if "seconds" in notes else ""),
        (
            "time in folds",
            f"{duration(seconds.sum())}, {duration(seconds.mean())} a fold, longest {duration(seconds.max())}",
        ),
        ("folds saved", _saved(notes)),
        ("folds taken from earlier sweeps", str(notes.get("folds_reused", ""))),
        ("built", listed(builds)),
        ("peak memory", f"{peak / 2**30:.2f} GiB" if peak else ""),
    ]
    return Table.of(["", ""], [row for row in rows if row[1]], names=2)


def _saved(notes: Mapping[str, Any]) -> str:
    told = saved_by(notes)
    return f"{counted(notes['folds_saved'], 'fold')}, {told}; {notes['folds_scored']} were scored" if told else ""


def seconds_per_stage(evidence: Evidence) -> Table | None:
    """Sum up seconds per stage of a fold; None where they were not noted."""
    stages = evidence.notes.get("stages", {})
    total = sum(stages.values()) or 1.0
    rows = [
        [name, duration(seconds), f"{100 * seconds / total:.1f}"]
        for name, seconds in sorted(stages.items(), key=lambda stage: -stage[1])
    ]
    return Table.of(["stage", "time", "share, %"], rows) if rows else None


def failures(evidence: Evidence) -> Table | None:
    """List failed folds by reason, the most frequent first."""
    failed = evidence.folds[evidence.folds["status"] != "ok"]
    by_reason = sorted(failed.groupby("status"), key=lambda group: -len(group[1]))
    rows = [
        [
            str(reason).removeprefix("failed: "),
            listed(sorted(group["trial"].unique())),
            listed(sorted(group["category"].unique())),
            counted(len(group), "fold"),
        ]
        for reason, group in by_reason[:MOST_REASONS]
    ]
    return Table.of(["reason", "trials", "categories", "folds"], rows, names=3) if rows else None
