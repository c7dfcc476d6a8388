"""Kill parts of a running sweep with SIGKILL, again and again, and compare what is left in the end.

    python -m tests.chaos                                on a cluster of this machine, every part, five moments each
    python -m tests.chaos --where laptop --parts driver,mlflow --kills 3 --seed 7

A round is a small sweep from an empty cache, tracked on a real MLflow server. At a random moment something goes away.
The same command is given again until it ends with 0. Then its tables and its MLflow contents must equal those of the
sweep that nobody disturbed; of an adaptive search, nothing may be lost, nothing may have run twice, and every fold must
be what it is when it is computed anew.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.chaos.places import Cluster, Laptop
from tests.chaos.rounds import Rounds
from tests.chaos.scene import SEARCHES
from tests.local_cluster import tear_down_on_signals


def main(
    kills: Annotated[int, typer.Option(help="Moments per part.")] = 5,
    where: Annotated[str, typer.Option(help="laptop, or cluster.")] = "cluster",
    parts: Annotated[str, typer.Option(help=f"Of {', '.join(Cluster.parts)}; all by default.")] = "",
    searches: Annotated[str, typer.Option(help="How the sweeps search, in turn.")] = ",".join(SEARCHES),
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Where the sweeps lie; a temporary one.")] = None,
) -> None:
    """Run all rounds and print a table of them; exit code 1 if one was not as it must be."""
    tear_down_on_signals()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    console = Console()
    root = folder or Path(tempfile.mkdtemp(prefix="fsamc-chaos-"))
    table = Table("part", "search", "killed after", "runs", "outcome", title=f"{where}, seed {seed}")
    bad = 0
    place = {"laptop": Laptop, "cluster": Cluster}[where]
    chosen = parts.split(",") if parts else place.parts
    with Rounds(root, place, seed=seed) as rounds:
        for number in range(kills):
            for offset, part in enumerate(chosen):
                names = searches.split(",")
                result = rounds.round(part, names[(number + offset) % len(names)])
                bad += bool(result.wrong)
                outcome = "; ".join(result.wrong) or "as undisturbed"
                when = f"{result.kill.seconds:.1f} s, {result.kill.folds} folds"
                table.add_row(part, result.search, when, str(result.runs), outcome)
                console.print(f"{number + 1}/{kills} {part}, {result.search}: {outcome}", highlight=False)
    console.print(table)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(main)
