"""The artifacts that folds share, and how each is built."""
