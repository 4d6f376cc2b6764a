"""The examples of the OpenAPI document, made of a dataset that this server has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from sluice.aliases import record
from sluice.engine import PreparedDataset
from sluice.labels import format_label, spell_label

from .openapi import Schema

# What may stand in a request as it is: no sign of the grammar.
_PLAIN: Final = re.compile(r"[\w.:+-]+")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z]\w*")
_TABLE: Final = re.compile(r"Then ask for a part of it.*?(?=\*\*Values by label\*\*)", re.DOTALL)
_SIGNS: Final = "/:,-"

Asked = Mapping[str, str]


@record
class Example:
    """The variable that the examples ask for: its dimensions, and which of them stand for what."""

    prepared: PreparedDataset
    name: str
    dims: tuple[str, ...]
    taken: frozenset[str]

    @property
    def time(self) -> str | None:
        """The dimension of a series: time, or the first one that is longer than one."""
        roles, sizes = self.prepared.roles, self.prepared.sizes
        times = [dim for dim in self.dims if roles.get(dim) == "T"]
        long = [dim for dim in self.dims if sizes[dim] > 1]
        return next(iter(times or long), None)

    @property
    def sides(self) -> list[str]:
        """The two dimensions of a picture; fewer where there are not so many."""
        roles, sizes = self.prepared.roles, self.prepared.sizes
        found = [dim for dim in self.dims if roles.get(dim) in ("X", "Y")]
        return found if len(found) == 2 else [dim for dim in self.dims if sizes[dim] > 1][-2:]

    def one(self, dim: str, share: float = 0.5) -> tuple[str, str]:
        """The parameter that asks for one place along `dim`, at this share of its length."""
        at = int(share * (self.prepared.sizes[dim] - 1))
        label = self._label(dim, at)
        if label is None:
            return self.at(dim, str(at))
        plain = _PLAIN_NAME.fullmatch(dim) and dim not in self.taken
        return (dim if plain else f"sel[{dim}]"), label

    def at(self, dim: str, positions: str) -> tuple[str, str]:
        """The parameter that asks for positions, whichever way the others go."""
        return f"isel[{dim}]", positions

    def some(self, dim: str) -> tuple[str, str]:
        """The parameter that asks for the middle half of `dim`, or for a whole short one."""
        size = self.prepared.sizes[dim]
        ends = [self._label(dim, at) for at in (size // 4, max(size // 4, 3 * size // 4 - 1))]
        if None in ends:
            return self.at(dim, f"{size // 4}:{3 * size // 4 or 1}")
        name, _ = self.one(dim)
        return name, "/".join(end for end in ends if end is not None)

    def _label(self, dim: str, at: int) -> str | None:
        """The label at a position, spelled; None where it has signs that mean something else."""
        axis = self.prepared.axes.get(dim)
        if axis is None or axis.direction not in ("ascending", "descending"):
            return None
        # An infinite one has no spelling.
        label = format_label(axis.values[at])
        text = "" if label is None else spell_label(label)
        return text if _PLAIN.fullmatch(text) and "::" not in text else None

    def without(self, *dims: str | None) -> dict[str, str]:
        """One place along all dimensions but these."""
        return dict(self.one(dim) for dim in self.dims if dim not in dims)


def by_label(example: Example) -> Iterator[tuple[str, str, Asked]]:
    """Names, words and parameters of requests by label, each of one variable."""
    own = {"variables": example.name}
    time, sides = example.time, example.sides
    yield "point", "A point", {**example.without(), **own}
    if time is None:
        return
    yield "series", f"A series along {time}", {**example.without(time), **own}
    latest = dict([example.at(time, "-1")])
    yield "latest", f"The last of {time}", {**example.without(time), **latest, **own}
    if len(sides) < 2:
        return
    box = {**example.without(*sides), **dict(map(example.some, sides)), **own}
    yield "box", f"A box of {' and '.join(sides)}", box
    yield "file", "The same as a NetCDF file", {**box, "f": "netcdf"}
    yield "picture", "The same as a picture", {**box, "f": "png"}


def by_position(example: Example) -> Iterator[tuple[str, str, Asked]]:
    """The same by position."""
    own = {"variables": example.name}
    first = dict(example.at(dim, "0") for dim in example.dims)
    yield "first", "The first value", {**first, **own}
    if example.time is not None:
        last = dict([example.at(example.time, "-1")])
        yield "latest", f"The last of {example.time}", {**first, **last, **own}


def with_examples(document: Schema, dataset_id: str, prepared: PreparedDataset) -> Schema:
    """The `document`, which is changed, with examples that this dataset answers.

    A dataset without a variable of numbers leaves it as it is.
    """
    variables = prepared.dataset.data_vars
    numbers = [name for name in variables if variables[name].dtype.kind in "biuf"]
    if not numbers or not all(prepared.sizes.values()):
        return document
    name = max(numbers, key=lambda one: variables[one].ndim)
    dims = tuple(map(str, variables[name].dims))
    example = Example(prepared, str(name), dims, _taken(document))
    found = {"sel": list(by_label(example)), "isel": list(by_position(example))}
    for path, methods in document["paths"].items():
        word = path.rpartition("/")[2].partition(".")[0]
        for operation in methods.values():
            _set(operation, dataset_id, found.get(word))
    info = document["info"]
    info["description"] = _TABLE.sub(lambda _: _told(dataset_id, found), info["description"], 1)
    return document


def _taken(document: Schema) -> frozenset[str]:
    """The names of parameters that no dimension can have."""
    operation = document["paths"]["/datasets/{dataset_id}/sel"]["get"]
    return frozenset(one["name"] for one in operation["parameters"])


def _set(operation: Schema, dataset_id: str, found: list[tuple[str, str, Asked]] | None) -> None:
    """Put the examples of one operation in the place of those of a dataset that is not here."""
    told = {name: {"summary": words, "value": dict(asked)} for name, words, asked in found or ()}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "dataset_id":
            parameter["example"] = dataset_id
        elif parameter["name"] == "selection" and told:
            parameter["examples"] = told
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if told:
            content["examples"] = told


def _told(dataset_id: str, found: Mapping[str, list[tuple[str, str, Asked]]]) -> str:
    """The same as a table of the guide."""
    rows = [
        f"| {words} | `/{path}?{query_of(asked)}` |"
        for path, examples in found.items()
        for _, words, asked in examples
    ]
    return (
        "Then ask for a part of it: one parameter per dimension, named like the dimension. These"
        f" ask this server's dataset `{dataset_id}`; `&explain=true` behind one tells its cost."
        f"\n\n| to get | ask `/datasets/{dataset_id}` for |\n|---|---|\n" + "\n".join(rows) + "\n\n"
    )


def query_of(asked: Asked) -> str:
    """The parameters as they stand in an address."""
    return "&".join(f"{quote(key, '[]')}={quote(text, _SIGNS)}" for key, text in asked.items())
