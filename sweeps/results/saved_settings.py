"""Settings of a sweep as OUT keeps them: who goes on with it need not give them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsamc.data.remote import Source, source
from sweeps.results.reader import SweepReader


@dataclass(frozen=True, kw_only=True)
class SavedSettings:
    """What OUT says of a sweep; None for what it does not.

    Attributes:
        plan: the plan as resolved, a file.
        trials: how many it is to have: where an extension was killed, the file has not heard of it.
        data, textures, cache: what it ran on; addresses as they were given.
        tracking_uri: where its MLflow runs are, unless in OUT itself.
    """

    plan: str | None = None
    trials: int | None = None
    data: Source | None = None
    textures: Source | None = None
    cache: Path | None = None
    tracking_uri: str | None = None


def read_saved_settings(out: Path) -> SavedSettings:
    """Read what OUT says of the sweep in it."""
    saved = SweepReader(out)
    notes, identity = saved.notes, saved.identity
    materials = {name: kept for name, kept in notes.get("materials", {}).items() if kept is not None}
    database = out / "mlflow.db"  # OUT may have been moved since
    uri = notes.get("tracking_uri")
    return SavedSettings(
        plan=str(out / "plan.yaml") if identity and (out / "plan.yaml").exists() else None,
        trials=identity.trials if identity else None,
        data=source(materials["data"], "--data") if "data" in materials else None,
        textures=source(materials["textures"], "--textures") if "textures" in materials else None,
        cache=Path(materials["cache"]) if "cache" in materials else None,
        tracking_uri=None if database.exists() or uri == f"sqlite:///{database.absolute()}" else uri,
    )


def caveats_of(notes: Mapping[str, Any]) -> list[str]:
    """Return the caveats that a sweep.json puts beside its numbers."""
    return [str(caveat) for caveat in notes.get("caveats", [])]


def saved_changes(saved: SavedSettings) -> list[str]:
    """Give the change that makes the plan in OUT what OUT says it is."""
    return [] if saved.trials is None else [f"search.trials={saved.trials}"]
