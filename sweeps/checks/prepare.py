"""Checks of the plan and its inputs, before work starts and before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from cluster.folds import Fold
from fsamc.config.dotted import updated
from fsamc.config.features import Features
from fsamc.counting import counted
from fsamc.data.category import Category, load_category
from fsamc.data.folders import composed, find_categories, nested_categories
from fsamc.data.remote import Source, local
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.features.automatic import resolved_backbone, resolved_precision
from fsamc.features.weights import RANDOM_WEIGHTS, identity, is_random, local_files, named_file, origin
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import pseudo_set
from fsamc.reading import Tell, silent
from fsamc.store.digests import digest
from fsamc.store.store import Store
from sweeps.checks.feature_range import KIND as RANGES
from sweeps.checks.feature_range import check_feature_range
from sweeps.checks.fitting import ways_to_fit
from sweeps.checks.holding_out import held_for_final
from sweeps.checks.many_images import bank_limits
from sweeps.checks.pictures import contents, examine_pictures, overlooked
from sweeps.checks.textures import textures_of_plan
from sweeps.plan.configurations import variants, with_absolute_files
from sweeps.plan.settings import Plan
from sweeps.plan.yaml_lines import change_to_names

MASKS = (
    "ground truth: representation.region is masks, which shows heads where the defect is, on queries too; such numbers "
    "are for published comparisons alone"
)
POOLED = (
    "pool: a fold's queries are named together and move the class means (folds.pool), which one picture alone cannot "
    "have; compare with other pools only"
)
NO_QUERIES = "no queries: accuracy is leave-one-out on the support images, whose heads see one shot fewer"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A plan that can run: resolved, with its data loaded and checked.

    Attributes:
        plan: with every `auto` that changes a result resolved.
        categories: by name, in natural order.
        textures: None where nothing is pretrained.
        warnings: one line each.
        caveats: what must stand on everything that shows a number.
        examined: what was examined and is to be remembered: JSON by `KIND/KEY` of the store.
        networks: what each backbone was (`identity`) when it was checked, by the file or name that it is read from.
        origins: the backbones' names, where their weights come from, and their licences.
    """

    plan: Plan
    categories: dict[str, Category]
    textures: Textures | None
    warnings: tuple[str, ...]
    caveats: tuple[str, ...]
    examined: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()

    @cached_property
    def averaged(self) -> dict[int, tuple[str, ...]]:
        """By number of shots, the categories in which every trial has a fold: the average is over these."""
        configs = list(_by_images(self.plan).values())
        having = [{(fold.config.shots, fold.category) for fold in self.folds(config)} for config in configs]
        common = set.intersection(*having)
        return {n: tuple(name for name in self.categories if (n, name) in common) for n in self.plan.folds.shots}

    @property
    def contents(self) -> dict[str, str]:
        """Hashes of the data, by what they are of: images with their groups, and textures."""
        hashes = {f"category {name}": category.fingerprint for name, category in self.categories.items()}
        return hashes | ({"textures": contents(self.textures)} if self.textures else {})

    @property
    def fingerprint(self) -> str:
        """Hash of all of the data."""
        return digest(self.contents)

    @property
    def notes(self) -> dict[str, Any]:
        """What sweep.json says of it."""
        return {"caveats": list(self.caveats), "backbones": list(self.origins), "fingerprint": self.fingerprint}

    def folds(self, config: FoldConfig) -> list[Fold]:
        """Return the folds that score a configuration; a category that is too small for some shots gives none there.

        In the order in which they are run, the same for every trial: one of each category first, neighbours at
        different numbers of shots, then the next shots, the next seed and the next draw, and so on. So the first few
        folds tell most, and trials that are stopped early share them.
        """
        network = self.networks.get(named_file(config.features), "")
        at = {shots: config.model_copy(update={"shots": shots}) for shots in self.plan.folds.shots}
        classes = {name: category.with_classes(good=config.good) for name, category in self.categories.items()}
        places = list(enumerate(self.categories))

        def fits(name: str, shots: int, draw: int) -> bool:
            asked = (name, config.good, config.support.files, shots, draw)
            if asked not in self._fits:
                self._fits[asked] = fold_problem(self.plan, classes[name], at[shots], draw) is None
            return self._fits[asked]

        return [
            Fold(category=name, seed=seed, draw=draw, config=at[shots], network=network)
            for seed, draw in seed_draw_pairs(self.plan.folds.seeds, self.plan.folds.draws)
            for shift in range(len(at))
            for place, name in places
            for shots in [self.plan.folds.shots[(place + shift) % len(at)]]
            if fits(name, shots, draw)
        ]

    @cached_property
    def _fits(self) -> dict[Any, bool]:
        """Whether there is a fold, by what that depends on: every trial asks, and an answer takes all images."""
        return {}


def seed_draw_pairs(seeds: Sequence[int], draws: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Every seed with every draw, along the diagonals: neighbours differ in both wherever they can."""
    for shift in range(len(draws)):
        for place, seed in enumerate(seeds):
            yield seed, draws[(place + shift) % len(draws)]


def prepare(
    plan: Plan, *, data: Source, textures: Source | None, store: Store, device: str, tell: Tell = silent
) -> Prepared:
    """Load and check the data, the textures and the backbone, and resolve what is `auto`.

    Args:
        plan: as loaded.
        data: folder of categories, or its address in an object store.
        textures: DTD-layout folder or its address, or `dtd`; may be None if no trial pretrains.
        store: remembers which categories have been read through; addresses are mirrored beside it.
        device: `cpu` or `cuda`, what the folds will run on.
        tell: hears of each picture that is read.

    Raises:
        BadInput: the first thing that would stop the sweep later.
    """
    plan = with_absolute_files(resolve_compute(plan, device))
    folder = local(data, store.root, "--data", deadline=plan.resources.deadline).absolute()
    halved = plan.folds.protocol == "mvtec-fs"
    chosen = _chosen(plan, find_categories(folder), folder)
    categories = {name: replace(load_category(folder, name, tell), halved=halved) for name in chosen}
    _check_target(plan, categories)
    warnings = [*plan.notes, *_too_small(plan, categories)]
    loaded = textures_of_plan(plan, textures, store.root)
    plan, missing = resolve_backbone(plan)
    caveats = [*check_backbones(plan), *_caveats(plan)]
    warnings += missing
    pictures = examine_pictures(categories, loaded, store, tell)
    if pictures.categories != categories:  # with copies that lie in other files as one group
        categories = pictures.categories
        warnings = list(dict.fromkeys([*warnings, *_too_small(plan, categories)]))
    categories, without_final = held_for_final(plan, categories, list(_by_images(plan).values()))
    warnings += without_final
    warnings += bank_limits(variants(plan), categories.values())
    warnings += [*pictures.warnings, *overlooked(categories.values()), *nested_categories(folder)]
    caveats += pictures.caveats
    ranges = check_feature_range(_networks(plan), categories, store)
    plan = resolve_foreground(plan, categories, loaded)
    return Prepared(
        plan=plan,
        categories=categories,
        textures=loaded,
        warnings=tuple(warnings),
        caveats=tuple(caveats),
        examined=pictures.examined | {f"{RANGES}/{key}": "{}" for key in ranges},
        networks={named_file(one): identity(one) for one in _networks(plan) if local_files(one)},
        origins=tuple(dict.fromkeys(map(origin, _networks(plan)))),
    )


def _chosen(plan: Plan, names: list[str], data: Path) -> list[str]:
    if plan.folds.categories == "all":
        return names
    by_name = {composed(name): name for name in names}
    for name in plan.folds.categories:
        if composed(name) not in by_name:
            raise BadInput(
                f"folds.categories: {data / name}: no such category; "
                f"to run on what is there, {change_to_names('folds.categories', names)}"
            )
    chosen = {composed(name) for name in plan.folds.categories}
    return [name for name in names if composed(name) in chosen]


def _too_small(plan: Plan, categories: dict[str, Category]) -> Iterator[str]:
    """Yield a line per category that some shots are too many for.

    Raises BadInput if no fold is left at all, or `good` is to be a class and a category has no image of it.
    """
    problems: dict[str, None] = {}
    possible = False
    for config, shots in product(_by_images(plan).values(), plan.folds.shots):
        config = config.model_copy(update={"shots": shots})
        for category, draw in product(categories.values(), plan.folds.draws):
            problem = fold_problem(plan, category.with_classes(good=config.good), config, draw)
            possible |= problem is None
            if problem:
                problems.setdefault(f"left out at {counted(shots, 'shot')}: {problem}")
    if not possible:
        first = next(iter(problems)).partition(": ")[2]
        cases = [
            (category.with_classes(good=config.good), config.support.files)
            for config, category in product(_by_images(plan).values(), categories.values())
        ]
        shots = counted(plan.folds.shots[0], "shot")
        raise BadInput(f"no category is large enough for {shots}: {first}; {ways_to_fit(plan.folds, cases)}")
    yield from problems


def _by_images(plan: Plan) -> dict[Any, FoldConfig]:
    """Return a configuration of the plan for each way in which its trials choose their images."""
    return {(config.support.files, config.good): config for config in variants(plan, changed=2)}


def fold_problem(plan: Plan, category: Category, config: FoldConfig, draw: int) -> str | None:
    """Why a category, with its classes as they are to be, gives no fold of a configuration; None if it does."""
    return category.problem(config.shots, draw, files=config.support.files, scored_by=plan.folds.score)


def _check_target(plan: Plan, categories: dict[str, Category]) -> None:
    """Raise BadInput if a category that the objective reports on is not there, or there is none to choose on."""
    for name in plan.objective.target:
        if name not in categories:
            raise BadInput(
                f"objective.target: {name} is none of the sweep's categories; it has {', '.join(categories)}"
            )
    if plan.objective.target and not set(categories) - set(plan.objective.target):
        raise BadInput(
            f"objective.target names all of the sweep's categories ({', '.join(categories)}), and transfer chooses on "
            "the others: name fewer, or sweep more"
        )


def resolve_compute(plan: Plan, device: str) -> Plan:
    """Fill in what the arithmetic runs on, and the precision where it is `auto`."""
    base = updated(plan.base, {"compute.device": device, "compute.threads": plan.resources.cpus})
    return plan.model_copy(update={"base": _with_features(base, resolved_precision(base.features, device))})


def resolve_backbone(plan: Plan) -> tuple[Plan, list[str]]:
    """`auto` becomes a name, with a warning where the ResNet's ImageNet weights cannot be had."""
    features, missing = resolved_backbone(plan.base.features)
    return plan.model_copy(update={"base": _with_features(plan.base, features)}), missing


def _with_features(base: FoldConfig, features: Features) -> FoldConfig:
    return base.model_copy(update={"features": features})


def check_backbones(plan: Plan) -> list[str]:
    """Load every backbone that a trial may use; return the caveats of their weights. Raises BadInput."""
    from fsamc.features.backbone import load_backbone

    for features in _networks(plan):
        load_backbone(features, "cpu")
    return [RANDOM_WEIGHTS] if any(is_random(config.features) for config in variants(plan)) else []


def _caveats(plan: Plan) -> Iterator[str]:
    """Yield what the plan does to its numbers."""
    if plan.folds.score == "support":
        yield NO_QUERIES
    if plan.folds.pool.rounds:
        yield POOLED
    vectors = (config for config in variants(plan, changed=2) if config.head.sees == "vectors")
    if any(config.representation.region == "masks" for config in vectors):
        yield MASKS


def _networks(plan: Plan) -> list[Features]:
    """List the backbones that a trial may use, each with its settings."""
    return list(dict.fromkeys(config.features for config in variants(plan, changed=2)))


def resolve_foreground(plan: Plan, categories: dict[str, Category], textures: Textures | None) -> Plan:
    """Choose the foreground's method where it is `auto`, so that it is written down with the plan."""
    if textures is None:
        return plan
    chosen = {
        name: pseudo_set(category, plan.base, textures).foreground_method() for name, category in categories.items()
    }
    return plan.model_copy(update={"base": updated(plan.base, {"pseudo.foreground": chosen})})
