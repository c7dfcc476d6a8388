"""Plans: their settings, files, keys and checks."""
