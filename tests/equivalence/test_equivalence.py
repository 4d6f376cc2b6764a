"""Any selection from any store is what xarray's own `.isel/.sel(...).load()` answers.

Three properties with 200 examples each in CI (set CI=1 or SLUICE_EXAMPLES=ci): what is opened, what
`_isel` reads, what `_sel` reads. Each example is one store, opened once by xarray and once by us.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import event, given, note
from hypothesis import strategies as st
from zarr.errors import BoundsCheckError

from sluice.arrays.reader import Reader
from sluice.datasets import AsyncZarrBackendEntrypoint
from sluice.errors import MetadataError
from tests.equivalence.sameness import assert_same, assert_same_surface, assert_unchanged, snapshot
from tests.equivalence.selections import isel_arguments, sel_arguments
from tests.equivalence.strategies import open_options, stores
from tests.stores import StoreSpec, documents_of, fs_map, memory_store

# xarray warns about what it decodes; both sides do, and the promise is about values and errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    # Time to shrink what fails; hundreds of examples that pass take a minute.
    pytest.mark.timeout(900),
]
SELECTIONS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave: a value or the exception that it raised."""

    value: Any = None
    error: Exception | None = None


def outcome_of(call: Callable[[], Any]) -> Outcome:
    """The call's value or error; xarray's many errors are part of its contract."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Outcome(value=call())
        except Exception as error:
            return Outcome(error=error)


def assert_same_failure(ours: Outcome, theirs: Outcome, *, opening: bool = False) -> bool:
    """Whether both failed; ours with the type that theirs has, or a subclass of it.

    While opening, ours need only share a built-in type (zarr's GroupNotFoundError is a
    FileNotFoundError, and so is StoreMissing), or say that the store does not decode.
    """
    if theirs.error is None:
        if ours.error is not None:
            raise ours.error
        return False
    event(f"raises {type(theirs.error).__name__}")
    if opening and ours.error is None and "unable to decode time units" in str(theirs.error):
        # A missing date of another calendar: xarray refuses it, here it is missing.
        return True
    assert ours.error is not None, f"xarray raises {theirs.error!r}; we answer {ours.value!r}"
    expected = acceptable_types(theirs.error) if opening else (type(theirs.error),)
    if not isinstance(ours.error, expected):
        raise AssertionError(f"xarray raises {theirs.error!r}, we {ours.error!r}") from ours.error
    return True


def acceptable_types(error: Exception) -> tuple[type, ...]:
    """Those of Python's own exception types that say what `error` is, and ours for bad stores."""
    kinds = [k for k in type(error).__mro__ if k.__module__ == "builtins"]
    return (MetadataError, *(k for k in kinds if issubclass(k, Exception) and k is not Exception))


@dataclass(frozen=True, slots=True)
class Both:
    """One store opened by us and by xarray, which `in_memory` opens once more and loads."""

    ours: Any
    theirs: xr.Dataset
    in_memory: Callable[[], xr.Dataset]


def open_both(data: st.DataObject, runner: asyncio.Runner, spec: StoreSpec) -> Both | None:
    """The store opened twice with the same options, through one of our doors; None if it fails."""
    documents = documents_of(spec)
    options = data.draw(open_options(spec), label="options")
    doors: list[Callable[[dict[str, bytes]], Any]] = [fs_map, fs_map, memory_store]
    door = data.draw(st.sampled_from(doors), label="door")

    def reopened() -> xr.Dataset:
        # As `open_zarr`, but without its cache: an answer must not depend on the ones before.
        store: Any = memory_store(documents)
        return xr.open_dataset(store, engine="zarr", cache=False, **options)

    theirs = outcome_of(reopened)
    entrypoint = AsyncZarrBackendEntrypoint()
    # The AsyncFSMap belongs to the loop on which it is used.
    kept: dict[str, Any] = {"reader": Reader(cache_bytes=2**24), **options}
    ours = outcome_of(lambda: runner.run(entrypoint.open_dataset(door(documents), **kept)))
    if assert_same_failure(ours, theirs, opening=True):
        return None
    assert_same_surface(ours.value, theirs.value)
    return Both(ours.value, theirs.value, lambda: reopened().load())


@given(spec=stores(), data=st.data())
def test_opens_as_xarray_opens(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Names, sizes, types, attributes, encodings and indexes are xarray's, and all of it loads."""
    both = open_both(data, runner, spec)
    if both is None:
        return
    for name, variable in both.ours.variables.items():
        indexed = name in both.ours.xindexes
        # A plain index coordinate is in memory; nothing else costs a whole read at open.
        assert variable._in_memory == indexed or both.theirs.variables[name]._in_memory, name
    before = snapshot(both.ours)
    theirs = outcome_of(both.theirs.load)
    ours = outcome_of(lambda: runner.run(both.ours._isel()))
    assert_same_answer(ours, theirs)
    assert_unchanged(before, both.ours)


@given(spec=stores(), data=st.data())
def test_isel_reads_what_xarray_reads(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """`_isel` is `.isel(...).load()`: values, types, encodings, and the type of every error."""
    both = open_both(data, runner, spec)
    if both is None:
        return
    for _ in range(SELECTIONS):
        arguments = data.draw(isel_arguments(both.theirs), label="isel")
        check_selection(both, "isel", arguments, awaited(runner, both.ours._isel))


@given(spec=stores(), data=st.data())
def test_sel_reads_what_xarray_reads(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """`_sel` is `.sel(...).load()`: values, types, encodings, and the type of every error."""
    both = open_both(data, runner, spec)
    if both is None:
        return
    for _ in range(SELECTIONS):
        arguments = data.draw(sel_arguments(both.theirs), label="sel")
        check_selection(both, "sel", arguments, awaited(runner, both.ours._sel))


def awaited(runner: asyncio.Runner, coroutine: Callable[..., Any]) -> Callable[..., Any]:
    """The coroutine function as a plain one, on the shared loop."""
    return lambda **arguments: runner.run(coroutine(**arguments))


def check_selection(both: Both, verb: str, arguments: dict[str, Any], ask: Any) -> None:
    """Our answer is theirs, and the shared dataset is as it was."""
    before = snapshot(both.ours)
    # First from the store, and what is in memory then from there.
    cold, warm = (outcome_of(lambda: ask(**arguments)) for _ in range(2))
    spelled = without_backwards_slices(arguments, both.theirs, verb)
    # A copy, for `load` works in place and a selection shares the variables that it leaves alone.
    theirs = outcome_of(lambda: getattr(both.theirs.copy(), verb)(**spelled).load())
    if needs_data_in_memory(theirs, arguments, both.theirs.sizes):
        loaded = outcome_of(both.in_memory)
        # What was not selected may be what does not decode; or what keeps cells that are all
        # missing from being decoded alone, which xarray's cftime decoder cannot.
        if loaded.error is None and "All-NaN slice" not in str(cold.error):
            theirs = outcome_of(lambda: getattr(loaded.value, verb)(**arguments))
        elif verb == "sel":
            # Not all of it decodes: the cells that backwards slices name, by position.
            theirs = outcome_of(lambda: by_position(both.theirs, arguments).load())
    assert_same_answer(cold, theirs)
    assert_same_answer(warm, theirs)
    assert_unchanged(before, both.ours)


def assert_same_answer(ours: Outcome, theirs: Outcome) -> None:
    """Equal answers or equal failures; we may answer where xarray cannot decode no cells.

    And we refuse a position outside its dimension where xarray reads nothing, so does not notice.
    """
    if is_fault_of_decoding(theirs) and isinstance(ours.error, IndexError):
        event("no cell at that position, and xarray cannot decode nothing")
    elif is_fault_of_decoding(theirs) and ours.error is None:
        event("answers where xarray cannot decode nothing")
        assert has_no_cells(ours.value)
    elif isinstance(ours.error, BoundsCheckError) and theirs.error is None:
        event("a position outside, which NumPy looks at for no cell")
        assert has_no_cells(theirs.value)
    elif not assert_same_failure(ours, theirs):
        event("answers")
        note(repr(theirs.value))
        assert_same(ours.value, theirs.value)


def without_backwards_slices(
    arguments: dict[str, Any], dataset: xr.Dataset, verb: str
) -> dict[str, Any]:
    """The same selection, with positions in place of backwards slices of positions.

    xarray's lazy indexing reads cells that such a slice does not name when it reaches out of
    bounds: of four positions, ``slice(-7, 1, -2)`` is one cell lazily and none in memory.
    """

    def spelled(name: str, at: Any) -> Any:
        labels = verb == "sel" and name in dataset.indexes
        backwards = isinstance(at, slice) and isinstance(at.step, int) and at.step < 0
        if labels or not backwards or name not in dataset.sizes:
            return at
        try:
            return np.arange(dataset.sizes[name])[at]
        except (TypeError, ValueError):
            return at

    found = {name: spelled(name, at) for name, at in arguments.items()}
    if "indexers" in arguments:
        indexers = arguments["indexers"].items()
        found["indexers"] = {name: spelled(name, at) for name, at in indexers}
    return found


def has_no_cells(answer: xr.Dataset) -> bool:
    """Whether a variable of the answer is empty."""
    return any(0 in variable.shape for variable in answer.variables.values())


def needs_data_in_memory(
    theirs: Outcome, arguments: dict[str, Any], sizes: Mapping[Any, int]
) -> bool:
    """Whether only data in memory tells what xarray means.

    Its lazy indexing misreads backwards slices that reach out of bounds or name no labels, and
    takes position -5 of four for the last one, counted twice from the end; in memory that is an
    IndexError.
    """
    indexers = {**arguments, **arguments.get("indexers", {})}
    known = ("range object index out of range", "conflicting sizes for dimension")
    if any(text in str(theirs.error) for text in known):
        return True
    return any(
        runs_backwards(at) or reaches_below(at, -sizes[name])
        for name, at in indexers.items()
        if name in sizes
    )


def by_position(dataset: xr.Dataset, arguments: dict[str, Any]) -> xr.Dataset:
    """The `.sel(...)` of `dataset` whose backwards slices of labels are spelled as positions."""
    given = {**arguments, **arguments.get("indexers", {})}
    backwards = {k: at for k, at in given.items() if k in dataset.indexes and runs_backwards(at)}
    positions = {}
    for name, at in backwards.items():
        named = dataset.indexes[name].slice_indexer(at.start, at.stop, at.step)
        positions[name] = np.arange(dataset.sizes[name])[named]
    rest = {k: at for k, at in arguments.items() if k not in backwards}
    if "indexers" in rest:
        rest["indexers"] = {k: at for k, at in rest["indexers"].items() if k not in backwards}
    return dataset.isel(positions).sel(**rest)


def runs_backwards(indexer: Any) -> bool:
    """Whether it is a slice of labels with a negative step."""
    return isinstance(indexer, slice) and isinstance(indexer.step, int) and indexer.step < 0


def reaches_below(indexer: Any, lowest: int) -> bool:
    """Whether it holds a position that is less than `lowest`."""
    if isinstance(indexer, slice | tuple):
        return False
    positions = np.asarray(indexer)
    return positions.dtype.kind == "i" and positions.size > 0 and positions.min() < lowest


def is_fault_of_decoding(theirs: Outcome) -> bool:
    """Whether xarray's decoding stumbled over an array without cells; there we may answer."""
    known = ("argmin of an empty sequence", "cannot convert float NaN to integer")
    return theirs.error is not None and any(text in str(theirs.error) for text in known)
