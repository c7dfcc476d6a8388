"""Identity of an OUT folder: the plan and the data that a sweep there ran on, must go on with, and may be extended by.

It is in identity.json, and in sweep.json too, which a damaged one is restored from.

The new number of trials of `--extend N` is written to identity.json, with the plan's hash, in one piece and before any
work starts. An extension is open until the sweep is done: the same command goes on with it and adds nothing.
"""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from fsamc.config.dotted import flatten, problems, updated
from fsamc.errors import BadInput
from fsamc.features.networks.lookup import AUTO
from fsamc.store.durable import make_folder, write_whole
from sweeps.plan.load import plan_hash, to_yaml
from sweeps.plan.older_plans import older_keys
from sweeps.plan.plan_file import complete_plan
from sweeps.plan.settings import Plan
from sweeps.results.files import read_file, read_json

Typed = TypeVar("Typed")
IDENTITY, NOTES = "identity.json", "sweep.json"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """identity.json.

    Attributes:
        plan: hash of the plan.
        data: hashes of the data by what they are of, for people: "category bottle".
        run: what tells the sweep from others of the same plan.
        trials: how many it is to have.
        extending: by how many trials it is being extended until it is done.
        averaged: by number of shots, the categories that the averages are over.
    """

    plan: str
    data: Mapping[str, str]
    run: str
    trials: int
    extending: int = 0
    averaged: Mapping[int, Sequence[str]] = field(default_factory=dict)


class _Figures(BaseModel, extra="allow"):
    trial: int
    files: list[str]


class _Notes(BaseModel, extra="allow"):
    """What is read of sweep.json, any of it may be absent; what else it holds is shown to people at the most."""

    status: str = ""
    fingerprint: str = ""
    versions: dict[str, str] = {}
    tracking_uri: str | None = None
    identity: Identity | None = None
    caveats: list[str] = []
    backbones: list[str] = []
    warnings: list[str] = []
    materials: dict[str, str | None] = {}
    builds: dict[str, int] = {}
    build_seconds: dict[str, float] = {}
    stages: dict[str, float] = {}
    views: dict[str, int] = {}
    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    trials_stopped: int = 0
    folds_scored: int = 0
    folds_saved: int = 0
    figures: _Figures = _Figures(trial=0, files=[])


_IDENTITY, _NOTES = TypeAdapter(Identity), TypeAdapter(_Notes)


def read_identity(out: Path) -> Identity | None:
    """Read whose folder OUT is; None where no sweep has started. Raises BadInput where that cannot be read."""
    path = out / IDENTITY
    damage = None
    try:
        if (saved := read_json(path)) or path.exists():
            return _typed(_IDENTITY, saved, path)
    except BadInput as error:
        damage = error
    with suppress(BadInput):
        if (notes := _notes(out)) and notes.identity:
            return notes.identity
    if damage:
        raise damage
    return None


def read_notes(out: Path) -> dict[str, Any]:
    """Read sweep.json; empty where no sweep has started. Raises BadInput where it is not what was written."""
    notes = _notes(out)
    return notes.model_dump(exclude_unset=True, exclude={"identity"}) if notes else {}


def _notes(out: Path) -> _Notes | None:
    path, mend = out / NOTES, "give the sweep's whole command again: it is written anew"
    saved = read_json(path, mend=mend)
    return _typed(_NOTES, saved, path, mend=mend) if saved else None


def _typed(
    kind: TypeAdapter[Typed], content: dict[str, Any], path: Path, *, mend: str = "restore it from a copy"
) -> Typed:
    try:
        return kind.validate_python(content)
    except ValidationError as error:
        raise BadInput(f"{path}: {problems(error, content)[0]}; {mend}") from None


def check_resumable(out: Path, plan: Plan, contents: Mapping[str, str], mode: str) -> None:
    """Raise BadInput where `--resume MODE` does not go with what OUT holds, or that cannot be read.

    `contents`: as `Identity.data`.
    """
    was = read_identity(out)
    read_file(out / NOTES)  # raises where it is no file; one that is torn is written anew
    if was is None:
        if mode == "must":
            raise BadInput(f"{out}: holds no sweep to resume; leave out --resume must, or give its folder")
        if out.is_dir() and any(not path.name.startswith(IDENTITY) for path in out.iterdir()):
            raise BadInput(f"{out}: is not empty and holds no sweep; choose another folder for the results")
        return
    if mode == "never":
        raise BadInput(f"{out}: holds a sweep already; choose another folder, or --resume auto to continue it")
    if changed := [what for what in {**was.data, **contents} if was.data.get(what) != contents.get(what)]:
        raise BadInput(
            f"{out}: the sweep there ran on other data ({', '.join(changed)} differs); choose another folder"
        )
    if was.plan != plan_hash(plan):
        check_current(out, _written_plan(out))
        raise BadInput(
            f"{out}: the sweep there has another plan ({_difference(out, plan)}); choose another folder or restore it; "
            f"what is there goes on with: fsamc sweep --out {shlex.quote(str(out))}"
        )


def check_current(out: Path, tree: Mapping[Any, Any]) -> None:
    """Raise BadInput where the plan of the sweep in OUT has keys of an earlier version."""
    if keys := older_keys(tree):
        told = ", ".join(f"{old} is {new}" for old, new in keys.items())
        raise BadInput(
            f"{out}: an earlier version made the sweep there, whose settings have other names now ({told}); report it "
            "with that version, or start anew in another folder"
        )


def claim(
    out: Path,
    plan: Plan,
    contents: Mapping[str, str],
    averaged: Mapping[int, Sequence[str]] | None = None,
    *,
    extending: int | None = None,
    mode: str = "auto",
) -> str:
    """Make OUT this sweep's, or go on there; return what tells the sweep from others of the same plan.

    OUT's lock is held by now, and another sweep may have come and gone since it was checked: it is checked again.

    Args:
        out: the folder.
        plan: with the trials that it is extended by.
        contents: as `Identity.data`.
        averaged: as `Identity.averaged`.
        extending: as `Identity.extending`; None leaves that as it is.
        mode: as of `check_resumable`, which raises BadInput.
    """
    make_folder(out)
    was = read_identity(out)
    open_extension = was.extending if was else 0
    more = extending if extending and extending != open_extension else 0
    check_resumable(out, with_trials(plan, plan.search.trials - more) if more else plan, contents, mode)
    identity = Identity(
        plan=plan_hash(plan),
        data=dict(contents),
        run=was.run if was else uuid.uuid4().hex[:12],
        trials=plan.search.trials,
        extending=open_extension if extending is None else extending,
        averaged=averaged or {},
    )
    _write(out, identity)
    write_whole(out / "plan.yaml", complete_plan(to_yaml(plan)))
    return identity.run


def end_extension(out: Path) -> None:
    """Note that the sweep in OUT is done: it may be extended anew."""
    if was := read_identity(out):
        _write(out, replace(was, extending=0))


def identity_copy(out: Path) -> dict[str, Any]:
    """Return what sweep.json holds of identity.json."""
    was = read_identity(out)
    return {"identity": asdict(was)} if was else {}


def _write(out: Path, identity: Identity) -> None:
    write_whole(out / IDENTITY, json.dumps(asdict(identity)))


def with_trials(plan: Plan, trials: int) -> Plan:
    """Change the plan's number of trials."""
    return plan.model_copy(update={"search": plan.search.model_copy(update={"trials": trials})})


def extended(plan: Plan, out: Path, more: int) -> Plan:
    """Give the plan of the sweep in OUT `more` trials, or leave it where an extension by as many is open.

    `plan`: with all extensions so far.

    Raises BadInput where there is nothing to extend, or an extension by another number is open.
    """
    was = read_identity(out)
    if was is None:
        raise BadInput(f"--extend {more}: {out} holds no sweep to extend; leave out --extend, or give its folder")
    if plan.search.algorithm in ("grid", "list") or not plan.space:
        reason = f"a {plan.search.algorithm}" if plan.space or plan.configurations else "a plan without a space"
        raise BadInput(
            f"--extend {more}: {reason} has all of its trials; change the plan and give another --out: folds that are "
            "finished are taken from the cache"
        )
    if was.extending not in (0, more):
        raise BadInput(
            f"--extend {more}: {out} is being extended by {was.extending}; finish that first: "
            f"fsamc sweep --out {shlex.quote(str(out))}"
        )
    return plan if was.extending else with_trials(plan, plan.search.trials + more)


def with_backbone_of(plan: Plan, out: Path) -> Plan:
    """Give a plan whose backbone is `auto` the backbone of the sweep in OUT, whatever can be had by now."""
    written = flatten(_written_plan(out))
    if plan.base.features.backbone != AUTO or "base.features.backbone" not in written:
        return plan
    kept = {key: written.get(f"base.{key}") for key in ("features.backbone", "features.weights")}
    return plan.model_copy(update={"base": updated(plan.base, kept)})


def _written_plan(out: Path) -> Mapping[str, Any]:
    """Read plan.yaml; empty where that is missing or torn."""
    try:
        plan = yaml.safe_load(read_file(out / "plan.yaml") or b"")
    except (yaml.YAMLError, UnicodeDecodeError):
        return {}
    return plan if isinstance(plan, dict) else {}


def _difference(out: Path, plan: Plan) -> str:
    """Name the first dotted key in which the plan in OUT and this one differ."""
    old = flatten(_written_plan(out))
    if not old:
        return "plan.yaml there cannot be read"
    new: dict[str, Any] = flatten(yaml.safe_load(to_yaml(plan)))
    for key in [*new, *old]:
        if old.get(key) != new.get(key) and not key.startswith("resources."):
            return f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
    return "its backbone file or its resources differ"
