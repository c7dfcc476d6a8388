"""Descriptions of a classifier's file, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fsamc.classifier.model_file import LEFT_OUT, Record
from fsamc.counting import counted


def described(record: Record, path: Path) -> Iterator[str]:
    """Yield what a file holds: classes, bank, backbone, threshold, accuracy, age and size."""
    yield f"product    {record.category}, {counted(record.good, 'good image')}"
    yield f"classes    {classes_line(record)}"
    yield f"head       {record.config['head']['kind']}, bank {_bank(record.config['reference'])}"
    packed = "packed into the file" if record.backbone.packed else "found by its content"
    yield f"backbone   {'; '.join(one.origin for one in record.backbones)}; {packed}"
    yield f"defective  {_threshold(record)}"
    yield from accuracy_lines(record.scored, len(record.photos))
    yield f"written    {record.written} by fsamc {record.version}, {path.stat().st_size / 1e6:.1f} MB"


def classes_line(record: Record) -> str:
    """Name the classes with their numbers of photos."""
    counts = Counter(photo.label for photo in record.photos)
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def accuracy_lines(scored: Mapping[str, float], photos: int) -> Iterator[str]:
    """Yield how a classifier has scored, a line each."""
    if LEFT_OUT not in scored:
        yield "accuracy   unknown: no photo can be left out; give two of each class or more"
    for how, accuracy in scored.items():
        about = f"by leave-one-out on its {counted(photos, 'photo')}" if how == LEFT_OUT else f"in the {how}"
        yield f"accuracy   {100 * accuracy:.1f} % {about}"


def as_object(record: Record, path: Path) -> dict[str, Any]:
    """Return the same for programs."""
    kept = record.model_dump(mode="json", exclude={"shape", "config"})
    counts = Counter(photo.label for photo in record.photos)
    return {**kept, "classes": dict(counts), "bytes": path.stat().st_size, "config": record.config}


def _bank(reference: Mapping[str, Any]) -> str:
    if reference["kind"] != "patchcore":
        return str(reference["kind"])
    rows = reference["rows"]
    return f"of {rows} rows" if rows else f"of {100 * reference['ratio']:g} % of the good patches"


def _threshold(record: Record) -> str:
    if record.threshold is None:
        return "not told: too few good images to hold some out for a threshold"
    alarms = record.config["detection"]["false_alarms"]
    share = f"{100 * alarms:g} % of held-out good images"
    return f"above an anomaly of {record.threshold:.4g}, set so that {share} exceed it"
