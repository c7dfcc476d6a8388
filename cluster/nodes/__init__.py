"""Nodes of a cluster: inventory, checks, the probe of its head."""
