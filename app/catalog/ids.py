"""The ids of datasets: what one may be, and how one is made of a store's name."""

from __future__ import annotations

import re
from typing import Final

DATASET_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ID_RULE: Final = (
    "an id is a string of at most 128 letters, digits, '.', '_' and '-', not led by a sign"
)
# `.zarr` and `.zip`, but not the year of `air.2024`.
_EXTENSION: Final = re.compile(r"(?<=[^.])\.[A-Za-z][A-Za-z0-9]*\Z")


def stem_of(name: str) -> str:
    """The name of a store without its extension, which begins with a letter."""
    return _EXTENSION.sub("", name)
