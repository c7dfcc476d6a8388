"""Picture files of every kind to pixel values."""
