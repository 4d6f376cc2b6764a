"""``${NAME}`` in a catalog's strings: what the file leaves out, secrets above all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sluice.errors import CatalogError

# In this order: the escape, a reference, and a reference that was begun but names no variable.
_MARKS = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def filled(value: Any, environment: Mapping[str, str], *, field: str) -> Any:
    """`value` with each ``${NAME}`` in it replaced by that variable of `environment`.

    Strings at any depth of mappings and lists are looked at, keys of mappings are not. What is put
    in is text and is not looked at again. ``$${`` stands for ``${`` itself; any other ``$`` stays.

    Raises CatalogError for a variable that is not set and for a ``${`` that names none; it carries
    the dotted path below `field`, and no value.
    """
    match value:
        case str():
            return _MARKS.sub(lambda mark: _meant(mark, environment, field), value)
        case Mapping():
            return {
                name: filled(inner, environment, field=f"{field}.{name}" if field else str(name))
                for name, inner in value.items()
            }
        case list():
            return [
                filled(inner, environment, field=f"{field}.{place}")
                for place, inner in enumerate(value)
            ]
        case _:
            return value


def _meant(mark: re.Match[str], environment: Mapping[str, str], field: str) -> str:
    if mark[0] == "$${":
        return "${"
    variable = mark[1]
    if variable is None:
        # The text is not repeated: it may be a password that happens to hold these signs.
        raise CatalogError(
            "a variable of the environment is written ${NAME}, the text '${' itself '$${'",
            field=field,
        )
    if variable not in environment:
        raise CatalogError(
            f"the environment variable {variable} is not set", field=field, variable=variable
        )
    return environment[variable]
