"""What lives as long as the server does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

from app.api.state import DatasetLists
from app.catalog.catalog import Catalog
from app.catalog.entry import DatasetEntry


async def test_a_long_list_is_of_the_moment_in_which_it_is_asked_for() -> None:
    """Which datasets a caller may see is found out before a thread writes them down.

    A reload that came meanwhile would change the keys under its feet.
    """
    entries = [DatasetEntry(id=f"d{number}", url="x.zarr") for number in range(200)]
    threads = set()

    def seen() -> Iterator[DatasetEntry]:
        for entry in entries:
            threads.add(threading.get_ident())
            yield entry

    lists, catalog = DatasetLists(), Catalog({entry.id: entry for entry in entries})
    text = await lists.text(catalog, "somebody", seen())
    assert len(json.loads(text)["datasets"]) == 200
    assert threads == {threading.get_ident()}
    assert await lists.text(catalog, "somebody", ()) is text
