"""Heads and how they learn (paper 3.3, 3.6, 4.1.3, appendices A and G)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fsamc.config.settings import LearningRate, Settings, Share
from fsamc.counting import counted


class Maml(Settings):
    """Pretraining of the head `maml` (paper, appendix G)."""

    order: Literal["first", "second"] = Field(
        "second", description="maml: whether the outer gradient flows through the inner step's gradient"
    )
    inner_lr: LearningRate = Field(1e-3, description="maml: learning rate of the inner step")
    inner_steps: int = Field(1, ge=1, description="maml: gradient steps on a task's first batch")
    tasks: int = Field(10, ge=1, description="maml: tasks, a round each, whose outer losses make one Adam step")


class Pretrain(Settings):
    """Pretraining of a head on pseudo-classes (paper 3.5, 4.1.3)."""

    enabled: bool = Field(True, description="pretrain on pseudo-defects")
    pseudo_classes: int = Field(10, ge=2, description="pseudo-classes drawn in each round")
    stop_threshold: Share = Field(0.4, description="stop once a round's accuracy exceeds this")
    stop_metric: Literal["episode", "pairs"] = Field(
        "episode",
        description="what that accuracy counts: queries named rightly, or, of heads that judge pairs, pairs told apart",
    )
    max_rounds: int = Field(1000, ge=1, description="stop after this many rounds at the latest")
    queries: int = Field(32, ge=1, description="query images per round")
    lr: LearningRate = Field(1e-4, description="Adam's learning rate")
    maml: Maml = Maml()


class Finetune(Settings):
    """Fine-tuning on the support (paper 4.1.3)."""

    episodes: Literal["own", "algorithm_1", "algorithm_2"] = Field(
        "own", description="who is query and who is support in a step; own: algorithm 2 for vanilla, else algorithm 1"
    )
    epochs: dict[int, int] = Field(
        {2: 10, 3: 5, 4: 3, 5: 2}, description="passes over the support, per number of shots; above 5 as 5"
    )
    lr: LearningRate = Field(1e-4, description="Adam's learning rate")

    @field_validator("epochs")
    @classmethod
    def _epochs_make_sense(cls, epochs: dict[int, int]) -> dict[int, int]:
        for shots, passes in epochs.items():
            if shots < 2:
                raise ValueError(
                    f"epochs for {counted(shots, 'shot')}: fine-tuning needs two images of a class, start at 2"
                )
            if passes < 0:
                raise ValueError(f"epochs for {shots} shots are {passes}, expected 0 or more")
        return dict(sorted(epochs.items()))

    def epochs_for(self, shots: int) -> int:
        """Return the passes for `shots` images per class: none for one, and those of the next smaller number listed."""
        listed = [n for n in self.epochs if n <= shots]
        return self.epochs[max(listed)] if listed else 0
