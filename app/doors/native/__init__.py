"""The paths ``sel`` and ``isel``: labels and positions as text in a URL, or as a JSON object."""
