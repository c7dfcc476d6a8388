"""Best trial of a sweep that has ended: its figures, its classifiers, and these as models of MLflow."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console

from cluster.folds import Materials
from sweeps.checks.prepare import Prepared
from sweeps.classifiers.sweep_classifiers import SweepClassifiers
from sweeps.figures.sweep_figures import SweepFigures
from sweeps.figures.trial_figures import draw_on_ray
from sweeps.registry.sweep_models import register_classifiers
from sweeps.results.folder import SweepFolder
from sweeps.tracking.uri import one_line


@dataclass(frozen=True)
class BestTrial:
    """What is made of a sweep's best trial, once: a resumed sweep with the same best trial has it.

    Attributes:
        folder: OUT.
        prepared: the plan and its data.
        shared: what folds read.
        console: told what lacks something, and why.
        have_ray: starts Ray, if it is not up.
    """

    folder: SweepFolder
    prepared: Prepared
    shared: Materials
    console: Console
    have_ray: Callable[[], None]

    def draw_figures(self) -> bool:
        """Draw its figures; whether there was anything to do."""
        figures, best = self._figures, self._figures.best()
        if best is None or figures.drawn(best):
            return False
        self.have_ray()
        with self.console.status(f"training the head of trial {best} once more, for its figures"):
            noted = figures.record(best, draw_on_ray)
        for category, reason in noted["without"].items():
            self._say(f"no figures of {category}: {reason}")
        return True

    def fit_classifiers(self) -> bool:
        """Fit a classifier of best.yaml to all labelled images of each category; whether there was anything to do."""
        classifiers, saved = SweepClassifiers(folder=self.folder, shared=self.shared), self.folder.saved
        recommended = saved.recommended if self.folder.has_rows() else None
        if recommended is None or classifiers.fitted(recommended.trial):
            return False
        self.have_ray()
        with self.console.status(f"fitting classifiers by trial {recommended.trial}"):
            without = classifiers.record(recommended.trial)
        for category, reason in without.items():
            self._say(f"no classifier of {category}: {reason}")
        return True

    def register_classifiers(self, uri: str) -> list[str]:
        """Make its classifiers versions in MLflow's Model Registry, unless they are; return which, in lines.

        An MLflow that is away, or a network that is not found, is told and fails nothing.
        """
        out = self.folder.root
        try:
            with self.console.status("registering the classifiers in MLflow"):
                return register_classifiers(out, uri)
        except Exception as error:  # a sweep does not end for what becomes of its models
            return [f"models   not registered ({one_line(error)}); later: fsamc track {shlex.quote(str(out))}"]

    @cached_property
    def _figures(self) -> SweepFigures:
        return SweepFigures(folder=self.folder, prepared=self.prepared, shared=self.shared)

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)
