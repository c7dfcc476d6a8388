"""MkDocs hooks: reference pages written from the code, and pages that live beside what they explain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from natsort import natsorted
from typer.core import TyperGroup
from typer.main import get_command

from sweeps.cli import app
from sweeps.plan.keys import knobs
from sweeps.plan.schema import settings_schema

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {
    "name": "The plan itself",
    "base": "One fold: `base`",
    "space": "What is searched: `space`",
    "configurations": "A list in place of a space: `configurations`",
    "folds": "Folds",
    "resources": "Resources",
    "search": "Search",
    "objective": "Objective",
}
WORDS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "none",
    "object": "mapping",
    "array": "list",
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
KNOBS = """\
Every key of a plan, as `fsamc plan show` lists them. Plans and the command line say `base.head.centre`; a space,
`configurations`, tables and MLflow leave out the word `base`. A knob with names under *read by* is read where one of
these kinds is chosen. A head or detector of another kind does not have it; elsewhere it changes nothing.
"""
ELSEWHERE = {"how-to/docker.md": "docker/README.md", "how-to/manifests.md": "cluster/manifests/README.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those in `docs/`."""
    pages = {"reference/knobs.md": knob_page(), "reference/commands.md": command_page()}
    pages |= {"reference/presets.md": preset_page()}
    pages |= {page: carried(ROOT / source) for page, source in ELSEWHERE.items()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def knob_page() -> str:
    """Write every dotted key of a plan with its default, what it accepts and its meaning, a table per part."""
    schema = settings_schema()
    accepted = dict(_accepted(schema, schema["$defs"], ""))
    parts: dict[str, list[str]] = {}
    for key, default, meaning in knobs():
        part = ".".join(key.split(".")[: 2 if key.count(".") > 1 and key.startswith("base.") else 1])
        kinds, meaning = _kinds(key, meaning)
        row = f"| `{key}` | {_code(default)} | {_cell(accepted.get(key, ''))} | {kinds} | {_cell(meaning)} |"
        parts.setdefault(part, []).append(row)
    lines = ["# Knobs", "", *KNOBS.splitlines(), ""]
    for part, rows in parts.items():
        lines += [
            f"## {GROUPS.get(part, f'`{part}`')}",
            "",
            "| key | default | values | read by | meaning |",
            "| --- " * 5 + "|",
        ]
        lines += [*rows, ""]
    return "\n".join(lines)


def command_page() -> str:
    """Write every command with its usage, help, arguments and options."""
    lines = ["# Commands", "", "Exit codes: 0 done, 1 failed or interrupted, 2 bad input.", ""]
    for command, context in _commands(get_command(app), "fsamc", None):
        usage = command.get_usage(context).removeprefix("Usage: ")
        lines += [f"## {context.command_path}", "", *(command.help or "").splitlines(), "", f"    {usage}", ""]
        rows = [row for parameter in command.get_params(context) for row in _parameter(parameter)]
        lines += ["| argument or option | default | meaning |", "| --- | --- | --- |", *rows, ""] if rows else []
    return "\n".join(lines)


def preset_page() -> str:
    """Write the presets as their files have them."""
    lines = [
        "# Presets",
        "",
        "A preset is a plan that comes with fsamc: `fsamc sweep NAME`, or `extends: NAME` in a plan.",
        "",
    ]
    files = natsorted((ROOT / "sweeps" / "presets").glob("*.yaml"), key=lambda file: file.stem)
    for file in files:
        lines += [f"## {file.stem}", "", "```yaml", file.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def carried(source: Path) -> str:
    """Take a page that lives beside what it explains; its links to files there become plain names."""
    text = source.read_text(encoding="utf-8")
    return re.sub(r"\[([^\]]+)\]\((?!https?://|#)([^)]+)\)", r"\1", text)


def _commands(command: Any, name: str, parent: Any) -> Iterator[tuple[Any, Any]]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    if isinstance(command, TyperGroup):
        for below, inner in command.commands.items():
            yield from _commands(inner, below, context)
    else:
        yield command, context


def _parameter(parameter: Any) -> Iterator[str]:
    if parameter.name == "help":
        return
    names = " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-"))
    default = getattr(parameter.default, "value", parameter.default)
    shown = "required" if parameter.required else f"`{default}`" if default not in (None, False, (), []) else ""
    yield f"| {names or f'`{parameter.metavar or parameter.name.upper()}`'} | {shown} | {_cell(parameter.help or '')} |"


def _accepted(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Walk a JSON schema of settings: each dotted key and what it accepts; KEY stands for a key of the user's own."""
    for name, field in schema.get("properties", {}).items():
        key, below = f"{prefix}{name}", field
        if isinstance(field.get("additionalProperties"), Mapping):
            key, below = f"{key}.KEY", field["additionalProperties"]
        yield f"{prefix}{name}", _values(field, definitions)
        if reference := below.get("$ref"):
            yield from _accepted(definitions[reference.rpartition("/")[2]], definitions, f"{key}.")


def _kinds(key: str, meaning: str) -> tuple[str, str]:
    """Split `padim, spade: how many …` into the kinds that read a knob and its meaning; a choice explains its own."""
    found = re.fullmatch(r"([a-z_]+(?:, [a-z_]+)*): ((?:(?!; [a-z_]+: ).)*)", meaning)
    if not found or key.endswith((".kind", ".sampler")):
        return "", meaning
    return ", ".join(f"`{name}`" for name in found[1].split(", ")), found[2]


def _values(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say in a few words what a field of a JSON schema accepts."""
    if reference := field.get("$ref"):
        return _values(definitions[reference.rpartition("/")[2]], definitions)
    if options := field.get("anyOf"):
        return " or ".join(dict.fromkeys(_values(option, definitions) for option in options))
    if names := field.get("enum"):
        return ", ".join(f"`{name}`" for name in names)
    if "const" in field:
        return f"`{field['const']}`"
    kind = WORDS.get(field.get("type", ""), "anything")
    bounds = [f"{sign}\N{NO-BREAK SPACE}{field[name]:g}" for name, sign in BOUNDS.items() if name in field]
    if inner := field.get("prefixItems"):
        return f"[{', '.join(_values(item, definitions) for item in inner)}]"
    if inner := field.get("items"):
        kind = f"list of {_values(inner, definitions)}"
    return f"{kind} {', '.join(bounds)}".strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
