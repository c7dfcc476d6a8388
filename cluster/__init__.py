"""Cluster: where folds run: the fold service, bank actors, the Ray runtime, job submission."""

PACKAGES = ("fsamc", "cluster", "sweeps")
