"""Dataset -> JSON in the shape of ``xarray.Dataset.to_dict()``, always valid, written by orjson."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from sluice.aliases import Array
from sluice.bounded_cache import BoundedCache
from sluice.datasets._xarray import coord_names_of, data_of, indexes_of, variables_of
from sluice.encoders.answer_schema import AnswerSchema
from sluice.encoders.jsonable import (
    array_to_jsonable,
    attributes_to_jsonable,
    dtype_name,
    json_text,
)
from sluice.encoders.netcdf_names import FileNames

if TYPE_CHECKING:
    import xarray as xr

# The text of longer axes is not cached: it would be held as long as the dataset is open.
_MOST_LABELS: Final = 100_000
# Of the cached labels of all axes of one dataset, and of the templates of its answers: clients ask
# for few kinds of answers again and again.
_LABELS_BYTES: Final = 32 * 2**20
_TEMPLATES_BYTES: Final = 4 * 2**20
# What a template takes beside its text, with the key that it is cached under.
_TEMPLATE_BYTES: Final = 2048
_PART_BYTES: Final = 512


# The axis of dimensions (X, Y, Z or T), and whether larger labels lie above.
Directions: TypeAlias = Mapping[Hashable, tuple[str, bool]]
_UNKNOWN: Final[Directions] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Template:
    """The text of an answer around its values.

    Each variable's values come behind the text beside its name in `before`; `end` closes all.
    """

    before: tuple[tuple[Hashable, bytes], ...]
    end: bytes

    @property
    def held_bytes(self) -> int:
        """The bytes that it takes in a cache."""
        parts = sum([_PART_BYTES + len(text) for _, text in self.before])
        return _TEMPLATE_BYTES + parts + len(self.end)


class FragmentCache:
    """What the answers of one dataset have in common, computed once.

    JSON templates, the JSON labels of whole axes, the `names` in NetCDF files, and the `directions`
    of axes in pictures. `name` is the dataset's in requests.
    """

    def __init__(
        self,
        dataset: xr.Dataset | None = None,
        name: str = "",
        directions: Directions = _UNKNOWN,
    ) -> None:
        self.name = name
        self.directions = directions
        self._templates: BoundedCache[Hashable, Template] = BoundedCache(_TEMPLATES_BYTES)
        self._labels: BoundedCache[Hashable, bytes] = BoundedCache(_LABELS_BYTES)
        self._axes: dict[Hashable, object] = {}
        # (Now: a dataset of many names is opened in a thread, and asked for on the loop.)
        self.names = FileNames({}) if dataset is None else FileNames.of(dataset)
        if dataset is not None:
            for name in indexes_of(dataset):
                self._axes[name] = data_of(variables_of(dataset)[name])

    def template(self, dataset: xr.Dataset, template_key: Hashable) -> Template:
        """The text around the values of `dataset`.

        Answers with the same `template_key` have the same names, attributes, sizes and dtypes; with
        None, nothing is cached.
        """
        known = self._templates.get(template_key)
        if known is None:
            known = _template(dataset)
            if template_key is not None:
                self._templates.put(template_key, known, known.held_bytes)
        return known

    def data(self, name: Hashable, variable: xr.Variable) -> bytes:
        """The text of a variable's values; that of whole (immutable) axes is written once."""
        data = data_of(variable)
        if type(data) is np.ndarray:
            return json_text(array_to_jsonable(data))
        if data is not self._axes.get(name) or variable.size > _MOST_LABELS:
            return json_text(array_to_jsonable(np.asarray(variable.data)))
        text = self._labels.get(name)
        if text is None:
            text = json_text(array_to_jsonable(np.asarray(variable.data)))
            self._labels.put(name, text, len(text))
        return text


def _template(dataset: xr.Dataset) -> Template:
    before: list[tuple[Hashable, bytes]] = []
    sizes = json_text({str(name): size for name, size in dataset.sizes.items()})
    attrs = json_text(attributes_to_jsonable(dataset.attrs))
    opening = b'{"dims":' + sizes + b',"attrs":' + attrs
    kinds = (b',"coords":{', b'},"data_vars":{')
    for kind, is_coord in zip(kinds, (True, False), strict=True):
        opening += kind
        for name, variable in variables_of(dataset).items():
            if (name in coord_names_of(dataset)) is is_coord:
                before.append((name, opening + _described(name, variable)))
                opening = b"},"
        # (Behind the last variable there is no comma.)
        opening = b"}" if opening == b"}," else opening
    return Template(tuple(before), opening + b"}}")


def _described(name: Hashable, variable: xr.Variable) -> bytes:
    members = {
        "dims": [str(dim) for dim in variable.dims],
        "attrs": attributes_to_jsonable(variable.attrs),
        "dtype": dtype_name(variable.dtype),
    }
    return json_text(str(name)) + b":" + json_text(members)[:-1] + b',"data":'


def encode_json(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> bytes:
    """UTF-8 JSON of ``{"dims", "attrs", "coords", "data_vars"}``; no dtype and no attribute fails.

    What `fragments` holds already, of answers of this key (see there), is not written again; the
    text is the same without it. The dataset is in memory: reading a lazy variable raises what its
    array raises.
    """
    fragments = fragments or FragmentCache()
    template, variables = fragments.template(dataset, template_key), variables_of(dataset)
    text: list[bytes] = []
    for name, before in template.before:
        variable = variables[name]
        data = data_of(variable)
        plain = type(data) is np.ndarray
        values = json_text(array_to_jsonable(data)) if plain else fragments.data(name, variable)
        text += (before, values)
    text.append(template.end)
    return b"".join(text)


def json_weight(schema: AnswerSchema) -> int:
    """What an answer counts for as JSON, in bytes.

    A value of one byte counts twice, because "false" and its comma are six: so the text of no
    number, boolean or instant is longer than six times what it counts for. Attributes are in the
    answer too.
    """
    single = [math.prod(v.shape) for v in schema.variables.values() if v.dtype.itemsize == 1]
    return schema.result_bytes + schema.attribute_bytes + sum(single)


# orjson lets no other thread run while it writes: so many floats are a quarter of a millisecond.
# The text of many more would be memory that is asked of the system anew each time.
_BLOCK_VALUES: Final = 2**13


def json_pieces(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[bytes]:
    """The text of `encode_json`, in pieces."""
    fragments = fragments or FragmentCache()
    template, variables = fragments.template(dataset, template_key), variables_of(dataset)
    for name, before in template.before:
        yield before
        variable = variables[name]
        if variable.size <= _BLOCK_VALUES:
            yield fragments.data(name, variable)
        else:
            yield from array_pieces(np.asarray(variable.data))
    yield template.end


def array_pieces(values: Array) -> Iterator[bytes]:
    """The text of an array of any dtype, in pieces."""
    yield from _blocks(values, finest(values))


def finest(values: Array) -> Array:
    """An array of one instant with the most fraction digits; an empty one for other kinds.

    All instants of an array are written with as many digits; beside this one, so is a part of it.
    """
    found = values.reshape(-1)[:0]
    if values.dtype.kind != "M":
        return found
    present = values[~np.isnat(values)]
    for unit in ("s", "ms", "us"):
        finer = present[present.astype(f"M8[{unit}]") != present]
        if not finer.size:
            break
        found = finer[:1]
    return found


def _blocks(values: Array, beside: Array) -> Iterator[bytes]:
    if values.size <= _BLOCK_VALUES:
        yield _text(values, beside)
        return
    between = b"["
    row_values = math.prod(values.shape[1:])  # an item of an array of objects has no size
    if row_values > _BLOCK_VALUES:
        for row in values:
            yield between
            yield from _blocks(row, beside)
            between = b","
    else:
        rows = _BLOCK_VALUES // row_values
        for start in range(0, len(values), rows):
            yield between
            # A copy: orjson's own text lies in a buffer up to twice as long.
            yield _text(values[start : start + rows], beside)[1:-1]
            between = b","
    yield b"]"


def _text(values: Array, beside: Array) -> bytes:
    if not beside.size or not values.ndim:
        return json_text(array_to_jsonable(values))
    row = np.broadcast_to(beside[0], (1, *values.shape[1:]))
    rows = array_to_jsonable(np.concatenate([values, row]))
    assert isinstance(rows, np.ndarray | list)
    return json_text(rows[:-1])
