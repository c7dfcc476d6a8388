"""What is asked: plans, search, trials, tracking, report, the command line."""
