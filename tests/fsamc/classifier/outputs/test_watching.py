"""Pictures that come into a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fsamc.classifier.outputs import watching


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "line" / "night").mkdir(parents=True)
    return tmp_path / "line"


def looks(folder, *between) -> Iterator[list[str]]:
    """The names that come, where `between` two looks something is done; the last look has nothing after it."""
    steps = iter(between)

    def wait() -> bool:
        step = next(steps, None)
        if step:
            step()
        return step is None

    for pictures in watching.arriving([folder], wait):
        yield [path.relative_to(folder).as_posix() for path in pictures]


def write(file, content, *, seconds=1):
    def step():
        file.write_bytes(content)
        os.utime(file, (seconds, seconds))

    return step


def nothing():
    pass


def test_a_picture_comes_once_when_two_looks_find_it_the_same(folder):
    new, deep = folder / "1.png", folder / "night" / "2.jpg"
    steps = [write(new, b""), write(new, b"a"), write(new, b"ab"), write(new, b"ab", seconds=2), nothing, nothing]
    steps += [write(deep, b"x"), nothing, nothing, write(folder / "notes.txt", b"x"), nothing]
    assert list(looks(folder, *steps)) == [["1.png"], ["night/2.jpg"]]


def test_what_was_there_comes_first_and_what_is_written_over_comes_again(folder):
    file = folder / "1.png"
    write(file, b"old")()
    steps = [nothing, nothing, write(file, b"new", seconds=5), nothing, file.unlink, write(file, b"new", seconds=5)]
    assert list(looks(folder, *steps, nothing)) == [["1.png"], ["1.png"], ["1.png"]]
