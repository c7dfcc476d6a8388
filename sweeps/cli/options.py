"""What several commands share: options, the screen, the default cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# A pipe has no width; in a log, tables should not be squeezed into 80 columns.
console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))

_DATA = "Folder with one folder per category, in MVTec layout, or its address: s3://, gs://, hdfs://."
TEXTURES = "Folder of texture classes, or its address; or dtd, which is downloaded."
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=_DATA)]
DataOption = Annotated[str | None, typer.Option("--data", metavar="DATA", help=f"{_DATA[:-1]}; as in OUT by default.")]
TexturesOption = Annotated[str | None, typer.Option("--textures", metavar="DIR", help=TEXTURES)]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Artifacts; the user's cache folder by default.")]
BackboneOption = Annotated[
    str | None, typer.Option("--backbone", help="torchvision ResNet, FILE.pt2, or auto; wins over the plan.")
]
WeightsOption = Annotated[str | None, typer.Option("--weights", help="State dict of a named ResNet.")]
Changes = Annotated[list[str] | None, typer.Argument(help="Changes, such as folds.seeds=[1,2] base.shots=5.")]


def default_cache() -> Path:
    """The user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("fsamc"))


def say(line: object) -> None:
    """Print a line as it is: not wrapped, nothing in it coloured or taken for markup."""
    console.print(str(line), soft_wrap=True, highlight=False, markup=False)


def quiet_ray() -> None:
    """Ray and Tune read these when they are imported: the screen and OUT belong to the sweep."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
