from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fsamc.errors import BadInput
from sweeps import cli
from sweeps.errors import Unfinished
from tests.fsamc.layouts import write_category
from tests.sweeps.small import fsamc

COMMANDS = (
    "sweep,report,figures,data,data inspect,data demo,plan,plan show,plan check,plan schema,pseudo,pseudo preview"
)
COMMANDS += ",cache,cache list,cache prune,submit,compare,doctor,track"


@pytest.mark.parametrize("command", ["", *COMMANDS.split(",")])
def test_every_command_explains_itself(command, capsys):
    assert fsamc(*command.split(), "--help") == 0
    assert f"Usage: fsamc {command}" in " ".join(capsys.readouterr().out.split())


def test_the_options_of_a_sweep_are_those_that_callers_rely_on(capsys):
    assert fsamc("sweep", "--help") == 0
    output = capsys.readouterr().out
    options = ["data", "textures", "out", "backbone", "weights", "cache", "tracking-uri", "address", "resume"]
    assert [name for name in [*options, "no-reuse", "no-figures", "dry-run"] if f"--{name}" not in output] == []


def test_the_installed_command_answers():
    command = Path(sys.executable).with_name("fsamc")
    shown = subprocess.run([command, "plan", "check", "smoke"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("smoke: 2 trials")


def test_a_word_is_answered_before_the_large_libraries_are_loaded():
    program = "import sys, sweeps.cli; print(sorted({'torch', 'ray', 'mlflow', 'pandas', 'optuna'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_a_dry_run_says_how_large_a_sweep_is_and_writes_nothing(lab, capfd):
    more = ["folds.draws=[0,1,2]", "folds.shots=[2]", "--dry-run"]
    assert fsamc(*lab.words(lab.plan(), *more)) == 0
    output, errors = capfd.readouterr()
    size, _, cost = output.partition("\n")
    assert size == "small: 4 trials (grid), 48 folds on 2 categories x 2 seeds x 3 draws: cap, tile"
    assert [line.split()[0] for line in cost.splitlines() if line[:4] in ("time", "memo", "disk")] == [
        "time",
        "memory",
        "disk",
    ]
    assert errors == ""
    assert [path.name for path in lab.root.iterdir()] == ["plan.yaml"]


def test_no_path_need_be_absolute(lab, capfd, monkeypatch):
    monkeypatch.chdir(lab.data.parent)
    words = ["sweep", lab.plan(), "--data", "data", "--textures", "textures", "--backbone", "tiny.pt2"]
    assert fsamc(*words, "--out", lab.root / "o", "--cache", lab.root / "c", "--dry-run") == 0
    assert "16 folds" in capfd.readouterr().out


def test_the_users_cache_folder_is_the_default(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fsamc("cache", "list") == 0
    assert "fsamc" in capsys.readouterr().out


# --- exit codes


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("data: no such\n folder"), 2, "fsamc: data: no such folder\n"),
        (Unfinished("interrupted; again"), 1, "fsamc: interrupted; again\n"),
        (KeyboardInterrupt(), 1, "fsamc: interrupted\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x"),
            1,
            "fsamc: /x: No space left on device; make room and run the same command again\n",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_a_code(error, code, line, capsys):
    with pytest.raises(SystemExit) as end:
        cli.guarded(raising(error))
    assert end.value.code == code
    assert capsys.readouterr().err == line


def test_ctrl_c_is_one_line_wherever_it_is_pressed(monkeypatch, capsys):
    monkeypatch.setattr("sweeps.cli.cache.default_cache", raising(KeyboardInterrupt()))
    assert fsamc("cache", "list") == 1
    assert capsys.readouterr().err == "fsamc: interrupted\n"


@pytest.mark.parametrize("error", [ValueError("ours"), FileNotFoundError(errno.ENOENT, "gone", "x"), KeyError("k")])
def test_an_error_of_ours_is_not_dressed_up(error):
    with pytest.raises(type(error)):
        cli.guarded(raising(error))


@pytest.mark.parametrize(("given", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_may_say_its_code(given, code):
    with pytest.raises(SystemExit) as end:
        cli.guarded(lambda: given)
    assert end.value.code == code


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "a\x1b[31mb", "de\u202ent"])
def test_what_is_printed_is_neither_markup_nor_obeyed_by_a_terminal(text):
    screen = io.StringIO()
    cli.options.SafeConsole(file=screen, markup=False, width=80).print(text)
    assert screen.getvalue().strip() == text.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")


def test_a_plan_and_the_knobs_are_json_if_that_is_wished(capsys):
    assert fsamc("plan", "show", "smoke", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "smoke"
    assert fsamc("plan", "show", "--json") == 0
    knobs = json.loads(capsys.readouterr().out)
    assert {"key": "search.seed", "default": "0", "meaning": "seed of the proposals"} in knobs


def test_a_cache_is_json_if_that_is_wished(tmp_path, capsys):
    (tmp_path / "tmp" / "half").mkdir(parents=True)
    (tmp_path / "tmp" / "half" / "x").write_bytes(bytes(1000))
    assert fsamc("cache", "list", "--cache", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [{"kind": "left by killed runs", "number": 1, "bytes": 1000}]


def test_an_inspection_is_json_if_that_is_wished(tmp_path, capsys):
    write_category(tmp_path, "tiles", good=3, classes={"crack": 2, "dent": 2})
    (tmp_path / "tiles/test/dent/000.png").write_bytes(b"torn")
    assert fsamc("data", "inspect", tmp_path, "--cache", tmp_path / "cache", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert {(row["part"], row["images"]) for row in told["folders"]} >= {("train/good", 3), ("test/crack", 2)}
    assert told["shots"] == {"tiles": 1}
    assert [(one["category"], one["path"], one["serious"]) for one in told["problems"]] == [
        ("tiles", "test/dent/000.png", True)
    ]
