"""Range of the backbones' features: whether float16 holds what they give for real images of each category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fsamc.config.features import Features
from fsamc.data.category import Category
from fsamc.errors import BadInput
from fsamc.features.squares import read_squares
from fsamc.features.weights import identity, named_file
from fsamc.store.digests import digest
from fsamc.store.store import Store

KIND = "range"


def check_feature_range(networks: Iterable[Features], categories: Mapping[str, Category], store: Store) -> list[str]:
    """Run each backbone on the first good image and the first defect of each category.

    Returns the keys of what was looked at, to be remembered, as the next sweep need not look again.

    Raises BadInput for the first image whose features are NaN, infinite, nothing but zeros, or beyond float16's range.
    """
    from fsamc.features.extraction import range_problem  # torch takes seconds

    keys = []
    for features in networks:
        for category in categories.values():
            paths = (category.train[0], category.defects[0])
            contents = [category.digests[path] for path in paths]
            settings = features.model_dump(mode="json", exclude={"backbone", "weights"})
            keys.append(digest(identity(features), settings, contents))
            if store.get_text(KIND, keys[-1]) is not None:
                continue
            for path in paths:
                if problem := range_problem(read_squares(category, [path], features), features):
                    raise BadInput(f"{named_file(features)}: on {category.folder / path} it {problem}")
    return keys
