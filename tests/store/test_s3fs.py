"""The private names of s3fs and what is below it: there, and all of them written down."""

from __future__ import annotations

import ast
import inspect
import ssl
from pathlib import Path

import pytest
from botocore.exceptions import HTTPClientError

from sluice.store import _s3fs
from sluice.store._s3fs import PRIVATE, connect
from sluice.store.http_reader import BoundedAnswer

NAMES = [(owner, name) for owner, names in PRIVATE.items() for name in names]


@pytest.mark.parametrize(("owner", "name"), NAMES)
async def test_a_private_name_is_where_it_was(owner: str, name: str) -> None:
    """A newer version that has moved one of them is told by this name."""
    opened = await connect({"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"})
    try:
        client = await opened.fs.set_session()
        found = {"s3fs.S3FileSystem": opened.fs, "aiobotocore.client.AioBaseClient": client}
        moved = f"{owner} has no {name} any more: look at {_s3fs.__file__}"
        if owner not in found:
            session = client._endpoint.http_session
            found["aiobotocore.httpsession.AIOHTTPSession"] = session
            found["aiohttp.ClientSession"] = await session._get_session(None)
        assert hasattr(found[owner], name), moved
        assert type(found[owner]).__module__.split(".")[0] in (owner.split(".")[0], "sluice"), moved
    finally:
        await opened.aclose()


async def test_connections_are_told_to_bound_their_answers() -> None:
    """The class of answers that is put into aiohttp's session is the one that it makes."""
    opened = await connect({"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"})
    try:
        client = await opened.fs.set_session()
        connection = await _s3fs.connection_of(client, "http://127.0.0.1:9/bucket/key")
        assert connection is not None
        assert connection.session._response_class is BoundedAnswer
        assert (connection.proxy, connection.proxy_headers) == (None, None)
    finally:
        await opened.aclose()


async def test_certificates_are_read_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than a round trip, for which no request waits."""
    opened = await connect({"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"})
    try:
        client = await opened.fs.set_session()
        monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", None)
        assert await _s3fs.connection_of(client, "http://127.0.0.1:9/bucket/key") is not None
    finally:
        await opened.aclose()


async def test_certificates_that_are_missing_are_told_by_a_request() -> None:
    """Other stores of the catalog, and the start, do without them."""
    options = {"key": "k", "secret": "s", "client_kwargs": {"verify": "/nowhere.pem"}}
    opened = await connect({"endpoint_url": "https://127.0.0.1:9", **options})
    try:
        with pytest.raises(HTTPClientError, match="No such file"):
            await opened.fs._cat_file("bucket/key")
    finally:
        await opened.aclose()


def test_all_private_names_are_written_down() -> None:
    """The table names every private attribute of others that the module touches, and no other."""
    tree = ast.parse(Path(inspect.getfile(_s3fs)).read_text())
    touched = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert touched == {name for names in PRIVATE.values() for name in names}


@pytest.mark.parametrize("keys", [{"key": "k", "secret": "s"}, {"anon": True}])
async def test_what_a_first_request_needs_is_done_while_it_connects(
    monkeypatch: pytest.MonkeyPatch, keys: dict[str, object]
) -> None:
    """The service's errors are known, and no server was asked: there is none."""
    opened = await connect({"endpoint_url": "http://127.0.0.1:9", **keys})
    try:
        client = await opened.fs.set_session()
        monkeypatch.setattr("botocore.model.ServiceModel.error_shapes", None)
        assert client.meta.service_model.shape_for_error_code("NoSuchKey") is not None
    finally:
        await opened.aclose()
