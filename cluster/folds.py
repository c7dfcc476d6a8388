"""Folds as they travel between processes, with what they share and their outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from fsamc.data.category import Category
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.features.weights import identity, named_file
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What all folds of a sweep share."""

    categories: dict[str, Category]
    textures: Textures | None
    store: Path  # artifacts
    results: tuple[Path, ...]  # stores of finished folds: all are read, the first is written
    run: str  # the sweep's name for its builds
    gpus: float  # of one fold or build
    workers: int  # folds that run at once, on the whole cluster
    working_set: float = inf  # bytes of banks and nearest rows that stay in memory while no fold reads them


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One (category, seed, draw) of a configuration."""

    category: str
    seed: int
    draw: int
    config: FoldConfig = field(repr=False)  # Tune writes every report out, and of it pages
    network: str = ""  # what the backbone was when the sweep began (`identity`); empty: whatever it is

    def inputs(self, categories: Mapping[str, Category], textures: Textures | None) -> FoldInputs:
        """Return what the fold reads, and the address of its result. Raises BadInput if the backbone has changed."""
        if self.network and identity(self.config.features) != self.network:
            raise BadInput(
                f"{named_file(self.config.features)}: has changed since the sweep began; start another sweep"
            )
        category = categories[self.category]
        return FoldInputs(category, self.config, seed=self.seed, draw=self.draw, textures=textures)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished fold: its result, or why there is none."""

    fold: Fold
    result: FoldResult | None = field(repr=False)
    reused: bool = False
    error: str | None = None
    fatal: bool = False  # the error will meet every fold alike


def find_result(key: str, results: Iterable[Path]) -> str | None:
    """Return the result of the fold with this key as JSON, if one of the stores has it."""
    texts = (Store(root).get_text("fold", key) for root in results)
    return next((text for text in texts if text is not None), None)


def find_outcome(fold: Fold, shared: Materials) -> Outcome | None:
    """Return the finished fold from the stores; None if none of them has a result that can be read."""
    text = find_result(fold.inputs(shared.categories, shared.textures).key, shared.results)
    try:
        return Outcome(fold=fold, result=FoldResult.from_json(text), reused=True) if text else None
    except (ValueError, TypeError, KeyError):
        return None
