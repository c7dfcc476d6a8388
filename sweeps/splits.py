"""Which images are support, query or neither: the lists that a sweep's numbers hang on, kept beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fsamc.config import Plan
from fsamc.dataset import Category
from sweeps.files import write_whole
from sweeps.prepare import Prepared


class Split(NamedTuple):
    """One category's images at one number of shots and one draw."""

    category: str
    shots: int
    draw: int
    support: dict[str, tuple[str, ...]]  # per class
    queries: int
    left_out: tuple[str, ...]  # of a group that is in the support


def splits(prepared: Prepared) -> list[Split]:
    """Every split that a fold of the plan may use."""
    return [split for category in prepared.categories.values() for split in _splits(category, prepared.plan)]


def write_splits(found: list[Split], out: Path) -> None:
    """Write support.csv: category, shots, draw, role (`support` or `left out`), image. All others are queries."""
    rows = [
        (split.category, split.shots, split.draw, role, image)
        for split in found
        for role, images in (("support", _flat(split.support)), ("left out", split.left_out))
        for image in images
    ]
    table = pd.DataFrame(rows, columns=["category", "shots", "draw", "role", "image"])
    write_whole(out / "support.csv", table.to_csv(index=False, lineterminator="\n"))


def left_out_lines(found: list[Split]) -> list[str]:
    """A line per category and shots that loses queries, since support and queries never share a physical part."""
    lines = []
    for category, shots in dict.fromkeys((split.category, split.shots) for split in found):
        of_these = [split for split in found if (split.category, split.shots) == (category, shots)]
        most = max(len(split.left_out) for split in of_these)
        if most:
            least = min(split.queries for split in of_these)
            lines.append(
                f"{category}, {shots} shots: {most} images left out, of a physical part that is in the support; "
                f"{least} queries stay"
            )
    return lines


def _splits(category: Category, plan: Plan) -> Iterator[Split]:
    files = plan.base.support.files
    for shots in _shots(plan):
        for draw in plan.folds.draws:
            if category.problem(shots, draw, files=files) is None:
                yield Split(
                    category.name,
                    shots,
                    draw,
                    support=category.support(shots, draw, files=files),
                    queries=len(_flat(category.queries(shots, draw, files=files))),
                    left_out=category.left_out(shots, draw, files=files),
                )


def _shots(plan: Plan) -> list[int]:
    """The numbers of shots that a trial may have."""
    swept = plan.space.get("shots")
    if swept is None:
        return [plan.base.shots]
    values = range(swept.integers[0], swept.integers[1] + 1) if swept.integers else swept.extremes
    return sorted({plan.base.shots, *(int(value) for value in values)})


def _flat(by_class: dict[str, tuple[str, ...]]) -> list[str]:
    return [image for images in by_class.values() for image in images]
