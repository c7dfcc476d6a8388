"""Textures that `--textures` names: a folder, an address, or those that the paper uses, fetched once."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from fsamc.data.remote import Source, local
from fsamc.data.textures import Textures, fetch_dtd, load_textures
from fsamc.deadline import DEADLINE


def find_textures(source: Source, cache: Path, *, deadline: float = DEADLINE) -> Textures:
    """Load the textures of a folder; of `dtd`, where there is no folder of that name, those of the dataset DTD.

    Those of an address are mirrored in `cache`, as `local` does.

    Raises BadInput if there is neither, or a folder holds no textures.
    """
    if source == Path("dtd") and not Path("dtd").is_dir():
        source = fetch_dtd(Path(platformdirs.user_cache_dir("fsamc-textures")))
    return load_textures(local(source, cache, "--textures", deadline=deadline).absolute())
