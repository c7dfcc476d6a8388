"""Files that come whole or not at all."""

from __future__ import annotations

import pytest

from fsamc.store.durable import whole_file


def test_a_file_gets_its_name_when_it_is_whole_and_else_what_was_there_stays(tmp_path):
    file = tmp_path / "answers.csv"
    with whole_file(file) as lines:
        lines.write("a\n")
        assert not file.exists()
    with pytest.raises(KeyboardInterrupt):
        interrupted(file)
    assert file.read_text() == "a\n"
    assert list(tmp_path.iterdir()) == [file]


def interrupted(file):
    with whole_file(file) as lines:
        lines.write("b\n")
        raise KeyboardInterrupt


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error, whole_file(tmp_path / "none" / "a.csv"):
        pass
    assert "none" in str(error.value.filename)
