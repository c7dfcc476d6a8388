"""Texture folders in DTD layout (one folder of images per texture class): what pseudo-defects are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fsamc.dataset import digest_files, image_files, subfolders
from fsamc.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Textures:
    """Texture images by class, paths relative to `folder`; names and images in natural order.

    `digests` maps each path to the hash of the file's bytes (xxh3, 128 bits).
    """

    folder: Path
    classes: dict[str, tuple[str, ...]]
    digests: dict[str, str]

    @property
    def images(self) -> tuple[str, ...]:
        """Every image, class by class."""
        return tuple(path for paths in self.classes.values() for path in paths)

    def chosen(self, per_class: int) -> dict[str, tuple[str, ...]]:
        """The first `per_class` images of each class. Raises BadInput if a class has fewer."""
        for name, paths in self.classes.items():
            if len(paths) < per_class:
                raise BadInput(
                    f"{self.folder / name}: {len(paths)} images, pseudo.textures_per_class asks for {per_class}; "
                    "lower it, or add images"
                )
        return {name: paths[:per_class] for name, paths in self.classes.items()}


def load_textures(folder: Path) -> Textures:
    """The textures in a folder of class folders, or in its `images` folder, as DTD comes.

    Raises BadInput if there is no folder, no class with an image, or a file that cannot be opened.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected a folder of texture images per class")
    root = folder / "images" if subfolders(folder / "images") else folder
    found = {name: image_files(root, name) for name in subfolders(root)}
    classes = {name: paths for name, paths in found.items() if paths}
    if not classes:
        raise BadInput(f"{root}: no texture images; expected a folder of texture images per class")
    paths = [path for images in classes.values() for path in images]
    return Textures(folder=root, classes=classes, digests=digest_files(root, paths))
