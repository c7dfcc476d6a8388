"""Checks of images, textures and weights on this machine. Nothing is fetched but a listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from cluster.nodes.node_checks import Cached
from fsamc.config.dotted import validated
from fsamc.config.features import Features
from fsamc.data.category import scan_category
from fsamc.data.folders import find_categories
from fsamc.data.remote import Address, Source, count_files
from fsamc.data.textures import load_textures
from fsamc.deadline import DEADLINE, within
from sweeps.doctor.check import Check, refused

DEFAULT = "resnet50"


def examine_materials(data: Source | None, textures: Source | None) -> Iterator[Check]:
    """Yield whether images and textures can be read."""
    if data is not None:
        yield from _examine_folder("data", data, _count_images)
    if textures is not None and str(textures) != "dtd":
        yield from _examine_folder(
            "textures", textures, lambda path: f"{len(load_textures(path).classes)} texture classes"
        )


def _examine_folder(name: str, source: Source, count: Callable[[Path], str]) -> Iterator[Check]:
    def look() -> str:
        return f"{count_files(source, f'--{name}')} files" if isinstance(source, Address) else count(source)

    return refused(name, str(source), look)


def _count_images(data: Path) -> str:
    names = find_categories(data)
    return f"{len(names)} categories, {sum(len(scan_category(data, name).images) for name in names)} images"


def examine_weights(backbone: str | None, weights: str | None) -> Iterator[Check]:
    """Yield whether the network's weights are at hand: those of a file are loaded as a sweep would."""
    name = DEFAULT if backbone in (None, "auto") else str(backbone)
    if name.endswith(".pt2") or weights is not None:
        yield from refused("weights", weights or name, lambda: _load(name, weights))
        return
    from torchvision.models import get_model_weights

    try:
        url = get_model_weights(name)["IMAGENET1K_V1"].url
    except (ValueError, KeyError):
        finding = f"--backbone {name}: torchvision has no such network"
        yield Check("weights", "problem", finding, f"give {DEFAULT} or FILE.pt2")
        return
    cached = Cached(name=url.rsplit("/", 1)[-1])
    if cached.trouble() is None:
        yield Check("weights", "ok", f"{name}: {cached.folder / cached.name}")
    elif (reason := _unreachable(url)) is None:
        finding = f"{name}: not here yet, the first sweep fetches them"
        yield Check("weights", "warning", finding, "nothing, if that may be")
    else:
        mend = f"place {cached.name} in {cached.folder}, or give --weights FILE or --backbone FILE.pt2"
        yield Check("weights", "problem", f"{name}: neither in torch's cache nor to be had ({reason})", mend)


def _load(name: str, weights: str | None) -> None:
    from fsamc.features.backbone import load_backbone

    load_backbone(validated(Features, {"backbone": name, "weights": weights}, where="features"), "cpu")


def _unreachable(url: str) -> str | None:
    """Say why the network does not have it; None if it does."""
    try:
        within(DEADLINE, lambda: urlopen(Request(url, method="HEAD"), timeout=10), url).close()
    except (OSError, HTTPException, ValueError) as error:
        return " ".join(str(error).split())[:150]
    return None
