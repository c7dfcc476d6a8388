"""Plans and OUT folders of earlier versions: keys that have another name now are read under it, or told by it."""

from __future__ import annotations

import re

import pytest
import yaml

from fsamc.errors import BadInput
from sweeps.plan.load import load_plan, to_yaml
from sweeps.plan.plan_file import complete_plan
from tests.sweeps.small import fsamc
from tests.sweeps.synthetic import write_synthetic


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("base: {residual: true}", "base: {representation: {parts: [residual]}}"),
        (
            "base: {reference: {kind: padim, scale: bank}}",
            "base: {reference: {kind: padim}, representation: {scale: channel}}",
        ),
        (
            "base: {head: {kind: maml, patches: 9, weights: uniform}}",
            "base: {head: {kind: maml}, representation: {patches: 9, weights: uniform}}",
        ),
        ("base: {head: {kind: direct, direct: {epochs: 4}}}", "base: {head: {kind: direct, epochs: 4}}"),
        ("space: {residual: {choice: [false, true]}}", "space: {representation.parts: {choice: [[raw], [residual]]}}"),
        ("space: {head.patches: {integers: [3, 9]}}", "space: {representation.patches: {integers: [3, 9]}}"),
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
def test_a_key_is_read_under_its_old_name_wherever_a_plan_may_have_it(write, older, newer):
    read, meant = load_plan(write(older), backbone="resnet18"), load_plan(write(newer), backbone="resnet18")
    assert to_yaml(read) == to_yaml(meant)
    assert read.notes
    assert not meant.notes
    assert all(" now: read as " in note for note in read.notes)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("base.residual=false", ["base.representation.parts=[raw]"]),
        ("base.head={kind: protonet, patches: 5}", ["base.head.kind=protonet", "base.representation.patches=5"]),
        ("base.head={patches: 5}", ["base.representation.patches=5"]),
        ("space.head.patches.choice=[5]", ["space.representation.patches.choice=[5]"]),
        ("space.head.patches={choice: [5]}", ["space.representation.patches={choice: [5]}"]),
        ("space.head.patches=null", ["space.representation.patches=null"]),
    ],
)
def test_a_change_under_the_old_name_is_one_of_the_new(write, older, newer):
    file = write("base: {representation: {patches: 9}}\nspace: {representation.patches: {choice: [3, 4]}}")
    read = load_plan(file, [older])
    assert to_yaml(read) == to_yaml(load_plan(file, newer)) != to_yaml(load_plan(file))
    (note,) = read.notes
    assert note.startswith(f"{older}: ")


def test_a_line_names_the_place_the_new_key_and_the_value(write):
    (note,) = load_plan(write("base:\n  head:\n    kind: maml\n    patches: 3\n")).notes
    assert note.endswith("plan.yaml:4:5: base.head.patches is base.representation.patches now: read as 3")


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ("base: {representation: {parts: [raw]}, residual: true}", "base.residual: .* representation.parts"),
        ("space: {head: {choice: [{patches: 9}, {kind: maml}]}}", "head.patches: .* representation.patches"),
        ("search: {algorithm: list}\nconfigurations: [{head: {patches: 9}}]", "head.patches: .* representation.pat"),
        ("space: {head.kind: {choice: [direct]}, head.direct: {choice: [{lr: 0.1}]}}", "head.direct: .*, head.lr"),
    ],
)
def test_one_that_contradicts_the_new_key_or_is_within_a_whole_head_is_refused_by_its_new_name(write, plan, line):
    with pytest.raises(BadInput, match=rf"^[^\n]*{line}\S* now$"):
        load_plan(write(f"{plan}\n"), backbone="resnet18")


@pytest.mark.parametrize("words", [("report",), ("compare",), ("track",)])
def test_an_out_of_a_plan_with_older_keys_is_one_line(tmp_path, capsys, words):
    out = write_synthetic(tmp_path / "out", trials=2)
    plan = yaml.safe_load((out / "plan.yaml").read_text())
    plan["base"]["head"] |= {"patches": 5, "direct": {"lr": 0.1}}
    (out / "plan.yaml").write_text(complete_plan(yaml.safe_dump(plan)))
    more = [write_synthetic(tmp_path / "other", trials=2)] if words == ("compare",) else []
    assert fsamc(*words, out, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"head.patches is representation.patches, head.direct.lr is head.lr\).* start anew", line)
