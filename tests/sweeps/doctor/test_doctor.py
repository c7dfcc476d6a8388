"""The doctor: each trouble is made for real where it can be, and is told with its mend."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mlflow.version import VERSION
from packaging.requirements import Requirement
from rich.console import Console

from fsamc.data.remote import Address
from fsamc.errors import BadInput
from sweeps.cli.doctor import show_checks
from sweeps.doctor import Check, DoctorOptions, examinations, packages
from sweeps.doctor.check import refused
from sweeps.doctor.cluster import bank_bytes, check_object_store
from sweeps.doctor.machine import check_disk, check_open_files, check_shared_memory, examine_machine, network_disk
from sweeps.doctor.materials import examine_materials, examine_weights
from sweeps.doctor.packages import check_cuda, check_single, check_torchvision, check_versions
from sweeps.doctor.tokens import check_dashboard, check_own_token, is_loopback
from sweeps.doctor.tracking import examine_tracking
from tests.mlflow_server import mlflow_server
from tests.servers import free_port
from tests.sweeps.small import Lab, fsamc

GB = 10**9


def assert_told(checks: Check | Iterator[Check], level: str, finding: str = "", mend: str = "") -> Check:
    """Fail unless this one check says so; what is wrong has a mend, and nothing else has."""
    (check,) = [checks] if isinstance(checks, Check) else checks
    assert check.level == level, check
    assert finding in check.finding
    assert mend in check.mend
    assert bool(check.mend) == (level != "ok")
    return check


# --- packages


def test_packages_that_are_missing_or_too_old():
    required = [
        Requirement(line) for line in ("ray[default]>=2.60", "numpy>=2.1", "rich>=13", "torch>=2; python_version<'3'")
    ]
    checks = {check.subject: check for check in check_versions(required, {"ray": "2.9.0", "rich": "13.9"})}
    assert_told(checks["ray"], "problem", "2.9.0, but fsamc needs >=2.60", "pip install 'ray>=2.60'")
    assert_told(checks["numpy"], "problem", "is not installed", "pip install 'numpy>=2.1'")
    assert set(checks) == {"ray", "numpy"}, "what is well is told of the main ones only; markers are heeded"
    assert_told(check_versions(required[1:2], {"numpy": "2.3"}), "ok", "2.3")
    of_extra = [Requirement("mlflow>=3; extra == 'sweep'")]
    assert not list(check_versions(of_extra, {}))
    assert_told(check_versions(of_extra, {}, extra="sweep"), "problem", "is not installed", "pip install 'mlflow>=3'")


def test_a_light_install_is_told_once(monkeypatch):
    """Not package by package: it is meant so."""
    requires = ["numpy>=2.1", "ray>=2.60; extra == 'sweep'", "faiss-gpu; extra == 'sweep'"]
    monkeypatch.setattr(packages.metadata, "requires", lambda _: requires)
    monkeypatch.setattr(
        packages, "installed", lambda names: {name: "9" for name in names if name in ("fsamc", "numpy")}
    )
    checks = {check.subject: check for check in packages.examine_packages()}
    assert_told(checks["sweeps"], "warning", "ray, mlflow, optuna are not installed", "pip install 'fsamc[sweep]'")
    assert not {"ray", "mlflow", "faiss", "faiss-gpu"} & set(checks)


@pytest.mark.parametrize(
    ("packages", "level", "finding", "mend"),
    [
        ({"faiss-gpu": "2", "faiss-cpu": "1"}, "problem", "faiss-gpu 2, faiss-cpu 1 overwrite", "pip uninstall faiss"),
        ({}, "problem", "not installed", "pip install faiss-gpu"),
        ({"faiss-cpu": "1"}, "ok", "faiss-cpu 1", ""),
    ],
)
def test_packages_that_overwrite_each_other(packages, level, finding, mend):
    assert_told(check_single("faiss", packages, "faiss-gpu"), level, finding, mend)


@pytest.mark.parametrize(
    ("driver", "built", "devices", "level", "said"),
    [
        (None, {"torch": 13, "faiss": 12}, 0, "ok", "no NVIDIA driver"),
        (13, {"torch": 13, "faiss": 12}, 2, "ok", "finds 2 devices (torch for CUDA 13, faiss for CUDA 12)"),
        (12, {"torch": 13, "faiss": 12}, 0, "problem", "update the driver"),
        (12, {"torch": 12, "faiss": 13}, 1, "problem", "update the driver"),
        (13, {"torch": None, "faiss": 12}, 0, "warning", "from the index for CUDA"),
        (13, {"torch": 13, "faiss": None}, 0, "warning", "nvidia-smi"),
    ],
)
def test_cuda_of_the_driver_and_of_the_packages(driver, built, devices, level, said):
    check = assert_told(check_cuda(driver, built, devices), level)
    assert said in f"{check.finding} {check.mend}"


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


@pytest.mark.parametrize(
    ("check", "level", "said"),
    [
        (lambda: check_shared_memory(64 << 20, 16 * GB), "problem", "0.1 GB, of 16.0 GB | --shm-size=4g"),
        (lambda: check_shared_memory(3 * GB, 16 * GB), "warning", "3.0 GB | medium Memory"),
        (lambda: check_shared_memory(5 * GB, 16 * GB), "ok", "5.0 GB | "),
        (lambda: check_open_files(4096, cluster=False), "ok", "4096 at most | "),
        (lambda: check_open_files(4096, cluster=True), "warning", "4096 at most | ulimit -n 65536"),
        (lambda: check_open_files(256, cluster=False), "warning", "256 | ulimit -n 1024"),
        (lambda: check_object_store(9, [10, 20], where="n"), "problem", "the largest bank | --object-store-memory"),
        (lambda: check_object_store(20, [10, 20], where="n"), "warning", "the banks of a seed | reference.ratio"),
        (lambda: check_object_store(30, [10, 20], where="n"), "ok", "n holds | "),
        (lambda: check_object_store(0, [], where="n"), "ok", "n holds | "),
    ],
)
def test_sizes_that_are_too_small(check, level, said):
    assert_told(check(), level, *said.split(" | "))


def test_a_small_or_locked_disk(disk, tmp_path):
    assert_told(check_disk("out", disk("size=1m") / "out"), "problem", "0.0 GB free", "make room")
    (tmp_path / "file").write_text("x")
    assert_told(check_disk("cache", tmp_path / "file"), "problem", "cannot be written to", "choose another folder")
    assert check_disk("cache", tmp_path / "new").level in ("ok", "warning")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("mode", "told"), [(0o777, 1), (0o755, 0)])
def test_a_cache_that_everybody_may_write_to(tmp_path, mode, told):
    tmp_path.chmod(mode)
    checks = examine_machine(tmp_path, None, cluster=False)
    assert [check.mend for check in checks if "by every user" in check.finding] == [f"chmod o-w {tmp_path}"] * told


@pytest.mark.parametrize(
    ("file", "kind"),
    [("/net/x.db", "nfs4"), ("/s3/x/x.db", "fuse.s3fs"), ("/net/scratch/x.db", None), ("/network/x.db", None)],
)
def test_a_network_disk_is_told_from_one_beside_it(file, kind):
    mounts = [("/", "ext4"), ("/net", "nfs4"), ("/net/scratch", "xfs"), ("/s3", "fuse.s3fs")]
    assert network_disk(Path(file), mounts) == kind


# --- materials and weights


def test_images_textures_and_addresses(lab: Lab, tmp_path):
    found = list(examine_materials(lab.data, lab.textures))
    assert [(check.subject, check.level) for check in found] == [("data", "ok"), ("textures", "ok")]
    assert "2 categories" in found[0].finding
    assert len(bank_bytes(lab.data)) == 2
    found = list(examine_materials(tmp_path / "none", Address(f"file://{tmp_path}/none")))
    assert_told(found[0], "problem", "no such folder", "one folder per category")
    assert_told(found[1], "problem", "cannot be read", "credentials")
    assert_told(examine_materials(Address(f"file://{lab.data}"), Path("dtd")), "ok", "34 files")


def test_weights_that_are_there_or_not(lab: Lab, tmp_path, monkeypatch):
    assert_told(examine_weights(str(lab.backbone), None), "ok")
    assert_told(examine_weights("none.pt2", None), "problem", "none.pt2: no such file", ".pt2")
    assert_told(examine_weights("vgg99", None), "problem", "backbone 'vgg99': expected a .pt2 file")
    assert_told(examine_weights("efficientnet_lite2", None), "ok", "Apache-2.0")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    folder = tmp_path / "hub/checkpoints"
    missing = assert_told(examine_weights(None, None), "problem", "neither in torch's cache nor", f"in {folder}")
    assert_told(examine_weights("auto", None), "ok", "efficientnet_lite2, for want of resnet50's: ImageNet weights")
    folder.mkdir(parents=True)
    (folder / missing.mend.split()[1]).write_bytes(b"x")
    assert_told(examine_weights("auto", None), "ok")


# --- MLflow


@pytest.mark.slow
def test_a_server_that_refuses_the_name_it_is_asked_by(tmp_path):
    with mlflow_server(tmp_path, known_as="localhost") as server:
        host = f"127.0.0.1:{server.port}"
        check = assert_told(
            examine_tracking(server.uri), "problem", f"refuses the name {host} (403, Invalid Host header)"
        )
        assert check.mend == f"start it with mlflow server --allowed-hosts '{host}'"
        found = list(examine_tracking(f"http://localhost:{server.port}"))
        assert [(check.subject, check.level) for check in found] == [("tracking URI", "ok"), ("MLflow server", "ok")]


def test_tracking_that_cannot_be_reached_or_holds_a_password(tmp_path, monkeypatch):
    assert_told(examine_tracking(f"http://127.0.0.1:{free_port()}"), "problem", "cannot be reached", "start it")
    secret = "http://me:hush@127.0.0.1:5000"
    check = assert_told(examine_tracking(secret), "problem", "holds a password", "MLFLOW_TRACKING_PASSWORD")
    assert "hush" not in check.finding + check.mend
    assert_told(examine_tracking(f"sqlite:///{tmp_path / 'runs.db'}"), "ok")
    shared = SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4")
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: [shared])
    _, database = examine_tracking(f"sqlite:///{tmp_path / 'runs.db'}")
    assert_told(database, "warning", "lies on nfs4", "mlflow server")


@pytest.mark.parametrize(("there", "level"), [(VERSION, "ok"), ("1.30.0", "warning")])
def test_an_mlflow_server_of_another_version(monkeypatch, there, level):
    monkeypatch.setattr("sweeps.doctor.tracking.check_tracking", lambda *_: None)
    with answering(200, there.encode()) as address:
        _, server = examine_tracking(f"http://{address}")
    assert_told(server, level, f"{there}, and {VERSION} here", f"pip install mlflow=={there}" if level != "ok" else "")


# --- tokens


@pytest.mark.parametrize(
    ("content", "mode", "level", "finding", "mend"),
    [
        (None, 0, "problem", "No such file", "ray get-auth-token --generate"),
        (" \n", 0o600, "problem", "is empty", "ray get-auth-token"),
        ("hush", 0o644, "warning", "mode 644", "chmod 600 "),
        ("hush", 0o600, "ok", "token", ""),
    ],
    ids=["none", "empty", "for others to read", "well"],
)
def test_a_token_s_file(tmp_path, monkeypatch, content, mode, level, finding, mend):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    assert "hush" not in assert_told(check_own_token(), level, finding, mend).finding


def test_a_token_in_the_environment(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert "secret" not in assert_told(check_own_token(), "ok", "RAY_AUTH_TOKEN").finding
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert_told(check_own_token(), "problem", "anybody may run programs", "RAY_AUTH_MODE=token")


@contextmanager
def answering(code: int, body: bytes = b"") -> Iterator[str]:
    """A server on loopback that answers everything by `code` and `body`; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

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


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("0.0.0.0", False), ("head", False)],
)
def test_whether_a_host_is_the_machine_itself(host, here):
    assert is_loopback(host) == here


# --- the whole


def test_lines_of_bad_input_become_findings():
    def look() -> None:
        raise BadInput("x: is broken; mend it; with care")

    assert list(refused("x", "x", look)) == [Check("x", "problem", "x: is broken; mend it", "with care")]


def test_what_goes_wrong_in_one_examination_does_not_keep_from_the_next(tmp_path, monkeypatch):
    def sick() -> Iterator[Check]:
        raise OSError("the disk is on fire")
        yield

    monkeypatch.setattr(examinations, "examine_packages", sick)
    monkeypatch.setattr(examinations, "examine_weights", lambda *_: iter(()))
    first, *others = examinations.run_examinations(DoctorOptions(cache=tmp_path))
    assert_told(first, "problem", "OSError: the disk is on fire", "report")
    assert {"open files", "cache", "cluster"} <= {check.subject for check in others}


def test_the_command_s_table_json_and_exit_code(lab: Lab, capfd, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # whatever this machine has
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    words = ["doctor", "--data", lab.data, "--textures", lab.textures, "--backbone", lab.backbone]
    words += ["--cache", lab.root / "cache", "--out", lab.root / "out"]
    assert fsamc(*words) == 0
    output, errors = capfd.readouterr()
    assert "problems: 0" in output
    assert errors == ""
    assert fsamc(*words, "--json", "--address", f"127.0.0.1:{free_port()}") == 1
    rows = json.loads(capfd.readouterr().out)
    assert {"subject", "level", "found", "mend"} == set(rows[0])
    (problem,) = (row for row in rows if row["level"] == "problem")
    assert problem["subject"] == "cluster"
    assert "no Ray cluster" in problem["found"]
    assert list(lab.root.iterdir()) == [], "looking leaves nothing behind"


@pytest.mark.parametrize(
    "subject", ["tracking", "/dev/shm, node 10.0.0.1 (worker-of-the-second-line.example.com, 0123)"]
)
def test_no_word_of_a_finding_is_broken_at_80_columns(subject):
    screen = Console(record=True, width=80)
    checks = [
        Check("packages", "ok", "fine and " * 30),
        Check(subject, "problem", f"{'/long' * 12}: is gone", "restore it"),
    ]
    show_checks(checks, screen)
    assert {*subject.split(), f"{'/long' * 12}:", "restore"} <= set(screen.export_text().split())
