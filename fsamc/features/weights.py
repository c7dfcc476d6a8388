"""Network identity: the weights that a configuration names, by content. Loads no torch."""

from __future__ import annotations

from fsamc.config.features import Features
from fsamc.features.networks.lookup import AUTO, network_source
from fsamc.features.networks.weights_file import RANDOM

RANDOM_WEIGHTS = "random backbone: accuracies are not comparable"


def is_random(features: Features) -> bool:
    """Whether the weights mean nothing: such a run carries the caveat `RANDOM_WEIGHTS`."""
    return features.weights == RANDOM


def identity(features: Features) -> str:
    """Return what the network is: the same for a file under any name, another once the file's content changes.

    `auto` is itself until the driver has resolved it.
    """
    return AUTO if features.backbone == AUTO else network_source(features).identity


def named_file(features: Features) -> str:
    """Return the file that the network is read from, or its name where a library has it."""
    return network_source(features).file


def origin(features: Features) -> str:
    """Return the backbone's name, where its weights come from, and their licence, for people."""
    return f"{features.backbone}: {network_source(features).origin}"
