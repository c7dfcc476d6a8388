"""Textures that `--textures` names: a folder, an address, or those that the paper uses, fetched once."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from fsamc.data.remote import Source, local
from fsamc.data.textures import Textures, fetch_dtd, load_textures
from fsamc.deadline import DEADLINE
from fsamc.errors import BadInput
from fsamc.fold.inputs import check_textures, takes_pseudo_defects, who_takes_pseudo_defects
from sweeps.plan.configurations import variants
from sweeps.plan.settings import Plan


def textures_of_plan(plan: Plan, source: Source | None, cache: Path) -> Textures | None:
    """Load the textures that some trial makes pseudo-defects of; None where none does. Raises BadInput."""
    configs = [config for config in variants(plan, changed=2) if takes_pseudo_defects(config)]
    if not configs:
        return None
    if source is None:
        measured = "pseudo" in plan.base.scoring.measure
        other = "choose another objective" if measured else "set base.pretrain.enabled=false"
        raise BadInput(f"{who_takes_pseudo_defects(configs[0])}: give --textures DIR, or {other}")
    textures = find_textures(source, cache, deadline=plan.resources.deadline)
    for config in configs:
        check_textures(textures, config)
    return textures


def find_textures(source: Source, cache: Path, *, deadline: float = DEADLINE) -> Textures:
    """Load the textures of a folder; of `dtd`, where there is no folder of that name, those of the dataset DTD.

    Those of an address are mirrored in `cache`, as `local` does.

    Raises BadInput if there is neither, or a folder holds no textures.
    """
    if source == Path("dtd") and not Path("dtd").is_dir():
        source = fetch_dtd(Path(platformdirs.user_cache_dir("fsamc-textures")))
    return load_textures(local(source, cache, "--textures", deadline=deadline).absolute())
