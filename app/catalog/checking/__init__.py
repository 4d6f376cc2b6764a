"""``sluice check``: what is wrong with the datasets of a catalog, and how to fix it."""
