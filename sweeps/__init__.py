"""Sweeps, what is asked for: plans, search, trials, tracking, report, the command line."""
