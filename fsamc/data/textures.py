"""Texture folders in DTD layout (one folder of images per texture class): what pseudo-defects are made of."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError

from fsamc import deadline
from fsamc.counting import counted
from fsamc.data.folders import digest_files, image_files, subfolders
from fsamc.deadline import within
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
        """Return the first `per_class` images of each class. Raises BadInput if a class has fewer."""
        for name, paths in self.classes.items():
            if len(paths) < per_class:
                raise BadInput(
                    f"{self.folder / name}: {counted(len(paths), 'image')}, "
                    f"pseudo.textures_per_class asks for {per_class}; lower it, or add images"
                )
        return {name: paths[:per_class] for name, paths in self.classes.items()}


def load_textures(folder: Path) -> Textures:
    """Load the textures in a folder of class folders, or in `images` or `dtd/images` within, as DTD comes.

    Raises BadInput if there is no folder, no class with an image, or a file that cannot be opened.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected a folder of texture images per class")
    inner = (folder / "images", folder / "dtd" / "images")
    root = next((path for path in inner if subfolders(path)), folder)
    folders = {name: image_files(root, name) for name in subfolders(root)}
    classes = {name: paths for name, paths in folders.items() if paths}
    if not classes:
        raise BadInput(f"{root}: no texture images; expected a folder of texture images per class")
    paths = [path for images in classes.values() for path in images]
    return Textures(folder=root, classes=classes, digests=digest_files(root, paths))


@contextmanager
def _below_its_folder() -> Iterator[None]:
    """Unpack archives in their folder only: an entry that leads elsewhere is a TarError, as from Python 3.14 on."""
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def fetch_dtd(folder: Path) -> Path:
    """`folder/dtd`, the Describable Textures Dataset (47 classes of 120 images), downloaded if it is not there.

    What is downloaded appears at once, when it is whole.

    Raises BadInput if it cannot be downloaded, with what to put there by hand.
    """
    target = folder / "dtd"
    if target.is_dir():
        return target
    from torchvision.datasets import DTD  # takes a second

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:

            def download() -> None:
                with _below_its_folder():
                    DTD(unfinished, download=True)

            within(deadline.DOWNLOAD, download, "the download")
            (Path(unfinished) / "dtd" / "dtd").rename(target)
    except (OSError, RuntimeError, EOFError, HTTPException, TarError) as error:
        if not target.is_dir():  # else another process was quicker
            raise BadInput(
                f"the textures dtd cannot be downloaded ({' '.join(str(error).split())}); get {DTD._URL} "
                f"and unpack it in {folder}, or give a folder of your own"
            ) from error
    return target
