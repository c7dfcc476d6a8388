"""What `--textures` names: a folder, or the textures that the paper uses, fetched once."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from fsamc.textures import Textures, fetch_dtd, load_textures


def find_textures(given: Path) -> Textures:
    """The textures of a folder; of `dtd`, where there is no folder of that name, those of the dataset DTD.

    Raises BadInput if there is neither, or a folder holds no textures.
    """
    if given == Path("dtd") and not given.is_dir():
        given = fetch_dtd(Path(platformdirs.user_cache_dir("fsamc-textures")))
    return load_textures(given.absolute())
