"""One variable along two dimensions -> a PNG file of 256 colours (W3C, PNG third edition).

It has a pixel for each value, north up and depth down where it is known what the dimensions are.
What is missing is transparent.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, Document, record
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable, only_variable
from sluice.encoders.colormaps import Levels, palette, usual_range
from sluice.encoders.encoder import Encoder, binary_content, joined, memory_weight, once
from sluice.encoders.json_encoder import Directions, FragmentCache
from sluice.encoders.jsonable import dtype_name, json_text
from sluice.errors import LimitError, NotAcceptable, SelectionError
from sluice.labels import spell_name

if TYPE_CHECKING:
    import xarray as xr

_NAME: Final = "f=png"
_USUAL_COLOURS: Final = "viridis"
# Of a side of a picture: more than screens have.
MOST_PIXELS: Final = 4096
# Colour 0 is for what is missing.
_LEVELS: Final = 255
# Of two axes, the one that comes first here goes up, the other across; None is an unknown one.
_UPRIGHT: Final = ("Z", "Y", None, "T", "X")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Bits per sample, palette, deflate, no filter before it (palettes compress best so), no interlace.
_INDEXED: Final = (8, 3, 0, 0, 0)
_COMPRESSION: Final = 6
# So many values are compressed at once: a few milliseconds of work.
_PIECE_VALUES: Final = 2**17


@record
class _Sides:
    """Which axis of an array goes up and which across, and what their dimensions are called."""

    up: int
    across: int
    names: tuple[Hashable, Hashable]


def check_png(schema: AnswerSchema) -> None:
    """Raises what `_checked_variable` raises."""
    _checked_variable(schema.variables, schema.coord_names)


def _checked_variable(
    variables: Mapping[Hashable, AnswerVariable], coord_names: Container[Hashable]
) -> Hashable:
    """The one variable of an answer.

    Raises `SelectionError` unless there is one along two dimensions, `NotAcceptable` for one of no
    numbers, and `LimitError` for more pixels than a side may have.
    """
    name = only_variable(variables, coord_names, _NAME)
    variable = variables[name]
    if variable.dtype.kind not in "biuf":
        raise NotAcceptable(
            f"{spell_name(name)} is no numbers ({dtype_name(variable.dtype)}), of which {_NAME} has"
            " no picture; ask for json or csv",
            variable=str(name),
            known=["json", "csv"],
        )
    for axis in _two_axes(name, variable):
        dim, length = spell_name(variable.dims[axis]), variable.shape[axis]
        if not length:
            raise SelectionError(f"{_NAME} has at least one pixel, and {dim} is empty here")
        if length > MOST_PIXELS:
            step = -(-length // MOST_PIXELS)
            raise LimitError(
                f"A picture has at most {MOST_PIXELS} pixels a side, and {dim} has {length}"
                f" positions here. Take every {step}th of them, as isel[{dim}]=::{step} does of"
                " all, or a smaller part.",
                limited="pixels",
                estimate=length,
                limit=MOST_PIXELS,
                dimension=str(variable.dims[axis]),
                step=step,
            )
    return name


def _two_axes(name: Hashable, variable: AnswerVariable) -> tuple[int, int]:
    """The two axes longer than one position; if there are fewer, the last others as well."""
    axes = [axis for axis, length in enumerate(variable.shape) if length != 1]
    alone = [axis for axis, length in enumerate(variable.shape) if length == 1]
    while len(axes) < 2 and alone:
        axes.append(alone.pop())
    if len(axes) == 2:
        return min(axes), max(axes)
    dims = [spell_name(variable.dims[axis]) for axis in sorted(axes)]
    cure = "leave two of its dimensions whole"
    if len(axes) > 2:
        cure = f"take one position along the others, as isel[{dims[0]}]=0"
    raise SelectionError(
        f"{_NAME} has two dimensions, and {spell_name(name)} has {len(axes)} here"
        f"{': ' * bool(dims)}{', '.join(dims)}; {cure}",
        variable=str(name),
        dims=[str(dim) for dim in variable.dims],
    )


def _sides(name: Hashable, variable: AnswerVariable, directions: Directions) -> _Sides:
    """Which axis goes up and which across: heights and latitudes up, longitudes, times across."""
    first, second = _two_axes(name, variable)
    ranks = [_UPRIGHT.index(_role(variable.dims[axis], directions)) for axis in (first, second)]
    if ranks[0] > ranks[1]:
        first, second = second, first
    return _Sides(first, second, (variable.dims[first], variable.dims[second]))


def _role(dim: Hashable, directions: Directions) -> str | None:
    return directions[dim][0] if dim in directions else None


def _upright(dataset: xr.Dataset, name: Hashable, directions: Directions) -> tuple[Array, _Sides]:
    """The 2-D values, rows from top to bottom and columns from left to right, and their axes."""
    variable = dataset.variables[name]
    sides = _sides(name, variable, directions)
    values = np.asarray(variable.data)
    others = [axis for axis in range(values.ndim) if axis not in (sides.up, sides.across)]
    values = values.transpose(*others, sides.up, sides.across)
    values = values.reshape(values.shape[-2:])
    up, across = sides.names
    if up in directions:
        # Times go down, as one reads.
        role, grows_up = directions[up]
        if _rises(dataset, up) == (grows_up and role != "T"):
            values = values[::-1]
    if across in directions and _rises(dataset, across) is False:
        values = values[:, ::-1]
    return values, sides


def _rises(dataset: xr.Dataset, dim: Hashable) -> bool | None:
    """Whether a dimension's last label is larger than its first; None if that is unknown."""
    if dim not in dataset.variables:
        return None
    labels = dataset.variables[dim].values
    if labels.ndim != 1 or labels.size < 2 or labels[0] == labels[-1]:
        return None
    try:
        return bool(labels[0] < labels[-1])
    except TypeError:
        return None


def png_pieces(
    dataset: xr.Dataset,
    fragments: FragmentCache | None = None,
    template_key: Hashable = None,
    *,
    colours: str = _USUAL_COLOURS,
    ends: tuple[float, float] | None = None,
) -> Iterator[bytes]:
    """The bytes of a picture of the dataset's one variable.

    `colours` names a colour map; `ends` are the values of its first and its last colour. Without
    them these are the 2nd and the 98th percentile.
    """
    directions = (fragments or FragmentCache(dataset)).directions
    name = _checked_variable(dataset.variables, set(dataset.coords))
    values, sides = _upright(dataset, name, directions)
    # In the order of the answer: a picture and its mirror image have the same colours.
    ends = ends or usual_range(np.asarray(dataset.variables[name].data))
    yield b""
    told = {
        "variable": str(name),
        "units": str(dataset.variables[name].attrs.get("units", "")),
        "cmap": colours,
        "range": list(ends),
        "up": str(sides.names[0]),
        "across": str(sides.names[1]),
    }
    yield _head(values.shape, colours, told)
    yield from _rows(values, Levels(*ends, _LEVELS))


def _head(shape: Sequence[int], colours: str, told: Document) -> bytes:
    """All that comes before the pixels."""
    rows, columns = shape
    table = bytes(3) + palette(colours, _LEVELS).tobytes()
    parts = (
        (b"IHDR", struct.pack(">II5B", columns, rows, *_INDEXED)),
        # Not compressed, in no said language (section 11.3.3.4).
        (b"iTXt", b"Sluice" + bytes(5) + json_text(told)),
        (b"PLTE", table),
        (b"tRNS", bytes(1)),
    )
    return _SIGNATURE + b"".join(_chunk(*part) for part in parts)


def _rows(values: Array, levels: Levels) -> Iterator[bytes]:
    """The pixels, each the number of its colour, and the end."""
    rows, columns = values.shape
    packer = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
    step = max(1, _PIECE_VALUES // columns)
    for start in range(0, rows, step):
        part = values[start : start + step]
        # Each row begins with the number of its filter: none.
        lines = np.zeros((len(part), columns + 1), np.uint8)
        lines[:, 1:] = levels.of(part) + 1
        packed = packer.compress(lines.data)
        yield _chunk(b"IDAT", packed) if packed else b""
    yield _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its checksum (section 5.3)."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def adapt_png(encoder: Encoder, values: Mapping[str, object]) -> Encoder:
    """The format with the colours and the range of the options `cmap` and `range`."""
    ends = values.get("range")
    colours = str(values.get("cmap", _USUAL_COLOURS))
    pieces = partial(png_pieces, colours=colours, ends=ends if isinstance(ends, tuple) else None)
    return replace(encoder, encode=joined(pieces), pieces=pieces)


PNG: Final = Encoder(
    name="png",
    media_type="image/png",
    suffix=".png",
    others=("image", "picture"),
    encode=joined(png_pieces),
    pieces=png_pieces,
    check=check_png,
    value_bytes=memory_weight,
    text_bytes=once,
    forms=3,
    described=binary_content("A picture of one variable along two dimensions."),
    coded=False,
    options=("cmap", "range"),
    adapt=adapt_png,
)
