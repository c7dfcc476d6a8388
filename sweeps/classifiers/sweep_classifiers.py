"""Classifiers of a sweep: the best trial's configuration, fitted to all labelled images of each category."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.folds import Materials
from fsamc.classifier.backbone_file import keep
from fsamc.config.scoring import Scoring
from fsamc.features.networks.lookup import is_program
from fsamc.fold.config import FoldConfig
from fsamc.store.durable import write_whole
from fsamc.store.store import Store
from sweeps.classifiers.sweep_scores import trial_accuracies
from sweeps.plan.configurations import configuration
from sweeps.results.folder import SweepFolder

CLASSIFIERS = "classifiers"


@dataclass(frozen=True, kw_only=True)
class SweepClassifiers:
    """The classifiers of one sweep.

    Attributes:
        folder: OUT.
        shared: what folds read.
    """

    folder: SweepFolder
    shared: Materials

    def fitted(self, trial: int) -> bool:
        """Whether this trial's classifiers are there already."""
        kept = self.folder.notes.get(CLASSIFIERS, {})
        return kept.get("trial") == trial and all((self.folder.root / file).exists() for file in kept["files"])

    def record(self, trial: int) -> Mapping[str, str]:
        """Write `OUT/classifiers/CATEGORY.fsamc`, those of another trial go; return by category why it has none."""
        place = self.folder.root / CLASSIFIERS
        place.mkdir(exist_ok=True)
        files: list[Path] = []
        without: dict[str, str] = {}
        for category, content in self._fit(trial):
            if isinstance(content, str):
                without[category] = content
                continue
            files.append(place / f"{category}.fsamc")
            write_whole(files[-1], content)
        lend_novelty(files, self.shared.store)
        for old in set(place.glob("*.fsamc")) - set(files):
            old.unlink()
        names = [file.relative_to(self.folder.root).as_posix() for file in files]
        self.folder.note({CLASSIFIERS: {"trial": trial, "files": names, "without": without}})
        return without

    def _fit(self, trial: int) -> Iterator[tuple[str, bytes | str]]:
        """Yield each category with its classifier's file, or why there is none, by tasks as large as those of folds."""
        values = {record.number: record.values for record in self.folder.records()}[trial]
        config, seed = configuration(self.folder.plan, values), self.folder.plan.folds.seeds[0]
        for network in filter(is_program, config.features.networks):
            keep(network, self.shared.store)
        task, materials = ray.remote(classifier_file), ray.put(self.shared)
        sized = task.options(num_cpus=config.compute.threads, num_gpus=self.shared.gpus)
        references = {
            name: sized.remote(materials, name, config, seed, trial_accuracies(self.folder.saved, trial, name))
            for name in self.shared.categories
        }
        for name, reference in references.items():
            try:
                yield name, ray.get(reference)
            except RayError as error:
                cause = getattr(error, "cause", None) or error
                yield name, " ".join(str(cause).split())[:300]


def classifier_file(
    shared: Materials, category: str, config: FoldConfig, seed: int, scored: Mapping[str, float]
) -> bytes:
    """Fit a classifier to a category, and return its file. Raises BadInput where the configuration makes none."""
    from fsamc.classifier.classifier import DefectClassifier  # torch takes seconds

    alone = config.model_copy(update={"scoring": Scoring()})
    classifier = DefectClassifier(alone, seed=seed)
    store = Store(shared.store, run=shared.run)
    classifier.fit_category(shared.categories[category], store=store, textures=shared.textures)
    classifier.scored |= scored
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "classifier.fsamc"
        classifier.save(file)
        return file.read_bytes()


def lend_novelty(files: Sequence[Path], cache: Path) -> None:
    """Let the classifiers in these files borrow from each other what pictures of known classes look like."""
    from fsamc.classifier.classifier import DefectClassifier

    classifiers = [DefectClassifier.load(file, cache=cache) for file in files]
    for file, classifier in zip(files, classifiers, strict=True):
        classifier.borrow(one for one in classifiers if one is not classifier).save(file)


def classifiers_line(notes: Mapping[str, Any], out: Path) -> list[str]:
    """Say where a sweep's classifiers are; nothing without any."""
    fitted = notes.get(CLASSIFIERS, {})
    if not fitted.get("files"):
        return []
    return [f"classify fsamc predict {out / fitted['files'][0]} IMAGE|FOLDER... (trial {fitted['trial']})"]
