"""Types that have one name wherever they are spoken of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

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
