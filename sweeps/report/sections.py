"""Sections of the report, in the order in which they appear: all that it says of a sweep, before it is rendered."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from sweeps.report.account import failures, seconds_per_stage, what_ran, what_was_spent
from sweeps.report.confusion import confusion_matrices, confusion_tables
from sweeps.report.document.report_blocks import (
    Block,
    Bullets,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Plot,
    Report,
    Section,
    Table,
    Tiles,
)
from sweeps.report.evidence import Evidence
from sweeps.report.headline import conclusions, headline
from sweeps.report.objectives import objective_choices
from sweeps.report.plots.axes import Axis, swept_axes
from sweeps.report.plots.heads import draw_heads, head_scores
from sweeps.report.plots.heatmap import draw_heatmap, fold_matrix
from sweeps.report.plots.importance import draw_importances, importances
from sweeps.report.plots.parallel import draw_parallel
from sweeps.report.plots.pareto import draw_pareto, time_and_accuracy, unbeaten_trials
from sweeps.report.plots.ranking import draw_ranking
from sweeps.report.plots.slices import draw_slices
from sweeps.report.scores import best_detection, best_scores
from sweeps.report.trial_tables import final_tables, leave_one_out_table, ranking_table, scores_tables, shown_trials
from sweeps.results.saved_settings import caveats_of
from sweeps.results.tables import not_stopped
from sweeps.results.usage import views_lines

_FIGURES = {"tsne": "t-SNE of {} before and after the head", "pseudo": "Pseudo-defects of {}"}
CAPTIONS: dict[str, Any] = tomllib.loads((resources.files(__package__) / "captions.toml").read_text(encoding="utf-8"))


def sweep_report(evidence: Evidence, published: Sequence[Block] = (), answers: Sequence[Block] = ()) -> Report:
    """Say everything there is to say about a sweep.

    Args:
        evidence: what it has left.
        published: the comparisons that are asked for.
        answers: the gallery of the best trial's.
    """
    notices = [Notice(caveat, severe=True) for caveat in caveats_of(evidence.notes)]
    if (status := str(evidence.notes.get("status", "unknown"))) != "done":
        notices.append(Notice(f"Status: {status}. The numbers below are those of the folds finished so far."))
    axes = swept_axes(evidence)
    objectives = _explained("objectives", objective_choices(evidence))
    best = "the best trial" if evidence.best is None else f"trial {evidence.best}"
    sections = [
        Section("headline", "Headline", list(_headline(evidence))),
        Section("final", "Final: on images that had no say", _final(evidence)),
        Section("ran", "What ran", list(_ran(evidence))),
        Section("ranking", "Ranking", list(_ranking(evidence))),
        Section("heads", "Heads", list(_heads(evidence))),
        Section("scores", "Accuracy per category", [_note("scores"), *scores_tables(evidence, shown_trials(evidence))]),
        Section("folds", "Every fold", list(_folds(evidence))),
        Section("published", "Comparison with published results", published),
        Section("leave-one-out", "Leave one category out", list(_leave_one_out(evidence))),
        Section("objectives", "What each objective would have chosen", objectives),
        Section("measures", f"Other measures of {best}", list(_measures(evidence))),
        Section("confusion", f"Confusion matrices of {best}", list(_confusion(evidence))),
        Section("gallery", f"Wrong and unsure answers of {best}", _gallery(answers)),
        Section("swept", "Swept keys", list(_swept(axes))),
        Section("figures", "Figures of one fold per category", list(_figures(evidence))),
        Section("spent", "What was spent", list(_spent(evidence))),
        Section("failures", "Failures and warnings", list(_failures(evidence))),
        Section("reading", "How to read this", [Bullets(CAPTIONS["how_to_read"])]),
    ]
    return Report("Sweep report", evidence.plan.name, notices, [section for section in sections if section.blocks])


def gallery_page(report: Report) -> Report | None:
    """Take the gallery out of a report, as a page of its own; None where there is none."""
    sections = [section for section in report.sections if section.id == "gallery"]
    return Report("Gallery", report.title, report.notices, sections) if sections else None


def _note(name: str) -> Paragraph:
    return Paragraph(CAPTIONS[name], small=True)


def _explained(name: str, table: Table | None) -> list[Block]:
    """Put a table under its caption; nothing where there is no table."""
    return [_note(name), table] if table else []


def _headline(evidence: Evidence) -> Iterator[Block]:
    if tiles := headline(evidence):
        yield Tiles(tiles)
    yield Bullets(conclusions(evidence))


def _final(evidence: Evidence) -> list[Block]:
    return [_note("final"), *final_tables(evidence.final, evidence.best)] if evidence.final else []


def _ran(evidence: Evidence) -> Iterator[Block]:
    yield what_ran(evidence)
    if lines := views_lines(evidence.notes):
        yield Paragraph("Views that were chosen (auto), by category and number of shots:")
        yield Bullets(lines)


def _ranking(evidence: Evidence) -> Iterator[Block]:
    trials = shown_trials(evidence)
    table = ranking_table(evidence, trials)
    if table.rows:
        alt = "Average accuracy of each trial, seed by seed"
        yield Plot("ranking", alt, CAPTIONS["ranking"], lambda: draw_ranking(evidence, trials))
        yield table
    else:
        yield Paragraph("No trial can be ranked yet.")
    if (omitted := len(evidence.board) - len(trials)) > 0:
        yield Paragraph(f"{omitted} more ranked trials are in summary.csv.", small=True)
    if unranked := sorted(set(not_stopped(evidence.folds)["trial"]) - set(evidence.board["trial"])):
        listed = ", ".join(map(str, unranked))
        yield Paragraph(f"Without an average, for want of finished folds: trials {listed}.", small=True)


def _heads(evidence: Evidence) -> Iterator[Block]:
    heads = head_scores(evidence)
    if len(heads):
        yield Plot("heads", "Average accuracy of each head", CAPTIONS["heads"], lambda: draw_heads(heads))


def _folds(evidence: Evidence) -> Iterator[Block]:
    matrix = fold_matrix(evidence)
    yield Plot(
        "heatmap",
        "Accuracy of every trial on every fold",
        CAPTIONS["heatmap"],
        lambda: draw_heatmap(matrix),
    )
    if matrix.omitted:
        shown = f"Shown are the best {len(matrix.trials)} trials; {matrix.omitted} more are in folds.csv."
        yield Paragraph(shown, small=True)


def _leave_one_out(evidence: Evidence) -> Iterator[Block]:
    table = leave_one_out_table(evidence)
    if table.rows:
        yield from _explained("leave_one_out", table)
    else:
        needs = "it needs two categories that every trial has, to choose on one and score on the other"
        yield Paragraph(f"Impossible here: {needs}.")


def _measures(evidence: Evidence) -> Iterator[Block]:
    nothing = [Paragraph("There are no predictions of a best trial to measure.")]
    yield from _explained("measures", best_scores(evidence)) or nothing
    if detection := best_detection(evidence):
        yield Heading("Detection first")
        yield from _explained("detection", detection)


def _confusion(evidence: Evidence) -> Iterator[Block]:
    matrices = confusion_matrices(evidence)
    yield _note("confusion") if matrices else Paragraph("There are no predictions of a best trial to count.")
    yield from confusion_tables(matrices)


def _gallery(answers: Sequence[Block]) -> list[Block]:
    return [_note("gallery"), *answers] if answers else []


def _swept(axes: list[Axis]) -> Iterator[Block]:
    if axes:
        yield Plot(
            "parallel",
            "Parallel coordinates of the swept keys",
            CAPTIONS["parallel"],
            lambda: draw_parallel(axes),
        )
    else:
        yield Paragraph("Nothing is swept, or no trial is ranked yet.")
    yield Heading("Importances")
    shares, reason = importances(axes)
    if shares:
        alt = "Importance of each swept key"
        yield Plot("importances", alt, CAPTIONS["importances"], lambda: draw_importances(shares))
    else:
        yield Paragraph(f"Cannot be estimated: {reason}.")
    if axes:
        yield Heading("Slices")
        alt = "Average accuracy against each swept key"
        yield Plot("slices", alt, CAPTIONS["slices"], lambda: draw_slices(axes))


def _figures(evidence: Evidence) -> Iterator[Block]:
    """Yield the figures that sweep.json names, t-SNE first."""
    files = [PurePosixPath(file) for file in evidence.notes.get("figures", {}).get("files", [])]
    if files:
        yield _note("figures")
    for kind, shows in _FIGURES.items():
        for file in files:
            if file.stem.endswith(f"-{kind}"):
                yield Picture(shows.format(file.stem.removesuffix(f"-{kind}")), str(file))


def _spent(evidence: Evidence) -> Iterator[Block]:
    yield what_was_spent(evidence)
    yield _note("spent")
    if stages := seconds_per_stage(evidence):
        yield stages
    times = time_and_accuracy(evidence)
    if (table := unbeaten_trials(evidence, times)) is not None:
        yield Heading("Accuracy against time")
        alt = "Average accuracy of each trial against the seconds of its folds"
        yield Plot("pareto", alt, CAPTIONS["pareto"], lambda: draw_pareto(times))
        yield table


def _failures(evidence: Evidence) -> Iterator[Block]:
    yield failures(evidence) or Paragraph("No fold failed.")
    warnings = [str(warning) for warning in evidence.notes.get("warnings", [])]
    yield Bullets(warnings) if warnings else Paragraph("No warnings.")
