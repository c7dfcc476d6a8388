"""Checks of a sweep before any work starts."""
