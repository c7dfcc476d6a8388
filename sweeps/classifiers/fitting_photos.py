"""Fit of a classifier from the words of a command: everything is checked, then learnt, then written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fsamc.classifier import backbone_file
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.configuration import ROWS
from fsamc.classifier.fitting import check_fit
from fsamc.classifier.outputs.answer_rows import check_place
from fsamc.classifier.pictures import category_of
from fsamc.config.scoring import Scoring
from fsamc.data.category import Category, load_category
from fsamc.data.remote import local, source
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.hardware import whole_machine
from fsamc.reading import Tell, silent
from fsamc.store.store import Store
from sweeps.checks.disk import check_cache_readable, check_writable
from sweeps.checks.feature_range import KIND as RANGES
from sweeps.checks.feature_range import check_feature_range
from sweeps.checks.many_images import bank_limits
from sweeps.checks.pictures import examine_pictures, overlooked, remember_pictures
from sweeps.checks.prepare import check_backbones, resolve_backbone, resolve_compute, resolve_foreground
from sweeps.checks.textures import textures_of_plan
from sweeps.classifiers.fit_request import FitRequest, PhotosRequest
from sweeps.classifiers.sweep_scores import scores_of_sweep
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan

_SIZES = ("base.reference.ratio", "base.reference.rows")


@dataclass(frozen=True, kw_only=True)
class CheckedFit:
    """A fit that can be done.

    Attributes:
        category: all of its labelled images are support.
        config: every knob.
        rows: of the bank, in place of what the configuration says; None for that.
        textures: None where nothing is pretrained.
        told: what the user should know, a line each.
        examined: of its pictures, to be remembered.
        scored: accuracies of the plan's sweep.
    """

    category: Category
    config: FoldConfig
    rows: int | None
    textures: Textures | None
    told: tuple[str, ...]
    examined: Mapping[str, str]
    scored: Mapping[str, float]


def check_request(request: FitRequest, tell: Tell = silent) -> CheckedFit:
    """Load the plan and the pictures, ready to be fitted; `tell` hears of each picture that is read.

    Raises BadInput for whatever would stop the fit later.
    """
    check_place(request.out, "--out")
    return checked_photos(request, tell)


def checked_photos(request: PhotosRequest, tell: Tell = silent) -> CheckedFit:
    """Do the same where nothing is to be written."""
    check_writable(request.kept_in)
    check_cache_readable(request.kept_in)
    asked = load_plan(request.plan, request.changes or (), backbone=request.backbone, weights=request.weights)
    plan = _alone(asked)
    aside = [f"{request.plan}: its space is not searched; its base is fitted"] if _varies(asked) else []
    pictures = examine_pictures({"": _category(request, tell)}, None, Store(request.kept_in), tell)
    category = pictures.categories[""]
    plan, missing = resolve_backbone(plan)
    caveats = check_backbones(plan)
    textures = textures_of_plan(
        plan, source(request.textures, "--textures") if request.textures else None, request.kept_in
    )
    check_fit(category, plan.base, textures)
    ranges = check_feature_range([plan.base.features], {category.name: category}, Store(request.kept_in))
    plan = resolve_foreground(plan, {category.name: category}, textures)
    beside = overlooked([category]) if request.category else ()
    limits = bank_limits([plan.base], [category])
    return CheckedFit(
        category=category,
        config=plan.base,
        rows=_rows(request, plan),
        textures=textures,
        told=(*asked.notes, *aside, *missing, *caveats, *pictures.warnings, *pictures.caveats, *beside, *limits),
        examined={**pictures.examined, **{f"{RANGES}/{key}": "{}" for key in ranges}},
        scored={} if request.changes else scores_of_sweep(request.plan, category.name),
    )


def fit_photos(request: FitRequest, checked: CheckedFit, tell: Callable[[str], object]) -> DefectClassifier:
    """Fit, and write the file; `tell` hears what is being computed."""
    store = Store(request.kept_in)
    remember_pictures(checked.examined, store)
    classifier = DefectClassifier(checked.config, rows=checked.rows, seed=request.seed)
    classifier.fit_category(checked.category, store=store, textures=checked.textures, tell=tell)
    classifier.scored |= checked.scored
    classifier.save(request.out, with_backbone=request.with_backbone)
    for network in classifier.config.features.networks:
        backbone_file.keep(network, request.kept_in)
    return classifier


def _alone(plan: Plan) -> Plan:
    """Return the plan's base as a plan of its own, which is not scored."""
    gpu = whole_machine().device == "cuda" and plan.resources.gpus != 0
    base = plan.base.model_copy(update={"scoring": Scoring()})
    alone = plan.model_copy(update={"base": base, "space": {}, "configurations": ()})
    return resolve_compute(alone, "cuda" if gpu else "cpu")


def _varies(plan: Plan) -> bool:
    return bool(plan.space or plan.configurations)


def category_folder(request: PhotosRequest, category: str) -> Path:
    """Return a category's folder, or the mirror of its address in the cache. Raises BadInput if that cannot be read."""
    return local(source(category, "DATA/CATEGORY"), request.kept_in, "DATA/CATEGORY").absolute()


def _category(request: PhotosRequest, tell: Tell) -> Category:
    if request.category is not None:
        if request.good or request.classes:
            raise BadInput(f"{request.category}: a category, and --good or --class; give one or the other")
        folder = category_folder(request, request.category)
        if not folder.is_dir():
            raise BadInput(f"{request.category}: no such folder; expected a category with train/good and test/CLASS")
        return replace(load_category(folder.parent, folder.name, tell), name=Path(request.category).absolute().name)
    if not request.good or not request.classes:
        raise BadInput("nothing to fit: give DATA/CATEGORY, or --good DIR and --class NAME=DIR for each class")
    with tempfile.TemporaryDirectory() as nothing:
        name = request.product
        category = category_of(list(request.good), _by_class(request.classes), name=name, scratch=Path(nothing))
    return replace(category, folder=category.folder.absolute())


def _by_class(words: Sequence[str]) -> dict[str, list[Path]]:
    """Read `CLASS=PATH` words; a class may come several times."""
    classes: dict[str, list[Path]] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise BadInput(f"--class {word}: expected NAME=DIR, such as --class scratch=photos/scratch")
        classes.setdefault(name, []).append(Path(path))
    return classes


def _rows(request: PhotosRequest, plan: Plan) -> int | None:
    """Return the size of the bank, where neither the user nor the plan says how many rows it has."""
    said = any(change.partition("=")[0] in _SIZES for change in request.changes or ())
    return None if said or getattr(plan.base.reference, "ratio", None) is None else ROWS
