"""Everything that can be wrong is found here, before work starts and before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.runtime import Fold
from fsamc.artifacts import Bank, FeatureSet, PseudoSet
from fsamc.config import FoldConfig, Plan
from fsamc.config.dotted import updated
from fsamc.dataset import Category, find_categories, load_category
from fsamc.errors import BadInput
from fsamc.inputs import fold_inputs, pretrains
from fsamc.store import Artifact, Store, digest
from fsamc.textures import Textures, load_textures
from fsamc.weights import RANDOM_MARK, is_random
from sweeps.plan import configuration


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan that can run: resolved, with its data loaded and checked.

    Attributes:
        plan: with every `auto` that changes a result resolved.
        categories: by name, in natural order.
        textures: None where nothing is pretrained.
        warnings: one line each.
        marks: what must stand on everything that shows a number.
    """

    plan: Plan
    categories: dict[str, Category]
    textures: Textures | None
    warnings: tuple[str, ...]
    marks: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of the data: images, groups and textures."""
        textures = sorted(self.textures.digests.items()) if self.textures else None
        return digest([category.fingerprint for category in self.categories.values()], textures)

    def folds(self, config: FoldConfig) -> list[Fold]:
        """The folds that score a configuration; a category that is too small for its shots gives none."""
        return [
            Fold(category=name, seed=seed, draw=draw, config=config)
            for name, category in self.categories.items()
            for seed in self.plan.folds.seeds
            for draw in self.plan.folds.draws
            if category.problem(config.shots, draw, files=config.support.files) is None
        ]


def prepare(plan: Plan, *, data: Path, textures: Path | None, store: Store, device: str, random: bool) -> Prepared:
    """Load and check the data, the textures and the backbone, and resolve what is `auto`.

    Args:
        plan: as loaded.
        data: folder of categories.
        textures: DTD-layout folder; may be None if no trial pretrains.
        store: remembers which categories have been read through.
        device: `cpu` or `cuda`, what the folds will run on.
        random: whether `backbone: auto` may fall back to random weights.

    Raises:
        BadInput: the first thing found that would stop the sweep later.
    """
    plan = _resolve_compute(plan, device)
    categories = {name: load_category(data, name) for name in _wanted(plan, find_categories(data), data)}
    warnings = list(_too_small(plan, categories))
    given = _textures(plan, textures)
    plan, marks = _check_backbones(plan, random=random)
    _read_through(categories.values(), given, store)
    plan = _resolve_foreground(plan, categories, given)
    return Prepared(plan=plan, categories=categories, textures=given, warnings=tuple(warnings), marks=tuple(marks))


def check_space(prepared: Prepared, *, cache: Path, out: Path) -> None:
    """Raise BadInput if the disks cannot hold what the sweep will write."""
    missing = {artifact.key: artifact for artifact in _artifacts(prepared) if not Store(cache).has(artifact)}
    _require(cache, sum(_bytes(artifact) for artifact in missing.values()), "the cache")
    _require(out, 64 << 20, "the results")


def _wanted(plan: Plan, found: list[str], data: Path) -> list[str]:
    if plan.folds.categories == "all":
        return found
    for name in plan.folds.categories:
        if name not in found:
            raise BadInput(f"folds.categories: {data / name}: no such category; found {', '.join(found)}")
    return [name for name in found if name in plan.folds.categories]


def _configurations(plan: Plan) -> Iterator[FoldConfig]:
    """The base, and the base with every end of every range: each setting that may occur, by itself."""
    yield plan.base
    for key, given in plan.space.items():
        for value in given.extremes:
            yield updated(plan.base, {key: value})


def _too_small(plan: Plan, categories: dict[str, Category]) -> Iterator[str]:
    """A line per category that some shots are too many for. Raises BadInput if no fold is left at all."""
    problems: dict[str, None] = {}
    possible = False
    for config in _configurations(plan):
        for category in categories.values():
            for draw in plan.folds.draws:
                problem = category.problem(config.shots, draw, files=config.support.files)
                possible |= problem is None
                if problem:
                    problems.setdefault(f"left out at {config.shots} shots: {problem}")
    if not possible:
        first = next(iter(problems)).partition(": ")[2]
        raise BadInput(f"no category is large enough for {plan.base.shots} shots: {first}; lower base.shots")
    yield from problems


def _textures(plan: Plan, folder: Path | None) -> Textures | None:
    configs = [config for config in _configurations(plan) if pretrains(config)]
    if not configs:
        return None
    if folder is None:
        raise BadInput("pretrain.enabled needs pseudo-defects: give --textures DIR, or set base.pretrain.enabled=false")
    textures = load_textures(folder)
    for config in configs:
        textures.chosen(config.pseudo.textures_per_class)
        if config.pretrain.pseudo_classes > len(textures.classes):
            raise BadInput(
                f"pretrain.pseudo_classes is {config.pretrain.pseudo_classes}, but {folder} holds "
                f"{len(textures.classes)} texture classes; lower it or add textures"
            )
    return textures


def _resolve_compute(plan: Plan, device: str) -> Plan:
    base = updated(plan.base, {"compute.device": device, "compute.threads": plan.resources.cpus})
    if base.features.precision == "auto":
        base = updated(base, {"features.precision": "bf16" if device == "cuda" else "fp32"})
    return plan.model_copy(update={"base": base})


def _check_backbones(plan: Plan, *, random: bool) -> tuple[Plan, list[str]]:
    """Load every backbone that a trial may use. `auto` becomes a name, and random weights where it must."""
    from fsamc.backbone import load_backbone  # torch takes seconds, and a misspelt plan should be told at once

    plan = _resolve_backbone(plan, random=random)
    for features in dict.fromkeys(config.features for config in _configurations(plan)):
        load_backbone(features, "cpu")
    return plan, [RANDOM_MARK] if any(is_random(config.features) for config in _configurations(plan)) else []


def _resolve_backbone(plan: Plan, *, random: bool) -> Plan:
    if plan.base.features.backbone != "auto":
        return plan
    from fsamc.backbone import load_backbone

    base = updated(plan.base, {"features.backbone": "resnet50"})
    try:
        load_backbone(base.features, "cpu")
    except BadInput:
        if not random:
            raise
        base = updated(base, {"features.weights": "random"})
    return plan.model_copy(update={"base": base})


def _read_through(categories: Iterable[Category], textures: Textures | None, store: Store) -> None:
    """Decode every image once per content: a truncated file must not stop a sweep in the night."""
    from fsamc.inspection import check_images

    for category in categories:
        if store.get_text("checked", category.fingerprint) is None:
            check_images(category)
    if textures is not None:
        check_images(textures)


def remember_checks(prepared: Prepared, store: Store) -> None:
    """Note that the categories' images are readable, so that the next sweep on them starts at once."""
    for category in prepared.categories.values():
        if store.get_text("checked", category.fingerprint) is None:
            store.put_text("checked", category.fingerprint, "{}")


def _resolve_foreground(plan: Plan, categories: dict[str, Category], textures: Textures | None) -> Plan:
    """Choose the foreground's method where it is `auto`, so that it is written down with the plan."""
    if textures is None:
        return plan
    from fsamc.building import foreground_method

    base = plan.base
    chosen = {
        name: foreground_method(
            PseudoSet(
                category=category,
                textures=textures,
                pseudo=base.pseudo,
                features=base.features,
                compute=base.compute,
            )
        )
        for name, category in categories.items()
    }
    return plan.model_copy(update={"base": updated(base, {"pseudo.foreground": chosen})})


def _artifacts(prepared: Prepared) -> Iterator[Artifact]:
    for config in _configurations(prepared.plan):
        for fold in prepared.folds(config):
            category = prepared.categories[fold.category]
            yield from fold_inputs(
                category, config, seed=fold.seed, draw=fold.draw, textures=prepared.textures
            ).artifacts()


def _bytes(artifact: Any) -> int:
    """Roughly what an artifact takes on disk."""
    from fsamc.backbone import load_backbone

    if isinstance(artifact, Bank):
        return int(_bytes(artifact.good) * artifact.reference.ratio)
    if not isinstance(artifact, FeatureSet | PseudoSet):
        return _bytes(artifact.queries) // 200
    pictures = (
        len(artifact.pictures)
        if isinstance(artifact, FeatureSet)
        else artifact.pseudo.per_class * len(artifact.textures.classes)
    )
    return pictures * load_backbone(artifact.features, "cpu").patches * artifact.features.dim * 2


def _require(folder: Path, needed: int, what: str) -> None:
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise BadInput(
            f"{folder}: {what} need about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; "
            "make room or choose another folder"
        )


def expected_folds(prepared: Prepared, values: Iterable[dict[str, Any]]) -> int:
    """How many folds these trials have."""
    return sum(len(prepared.folds(configuration(prepared.plan, each))) for each in values)
