"""`python -m sweeps`: the command line, where the command `fsamc` is not installed, as in a job on a cluster."""

import sys

from sweeps.cli import main

sys.argv[0] = "fsamc"  # which MLflow shows as the source of runs
main()
