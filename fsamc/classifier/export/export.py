"""Export of a classifier: written only where the file's answers are the classifier's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.export import Dim, ExportedProgram

import fsamc
from fsamc.classifier.answers import Answering
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.export.compared_pictures import ComparedPictures, Kind, compared_pictures
from fsamc.classifier.export.file_formats import FileFormat, Run, format_of
from fsamc.classifier.export.one_module import OneModule, Outputs
from fsamc.classifier.fitting import Fitted
from fsamc.classifier.pictures import NamedPicture, Pictures
from fsamc.config.dotted import updated
from fsamc.counting import counted
from fsamc.errors import BadInput
from fsamc.features.networks.lookup import network_source
from fsamc.features.networks.weights_file import brief
from fsamc.features.weights import identity
from fsamc.hardware import threads
from fsamc.store.durable import write_whole


class Differs(Exception):
    """An export answers otherwise than its classifier, in one line. Nothing is written."""


@dataclass(frozen=True)
class Agreement:
    """How the answers of an export compare with those of its classifier, both in fp32.

    Attributes:
        pictures: that both have answered for, by what they are.
        empty: names of those that lie in the bank as they are: nothing in them can be named, and rounding decides what
            is. Both have to find no anomaly there, which is all that is compared.
        apart: the largest difference of a probability, of all others.
        where: the picture's name that has it.
        relabelled: names of the pictures that are labelled otherwise, or in which the export alone sees something.
    """

    pictures: Mapping[Kind, int]
    empty: tuple[str, ...]
    apart: float
    where: str
    relabelled: tuple[str, ...]


def export_classifier(
    classifier: DefectClassifier,
    path: str | Path,
    pictures: Pictures | None = None,
    *,
    tolerance: float = 1e-4,
    tell: Callable[[str], object] = lambda _: None,
) -> Agreement:
    """Write a classifier as one file that needs no fsamc: ONNX (`.onnx`, opset 18), or torch.export's (`.pt2`).

    It takes pictures uint8 [N, S, S, 3], red, green, blue, which its metadata say how to make, and gives `Outputs`, in
    fp32, in the views that the classifier has.

    Args:
        classifier: fitted, or loaded.
        path: of the file.
        pictures: that the file and the classifier have to agree on: the support's photos, and good images. None takes
            the photos and the good images that the threshold was set on, on the machine that has fitted it.
        tolerance: how far probabilities may be apart.
        tell: hears what is being done.

    Raises:
        BadInput: the file's name has another suffix, a package is missing, the head or the backbone cannot be
            exported, or there is no photo of the support or no good image among the pictures.
        Differs: labels differ, or probabilities by more than the tolerance.
    """
    path = Path(path)
    file_format = format_of(path.suffix)
    compared = compared_pictures(classifier, pictures)
    plain = Answering(_plain(classifier.answering.fitted))
    tell("exporting")
    with threads(plain.fitted.pipeline.config.compute):
        content = _content(plain, file_format)
        agreement = _compared(plain, file_format.opened(content), compared, tell)
    if agreement.relabelled:
        raise Differs(f"{path}: not written, it labels {agreement.relabelled[0]} otherwise than the classifier")
    if agreement.apart > tolerance:
        raise Differs(
            f"{path}: not written, its probabilities of {agreement.where} are {agreement.apart:.1e} from the "
            "classifier's"
        )
    write_whole(path, content)
    return agreement


def _plain(fitted: Fitted) -> Fitted:
    """Return what was fitted as it answers in fp32 on a processor."""
    pipeline = fitted.pipeline
    detector = pipeline.detector
    return replace(
        fitted,
        pipeline=replace(
            pipeline,
            config=updated(pipeline.config, {"features.precision": "fp32", "compute.device": "cpu"}),
            detector=type(detector)(detector.kept, detector.good, detector.settings, device="cpu"),
        ),
        head=deepcopy(fitted.head).cpu(),
        anchors=None if fitted.anchors is None else [anchor.cpu() for anchor in fitted.anchors],
    )


def _content(answering: Answering, file_format: FileFormat) -> bytes:
    config = answering.fitted.pipeline.config
    try:
        program = _program(OneModule(answering).eval(), config.features.size)
        return file_format.content(program, Outputs._fields, _metadata(answering))
    except BadInput:
        raise
    except Exception as error:  # torch raises a different type for everything that it cannot export
        raise BadInput(
            f"head.kind {config.head.kind} on backbone {config.features.title} cannot be exported ({brief(error)}); "
            "a head that trains nothing can, and a backbone that takes any number of pictures"
        ) from error


@torch.no_grad()
def _program(module: OneModule, size: int) -> ExportedProgram:
    blank = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    module(blank)  # what is computed once and kept must not be computed while torch looks on
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    program = torch.export.export(module, (blank,), dynamic_shapes={"images": {0: Dim.DYNAMIC}}, strict=False)
    for name, constant in program.constants.items():
        if isinstance(constant, torch.Tensor):  # a file holds whole arrays only
            program.constants[name] = constant.contiguous()
    return program


def _metadata(answering: Answering) -> dict[str, str]:
    """Describe the file, for whoever has nothing else."""
    fitted = answering.fitted
    features = fitted.pipeline.config.features
    picture = {
        "array": "uint8 [N, size, size, 3], red green blue",
        "size": features.size,
        "fit": features.fit,
        "resize": features.resize,
        "interpolation": f"{network_source(features).preprocessing.interpolation}, antialiased",
    }
    return {
        "fsamc": fsamc.__version__,
        "classes": json.dumps(fitted.support.classes),
        "threshold": json.dumps(fitted.threshold),
        "temperature": json.dumps(answering.calibration.temperature),
        "picture": json.dumps(picture),
        "backbone": identity(features),
    }


def _compared(answering: Answering, run: Run, compared: ComparedPictures, tell: Callable[[str], object]) -> Agreement:
    classes, rounding = answering.fitted.support.classes, _rounding(answering)
    empty, apart, relabelled = list[str](), {"": 0.0}, list[str]()
    answered, of_all = 0, counted(len(compared.pictures), "picture")
    for batch in _batches(compared.pictures, answering.fitted.pipeline.config.features.batch):
        tell(f"comparing answers: {answered} of {of_all}")
        named = [(picture.name, answering.squared(picture.read())) for picture in batch]
        ours = answering.predictions(named, alpha=0.1)
        theirs = dict(zip(Outputs._fields, run(np.stack([one.pixels for _, one in named])), strict=True))
        for row, one in enumerate(ours):
            if one.anomaly <= rounding:
                empty.append(one.name)
                differs = bool(theirs["anomaly"][row] > 2 * rounding)
            else:
                difference = np.abs(list(one.probabilities.values()) - theirs["probabilities"][row])
                apart[one.name] = float(difference.max())
                differs = classes[theirs["scores"][row].argmax()] != one.label
            relabelled += [one.name] if differs else []
        answered += len(batch)
    where = max(apart, key=apart.__getitem__)
    return Agreement(compared.count(), tuple(empty), apart[where], where, tuple(relabelled))


def _rounding(answering: Answering) -> float:
    """Return the distance below which two patches differ by no more than how their features were rounded."""
    detector = answering.fitted.pipeline.detector
    if not detector.patchwise:
        return 0.0
    longest = np.linalg.norm(detector.rows.astype(np.float32), axis=1).max()
    return float(np.finfo(np.float16).eps * longest)


def _batches(pictures: Sequence[NamedPicture], size: int) -> Iterator[list[NamedPicture]]:
    rest = iter(pictures)
    while batch := list(islice(rest, size)):
        yield batch
