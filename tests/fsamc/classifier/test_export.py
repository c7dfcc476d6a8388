"""Exports of classifiers: the module against the pipeline, files against the classifier, and what is refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from fsamc.artifacts.good_scores import held_out_rows
from fsamc.classifier.answers import Answering
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.export import export
from fsamc.classifier.export.compared_pictures import compared_pictures
from fsamc.classifier.export.export import Differs, export_classifier
from fsamc.classifier.export.one_module import OneModule, Outputs
from fsamc.classifier.prediction import Prediction
from fsamc.data.images import read_image
from fsamc.errors import BadInput
from tests.fsamc.classifier.photos import files

REPRESENTATIONS = [
    {"views.support": "all", "views.queries": "all"},
    {"views.queries": "flips", "representation.parts": ["centred", "raw"], "representation.scale": "none"},
    {"head.kind": "ridge", "representation.scale": "channel", "representation.weights": "uniform"},
    {"head.kind": "cache", "head.epochs": 2, "representation.extent": 0},
    {"head.kind": "vanilla", "head.pool": "flatten"},
    {"reference.kind": "padim", "representation.scale": "channel", "views.queries": "all"},
    {"support.mean": "residual"},
]
KINDS = [
    *REPRESENTATIONS,
    {"head.kind": "lda"},
    {"head.kind": "logistic"},
    {"head.kind": "adapter"},
    {"head.kind": "cross_attention"},
    {"head.kind": "dpgn", "head.pool": "anomalous"},
    {"head.kind": "contrastive", "head.pool": "flatten"},
    {"head.kind": "siamese", "head.pool": "anomalous", "views.queries": "turns"},
    {"head.kind": "vanilla", "head.pool": "anomalous"},
    {"head.kind": "protonet", "head.pool": "flatten"},
    {"head.kind": "matchingnet", "head.pool": "anomalous"},
    {"head.kind": "maml", "head.pool": "anomalous"},
]


def squares(classifier: DefectClassifier, paths: list[Path]) -> np.ndarray:
    return np.stack([classifier.answering.squared(read_image(path)).pixels for path in paths])


def agree(outputs: Outputs, predictions: list[Prediction]) -> None:
    """Assert that a runtime's answers are a classifier's."""
    classes = list(predictions[0].scores)
    assert [classes[label] for label in outputs.scores.argmax(1)] == [one.label for one in predictions]
    probabilities = np.array([list(one.probabilities.values()) for one in predictions])
    assert np.allclose(outputs.probabilities, probabilities, atol=1e-4)
    assert np.allclose(outputs.anomaly, [one.anomaly for one in predictions], atol=1e-2)
    assert np.allclose(outputs.distances, np.stack([one.distances for one in predictions]), atol=1e-2)


@torch.no_grad()
def run(answering: Answering, images: np.ndarray) -> list[np.ndarray]:
    """What a file would answer for pictures, without the file."""
    return [one.numpy() for one in OneModule(answering).eval()(torch.from_numpy(images)).values()]


@pytest.mark.parametrize("changes", REPRESENTATIONS, ids=str)
def test_the_module_gives_the_answers_of_the_classifier(make, tiny_category, changes):
    classifier, paths = make(changes), files(tiny_category, tiny_category.defects + tiny_category.train)
    agree(Outputs(*run(classifier.answering, squares(classifier, paths))), classifier.predict(paths))


@pytest.mark.slow
def test_an_onnx_file_says_what_it_is_and_runs_without_us(make, tiny_category, tmp_path):
    """In onnxruntime and in OpenVINO, for one picture and for several."""
    onnxruntime, openvino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    classifier, file, told = make({"views.queries": "flips"}), tmp_path / "tiles.onnx", list[str]()
    agreement = export_classifier(classifier, file, tiny_category.folder, tell=told.append)
    assert told[0] == "exporting"
    assert all(line.endswith(f" of {agreement.pictures.total()} pictures") for line in told[1:])
    assert agreement.pictures["photo"] == len(classifier.photos)
    assert agreement.pictures["good image"] == len(tiny_category.train + tiny_category.good)
    assert agreement.pictures.total() >= len(tiny_category.defects + tiny_category.train)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["classes"]) == list(classifier.classes_)
    assert json.loads(described["picture"])["size"] == classifier.config.features.size
    assert [one.name for one in session.get_outputs()] == list(Outputs._fields)
    compiled = openvino.compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 5):
        paths = files(tiny_category, tiny_category.defects[:count])
        images, predictions = squares(classifier, paths), classifier.predict(paths)
        agree(Outputs(*session.run(None, {"images": images})), predictions)
        agree(Outputs(*compiled(images).values()), predictions)


@pytest.mark.slow
@pytest.mark.parametrize("changes", KINDS, ids=str)
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_every_head_is_exported_in_every_format(make, tiny_category, tmp_path, changes, suffix):
    file = tmp_path / f"tiles{suffix}"
    assert export_classifier(make(changes), file, tiny_category.folder).apart <= 1e-4
    assert file.is_file()


@pytest.mark.slow
def test_a_program_of_torch_answers_for_any_number_of_pictures(make, tiny_category, tmp_path):
    classifier, file = make({"views.queries": "flips"}), tmp_path / "tiles.pt2"
    export_classifier(classifier, file, tiny_category.folder)
    described = {"fsamc.json": ""}
    module = torch.export.load(file, extra_files=described).module()
    assert json.loads(json.loads(described["fsamc.json"])["classes"]) == list(classifier.classes_)
    for count in (1, 5):
        paths = files(tiny_category, tiny_category.defects[:count])
        outputs = module(torch.from_numpy(squares(classifier, paths)))
        agree(Outputs(*(one.numpy() for one in outputs.values())), classifier.predict(paths))


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_not_written(make, tiny_category, tmp_path):
    """As any file does that must not differ in the last bit."""
    with pytest.raises(Differs, match=r"probabilities of .* from the classifier's"):
        export_classifier(make(), tmp_path / "tiles.onnx", tiny_category.folder, tolerance=0)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_told_before_the_work(make, tiny_category, tmp_path):
    classifier = make()
    with pytest.raises(BadInput, match="expected a file named"):
        export_classifier(classifier, tmp_path / "tiles.h5", tiny_category.folder)
    with pytest.raises(BadInput, match=r"none of 5 pictures is a photo .*; give --check FOLDER"):
        export_classifier(classifier, tmp_path / "tiles.pt2", tiny_category.folder / "train")
    photos = [classifier.learnt.places[photo.digest] for photo in classifier.photos]
    with pytest.raises(BadInput, match=r"none of \d+ pictures is a good image; give --check FOLDER"):
        export_classifier(classifier, tmp_path / "tiles.pt2", photos)
    assert not list(tmp_path.iterdir())


def test_the_pictures_that_it_has_learnt_from_are_found_again_where_it_was_fitted(make, tiny_category, store, tmp_path):
    """A file says their hashes; the cache, where they lie."""
    made, file = make(), tmp_path / "tiles.fsamc"
    made.save(file)
    here = compared_pictures(DefectClassifier.load(file, cache=store.root), None)
    assert here.count() == {"photo": len(made.photos), "good image": len(made.learnt.held_out)}
    held_out = set(held_out_rows(tiny_category, made.config.detection.held_out))
    assert {tiny_category.train[row] for row in held_out} >= {
        Path(picture.name).relative_to(tiny_category.folder).as_posix()
        for picture, kind in zip(here.pictures, here.kinds, strict=True)
        if kind == "good image"
    }
    assert str(tiny_category.folder).encode() not in file.read_bytes()
    elsewhere = DefectClassifier.load(file, backbone=made.config.features.backbone, cache=tmp_path / "cache")
    with pytest.raises(BadInput, match="the photo is not where this machine knows it"):
        compared_pictures(elsewhere, None)
    given = compared_pictures(elsewhere, tiny_category.folder)
    assert given.count()["photo"] == len(made.photos)


def test_a_picture_that_the_bank_holds_is_compared_by_its_anomaly_alone(make, tiny_category):
    """All patches of few good images are in a bank of all rows: what is named in them is rounding."""
    whole = make({"reference.ratio": 1.0})
    agreement = export._compared(
        whole.answering, partial(run, whole.answering), compared_pictures(whole, tiny_category.folder), str
    )
    learnt = {str(tiny_category.folder / path) for path in tiny_category.train}
    assert learnt <= set(agreement.empty)
    assert not agreement.relabelled
    photos = whole.predict([whole.learnt.places[photo.digest] for photo in whole.photos])
    assert 0 < export._rounding(whole.answering) < min(one.anomaly for one in photos)
