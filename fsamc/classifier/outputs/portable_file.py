"""Portable file of a classifier: for another machine, which may not have its network."""

from __future__ import annotations

from pathlib import Path

from fsamc.classifier.classifier import DefectClassifier
from fsamc.errors import BadInput


def save_portable(classifier: DefectClassifier, file: Path) -> None:
    """Save a classifier with its network packed; without, where a library has that and no file."""
    try:
        classifier.save(file, with_backbone=True)
    except BadInput:
        classifier.save(file)
