"""Everything that an operator can tune, in one frozen value with the unit in each name."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import NoDecode, SettingsConfigDict

from sluice.cgroup import ROOT, Allowance, allowance, available_cores

from .limits import OpeningSettings, RequestSettings, StoreSettings, WorkSettings

if TYPE_CHECKING:
    # It brings numpy, which a wrong setting is told of without.
    from sluice.aliases import Document

PREFIX = "SLUICE_"
# What a worker takes before it has read anything: the interpreter, the libraries, a client of S3.
_BASE_BYTES: Final = 160 * 2**20
# Of the rest, where there is a limit; the remainder is for what is counted nowhere.
SHARES: Final = {"chunk_cache_bytes": 0.25, "inflight_bytes": 0.45, "opened_bytes": 0.15}
_REMAINDER: Final = 0.15
_MEGABYTE: Final = 2**20


def _split(value: object) -> object:
    """Text with commas as a tuple of its parts; pydantic-settings would expect JSON."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _split_addresses(value: object) -> object:
    """Text with blanks, or a JSON list, as a tuple of addresses."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return tuple(value.split())
    try:
        return tuple(json.loads(value))
    except ValueError:
        raise ValueError("expected addresses with blanks between them, or a JSON list") from None


Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_addresses)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(WorkSettings, StoreSettings, RequestSettings, OpeningSettings):
    """Read once from `SLUICE_*` variables (or keyword arguments) and never changed after.

    Every number is per worker process. Rooms below `api` get single values, never this object.
    Raises pydantic's ``ValidationError`` (a ``ValueError``) that names each wrong setting.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    catalog: Path = Field(
        default=Path("catalog.yaml"),
        description="the YAML file that names the datasets",
    )
    urls: Addresses = Field(
        default=(),
        repr=False,
        description="addresses of stores, with blanks between them or as a JSON list, that are"
        " served in the place of a catalog's, as by `sluice serve URL`",
    )
    keys_file: Path | None = Field(
        default=None,
        description="a file of API keys, one line each as `sluice key` prints it",
    )
    keys: str = Field(
        default="",
        repr=False,
        description="API keys besides those of the file: the same lines, with `;` between them",
    )
    refreshes_file: Path | None = Field(
        default=None,
        description="the file that keeps which datasets were refreshed, so that no tag of before is"
        " valid after a restart; it is written anew in its folder (unset: the catalog's name with"
        " `.refreshed` behind it)",
    )
    metrics_access: Literal["key", "public"] = Field(
        default="key",
        description="who may read `/metrics` where there are keys: those with the right `metrics`,"
        " or anybody",
    )
    host: str = Field(
        default="127.0.0.1",
        description="address that `serve` listens on",
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        description="port that `serve` listens on (0: any free one)",
    )
    spool_folder: Path | None = Field(
        default=None,
        description="where files are made and kept that must be whole before they are sent"
        " (compressed NetCDF, Feather, Parquet), on a disk of this machine (unset: the folder of"
        " temporary files); they have no names there",
    )
    spool_bytes: int = Field(
        default=4 * 2**30,
        ge=1,
        description="most bytes of such files, of all workers together; a file has at most a"
        " worker's part of it, more is a 413",
    )
    spool_seconds: float = Field(
        default=600.0,
        ge=0,
        allow_inf_nan=False,
        description="how long such a file is kept after it was asked for, if others need no room",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="processes that `serve` answers with",
    )
    cgroup_root: Path = Field(
        default=ROOT,
        description="where the kernel shows the limits of control groups",
    )
    grace_seconds: int = Field(
        default=25,
        ge=1,
        description="how long requests that are running may go on when `serve` is asked to stop",
    )
    loop_stall_seconds: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="how long the event loop of a process that runs may be stalled; then its"
        " stacks are logged and it is replaced, or ends with status 4 where it is the only one (0:"
        " for ever)",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path under which a proxy shows the service, such as `/sluice`",
    )
    trusted_proxies: Names = Field(
        default=("127.0.0.1",),
        description="addresses or networks whose `X-Forwarded-*` headers are believed (`*`: all)",
    )
    cors_origins: Names = Field(
        default=(),
        description="origins whose pages may ask from a browser (`*`: all)",
    )
    explorer: bool = Field(
        default=True,
        description="whether there are pages for people: `/`, `/explore/{id}`, `/embed/{id}`, and"
        " HTML for browsers on `/datasets` and `/datasets/{id}`",
    )
    embed_origins: Names = Field(
        default=(),
        description="origins whose pages may show `/embed/{id}` in a frame (`*`: all)",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="least severity that is logged; `info` has a line for each request",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`text`: fields for requests and admins, sentences for the rest; `json`: each"
        " line is one object, those of libraries and tracebacks included",
    )
    status_strictly: bool = Field(
        default=False,
        description="whether `/catalog/status` is a 503 unless every dataset can be read, not just"
        " one",
    )
    status_patience_seconds: float = Field(
        default=5.0,
        gt=0,
        allow_inf_nan=False,
        description="how long `/catalog/status` waits for a dataset that is not open yet; for all"
        " together twice as long",
    )
    status_cache_seconds: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="how long `/catalog/status` answers from memory",
    )


def read_settings(given: Document) -> Settings:
    """The environment's settings with those of `given` in their place.

    Raises ValueError with one line that names every wrong setting.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = (f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise ValueError("; ".join(wrong)) from None


def misspelt_variables(names: Iterable[str]) -> dict[str, str | None]:
    """Those of the environment's `names` that carry our prefix but set nothing, with a likely fix.

    pydantic-settings ignores them, so that a mistyped limit would silently not limit.
    """
    known = list(Settings.model_fields)
    ours = {name: name.lower()[len(PREFIX) :] for name in names if name.upper().startswith(PREFIX)}
    stray = {name: setting for name, setting in ours.items() if setting not in known}
    close = {name: get_close_matches(setting, known, 1) for name, setting in stray.items()}
    return {name: PREFIX + found[0].upper() if found else None for name, found in close.items()}


def fitted(settings: Settings) -> Settings:
    """The settings with a number in place of each that follows the cores and the memory.

    Raises ValueError with one line where the chosen budgets are more than the memory.
    """
    allowed = allowance(settings.cgroup_root)
    return settings.model_copy(update={**_threads(settings), **_budgets(settings, allowed)})


def _threads(settings: Settings) -> dict[str, int]:
    cores = available_cores(settings.cgroup_root)
    threads = settings.threads or min(max(2, 2 * cores), 32)
    return {
        "threads": threads,
        "blocking_threads": settings.blocking_threads or min(16 * threads, 256),
        "decode_threads": settings.decode_threads or cores,
    }


def _budgets(settings: Settings, allowed: Allowance) -> dict[str, int]:
    """The budgets that nobody has chosen: shares of what the chosen ones leave of the memory."""
    if allowed.memory_bytes is None:
        return {}
    chosen = {name: getattr(settings, name) for name in SHARES if _is_chosen(settings, name)}
    _check(chosen, settings.workers, allowed.memory_bytes)
    mine = allowed.memory_bytes // settings.workers
    left = max(mine - _BASE_BYTES, mine // 4) - sum(chosen.values())
    shares = {name: share for name, share in SHARES.items() if name not in chosen}
    whole = sum(shares.values()) + _REMAINDER
    found = {name: max(int(left * share / whole), _MEGABYTE) for name, share in shares.items()}
    # One request must not take all that there is for all of them.
    inflight = {**found, **chosen}["inflight_bytes"]
    parted = {"request_result_bytes": 8, "request_text_bytes": 8, "chunks_inflight_bytes": 4}
    for name, parts in parted.items():
        if not _is_chosen(settings, name):
            found[name] = min(getattr(settings, name), max(inflight // parts, _MEGABYTE))
    return found


def _is_chosen(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set


def _check(chosen: dict[str, int], workers: int, memory_bytes: int) -> None:
    total = workers * sum(chosen.values())
    if total <= memory_bytes:
        return
    named = " + ".join(f"{PREFIX}{name.upper()} ({value})" for name, value in chosen.items())
    times = f"{workers} workers times " if workers > 1 else ""
    raise ValueError(
        f"{times}{named} is {total} bytes, and the cgroup allows {memory_bytes} (memory.max):"
        " set less, or leave them out and they follow it"
    )
