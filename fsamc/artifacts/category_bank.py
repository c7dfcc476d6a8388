"""Banks: the arrays that a detector has learnt from the good images of one (category, seed)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from fsamc.artifacts.base import Artifact, Computed
from fsamc.artifacts.feature_set import OfGood
from fsamc.config.compute import Compute
from fsamc.data.category import Category
from fsamc.detectors.base import Detector, detector_class
from fsamc.detectors.detector_kinds import AnyDetector
from fsamc.detectors.good_images import GoodImages
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store


@dataclass(frozen=True, kw_only=True)
class Bank(OfGood):
    """What the detector of one (category, seed) has learnt; of PatchCore the memory bank. Its class says which arrays.

    The seed is 0 where nothing is drawn: then the bank is one for all seeds.
    """

    kind: ClassVar[str] = "bank"
    reference: AnyDetector
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of the good features, the detector, the settings it learns by, and the seed."""
        return digest(self.kind, 1, self.good.key, self.learner.learning_settings, self.seed)

    @cached_property
    def learner(self) -> AnyDetector:
        """The detector's settings, without limits that the good images do not come to: with more images they may."""
        return self.reference.of_patches(self.good.n_pictures * self.good.features.most_patches)

    @property
    def limit(self) -> str | None:
        """What is left out of so many good images, in one line; None where nothing is."""
        among = getattr(self.learner, "candidates", None)
        if among is None:
            return None
        few = f"the bank is chosen among {among:,} of their patches, drawn by the seed (reference.candidates)"
        return f"{self.category.name}: {self.good.n_pictures:,} good images are many; {few}"

    @property
    def about(self) -> str:
        """The category and the seed, and the detector if it is another than PatchCore."""
        kind = self.reference.kind
        return f"{self.category.name}, seed {self.seed}{'' if kind == 'patchcore' else f', {kind}'}"

    @property
    def nbytes(self) -> int:
        """As the detector says."""
        return detector_class(self.reference).bytes_kept(self.learner, self.good.shape)

    @property
    def served_by(self) -> tuple[str, int]:
        """Its own actor."""
        return self.category.name, self.seed

    def arrays(self, store: Store) -> Arrays:
        """Have the detector learn from the good images."""
        return self.learn(store.get(self.good)["features"])

    def learn(self, good: GoodImages) -> Arrays:
        """Return what a detector of this kind keeps of good features [G, P, D]."""
        learn = detector_class(self.reference).learn
        return learn(good, self.learner, seed=self.seed, device=self.compute.device)

    def detector(self, learnt: Arrays, good: GoodImages) -> Detector[Any]:
        """Return the detector that has learnt this from good features [G, P, D]."""
        return detector_class(self.reference)(learnt, good, self.reference, device=self.compute.device)

    def load(self, store: Store) -> Detector[Any]:
        """Return the detector of this bank; what is missing is built first."""
        return self.detector(store.get(self), store.get(self.good)["features"])


@dataclass(frozen=True, kw_only=True)
class OfBank(Computed):
    """Base of artifacts that come of a bank: they need it, and run where it does."""

    bank: Bank

    @property
    def category(self) -> Category:
        """The bank's."""
        return self.bank.category

    @property
    def compute(self) -> Compute:
        """The bank's."""
        return self.bank.compute

    def needs(self) -> Sequence[Artifact]:
        """Return the bank."""
        return (self.bank,)
