"""Names the type of an industrial defect from one to five examples of each type."""

__version__ = "0.1.0"
