"""A Dataset in memory -> media type and bytes; a table of small objects, no web framework."""
