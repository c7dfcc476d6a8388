"""Export of a classifier: written only where the file's answers are the classifier's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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
from fsamc.classifier.export.file_formats import FileFormat, Run, format_of
from fsamc.classifier.export.one_module import OneModule, Outputs
from fsamc.classifier.fitting import Fitted
from fsamc.classifier.pictures import NamedPicture, Pictures, named_pictures
from fsamc.classifier.prediction import Prediction
from fsamc.config.dotted import updated
from fsamc.data.pictures.decoding import picture_digest
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
        pictures: that both have answered for.
        photos: how many of them are the support's.
        apart: the largest difference of a probability.
        where: the picture's name that has it.
        relabelled: names of the pictures that are labelled otherwise.
    """

    pictures: int
    photos: int
    apart: float
    where: str
    relabelled: tuple[str, ...]


def export_classifier(
    classifier: DefectClassifier,
    path: str | Path,
    pictures: Pictures | None = None,
    *,
    tolerance: float = 1e-4,
) -> Agreement:
    """Write a classifier as one file that needs no fsamc: ONNX (`.onnx`, opset 18), or torch.export's (`.pt2`).

    It takes pictures uint8 [N, S, S, 3], red, green, blue, which its metadata say how to make, and gives `Outputs`, in
    fp32, in the views that the classifier has.

    Args:
        classifier: fitted, or loaded.
        path: of the file.
        pictures: that the file and the classifier have to agree on: the support's photos, and good images. None takes
            the photos, where their files are still in their places.
        tolerance: how far probabilities may be apart.

    Raises:
        BadInput: the file's name has another suffix, a package is missing, the head or the backbone cannot be
            exported, or none of the pictures is a photo of the support.
        Differs: labels differ, or probabilities by more than the tolerance.
    """
    path = Path(path)
    file_format = format_of(path.suffix)
    named = list(named_pictures(_photos(classifier) if pictures is None else pictures))
    photos = _count_photos(classifier, named)
    plain = Answering(_plain(classifier.answering.fitted))
    compute = plain.fitted.pipeline.config.compute
    with threads(compute):
        content = _content(plain, file_format)
        agreement = replace(_compared(plain, file_format.opened(content), named), photos=photos)
    if agreement.relabelled:
        raise Differs(f"{path}: not written, it labels {agreement.relabelled[0]} otherwise than the classifier")
    if agreement.apart > tolerance:
        raise Differs(
            f"{path}: not written, its probabilities of {agreement.where} are {agreement.apart:.1e} from the "
            "classifier's"
        )
    write_whole(path, content)
    return agreement


def _photos(classifier: DefectClassifier) -> list[str]:
    """Return the files of the photos. Raises BadInput if one has gone."""
    names = [photo.name for photo in classifier.photos]
    if missing := [name for name in names if not Path(name).is_file()]:
        raise BadInput(
            f"{missing[0]}: the photo is not there, and an export is compared with its classifier; give --check FOLDER "
            "with the photos and good images"
        )
    return names


def _count_photos(classifier: DefectClassifier, pictures: Sequence[NamedPicture]) -> int:
    """Return how many pictures are photos of the support. Raises BadInput if there is none."""
    digests = {photo.digest for photo in classifier.photos}
    files = [Path(picture.name) for picture in pictures if picture.pixels is None]
    count = sum(picture_digest(file.read_bytes()) in digests for file in files)
    if not count and len(files) == len(pictures):
        raise BadInput(
            f"{files[0].parent}: none of its {len(files)} pictures is a photo that the classifier was fitted to; give "
            "--check FOLDER with them and good images"
        )
    return count


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
            f"head.kind {config.head.kind} on backbone {config.features.backbone} cannot be exported ({brief(error)}); "
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


def _compared(answering: Answering, run: Run, pictures: Sequence[NamedPicture]) -> Agreement:
    classes, apart, relabelled = answering.fitted.support.classes, list[float](), list[str]()
    for batch in _batches(pictures, answering.fitted.pipeline.config.features.batch):
        named = [(picture.name, picture.read()) for picture in batch]
        ours = answering.predictions(named, alpha=0.1)
        theirs = dict(zip(Outputs._fields, run(answering.squares([pixels for _, pixels in named])), strict=True))
        apart += np.abs(_probabilities(ours) - theirs["probabilities"]).max(1).tolist()
        labels = [classes[label] for label in theirs["scores"].argmax(1)]
        relabelled += [one.name for one, label in zip(ours, labels, strict=True) if one.label != label]
    return Agreement(
        pictures=len(pictures),
        photos=0,
        apart=max(apart),
        where=pictures[int(np.argmax(apart))].name,
        relabelled=tuple(relabelled),
    )


def _probabilities(predictions: Sequence[Prediction]) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in predictions])


def _batches(pictures: Sequence[NamedPicture], size: int) -> Iterator[list[NamedPicture]]:
    rest = iter(pictures)
    while batch := list(islice(rest, size)):
        yield batch
