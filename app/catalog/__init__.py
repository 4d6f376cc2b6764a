"""Which datasets there are, and which of them are open."""
