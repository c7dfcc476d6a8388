from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsamc.fold.embeddings import Embeddings
from sweeps.figures.tsne import draw_tsne, places
from tests.sweeps.small import Lab, client, fsamc, notes, runs

PRETRAINED = [f"{name}-{what}.png" for name in ("cap", "tile") for what in ("pseudo", "tsne")]
SHORT = ["space.shots=null", "base.finetune.epochs={2: 1}", "folds.draws=[1]", "resources.workers=1"]
UNTRAINED = [name for name in PRETRAINED if "tsne" in name]


def cloud(n: int, dim: int, classes: tuple[str, ...] = ("dent", "hole"), seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    return Embeddings(
        before=rng.normal(size=(n, dim)).astype(np.float32),
        after=(rng.normal(size=(n, dim)) + 30 * labels[:, None]).astype(np.float32),
        labels=labels,
        is_support=np.arange(n) < len(classes),
        predicted=rng.integers(0, len(classes), n),
        classes=classes,
        paths=tuple(map(str, range(n))),
    )


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def draw(found: Embeddings, *, seed: int = 1) -> np.ndarray:
    return pixels(draw_tsne(found, title="a $b$ title", before="maps", after="embeddings", seed=seed))


# --- t-SNE


@pytest.mark.parametrize("n", [3, 4, 7, 20, 120])
def test_any_number_of_images_has_a_place_in_the_plane(n):
    placed = places(cloud(n, 5).before, 1)
    assert placed.shape == (n, 2)
    assert np.isfinite(placed).all()


def test_places_are_the_same_on_every_call_and_others_from_other_points():
    points = cloud(60, 8).before
    assert np.array_equal(places(points, 1), places(points, 1))
    assert not np.array_equal(places(points, 1), places(cloud(60, 8, seed=1).before, 1))


def test_neighbours_stay_neighbours():
    found = cloud(80, 6)
    placed = places(found.after, 1)
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=-1) + np.diag(np.full(80, np.inf))
    assert (found.labels[distances.argmin(1)] == found.labels).mean() > 0.95


def test_a_picture_changes_with_a_label_and_with_an_answer_and_with_nothing_else():
    found = cloud(30, 4)
    picture = draw(found)
    assert np.array_equal(picture, draw(found))
    for changed in ("labels", "predicted", "is_support"):
        other = {**vars(found), changed: np.roll(getattr(found, changed), 1)}
        assert not np.array_equal(picture, draw(Embeddings(**other))), changed


def test_names_of_classes_are_in_the_legend_and_make_room_for_themselves():
    words = ("dent", "hole", "scratch", "crack", "stain", "chip", "fray")
    long = tuple(f"{word} of a considerable length, with a $dollar$" for word in words)
    short = tuple("abcdefg")
    named, plain = (draw(cloud(30, 4, classes)) for classes in (long, short))
    below = np.s_[-140:]
    assert (named[below] < 128).any(axis=2).sum() > 2 * (plain[below] < 128).any(axis=2).sum()
    for edge in (named[:, :3], named[:, -3:], named[:3], named[-3:]):
        assert (edge == 255).all(), "something is cut off"


# --- of a sweep


@pytest.fixture(scope="module")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab with a finished sweep in `out` of two trials, prototype and contrastive, and no figures yet."""
    root = tmp_path_factory.mktemp("figures")
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
    lab.sweep(lab.plan(), *SHORT, "--no-figures")
    assert not (root / "out" / "figures").exists()
    return lab


def expected(out: Path, trial: int) -> list[str]:
    return PRETRAINED if runs(out)[1][trial].data.params["head.kind"] == "contrastive" else UNTRAINED


def shown(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "figures").iterdir())


def logged(out: Path, trial: int) -> list[str]:
    run = runs(out)[1][trial]
    return sorted(file.path for file in client(out).list_artifacts(run.info.run_id, "figures"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.ray
def test_the_figures_of_a_trial_come_from_the_sweep_or_from_the_command(done, capfd):
    out = done.root / "out"
    done.finish(done.words(done.plan(), *SHORT, "--figures"))
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


@pytest.mark.ray
@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--trial", "7"], "has trials 0 to 1; give one of these"),
        (["--data", "elsewhere"], "elsewhere"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(done, capfd, more, line):
    out = done.root / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert fsamc("figures", out, *more) == 2
    errors = capfd.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_folder_without_a_sweep_is_told(tmp_path, capfd):
    assert fsamc("figures", tmp_path) == 2
    assert "holds no sweep (no plan.yaml)" in capfd.readouterr().err


def test_what_the_sweep_ran_on_must_be_known(lab, capfd):
    out = lab.root / "old"
    out.mkdir()
    (out / "plan.yaml").write_text(lab.plan().read_text())
    (out / "sweep.json").write_text(json.dumps({"run": "x"}))
    assert fsamc("figures", out) == 2
    assert "give --data and --cache" in capfd.readouterr().err
