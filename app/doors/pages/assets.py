"""The files that pages load: scripts joined to one, styles joined to one, the coastline, the icon.

Browsers keep them for ever, since each name holds a hash of the content. They are joined and
compressed when they are first asked for, once per process; there is no build step.

The scripts are ES modules (``static/*.js``) that import each other by name alone. `join_scripts`
puts one behind the other, in the order of their imports, so that one request brings all of them:
what it takes for an import or an export is what `_IMPORT` and `_EXPORT` match, and no two modules
may declare the same name. Long names become short ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import ascii_letters
from typing import Final

import numpy as np

from sluice.aliases import record
from sluice.encoders.colormaps import palette
from sluice.encoders.formats import compress_once

# The module that starts everything; it imports the others, directly or not.
ENTRY: Final = "explorer"
_STYLES: Final = ("vendor/uPlot.min.css", "base.css", "explorer.css")
_HASH_SIGNS: Final = 12
# As `state.js` has them.
_MAPS: Final = ("viridis", "cividis", "magma", "balance", "turbo")

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "\./([a-z_]+)\.js";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.M)
# Comments with two stars, those with slashes on lines of their own, blanks at the ends of lines.
# What else is a comment stays: to tell it from text would be parsing.
_COMMENT: Final = re.compile(r"/\*\*(?:(?!\*/)(?s:.))*\*/ ?|^[ \t]*//[^\n]*$", re.MULTILINE)
_BLANKS: Final = re.compile(r"^\s+|[ \t]+$", re.MULTILINE)
# What blanks around signs do not change: texts, templates and patterns (after whose slash is no
# blank, as there is in every division here).
_TEXT: Final = re.compile(
    r'("(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`'
    r"|'(?:[^'\\]|\\.)*'"
    r"|/(?![ /*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\]|\\.)*\])+/[a-z]*)"
)
_SIGN: Final = re.compile(r" ?([=<>?:;,(){}\[\]&|!*]+) ?")
# Once those are gone: the signs of sums and quotients, and the only name before an arrow.
_BINARY: Final = re.compile(r"(?<=[\w)\]]) ?([-+/%]) (?=[\w(])")
_ARROW: Final = re.compile(r"(?<![\w$)])\(([A-Za-z_$][\w$]*)\)(?==>)")
# (What ends with a brace is a whole statement or method: all others end with a semicolon.)
_OPEN: Final = ("{", "}", ";", ",", "(", "[", "=", ">", "?", ":", "&", "|")
_CLOSING: Final = (")", "}", "]")
_GOING_ON: Final = (*_CLOSING, "?", ":", ".", "&", "|")
# What a cast of types leaves: a name in parentheses that no arrow follows.
_CAST: Final = re.compile(r"(?<=[=(,:\[?])\(([A-Za-z_$][\w$.#]*|\[\])\)(?! ?=>)")
# Shorter words for the same; what is never assigned anew can be what could be.
_SHORTER: Final = {
    "const": "let",
    "true": "!0",
    "false": "!1",
    "undefined": "void 0",
    "Number.NaN": "NaN",
    "Number.POSITIVE_INFINITY": "Infinity",
}
_WORDY: Final = re.compile(r"\b(?:const|true|false|undefined|Number\.(?:NaN|POSITIVE_INFINITY))\b")
# Statements after one another, of a line each, that can be one.
_LETS: Final = re.compile(r"^(?:let .*;\n)+let ", re.MULTILINE)
_PRIVATE: Final = re.compile(r"(?<=[\s.;{}])#(\w+)")
# What a module declares: one name, or those that it takes out of a list or an object.
_TOP: Final = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) ([\w$]+|[\[{][^\]}]*[\]}])", re.M
)
_NAME: Final = re.compile(r"[\w$]+")
_LONG: Final = re.compile(r"[A-Z_]{4,}|[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*")
_LEFT_OVER: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


@record
class Asset:
    """One file as it is sent: its media type, and its bytes."""

    media_type: str
    content: bytes

    def form(self, coding: str | None) -> bytes:
        """The bytes in a content coding (None: as they are); compressed when it is asked for first,
        which takes a third of a second for the longest.
        """
        return self.content if coding is None else _packed(coding, self.content)


@record
class Assets:
    """All files by the names they are asked for by; `names` has those by the names of their kind.

    The kinds are ``explorer.js``, ``explorer.css``, ``icon.svg``, ``land.json`` and, for who looks
    closely, ``fine.json``.
    """

    files: Mapping[str, Asset]
    names: Mapping[str, str]


@cache
def load_assets() -> Assets:
    """The assets of this installation, made once."""
    static = files(__package__) / "static"
    contents = {
        "explorer.js": ("text/javascript", _scripts(static)),
        "explorer.css": ("text/css", "\n".join(_text(static, name) for name in _STYLES)),
        "land.json": ("application/json", _text(static, "vendor/land-110m.json")),
        "fine.json": ("application/json", _text(static, "vendor/land-50m.json")),
        "icon.svg": ("image/svg+xml", _text(static, "icon.svg")),
    }
    found: dict[str, Asset] = {}
    names: dict[str, str] = {}
    for kind, (media_type, text) in contents.items():
        content = text.encode()
        stem, _, ending = kind.rpartition(".")
        names[kind] = f"{stem}-{sha256(content).hexdigest()[:_HASH_SIGNS]}.{ending}"
        found[names[kind]] = Asset(f"{media_type}; charset=utf-8", content)
    return Assets(found, names)


@cache
def _packed(coding: str, content: bytes) -> bytes:
    # Once per process there is time for the best of it.
    return compress_once(coding, content)


@cache
def colour_steps() -> bytes:
    """The colours of pictures as JSON: red, green and blue of each map, the level of the first of
    256 colours and the step to each other one, which compress well.
    """
    maps = {name: palette(name, 256).T.astype(int) for name in _MAPS}
    steps = {name: np.diff(parts, prepend=0).tolist() for name, parts in maps.items()}
    return json.dumps(steps, separators=(",", ":")).encode()


def _scripts(static: Traversable) -> str:
    """The chart library and all modules as one module."""
    modules = {
        item.name.removesuffix(".js"): item.read_text(encoding="utf-8")
        for item in static.iterdir()
        if item.name.endswith(".js")
    }
    return f"{_text(static, 'vendor/uPlot.iife.min.js')}\n{join_scripts(modules, ENTRY)}"


def _text(static: Traversable, name: str) -> str:
    return static.joinpath(*name.split("/")).read_text(encoding="utf-8")


def join_scripts(modules: Mapping[str, str], entry: str) -> str:
    """One module that does what `entry` does with all that it imports.

    Raises ValueError for a module that is not there, for imports in a circle, for an import or
    export in a form that is not known, and for a name that two modules declare.
    """
    taken: dict[str, str] = {}
    order = _in_order(modules, entry, (), set())
    joined = "".join(_bare(name, modules[name], taken) for name in order)
    return _renamed(joined, taken)


def _in_order(
    modules: Mapping[str, str], name: str, above: tuple[str, ...], done: set[str]
) -> Iterator[str]:
    """`name` and what it imports, each once, what is imported first."""
    if name in above:
        raise ValueError(f"imports in a circle: {' -> '.join((*above, name))}")
    if name not in modules:
        raise ValueError(f"{above[-1] if above else 'the page'} imports {name}, which is not there")
    if name in done:
        return
    for _, other in _IMPORT.findall(modules[name]):
        yield from _in_order(modules, other, (*above, name), done)
    done.add(name)
    yield name


def _bare(name: str, text: str, taken: dict[str, str]) -> str:
    """One module without its imports and exports; `taken` says whose the names are so far."""
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    body = _BLANKS.sub("", _COMMENT.sub("", body))
    if any(line.count("`") % 2 for line in body.splitlines()):
        raise ValueError(f"{name}.js: a text of several lines, which would lose its blanks")
    if left := _LEFT_OVER.search(body):
        raise ValueError(f"{name}.js: an import or export of another form: {left[0]}")
    for declared in _TOP.findall(text):
        for own in _NAME.findall(declared):
            if taken.setdefault(own, name) != name:
                raise ValueError(f"{name}.js: {taken[own]}.js has a {own} too")
    return _tight(body)


def _renamed(code: str, names: Iterable[str]) -> str:
    """Short names for what modules declare, where a name is no word of people, and is nothing else
    anywhere: of constants, and of functions that are only ever called.
    """
    short: dict[str, str] = {}
    places: dict[str, list[tuple[int, int]]] = {}
    for word in re.finditer(r"\w+", code):
        places.setdefault(word[0], []).append(word.span())
    for name in names:
        if not _LONG.fullmatch(name):
            continue
        found = places.get(name, [])
        is_called = name.isupper() or all(code[end] == "(" for _, end in found)
        if is_called and not any(code[start - 1] in ".#\"'`" for start, _ in found):
            short[name] = f"${_letters(len(short))}"
    if not short:
        return code
    return re.sub(r"\w+", lambda word: short.get(word[0], word[0]), code)


def _letters(number: int) -> str:
    more, letter = divmod(number, len(ascii_letters))
    return f"{'$' * more}{ascii_letters[letter]}"


def _tight(body: str) -> str:
    """The same without blanks around signs, and with short names for private members.

    Lines with a template inside of a template stay: to know where a text ends in them would be
    parsing.
    """
    lines = [
        line if line.count("`") > 2 else _closer(line) for line in body.rstrip("\n").split("\n")
    ]
    lines = _LETS.sub(lambda found: found[0].replace(";\nlet ", ","), "\n".join(lines)).split("\n")
    joined = ""
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        # A comment ends with its line.
        is_open = "//" not in line and (line[-1:] in _OPEN or after[:1] in _GOING_ON)
        if is_open and after[:1] in _CLOSING:
            line = re.sub("[;,]$", "", line) if after[:1] == "}" else line.removesuffix(",")
        joined += line if is_open else f"{line}\n"
    known = dict.fromkeys(_PRIVATE.findall(joined))
    short = {name: f"#{_letters(at)}" for at, name in enumerate(known)}
    return _PRIVATE.sub(lambda found: short[found[1]], joined)


def _closer(line: str) -> str:
    parts = _TEXT.split(line)
    for at in range(0, len(parts), 2):
        part = _BINARY.sub(r"\1", _SIGN.sub(r"\1", parts[at]))
        part = _ARROW.sub(r"\1", _CAST.sub(r"\1", part).replace(";}", "}"))
        parts[at] = _WORDY.sub(lambda found: _SHORTER[found[0]], part)
    return "".join(parts)
