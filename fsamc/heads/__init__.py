"""Heads, which turn residual maps into a class: a file each, behind `base.Head`; their settings in `head_kinds`."""
