"""File formats of exports: each written from a program of torch.export, and run as whoever has the file runs it."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.export import ExportedProgram

from fsamc.errors import BadInput
from fsamc.silence import logger_from

Run = Callable[[np.ndarray], list[np.ndarray]]
"""Pictures uint8 [N, S, S, 3] to arrays in the order of `Outputs`."""

OPSET = 18
PICTURES = "images"
METADATA = "fsamc.json"


@dataclass(frozen=True)
class FileFormat:
    """One way to keep a program in a file.

    Attributes:
        packages: that it needs, and that may be missing.
        content: of a program with its output names and its metadata.
        opened: what runs a file's content.
    """

    packages: tuple[str, ...]
    content: Callable[[ExportedProgram, tuple[str, ...], Mapping[str, str]], bytes]
    opened: Callable[[bytes], Run]


def format_of(suffix: str) -> FileFormat:
    """Return the format of files with this suffix. Raises BadInput if there is none, or a package is missing."""
    if suffix not in FORMATS:
        raise BadInput(f"{suffix or 'no suffix'}: expected a file named .onnx, or .pt2 for a program of torch.export")
    for package in FORMATS[suffix].packages:
        if importlib.util.find_spec(package) is None:
            raise BadInput(f"{suffix}: needs the package {package}; pip install 'fsamc[onnx]'")
    return FORMATS[suffix]


def _onnx_content(program: ExportedProgram, outputs: tuple[str, ...], metadata: Mapping[str, str]) -> bytes:
    from onnxscript.function_libs.torch_lib.ops.core import aten_sort

    def stable(values: object, *, stable: bool, dim: int, descending: bool) -> object:
        """Sort by ONNX's TopK, which puts the lower index first by definition."""
        del stable
        return aten_sort(values, dim, descending)

    # They tell how they proceed.
    with logger_from("onnxscript", logging.ERROR), logger_from("onnx_ir", logging.ERROR), torch.no_grad():
        written = torch.onnx.export(
            program,
            (),
            input_names=[PICTURES],
            output_names=list(outputs),
            dynamic_shapes={PICTURES: {0: "pictures"}},
            opset_version=OPSET,
            custom_translation_table={torch.ops.aten.sort.stable: stable},
            dynamo=True,
            verbose=False,
        )
    assert written is not None
    written.model.metadata_props.update(metadata)
    content: bytes = written.model_proto.SerializeToString()
    return content


def _onnx_run(content: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: list(session.run(None, {PICTURES: images}))


def _program_content(program: ExportedProgram, outputs: tuple[str, ...], metadata: Mapping[str, str]) -> bytes:
    del outputs  # the program gives them by name
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={METADATA: json.dumps(metadata)})
    return file.getvalue()


def _program_run(content: bytes) -> Run:
    module = torch.export.load(io.BytesIO(content)).module()

    @torch.no_grad()
    def run(images: np.ndarray) -> list[np.ndarray]:
        return [output.numpy() for output in module(torch.from_numpy(images)).values()]

    return run


FORMATS = {
    ".onnx": FileFormat(("onnx", "onnxscript", "onnxruntime"), _onnx_content, _onnx_run),
    ".pt2": FileFormat((), _program_content, _program_run),
}
