"""Configuration of a classifier: a fold's, from a plan or the defaults, with a small bank and nothing left open."""

from __future__ import annotations

from pathlib import Path

import yaml

from fsamc.config.dotted import updated, validated
from fsamc.detectors.detector_kinds import BankSettings
from fsamc.errors import BadInput
from fsamc.features.automatic import resolved_backbone, resolved_precision
from fsamc.features.networks.lookup import AUTO
from fsamc.fold.config import FoldConfig
from fsamc.hardware import whole_machine

ROWS = 4000  # of a classifier's bank by default: a file below 10 MB, and no accuracy lost on the categories measured


def classifier_config(config: FoldConfig | str | Path | None, *, rows: int | None) -> FoldConfig:
    """Return the configuration that a classifier is fitted with, every `auto` resolved for this machine.

    Args:
        config: every knob, a plan's file whose `base` has them, or None for the defaults and the `auto` backbone.
        rows: good patches in the bank in place of `reference.ratio`; None keeps that, and `reference.rows` stays too.

    Raises:
        BadInput: there is no such file, it is no plan, or its backbone cannot be had.
    """
    if not isinstance(config, FoldConfig):
        base = updated(FoldConfig(), {"features.backbone": AUTO}) if config is None else _base_of_plan(Path(config))
        config = base.model_copy(update={"compute": whole_machine()})
    if rows is not None and isinstance(config.reference, BankSettings) and config.reference.rows is None:
        config = updated(config, {"reference.rows": rows, "reference.ratio": None})
    features, _ = resolved_backbone(config.features)
    return config.model_copy(update={"features": resolved_precision(features, config.compute.device)})


def _base_of_plan(path: Path) -> FoldConfig:
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path}: no plan that can be read ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(plan, dict) or not isinstance(plan.get("base", {}), dict):
        raise BadInput(f"{path}: is no plan; expected YAML with a mapping `base`, such as a sweep's best.yaml")
    return validated(FoldConfig, plan.get("base", {}), where=f"{path}: base")
