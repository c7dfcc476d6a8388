"""Versions of registered models, found by what they hold."""

from __future__ import annotations

from pathlib import Path

from mlflow.tracking import MlflowClient

from fsamc.store.digests import file_digest

CONTENT = "fsamc.classifier"  # tag of a model's version: hash of the classifier's file


def version_of(client: MlflowClient, file: Path, name: str) -> str | None:
    """Return the version of a model that is this classifier; None where there is none."""
    ours = f"name = '{name}' and tags.`{CONTENT}` = '{file_digest(file)}'"
    there = client.search_model_versions(ours, max_results=1)
    return str(there[0].version) if there else None
