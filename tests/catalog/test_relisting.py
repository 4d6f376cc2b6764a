"""Listing now and then: what fails changes nothing, and the log tells what is new."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalog.catalog import parse_catalog
from app.catalog.configuration import FileTexts
from app.catalog.control_log import ControlLog, ReloadAsked
from app.catalog.listings import Listed, ListingLimits, Listings, NewNames
from app.catalog.relisting import Relister
from app.server.processes import unnamed_file
from sluice.errors import StoreError

CATALOG = """
datasets:
  "{stem}": {url: "s3://b/*", refresh_seconds: 60, storage_options: {secret: hush-hush}}
  "once-{stem}": {url: "s3://c/*", refresh_seconds: null}
"""


@pytest.fixture
def control_log() -> Iterator[ControlLog]:
    file = unnamed_file("control-log")
    ControlLog.begin(file, FileTexts(""))
    with ControlLog(file) as control_log:
        control_log.take(control_log.unread()[1])
        yield control_log
    os.close(file)


class Stores:
    """What listings find, and a clock."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] | Exception = ()
        self.listed: list[str] = []
        self.now = 0.0

    async def list(self, glob: Listed) -> tuple[str, ...]:
        self.listed.append(glob.entry.id)
        if isinstance(self.names, Exception):
            raise self.names
        return self.names


async def test_globs_are_listed_when_they_are_due(
    control_log: ControlLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Every `refresh_seconds`, sooner after a failure, or once; only differences are posted."""
    globs = parse_catalog(Path("c.yaml"), CATALOG).globs
    stores, listings = Stores(), Listings(ListingLimits(99, 99, 9))
    relister = Relister(
        control_log, listings, stores.list, retry_seconds=5, clock=lambda: stores.now
    )

    def posted() -> list[object]:
        news, reading = control_log.unread()
        control_log.take(reading)
        for item in news:
            assert isinstance(item, NewNames)
            listings.apply(item)
        return list(news)

    stores.names = ("a",)
    await relister.list_unknown(globs)
    assert posted() == [NewNames(glob.place, ("a",)) for glob in globs]
    stores.names = StoreError("no, hush-hush")
    for stores.now in (59, 60, 64, 65):
        await relister.list_due(globs)
    assert stores.listed == ["{stem}", "once-{stem}", "{stem}", "{stem}"]
    assert posted() == []
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["glob '{stem}': cannot be listed, and what it brought before stays: no, …"]
    stores.names, stores.now = ("b",), 70
    with caplog.at_level(logging.INFO):
        await relister.list_due(globs)
    assert posted() == [NewNames(globs[0].place, ("b",), ("a",))]
    assert caplog.messages[-1] == "glob '{stem}': it can be listed again"


async def test_what_is_left_out_is_told_once(
    control_log: ControlLog, caplog: pytest.LogCaptureFixture
) -> None:
    """And again where it is something else."""
    catalog = parse_catalog(Path("c.yaml"), CATALOG)
    globs, listings = catalog.globs[:1], Listings(ListingLimits(99, 99, 9))
    relister = Relister(control_log, listings, Stores().list, retry_seconds=5)
    for names in (["a a"], ["a a"], ["a a", "b b"]):
        if change := listings.change(globs[0], names):
            listings.apply(change)
        relister.tell_left_out(globs, listings.expanded(catalog).left_out)
    assert [message[:40] for message in caplog.messages] == [
        "glob '{stem}': 1 found and not served: s",
        "glob '{stem}': 2 found and not served: s",
    ]


def test_news_of_globs_are_read_as_they_were_posted(control_log: ControlLog) -> None:
    """By whoever reads, names of any signs among them."""
    news: list[NewNames | ReloadAsked] = [NewNames("place", ("ü", "\udcff"), ("x",)), ReloadAsked()]
    for item in news:
        control_log.post(item)
    assert control_log.unread()[0] == news
