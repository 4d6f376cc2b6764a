"""Attacks on a real server from outside: ``python -m loadtests.attack``."""
