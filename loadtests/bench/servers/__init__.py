"""Contestants that are not Sluice, each an ASGI application over the store in ``BENCH_STORE``."""
