"""Secrets of catalog entries, and errors that could repeat them."""

from __future__ import annotations

import asyncio
import traceback
from functools import partial

import pytest
from pydantic import ValidationError

from app.catalog.catalog import Catalog
from app.catalog.entry import DatasetEntry, fingerprint, redact, redact_error, secrets_of
from app.catalog.opened_datasets import OpenedDatasets
from app.catalog.opening import open_entry
from sluice.arrays.reader import Reader
from sluice.concurrency import map_concurrently
from sluice.errors import SluiceError, StoreError, StoreRefused
from sluice.store import Filesystems

CANARY = "hush-canary"


def entry(url: str = "s3://bucket/x", **options: object) -> DatasetEntry:
    return DatasetEntry(id="a", url=url, storage_options=options)


@pytest.mark.parametrize(
    ("told", "secrets"),
    [
        (entry(key="identity", secret="geheim"), {"identity", "geheim"}),
        (entry(client_kwargs={"headers": [{"x": "geheim"}]}), {"geheim"}),
        (entry(secret="a/b c"), {"a/b c", "a/b%20c", "a%2Fb%20c"}),
        (entry("http://u:geheim@h/x?sig=other&n=1"), {"geheim", "sig=other&n=1", "other"}),
        (entry("reference://", fo="http://h/r.json?token"), {"token"}),
        (entry(endpoint_url="http://u:geheim@h", profile="mine", anon=True, n=12345), {"geheim"}),
        (entry(key="abc"), set()),
        (entry("reference://", fo={"refs": {"secret": "geheim"}}), set()),
        (entry("http://[h/x"), {"http://[h/x", "http%3A//%5Bh/x", "http%3A%2F%2F%5Bh%2Fx"}),
    ],
)
def test_values_of_options_are_secrets_unless_they_are_harmless(
    told: DatasetEntry, secrets: set[str]
) -> None:
    """Every text among the options but a few, and what URLs carry in secret, also URL-quoted."""
    found = set(secrets_of(told))
    assert secrets <= found
    assert {s for s in found if "%" not in s} == {s for s in secrets if "%" not in s}


def test_a_long_secret_is_hidden_before_its_parts() -> None:
    """A secret that contains another one disappears whole."""
    secrets = secrets_of(entry(key="geheim", secret="geheimnis"))
    assert redact("a geheimnis and a geheim", secrets) == "a … and a …"


def test_an_error_that_tells_nothing_stays_itself() -> None:
    """Such an error keeps its cause, which helps to find out what happened."""
    error = StoreError("the store failed", key="zarr.json")
    assert redact_error(error, entry(secret="geheim")) is error


def test_an_error_keeps_its_kind_without_its_secrets() -> None:
    """Class and facts stay; sentence, facts and the cause's words lose the secret."""
    try:
        try:
            raise ValueError("geheim")
        except ValueError as cause:
            raise StoreRefused("refused geheim", key="geheim/zarr.json", count=1) from cause
    except StoreRefused as error:
        told = redact_error(error, entry(secret="geheim"))
    assert type(told) is StoreRefused
    assert str(told) == "refused …"
    assert told.facts == {"key": "…/zarr.json", "count": 1}
    assert "geheim" not in "".join(traceback.format_exception(told))


def test_a_secret_is_found_in_a_group_and_in_a_circle() -> None:
    """Errors of tasks come in groups, whose members may point back at their group."""
    inner = ValueError("geheim")
    group = ExceptionGroup("several", [inner])
    inner.__context__ = group
    error = StoreError("the store failed")
    error.__cause__ = group
    told = redact_error(error, entry(secret="geheim"))
    assert told is not error
    assert "geheim" not in "".join(traceback.format_exception(told))


def test_an_error_of_a_library_becomes_ours() -> None:
    """An unexpected error that tells a secret is a StoreError that names its class."""
    told = redact_error(ValueError("bad geheim"), entry(secret="geheim"))
    assert isinstance(told, StoreError)
    assert str(told) == "ValueError: bad …"


@pytest.mark.parametrize(
    "told",
    [
        entry("reference://", fo=f"http://u:{CANARY}@127.0.0.1:9/refs.json?sig={CANARY}"),
        entry(config_kwargs={"response_checksum_validation": CANARY}),
        entry(key=CANARY, secret=CANARY, token=CANARY, endpoint_url="http://127.0.0.1:9"),
        entry(f"http://u:{CANARY}@127.0.0.1:9/x?sig={CANARY}"),
        entry("http://127.0.0.1:9/x", headers={"Authorization": f"Bearer {CANARY}"}),
        entry(nonsense=CANARY),
    ],
)
async def test_no_failed_open_tells_a_secret(told: DatasetEntry) -> None:
    """What real engines say about wrong options reaches no error, its cause or the hook."""
    outcomes: list[Exception | None] = []
    async with Filesystems() as filesystems:
        opened = OpenedDatasets(
            Catalog({"a": told}),
            partial(
                open_entry,
                filesystems=filesystems,
                store_concurrency=8,
                reader=Reader(cache_bytes=0, inline_bytes=0),
            ),
            capacity=1,
            failed_open_seconds=60,
            on_open=lambda _, __, error: outcomes.append(error),
        )
        for _ in range(2):
            async with asyncio.timeout(60):
                with pytest.raises(SluiceError) as caught:
                    await opened.get("a")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.facts)
    assert CANARY not in shown
    (told_of,) = outcomes
    assert (type(told_of), str(told_of)) == (type(caught.value), str(caught.value))
    assert CANARY not in "".join(traceback.format_exception(told_of))


async def test_a_failure_out_of_a_group_is_looked_through_once() -> None:
    """What a task group raised has the group as its context, which holds it: a ring of a chain."""

    async def fail(number: int) -> None:
        raise StoreError(f"{number} told {CANARY}")

    with pytest.raises(StoreError) as caught:
        await map_concurrently([1, 2], fail)
    assert isinstance(caught.value.__context__, BaseExceptionGroup)
    assert CANARY not in str(redact_error(caught.value, entry(secret=CANARY)))


def test_places_have_names_and_coordinates() -> None:
    """Longitudes and latitudes that there are, under names that a path can have."""
    places = {"Berlin": [13.4, 52.5], "Süd-Pol": [0, -90], "a b": [360, 1]}
    found = DatasetEntry.model_validate({"id": "a", "url": "/x", "places": places})
    assert found.places["Berlin"] == (13.4, 52.5)
    wrong: tuple[object, ...] = (
        ["Berlin"],
        {"Berlin": [13.4]},
        {"Berlin": [13.4, 91]},
        {"Berlin": [361, 0]},
        {"Berlin": ["13.4", "52"]},
        {"Berlin": [True, False]},
        {"Berlin": [float("nan"), 0]},
        {"a/b": [0, 0]},
        {"": [0, 0]},
        {7: [0, 0]},
    )
    for places_given in wrong:
        with pytest.raises(ValidationError):
            DatasetEntry.model_validate({"id": "a", "url": "/x", "places": places_given})


def test_a_fingerprint_tells_values_apart_and_shows_none() -> None:
    """Names may be of any type, as YAML has them, and in any order; lists have an order."""
    options = {"key": "hush", "client_kwargs": {1: "a", "b": [1, 2], None: {}}}
    same = {"client_kwargs": {None: {}, "b": [1, 2], 1: "a"}, "key": "hush"}
    found = fingerprint("s3://b/x", options)
    assert found == fingerprint("s3://b/x", same)
    assert "hush" not in found
    others = (
        fingerprint("s3://b", "/x", options),
        fingerprint("s3://b/x", {**options, "client_kwargs": {"1": "a", "b": [1, 2], None: {}}}),
        fingerprint("s3://b/x", {**options, "client_kwargs": {1: "a", "b": [2, 1], None: {}}}),
    )
    assert len({found, *others}) == 4
