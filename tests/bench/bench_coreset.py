"""How much faster the lazy blocked coreset is than farthest-first one choice at a time, on the same points.

    python tests/bench/bench_coreset.py                                    random clustered points
    python tests/bench/bench_coreset.py --data CATEGORY --backbone F.pt2   real patches of CATEGORY/train/good

One at a time takes minutes: its first `--picks` choices are timed and the time of all is extrapolated, which is fair
because every choice costs it the same. Orders differ where distances agree to rounding, and one such swap can shift all
places after it. Where anomalib is installed, its farthest-first is timed on the same points in the same way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fsamc.detectors.coreset import greedy_coreset
from fsamc.seeds import numpy_generator, torch_generator


def one_at_a_time(points: Tensor, count: int, starts: np.ndarray) -> np.ndarray:
    """Farthest-first with nothing wasted: norms once, no roots, minima in place."""
    chosen = np.empty(count, dtype=np.int64)
    norms = points.square().sum(dim=1)
    nearest = torch.cdist(points, points[starts]).mean(dim=1).square()
    apart = torch.empty_like(norms)
    for i in range(count):
        pick = int(nearest.argmax())
        chosen[i] = pick
        torch.addmv(norms, points, points[pick], alpha=-2, out=apart).add_(norms[pick])
        torch.minimum(nearest, apart, out=nearest)
        nearest[pick] = -torch.inf
    return chosen


def _anomaly_library(points: Tensor, count: int, _starts: np.ndarray) -> np.ndarray:
    """Choose with anomalib's sampler, from one random start. It projects matrices, and takes stacks as they are."""
    from anomalib.models.components.sampling import KCenterGreedy

    sampler = KCenterGreedy(points[:, None], (count + 0.5) / len(points))
    return np.asarray(sampler.select_coreset_idxs())


def main() -> None:
    """Parse, run, print."""
    options = _options()
    torch.set_num_threads(options.threads)
    points, source = _points(options)
    count = int(len(points) * options.ratio)
    starts = numpy_generator("bench coreset starts").choice(len(points), size=10, replace=False)
    print(f"{source}: {len(points)} points of {points.shape[1]} channels, {count} choices, {options.threads} thread(s)")
    greedy_coreset(points[:2000], 100, np.arange(10))  # the first matrix products of a process are slow
    seconds, chosen = _timed(greedy_coreset, points, count, starts)
    print(f"{'lazy blocked (fsamc.detectors.coreset)':38} {seconds:8.2f} s")
    picks = min(options.picks, count)
    measured, expected = _timed(one_at_a_time, points, picks, starts)
    whole = measured * count / picks
    places, others = int((chosen[:picks] != expected).sum()), len(np.setdiff1d(expected, chosen[:picks]))
    print(f"{'one at a time':38} {whole:8.2f} s  {whole / seconds:6.1f} times as long, from {picks} choices")
    print(f"{'':38} {places} of their places differ, {others} points are others")
    if find_spec("anomalib"):
        _anomaly_library(points[:2000], 2, starts)  # imports it
        published, _ = _timed(_anomaly_library, points, picks, starts)
        whole = published * count / picks
        print(f"{'one at a time, as anomalib does it':38} {whole:8.2f} s  {whole / seconds:6.1f} times as long")


def _timed(
    form: Callable[[Tensor, int, np.ndarray], np.ndarray], points: Tensor, count: int, starts: np.ndarray
) -> tuple[float, np.ndarray]:
    started = time.perf_counter()
    chosen = form(points, count, starts)
    return time.perf_counter() - started, chosen


def _points(options: argparse.Namespace) -> tuple[Tensor, str]:
    """float32 [N, projection], and what they are."""
    if options.data is None:
        rng = numpy_generator("bench coreset points")
        centres = rng.normal(size=(200, options.projection))
        points = centres[rng.integers(200, size=options.rows)] + 0.5 * rng.normal(size=(options.rows, len(centres[0])))
        return torch.from_numpy(points.astype(np.float32)), "random clusters"
    features = patches_of(options.data, options.backbone, options.images)
    matrix = torch.randn(features.shape[1], options.projection, generator=torch_generator("bench coreset projection"))
    return features @ matrix / options.projection**0.5, f"patches of {options.data.name}"


def patches_of(category: Path, backbone: Path, images: int) -> Tensor:
    """float32 [images * P, D]: patch features of the first good images."""
    from fsamc.config.features import Features
    from fsamc.data.category import load_category
    from fsamc.data.images import read_image, to_square
    from fsamc.features.backbone import load_backbone
    from fsamc.features.patches import patch_features_of

    settings = Features(backbone=str(backbone), precision="fp32")
    network = load_backbone(settings, "cpu")
    paths = load_category(category.parent, category.name).train[:images]
    parts = []
    for path in paths:
        square = to_square(read_image(category / path), settings)
        parts.append(patch_features_of(network.of_squares(square[None]), settings.dim)[0])
    return torch.cat(parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a category's folder, with train/good")
    parser.add_argument("--backbone", type=Path, help="torch.export program, with --data")
    parser.add_argument("--images", type=int, default=160, help="good images used of --data")
    parser.add_argument("--rows", type=int, default=100_000, help="random points without --data")
    parser.add_argument("--projection", type=int, default=128, help="channels of a point")
    parser.add_argument("--ratio", type=float, default=0.1, help="share of the points chosen")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--picks", type=int, default=200, help="choices by which one at a time is timed")
    options = parser.parse_args()
    if (options.data is None) != (options.backbone is None):
        parser.error("--data and --backbone go together")
    return options


if __name__ == "__main__":
    main()
