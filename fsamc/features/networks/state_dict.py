"""State dicts: read from a file without running what is in it, loaded strictly, or drawn anew."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from fsamc.errors import BadInput
from fsamc.features.networks.weights_file import brief, read_checked
from fsamc.seeds import torch_generator


def read_state_dict(path: str) -> dict[str, Tensor]:
    """Read a .safetensors file, or any other by torch, which takes nothing but tensors. Raises BadInput."""
    content = read_checked(path)
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load

            return load(content)
        state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # both loaders raise many types
        if isinstance(error, UnpicklingError):  # torch's own text advises to let it run
            raise BadInput(_what_pickle(path, str(error))) from error
        raise BadInput(f"{path}: not a state dict ({brief(error)}); expected .pth or .safetensors") from error
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise BadInput(f"{path}: not a state dict (no tensors by name); save the network's state_dict()")
    return state


def not_its_weights(path: str | None, name: str, error: Exception) -> BadInput:
    """Say that the state dict in a file is another network's."""
    return BadInput(f"{path}: not the weights of a {name} ({brief(error)}); give its state dict")


def randomise(network: nn.Module) -> None:
    """Set weights of convolutions of a fixed seed, scaled so that activations keep their size."""
    generator = torch_generator(0, "random backbone")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)


def _what_pickle(path: str, text: str) -> str:
    if "unsupported global" in text.lower():
        return (
            f"{path}: holds more than tensors, which may run anything; save the network's state_dict() alone, or a "
            ".safetensors file"
        )
    return f"{path}: not a state dict (no file of torch.save); expected .pth or .safetensors"
