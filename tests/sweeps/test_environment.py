"""What a container or a batch job lacks: no home, no name, an output of ASCII, a closed file, nobody who reads."""

from __future__ import annotations

import io
import os
import pwd
import subprocess
import sys

import pytest

from fsamc.errors import BadInput
from sweeps import environment
from sweeps.cli.exits import guarded
from sweeps.environment import prepare_environment


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user without an entry, a home or a name."""

    def unlisted(user: int) -> object:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unlisted)
    monkeypatch.setattr(environment.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("HOME", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "x")  # so that what is set is undone
        del os.environ[name]
    return tmp_path / f"fsamc-{os.getuid()}"


def test_who_has_no_home_gets_one_of_their_own(nobody):
    prepare_environment()
    assert os.environ["HOME"] == str(nobody)
    assert nobody.stat().st_mode & 0o777 == 0o700
    assert os.environ["USER"]
    prepare_environment()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda home: home.symlink_to("/"), "another user's; set HOME"),
        (lambda home: home.write_text(""), "cannot be made .* set HOME"),
    ],
)
def test_a_home_that_somebody_else_has_made_is_not_taken(nobody, spoil, said):
    spoil(nobody)
    with pytest.raises(BadInput, match=said):
        prepare_environment()


def test_a_home_that_is_set_is_kept(nobody, monkeypatch):
    monkeypatch.setenv("HOME", "/elsewhere")
    prepare_environment()
    assert os.environ["HOME"] == "/elsewhere"
    assert not nobody.exists()


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1"])
def test_an_output_without_utf_8_gets_other_letters(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    prepare_environment()
    print("71.9 ± 2.5 \u2013 größe \u2192 \u4e2d\udc80", flush=True)
    written = raw.getvalue().decode(encoding)
    assert written in ("71.9 +/- 2.5 - gr??e -> ??\n", "71.9 ± 2.5 - größe -> ??\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "127.0.0.1,localhost,::1"),
        ("corp.example", "corp.example,127.0.0.1,localhost,::1"),
        ("127.0.0.1,localhost,::1", "127.0.0.1,localhost,::1"),
    ],
)
def test_this_machine_is_reached_without_a_proxy(monkeypatch, before, after):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, before or "")
    prepare_environment()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == after


def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/data/bolt"), 2, "/data/bolt: Permission denied; make it readable"),
        (BadInput("--x http://hush@host: no"), 2, "--x http://***@host: no"),
        (BadInput("a\x1b[31mb"), 2, r"a\x1b[31mb"),
    ],
)
def test_an_error_of_the_world_is_one_line(capsys, error, code, said):
    with pytest.raises(SystemExit) as ended:
        guarded(lambda: raising(error))
    assert ended.value.code == code
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("shell", ["| true", ">&-"])
def test_an_output_that_nobody_reads_is_no_traceback(shell):
    command = f"{sys.executable} -m sweeps plan schema {shell}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
