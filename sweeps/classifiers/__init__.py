"""Classifiers on the command line: fitted by a plan, asked about pictures, changed, and what is said of them."""
