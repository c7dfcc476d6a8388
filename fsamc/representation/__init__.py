"""Representation of images for heads: region, parts, units, views."""
