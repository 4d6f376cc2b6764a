"""DAP2 and DAP4: which type a variable has, what is said of it, and its bytes."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from typing import Literal

import numpy as np
import pytest
import xarray as xr

from sluice.aliases import Array
from sluice.encoders import dap2, dap4
from sluice.encoders.answer_schema import AS_STORED
from sluice.encoders.dap2_documents import das, dds, error
from sluice.encoders.dap_variables import DapDataset, DapPart

DATA = b"\nData:\n"


def served(
    ds: xr.Dataset, version: Literal[2, 4] = 2, known: tuple[str, ...] | None = None
) -> DapDataset:
    """The dataset, of which these variables are in memory (all)."""
    found = {n: v for n, v in ds.variables.items() if known is None or n in known}
    return DapDataset.of("toy", version, ds.variables, found, set(ds.coords), ds.attrs)


def alone(values: Array, **attrs: object) -> xr.Dataset:
    return xr.Dataset({"v": ("x", values, attrs)})


def as_stored(values: Array, **decoding: object) -> xr.Dataset:
    """A variable as the store packs it, with what decodes it."""
    ds = alone(values)
    ds["v"].encoding = {AS_STORED: decoding}
    return ds


def declared(ds: xr.Dataset, known: tuple[str, ...] | None = None) -> str:
    dataset = served(ds, known=known)
    return dds(dataset, [*map(DapPart.whole, dataset.variables)]).split()[2]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        *(("u1", "Byte"), ("i1", "Int16"), ("i2", "Int16"), ("u2", "UInt16"), ("i4", "Int32")),
        *(("u4", "UInt32"), ("f2", "Float32"), (">f4", "Float32"), ("f8", "Float64")),
        *(("i8", "Float64"), ("u8", "Float64"), ("?", "Byte"), ("U3", "String"), ("S3", "String")),
    ],
)
def test_types_follow_from_metadata(dtype: str, name: str) -> None:
    """Of values that nobody has read."""
    assert declared(alone(np.zeros(3, dtype)), known=()) == name


def test_integers_in_memory_are_as_short_as_they_can_be() -> None:
    """Their values and fill values decide, those of all of the variable."""
    assert declared(alone(np.array([-(2**31), 2**31 - 1]))) == "Int32"
    assert declared(alone(np.array([0, 2**31]))) == "Float64"
    assert declared(alone(np.array([0, 2**31 - 1], "u8"))) == "Int32"
    assert declared(as_stored(np.array([1, 2]), _FillValue=np.int64(-1))) == "Int32"
    assert declared(as_stored(np.array([1, 2]), _FillValue=np.int64(-(2**63)))) == "Float64"


def test_fill_values_have_the_type_of_the_values() -> None:
    """As stored, where values are packed; other attributes are signed, as values are to some."""
    ds = as_stored(np.array([1, 2], "i1"), _FillValue=np.int8(-1), scale_factor=0.5)
    told = das(served(ds))
    assert "Int16 _FillValue -1;" in told
    assert "Float64 scale_factor 0.5;" in told
    ds = as_stored(np.array([1, 200], "u1"), _FillValue=np.uint8(255))
    ds["v"].attrs["flag_values"] = np.array([1, 200], "u1")
    told = das(served(ds))
    assert "Byte _FillValue 255;" in told
    assert "Int16 flag_values 1, 200;" in told
    assert 'String _Unsigned "true";' in told


def test_signs_that_attributes_tell_are_the_type_s() -> None:
    """Bytes that count as unsigned are those of the protocol."""
    ds = as_stored(np.array([1, -1], "i1"), _Unsigned="true", _FillValue=np.int8(-2))
    dataset = served(ds)
    assert declared(ds) == "Byte"
    assert "Byte _FillValue 254;" in das(dataset)
    content = dap2.data_format(dataset, [*map(DapPart.whole, dataset.variables)]).encode(ds)
    assert content.partition(DATA)[2] == struct.pack(">IIBB2x", 2, 2, 1, 255)


def test_times_are_counted() -> None:
    """In units of the whole coordinate, also those of which only a part is asked for."""
    times = np.array(["2000-01-01", "2000-01-02T01", "NaT"], "M8[ns]")
    dataset = served(alone(times))
    (variable,) = dataset.variables
    assert variable.attrs["units"] == "hours since 1970-01-01"
    part = DapPart(variable, (range(1, 2),))
    values = part.values({})
    assert values is not None
    assert variable.numbers(values).tolist() == [262_993]
    lazy = served(alone(times), known=()).variables[0]
    assert lazy.dtype == np.dtype("f8")
    assert lazy.attrs["units"] == "seconds since 1970-01-01"
    np.testing.assert_array_equal(lazy.numbers(times)[[0, 2]], [946_684_800, np.nan])
    spans = served(alone(times - times[0]), known=()).variables[0]
    np.testing.assert_array_equal(spans.numbers(times - times[0]), [0, 90_000, np.nan])


def test_dates_of_other_calendars_are_counted() -> None:
    dates = xr.date_range("2000-02-29", periods=2, calendar="360_day", use_cftime=True).values
    dates = np.array([*dates, None])
    ds = alone(dates)
    ds["v"].encoding = {"units": "days since 2000-01-01", "calendar": "360_day"}
    lazy = served(ds, known=()).variables[0]
    assert lazy.attrs["calendar"] == "360_day"
    np.testing.assert_array_equal(lazy.numbers(dates), [58, 59, np.nan])
    assert np.isnan(lazy.numbers(dates[2:])).all()


def test_what_nobody_can_have_is_left_out() -> None:
    ds = xr.Dataset({"c": ("x", np.zeros(2, "c8")), "e": ("y", np.zeros(0)), "v": ("x", [1.0, 2])})
    dataset = served(ds)
    assert [v.stored for v in dataset.variables] == ["v"]
    assert dataset.left_out == ("c", "e")


def test_names_have_plain_letters() -> None:
    """Attributes that name variables follow, and the name as it was is told."""
    ds = xr.Dataset({"a b": ("x y", [1.0])}, coords={"ä": ("x y", [1.0]), "a_b": ("x y", [2.0])})
    dataset = served(ds)
    assert [v.stored for v in dataset.variables] == ["a_b_", "_", "a_b"]
    assert dataset.variables[0].dims == ("x_y",)
    assert dataset.variables[0].attrs["coordinates"] == "_ a_b"
    assert dataset.variables[0].attrs["origname"] == "a b"


def test_a_dimension_without_a_variable_has_its_name_told() -> None:
    """By an attribute of the dataset, where it is another one."""
    ds = xr.Dataset({"v": (("x y", "z", "é"), np.zeros((1, 2, 3)))}, {"é": [1, 2, 3]})
    assert {k: v for k, v in served(ds).attrs.items() if "origname" in k} == {"origname_x_y": "x y"}
    assert 'String origname_x_y "x y";' in das(served(ds))
    whole = [*map(DapPart.whole, served(ds, 4).variables)]
    assert 'name="origname_x_y"' in dap4.dmr(served(ds, 4), whole)
    assert served(ds).by_name["_"].attrs["origname"] == "é"


def test_attributes_are_quoted() -> None:
    """Texts, lists of them, numbers that are none."""
    attrs = {"t": 'a "b" \\', "l": ["x", "y"], "n": np.array([np.nan, np.inf, -np.inf, 0.1], "f4")}
    told = das(served(alone(np.zeros(1), **attrs)))
    assert 'String t "a \\"b\\" \\\\";' in told
    assert 'String l "x", "y";' in told
    assert "Float32 n NaN, Inf, -Inf, 0.1;" in told
    whole = served(alone(np.zeros(1), **attrs, **{"<&\x01": "<&\x01"}), 4)
    found = ET.fromstring(dap4.dmr(whole, [*map(DapPart.whole, whole.variables)]))
    names = {one.get("name"): [v.text for v in one] for one in found.iter() if one.get("type")}
    assert names["t"] == ['a "b" \\']
    assert ["<&\ufffd"] in names.values()
    assert names["n"] == ["NaN", "Inf", "-Inf", "0.1"]


def test_errors_are_documents() -> None:
    assert error(400, 'a "b"') == 'Error {\n    code = 400;\n    message = "a \\"b\\"";\n};\n'
    assert ET.fromstring(dap4.error(400, "<a & b>"))[0].text == "<a & b>"


def test_text_is_written_row_by_row() -> None:
    """Long rows and short ones, whole, in pieces."""
    ds = xr.Dataset({"a": (("x", "y"), np.arange(10_000).reshape(2, 5000)), "s": ((), "x")})
    dataset = served(ds)
    form = dap2.ascii_format(dataset, [*map(DapPart.whole, dataset.variables)])
    lines = form.encode(ds).decode().splitlines()
    assert lines[5] == "a[2][5000]"
    assert lines[6].startswith("[0], 0, 1, ")
    assert lines[7] == f"[1], {', '.join(map(str, range(5000, 10_000)))}"
    assert lines[9] == 's, "x"'
    assert len([*form.pieces(ds)]) > 4


def test_chunks_of_dap4_say_how_long_they_are() -> None:
    """And which is the last."""
    ds = xr.Dataset({"a": ("x", np.arange(3.0)), "s": ("x", ["p", "qé", ""])})
    dataset = served(ds, 4)
    parts = [*map(DapPart.whole, dataset.variables)]
    content = dap4.data_format(dataset, parts, checksums=False).encode(ds)
    chunks = []
    while content:
        flags, length = content[0], int.from_bytes(content[1:4], "big")
        chunks.append((flags, content[4 : 4 + length]))
        content = content[4 + length :]
    assert [flags for flags, _ in chunks] == [4] * (len(chunks) - 1) + [5]
    assert chunks[0][1] == dap4.dmr(dataset, parts).encode() + b"\r\n"
    texts = b"".join(struct.pack("<q", len(t.encode())) + t.encode() for t in ("p", "qé", ""))
    assert b"".join(part for _, part in chunks[1:]) == np.arange(3.0).tobytes() + texts


@pytest.mark.parametrize("version", [2, 4])
def test_texts_that_are_no_utf8_are_told_as_in_json(version: Literal[2, 4]) -> None:
    """Clients fail on other bytes; a text that looks like the mark is told so as well."""
    texts = np.array([b"ab", b"c\xff", b"base64url:"], object)
    (variable, *_) = served(alone(texts), version).variables
    assert variable.texts(texts) == [b"ab", b"base64url:Y_8=", b"base64url:YmFzZTY0dXJsOg=="]
