"""What a catalog entry keeps secret, and errors that do not repeat it.

Libraries put option values and URLs into their errors, and errors end up in logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from sluice.errors import SluiceError, StoreError

from .entry import DatasetEntry

# Options whose values help to find a mistake and open no door; all others are taken for secrets.
_HARMLESS: Final = frozenset(
    {
        "account_name",
        "addressing_style",
        "compression",
        "default_cache_type",
        "endpoint_url",
        "mode",
        "profile",
        "project",
        "region_name",
        "remote_protocol",
        "signature_version",
    }
)
# Shorter texts are no secrets, and hiding them would tear words apart.
_SHORTEST: Final = 4


def secrets_of(entry: DatasetEntry) -> tuple[str, ...]:
    """The texts in `entry` that nobody else may read, in each spelling of a URL; longest first."""
    found = {text.strip() for text in _secrets(entry)}
    spelled = {form for text in found for form in (text, quote(text), quote(text, safe=""))}
    return tuple(sorted((s for s in spelled if len(s) >= _SHORTEST), key=len, reverse=True))


def _secrets(entry: DatasetEntry) -> Iterator[str]:
    yield from _in_url(entry.url)
    yield from _in_options(entry.storage_options, "")


def _in_options(value: Any, name: str) -> Iterator[str]:
    match value:
        case str() if "://" in value or name == "fo":
            yield from _in_url(value)
        case str() if name not in _HARMLESS:
            yield value
        case Mapping() if name != "fo":
            for inner_name, inner in value.items():
                yield from _in_options(inner, str(inner_name))
        case list():
            for inner in value:
                yield from _in_options(inner, name)
        case _:
            pass


def _in_url(url: str) -> Iterator[str]:
    """The password of `url` and its query, whole and by its parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        yield url
        return
    yield from filter(None, (parts.password, parts.query))
    yield from (value for _, value in parse_qsl(parts.query))


def discreet(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with an ellipsis for each of the `secrets`."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def discreet_error(error: Exception, entry: DatasetEntry) -> Exception:
    """`error` itself if it tells no secret of `entry`, else its like that does not.

    The like has no cause: the words of the libraries below told the secret in the first place.
    """
    secrets = secrets_of(entry)
    facts = error.facts if isinstance(error, SluiceError) else {}
    told = [repr(facts), *map(str, _chain(error))]
    if not any(secret in text for secret in secrets for text in told):
        return error
    words = discreet(str(error), secrets)
    if not isinstance(error, SluiceError):
        return StoreError(f"{type(error).__name__}: {words}")
    hidden = {n: discreet(f, secrets) if isinstance(f, str) else f for n, f in facts.items()}
    return type(error)(words, **hidden)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, what it was raised from and what it groups, each once: a chain can be a circle."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        link = left.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        left += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            left += link.exceptions
