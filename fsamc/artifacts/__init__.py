"""Artifacts that folds share, each in one file: its key, what it needs, how it is built, its size, who serves it."""
