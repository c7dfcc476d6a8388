"""Figures of a whole sweep: drawn at its end, or by the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.small import Lab, client, fsamc, notes, runs

pytestmark = pytest.mark.ray

PRETRAINED = [f"{name}-{what}.png" for name in ("cap", "tile") for what in ("pseudo", "tsne")]
UNTRAINED = [name for name in PRETRAINED if "tsne" in name]
TWO = ["space.support.mean=null", "folds.seeds=[2]"]  # trials: prototype and contrastive


@pytest.fixture(scope="module")
def out(done: Lab) -> Path:
    """A finished sweep without figures, on folds that are there."""
    out = done.sweep(done.plan(), *TWO, out="drawn")
    assert not (out / "figures").exists()
    return out


def expected(out: Path, trial: int) -> list[str]:
    return PRETRAINED if runs(out)[1][trial].data.params["head.kind"] == "contrastive" else UNTRAINED


def shown(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "figures").iterdir())


def logged(out: Path, trial: int) -> list[str]:
    run = runs(out)[1][trial]
    return sorted(file.path for file in client(out).list_artifacts(run.info.run_id, "figures"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_the_figures_of_a_trial_come_from_the_sweep_or_from_the_command(done, out, capfd):
    done.finish(done.words(done.plan(), *TWO, "--figures", out=out.name))
    screen = capfd.readouterr().out.replace("\n", "")
    noted = notes(out)["figures"]
    best = noted["trial"]
    files = [f"figures/{name}" for name in expected(out, best)]
    assert f"figures  {out / 'figures'} (trial {best}" in screen
    assert shown(out) == expected(out, best)
    assert sorted(noted["files"]) == files
    assert noted["without"] == {}
    assert logged(out, best) == files
    assert logged(out, 1 - best) == []
    assert [file for file in files if file not in (out / "report.md").read_text()] == []
    page = (out / "report.html").read_text()
    section = page[page.index('<section id="figures">') :].partition("</section>")[0]
    assert section.count('src="data:image/') == len(files)
    by_sweep = contents(out / "figures")

    assert fsamc("figures", out, "--trial", 1 - best) == 0
    assert notes(out)["figures"]["trial"] == 1 - best
    assert shown(out) == expected(out, 1 - best), "those of the other trial are gone"
    assert logged(out, 1 - best) == [f"figures/{name}" for name in shown(out)]
    assert logged(out, best) == files

    capfd.readouterr()
    assert fsamc("figures", out) == 0
    assert capfd.readouterr().out.split() == [str(out / file) for file in notes(out)["figures"]["files"]]
    assert contents(out / "figures") == by_sweep


@pytest.mark.parametrize(("more", "line"), [(["--trial", "7"], "has trials 0 to 1"), (["--data", "gone"], "gone")])
@pytest.mark.slow
def test_what_cannot_be_drawn_is_one_line_and_changes_nothing(out, capfd, more, line):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert fsamc("figures", out, *more) == 2
    errors = capfd.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
