"""Plots of a report: each file holds what one plot is made of and how it is drawn."""
