"""Arguments of a job: which of a sweep's words mean a file here, and which a place on the cluster."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs
import yaml

from cluster.jobs.package import Package, code, file_here
from cluster.jobs.submit import NAME, Job
from fsamc.data.credentials import holds_secret
from fsamc.deadline import DEADLINE
from fsamc.errors import BadInput
from sweeps.plan.load import load_plan, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results.commit import COMMIT, commit

THERE = ("--data", "--textures", "--out", "--cache")
FILES = ("backbone", "weights")
_PLAN = "plan.yaml"


@dataclass(frozen=True, kw_only=True)
class SweepWords:
    """The words after `fsamc sweep`, which its own parser has checked.

    Attributes:
        options: by name, each its word, or None for one that takes none.
    """

    plan: str | None
    changes: tuple[str, ...]
    options: Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class JobArguments:
    """A sweep that is ready to be sent.

    Attributes:
        name: the plan's, or that of OUT where the sweep there is to go on.
        package: what it takes with it.
        deadline: seconds that each call to the job server may take.
    """

    name: str
    out: str
    words: tuple[str, ...]
    package: Package
    deadline: float = DEADLINE

    def job(self) -> Job:
        """Return the job, its files staged in the user's cache folder, where the printed line finds them later."""
        return Job(
            entrypoint=("python", "-m", "sweeps", "sweep", *self.words, "--address", "auto"),
            working_dir=self.package.stage(Path(platformdirs.user_cache_dir("fsamc-jobs"))),
            metadata={NAME: self.name, "out": self.out},
        )

    def new_id(self, name: str | None = None) -> str:
        """Return a submission id that can be read, and that no other job has."""
        readable = re.sub(r"[^A-Za-z0-9_.]+", "-", name or self.name).strip("-")
        return f"fsamc-{readable or 'sweep'}-{secrets.token_hex(4)}"


def prepare_job(words: SweepWords) -> JobArguments:
    """Check what can be checked here, and gather what the job needs.

    The plan is sent with what it extends and all changes folded in, so that `--extend`, and the same command again,
    find in OUT the plan that they know. Raises BadInput.
    """
    _check_options(words.options)
    if any(map(holds_secret, words.changes)):
        raise BadInput("a change holds a password or key, which job metadata and logs would show; leave it out")
    options, files = dict(words.options), dict[str, Path | bytes](code())
    files[COMMIT] = (commit() or "").encode()
    own = {name: options.pop(f"--{name}", None) for name in FILES}
    out = str(options["--out"])
    if words.plan is None:  # the sweep in OUT goes on
        name, sent, deadline = PurePosixPath(out).name, [*words.changes], DEADLINE
        options |= {f"--{key}": _packed(path, files) for key, path in own.items() if path is not None}
    else:
        plan = load_plan(words.plan, words.changes, backbone=own["backbone"], weights=own["weights"])
        _check_storage(plan)
        name, sent, deadline = plan.name, [_PLAN], plan.resources.deadline
        files[_PLAN] = _dumped(_with_packed_files(yaml.safe_load(to_yaml(plan)), "", files)).encode()
    sent += [word for option in options.items() for word in option if word is not None]
    package = Package(files)
    package.check()
    return JobArguments(name=name, out=out, words=tuple(sent), package=package, deadline=deadline)


def _check_options(options: Mapping[str, str | None]) -> None:
    for option, word in options.items():
        if word and holds_secret(word):
            raise BadInput(
                f"{option} holds a password, which job metadata and logs would show; leave it out and set it where the "
                "head runs: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PGPASSWORD, or those of your store"
            )
        if option in THERE and not is_there(word or "") and (option, word) != ("--textures", "dtd"):
            raise BadInput(
                f"{option} {word}: a folder of this machine, which the cluster does not see; give the absolute path "
                "that it has there, on a file system that all nodes share"
            )
        if option == "--tracking-uri" and word and _is_database_here(word):
            raise BadInput(
                f"{option} {word}: a file of the job, gone with it; give sqlite:////PATH, or http://HOST:5000"
            )


def _check_storage(plan: Plan) -> None:
    storage = plan.search.storage
    if not storage:
        return
    if _is_database_here(storage) or ("://" not in storage and not storage.startswith(("/", "$"))):
        raise BadInput(
            f"search.storage: {storage}: a file of the job, gone with it; give its absolute path on the cluster"
        )


def is_there(word: str) -> bool:
    """Whether a word names a place on the cluster: an absolute path or a URI."""
    return word.startswith("/") or re.match(r"[a-z][a-z0-9+.-]*://", word) is not None


def _is_database_here(uri: str) -> bool:
    return uri.startswith("sqlite:") and not uri.partition(":///")[2].startswith("/")


def _packed(path: str, files: dict[str, Path | bytes]) -> str:
    """Return the name that a file has for the job, and add one of this machine to the files. Names of networks stay."""
    if is_there(path) or not re.search(r"[./]", path):
        return path
    name, files[name] = file_here(path)
    return name


def _with_packed_files(tree: Any, key: str, files: dict[str, Path | bytes]) -> Any:
    """Return a plan's tree with the backbones and weights in it, wherever they are swept, as the job finds them."""
    if isinstance(tree, Mapping):
        below = {name: str(name).rpartition(".")[2] for name in tree}
        return {
            name: _with_packed_files(part, below[name] if below[name] in FILES else key, files)
            for name, part in tree.items()
        }
    if isinstance(tree, list):
        return [_with_packed_files(part, key, files) for part in tree]
    return _packed(tree, files) if key and isinstance(tree, str) else tree


def _dumped(tree: Any) -> str:
    text: str = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)
    return text
