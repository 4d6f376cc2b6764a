"""NetCDF-4 files as HDF5, h5netcdf and the C library see them, and as h5netcdf writes them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.encoders.file_values import ValueWriter
from sluice.encoders.netcdf_file import NetcdfVariable, file_layout

SIZES = {"x": 3, "y": 2, "z": 1}
DTYPES = ["i1", "<i2", ">i4", "i8", "u1", ">u2", "u4", "u8", "f4", ">f4", "f8", ">f8", "S1", "O"]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
attributes = st.dictionaries(
    st.from_regex("[a-zæ][a-z_]{0,6}", fullmatch=True),
    st.one_of(
        texts,
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.lists(texts, min_size=2, max_size=3),
        npst.arrays(st.sampled_from(["i2", "f4", "u8"]), st.integers(2, 4)),
    ),
    max_size=12,
)


@dataclass
class Filled:
    """A variable with its values."""

    name: str
    dims: tuple[str, ...]
    values: np.ndarray[Any, Any]
    attrs: dict[str, Any]
    chunks: tuple[int, ...] | None = None

    @property
    def schema(self) -> NetcdfVariable:
        """What is known without the values, but for text."""
        shape, dtype = self.values.shape, self.values.dtype
        texts = self.values.ravel().tolist() if dtype.kind == "O" else ()
        return NetcdfVariable(self.name, self.dims, shape, dtype, self.attrs, texts, self.chunks)


@st.composite
def files(draw: st.DrawFn) -> tuple[list[Filled], dict[str, Any]]:
    """Variables of any dtype along any dimensions, coordinates of one or two among them."""
    variables = []
    for name in draw(st.lists(st.sampled_from([*"xyabc"]), unique=True)):
        dims = tuple(draw(st.lists(st.sampled_from([*SIZES]), unique=True, max_size=3)))
        if name in SIZES:
            dims = (name, *(dim for dim in dims if dim != name))[: draw(st.integers(1, 2))]
        dtype = draw(st.sampled_from(DTYPES))
        shape = tuple(SIZES[dim] for dim in dims)
        elements = texts if dtype == "O" else None
        values = draw(npst.arrays(dtype, shape, elements=elements))
        variables.append(Filled(name, dims, values, draw(attributes)))
    return variables, draw(attributes)


def by_h5netcdf(variables: list[Filled], attrs: dict[str, Any]) -> bytes:
    """The same file by the library that reads and writes NetCDF-4 through h5py."""
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs.update(attrs)
        for variable in variables:
            for dim, size in zip(variable.dims, variable.values.shape, strict=True):
                if dim not in file.dimensions:
                    file.dimensions[dim] = size
        for variable in variables:
            dtype = variable.values.dtype
            kind = h5py.string_dtype() if dtype.hasobject else dtype
            written = file.create_variable(variable.name, variable.dims, kind)
            written[...] = variable.values
            written.attrs.update(variable.attrs)
    return buffer.getvalue()


def plain(value: Any) -> Any:
    """What a reader tells of a value, but for the byte order and the type that it gives text."""
    match value:
        case bytes():
            return value.decode(errors="backslashreplace")
        case np.ndarray(dtype=np.dtype(kind="O" | "S")) | list():
            return [plain(item) for item in np.ravel(value).tolist()]
        case np.ndarray() | np.number():
            return value.dtype.newbyteorder("=").str, repr(value.tolist())
        case _:
            return value


def seen_by_h5netcdf(content: bytes) -> Any:
    """All that h5netcdf tells of a file, in its order but for dimensions."""
    with h5netcdf.File(io.BytesIO(content)) as file:
        sizes = {name: len(dim) for name, dim in file.dimensions.items()}
        variables = [
            (
                name,
                found.dimensions,
                plain(found[...]),
                {k: plain(v) for k, v in found.attrs.items()},
            )
            for name, found in file.variables.items()
        ]
        return sizes, {name: plain(value) for name, value in file.attrs.items()}, variables


def seen_in_c(content: bytes) -> Any:
    """All that the C library tells of a file, in its order but for dimensions."""
    with netCDF4.Dataset("memory", memory=content) as file:
        file.set_auto_maskandscale(False)
        sizes = {name: len(dim) for name, dim in file.dimensions.items()}
        variables = [
            (name, found.dimensions, plain(found[...]), attributes_in_c(found))
            for name, found in file.variables.items()
        ]
        return sizes, attributes_in_c(file), variables


def attributes_in_c(holder: Any) -> list[tuple[str, Any]]:
    """Names and values in the order in which they were written."""
    return [(name, plain(holder.getncattr(name))) for name in holder.ncattrs()]


def file_of(variables: list[Filled], attrs: dict[str, Any]) -> bytes:
    layout = file_layout([variable.schema for variable in variables], attrs)
    writer, values = ValueWriter(layout), {v.name: v.values for v in variables}
    parts = [part for name in layout.extents for part in writer.put(name, values[name])]
    writer.finish()
    content = layout.metadata + b"".join(parts)
    assert len(content) == layout.size
    return content


@given(files())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_any_file_is_read_as_written_by_the_library(
    file: tuple[list[Filled], dict[str, Any]],
) -> None:
    """h5netcdf and the C library see the same in our file as in h5netcdf's of the same content."""
    ours, theirs = file_of(*file), by_h5netcdf(*file)
    for seen in (seen_by_h5netcdf, seen_in_c):
        assert seen(ours) == seen(theirs)


def variable(name: str, dims: str, values: Any, **attrs: Any) -> Filled:
    """A variable along dimensions of one letter each."""
    return Filled(name, tuple(dims), np.asarray(values), attrs)


def test_scales_are_attached() -> None:
    """HDF5's own functions find the scale of every dimension, also of one without labels."""
    labels = variable("x", "x", [1.0, 2.0, 3.0])
    content = file_of([variable("v", "xy", np.zeros((3, 2))), labels], {})
    with h5py.File(io.BytesIO(content)) as file:
        assert [[*axis.values()] for axis in file["v"].dims] == [[file["x"]], [file["y"]]]
        assert [file[name].is_scale for name in file] == [False, True, True]
        for axis, scale in enumerate((file["x"], file["y"])):
            assert h5py.h5ds.is_attached(file["v"].id, scale.id, axis)
            assert [(file[who], n) for who, n in scale.attrs["REFERENCE_LIST"]] == [
                (file["v"], axis)
            ]


def test_a_variable_called_like_a_dimension_that_it_is_not() -> None:
    """Such a variable keeps its name beside the dimension, in both readers."""
    clashing = [variable("x", "yx", [[1, 2, 3]]), variable("y", "", 5), variable("v", "y", [7])]
    content = file_of(clashing, {})
    for sizes, _, found in (seen_by_h5netcdf(content), seen_in_c(content)):
        assert sizes == {"y": 1, "x": 3}
        assert [(name, dims) for name, dims, *_ in found] == [
            ("x", ("y", "x")),
            ("y", ()),
            ("v", ("y",)),
        ]


def test_an_empty_dimension_in_c() -> None:
    """A dimension of no size, and what lies along it, is there."""
    with netCDF4.Dataset("memory", memory=file_of([variable("v", "x", [])], {})) as file:
        assert len(file.dimensions["x"]) == 0
        assert file["v"][...].shape == (0,)


def test_text_of_any_length() -> None:
    """Texts that fill many collections of the heap, or more than one holds, and empty ones."""
    values = [*("å" * (n % 50) for n in range(5_000)), "", "long" * 40_000, "end"]
    texts = variable("texts", "x", np.array(values, dtype=object), note="long" * 40_000, none="")
    content = file_of([texts], {"history": "line\n" * 20_000, "list": ["a", "å" * 70_000]})
    for _, attrs, [(_, _, found, own)] in (seen_by_h5netcdf(content), seen_in_c(content)):
        assert found == values
        assert dict(own) == {"note": "long" * 40_000, "none": ""}
        assert dict(attrs) == {"history": "line\n" * 20_000, "list": ["a", "å" * 70_000]}


def test_many_variables_and_attributes() -> None:
    """More than HDF5 itself keeps in one header, and more users of a dimension than it can list."""
    many = {f"a{n}": n for n in range(300)}
    variables = [variable(f"v{n}", "x", [n]) for n in range(4_100)]
    content = file_of([*variables, variable("x", "x", [0], **many)], many)
    with netCDF4.Dataset("memory", memory=content) as file:
        assert {name: file.getncattr(name) for name in file.ncattrs()} == many
        assert {name: file["x"].getncattr(name) for name in file["x"].ncattrs()} == many
        assert [*file.variables] == [*(f"v{n}" for n in range(4_100)), "x"]
        assert (file["v4099"].dimensions, file["v4099"][0]) == (("x",), 4099)


def test_the_c_library_can_change_a_file(tmp_path: Path) -> None:
    """What is renamed, added, grown and deleted in our file is so when it is opened again."""
    path = tmp_path / "changed.nc"
    labels = variable("x", "x", [1.0, 2.0], units="m", note="old")
    texts = np.array(["a", "b"], dtype=object)
    path.write_bytes(
        file_of([variable("v", "xy", [[1], [2]]), variable("t", "x", texts), labels], {"a": "b"})
    )
    with netCDF4.Dataset(path, "r+") as file:
        file.renameVariable("v", "w")
        file.renameDimension("y", "z")
        file["x"].delncattr("note")
        file["x"].units = "a longer text than before"
        file["w"][...] = [[3], [4]]
        file["t"][0] = "longer than before"
        for n in range(20):
            file.setncattr(f"n{n}", n)
            file.createVariable(f"new{n}", "f4", ("x", "z"))[...] = n
    with netCDF4.Dataset(path) as file:
        assert (file["w"].dimensions, file["w"][...].tolist()) == (("x", "z"), [[3], [4]])
        assert {name: file["x"].getncattr(name) for name in file["x"].ncattrs()} == {
            "units": "a longer text than before"
        }
        assert file["t"][...].tolist() == ["longer than before", "b"]
        assert (file.a, file.n19, file["new19"][...].tolist()) == ("b", 19, [[19], [19]])


def test_equal_content_gives_equal_bytes() -> None:
    """A file depends on nothing but what it holds: no time, no random name."""
    content = [variable("v", "xy", [[1.5]], units="K"), variable("t", "", np.array("a", object))]
    assert file_of(content, {"a": 1}) == file_of(content, {"a": 1})


@pytest.mark.parametrize("dtype", ["c8", "f2", "M8[s]", "U3"])
def test_what_has_no_type_is_refused(dtype: str) -> None:
    """Values of a dtype that the format lacks raise, and are not written as something else."""
    with pytest.raises(TypeError, match="HDF5"):
        file_of([variable("v", "x", np.zeros(1, dtype))], {})


@given(files(), st.data())
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_values_in_any_rows_give_the_same_bytes(
    file: tuple[list[Filled], dict[str, Any]], data: st.DataObject
) -> None:
    """A size and places that are known before any value, and rows in parts of any length."""
    variables, attrs = file
    order = data.draw(st.permutations([variable.name for variable in variables]))
    layout = file_layout([variable.schema for variable in variables], attrs, order)
    assert [*layout.extents] == [name for name in order if name in layout.extents]
    values = {variable.name: variable.values for variable in variables}
    writer, content = ValueWriter(layout), layout.metadata
    for name, extent in layout.extents.items():
        assert (extent.start, extent.start % 8) == (len(content), 0)
        own = values[name]
        ends = data.draw(st.lists(st.integers(0, len(own)))) if own.ndim else []
        for part in np.split(own, sorted(ends)) if own.ndim else [own]:
            content += b"".join(writer.put(name, part))
        assert content[extent.start :][: extent.length] == own.tobytes()
    writer.finish()
    assert len(content) == layout.size
    for seen in (seen_by_h5netcdf, seen_in_c):
        assert seen(content) == seen(file_of(variables, attrs))


def test_values_have_their_turn_and_their_number() -> None:
    """Values of another variable, too many and too few of them are refused."""
    pair = [variable("v", "x", [1, 2]), variable("w", "x", [3, 4])]
    layout = file_layout([one.schema for one in pair], {})
    with pytest.raises(ValueError, match="w are not the next"):
        [*ValueWriter(layout).put("w", pair[1].values)]
    with pytest.raises(ValueError, match="v has more values"):
        [*ValueWriter(layout).put("v", np.zeros(3, "i8"))]
    writer = ValueWriter(layout)
    assert b"".join(writer.put("v", pair[0].values[:1])) == np.int64(1).tobytes()
    with pytest.raises(ValueError, match="8 bytes of v are missing"):
        writer.finish()


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((5, 7), (2, 3)),
        ((4, 6), (2, 3)),
        ((1, 1), (4, 4)),
        ((130, 70), (2, 1)),
        ((9000,), (1,)),
        ((3, 2, 2), (3, 1, 2)),
    ],
)
def test_values_in_chunks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
    """A tree of no, one and two levels leads to each chunk; what fills up the last is not seen."""
    values = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    chunked = Filled(
        "v", ("x", "y", "z")[: len(shape)], values, {"_FillValue": np.int32(-9)}, chunks
    )
    labels = variable("x", "x", np.arange(shape[0]))
    content = file_of([chunked, labels], {})
    with h5py.File(io.BytesIO(content)) as file:
        assert file["v"].chunks == chunks
        np.testing.assert_array_equal(file["v"][...], values)
        count = file["v"].id.get_num_chunks()
        places = [file["v"].id.get_chunk_info(number) for number in range(min(count, 200))]
    extent = file_layout([chunked.schema, labels.schema], {}).extents["v"]
    size = int(np.prod(chunks)) * 4
    assert count * size == extent.length
    assert [one.byte_offset for one in places] == [
        extent.start + size * number for number in range(len(places))
    ]
    for _, _, [(_, _, found, _), _] in (seen_by_h5netcdf(content), seen_in_c(content)):
        assert found == plain(values)


def test_chunks_come_in_boxes() -> None:
    """A box of whole chunks at a time, in their order, gives the bytes of all at once."""
    chunked = Filled("v", ("x", "y"), np.arange(70).reshape(10, 7), {}, (4, 3))
    layout = file_layout([chunked.schema], {})
    writer, content = ValueWriter(layout), layout.metadata
    for rows, columns in [((0, 4), (0, 3)), ((0, 4), (3, 7)), ((4, 10), (0, 7))]:
        content += b"".join(writer.put("v", chunked.values[slice(*rows), slice(*columns)]))
    writer.finish()
    assert content == file_of([chunked], {})


def test_more_values_than_four_bytes_can_count(tmp_path: Path) -> None:
    """6 GiB in one piece, of which a file with holes has the last value."""
    shape = (3, 2**29)
    large = NetcdfVariable("v", ("x", "y"), shape, np.dtype("f4"), {}, (), None)
    small = NetcdfVariable("w", ("x",), (3,), np.dtype("f4"), {}, (), None)
    layout = file_layout([large, small], {})
    path = tmp_path / "large.nc"
    with path.open("wb") as file:
        file.write(layout.metadata)
        file.seek(layout.extents["v"].start + 3 * 2**31 - 4)
        file.write(np.float32(7).tobytes())
        file.seek(layout.extents["w"].start)
        file.write(np.array([1, 2, 3], "f4").tobytes())
        file.truncate(layout.size)
    with h5py.File(path) as read, netCDF4.Dataset(path) as read_in_c:
        for found in (read, read_in_c):
            assert found["v"].shape == shape
            assert found["v"][-1, -2:].tolist() == [0, 7]
            assert found["w"][:].tolist() == [1, 2, 3]


def test_a_dimension_that_grows(tmp_path: Path) -> None:
    """The C library appends to chunks, also where their tree is full."""
    path, values = tmp_path / "grows.nc", np.arange(64 * 3, dtype="f4").reshape(64, 3)
    labels = Filled("x", ("x",), np.arange(64.0), {}, (1,))
    chunked = Filled("v", ("x", "y"), values, {"_FillValue": np.float32(-1)}, (1, 3))
    layout = file_layout([chunked.schema, labels.schema], {}, unlimited=["x"])
    writer = ValueWriter(layout)
    parts = [*writer.put("v", values), *writer.put("x", labels.values)]
    path.write_bytes(layout.metadata + b"".join(parts))
    with netCDF4.Dataset(path, "r+") as file:
        assert [file.dimensions[dim].isunlimited() for dim in "xy"] == [True, False]
        file["v"][64:70] = 7
        file["x"][64:70] = np.arange(64.0, 70.0)
    with netCDF4.Dataset(path) as file:
        np.testing.assert_array_equal(file["v"][...], [*values, *np.full((6, 3), 7)])
        np.testing.assert_array_equal(file["x"][...], np.arange(70.0))


def test_what_grows_needs_chunks() -> None:
    """A piece of values cannot grow; a dimension without labels can."""
    with pytest.raises(ValueError, match="v can grow"):
        file_layout([variable("v", "x", [1]).schema], {}, unlimited=["x"])
    chunked = Filled("v", ("x",), np.arange(3), {}, (2,))
    layout = file_layout([chunked.schema], {}, unlimited=["x"])
    writer = ValueWriter(layout)
    content = layout.metadata + b"".join(writer.put("v", chunked.values))
    with netCDF4.Dataset("memory", memory=content) as file:
        assert (file.dimensions["x"].isunlimited(), len(file.dimensions["x"])) == (True, 3)
        assert file["v"][...].tolist() == [0, 1, 2]
