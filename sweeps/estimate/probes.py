"""The costs of a sweep's parts, each measured once and scaled to what is asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.patch_features import PatchFeatures
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.data.category import Category
from fsamc.fold.config import FoldConfig
from fsamc.fold.costs import (
    DetectorCost,
    HeadCost,
    PseudoCost,
    detector_cost,
    direct_cost,
    finetuning_steps,
    head_cost,
    image_cost,
    pseudo_cost,
)

T = TypeVar("T")


class Costs(Protocol):
    """What the parts of a sweep cost, in seconds."""

    def image(self, pictures: PatchFeatures) -> float:
        """One image from its file to patch features."""
        ...

    def pseudo(self, pseudo_set: PseudoSet) -> PseudoCost:
        """The pictures of pseudo-defects."""
        ...

    def detector(self, bank: Bank) -> DetectorCost:
        """Learning and comparing."""
        ...

    def head(self, category: Category, config: FoldConfig) -> HeadCost:
        """The parts of a head's work."""
        ...

    def steps(self, config: FoldConfig, *, n_classes: int) -> int:
        """How many steps of fine-tuning there are."""
        ...


class Measured:
    """Measures when first asked, once for what costs the same.

    Args:
        n_classes: the fewest and the most of any category; between them, a head's costs are taken to lie on a line.
    """

    def __init__(self, n_classes: tuple[int, int]) -> None:
        self._ends = n_classes
        self._known: dict[Hashable, object] = {}

    def image(self, pictures: PatchFeatures) -> float:
        """Per category, whose files differ in size, and backbone."""
        return self._once(("image", pictures.category.name, pictures.features), lambda: image_cost(pictures))

    def pseudo(self, pseudo_set: PseudoSet) -> PseudoCost:
        """Per category and settings."""
        what = ("pseudo", pseudo_set.category.name, pseudo_set.features, pseudo_set.pseudo.model_dump_json())
        return self._once(what, lambda: pseudo_cost(pseudo_set))

    def detector(self, bank: Bank) -> DetectorCost:
        """Per detector and backbone, on the images of the category that is asked for first."""
        reference = bank.reference.model_copy(update={"scale": "bank"})
        return self._once(("detector", reference, bank.good.features), lambda: detector_cost(bank))

    def head(self, category: Category, config: FoldConfig) -> HeadCost:
        """Per head, size of its maps and rounds, whatever it learns by."""
        if config.head.sees == "images":
            return self._once(("direct", config.features, config.head), lambda: direct_cost(category, config))
        few, many = (self._head(config, n_classes) for n_classes in self._ends)
        share = (len(category.classes) - self._ends[0]) / max(1, self._ends[1] - self._ends[0])
        return HeadCost(
            round=few.round,
            step=few.step + share * (many.step - few.step),
            image=few.image + share * (many.image - few.image),
        )

    def steps(self, config: FoldConfig, *, n_classes: int) -> int:
        """Counted, not measured."""
        return finetuning_steps(config, n_classes=n_classes)

    def _head(self, config: FoldConfig, n_classes: int) -> HeadCost:
        pretrain = config.pretrain
        rounds = (pretrain.pseudo_classes, pretrain.queries, pretrain.maml)
        shape = config.head.model_dump_json(exclude={"temperature"})
        what = ("head", shape, rounds, config.features, n_classes)
        return self._once(what, lambda: head_cost(config, n_classes=n_classes))

    def _once(self, what: Hashable, measure: Callable[[], T]) -> T:
        if what not in self._known:
            self._known[what] = measure()
        return self._known[what]  # type: ignore[return-value]
