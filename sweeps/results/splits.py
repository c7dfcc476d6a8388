"""Splits of the images into support, query and neither: the lists that a sweep's numbers hang on, kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fsamc.counting import counted
from fsamc.data.category import Category
from fsamc.store.durable import write_whole
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import swept
from sweeps.plan.settings import Plan


class Split(NamedTuple):
    """One category's images at one number of shots and one draw, with `good` as a class or without."""

    category: str
    good: bool
    shots: int
    draw: int
    support: dict[str, tuple[str, ...]]  # per class
    queries: int
    left_out: tuple[str, ...]  # of a group that is in the support
    final: tuple[str, ...] = ()  # kept for the final


def splits(prepared: Prepared) -> list[Split]:
    """List every split that a fold of the plan may use."""
    return [split for category in prepared.categories.values() for split in _splits(category, prepared.plan)]


def write_splits(every: list[Split], out: Path) -> None:
    """Write support.csv: category, good, shots, draw, role (`support`, `left out`, `final`), image.

    All others are queries.
    """
    rows = [
        (split.category, str(split.good).lower(), split.shots, split.draw, role, image)
        for split in every
        for role, images in _roles(split)
        for image in images
    ]
    table = pd.DataFrame(rows, columns=["category", "good", "shots", "draw", "role", "image"])
    write_whole(out / "support.csv", table.to_csv(index=False, lineterminator="\n"))


def lost_query_lines(every: list[Split]) -> list[str]:
    """Say per category and shots how many queries are lost, since support and queries never share a physical part."""
    lines = []
    for category, good, shots in dict.fromkeys(split[:3] for split in every):
        of_these = [split for split in every if split[:3] == (category, good, shots)]
        most = max(len(split.left_out) for split in of_these)
        if most:
            least = min(split.queries for split in of_these)
            of = f"{category} with good" if good else category
            lines.append(
                f"{of}, {counted(shots, 'shot')}: {counted(most, 'image')} left out, "
                f"of a physical part that is in the support; {counted(least, 'query', 'stay')}"
            )
    return lines


def _splits(category: Category, plan: Plan) -> Iterator[Split]:
    files = plan.base.support.files
    for good, shots, draw in product(_goods(plan), plan.folds.shots, plan.folds.draws):
        classes = category.with_classes(good=good)
        if classes.problem(shots, draw, files=files, scored_by=plan.folds.score) is None:
            support = classes.support(shots, draw, files=files)
            if plan.folds.score == "support":
                yield Split(
                    category.name, good, shots, draw, support, queries=len(_flat(classes.apart(support))), left_out=()
                )
                continue
            yield Split(
                category.name,
                good,
                shots,
                draw,
                support=support,
                queries=len(_flat(classes.queries(shots, draw, files=files))),
                left_out=classes.excluded(shots, draw, files=files),
                final=tuple(path for path in classes.defects if classes.group(path) in classes.held),
            )


def _roles(split: Split) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("support", _flat(split.support)), ("left out", split.left_out), ("final", split.final)


def _goods(plan: Plan) -> list[bool]:
    """Whether `good` is a class: what a trial may have it as."""
    distribution = swept(plan).get("good")
    return sorted({plan.base.good, *(distribution.choice or () if distribution else ())})


def _flat(by_class: dict[str, tuple[str, ...]]) -> list[str]:
    return [image for images in by_class.values() for image in images]
