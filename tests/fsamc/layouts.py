"""Small folders of images in the layouts of MVTec AD, MVTec 3D AD and DTD, and a small exported network, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.data.category import Category
from fsamc.data.images import image_size
from fsamc.seeds import numpy_generator, torch_generator


def write_category(
    root: Path,
    name: str,
    *,
    good: int = 4,
    classes: Mapping[str, int],
    size: int | tuple[int, int] = 64,
    test_good: int = 0,
    groups: Mapping[str, str] | None = None,
    masks: bool = False,
    suffix: str = ".png",
    seed: int = 0,
) -> Path:
    """Write `root/name` and return it: grey noise around 128, and per class a bright or dark square at its own place.

    `classes` gives the number of images of each defect class, `size` their side or (height, width) in pixels,
    `groups` the rows of groups.csv (path -> group). All pictures differ; the same arguments write the same bytes.
    """
    folder = root / name
    height, width = (size, size) if isinstance(size, int) else size
    parts = {"train/good": good} | {f"test/{label}": n for label, n in classes.items()}
    parts |= {"test/good": test_good} if test_good else {}
    for place, (part, count) in enumerate(parts.items()):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            generator = numpy_generator("test layout", name, part, number, seed)
            pixels = generator.normal(128, 12, (height, width, 3))
            mask = np.zeros((height, width), dtype=bool)
            if not part.endswith("/good"):
                top, left = (place * height // 7) % (height // 2), (place * width // 5) % (width // 2)
                mask[top : top + height // 3, left : left + width // 3] = True
                pixels[mask] += 80 if place % 2 else -80
            file = folder / part / f"{number:03}{suffix}"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)
            if masks and mask.any():
                truth = folder / "ground_truth" / Path(part).name / f"{number:03}_mask.png"
                truth.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(truth)
    if groups:
        rows = "".join(f"{path},{group}\n" for path, group in groups.items())
        (folder / "groups.csv").write_text("path,group\n" + rows, encoding="utf-8")
    return folder


def write_category_3d(root: Path, name: str, **settings: Any) -> Path:
    """Write the images of `write_category` as MVTec 3D AD has them: `test/CLASS/{rgb,xyz,gt}/NNN.{png,tiff,png}`."""
    folder = write_category(root, name, masks=True, **settings)
    for part in (*folder.glob("train/*"), *folder.glob("test/*")):
        for image in sorted(part.glob("*.png")):
            truth = folder / "ground_truth" / part.name / f"{image.stem}_mask.png"
            for kind in ("rgb", "xyz", "gt"):
                (part / kind).mkdir(exist_ok=True)
            height, width = image_size(image)
            image.rename(part / "rgb" / image.name)
            Image.fromarray(np.ones((height, width), np.float32)).save(part / "xyz" / f"{image.stem}.tiff")
            if truth.exists():
                truth.rename(part / "gt" / image.name)
            else:
                Image.new("L", (width, height)).save(part / "gt" / image.name)
    shutil.rmtree(folder / "ground_truth", ignore_errors=True)
    shutil.copytree(folder / "train", folder / "validation")
    (folder / "calibration").mkdir()
    (folder / "calibration" / "camera_parameters.json").write_text("{}")
    return folder


def copy_category(category: Category, root: Path, *, name: str = "tiles") -> Path:
    """Copy a category's files below another root, in the reverse order and with other times; return the root."""
    for file in sorted(category.folder.rglob("*"), reverse=True):
        if file.is_file():
            place = root / name / file.relative_to(category.folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    return root


def write_textures(root: Path, classes: Mapping[str, int], *, size: int = 64, seed: int = 0) -> Path:
    """Write a folder of `size` x `size` pictures per texture class and return `root`: stripes, finer in each class."""
    for place, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            generator = numpy_generator("test textures", name, number, seed)
            waves = np.sin(np.arange(size) * (0.3 + 0.4 * place) + generator.uniform(0, 6))[:, None, None]
            pixels = generator.uniform(60, 200, 3) + 55 * waves + generator.normal(0, 4, (size, size, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / f"{number:03}.png")
    return root


class TinyNetwork(nn.Module):
    """Images [B, 3, S, S] to {"layer2": [B, 12, S/8, S/8], "layer3": [B, 16, S/16, S/16]}, with seeded weights."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=4, padding=2)
        self.layer2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.layer3 = nn.Conv2d(12, 16, 3, stride=2, padding=1)
        generator = torch_generator("test network", seed)
        for weights in self.parameters():
            nn.init.normal_(weights, 0.0, 0.3, generator=generator)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        layer2 = F.relu(self.layer2(F.relu(self.stem(images))))
        return {"layer2": layer2, "layer3": F.relu(self.layer3(layer2))}


def export_program(network: nn.Module, file: Path, *, size: int = 64, fixed: bool = False) -> str:
    """Export `network` to the .pt2 `file` and return its path; `fixed` takes only two images of `size`."""
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    images = torch.zeros(2, 3, size, size)
    torch.export.save(torch.export.export(network.eval(), (images,), dynamic_shapes=None if fixed else (free,)), file)
    return str(file)
