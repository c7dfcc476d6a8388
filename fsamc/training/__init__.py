"""Training of heads: the loop, episodes, MAML's inner loop."""
