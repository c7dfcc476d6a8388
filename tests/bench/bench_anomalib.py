"""PatchCore here beside anomalib's: the same network, images and cores; fitting, and the anomaly of a picture.

    pip install anomalib
    python -m tests.bench.bench_anomalib --data CATEGORY --backbone F.pt2

Both are given the same exported network and squares. anomalib's coreset takes minutes: its first `--picks` choices are
timed and the time of all is extrapolated, which is fair because every choice costs it the same. Its patches have the
channels of both layers (1,536), ours 1,024; both are each project's own default.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fsamc.config.features import Features
from fsamc.data.category import load_category
from fsamc.detectors.bank import MemoryBank
from fsamc.features.backbone import load_backbone
from fsamc.features.extraction import square_features
from fsamc.features.squares import read_squares


def main() -> None:
    """Parse, run, print processor seconds."""
    options = _options()
    torch.set_num_threads(options.threads)
    category = load_category(options.data.parent, options.data.name)
    features = Features(backbone=str(options.backbone), precision="fp32")
    good, queries = (read_squares(category, paths, features) for paths in (category.train, category.defects[:8]))
    print(f"{category.name}: {len(good)} good images, {options.threads} thread(s), processor seconds")
    for name, (fit, predict) in {"fsamc": _ours(features), "anomalib": _theirs(features, options.picks)}.items():
        extracted, chosen = fit(good)
        predict(queries[:1])
        each = min(_seconds(partial(predict, query[None])) for query in queries)
        print(f"{name:10} features {extracted:6.1f}  coreset {chosen:8.1f}  a picture {1e3 * each:6.0f} ms", flush=True)


Fit = Callable[[np.ndarray], tuple[float, float]]  # good squares to seconds of features and of the coreset
Predict = Callable[[np.ndarray], object]


def _ours(features: Features) -> tuple[Fit, Predict]:
    banks = list[MemoryBank]()

    def extract(squares: np.ndarray) -> np.ndarray:
        parts = [square_features(squares[i : i + 8], features, "cpu") for i in range(0, len(squares), 8)]
        return np.concatenate(parts).reshape(-1, features.dim)

    def fit(good: np.ndarray) -> tuple[float, float]:
        patches = list[np.ndarray]()
        extracted = _seconds(lambda: patches.append(extract(good)))
        return extracted, _seconds(lambda: banks.append(MemoryBank.build(patches[0])))

    return fit, lambda squares: banks[0].nearest(extract(squares))


def _theirs(features: Features, picks: int) -> tuple[Fit, Predict]:
    from anomalib.models.components.sampling import KCenterGreedy
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    backbone = load_backbone(features, "cpu")
    model = PatchcoreModel(features.layers, backbone="resnet18", pre_trained=False, num_neighbors=1)

    class Maps(torch.nn.Module):
        """The exported network in the place of anomalib's own."""

        def forward(self, squares: torch.Tensor) -> dict[str, torch.Tensor]:
            maps = backbone.of_squares(squares.to(torch.uint8).permute(0, 2, 3, 1).numpy())
            return dict(zip(features.layers, maps, strict=True))

    model.feature_extractor = Maps()

    def extract(squares: np.ndarray) -> torch.Tensor:
        return model(torch.from_numpy(squares).permute(0, 3, 1, 2).float())

    def fit(good: np.ndarray) -> tuple[float, float]:
        model.train()
        extracted = _seconds(lambda: [extract(good[i : i + 8]) for i in range(0, len(good), 8)])
        embedding = torch.vstack(model.embedding_store)
        count, rows = len(embedding) // 10, torch.randperm(len(embedding))
        projected, some = (
            _seconds(KCenterGreedy(embedding, (n + 0.5) / len(embedding)).select_coreset_idxs) for n in (1, picks)
        )
        model.memory_bank = embedding[rows[:count]]
        model.eval()
        return extracted, projected + (some - projected) / (picks - 1) * (count - 1)

    return fit, extract


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    with torch.inference_mode():
        work()
    return time.process_time() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category's folder")
    parser.add_argument("--backbone", type=Path, required=True, help="an exported program, .pt2")
    parser.add_argument("--picks", type=int, default=100, help="choices of anomalib's coreset that are timed")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
