"""Requests on photos: every argument of `fsamc check` and `fsamc fit`. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sweeps.plan.presets import preset_names
from sweeps.request import BackboneOption, CacheOption, TexturesOption, WeightsOption, default_cache


@dataclass(frozen=True, kw_only=True)
class PhotosRequest:
    """What a classifier is to learn from, as it is written on the command line; None or empty for what is left out."""

    category: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA/CATEGORY",
            help="Folder of one category, in MVTec layout, or its address: s3://, gs://, hdfs://.",
        ),
    ] = None
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes of the plan, such as base.head.kind=lda.")
    ] = None
    good: Annotated[
        list[Path] | None, typer.Option("--good", metavar="DIR", help="Good images, without a category's folder.")
    ] = None
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME=DIR", help="Photos of a defect class; once for each.")
    ] = None
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="PLAN",
            help="A sweep's best.yaml, a YAML file or a preset.",
            autocompletion=preset_names,
        ),
    ] = None
    textures: TexturesOption = None
    backbone: BackboneOption = None
    weights: WeightsOption = None
    cache: CacheOption = None
    seed: Annotated[int, typer.Option("--seed", help="Of the bank and the head.")] = 1

    def __post_init__(self) -> None:
        first = self.category
        if first and "=" in first and not Path(first).is_dir():  # a change, where the category was left out
            object.__setattr__(self, "changes", [first, *(self.changes or ())])
            object.__setattr__(self, "category", None)

    @property
    def kept_in(self) -> Path:
        """The cache."""
        return self.cache or default_cache()

    @property
    def product(self) -> str:
        """What photos in no category's folder are of."""
        return "product"


@dataclass(frozen=True, kw_only=True)
class FitRequest(PhotosRequest):
    """What is to be fitted, and where it goes."""

    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The classifier, such as bolt.fsamc.")]
    with_backbone: Annotated[bool, typer.Option("--with-backbone", help="Pack the network into the file.")] = False

    @property
    def product(self) -> str:
        """The file's name."""
        return self.out.stem
