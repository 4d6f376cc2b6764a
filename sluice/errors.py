"""What the library raises on purpose, as one tree; and texts of errors that people may read.

    SluiceError                    carries a sentence and the facts behind it
    ├── QueryError                 a label or a name cannot be understood
    ├── SelectionError             understood, but this dataset cannot satisfy it
    ├── LimitError                 it would cost more than a limit allows
    ├── NotAcceptable              the format has no form for this dataset
    ├── CatalogError               what says where a store is, and how to read it, is wrong
    ├── NotLoaded                  a lazy variable was touched without awaiting it
    └── StoreError                 the store did not do its part
        ├── StoreRefused           credentials or permissions (also a PermissionError)
        ├── StoreMissing           bucket, root or store is not there (also a FileNotFoundError)
        ├── StoreTimeout           no answer in time (also a TimeoutError)
        ├── StoreFaltered          it hung up, sent too little, or answered that it cannot now
        │   └── StoreSlow          it answered that it is only slow
        ├── StoreOversized         a value has more bytes than it may
        ├── ReferenceRefused       a reference leads where the catalog entry does not let it
        ├── StoreUnavailable       it failed so often that its circuit is open
        ├── MetadataError          metadata documents absent or broken (also a ValueError)
        │   └── MisalignedGroup    a group does not fit those that it lies in
        ├── StoreTooLarge          its metadata asks for more than an opening may take
        └── CorruptChunk           a chunk does not decode to its declared shape

Nothing here knows HTTP. A missing *key* is never an error: sources answer ``None`` for it.

Texts: `plain_words` says in the store's own terms what other libraries say of a broken store, for
an operator knows the store and not Python; `redacted` takes secrets out of URLs; `excerpt` and
`shown` keep long values short.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final


class SluiceError(Exception):
    """One sentence for people (`detail`) and plain values for programs (`facts`)."""

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def __str__(self) -> str:
        # KeyError and OSError, which some subclasses also are, would quote or number the text.
        return self.detail


class QueryError(SluiceError):
    """The request cannot be parsed: the text itself is wrong, whatever the dataset holds."""


class SelectionError(SluiceError):
    """The request was parsed, but this dataset has nothing that satisfies it."""


class LimitError(SluiceError):
    """The request would touch or return more than a limit allows; at most texts were read."""


class NotAcceptable(SluiceError):
    """None of the known formats is one that the client accepts."""


class CatalogError(SluiceError):
    """The catalog, or its keys, cannot be used; the sentence names the entry and the field."""


class NotLoaded(SluiceError, RuntimeError):
    """A lazy variable was read synchronously; the sentence says what to await instead."""


class StoreError(SluiceError):
    """The store failed, for a reason that is not the client's."""


class StoreRefused(StoreError, PermissionError):
    """The store refused the credentials or the permission."""


class StoreMissing(StoreError, FileNotFoundError):
    """The bucket, the root or the Zarr store itself is not there."""


class StoreTimeout(StoreError, TimeoutError):
    """The store did not answer in time."""


class StoreFaltered(StoreError):
    """The store, or the way to it, failed in a way that may pass: another try may succeed."""


class StoreSlow(StoreFaltered):
    """The store is well and asks for fewer requests just now.

    The fact `retry_after` is how many seconds it wants to be left, None where it says nothing.
    """


class StoreOversized(StoreError):
    """A value in the store is larger than its metadata, or a limit, allows; it was not read on."""


class ReferenceRefused(StoreError):
    """A reference of a document leads where its catalog entry does not let it.

    The fact `root` is what would have to be added to the entry's `reference_roots`.
    """


class StoreUnavailable(StoreError):
    """The store was not asked: it failed so often that its circuit is open.

    The fact `retry_after` tells in how many seconds it is asked again.
    """


class MetadataError(StoreError, ValueError):
    """The store's metadata documents are absent, unreadable or contradict each other."""


class MisalignedGroup(MetadataError):
    """A group of a hierarchy is not aligned with those whose coordinates it would inherit.

    The fact `group` is its path.
    """


class StoreTooLarge(StoreError):
    """The store has more metadata, attributes or variables than opening one may take."""


class CorruptChunk(StoreError):
    """A stored chunk does not decode to the shape that its metadata declares.

    The fact `variable` names what was read, where that is known.
    """


# What JSON calls the types and values that Python's words name.
_KINDS: Final = {
    "dict": "an object",
    "list": "a list",
    "tuple": "a list",
    "str": "text",
    "bytes": "text",
    "int": "a number",
    "float": "a number",
    "complex": "a number",
    "bool": "true or false",
    "NoneType": "null",
}
_VALUES: Final = {"None": "null", "True": "true", "False": "false", "nan": "NaN"}


def _as_json(text: str) -> str:
    """Python's form of an object in JSON's; the text itself where it is none."""
    try:
        return json.dumps(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


_PACKAGE: Final = r"the codec '\1' is not known, or its package is not installed"
_OPTION: Final = r"the option \1 is unknown"

# From sentences of zarr-python, numcodecs, numpy and xarray to the store's terms, in this order.
_TRANSLATIONS: Final[Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]] = (
    (
        r"No Zarr data type found that matches (?:\{'name': )?('[^']*'|[^,{}]+)[^.]*",
        r"the data type \1 is not known",
    ),
    (r"Invalid data_type: ([^.]*)", r"the data type \1 is not known"),
    (r"codec not available: '+([^']*)'+", _PACKAGE),
    (r"Unknown codec: '+([^']*)'+", _PACKAGE),
    (r"(?:\w+\.__init__\(\) )?got an unexpected keyword argument ('[^']*')", _OPTION),
    (r"(?:\w+\.)?\w+\(\) missing \d+ required [\w-]+ arguments?: ([^.]*)", r"it lacks \1"),
    (r"zip\(\) argument \d is (?:longer|shorter)[^.]*", "two lists in it differ in length"),
    (r"integer (?:division or )?modulo by zero|division by zero", "a length in it is 0"),
    (r"ufunc '\w+' did not contain[^.]*", "an attribute is text where a number belongs"),
    (r"Invalid compressor\..*", "its compressor is no object with an id"),
    (
        r"Array metadata contains storage transformers: .*?at this time",
        "storage transformers are not read",
    ),
    (r"Named configuration does not have a '(\w+)' key\. Got (\{[^}]*\})", r"\2 lacks '\1'"),
    (r"'?Zarr object is missing the .(\w+). [^.]*", r"it does not name its dimensions (\1)"),
    (r"Expecting value: line (\d+) column (\d+)(?: \(char \d+\))?", r"at line \1, column \2"),
    (r"(?: starting at)?: line (\d+) column (\d+) \(char \d+\)", r" at line \1, column \2"),
    (
        r"When changing to a (?:larger|smaller) dtype[^.]*",
        "it has another number of bytes than its data type and chunk shape need",
    ),
    (r"Exceeds the limit \((\d+) digits\).*", r"a number in it has more than \1 digits"),
    (r"'([\w-]+)' codec can't decode .*", r"it is no text in \1"),
    (r"Unknown chunk key encoding: .*?('[^']*').*", r"its chunk_key_encoding \1 is not known here"),
    (r"Unknown chunk grid\. Got (\w+)\.?", r"its chunk_grid '\1' is not known here"),
    (r"All-NaN slice encountered", "all its values are missing"),
    (r"Expected either None or an iterable of str[^.]*", "they are no list of texts"),
    (r"\bcan only convert an array of size 1[^.]*", "an attribute is a list and no number"),
    (r"<class '(?:\w+\.)*(\w+)'>", lambda found: _KINDS.get(found[1], "something else")),
    (r"(?<=Expected )(dict|list|tuple|str|int|float|bool)\b", lambda found: _KINDS[found[1]]),
    (r"\ban iterable of integers\b", "a list of whole numbers"),
    (r"\ban iterable of (?:str|strings)\b", "a list of texts"),
    (r"is not valid: ('\w+')$", r"is not valid: it lacks \1"),
    (r"unable to decode time units ('.*?') with [^.]*", r"the time units \1 are not understood"),
    (r"time values outside range[^.]*", "a time among them is beyond what any calendar holds"),
    (r"maximum recursion depth exceeded[^.]*", "it is nested too deeply"),
    (r"\{'[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", lambda found: _as_json(found[0])),
    (r"(?<![\w`])`(\w+)`(?![\w`])", r"\1"),
)  # fmt: skip

# What means that a sentence is about code: classes, calls, addresses, and Python's own messages.
_CODE: Final = re.compile(
    r"\b\w*[a-z](?:Error|Exception|Warning)\b|Traceback|\bErrno\b|\bNone(?:Type)?\b|__\w+__|\w\(\)"
    r"|0x[0-9a-f]{6}|<class|<function|<\w+(?:\.\w+)* object|\bargument\b"
    r"|has no attribute|is not (?:callable|iterable|subscriptable)"
    r"|unhashable|to unpack|isinstance"
    r"|\b(?:list|tuple|string) ind(?:ex|ices)\b"
    r"|dtype\(|invalid literal|could not convert|\bself\b|\bnumpy\.|\bufunc\b|must be \w+, not"
    r"|unsupported operand|\biterable\b|not supported between|can only concatenate|out of range"
    r"|sequence element"
)

_QUOTED_CODE: Final = re.compile(r"'\w+' object (?:is|has|cannot|does|of)|'NoneType'")

# Names and values of the store inside a library's sentence: in quotes, or paths.
_QUOTED: Final = r"(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\"[^\"\n]*\"(?!\w)|\S*/\S*"
_QUOTED_OR_VALUE: Final = re.compile(rf"{_QUOTED}|\b(None|True|False|nan)\b")

_UNTRANSLATED: Final = "a value in it is not of the kind that belongs there"


def plain_words(text: str) -> str:
    """A library's `text` about a document of a store, in terms of the store.

    Where the text is about code, and there is no translation, it says that a value is of the wrong
    kind. It must not have names or values of the store outside of quotes and paths: an array that
    is called ``self`` would be taken for code.
    """
    for pattern, meaning in _TRANSLATIONS:
        text = re.sub(pattern, meaning, text)
    text = _QUOTED_OR_VALUE.sub(lambda found: _VALUES.get(found[1], found[0]), text)
    if not _is_code(text):
        return text
    clauses = text.split(": ")
    sound = next(n for n, _ in enumerate(clauses) if _is_code(": ".join(clauses[: n + 1])))
    return ": ".join([*clauses[:sound], _UNTRANSLATED])


def _is_code(text: str) -> bool:
    """Whether a text speaks of code, outside of what it quotes from the store."""
    if _QUOTED_CODE.search(text) is not None:
        return True
    return _CODE.search(re.sub(_QUOTED, "''", text)) is not None


def excerpt(value: object) -> str:
    """A member of a document as it stands in a sentence: text in quotes, all else as JSON."""
    if isinstance(value, str):
        return repr(_cut(value))
    try:
        return _cut(json.dumps(value, ensure_ascii=False))
    except (RecursionError, ValueError, TypeError):
        return "not readable"


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


# Up to the last of several @: passwords come unescaped, too.
_USERINFO: Final = re.compile(r"(?<=://)[^/\s?#]+@")
_URL_QUERY: Final = re.compile(r"(\w+://[^\s?'\")<>]+)\?[^\s'\")<>]+")


def redacted(text: str) -> str:
    """`text` without what URLs may carry in secret: user names, passwords and query strings."""
    return _URL_QUERY.sub(r"\1?...", _USERINFO.sub("", text))


def shown(target: str) -> str:
    """A target for people: no secrets, one line, not too long."""
    text = redacted(target)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 300 else f"{text[:300]}..."
