"""Seconds that a classifier takes for a picture: the backbone's forward pass, and all that is beside it.

    python -m tests.bench.bench_predict --data CATEGORY --backbone F.pt2

A classifier is fitted to the good images of CATEGORY and its first photos of each defect class, in float32 and in
bfloat16, and asked about others, pictures read ahead, on one thread or `--threads`. Processor seconds are printed
beside wall seconds, which mean little on a machine that others use too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from fsamc.classifier.classifier import DefectClassifier
from fsamc.config.compute import Compute
from fsamc.config.dotted import updated
from fsamc.data.images import read_image, to_square
from fsamc.features.backbone import load_backbone
from fsamc.fold.config import FoldConfig
from fsamc.hardware import threads
from fsamc.representation.views import VIEWS
from fsamc.store.store import Store

T = TypeVar("T")
FIRST = """
import sys, time
begin = time.process_time()
from fsamc.classifier.classifier import DefectClassifier
imported = time.process_time()
classifier = DefectClassifier.load(sys.argv[1])
loaded = time.process_time()
classifier.predict(sys.argv[2])
print(*(round(b - a, 2) for a, b in ((begin, imported), (imported, loaded), (loaded, time.process_time()))))
"""


def main() -> None:
    """Parse, run, print."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        for precision in ("fp32", "bf16"):
            for views in ("all", "none"):
                _measure(options, precision, views, Path(scratch))


def _measure(options: argparse.Namespace, precision: str, views: str, scratch: Path) -> None:
    knobs = {"features.backbone": str(options.backbone), "features.precision": precision, "views.queries": views}
    config = updated(FoldConfig(), {**knobs, "views.support": views})
    config = config.model_copy(update={"compute": Compute(device="cpu", threads=options.threads)})
    classes = [folder for folder in sorted((options.data / "test").iterdir()) if folder.name != "good"]
    files = {folder.name: sorted(folder.iterdir()) for folder in classes}
    support = {name: paths[: options.shots] for name, paths in files.items()}
    most = options.shots + options.pictures
    asked = {path: name for name, paths in files.items() for path in paths[options.shots : most]}
    good = sorted((options.data / "train" / "good").iterdir())
    classifier = DefectClassifier(config).fit(good, support, store=Store(scratch / "store"))
    file = scratch / f"{precision}-{views}.fsamc"
    classifier.save(file)
    classifier.predict(next(iter(asked)))
    answers, wall, processor = _timed(lambda: classifier.predict(asked), len(asked))
    right = float(np.mean([one.label == label for one, label in zip(answers, asked.values(), strict=True)]))
    squares = np.stack([to_square(read_image(path), config.features) for path in list(asked)[: config.features.batch]])
    network = load_backbone(config.features, "cpu")
    network.of_squares(squares)
    with threads(config.compute):
        _, _, forward = _timed(lambda: network.of_squares(squares), len(squares))
    forward *= len(VIEWS[config.views.with_auto("all")[1]])
    print(
        f"{precision}, views {views}: {1e3 * wall:.0f} ms a picture, of processors {1e3 * processor:.0f}: "
        f"forward {1e3 * forward:.0f}, beside it {1e3 * (processor - forward):.0f}; {100 * right:.1f} % right"
    )
    command = [sys.executable, "-c", FIRST, str(file), str(next(iter(asked)))]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    print("    of processors: import {} s, load {} s, first picture {} s".format(*first))


def _timed(work: Callable[[], T], count: int) -> tuple[T, float, float]:
    """Return an answer, and wall and processor seconds for each of `count` things."""
    wall, processor = time.perf_counter(), time.process_time()
    answer = work()
    return answer, (time.perf_counter() - wall) / count, (time.process_time() - processor) / count


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category's folder, with train/good and test")
    parser.add_argument("--backbone", type=Path, required=True, help="torch.export program")
    parser.add_argument("--shots", type=int, default=5, help="photos of each class to learn from")
    parser.add_argument("--pictures", type=int, default=20, help="photos of each class to name")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
