"""OUT, the results folder of a sweep: files, tables, identity."""
