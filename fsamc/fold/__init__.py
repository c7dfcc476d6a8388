"""One fold: from images to accuracy."""
