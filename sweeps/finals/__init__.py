"""Final of a sweep: what was chosen, scored on images that had no say in the choice."""
