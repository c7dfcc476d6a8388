"""Classifiers of the tiny category."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fsamc.classifier.classifier import DefectClassifier
from fsamc.config.dotted import updated
from tests.fsamc.classifier.photos import FREE, files


@pytest.fixture(scope="module")
def make(tiny_category, tiny_config, tiny_textures, store) -> Callable[..., DefectClassifier]:
    """Fit a classifier to photos of the tiny category, two of each class by default."""

    def make(changes: Mapping[str, Any] | None = None, support: Mapping[str, Any] | None = None) -> DefectClassifier:
        config = updated(tiny_config, {**FREE, **(changes or {})})
        photos = support or {name: files(tiny_category, paths[:2]) for name, paths in tiny_category.classes.items()}
        good = files(tiny_category, tiny_category.train)
        made = DefectClassifier(config, rows=None)
        return made.fit(good, photos, name=tiny_category.name, store=store, textures=tiny_textures)

    return make
