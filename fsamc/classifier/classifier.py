"""Classifier of defects: fitted to good images and a few photos of each class, then asked about new pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np
import platformdirs

import fsamc
from fsamc.classifier import backbone_file
from fsamc.classifier.answers import Answering
from fsamc.classifier.configuration import ROWS, classifier_config
from fsamc.classifier.fitting import (
    Fitted,
    fit_category,
    follows_from_photos,
    left_out_scores,
    new_photos,
    scored_left_out,
)
from fsamc.classifier.model_file import BackboneRecord, PhotoRecord, Record, read_model, write_model
from fsamc.classifier.packing import packed, unpacked
from fsamc.classifier.photos.learnt_pictures import LearntPictures
from fsamc.classifier.photos.support_set import Photo, SupportSet
from fsamc.classifier.pictures import Pictures, category_of, named_pictures, read_ahead
from fsamc.classifier.prediction import Prediction, Unread
from fsamc.config.compute import Compute
from fsamc.config.dotted import validated
from fsamc.data.category import Category
from fsamc.data.folders import check_class_name
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.features.networks.weights_file import brief
from fsamc.fold.config import FoldConfig
from fsamc.hardware import threads, whole_machine
from fsamc.store.store import Store


class DefectClassifier:
    """Names the class of a defect from one to five photos of each, and says when it is none of them.

    Args:
        config: a fold's configuration, a plan's file such as a sweep's `best.yaml`, or None for the defaults.
        rows: good patches in the bank, in place of the configuration's `reference.ratio`; None keeps that. A bank of
            the default size makes a file of some megabytes.
        seed: of the bank's coreset, and of what a head draws.

    Attributes:
        scored: accuracies in [0, 1] by how they were measured, kept with the file.
        learnt: the pictures that it has learnt from.
    """

    def __init__(
        self, config: FoldConfig | str | Path | None = None, *, rows: int | None = ROWS, seed: int = 1
    ) -> None:
        self.config = classifier_config(config, rows=rows)
        self.seed = seed
        self.scored: dict[str, float] = {}
        self._fitted: Fitted | None = None
        self._prepared: Answering | None = None
        self._backbones: Sequence[BackboneRecord] = ()
        self.learnt = LearntPictures()

    def fit(
        self,
        good: Pictures,
        support: Mapping[str, Pictures],
        *,
        name: str = "product",
        store: Store | None = None,
        textures: Textures | None = None,
    ) -> Self:
        """Learn what is normal, and the classes.

        Args:
            good: a folder, paths, or arrays uint8 [N, H, W, 3].
            support: the same for each defect class.
            name: of the product.
            store: keeps what is computed for the next fit or sweep; by default nothing is kept.
            textures: what pseudo-defects are made of, where the head is pretrained.

        Raises:
            BadInput: there are fewer than two classes, an empty one, or a picture that cannot be read.
        """
        with tempfile.TemporaryDirectory() as scratch:
            category = category_of(good, support, name=name, scratch=Path(scratch) / "pictures")
            return self.fit_category(category, store=store, textures=textures)

    def fit_category(
        self,
        category: Category,
        *,
        store: Store | None = None,
        textures: Textures | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> Self:
        """Learn from all of a category's labelled images, as `fit` does; `tell` hears what is being computed."""
        with tempfile.TemporaryDirectory() as scratch:
            kept = store or Store(Path(scratch))
            self._fitted = fit_category(category, self.config, seed=self.seed, store=kept, textures=textures, tell=tell)
            self.learnt = LearntPictures.of(category, self.config)
            self.learnt.keep(kept)
        self.scored, self._backbones = scored_left_out(self._fitted), ()
        return self

    @property
    def classes_(self) -> tuple[str, ...]:
        """The defect classes, in the order of scores."""
        return self._support.classes

    @property
    def photos(self) -> tuple[Photo, ...]:
        """The support."""
        return self._support.photos

    def predict(self, images: Pictures, *, alpha: float = 0.1) -> list[Prediction]:
        """Answer for each picture.

        Args:
            images: a folder, a file, an array uint8 [N, H, W, 3], or an iterable of paths and arrays.
            alpha: share of the pictures of known classes that may be called unknown, or whose set may lack the class.

        Raises:
            BadInput: one cannot be read, or nothing has been fitted.
        """
        predictions = []
        for one in self.predict_each(images, alpha=alpha):
            if isinstance(one, Unread):
                raise BadInput(one.problem)
            predictions.append(one)
        return predictions

    def predict_each(self, images: Pictures, *, alpha: float = 0.1) -> Iterator[Prediction | Unread]:
        """Yield the answers one by one, in order, however many pictures there are; of one that cannot be read, why."""
        if not 0 < alpha < 1:
            raise BadInput(f"alpha: found {alpha}, expected a share between 0 and 1")
        answering = self.answering
        for batch in read_ahead(named_pictures(images), self.config.features.batch, answering.squared):
            named = [(name, squared) for name, squared in batch if not isinstance(squared, str)]
            with threads(self._compute):
                answers = iter(answering.predictions(named, alpha=alpha) if named else ())
            yield from (Unread(name, one) if isinstance(one, str) else next(answers) for name, one in batch)

    def predict_proba(self, images: Pictures) -> np.ndarray:
        """Return the probability of each class, float64 [n, C], were the picture of one of `classes_`."""
        rows = [list(one.probabilities.values()) for one in self.predict(images)]
        return np.array(rows).reshape(-1, len(self.classes_))

    def add(self, label: str, images: Pictures) -> Self:
        """Learn more photos of a class, or a new class, without fitting anew.

        Raises:
            BadInput: the head is trained on its photos, a picture is there already, or cannot be read.
        """
        fitted = self._changeable
        check_class_name(label)
        pictures = [(picture.name, picture.read()) for picture in named_pictures(images)]
        photos = new_photos(label, pictures, beside=self.photos)
        with threads(self._compute):
            encoded = [self.answering.encoded([pixels], views="support") for _, pixels in pictures]
        self._change(fitted.support.added(photos, np.concatenate(encoded)))
        return self

    def remove(self, name: str) -> Self:
        """Forget a class, or one photo by its name. Raises BadInput as `SupportSet.removed` does."""
        self._change(self._changeable.support.removed(name))
        return self

    def rename(self, old: str, new: str) -> Self:
        """Give a class another name; if there is a class of that name, it takes the photos in. Raises BadInput."""
        check_class_name(new)
        if new in self.classes_:
            self._change(self._changeable.support.renamed(old, new))
        else:  # no answer changes
            self._fitted = replace(self._checked, support=self._support.renamed(old, new))
        return self

    def photos_needed(self, alpha: float) -> int:
        """Return how many photos `known` and `labels` of `predict` take to hold at the rate `alpha`; 0 if these do."""
        calibration = self.answering.calibration
        return 0 if calibration.calibrated(alpha) else calibration.photos_needed(alpha)

    def borrow(self, others: Iterable[DefectClassifier]) -> Self:
        """Let the photos of other products say how novel a picture of known classes may be, where these are few.

        Each product counts as much as this one (`fsamc.classifier.novelty`), so this one must be like the others.
        """
        lent = tuple(one.answering.calibration.novelty.standard for one in others)
        self._fitted = replace(self._checked, elsewhere=lent)
        return self

    def save(self, path: str | Path, *, with_backbone: bool | None = None) -> None:
        """Write one file: arrays and JSON, nothing that is run when it is read.

        Args:
            path: of the file, such as `bolt.fsamc`.
            with_backbone: pack the network into it, some hundred megabytes; else it is found by its content. By default
                as it was in the file that was loaded.
        """
        fitted, features = self._checked, self.config.features
        networks = self._backbones or backbone_file.records_of(features)
        if with_backbone is not None:
            networks = [one.model_copy(update={"packed": with_backbone}) for one in networks]
        arrays = packed(fitted)
        if networks[0].packed:
            arrays |= backbone_file.contents_of(features)
        record = Record(
            version=fsamc.__version__,
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            category=self.learnt.category,
            seed=self.seed,
            config=fitted.pipeline.config.model_dump(mode="json"),
            photos=tuple(PhotoRecord(name=one.name, label=one.label, digest=one.digest) for one in self.photos),
            backbone=networks[0],
            others=tuple(networks[1:]),
            shape=fitted.shape,
            threshold=fitted.threshold,
            good=self.learnt.good,
            fingerprint=self.learnt.fingerprint,
            held_out=self.learnt.held_out,
            places=self.learnt.key,
            scored=self.scored,
        )
        write_model(Path(path), record, arrays)

    @classmethod
    def load(cls, path: str | Path, *, backbone: str | None = None, cache: Path | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            path: of the file.
            backbone: the network's file or name, where it is not found by itself.
            cache: folder in which networks are looked for; the user's cache folder by default.

        Raises:
            BadInput: it is no classifier's file, or damaged, or its backbone is not on this machine.
        """
        path, cache = Path(path), cache or Path(platformdirs.user_cache_dir("fsamc"))
        record, arrays = read_model(path)
        config = validated(FoldConfig, record.config, where=f"{path}: its configuration")
        features = backbone_file.located(
            config.features, record.backbones, beside=path, instead=backbone, packed=arrays, cache=cache
        )
        config = config.model_copy(update={"features": features, "compute": whole_machine()})
        try:
            fitted = unpacked(arrays, record.photos, config, shape=record.shape, threshold=record.threshold)
        except (ValueError, KeyError, RuntimeError, IndexError, AttributeError, TypeError) as error:
            raise BadInput(f"{path}: is damaged ({brief(error)}); copy it anew, or fit it again") from error
        classifier = cls(config, rows=None, seed=record.seed)
        classifier._fitted, classifier._backbones, classifier.scored = fitted, record.backbones, record.scored
        classifier.learnt = LearntPictures.recorded(record, cache)
        return classifier

    @property
    def _compute(self) -> Compute:
        return self._checked.pipeline.config.compute

    @property
    def _checked(self) -> Fitted:
        if self._fitted is None:
            raise BadInput("the classifier has learnt nothing yet; call fit or load first")
        return self._fitted

    @property
    def _support(self) -> SupportSet:
        return self._checked.support

    @property
    def _changeable(self) -> Fitted:
        """What was fitted, where photos may come and go."""
        config = self._checked.pipeline.config
        if not follows_from_photos(config):
            raise BadInput(
                f"head.kind {config.head.kind} with support.mean {config.support.mean} is trained on all photos at "
                "once; fit it again with the photos that are right"
            )
        return self._checked

    def _change(self, support: SupportSet) -> None:
        fitted = self._checked
        with threads(self._compute):
            scores = left_out_scores(fitted.head, support, self._compute.device)
        self._fitted = replace(fitted, support=support, left_out=scores)
        self.scored = scored_left_out(self._fitted)

    @property
    def answering(self) -> Answering:
        """The answers of what was fitted last, whose arrays are prepared once."""
        if self._prepared is None or self._prepared.fitted is not self._checked:
            self._prepared = Answering(self._checked)
        return self._prepared
