"""Checks of images, textures and weights on this machine. Nothing is fetched but a listing."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from cluster.nodes.node_checks import Cached
from fsamc.config.dotted import validated
from fsamc.config.features import Features
from fsamc.data.category import find_categories, scan_category
from fsamc.data.remote import Address, Source, count_files
from fsamc.data.textures import load_textures
from fsamc.errors import BadInput
from sweeps.doctor.check import Check, ok, problem, refused, warning

DEFAULT = "resnet50"


def examine_materials(data: Source | None, textures: Source | None) -> Iterator[Check]:
    """Whether images and textures can be read."""
    if data is not None:
        yield from refused("data", str(data), lambda: _count_remote(data, "--data") or _categories(data))
    if textures is not None and str(textures) != "dtd":
        yield from refused(
            "textures", str(textures), lambda: _count_remote(textures, "--textures") or _classes(textures)
        )


def examine_weights(backbone: str | None, weights: str | None) -> Iterator[Check]:
    """Whether the network's weights are at hand."""
    name = DEFAULT if backbone in (None, "auto") else str(backbone)
    if name.endswith(".pt2") or weights is not None:
        yield from refused("weights", weights or name, lambda: _load(name, weights))
        return
    from torchvision.models import get_model_weights

    try:
        url = get_model_weights(name)["IMAGENET1K_V1"].url
    except (ValueError, KeyError):
        yield problem("weights", f"--backbone {name}: torchvision has no such network", f"give {DEFAULT} or FILE.pt2")
        return
    cached = Cached(name=url.rsplit("/", 1)[-1])
    if (cached.folder / cached.name).is_file():
        yield ok("weights", f"{name}: {cached.folder / cached.name}")
        return
    reason = _unreachable(url)
    if reason is None:
        yield warning("weights", f"{name}: not here yet, the first sweep fetches them", "nothing, if that may be")
    else:
        mend = f"place {cached.name} in {cached.folder}, or give --weights FILE or --backbone FILE.pt2"
        yield problem("weights", f"{name}: neither in torch's cache nor to be had ({reason})", mend)


def _count_remote(source: Source, option: str) -> str:
    """Count the files at an address; return nothing for a folder."""
    return f"{count_files(source, option)} files" if isinstance(source, Address) else ""


def _categories(data: Source) -> str:
    assert isinstance(data, Path)
    names = find_categories(data)
    images = sum(len(scan_category(data, name).images) for name in names)  # `data inspect` looks closer
    return f"{len(names)} categories, {images} images"


def _classes(textures: Source) -> str:
    assert isinstance(textures, Path)
    return f"{len(load_textures(textures).classes)} texture classes"


def _load(name: str, weights: str | None) -> None:
    """Load the file as a sweep would. Raises BadInput."""
    from fsamc.features.backbone import load_backbone

    for file in filter(None, [name if name.endswith(".pt2") else None, weights]):
        if not Path(file).is_file():
            raise BadInput(f"{file}: no such file; give the path of a .pt2 program, .pth or .safetensors weights")
    load_backbone(validated(Features, {"backbone": name, "weights": weights}, where="features"), "cpu")


def _unreachable(url: str) -> str | None:
    """Why the network does not have it; None if it does."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=10).close()
    except (OSError, HTTPException, ValueError) as error:
        return " ".join(str(error).split())[:150]
    return None
