"""Request parameters, of a URL or a JSON object -> `Query`; no dataset is touched.

Which words a dimension takes follows from the path (labels on ``sel``, positions on ``isel``), or
from ``sel[...]`` and ``isel[...]`` around its name on either, and from whether the dimension has an
index coordinate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, TypeAlias, assert_never

from sluice.aliases import record
from sluice.axes.roles import Role
from sluice.bounded_cache import BoundedCache
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Method,
    Near,
    Position,
    Positions,
    PositionSlice,
    Selection,
)

from .names import By, Names
from .option import Option, table_for
from .options import METHOD, OPTIONS, POINTWISE, TOLERANCE, Options, read_options
from .values import check_length, names_method, read_along


@record
class Query:
    """A parsed request; `explain` asks what the answer would cost instead.

    `near` are places whose nearest cells are selected, too; `more` are the options that are no part
    of these.
    """

    selection: Selection
    format: str | None = None
    explain: bool = False
    near: Near | None = None
    more: tuple[tuple[str, object], ...] = ()


# Clients ask with a few sets of options and ever new labels, so the former are read once.
_KEPT_BYTES: Final = 256 * 2**10
# What is kept of options: their own objects, and a word of a few letters for each few signs.
_OPTIONS_BYTES: Final = 512
_SIGN_BYTES: Final = 32

_Pairs: TypeAlias = tuple[tuple[str, str], ...]

_OPTION_LISTS: Final = "variables, pointwise, tolerance and at"
# What says how selections are to be read.
_ABOUT_SELECTIONS: Final = frozenset((METHOD.name, TOLERANCE.name, POINTWISE.name))


class Grammar:
    """What requests can ask of a dataset of these names, prepared for many of them.

    `formats` has what else each of them is called; `coords` gives each coordinate's dimensions;
    `by` is what a bare name means; `variables` names what may be returned besides coordinates
    (``None``: not checked). Of what is `unusable` in the store, the reasons are given; `roles` say
    what the dimensions' axes stand for.
    """

    def __init__(
        self,
        *,
        dims: Mapping[str, int],
        coords: Mapping[str, tuple[str, ...]],
        by: By,
        formats: Mapping[str, Sequence[str]],
        variables: Collection[str] | None = None,
        unusable: Mapping[str, str] = MappingProxyType({}),
        roles: Mapping[str, Role] = MappingProxyType({}),
        options: Mapping[str, Option[object]] = OPTIONS,
    ) -> None:
        # What yields to a dimension is told in brackets.
        others = {
            one.bracketed if one.yields and name in dims else name: one.others
            for name, one in options.items()
        }
        self.names = Names(dims, coords, by, others, formats, variables, unusable, roles)
        self._table = table_for(dims, options)
        self._meanings: dict[str, tuple[str, bool]] = {}
        self._options: BoundedCache[_Pairs, Options] = BoundedCache(_KEPT_BYTES)

    def parse(self, pairs: Sequence[tuple[str, str]], *, most_labels: int | None = None) -> Query:
        """The query that decoded `pairs` (a name may repeat) ask for.

        `most_labels` bounds the labels or positions of each list. Raises `QueryError` for text
        that means nothing, `SelectionError` for names that this dataset has, but not as something
        to select by, and `LimitError` for a list that is too long.
        """
        given: list[tuple[str, str]] = []
        asked: dict[str, list[str]] = {}
        for pair in pairs:
            if pair[0] in self._table:
                given.append(pair)
            else:
                asked.setdefault(pair[0], []).append(pair[1])
        along = self._along(asked, most_labels)
        return _query(self._options_of(tuple(given), along, most_labels), along)

    def parse_json(
        self, members: Mapping[str, list[str] | bool], *, most_labels: int | None = None
    ) -> Query:
        """The query that the `members` of a JSON object ask for; raises as `parse`.

        An array is `Items`, any other value a list of one, true and false are for options alone.
        """
        given = {name: value for name, value in members.items() if name in self._table}
        asked: dict[str, list[str]] = {}
        for name, value in members.items():
            if name not in self._table:
                asked[name] = _values(name, value)
        along = self._along(asked, most_labels)
        if most_labels is not None:
            lists = [value for value in given.values() if not isinstance(value, bool)]
            check_length(_OPTION_LISTS, list(chain.from_iterable(lists)), most_labels)
        options = read_options(given, self.names, self._table)
        _check_together(options, along, self.names.by)
        return _query(options, along)

    def _options_of(self, given: _Pairs, along: Mapping[str, Along], most: int | None) -> Options:
        """The options of these parameters; those that are refused are not kept."""
        known = self._options.get(given)
        if known is not None:
            if not known.given.isdisjoint(_ABOUT_SELECTIONS):
                _check_together(known, along, self.names.by)
            return known
        if most is not None:
            check_length(_OPTION_LISTS, [text for _, text in given], most)
        texts: dict[str, list[str]] = {}
        for name, text in given:
            texts.setdefault(name, []).append(text)
        options = read_options(texts, self.names, self._table)
        _check_together(options, along, self.names.by)
        signs = sum([len(name) + len(text) for name, text in given])
        self._options.put(given, options, _OPTIONS_BYTES + _SIGN_BYTES * signs)
        return options

    def _along(self, asked: Mapping[str, list[str]], most: int | None) -> dict[str, Along]:
        """What is asked along each dimension, under whichever of its names."""
        found: dict[str, tuple[str, list[str], bool]] = {}
        for parameter, texts in asked.items():
            name, by_label = self._meanings.get(parameter) or self._meaning(parameter)
            if name in found:
                raise QueryError(
                    f"{parameter}: {name} is asked for twice", parameter=parameter, dimension=name
                )
            if not by_label and any(map(names_method, texts)):
                raise _no_method(self.names, parameter)
            found[name] = parameter, texts, by_label
        return read_along(found, most)

    def _meaning(self, parameter: str) -> tuple[str, bool]:
        # A dataset's dimensions have few names each: what means nothing is not kept.
        known = self._meanings[parameter] = self.names.meaning(parameter)
        return known


def _no_method(names: Names, parameter: str) -> QueryError | SelectionError:
    name, by = names.target(parameter)
    if by == "position":
        return QueryError(f"{parameter}: positions take no method", parameter=parameter)
    detail = f"{name} has no coordinate, so no method: ask for it by position"
    return SelectionError(detail, parameter=parameter, dimension=name)


def _values(name: str, value: list[str] | bool) -> list[str]:
    """What a JSON object has for a dimension; `QueryError` where that is true or false."""
    if isinstance(value, bool):
        detail = f"{excerpt(name)} is a dimension, and has no truths; the option is option[{name}]"
        raise QueryError(detail, parameter=name)
    return value


def _query(options: Options, along: Mapping[str, Along]) -> Query:
    if options.method is not None or options.tolerances:
        along = {name: _matched(name, wanted, options) for name, wanted in along.items()}
    selection = Selection(along, options.variables, options.pointwise)
    return Query(selection, options.format, options.explain, options.near, options.more)


def _matched(name: str, wanted: Along, options: Options) -> Along:
    match wanted:
        case Label(value, own):
            return Label(value, _match(name, own, options))
        case Labels(values, own):
            return Labels(values, _match(name, own, options))
        case _:
            return wanted


def _match(name: str, own: Match | None, options: Options) -> Match | None:
    method = options.method if own is None else own.method
    return None if method is None else Match(method, options.tolerances.get(name))


def _check_together(options: Options, along: Mapping[str, Along], by: By) -> None:
    """Raise `QueryError` for options that do not go with these selections."""
    if options.given.isdisjoint(_ABOUT_SELECTIONS):
        return
    _check_inexact(options, along, by)
    _check_tolerances(options.tolerances, along, options.method)
    _check_pointwise(options.pointwise, along)


def _check_inexact(options: Options, along: Mapping[str, Along], by: By) -> None:
    """Raise `QueryError` for a method or tolerance where nothing but positions is asked for."""
    if by == "label" or any(isinstance(s, Label | Labels | Interval) for s in along.values()):
        return
    of_places = options.near is not None and not options.tolerances
    for name in ("method", "tolerance"):
        if name in options.given and not (name == TOLERANCE.name and of_places):
            raise QueryError(f"{name}: positions are exact; use sel[...]", parameter=name)


def _check_tolerances(
    tolerances: Collection[str], along: Mapping[str, Along], default: Method | None
) -> None:
    """Raise `QueryError` for a tolerance along a dimension where nothing is inexact."""
    for name in tolerances:
        match along.get(name):
            case Label(_, match) | Labels(_, match) if match or default:
                pass
            case _:
                detail = f"tolerance: nothing along {name} has a method such as nearest"
                raise QueryError(detail, parameter="tolerance", dimension=name)


def _check_pointwise(names: Sequence[str], along: Mapping[str, Along]) -> None:
    """Raise `QueryError` unless the lists of these dimensions go together, point by point.

    It takes two dimensions or more, each once, and lists of one length; none at all is fine.
    """
    if not names:
        return
    if len(names) < 2 or len(set(names)) < len(names):
        detail = "pointwise: name two dimensions or more, each once"
        raise QueryError(detail, parameter="pointwise")
    lengths = {name: _count(name, along.get(name)) for name in names}
    if len({count for count in lengths.values() if count is not None}) > 1:
        counted = ", ".join(f"{count or 1} for {name}" for name, count in lengths.items())
        detail = f"pointwise: the lists differ in length: {counted}"
        raise QueryError(detail, parameter="pointwise", lengths=lengths)


def _count(name: str, wanted: Along | None) -> int | None:
    """How many points a selection names; ``None`` for a scalar, which is for all of them."""
    match wanted:
        case Label() | Position():
            return None
        case Labels(several):
            return len(several)
        case Positions(indexes):
            return len(indexes)
        case Interval() | PositionSlice():
            detail = f"pointwise: {name} is asked for by an interval, not by a list"
        case None:
            detail = f"pointwise: {name} is not asked for"
        case _:
            assert_never(wanted)
    raise QueryError(detail, parameter="pointwise", dimension=name)
