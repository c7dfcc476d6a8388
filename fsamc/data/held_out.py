"""Groups of images that are held out of a search, so that what it finds can be scored on images that had no say."""

from __future__ import annotations

from dataclasses import replace

from fsamc.data.category import Category
from fsamc.seeds import numpy_generator


def hold_out(category: Category, share: float) -> Category:
    """Return the category with a part of each class's groups held out; `test/good` counts as a class.

    Chosen at random, seeded by (category, class) alone: of g groups round(share g), and at least one. A group with
    images in several classes is held out in all of them, and counts in each.
    """
    classes = category.with_classes(good=bool(category.good)).classes
    held: set[str] = set()
    for name, paths in classes.items():
        groups = list(dict.fromkeys(map(category.group, paths)))
        wanted = max(1, round(share * len(groups))) - len(held.intersection(groups))
        order = numpy_generator("held out", category.name, name).permutation(len(groups))
        free = [groups[place] for place in order if groups[place] not in held]
        held.update(free[: max(0, wanted)])
    return replace(category, held=frozenset(held))
