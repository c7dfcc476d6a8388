"""`fsamc fit`."""

from __future__ import annotations

import shlex
from typing import Any

from sweeps.classifiers.fit_request import FitRequest
from sweeps.cli.options import console, say, signature_of


def fit(**arguments: Any) -> None:
    """Fit a classifier to all photos of each defect class.

    From a category's folder, or from photos in any folders: --good photos/good --class scratch=photos/scratch. Writes
    one file, which `fsamc predict` names pictures with.
    """
    from fsamc.classifier.model_file import read_model
    from sweeps.classifiers.described import described
    from sweeps.classifiers.fitting_photos import check_request, fit_photos
    from sweeps.classifiers.predicting import uncertain_line

    request = FitRequest(**arguments)
    with console.status("checking the plan, the photos and the backbone") as status:
        checked = check_request(request, lambda what, done, of: status.update(f"{what}: {done:,} of {of:,}"))
        for line in checked.told:
            say(f"warning: {line}")
        if checked.rows:
            say(f"bank: {checked.rows} rows, for a small file; base.reference.ratio=0.1 takes that share instead")
        classifier = fit_photos(request, checked, lambda text: status.update(f"computing {text}"))
    for line in described(read_model(request.out)[0], request.out):
        say(line)
    if unsure := uncertain_line(classifier, 0.1):
        say(f"unknown    {unsure}")
    say(f"next       fsamc predict {shlex.quote(str(request.out))} IMAGE|FOLDER...")


fit.__signature__ = signature_of(FitRequest)  # type: ignore[attr-defined]  # Typer reads it
