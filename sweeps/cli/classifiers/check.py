"""`fsamc check`."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from json import dumps
from typing import Annotated, Any

import typer

from sweeps.classifiers.fit_request import PhotosRequest
from sweeps.cli.options import console, say, signature_of

JsonOption = Annotated[bool, typer.Option("--json", help="An object: problems of files, findings of photos.")]


def check(json: JsonOption = False, **arguments: Any) -> None:
    """Check photos before a classifier is trusted.

    Tells of copies and contradictions, of photos that may be mislabelled, of classes that look alike, of anomaly maps
    that lie off the marked defect, and which photo to take next. Exit code 1 where something is to be mended.
    """
    from fsamc.classifier.photo_checks import CheckSettings
    from sweeps.classifiers.checking_photos import check_of

    request = PhotosRequest(**arguments)
    with console.status("checking the photos") as status:
        report = check_of(request, CheckSettings(), lambda text: status.update(f"computing {text}"))
    if json:
        problems = [asdict(one) for one in report.problems]
        findings = [asdict(one) for one in report.findings]
        typer.echo(dumps({"problems": problems, "findings": findings}, indent=2))
    else:
        for problem in report.problems:
            say(f"{'serious' if problem.serious else 'warning'}  {problem.path}: {problem.text}")
        for finding in report.findings:
            say(f"{finding.kind}  {finding.about}: {finding.text}")
        say("nothing to mend" if report.fine else "look at these, mend them, and check again")
    raise typer.Exit(0 if report.fine else 1)


def _signature() -> inspect.Signature:
    own = inspect.signature(check, eval_str=True).parameters["json"]
    request = signature_of(PhotosRequest)
    return request.replace(parameters=[*request.parameters.values(), own.replace(kind=inspect.Parameter.KEYWORD_ONLY)])


check.__signature__ = _signature()  # type: ignore[attr-defined]  # Typer reads it
