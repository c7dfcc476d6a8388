"""What the method takes on a GPU, and whether its answers there are the CPU's. Ends within eight minutes.

    python tests/bench/bench_gpu.py                     make bench-gpu does the same
    python tests/bench/bench_gpu.py --device cpu --small    every part, in seconds, without a GPU

Needs torch, NumPy and fsamc alone: no data, no weights, no Ray, MLflow, faiss, OpenCV or torchvision. The network is a
ResNet-50 with random weights, which takes the time of one that has learnt; images are noise.
"""

from __future__ import annotations

import argparse
import copy
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.classifier.classifier import DefectClassifier
from fsamc.config.compute import Compute
from fsamc.config.dotted import updated
from fsamc.config.learning import Finetune
from fsamc.detectors.coreset import greedy_coreset
from fsamc.detectors.nearest import nearest
from fsamc.features.extraction import square_features
from fsamc.fold.config import FoldConfig
from fsamc.heads.contrastive import ContrastiveHead
from fsamc.heads.head_kinds import ContrastiveSettings
from fsamc.representation.represented import Represented
from fsamc.training.loop import adam, finetune
from fsamc.training.many_heads import finetune_many

MOST_SECONDS = 400  # after which no further part is begun


@dataclass(frozen=True)
class Sizes:
    """How much of everything: `width` of the network, `size` of images in pixels, and numbers of things."""

    width: int = 64
    size: int = 224
    images: int = 512
    points: int = 160_000
    queries: int = 100_000
    rows: int = 16_000
    folds: int = 100
    patches: int = 784
    steps: int = 40
    pictures: int = 200


SMALL = Sizes(
    width=4, size=64, images=16, points=4_000, queries=2_000, rows=500, folds=4, patches=16, steps=4, pictures=6
)


class Bench:
    """One run: where, how much, and what did not agree.

    Attributes:
        device: `cuda` or `cpu`.
        failed: answers that were not the CPU's.
    """

    def __init__(self, device: str, sizes: Sizes, scratch: Path) -> None:
        self.device, self.sizes = device, sizes
        self.failed: list[str] = []
        network, file = ResNet(sizes.width), scratch / "resnet.pt2"
        free = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
        images = torch.zeros(2, 3, sizes.size, sizes.size)
        torch.export.save(torch.export.export(network.eval(), (images,), dynamic_shapes=(free,)), file)
        knobs = {"features.backbone": str(file), "features.size": sizes.size, "features.dim": 16 * sizes.width}
        knobs |= {"features.precision": "fp32", "features.batch": 64 if device == "cuda" else 8}
        self.config = updated(FoldConfig(), knobs)

    def seconds(self, work: Callable[[], object]) -> float:
        """Return what the second of two runs takes."""
        work()
        self.wait()
        begin = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - begin

    def wait(self) -> None:
        """Wait for what a GPU was told to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def agree(self, what: str, apart: float, tolerance: float) -> str:
        """Compare how far an answer is from the CPU's with what rounding may do."""
        fine = apart <= tolerance
        if not fine:
            self.failed.append(what)
        return f"{'agrees with' if fine else 'DIFFERS FROM'} the CPU's: {apart:.1e} apart, {tolerance:.0e} allowed"


class ResNet(nn.Module):
    """ResNet-50's stem and first three stages, of `width` channels in the first (64), with random weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.stem = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.layer1 = _stage(width, width, 3, 1)
            self.layer2 = _stage(4 * width, 2 * width, 4, 2)
            self.layer3 = _stage(8 * width, 4 * width, 6, 2)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the second and third stage."""
        second = self.layer2(self.layer1(self.pool(self.stem(images))))
        return {"layer2": second, "layer3": self.layer3(second)}


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)),
        )
        alike = inputs == 4 * width and stride == 1
        self.shortcut = nn.Identity() if alike else nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Add the two."""
        return F.relu(self.path(images) + self.shortcut(images))


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))


def noise(count: int, size: int, seed: int) -> np.ndarray:
    """Make images uint8 [count, size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def features(bench: Bench) -> Iterator[str]:
    """Patch features of images, in both precisions."""
    squares = noise(bench.sizes.images, bench.sizes.size, 0)
    settings, some = bench.config.features, squares[:4]
    here, there = (square_features(some, settings, one).astype(np.float32) for one in ("cpu", bench.device))
    yield bench.agree("features", float(np.abs(here - there).max() / np.abs(here).max()), 1e-2)
    for precision in ("fp32", "bf16"):
        one = settings.model_copy(update={"precision": precision})
        parts = [squares[i : i + one.batch] for i in range(0, len(squares), one.batch)]
        taken = bench.seconds(lambda one=one, parts=parts: [square_features(part, one, bench.device) for part in parts])
        yield f"{precision}: {len(squares) / taken:.0f} images a second"


def coreset(bench: Bench) -> Iterator[str]:
    """The greedy choice of 10 % of the points of 128 channels."""
    points = torch.randn(bench.sizes.points, 128, generator=torch.Generator().manual_seed(0))
    starts, few = np.arange(10), points[: len(points) // 16]
    chosen = [greedy_coreset(few.to(one), len(few) // 10, starts) for one in ("cpu", bench.device)]
    covered = [float(torch.cdist(few, few[one]).amin(1).max()) for one in chosen]
    yield bench.agree("coreset", abs(covered[0] - covered[1]) / covered[0], 1e-3)
    there = points.to(bench.device)
    taken = bench.seconds(lambda: greedy_coreset(there, len(there) // 10, starts))
    yield f"{len(there) // 10:,} of {len(there):,} points of 128 channels: {taken:.2f} s"


def nearest_rows(bench: Bench) -> Iterator[str]:
    """The nearest bank row of each query, and torch's brute force beside it."""
    dim, device = bench.config.features.dim, bench.device
    generator = np.random.default_rng(0)
    bank, queries = (
        generator.standard_normal((n, dim), np.float32).astype(np.float16)
        for n in (bench.sizes.rows, bench.sizes.queries)
    )
    few = queries[:500]
    here, there = nearest(few, bank)[0], nearest(few, bank, device=device)[0]
    yield bench.agree("nearest rows", float((np.abs(here - there) / here).max()), 1e-4)
    rows = torch.from_numpy(bank).to(device).float()

    def brute_force() -> None:
        for begin in range(0, len(queries), 4096):
            torch.cdist(torch.from_numpy(queries[begin : begin + 4096]).to(device).float(), rows).min(1)

    ours, plain = bench.seconds(lambda: nearest(queries, bank, device=device)), bench.seconds(brute_force)
    yield f"{len(queries):,} queries, {len(bank):,} rows of {dim}: {ours:.2f} s"
    yield f"torch.cdist {plain:.2f} s, {plain / ours:.1f} x"


def folds(bench: Bench) -> Iterator[str]:
    """Contrastive heads on vectors, fine-tuned one by one and side by side."""
    dim, shape = 2 * bench.config.features.dim, (8, 2 * bench.config.features.dim, 7)
    heads = [contrastive(shape, seed) for seed in range(bench.sizes.folds)]
    supports = [support(5, (8, dim), 7, seed) for seed in range(bench.sizes.folds)]
    here, there = (moved(heads[0], supports[0], one) for one in ("cpu", bench.device))
    for head, images in (here, there):
        finetune(head, images, Finetune(epochs={2: 1}))
    logits = [compared(head, images) for head, images in (here, there)]
    yield bench.agree("a fold", float((logits[0] - logits[1]).abs().max()), 0.1)
    on_device = [moved(head, images, bench.device) for head, images in zip(heads, supports, strict=True)]
    together, images = [copy.deepcopy(head) for head, _ in on_device], [images for _, images in on_device]
    settings = Finetune(epochs={2: max(1, bench.sizes.steps // 10)})  # of ten steps each
    few = on_device[: max(1, len(on_device) // 10)]
    alone = bench.seconds(lambda: [finetune(head, images, settings) for head, images in few]) / len(few)
    many = bench.seconds(lambda: finetune_many(together, images, settings)) / len(together)
    steps = 10 * settings.epochs_for(2)
    yield f"one by one {1000 * alone / steps:.2f} ms a step of a fold"
    yield f"{len(together)} side by side {1000 * many / steps:.3f} ms, {alone / many:.1f} x"


def paper_fold(bench: Bench) -> Iterator[str]:
    """The paper's contrastive head on maps, and of its steps what Adam alone takes."""
    dim, n_patches = bench.config.features.dim, bench.sizes.patches
    head = contrastive((n_patches, dim, 0), 0, pool="flatten", centre=0.0)
    head, images = moved(head, support(4, (n_patches, dim), 0, 0), bench.device)
    settings = Finetune(epochs={2: max(1, bench.sizes.steps // 8)})  # of eight steps each
    step = bench.seconds(lambda: finetune(head, images, settings)) / (8 * settings.epochs_for(2))
    optimiser = adam(head, 1e-4)
    for parameter in head.parameters():
        parameter.grad = torch.ones_like(parameter)
    alone = bench.seconds(lambda: [optimiser.step() for _ in range(4)]) / 4
    yield f"{1000 * step:.1f} ms a step, of which Adam's {1000 * alone:.1f}"


def predictions(bench: Bench) -> Iterator[str]:
    """A classifier, fitted and asked."""
    size, answers = bench.sizes.size, []
    good, pictures = noise(12, size, 1), noise(bench.sizes.pictures, size, 2)
    photos = {name: spotted(noise(3, size, 3 + n), n) for n, name in enumerate(("dent", "hole"))}
    for device in ("cpu", bench.device):
        compute = Compute(device=device, threads=torch.get_num_threads())
        config = bench.config.model_copy(update={"compute": compute})
        classifier = DefectClassifier(config, rows=500).fit(good, photos)
        answers.append(np.array([list(one.scores.values()) for one in classifier.predict(pictures[:4])]))
    yield bench.agree("predictions", float(np.abs(answers[0] - answers[1]).max()), 0.02)
    taken = bench.seconds(lambda: classifier.predict(pictures))
    yield f"{len(pictures) / taken:.1f} pictures a second, in eight views"


def spotted(images: np.ndarray, kind: int) -> np.ndarray:
    """Mark what is defective."""
    part = images.shape[1] // 4
    images[:, part : 2 * part, kind * part : (kind + 1) * part] = 255 * kind
    return images


def contrastive(shape: tuple[int, int, int], seed: int, **values: object) -> ContrastiveHead:
    """Make a head with its first weights."""
    generator = torch.Generator().manual_seed(seed)
    return ContrastiveHead(ContrastiveSettings.model_validate(values), shape=shape, generator=generator)


def support(n_classes: int, shape: tuple[int, int], profile: int, seed: int) -> list[Represented]:
    """Draw two images of each class."""
    generator = torch.Generator().manual_seed(1000 + seed)
    values = F.normalize(torch.randn(n_classes, 2, *shape, generator=generator), dim=-1)
    return [Represented(one, torch.zeros(2, profile)) for one in values]


def moved(head: ContrastiveHead, images: list[Represented], device: str) -> tuple[ContrastiveHead, list[Represented]]:
    """Copy a head and its support to a device."""
    there = [Represented(one.values.to(device), one.profiles.to(device)) for one in images]
    return copy.deepcopy(head).to(device), there


@torch.no_grad()
def compared(head: ContrastiveHead, images: list[Represented]) -> Tensor:
    """Compare the second image of each class with the first ones, [C, C], on the CPU."""
    encoded = [head.eval().encode(one) for one in images]
    return head.relate(torch.stack([one[1] for one in encoded]), [one[0] for one in encoded]).cpu()


PARTS = (features, coreset, nearest_rows, folds, paper_fold, predictions)


def main() -> int:
    """Parse, run each part, print; 1 where an answer is not the CPU's."""
    parser = argparse.ArgumentParser(
        description="What the method takes on a GPU, and whether it answers as on the CPU."
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS], help="one part; all by default")
    parser.add_argument("--small", action="store_true", help="tiny sizes: that it runs, not how fast")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: give --device cpu --small, which says nothing of a GPU", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"a CPU with {torch.get_num_threads()} threads"
    print(
        f"torch {torch.__version__} on {name}{', tiny sizes: no figure means anything' if options.small else ''}",
        flush=True,
    )
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(options.device, SMALL if options.small else Sizes(), Path(scratch))
        for part in [one for one in PARTS if options.only in (None, one.__name__)]:
            if time.monotonic() - begin > MOST_SECONDS:
                print(f"{part.__name__}: left out, {MOST_SECONDS} s are over", flush=True)
                continue
            for line in part(bench):
                print(f"{part.__name__}: {line}", flush=True)
    peak = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of the GPU, " if options.device == "cuda" else ""
    print(f"memory: {peak}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB of the machine")
    print(f"{time.monotonic() - begin:.0f} s; {'differs: ' + ', '.join(bench.failed) if bench.failed else 'all agree'}")
    return int(bool(bench.failed))


if __name__ == "__main__":
    sys.exit(main())
