"""The body of a POST, read up to a limit and a deadline: parameters as a JSON object.

What a client may write is JSON (RFC 8259) and nothing besides: neither NaN nor a name twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias

from fastapi import Request

from sluice.errors import QueryError, excerpt

from ...api.request_bodies import LONG_BODY, media_type_of, read_body
from ...errors import NotJson
from .option import Option, unbracketed
from .options import OPTIONS
from .values import Items, Number

Members: TypeAlias = dict[str, list[str] | bool]

_VALUES: Final = "a value is a number, a string, or an array of those that is not empty"


def read_members(data: bytes, options: Mapping[str, Option[object]] = OPTIONS) -> Members:
    """The parameters in `data`, a JSON object, as values for `Grammar.parse_json`.

    Strings are in the grammar of a URL's parameters, an array is a list, true and false are for
    `options` that take them. Raises `QueryError` for what is not such an object; the facts give the
    line and column, or the parameter.
    """
    return {
        name: _value_of(_unicode(name, name), value, options.get(unbracketed(name)))
        for name, value in _document(data).items()
    }


def _document(data: bytes) -> dict[str, object]:
    try:
        document: object = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise QueryError(f"the body is not UTF-8 at byte {error.start}", byte=error.start) from None
    except json.JSONDecodeError as error:
        detail = f"the body is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise QueryError(detail, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise QueryError(f"the body is nested too deeply; {_VALUES}") from None
    if not isinstance(document, dict):
        raise QueryError("the body is not a JSON object of parameters")
    return document


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        twice = Counter(name for name, _ in members).most_common(1)[0][0]
        raise QueryError(f"the body names {excerpt(twice)} twice", parameter=twice)
    return found


def _constant(text: str) -> NoReturn:
    raise QueryError(f"the body is not JSON: {text} is no number")


def _value_of(name: str, value: object, option: Option[object] | None) -> list[str] | bool:
    match value:
        case str():
            return [_text(name, value)]
        case bool() if option is not None and option.is_truth:
            return value
        case [_, *_] if option is not None and not (option.is_list or option.yields):
            raise QueryError(f"{name} takes one value, not an array", parameter=name)
        case [_, *_]:
            return Items([_text(name, item) for item in value])
        case _:
            raise _refused(name, value)


def _text(name: str, value: object) -> str:
    match value:
        case Number():
            return value
        case str():
            return _unicode(name, value)
        case _:
            raise _refused(name, value)


def _unicode(name: str, text: str) -> str:
    r"""The same text; `QueryError` for half a character, which only JSON's ``\ud800`` can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{excerpt(name)} holds half a surrogate pair") from None
    return text


def _refused(name: str, value: object) -> QueryError:
    match value:
        case bool():
            kind = "true or false"
        case dict():
            kind = "an object"
        case []:
            kind = "an empty array"
        case list():
            kind = "an array in an array"
        case _:
            kind = "null"
    return QueryError(f"{excerpt(name)} holds {kind}; {_VALUES}", parameter=name)


async def read_json_body(
    request: Request, options: Mapping[str, Option[object]], *, most_bytes: int, seconds: float
) -> Members:
    """The parameters in the body; see `read_members`.

    Raises NotJson for another media type, QueryError for what is not an object of parameters, and
    what `read_body` raises.
    """
    media_type = media_type_of(request)
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = "POST takes a JSON object of parameters, as Content-Type: application/json."
        raise NotJson(detail, content_type=media_type, known=["application/json"])
    body = await read_body(request, NotJson, most_bytes=most_bytes, seconds=seconds)
    if len(body) > LONG_BODY:
        return await asyncio.to_thread(read_members, body, options)
    return read_members(body, options)
