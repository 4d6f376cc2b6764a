"""What an operator can tune of datasets that are open, and of opening them."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings


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
    def store_limits(self) -> dict[str, Any]:
        """What a store may make its opening take, by the names without their `store_`."""
        names = ("metadata_bytes", "attribute_bytes", "variables")
        coordinates = ("coordinate_bytes", "coordinate_chunks")
        return {name: getattr(self, f"store_{name}") for name in (*names, *coordinates)}
