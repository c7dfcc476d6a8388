"""Measurement of folds: one of each kind that a sweep has is run here, in a store that is thrown away."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.folds import Fold
from fsamc.artifacts.base import Artifact
from fsamc.config.dotted import updated
from fsamc.fold.run import run_fold
from fsamc.store.store import TEMPORARY, Store
from sweeps.checks.disk import is_cached
from sweeps.checks.prepare import Prepared
from sweeps.progress.eta import Kind, kind_of

_ROUNDS = 2  # of pretraining that are run; more take as long each


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What folds of each kind took, and the builds that they needed.

    Attributes:
        least, most: seconds of a fold by kind, its builds left out: with the rounds of pretraining that were run, and
            with `pretrain.max_rounds`.
        per_byte: seconds of a build by kind, for each byte that it keeps.
    """

    least: dict[Kind, float] = field(default_factory=dict)
    most: dict[Kind, float] = field(default_factory=dict)
    per_byte: dict[str, float] = field(default_factory=dict)


def measure(prepared: Prepared, alike: Iterable[Sequence[Fold]], *, cache: Path, missing: Collection[str]) -> Measured:
    """Run one of each set of folds that are alike, on its category of middle size. Writes nothing that stays.

    `missing`: kinds of artifacts whose builds are to be measured; others are taken from the cache where it has them.
    """
    measured, artifacts = Measured(), dict[str, Artifact]()
    beside = cache / TEMPORARY  # on the cache's disk, where its files can have a second name
    with TemporaryDirectory(prefix="fsamc-", dir=beside if os.access(beside, os.W_OK) else None) as folder:
        store = Store(Path(folder))
        for folds in alike:
            fold = _middle(prepared, folds)
            for artifact in fold.inputs(prepared.categories, prepared.textures).artifacts:
                artifacts[artifact.key] = artifact
                if artifact.kind not in missing and is_cached(artifact, cache):
                    _take(cache / artifact.kind / artifact.key, store.folder(artifact.kind) / artifact.key)
            measured.least[kind_of(fold)], measured.most[kind_of(fold)] = _seconds(prepared, fold, store)
        for kind in {build.kind for build in store.builds()}:
            built = [build for build in store.builds() if build.kind == kind]
            kept = sum(artifacts[build.key].nbytes for build in built)
            measured.per_byte[kind] = sum(build.seconds for build in built) / kept
    return measured


def _take(artifact: Path, place: Path) -> None:
    """Give an artifact's files a second name in the folder `place`, or copy them to another disk."""
    if place.exists():
        return
    place.mkdir(parents=True)
    for file in artifact.iterdir():
        try:
            os.link(file, place / file.name)
        except OSError:
            shutil.copyfile(file, place / file.name)


def _middle(prepared: Prepared, folds: Sequence[Fold]) -> Fold:
    """Return a fold of the category with the median number of images."""
    by_category = {fold.category: fold for fold in folds}
    by_size = sorted(by_category, key=lambda name: len(prepared.categories[name].images))
    return by_category[by_size[len(by_size) // 2]]


def _seconds(prepared: Prepared, fold: Fold, store: Store) -> tuple[float, float]:
    """Return the fold's seconds, its builds left out: with few rounds of pretraining, and with all there may be.

    One pass of fine-tuning is run and stands for all, unless the fold fine-tunes more than once.
    """
    config, most_rounds = fold.config, fold.config.pretrain.max_rounds
    pseudo = "pseudo" in config.scoring.measure
    changes: dict[str, Any] = {"pretrain.max_rounds": min(_ROUNDS, most_rounds)}
    if not (pseudo or config.scoring.leaves_out):
        changes["finetune.epochs"] = {shots: min(1, passes) for shots, passes in config.finetune.epochs.items()}
    result = run_fold(
        prepared.categories[fold.category],
        updated(config, changes),
        seed=fold.seed,
        draw=fold.draw,
        store=store,
        textures=prepared.textures,
    )
    least = sum(result.stages.values())
    if result.finetuning:
        a_pass = result.stages["finetune"] / len(result.finetuning)
        least += a_pass * (config.finetune.epochs_for(config.shots) - len(result.finetuning))
    a_round = result.stages.get("pretrain", 0.0) / max(1, result.rounds)
    pretrainings = 1 + pseudo  # that measure has its own head, pretrained anew
    return least, least + pretrainings * a_round * (most_rounds - result.rounds)
