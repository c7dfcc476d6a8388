"""Images that are held out of a search for its final; and why a category can spare none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import product

from fsamc.data.category import Category
from fsamc.data.held_out import hold_out
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.plan.settings import Plan


def held_for_final(
    plan: Plan, categories: Mapping[str, Category], configs: Collection[FoldConfig]
) -> tuple[dict[str, Category], list[str]]:
    """Hold images out of each category that has enough of them, where the plan asks for a final.

    Enough: the search has every fold that it would have without, and each class keeps a query for the final.

    Args:
        plan: with `search.final`.
        categories: by name.
        configs: a configuration for each way in which trials choose their images.

    Returns the categories, and a line for each that can spare none. Raises BadInput where the plan's folds leave no
    fresh draws or queries.
    """
    if not plan.search.final.trials:
        return dict(categories), []
    _check_folds(plan, configs)
    held: dict[str, Category] = {}
    lines = []
    for name, category in categories.items():
        some = hold_out(category, plan.search.final.share)
        problem = next(_problems(plan, category, some, configs), None)
        held[name] = some if problem is None else category
        if problem:
            more = f"add images, or set search.final.share below {plan.search.final.share:g}"
            lines.append(f"no final on {problem} beside what is kept for the final; {more}")
    return held, lines


def for_final(draws: Collection[int], count: int) -> tuple[int, ...]:
    """Return so many draws that are none of a search's `draws`."""
    first = max(draws) + 1
    return tuple(range(first, first + count))


def _check_folds(plan: Plan, configs: Collection[FoldConfig]) -> None:
    refused = {
        "folds.score is support, which has no queries": plan.folds.score == "support",
        "folds.protocol is mvtec-fs, whose queries are those of a publication": plan.folds.protocol != "all",
        "support.files names the support, so there are no fresh draws": any(one.support.files for one in configs),
    }
    for why, applies in refused.items():
        if applies:
            raise BadInput(f"search.final takes fresh draws and images that had no say, and {why}; leave one out")


def _problems(plan: Plan, category: Category, held: Category, configs: Collection[FoldConfig]) -> Iterator[str]:
    """Yield why holding out would cost the search a fold, or leave the final without one."""
    final = replace(held, final=True)
    fresh = for_final(plan.folds.draws, plan.search.final.draws)
    for config, shots in product(configs, plan.folds.shots):
        whole, kept, asked = (one.with_classes(good=config.good) for one in (category, held, final))
        for draw in plan.folds.draws:
            if whole.problem(shots, draw) is None and (problem := kept.problem(shots, draw)):
                yield problem
        if any(whole.problem(shots, draw) is None for draw in plan.folds.draws):
            yield from (problem for draw in fresh if (problem := asked.problem(shots, draw)))
