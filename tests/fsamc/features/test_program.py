"""Programs are read by their schema: payloads are refused or stay behind; what they would have made is not there."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from sympy.printing.repr import srepr
from torch.utils._sympy.functions import CleanDiv, FloorDiv, ModularIndexing, PythonMod

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.backbone import load_backbone
from fsamc.features.program import checked_program
from fsamc.features.size_expressions import checked_size

Graph = dict[str, Any]


@pytest.fixture(scope="module")
def tiny_program(tiny_backbone: str) -> bytes:
    return Path(tiny_backbone).read_bytes()


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that a text makes if it is run."""
    return tmp_path / "was-run"


def with_graph(program: bytes, change: Callable[[Graph], Any]) -> bytes:
    """The program with another graph; `change` may also return one."""
    with zipfile.ZipFile(io.BytesIO(program)) as there:
        files = {name: there.read(name) for name in there.namelist()}
    (name,) = [name for name in files if name.endswith("models/model.json")]
    graph = json.loads(files[name])
    change(graph)
    return stored(files | {name: json.dumps(graph).encode()})


def stored(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return written.getvalue()


def code(mark: Path) -> str:
    return f"open({str(mark)!r}, 'w').close()"


def inner(graph: Graph) -> Graph:
    return graph["graph_module"]["graph"]


def node(graph: Graph) -> Graph:
    return inner(graph)["nodes"][0]


def call(graph: Graph) -> Graph:
    return graph["graph_module"]["module_call_graph"][0]["signature"]


def a_tensor(size: object) -> Graph:
    return {
        "dtype": 7, "sizes": [{"as_expr": {"expr_str": size, "hint": None}}], "requires_grad": False,
        "device": {"type": "cpu", "index": None}, "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0},
        "layout": 7,
    }  # fmt: skip


def named(name: str) -> Callable[[Graph, str], Any]:
    """A tensor of this name whose size is the text."""
    return lambda graph, text: inner(graph)["tensor_values"].update({name: a_tensor(text)})


def deep(graph: Graph, text: str) -> None:
    """The text in a graph within an argument of a node, within another."""
    for _ in range(3):
        below = {
            "inputs": [],
            "outputs": [],
            "nodes": inner(graph)["nodes"],
            "sym_int_values": {},
            "sym_bool_values": {},
        }
        below["tensor_values"] = {"x": a_tensor(text)}
        argument = {"name": "", "arg": {"as_graph": {"name": "g", "graph": below}}, "kind": 1}
        inner(graph)["nodes"] = [{**node(graph), "inputs": [argument]}]


def tree(context: object) -> str:
    leaf = {"type": None, "context": None, "children_spec": []}
    return json.dumps([1, {"type": "builtins.dict", "context": json.dumps(context), "children_spec": [leaf]}])


PLACES: dict[str, Callable[[Graph, str], Any]] = {
    "a size": named("images"),
    "a tensor called metadata": named("metadata"),
    "a tensor called as_string": named("as_string"),
    "a tensor called comment": named("comment"),
    "a stride": lambda graph, text: next(iter(inner(graph)["tensor_values"].values())).update(
        strides=[{"as_expr": {"expr_str": text}}]
    ),
    "a symbol": lambda graph, text: inner(graph)["sym_int_values"].update(s=({"as_expr": {"expr_str": text}})),
    "a condition": lambda graph, text: inner(graph)["sym_bool_values"].update(s=({"as_expr": {"expr_str": text}})),
    "three graphs deep": deep,
    "a range": lambda graph, text: graph["range_constraints"].update(s34={"min_val": text, "max_val": None}),
    "a range's key": lambda graph, text: graph["range_constraints"].update({text: {"min_val": 1, "max_val": 2}}),
    "a number": lambda graph, text: inner(graph)["tensor_values"].update(
        x={**a_tensor(1), "sizes": [{"as_int": text}]}
    ),
    "a name": lambda graph, text: node(graph)["outputs"][0]["as_tensor"].update(name=f"x={text}"),
    "a node's name": lambda graph, text: node(graph).update(name=f"x={text}"),
    "an argument's name": lambda graph, text: node(graph)["inputs"][0].update(name=f"x={text}"),
    "an input's name": lambda graph, text: inner(graph)["inputs"][0]["as_tensor"].update(name=f"x={text}"),
    "a parameter's name": lambda graph, text: graph["graph_module"]["signature"]["input_specs"][0].update(
        parameter={"arg": {"name": "p"}, "parameter_name": f'x", {text}, "'}
    ),
    "a target": lambda graph, text: node(graph).update(target=text),
    "a target that is a file's": lambda graph, text: node(graph).update(
        target="torch.ops.aten.from_file.default", inputs=[{"name": "filename", "arg": {"as_string": text}, "kind": 1}]
    ),
    "an operator": lambda graph, text: node(graph)["inputs"][0].update(arg={"as_operator": f"torch.hub.{text}"}),
    "an object": lambda graph, text: node(graph)["inputs"][0].update(
        arg={"as_custom_obj": {"name": "x", "class_fqn": text}}
    ),
    "a device": lambda graph, text: node(graph)["inputs"][0].update(arg={"as_device": {"type": text}}),
    "the name of an argument of forward": lambda graph, text: call(graph).update(forward_arg_names=[f"x={text}"]),
    "a key of the inputs": lambda graph, text: call(graph).update(in_spec=tree([f"x={text}"])),
    "an enumeration's key": lambda graph, text: call(graph).update(
        in_spec=tree({"__enum__": True, "fqn": text, "name": "x"})
    ),
    "a kind of tree": lambda graph, text: call(graph).update(
        in_spec=tree([]).replace("builtins.dict", text.replace('"', "'"))
    ),
    "a module": lambda graph, text: graph["graph_module"]["module_call_graph"][0].update(fqn=text),
    "a verifier": lambda graph, text: graph.update(verifiers=[text]),
    "a version": lambda graph, text: graph["opset_version"].update({text: 1}),
    "a list for a text": lambda graph, text: inner(graph)["sym_int_values"].update(
        s=({"as_expr": {"expr_str": [text]}})
    ),
    "a mapping for a text": lambda graph, text: node(graph).update(target={"as_string": text}),
    "a guard": lambda graph, text: graph.update(guards_code=[f"__import__({text})"]),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_code_is_refused_wherever_it_stands(tiny_program, tmp_path, mark, place):
    file = tmp_path / "evil.pt2"
    file.write_bytes(with_graph(tiny_program, lambda graph: PLACES[place](graph, code(mark))))
    with pytest.raises(BadInput, match=r"evil\.pt2: not a torch\.export program") as told:
        load_backbone(Features(backbone=str(file), size=64), "cpu")
    assert str(told.value).isascii()
    assert not mark.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda graph, text: node(graph).update(metadata={"nn_module_stack": text, "custom": text}),
        lambda graph, text: graph["graph_module"].update(metadata={"custom": text}),
        lambda graph, text: graph["graph_module"].update(treespec_namedtuple_fields={text: {"field_names": []}}),
        lambda graph, text: graph.update(guards_code=[text.replace('"', "'")]),
        lambda graph, text: graph.update(more={"expr_str": text}),
        lambda graph, text: node(graph).update(as_string={"expr_str": text}),
    ],
    ids=["metadata", "a module's metadata", "named tuples", "a guard", "a field that is not known", "as_string"],
)
def test_what_torch_does_not_need_stays_behind(tiny_program, mark, change):
    images = torch.linspace(-1, 1, 3 * 3 * 64 * 64).reshape(3, 3, 64, 64)
    evil = with_graph(tiny_program, lambda graph: change(graph, code(mark)))
    found = torch.export.load(checked_program(evil)).module()(images)
    expected = torch.export.load(checked_program(tiny_program)).module()(images)
    assert not mark.exists()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_payload_would_run_if_torch_read_it(tiny_program, mark):
    evil = with_graph(tiny_program, lambda graph: named("images")(graph, code(mark)))
    with pytest.raises(Exception, match=r".*"):
        torch.export.load(io.BytesIO(evil))
    assert mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "\uff45val('1')",
        "\uff33ymbol('s34')",
        "__\uff49mport__('os')",
        "Symbol('s\uff13\uff14')",
        "Integer(\uff11)",
        "Integer(1)\N{NO-BREAK SPACE}",
        "9**9**9**9",
        "Pow(Integer(9), Pow(Integer(9), Pow(Integer(9), Integer(9))))",
        "Pow(Pow(Pow(Integer(9), Integer(999)), Integer(999)), Integer(999))",
        "PowByNatural(Symbol('s34'), Integer(99999))",
        "Pow(Symbol('s34'), Symbol('s35'))",
        "Pow(Integer(9), Integer(-9999999))",
        "Integer(" + "9" * 21 + ")",
        "Float('1', precision=999999999)",
        "Float('1e999999', precision=53)",
        "LShift(Integer(1), Integer(999999))",
        "factorial(Integer(99999))",
        "Lambda(Integer(1))",
        "Symbol('__class__')",
        "Symbol('s34', cls=True)",
        "Symbol('s34').__class__",
        "Integer(1).bit_length",
        "[Integer(1)]",
        "Add(*Integer(1))",
        "Add()",
        "Add(Integer(1)",
        "Add(Integer(1)) or Integer(2)",
        "Integer(1);Integer(2)",
        "Integer(1)#",
        "",
        "Add(" * 60 + "Integer(1)" + ")" * 60,
        "Mul(" + ", ".join(["Integer(99999999999)"] * 200) + ")",
        "Add(" + ", ".join(["Integer(1)"] * 9000) + ")",
    ],
)
def test_a_size_is_refused_that_is_no_size_or_has_no_end(text):
    with pytest.raises(ValueError, match="size"):
        checked_size(text)


s34, s35 = sympy.Symbol("s34", positive=True, integer=True), sympy.Symbol("u0", integer=True)
SIZES = [
    s34 * s35 + 1,
    FloorDiv(s34 - 1, 4) + 1,
    s34**2,
    1 / s34,
    sympy.Rational(1, 2) * s34,
    sympy.Float(0.25) * s34,
    ModularIndexing(s34, 2, 3),
    PythonMod(s34, 3),
    CleanDiv(s34 * 4, 2),
    sympy.Max(s34, s35),
    sympy.Eq(s34, 3),
    sympy.And(s34 > 3, s35 <= 8),
    sympy.Ne(s34, s35),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_size_is_written_anew_as_it_was(size):
    assert checked_size(srepr(size)) == srepr(size)


# --- the archive


def overlapping(count: int, content: bytes) -> bytes:
    """An archive whose directory names the same bytes many times."""
    local = struct.pack(
        "<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, zipfile.crc32(content), len(content), len(content), 1, 0
    )
    file = local + b"x" + content
    entry = struct.pack(
        "<4s6H3L5H2L",
        b"PK\1\2",
        20,
        20,
        0,
        0,
        0,
        0,
        zipfile.crc32(content),
        len(content),
        len(content),
        1,
        0,
        0,
        0,
        0,
        0,
        0,
    )
    directory = (entry + b"x") * count
    return file + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(file), 0)


def test_entries_that_share_bytes_are_refused_unread():
    with pytest.raises(ValueError, match="overlaps with another entry"):
        checked_program(overlapping(30, bytes(1 << 16)))


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"t/data/weights/model.pt": b"", "t/models/model.json": b"{}"},
            "'t/data/weights/model.pt', which belongs to no",
        ),
        (
            {"t/data/constants/custom_obj_0": b"", "t/models/model.json": b"{}"},
            "custom_obj_0', which belongs to no program",
        ),
        ({"t/models/\uff4dodel.json": b"{}"}, "which belongs to no program"),
        ({"t/../evil": b""}, "which belongs to no program"),
        ({"t/models/model.json": b'{"graph_module": ' + b"[" * 100_000}, "recursion"),
        ({"t/models/model.json": b"[]"}, "ExportedProgram"),
        ({"t/data/weights/model_weights_config.json": b'{"config": {"w": {"use_pickle": true}}}'}, "'w' is pickled"),
        ({"t/data/weights/model_weights_config.json": b'{"config": {"w": {"use_pickle": 0}}}'}, "'w' is pickled"),
    ],
)
def test_files_that_a_program_does_not_have_are_refused(files, line):
    with pytest.raises((ValueError, RecursionError), match=line):
        checked_program(stored(files))


@pytest.mark.real
def test_the_shared_program_gives_the_features_that_torch_gives(shared):
    content = (shared / "backbones/resnet50v2-imagenet.pt2").read_bytes()
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found = torch.export.load(checked_program(content)).module()(images)
    expected = torch.export.load(io.BytesIO(content)).module()(images)
    assert expected.keys() == {"layer2", "layer3"}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
