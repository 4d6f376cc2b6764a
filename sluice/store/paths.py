"""Keys as full paths below a root, and back."""

from __future__ import annotations

from urllib.parse import quote


def joined(root: str, key: str) -> str:
    """The full path of `key`; web addresses keep their query, and quote what a path cannot hold."""
    if "://" not in root:
        return f"{root}/{key}" if root and key else root or key
    base, mark, query = root.partition("?")
    return f"{base.rstrip('/')}/{quote(key)}{mark}{query}"


def below(path: str, found: list[str]) -> list[str]:
    """Those of the full names `found` that lie below `path`, relative to it."""
    prefix = f"{path.rstrip('/')}/" if path else ""
    # A name that ends in a slash is a console's folder marker, not a value.
    return [
        name[len(prefix) :]
        for name in found
        if name.startswith(prefix) and name != prefix and not name.endswith("/")
    ]
