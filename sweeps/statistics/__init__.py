"""Statistics of scores that several rooms share, on plain numbers."""
