"""Options of S3 stores, which the catalog has as s3fs names them, translated for obstore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from sluice.aliases import Document
from sluice.errors import CatalogError

# Keyword arguments; some of their values are mappings of keyword arguments, too.
Arguments: TypeAlias = dict[str, Any]

# Options of s3fs for fsspec's own caches and loops, which obstore does not have: ignored.
MEANINGLESS = frozenset(
    {
        "asynchronous",
        "cache_regions",
        "default_block_size",
        "default_cache_type",
        "default_fill_cache",
        "listings_expiry_time",
        "loop",
        "max_concurrency",
        "max_paths",
        "skip_instance_cache",
        "use_listings_cache",
    }
)


def s3_store_options(options: Document) -> Arguments:
    """Keyword arguments of obstore's `S3Store` for the s3fs options of a catalog entry.

    ==================================  ==========================================
    s3fs                                obstore
    ==================================  ==========================================
    key, username                       access_key_id
    secret, password                    secret_access_key
    token                               session_token
    anon                                skip_signature
    endpoint_url                        endpoint (and allow_http for ``http://``)
    client_kwargs.endpoint_url          endpoint
    client_kwargs.region_name           region
    client_kwargs.verify: false         client_options.allow_invalid_certificates
    use_ssl: false                      client_options.allow_http
    requester_pays                      request_payer
    config_kwargs.connect_timeout       client_options.connect_timeout (seconds)
    config_kwargs.read_timeout          client_options.read_timeout (seconds)
    config_kwargs.retries.max_attempts  retry_config.max_retries
    config_kwargs.s3.addressing_style   virtual_hosted_style_request
    ==================================  ==========================================

    Without keys and without `anon`, obstore looks for AWS_* variables and instance roles; profiles
    in ``~/.aws`` are read by s3fs alone. Each request is tried once unless the options say more.

    Raises:
        CatalogError: an option that obstore does not have.
    """
    meanings = _flattened(options)
    arguments: Arguments = {
        "client_options": {"connect_timeout": _seconds(5), "timeout": _seconds(60)},
        "retry_config": {"max_retries": 0, "retry_timeout": _seconds(30)},
    }
    for name, value in meanings.items():
        if name not in MEANINGS:
            raise CatalogError(
                f"storage_options.{name} means nothing to the obstore engine; "
                f"it knows {', '.join(sorted(MEANINGS))}",
                field=f"storage_options.{name}",
            )
        path, translated = MEANINGS[name]
        _put(arguments, path, translated(value))
    if str(arguments.get("endpoint", "")).startswith("http://"):
        arguments["client_options"]["allow_http"] = True
    return arguments


def _same(value: object) -> object:
    return value


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _is_false(value: object) -> bool:
    return value is False


def _is_virtual(value: object) -> bool:
    return bool(value == "virtual")


MEANINGS: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "key": ("access_key_id", _same),
    "username": ("access_key_id", _same),
    "secret": ("secret_access_key", _same),
    "password": ("secret_access_key", _same),
    "token": ("session_token", _same),
    "anon": ("skip_signature", bool),
    "endpoint_url": ("endpoint", _same),
    "client_kwargs.endpoint_url": ("endpoint", _same),
    "client_kwargs.region_name": ("region", _same),
    "client_kwargs.verify": ("client_options.allow_invalid_certificates", _is_false),
    "use_ssl": ("client_options.allow_http", _is_false),
    "requester_pays": ("request_payer", bool),
    "config_kwargs.connect_timeout": ("client_options.connect_timeout", _seconds),
    "config_kwargs.read_timeout": ("client_options.read_timeout", _seconds),
    "config_kwargs.retries.max_attempts": ("retry_config.max_retries", _same),
    "config_kwargs.s3.addressing_style": ("virtual_hosted_style_request", _is_virtual),
}


def _flattened(options: Document, above: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat |= _flattened(value, f"{above}{name}.")
        elif value is not None and name not in MEANINGLESS:
            flat[above + name] = value
    return flat


def _put(arguments: Arguments, path: str, value: object) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        arguments = arguments.setdefault(folder, {})
    arguments[name] = value
