"""Study of Optuna that several drivers may write to at once: each trial is entered whole, once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from fsamc.deadline import Answer
from fsamc.errors import BadInput
from fsamc.features.weights import identity
from fsamc.store.digests import digest
from sweeps.errors import StudyLost
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values
from sweeps.search.base import Home
from sweeps.search.distributions import as_text
from sweeps.search.storage import ERRORS, StudyStorage

_PLAN, _VALUES, _RUN = "plan", "values", "run"
_DIRECTIONS = {"accuracy": StudyDirection.MAXIMIZE, "seconds": StudyDirection.MINIMIZE}


class SharedStudy:
    """A named study, opened for a sweep; without a home, one in memory.

    The order of the trials' numbers decides between drivers. A number is given when a trial is entered with all of its
    values, in one transaction, so whoever sees a trial sees its values, and those of every trial before it.
    """

    def __init__(self, plan: Plan, home: Home | None) -> None:
        """Open the study, or make it. Raises BadInput if it is of another plan."""
        self._home = home or Home(out=Path(), run="", data="")
        self._address = StudyStorage(plan, home.out) if home else None
        self._plan = study_hash(plan, self._home.data)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = self._answer(self._address.open) if self._address else InMemoryStorage()
        self._study, self._id = self._answer(lambda: self._open(plan))
        self._answer(lambda: _check_same(self._study, plan, self._plan))

    @property
    def name(self) -> str:
        """Name of the study and the address of its storage, for people."""
        return f"study {self._study.study_name} in {self._address.shown if self._address else 'memory'}"

    def trials(self) -> list[FrozenTrial]:
        """List every trial, by number; not to be changed. Those of other tools are there too, without values."""
        trials: list[FrozenTrial] = self._answer(lambda: self._study.get_trials(deepcopy=False))
        # Two plans that make one study at once both find it empty; they cannot both enter its first trial.
        if trials and trials[0].user_attrs.get(_PLAN, self._plan) != self._plan:
            raise StudyLost(_OTHER.format(name=self._study.study_name))
        return trials

    def enter(self, values: Values, trial: FrozenTrial, **facts: Any) -> int:
        """Enter a trial with parameters, values, and facts for whoever looks at the study; return its number."""
        own = {_PLAN: self._plan, _VALUES: as_text(values), _RUN: self._home.run, "out": str(self._home.out.absolute())}
        trial.user_attrs |= own | facts
        return self._answer(lambda: self._enter(trial))

    def close(
        self,
        trial: FrozenTrial,
        state: TrialState,
        *,
        values: Sequence[float] | None = None,
        intermediate_values: Mapping[int, float] | None = None,
        facts: Mapping[str, Any],
    ) -> None:
        """End a running trial, with its values if it is complete, the scores of its folds if pruned, and facts."""
        self._answer(lambda: self._close(trial.number, state, values, intermediate_values or {}, facts))

    def is_own(self, trial: FrozenTrial) -> bool:
        """Whether this sweep entered the trial, in this run or an earlier one."""
        return bool(trial.user_attrs.get(_RUN) == self._home.run)

    def has_others(self, trials: Iterable[FrozenTrial]) -> bool:
        """Whether another driver has entered trials."""
        return any(not self.is_own(trial) for trial in trials)

    @property
    def run(self) -> str:
        """Id of the sweep's run, which the trials it enters carry."""
        return self._home.run

    def _open(self, plan: Plan) -> tuple[optuna.Study, int]:
        study = optuna.create_study(
            study_name=plan.search.study or plan.name,
            storage=self._storage,
            directions=directions(plan),
            load_if_exists=True,
        )
        if _PLAN not in study.user_attrs:
            study.set_user_attr(_PLAN, self._plan)
            names = {"accuracy": plan.objective.score_name, "seconds": "seconds"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # of naming them, which dashboards show
                study.set_metric_names([names[goal] for goal in plan.search.goals])
        return study, self._storage.get_study_id_from_name(study.study_name)

    def _enter(self, trial: FrozenTrial) -> int:
        made = self._storage.create_new_trial(self._id, template_trial=trial)
        return self._storage.get_trial_number_from_id(made)

    def _close(
        self,
        number: int,
        state: TrialState,
        values: Sequence[float] | None,
        steps: Mapping[int, float],
        facts: Mapping[str, Any],
    ) -> None:
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        for name, fact in facts.items():
            self._storage.set_trial_user_attr(trial_id, name, fact)
        for step, score in steps.items():
            self._storage.set_trial_intermediate_value(trial_id, step, score)
        # Not `Study.tell`: it takes a pruned trial's last fold for its value, and prunes none that has two goals.
        self._storage.set_trial_state_values(trial_id, state, values)

    def _answer(self, call: Callable[[], Answer]) -> Answer:
        """Return what the storage answers. Raises StudyLost where it does not, or not in time."""
        if self._address is None:
            return call()
        try:
            return self._address.within_deadline(call)
        except ERRORS as error:
            raise StudyLost(f"search.storage: {self._address.shown}: {self._address.why(error)}") from error


def values_of(trial: FrozenTrial) -> Values | None:
    """Read the values that a trial was entered with; None for one that another tool entered."""
    text = trial.user_attrs.get(_VALUES)
    return json.loads(text) if text else None


def configurations_tried(trials: Iterable[FrozenTrial], most: int) -> dict[str, int]:
    """List the first `most` different configurations, as text, and the numbers of the trials that try them.

    Every driver that sees a trial comes to the same answer about it, since nothing before it changes any more.
    """
    numbers: dict[str, int] = {}
    for trial in trials:
        text = trial.user_attrs.get(_VALUES)
        if text and len(numbers) < most:
            numbers.setdefault(text, trial.number)
    return numbers


def check_study(plan: Plan, home: Home) -> None:
    """Raise BadInput if the plan's storage cannot be reached, or its study is of another plan. Makes neither."""
    storage = StudyStorage(plan, home.out)
    if not storage.check():
        return
    try:
        opened, name = storage.open(), plan.search.study or plan.name
        study = storage.within_deadline(lambda: optuna.load_study(study_name=name, storage=opened))
        storage.within_deadline(lambda: _check_same(study, plan, study_hash(plan, home.data)))
    except KeyError:  # there is none of this name
        return
    except ERRORS as error:
        raise BadInput(
            f"search.storage: {storage.shown}: {storage.why(error)}; mend it or correct the address"
        ) from None
    finally:
        storage.close()


def study_hash(plan: Plan, data: str) -> str:
    """Hash of all that makes trials comparable: what is varied around what, and the folds that score it."""
    base = plan.base.model_dump(mode="json", exclude={"compute": True, "features": {"backbone", "weights"}})
    space: Mapping[str, Any] = {key: distribution.model_dump(mode="json") for key, distribution in plan.space.items()}
    folds = plan.folds.model_dump(mode="json")
    return digest(identity(plan.base.features), base, plan.aside, space, folds, data)


def directions(plan: Plan) -> list[StudyDirection]:
    """Return whether each goal is maximised or minimised."""
    return [_DIRECTIONS[goal] for goal in plan.search.goals]


_OTHER = "search.study: {name} holds trials of another plan or other data; give search.study another name"


def _check_same(study: optuna.Study, plan: Plan, expected: str) -> None:
    if study.directions != directions(plan):
        raise BadInput(f"search.study: {study.study_name} has other search.goals; give search.study another name")
    if study.user_attrs.get(_PLAN, expected) != expected:
        raise BadInput(_OTHER.format(name=study.study_name))
