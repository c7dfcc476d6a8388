"""Classifier of single images: naming a defect's type, and saying when it is none that was shown."""
