"""Pseudo-defects: masks, foregrounds, pseudo-classes, the preview."""
