"""A driver without folds, in a process of its own: `python -m tests.sweeps.driver PLAN.json OUT RUN SECONDS`.

Prints a line of JSON for each trial when it begins, and again when it has told its score.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from sweeps.plan.settings import Plan
from sweeps.search import Home, make_proposer


def score(values: dict) -> float:
    """The same in every process."""
    return sum(float(value) for value in values.values() if not isinstance(value, str | list)) % 1


def main(plan: str, out: str, run: str, seconds: str) -> None:
    home = Home(out=Path(out), run=run, data="d")
    proposer = make_proposer(Plan.model_validate_json(Path(plan).read_text()), home)
    print("ready", flush=True)
    sys.stdin.readline()
    while proposal := proposer.propose():
        print(json.dumps([proposal.number, proposal.values]), flush=True)
        time.sleep(random.random() * float(seconds))
        proposer.tell(proposal.number, score(proposal.values), seconds=1.0, std=0.1)
        print(json.dumps(proposal.number), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
