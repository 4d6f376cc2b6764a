"""What the answers of one dataset have in common, as JSON text that is written once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.encoders.json_values import dtype_name, json_attributes, json_data, json_text

if TYPE_CHECKING:
    import xarray as xr

# Longer axes are written anew: their text would be held as long as the dataset is open.
_MOST_LABELS: Final = 100_000
# Clients ask for a few forms of answers again and again; whoever asks for more gets them anew.
_MOST_FRAMES: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """The text of an answer around its values.

    Each variable's values come behind the text beside its name in `before`; `end` closes all.
    """

    before: tuple[tuple[Hashable, bytes], ...]
    end: bytes


class Written:
    """The frames of a dataset's answers, and the labels of its whole axes once they were asked."""

    def __init__(self, dataset: xr.Dataset | None = None) -> None:
        self._frames: dict[Hashable, Frame] = {}
        self._labels: dict[Hashable, tuple[Any, bytes | None]] = {}
        if dataset is not None:
            for name in dataset._indexes:
                self._labels[name] = (dataset._variables[name]._data, None)

    def frame(self, dataset: xr.Dataset, form: Hashable) -> Frame:
        """The text around the values of `dataset`.

        `form` stands for its names, attributes, sizes and dtypes: answers of one form are alike in
        all of them. None says that nothing is known of it.
        """
        known = self._frames.get(form)
        if known is None:
            known = _frame(dataset)
            if form is not None:
                if len(self._frames) >= _MOST_FRAMES:
                    self._frames.clear()
                self._frames[form] = known
        return known

    def data(self, name: Hashable, variable: xr.Variable) -> bytes:
        """The text of a variable's values; that of whole (immutable) axes is written once."""
        data = variable._data
        if type(data) is np.ndarray:
            return json_text(json_data(data))
        known, text = self._labels.get(name, (None, None))
        if data is not known or variable.size > _MOST_LABELS:
            return json_text(json_data(np.asarray(variable.data)))
        if text is None:
            text = json_text(json_data(np.asarray(variable.data)))
            self._labels[name] = (data, text)
        return text


def _frame(dataset: xr.Dataset) -> Frame:
    before: list[tuple[Hashable, bytes]] = []
    sizes = json_text({str(name): size for name, size in dataset._dims.items()})
    attrs = json_text(json_attributes(dataset.attrs))
    opening = b'{"dims":' + sizes + b',"attrs":' + attrs
    kinds = (b',"coords":{', b'},"data_vars":{')
    for kind, is_coord in zip(kinds, (True, False), strict=True):
        opening += kind
        for name, variable in dataset._variables.items():
            if (name in dataset._coord_names) is is_coord:
                before.append((name, opening + _described(name, variable)))
                opening = b"},"
        # What closes a variable closes the last one too, without the comma.
        opening = b"}" if opening == b"}," else opening
    return Frame(tuple(before), opening + b"}}")


def _described(name: Hashable, variable: xr.Variable) -> bytes:
    members = {
        "dims": [str(dim) for dim in variable.dims],
        "attrs": json_attributes(variable.attrs),
        "dtype": dtype_name(variable.dtype),
    }
    return json_text(str(name)) + b":" + json_text(members)[:-1] + b',"data":'
