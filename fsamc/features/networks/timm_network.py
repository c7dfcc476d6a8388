"""timm's networks (extra `fsamc[timm]`): convolutional ones stage by stage, vision transformers as grids of patches."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsamc import deadline
from fsamc.config.features import RANDOM, Network
from fsamc.data.preprocessing import Interpolation, Preprocessing
from fsamc.deadline import within
from fsamc.errors import BadInput
from fsamc.features.networks.source import Maps
from fsamc.features.networks.torchvision_resnet import why_unreachable
from fsamc.features.networks.weights_file import brief, check_file

if TYPE_CHECKING:
    from torch import Tensor, nn

TIMM = "timm/"


@dataclass(frozen=True)
class TimmNetwork:
    """The network that `features.backbone`, `timm/NAME`, names.

    `features.layers` are timm's names of its stages or blocks; or `layer1` to `layer4`, the stages at strides 4 to 32,
    and of a transformer, whose blocks have one scale, the blocks that end its quarters. A transformer's maps have its
    last normalisation, and no class token.
    """

    network: Network

    @property
    def identity(self) -> str:
        """The name, and the weights' content."""
        return f"{self.network.backbone}:{RANDOM if self._is_random else check_file(self.file)}"

    @property
    def file(self) -> str:
        """A state dict: the plan's, or the hub's. Raises BadInput where that is neither cached nor reachable."""
        if self._is_random:
            return self.network.backbone
        return self.network.weights or _hub_file(self._name)

    @property
    def origin(self) -> str:
        """The hub's weights have a licence of their own."""
        if self.network.weights is not None:
            return RANDOM if self._is_random else f"{self.network.weights}, with its licence"
        config = _config(self._name)
        return f"{config.hf_hub_id} of the Hugging Face hub, {config.license or 'no licence is named'}"

    @property
    def preprocessing(self) -> Preprocessing:
        """That of the weights by timm."""
        config = _config(self._name)
        interpolation: Interpolation = "bilinear" if config.interpolation == "bilinear" else "bicubic"
        return Preprocessing(mean=tuple(config.mean), std=tuple(config.std), interpolation=interpolation)

    def load(self, device: str) -> Maps:
        """Load the network for images of `features.size`. Raises BadInput."""
        network: Any = self._network().to(device).eval()
        stages = list(network.feature_info)
        one_scale = len({stage["reduction"] for stage in stages}) == 1
        self._check_size(stages[0]["reduction"] if one_scale else 1)
        places = self._places(stages, one_scale=one_scale)
        indices = sorted(set(places))

        def maps(images: Tensor) -> list[Tensor]:
            outputs = network.forward_intermediates(
                images, indices=indices, norm=one_scale, stop_early=True, intermediates_only=True
            )
            return [outputs[indices.index(place)] for place in places]

        return maps

    @property
    def _name(self) -> str:
        return self.network.backbone.removeprefix(TIMM)

    @property
    def _is_random(self) -> bool:
        return self.network.weights == RANDOM

    def _check_size(self, patch: int) -> None:
        size = self.network.size
        if size % patch:
            raise BadInput(
                f"features.size {size}: {self.network.backbone} cuts images into patches of {patch}; "
                f"give a multiple, such as {-(-size // patch) * patch}"
            )

    def _network(self) -> nn.Module:
        """Make the network with its weights; random ones are the same in every process."""
        import timm
        import torch

        from fsamc.features.networks.state_dict import not_its_weights, read_state_dict

        name, config = self.network.backbone, _config(self._name)
        options: dict[str, Any] = {"img_size": self.network.size} if config.fixed_input_size else {}
        if not self._is_random:
            overlay = {"source": "", "state_dict": read_state_dict(self.file)}
            options |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            try:
                network: nn.Module = timm.create_model(self._name, **options)
            except Exception as error:  # each family of networks refuses in its own way
                if self._is_random:
                    raise BadInput(f"{name}: cannot be made ({brief(error)}); change features.size") from error
                raise not_its_weights(self.file, name, error) from error
        if not hasattr(network, "forward_intermediates"):
            raise BadInput(f"{name}: timm gives no maps of its stages; export it, and give --backbone FILE.pt2")
        return network

    def _places(self, stages: list[dict[str, Any]], *, one_scale: bool) -> list[int]:
        """Return which of the stages `features.layers` are."""
        named = {stage["module"]: place for place, stage in enumerate(stages)}
        for quarter in range(1, 5):
            if one_scale:
                named.setdefault(f"layer{quarter}", len(stages) * quarter // 4 - 1)
            else:
                at = [place for place, stage in enumerate(stages) if stage["reduction"] == 2 ** (quarter + 1)]
                named |= {f"layer{quarter}": at[-1]} if at else {}
        missing = [name for name in self.network.layers if name not in named]
        if missing:
            raise BadInput(
                f"features.layers: {self.network.backbone} has no {', '.join(missing)}; it has {', '.join(named)}"
            )
        return [named[name] for name in self.network.layers]


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise BadInput("timm is not installed; pip install 'fsamc[timm]'") from error
    return timm


@lru_cache(maxsize=16)
def _config(name: str) -> Any:
    """Return what timm has noted of a network's weights. Raises BadInput for an unknown name."""
    timm = _timm()
    try:
        config = timm.models.get_pretrained_cfg(name)
    except (RuntimeError, ValueError):
        config = None
    if config is None:
        names = get_close_matches(name, timm.list_models(), n=3) or ["resnet50"]
        raise BadInput(f"backbone {TIMM}{name}: timm has no such network; meant was perhaps {', '.join(names)}")
    return config


@lru_cache(maxsize=16)
def _hub_file(name: str) -> str:
    """Return the file of a network's weights in the hub's cache; fetched if it is not there."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    config = _config(name)
    what = {"repo_id": config.hf_hub_id, "filename": config.hf_hub_filename or "model.safetensors"}
    try:
        if isinstance(
            cached := try_to_load_from_cache(**what), str
        ):  # to look there, `hf_hub_download` asks the hub too
            return cached
        if reason := why_unreachable(constants.ENDPOINT):  # first, as the hub's client tries for half a minute
            raise OSError(reason)
        return within(deadline.DOWNLOAD, lambda: hf_hub_download(**what), f"the download from {constants.ENDPOINT}")
    except Exception as error:  # the hub's client and the network raise many types
        raise BadInput(
            f"the weights of {TIMM}{name} ({config.hf_hub_id}) are neither in the hub's cache nor reachable "
            f"({brief(error)}); give --weights FILE.safetensors, or --backbone auto"
        ) from error
