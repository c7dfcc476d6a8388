"""Groups of images that show one physical part: from `groups.csv`, and copies of one picture."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from fsamc.data.folders import composed
from fsamc.errors import BadInput


def read_groups(folder: Path, images: Iterable[str]) -> dict[str, str]:
    """Image -> group from the `groups.csv` in a category's folder, {} without one.

    Blanks around a field are no part of it, and names are compared in Unicode's composed form (NFC), which other
    systems' files may not be in.

    Raises BadInput, naming the line.
    """
    file = _groups_file(folder)
    if file is None:
        return {}
    by_name = {composed(path): path for path in images}
    groups: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            if not {"path", "group"} <= set(reader.fieldnames):
                raise BadInput(f"{file}: line 1 has the columns {reader.fieldnames}, expected path,group")
            for row in reader:
                path, group = (composed((row[name] or "").strip()) for name in ("path", "group"))
                if path not in by_name:
                    raise BadInput(f"{file}: line {reader.line_num} names {path}, no image of {folder.name}; fix it")
                if not group or groups.get(by_name[path], group) != group:
                    raise BadInput(f"{file}: line {reader.line_num} gives {path} no group or a second one; fix it")
                groups[by_name[path]] = group
    except OSError as error:
        raise BadInput(f"{file}: cannot be opened ({error.strerror}); make it readable") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file}: is no UTF-8 csv file ({error}); save it as one") from error
    return groups


def copies(contents: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Images of the same content, two or more each, from image -> hash; in the order of the images."""
    same: dict[str, list[str]] = defaultdict(list)
    for path, content in contents.items():
        same[content].append(path)
    return [tuple(paths) for paths in same.values() if len(paths) > 1]


def joined(groups: Mapping[str, str], same: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Join the groups (image -> group; images without one are their own) of images that are the same picture."""
    result = dict(groups)
    joined_to: dict[str, str] = {}

    def last(name: str) -> str:
        while (other := joined_to.get(name)) is not None:
            joined_to[name] = joined_to.get(other, other)  # so that no chain is gone through twice
            name = other
        return name

    for first, *others in same:
        name = last(result.setdefault(first, first))
        for path in others:
            if (old := last(result.setdefault(path, path))) != name:
                joined_to[old] = name
    return {path: last(group) for path, group in result.items()}


def check_contradictions(folder: Path, same: Iterable[tuple[str, ...]], labels: Mapping[str, str]) -> None:
    """Raise BadInput for a picture that is in two classes, or good and defective; `labels` by path."""
    for first, *others in same:
        for other in others:
            if labels[other] != labels[first]:
                raise BadInput(
                    f"{folder / first} and {folder / other} are the same picture, as {labels[first]} and as "
                    f"{labels[other]}: one of them must be wrong; remove it"
                )


def _groups_file(folder: Path) -> Path | None:
    """Return `groups.csv`, however its capitals are written; a link or a pipe of that name is passed by."""
    files = sorted(entry for entry in folder.iterdir() if entry.name.lower() == "groups.csv" and entry.is_file())
    if len(files) > 1:
        raise BadInput(f"{files[0]} and {files[1].name}: one too many; merge them")
    return files[0] if files else None
