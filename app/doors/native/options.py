"""The parameters that are no selection: one table, each row with how it is read and what it means.

A row is all that an option needs: URLs and JSON bodies take it, refusals and documents name it, and
what no part of the query takes as its own is in the explanation and in the entity tag.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.selection import Method, Near

from .names import Names, did_you_mean
from .option import FORMAT_OPTIONS, RANGE, Given, Option, by_name, listed, once, truth
from .values import METHODS, read_km, read_method, read_places

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Options:
    """All that a request says beside its selections.

    `given` are the names of the parameters; `method` is for labels that name none; `tolerances`
    are texts by dimension; `pointwise` names dimensions, in the order of the request; `near` are
    places on the globe; `more` is what has no part of its own here, by name.
    """

    given: frozenset[str]
    variables: tuple[str, ...] | None
    format: str | None
    method: Method | None
    tolerances: Mapping[str, str]
    pointwise: tuple[str, ...]
    explain: bool
    near: Near | None = None
    more: tuple[tuple[str, object], ...] = ()


def read_options(
    given: Mapping[str, Given], names: Names, table: Mapping[str, Option[object]]
) -> Options:
    """The options that are `given` of a dataset of these `names`; the `table` is `table_for` it.

    Raises `QueryError` for text that means nothing and `SelectionError` for unknown names.
    """
    values: dict[str, object] = {}
    for name, option in table.items():
        if name in given:
            if option.name in values:
                raise QueryError(f"{name} is given twice, once without brackets", parameter=name)
            value = given[name]
            values[option.name] = value if isinstance(value, bool) else option.read(value, names)

    def taken(option: Option[T]) -> T | None:
        return cast("T | None", values.pop(option.name, None))

    tolerances, near = taken(TOLERANCE) or {}, taken(AT)
    if near is not None and AT.name in tolerances and AT.name not in names.dims:
        near = replace(near, tolerance_km=read_km(tolerances.pop(AT.name)))
    return Options(
        given=frozenset(given),
        variables=taken(VARIABLES),
        format=taken(FORMAT),
        method=taken(METHOD),
        tolerances=tolerances,
        pointwise=taken(POINTWISE) or (),
        explain=taken(EXPLAIN) or False,
        near=near,
        more=tuple(values.items()),
    )


def _read_default_method(texts: Sequence[str], names: Names) -> Method:
    """The method of labels that name none; `QueryError` for one that is unknown."""
    return read_method("method", once("method", texts))


def _read_format(texts: Sequence[str], names: Names) -> str:
    """The name of the format; `QueryError`, which names the known ones, for another word."""
    text = once("f", texts)
    if text not in names.formats:
        known = list(names.formats)
        others = {other: one for one, called in names.formats.items() for other in called}
        middle, facts = did_you_mean(text, known, {}, others)
        raise QueryError(
            f"f={excerpt(text)} is no format{middle or ';'} the formats are {', '.join(known)}",
            parameter="f",
            known=known,
            **facts,
        )
    return text


def _read_variables(texts: Sequence[str], names: Names) -> tuple[str, ...]:
    """The names to return, each once.

    Raises `QueryError` for a list of nothing, `SelectionError` for what the dataset lacks.
    """
    wanted = dict.fromkeys(listed("variables", texts))
    if names.variables is not None:
        _check_variables(wanted, names, [*names.variables, *names.coords])
    return tuple(wanted)


def _check_variables(wanted: Collection[str], names: Names, known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            names.check_usable("variables", name)
            middle, facts = did_you_mean(name, known, {})
            raise SelectionError(
                f"there is no variable {excerpt(name)}{middle or ';'} the variables are"
                f" {', '.join(known)}",
                parameter="variables",
                known=known,
                **facts,
            )


def _read_tolerances(texts: Sequence[str], names: Names) -> dict[str, str]:
    """Distances as text by dimension, from ``lat:0.25,time:PT1H``.

    Raises `QueryError` for another form, `SelectionError` for a name that is no dimension.
    """
    found: dict[str, str] = {}
    for token in listed("tolerance", texts):
        # From the right: a dimension's name may hold a colon, a distance cannot.
        name, colon, distance = token.rpartition(":")
        if not (colon and name and distance) or name in found:
            detail = f"tolerance={excerpt(','.join(texts))}: write each dimension once, as lat:0.25"
            raise QueryError(detail, parameter="tolerance")
        if name != AT.name:
            _check_dimension("tolerance", name, names)
        found[name] = distance
    return found


def _read_pointwise(texts: Sequence[str], names: Names) -> tuple[str, ...]:
    """The dimensions that are read together; `SelectionError` for a name that is none."""
    tokens = tuple(listed("pointwise", texts))
    for name in tokens:
        _check_dimension("pointwise", name, names)
    return tokens


def _read_places(texts: Sequence[str], names: Names) -> Near:
    """The places; raises as `read_places`."""
    return read_places(texts)


def _check_dimension(parameter: str, name: str, names: Names) -> None:
    if name not in names.dims:
        names.check_usable(parameter, name)
        known = list(names.dims)
        middle, facts = did_you_mean(name, known, names.roles)
        raise SelectionError(
            f"{parameter}: there is no dimension {excerpt(name)}{middle or ';'} there are"
            f" {', '.join(known)}",
            parameter=parameter,
            known=known,
            **facts,
        )


VARIABLES: Final = Option(
    "variables",
    "Names of the variables to return, as `t,u`; all of them without it.",
    {"type": "string", "minLength": 1},
    _read_variables,
    least=1,
    others=("var", "vars", "variable", "parameter", "parameters", "parameter-name", "fields"),
)
FORMAT: Final = Option(
    "f",
    "The answer's format; wins over the `Accept` header.",
    # Which ones there are is told by the table of formats.
    {"type": "string"},
    _read_format,
    others=("format", "output", "accept"),
)
METHOD: Final = Option(
    "method",
    "How labels that name no method of their own may match inexactly. A label that is on its axis"
    " is taken under any method; axes of text and of truths take no other.",
    {"type": "string", "enum": list(METHODS)},
    _read_default_method,
    others=("interpolation",),
)
TOLERANCE: Final = Option(
    "tolerance",
    "How far an inexact match may lie, per dimension, as `time:PT1H,latitude:0.25`; for times an"
    " ISO 8601 duration, for `at` km. Without it, at most one step beyond the axis.",
    {"type": "string", "pattern": r"^[^,]+:[^,:]+(,[^,]+:[^,:]+)*$"},
    _read_tolerances,
    least=1,
)
POINTWISE: Final = Option(
    "pointwise",
    "Dimensions, as `latitude,longitude`, whose lists, of equal length, are read together, point by"
    " point, along one new dimension `points`.",
    {"type": "string", "pattern": "^[^,]+(,[^,]+)+$"},
    _read_pointwise,
    least=2,
)
AT: Final = Option(
    "at",
    "A place as `13.4,52.5`, longitude first, in degrees: the cell of the grid that is nearest to"
    " it, also of grids whose longitudes and latitudes have two dimensions. Given several times,"
    " the cells go point by point. `X-Sluice-Distance` says how far each is.",
    {"type": "string", "pattern": "^[^,]+,[^,]+$"},
    _read_places,
    least=1,
    others=("point", "lonlat", "location", "coords"),
    item={"type": ["number", "string"]},
    yields=True,
)
EXPLAIN: Final = Option(
    "explain",
    "Read nothing; answer as JSON what the selection would hold and cost.",
    {"type": "boolean"},
    truth("explain"),
    others=("dry_run",),
)

# What a bare name means before it means a dimension; brackets reach a dimension of such a name.
OPTIONS: Final = by_name(
    (VARIABLES, FORMAT, METHOD, TOLERANCE, POINTWISE, AT, EXPLAIN, *FORMAT_OPTIONS)
)


def options_table(table: Mapping[str, Option[object]] = OPTIONS) -> str:
    """The options as a Markdown table: name, how many values one takes, what it is for."""
    lines = ["| option | takes | means |", "|---|---|---|"]
    for option in table.values():
        lines.append(f"| `{option.name}` | {_taken(option)} | {option.words} |")
    return "\n".join([*lines, ""])


def _taken(option: Option[object]) -> str:
    if option.name == AT.name:
        return "a longitude and a latitude"
    if option.name == RANGE.name:
        return "two numbers"
    if option.is_list:
        return "a list of names" if option.least == 1 else f"a list of {option.least} names or more"
    return "`true` or `false`" if option.is_truth else "one word"


def formats_table(formats: Mapping[str, Encoder] = ENCODERS) -> str:
    """The formats as a Markdown table: what asks for one, its media type, and what it is."""
    lines = ["| format | media type | file | holds | its options |", "|---|---|---|---|---|"]
    for name, encoder in formats.items():
        words = encoder.described["schema"].get("description", "")
        cells = f"| `f={name}` | `{encoder.essence}` | `{encoder.suffix}` | {words} |"
        lines.append(f"{cells} {', '.join(f'`{option}`' for option in encoder.options)} |")
    return "\n".join([*lines, ""])
