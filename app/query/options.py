"""The parameters that are no selection: what to return, and how labels may match."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.errors import QueryError, SelectionError
from app.query.names import By
from app.query.selection import Label, Labels, Method, Selection
from app.query.words import excerpt, read_method, split_words


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


def read_variables(
    texts: list[str] | None,
    coords: Mapping[str, tuple[str, ...]],
    known: Collection[str] | None,
) -> tuple[str, ...] | None:
    """The names to return, each once; ``None`` for all.

    Raises `QueryError` for a list of nothing, `SelectionError` for what the dataset lacks.
    """
    if texts is None:
        return None
    wanted: dict[str, None] = {}
    for text in texts:
        words = split_words("variables", text)
        if words.separator == "/":
            raise QueryError("variables are separated by commas", parameter="variables")
        wanted.update((word.text, None) for word in words.words)
    if known is not None:
        _check_variables(wanted, [*known, *coords])
    return tuple(wanted)


def _check_variables(wanted: Collection[str], known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            raise SelectionError(
                f"there is no variable {excerpt(name)}; the variables are {', '.join(known)}",
                parameter="variables",
                known=known,
            )


def read_tolerances(texts: list[str] | None, dims: Collection[str]) -> dict[str, str]:
    """Distances as text by dimension, from ``lat:0.25,time:PT1H``.

    Raises `QueryError` for another form, `SelectionError` for a name that is no dimension.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        words = split_words("tolerance", text)
        for word in words.words:
            # From the right: a dimension's name may hold a colon, a distance cannot.
            name, colon, distance = word.text.rpartition(":")
            if words.separator == "/" or not (colon and name and distance) or name in found:
                detail = f"tolerance={excerpt(text)}: write each dimension once, as lat:0.25"
                raise QueryError(detail, parameter="tolerance")
            if name not in dims:
                raise SelectionError(
                    f"tolerance: there is no dimension {excerpt(name)}",
                    parameter="tolerance",
                    known=list(dims),
                )
            found[name] = distance
    return found


def check_inexact(options: Collection[str], selections: Mapping[str, Selection], by: By) -> None:
    """Raise `QueryError` for a method or tolerance where nothing but positions is asked for."""
    if by == "label" or any(isinstance(s, Label | Labels) for s in selections.values()):
        return
    for name in ("method", "tolerance"):
        if name in options:
            raise QueryError(f"{name}: positions are exact; use sel[...]", parameter=name)


def check_tolerances(
    tolerances: Collection[str], selections: Mapping[str, Selection], default: Method | None
) -> None:
    """Raise `QueryError` for a tolerance along a dimension where nothing is inexact."""
    for name in tolerances:
        match selections.get(name):
            case Label(_, method) | Labels(_, method) if method or default:
                pass
            case _:
                detail = f"tolerance: nothing along {name} has a method such as nearest"
                raise QueryError(detail, parameter="tolerance", dimension=name)
