"""What the answers of one dataset have in common, as JSON text that is written once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from app.encoders.json_values import dtype_name, json_attributes, json_data, json_text

if TYPE_CHECKING:
    import xarray as xr

# Longer axes are written anew: their text would be held as long as the dataset is open.
_MOST_LABELS: Final = 100_000


class Written:
    """The text of a dataset's attributes, and of the labels of its whole axes once they were asked.

    An answer gets it only where it has equal attributes, or the very same (immutable) labels.
    """

    def __init__(self, dataset: xr.Dataset | None = None) -> None:
        self._attributes: dict[Hashable, tuple[dict[Any, Any], orjson.Fragment]] = {}
        self._labels: dict[Hashable, tuple[Any, orjson.Fragment | None]] = {}
        if dataset is not None:
            # No variable is called None: these are the dataset's own.
            self._attributes[None] = _attributes(dataset.attrs)
            for name, variable in dataset._variables.items():
                self._attributes[name] = _attributes(variable.attrs)
            for name in dataset._indexes:
                self._labels[name] = (dataset._variables[name]._data, None)

    def attributes(self, name: Hashable, attrs: dict[Any, Any]) -> Any:
        """The attributes of the variable called `name` (None: the dataset's), for `json_text`."""
        known = self._attributes.get(name)
        if known is not None and known[0] == attrs:
            return known[1]
        return json_attributes(attrs)

    def values(self, name: Hashable, variable: xr.Variable) -> tuple[str, Any]:
        """The name of the dtype and the data of a variable, for `json_text`."""
        data = variable._data
        if type(data) is np.ndarray:
            return dtype_name(data.dtype), json_data(data)
        values = np.asarray(variable.data)
        known, text = self._labels.get(name, (None, None))
        if data is not known or values.size > _MOST_LABELS:
            return dtype_name(values.dtype), json_data(values)
        if text is None:
            text = orjson.Fragment(json_text(json_data(values)))
            self._labels[name] = (data, text)
        return dtype_name(values.dtype), text


def _attributes(attrs: dict[Any, Any]) -> tuple[dict[Any, Any], orjson.Fragment]:
    return dict(attrs), orjson.Fragment(json_text(json_attributes(attrs)))
