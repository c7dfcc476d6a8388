"""Batch inference: one classifier's answers for any number of pictures, computed on all nodes by Ray Data."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import ray
import ray.data

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.outputs.portable_file import save_portable
from fsamc.classifier.prediction import Prediction, Unread
from fsamc.errors import BadInput

BLOCK = 256  # pictures of a task: what is answered again when a node is lost


def predict_on_cluster(
    classifier: DefectClassifier, paths: Sequence[str | Path], *, alpha: float = 0.1, cpus: int = 1
) -> Iterator[Prediction | Unread]:
    """Yield the answers of `classifier.predict_each`, in the same order, computed on the Ray that is up.

    The classifier travels with its network, where that is a file. Pictures do not travel: every node reads its own
    part, so the paths have to lead to them from everywhere. A node that goes takes no answer with it.

    Args:
        classifier: fitted, or loaded.
        paths: of the pictures.
        alpha: as for `DefectClassifier.predict`.
        cpus: of each worker; where there are GPUs each has one.

    Raises:
        BadInput: no worker fits on any node, or the network is not on one and could not travel.
    """
    has = ray.cluster_resources()
    workers = int(has.get("CPU", 0)) // cpus
    gpus = 1 if has.get("GPU", 0) >= 1 else 0
    workers = min(workers, int(has["GPU"])) if gpus else workers
    if not workers:
        raise BadInput(f"the cluster has {has.get('CPU', 0):.0f} CPUs, a worker takes {cpus}; give it fewer")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    blocks = max(1, math.ceil(len(paths) / BLOCK), min(workers, len(paths)))
    pictures = ray.data.from_items([{"path": str(path)} for path in paths], override_num_blocks=blocks)
    content = ray.put(_content(classifier))  # held here, for workers that start again elsewhere
    answers = pictures.map_batches(
        _Worker,
        fn_constructor_args=(content, alpha),
        batch_size=BLOCK,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cpus,
        num_gpus=gpus,
    )
    for row in answers.iter_rows():
        yield row["answer"]


class _Worker:
    """A classifier in a process of a node."""

    def __init__(self, content: ray.ObjectRef[bytes], alpha: float) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "classifier.fsamc"
            file.write_bytes(ray.get(content))
            self.classifier = DefectClassifier.load(file)
        self.alpha = alpha

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answers = np.empty(len(batch["path"]), object)
        answers[:] = list(self.classifier.predict_each(batch["path"].tolist(), alpha=self.alpha))
        return {"answer": answers}


def _content(classifier: DefectClassifier) -> bytes:
    """Return the file of a classifier, with its network unless a library has that."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "classifier.fsamc"
        save_portable(classifier, file)
        return file.read_bytes()
