"""`fsamc doctor`: what stands in the way of a sweep here, and how to mend it, a file per subject."""

from sweeps.doctor.check import Check, DoctorOptions
from sweeps.doctor.examinations import run_examinations

__all__ = ["Check", "DoctorOptions", "run_examinations"]
