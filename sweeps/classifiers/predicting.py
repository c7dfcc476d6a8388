"""Predictions on the command line: a table that grows on the screen, files, and what the pictures were."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.outputs.answer_rows import answer_files, as_json_line, check_place
from fsamc.classifier.outputs.gallery_page import Gallery
from fsamc.classifier.outputs.overlay_files import OverlayFiles
from fsamc.classifier.outputs.watching import arriving
from fsamc.classifier.pictures import named_pictures
from fsamc.classifier.prediction import UNKNOWN, Prediction, Unread
from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.checks.disk import check_writable
from sweeps.classifiers.watch_stop import Stop
from sweeps.environment import printable
from sweeps.light_install import check_installed
from sweeps.results.tables import DASH

Answers = Iterable[Prediction | Unread]


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """What is asked, as it is written on the command line.

    Attributes:
        model: the classifier's file.
        images: pictures and folders.
        table, lines: files of answers, as CSV and as JSON lines.
        page: HTML file with every picture.
        overlays: folder for every picture with its heat map.
        json: answers as JSON lines on stdout, and nothing else there.
        alpha: as of `DefectClassifier.predict`.
        watch: go on with what comes into the folders.
        backbone: where it is not found by itself.
        cache: in which it is looked for.
        address: of the Ray cluster that answers; None: this process.
    """

    model: Path
    images: Sequence[Path]
    table: Path | None
    lines: Path | None
    page: Path | None
    overlays: Path | None
    json: bool
    alpha: float
    watch: bool
    backbone: str | None
    cache: Path
    address: str | None = None


@dataclass
class Tally:
    """Numbers of a run: answers by what they are, pictures that could not be read, seconds.

    Attributes:
        waits: whether most of the time is that between pictures.
        signal: that ended it; None where it ended by itself.
    """

    waits: bool
    signal: int | None = None
    answers: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def code(self) -> int:
        """Exit code: of a program that a signal has ended, 1 where pictures could not be read, else 0."""
        return 128 + self.signal if self.signal is not None else int(self.unread > 0)

    def __str__(self) -> str:
        n = self.answers.total()
        kinds = ", ".join(f"{count} {answer}" for answer, count in self.answers.most_common())
        lost = f", {self.unread} not read" if self.unread else ""
        return f"{counted(n, 'picture')}{': ' if n else ''}{kinds}{lost}; {self._each(n)}"

    def _each(self, n: int) -> str:
        seconds = time.monotonic() - self.started
        return f"{seconds:.1f} s" + (f", {seconds / n:.3f} s each" if n > 1 and not self.waits else "")


def check_words(request: PredictRequest) -> None:
    """Raise BadInput for whatever would stop the predictions later, but for the classifier's file."""
    if not 0 < request.alpha < 1:
        raise BadInput(f"--alpha {request.alpha}: expected a share between 0 and 1")
    for path, option in ((request.table, "--csv"), (request.lines, "--jsonl"), (request.page, "--gallery")):
        if path is not None:
            check_place(path, option)
    if request.overlays is not None:
        check_writable(request.overlays)
    if request.watch and request.address:
        raise BadInput("--watch looks into folders from one process; leave --address out")
    if request.address:
        check_installed("ray", f"--address {request.address}")
    for path in request.images:
        if request.watch and not path.is_dir():
            raise BadInput(f"{path}: no such folder; --watch looks into folders")
        if not request.watch:
            next(named_pictures(path))


def predict_pictures(request: PredictRequest, classifier: DefectClassifier, say: Callable[[str], None]) -> Tally:
    """Answer for all pictures: say each answer when it is there, and write the files."""
    tally, stop = Tally(request.watch), Stop()
    gallery = Gallery(request.model.name, classifier.classes_, classifier.photos)
    with stop if request.watch else nullcontext():
        _record_answers(request, classifier, _answers(request, classifier, stop), tally, gallery, say)
        if request.page is not None:
            gallery.write(request.page)
    tally.signal = stop.signal
    return tally


def _record_answers(
    request: PredictRequest,
    classifier: DefectClassifier,
    answers: Answers,
    tally: Tally,
    gallery: Gallery,
    say: Callable[[str], None],
) -> None:
    names = classifier.classes_
    show = _json_line if request.json else _row_of(names, say)
    overlays = OverlayFiles(request.overlays, classifier.answering.fitted.threshold) if request.overlays else None
    with answer_files(table=request.table, lines=request.lines, classes=names, growing=request.watch) as record:
        for answer in answers:
            if isinstance(answer, Unread):
                tally.unread += 1
                print(f"fsamc: {printable(answer.problem)}", file=sys.stderr, flush=True)
                continue
            tally.answers[answer.answer] += 1
            show(answer)
            record(answer)
            if request.page is not None:
                gallery.add(answer)
            if overlays is not None:
                overlays.write(answer)


def _answers(request: PredictRequest, classifier: DefectClassifier, stop: Stop) -> Iterator[Prediction | Unread]:
    if request.watch:
        return _watched(request, classifier, stop)
    if request.address:
        return _on_cluster(request, classifier, request.address)
    return classifier.predict_each(list(request.images), alpha=request.alpha)


def _on_cluster(request: PredictRequest, classifier: DefectClassifier, address: str) -> Iterator[Prediction | Unread]:
    """Yield the answers of all nodes of a cluster, which is left at the end."""
    import ray  # here, because most predictions do without

    from cluster.batch_predict import predict_on_cluster
    from sweeps.checks.resources import join

    paths = [Path(picture.name).absolute() for picture in named_pictures(list(request.images))]
    join(address)
    try:
        yield from predict_on_cluster(classifier, paths, alpha=request.alpha)
    finally:
        ray.shutdown()


def _watched(request: PredictRequest, classifier: DefectClassifier, stop: Stop) -> Iterator[Prediction | Unread]:
    """Yield answers for what comes, until Ctrl-C."""
    for pictures in arriving(request.images, stop.wait):
        for answer in classifier.predict_each(pictures, alpha=request.alpha):
            yield answer
            if stop.signal is not None:
                return


def uncertain_line(classifier: DefectClassifier, alpha: float) -> str:
    """Say that there are too few photos for what is said at `alpha`; nothing where there are enough."""
    needed = classifier.photos_needed(alpha)
    if not needed:
        return ""
    has = counted(len(classifier.photos), "photo")
    return f"{has} of {needed} that {UNKNOWN} and sets of classes take to hold at --alpha {alpha:g}; add some"


def _json_line(answer: Prediction) -> None:
    print(as_json_line(answer), end="", flush=True)


def _row_of(classes: Sequence[str], say: Callable[[str], None]) -> Callable[[Prediction], None]:
    """Say the heads of the columns, and return what says a picture's row."""
    width = max(map(len, [*classes, UNKNOWN, "answer"]))
    say(f"{'answer':{width}}  {'probability':>11}  {'anomaly':>8}  picture")

    def row(answer: Prediction) -> None:
        certain = f"{100 * answer.probability:.0f} %" if answer.answer == answer.label else DASH
        also = [name for name in answer.labels if name != answer.label]
        perhaps = f"  (or {', '.join(also)})" if also and answer.answer == answer.label else ""
        say(f"{answer.answer:{width}}  {certain:>11}  {answer.anomaly:8.4g}  {answer.name}{perhaps}")

    return row
