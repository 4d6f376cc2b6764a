"""An S3 in this process, and a client of it that uploads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

KEYS = {"key": "reader", "secret": "hush-hush"}


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address, until the block ends."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def s3_client(address: str) -> Iterator[Any]:
    """boto3's client of the S3 at `address`, with `KEYS`."""
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEYS["key"],
        aws_secret_access_key=KEYS["secret"],
    )
    with closing(client):
        yield client
