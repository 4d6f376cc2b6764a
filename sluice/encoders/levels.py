"""Numbers as a few levels between two values: what packed arrays and pictures are made of."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record

# The share of the values that lie below and above the range of a picture that names none.
_OUTSIDE_PERCENT: Final = 2.0
# So many values, evenly spread, tell that range well enough, in a few milliseconds.
_MOST_SAMPLES: Final = 2**18


@record
class Levels:
    """So many levels, evenly spaced: the first is the value `low`, the last the value `high`."""

    low: float
    high: float
    count: int

    @property
    def step(self) -> float:
        """From one level to the next; zero where there is no room for them."""
        # Divided first: the distance of two numbers can be more than a number can be.
        return self.high / (self.count - 1) - self.low / (self.count - 1)

    def of(self, values: Array) -> NDArray[np.int64]:
        """The level that is nearest to each value; the first or last one of those outside.

        What is missing (NaN) is -1.
        """
        numbers, last = np.asarray(values, np.float64), self.count - 1
        gone = np.isnan(numbers)
        with np.errstate(over="ignore", invalid="ignore"):
            if self.step > 0:
                found = (numbers - self.low) / self.step
            else:
                found = np.where(numbers > self.low, float(last), 0.0)
        found = np.rint(np.clip(np.where(gone, -1.0, found), 0.0, last))
        levels: NDArray[np.int64] = found.astype(np.int64)
        levels[gone] = -1
        return levels


def value_range(values: Array) -> tuple[float, float]:
    """The least and the largest of the values that are finite; (0, 1) of nothing."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.any():
            return 0.0, 1.0
        low = values.min(initial=np.inf, where=finite)
        return float(low), float(values.max(initial=-np.inf, where=finite))
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def usual_range(values: Array) -> tuple[float, float]:
    """The range between the 2nd and the 98th percentile of what is finite; (0, 1) of nothing.

    Of more than `_MOST_SAMPLES` values, every so many are looked at.
    """
    flat = values.reshape(-1)
    numbers = np.asarray(flat[:: -(-flat.size // _MOST_SAMPLES) or 1], np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return 0.0, 1.0
    low, high = np.percentile(numbers, (_OUTSIDE_PERCENT, 100 - _OUTSIDE_PERCENT))
    return float(low), float(high)
