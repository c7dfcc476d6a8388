"""The measurement of a GPU needs torch, NumPy and fsamc alone: also where nothing else can be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("bench_gpu.py")
WITHOUT = "ray mlflow optuna faiss cv2 torchvision timm tifffile imagecodecs sklearn pandas matplotlib rich typer"
RUN = f"""
import runpy, sys

class Without:
    # finds all but these

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        missing = name.partition(".")[0] in {WITHOUT.split()!r}
        return None if missing else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", RUN, str(SCRIPT), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


def test_it_is_loaded_without_them_and_says_that_there_is_no_gpu():
    done = run()
    assert done.stderr == "no GPU here: give --device cpu --small, which says nothing of a GPU\n"
    assert done.returncode == 2


@pytest.mark.parametrize("part", ["coreset"])
@pytest.mark.slow
def test_a_part_by_itself(part):
    done = run("--device", "cpu", "--small", "--only", part)
    assert done.returncode == 0, done.stderr
    assert f"\n{part}: " in done.stdout


@pytest.mark.slow
def test_every_part_runs_on_a_cpu_and_agrees():
    done = run("--device", "cpu", "--small")
    assert done.returncode == 0, done.stderr
    assert "a CPU with 1 threads, tiny sizes: no figure means anything" in done.stdout
    for part in ("features", "coreset", "nearest_rows", "folds", "paper_fold", "predictions", "memory"):
        assert f"\n{part}: " in done.stdout
    assert "DIFFERS" not in done.stdout
    assert done.stdout.endswith("all agree\n")
