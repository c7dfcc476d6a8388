"""Figures of a trial: per category t-SNE before and after the head, and its pseudo-defects."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import ray
from PIL import Image
from ray.exceptions import RayError

from cluster.folds import Fold, Materials
from fsamc.counting import counted
from fsamc.fold.inputs import pretrains
from fsamc.store.durable import write_whole
from fsamc.store.store import Store
from sweeps.results.folder import FIGURES

SHEET_ROWS = 10  # pseudo-defects on a sheet

Pictures = dict[str, bytes]  # PNGs, by what they show: `tsne`, `pseudo`
Draw = Callable[[Sequence[Fold], Materials], Iterator[tuple[Fold, Pictures | str]]]


def first_folds(folds: Iterable[Fold]) -> list[Fold]:
    """Pick the first of every category, at the most shots that it has folds of, in the order of the categories."""
    first: dict[str, Fold] = {}
    for fold in sorted(folds, key=lambda fold: -fold.config.shots):
        first.setdefault(fold.category, fold)
    return list(first.values())


def fold_pictures(shared: Materials, fold: Fold) -> Pictures:
    """Draw the pictures of one fold, whose head is trained once more: a pure function of what the store keeps.

    Raises:
        BadInput: as `fsamc.fold.embeddings.fold_embeddings`.
    """
    pictures = {"tsne": _tsne(shared, fold)} if fold.config.scoring.by == "queries" else {}
    if pretrains(fold.config):
        pictures["pseudo"] = _pseudo_sheet(shared, fold)
    return pictures


def draw_here(folds: Sequence[Fold], shared: Materials) -> Iterator[tuple[Fold, Pictures | str]]:
    """Draw the pictures of each fold in this process."""
    for fold in folds:
        yield fold, fold_pictures(shared, fold)


def draw_on_ray(folds: Sequence[Fold], shared: Materials) -> Iterator[tuple[Fold, Pictures | str]]:
    """Draw the pictures of each fold, or say why there are none, in tasks as large as those of folds."""
    task = ray.remote(fold_pictures)
    materials = ray.put(shared)
    drawn = {
        task.options(num_cpus=fold.config.compute.threads, num_gpus=shared.gpus).remote(materials, fold): fold
        for fold in folds
    }
    for reference, fold in drawn.items():
        try:
            yield fold, ray.get(reference)
        except RayError as error:
            cause = getattr(error, "cause", None) or error
            yield fold, " ".join(str(cause).split())[:300]


def write_figures(folds: Sequence[Fold], shared: Materials, out: Path, draw: Draw) -> tuple[list[Path], dict[str, str]]:
    """Write `OUT/figures/CATEGORY-tsne.png` and `CATEGORY-pseudo.png`; those of another trial go.

    Returns the files, and by category why it has none.
    """
    files: list[Path] = []
    without: dict[str, str] = {}
    for fold, pictures in draw(folds, shared):
        if isinstance(pictures, str):
            without[fold.category] = pictures
        else:
            files += _write(fold.category, pictures, out / FIGURES)
    for old in set((out / FIGURES).glob("*-*.png")) - set(files):
        old.unlink()
    return files, without


def _write(category: str, pictures: Mapping[str, bytes], folder: Path) -> Iterator[Path]:
    """Each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        file = folder / f"{category}-{name}.png"
        write_whole(file, png)
        yield file


def _tsne(shared: Materials, fold: Fold) -> bytes:
    from fsamc.fold.embeddings import fold_embeddings  # torch and scikit-learn take seconds
    from fsamc.heads.base import head_class
    from sweeps.figures.tsne import draw_tsne

    kind, inputs = fold.config.head.kind, fold.inputs(shared.categories, shared.textures)
    embeddings = fold_embeddings(inputs, Store(shared.store, run=shared.run))
    right = (embeddings.predicted == embeddings.labels)[~embeddings.is_support]
    return draw_tsne(
        embeddings,
        title=f"{fold.category}: {kind}, {counted(fold.config.shots, 'shot')}, seed {fold.seed}, draw {fold.draw}, "
        f"{100 * right.mean():.1f} % of {counted(len(right), 'query')} named rightly",
        before=f"{' and '.join(fold.config.representation.parts)} {fold.config.head.sees}, flattened",
        after="logits for each class" if head_class(fold.config.head).judges_pairs else "embeddings",
        seed=fold.seed,
    )


def _pseudo_sheet(shared: Materials, fold: Fold) -> bytes:
    pseudo = fold.inputs(shared.categories, shared.textures).pseudo
    assert pseudo is not None
    sheet, _ = pseudo.preview(SHEET_ROWS)
    png = io.BytesIO()
    Image.fromarray(sheet).save(png, "png")
    return png.getvalue()
