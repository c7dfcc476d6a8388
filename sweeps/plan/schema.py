"""JSON schema of plans, for editors: each key, its meaning, what it may hold, and the dotted keys of a space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.plan.keys import knobs
from sweeps.plan.settings import Distribution, Plan

Schema = dict[str, Any]
_FORMS = ("choice", "uniform", "loguniform", "integers")


def plan_schema() -> Schema:
    """Build the JSON schema (2020-12) of a plan as written in YAML, its keys taken for text as JSON has them.

    What only a check of the whole can tell, such as a crop that is smaller than the image, is left to
    `fsamc plan check`.
    """
    schema = settings_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    for name in ("compute", "shots"):  # resources and folds say them
        definitions["FoldConfig"]["properties"].pop(name)
    dotted = dict(_dotted("FoldConfig", "", definitions))
    keys = {key: field for key, field in dotted.items() if not key.startswith("^")}
    patterns = {key: field for key, field in dotted.items() if key.startswith("^")}
    properties: dict[str, Schema] = schema["properties"]
    properties["space"] |= _closed({key: _swept(field) for key, field in keys.items()}, patterns, _swept)
    properties["configurations"]["items"] = _closed(keys, patterns, dict) | {"type": "object"}
    properties["extends"] = {
        "type": "string",
        "description": "a preset or a file whose plan holds what is left out here",
    }
    for field in (*properties.values(), *_fields(definitions)):
        if "$ref" in field:
            field.pop("default", None)  # each knob says its own
    schema.pop("required")  # a plan without a name is called after its file
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "fsamc plan", **schema}


def settings_schema() -> Schema:
    """Build the JSON schema of a plan's settings; a head has the keys of all kinds, as in a sweep over kinds."""
    schema = Plan.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    meanings = {key: meaning for key, _, meaning in knobs()}
    for name, field in definitions["FoldConfig"]["properties"].items():
        if "oneOf" in field:
            kinds = [definitions.pop(one["$ref"].rpartition("/")[2]) for one in field.pop("oneOf")]
            merged = {key: below for kind in kinds for key, below in kind["properties"].items()}
            merged["kind"] = {"type": "string", "enum": [*field.pop("discriminator")["mapping"]]}
            described = {key: {**below, "description": meanings[f"base.{name}.{key}"]} for key, below in merged.items()}
            definitions[name] = {
                **kinds[0],
                "title": name,
                "description": field["description"],
                "properties": described,
            }
            field["$ref"] = f"#/$defs/{name}"
    return schema


def _closed(keys: Mapping[str, Schema], patterns: Mapping[str, Schema], of_value: Any) -> Schema:
    by_pattern = {pattern: of_value(field) for pattern, field in patterns.items()}
    return {"properties": dict(keys), "patternProperties": by_pattern, "additionalProperties": False}


def _fields(definitions: Mapping[str, Schema]) -> Iterator[Schema]:
    for definition in definitions.values():
        yield from definition.get("properties", {}).values()


def _dotted(name: str, prefix: str, definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield knobs and groups below a settings class by dotted key; a pattern, from `^`, for keys of the user's own."""
    for part, field in definitions[name]["properties"].items():
        key = f"{prefix}{part}"
        if group := field.get("$ref", "").rpartition("/")[2]:
            yield key, {"$ref": field["$ref"], "description": definitions[group].get("description", "")}
            yield from _dotted(group, f"{key}.", definitions)
            continue
        yield key, {name: value for name, value in field.items() if name not in ("title", "default")}
        for kind in (field, *field.get("anyOf", ())):
            if isinstance(values := kind.get("additionalProperties"), Mapping):
                yield rf"^{re.escape(key)}\.[^.]+$", {**values, "description": field.get("description", "")}


def _swept(field: Schema) -> Schema:
    """Describe what a knob's place in the space may hold: a distribution of its values, or null, which takes it out."""
    values = {name: value for name, value in field.items() if name != "description"}
    own: Schema = {name: {"$ref": f"#/$defs/Distribution/properties/{name}"} for name in Distribution.model_fields}
    own["choice"] = {"type": "array", "minItems": 1, "items": values, "description": "any of these values"}
    one = {"oneOf": [{"required": [form]} for form in _FORMS]}
    return {
        "description": field.get("description", ""),
        "type": ["object", "null"],
        "properties": own,
        "additionalProperties": False,
        "if": {"type": "object"},
        "then": one,
    }
