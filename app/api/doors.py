"""The standard doors: ways in that clients of the field know, beside our own paths.

Each is a folder of `app.doors` over the same selections, plans and answers. A catalog switches them
for its datasets; what a client learns of a door it learns of a dataset that this door serves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

from fastapi import FastAPI, Request, Response
from starlette.types import Scope

from sluice.aliases import DocumentDict, record
from sluice.errors import SluiceError

from ..catalog.entry import DatasetEntry, DoorName
from ..catalog.opened import Opened
from ..errors import UnknownDataset
from .problems import expected_problem
from .requests import visible_id
from .state import Service

# All ways in: the standard doors, and those that no catalog shuts.
AnyDoor: TypeAlias = Literal["native", "pages", "dap", "edr", "zarr"]


@record
class Link:
    """Where a dataset is served in another way: `href` is relative to the root of the service."""

    href: str
    title: str
    type: str


class Door(Protocol):
    """A way in."""

    @property
    def name(self) -> AnyDoor:
        """What it is called; a standard one so in a catalog."""

    def add_to(self, app: FastAPI) -> None:
        """Register the routes."""

    def links(self, opened: Opened) -> Iterable[Link]:
        """Where it serves this dataset."""


def serves(entry: DatasetEntry, door: AnyDoor) -> bool:
    """Whether the catalog has this door open for the dataset."""
    return entry.doors is None or door in entry.doors or door not in get_args(DoorName)


def door_dataset(request: Request, serving: Service, door: DoorName) -> str:
    """The dataset's id in the path, if its caller may see it and this door serves it.

    Raises as `visible_id` does, and UnknownDataset where the door is shut.
    """
    dataset_id = visible_id(request, serving)
    entry = serving.catalog.entries.get(dataset_id)
    if entry is not None and not serves(entry, door):
        open_ones = ", ".join(entry.doors or ()) or "none"
        raise UnknownDataset(
            f"This dataset is not served here; of the doors dap, edr and zarr its catalog opens"
            f" {open_ones}. GET /datasets/{dataset_id} links all that serve it.",
            dataset=dataset_id,
        )
    return dataset_id


def links_of(doors: Iterable[Door], opened: Opened) -> list[dict[str, str]]:
    """What `/datasets/{id}` says of the doors that serve the dataset, relative to that path."""
    return [
        {"door": door.name, "href": f"../{link.href}", "title": link.title, "type": link.type}
        for door in doors
        if serves(opened.entry, door.name)
        for link in door.links(opened)
    ]


@record
class ToldProblem:
    """A problem for who writes it in a form of their own: what it says, and its headers but for
    those of its form.
    """

    status: int
    members: DocumentDict
    headers: Mapping[str, str]

    @property
    def title(self) -> str:
        """What kind of problem it is."""
        return str(self.members["title"])

    @property
    def detail(self) -> str:
        """What went wrong."""
        return str(self.members["detail"])


@runtime_checkable
class TellsProblems(Protocol):
    """A door whose protocol has a form of its own for problems: all below ``/`` and its name."""

    def tell(self, path: str, failed: ToldProblem) -> Response:
        """The problem of a request for this path of the service."""


def forms_of(doors: Iterable[Door]) -> Callable[[Scope, Response], Response]:
    """What gives a problem the form of the door below whose path it is, wherever it was made."""
    tellers = {door.name: door.tell for door in doors if isinstance(door, TellsProblems)}

    def in_form(scope: Scope, failed: Response) -> Response:
        root, path = scope.get("root_path", ""), scope["path"]
        if path.startswith(f"{root}/"):
            path = path[len(root) :]
        tell = tellers.get(path[1:].partition("/")[0])
        return failed if tell is None else tell(path, _told(failed))

    return in_form


def told_problem(request: Request, error: SluiceError) -> ToldProblem:
    """What is told of an error that left a route; the log has what clients must not see."""
    failed = expected_problem(request.scope, error)
    assert failed is not None, "each of our own errors is a problem"
    return _told(failed)


def _told(failed: Response) -> ToldProblem:
    form = ("content-length", "content-type")
    headers = {name: text for name, text in failed.headers.items() if name not in form}
    return ToldProblem(failed.status_code, json.loads(bytes(failed.body)), headers)
