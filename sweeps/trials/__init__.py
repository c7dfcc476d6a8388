"""Trials on Ray Tune: running, recording, stopping them."""
