"""Parameters of runs: a trial's run has what tells it from others, the sweep's run what they share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow.entities import Param
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from fsamc.config.dotted import flatten
from fsamc.fold.config import FoldConfig
from sweeps.plan.configurations import base_values, configuration, swept
from sweeps.plan.settings import Plan
from sweeps.tracking.trial_run import clean


class Params:
    """Configurations of a plan under their dotted keys, each value in one place."""

    def __init__(self, plan: Plan) -> None:
        self._swept = [*swept(plan)]
        self._base = _flat(configuration(plan, base_values(plan)))

    def of_trial(self, config: FoldConfig) -> list[Param]:
        """Return the swept keys first, for a run lists them so, then what else is not as in the base."""
        flat = _flat(config)
        varied = self._varied(flat)
        others = (key for key in flat if key not in varied and flat[key] != self._base.get(key, ...))
        return [_param(key, flat[key]) for key in (*varied, *others)]

    def of_sweep(self) -> list[Param]:
        """Return the base's configuration without the swept keys."""
        varied = self._varied(self._base)
        return [_param(key, value) for key, value in self._base.items() if key not in varied]

    def _varied(self, keys: Iterable[str]) -> list[str]:
        """Pick the keys that are swept, or are part of what is, in the order in which they are swept."""
        keys = [*keys]
        return [*dict.fromkeys(key for other in self._swept for key in keys if f"{key}.".startswith(f"{other}."))]


def _flat(config: FoldConfig) -> dict[str, Any]:
    return flatten(config.model_dump(mode="json", exclude={"shots"}))  # a condition, which all trials share


def _param(key: str, value: object) -> Param:
    """Shorten a long value, which MLflow refuses: the configuration among the artifacts is whole."""
    text = str(value)
    short = text if len(text) <= MAX_PARAM_VAL_LENGTH else f"{text[: MAX_PARAM_VAL_LENGTH - 3]}..."
    return Param(clean(key), short)
