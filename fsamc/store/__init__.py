"""Content-addressed arrays on disk."""
