"""What entries of a catalog have in common, said once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sluice.aliases import Document

DEFAULTS: Final = "defaults"
_MERGED: Final = "storage_options"


def inherited(defaults: Document, own: Document) -> dict[str, Any]:
    """The fields of an entry: its `own`, and of the `defaults` those that it does not have.

    Storage options are joined option by option, at every depth. An own one that is null takes an
    inherited one away, and `storage_options: null` all of them.
    """
    fields = {**defaults, **own}
    if _MERGED in defaults and _MERGED in own:
        fields[_MERGED] = _joined(defaults[_MERGED], own[_MERGED])
    return fields


def _joined(inherited: Any, own: Any) -> Any:
    if own is None:
        return {}
    if not isinstance(inherited, Mapping) or not isinstance(own, Mapping):
        return own
    joined = dict(inherited)
    for name, value in own.items():
        if name not in inherited:
            joined[name] = value
        elif value is None:
            del joined[name]
        else:
            joined[name] = _deeper(inherited[name], value)
    return joined


def _deeper(inherited: Any, own: Any) -> Any:
    both = isinstance(inherited, Mapping) and isinstance(own, Mapping)
    return _joined(inherited, own) if both else own
