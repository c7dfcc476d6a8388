"""What one fold reads, and the address of its result. Loads no torch: whoever only schedules folds may ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fsamc.artifacts import Bank, FeatureSet, Nearest, PseudoSet
from fsamc.config import FoldConfig
from fsamc.dataset import Category
from fsamc.errors import BadInput
from fsamc.heads import HEADS
from fsamc.store import Artifact, digest
from fsamc.textures import Textures
from fsamc.weights import identity


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The artifacts that one fold reads."""

    good: FeatureSet
    test: Nearest  # every defect image
    means: Nearest | None  # per class the support averaged pixel by pixel, where `support.mean: image`
    pseudo: PseudoSet | None  # where the head is pretrained
    pseudo_nearest: Nearest | None  # where `pseudo.residual: bank`

    def artifacts(self) -> list[Artifact]:
        """All of them, each after what it needs."""
        ends: list[Artifact | None] = [self.test, self.means, self.pseudo, self.pseudo_nearest]
        ordered: dict[str, Artifact] = {}
        for end in ends:
            if end is not None:
                _after_needs(end, ordered)
        return list(ordered.values())


def fold_inputs(
    category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
) -> Inputs:
    """What `run_fold` will read, so that it can be built elsewhere beforehand.

    Raises:
        BadInput: the head is to be pretrained and no textures are given, or fewer classes than asked for.
    """

    def features_of(pictures: Iterable[tuple[str, ...]]) -> FeatureSet:
        return FeatureSet(category=category, pictures=tuple(pictures), features=config.features, compute=config.compute)

    good = features_of((path,) for path in category.train)
    bank = Bank(good=good, reference=config.reference, seed=seed)
    test = Nearest(bank=bank, queries=features_of((path,) for path in category.defects))
    means = None
    if config.support.mean == "image" and config.shots > 1:
        support = category.support(config.shots, draw, files=config.support.files)
        means = Nearest(bank=bank, queries=features_of(support.values()))
    pseudo = _pseudo_set(category, config, textures) if pretrains(config) else None
    from_bank = pseudo is not None and config.pseudo.residual == "bank"
    pseudo_nearest = Nearest(bank=bank, queries=pseudo) if pseudo and from_bank else None
    return Inputs(good=good, test=test, means=means, pseudo=pseudo, pseudo_nearest=pseudo_nearest)


def pretrains(config: FoldConfig) -> bool:
    """Whether this configuration needs pseudo-defects, and so textures."""
    return config.pretrain.enabled and HEADS[config.head.kind].trained


def fold_key(
    category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
) -> str:
    """Address of a fold's result: a hash of everything that it depends on."""
    inputs = fold_inputs(category, config, seed=seed, draw=draw, textures=textures)
    settings = config.model_dump(mode="json", exclude={"features": {"backbone", "weights"}, "pseudo": {"foreground"}})
    parts = [artifact.key for artifact in inputs.artifacts()]
    return digest("fold", 1, category.fingerprint, identity(config.features), settings, parts, seed, draw)


def _pseudo_set(category: Category, config: FoldConfig, textures: Textures | None) -> PseudoSet:
    if textures is None:
        raise BadInput("pretrain.enabled needs pseudo-defects, and so textures: give --textures DIR, or switch it off")
    if config.pretrain.pseudo_classes > len(textures.classes):
        raise BadInput(
            f"pretrain.pseudo_classes is {config.pretrain.pseudo_classes}, but {textures.folder} holds "
            f"{len(textures.classes)} texture classes; lower it or add textures"
        )
    return PseudoSet(
        category=category, textures=textures, pseudo=config.pseudo, features=config.features, compute=config.compute
    )


def _after_needs(artifact: Artifact, ordered: dict[str, Artifact]) -> None:
    for need in artifact.needs():
        _after_needs(need, ordered)
    ordered.setdefault(artifact.key, artifact)
