"""Values as the store packs them: opened undecoded, a file holds what the store holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from sluice.datasets import open_dataset
from sluice.encoders.answer_schema import AS_STORED, FILLS, FileValues, VariableSchema
from sluice.encoders.netcdf_encoder import NetcdfFile, encode_netcdf
from sluice.encoders.netcdf_names import FileNames
from sluice.encoders.netcdf_packing import file_form, store_values
from sluice.engine import Plan, plan, prepare
from sluice.engine.slabs import Order
from sluice.selection import Along, Position, Positions, PositionSlice, Selection
from tests.engine.selections import all_slabs, selections, together
from tests.equivalence.strategies import stores
from tests.stores import ArraySpec, StoreSpec, documents_of, fs_map, memory_store

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

VALUES = np.arange(12, dtype="i2").reshape(3, 4)
SCALED = {"scale_factor": 0.5, "add_offset": 10.0}
PACKED = {"scale_factor": 0.5, "add_offset": 10.0, "_FillValue": 5, "units": "K"}


async def file_of(spec: StoreSpec, selection: Selection) -> bytes:
    """The NetCDF file of a part of the store."""
    planned = plan(prepare(await open_dataset(fs_map(documents_of(spec)))), selection)
    return encode_netcdf(await planned.as_stored().read())


def by_xarray(spec: StoreSpec, *, decode_cf: bool) -> xr.Dataset:
    """The store as xarray opens it."""
    store: Any = memory_store(documents_of(spec))
    return xr.open_dataset(store, engine="zarr", consolidated=False, decode_cf=decode_cf)


def one(values: np.ndarray[Any, Any], attrs: dict[str, Any], **options: Any) -> StoreSpec:
    """A store of one variable."""
    dims = ("time", "x")[: values.ndim]
    return StoreSpec((ArraySpec("v", dims, values, attrs, **options),), zarr_format=2)


@pytest.mark.parametrize(
    ("values", "attrs", "options"),
    [
        (VALUES, PACKED, {}),
        (VALUES.astype(">i2"), PACKED, {}),
        (VALUES, {"_FillValue": 3, "missing_value": 3}, {"fill": 3}),
        (VALUES.astype("f4"), {"_FillValue": float("nan")}, {}),
        (VALUES.astype("f4") * np.float32(1e20), {"missing_value": 1e20}, {"fill": 1e20}),
        (VALUES.astype("f8"), {"units": "days since 1850-01-01", "calendar": "noleap"}, {}),
        (VALUES.astype("i4"), {"units": "hours since 1900-01-01"}, {}),
        (VALUES.astype("u1"), {"scale_factor": np.float64(0.1)}, {}),
        (VALUES, PACKED, {"chunks": (2, 2), "fill": 7, "holes": (0,)}),
        (VALUES.astype("i4"), {"units": "hours", "dtype": "timedelta64[ns]"}, {"fill": 5}),
        (VALUES.astype("f8") / 4, {"units": "days", "dtype": "timedelta64[s]"}, {}),
        (VALUES.astype("i1") - 6, {"_Unsigned": "true"}, {"fill": -1}),
        (VALUES.astype("i1") - 6, {"_Unsigned": "true", **SCALED}, {"fill": -2}),
        (VALUES.astype("u1"), {"_Unsigned": "false"}, {"fill": 3}),
        (VALUES, {"missing_value": 4}, {"fill": 7}),
        (VALUES, {"missing_value": 4.0, **SCALED}, {"fill": 9}),
        (VALUES, {"missing_value": [4]}, {"fill": 7}),
        (VALUES.astype("f4"), {"missing_value": 1e20}, {"fill": float("nan")}),
        (VALUES.astype("f4") - 99.9, {"missing_value": -99.9}, {"fill": float("nan")}),
        (VALUES.astype("f4") - 99.9, {"missing_value": [-99.9], **SCALED}, {}),
        (VALUES.astype("f4") - 99.9, {"missing_value": -99.9}, {"fill": -99.9}),
        (VALUES.astype("f4") - 99.9, {"missing_value": -99.9}, {"fill": 4}),
        (VALUES.astype("f4"), {"missing_value": 2**24 + 1}, {}),
        (VALUES.astype("f4"), {"missing_value": 1e39}, {}),
        (VALUES.astype("f8") - 99.9, {"missing_value": -99.9}, {}),
        (VALUES.astype("i1") - 6, {"missing_value": -1, "_Unsigned": "true"}, {"fill": 3}),
        (VALUES.astype("u1"), {"missing_value": 4, "_Unsigned": "false"}, {"fill": 3}),
        (VALUES.astype("i4"), {"units": "days since 2000-01-01", "missing_value": 4}, {"fill": 9}),
        (
            VALUES.astype("i4"),
            {"units": "seconds", "dtype": "timedelta64[ns]", "missing_value": 4},
            {"fill": 9},
        ),
    ],
)
async def test_a_file_holds_what_the_store_holds(
    values: np.ndarray[Any, Any], attrs: dict[str, Any], options: dict[str, Any]
) -> None:
    """Undecoded they are equal in values, types (but for the byte order) and decoding."""
    spec = one(values, attrs, **options)
    content = await file_of(spec, Selection({"time": PositionSlice(1, None)}))
    with xr.open_dataset(BytesIO(content), engine="h5netcdf", decode_cf=False) as file:
        store = by_xarray(spec, decode_cf=False).isel(time=slice(1, None))
        assert file["v"].dtype == store["v"].dtype.newbyteorder("=")
        np.testing.assert_array_equal(file["v"].values, store["v"].values)
        for name, value in store["v"].attrs.items():
            told, plain = file["v"].attrs[name], np.asarray(value)
            if name in FILLS:
                # They have the type of the values, if one of them is meant: see `told_fill`.
                own = np.squeeze(plain.astype(file["v"].dtype))
                beside = store["v"].attrs.get("_FillValue")
                exact = np.array_equal(own, np.squeeze(plain), equal_nan=True) or own == beside
                plain = own if exact else np.squeeze(plain.astype("f8"))
                assert np.asarray(told).dtype == plain.dtype
            np.testing.assert_equal(told, plain if plain.ndim else plain[()], name)
    with xr.open_dataset(BytesIO(content), engine="h5netcdf") as file:
        decoded = by_xarray(spec, decode_cf=True)
        xr.testing.assert_equal(file.load(), decoded.isel(time=slice(1, None)).load())


@pytest.mark.parametrize(
    ("values", "attrs"),
    [
        (VALUES.astype("i1"), {"dtype": "bool"}),
        (VALUES.astype("U2"), {}),
        (VALUES.astype("M8[D]"), {}),
        (VALUES.astype("u1"), {"missing_value": -9999}),
        (VALUES, {"missing_value": [4, 7]}),
        (VALUES.astype("f4"), {"missing_value": []}),
        (VALUES.astype("i1"), {"missing_value": 255, "_Unsigned": "true"}),
        (VALUES, {"_Unsigned": "perhaps"}),
    ],
)
async def test_what_no_file_decodes_is_decoded(
    values: np.ndarray[Any, Any], attrs: dict[str, Any]
) -> None:
    """Types that NetCDF lacks, and fill values that are none of the type's."""
    opened = await open_dataset(fs_map(documents_of(one(values, attrs))))
    planned = plan(prepare(opened), Selection({"x": Position(0)}))
    assert planned.as_stored().reading.pending["v"] == planned.reading.pending["v"]


async def test_what_is_stored_is_found_out_once_for_each_encoding() -> None:
    """Of the same array another encoding is not answered by what was kept of the one before."""
    opened = await open_dataset(fs_map(documents_of(one(VALUES, PACKED))))
    prepared = prepare(opened)
    first, second = (
        plan(prepared, Selection({"x": Position(at)})).as_stored().reading.pending["v"]
        for at in (0, 1)
    )
    assert first.array is second.array
    assert first.encoding[AS_STORED]["scale_factor"] == 0.5
    other = plan(prepared, Selection()).reading.pending["v"].array.as_stored({"scale_factor": 2.0})
    assert other is not None
    assert other[1][AS_STORED] == {"scale_factor": 2.0}
    again = plan(prepared, Selection()).as_stored().reading.pending["v"]
    assert again.encoding[AS_STORED] == first.encoding[AS_STORED]


@pytest.mark.parametrize(
    ("values", "attrs", "fill", "held"),
    [
        (VALUES % 3 > 0, {}, False, "i1"),
        (VALUES.astype("f2") / 4, {}, 0, "f4"),
        (VALUES.astype("f2") / 4, {"scale_factor": 0.1, "add_offset": 1.0}, 0, "f4"),
        (VALUES.astype("M8[s]"), {}, None, "i8"),
        (VALUES.astype(">M8[ns]"), {}, None, "i8"),
        (VALUES.astype("m8[ms]"), {}, None, "i8"),
    ],
)
async def test_what_has_a_fixed_size_is_stored_without_a_look_at_its_values(
    values: np.ndarray[Any, Any], attrs: dict[str, Any], fill: object, held: str
) -> None:
    """All of it, and a part that is all missing, are in one type, and decode as the store does."""
    spec = one(values, attrs) if fill is None else one(values, attrs, fill=fill)
    for first in (Positions((0, 2)), Position(0)):
        content = await file_of(spec, Selection({"time": first, "x": PositionSlice(0, 1)}))
        with xr.open_dataset(BytesIO(content), engine="h5netcdf", decode_cf=False) as file:
            assert file["v"].dtype == np.dtype(held)
        with xr.open_dataset(BytesIO(content), engine="h5netcdf") as file:
            place = 0 if isinstance(first, Position) else [0, 2]
            wanted = by_xarray(spec, decode_cf=True).isel(time=place, x=slice(0, 1))
            xr.testing.assert_equal(file.load(), wanted.load())


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_any_file_decodes_to_the_answer(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Read by xarray, a file of packed values is the file of decoded ones."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec))))
        planned = plan(prepare(opened), Selection())
        decoded = encode_netcdf(runner.run(planned.read()))
    except Exception:
        assume(False)
        raise
    packed = encode_netcdf(runner.run(planned.as_stored().read()))
    event("the same bytes" if packed == decoded else "other bytes")
    theirs, ours = (xr.open_dataset(BytesIO(c), engine="h5netcdf") for c in (decoded, packed))
    with theirs, ours:
        try:
            theirs.load()
        except Exception:
            assume(False)
            raise
        ours.load()
        for name, variable in theirs.variables.items():
            if variable.size or variable.dtype.kind != "m":
                # xarray takes the resolution of durations from their values. Bytes of one length
                # are as long as the store's, or as the longest that is there.
                dtype = ours.variables[name].dtype
                assert dtype == variable.dtype or dtype.kind == variable.dtype.kind == "S", name
            xr.testing.assert_equal(ours.variables[name], variable)


def by_positions(dataset: xr.Dataset, selection: Selection) -> xr.Dataset:
    """What xarray selects for a selection of positions."""
    indexers: dict[str, Any] = {}
    for name, wanted in selection.along.items():
        match wanted:
            case Position(index):
                indexers[name] = index
            case Positions(indexes):
                places = list(indexes)
                together = name in selection.pointwise
                indexers[name] = xr.Variable("points", places) if together else places
            case PositionSlice(start, stop, step):
                indexers[name] = slice(start, stop, step)
    return dataset.isel(indexers)


def in_a_file(variable: xr.Variable) -> np.ndarray[Any, Any]:
    """Undecoded values of a store in the type that a file has for them."""
    values = variable.values
    fills = [
        np.asarray(variable.attrs[key], values.dtype) for key in FILLS if key in variable.attrs
    ]
    match values.dtype.kind:
        case "M" | "m":
            return values.astype("i8")
        case "f" if values.dtype.itemsize == 2:
            return values.astype("f4")
        case "b":
            return np.where(np.isin(values, fills), -1, values.astype("i1")).astype("i1")
        case "S":
            return np.where(np.isin(values, fills), b"", values).astype(values.dtype)
        case _:
            return values


@pytest.mark.parametrize("order", ["variable", "row"])
@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_values_are_those_that_xarray_does_not_decode(
    runner: asyncio.Runner, order: Order, spec: StoreSpec, data: st.DataObject
) -> None:
    """Read whole and in slabs, what goes as stored is what the store has, in values and types."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec))))
        selection = data.draw(selections(opened), label="selection")
        planned = plan(prepare(opened), selection)
        runner.run(planned.read())
        theirs = by_positions(by_xarray(spec, decode_cf=False), selection).load()
    except Exception:
        assume(False)
        raise
    stored = planned.as_stored()
    whole = runner.run(stored.read())
    most_bytes = data.draw(st.sampled_from([1, 100, 10_000]), label="bytes")
    parts = together(runner.run(all_slabs(stored, most_bytes, order)))
    assert parts.keys() == whole.variables.keys()
    names = [name for name, v in whole.variables.items() if AS_STORED in v.encoding]
    event("some as stored" if names else "none as stored")
    for name in names:
        for ours in (whole.variables[name], parts[name]):
            variable = theirs.variables[name]
            assert (ours.dims, ours.shape) == (variable.dims, variable.shape), name
            wanted = in_a_file(variable)
            assert ours.dtype == wanted.dtype.newbyteorder("="), name
            told = stored.schema.variables[name].dtype
            # One value of bytes has its own length in numpy, and in xarray too.
            shorter = ours.dtype.kind == "S" and not ours.dims
            assert told >= ours.dtype if shorter else told == ours.dtype, name
            np.testing.assert_array_equal(ours.values, wanted, str(name))
    for name, variable in whole.variables.items():
        assert variable.identical(parts[name].to_base_variable()) or name in names


TIMES = {"units": "days since 1850-01-01", "calendar": "noleap"}


@pytest.mark.parametrize("order", ["variable", "row"])
@pytest.mark.parametrize(
    ("values", "attrs"),
    [
        (np.arange(0, 30, 10, dtype="i4"), TIMES),
        (np.arange(9, 3, -2, dtype=">i8"), {"units": "hours since 2000-01-01"}),
        (np.array([0.1, 0.25, 3.5]), TIMES),
        (np.array([10, 20, 25], dtype="i2"), {"scale_factor": 0.1, "_FillValue": -1}),
        (np.array([1, 2, 4], dtype="i4"), {"units": "days", "dtype": "timedelta64[ns]"}),
    ],
)
@pytest.mark.parametrize(
    "wanted", [Position(1), Positions((2, 0, 2)), PositionSlice(None, None, -1), None]
)
async def test_index_coordinates_are_as_stored(
    order: Order, values: np.ndarray[Any, Any], attrs: dict[str, Any], wanted: Along | None
) -> None:
    """What labels an axis goes as the store has it, too: no instant is counted anew."""
    spec = StoreSpec(
        (
            ArraySpec("time", ("time",), values, attrs, fill=None),
            ArraySpec("v", ("time", "x"), VALUES, PACKED, chunks=(1, 4)),
        ),
        zarr_format=2,
    )
    planned = plan(
        prepare(await open_dataset(fs_map(documents_of(spec)))),
        Selection({} if wanted is None else {"time": wanted}),
    )
    decoded, stored = await planned.read(), planned.as_stored()
    theirs = by_positions(by_xarray(spec, decode_cf=False), planned.selection)
    whole = await stored.read()
    parts = together(await all_slabs(stored, 1, order))
    for ours in (whole.variables["time"], parts["time"]):
        assert ours.dtype == theirs["time"].dtype.newbyteorder("=")
        np.testing.assert_array_equal(ours.values, theirs["time"].values)
    with xr.open_dataset(BytesIO(encode_netcdf(whole)), engine="h5netcdf") as file:
        xr.testing.assert_equal(file.load(), decoded)
    with xr.open_dataset(BytesIO(encode_netcdf(whole)), engine="h5netcdf", decode_cf=False) as file:
        assert file["time"].dtype == theirs["time"].dtype.newbyteorder("=")
        np.testing.assert_array_equal(file["time"].values, theirs["time"].values)


async def by_slabs(
    planned: Plan, file: NetcdfFile, known: dict[Hashable, FileValues], most_bytes: int
) -> bytes:
    """The file from slabs; `known` has the values that decide how they are stored."""
    content = file.layout.metadata
    done: Counter[Hashable] = Counter()
    async for slab in planned.slabs(most_bytes):
        for name, variable in slab.variables.items():
            first = done[name]
            done[name] += len(variable) if variable.ndim else 1
            values = variable.values
            if name in known:
                values = known[name].values
                values = values[first : done[name]] if values.ndim else values
            content += b"".join(file.put(name, values))
    return content


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_single_text_of_bytes_keeps_the_length_of_its_store(
    runner: asyncio.Runner, zarr_format: Literal[2, 3]
) -> None:
    """As in a file, whose size is told before values are read; decoded it is as in xarray."""
    text = ArraySpec("v", (), np.array(b"a", "S300"), chunks=())
    spec = StoreSpec((text,), zarr_format)
    planned = plan(prepare(runner.run(open_dataset(fs_map(documents_of(spec))))), Selection())
    stored = runner.run(planned.as_stored().read())["v"].variable
    assert stored.dtype == np.dtype("S300")
    assert stored.values[()] == b"a"
    assert runner.run(planned.read())["v"].values[()] == b"a"


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_any_file_is_known_before_its_values(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """What a plan says of an answer gives the file's size and its first bytes; slabs the rest."""
    try:
        opened = runner.run(open_dataset(fs_map(documents_of(spec))))
        planned = plan(prepare(opened), Selection()).as_stored()
        whole = runner.run(planned.read())
        expected = encode_netcdf(whole)
    except Exception:
        assume(False)
        raise
    reading = planned.reading
    found: dict[Hashable, VariableSchema] = {**reading.variables, **reading.pending}
    variables = {name: found[name] for name in planned.schema.variables}
    known: dict[Hashable, FileValues] = {}
    for name, variable in variables.items():
        if file_form(str(name), variable.dtype, len(variable.dims), variable.encoding) is None:
            assume(name not in reading.pending)
            in_memory = reading.variables[name]
            known[name] = store_values(in_memory.values, in_memory.encoding)
    names, coord_names = FileNames.of(opened), planned.schema.coord_names
    file = NetcdfFile(variables, coord_names, reading.attrs, names, known)
    most_bytes = data.draw(st.sampled_from([1, 100, 10_000]))
    content = runner.run(by_slabs(planned, file, known, most_bytes))
    file.finish()
    assert (len(content), content) == (file.layout.size, expected)
