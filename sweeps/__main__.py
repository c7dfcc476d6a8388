"""`python -m sweeps`: the command line, where the command `fsamc` is not installed, as in a job on a cluster."""

from sweeps.cli import main

main()
