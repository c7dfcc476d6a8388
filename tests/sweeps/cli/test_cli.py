from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fsamc import __version__
from fsamc.errors import BadInput
from sweeps import cli
from sweeps.errors import Unfinished
from tests.fsamc.layouts import write_category
from tests.sweeps.small import FSAMC, ROOT, fsamc

COMMANDS = (
    "sweep,report,figures,data,data inspect,data demo,plan,plan show,plan check,plan schema,pseudo,pseudo preview"
)
COMMANDS += (
    ",cache,cache list,cache prune,submit,compare,doctor,track,plan list,demo,ui,fit,predict,add,remove,rename,info"
)


@pytest.mark.parametrize("command", ["", *COMMANDS.split(",")])
def test_the_help_of_every_command_is_whole_at_80_columns_and_gives_the_words_most_of_the_line(
    command, capsys, monkeypatch
):
    """No sentence is cut off, and what explains an option has more than half of the line."""
    monkeypatch.setenv("COLUMNS", "80")
    assert fsamc(*command.split(), "-h") == 0
    output = capsys.readouterr().out
    assert f"Usage: fsamc {command}" in " ".join(output.split())
    _, *lines = output.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("..." in line.replace("[@TRIAL] ...", "") for line in lines)
    listed = lines[lines.index("Options:") :]
    columns = {len(found[1]) for line in listed if (found := re.match(r"(  -.*?  +)\w", line))}
    assert columns
    assert max(columns) < 40


def test_the_version_is_that_of_the_package(capsys):
    assert fsamc("--version") == 0
    assert capsys.readouterr().out == f"fsamc {__version__}\n"


def test_a_word_that_was_nearly_right_is_told_which_was_meant(capsys):
    meant = {
        ("swep",): "Did you mean 'sweep'? `fsamc --help` lists",
        ("plan", "lst"): "Did you mean 'list'? `fsamc plan --help` lists",
        ("sweep", "smoke", "--daat", "x"): "No such option: --daat. Did you mean --data? `fsamc sweep --help` lists",
        ("sweep", "smok", "--data", "x", "--out", "o"): "smok: no such plan; did you mean smoke? `fsamc plan list`",
        ("plan", "check", "smoke", "base.haed.kind=ridge"): "unknown key; did you mean base.head.kind?",
        ("plan", "check", "smoke", "base.head.kind=rigde"): "siamese, vanilla; did you mean ridge?",
    }
    told = {}
    for words in meant:
        assert fsamc(*words) == 2
        told[words] = capsys.readouterr().err
    assert [told[words] for words, text in meant.items() if text not in told[words]] == []


def test_a_plan_beside_the_one_that_is_not_there_may_be_meant(tmp_path, capsys):
    (tmp_path / "line-a.yaml").write_text("name: a")
    assert fsamc("plan", "check", tmp_path / "line-a.yml") == 2
    assert f"did you mean {tmp_path}/line-a.yaml?" in capsys.readouterr().err


def test_every_preset_is_listed_with_what_it_is(capsys):
    assert fsamc("plan", "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    files = {file.stem: file.read_text() for file in (ROOT / "sweeps" / "presets").glob("*.yaml")}
    assert {one["name"] for one in listed} == files.keys()
    for one in listed:
        assert f"# {one['about'].split('. ')[0][:60]}" in files[one["name"]]
    assert fsamc("plan", "list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "] == [
        one["name"] for one in listed
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_presets(shell):
    def completed(line: str) -> str:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_TYPER_COMPLETE_ARGS": line}
        asked = {"_FSAMC_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **words}
        return subprocess.run(FSAMC, env={**os.environ, **asked}, capture_output=True, text=True, check=False).stdout

    assert "smoke" in completed("fsamc sweep sm")


def test_completion_is_installed_for_the_shell_that_is_asked_for(tmp_path):
    env = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([*FSAMC, "--install-completion", "bash"], env=env, capture_output=True, text=True, check=True)
    assert "completion installed" in done.stdout
    assert "_FSAMC_COMPLETE" in (tmp_path / ".bash_completions" / "fsamc.sh").read_text()


def test_the_package_is_run_as_the_installed_command_is():
    words = [sys.executable, "-m", "fsamc", "--version"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == f"fsamc {__version__}\n"


def test_the_package_by_itself_says_that_the_command_is_not_installed(tmp_path):
    """Without site-packages, as where the code lies and nothing was installed: no trace of it lies beside the copy."""
    shutil.copytree(ROOT / "fsamc", tmp_path / "fsamc")
    program = "import runpy, sys; sys.path.insert(0, sys.argv[1]); runpy.run_module('fsamc', run_name='__main__')"
    words = [sys.executable, "-I", "-S", "-c", program, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"fsamc: the command is not installed for .*; install its wheel there.*\n", done.stderr)


@pytest.mark.parametrize("package", ["cluster", "sweeps"])
def test_another_package_of_the_same_name_is_told(tmp_path, package):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "fsamc", "--version"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"fsamc: {package} is {tmp_path}.*, another package of that name; fsamc needs the one in {ROOT}: .*\n",
        done.stderr,
    )


def test_without_the_extra_for_sweeps_a_command_says_what_to_install(tmp_path):
    out = tmp_path / "out"
    calls = [["sweep", "smoke", "--data", "x", "--out", str(out)], ["register", "x", "--name", "y"], ["ui", str(out)]]
    calls += [["track", str(out)], ["submit", "smoke", "--data", "x"], ["demo", "--folder", str(out)]]
    code = "import sys\nfor name in ['ray', 'mlflow', 'optuna', 'faiss']: sys.modules[name] = None\n"
    code += "from sweeps.cli import app, guarded\n"
    code += f"for words in {calls}:\n try: guarded(lambda: app(words, standalone_mode=False))\n"
    code += " except SystemExit as end: assert end.code == 2, words"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(calls), said
    assert all(line.endswith("pip install 'fsamc[sweep]'") for line in said), said
    assert not out.exists()


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
