"""Request for a sweep: every argument of `fsamc sweep`, declared once for the command, `submit` and Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sweeps.plan.presets import preset_names

if TYPE_CHECKING:
    from cluster.folds import Materials
    from fsamc.data.remote import Source
    from sweeps.checks.prepare import Prepared

Mode = Literal["screen", "quiet", "json"]
DATA = "Folder with one folder per category, in MVTec layout, or its address: s3://, gs://, hdfs://."
TEXTURES = "Folder of texture classes, or its address; or dtd, which is downloaded."
DataOption = Annotated[str | None, typer.Option("--data", metavar="DATA", help=f"{DATA[:-1]}; as in OUT by default.")]
TexturesOption = Annotated[str | None, typer.Option("--textures", metavar="DIR", help=TEXTURES)]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Artifacts; the user's cache folder by default.")]
BackboneOption = Annotated[
    str | None, typer.Option("--backbone", help="A name, FILE.pt2, or auto; wins over the plan.")
]
WeightsOption = Annotated[str | None, typer.Option("--weights", help="State dict of a named backbone.")]
Changes = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes, such as folds.seeds=[1,2] folds.shots=[5].")
]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Arguments as they are written on the command line; None or empty for what is left out.

    A field with an annotation of Typer's is an argument or an option of the command.
    """

    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")]
    plan: Annotated[
        str | None,
        typer.Argument(
            metavar="PLAN",
            help="A preset's name or a YAML file; that of the sweep in OUT by default.",
            autocompletion=preset_names,
        ),
    ] = None
    data: DataOption = None
    changes: Changes = None
    textures: TexturesOption = None
    backbone: BackboneOption = None
    weights: WeightsOption = None
    cache: CacheOption = None
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI; OUT/mlflow.db by default.")] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Do without MLflow; `fsamc track OUT` delivers everything later.")
    ] = False
    address: Annotated[str | None, typer.Option(help="A running Ray cluster; an embedded one by default.")] = None
    resume: Annotated[
        Literal["auto", "never", "must"], typer.Option(help="Continue the sweep in OUT: auto, never, or must.")
    ] = "auto"
    reuse: Annotated[bool, typer.Option("--reuse/--no-reuse", help="Take finished folds from other sweeps.")] = True
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the best trial's figures at the end.")
    ] = True
    fit: Annotated[
        bool, typer.Option("--fit", help="Leave the best trial's classifiers in OUT, for `fsamc predict`.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the size and the estimated cost, stop.")
    ] = False
    extend: Annotated[int | None, typer.Option("--extend", min=1, help="Trials more for the sweep in OUT.")] = None
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", help="After 2h, 30m, 1h30m or so many seconds start no more folds."),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", help="The final table, and what went wrong.")] = False
    json: Annotated[bool, typer.Option("--json", help="A JSON object per line: what happens when it happens.")] = False

    def __post_init__(self) -> None:
        if self.plan and "=" in self.plan:  # a change, where the plan was left out
            object.__setattr__(self, "changes", [self.plan, *(self.changes or ())])
            object.__setattr__(self, "plan", None)

    @property
    def view(self) -> Mode:
        """Who looks on."""
        return "json" if self.json else "quiet" if self.quiet else "screen"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Plan and folders of a sweep: the request's, else those that OUT remembers, else the defaults.

    Attributes:
        plan: a preset's name or a file.
        tracking_uri: None for OUT/mlflow.db.
    """

    plan: str
    data: Source
    textures: Source | None
    cache: Path
    tracking_uri: str | None


@dataclass(frozen=True, kw_only=True)
class CheckedRequest:
    """A request that can run.

    Attributes:
        prepared: the plan, resolved, and its data.
        workers: folds that may run at once.
        seconds: after which no more folds are started, or None.
    """

    request: Request
    places: Places
    prepared: Prepared
    workers: int
    seconds: float | None

    def shared(self, *, run: str, working_set: float) -> Materials:
        """Return what all folds of the sweep `run` share; `working_set` in bytes."""
        from cluster.folds import Materials  # here, because the help of a command must not load it

        cache, own, prepared = self.places.cache.absolute(), (self.request.out / ".folds").absolute(), self.prepared
        return Materials(
            categories=prepared.categories,
            textures=prepared.textures,
            store=cache,
            results=(cache, own) if self.request.reuse else (own,),
            run=run,
            gpus=float(prepared.plan.resources.gpus),
            workers=self.workers,
            working_set=working_set,
        )

    @property
    def runs_at(self) -> str:
        """Tracking URI of the store of MLflow's runs."""
        return self.places.tracking_uri or f"sqlite:///{(self.request.out / 'mlflow.db').absolute()}"

    @property
    def materials(self) -> dict[str, str | None]:
        """Where images, textures and artifacts are, for whoever looks at the results later."""
        data, source, textures = self.places.data, self.places.textures, self.prepared.textures
        folder = textures and (textures.folder if source is None or isinstance(source, Path) else source)
        return {
            "data": str(data.absolute() if isinstance(data, Path) else data),
            "textures": str(folder) if folder else None,
            "cache": str(self.places.cache.absolute()),
        }


def default_cache() -> Path:
    """Return the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("fsamc"))
