"""Gallery of a trial: per category its wrong and its unsure answers, as blocks of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from fsamc.counting import counted
from sweeps.plan.configurations import swept
from sweeps.report.document.numbers import shown
from sweeps.report.document.report_blocks import Block, Bullets, Card, Cards, Heading, Paragraph, Strip
from sweeps.report.evidence import Evidence
from sweeps.report.gallery.answers import Answer, unsure_answers, wrong_answers
from sweeps.report.gallery.gallery_settings import GallerySettings
from sweeps.report.gallery.stored_pictures import StoredPictures, as_it_ran, images_folder
from sweeps.report.gallery.thumbnails import PixelStrip, fitting_strips, scale_bar
from sweeps.results.reader import SweepReader
from sweeps.results.saved_settings import SavedSettings

MOST_SCORES = 4  # that are written out of an answer; the true class's is always among them


@dataclass(frozen=True)
class _Hall:
    """Answers of one category that are shown, out of how many, and where their pictures come from."""

    name: str
    wrong: list[Answer]
    unsure: list[Answer]
    n_wrong: int
    n_right: int
    pictures: StoredPictures

    @property
    def answers(self) -> list[Answer]:
        """Wrong and unsure ones in turn."""
        return [one for pair in zip_longest(self.wrong, self.unsure) for one in pair if one is not None]


def gallery(evidence: Evidence, out: Path, settings: GallerySettings, saved: SavedSettings) -> list[Block]:
    """Show wrong and unsure answers of the best trial, from what OUT, the images and the cache hold.

    Args:
        evidence: of the sweep in `out`.
        out: its folder.
        settings: how many answers, and how large.
        saved: where the images and the cache are.

    Returns nothing where there is no answer, or none is to be shown. What is no longer there is said.
    """
    if evidence.best is None or evidence.predictions.empty or not settings.answers:
        return []
    halls = list(_halls(evidence, settings, saved))
    answers = [one for ranks in zip_longest(*(hall.answers for hall in halls)) for one in ranks if one is not None]
    by_name, support = {hall.name: hall.pictures for hall in halls}, _Support(evidence, out)
    rows = [_pictures(one, by_name[one.category], support.of(one), settings) for one in answers]
    strips = fitting_strips(rows, settings)
    missing = list(dict.fromkeys(chain.from_iterable(hall.pictures.missing for hall in halls)))
    if n := sum(bool(row) and not strip for row, strip in zip(rows, strips, strict=True)):
        missing.append(f"{counted(n, 'answer')} without pictures: all together may take {settings.megabytes:g} MB")
    of_image = {(one.category, one.image): strip for one, strip in zip(answers, strips, strict=True)}
    blocks: list[Block] = [Bullets(missing)] if missing else []
    return blocks + [block for hall in halls for block in _blocks(hall, of_image)]


def _halls(evidence: Evidence, settings: GallerySettings, saved: SavedSettings) -> Iterator[_Hall]:
    assert evidence.best is not None
    config, folder = as_it_ran(evidence.configs[evidence.best], evidence.plan), images_folder(saved)
    for name, predictions in evidence.predictions.groupby("category"):
        wrong, right = wrong_answers(predictions), unsure_answers(predictions)
        chosen = wrong[: settings.answers], right[: settings.answers]
        seeds = {one.seed for answers in chosen for one in answers}
        pictures = StoredPictures(str(name), folder, saved.cache, config, seeds, settings.side)
        yield _Hall(str(name), *chosen, len(wrong), len(right), pictures)


class _Support:
    """Support images of the best trial's folds per class: those that it names itself, or those of support.csv."""

    def __init__(self, evidence: Evidence, out: Path) -> None:
        assert evidence.best is not None
        config = evidence.configs[evidence.best]
        self._files, self._good = config.support.files, config.good
        swept_too = {"support", "support.files", "support.shots_from"} & swept(evidence.plan).keys()
        self._listed = {} if self._files or swept_too else SweepReader(out).support_images

    def of(self, answer: Answer) -> Mapping[str, Sequence[str]]:
        """Return the images per class that an answer rests on; none where that is not known."""
        if not self._files:
            return self._listed.get((answer.category, self._good, answer.shots, answer.draw), {})
        own = [path for name, _, path in (file.partition("/") for file in self._files) if name == answer.category]
        return {label: [path for path in own if path.split("/")[1] == label] for label in answer.scores}


def _pictures(
    answer: Answer, stored: StoredPictures, support: Mapping[str, Sequence[str]], settings: GallerySettings
) -> list[PixelStrip]:
    """Take query, heat map and the support of the said class and of the true one; of a right answer, the runner-up."""
    query = stored.picture(answer.image)
    if query is None:
        return []
    taken = [PixelStrip("query", [(f"Query {answer.image}", query)])]
    if (hot := stored.overlaid(answer.image, query, answer.seed)) is not None:
        taken.append(PixelStrip("heat map", [(f"Heat map of {answer.image}", hot)]))
    other = answer.truth if answer.truth != answer.said else list(answer.scores)[1]
    for label in (answer.said, other):
        paths = [path for path in support.get(label, ()) if path != answer.image][: settings.supports]
        small = [(f"Support {path}", stored.picture(path, share=0.5)) for path in paths]
        there = [(shows, pixels) for shows, pixels in small if pixels is not None]
        if there:
            taken.append(PixelStrip(f"support of {label}", there))
    return taken


def _blocks(hall: _Hall, strips: Mapping[tuple[str, str], Sequence[Strip]]) -> Iterator[Block]:
    yield Heading(hall.name)
    if (scale := hall.pictures.scale) is not None:
        ends = f"from {shown(scale.low)} and below (nothing is laid over) to {shown(scale.high)} and above"
        yield Strip(f"Heat maps of {hall.name}: how far a patch is from normal, {ends}.", [scale_bar(scale)])
    kinds = (
        ("Wrong", hall.wrong, hall.n_wrong, "that a fold named wrongly"),
        ("Unsure", hall.unsure, hall.n_right, "that no fold named wrongly, those of the smallest margin"),
    )
    for kind, answers, n, which in kinds:
        yield Paragraph(f"{kind}: {len(answers)} of {counted(n, 'picture')} {which}.")
        if answers:
            yield Cards([_card(one, strips[one.category, one.image]) for one in answers])


def _card(answer: Answer, strips: Sequence[Strip]) -> Card:
    best = list(answer.scores)[:MOST_SCORES]
    named = [*best, *([answer.truth] if answer.truth not in best else [])]
    scores = ", ".join(f"{name} {shown(answer.scores[name])}" for name in named if name in answer.scores)
    right = answer.truth == answer.said
    where = f"{counted(answer.shots, 'shot')}, seed {answer.seed}, draw {answer.draw}"
    lines = [
        answer.image,
        f"scores: {scores}; margin {shown(answer.margin)}",
        f"{where}; named wrongly in {answer.wrong} of {counted(answer.folds, 'fold')}",
    ]
    return Card(f"{answer.truth}, rightly named" if right else f"{answer.truth}, named {answer.said}", lines, strips)
