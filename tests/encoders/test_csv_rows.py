"""Rows and columns of CSV, and what is refused, before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import xarray as xr

from sluice.encoders.csv_rows import check_csv, csv_bytes, lay_out
from sluice.encoders.table import ENCODERS
from sluice.errors import NotAcceptable, SelectionError


@dataclass(frozen=True)
class Plan:
    """What a plan tells of its answer, from a dataset."""

    dataset: xr.Dataset

    @property
    def variables(self) -> Any:
        return self.dataset.variables

    @property
    def coord_names(self) -> set[Any]:
        return set(self.dataset.coords)

    @property
    def sizes(self) -> Any:
        return self.dataset.sizes

    @property
    def result_bytes(self) -> int:
        return self.dataset.nbytes

    @property
    def attribute_bytes(self) -> int:
        return 0


def headers(dataset: xr.Dataset) -> list[str]:
    """The names of the columns."""
    plan = Plan(dataset)
    return [c.header for c in lay_out(plan.variables, plan.coord_names, plan.sizes).columns]


def box(*shape: int, dtype: str = "f8") -> xr.Variable:
    return xr.Variable(["time", "lat", "lon"][: len(shape)], np.zeros(shape, dtype))


def test_coordinates_come_first() -> None:
    """Dimensions in their order, then other coordinates, then the variables."""
    dataset = xr.Dataset(
        {"t": box(2, 3)},
        {
            "height": 2.0,
            "area": (("time", "lat"), np.ones((2, 3))),
            "lat": [1, 2, 3],
            "time": [5, 6],
        },
    )
    assert headers(dataset) == ["time", "lat", "height", "area", "t"]


def test_positions_where_there_is_no_coordinate() -> None:
    """Each dimension says where a row is."""
    assert headers(xr.Dataset({"t": box(2, 3)})) == ["time", "lat", "t"]


def test_coordinates_along_other_dimensions_are_left_out() -> None:
    """A coordinate that would multiply the rows is no column, as in ``ds[name]``."""
    dataset = xr.Dataset({"t": box(2)}, {"edges": ("edge", [1, 2, 3])})
    assert headers(dataset) == ["time", "t"]


def test_shared_dimensions_in_any_order_are_shared() -> None:
    """Two variables over the same dimensions in another order fit in one table."""
    dataset = xr.Dataset({"a": box(2, 3), "b": (("lat", "time"), np.zeros((3, 2)))})
    assert headers(dataset) == ["time", "lat", "a", "b"]


def test_unshared_dimensions_name_their_groups() -> None:
    """The refusal says which variables go together and how to ask for them."""
    dataset = xr.Dataset({"a": box(2), "b": box(2, 3), "c": box(2), "crs": ((), 0)})
    with pytest.raises(
        SelectionError, match=r"a, c along time; .*crs along no.*variables=a"
    ) as caught:
        check_csv(Plan(dataset))
    assert caught.value.facts == {
        "groups": [
            {"dims": ["time"], "variables": ["a", "c"]},
            {"dims": ["time", "lat"], "variables": ["b"]},
            {"dims": [], "variables": ["crs"]},
        ]
    }


def test_a_refusal_stays_short() -> None:
    """However many variables there are, the sentence is one that can be read."""
    many = {f"v{n}": (f"d{n % 40}", [1.0]) for n in range(400)}
    with pytest.raises(SelectionError) as caught:
        check_csv(Plan(xr.Dataset(many)))
    assert len(caught.value.detail) < 500
    assert len(caught.value.facts["groups"]) == 40


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        (xr.Dataset({"t": box(10, 20, dtype="u1")}), 10 * 20 * 3 * 8),
        (xr.Dataset({"t": box(10)}, {f"c{n}": n for n in range(90)}), 10 * 92 * 8),
        (xr.Dataset({"t": box(10)}, {"long": "x" * 100}), 10 * (2 * 8 + 100)),
        (xr.Dataset(coords={"x": range(1000), "y": range(1000)}), 1000 * 1000 * 2 * 8),
        (xr.Dataset({"t": 1.0}, {"left_out": ("x", np.zeros(50))}), 51 * 8),
        (xr.Dataset(), 0),
    ],
)
def test_csv_counts_every_cell(dataset: xr.Dataset, size: int) -> None:
    """A value that is repeated in every row counts in every row."""
    assert csv_bytes(Plan(dataset)) == size


def test_json_counts_single_bytes_twice() -> None:
    """No dtype's text is longer than six times what it counts for."""
    worst: dict[str, Any] = {
        "?": False,
        "i1": -100,
        "u1": 255,
        "i2": -30000,
        "f4": -1.2345679e-38,
        "f8": -1.2345678901234567e-300,
        "i8": -(2**63),
        "f2": -6.104e-05,
        "M8[ns]": np.datetime64("2020-01-01T00:00:00.123456789"),
    }
    for dtype, value in worst.items():
        dataset = xr.Dataset({"v": ("x", np.full(1000, value, dtype))})
        assert len(ENCODERS["json"].encode(dataset)) < 6.2 * ENCODERS["json"].value_bytes(
            Plan(dataset)
        )


def test_netcdf_counts_what_is_in_memory() -> None:
    """NetCDF is no larger than the answer itself."""
    assert ENCODERS["netcdf"].value_bytes(Plan(xr.Dataset({"t": box(3, dtype="i2")}))) == 6


@pytest.mark.parametrize("values", [np.ones(3, "c8"), np.complex128(1)])
def test_netcdf_refuses_complex_numbers_unread(values: Any) -> None:
    """Complex variables and coordinates are refused by their dtype, naming formats that can."""
    variable = xr.Variable(["x"][: values.ndim], values)
    for dataset in (xr.Dataset({"z": variable}), xr.Dataset(coords={"z": variable})):
        with pytest.raises(NotAcceptable) as caught:
            ENCODERS["netcdf"].check(Plan(dataset))
        assert caught.value.facts == {"variable": "z", "known": ["json", "csv"]}


@pytest.mark.parametrize("name", ["json", "csv"])
def test_other_formats_take_complex_numbers(name: str) -> None:
    """The formats that a refusal names do hold what was refused."""
    ENCODERS[name].check(Plan(xr.Dataset({"z": ((), 1j)})))


@pytest.mark.parametrize(
    ("dataset", "fault"),
    [
        (xr.Dataset({"a": box(2), "b": box(2, 3)}), SelectionError),
        (xr.Dataset({"a": box(2), "b": box(2)}), None),
    ],
)
@pytest.mark.parametrize("act", [check_csv, lambda plan: ENCODERS["csv"].encode(plan.dataset)])
def test_encoding_refuses_what_the_check_refuses(
    act: Callable[[Plan], Any], dataset: xr.Dataset, fault: type[Exception] | None
) -> None:
    """Whoever encodes without asking first gets the same refusal."""
    if fault is None:
        act(Plan(dataset))
    else:
        with pytest.raises(fault):
            act(Plan(dataset))
