"""The documents of DAP 2.0: structure of a dataset (DDS), its attributes (DAS), and errors.

NASA ESE-RFC-004.1.2, "The Data Access Protocol - DAP 2.0". Variables stand in the dataset's order,
whatever order they are asked for in: clients read them so. All are plain arrays, whose dimensions
have the names of their coordinates: grids need twice the words, and no client asks for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.encoders.answer_schema import FILLS
from sluice.encoders.dap_types import number_text
from sluice.encoders.dap_variables import DapDataset, DapPart

# The names of numpy's types; objects are text.
_NAMES: Final[Mapping[DType, str]] = MappingProxyType(
    {
        np.dtype("u1"): "Byte",
        np.dtype("i2"): "Int16",
        np.dtype("u2"): "UInt16",
        np.dtype("i4"): "Int32",
        np.dtype("u4"): "UInt32",
        np.dtype("f4"): "Float32",
        np.dtype("f8"): "Float64",
        np.dtype("O"): "String",
    }
)
_INT32: Final = np.iinfo("i4")
# The length of texts in netCDF-C, if no attribute tells another.
_USUAL_LETTERS: Final = 64


def dds(dataset: DapDataset, parts: Iterable[DapPart]) -> str:
    """The declarations of these parts, which are in the dataset's order."""
    lines = [f"    {_declared(part)};\n" for part in parts]
    return "".join(["Dataset {\n", *lines, f"}} {dataset.title};\n"])


def _declared(part: DapPart) -> str:
    variable = part.variable
    pairs = zip(variable.dims, part.shape, strict=True)
    dims = "".join([f"[{dim} = {length}]" for dim, length in pairs])
    return f"{_NAMES[variable.dtype]} {variable.stored}{dims}"


def das(dataset: DapDataset) -> str:
    """All attributes, each in a type that the protocol has, those of values in that of the values.

    Those of the dataset are in the container that clients of NetCDF look for.
    """
    lines = ["Attributes {\n"]
    for variable in dataset.variables:
        lines.append(f"    {variable.stored} {{\n")
        lines += [
            _attribute(name, value, exact=name in FILLS) for name, value in variable.attrs.items()
        ]
        if variable.dtype.kind == "u" and variable.attrs.get("dtype") != "bool":
            # netCDF-C takes all integers of DAP2 for signed ones.
            lines.append(_attribute("_Unsigned", "true"))
        if (variable.longest or 0) > _USUAL_LETTERS:
            # netCDF-C makes texts arrays of so many letters.
            lines.append(_attribute("DODS.strlen", np.int32(variable.longest or 0)))
        lines.append("    }\n")
    lines.append("    NC_GLOBAL {\n")
    lines += [_attribute(name, value) for name, value in dataset.attrs.items()]
    return "".join([*lines, "    }\n}\n"])


def _attribute(name: str, value: object, *, exact: bool = False) -> str:
    """One attribute; fill values are `exact`: they keep their type."""
    if isinstance(value, str | list):
        texts = [value] if isinstance(value, str) else value
        return f"        String {name} {', '.join(map(quoted, texts))};\n"
    numbers = np.atleast_1d(np.asarray(value))
    dtype = _attribute_type(numbers, exact=exact)
    words = ", ".join(map(number_text, numbers.astype(dtype)))
    return f"        {_NAMES[dtype]} {name} {words};\n"


def _attribute_type(numbers: Array, *, exact: bool) -> DType:
    """A signed type of the protocol that holds these numbers, or the nearest floats to them.

    What is `exact` keeps its type, if the protocol has it.
    """
    dtype = numbers.dtype.newbyteorder("=")
    if dtype in _NAMES and (exact or dtype.kind != "u"):
        return dtype
    if dtype.itemsize == 1:
        return np.dtype("i2")
    fits = _INT32.min <= int(numbers.min()) and int(numbers.max()) <= _INT32.max
    return np.dtype("i4" if fits else "f8")


def quoted(text: str) -> str:
    """A text in quotation marks, with those in it escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def error(status: int, message: str) -> str:
    """The document that tells what was wrong."""
    return f"Error {{\n    code = {status};\n    message = {quoted(message)};\n}};\n"
