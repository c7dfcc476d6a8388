"""Small folders in MVTec layout for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fsamc.seeds import numpy_generator


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
