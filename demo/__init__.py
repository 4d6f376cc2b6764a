"""``./run demo``: a sample store, a server over it, and three requests to paste."""
