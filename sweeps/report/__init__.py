"""The report of a sweep: report.md, one self-contained report.html, and the plots they show."""
