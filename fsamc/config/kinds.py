"""Fields that hold settings of one of several kinds, told apart by `kind`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fsamc.config.settings import Settings


def kinds_of(field: FieldInfo) -> dict[str, type[Settings]]:
    """Return the settings classes that a field may hold, by kind; none where it is no such field."""
    if field.discriminator != "kind":
        return {}
    return {settings.model_fields["kind"].default: settings for settings in get_args(field.annotation)}


def without_other_kinds(model: type[BaseModel], tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """Leave out of the fields of a `model` what belongs to other kinds than theirs; unknown keys stay."""
    fitted = dict(tree)
    for name, field in model.model_fields.items():
        kinds, settings = kinds_of(field), tree.get(name)
        if kinds and isinstance(settings, Mapping) and (own := kinds.get(settings.get("kind", field.default.kind))):
            others = {key for kind in kinds.values() for key in kind.model_fields} - {*own.model_fields}
            fitted[name] = {key: value for key, value in settings.items() if key not in others}
    return fitted
