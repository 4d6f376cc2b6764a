"""HTML that is escaped by construction: a text is text, whatever it holds.

What somebody else wrote (titles, attributes, names) reaches a page through `tag` alone, which takes
a plain `str` for text and escapes it (HTML Living Standard, section 13.3). Only `Html` goes as is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


# None is nothing, so that a part can be left out in its place.
Child: TypeAlias = "Html | str | Iterable[Child] | None"

# Elements without an end (section 13.1.2).
_VOID: Final = frozenset({"input", "img", "link", "meta", "br", "hr"})
# What would end a script element, or be no JavaScript before ECMAScript 2019.
_IN_SCRIPT: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element; ``class_`` is ``class``, ``data_root`` is ``data-root``.

    An attribute that is True stands without a value; False and None leave it out.
    """
    told = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Child) -> Html:
    """These parts one after another, each escaped that is not `Html`."""
    match children:
        case None:
            return Html("")
        case Html():
            return children
        case str():
            return Html(escape(children))
        case _:
            return Html("".join(joined(child) for child in children))


def data_block(kind: str, value: object, id: str | None = None) -> Html:
    """JSON inside a script element of media type `kind`, which browsers do not run.

    A `value` of bytes is JSON already.
    """
    text = value.decode() if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    for sign, spelled in _IN_SCRIPT.items():
        text = text.replace(sign, spelled)
    return tag("script", Html(text), type=kind, id=id)


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
