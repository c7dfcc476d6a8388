"""Several backbones as one: their maps side by side, each backbone's in the same unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsamc.data.preprocessing import Preprocessing
from fsamc.features.networks.source import Maps, NetworkSource

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SeveralNetworks:
    """The maps of each source in turn, those of a source divided by the root of their mean square in the image.

    So no backbone drowns the others when patches are compared, whatever its numbers are like. Patch features are pooled
    from all maps as from the layers of one network, on the grid of the first: the bank, the statistics and the head
    treat them as any other.
    """

    sources: tuple[NetworkSource, ...]

    @property
    def identity(self) -> str:
        """Those of all, in order."""
        return " + ".join(one.identity for one in self.sources)

    @property
    def file(self) -> str:
        """Those of all."""
        return ", ".join(one.file for one in self.sources)

    @property
    def origin(self) -> str:
        """Those of all."""
        return "; ".join(one.origin for one in self.sources)

    @property
    def preprocessing(self) -> Preprocessing:
        """The first one's, by whose interpolation all see the image; each has its own mean and deviation."""
        return self.sources[0].preprocessing

    def load(self, device: str) -> Maps:
        """Load all of them. Raises BadInput as they do."""
        before = self.preprocessing
        loaded = [(one.preprocessing, one.load(device)) for one in self.sources]

        def maps(images: Tensor) -> list[Tensor]:
            return [one for after, network in loaded for one in in_one_unit(network(normalised(images, before, after)))]

        return maps


def normalised(images: Tensor, before: Preprocessing, after: Preprocessing) -> Tensor:
    """Normalise images float [B, 3, S, S], normalised as one network wants them, as another wants them."""
    if (before.mean, before.std) == (after.mean, after.std):
        return images
    mean, std, own_mean, own_std = (
        images.new_tensor(numbers).view(3, 1, 1) for numbers in (before.mean, before.std, after.mean, after.std)
    )
    return (images * std + mean - own_mean) / own_std


def in_one_unit(maps: Sequence[Tensor]) -> list[Tensor]:
    """Divide maps [B, C, H, W] by the root of the mean of their mean squares in each image; zeros stay zeros."""
    import torch

    maps = [one.float() for one in maps]
    root = torch.stack([one.square().flatten(1).mean(1) for one in maps]).mean(0).sqrt()
    return [one / root.clamp_min(1e-12).view(-1, 1, 1, 1) for one in maps]
