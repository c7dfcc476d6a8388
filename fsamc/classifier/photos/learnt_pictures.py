"""Pictures that a classifier has learnt from: which they are, by content, and where they lie on this machine.

The classifier's file holds no path. The cache of the machine that has fitted it does, under a hash that the file has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from fsamc.artifacts.good_scores import held_out_rows
from fsamc.classifier.model_file import PhotoRecord, Record
from fsamc.classifier.photos.support_set import photo_names
from fsamc.data.category import Category
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.store.digests import digest
from fsamc.store.store import Store

GOOD = "good"
MOST = 32  # good images that are named in the file, as those that an export is compared on
_KIND = "places"


@dataclass(frozen=True)
class LearntPictures:
    """Good images and photos of a classifier.

    Attributes:
        category: name of the product.
        good: how many good images.
        fingerprint: hash of their contents.
        held_out: some of those that the threshold was set on; of all, where none were held out for that.
        places: where good images and photos are here, by the hash of their content; empty where that is not known.
        key: hash of `places` as they were where it was fitted.
    """

    category: str = ""
    good: int = 0
    fingerprint: str = ""
    held_out: tuple[PhotoRecord, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    @classmethod
    def of(cls, category: Category, config: FoldConfig) -> Self:
        """Describe those of a category from which a classifier of this configuration learns."""
        category = category.with_classes(good=config.good)
        try:
            rows = held_out_rows(category, config.detection.held_out)
        except BadInput:  # a single group: no threshold either
            rows = tuple(range(len(category.train)))
        held_out = [category.train[row] for row in rows[:: -(-len(rows) // MOST)]]
        names, digests = photo_names(held_out), category.digests
        read = [*held_out, *category.defects]
        places = {digests[path]: str((category.folder / path).absolute()) for path in read}
        return cls(
            category=category.name,
            good=len(category.train),
            fingerprint=digest(*(digests[path] for path in category.train)),
            held_out=tuple(PhotoRecord(name=names[path], label=GOOD, digest=digests[path]) for path in held_out),
            places=places,
            key=digest(sorted(places.items())),
        )

    @classmethod
    def recorded(cls, record: Record, cache: Path) -> Self:
        """Read them from a classifier's file, and from the cache where they are."""
        text = Store(cache).get_text(_KIND, record.places) if record.places else None
        places = dict(json.loads(text)) if text else {}
        return cls(record.category, record.good, record.fingerprint, record.held_out, places, record.places)

    def keep(self, store: Store) -> None:
        """Have the store remember where they are."""
        store.put_text(_KIND, self.key, json.dumps(dict(self.places)))
