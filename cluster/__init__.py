"""Where it runs: actors that serve artifacts, the Ray runtime, job submission."""
