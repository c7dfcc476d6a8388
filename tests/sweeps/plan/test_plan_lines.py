"""What is wrong with a plan is told by key and line: all of it at once, in the file that says it."""

from __future__ import annotations

import shlex

import pytest
import yaml

from fsamc.errors import BadInput
from sweeps.plan.keys import nearest_key, unknown_key
from sweeps.plan.kinds import FIELDS
from sweeps.plan.load import load_plan
from sweeps.plan.yaml_lines import NotYaml, change_to_names, read_yaml
from tests.sweeps.small import fsamc

WRONG = """\
name: x
base:
  good: 3
  pretrain: {treshold: 1, lr: 1.0e-4}
  head:
    kind: forest
space:
  head.knid: {choice: [a]}
folds: {seeds: [1, a], draws: 3}
fold: 1
"""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The lines that a plan of these files is refused with; the first file is the plan."""
    monkeypatch.chdir(tmp_path)

    def told(text: str, *changes: str, **others: str) -> list[str]:
        for name, content in {"plan": text, **others}.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        with pytest.raises(BadInput) as error:
            load_plan("plan.yaml", changes)
        return list(error.value.lines)

    return told


def test_all_that_is_wrong_is_told_in_the_order_of_the_file(told):
    lines = [line.partition(" ")[::2] for line in told(WRONG)]
    assert [(place, text.partition(": ")[0]) for place, text in lines] == [
        ("plan.yaml:3:3:", "base.good"),
        ("plan.yaml:4:14:", "base.pretrain.treshold"),
        ("plan.yaml:6:5:", "base.head.kind"),
        ("plan.yaml:8:3:", "space.head.knid"),
        ("plan.yaml:9:20:", "folds.seeds.1"),
        ("plan.yaml:9:24:", "folds.draws"),
        ("plan.yaml:10:1:", "fold"),
    ]


@pytest.mark.parametrize("words", [["plan", "check"], ["plan", "show"], ["sweep", "--data", "x", "--out", "y"]])
def test_every_command_that_reads_a_plan_prints_a_line_for_each(tmp_path, capsys, words):
    (tmp_path / "plan.yaml").write_text(WRONG)
    assert fsamc(*words, tmp_path / "plan.yaml") == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count(f"fsamc: {tmp_path}/plan.yaml:") == len(errors.splitlines()) == 7


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("base: {shots: 2}\nbase: {shots: 3}\n", "plan.yaml:2:1: base: is there already in line 1; keep one of them"),
        (
            "base:\n  finetune:\n    epochs:\n      2: 3\n      '2': 4\n",
            "plan.yaml:5:7: base.finetune.epochs.2: is there already in line 4; keep one of them",
        ),
        ("base:\n\tshots: 2\n", "plan.yaml:2:1: not YAML: a tab; YAML is indented by spaces"),
        ("base: {shots: 2\nfolds: {}\n", "plan.yaml:2:6: not YAML: while parsing a flow mapping"),
        ("base: &b {head: *b}\n", "plan.yaml: not YAML: an alias holds itself"),
        ("base: [1\n", "plan.yaml:2:1: not YAML: while parsing a flow sequence"),
        (
            "space:\n  head.kind:\n    choice:\n    - prototype\n    - forest\n",
            "plan.yaml:5:7: space.head.kind.choice.1: unknown kind 'forest'",
        ),
        (
            "space:\n  representation.patches: {integers: [1, 0]}\n",
            "plan.yaml:2:3: space.representation.patches: integers: [1, 0]: the lower bound",
        ),
        (
            "space:\n  representation.patches: {choice: [1, 1]}\n",
            "plan.yaml:2:28: space.representation.patches.choice: [1, 1] names a value twice",
        ),
        (
            "space:\n  head: {kind: {choice: [maml]}}\n",
            "plan.yaml:2:10: space.head.kind: unknown key; the space takes dotted names: write `head.kind` as one key",
        ),
        (
            "search: {algorithm: list}\nconfigurations:\n- {good: true}\n- {goods: true}\n",
            "plan.yaml:4:4: configurations.1.goods: unknown key; did you mean good?",
        ),
        ("base:\n  features:\n    resize: 300\n", "plan.yaml:2:3: base.features: `resize` is the short side"),
    ],
)
def test_a_mistake_is_found_where_it_is(told, text, line):
    (only,) = told(text)
    assert only.startswith(line)


def test_a_plan_that_is_extended_is_named_where_it_is_at_fault(told):
    below = "base:\n  good: 3\n  detection: {enabled: 7}\nspace:\n  pretrain.queries: {choice: [0, 1]}\n"
    above = "extends: below.yaml\nbase:\n  detection: {enabled: true}\n  head.kind: maml\n"
    assert [line.partition(" ")[0] for line in told(above, below=below)] == ["below.yaml:2:3:", "plan.yaml:4:3:"]
    above = "extends: below.yaml\nbase: {good: false, detection: {enabled: true}}\n"
    assert [line.partition(" ")[0] for line in told(above, below=below)] == ["below.yaml:5:31:"]


def test_keys_that_are_there_twice_are_told_of_every_plan_of_a_chain(told):
    lines = told("extends: below.yaml\nname: a\nname: b\n", below="folds: {seeds: [1], seeds: [2]}\n")
    assert [line.partition(" ")[0] for line in lines] == ["below.yaml:1:21:", "plan.yaml:3:1:"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            "base.pretrain.queries=0",
            "plan.yaml: base.pretrain.queries=0: found 0; input should be greater than or equal to 1",
        ),
        (
            "base.head={kind: 3}",
            "plan.yaml: base.head={kind: 3}: base.head.kind: unknown kind '3', expected one of "
            f"{', '.join(sorted(FIELDS['head']))}",
        ),
        ("folds.seed=[1]", "plan.yaml: folds.seed=[1]: unknown key; did you mean folds.seeds?"),
        (
            "space.goods.choice=[1]",
            "plan.yaml: space.goods.choice=[1]: space.goods: unknown key; did you mean space.good?",
        ),
        ("base.features.resize=300", "plan.yaml: base.features.resize=300: base.features: `resize` is the short side"),
    ],
)
def test_a_change_of_the_command_line_is_named_itself(told, change, line):
    (only,) = told("base:\n  shots: 2\n  features: {size: 224}\n", change)
    assert only.startswith(line)


def test_a_later_word_wins_and_is_the_one_that_is_named(told):
    assert told("base: {pretrain: {queries: 0}}\n", "base.pretrain.queries=-1", "base.pretrain.queries=-2") == [
        "plan.yaml: base.pretrain.queries=-2: found -2; input should be greater than or equal to 1"
    ]
    told("base: {good: 3, pretrain: {enabled: 8}}\n", "base.good=true")
    assert load_plan("plan.yaml", ["base.good=true", "base.pretrain.enabled=true"]).base.good


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("base.pretrain.treshold", "base.pretrain.stop_threshold"),
        ("base.temperature", "base.head.temperature"),
        ("pretrain.stop_threshold", "base.pretrain.stop_threshold"),
        ("serch", "search"),
        ("space.head.knid", "space.head.kind"),
        ("base.pretrain.learning_rate", None),
        ("base.lr", None),  # three stages have one
    ],
)
def test_the_nearest_key_is_suggested_and_none_where_none_is_near(key, meant):
    assert nearest_key(key) == meant
    assert (f"did you mean {meant}?" if meant else "`fsamc plan show` lists them all") in unknown_key(key)


def test_yaml_means_what_it_meant_and_every_key_and_item_has_its_place():
    text = "a: &x {b: [1, two]}\nc:\n  <<: *x\n  2: 1.0e-4\n"
    found = read_yaml(text)
    assert found.value == {"a": {"b": [1, "two"]}, "c": {"b": [1, "two"], 2: 1e-4}}
    assert {place: tuple(mark) for place, mark in found.marks.items()} == {
        ("a",): (1, 1),
        ("a", "b"): (1, 8),
        ("a", "b", "0"): (1, 12),
        ("a", "b", "1"): (1, 15),
        ("c",): (2, 1),
        ("c", "b"): (1, 8),
        ("c", "b", "0"): (1, 12),
        ("c", "b", "1"): (1, 15),
        ("c", "2"): (4, 3),
    }
    assert found.twice == ()
    with pytest.raises(NotYaml):
        read_yaml("a: !!python/object/apply:os.getcwd []")


@pytest.mark.parametrize(
    "words",
    [
        ["plan.yaml", "base.features.backbone=https://hush@host/net.pt2"],
        ["plan.yaml", "base.features.weights=https://host/net.pth?api-key=hush"],
        ["plan.yaml", "name=http://host/#token=hush"],
        ["plan.yaml", "space.features.backbone=[a.pt2, 's3://b/c.pt2?X-Amz-Signature=hush']"],
        ["plan.yaml", "search.storage=postgresql://me@host/db?auth=hush"],
        ["plan.yaml", "https://hush@host/x"],
        ["plan.yaml", "base.shots=http://hush@host"],
        ["https://hush@host/plan.yaml"],
    ],
)
def test_an_address_with_a_secret_is_refused_wherever_it_stands_in_a_plan(told, words):
    plan, *changes = words
    if plan == "plan.yaml":
        lines = told("name: x", *changes)
    else:
        with pytest.raises(BadInput) as error:
            load_plan(plan)
        lines = list(error.value.lines)
    assert lines
    assert "hush" not in "".join(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_plan_is_read_in_the_encoding_that_it_begins_with(tmp_path, encoding):
    (tmp_path / "plan.yaml").write_text("name: Größe\n", encoding=encoding)
    assert load_plan(str(tmp_path / "plan.yaml")).name == "Größe"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda plan: plan.write_bytes(b"name: \xff\xe4"), "is no UTF-8; save it as UTF-8"),
        (lambda plan: plan.symlink_to(plan), "cannot be read (Too many levels of symbolic links)"),
        (lambda plan: plan.mkdir(), "no such plan"),
        (lambda plan: None, "no such plan"),
    ],
)
def test_a_plan_that_cannot_be_read_says_why(tmp_path, spoil, said):
    spoil(tmp_path / "plan.yaml")
    with pytest.raises(BadInput) as error:
        load_plan(str(tmp_path / "plan.yaml"))
    assert said in str(error.value)


@pytest.mark.parametrize(
    "names",
    [
        ["01", "02"],
        ["bolt", "cap"],
        ["1", "2.5", "1e5", ".5"],
        ["no", "yes", "true", "null", "~"],
        ["2024-01-01", "1:30", "0x1F", "0o10", "1_000"],
        ["a b", "it's", 'say "x"', "$HOME", "a,b", "a: b", "#x", "*", "größe", "a\\b", "<<", "="],
    ],
)
def test_a_change_that_is_advised_means_these_names_as_typed(names):
    (word,) = shlex.split(change_to_names("folds.categories", names))
    assert load_plan("smoke", [word]).folds.categories == tuple(names)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-99-99", "2024-99-99"),
        ("no", "no"),
        ("0o10", "0o10"),
        ("-12", -12),
        ("0x1F", 31),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("false", False),
        ("~", None),
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
    ],
)
def test_a_value_is_no_text_only_where_all_of_yaml_agree(text, value):
    assert read_yaml(text).value == value
    assert read_yaml(yaml.safe_dump({"a": value})).value == {"a": value}


@pytest.mark.parametrize("seeds", ["[010]", "[10]", "['010']"])
def test_a_leading_zero_makes_no_octal(seeds):
    assert load_plan("smoke", [f"folds.seeds={seeds}"]).folds.seeds == (10,)


@pytest.mark.parametrize(
    "value",
    [
        "9" * 5000,
        "9" * 20,
        "[0x" + "f" * 5000 + "]",
        "!!int abc",
        "!!float x",
        "!!timestamp x",
        "!!timestamp 2024-99-99",
        "!!bool x",
    ],
)
def test_a_value_that_cannot_be_is_refused_in_its_place(told, value):
    (line,) = told(f"name: x\nfolds: {{seeds: {value}}}")
    assert line.startswith("plan.yaml:2:")
    assert len(line) < 200
    assert told("name: x", f"folds.seeds={value}")


@pytest.mark.parametrize("change", ['name="a\\e[31mb"', 'search.study="a\\nb"', 'space.head.kind=["\\a"]'])
def test_control_characters_are_no_part_of_a_plan(told, change):
    lines = told("name: x", change)
    assert any("holds control characters" in line for line in lines)
