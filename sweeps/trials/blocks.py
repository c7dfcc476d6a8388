"""Blocks of categories whose banks lie in memory together: a sweep ends one block's folds before it begins the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.folds import Fold
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import variants

Blocks = Sequence[frozenset[str]]


def blocks_of(prepared: Prepared, most: float) -> Blocks:
    """Put the categories in blocks, in their order, as many as `most` bytes hold; one that is too large has its own.

    What a category takes is reckoned from the base and the ends of the space.
    """
    blocks: list[list[str]] = []
    left = 0.0
    for name, size in _sizes(prepared).items():
        if not blocks or size > left:
            blocks.append([])
            left = most
        blocks[-1].append(name)
        left -= size
    return [frozenset(block) for block in blocks]


def passes(prepared: Prepared, blocks: Blocks) -> Blocks:
    """Return the blocks to run one after the other, each with all trials; a single block where the search forbids that.

    A search that learns from a trial, or stops one early, has to see it whole before it proposes the next.
    """
    search = prepared.plan.search
    whole = search.algorithm == "optuna" or search.stops_by != "none"
    return [frozenset(prepared.categories)] if whole or not blocks else blocks


def by_block(folds: Sequence[Fold], blocks: Blocks) -> list[Fold]:
    """Sort a trial's folds block by block, otherwise as they were."""
    place = {name: number for number, block in enumerate(blocks) for name in block}
    return sorted(folds, key=lambda fold: place[fold.category])


def _sizes(prepared: Prepared) -> dict[str, int]:
    """Count the bytes that each category's banks and nearest rows take in memory, those of all seeds."""
    by_key: dict[str, dict[str, int]] = {name: {} for name in prepared.categories}
    for category, key, size in _served(prepared):
        by_key[category][key] = size
    return {category: sum(sizes.values()) for category, sizes in by_key.items()}


def _served(prepared: Prepared) -> Iterator[tuple[str, str, int]]:
    for config in variants(prepared.plan):
        for fold in prepared.folds(config):
            for artifact in fold.inputs(prepared.categories, prepared.textures).artifacts:
                if artifact.served_by:
                    yield fold.category, artifact.key, artifact.nbytes
