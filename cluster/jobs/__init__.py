"""Ray jobs: packaging, submission, the streamed log."""
