"""Plans and OUT folders of earlier versions: keys that have another name now are told by it."""

from __future__ import annotations

import re

import pytest
import yaml

from fsamc.errors import BadInput
from sweeps.plan.load import load_plan
from sweeps.plan.plan_file import complete_plan
from tests.sweeps.small import fsamc
from tests.sweeps.synthetic import write_synthetic


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ("base: {residual: true}", "base.residual: .* representation.parts"),
        ("base: {reference: {kind: padim, scale: bank}}", "base.reference.scale: .* representation.scale"),
        ("base: {head: {kind: direct, direct: {epochs: 4}}}", "head.direct: .*, head.epochs, head.lr"),
        ("space: {head.patches: {integers: [3, 9]}}", "space.head.patches: .* representation.patches"),
        (
            "space: {good: {choice: [false, true], when: {residual: [true]}}}",
            "when.residual: .* representation.parts",
        ),
        ("search: {algorithm: list}\nconfigurations: [{head.weights: uniform}]", "0.head.weights: .* representation.w"),
        ("space: {head: {choice: [{patches: 9}, {kind: maml}]}}", "head.patches: .* representation.patches"),
        ("search: {algorithm: list}\nconfigurations: [{head: {patches: 9}}]", "head.patches: .* representation.pat"),
        ("space: {head.kind: {choice: [direct]}, head.direct: {choice: [{lr: 0.1}]}}", "head.direct: .*, head.lr"),
    ],
)
def test_an_older_key_is_one_line_with_its_new_name_wherever_a_plan_has_it(write, plan, line):
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
