"""Packing of a fitted classifier into the arrays of its file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fsamc.classifier.fitting import Fitted
from fsamc.classifier.model_file import PhotoRecord
from fsamc.classifier.photos.support_set import Photo, SupportSet
from fsamc.classifier.pipeline import Pipeline
from fsamc.detectors.base import detector_class
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import takes_statistics
from fsamc.heads.base import make_head
from fsamc.seeds import torch_generator

Arrays = dict[str, np.ndarray]


def packed(fitted: Fitted) -> Arrays:
    """Return the arrays of a classifier, by name; `unpacked` makes an equal one of them."""
    pipeline, support = fitted.pipeline, fitted.support
    arrays: Arrays = {f"reference.{name}": array for name, array in pipeline.detector.kept.items()}
    for name, array in pipeline.statistics.items():
        arrays[f"normal.{name}"] = array[np.tril_indices(len(array))] if name == "covariance" else array
    arrays |= {f"head.{name}": weights.cpu().numpy() for name, weights in fitted.head.state_dict().items()}
    thumbnails = [np.frombuffer(photo.thumbnail, np.uint8) for photo in support.photos]
    arrays |= {
        "support.encoded": support.encoded,
        "support.left_out": fitted.left_out,
        "support.thumbnails": np.concatenate(thumbnails),
        "support.thumbnail_sizes": np.array([len(one) for one in thumbnails], np.int64),
    }
    arrays |= {f"elsewhere.{number}": novelty for number, novelty in enumerate(fitted.elsewhere)}
    anchors = {} if fitted.anchors is None else dict(enumerate(fitted.anchors))
    return arrays | {f"anchors.{label}": anchor.cpu().numpy() for label, anchor in anchors.items()}


def unpacked(
    arrays: Mapping[str, np.ndarray],
    photos: Sequence[PhotoRecord],
    config: FoldConfig,
    *,
    shape: tuple[int, int, int],
    threshold: float | None,
) -> Fitted:
    """Return the classifier whose arrays these are.

    Args:
        arrays: as `packed` returned them.
        photos: the support.
        config: every knob.
        shape: N, D and R of what its head sees.
        threshold: of the anomaly.

    Raises:
        ValueError, KeyError or RuntimeError: an array is missing, or of another shape.
    """
    kept, normal, weights, support, anchors, elsewhere = (
        {name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)}
        for part in ("reference.", "normal.", "head.", "support.", "anchors.", "elsewhere.")
    )
    dim = config.features.dim
    for name, array in arrays.items():
        infinite = name == "support.left_out" or name.startswith("elsewhere.")
        if not infinite and not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is no number")
    if takes_statistics(config):
        normal["covariance"] = _symmetric(normal["covariance"], dim)
        normal["mean"] = normal["mean"].reshape(dim)
    detector = detector_class(config.reference)(kept, np.empty(0), config.reference, device=config.compute.device)
    if detector.rows.ndim != 2 or detector.rows.shape[1] != dim:
        raise ValueError(f"the reference has rows {detector.rows.shape}, features.dim is {dim}")
    head = make_head(config.head, shape=shape, generator=torch_generator(0, "head weights"))
    head.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return Fitted(
        pipeline=Pipeline(config, detector, normal),
        head=head.to(config.compute.device).eval(),
        support=_support(support, photos),
        anchors=[torch.from_numpy(anchors[str(label)].copy()) for label in range(len(anchors))] or None,
        left_out=support["left_out"],
        threshold=threshold,
        shape=shape,
        elsewhere=tuple(elsewhere[str(number)].reshape(-1) for number in range(len(elsewhere))),
    )


def _support(arrays: Mapping[str, np.ndarray], photos: Sequence[PhotoRecord]) -> SupportSet:
    sizes = arrays["thumbnail_sizes"]
    ends = np.cumsum(sizes)
    if len(sizes) and (sizes.min() < 0 or sizes.max() > (1 << 30) or ends[-1] != len(arrays["thumbnails"])):
        raise ValueError("the thumbnails are no pictures")
    n_classes = len({photo.label for photo in photos})
    if not len(ends) == len(photos) == len(arrays["encoded"]) == len(arrays["left_out"]):
        raise ValueError(f"{len(photos)} photos, but arrays of {len(ends)} and {len(arrays['encoded'])}")
    if arrays["left_out"].shape != (len(photos), n_classes):
        raise ValueError(f"the photos' scores are {arrays['left_out'].shape}, expected {(len(photos), n_classes)}")
    pictures = np.split(arrays["thumbnails"], ends[:-1])
    records = (Photo(one.name, one.label, one.digest, at.tobytes()) for one, at in zip(photos, pictures, strict=True))
    return SupportSet(tuple(records), arrays["encoded"])


def _symmetric(lower: np.ndarray, dim: int) -> np.ndarray:
    """Return the matrix [D, D] of its lower triangle."""
    rows, columns = np.tril_indices(dim)
    matrix = np.empty((dim, dim), lower.dtype)
    matrix[rows, columns] = matrix[columns, rows] = lower
    return matrix
