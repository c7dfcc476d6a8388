"""Network identity: the weights that a configuration names, by content. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from fsamc.config.features import RANDOM, Features, Network
from fsamc.features.networks.lookup import AUTO, network_source, source_of

RANDOM_WEIGHTS = "random backbone: accuracies are not comparable"


def is_random(features: Features) -> bool:
    """Whether the weights of a network mean nothing: such a run carries the caveat `RANDOM_WEIGHTS`."""
    return any(network.weights == RANDOM for network in features.networks)


def identity(features: Features) -> str:
    """Return what the network is: the same for a file under any name, another once the file's content changes.

    `auto` is itself until the driver has resolved it.
    """
    return AUTO if features.backbone == AUTO else network_source(features).identity


def named_file(features: Features) -> str:
    """Return the file that the network is read from, or its name where a library has it; of several all of them."""
    return network_source(features).file


def local_files(features: Features) -> list[Path]:
    """List the files that networks are read from; of those that a library has there is none."""
    return [file for one in features.networks if (file := Path(source_of(one).file)).is_file()]


def origin(features: Features) -> str:
    """Return each backbone's name, where its weights come from, and their licence, for people."""
    return "; ".join(map(origin_of, features.networks))


def origin_of(network: Network) -> str:
    """Return a backbone's name, where its weights come from, and their licence, for people."""
    return f"{network.backbone}: {source_of(network).origin}"
