"""What the README shows of Docker and of clusters are commands of the pages that explain them."""

from __future__ import annotations

import re

from tests.cluster.manifests import ROOT

PAGES = [ROOT / "docker" / "README.md", ROOT / "cluster" / "manifests" / "README.md"]


def test_commands_for_machines_that_are_not_here_are_those_of_their_pages():
    explained = {line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    shown = [line for line in lines if line.split()[0] not in ("export", "fsamc")]
    assert {line.split()[0] for line in shown} == {"docker", "kubectl", "sbatch", "ray"}
    assert {f"$ {line}" for line in shown} <= explained


def test_links_in_the_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), target
