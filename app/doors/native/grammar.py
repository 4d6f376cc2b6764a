"""Request parameters -> `Query`; pure text, no dataset is touched.

Which words a dimension takes follows from the path (labels on ``sel``, positions on ``isel``), or
from ``sel[...]`` and ``isel[...]`` around its name on either, and from whether the dimension has an
index coordinate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

from sluice.axes.roles import Role
from sluice.encoders.formats import ENCODERS
from sluice.errors import QueryError, SelectionError
from sluice.kept import Kept
from sluice.record import record
from sluice.selection import Along, Selection

from ...catalog.opened import Opened
from .names import By, Names
from .option_table import PARAMETERS
from .options import Options, check_together, read_options, with_matches
from .values import check_length, names_method, read_labels, read_positions


@record
class Query:
    """A parsed request; `explain` asks what the answer would cost instead."""

    selection: Selection
    format: str | None = None
    explain: bool = False


# Clients ask with a few sets of options and ever new labels, so the former are read once.
_KEPT_BYTES: Final = 256 * 2**10
# What is kept of options: their own objects, and a word of a few letters for each few signs.
_OPTIONS_BYTES: Final = 512
_SIGN_BYTES: Final = 32

_Given: TypeAlias = tuple[tuple[str, str], ...]


class Grammar:
    """What requests can ask of a dataset of these names, prepared for many of them.

    `coords` gives each coordinate's dimensions; `by` is what a bare name means; `variables` names
    what may be returned besides coordinates (``None``: not checked). Of what is `unusable` in the
    store, the reasons are given; `roles` say what the dimensions' axes stand for.
    """

    def __init__(
        self,
        *,
        dims: Mapping[str, int],
        coords: Mapping[str, tuple[str, ...]],
        by: By,
        formats: Collection[str],
        variables: Collection[str] | None = None,
        unusable: Mapping[str, str] = MappingProxyType({}),
        roles: Mapping[str, Role] = MappingProxyType({}),
    ) -> None:
        self.names = Names(dims, coords, by, unusable, roles)
        self._meanings: dict[str, tuple[str, bool]] = {}

        def options(pairs: _Given) -> Options:
            return read_options(pairs, self.names, variables, formats)

        self._read_options = options
        self._options: Kept[_Given, Options] = Kept(_KEPT_BYTES)

    def parse(self, pairs: Sequence[tuple[str, str]], *, most_labels: int | None = None) -> Query:
        """The query that decoded `pairs` (a name may repeat) ask for.

        `most_labels` bounds the labels or positions of each list. Raises `QueryError` for text
        that means nothing, `SelectionError` for names that this dataset has, but not as something
        to select by, and `LimitError` for a list that is too long.
        """
        given: list[tuple[str, str]] = []
        asked: dict[str, list[str]] = {}
        for pair in pairs:
            if pair[0] in PARAMETERS:
                given.append(pair)
            else:
                asked.setdefault(pair[0], []).append(pair[1])
        along = self._along(asked, most_labels)
        options = self._options_of(tuple(given), along, most_labels)
        selection = Selection(with_matches(options, along), options.variables, options.pointwise)
        return Query(selection, options.format, options.explain)

    def _options_of(self, given: _Given, along: Mapping[str, Along], most: int | None) -> Options:
        """The options of these parameters; those that are refused are not kept."""
        known = self._options.get(given)
        if known is None and most is not None:
            check_length("variables, pointwise and tolerance", [text for _, text in given], most)
        options = self._read_options(given) if known is None else known
        check_together(options, along, self.names.by)
        if known is None:
            signs = sum([len(name) + len(text) for name, text in given])
            self._options.keep(given, options, _OPTIONS_BYTES + _SIGN_BYTES * signs)
        return options

    def _along(self, asked: Mapping[str, list[str]], most: int | None) -> dict[str, Along]:
        """What is asked along each dimension, under whichever of its names."""
        along: dict[str, Along] = {}
        for parameter, texts in asked.items():
            name, by_label = self._meaning(parameter)
            if name in along:
                raise QueryError(
                    f"{parameter}: {name} is asked for twice", parameter=parameter, dimension=name
                )
            if most is not None:
                check_length(parameter, texts, most)
            if by_label:
                along[name] = read_labels(parameter, texts)
            elif any(names_method(text) for text in texts):
                raise _no_method(self.names, parameter)
            else:
                along[name] = read_positions(parameter, texts)
        return along

    def _meaning(self, parameter: str) -> tuple[str, bool]:
        known = self._meanings.get(parameter)
        if known is None:
            # A dataset's dimensions have few names each: what means nothing is not kept.
            known = self._meanings[parameter] = self.names.meaning(parameter)
        return known


def _no_method(names: Names, parameter: str) -> QueryError | SelectionError:
    name, by = names.target(parameter)
    if by == "position":
        return QueryError(f"{parameter}: positions take no method", parameter=parameter)
    detail = f"{name} has no coordinate, so no method: ask for it by position"
    return SelectionError(detail, parameter=parameter, dimension=name)


def grammars_of(opened: Opened) -> Mapping[By, Grammar]:
    """The grammar of each path for this dataset, prepared for many requests."""
    dataset = opened.dataset
    grammar = partial(
        Grammar,
        dims=opened.prepared.sizes,
        coords={str(name): tuple(map(str, coord.dims)) for name, coord in dataset.coords.items()},
        formats=tuple(ENCODERS),
        variables=tuple(map(str, dataset.data_vars)),
        unusable={name: one.reason for name, one in dataset.unusable.items()},
        roles=opened.prepared.roles,
    )
    return {"label": grammar(by="label"), "position": grammar(by="position")}
