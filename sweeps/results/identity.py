"""Whose an OUT folder is: the plan and the data that a sweep there ran on, and must go on with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fsamc.config.dotted import flatten
from fsamc.errors import BadInput
from sweeps.plan.load import plan_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results.files import read_json, write_whole

IDENTITY = "identity.json"


def check_resumable(out: Path, plan: Plan, contents: Mapping[str, str], mode: str) -> None:
    """Raise BadInput where `--resume MODE` does not go with what OUT holds, or that cannot be read.

    `contents`: hashes of the data by what they are of, for people: "category bottle".
    """
    was = read_json(out / IDENTITY)
    read_json(out / "sweep.json")  # which is needed only after work has started
    if not was:
        if mode == "must":
            raise BadInput(f"{out}: holds no sweep to resume; leave out --resume must, or give its folder")
        if out.is_dir() and any(not path.name.startswith(IDENTITY) for path in out.iterdir()):
            raise BadInput(f"{out}: is not empty and holds no sweep; choose another folder for the results")
        return
    if mode == "never":
        raise BadInput(f"{out}: holds a sweep already; choose another folder, or --resume auto to continue it")
    if changed := [what for what in {**was["data"], **contents} if was["data"].get(what) != contents.get(what)]:
        raise BadInput(
            f"{out}: the sweep there ran on other data ({', '.join(changed)} differs); choose another folder"
        )
    if was["plan"] != plan_hash(plan):
        raise BadInput(
            f"{out}: the sweep there has another plan ({_difference(out, plan)}); choose another folder or restore it; "
            f"what is there goes on with: fsamc sweep --out {out}"
        )


def claim(out: Path, plan: Plan, contents: Mapping[str, str], *, extending: int | None = None) -> str:
    """Make OUT this sweep's, or find it so; what tells the sweep from others of the same plan.

    `extending`: by how many trials the sweep is being extended until it is done; None leaves that as it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    was = read_json(out / IDENTITY)
    identity = {
        "plan": plan_hash(plan),
        "data": dict(contents),
        "run": str(was.get("run") or uuid.uuid4().hex[:12]),
        "trials": plan.search.trials,
        "extending": was.get("extending", 0) if extending is None else extending,
    }
    write_whole(out / IDENTITY, json.dumps(identity))
    write_whole(out / "plan.yaml", to_yaml(plan))
    return str(identity["run"])


def end_extension(out: Path) -> None:
    """The sweep in OUT is done: it may be extended anew."""
    write_whole(out / IDENTITY, json.dumps(read_json(out / IDENTITY) | {"extending": 0}))


def _difference(out: Path, plan: Plan) -> str:
    """The first dotted key in which the plan in OUT and this one differ."""
    old: dict[str, Any] = flatten(yaml.safe_load((out / "plan.yaml").read_text(encoding="utf-8")))
    new: dict[str, Any] = flatten(yaml.safe_load(to_yaml(plan)))
    for key in [*new, *old]:
        if old.get(key) != new.get(key) and not key.startswith("resources."):
            return f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
    return "its backbone file or its resources differ"
