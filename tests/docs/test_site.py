"""The site is built without a warning, asks nothing of the network, and its reference is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.plan.keys import knobs
from tests.docs.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    offline = dict.fromkeys(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"], "http://127.0.0.1:9")
    environment = {**os.environ, **offline, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return folder


def test_no_page_fetches_anything(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(\S+?)["'\s>]""", text)
        fetched += re.findall(
            r"""<link[^>]*rel=["']?(?:stylesheet|preconnect|preload|icon)[^>]*href=["']?(\S+?)["'\s>]""", text
        )
        assert fetched
        assert not [target for target in fetched if "//" in target], page


def test_the_reference_names_every_knob_and_command(site):
    page = (site / "reference" / "knobs" / "index.html").read_text(encoding="utf-8")
    for key, _, _ in knobs():
        assert f"<code>{key}</code>" in page, key
    page = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    for command in ("sweep", "submit", "data demo", "plan check", "cache prune", "doctor"):
        assert f'id="fsamc-{command.replace(" ", "-")}"' in page
    assert "--time-budget" in page


def test_the_readme_is_short_and_reads_the_same_on_a_package_index():
    """An index resolves no path of the repository: there are none to resolve but the picture's, which has a caption."""
    assert len(README.splitlines()) <= 150
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert [target for target in targets if not target.startswith("https://")] == ["docs/naming.png"]
    (caption,) = re.findall(r"!\[([^\]]+)\]", README)
    assert len(caption.split()) > 15
    assert (ROOT / "docs" / "naming.png").stat().st_size < 200_000


def test_paths_that_the_pages_name_are_there():
    """A path in code marks that begins with one of the repository's folders, or is a file at its top."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        named = re.findall(
            r"`((?:fsamc|cluster|sweeps|docs|tests|docker)/[\w./-]*|[A-Z]+\.md)`", page.read_text(encoding="utf-8")
        )
        missing = [
            path for path in named if not (ROOT / path).exists() and path not in ("docker/.env", "fsamc/heads/mean.py")
        ]
        assert not missing, f"{page}: {missing}"


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["fsamc", "cluster", "sweeps"])
def test_the_map_names_every_room_and_no_other(package):
    table = ARCHITECTURE.partition(f"| in `{package}/` |")[2].partition("\n\n")[0]
    rooms = {path.name for path in (ROOT / package).iterdir() if path.is_dir() and any(path.glob("[!_.]*"))}
    assert set(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)) == rooms


def test_ten_questions_are_answered_in_three_files_each():
    questions = re.split(r"^### (.*\?)$", ARCHITECTURE, flags=re.MULTILINE)[1:]
    assert len(questions) == 20
    for question, answer in zip(questions[::2], questions[1::2], strict=True):
        files = re.findall(r"^- `([\w/.]+)`: (.*(?:\n  .*)*)", answer, re.MULTILINE)
        assert 1 <= len(files) <= 3, question
        for path, text in files:
            code = (ROOT / path).read_text(encoding="utf-8")
            (name, *_) = re.findall(r"`(\w+)`", text)
            assert re.search(rf"(?:def|class) {name}\b|^{name}\b.* =", code, re.MULTILINE), f"{question} {path}: {name}"
