"""Heads without pretraining: fitted to the support alone in an instant, or compared with it as it is."""
