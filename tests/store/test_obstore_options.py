"""s3fs's words, said to obstore."""

from __future__ import annotations

from datetime import timedelta

import pytest
from obstore.store import S3Store

from sluice.errors import CatalogError
from sluice.store.obstore_options import MEANINGS, s3_store_options

EVERYTHING = {
    "key": "k",
    "secret": "s",
    "token": "t",
    "anon": False,
    "endpoint_url": "http://127.0.0.1:9000",
    "use_ssl": False,
    "requester_pays": True,
    "max_concurrency": 1,
    "client_kwargs": {"region_name": "eu-central-1", "verify": False},
    "config_kwargs": {
        "connect_timeout": 2,
        "read_timeout": 1.5,
        "retries": {"max_attempts": 7},
        "s3": {"addressing_style": "virtual"},
    },
}


def test_each_word_has_its_counterpart() -> None:
    """Credentials, address, region, timeouts and retries arrive under obstore's names."""
    options = s3_store_options(EVERYTHING)
    client, retry = options.pop("client_options"), options.pop("retry_config")
    assert options == {
        "access_key_id": "k",
        "secret_access_key": "s",
        "session_token": "t",
        "skip_signature": False,
        "endpoint": "http://127.0.0.1:9000",
        "request_payer": True,
        "region": "eu-central-1",
        "virtual_hosted_style_request": True,
    }
    assert (client["allow_http"], client["allow_invalid_certificates"]) == (True, True)
    assert client["connect_timeout"] == timedelta(seconds=2)
    assert client["read_timeout"] == timedelta(seconds=1.5)
    assert retry["max_retries"] == 7


def test_obstore_accepts_the_result() -> None:
    """A store can be made of every documented word, and of none."""
    assert isinstance(S3Store("bucket", **s3_store_options(EVERYTHING)), S3Store)
    assert isinstance(S3Store("bucket", **s3_store_options({})), S3Store)


def test_the_table_in_the_docstring_is_complete() -> None:
    """Every word that is understood is documented."""
    documented = s3_store_options.__doc__ or ""
    for word in MEANINGS:
        assert word in documented, word


def test_other_words_are_refused() -> None:
    """A word without a counterpart is an error that names it, nested ones with their path."""
    with pytest.raises(CatalogError, match=r"storage_options\.client_kwargs\.proxy"):
        s3_store_options({"client_kwargs": {"proxy": "x"}})
