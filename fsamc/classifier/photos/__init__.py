"""Photos of a classifier: what its head sees of them, how they are called, and where they lie on this machine."""
