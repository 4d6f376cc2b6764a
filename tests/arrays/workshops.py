"""A workshop for tests: room for everything, and threads only where they are asked for."""

from __future__ import annotations

from app.arrays.workshop import Workshop


def workshop(inline_bytes: int = 10**9, *, under_way_bytes: int = 10**9) -> Workshop:
    return Workshop(
        inline_bytes=inline_bytes, under_way_bytes=under_way_bytes, threads=2, pool=None
    )
