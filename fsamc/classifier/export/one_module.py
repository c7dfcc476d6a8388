"""Classifier as one module that torch can export: from square pictures to scores, in fp32."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.classifier.answers import Answering
from fsamc.classifier.export.normal_rows import normal_rows
from fsamc.classifier.pipeline import Pipeline
from fsamc.config.representation import Part
from fsamc.data.preprocessing import Preprocessing
from fsamc.features.networks.lookup import network_source
from fsamc.features.networks.source import Maps
from fsamc.features.patches import patch_features_of
from fsamc.representation.region import profile_ranks, profile_unit
from fsamc.representation.represented import Represented
from fsamc.representation.units import scaling_of
from fsamc.representation.view_patches import places_after
from fsamc.representation.views import IDENTITY, VIEWS, View


class Outputs(NamedTuple):
    """Answers for N pictures.

    Attributes:
        scores: float32 [N, C], of each class.
        probabilities: float32 [N, C], were the picture of one of the classes.
        anomaly: float32 [N], the largest distance of a patch from normal.
        distances: float32 [N, P], of each patch, rows of the grid first.
    """

    scores: Tensor
    probabilities: Tensor
    anomaly: Tensor
    distances: Tensor


class OneModule(nn.Module):
    """Backbone, bank, region, representation, head and temperature of a classifier, one after the other.

    It is the pipeline in tensor operations alone: exact nearest rows by brute force, ties to the lower one.

    Args:
        answering: a classifier's answers.
    """

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        pipeline = answering.fitted.pipeline
        self.config, source = pipeline.config, network_source(pipeline.config.features)
        self.network = _Network(source.load("cpu"), source.preprocessing, self.config.features.dim)
        self.normal = normal_rows(pipeline.detector)
        self.parts = _Parts(pipeline)
        self.views = VIEWS[self.config.views.with_auto("all")[1]]
        self.head = answering.fitted.head
        self.compare = self.head.against(answering.anchors)
        self.temperature = answering.calibration.temperature
        covariance = pipeline.statistics.get("covariance")
        self.unit = 1.0 if covariance is None else float(profile_unit(covariance))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Answer for pictures uint8 [N, S, S, 3], red, green, blue, at the network's size: the fields of `Outputs`."""
        features = self.network(self._turned(images.permute(0, 3, 1, 2)))
        features = features.unflatten(0, (len(self.views), -1))  # [V, N, P, D]
        untouched = features[self.views.index(IDENTITY)]
        distances, normal = self.normal.of_pictures(untouched)
        if self.config.head.sees == "maps":
            values = self.parts(untouched, normal)
            represented = Represented(values, values.new_empty(values.shape[0], 0))
        else:
            represented = self._vectors(features, distances)
        scores = self.compare(self.head.encode(represented))
        probabilities = (scores / self.temperature).softmax(1)
        return Outputs(scores, probabilities, distances.amax(1), distances)._asdict()

    def _turned(self, pictures: Tensor) -> Tensor:
        """Return the views of pictures [N, 3, S, S], [V * N, 3, S, S], view by view."""
        return torch.cat([_turn(pictures, view) for view in self.views])

    def _vectors(self, features: Tensor, distances: Tensor) -> Represented:
        """Represent pictures by the region of each view; features [V, N, P, D], distances [N, P]."""
        n_patches, settings = features.shape[2], self.config.representation
        k = settings.count(n_patches)
        farthest, order = distances.sort(dim=1, descending=True, stable=True)
        there = torch.stack([torch.from_numpy(places_after(view, n_patches)) for view in self.views])
        places = there[:, order[:, :k]]  # [V, N, k]
        patches = features.gather(2, places[..., None].expand(-1, -1, -1, features.shape[3]))
        normal = self.normal.of_patches(patches, places)
        weights = torch.ones_like(farthest[:, :k])
        if settings.weights == "excess" and k < n_patches:
            excess = farthest[:, :k] - farthest[:, k : k + 1]
            weights = torch.where(excess.sum(1, keepdim=True) > 0, excess, weights)
        weights = (weights / weights.sum(1, keepdim=True))[:, None]  # [N, 1, k]
        means = [(weights @ rows).squeeze(2).transpose(0, 1) for rows in (patches, normal)]  # [N, V, D] each
        values = self.parts(*means, unit=True) / len(settings.parts) ** 0.5
        if not settings.extent:
            return Represented(values, values.new_empty(values.shape[0], 0))
        reach = farthest[:, torch.from_numpy(profile_ranks(n_patches))]
        return Represented(values, settings.extent * (reach / self.unit).log1p())


class _Network(nn.Module):
    """Pictures uint8 [B, 3, S, S] to patch features float32 [B, P, D], rounded to half precision as they are kept."""

    mean: Tensor
    std: Tensor

    def __init__(self, maps: Maps, preprocessing: Preprocessing, dim: int) -> None:
        super().__init__()
        self.maps, self.dim = maps, dim
        for name, numbers in (("mean", preprocessing.mean), ("std", preprocessing.std)):
            self.register_buffer(name, torch.tensor(numbers).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        scaled = (pictures.float() / 255 - self.mean) / self.std
        return _half(patch_features_of(self.maps(scaled.contiguous()), self.dim))


class _Parts(nn.Module):
    """Patches minus what is normal there, minus the mean normal patch, or raw, in their units: `PartsOf` in tensors."""

    mean: Tensor
    units: Tensor

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        settings, dim = pipeline.config.representation, pipeline.config.features.dim
        covariance = pipeline.statistics.get("covariance")
        scaling = scaling_of(settings, covariance=covariance, deviation=lambda: pipeline.detector.scale, device="cpu")
        self.parts, self.whitens = settings.parts, settings.scale == "covariance"
        plain = torch.eye(dim) if self.whitens else torch.ones(dim)
        mean = pipeline.statistics.get("mean", np.zeros(dim, np.float32))
        self.register_buffer("mean", torch.from_numpy(np.array(mean, np.float32)))
        self.register_buffer("units", plain if scaling is None else scaling(plain).contiguous())

    def forward(self, patches: Tensor, normal: Tensor, *, unit: bool = False) -> Tensor:
        parts = [self._in_units(self._part(part, patches, normal)) for part in self.parts]
        return torch.cat([F.normalize(one, dim=-1) for one in parts] if unit else parts, dim=-1)

    def _part(self, part: Part, patches: Tensor, normal: Tensor) -> Tensor:
        if part == "residual":
            return patches - normal
        return patches - self.mean if part == "centred" else patches

    def _in_units(self, values: Tensor) -> Tensor:
        return values @ self.units if self.whitens else values * self.units


def _turn(pictures: Tensor, view: View) -> Tensor:
    """Turn pictures [N, 3, S, S] as `View.of` turns one."""
    return torch.rot90(pictures.flip(3) if view.flip else pictures, view.turns, (2, 3))


def _half(values: Tensor) -> Tensor:
    """Round to the eleven bits of half precision, as features are kept (Dekker 1971).

    Runtimes that compute in single precision drop a conversion there and back.
    """
    shifted = values * (2**13 + 1)
    return shifted - (shifted - values)
