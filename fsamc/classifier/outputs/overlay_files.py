"""Overlays as files: each picture with its heat map laid over it and its regions framed, as PNG at its own size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

from fsamc.classifier.prediction import Prediction
from fsamc.data.images import read_image
from fsamc.overlays.heat_map import HeatScale, overlay
from fsamc.store.durable import make_folder

LOW, HIGH = 0.5, 2.5  # ends of the colours, in thresholds, so that pictures of all days can be compared


@dataclass
class OverlayFiles:
    """Writes overlays into a folder, `FOLDER_PICTURE.png` each; of equal names the later ones get a number.

    Attributes:
        folder: made with the first picture.
        threshold: of the anomaly; where there is none, each picture has colours of its own.
    """

    folder: Path
    threshold: float | None
    names: Counter[str] = field(default_factory=Counter)

    def write(self, answer: Prediction) -> Path:
        """Write a picture's overlay. Raises BadInput if the picture cannot be read any more, OSError on a full disk."""
        make_folder(self.folder)
        pixels = read_image(Path(answer.name))
        limit = self.threshold
        scale = HeatScale.of(answer.distances) if limit is None else HeatScale(LOW * limit, HIGH * limit)
        picture = Image.fromarray(overlay(pixels, answer.heatmap, scale))
        frame = ImageDraw.Draw(picture)
        for region in answer.regions:
            left, top, right, bottom = region.box
            frame.rectangle((left, top, right - 1, bottom - 1), outline="white", width=max(1, min(picture.size) // 200))
        file = self.folder / self._name(Path(answer.name))
        picture.save(file)
        return file

    def _name(self, path: Path) -> str:
        name = "_".join(part for part in (path.parent.name, path.stem) if part)
        self.names[name] += 1
        return f"{name}.png" if self.names[name] == 1 else f"{name}_{self.names[name]}.png"
