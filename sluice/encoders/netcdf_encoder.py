"""Dataset -> NetCDF-4 (HDF5) bytes, packed as the store packs it, equal to it when opened again."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.encoders.answer_schema import (
    FILLS,
    AnswerSchema,
    FileContent,
    UnreadAnswer,
    VariableSchema,
    check_distinct_dimensions,
    is_number,
    read_fill,
)
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_attributes import (
    RANGES,
    FileForm,
    FileValues,
    as_text,
    in_type_of,
    is_recounted,
    storable_attributes,
    unreadable_ranges,
)
from sluice.encoders.netcdf_file import FileLayout, NetcdfVariable, ValueWriter, file_layout
from sluice.encoders.netcdf_names import FileNames, renamed_references
from sluice.encoders.netcdf_packing import check_storable, form_of, in_form, store_values

if TYPE_CHECKING:
    import xarray as xr

_PACKING = frozenset(("_FillValue", "_Unsigned", "add_offset", "missing_value", "scale_factor"))


# The data model has dimensions twice; readers of it, xarray among them, lose one of the two.
_NAME: Final = "NetCDF as it is written here"
# Copied in a fraction of a millisecond, compressed in a few.
_PIECE_BYTES: Final = 2**18
_NO_CHUNKS: Final[Mapping[Hashable, tuple[int, ...]]] = MappingProxyType({})


class NetcdfFile:
    """The NetCDF file of a dataset, of whose values nothing is known yet but those that decide.

    `layout` has its first bytes, its size, and where values will lie: those of the variables in
    their order, under the names that `names` have for them.
    """

    def __init__(
        self,
        variables: Mapping[Hashable, VariableSchema],
        coord_names: Collection[Hashable],
        attrs: Mapping[Hashable, object],
        names: FileNames,
        known: Mapping[Hashable, FileValues],
        chunks: Mapping[Hashable, tuple[int, ...]] = _NO_CHUNKS,
        unlimited: Collection[Hashable] = (),
    ) -> None:
        """`known` has the values of the variables of which `form_of` says that these decide.

        Variables that have `chunks` lie in these, others in one piece; what lies along a dimension
        that is `unlimited` has some, or this is a `ValueError`. Raises `NotAcceptable` for complex
        variables, and for those that have a dimension twice.
        """
        check_distinct_dimensions(variables, coord_names, _NAME)
        self._names = names.stored
        self._known = known
        self.forms: dict[Hashable, FileForm] = {}
        beside = _coordinates(variables, coord_names, names)
        data = [name for name in variables if name not in coord_names]
        described: list[NetcdfVariable] = []
        for name in (*data, *(name for name in variables if name in coord_names)):
            variable = variables[name]
            form = self.forms[name] = self._form(name, variable)
            told = _described(names, name, variable, form, beside.get(name, {}))
            if form.dtype.kind == "O":
                told = replace(told, texts=known[name].values.ravel().tolist())
            elif name in chunks:
                # All the bytes of one value are in one chunk.
                told = replace(told, chunks=(*chunks[name], *told.shape[len(variable.dims) :]))
            described.append(told)
        own = storable_attributes(
            renamed_references(attrs, names), taken=("coordinates", "_FillValue")
        )
        order = [names.stored[name] for name in variables]
        growing = [names.stored[dim] for dim in unlimited]
        told_of_all = {**own, **beside.get(None, {})}
        self.layout: FileLayout = file_layout(described, told_of_all, order, growing)
        self._writer = ValueWriter(self.layout)

    def _form(self, name: Hashable, variable: VariableSchema) -> FileForm:
        if name in self._known:
            return self._known[name].form
        form = form_of(str(name), variable.dtype, len(variable.dims), variable.encoding)
        if form is None:
            raise ValueError(f"how {name} is stored depends on its values")
        return form

    def put(self, name: Hashable, values: Array) -> Iterator[memoryview]:
        """The bytes of the next values of a variable, decoded or as stored as its schema says.

        Values come in the order of the file: without chunks in any number, such as some rows of a
        variable, else in boxes of whole chunks. Raises `TypeError` for those of another kind.
        """
        if self.forms[name].dtype.kind != "O":
            yield from self._writer.put(self._names[name], self.in_file(name, values))

    def in_file(self, name: Hashable, values: Array) -> Array:
        """Any values of a variable that is no text, in the form that the file has them in."""
        form = self.forms[name]
        values = in_form(values, form)
        if form.dtype.kind == "S":
            return np.ndarray((*values.shape, form.dtype.itemsize), "S1", values.tobytes())
        return values

    def finish(self) -> None:
        """Raises `ValueError` where values are still to come."""
        self._writer.finish()


def encode_netcdf(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> bytes:
    """The bytes of `netcdf_pieces` in one piece."""
    return b"".join(netcdf_pieces(dataset, fragments))


def netcdf_pieces(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[memoryview]:
    """The bytes of a NetCDF-4 file; the dataset itself is not changed.

    Names that NetCDF-4 does not have become those that they are in all files of the dataset that
    `fragments` belongs to, without one in those of `dataset`, and so do attributes that name them.

    Nothing comes after each variable that is packed by its values, and then the file in its pieces.
    What NetCDF-4 cannot hold is written as text or decoded (float16 as float32). Raises
    `NotAcceptable` for complex variables, and for those that have a dimension twice.
    """
    variables, coord_names = dataset.variables, set(dataset.coords)
    check_distinct_dimensions(variables, coord_names, _NAME)
    known: dict[Hashable, FileValues] = {}
    for name, variable in variables.items():
        if decided_by_values(name, variable):
            known[name] = store_values(np.asarray(variable.data), variable.encoding)
            yield memoryview(b"")
    names = (fragments or FragmentCache(dataset)).names(variables, coord_names)
    file = NetcdfFile(variables, coord_names, dataset.attrs, names, known)
    yield from _in_pieces(memoryview(file.layout.metadata))
    for name, variable in variables.items():
        values = known[name].values if name in known else np.asarray(variable.data)
        for part in file.put(name, values):
            yield from _in_pieces(part)
    file.finish()


def decided_by_values(name: Hashable, variable: VariableSchema) -> bool:
    """Whether the file's size, or what it says of a variable, follows from the variable's values.

    Raises `NotAcceptable` for what the file cannot hold.
    """
    return form_of(str(name), variable.dtype, len(variable.dims), variable.encoding) is None


def netcdf_content(answer: UnreadAnswer) -> FileContent:
    """The file of an answer of which all variables are known that are `decided_by_values`.

    It has the bytes of `netcdf_pieces` wherever its variables are in one piece.
    """
    variables, known, chunks = answer.variables, dict[Hashable, FileValues](), {}
    for name, variable in variables.items():
        form = form_of(str(name), variable.dtype, len(variable.dims), variable.encoding)
        if form is None:
            values = np.asarray(answer.known[name].data)
            known[name] = store_values(values, answer.known[name].encoding)
        elif (own := answer.chunks(name, form.dtype.itemsize)) is not None:
            chunks[name] = own
    names = answer.fragments.names(variables, answer.coord_names)
    file = NetcdfFile(variables, answer.coord_names, answer.attrs, names, known, chunks)
    stored_names, layout = {names.stored[name]: name for name in variables}, file.layout
    extents = {stored_names[stored]: extent for stored, extent in layout.extents.items()}
    held = {n: np.asarray(v.data) for n, v in answer.known.items() if n in extents}
    held |= {name: stored.values for name, stored in known.items() if name in extents}

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        return extents[name].stored(file.in_file(name, values))

    itemsizes = {name: file.forms[name].dtype.itemsize for name in extents}
    return FileContent(layout.metadata, layout.size, extents, itemsizes, held, stored)


def _in_pieces(part: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(part), _PIECE_BYTES):
        yield part[start : start + _PIECE_BYTES]


def check_netcdf(schema: AnswerSchema) -> None:
    """Raises `NotAcceptable` for an answer with variables that the file cannot hold."""
    check_distinct_dimensions(schema.variables, schema.coord_names, _NAME)
    for name, variable in schema.variables.items():
        check_storable(str(name), variable.dtype, len(variable.dims))


def netcdf_weight(schema: AnswerSchema) -> int:
    """What an answer counts for as NetCDF, in bytes: its size in memory, with its attributes."""
    return schema.result_bytes + schema.attribute_bytes


def _coordinates(
    variables: Mapping[Hashable, VariableSchema],
    coord_names: Collection[Hashable],
    names: FileNames,
) -> dict[Hashable | None, dict[str, str]]:
    """The attribute that names a variable's coordinates other than those of its dimensions (CF 5).

    Under ``None``, for the file, are those that no variable can name: how xarray finds them.
    """
    listed = {name: set(variables[name].dims) for name in variables if name in coord_names}
    for variable in variables.values():
        for dim in variable.dims:
            listed.pop(dim, None)
    beside: dict[Hashable | None, dict[str, str]] = {}
    alone = set(listed)
    for name, variable in variables.items():
        if name in listed or name in variable.dims:
            continue
        own = {coord for coord, dims in listed.items() if dims.issubset(variable.dims)}
        alone -= own
        if own:
            beside[name] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in own))}
    if alone:
        beside[None] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in alone))}
    return beside


def _described(
    names: FileNames,
    name: Hashable,
    variable: VariableSchema,
    form: FileForm,
    beside: Mapping[str, str],
) -> NetcdfVariable:
    """A variable as the file has it, which has its values in this form."""
    typed = in_type_of(form, variable.attrs, variable.encoding)
    taken = _taken(variable.attrs, form) | unreadable_ranges(form, variable.attrs, typed)
    if is_recounted(form, variable.encoding):
        taken |= RANGES
    for fill in FILLS:
        if fill in variable.attrs and fill not in taken:
            typed[fill] = read_fill(variable.attrs[fill], form.dtype)
    # That no time is missing needs no word: a file says NaT by a number, where it has one.
    own = renamed_references(variable.attrs, names)
    told = {n: v for n, v in own.items() if not (n in FILLS and _is_nat(v))}
    attrs = storable_attributes(told | typed, taken)
    if "bounds" in attrs and not isinstance(attrs["bounds"], str):
        # xarray looks for a variable of this name, which a list cannot be.
        attrs["bounds"] = as_text(attrs["bounds"])
    meaning = {} if form.meaning.keys() & attrs.keys() else form.meaning
    attrs = {**attrs, **form.attrs, **meaning, **beside}
    dims, shape = tuple(names.stored[dim] for dim in variable.dims), variable.shape
    if form.dtype.kind != "S":
        return NetcdfVariable(names.stored[name], dims, shape, form.dtype, attrs)
    dims, shape = (*dims, _characters(names, name)), (*shape, form.dtype.itemsize)
    return NetcdfVariable(names.stored[name], dims, shape, np.dtype("S1"), attrs)


def _is_nat(value: object) -> bool:
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def _characters(names: FileNames, name: Hashable) -> str:
    """A dimension of its own for the bytes of a variable."""
    dim = f"{names.stored[name]}_characters"
    while dim in names.stored.values():
        dim += "_"
    return dim


def _taken(attrs: Mapping[Hashable, object], form: FileForm) -> set[str]:
    """Names that mean something to a reader, and that a variable's own attribute cannot have."""
    taken = {"coordinates", "_Encoding", *form.attrs}
    # A store that was opened undecoded keeps the packing of its numbers among its attributes.
    raw = not form.attrs and form.dtype.kind in "iuf"
    for name in _PACKING.intersection(attrs):
        if not (raw and _unpacks(name, attrs[name], form.dtype)):
            taken.add(name)
    return taken


def _unpacks(name: str, value: object, dtype: DType) -> bool:
    """Whether a reader can decode numbers of `dtype` by a packing attribute of this value."""
    match name:
        case "scale_factor" | "add_offset":
            return is_number(value)
        case "_FillValue" | "missing_value":
            return is_number(value) and read_fill(value, dtype) is not None
        case _:
            return dtype.kind in "iu" and isinstance(value, str) and value in ("true", "false")
