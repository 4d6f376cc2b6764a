"""What the users know of a dataset: its axes as the service describes them, and its true values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A position, or neighbouring ones, along each dimension by name.
Region = Mapping[str, int | range]


class WrongAnswer(Exception):
    """An answer that is not what was asked for; the sentence says in what."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension; `first` and `step` are None where its labels are not evenly spaced.

    `role` is X, Y, Z or T where the service knows one.
    """

    name: str
    size: int
    first: Any
    step: Any
    role: str | None = None

    @property
    def is_time(self) -> bool:
        """Whether the labels are instants."""
        return isinstance(self.first, np.datetime64)

    def labels(self, positions: range) -> NDArray[Any]:
        """The labels at `positions`; only evenly spaced axes know them."""
        return np.array([self.first + i * self.step for i in positions])

    def parameter(self, where: int | range) -> tuple[str, str]:
        """Asks for these positions: by label where labels are known, otherwise by position."""
        ends = (where, where) if isinstance(where, int) else (where[0], where[-1])
        if self.first is None:
            text = str(where) if isinstance(where, int) else f"{ends[0]}:{ends[1] + 1}"
            return f"isel[{self.name}]", text
        texts = [_written(self.first + i * self.step) for i in ends]
        return self.name, texts[0] if isinstance(where, int) else "/".join(texts)

    def written(self, position: int | range) -> str:
        """The label of one position as text; only evenly spaced axes know it."""
        assert isinstance(position, int)
        label: str = _written(self.first + position * self.step)
        return label

    def nearby(self, position: int, random: random.Random) -> tuple[str, str]:
        """Asks for this position by a label that lies next to it, as a map's click does."""
        if self.first is None or self.is_time:
            return self.parameter(position)
        near = self.first + (position + random.uniform(-0.4, 0.4)) * self.step
        return self.name, f"nearest::{near:.4f}"


@dataclass(frozen=True, slots=True)
class Found:
    """An answer in any format, read back: the labels and the values, and their dimensions.

    `sizes` is None where the format does not tell (CSV).
    """

    sizes: Mapping[str, int] | None
    labels: Mapping[str, NDArray[Any]]
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Grid:
    """Variables that share all their dimensions, and where to ask for them.

    `truth` has each variable's decoded values, memory-mapped; empty if they are not known, and
    then shapes and labels are all that can be checked.
    """

    path: str
    axes: tuple[Axis, ...]
    variables: tuple[str, ...]
    truth: Mapping[str, NDArray[np.float64]]

    def url(self, region: Region, variables: tuple[str, ...], **more: str) -> str:
        """The request for `region` by exact labels."""
        terms = [axis.parameter(region[axis.name]) for axis in self.axes]
        return self._url(terms, variables, **more)

    def nearby_url(
        self, cell: Mapping[str, int], variables: tuple[str, ...], random: random.Random
    ) -> str:
        """The request for one cell by labels that lie next to its own."""
        terms = [axis.nearby(cell[axis.name], random) for axis in self.axes]
        return self._url(terms, variables)

    def path_of(self, door: str) -> str:
        """The dataset's path by another way in than `path`."""
        return self.path.replace("/datasets/", f"/{door}/")

    @property
    def roles(self) -> dict[str, Axis]:
        """The axes that have a role, by it."""
        return {axis.role: axis for axis in self.axes if axis.role is not None}

    def _url(self, terms: list[tuple[str, str]], variables: tuple[str, ...], **more: str) -> str:
        query = [*terms, ("variables", ",".join(variables)), *more.items()]
        return f"{self.path}/sel?{urlencode(query, safe='/:,[]')}"

    def check(
        self, found: Found, region: Region, variables: tuple[str, ...], *, labelled: bool = True
    ) -> None:
        """Returns if `found` is this region of these variables; otherwise raises WrongAnswer.

        An answer that is not `labelled` is held to its values alone.
        """
        shape = {name: len(where) for name, where in region.items() if isinstance(where, range)}
        if found.sizes is not None and dict(found.sizes) != shape:
            raise WrongAnswer(f"sizes {dict(found.sizes)} in place of {shape}")
        if set(found.values) != set(variables):
            raise WrongAnswer(f"variables {sorted(found.values)} in place of {sorted(variables)}")
        for axis in self.axes:
            if labelled and axis.first is not None:
                _check_labels(axis, found.labels.get(axis.name), region[axis.name])
        for name in variables:
            self._check_values(name, found.values[name], region)

    def _check_values(self, name: str, values: NDArray[np.float64], region: Region) -> None:
        places = [region[axis.name] for axis in self.axes]
        shape = tuple(len(where) for where in places if isinstance(where, range))
        if values.size != np.prod(shape, dtype=int):
            raise WrongAnswer(f"{values.size} values of {name} in place of {shape}")
        if not self.truth:
            return
        index = tuple(w if isinstance(w, int) else slice(w[0], w[-1] + 1) for w in places)
        if not np.allclose(values.reshape(shape), self.truth[name][index], equal_nan=True):
            raise WrongAnswer(f"values of {name} that are not the store's")


def _check_labels(axis: Axis, labels: NDArray[Any] | None, where: int | range) -> None:
    if labels is None:
        raise WrongAnswer(f"no labels of {axis.name}")
    wanted = axis.labels(where if isinstance(where, range) else range(where, where + 1))
    if axis.is_time:
        same = np.array_equal(np.unique(labels.astype("M8[ns]")), wanted)
    else:
        # Each label once and in order of size: CSV repeats them and a table has its own order.
        same = len(unique := np.unique(labels.astype(float))) == len(wanted) and bool(
            np.allclose(unique, np.sort(wanted), atol=1e-6)
        )
    if not same:
        raise WrongAnswer(f"labels of {axis.name} that were not asked for")


def _written(label: Any) -> str:
    if isinstance(label, np.datetime64):
        return f"{np.datetime_as_string(label, unit='s')}Z"
    return f"{label:.10g}"


def learn(described: Mapping[str, Any], truth: Path | None) -> Grid:
    """The grid of the body of ``/datasets/{id}``: its numeric variables with most dimensions.

    `truth` is a folder with the values of each variable as ``NAME.npy``.
    """
    parts = {n: v for n, v in described["data_vars"].items() if np.dtype(v["dtype"]).kind in "fiu"}
    dims = max((tuple(part["dims"]) for part in parts.values()), key=len)
    variables = tuple(name for name, part in parts.items() if tuple(part["dims"]) == dims)
    known = {n: np.load(truth / f"{n}.npy", mmap_mode="r") for n in variables} if truth else {}
    return Grid(f"/datasets/{described['id']}", tuple(_axes(described, dims)), variables, known)


def _axes(described: Mapping[str, Any], dims: tuple[str, ...]) -> list[Axis]:
    coords = described["coords"]
    return [_axis(name, described["dims"][name], coords.get(name, {})) for name in dims]


def _axis(name: str, size: int, coord: Mapping[str, Any]) -> Axis:
    step, role = coord.get("step"), coord.get("role")
    if step is None:
        return Axis(name, size, None, None, role)
    if coord["dtype"].startswith("datetime64"):
        duration = pd.Timedelta(step)
        end = coord["min"] if duration > pd.Timedelta(0) else coord["max"]
        first = np.datetime64(end.removesuffix("Z"), "ns")
        return Axis(name, size, first, duration.to_timedelta64(), role)
    return Axis(name, size, coord["min"] if step > 0 else coord["max"], step, role)
