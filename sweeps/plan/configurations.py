"""Configurations of a plan: its base, the listed ones, the ends of its space, and a trial's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from fsamc.config.dotted import validated, with_value
from fsamc.config.features import RANDOM, Network
from fsamc.config.kinds import without_other_kinds
from fsamc.features.networks.lookup import is_program
from fsamc.fold.config import FoldConfig
from sweeps.plan.kinds import has
from sweeps.plan.objective_settings import EarlierSweeps, Final
from sweeps.plan.settings import Distribution, Plan
from sweeps.plan.space import ends, settle, value_at


def configuration(plan: Plan, values: Mapping[str, Any]) -> FoldConfig:
    """Make the base with a trial's values; what its kinds of head and detector do not have stays out.

    Raises BadInput for a combination that may not be.
    """
    tree: dict[Any, Any] = plan.base.model_dump(mode="json")
    for key, value in {**plan.aside, **values}.items():
        tree = with_value(tree, key, value)
    return validated(FoldConfig, without_other_kinds(FoldConfig, tree))


def alone(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """Make the plan of one trial by itself, on the same folds."""
    of_a_search = {"sampler": "tpe", "storage": None, "study": None, "prior": EarlierSweeps(), "final": Final()}
    parts = {"space": {}, "configurations": (), "search": plan.search.model_copy(update=of_a_search)}
    return plan.model_copy(update={"name": f"{plan.name}-best", "base": configuration(plan, values), **parts})


def with_absolute_files(plan: Plan) -> Plan:
    """Name the base's files from the root: a worker's working directory may be another."""
    features = plan.base.features.with_networks([_absolute(network) for network in plan.base.features.networks])
    return plan.model_copy(update={"base": plan.base.model_copy(update={"features": features})})


def _absolute(network: Network) -> Network:
    """Name a network's file from the root."""
    if is_program(network):
        return replace(network, backbone=str(Path(network.backbone).absolute()))
    weights = network.weights
    return network if weights in (None, RANDOM) else replace(network, weights=str(Path(weights).absolute()))


def swept(plan: Plan) -> dict[str, Distribution]:
    """Return the swept keys and where their values come from; of listed configurations, the values that occur."""
    if not plan.configurations:
        return plan.space
    rows = [base_values(plan), *listed_values(plan)]
    return {key: Distribution(choice=distinct_of(row[key] for row in rows if key in row)) for key in _listed_keys(plan)}


def base_values(plan: Plan) -> dict[str, Any]:
    """Return the base's own values of the keys that are swept around it: the configuration of trial 0."""
    if plan.configurations:
        return values_at(plan.base, _listed_keys(plan))
    return settle(plan.space, plan.base, lambda key, _: value_at(plan.base, key))


def listed_values(plan: Plan) -> list[dict[str, Any]]:
    """Return each listed configuration's values of the swept keys; where it is silent, the base's."""
    return [values_at(configuration(plan, entry), _listed_keys(plan)) for entry in plan.configurations]


def _listed_keys(plan: Plan) -> dict[str, None]:
    return dict.fromkeys(key for entry in plan.configurations for key in entry)


def values_at(config: FoldConfig, keys: Iterable[str]) -> dict[str, Any]:
    """Return a configuration's values of those keys that its kinds have."""
    return {key: value_at(config, key) for key in keys if has(config, key)}


def variants(plan: Plan, *, changed: int = 1) -> Iterator[FoldConfig]:
    """Yield the base, and it with the ends of up to `changed` ranges at a time: what is right for these is for all.

    Where one has a condition, so that it is met. Listed configurations come as they are. Raises BadInput for a
    combination that may not be.
    """
    for count in range(changed + 1):
        for keys in combinations(plan.space, count):
            for values in ends(plan.space, plan.base, keys):
                yield configuration(plan, values)
    for entry in plan.configurations:
        yield configuration(plan, entry)


def distinct_of(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return each of the values once; they need not be hashable."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return tuple(distinct)
