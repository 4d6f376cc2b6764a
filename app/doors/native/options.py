"""The parameters that are no selection: what to return, and how labels may match."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from sluice.errors import QueryError, SelectionError
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Method,
    Position,
    Positions,
    PositionSlice,
)
from sluice.wording import excerpt

from .names import By, Names, meant
from .tokens import in_one, read_method, split_words

# What says how selections are to be read.
_ABOUT_SELECTIONS = frozenset(("method", "tolerance", "pointwise"))

_MARKS = ('"', "/", "::")


@dataclass(frozen=True, slots=True)
class Options:
    """All that a request says beside its selections.

    `given` are the names of the parameters; `method` is for labels that name none; `tolerances`
    are texts by dimension; `pointwise` names dimensions, in the order of the request.
    """

    given: frozenset[str]
    variables: tuple[str, ...] | None
    format: str | None
    method: Method | None
    tolerances: Mapping[str, str]
    pointwise: tuple[str, ...]
    explain: bool


def read_options(
    pairs: Sequence[tuple[str, str]],
    names: Names,
    variables: Collection[str] | None,
    formats: Collection[str],
) -> Options:
    """The options that `pairs` (a name may repeat) give of a dataset of these `names`.

    Raises `QueryError` for text that means nothing and `SelectionError` for unknown names.
    """
    texts: dict[str, list[str]] = {}
    for name, value in pairs:
        texts.setdefault(name, []).append(value)
    return Options(
        given=frozenset(texts),
        variables=read_variables(texts.get("variables"), names, variables),
        format=read_format(texts.get("f"), formats),
        method=read_default_method(texts.get("method")),
        tolerances=read_tolerances(texts.get("tolerance"), names),
        pointwise=read_names("pointwise", texts.get("pointwise"), names),
        explain=read_truth("explain", texts.get("explain")),
    )


def once(name: str, texts: list[str]) -> str:
    """The one value of a parameter; `QueryError` if it is repeated."""
    if len(texts) > 1:
        raise QueryError(f"{name} is given {len(texts)} times", parameter=name)
    return texts[0]


def read_default_method(texts: list[str] | None) -> Method | None:
    """The method of labels that name none; `QueryError` for one that is unknown."""
    return None if texts is None else read_method("method", once("method", texts))


def read_format(texts: list[str] | None, formats: Collection[str]) -> str | None:
    """The name of the format; `QueryError`, which names the known ones, for another word."""
    if texts is None:
        return None
    text = once("f", texts)
    if text not in formats:
        raise QueryError(
            f"f={excerpt(text)} is no format; the formats are {', '.join(formats)}",
            parameter="f",
            known=list(formats),
        )
    return text


def read_truth(name: str, texts: list[str] | None) -> bool:
    """Whether ``true`` was asked for; `QueryError` for what is neither that nor ``false``."""
    if texts is None:
        return False
    text = once(name, texts)
    if text not in ("true", "false"):
        raise QueryError(f"{name}={excerpt(text)}: write true or false", parameter=name)
    return text == "true"


def read_variables(
    texts: list[str] | None,
    names: Names,
    known: Collection[str] | None,
) -> tuple[str, ...] | None:
    """The names to return, each once; ``None`` for all.

    Raises `QueryError` for a list of nothing, `SelectionError` for what the dataset lacks.
    """
    if texts is None:
        return None
    wanted: dict[str, None] = {}
    for text in in_one(texts, _MARKS):
        wanted.update(dict.fromkeys(_list_of("variables", text)))
    if known is not None:
        _check_variables(wanted, names, [*known, *names.coords])
    return tuple(wanted)


def _check_variables(wanted: Collection[str], names: Names, known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            names.check_usable("variables", name)
            middle, facts = meant(name, known, {})
            raise SelectionError(
                f"there is no variable {excerpt(name)}{middle or ';'} the variables are"
                f" {', '.join(known)}",
                parameter="variables",
                known=known,
                **facts,
            )


def read_tolerances(texts: list[str] | None, names: Names) -> dict[str, str]:
    """Distances as text by dimension, from ``lat:0.25,time:PT1H``.

    Raises `QueryError` for another form, `SelectionError` for a name that is no dimension.
    """
    found: dict[str, str] = {}
    for text in in_one(texts or (), _MARKS):
        for word in _list_of("tolerance", text):
            # From the right: a dimension's name may hold a colon, a distance cannot.
            name, colon, distance = word.rpartition(":")
            if not (colon and name and distance) or name in found:
                detail = f"tolerance={excerpt(text)}: write each dimension once, as lat:0.25"
                raise QueryError(detail, parameter="tolerance")
            names.check_usable("tolerance", name)
            if name not in names.dims:
                raise SelectionError(
                    f"tolerance: there is no dimension {excerpt(name)}",
                    parameter="tolerance",
                    known=list(names.dims),
                )
            found[name] = distance
    return found


def with_matches(options: Options, along: Mapping[str, Along]) -> Mapping[str, Along]:
    """`along` with the method for labels that name none, and the tolerances of their dimensions."""
    if options.method is None and not options.tolerances:
        return along
    return {name: _matched(name, wanted, options) for name, wanted in along.items()}


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


def check_together(options: Options, along: Mapping[str, Along], by: By) -> None:
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
    for name in ("method", "tolerance"):
        if name in options.given:
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


def read_names(parameter: str, texts: list[str] | None, names: Names) -> tuple[str, ...]:
    """The dimensions that a parameter lists; `SelectionError` for a name that is none."""
    words = [word for text in in_one(texts or (), _MARKS) for word in _list_of(parameter, text)]
    for name in words:
        if name not in names.dims:
            names.check_usable(parameter, name)
            raise SelectionError(
                f"{parameter}: there is no dimension {excerpt(name)}",
                parameter=parameter,
                known=list(names.dims),
            )
    return tuple(words)


def _check_pointwise(words: Sequence[str], along: Mapping[str, Along]) -> None:
    """Raise `QueryError` unless the lists of these dimensions go together, point by point.

    It takes two dimensions or more, each once, and lists of one length; none at all is fine.
    """
    if not words:
        return
    if len(words) < 2 or len(set(words)) < len(words):
        detail = "pointwise: name two dimensions or more, each once"
        raise QueryError(detail, parameter="pointwise")
    lengths = {name: _count(name, along.get(name)) for name in words}
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


def _list_of(parameter: str, text: str) -> list[str]:
    words = split_words(parameter, text)
    if words.separator == "/":
        raise QueryError(f"{parameter}: names are separated by commas", parameter=parameter)
    return list(words.texts)
