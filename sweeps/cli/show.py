"""Looks before a sweep: at the images, the pseudo-defects, the knobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import Literal

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.config.compute import Compute
from fsamc.config.features import Features
from fsamc.counting import counted
from fsamc.data.category import Category, load_category, scan_category
from fsamc.data.folders import find_categories
from fsamc.data.inspection import DataProblem, FolderSummary, folder_summaries, inspect_category
from fsamc.data.remote import Source, local
from sweeps.checks.disk import check_writable
from sweeps.checks.textures import find_textures
from sweeps.cli.options import show_table
from sweeps.plan.keys import knobs
from sweeps.plan.load import load_plan, to_yaml
from sweeps.plan.yaml_lines import read_yaml
from sweeps.progress.reading_bar import reading_bar


def inspect_data(source: Source, features: Features, console: Console, *, cache: Path, json: bool = False) -> bool:
    """Print what each category holds, how many shots it can serve and every problem; whether none is serious.

    What lies at an address is mirrored in `cache`. With `json` an object is printed to stdout in place of all that.

    Raises BadInput if there is no such folder or it holds no category.
    """
    data = local(source, cache, "DATA")
    names = find_categories(data)
    with reading_bar(Console(stderr=True, quiet=json), "looking at the images") as tell:
        inspected = {name: inspect_category(data, name, features, tell) for name in names}
    rows = [row for name in names for row in folder_summaries(inspected[name][0] or scan_category(data, name))]
    serious = sum(problem.serious for _, problems in inspected.values() for problem in problems)
    if json:
        print(_inspection_as_json(data, inspected, rows))
        return serious == 0
    show_table(_image_table(rows), map(_summary, rows), console)
    for name, (category, problems) in inspected.items():
        if category is not None:
            console.print(_shots(category), highlight=False, soft_wrap=True)
        for problem in problems:
            console.print(_problem(data / name, problem), soft_wrap=True)
    console.print(f"problems: {sum(len(problems) for _, problems in inspected.values())}, serious: {serious}")
    return serious == 0


def plan_as_json(plan: str | None) -> str:
    """Write a plan as it resolves, or every knob, as JSON. Raises BadInput."""
    if plan is None:
        return dumps([dict(zip(("key", "default", "meaning"), knob, strict=True)) for knob in knobs()], indent=2)
    return dumps(read_yaml(to_yaml(load_plan(plan))).value, indent=2)


def draw_previews(
    plan: str, changes: Sequence[str], *, data: Source, textures: Source, cache: Path, out: Path, rows: int
) -> Iterator[Path]:
    """Draw the pseudo-defects that a plan's base would pretrain on: `out/CATEGORY-FOREGROUND.png` each.

    A sheet begins with one pseudo-defect of each pseudo-class and has `rows` of them. The name says how the foreground
    was found, which matters where that is `auto`.

    Raises BadInput, before anything is drawn, for what would also stop a sweep.
    """
    loaded = load_plan(plan, changes)
    folder = local(data, cache, "DATA", deadline=loaded.resources.deadline)
    names = find_categories(folder) if loaded.folds.categories == "all" else loaded.folds.categories
    categories = [load_category(folder, name) for name in names]
    found = find_textures(textures, cache, deadline=loaded.resources.deadline)
    found.chosen(loaded.base.pseudo.textures_per_class)
    check_writable(out)
    base = loaded.base
    for category in categories:
        pseudo_set = PseudoSet(
            category=category, textures=found, pseudo=base.pseudo, features=base.features, compute=Compute()
        )
        yield _draw_preview(pseudo_set, out, rows)


def knob_table() -> Table:
    """Every dotted key of a plan with its default and meaning."""
    table = Table(title="every knob of a plan", title_justify="left")
    table.add_column("key", no_wrap=True)
    table.add_column("default", overflow="fold")
    table.add_column("meaning")
    for key, default, meaning in knobs():
        table.add_row(key, Text(default), Text(meaning))
    return table


def knob_line(knob: tuple[str, str, str]) -> Text:
    """Write a row of that table as a line."""
    key, default, meaning = knob
    return Text(f"{key} = {default}: {meaning}" if default else f"{key}: {meaning}")


def _inspection_as_json(
    data: Path, inspected: Mapping[str, tuple[Category | None, list[DataProblem]]], rows: Sequence[FolderSummary]
) -> str:
    found = {
        "folders": [asdict(row) for row in rows],
        "shots": {name: _most_shots(category)[0] if category else 0 for name, (category, _) in inspected.items()},
        "problems": [
            {"category": name, **asdict(problem)} for name, (_, problems) in inspected.items() for problem in problems
        ],
    }
    return dumps({"data": str(data), **found}, indent=2)


def _image_table(rows: Iterable[FolderSummary]) -> Table:
    table = Table(title_justify="left")
    for name in ("category", "part"):
        table.add_column(name, no_wrap=True)
    for name in ("images", "groups", "masks"):
        table.add_column(name, justify="right")
    table.add_column("sizes (height x width)")
    before = ""
    for row in rows:
        if before and row.category != before:
            table.add_section()
        first = row.category if row.category != before else ""
        table.add_row(Text(first), Text(row.part), str(row.images), str(row.groups), str(row.masks), _sizes(row))
        before = row.category
    return table


def _summary(row: FolderSummary) -> Text:
    """Write a row of that table as a line."""
    counts = f"{counted(row.images, 'image')}, {counted(row.groups, 'group')}, {counted(row.masks, 'mask')}"
    return Text(f"{row.category}/{row.part}: {counts}, {_sizes(row)}")


def _sizes(row: FolderSummary) -> str:
    ends = [f"{size[0]} x {size[1]}" for size in (row.smallest, row.largest) if size]
    return " to ".join(dict.fromkeys(ends)) or "-"


def _shots(category: Category) -> str:
    """Up to how many shots a category can serve, what it lacks for one more, and how many without queries."""
    shots, problem = _most_shots(category)
    alone, _ = _most_shots(category, "support")
    served = f"up to {counted(shots, 'shot')}; for more" if shots else "no shots"
    without = f"; without queries, by folds.score=support, {alone} shots" if alone > max(shots, 1) else ""
    return f"{category.name}: {served}: {problem.removeprefix(f'{category.name}: ')}{without}"


def _most_shots(category: Category, scored_by: Literal["queries", "support"] = "queries") -> tuple[int, str]:
    """Return up to how many shots a category can serve, and what it lacks for one more.

    By doubling and halving, since each question takes all images.
    """
    few, many = 0, 1
    while (lacks := category.problem(many, scored_by=scored_by)) is None:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        if problem := category.problem(middle, scored_by=scored_by):
            many, lacks = middle, problem
        else:
            few = middle
    return few, lacks


def _problem(folder: Path, problem: DataProblem) -> Text:
    """`path: what is wrong`, where errors name their path themselves."""
    path = folder if problem.path == folder.name else folder / problem.path
    text = problem.text if problem.text.startswith(str(folder)) else f"{path}: {problem.text}"
    return Text.assemble(("serious  ", "bold red") if problem.serious else ("note     ", "yellow"), text)


def _draw_preview(pseudo_set: PseudoSet, out: Path, rows: int) -> Path:
    sheet, method = pseudo_set.preview(rows)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{pseudo_set.category.name}-{method}.png"
    Image.fromarray(sheet).save(file)
    return file
