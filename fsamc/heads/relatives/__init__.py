"""Heads of the few-shot methods that the paper cites beside those that it tries."""
