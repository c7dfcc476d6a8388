"""The figures of a trial that lie beside the report, if any were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from markupsafe import Markup

from sweeps.report.evidence import Evidence

_SHOWN = {"tsne": "t-SNE of {} before and after the head", "pseudo": "Pseudo-defects of {}"}


@dataclass(frozen=True)
class Picture:
    """One figure: what it shows, its file relative to OUT, and the address of that."""

    shows: str
    file: str
    path: Markup


def pictures(evidence: Evidence) -> list[Picture]:
    """The figures that sweep.json names, t-SNE first."""
    files = [PurePosixPath(file) for file in evidence.notes.get("figures", {}).get("files", [])]
    found = [(what, file) for what in _SHOWN for file in files if file.stem.endswith(f"-{what}")]
    return [
        Picture(_SHOWN[what].format(file.stem.removesuffix(f"-{what}")), str(file), Markup(quote(str(file))))
        for what, file in found
    ]
