"""The Slurm script, with programs that only write down how they were called in the place of srun, ray and fsamc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.manifests.files import MANIFESTS, check_command
from tests.servers import wait_for_file

SCRIPT = MANIFESTS / "slurm" / "fsamc.sbatch"
STUB = f"""#!{sys.executable}
import json, os, pathlib, signal, sys, time
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
token = pathlib.Path(os.environ["RAY_AUTH_TOKEN_PATH"])
call = dict(name=name, words=words, mode=oct(token.stat().st_mode & 0o777), token=token.read_text())
call["auth"] = os.environ["RAY_AUTH_MODE"]
folder = pathlib.Path(os.environ["CALLS"])
written = folder / f"{{time.monotonic_ns()}}-{{name}}"
written.write_text(json.dumps(call))
written.rename(f"{{written}}.json")
while name == "python" and len(list(folder.glob("*-srun.json"))) < 2:
    time.sleep(0.01)  # as the real one waits for the nodes
if name == "srun":
    signal.pause()
if name == "fsamc" and os.environ.get("LONG"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    (folder / "sweeping").touch()
    signal.pause()
sys.exit(int(os.environ.get("STATUS", 0)) if name == "fsamc" else 0)
"""
WORDS = ["smoke", "resources.gpus=1", "--data", "images", "--out", "results"]


@pytest.fixture
def job(tmp_path):
    """Starts the script as Slurm would on the first of three nodes."""
    programs, calls, submitted = (tmp_path / name for name in ("bin", "calls", "submitted"))
    for folder in (programs, calls, submitted):
        folder.mkdir()
    for name in ("srun", "ray", "fsamc", "python", "scontrol"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    given = {"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls), "SLURM_SUBMIT_DIR": str(submitted)}
    given |= {"SLURM_JOB_ID": "4711", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "8", "SLURMD_NODENAME": "n1"}
    started = []

    def start(*words: str, **more: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [str(SCRIPT), *words], env=given | more, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its srun waits until Slurm ends the job
        process.wait()
        process.stderr.close()


def calls_in(folder: Path) -> list[dict]:
    return [json.loads(file.read_text()) for file in sorted((folder / "calls").glob("*.json"))]


def test_a_head_workers_and_the_sweep(job, tmp_path):
    assert job(*WORDS, STATUS="3").wait(timeout=60) == 3
    calls = calls_in(tmp_path)
    head, workers = sorted(
        (call["words"] for call in calls if call["name"] == "srun"), key=lambda words: "--head" not in words
    )
    (sweep,) = (call["words"] for call in calls if call["name"] == "fsamc")
    assert sweep[:-2] == ["sweep", *WORDS]
    check_command(f"fsamc {' '.join(sweep)}")
    address = sweep[-1]
    ip, port = address.split(":")
    assert 20000 <= int(port) < 32768, "above the ports that Ray's workers take, below the passing ones"
    assert head[head.index("--port") + 1] == port
    assert head[head.index("--node-ip-address") + 1] == ip
    assert "--nodelist=n1" in head
    assert workers[workers.index("--address") + 1] == address
    assert {"--exclude=n1", "--nodes=2", "--ntasks=2"} <= set(workers)
    (waiting,) = (call["words"] for call in calls if call["name"] == "python")
    assert waiting == ["-", address, "3"]
    assert "scontrol" not in {call["name"] for call in calls}


def test_the_token_is_the_jobs_own_and_on_no_command_line(job, tmp_path):
    for _ in range(2):
        assert job(*WORDS).wait(timeout=60) == 0
    calls = calls_in(tmp_path)
    tokens = {call["token"] for call in calls}
    assert len(tokens) == 2, "a token per job"
    assert all(len(token) == 64 for token in tokens)
    assert {call["mode"] for call in calls} == {"0o600"}
    assert {call["auth"] for call in calls} == {"token"}
    assert not [word for call in calls for word in call["words"] for token in tokens if token in word]
    assert not list((tmp_path / "submitted").iterdir()), "the token goes with the job"


@pytest.mark.parametrize(("sent", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)], ids=["time", "cancel"])
def test_signals_end_the_sweep_in_good_order(job, tmp_path, sent, again):
    process = job(*WORDS, LONG="1")
    wait_for_file(tmp_path / "calls" / "sweeping", process)
    process.send_signal(sent)
    assert process.wait(timeout=60) == 1, "the sweep's own exit code"
    requeued = [call["words"] for call in calls_in(tmp_path) if call["name"] == "scontrol"]
    assert requeued == ([["requeue", "4711"]] if again else [])


def test_what_is_wrong_gets_one_line(job):
    process = job()
    assert process.wait(timeout=60) == 2
    assert process.stderr.read().startswith("fsamc.sbatch: no sweep: give the words")


def test_the_shell_has_nothing_to_say_against_it():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for command in (["bash", "-n", SCRIPT], [shellcheck, SCRIPT]):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_slurm_warns_before_the_end_and_may_queue_again():
    asked = {line.removeprefix("#SBATCH ") for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")}
    assert {"--requeue", "--signal=B:USR1@600", "--ntasks-per-node=1", "--open-mode=append"} <= asked
