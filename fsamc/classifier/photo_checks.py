"""Checks of a classifier's photos: which may be mislabelled, which classes look alike, and which photo to take next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from pydantic import Field

from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.ground_truth import Masks
from fsamc.classifier.answers import Answering
from fsamc.classifier.calibration import probabilities
from fsamc.classifier.fitting import FitInputs, Fitted
from fsamc.config.settings import Settings, Share
from fsamc.counting import counted
from fsamc.store.store import Store

SHOWN = 3  # photos that a line names
Kind = Literal["mislabelled", "alike", "off the defect", "next photo"]


class CheckSettings(Settings):
    """From where on something is told."""

    sure: Share = Field(0.8, description="probability of another class from which on a photo may be mislabelled")
    confused: Share = Field(
        0.34, description="share of two classes' photos named as the other one, as look-alikes have"
    )
    overlap: Share = Field(
        0.7, description="area under the ROC curve of distances against the mask, below which they miss the defect"
    )
    alpha: float = Field(0.1, gt=0.0, lt=1.0, description="error rate that unknown types are to be told at")


@dataclass(frozen=True)
class PhotoFinding:
    """One thing to look at.

    Attributes:
        kind: of the check.
        about: a photo, or classes.
        text: what is the matter, and what to do.
        photos: all that it is about.
    """

    kind: Kind
    about: str
    text: str
    photos: tuple[str, ...] = ()


def check_photos(fitted: Fitted, settings: CheckSettings) -> Iterator[PhotoFinding]:
    """Yield what the photos say of each other: each is named by a classifier that has not seen it."""
    support = fitted.support
    seen = ~np.isnan(fitted.left_out).any(1)
    answering = Answering(fitted)
    chances = np.full(fitted.left_out.shape, np.nan)
    chances[seen] = probabilities(fitted.left_out[seen], answering.calibration.temperature)
    yield from _mislabelled(fitted, chances, settings.sure)
    named = np.where(seen, np.nan_to_num(chances, nan=-1).argmax(1), -1)
    yield from _alike(support.classes, support.labels, named, settings.confused)
    yield _next_photo(support.classes, support.labels, named, answering, settings.alpha)


def check_anomaly_maps(inputs: FitInputs, store: Store, settings: CheckSettings) -> Iterator[PhotoFinding]:
    """Yield the classes with photos whose anomaly map lies off the defect that their mask marks."""
    category = inputs.category
    if inputs.sees_images or not any(path in category.masks for path in category.defects):
        return
    rows = {path: row for row, path in enumerate(category.defects)}
    distances = store.get(inputs.nearest(inputs.defects))["distances"]
    for label, paths in category.classes.items():
        masked = [path for path in paths if path in category.masks]
        areas = _overlaps(inputs, masked, distances[[rows[path] for path in masked]]) if masked else {}
        missed = sorted((path for path, area in areas.items() if area < settings.overlap), key=areas.__getitem__)
        if missed:
            worst = ", ".join(f"{path} ({areas[path]:.2f})" for path in missed[:SHOWN])
            yield PhotoFinding(
                "off the defect",
                label,
                f"{len(missed)} of {counted(len(masked), 'photo')} with a mask have an anomaly map that hardly sees "
                f"what is marked (area under the ROC curve below {settings.overlap:g}); the worst: {worst}. "
                "Are the masks right, and do good images show these places as they should be?",
                tuple(missed),
            )


def _overlaps(inputs: FitInputs, paths: Sequence[str], distances: np.ndarray) -> dict[str, float]:
    """Return the area under the ROC curve of distances [n, P] against the masks, where these leave a patch out."""
    from sklearn.metrics import roc_auc_score

    features, compute = inputs.config.features, inputs.config.compute
    pictures = tuple((path,) for path in paths)
    marked = Masks(FeatureSet(category=inputs.category, pictures=pictures, features=features, compute=compute))
    inside = [shares >= 0.5 * shares.max() for shares in marked.shares(distances.shape[1])]
    each = zip(paths, inside, distances, strict=True)
    return {path: float(roc_auc_score(mask, anomaly)) for path, mask, anomaly in each if not mask.all()}


def _mislabelled(fitted: Fitted, chances: np.ndarray, sure: float) -> Iterator[PhotoFinding]:
    """Yield the photos that the others name as another class, the surest first."""
    support = fitted.support
    best = np.nan_to_num(chances, nan=-1).argmax(1)
    heights = chances[np.arange(len(best)), best]
    for row in np.argsort(-np.nan_to_num(heights, nan=-1), kind="stable"):
        if best[row] != support.labels[row] and heights[row] >= sure:
            photo, other = support.photos[row], support.classes[best[row]]
            yield PhotoFinding(
                "mislabelled",
                photo.name,
                f"is in {photo.label}, but the other photos name it {other} ({heights[row]:.0%}); look at it, and move "
                "it if that is right",
                (photo.name,),
            )


def _alike(classes: Sequence[str], labels: np.ndarray, named: np.ndarray, confused: float) -> Iterator[PhotoFinding]:
    """Yield the pairs of classes whose photos are taken for each other."""
    for first, second in combinations(range(len(classes)), 2):
        both = ((labels == first) | (labels == second)) & (named >= 0)
        swapped = ((labels == first) & (named == second)) | ((labels == second) & (named == first))
        if both.any() and (share := swapped.sum() / both.sum()) >= confused:
            yield PhotoFinding(
                "alike",
                f"{classes[first]} and {classes[second]}",
                f"{swapped.sum()} of {both.sum()} photos ({share:.0%}) are taken for the other class; join the two, or "
                "take more photos of both",
            )


def _next_photo(
    classes: Sequence[str], labels: np.ndarray, named: np.ndarray, answering: Answering, alpha: float
) -> PhotoFinding:
    """Say of which class a photo would help most: of the one that is named worst, or has the fewest."""
    counts = np.bincount(labels, minlength=len(classes))
    right = np.bincount(labels[named == labels], minlength=len(classes)) / counts
    worst = int(np.lexsort((counts, right))[0])
    text = f"{counted(int(counts[worst]), 'photo')}, {right[worst]:.0%} of them named rightly by the others"
    missing = answering.calibration.photos_needed(alpha) - len(labels)
    more = f"; {missing} more in all, and unknown types are told at an error rate of {alpha:g}" if missing > 0 else ""
    return PhotoFinding("next photo", classes[worst], f"{text}: take one more of this class first{more}")
