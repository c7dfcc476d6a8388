"""What a sweep would take on this machine: counted where it is known, and measured by probes where it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.folds import Fold
from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.good_scores import GoodScores
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.config.learning import Finetune, Pretrain
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import pretrains
from sweeps.checks.disk import RESULTS, is_cached
from sweeps.checks.prepare import Prepared
from sweeps.estimate.probes import Costs
from sweeps.plan.configurations import configuration, variants
from sweeps.search import GridSearch, ListSearch, Proposer


@dataclass(frozen=True)
class Seconds:
    """From the fewest to the most."""

    low: float
    high: float

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.low * factor, self.high * factor)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of a whole sweep.

    Attributes:
        exact: every trial is known beforehand; else builds and folds are those of the ends of the space.
        there, missing: artifacts by kind that the cache has, and that it has not.
        left: folds to be run.
        finished: folds whose result the cache has.
        builds: seconds of all missing builds by kind, one after the other.
        folds: seconds of all folds that are left, one after the other.
        wall: seconds of the whole with `workers` side by side.
        served: bytes of what bank actors hold.
        mapped: bytes of the features that the workers map at the same time.
        disk: bytes that the cache and OUT will grow by.
    """

    exact: bool
    there: Mapping[str, int]
    missing: Mapping[str, int]
    left: float
    finished: int
    builds: Mapping[str, float]
    folds: Seconds
    wall: Seconds
    workers: int
    served: int
    mapped: int
    disk: int


def estimate(
    prepared: Prepared, proposer: Proposer, costs: Costs, *, workers: int, cache: Path, results: Sequence[Path]
) -> Estimate:
    """Add up what a sweep consists of.

    Args:
        prepared: the plan and its data.
        proposer: says which trials there are.
        costs: of the parts.
        workers: folds or builds side by side.
        cache: whose artifacts need not be built.
        results: stores whose finished folds need not be run.
    """
    weighed = list(_trials(prepared, proposer))
    artifacts = _artifacts(prepared, [config for config, _ in weighed])
    missing = [artifact for artifact in artifacts if not is_cached(artifact, cache)]
    build_seconds = {artifact.key: _build_seconds(artifact, costs) for artifact in missing}
    left, finished = _left(prepared, weighed, results)
    one_by_one = [(_fold_seconds(prepared, fold, costs), weight) for fold, weight in left]
    folds = sum((seconds * weight for seconds, weight in one_by_one), Seconds(0, 0))
    longest = Seconds(max((s.low for s, _ in one_by_one), default=0), max((s.high for s, _ in one_by_one), default=0))
    building = max(sum(build_seconds.values()) / workers, _longest_chain(missing, build_seconds))
    return Estimate(
        exact=isinstance(proposer, GridSearch | ListSearch),
        there=Counter(artifact.kind for artifact in artifacts if artifact.key not in build_seconds),
        missing=Counter(artifact.kind for artifact in missing),
        left=sum(weight for _, weight in left),
        finished=finished,
        builds=_by_kind(missing, build_seconds),
        folds=folds,
        wall=Seconds(max(folds.low / workers, longest.low), max(folds.high / workers, longest.high))
        + Seconds(building, building),
        workers=workers,
        served=sum(artifact.nbytes for artifact in artifacts if artifact.served_by),
        mapped=_mapped(artifacts, workers),
        disk=RESULTS + sum(artifact.nbytes for artifact in missing),
    )


def _trials(prepared: Prepared, proposer: Proposer) -> Iterator[tuple[FoldConfig, float]]:
    """Configurations, and how many trials each stands for: itself, or, of a search, its share of the trials."""
    plan = prepared.plan
    if isinstance(proposer, GridSearch | ListSearch):
        for values in proposer.foreseen():
            yield configuration(plan, values), 1.0
        return
    ends = list(variants(plan))
    for config in ends:
        yield config, proposer.count() / len(ends)


def _artifacts(prepared: Prepared, configs: Iterable[FoldConfig]) -> list[Artifact]:
    """What the folds read, each once and after what it needs; looked up once for configurations that read the same."""
    alike = {_reading(config).model_dump_json(): config for config in configs}
    found: dict[str, Artifact] = {}
    for config in alike.values():
        for fold in prepared.folds(config):
            for artifact in fold.inputs(prepared.categories, prepared.textures).artifacts:
                found.setdefault(artifact.key, artifact)
    return list(found.values())


def _reading(config: FoldConfig) -> FoldConfig:
    """The configuration without what the artifacts do not depend on."""
    kept = {"enabled": config.pretrain.enabled, "pseudo_classes": config.pretrain.pseudo_classes}
    pretrain = Pretrain().model_copy(update=kept)
    plain = {"head": type(config.head)(), "finetune": Finetune(), "pretrain": pretrain}
    return config.model_copy(update=plain)


def _left(
    prepared: Prepared, weighed: Iterable[tuple[FoldConfig, float]], results: Sequence[Path]
) -> tuple[list[tuple[Fold, float]], int]:
    """The folds without a result, with their weights, and how many have one; those of a search are not looked up."""
    left: list[tuple[Fold, float]] = []
    finished = 0
    for config, weight in weighed:
        for fold in prepared.folds(config):
            key = fold.inputs(prepared.categories, prepared.textures).key if weight == 1 else ""
            if key and any((root / "fold" / key).is_dir() for root in results):
                finished += 1
            else:
                left.append((fold, weight))
    return left, finished


def _fold_seconds(prepared: Prepared, fold: Fold, costs: Costs) -> Seconds:
    """Fine-tuning and classification are counted; pretraining may stop after its first round or run to its last."""
    config = fold.config
    category = prepared.categories[fold.category].with_classes(good=config.good)
    files = config.support.files
    n_classes, scoring = len(category.classes), config.scoring
    support = config.shots * n_classes
    cost = costs.head(category, config)
    trained = 0.0
    if scoring.by == "queries":
        queries = sum(map(len, category.queries(config.shots, fold.draw, files=files).values()))
        trained += cost.step * costs.steps(config, n_classes=n_classes) + cost.image * (support + queries)
    if scoring.leaves_out:
        fewer = config.model_copy(update={"shots": config.shots - 1})
        trained += config.shots * (cost.step * costs.steps(fewer, n_classes=n_classes) + cost.image * support)
    pseudo = "pseudo" in scoring.measure
    if pseudo:
        images = n_classes * scoring.held_out_of(config.pseudo.per_class)
        trained += scoring.tasks * (cost.step * costs.steps(config, n_classes=n_classes) + cost.image * images)
    if not pretrains(config):
        return Seconds(trained, trained)
    rounds = cost.round * (1 + pseudo)
    return Seconds(trained + rounds, trained + rounds * config.pretrain.max_rounds)


def _build_seconds(artifact: Artifact, costs: Costs) -> float:
    if isinstance(artifact, Bank):
        return costs.detector(artifact).learn * len(artifact.good.pictures)
    if isinstance(artifact, NearestRows):
        n_good = len(artifact.bank.good.pictures)
        return costs.detector(artifact.bank).comparing(n_good) * artifact.queries.n_pictures
    if isinstance(artifact, GoodScores):
        cost, n_good = costs.detector(artifact.bank), len(artifact.bank.good.pictures)
        return n_good * cost.learn + cost.comparing(n_good) * len(artifact.held_out)
    assert isinstance(artifact, FeatureSet | PseudoSet)
    seconds = costs.image(artifact) * artifact.n_pictures
    if isinstance(artifact, PseudoSet):
        making, count = costs.pseudo(artifact), artifact.n_pictures
        seconds += making.defect * count + making.foreground * min(count, len(artifact.category.train))
    return seconds


def _longest_chain(missing: Sequence[Artifact], seconds: Mapping[str, float]) -> float:
    """The most seconds that any build ends after, if every one starts as soon as what it needs is there."""
    ends: dict[str, float] = {}
    for artifact in missing:
        ends[artifact.key] = seconds[artifact.key] + max(
            (ends.get(need.key, 0) for need in artifact.needs()), default=0
        )
    return max(ends.values(), default=0)


def _mapped(artifacts: Iterable[Artifact], workers: int) -> int:
    """Bytes of features that so many workers read at a time, if each works on another category."""
    by_category: dict[str, int] = {}
    for artifact in artifacts:
        if isinstance(artifact, FeatureSet | PseudoSet):
            name = artifact.category.name
            by_category[name] = by_category.get(name, 0) + artifact.nbytes
    return sum(sorted(by_category.values(), reverse=True)[:workers])


def _by_kind(artifacts: Iterable[Artifact], seconds: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for artifact in artifacts:
        found[artifact.kind] = found.get(artifact.kind, 0.0) + seconds[artifact.key]
    return found
