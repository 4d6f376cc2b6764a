"""The kinds of users: what each asks for, how often, and what it makes sure of."""

from __future__ import annotations

import random
import re
from typing import Any, ClassVar
from urllib.parse import quote, urljoin

from locust import between, task

from loadtests.asker import Asker, arrived, body, header, unchanged
from loadtests.formats import (
    Packed,
    from_bin,
    from_coverage,
    from_csv,
    from_dods,
    from_json,
    from_netcdf,
    packing,
)
from loadtests.grid import Axis, Grid, Region, WrongAnswer

WARM_CELLS = 40
RECENT_TIMES = 12
BOX_SIDE = 20
BOX_TIMES = 24
GZIP = {"Accept-Encoding": "gzip"}
TENSORS = "application/vnd.sluice.tensors"
# As the page asks for its pictures and lines.
TENSORS_ASKED = {"f": "bin", "pack": "f4"}
PNG = b"\x89PNG\r\n\x1a\n"


class Dashboard(Asker):
    """Asks for points of a modest set, often, and asks again with the tag that it was given."""

    weight = 10
    wait_time = between(0.5, 2)
    cells: ClassVar[list[dict[str, int]]]

    def on_start(self) -> None:
        self.tags: dict[str, str] = {}

    @task
    def point(self) -> None:
        """One cell as JSON; half of the time, if its tag is known, only if it has changed."""
        number = random.randrange(len(self.cells))
        cell, variables = self.cells[number], self.grid.variables[:2]
        # The same click each time, so that proxies and tags can know it.
        path = self.grid.nearby_url(cell, variables, random.Random(number))
        tag = self.tags.get(path)
        if tag is not None and random.random() < 0.5:
            self.ask("point, unchanged", path, unchanged, {**GZIP, "If-None-Match": tag})
            return

        def check(answer: Any) -> None:
            content = body(answer, "application/json")
            self.grid.check(from_json(content), cell, variables)
            self.tags[path] = header(answer, "ETag")

        self.ask("point", path, check, GZIP)


class Scientist(Asker):
    """Pulls boxes as NetCDF, now and then a series or a table, and looks at every value."""

    weight = 2
    wait_time = between(1, 4)

    def on_start(self) -> None:
        self.box()

    @task(4)
    def box(self) -> None:
        """A day of a box at one level, as NetCDF."""
        region = {a.name: some(a, BOX_TIMES if a.is_time else BOX_SIDE) for a in self.grid.axes}
        variables = self.any_variable()
        self.pull("box, NetCDF", region, variables, "application/netcdf", from_netcdf, f="netcdf")

    @task(1)
    def series(self) -> None:
        """All times of one cell, as JSON."""
        region = {a.name: some(a, a.size if a.is_time else 1) for a in self.grid.axes}
        variables = self.any_variable()
        self.pull("series, JSON", region, variables, "application/json", from_json, f="json")

    @task(1)
    def table(self) -> None:
        """A small box at one time, as CSV."""
        region = {a.name: some(a, 1 if a.is_time else BOX_SIDE) for a in self.grid.axes}
        known = self.grid.variables
        self.pull(
            "box, CSV",
            region,
            self.any_variable(),
            "text/csv",
            lambda content: from_csv(content, known),
            f="csv",
        )


class Visitor(Asker):
    """Opens the explorer, steps through maps, and clicks a place now and then."""

    weight = 4
    wait_time = between(1, 4)

    def on_start(self) -> None:
        """The page and the files it names, which a browser keeps."""
        path = self.grid.path_of("explore")
        files: list[str] = []

        def check(answer: Any) -> None:
            page = body(answer, "text/html").decode()
            files.extend(re.findall(r'(?:src|href)="([^"]*/assets/[^"]+)"', page))
            if not files:
                raise WrongAnswer("a page without its files")

        self.ask("page", path, check, {"Accept": "text/html"}, always=True)
        for name in files:
            self.ask("file of the page", urljoin(path, name), arrived, GZIP)

    @task(4)
    def picture(self) -> None:
        """One map, as the page asks for it."""
        region: Region = {
            a.name: range(a.size) if a.role in ("X", "Y") else random.randrange(a.size)
            for a in self.grid.axes
        }
        self.pull("picture", region, self.any_variable(), TENSORS, from_bin, **TENSORS_ASKED)

    @task(1)
    def thumbnail(self) -> None:
        """The same as a picture file, which a link shows."""
        region: Region = {
            a.name: range(a.size) if a.role in ("X", "Y") else a.size - 1 for a in self.grid.axes
        }

        def check(answer: Any) -> None:
            if not body(answer, "image/png").startswith(PNG):
                raise WrongAnswer("no PNG")

        path = self.grid.url(region, self.grid.variables[:1], f="png")
        self.ask("picture, PNG", path, check)

    @task(1)
    def click(self) -> None:
        """The series of one place."""
        region = {a.name: some(a, a.size if a.is_time else 1) for a in self.grid.axes}
        self.pull("click", region, self.grid.variables[:1], TENSORS, from_bin, **TENSORS_ASKED)


class Downloader(Asker):
    """Takes a whole variable as NetCDF, and once more from its middle on, as after a loss."""

    weight = 1
    wait_time = between(5, 15)

    @task
    def stream(self) -> None:
        region: Region = {axis.name: range(axis.size) for axis in self.grid.axes}
        variables = self.any_variable()
        path = self.grid.url(region, variables, f="netcdf")
        kept: dict[str, Any] = {}

        def check(answer: Any) -> None:
            content = body(answer, "application/netcdf")
            self.grid.check(from_netcdf(content), region, variables)
            kept.update(tag=header(answer, "ETag"), content=content)

        self.ask("stream, NetCDF", path, check, always=True)
        if not kept:
            return
        middle = len(kept["content"]) // 2

        def check_rest(answer: Any) -> None:
            if body(answer, "application/netcdf", status=206) != kept["content"][middle:]:
                raise WrongAnswer("other bytes than before")

        headers = {"Range": f"bytes={middle}-", "If-Range": kept["tag"]}
        self.ask("stream, resumed", path, check_rest, headers)


class DapClient(Asker):
    """Reads a dataset's attributes, then series and maps, as the NetCDF library does."""

    weight = 2
    wait_time = between(1, 3)

    def on_start(self) -> None:
        self.packed: dict[str, Packed] = {}
        path = self.grid.path_of("dap")

        def check(answer: Any) -> None:
            das = body(answer, "text/plain").decode()
            self.packed = {name: packing(das, name) for name in self.grid.variables}

        self.ask("DAP, declared", f"{path}.dds", arrived)
        self.ask("DAP, attributes", f"{path}.das", check, always=True)

    @task
    def values(self) -> None:
        """A day of one cell, which is one chunk or two."""
        region = {a.name: some(a, BOX_TIMES if a.is_time else 1) for a in self.grid.axes}
        variable = random.choice(self.grid.variables)
        cuts = "".join(_hyperslab(region[axis.name]) for axis in self.grid.axes)

        def check(answer: Any) -> None:
            found = from_dods(body(answer, "application/octet-stream"), self.packed)
            self.grid.check(found, region, (variable,), labelled=False)

        path = self.grid.path_of("dap")
        self.ask("DAP, series", f"{path}.dods?{quote(variable + cuts)}", check)


def _hyperslab(where: int | range) -> str:
    return f"[{where}]" if isinstance(where, int) else f"[{where[0]}:1:{where[-1]}]"


class EdrClient(Asker):
    """Asks for the position of a place by well-known text."""

    weight = 1
    wait_time = between(1, 3)

    @task
    def position(self) -> None:
        """One place at one time, at all levels."""
        roles = self.grid.roles
        region: Region = {
            a.name: random.randrange(a.size) if a.role in ("X", "Y", "T") else range(a.size)
            for a in self.grid.axes
        }
        x, y, t = (roles[role].written(region[roles[role].name]) for role in "XYT")
        variables = self.grid.variables[:1]
        names = {role: axis.name for role, axis in roles.items()}

        def check(answer: Any) -> None:
            content = body(answer, "application/prs.coverage+json")
            self.grid.check(from_coverage(content, names), region, variables, labelled=False)

        path = self.grid.path_of("edr/collections")
        query = f"coords=POINT({x}%20{y})&datetime={t}&parameter-name={variables[0]}"
        self.ask("EDR, position", f"{path}/position?{query}", check)


# What the handler that most people write is asked for, too.
PLAIN: tuple[type[Asker], ...] = (Dashboard, Scientist)
EVERYONE: tuple[type[Asker], ...] = (*PLAIN, Visitor, Downloader, DapClient, EdrClient)


def warm_cell(grid: Grid, random: random.Random) -> dict[str, int]:
    """A cell anywhere, among the latest times."""
    return {
        axis.name: random.randrange(max(0, axis.size - RECENT_TIMES), axis.size)
        if axis.is_time
        else random.randrange(axis.size)
        for axis in grid.axes
    }


def some(axis: Axis, most: int) -> int | range:
    """Up to `most` neighbouring positions; one of an axis that knows no labels, or of `most` 1."""
    length = min(most, axis.size)
    if axis.first is None or length == 1:
        return random.randrange(axis.size)
    start = random.randrange(axis.size - length + 1)
    return range(start, start + length)
