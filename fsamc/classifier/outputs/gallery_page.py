"""Gallery: one HTML page with every picture, where it is anomalous, what it was called and the photo most like it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fsamc.classifier.photos.support_set import Photo
from fsamc.classifier.prediction import GOOD, UNKNOWN, Prediction
from fsamc.data.images import read_image
from fsamc.data.pictures.encoding import inlined, jpeg
from fsamc.errors import BadInput
from fsamc.html_templates import templates_in
from fsamc.overlays.heat_map import HeatScale, heat_map, overlay
from fsamc.store.durable import whole_file

MOST = 1000  # pictures of a page, at about 25 kB each: what a browser still shows
SIDE = 280  # pixels of a picture's long side on the page


@dataclass
class Gallery:
    """Answers for a page, the first `MOST`; the others are counted.

    Attributes:
        model: the classifier's name.
        classes: of the classifier.
        photos: its support.
        answers: so far.
        left_out: how many answers came after these.
    """

    model: str
    classes: Sequence[str]
    photos: Sequence[Photo]
    answers: list[Prediction] = field(default_factory=list)
    left_out: int = 0

    def add(self, answer: Prediction) -> None:
        """Take in one more."""
        if len(self.answers) < MOST:
            self.answers.append(answer)
        else:
            self.left_out += 1

    def write(self, path: Path) -> None:
        """Write the page whole. Pictures are read once more; of one that has gone only the answer is shown."""
        template = templates_in(Path(__file__).parent).get_template("gallery.html.j2")
        used = {answer.nearest for answer in self.answers}
        photos = {photo.name: _thumbnail(photo, number) for number, photo in enumerate(self.photos)}
        parts = template.generate(
            model=self.model,
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            sections=self._sections(),
            counts=self._counts(),
            total=len(self.answers),
            left_out=self.left_out,
            photos={name: photo for name, photo in photos.items() if name in used},
            good=GOOD,
            unknown=UNKNOWN,
            calibrated=all(answer.calibrated for answer in self.answers),
        )
        with whole_file(path) as page:
            page.writelines(parts)

    def _by_answer(self) -> dict[str, list[Prediction]]:
        """Group the answers: the classes, then what is unknown, then what is good; none that is empty."""
        names = list(dict.fromkeys([*self.classes, UNKNOWN, GOOD]))
        groups = {name: [answer for answer in self.answers if answer.answer == name] for name in names}
        return {name: answers for name, answers in groups.items() if answers}

    def _counts(self) -> dict[str, int]:
        return {name: len(answers) for name, answers in self._by_answer().items()}

    def _sections(self) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
        groups = self._by_answer()
        scale = HeatScale.of(np.stack([answer.distances for answer in self.answers])) if groups else HeatScale(0, 1)
        for name, answers in groups.items():
            yield name, (_card(answer, scale) for answer in answers)


def _card(answer: Prediction, scale: HeatScale) -> dict[str, Any]:
    """Return what the page shows of a picture; without `picture` where it cannot be read any more."""
    card: dict[str, Any] = {"answer": answer, "also": [name for name in answer.labels if name != answer.label]}
    try:
        picture = Image.fromarray(read_image(Path(answer.name)))
    except BadInput:
        return card
    picture.thumbnail((SIDE, SIDE))
    pixels = np.asarray(picture)
    heat = overlay(pixels, heat_map(answer.distances, pixels.shape[:2], answer.features), scale)
    height, width = pixels.shape[:2]
    across, down = width / answer.size[1], height / answer.size[0]
    boxes = [
        (left * across, top * down, (right - left) * across, (bottom - top) * down)
        for left, top, right, bottom in (region.box for region in answer.regions)
    ]
    return card | {
        "picture": _jpeg(pixels),
        "heat": _jpeg(heat),
        "width": width,
        "height": height,
        "boxes": boxes,
        "named": answer.regions if len({region.label for region in answer.regions}) > 1 else (),
    }


def _thumbnail(photo: Photo, number: int) -> dict[str, Any]:
    with Image.open(io.BytesIO(photo.thumbnail)) as picture:
        width, height = picture.size
    address = inlined(photo.thumbnail, "jpeg")
    return {"id": f"photo{number}", "address": address, "width": width, "height": height}


def _jpeg(pixels: np.ndarray) -> str:
    return inlined(jpeg(pixels, 82), "jpeg")
