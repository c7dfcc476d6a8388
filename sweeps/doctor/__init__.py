"""`fsamc doctor`: what stands in the way of a sweep here, and how to mend it, a file per subject."""

from sweeps.doctor.check import Asked, Check
from sweeps.doctor.rounds import examine

__all__ = ["Asked", "Check", "examine"]
