"""Reports of typed blocks, and what renders them: Markdown, one HTML page, a terminal."""
