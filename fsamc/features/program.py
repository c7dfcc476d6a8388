"""Exported programs (torch.export), checked and written anew before torch reads them.

torch itself runs what a file asks it to: pickles, libraries, expressions. A program is read as a closed list of files:
a graph and lists of weights by their schema (`fsamc.features.program_schema`), and raw numbers. What passes is
written anew into memory, so that torch reads what was checked and nothing else; example inputs, which are a pickle,
stay behind.
"""

from __future__ import annotations

import io
import re
import zipfile

from fsamc.features.program_schema import checked_graph, checked_payloads

_FILES = re.compile(
    r"models/model\.json|archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|"
    r"\.storage_alignment|data/weights/(?:weight_\d+|model_weights_config\.json)|"
    r"data/constants/(?:tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt",
    re.ASCII,
)
_PICKLE = "data/sample_inputs/model.pt"
_LARGEST_TEXT = 64 << 20  # bytes of a graph or a list of weights
_LOCAL_HEADER = 30  # bytes before an entry's name and content


def checked_program(content: bytes) -> io.BytesIO:
    """Read the program in a file's content, written anew without its example inputs.

    Its entries are stored as they are, one after the other: together they are no larger than the file.

    Raises:
        ValueError: it holds what is no graph of tensor operations; BadZipFile: it cannot be read.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(written, "w") as clean:
        entries = archive.infolist()
        _check_entries(entries, len(content))
        top = entries[0].filename.partition("/")[0] if entries else ""
        for entry in entries:
            name = entry.filename.removeprefix(f"{top}/")
            if not _FILES.fullmatch(name):
                raise ValueError(f"holds {entry.filename[:80]!a}, which belongs to no program of tensor operations")
            clean.writestr(zipfile.ZipInfo(entry.filename), _checked_file(name, archive, entry))
    written.seek(0)
    return written


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError for entries that are packed, share a name or bytes, or add up to more than the file."""
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename[:80]!a} is packed, which torch.export.save does not do")
        if entry.header_offset < end:
            raise ValueError(f"{entry.filename[:80]!a} overlaps with another entry")
        end = entry.header_offset + _LOCAL_HEADER + len(entry.filename.encode()) + entry.file_size
        if end > size:
            raise ValueError(f"{entry.filename[:80]!a} ends beyond the file")
    names = [entry.filename for entry in entries]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"holds {twice[:80]!a} twice")


def _checked_file(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if name == _PICKLE:
        return b""
    if name.endswith(".json") and entry.file_size > _LARGEST_TEXT:
        raise ValueError(f"{name} has {entry.file_size} bytes, {_LARGEST_TEXT} are the most")
    content = archive.read(entry)
    if name == "models/model.json":
        return checked_graph(content)
    return checked_payloads(content) if name.endswith(".json") else content
