"""Every knob bites: each field of a fold's configuration changes the scores, or is declared to change none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model

from fsamc.config.dotted import flatten, updated
from fsamc.config.kinds import kinds_of
from fsamc.config.settings import Settings
from fsamc.data.category import load_category
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.seeds import numpy_generator
from fsamc.store.store import Store
from tests.fsamc.kinds import DETECTORS, HEADS, changes_to
from tests.fsamc.layouts import TinyNetwork, export_program

CLASSES = ("crack", "dent", "hole")


@dataclass(frozen=True)
class Bites:
    """Values that give other scores, or other measured ones, than what `base` has there.

    `with_it` is what a value cannot do without.
    """

    values: tuple[Any, ...]
    base: Mapping[str, Any] = field(default_factory=dict)
    with_it: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NoOp:
    """A value that changes no score beyond rounding, and why; without one there is no other value to try."""

    reason: str
    values: tuple[Any, ...] = ()


PROTOTYPE = {"head.kind": "prototype", "representation.patches": 8}
CHOSEN = {**PROTOTYPE, "views.support": "auto", "views.queries": "auto"}
FLATTEN = {"head.pool": "flatten"}
WIDE = {"head.hidden": (64, 32)}  # so that training does not hang on the rounding of a channel or two
VANILLA = {"head.kind": "vanilla"}
RESIDUAL = {"representation.parts": ("residual",)}
MAML = {"head.kind": "maml", "pretrain.maml.tasks": 2, "pretrain.maml.inner_lr": 0.1}
NAMED = {"features.backbone": "resnet18", "features.weights": "random"}
DIRECT = {**NAMED, "head.kind": "direct", "head.epochs": 1, "head.lr": 1e-3}
RESNET = {**PROTOTYPE, **NAMED}
FLOOD, CENTRE, GRABCUT, AUTO = (
    {"pseudo.foreground": method} for method in ("flood", "flood_centre", "grabcut", "auto")
)
PERLIN, POLYGON = ({"pseudo.mask": mask} for mask in ("perlin", "polygon"))
PSEUDO = {**PROTOTYPE, "pseudo.per_class": 12, "scoring.measure": ("pseudo",)}
FIRST, OTHERS = (
    tuple(f"parts/test/{name}/{number}.png" for name in CLASSES for number in numbers)
    for numbers in (("000", "002"), ("001", "003"))
)

# The base is contrastive, pretrained for three rounds and fine-tuned for one epoch at two shots (conftest.py).
KNOBS: dict[str, Bites | NoOp] = {
    "shots": Bites((1, 3)),
    "compute.device": NoOp("where the same arithmetic runs"),
    "compute.threads": NoOp("how sums are cut into parts, which rounds otherwise", (2,)),
    "features.backbone": Bites(("another.pt2",), PROTOTYPE),
    "features.weights": Bites(("resnet18.pth",), RESNET),
    "features.layers": Bites((("layer2",), ("layer3",)), PROTOTYPE),
    "features.dim": Bites((8,), PROTOTYPE),
    "features.fit": Bites(("crop", "letterbox"), PROTOTYPE),
    "features.size": Bites((96,), PROTOTYPE),
    "features.resize": Bites((80,), {**PROTOTYPE, "features.fit": "crop"}),
    "features.precision": Bites(("bf16",), PROTOTYPE),
    "features.batch": NoOp("images per forward pass bound the memory", (3, 16)),
    "reference.kind": Bites(("padim", "spade", "cpr", "reconpatch"), PROTOTYPE),
    "reference.ratio": Bites((0.05,)),
    "reference.rows": Bites((3,), {"reference.ratio": None, "reference.rows": 9}),
    "reference.projection": Bites((4,)),
    "reference.starts": Bites((1,)),
    "reference.candidates": Bites((100,)),
    "reference.channels": Bites((4,)),
    "reference.ridge": Bites((1.0,)),
    "reference.images": Bites((1,)),
    "reference.words": Bites((3,)),
    "reference.embedding": Bites((3,)),
    "reference.steps": Bites((9,)),
    "reference.batch": Bites((30,)),
    "reference.lr": Bites((0.1,)),
    "reference.neighbours": Bites((9,)),
    "reference.bandwidth": Bites((0.1,)),
    "reference.contextual": Bites((0.0,)),
    "reference.margin": Bites((2.0,)),
    "reference.momentum": Bites((0.0,)),
    "reference.blocks": Bites((1,)),
    "reference.window": Bites((3,)),
    "detection.enabled": NoOp("it says which images are defective; the head classifies them all", (True,)),
    "detection.held_out": NoOp("it moves the threshold of detection, and that no score", (0.4,)),
    "detection.false_alarms": NoOp("it moves the threshold of detection, and that no score", (0.3,)),
    "good": Bites((True,), PROTOTYPE),
    "representation.parts": Bites((("residual",), ("centred", "raw"))),
    "representation.scale": Bites(("channel", "none")),
    "representation.shrinkage": Bites((0.5,)),
    "representation.patches": Bites((7, 0.5, "stable")),
    "representation.weights": Bites(("uniform",)),
    "representation.extent": Bites((2.0,)),
    "representation.region": Bites(("masks",), PROTOTYPE),
    "views.support": Bites(("flips", "turns", "all", "auto"), {**PROTOTYPE, "views.good": 1}),
    "views.queries": Bites(("flips", "turns", "all", "auto"), {**PROTOTYPE, "views.good": 1}),
    "views.good": Bites((6,), {**CHOSEN, "views.good": 1}),
    "views.errors": Bites((0.0,), CHOSEN),
    "support.shots_from": Bites(("files",), with_it={"support.files": OTHERS}),
    "support.files": Bites((OTHERS,), {"support.shots_from": "files", "support.files": FIRST}),
    "support.mean": Bites(("image", "residual"), PROTOTYPE),
    "pseudo.mask": Bites(("perlin", "polygon")),
    "pseudo.foreground": Bites(("auto", "flood", "flood_centre", "grabcut", {"parts": "flood"})),
    "pseudo.segmentation.flood": Bites(((80, 255), (0, 0)), FLOOD),
    "pseudo.segmentation.centre": Bites(((0, 0),), CENTRE),
    "pseudo.segmentation.grabcut": Bites((1,), GRABCUT),
    "pseudo.segmentation.part": Bites((0.9,), FLOOD),
    "pseudo.segmentation.area": Bites(((0.03, 0.1), (0.8, 0.9)), FLOOD),
    "pseudo.segmentation.edge": Bites((50.0,), AUTO),
    "pseudo.segmentation.sample": Bites((1,), AUTO),
    "pseudo.segmentation.agree": Bites((1.0,), AUTO),
    "pseudo.beta": Bites(((0.0, 0.1),)),
    "pseudo.per_class": Bites((5,)),
    "pseudo.textures_per_class": Bites((2,)),
    "pseudo.rate": Bites((2.0,)),
    "pseudo.blur": Bites((0.1,)),
    "pseudo.threshold": Bites((0.6,)),
    "pseudo.perlin.scales": Bites(((2, 3),), PERLIN),
    "pseudo.perlin.threshold": Bites((0.2,), PERLIN),
    "pseudo.polygon.sides": Bites(((3,),), POLYGON),
    "pseudo.polygon.size": Bites((0.4,), POLYGON),
    "pseudo.polygon.inside": Bites((0.95,), {**POLYGON, **FLOOD}),
    "pseudo.area": Bites(((0.25, 0.3),)),
    "pseudo.tries": NoOp("when to give up: fewer than are needed is an error", (60, 200)),
    "pseudo.residual": Bites(("bank",)),
    "pretrain.enabled": Bites((False,)),
    "pretrain.pseudo_classes": Bites((2,)),
    "pretrain.stop_threshold": Bites((0.0,)),
    "pretrain.max_rounds": Bites((2,)),
    "pretrain.queries": Bites((4,)),
    "pretrain.lr": Bites((1e-2,)),
    "pretrain.stop_metric": Bites(("pairs",), {**VANILLA, "pretrain.stop_threshold": 0.65, **RESIDUAL}),
    "pretrain.maml.order": Bites(("first",), MAML),
    "pretrain.maml.inner_lr": Bites((0.01,), MAML),
    "pretrain.maml.inner_steps": Bites((2,), MAML),
    "pretrain.maml.tasks": Bites((1,), MAML),
    "finetune.episodes": Bites(("algorithm_2", "own"), {**VANILLA, "finetune.episodes": "algorithm_1"}),
    "finetune.epochs": Bites(({2: 2}, {3: 1})),
    "finetune.lr": Bites((1e-2,)),
    "head.kind": Bites(tuple(sorted({*HEADS} - {"contrastive"})), NAMED),
    "head.temperature": Bites((0.2,)),
    "head.centre": Bites((0.0,)),
    "head.sharpness": Bites((3.0,)),
    "head.shrinkage": Bites((0.9,)),
    "head.penalty": Bites((0.5,)),
    "head.hidden": Bites(((9, 4), (8, 5))),
    "head.pool": Bites(("flatten",)),
    "head.embedding": Bites((9,), FLATTEN),
    "head.grid": Bites((2,)),
    "head.reduction": Bites((2,)),
    "head.attention": Bites((0.2,)),
    "head.generations": Bites((1,)),
    "head.relation": Bites(((9, 4), (8, 5)), {"head.relation": (8, 4)}),
    "head.trainable": Bites(("all",)),
    "head.epochs": Bites((2,)),
    "head.lr": Bites((1e-2,)),
    "scoring.by": Bites(("support",)),
    "scoring.pool.rounds": Bites((1,)),
    "scoring.pool.temperature": Bites((1.0,), {"scoring.pool.rounds": 1}),
    "scoring.measure": Bites((("support",), ("pseudo",)), {"pseudo.per_class": 8}),
    "scoring.held_out": Bites((0.7,), PSEUDO),
    "scoring.tasks": Bites((3,), PSEUDO),
}


# What a kind needs so that its knobs can bite.
OF_KIND: dict[str, Mapping[str, Any]] = {"direct": DIRECT, "maml": MAML, "cache": {"head.epochs": 1}}
OF_KIND |= {kind: {**PROTOTYPE, **changes_to("reference", kind, images=2)} for kind in DETECTORS}


@dataclass(frozen=True)
class Leaf:
    """A field that is no group: its type, its default and, of a head or a detector, the kinds that have it."""

    kind: Any
    default: Any
    having: list[str] = field(default_factory=list)


def leaves(model: type[Settings], prefix: str = "") -> dict[str, Leaf]:
    """Every field below `model` by dotted key."""
    found: dict[str, Leaf] = {}
    for name, one in model.model_fields.items():
        key = f"{prefix}{name}"
        if kinds := kinds_of(one):
            for kind, settings in kinds.items():
                for below, leaf in leaves(settings, f"{key}.").items():
                    found.setdefault(below, leaf).having.append(kind)
            found[f"{key}.kind"] = Leaf(Literal[*kinds], one.default.kind)
        elif isinstance(one.annotation, type) and issubclass(one.annotation, Settings):
            found |= leaves(one.annotation, f"{key}.")
        else:
            found[key] = Leaf(one.annotation, one.default)
    return found


FIELDS = leaves(FoldConfig)
CHOICES = {key: get_args(leaf.kind) for key, leaf in FIELDS.items() if get_origin(leaf.kind) is Literal}


def write_parts(root: Path) -> None:
    """A category `parts` of 64 x 96 pixels: a bright disc with a small one beside it, but none on the first image.

    What is defective has a bar on the disc, which is its ground truth.
    """
    rows, columns = np.mgrid[:64, :96]
    disc, beside = (rows - 30) ** 2 + (columns - 40) ** 2 < 400, (rows - 45) ** 2 + (columns - 80) ** 2 < 100
    for part, count in [("train/good", 6), ("test/good", 4), *((f"test/{name}", 5) for name in CLASSES)]:
        folder = root / "parts" / part
        folder.mkdir(parents=True)
        for number in range(count):
            generator = numpy_generator("test knobs", part, number)
            pixels = generator.normal(30, 5, (64, 96, 3)) + generator.normal(0, 12, (64, 96, 1))
            pixels[disc | beside] += 0 if part == "train/good" and number == 0 else 120
            if folder.name in CLASSES:
                place = 8 + CLASSES.index(folder.name) * 10 + number
                bar = np.zeros((64, 96), bool)
                bar[place : place + 9, 30:45] = True
                pixels[bar] += 70 - 50 * CLASSES.index(folder.name)
                truth = root / "parts" / "ground_truth" / folder.name
                truth.mkdir(parents=True, exist_ok=True)
                Image.fromarray(bar).save(truth / f"{number:03}_mask.png")
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")


Run = Callable[[Mapping[str, Any]], FoldResult]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config, tiny_textures) -> Run:
    """Run a fold with changes to the tiny configuration; files are named relative to a folder that is made here."""
    folder = tmp_path_factory.mktemp("knobs")
    write_parts(folder)
    category, store = load_category(folder, "parts"), Store(folder / "cache")
    export_program(TinyNetwork(seed=1), folder / "another.pt2")
    torch.save(get_model("resnet18", weights=None).state_dict(), folder / "resnet18.pth")

    results: dict[str, FoldResult] = {}

    def run(changes: Mapping[str, Any]) -> FoldResult:
        files = {k: str(folder / v) for k, v in changes.items() if isinstance(v, str) and (folder / v).is_file()}
        config = updated(tiny_config, {**changes, **files})
        text = config.model_dump_json()
        if text not in results:
            results[text] = run_fold(category, config, seed=1, store=store, textures=tiny_textures)
        return results[text]

    return run


def test_every_field_is_declared():
    assert sorted(KNOBS) == sorted(FIELDS), "a new field needs a line in KNOBS: which values change the scores?"


def test_every_choice_of_a_field_is_tried(tiny_config):
    for key, choices in CHOICES.items():
        knob = KNOBS[key]
        base = knob.base.get(key) if isinstance(knob, Bites) else None
        default = base or flatten(tiny_config.model_dump()).get(key, FIELDS[key].default)
        untried = {*choices} - {default, *knob.values} - {"cuda", "fp32"}  # `auto` is fp32 within a fold
        assert not untried, f"{key}: {untried}"


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        pytest.param(key, value, kind, id=" ".join(filter(None, [kind, f"{key}={value}".replace("parts/test/", "")])))
        for key, knob in KNOBS.items()
        if isinstance(knob, Bites)
        for value in knob.values
        for kind in FIELDS[key].having or [""]
    ],
)
def test_a_knob_bites(run, key, value, kind):
    """Of each kind that has it."""
    knob = KNOBS[key]
    assert isinstance(knob, Bites)
    base = {f"{key.partition('.')[0]}.kind": kind, **OF_KIND.get(kind, {}), **knob.base} if kind else knob.base
    changed = changes_to("reference", value) if key == "reference.kind" else {key: value}
    before, after = run(base), run({**base, **changed, **knob.with_it})
    assert before.key != after.key
    assert (before.scores, before.measured) != (after.scores, after.measured)


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, knob in KNOBS.items() if isinstance(knob, NoOp) for value in knob.values],
)
def test_a_declared_no_op_changes_nothing(run, key, value):
    for base in (WIDE, PROTOTYPE):
        before, after = run(base), run({**base, key: value})
        assert before.key != after.key, "rounding may tell them apart, so they are results of their own"
        np.testing.assert_allclose(before.scores, after.scores, rtol=1e-2, atol=0.05)  # of logits up to 14


def test_knobs_of_one_choice_have_one():
    only = {key for key, knob in KNOBS.items() if isinstance(knob, NoOp) and not knob.values} - {"compute.device"}
    assert {key for key, choices in CHOICES.items() if len(choices) == 1} == only


def test_too_few_tries_are_an_error(run):
    with pytest.raises(BadInput, match=r"`pseudo\.area` \[0\.25, 0\.26\]: 1 masks covered"):
        run({"pseudo.tries": 1, "pseudo.area": (0.25, 0.26)})


def test_precision_auto_is_fp32_within_a_fold(run):
    assert run({**PROTOTYPE, "features.precision": "fp32"}).scores == run(PROTOTYPE).scores


LEARNING = [key for key in KNOBS if key.startswith(("pretrain.", "finetune.", "pseudo."))]
META = [key for key in KNOBS if key.startswith("pretrain.maml.")]
OF_VECTORS = [f"representation.{name}" for name in ("patches", "weights", "extent")]
OF_VECTORS += ["views.support", "views.queries"]
RAW = {"representation.parts": ("raw",), "representation.scale": "channel"}
IGNORED = {
    "prototype": (PROTOTYPE, LEARNING),
    "contrastive, flatten": (FLATTEN, OF_VECTORS),
    "raw and in channels": ({**PROTOTYPE, **RAW}, ["representation.shrinkage"]),
    "masks": ({**PROTOTYPE, "representation.region": "masks"}, ["representation.patches", "representation.weights"]),
    "contrastive, anomalous": ({}, [*META, "pretrain.stop_metric", "head.embedding"]),
    "vanilla, flatten": ({**VANILLA, **FLATTEN}, OF_VECTORS),
    "direct": (DIRECT, [*OF_VECTORS, "reference.kind", "representation.parts", "features.dim", "pretrain.enabled"]),
    "no pretraining": ({"pretrain.enabled": False}, [key for key in LEARNING if key.startswith("p")]),
    "one shot": ({"shots": 1}, ["finetune.episodes", "finetune.epochs", "finetune.lr"]),
    "poisson": ({}, [key for key in LEARNING if key.startswith(("pseudo.perlin.", "pseudo.polygon."))]),
    "perlin": (PERLIN, ["pseudo.rate", "pseudo.blur", "pseudo.threshold", "pseudo.polygon.sides"]),
    "polygon": (POLYGON, ["pseudo.rate", "pseudo.blur", "pseudo.threshold", "pseudo.area", "pseudo.perlin.scales"]),
}


@pytest.mark.parametrize(
    ("base", "key"),
    [pytest.param(base, key, id=f"{name}: {key}") for name, (base, keys) in IGNORED.items() for key in keys],
)
def test_a_knob_of_something_else_changes_nothing(run, base, key):
    for value in KNOBS[key].values[:1]:
        assert run({key: value, **base}).scores == run(base).scores


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("base", [{}, PROTOTYPE], ids=["contrastive", "prototype"])
def test_the_device_changes_rounding_alone(run, base):
    there = run({**base, "compute.device": "cuda"}).scores
    np.testing.assert_allclose(run(base).scores, there, rtol=0.05, atol=0.05)
