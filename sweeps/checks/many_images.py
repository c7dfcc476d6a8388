"""Categories of many images: what is left out of them is said."""

from __future__ import annotations

from collections.abc import Iterable

from fsamc.data.category import Category
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs


def bank_limits(configs: Iterable[FoldConfig], categories: Iterable[Category]) -> list[str]:
    """Return a line for each category whose bank is chosen among a part of its patches."""
    by_settings = {(config.features, config.reference): config for config in configs if config.head.sees != "images"}
    banks = (FoldInputs(category, config, seed=0).bank for category in categories for config in by_settings.values())
    return list(dict.fromkeys(bank.limit for bank in banks if bank.limit is not None))
