"""What an operator can tune of requests, of reading stores, and of opened datasets."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings


class RequestSettings(BaseSettings):
    """Limits of selections, connections and queues."""

    request_chunk_bytes: int = Field(
        default=256 * 2**30,
        ge=1,
        description="largest sum of decoded chunks that one request may touch, of which few are in"
        " memory at once; more is a 413",
    )
    request_chunks: int = Field(
        default=200_000,
        ge=1,
        description="most chunks that one request may touch; more is a 413",
    )
    request_result_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest result that is made whole before it is sent, as its format counts it"
        " (CSV: 8 bytes a field); more is a 413, where the format is not sent while it is read"
        " (unset, at most an eighth of `SLUICE_INFLIGHT_BYTES` where that follows `memory.max`)",
    )
    request_text_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="most bytes of texts of variable length in one answer, which are in memory as a"
        " whole, or in one slab of rows of an answer that is sent in them; more is a 413, of a file"
        " a 422 that names the variable (unset, at most an eighth of `SLUICE_INFLIGHT_BYTES` where"
        " that follows `memory.max`)",
    )
    stream_result_bytes: int = Field(
        default=16 * 2**30,
        ge=1,
        description="largest answer that is sent while it is read (files, CSV, NDJSON); more is a"
        " 413",
    )
    stream_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="longest time that such an answer takes in all; then its connection is broken"
        " off",
    )
    stream_stall_seconds: float = Field(
        default=60.0,
        gt=0,
        description="longest time until the next values of such an answer are read; then its"
        " connection is broken off",
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
        description="how many of them are for `/healthz`, `/readyz`, `/metrics`,"
        " `/catalog/status` and the routes of admins, while all others are being answered; more of"
        " other requests is a 503",
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
        default=80 * 2**10,
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
        description="memory that requests in flight may take together; more of them wait (unset,"
        " where the cgroup has a `memory.max`: 45 % of a worker's part of it, less 160 MiB)",
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
        description="longest time until an answer is made, or, where it is sent while it is read,"
        " has its first values; then it is a 504; the body of a `POST` has as long to arrive, else"
        " it is a 408",
    )


class StoreSettings(BaseSettings):
    """How stores are asked, and how large what they answer may be."""

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
        description="failures in a row after which the circuit of a store opens; meanwhile what is"
        " not in memory is a 502 at once",
    )
    circuit_open_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long the circuit of a store is open before one request tries it again",
    )
    document_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest metadata document of a store; more is a 502",
    )
    reference_bytes: int = Field(
        default=256 * 2**20,
        ge=1,
        description="largest reference document that is opened, as it is once decompressed",
    )
    shard_index_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest index of a shard, and memory for the kept ones of each opened"
        " dataset; more is a 502",
    )


class WorkSettings(BaseSettings):
    """Threads, memory for chunks, and what is decoded and encoded on the event loop."""

    threads: int = Field(
        default=0,
        ge=0,
        description="threads for the calls of one store of local files at once, and others for"
        " imports and parsing (0: two for each core that the cgroup's `cpu.max` allows, at least 2"
        " and at most 32)",
    )
    blocking_threads: int = Field(
        default=0,
        ge=0,
        description="the same for all stores of local files together; as many more may hang in"
        " calls that nobody waits for any more (0: 16 times as many as for one, at most 256)",
    )
    decode_threads: int = Field(
        default=0,
        ge=0,
        description="threads for decoding, and as many for large encoding, which give way to the"
        " event loop (0: one for each core that `cpu.max` allows)",
    )
    chunks_inflight_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="decoded size of the chunks that are fetched and decoded at once; requests"
        " take turns (unset, at most a quarter of `SLUICE_INFLIGHT_BYTES` where that follows"
        " `memory.max`)",
    )
    chunk_cache_bytes: int = Field(
        default=256 * 2**20,
        ge=0,
        description="memory for decoded chunks, shared by all datasets (unset, where the cgroup has"
        " a `memory.max`: a quarter of a worker's part of it, less 160 MiB)",
    )
    inline_decode_bytes: int = Field(
        default=256 * 2**10,
        ge=0,
        description="chunks up to this decoded size are decoded on the event loop (a quarter of it"
        " behind gzip and zlib, a twentieth behind bz2 and lzma)",
    )
    single_core_decode_bytes: int = Field(
        default=2 * 2**20,
        ge=0,
        description="the same where there is a single core; the event loop goes round between two"
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


class OpeningSettings(BaseSettings):
    """How many datasets are open, and what one may have."""

    opened_datasets: int = Field(
        default=64,
        ge=1,
        description="how many opened datasets are kept; the least recently used one goes first",
    )
    opened_bytes: int = Field(
        default=2**30,
        ge=1,
        description="memory that opened datasets may take by their labels, attributes and"
        " variables; the least recently used ones go first, but for one (unset, where the cgroup"
        " has a `memory.max`: 15 % of a worker's part of it, less 160 MiB)",
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
    glob_datasets: int = Field(
        default=10_000,
        ge=1,
        description="most datasets that the globs of a catalog bring; those beyond it are left out"
        " and logged",
    )
    group_datasets: int = Field(
        default=10_000,
        ge=1,
        description="most datasets that the groups of a catalog's hierarchies are; those beyond it"
        " are left out and logged",
    )
    glob_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="how long the listing of a glob may take, which a start waits for, or that of"
        " a hierarchy's groups; then it has failed, and what it brought before stays",
    )
    failed_open_seconds: float = Field(
        default=5.0,
        ge=0,
        allow_inf_nan=False,
        description="how long a failed open is answered from memory before it is tried again",
    )

    @property
    def listing_limits(self) -> tuple[int, int, float]:
        """Most datasets that globs bring, most that hierarchies are, most seconds of a listing."""
        return self.glob_datasets, self.group_datasets, self.glob_seconds

    @property
    def store_limits(self) -> dict[str, Any]:
        """What a store may make its opening take, by the names without their `store_`."""
        names = ("metadata_bytes", "attribute_bytes", "variables")
        coordinates = ("coordinate_bytes", "coordinate_chunks")
        return {name: getattr(self, f"store_{name}") for name in (*names, *coordinates)}
