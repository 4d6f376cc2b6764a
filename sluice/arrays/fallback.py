"""What the reader does not know goes through zarr-python, so that nothing it reads is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from sluice.aliases import Array
from sluice.arrays.code_points import check_code_points
from sluice.arrays.metadata import ArrayMeta
from sluice.arrays.plan import ArrayPlan
from sluice.errors import CorruptChunk, SluiceError
from sluice.wording import plain_words


async def read_through_zarr(meta: ArrayMeta, plan: ArrayPlan) -> Array:
    """The values of `plan`, in the shape of its buffer, by zarr-python's own async reading.

    zarr-python decodes in the loop's default executor and raises errors of many types for damaged
    chunks; errors of the store pass through as they are.
    """
    try:
        return check_code_points(await _read(meta.zarr, plan))
    except SluiceError:
        raise
    except (ValueError, RuntimeError, SystemError, TypeError, OSError, KeyError) as error:
        raise CorruptChunk(
            f"array {meta.path!r} cannot be read: {plain_words(str(error))}"
        ) from error


async def _read(array: Any, plan: ArrayPlan) -> Array:
    rest = tuple(np.asarray(axis.positions, dtype=np.int64) for axis in plan.axes)
    if 0 in plan.buffer_shape:
        return np.empty(plan.buffer_shape, dtype=array.metadata.dtype.to_native_dtype())
    if plan.points is None:
        if not rest:
            return np.asarray(await array.getitem(()))
        return np.asarray(await array.oindex.getitem(rest))
    # Coordinates in full: every point crossed with every position of the other axes.
    spread = (slice(None), *(None,) * len(rest))
    pointed = [positions[spread] for positions in plan.points.positions]
    crossed = [
        positions[(None, *(slice(None) if i == j else None for j in range(len(rest))))]
        for i, positions in enumerate(rest)
    ]
    full = np.broadcast_arrays(*pointed, *crossed)
    key: list[Array] = [full[0]] * len(full)
    for axis, positions in zip(plan.order, full, strict=True):
        key[axis] = positions.reshape(-1)
    return np.asarray(await array.vindex.getitem(tuple(key))).reshape(plan.buffer_shape)
