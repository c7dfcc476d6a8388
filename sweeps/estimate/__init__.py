"""Estimates of a sweep's size, time and memory."""
