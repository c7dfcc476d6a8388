"""Folder contents in natural order: categories, subfolders, images, hashes of their bytes.

Links are followed, wherever they lead: many data sets are folders of links. What is neither folder nor file, such as
a device, a pipe or a link to itself, is passed by unopened.
"""

from __future__ import annotations

import os
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from errno import EBADF, ELOOP, ENOENT, ENOTDIR
from pathlib import Path

from natsort import natsorted

from fsamc.data.images import IMAGE_SUFFIXES, picture_digest
from fsamc.errors import BadInput
from fsamc.reading import Tell, read_each, silent

# Pictures that are not read, and are told of where they lie beside those that are.
OTHER_PICTURES = frozenset(
    f".{suffix}"
    for suffix in (
        *("heic", "heif", "avif", "gif", "jxl", "psd", "exr", "hdr", "ppm", "pgm", "pbm", "pnm", "svg", "ico", "dcm"),
        *("dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2"),
    )
)

# Folders that storage and systems leave everywhere, in small letters.
_OF_SYSTEMS = frozenset(
    {"@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
     "__macosx"}
)  # fmt: skip
_ZEROS = str.maketrans("123456789", "000000000")
_FORMULA = "=+-@"  # what a spreadsheet computes when it opens a table whose cell begins so
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no UTF-8, ends of lines
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # let a name look like another


def subfolders(folder: Path) -> list[str]:
    """List the names of the visible folders in a folder, in natural order; none if it is not there.

    Folders of a system, such as `@eaDir`, are passed by. Raises BadInput for a name that a table, a terminal or a
    spreadsheet would take for something else.
    """
    entries = _entries(folder)
    names = _natural(entry.name for entry in entries if not is_of_a_system(entry.name) and _is(entry.is_dir))
    for name in names:
        if name[0] in _FORMULA:
            raise BadInput(f"{folder}: the folder {name!r} begins as a spreadsheet's formula does; rename it")
        _check_name(folder, name)
    return names


def check_class_name(name: str) -> None:
    """Raise BadInput for a name that no folder of a defect class may have."""
    if not name.strip() or name[0] in _FORMULA or "/" in name:
        raise BadInput(f"{name!r}: no name of a defect class; give one without / that does not begin with {_FORMULA}")
    _check_name(Path("classes"), name)


def find_categories(root: Path) -> list[str]:
    """Names of the categories in a DATA folder, in natural order: every subfolder with a `train` or `test` folder.

    Raises BadInput if `root` is no folder, holds no category, or one that lies a folder deeper (`bolt/bolt/train`).
    """
    if not root.is_dir():
        raise BadInput(f"{root}: no such folder; expected one folder per category, each with train/good and test/CLASS")
    folders = subfolders(root)
    for name in folders:
        if not _is_category(root / name) and _is_category(root / name / name):
            deeper, above = (shlex.quote(str(path)) for path in (root / name / name, root / name))
            raise BadInput(f"{root / name}: the category lies one folder deeper; move it up: mv {deeper}/* {above}/")
    names = [name for name in folders if _is_category(root / name)]
    if not names and (root / "train" / "good").is_dir():
        raise BadInput(f"{root}: is itself a category; pass the folder above it, {root.resolve().parent}")
    if not names:
        deeper = "".join(f"; {line}" for line in nested_categories(root)[:1])
        raise BadInput(f"{root}: no category in it; expected one folder per category, each with train/good{deeper}")
    return names


def nested_categories(root: Path) -> list[str]:
    """Return a line for each folder in a DATA folder that is no category, but has categories in it."""
    outer = [name for name in subfolders(root) if not _is_category(root / name)]
    inner = [(name, below) for name in outer for below in subfolders(root / name) if _is_category(root / name / below)]
    return [f"{root / name / below}: a category that is one folder too deep is not read" for name, below in inner]


def image_files(root: Path, folder: str) -> tuple[str, ...]:
    """List the paths `folder/name` of the images in `root/folder`, in natural order; none if it is not there.

    Raises BadInput for a name that cannot be shown or written down.
    """
    visible = (entry for entry in _entries(root / folder) if not entry.name.startswith("."))
    names = _natural(entry.name for entry in visible if _suffix(entry) in IMAGE_SUFFIXES and _is(entry.is_file))
    for name in names:
        _check_name(root / folder, name)
    return tuple(f"{folder}/{name}" for name in names)


def other_pictures(root: Path, folder: str) -> list[str]:
    """List the paths of the pictures in `root/folder` whose format is not read, in natural order."""
    visible = (entry for entry in _entries(root / folder) if not entry.name.startswith("."))
    return [f"{folder}/{name}" for name in _natural(e.name for e in visible if _suffix(e) in OTHER_PICTURES)]


def is_of_a_system(name: str) -> bool:
    """Whether a folder of this name is hidden, or one that storage and systems leave everywhere."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def composed(text: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which names are compared; files may have another."""
    return unicodedata.normalize("NFC", text)


def digest_files(root: Path, paths: Sequence[str], what: str = "", tell: Tell = silent) -> dict[str, str]:
    """Map each path to its picture's hash (`picture_digest`); `tell` hears of each `what` it is.

    Raises BadInput for a file that cannot be opened.
    """

    def digest(path: str) -> str:
        try:
            return picture_digest((root / path).read_bytes())
        except OSError as error:
            raise BadInput(f"{root / path}: cannot be opened ({error.strerror}); make it readable") from error

    return dict(zip(paths, read_each(digest, paths, what, tell), strict=True))


def _is_category(folder: Path) -> bool:
    try:
        return (folder / "train").is_dir() or (folder / "test").is_dir()
    except PermissionError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror}); make it readable") from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List what is in a folder; nothing if it is not there. Raises BadInput if it may not be read."""
    try:
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            listed = list(entries)
        for entry in listed[:1]:
            entry.stat(follow_symlinks=False)  # which a folder that may be listed, and not entered, refuses
        return listed
    except OSError as error:
        raise BadInput(f"{folder}: cannot be read ({error.strerror}); make it readable") from error


def _is(kind: Callable[[], bool]) -> bool:
    """Ask an entry for its kind; a link that leads nowhere is of none."""
    try:
        return kind()
    except OSError as error:
        if error.errno in (ENOENT, ENOTDIR, EBADF, ELOOP):
            return False
        raise


def _suffix(entry: os.DirEntry[str]) -> str:
    _, dot, end = entry.name.rpartition(".")
    return dot + end.lower() if dot else ""


def _check_name(folder: Path, name: str) -> None:
    if name.isascii() and name.isprintable():
        return
    if any(unicodedata.category(one) in _UNPRINTABLE or one in _BIDI for one in name):
        raise BadInput(f"{folder}: the name {name!a} holds control characters or is no UTF-8; rename it")


def _natural(names: Iterable[str]) -> list[str]:
    # Sorted plainly first: `1.png` and `01.png` are equal in natural order, and a folder lists them in any.
    plain = sorted(names)
    if all(map(str.isascii, plain)) and len({name.translate(_ZEROS) for name in plain}) <= 1:
        return plain  # numbers of equally many digits: of a million names, natural order takes ten times as long
    return natsorted(plain)
