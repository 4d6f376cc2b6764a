"""Constraint expressions: which variables a request wants, and which part of each.

DAP2 (NASA ESE-RFC-004.1.2, section 4.4): projections between commas, each with nothing or one
``[first:stride:last]`` for each dimension, the last one included; selections behind ``&`` are of
sequences, which there are none of. DAP4 (volume 1, section 8): ``/name[first:stride:last]`` between
semicolons, ``[]`` for all of a dimension, and ``name=[...]`` for a dimension of several variables.

Clients escape what they like, as often as they like: text is unescaped until nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final, TypeAlias
from urllib.parse import unquote

from sluice.encoders.dap_variables import DapDataset, DapPart, DapVariable
from sluice.errors import QueryError, excerpt

# A client that escapes three times is known.
_MOST_ESCAPES: Final = 5
_ITEM: Final = re.compile(r"\s*([^\s\[\]]+)\s*((?:\[[^\[\]]*\]\s*)*)")
_SLICE: Final = re.compile(r"\[([^\[\]]*)\]")
_MOST_DIGITS: Final = 18
_NUMBER: Final = re.compile(rf"\s*(\d{{1,{_MOST_DIGITS}}})\s*")
_SELECTION: Final = re.compile(r"\s*([^\s<>=!~]+)\s*(?:[<>!]=?|=~?)")
# A name that nobody has is looked for among so many, and no longer one.
_MOST_COMPARED: Final = 300
_LONGEST_NAME: Final = 60

# What was asked of a variable, by its name, in the order of the request.
_Found: TypeAlias = dict[str, DapPart]
# The range that a text between brackets means of a dimension: its variable, and its number.
_Read: TypeAlias = Callable[[str, DapVariable, int], range]


def unescaped(text: str) -> str:
    """The text without its percent signs, however often it was escaped."""
    # Most clients escape brackets, and nothing else.
    text = text.replace("%5B", "[").replace("%5D", "]")
    for _ in range(_MOST_ESCAPES):
        if "%" not in text or (plain := unquote(text)) == text:
            break
        text = plain
    return text


def parameter(query: bytes, wanted: str) -> str:
    """The parameter of this name of a request of DAP4, unescaped; empty where there is none.

    Raises `QueryError` where there are two that differ: neither is taken for the other.
    """
    pairs = (piece.partition("=") for piece in query.decode(errors="replace").split("&"))
    found = {unescaped(value) for name, _, value in pairs if unescaped(name) == wanted}
    if len(found) > 1:
        raise QueryError(
            f"{wanted} is given {len(found)} times, and differently: give it once",
            parameter=wanted,
        )
    return found.pop() if found else ""


def parse_dap2(dataset: DapDataset, query: bytes) -> tuple[DapPart, ...]:
    """The parts that a query string asks for, in the dataset's order; of an empty one all.

    Parameters that are no part of a constraint are passed over. Raises `QueryError`.
    """
    projection, *others = unescaped(query.decode(errors="replace")).split("&")
    if _SELECTION.match(projection) and "[" not in projection:
        projection, others = "", [projection, *others]
    for other in others:
        _check_other(dataset, other)
    asked: _Found = {}
    for item in _split(projection, ","):
        _add(dataset, asked, item, _closed)
    return _ordered(dataset, asked)


def _check_other(dataset: DapDataset, text: str) -> None:
    """Raise `QueryError` for what is no projection and names a variable: it asks for something."""
    found = _SELECTION.match(text)
    if found and found[1].partition(".")[0] in dataset.by_name:
        raise QueryError(
            f"{excerpt(found[1])} is an array, of which values are not chosen by what they are:"
            " ask for positions, as in name[first:stride:last]",
            parameter=found[1],
        )
    found = _ITEM.fullmatch(text)
    if found and found[1].partition(".")[0] in dataset.by_name:
        raise QueryError(
            f"{excerpt(text)} stands behind &: between variables are commas", parameter=found[1]
        )


def parse_dap4(dataset: DapDataset, constraint: str) -> tuple[DapPart, ...]:
    """The parts that a constraint of DAP4 asks for, in the dataset's order; of an empty one all.

    Raises `QueryError`.
    """
    asked: _Found = {}
    shared: dict[str, str] = {}
    if "|" in constraint:
        raise QueryError("filters, behind |, are of sequences, of which there are none")

    def read(text: str, variable: DapVariable, number: int) -> range:
        return _open(text.strip() or shared.get(variable.dims[number], ""), variable, number)

    for item in _split(unescaped(constraint), ";"):
        name, is_dimension, positions = item.partition("=")
        if is_dimension:
            _share(dataset, shared, name.strip().lstrip("/"), positions.strip())
        else:
            _add(dataset, asked, item.lstrip("/"), read)
    if not asked:
        for variable in dataset.variables:
            _add(dataset, asked, variable.stored, read)
    return _ordered(dataset, asked)


def _share(dataset: DapDataset, shared: dict[str, str], dim: str, positions: str) -> None:
    """Note what is asked of a dimension for all variables that have it."""
    found = _SLICE.fullmatch(positions)
    if dim not in dataset.sizes or found is None:
        raise QueryError(f"{excerpt(dim)}={excerpt(positions)} is no dimension with its positions")
    shared[dim] = found[1]


def _split(text: str, sign: str) -> Iterator[str]:
    return filter(None, map(str.strip, text.split(sign)))


def _ordered(dataset: DapDataset, asked: Mapping[str, DapPart]) -> tuple[DapPart, ...]:
    if not asked:
        return tuple(map(DapPart.whole, dataset.variables))
    if len(asked) == 1:
        return tuple(asked.values())
    return tuple([asked[v.stored] for v in dataset.variables if v.stored in asked])


def _add(dataset: DapDataset, asked: _Found, item: str, read: _Read) -> None:
    """Put what an item means to what was asked; the same may be asked for twice."""
    found = _ITEM.fullmatch(item)
    if found is None or "(" in found[1]:
        raise QueryError(
            f"{excerpt(item)} is no name with positions, as in name[first:stride:last]; there are"
            " no functions",
            parameter=item,
        )
    variable = _variable(dataset, found[1])
    texts = _SLICE.findall(found[2])
    if not texts:
        texts = [""] * len(variable.shape) if read is not _closed else []
    part = DapPart.whole(variable) if not texts else _part(variable, texts, read)
    before = asked.setdefault(variable.stored, part)
    if before != part:
        raise QueryError(
            f"{variable.stored} is asked for twice, and differently: ask for one part at a time",
            parameter=variable.stored,
        )


def _variable(dataset: DapDataset, name: str) -> DapVariable:
    """The variable of this name, or of the array of a grid: ``t.t``."""
    by_name = dataset.by_name
    grid, _, array = name.partition(".")
    found = by_name.get(name) or (by_name.get(grid) if grid == array else None)
    if found is None:
        close: list[str] = []
        if len(name) <= _LONGEST_NAME and len(by_name) <= _MOST_COMPARED:
            close = get_close_matches(name, by_name, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        facts = {"did_you_mean": close[0]} if close else {}
        raise QueryError(f"there is no variable {excerpt(name)}{meant}", parameter=name, **facts)
    return found


def _part(variable: DapVariable, texts: list[str], read: _Read) -> DapPart:
    if len(texts) != len(variable.shape):
        raise QueryError(
            f"{variable.stored} has {len(variable.shape)} dimensions, and positions are given for"
            f" {len(texts)}: give them for each, or for none",
            parameter=variable.stored,
        )
    ranges = tuple([read(text, variable, number) for number, text in enumerate(texts)])
    part = DapPart(variable, ranges)
    if len(set(variable.dims)) == len(ranges):
        return part
    seen: dict[str, range] = {}
    for dim, asked in zip(variable.dims, ranges, strict=True):
        if seen.setdefault(dim, asked) != asked:
            raise QueryError(
                f"{variable.stored} has the dimension {dim} twice: ask for the same positions along"
                " both",
                parameter=variable.stored,
            )
    return part


def _closed(text: str, variable: DapVariable, number: int) -> range:
    """What DAP2 has between brackets: one position, or first and last, or a stride between them."""
    if text.isdecimal() and len(text) <= _MOST_DIGITS:
        # Looked at first: it is asked for most, part by part of what has many dimensions.
        return _checked(range(int(text), int(text) + 1), variable, number)
    numbers = [_NUMBER.fullmatch(part) for part in text.split(":", 3)]
    match [int(found[1]) for found in numbers if found]:
        case [first] if len(numbers) == 1:
            return _checked(range(first, first + 1), variable, number)
        case [first, last] if len(numbers) == 2:
            return _checked(range(first, last + 1), variable, number)
        case [first, stride, last] if len(numbers) == 3 and stride:
            return _checked(range(first, last + 1, stride), variable, number)
        case _:
            raise QueryError(
                f"[{excerpt(text)}] is none of [position], [first:last] and [first:stride:last]",
                parameter=variable.stored,
            )


def _open(text: str, variable: DapVariable, number: int) -> range:
    """The same in DAP4, where nothing means all, and a last position may be left out."""
    if not text:
        return range(variable.shape[number])
    if text.endswith(":"):
        text = f"{text}{variable.shape[number] - 1}"
    return _closed(text, variable, number)


def _checked(asked: range, variable: DapVariable, number: int) -> range:
    length = variable.shape[number]
    if not asked or asked.stop > length:
        raise QueryError(
            f"positions {asked.start} to {asked.stop - 1} are not all among the {length} along"
            f" {variable.dims[number]} of {variable.stored}, which are 0 to {length - 1}",
            parameter=variable.stored,
            size=length,
        )
    if len(asked) == 1 == asked.step:
        return asked
    # One spelling for the same positions.
    return range(asked[0], asked[-1] + 1, asked.step if len(asked) > 1 else 1)
