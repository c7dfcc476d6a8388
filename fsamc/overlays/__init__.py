"""Heat maps of images at their own size, and images with them laid over: why something was called what it was."""
