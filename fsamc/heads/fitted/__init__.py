"""Heads that train nothing: fitted to the support in closed form, or compared with it as it is."""
