"""Direct classification: a whole ResNet fine-tuned on the support's images (paper 4.3, table 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.config.features import Features
from fsamc.data.images import to_tensor
from fsamc.features.networks.torchvision_resnet import load_resnet
from fsamc.heads.encoder import linear
from fsamc.heads.head_kinds import DirectSettings


class DirectClassifier:
    """A ResNet with a new last layer; it sees images, and neither bank nor pseudo-defects.

    It learns image by image. One image says nothing of a batch, so batch normalisation goes by ImageNet's statistics
    throughout; with `trainable: all` its weights learn like any others. The arithmetic is float32 whatever the
    backbone's precision.

    Args:
        settings: how it learns.
        features: names the ResNet and its weights.
        device: where it computes.
        n_classes: C.
        generator: source of the last layer's weights.

    Raises:
        BadInput: the network or its weights cannot be had.
    """

    def __init__(
        self, settings: DirectSettings, features: Features, *, device: str, n_classes: int, generator: torch.Generator
    ) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.body = load_resnet(features.networks[0]).to(self.device)
        assert isinstance(self.body.fc, nn.Linear)
        self.last = linear(self.body.fc.in_features, n_classes, generator).to(self.device)
        self.body.fc = nn.Identity()

    def finetune(self, support: Sequence[np.ndarray], generator: torch.Generator) -> None:
        """Learn the support: one Adam step per image and pass, in an order drawn anew for each pass.

        Args:
            support: uint8 [S, side, side, 3] for each class.
            generator: source of the order.
        """
        images = self._tensor(np.concatenate(support))
        labels = torch.repeat_interleave(torch.tensor([len(of_class) for of_class in support])).to(self.device)
        if self.settings.trainable == "all":
            self._learn(images, labels, self._logits, [*self.body.parameters(), *self.last.parameters()], generator)
        else:  # what a layer that does not learn makes of an image is the same in every pass
            with torch.no_grad():
                seen = torch.cat([self.body(image[None]) for image in images])
            self._learn(seen, labels, self.last, self.last.parameters(), generator)

    @torch.no_grad()
    def scores(self, squares: np.ndarray) -> np.ndarray:
        """Score images uint8 [n, side, side, 3]: logits float32 [n, C]."""
        return self._logits(self._tensor(squares)).cpu().numpy()

    def _learn(
        self,
        inputs: Tensor,
        labels: Tensor,
        network: Callable[[Tensor], Tensor],
        parameters: Iterable[nn.Parameter],
        generator: torch.Generator,
    ) -> None:
        optimiser = torch.optim.Adam(parameters, lr=self.settings.lr, fused=True)
        for _ in range(self.settings.epochs):
            for row in torch.randperm(len(inputs), generator=generator).tolist():
                optimiser.zero_grad()
                F.cross_entropy(network(inputs[row : row + 1]), labels[row : row + 1]).backward()
                optimiser.step()

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(self.body(images))
        return logits

    def _tensor(self, squares: np.ndarray) -> Tensor:
        return to_tensor(squares).to(self.device)
