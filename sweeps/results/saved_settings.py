"""The words that a sweep was started with, as OUT keeps them: who goes on with it need not say them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fsamc.data.remote import Source, source
from sweeps.results.files import read_json
from sweeps.results.identity import IDENTITY


@dataclass(frozen=True, kw_only=True)
class SavedSettings:
    """What is known of a sweep; None for what is not.

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
    """What OUT says of the sweep in it."""
    notes, identity = read_json(out / "sweep.json"), read_json(out / IDENTITY)
    materials = {name: kept for name, kept in notes.get("materials", {}).items() if kept is not None}
    database = out / "mlflow.db"  # OUT may have been moved since
    uri = notes.get("tracking_uri")
    there = identity and (out / "plan.yaml").exists()
    return SavedSettings(
        plan=str(out / "plan.yaml") if there else None,
        trials=identity.get("trials"),
        data=source(materials["data"], "--data") if "data" in materials else None,
        textures=source(materials["textures"], "--textures") if "textures" in materials else None,
        cache=Path(materials["cache"]) if "cache" in materials else None,
        tracking_uri=None if database.exists() or uri == f"sqlite:///{database.absolute()}" else uri,
    )


def saved_changes(kept: SavedSettings) -> list[str]:
    """The change that makes the plan in OUT what OUT says it is."""
    return [] if kept.trials is None else [f"search.trials={kept.trials}"]
