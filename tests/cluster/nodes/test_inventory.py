"""Nodes of one host in one session: which of Ray's lists of nodes endanger a job's working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.nodes.inventory import crowded_session

SESSION = "/tmp/ray/session_2026-11-29_09-53-33_123456_77"
JOB = f"{SESSION}/runtime_resources/working_dir_files/_ray_pkg_1"


def entry(
    host: str = "one", session: str = SESSION, *, socket: str = "raylet", alive: bool = True
) -> dict[str, object]:
    return {"NodeManagerHostname": host, "RayletSocketName": f"{session}/sockets/{socket}", "Alive": alive}


@pytest.mark.parametrize(
    ("entries", "folder", "crowded"),
    [
        ([entry(), entry(socket="raylet.1")], JOB, True),
        ([entry(), entry("two"), entry(socket="raylet.1")], JOB, True),
        ([entry(), entry(socket="raylet.1")], "/home/me", False),  # a driver that is no job keeps its folder
        ([entry(), entry(socket="raylet.1")], f"{SESSION}0/x", False),
        ([entry(), entry("two")], JOB, False),  # one path on two machines
        ([entry(), entry(session="/tmp/second/session_1")], JOB, False),
        ([entry(), entry(socket="raylet.1", alive=False)], JOB, False),
        ([entry()], JOB, False),
    ],
)
def test_a_session_is_crowded_where_two_live_nodes_of_a_host_share_the_jobs(entries, folder, crowded):
    assert crowded_session(entries, Path(folder)) == (Path(SESSION) if crowded else None)


def test_a_link_to_the_session_is_the_session(tmp_path):
    (tmp_path / "ray" / "session_1" / "job").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "ray")
    entries = [entry(session=f"{tmp_path}/link/session_1", socket=name) for name in ("raylet", "raylet.1")]
    assert crowded_session(entries, tmp_path / "ray" / "session_1" / "job") == tmp_path / "link" / "session_1"
