"""The doctor: each trouble is made for real where it can be, and is told with its mend."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

from fsamc.data.remote import Address
from fsamc.errors import BadInput
from sweeps.doctor import Check, DoctorOptions, examinations
from sweeps.doctor.check import problem, refused
from sweeps.doctor.cluster import bank_bytes, check_object_store
from sweeps.doctor.machine import check_cache_owner, check_disk, check_open_files, check_shared_memory, network_kind
from sweeps.doctor.materials import examine_materials, examine_weights
from sweeps.doctor.packages import check_cuda, check_single, check_torchvision, check_versions, examine_packages
from sweeps.doctor.tokens import check_dashboard, check_own_token, check_token_file
from sweeps.doctor.tracking import examine_tracking
from tests.mlflow_server import mlflow_server
from tests.servers import free_port
from tests.sweeps.small import Lab, fsamc

GB = 10**9


def one(found: Any) -> Check:
    (check,) = found
    return check


def levels(found: Any) -> list[str]:
    return [check.level for check in found]


def assert_told(check: Check, level: str, found: str, mend: str = "") -> None:
    assert check.level == level, check
    assert found in check.finding
    assert mend in check.mend
    assert bool(check.mend) == (level != "ok"), "what is wrong has a mend, and nothing else has"


# --- packages


def test_this_installation_is_well():
    found = list(examine_packages())
    assert [check for check in found if check.level != "ok"] == []
    assert {"Python", "fsamc", "ray", "torch", "torchvision", "numpy", "mlflow", "optuna"} <= {c.subject for c in found}


def test_packages_that_are_missing_or_too_old():
    needed = [
        Requirement(line) for line in ("ray[default]>=2.60", "numpy>=2.1", "rich>=13", "torch>=2; python_version<'3'")
    ]
    found = {c.subject: c for c in check_versions(needed, {"ray": "2.9.0", "rich": "13.9"})}
    assert_told(found["ray"], "problem", "2.9.0, but fsamc needs >=2.60", "pip install 'ray>=2.60'")
    assert_told(found["numpy"], "problem", "is not installed", "pip install 'numpy>=2.1'")
    assert set(found) == {"ray", "numpy"}, "what is well is told of the main ones only; markers are heeded"
    assert_told(one(check_versions(needed[1:2], {"numpy": "2.3"})), "ok", "2.3")


def test_packages_that_overwrite_each_other():
    both = check_single("faiss", {"faiss-gpu": "1.15.1", "faiss-cpu": "1.15.1"}, "faiss-gpu")
    assert_told(
        both, "problem", "faiss-gpu 1.15.1, faiss-cpu 1.15.1 overwrite", "pip uninstall faiss-gpu faiss-cpu, then"
    )
    assert_told(check_single("faiss", {}, "faiss-gpu"), "problem", "not installed", "pip install faiss-gpu")
    assert check_single("faiss", {"faiss-cpu": "1"}, "faiss-gpu").level == "ok"


@pytest.mark.parametrize(
    ("driver", "built", "seen", "level", "found"),
    [
        (None, {"torch": 13, "faiss": 12}, 0, "ok", "no NVIDIA driver"),
        (13, {"torch": 13, "faiss": 12}, 2, "ok", "2 devices (torch for CUDA 13, faiss for CUDA 12)"),
        (12, {"torch": 13, "faiss": 12}, 0, "problem", "serves CUDA 12, but torch needs CUDA 13"),
        (12, {"torch": 12, "faiss": 13}, 1, "problem", "faiss needs CUDA 13"),
        (13, {"torch": None, "faiss": 12}, 0, "warning", "torch is built for the CPU"),
        (13, {"torch": 13, "faiss": None}, 0, "warning", "finds no device"),
    ],
)
def test_cuda_of_the_driver_and_of_the_packages(driver, built, seen, level, found):
    assert_told(one(check_cuda(driver, built, seen)), level, found)


def test_a_torchvision_that_was_built_for_another_torch(monkeypatch):
    class Without:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"operator torchvision::{name} does not exist")

    assert check_torchvision().level == "ok", "loaded whole: a module half loaded would stay for the tests to come"
    monkeypatch.setattr(torch.ops, "torchvision", Without())
    assert_told(check_torchvision(), "problem", "operator torchvision::nms does not exist", "from one index")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert check_torchvision().level == "problem"


# --- machine


def test_docker_s_shared_memory_is_too_small(disk):
    total = shutil.disk_usage(disk("size=64m")).total
    assert_told(check_shared_memory(total, 16 * GB), "problem", "0.1 GB, of 16.0 GB", "--shm-size=4g")
    assert_told(check_shared_memory(3 * GB, 16 * GB), "warning", "less than 30%", "medium Memory")
    assert check_shared_memory(5 * GB, 16 * GB).level == "ok"


def test_open_files_are_counted_by_what_is_to_run():
    assert check_open_files(4096, cluster=False).level == "ok"
    assert_told(check_open_files(4096, cluster=True), "warning", "4096 at most", "ulimit -n 65536")
    assert_told(check_open_files(256, cluster=False), "warning", "256", "ulimit -n 1024")


def test_a_small_or_locked_disk(disk, tmp_path):
    assert_told(one(check_disk("out", disk("size=1m") / "out")), "problem", "0.0 GB free", "make room")
    (tmp_path / "file").write_text("x")
    assert_told(one(check_disk("cache", tmp_path / "file")), "problem", "cannot be written to", "choose another folder")
    assert one(check_disk("cache", tmp_path / "new")).level in ("ok", "warning")
    assert not (tmp_path / "new").exists()


def test_a_cache_that_everybody_may_write_to(tmp_path):
    tmp_path.chmod(0o777)
    assert_told(one(check_cache_owner(tmp_path)), "warning", "by every user", f"chmod o-w {tmp_path}")
    tmp_path.chmod(0o755)
    assert list(check_cache_owner(tmp_path)) == []


def test_a_database_on_a_network_disk_is_told_from_one_beside_it():
    mounts = [(Path("/"), "ext4"), (Path("/net"), "nfs4"), (Path("/net/scratch"), "xfs"), (Path("/s3"), "fuse.s3fs")]
    assert network_kind(Path("/net/runs.db"), mounts) == "nfs4"
    assert network_kind(Path("/s3/x/runs.db"), mounts) == "fuse.s3fs"
    assert network_kind(Path("/net/scratch/runs.db"), mounts) is None
    assert network_kind(Path("/network/runs.db"), mounts) is None


def test_object_stores_that_do_not_hold_the_banks(lab: Lab):
    needed = bank_bytes(lab.data)
    assert len(needed) == 2
    assert_told(check_object_store(1000, needed, where="n"), "problem", "the largest bank", "--object-store-memory")
    assert_told(check_object_store(max(needed), needed, where="n"), "warning", "the banks of a seed", "reference.ratio")
    assert check_object_store(sum(needed), needed, where="n").level == "ok"


# --- materials and weights


def test_images_textures_and_addresses(lab: Lab, tmp_path):
    found = list(examine_materials(lab.data, lab.textures))
    assert [(check.subject, check.level) for check in found] == [("data", "ok"), ("textures", "ok")]
    assert "2 categories" in found[0].finding
    found = list(examine_materials(tmp_path / "none", Address(f"file://{tmp_path}/none")))
    assert_told(found[0], "problem", "no such folder", "one folder per category")
    assert_told(found[1], "problem", "cannot be read", "credentials")
    found = list(examine_materials(Address(f"file://{lab.data}"), Path("dtd")))
    assert_told(one(found), "ok", "34 files")


def test_weights_that_are_there_or_not(lab: Lab, tmp_path, monkeypatch):
    assert levels(examine_weights(str(lab.backbone), None)) == ["ok"]
    assert_told(one(examine_weights("none.pt2", None)), "problem", "none.pt2: no such file", ".pt2")
    assert_told(one(examine_weights("vgg99", None)), "problem", "no such network", "resnet50")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    missing = one(examine_weights(None, None))
    assert_told(missing, "problem", "neither in torch's cache nor", f"in {tmp_path / 'hub/checkpoints'}")
    file = tmp_path / "hub/checkpoints" / missing.mend.split()[1]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert levels(examine_weights("auto", None)) == ["ok"]


# --- MLflow


@pytest.mark.slow
def test_a_server_that_refuses_the_name_it_is_asked_by(tmp_path):
    with mlflow_server(tmp_path, known_as="localhost") as server:
        told = one(examine_tracking(server.uri))
        assert_told(told, "problem", f"refuses the name 127.0.0.1:{server.port} (403, Invalid Host header)")
        assert told.mend == f"start it with mlflow server --allowed-hosts '127.0.0.1:{server.port}'"
        found = list(examine_tracking(f"http://localhost:{server.port}"))
        assert [(check.subject, check.level) for check in found] == [("tracking URI", "ok"), ("MLflow server", "ok")]


def test_tracking_that_cannot_be_reached_or_holds_a_password(tmp_path):
    absent = one(examine_tracking(f"http://127.0.0.1:{free_port()}"))
    assert_told(absent, "problem", "cannot be reached", "start it")
    secret = one(examine_tracking("http://me:hush@127.0.0.1:5000"))
    assert_told(secret, "problem", "holds a password", "MLFLOW_TRACKING_PASSWORD")
    assert "hush" not in secret.finding + secret.mend
    assert levels(examine_tracking(f"sqlite:///{tmp_path / 'runs.db'}")) == ["ok"]


# --- tokens


def test_a_token_that_others_can_read(tmp_path, monkeypatch):
    file = tmp_path / "token"
    assert_told(check_token_file(file), "problem", "No such file", "ray get-auth-token --generate")
    file.write_text(" \n")
    assert_told(check_token_file(file), "problem", "is empty", "ray get-auth-token")
    file.write_text("secret")
    file.chmod(0o644)
    assert_told(check_token_file(file), "warning", "mode 644", f"chmod 600 {file}")
    file.chmod(0o600)
    assert check_token_file(file).level == "ok"
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    assert_told(one(check_own_token()), "ok", str(file))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert "secret" not in one(check_own_token()).finding
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert_told(one(check_own_token()), "problem", "anybody may run programs", "RAY_AUTH_MODE=token")


@contextmanager
def answering(code: int) -> Iterator[str]:
    """A server on loopback that answers everything by `code`; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_dashboard_that_asks_for_no_token(monkeypatch):
    with answering(401) as address:
        assert_told(check_dashboard(address), "ok", "asks for a token")
    with answering(200) as address:
        assert_told(check_dashboard(address), "warning", "all users of that machine", "RAY_AUTH_MODE=token")
        monkeypatch.setattr("sweeps.doctor.tokens.is_loopback", lambda host: False)
        assert_told(check_dashboard(address), "problem", "whoever reaches it", "RAY_AUTH_MODE=token")
    assert_told(check_dashboard(f"127.0.0.1:{free_port()}"), "ok", "cannot be reached from here")


# --- the whole


def test_lines_of_bad_input_become_findings():
    def look() -> None:
        raise BadInput("x: is broken; mend it; with care")

    assert one(refused("x", "x", look)) == problem("x", "x: is broken; mend it", "with care")


def test_what_goes_wrong_in_one_examination_does_not_keep_from_the_next(tmp_path, monkeypatch):
    def sick() -> Iterator[Check]:
        raise OSError("the disk is on fire")
        yield

    monkeypatch.setattr(examinations, "examine_packages", sick)
    monkeypatch.setattr(examinations, "examine_weights", lambda *_: iter(()))
    found = list(examinations.examine(DoctorOptions(cache=tmp_path)))
    assert_told(found[0], "problem", "OSError: the disk is on fire", "report")
    assert {"open files", "cache", "cluster"} <= {check.subject for check in found}


def test_the_command_s_table_json_and_exit_code(lab: Lab, capfd, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # whatever this machine has
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    given = ["--data", lab.data, "--textures", lab.textures, "--backbone", lab.backbone]
    kept = ["--cache", lab.root / "cache", "--out", lab.root / "out"]
    assert fsamc("doctor", *given, *kept) == 0
    output, errors = capfd.readouterr()
    assert "problems: 0" in output
    assert errors == ""
    assert fsamc("doctor", *given, *kept, "--json", "--address", f"127.0.0.1:{free_port()}") == 1
    found = json.loads(capfd.readouterr().out)
    assert {"subject", "level", "found", "mend"} == set(found[0])
    assert [(one["subject"], "no Ray cluster" in one["found"]) for one in found if one["level"] == "problem"] == [
        ("cluster", True)
    ]
    assert list(lab.root.iterdir()) == [], "looking leaves nothing behind"
