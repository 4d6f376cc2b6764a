"""What an operator can tune of reading stores, and of the work on what was read."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


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
    under_way_bytes: int = Field(
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
