"""Everything that an operator can tune, in one frozen value with the unit in each name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SLUICE_"


def _split(value: object) -> object:
    """Text with commas as a tuple of its parts; pydantic-settings would expect JSON."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
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
    keys_file: Path | None = Field(
        default=None,
        description="a file of API keys, one line each as `sluice key` prints it",
    )
    keys: str = Field(
        default="",
        repr=False,
        description="API keys besides those of the file: the same lines, with `;` between them",
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
    grace_seconds: int = Field(
        default=25,
        ge=1,
        description="how long requests that are running may go on when `serve` is asked to stop",
    )
    loop_still_seconds: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="how long the event loop of a process that runs may stand still; then its"
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
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="least severity that is logged; `info` has a line for each request",
    )
    opened_datasets: int = Field(
        default=64,
        ge=1,
        description="how many opened datasets are kept; the least recently used one goes first",
    )
    opened_bytes: int = Field(
        default=2**30,
        ge=1,
        description="memory that opened datasets may take by their labels, attributes and"
        " variables; the least recently used ones go first, but for one",
    )
    store_metadata_bytes: int = Field(
        default=32 * 2**20,
        ge=1,
        description="most bytes of metadata documents that opening a dataset reads; a store with"
        " more is a 502",
    )
    store_attribute_bytes: int = Field(
        default=16 * 2**20,
        ge=1,
        description="most bytes of attributes of one dataset; a store with more is a 502",
    )
    store_variables: int = Field(
        default=10_000,
        ge=1,
        description="most variables of one dataset; a store with more is a 502",
    )
    store_coordinate_bytes: int = Field(
        default=128 * 2**20,
        ge=1,
        description="most bytes of the coordinates that opening a dataset reads; those beyond it"
        " are left out, and their dimensions selected by position",
    )
    store_coordinate_chunks: int = Field(
        default=100_000,
        ge=1,
        description="most chunks of the coordinates that opening a dataset reads; those beyond it"
        " are left out",
    )
    failed_open_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long a failed open is answered from memory before it is tried again",
    )
    request_chunk_bytes: int = Field(
        default=256 * 2**20,
        ge=1,
        description="largest sum of decoded chunks that one request may touch; more is a 413",
    )
    request_result_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest result of one request, as its format counts it (CSV: 8 bytes a"
        " field); more is a 413",
    )
    request_chunks: int = Field(
        default=20_000,
        ge=1,
        description="most chunks that one request may touch; more is a 413",
    )
    request_labels: int = Field(
        default=10_000,
        ge=1,
        description="most labels or positions in one list; more is a 413",
    )
    url_bytes: int = Field(
        default=16 * 2**10,
        ge=256,
        description="longest path and query of a request; more is a 414",
    )
    body_bytes: int = Field(
        default=2**20,
        ge=2,
        description="largest body of a `POST`; more is a 413",
    )
    connections: int = Field(
        default=0,
        ge=0,
        description="most connections at once; whoever has waited longest makes room for a new one"
        " (0: three quarters of the descriptors that the process may have, at most 10,000)",
    )
    reserved_connections: int = Field(
        default=16,
        ge=0,
        description="how many of them are for `/healthz`, `/readyz`, `/metrics` and the routes of"
        " admins, while all others are being answered; more of other requests is a 503",
    )
    head_bytes: int = Field(
        default=64 * 2**10,
        ge=1024,
        description="longest head of a request (its line and headers), and the most that the sizes,"
        " extensions and trailers of a body in chunks take beside an eighth of its data (each as 16"
        " bytes at least); more is a 431",
    )
    head_seconds: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a head may take to arrive; then it is a 408",
    )
    body_bytes_per_second: int = Field(
        default=4 * 2**10,
        ge=0,
        description="least rate at which a body is to arrive; a slower one is a 408",
    )
    answer_bytes_per_second: int = Field(
        default=128 * 2**10,
        ge=0,
        description="least rate at which a client is to take what does not fit into its connection;"
        " a slower one is hung up on",
    )
    rate_seconds: float = Field(
        default=20.0,
        gt=0,
        allow_inf_nan=False,
        description="the time over which both rates are measured",
    )
    inflight_bytes: int = Field(
        default=512 * 2**20,
        ge=1,
        description="memory that requests under way may take together; more of them wait",
    )
    queue_requests: int = Field(
        default=1000,
        ge=0,
        description="most requests that wait for memory; more is a 503",
    )
    queue_seconds: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a request waits for memory; then it is a 503",
    )
    client_requests: int = Field(
        default=256,
        ge=0,
        description="most selections of one client at once, by API key or address (0: any number);"
        " more is a 429",
    )
    request_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="longest time until an answer is made; then it is a 504; the body of a `POST`"
        " has as long to arrive, else it is a 408",
    )
    store_concurrency: int = Field(
        default=64,
        ge=1,
        description="how many requests run at once against one store (a bucket or a host)",
    )
    store_attempts: int = Field(
        default=3,
        ge=1,
        description="how often a request to a store is made when it fails in a way that may pass",
    )
    store_attempt_seconds: float = Field(
        default=15.0,
        gt=0,
        allow_inf_nan=False,
        description="how long one request to a store may take; then it counts as failed",
    )
    store_read_seconds: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a read of one value may take, waits, tries and pauses included;"
        " then it is a 504",
    )
    store_failures: int = Field(
        default=10,
        ge=1,
        description="failures in a row after which a store is left alone; meanwhile what is not in"
        " memory is a 502 at once",
    )
    store_rest_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long a store is left alone before one request tries it again",
    )
    document_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest metadata document of a store; more is a 502",
    )
    reference_bytes: int = Field(
        default=268435456,
        ge=1,
        description="largest reference document that is opened, as it is once decompressed",
    )
    shard_index_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest index of a shard, and memory for the kept ones of each opened"
        " dataset; more is a 502",
    )
    threads: int = Field(
        default=4,
        ge=1,
        description="threads for the calls of one store of local files at once, and others for"
        " imports and parsing",
    )
    blocking_threads: int = Field(
        default=64,
        ge=1,
        description="the same for all stores of local files together; as many more may hang in"
        " calls that nobody waits for any more",
    )
    decode_threads: int = Field(
        default=0,
        ge=0,
        description="threads for decoding, and as many for large encoding, which give way to the"
        " event loop (0: one for each core)",
    )
    under_way_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="decoded size of the chunks that are fetched and decoded at once; requests"
        " take turns",
    )
    chunk_cache_bytes: int = Field(
        default=256 * 2**20,
        ge=0,
        description="memory for decoded chunks, shared by all datasets",
    )
    inline_decode_bytes: int = Field(
        default=256 * 2**10,
        ge=0,
        description="chunks up to this decoded size are decoded on the event loop (a quarter of it"
        " behind gzip and zlib, a twentieth behind bz2 and lzma)",
    )
    lone_core_decode_bytes: int = Field(
        default=2 * 2**20,
        ge=0,
        description="the same where there is one core alone; the event loop goes round between two"
        " of the larger ones",
    )
    inline_encode_bytes: int = Field(
        default=128 * 2**10,
        ge=0,
        description="results up to this size are encoded on the event loop",
    )
    compress_bytes: int = Field(
        default=4 * 2**10,
        ge=0,
        description="results from this size up are compressed for clients that accept it",
    )
    ready_strictly: bool = Field(
        default=False,
        description="whether `/readyz` wants every dataset to be reachable, not just one",
    )
    ready_patience_seconds: float = Field(
        default=5.0,
        gt=0,
        allow_inf_nan=False,
        description="how long `/readyz` waits for a dataset that is not open yet",
    )
    ready_kept_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long `/readyz` answers from memory",
    )

    @property
    def store_limits(self) -> dict[str, int]:
        """What a store may make its opening take, by the names without their `store_`."""
        names = ("metadata_bytes", "attribute_bytes", "variables")
        coordinates = ("coordinate_bytes", "coordinate_chunks")
        return {name: getattr(self, f"store_{name}") for name in (*names, *coordinates)}


def read_settings(given: Mapping[str, Any]) -> Settings:
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
