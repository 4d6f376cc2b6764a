"""What an operator can tune of requests: what one may take, and all of them together."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class RequestSettings(BaseSettings):
    """Limits of selections, connections and queues."""

    request_chunk_bytes: int = Field(
        default=256 * 2**20,
        ge=1,
        description="largest sum of decoded chunks that one request may touch; more is a 413",
    )
    request_result_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        description="largest result of one request, as its format counts it (CSV: 8 bytes a"
        " field); more is a 413 (unset, at most an eighth of `SLUICE_INFLIGHT_BYTES` where that"
        " follows `memory.max`)",
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
        description="memory that requests under way may take together; more of them wait (unset,"
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
        description="longest time until an answer is made; then it is a 504; the body of a `POST`"
        " has as long to arrive, else it is a 408",
    )
