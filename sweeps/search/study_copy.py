"""Copy of a study in memory, on which a sampler may be asked without leaving a trace in the study itself.

A trial that was stopped early is pruned in the study, and has no value there. In the copy it is complete with the
estimate of what it would have scored, for that is what a sampler had better learn of it.
"""

from __future__ import annotations

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.plan.settings import Plan
from sweeps.search.shared_study import directions


class StudyCopy:
    """Copy of a study, kept up to date by its changes; rebuilt where its own last trial was not entered there."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._directions = plan, directions(plan)
        self._study = optuna.create_study(directions=self._directions)
        self._states: list[TrialState] = []
        self._asked = 0

    def follow(self, trials: list[FrozenTrial]) -> None:
        """Update the copy to hold these trials of the study."""
        if self._asked > 1 or (self._asked == 1 and not self._became(trials)):
            self._study, self._states = optuna.create_study(directions=self._directions), []
        elif self._asked == 1:
            self._states.append(TrialState.RUNNING)
        self._asked = 0
        for number, before in enumerate(self._states):
            if (trial := trials[number]).state != before:
                learned = self._learned(trial)
                self._study.tell(number, learned.values, state=learned.state)
        for trial in trials[len(self._states) :]:
            self._study.add_trial(self._learned(trial))
        self._states = [trial.state for trial in trials]

    def ask(self, sampler: BaseSampler) -> optuna.Trial:
        """Begin a trial whose parameters the sampler suggests."""
        self._study.sampler = sampler
        self._asked += 1
        return self._study.ask()

    def template(self, trial: optuna.Trial) -> FrozenTrial:
        """Return the trial as it can be entered: with what the sampler keeps in it for the next time."""
        frozen = self._study.get_trials(deepcopy=False)[
            trial.number
        ]  # a copy of all would take longer than the sampler
        return create_trial(
            state=TrialState.RUNNING,
            params={**frozen.params},
            distributions={**frozen.distributions},
            system_attrs={**frozen.system_attrs},
        )

    def _learned(self, trial: FrozenTrial) -> FrozenTrial:
        """Give the trial as a sampler is to see it."""
        if trial.state != TrialState.PRUNED:
            return trial
        told = {"accuracy": self._plan.objective.estimate_name, "seconds": "seconds"}
        if not trial.user_attrs.keys() >= {told[goal] for goal in self._plan.search.goals}:  # another tool's
            return trial
        return create_trial(
            values=[trial.user_attrs[told[goal]] for goal in self._plan.search.goals],
            params=trial.params,
            distributions=trial.distributions,
            system_attrs=trial.system_attrs,
        )

    def _became(self, trials: list[FrozenTrial]) -> bool:
        """Whether the trial that was asked of the copy is the one that the study has next."""
        place = len(self._states)
        return len(trials) > place and trials[place].params == self._study.get_trials(deepcopy=False)[place].params
