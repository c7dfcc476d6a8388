"""Settings of the stages of a fold, and the dotted keys that name their fields."""
