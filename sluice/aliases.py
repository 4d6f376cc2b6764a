"""Type aliases that the whole package uses, and `record`, the dataclass of small values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

# An array, or a dtype, of any kind: which one it is is known only when a store is read.
Array: TypeAlias = NDArray[Any]
DType: TypeAlias = np.dtype[Any]
# Names and their values as JSON documents and CF attributes hold them: numbers, texts, lists, maps.
Document: TypeAlias = Mapping[str, Any]
DocumentDict: TypeAlias = dict[str, Any]
# An array, metadata or a codec of zarr-python, whose types are others in each of its versions.
ZarrObject: TypeAlias = Any
# Values by names as xarray takes them: attributes, encodings, indexers.
Named: TypeAlias = Mapping[Any, Any]
NamedDict: TypeAlias = dict[Any, Any]


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A dataclass with slots that the type checker holds frozen (PEP 681).

    Python's own frozen ones set each field by way of a call, which takes four times as long: for
    the values of one warm point that is a twentieth of its time.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
