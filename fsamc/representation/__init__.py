"""What a head sees of an image: region, parts, units, views."""
