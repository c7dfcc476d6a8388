"""Names the type of an industrial defect from one to five examples of each type.

The public names are loaded at their first use, so that importing this package loads no torch.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsamc.classifier.classifier import DefectClassifier as DefectClassifier
    from fsamc.classifier.prediction import Prediction as Prediction
    from fsamc.data.category import Category as Category
    from fsamc.data.category import load_category as load_category
    from fsamc.detectors.bank import MemoryBank as MemoryBank
    from fsamc.detectors.coreset import greedy_coreset as greedy_coreset
    from fsamc.errors import BadInput as BadInput
    from fsamc.features.patches import patch_features as patch_features
    from fsamc.fold.config import FoldConfig as FoldConfig
    from fsamc.fold.result import FoldResult as FoldResult
    from fsamc.fold.run import run_fold as run_fold
    from fsamc.store.store import Store as Store

__version__ = "0.1.0"
_WHERE = {
    "BadInput": "errors",
    "Category": "data.category",
    "DefectClassifier": "classifier.classifier",
    "FoldConfig": "fold.config",
    "FoldResult": "fold.result",
    "MemoryBank": "detectors.bank",
    "Prediction": "classifier.prediction",
    "Store": "store.store",
    "greedy_coreset": "detectors.coreset",
    "load_category": "data.category",
    "patch_features": "features.patches",
    "run_fold": "fold.run",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve_name(f"{__name__}.{_WHERE[name]}:{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
