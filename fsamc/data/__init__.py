"""Image folders: categories, pictures, textures, inspection, the mirror of object stores, demo data."""
