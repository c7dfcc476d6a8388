"""Classifier of new images: fitted to a few photos of each defect class, kept in one file."""
