"""Progress of a sweep: events, counts, the terminal, the summary."""
