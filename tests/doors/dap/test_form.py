"""The form as a browser sends it, without a script: every field of text, and the checked boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from types import MappingProxyType
from urllib.parse import unquote, urlencode

import numpy as np
import pytest
import xarray as xr

from app.doors.dap.form import asked_by_form, page
from sluice.encoders.dap_variables import DapDataset
from sluice.errors import QueryError

NOTHING: Mapping[str, str] = MappingProxyType({})


class Inputs(HTMLParser):
    """The inputs of a page, in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "input":
            self.found.append({name: value or "" for name, value in attrs})


def served(ds: xr.Dataset) -> DapDataset:
    return DapDataset.of("toy", 2, ds.variables, ds.variables, set(ds.coords), ds.attrs)


def sent(
    dataset: DapDataset, checked: Iterable[str], written: Mapping[str, str] = NOTHING
) -> bytes:
    """The query of the form with these boxes checked, and positions written by their labels."""
    pairs = []
    for one in Inputs(page(dataset, "toy")).found:
        if one["type"] == "text":
            name = one["aria-label"].removeprefix("Positions of ")
            pairs.append((one["name"], written.get(name, one.get("value", ""))))
        elif one["value"] in set(checked):
            pairs.append((one["name"], one["value"]))
    return urlencode([*pairs, ("as", "ascii")]).encode()


def many(count: int, *shape: int) -> DapDataset:
    dims = [f"d{at}" for at in range(len(shape))]
    values = np.zeros(shape, "f4")
    return served(xr.Dataset({f"variable_{at}": (dims, values) for at in range(count)}))


TOY = served(
    xr.Dataset(
        {
            "t": (("time", "lat"), np.zeros((6, 9))),
            "height": ((), 2.0),
            "i2": ("lat", np.arange(9, dtype="i2")),
        }
    )
)


def test_what_is_checked_is_asked_for() -> None:
    """An empty field is all of a variable, and so are all of its positions."""
    written = {"t": " [0:1:5] [0:1:8]", "i2": "[1:2:3]"}
    assert asked_by_form(TOY, sent(TOY, ["t", "height", "i2"])) == ("ascii", "t,height,i2")
    assert asked_by_form(TOY, sent(TOY, ["t", "i2"], written)) == ("ascii", "t,i2[1:2:3]")
    assert asked_by_form(TOY, sent(TOY, [], written)) == ("ascii", "")


def test_what_is_whole_is_shown() -> None:
    shown = [one["placeholder"] for one in Inputs(page(TOY, "toy")).found if one["type"] == "text"]
    assert shown == ["[0:1:5][0:1:8]", "[0:1:8]"]


@pytest.mark.parametrize(("count", "shape"), [(260, (200, 721, 1440)), (1500, (20,))])
def test_many_variables_fit_into_an_address(count: int, shape: tuple[int, ...]) -> None:
    """Of 16 KiB, whatever their values are."""
    names = [f"variable_{at}" for at in range(count)]
    dims = [f"d{at}" for at in range(len(shape))]
    zeros = xr.Variable(dims, np.broadcast_to(np.float32(0), shape))
    dataset = served(xr.Dataset(dict.fromkeys(names, zeros)))
    query = sent(dataset, names[:3], {names[1]: "[1]" * len(shape)})
    assert len(query) < 8 * 2**10
    found = asked_by_form(dataset, query)
    assert found is not None
    expected = f"variable_0,variable_1{'[1]' * len(shape)},variable_2"
    assert unquote(found[1]) == expected


def test_too_many_variables_have_no_fields() -> None:
    """The page says how to ask for parts of them."""
    dataset = many(2001, 3)
    assert "too many variables" in page(dataset, "toy")
    assert "too many variables" not in page(TOY, "toy")
    query = sent(dataset, ["variable_7"])
    assert query == b"var=variable_7&as=ascii"
    assert asked_by_form(dataset, query) == ("ascii", "variable_7")


def test_a_dataset_that_has_changed_since() -> None:
    """Positions would be another variable's."""
    more = many(3, 4)
    with pytest.raises(QueryError, match="load the form again"):
        asked_by_form(more, sent(TOY, ["t"]))
