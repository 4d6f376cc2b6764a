"""What people want to know of a dataset: where, when and what, as values and for search engines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import quote

import numpy as np

from sluice.aliases import record
from sluice.axes.axis import Axis
from sluice.labels import format_label

from ...catalog.entry import DatasetEntry
from ...catalog.opened import Opened

# A dataset as `/datasets/{id}` describes it.
Described: TypeAlias = Mapping[str, object]

# What a page shows of a text that somebody else wrote; the JSON has all of it.
_LONGEST: Final = 600
_MOST_NAMED: Final = 50
_DEGREES: Final = "degree"
# As the scripts have them: cells of a picture, dimensions that count, signs that stay in addresses.
_MOST_CELLS: Final = 1_500_000
_MOST_RANK: Final = 4
_SIGNS: Final = "!~*'(),:/"
# What reads more, decoded, is not read before a script has asked what it costs (`cost.js`).
_MOST_CHUNK_BYTES: Final = 64 * 2**20
_MOST_CHUNKS: Final = 256


@record
class GeoExtent:
    """A box on the Earth in degrees; `west` may be greater than `east`, beyond the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def __str__(self) -> str:
        return (
            f"{_degrees(self.south, 'N', 'S')} to {_degrees(self.north, 'N', 'S')},"
            f" {_degrees(self.west, 'E', 'W')} to {_degrees(self.east, 'E', 'W')}"
        )


@record
class Facts:
    """What a card says of an open dataset: its place, and its first and last time."""

    extent: GeoExtent | None
    times: tuple[str, str] | None

    @property
    def span(self) -> str | None:
        """The time span in words, without a clock where both ends are midnights."""
        if self.times is None:
            return None
        first, last = (text.removesuffix("T00:00:00Z") for text in self.times)
        if first == last:
            return _readable(first)
        return f"{_readable(first)} to {_readable(last)}"


def facts_of(opened: Opened) -> Facts:
    """The facts of an open dataset, from its axes alone: nothing is read, no long axis walked."""
    prepared = opened.prepared
    by_role: dict[str, Axis] = {}
    for name, role in prepared.roles.items():
        by_role.setdefault(role, prepared.axes[name])
    return Facts(_extent(by_role.get("X"), by_role.get("Y")), _times(by_role.get("T")))


def _extent(x: Axis | None, y: Axis | None) -> GeoExtent | None:
    if x is None or y is None:
        return None
    across, along = _degrees_of(x), _degrees_of(y)
    if across is None or along is None:
        return None
    west, east = (-180.0, 180.0) if x.periodic else across
    return GeoExtent(_around(west), along[0], _around(east), along[1])


def _degrees_of(axis: Axis) -> tuple[float, float] | None:
    """The smallest and the largest label in degrees; None where they are no such numbers."""
    units, ends = axis.attrs.get("units"), _ends(axis)
    if ends is None or not (isinstance(units, str) and units.startswith(_DEGREES)):
        return None
    match ends:
        case (bool(), _):
            return None
        case (int() | float() as low, int() | float() as high):
            return float(low), float(high)
        case _:
            return None


def _times(axis: Axis | None) -> tuple[str, str] | None:
    ends = None if axis is None else _ends(axis)
    if ends is None or not all(isinstance(end, str) for end in ends):
        return None
    return str(ends[0]), str(ends[1])


def _ends(axis: Axis) -> tuple[object, object] | None:
    """The smallest and the largest label; None where they have no order."""
    if axis.direction not in ("ascending", "descending") or not axis.values.size:
        return None
    first, last = (format_label(axis.values[at]) for at in (0, -1))
    return (first, last) if axis.direction == "ascending" else (last, first)


def _around(longitude: float) -> float:
    return longitude - 360 if longitude > 180 else longitude


def _degrees(value: float, positive: str, negative: str) -> str:
    sign = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(value):.4g}°{sign and ' '}{sign}"


def _readable(time: str) -> str:
    """An instant without what is all zeros, and with a blank before its clock."""
    date, _, clock = time.partition("T")
    clock = clock.removesuffix("Z").removesuffix(":00")
    return f"{date} {clock}".rstrip() + (" UTC" if time.endswith("Z") else "")


def shortened(value: object) -> str:
    """An attribute as text, cut where it is long."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def title_of(entry: DatasetEntry) -> str:
    """What the dataset is called: its title, else its id."""
    return entry.title or entry.id


def structured_data(entry: DatasetEntry, facts: Facts, described: Described, base: str) -> object:
    """The dataset in the vocabulary of schema.org, as search engines read it (type Dataset).

    `base` is the address of the service, with a slash at its end.
    """
    told: dict[str, object] = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "@id": f"{base}datasets/{entry.id}",
        "identifier": entry.id,
        "name": title_of(entry),
        "url": f"{base}explore/{entry.id}",
        "description": entry.description or title_of(entry),
        "license": entry.license,
        "creditText": entry.attribution,
        "temporalCoverage": None if facts.times is None else "/".join(facts.times),
        "spatialCoverage": None if facts.extent is None else _place(facts.extent),
        "variableMeasured": list(_measured(described)),
        "distribution": [
            {
                "@type": "DataDownload",
                "contentUrl": f"{base}datasets/{entry.id}",
                "encodingFormat": "application/json",
            }
        ],
    }
    return {name: value for name, value in told.items() if value not in (None, [])}


def _place(extent: GeoExtent) -> object:
    """A box as the vocabulary has it: south west north east."""
    box = f"{extent.south:g} {extent.west:g} {extent.north:g} {extent.east:g}"
    return {"@type": "Place", "geo": {"@type": "GeoShape", "box": box}}


def _measured(described: Described) -> Iterator[object]:
    variables = described.get("data_vars")
    if not isinstance(variables, dict):
        return
    for name, variable in list(variables.items())[:_MOST_NAMED]:
        attrs = variable["attrs"]
        told = {"name": name, "description": attrs.get("long_name"), "unitText": attrs.get("units")}
        given = {key: text for key, text in told.items() if isinstance(text, str)}
        yield {"@type": "PropertyValue", **given}


def first_values(described: Described, dataset_id: str, most: int) -> str | None:
    """The path, below the root, of the values that the scripts ask for first; None for what is no
    picture, and for what may read much, or more than the `most` bytes of chunks of one request.

    A browser that is told of it fetches it before it has the scripts.
    """
    variables, sizes, coords = (described.get(key) for key in ("data_vars", "dims", "coords"))
    if not (isinstance(variables, dict) and isinstance(sizes, dict) and isinstance(coords, dict)):
        return None
    numbers = {
        name: one
        for name, one in variables.items()
        if one["dtype"].startswith(("int", "uint", "float", "bool"))
    }
    if not numbers:
        return None
    name = max(numbers, key=lambda one: min(len(numbers[one]["dims"]), _MOST_RANK))
    dims = numbers[name]["dims"]
    if not all(sizes[dim] for dim in dims):
        return None  # there are no values
    by_role = {coords.get(dim, {}).get("role"): dim for dim in reversed(dims)}
    sides = [by_role[role] for role in ("X", "Y") if role in by_role]
    if len(sides) < 2:
        sides = [dim for dim in dims if sizes[dim] > 1][-2:]
    if len(sides) < 2 or math.prod(sizes[dim] for dim in sides) > _MOST_CELLS:
        return None
    if not _is_little(numbers[name], sizes, sides, coords, most):
        return None
    places = {dim: f"0:{sizes[dim]}" if dim in sides else "0" for dim in dims}
    asked = {"variables": name, **{f"isel[{dim}]": at for dim, at in places.items()}}
    query = {**asked, "pack": "f4", "f": "bin"}
    pairs = (f"{quote(key, _SIGNS)}={quote(text, _SIGNS)}" for key, text in query.items())
    return f"datasets/{quote(dataset_id, '!~*()')}/isel?{'&'.join(pairs)}"


def _is_little(
    variable: Mapping[str, object],
    sizes: Mapping[str, int],
    sides: Sequence[str],
    coords: Mapping[str, Mapping[str, object]],
    most: int,
) -> bool:
    """Whether it is certain that a picture along `sides` is in few chunks, and in small ones.

    Of coordinates that lie beside the labels of dimensions no chunks are described.
    """
    dims, lengths = variable["dims"], variable.get("chunks")
    if not isinstance(dims, list) or not isinstance(lengths, list):
        return False
    others = (coord["dims"] for name, coord in coords.items() if name not in sizes)
    if any(isinstance(other, list) and other and {*other} <= {*dims} for other in others):
        return False
    chunks = math.prod(
        -(-sizes[dim] // length) for dim, length in zip(dims, lengths, strict=True) if dim in sides
    )
    size = chunks * math.prod(lengths) * np.dtype(str(variable["dtype"])).itemsize
    return bool(chunks <= _MOST_CHUNKS and size <= min(_MOST_CHUNK_BYTES, most))
