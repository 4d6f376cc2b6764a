"""What is known of an answer before it is read: enough for a format to refuse it."""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from typing import Final, Protocol

from sluice.aliases import DType
from sluice.errors import NotAcceptable, SelectionError
from sluice.labels import spell_name

# How many names a sentence lists; the facts have all of them.
_SPELLED: Final = 5


class AnswerVariable(Protocol):
    """A variable of the answer: its decoded form, not its values."""

    @property
    def dims(self) -> tuple[Hashable, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...


class AnswerSchema(Protocol):
    """An answer whose values may still be in the store.

    `result_bytes` is the size of its arrays in memory; texts of variable length lie outside of
    them, and so do attributes, which take `attribute_bytes`.
    """

    @property
    def variables(self) -> Mapping[Hashable, AnswerVariable]: ...
    @property
    def coord_names(self) -> Container[Hashable]: ...
    @property
    def sizes(self) -> Mapping[Hashable, int]: ...
    @property
    def result_bytes(self) -> int: ...
    @property
    def attribute_bytes(self) -> int: ...


def check_distinct_dimensions(
    variables: Mapping[Hashable, AnswerVariable],
    coord_names: Container[Hashable],
    format_name: str,
) -> None:
    """Raises `NotAcceptable` for a variable that has one dimension twice.

    For formats that say where a cell is by one position along each dimension.
    """
    for name, variable in variables.items():
        dims = variable.dims
        if len(set(dims)) < len(dims):
            twice = spell_name(next(dim for dim in dims if dims.count(dim) > 1))
            # Coordinates come along with whatever shares their dimensions.
            others = "" if name in coord_names else " for other variables with variables=...,"
            raise NotAcceptable(
                f"{spell_name(name)} has the dimension {twice} more than once, which {format_name} "
                f"cannot say; ask for json,{others} or for one position along {twice}",
                variable=str(name),
                dims=[str(dim) for dim in dims],
                known=["json"],
            )


def only_variable(
    variables: Mapping[Hashable, AnswerVariable], coord_names: Container[Hashable], format_name: str
) -> Hashable:
    """The one data variable of an answer, or its one coordinate where it has no data variable.

    For formats that hold one array. Raises `SelectionError`, which names those to choose from.
    """
    data = [name for name in variables if name not in coord_names] or list(variables)
    if len(data) == 1:
        return data[0]
    if not data:
        raise SelectionError(f"{format_name} holds one variable, and there is none")
    listed = ", ".join(map(spell_name, data[:_SPELLED])) + ", ..." * (len(data) > _SPELLED)
    raise SelectionError(
        f"{format_name} holds one variable, and this answer has {len(data)}: {listed}. Ask for one"
        f" of them with variables={spell_name(data[0])}",
        parameter="variables",
        known=[str(name) for name in data],
    )
