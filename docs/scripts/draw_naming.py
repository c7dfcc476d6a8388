"""Picture of a defect being named, `docs/naming.png`: drawn from generated images by the product's own functions.

    python docs/scripts/draw_naming.py DATA [--backbone NAME|FILE.pt2] [--category metal_plate] [--query PATH]

DATA is `datasets` of `fsamc data demo`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from fsamc.data.category import Category, load_category
from fsamc.fold.config import FoldConfig
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.fold.stopwatch import Stopwatch
from fsamc.store.store import Store

OUT = Path(__file__).resolve().parents[1] / "naming.png"
RIGHT, WRONG = "#00796b", "#b0bec5"


def main() -> None:
    """Run one fold of two shots with the training-free head, and draw one of its queries."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--category", default="metal_plate")
    parser.add_argument("--query", help="path below the category; a rightly named query by default")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    category = load_category(asked.data, asked.category)
    config = FoldConfig.model_validate({"features": {"backbone": asked.backbone}, "head": {"kind": "prototype"}})
    with TemporaryDirectory() as cache:
        store = Store(Path(cache))
        result = run_fold(category, config, seed=1, store=store)
        query = asked.query or chosen(result)
        images = FoldImages(FoldInputs(category, config, seed=1), store, Stopwatch())
        distances = images.take([query]).distances[0].numpy()
        draw(category, result, query, distances, asked.out)
    print(f"{asked.out}: {query}, {result.accuracy:.0%} of {result.queries} queries named rightly")


def chosen(result: FoldResult) -> str:
    """Choose the rightly named query whose class wins by the most."""
    scores = np.array(result.scores)
    ahead = scores.max(1) - np.sort(scores, 1)[:, -2]
    right = np.array(result.truth) == np.array(result.predicted)
    return result.images[int(np.where(right, ahead, -1).argmax())]


def draw(category: Category, result: FoldResult, query: str, distances: np.ndarray, out: Path) -> None:
    """Draw the query, its heat map, the support and the scores side by side."""
    mpl.rcParams |= {"font.size": 9, "axes.titlesize": 9}
    row = result.images.index(query)
    truth, scores = result.truth[row], np.array(result.scores[row])
    figure = plt.figure(figsize=(9.5, 5.2), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[1.5, 1.75, 1.5])
    side = math.isqrt(distances.size)
    heat = np.array(Image.fromarray(distances.reshape(side, side)).resize((224, 224), Image.Resampling.BICUBIC))
    above, below = left.subplots(2, 1)
    for axes in (above, below):
        axes.imshow(picture(category, query))
        axes.axis("off")
    above.set_title("a query image")
    below.set_title("how far its patches are from good ones")
    below.imshow(heat, cmap="magma", alpha=0.65)
    shown = middle.subplots(len(result.classes), result.shots, squeeze=False)
    for label, (line, paths) in enumerate(zip(shown, result.support.values(), strict=True)):
        for axes, path in zip(line, paths, strict=True):
            axes.imshow(picture(category, path))
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(result.classes[label].replace("_", " "), rotation=0, ha="right", va="center")
    middle.suptitle(f"the support: {result.shots} images of each class", fontsize=9)
    axes = right.subplots()
    axes.barh(
        range(len(scores)), scores, color=[RIGHT if label == scores.argmax() else WRONG for label in range(len(scores))]
    )
    axes.set_yticks(range(len(scores)), [name.replace("_", " ") for name in result.classes])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("the score of each class (cosine)")
    axes.set_xlabel(f"named {result.classes[scores.argmax()]}; it is {result.classes[truth]}".replace("_", " "))
    figure.savefig(out, dpi=110, metadata={"Software": None})
    plt.close(figure)
    Image.open(out).convert("P", palette=Image.Palette.ADAPTIVE, colors=255).save(out, optimize=True)


def picture(category: Category, path: str) -> Image.Image:
    """Read an image of the category, small enough for a page."""
    image = Image.open(category.folder / path).convert("RGB")
    return image.resize((224, 224), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
