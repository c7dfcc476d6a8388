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
SHORT = ["space.support.mean=null", "base.finetune.epochs={2: 1}", "folds.draws=[1]", "resources.workers=1"]
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


def draw(images: Embeddings) -> np.ndarray:
    return pixels(draw_tsne(images, title="a $b$ title", before="maps", after="embeddings", seed=1))


# --- t-SNE


@pytest.mark.parametrize("n", [3, 4, 120])
def test_any_number_of_images_has_a_place_in_the_plane_the_same_on_every_call(n):
    points = cloud(n, 5).before
    placed = places(points, 1)
    assert placed.shape == (n, 2)
    assert np.isfinite(placed).all()
    assert np.array_equal(places(points, 1), placed)
    assert not np.array_equal(places(cloud(n, 5, seed=1).before, 1), placed)


def test_neighbours_stay_neighbours():
    images = cloud(80, 6)
    placed = places(images.after, 1)
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=-1) + np.diag(np.full(80, np.inf))
    assert (images.labels[distances.argmin(1)] == images.labels).mean() > 0.95


def test_a_picture_changes_with_a_label_and_with_an_answer_and_with_nothing_else():
    images = cloud(30, 4)
    picture = draw(images)
    assert np.array_equal(picture, draw(images))
    for changed in ("labels", "predicted", "is_support"):
        other = {**vars(images), changed: np.roll(getattr(images, changed), 1)}
        assert not np.array_equal(picture, draw(Embeddings(**other))), changed


def test_long_names_of_classes_make_room_for_themselves():
    words = ("dent", "hole", "scratch", "crack", "stain", "chip", "fray")
    named = draw(cloud(30, 4, tuple(f"{word} of a considerable length, with a $dollar$" for word in words)))
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
@pytest.mark.parametrize(("more", "line"), [(["--trial", "7"], "has trials 0 to 1"), (["--data", "gone"], "gone")])
def test_what_cannot_be_drawn_is_one_line_and_changes_nothing(done, capfd, more, line):
    out = done.root / "out"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert fsamc("figures", out, *more) == 2
    errors = capfd.readouterr().err
    assert line in errors
    assert errors.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_folder_without_a_sweep_or_without_its_materials_is_told(lab, tmp_path, capfd):
    assert fsamc("figures", tmp_path) == 2
    assert "holds no sweep (no plan.yaml)" in capfd.readouterr().err
    (tmp_path / "plan.yaml").write_text(lab.plan().read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({"run": "x"}))
    assert fsamc("figures", tmp_path) == 2
    assert "give --data and --cache" in capfd.readouterr().err
