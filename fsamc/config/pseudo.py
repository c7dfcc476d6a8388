"""Pseudo-defects: their shape, their place, what they are made of (paper 3.5, appendix C)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fsamc.config.settings import GreyLevels, Settings, Share, ShareRange

Foreground = Literal["auto", "flood", "flood_centre", "grabcut", "whole"]


def _octaves(pair: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= pair[0] <= pair[1] <= 7:
        raise ValueError(f"found {list(pair)}, expected two exponents of 2 in order, from 0 to 7")
    return pair


def _sides(sides: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(sides)) != len(sides):
        raise ValueError(f"{list(sides)} names a number of sides twice")
    return sides


class Segmentation(Settings):
    """How an object is told from its background, and what `foreground: auto` takes for an object."""

    flood: tuple[GreyLevels, GreyLevels] = Field(
        (80, 50), description="flood: how much darker and how much brighter than a corner the background may be"
    )
    centre: tuple[GreyLevels, GreyLevels] = Field(
        (80, 30), description="flood_centre: the same of the hole in the middle, which is background too"
    )
    grabcut: int = Field(10, ge=1, description="grabcut: iterations")
    part: Share = Field(0.1, description="parts and holes smaller than this share of the largest part are tidied away")
    area: ShareRange = Field((0.03, 0.9), description="share of the image an object covers; else none was found")
    edge: float = Field(2.5, ge=0.0, description="auto: gradient on an object's outline, in means of the image's")
    sample: int = Field(8, ge=1, description="auto: how many of the good images are looked at")
    agree: Share = Field(0.75, description="auto: share of the images in which a method must find an object")


class Perlin(Settings):
    """Perlin noise, as in the authors' program."""

    scales: Annotated[tuple[int, int], AfterValidator(_octaves)] = Field(
        (0, 5), description="perlin: cells along a side are 2 to a power drawn between these, for each direction"
    )
    threshold: float = Field(0.35, description="perlin: cut of the noise, whose values lie between about -1 and 1")


class Polygon(Settings):
    """Regular polygons; texture x number of sides is the pseudo-class (paper, appendix C)."""

    sides: Annotated[tuple[Annotated[int, Field(ge=3, le=12)], ...], AfterValidator(_sides)] = Field(
        (3, 4, 5, 6), min_length=1, description="polygon: numbers of sides, a pseudo-class each"
    )
    size: float = Field(0.2, gt=0.0, le=1.0, description="polygon: side of its box, as a share of the image's")
    inside: Share = Field(0.5, description="polygon: share of it that must lie on the foreground; redrawn until so")


class Pseudo(Settings):
    """Pseudo-defects: textures pasted on good images (paper 3.5)."""

    mask: Literal["poisson", "perlin", "polygon"] = Field("poisson", description="shape of the pasted region")
    foreground: Foreground | dict[str, Foreground] = Field(
        "auto", description="where the object is: one way for all, or one per category"
    )
    segmentation: Segmentation = Segmentation()
    beta: ShareRange = Field((0.0, 0.5), description="share of the image kept inside the mask, drawn uniformly")
    per_class: int = Field(20, ge=2, description="pseudo-defect images per pseudo-class")
    textures_per_class: int = Field(1, ge=1, description="texture images used of each texture class")
    rate: float = Field(8.0, gt=0.0, description="poisson: mean count per pixel")
    blur: float = Field(
        0.05, ge=0.0, le=1.0, description="poisson: Gaussian blur of the noise, sigma as a share of the side"
    )
    threshold: float = Field(0.7, description="poisson: cut of the blurred noise, standard deviations above its mean")
    perlin: Perlin = Perlin()
    polygon: Polygon = Polygon()
    area: ShareRange = Field(
        (0.1, 0.4), description="poisson, perlin: share of the foreground the mask may cover; redrawn until so"
    )
    tries: int = Field(100, ge=1, description="masks drawn for one image at most")
    residual: Literal["source", "bank"] = Field(
        "source", description="what is subtracted: the clean source image's features or the nearest bank rows"
    )
