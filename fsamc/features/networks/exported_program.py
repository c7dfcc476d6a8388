"""Exported programs (torch.export) as backbones: any network, in one file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsamc.config.features import Network
from fsamc.data.preprocessing import IMAGENET, Preprocessing
from fsamc.errors import BadInput
from fsamc.features.networks.source import Maps
from fsamc.features.networks.weights_file import brief, check_file, read_checked
from fsamc.silence import logger_from

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ExportedProgram:
    """The program in the file that `features.backbone` names; `features.layers` name its outputs."""

    network: Network

    @property
    def identity(self) -> str:
        """The content of the file."""
        return f"program:{check_file(self.file)}"

    @property
    def file(self) -> str:
        """The program."""
        return self.network.backbone

    @property
    def origin(self) -> str:
        """Nothing is known of them."""
        return "an exported program, with the licence of its weights"

    @property
    def preprocessing(self) -> Preprocessing:
        """What programs are to be exported for."""
        return IMAGENET

    def load(self, device: str) -> Maps:
        """Load the program, once its content has been checked. Raises BadInput."""
        import torch

        from fsamc.features.program import checked_program

        content = read_checked(self.file)
        try:
            with logger_from("torch.export", logging.CRITICAL):  # what it tells is raised anyway
                module = torch.export.load(checked_program(content)).module().to(device)
        except Exception as error:  # torch raises a different type for every way in which a file can be wrong
            raise BadInput(f"{self.file}: not a torch.export program ({brief(error)}); export it again") from error
        return lambda images: self._pick(module(images))

    def _pick(self, output: object) -> list[Tensor]:
        """Return the outputs that `features.layers` name."""
        layers = self.network.layers
        if isinstance(output, dict):
            named = dict(output)
        elif isinstance(output, (tuple, list)):
            named = dict(zip(_names(output, layers), output, strict=True))
        else:
            named = {"0": output}
        missing = [name for name in layers if name not in named]
        if missing:
            raise BadInput(
                f"{self.file}: returns {', '.join(named)}, but features.layers asks for {', '.join(missing)}; "
                "export a program with these outputs or name two of its outputs in features.layers"
            )
        return [named[name] for name in layers]


def _names(outputs: Sequence[object], layers: Sequence[str]) -> Sequence[str]:
    return layers if len(outputs) == len(layers) else [str(number) for number in range(len(outputs))]
