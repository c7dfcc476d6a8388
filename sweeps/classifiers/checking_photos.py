"""Check of photos before a classifier is trusted: their files first, then what they say of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fsamc.classifier.configuration import classifier_config
from fsamc.classifier.fitting import FitInputs, fit_category
from fsamc.classifier.photo_checks import CheckSettings, PhotoFinding, check_anomaly_maps, check_photos
from fsamc.config.features import Features
from fsamc.data.inspection import DataProblem, inspect_category
from fsamc.store.store import Store
from sweeps.checks.pictures import remember_pictures
from sweeps.classifiers.fit_request import PhotosRequest
from sweeps.classifiers.fitting_photos import CheckedFit, category_folder, checked_photos

NEXT = "next photo"


@dataclass(frozen=True)
class PhotoReport:
    """Everything that was noticed.

    Attributes:
        problems: of files, as `fsamc data inspect` tells them.
        findings: of photos; none where serious problems of the files leave nothing to fit.
    """

    problems: tuple[DataProblem, ...]
    findings: tuple[PhotoFinding, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether nothing is to be mended."""
        return not self.problems and all(one.kind == NEXT for one in self.findings)


def check_of(request: PhotosRequest, settings: CheckSettings, tell: Callable[[str], object]) -> PhotoReport:
    """Inspect the files, fit a classifier in the cache, and let the photos speak; `tell` hears what is computed.

    Raises BadInput as `checked_photos` does, but for serious problems of a category's files, which are in the report.
    """
    problems = tuple(_problems_of_files(request))
    if any(problem.serious for problem in problems):
        return PhotoReport(problems)
    return PhotoReport(problems, tuple(_findings(request, checked_photos(request), settings, tell)))


def _problems_of_files(request: PhotosRequest) -> list[DataProblem]:
    """Return them for a category's folder; photos in no layout are checked when they are loaded."""
    folder = category_folder(request, request.category) if request.category else None
    if folder is None or not folder.is_dir():
        return []
    return inspect_category(folder.parent, folder.name, Features())[1]


def _findings(
    request: PhotosRequest, checked: CheckedFit, settings: CheckSettings, tell: Callable[[str], object]
) -> Iterator[PhotoFinding]:
    store = Store(request.kept_in)
    remember_pictures(checked.examined, store)
    config = classifier_config(checked.config, rows=checked.rows)
    seed, textures = request.seed, checked.textures
    fitted = fit_category(checked.category, config, seed=seed, store=store, textures=textures, tell=tell)
    inputs = FitInputs(checked.category, config, seed=seed, textures=textures)
    yield from check_anomaly_maps(inputs, store, settings)
    yield from check_photos(fitted, settings)
