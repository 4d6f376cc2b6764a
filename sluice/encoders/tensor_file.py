"""Arrays in one file behind a JSON header: the container layout of safetensors.

Eight bytes give the header's length (little-endian), the header names each array with its type,
shape and place, and the arrays follow, little-endian, rows first, without gaps. Source: the format
section of the safetensors project, whose readers exist in Python, Rust and JavaScript.

Wider types come first, so that each array begins at a multiple of its type's size, as typed arrays
of JavaScript want it. What is said of the variables is a JSON text in the header's
``__metadata__``, where the layout has texts alone.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np

from sluice.aliases import Array, DocumentDict
from sluice.encoders.answer_schema import (
    AnswerSchema,
    FileContent,
    FileFormat,
    UnreadAnswer,
    VariableSchema,
)
from sluice.encoders.encoder import Encoder, binary_content, from_memory, memory_weight, once
from sluice.encoders.file_values import Extent
from sluice.encoders.jsonable import (
    array_to_jsonable,
    attributes_to_jsonable,
    dtype_name,
    json_text,
)
from sluice.encoders.plain_arrays import (
    LEVELLED,
    PackOption,
    PlainForm,
    is_packable,
    packed_form,
    plain_form,
)
from sluice.errors import QueryError, SelectionError
from sluice.labels import spell_name, without_surrogates

# The layout's names of types, by numpy's kind and size.
_TYPES: Final = MappingProxyType(
    {
        "b1": "BOOL",
        "u1": "U8",
        "i1": "I8",
        "u2": "U16",
        "i2": "I16",
        "f2": "F16",
        "u4": "U32",
        "i4": "I32",
        "f4": "F32",
        "u8": "U64",
        "i8": "I64",
        "f8": "F64",
    }
)
_LENGTH: Final = struct.Struct("<Q")
# The bytes of the widest type: behind a header of a multiple of it every array is aligned.
_ALIGNMENT: Final = 8
_OWN_KEY: Final = "__metadata__"
# The most values, and their bytes, that are no numbers and stand in the header: readers limit its
# length.
_MOST_LABELS: Final = 2**20
_MOST_LABEL_BYTES: Final = 2**25


def tensor_content(answer: UnreadAnswer, packing: PackOption | None = None) -> FileContent:
    """The file of an answer of which all variables are known that are `decided_by_values`.

    Numbers of data variables are packed as `packing` says. Raises `SelectionError` for more text
    than a header may have.
    """
    names = _names(answer.variables)
    forms: dict[Hashable, PlainForm] = {}
    told: dict[str, DocumentDict] = {}
    for name, variable in answer.variables.items():
        told[names[name]] = {"dims": variable.dims, "dtype": dtype_name(variable.dtype)}
        form = plain_form(variable.dtype)
        if packing is not None and name not in answer.coord_names and is_packable(variable.dtype):
            values = np.asarray(answer.known[name].data) if name in answer.known else None
            form = packed_form(packing, values)
        if form is None:
            told[names[name]]["data"] = _labels(name, np.asarray(answer.known[name].data))
        else:
            forms[name] = form
            told[names[name]].update(form.told)
        told[names[name]]["attrs"] = attributes_to_jsonable(variable.attrs)
    coords = [names[name] for name in answer.variables if name in answer.coord_names]
    notes = {"coords": coords, "variables": told, "attrs": attributes_to_jsonable(answer.attrs)}
    shapes = {name: answer.variables[name].shape for name in forms}
    head, extents, size = _laid_out(names, shapes, forms, json_text(notes).decode())
    known = {n: np.asarray(v.data) for n, v in answer.known.items() if n in extents}

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        return forms[name].stored(values)

    itemsizes = {name: forms[name].value_bytes for name in extents}
    return FileContent(head, size, extents, itemsizes, known, stored)


def _names(variables: Mapping[Hashable, VariableSchema]) -> dict[Hashable, str]:
    """The names in the file: distinct, and not the key that the layout keeps for itself."""
    taken = {_OWN_KEY}
    names: dict[Hashable, str] = {}
    for name in variables:
        text = without_surrogates(str(name))
        while text in taken:
            text += "_"
        names[name] = text
        taken.add(text)
    return names


def _laid_out(
    names: Mapping[Hashable, str],
    shapes: Mapping[Hashable, tuple[int, ...]],
    forms: Mapping[Hashable, PlainForm],
    notes: str,
) -> tuple[bytes, Mapping[Hashable, Extent], int]:
    """The header of a file of these arrays, the place of each, and the size of the file."""
    header: DocumentDict = {_OWN_KEY: {"dataset": notes}}
    places: dict[Hashable, tuple[int, int]] = {}
    end = 0
    for name in sorted(forms, key=lambda name: -forms[name].dtype.itemsize):
        form = forms[name]
        start, end = end, end + math.prod(shapes[name]) * form.value_bytes
        places[name] = start, end
        header[names[name]] = {
            "dtype": _TYPES[form.dtype.str[1:]],
            "shape": [*shapes[name], *([form.parts] if form.parts > 1 else [])],
            "data_offsets": [start, end],
        }
    text = json_text(header)
    text += b" " * sum(form.reserved for form in forms.values())
    text += b" " * (-len(text) % _ALIGNMENT)
    head = _LENGTH.pack(len(text)) + text
    extents = {
        name: Extent(len(head) + start, stop - start, None, None)
        for name, (start, stop) in places.items()
        if start < stop
    }
    return head, extents, len(head) + end


def _labels(name: Hashable, values: Array) -> object:
    """Values that are no numbers, as JSON for the header; `SelectionError` if they are too long."""
    found = array_to_jsonable(values)
    # (Texts of variable length: those of other types are checked before they are read.)
    if values.dtype.kind in "OT" and len(json_text(found)) > _MOST_LABEL_BYTES:
        raise _too_much(name, "bytes", _MOST_LABEL_BYTES)
    return found


def _too_much(name: Hashable, unit: str, most: int) -> SelectionError:
    return SelectionError(
        f"{spell_name(name)} is no numbers, and f=bin keeps it in its header, which has room for"
        f" {most} {unit} of it: ask for f=netcdf, for other variables with variables=, or for a"
        " smaller part",
        variable=str(name),
        limit=most,
    )


def decided_by_values(name: Hashable, variable: VariableSchema) -> bool:
    """Whether a variable's values stand in the header, since they are no numbers."""
    return plain_form(variable.dtype) is None


def check_tensors(schema: AnswerSchema) -> None:
    """Raises `SelectionError` for more text than a header may have."""
    for name, variable in schema.variables.items():
        if plain_form(variable.dtype) is None:
            count = math.prod(variable.shape)
            if count > _MOST_LABELS:
                raise _too_much(name, "values", _MOST_LABELS)
            if variable.dtype.kind in "USV" and count * variable.dtype.itemsize > _MOST_LABEL_BYTES:
                raise _too_much(name, "bytes", _MOST_LABEL_BYTES)


def _packed_weight(schema: AnswerSchema, packing: PackOption) -> int:
    """What an answer counts for, in bytes, where its numbers are packed."""
    size = np.dtype(packing.dtype).itemsize
    return memory_weight(schema) + sum(
        math.prod(variable.shape) * (size - variable.dtype.itemsize)
        for name, variable in schema.variables.items()
        if name not in schema.coord_names and is_packable(variable.dtype)
    )


def adapt_tensors(encoder: Encoder, values: Mapping[str, object]) -> Encoder:
    """The format with numbers packed as the options `pack` and `range` say.

    Raises `QueryError` for a range that packing does not need, and `SelectionError` for one that is
    too wide. Where a range is needed and not given, values decide on it: then the file is made
    whole, but its length is known.
    """
    pack, ends = str(values.get("pack")), values.get("range")
    if ends is not None and pack not in LEVELLED:
        raise QueryError(
            f"range is for pack={' and pack='.join(LEVELLED)}; other numbers are kept as they are:"
            " leave range out",
            parameter="range",
        )
    packing = PackOption(pack, ends if isinstance(ends, tuple) else None)
    if packing.ends is not None:
        packed_form(packing, None)
    content = partial(tensor_content, packing=packing)
    encode, pieces = from_memory(content)
    told = ends is not None or pack not in LEVELLED
    file = FileFormat(content, decided_by_values, False, chunked=False)
    return replace(
        encoder,
        encode=encode,
        pieces=pieces,
        value_bytes=partial(_packed_weight, packing=packing),
        file=file if told else None,
        sized=file,
    )


_encode, _pieces = from_memory(tensor_content)
TENSORS: Final = Encoder(
    name="bin",
    media_type="application/vnd.sluice.tensors",
    suffix=".bin",
    others=("tensors", "safetensors", "arrays", "binary"),
    encode=_encode,
    pieces=_pieces,
    check=check_tensors,
    value_bytes=memory_weight,
    text_bytes=once,
    forms=3,
    described=binary_content("Arrays behind a JSON header, in the layout of safetensors."),
    file=FileFormat(tensor_content, decided_by_values, stored=False, chunked=False),
    options=("pack", "range"),
    adapt=adapt_tensors,
)
