"""Plans of earlier versions: keys that have another name now."""

from __future__ import annotations

import re

import pytest
import yaml

from fsamc.detectors.detector_kinds import PatchCoreSettings
from fsamc.errors import BadInput
from fsamc.heads.head_kinds import ContrastiveSettings, DirectSettings, PrototypeSettings
from sweeps.plan import older_plans
from sweeps.plan.configurations import configuration
from sweeps.plan.load import load_plan, to_yaml
from sweeps.plan.older_plans import Renamed, is_older, varied_older_keys
from sweeps.plan.plan_file import complete_plan
from tests.sweeps.small import fsamc
from tests.sweeps.synthetic import write_synthetic

SPEEDS = {"slow": 1e-4, "fast": 1e-3}


@pytest.fixture
def _renamed(monkeypatch):
    rows = (Renamed("head.rounds", "pretrain.max_rounds"), Renamed("finetune.speed", "finetune.lr", SPEEDS.get))
    monkeypatch.setattr(older_plans, "RENAMED", rows)


@pytest.mark.usefixtures("_renamed")
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("base: {head: {kind: maml, rounds: 7}}", "base: {head: {kind: maml}, pretrain: {max_rounds: 7}}"),
        ("base: {head: {rounds: 7}}", "base: {pretrain: {max_rounds: 7}}"),
        ("base: {finetune: {speed: fast}}", "base: {finetune: {lr: 0.001}}"),
        ("space: {finetune.speed: {choice: [slow, fast]}}", "space: {finetune.lr: {choice: [0.0001, 0.001]}}"),
        ("space: {head.rounds: {integers: [3, 9]}}", "space: {pretrain.max_rounds: {integers: [3, 9]}}"),
        (
            "space: {good: {choice: [true, false], when: {finetune.speed: [slow]}}, finetune.speed: {choice: [slow]}}",
            "space: {good: {choice: [true, false], when: {finetune.lr: [0.0001]}}, finetune.lr: {choice: [0.0001]}}",
        ),
        (
            "search: {algorithm: list}\nconfigurations: [{head.rounds: 3}, {finetune.speed: fast, good: true}]",
            "search: {algorithm: list}\nconfigurations: [{pretrain.max_rounds: 3}, {finetune.lr: 0.001, good: true}]",
        ),
    ],
)
def test_a_key_is_read_under_its_old_name_wherever_a_plan_may_have_it(write, older, newer):
    read, meant = load_plan(write(older)), load_plan(write(newer))
    assert to_yaml(read) == to_yaml(meant)
    assert not meant.notes
    assert all(" now: read as " in note for note in read.notes)
    assert len({note.rpartition(": read as")[0] for note in read.notes}) == older.count("rounds") + older.count("speed")
    assert is_older(yaml.safe_load(older))
    assert not is_older(yaml.safe_load(newer))


@pytest.mark.usefixtures("_renamed")
@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (["base.head.rounds=5"], ["base.pretrain.max_rounds=5"]),
        (["base.head={kind: protonet, rounds: 5}"], ["base.head.kind=protonet", "base.pretrain.max_rounds=5"]),
        (["base.finetune.speed=fast"], ["base.finetune.lr=0.001"]),
        (["space.finetune.speed.choice=[fast]"], ["space.finetune.lr.choice=[0.001]"]),
        (["space.finetune.speed={choice: [fast]}"], ["space.finetune.lr={choice: [0.001]}"]),
        (["space.finetune.speed=null"], ["space.finetune.lr=null"]),
    ],
)
def test_a_change_under_the_old_name_is_one_of_the_new(write, older, newer):
    file = write("base: {pretrain: {max_rounds: 9}}\nspace: {finetune.lr: {choice: [0.1, 0.2]}}")
    read = load_plan(file, older)
    assert to_yaml(read) == to_yaml(load_plan(file, newer)) != to_yaml(load_plan(file))
    (note,) = read.notes
    assert note.startswith(f"{older[0]}: ")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("base: {residual: true}", "base: {representation: {parts: [residual]}}"),
        (
            "base: {reference: {kind: padim, scale: bank}}",
            "base: {reference: {kind: padim}, representation: {scale: channel}}",
        ),
        ("base: {reference: {scale: none}}", "base: {representation: {scale: none}}"),
        (
            "base: {head: {kind: maml, patches: 9, weights: uniform}}",
            "base: {head: {kind: maml}, representation: {patches: 9, weights: uniform}}",
        ),
        ("space: {residual: {choice: [false, true]}}", "space: {representation.parts: {choice: [[raw], [residual]]}}"),
        (
            "space: {good: {choice: [false, true], when: {residual: [true]}}, residual: {choice: [true]}}",
            "space: {good: {choice: [false, true], when: {representation.parts: [[residual]]}},"
            " representation.parts: {choice: [[residual]]}}",
        ),
        (
            "search: {algorithm: list}\nconfigurations: [{residual: false, head.patches: 3}]",
            "search: {algorithm: list}\nconfigurations: [{representation.parts: [raw], representation.patches: 3}]",
        ),
    ],
)
def test_what_heads_saw_is_a_representation(write, older, newer):
    read = load_plan(write(older))
    assert to_yaml(read) == to_yaml(load_plan(write(newer)))
    assert all(": read as " in note for note in read.notes)


FLAT = """
name: elder
base:
  residual: false
  reference: {kind: patchcore, ratio: 0.2, projection: 128, starts: 10, channels: 100, ridge: 0.01, images: 10,
    words: 12, blocks: 4, window: 1, scale: none}
  head:
    kind: prototype
    temperature: 0.2
    patches: 7
    weights: uniform
    pool: anomalous
    hidden: [16, 8]
    relation: [512, 128]
    embedding: 128
    direct: {trainable: head, epochs: 3, lr: 1.0e-05}
space: {head.kind: {choice: KINDS}}
"""


def test_a_plan_that_an_earlier_version_resolved_is_read(write):
    plan = load_plan(write(FLAT.replace("KINDS", "[prototype, contrastive]")))
    assert plan.base.head == PrototypeSettings()
    seen = plan.base.representation
    assert (seen.parts, seen.scale, seen.patches, seen.weights) == (("raw",), "none", 7, "uniform")
    assert plan.base.reference == PatchCoreSettings(ratio=0.2, projection=128, starts=10)
    contrastive = ContrastiveSettings(temperature=0.2, hidden=(16, 8))
    assert configuration(plan, {"head.kind": "contrastive"}).head == contrastive
    direct = load_plan(write(FLAT.replace("KINDS", "[prototype, direct]"), "direct.yaml"))
    assert configuration(direct, {"head.kind": "direct"}).head == DirectSettings(epochs=3)


def test_a_line_names_the_place_the_new_key_and_the_value(write):
    (note,) = load_plan(write("base:\n  head:\n    kind: direct\n    direct: {epochs: 3}\n")).notes
    assert note.endswith("plan.yaml:4:14: base.head.direct.epochs is base.head.epochs now: read as 3")


def test_a_plan_with_the_old_key_and_the_new_one_contradicts_itself(write):
    with pytest.raises(BadInput, match=r"head.direct: unknown key; it is called .*head.epochs, head.lr now"):
        load_plan(write("base: {head: {kind: direct, epochs: 3, direct: {epochs: 4}}}"))


RESNET = "base: {features: {backbone: resnet18}}\n"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (
            "space: {head: {choice: [{kind: direct, direct: {lr: 0.1, epochs: 3}}, {kind: prototype}]}}",
            "space: {head: {choice: [{kind: direct, lr: 0.1, epochs: 3}, {kind: prototype}]}}",
        ),
        (
            "search: {algorithm: list}\nconfigurations: [{head: {kind: direct, direct: {lr: 0.1}}}, {good: true}]",
            "search: {algorithm: list}\nconfigurations: [{head: {kind: direct, lr: 0.1}}, {good: true}]",
        ),
    ],
)
def test_an_older_key_within_a_whole_head_is_read(write, older, newer):
    read = load_plan(write(RESNET + older))
    assert to_yaml(read) == to_yaml(load_plan(write(RESNET + newer)))
    assert len(read.notes) == older.count("lr") + older.count("epochs")
    assert all(re.search(r":\d+:\d+: .*\.head\..*direct\.\w+ is .*head\.\w.* now: read as", n) for n in read.notes)


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        (
            "space: {head: {choice: [{patches: 9}, {kind: maml}]}}",
            "head.patches: .* representation.patches",
        ),
        (
            "search: {algorithm: list}\nconfigurations: [{head: {patches: 9}}]",
            "head.patches: .* representation.patches",
        ),
        ("space: {reference: {choice: [{kind: padim, scale: bank}]}}", "reference.scale: .* representation.scale"),
        ("space: {head.kind: {choice: [direct]}, head.direct: {choice: [{lr: 0.1}]}}", "head.direct: .*, head.lr"),
    ],
)
def test_an_older_key_that_belongs_elsewhere_now_is_one_line_with_its_new_name(write, plan, line):
    """Read there, it would hold for the other choices too, which had the default."""
    with pytest.raises(BadInput, match=rf"^[^\n]*{line} now$"):
        load_plan(write(RESNET + plan))


def test_trials_that_differ_in_an_older_key_are_told():
    assert varied_older_keys({"space": {"head.direct.lr": {}, "good": {}}}) == {"head.direct.lr": "head.lr"}
    assert varied_older_keys({"configurations": [{"shots": 1}, {"good": True}]}) == {"shots": "folds.shots"}
    assert varied_older_keys({"base": {"shots": 1}}) == {}
    whole = [{"kind": "maml", "patches": 9}, {"kind": "direct", "direct": {"lr": 1}}]
    expected = {"head.direct.lr": "head.lr", "head.patches": "representation.patches"}
    assert varied_older_keys({"space": {"head": {"choice": whole}}}) == expected
    assert varied_older_keys({"configurations": [{"head": head} for head in whole]}) == expected


@pytest.mark.parametrize(
    "space", [{"head.patches": {"choice": [5, 9]}}, {"head": {"choice": [{"kind": "maml", "patches": 5}]}}]
)
@pytest.mark.parametrize("words", [("report",), ("compare",), ("track",)])
def test_an_out_whose_trials_differ_in_an_older_key_is_one_line(tmp_path, capsys, space, words):
    out = write_synthetic(tmp_path / "out", trials=2)
    plan = yaml.safe_load((out / "plan.yaml").read_text())
    (out / "plan.yaml").write_text(complete_plan(yaml.safe_dump({**plan, "space": space})))
    more = [write_synthetic(tmp_path / "other", trials=2)] if words == ("compare",) else []
    assert fsamc(*words, out, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"head.patches(, which|: unknown key; it) is (called )?representation.patches now", line)
