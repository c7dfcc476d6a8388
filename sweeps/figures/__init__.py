"""Figures of a trial: t-SNE and pseudo-defect sheets."""
