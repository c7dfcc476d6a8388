"""Networks behind `features.backbone`, a file for each kind. Importing them loads no torch."""
