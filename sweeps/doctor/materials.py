"""Checks of images, textures and weights on this machine. Nothing is fetched but a listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cluster.nodes.node_checks import Cached
from fsamc.config.dotted import validated
from fsamc.config.features import Features
from fsamc.counting import counted
from fsamc.data.category import scan_category
from fsamc.data.folders import find_categories
from fsamc.data.remote import Address, Source, count_files
from fsamc.data.textures import load_textures
from fsamc.features.networks.efficientnet_lite import EFFICIENTNET_LITE
from fsamc.features.networks.lookup import AUTO, network_source
from fsamc.features.networks.torchvision_resnet import RESNETS, pretrained_url, why_unreachable
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
    images = sum(len(scan_category(data, name).images) for name in names)
    return f"{counted(len(names), 'category')}, {counted(images, 'image')}"


def examine_weights(backbone: str | None, weights: str | None) -> Iterator[Check]:
    """Yield whether the network's weights are at hand: those of a file or a package are loaded as a sweep would."""
    name = DEFAULT if backbone in (None, AUTO) else str(backbone)
    if name not in RESNETS or weights is not None:
        yield from refused("weights", weights or name, lambda: _load(name, weights))
        return
    url = pretrained_url(name)
    cached = Cached(name=url.rsplit("/", 1)[-1])
    if cached.trouble() is None:
        yield Check("weights", "ok", f"{name}: {cached.folder / cached.name}")
    elif (reason := why_unreachable(url)) is None:
        finding = f"{name}: not here yet, the first sweep fetches them"
        yield Check("weights", "warning", finding, "nothing, if that may be")
    elif backbone == AUTO:
        yield from refused(
            "weights", f"{EFFICIENTNET_LITE}, for want of {name}'s", lambda: _load(EFFICIENTNET_LITE, None)
        )
    else:
        mend = f"place {cached.name} in {cached.folder}, or give --weights FILE, --backbone FILE.pt2 or --backbone auto"
        yield Check("weights", "problem", f"{name}: neither in torch's cache nor to be had ({reason})", mend)


def _load(name: str, weights: str | None) -> str:
    from fsamc.features.backbone import load_backbone

    features = validated(Features, {"backbone": name, "weights": weights}, where="features")
    load_backbone(features, "cpu")
    return network_source(features).origin
