"""Estimate of a whole sweep: its builds and folds are counted, and take as long as those that were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cluster.folds import Fold
from fsamc.artifacts.base import Artifact
from fsamc.fold.config import FoldConfig
from sweeps.checks.disk import RESULTS, is_cached
from sweeps.checks.prepare import Prepared
from sweeps.estimate.measure import Measured, measure
from sweeps.plan.configurations import configuration, variants
from sweeps.progress.eta import UNKNOWN, Eta, Kind, folds_left, kind_of
from sweeps.request import CheckedRequest
from sweeps.search import Proposer

_LISTED = 1000  # trials that are looked at one by one; of more, the base and the ends of the space stand for all


class Seconds(NamedTuple):
    """From the fewest to the most."""

    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Size, time, memory and disk of a whole sweep.

    Attributes:
        exact: every trial was looked at; else builds are those of the base and the ends of the space.
        cached, missing: artifacts by kind that the cache has, and that it has not.
        left: folds to be run.
        finished: folds whose result a store has.
        builds: seconds of all missing builds by kind, one after the other.
        folds: seconds of all folds that are left, one after the other.
        wall: seconds of the whole with `workers` side by side.
        served: bytes of what bank actors hold.
        mapped: bytes of the files that the workers map at the same time, if each works on another category.
        disk: bytes that the cache will grow by, by kind of artifact, and OUT, as `results`.
    """

    exact: bool
    cached: Counter[str]
    missing: Counter[str]
    left: int
    finished: int
    builds: dict[str, float]
    folds: Seconds
    wall: Seconds
    workers: int
    served: int
    mapped: int
    disk: dict[str, int]


def estimate(checked: CheckedRequest, proposer: Proposer) -> Estimate:
    """Count what a sweep consists of, measure a fold of each kind, and add up as the sweep itself will."""
    prepared, cache, workers = checked.prepared, checked.places.cache, checked.workers
    trials = _trials(prepared, proposer)
    configs = list(variants(prepared.plan)) if trials is None else trials
    artifacts = _artifacts(prepared, configs)
    lacking = [artifact for artifact in artifacts if not is_cached(artifact, cache)]
    finished = _finished(checked, trials or [])
    left = folds_left(prepared, proposer, []) - finished
    to_run = [folds for kind, folds in _samples(prepared, configs).items() if left[kind] or left[UNKNOWN]]
    missing = Counter(artifact.kind for artifact in lacking)
    measured = measure(prepared, to_run, cache=cache, missing=missing)
    builds = dict.fromkeys(missing, 0.0)
    for artifact in lacking:
        builds[artifact.kind] += artifact.nbytes * measured.per_byte.get(artifact.kind, 0.0)
    return Estimate(
        exact=trials is not None,
        cached=Counter(artifact.kind for artifact in artifacts) - missing,
        missing=missing,
        left=left.total(),
        finished=finished.total(),
        builds=builds,
        folds=_seconds(measured, left, {}, Counter(), workers=1),
        wall=_seconds(measured, left, builds, missing, workers=workers),
        workers=workers,
        served=sum(artifact.nbytes for artifact in artifacts if artifact.served_by),
        mapped=_mapped(artifacts, workers),
        disk=_disk(lacking),
    )


def _trials(prepared: Prepared, proposer: Proposer) -> list[FoldConfig] | None:
    """Return the trials' configurations; None where they are not foreseen, or too many to look at."""
    foreseen = proposer.foreseen()
    if foreseen is None or proposer.count() > _LISTED:
        return None
    return [configuration(prepared.plan, values) for values in foreseen]


def _samples(prepared: Prepared, configs: Iterable[FoldConfig]) -> dict[Kind, list[Fold]]:
    """Return the folds of each kind that the first configuration with such folds has."""
    samples: dict[Kind, list[Fold]] = {}
    for config in configs:
        own: dict[Kind, list[Fold]] = {}
        for fold in prepared.folds(config):
            own.setdefault(kind_of(fold), []).append(fold)
        samples = own | samples
    return samples


def _artifacts(prepared: Prepared, configs: Iterable[FoldConfig]) -> list[Artifact]:
    """Return what the folds read, each once; looked up once for configurations that differ in training alone."""
    training = {"head", "finetune", "pretrain"}
    alike = {
        (config.head.kind, config.head.sees, config.pretrain.enabled, config.model_dump_json(exclude=training)): config
        for config in configs
    }
    folds = [fold for config in alike.values() for fold in prepared.folds(config)]
    read = (artifact for fold in folds for artifact in fold.inputs(prepared.categories, prepared.textures).artifacts)
    return list({artifact.key: artifact for artifact in read}.values())


def _finished(checked: CheckedRequest, trials: Iterable[FoldConfig]) -> Counter[Kind]:
    """Count the trials' folds whose result a store has that the sweep will read, by kind."""
    prepared, own = checked.prepared, checked.request.out / ".folds"
    stores = [own, *([checked.places.cache] if checked.request.reuse else [])]
    results = [store / "fold" for store in stores if (store / "fold").is_dir()]
    finished: Counter[Kind] = Counter()
    for config in trials if results else ():
        for fold in prepared.folds(config):
            key = fold.inputs(prepared.categories, prepared.textures).key
            finished[kind_of(fold)] += any((folder / key).is_dir() for folder in results)
    return finished


def _seconds(
    measured: Measured, left: Counter[Kind], builds: dict[str, float], missing: Counter[str], *, workers: int
) -> Seconds:
    """Return the sweep's own estimate of the time left, once it has seen what was measured."""

    def with_folds_of(seconds: dict[Kind, float]) -> float:
        eta = Eta(left + Counter(seconds.keys()), missing + Counter(missing.keys()), workers=workers)
        eta.built({kind: (1, builds[kind] / count) for kind, count in missing.items()})
        for kind, taken in seconds.items():
            eta.fold(kind, taken, reused=False)
        return eta.seconds() or 0.0

    return Seconds(with_folds_of(measured.least), with_folds_of(measured.most))


def _disk(lacking: Iterable[Artifact]) -> dict[str, int]:
    by_kind = Counter({"results": RESULTS})
    for artifact in lacking:
        by_kind[artifact.kind] += artifact.nbytes
    return dict(by_kind.most_common())


def _mapped(artifacts: Sequence[Artifact], workers: int) -> int:
    by_category: Counter[str] = Counter()
    for artifact in artifacts:
        if not artifact.served_by:
            by_category[artifact.category.name] += artifact.nbytes
    return sum(size for _, size in by_category.most_common(workers))
