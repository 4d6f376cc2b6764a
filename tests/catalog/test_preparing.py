"""What a catalog needs is there before the first request: engines always, datasets where asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, sys
from pathlib import Path
from app.api import create_app
from app.settings import Settings

async def start():
    app = create_app(Settings(catalog=Path(sys.argv[1])))
    async with app.router.lifespan_context(app):
        print([name for name in ("s3fs", "obstore", "aiohttp") if name in sys.modules])

asyncio.run(start())
"""
S3 = {"url": "s3://bucket/x.zarr", "storage_options": {"key": "a", "secret": "b"}}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([{"url": "x.zarr"}], []),
        ([{"url": "x.zarr"}, S3], ["s3fs", "aiohttp"]),
        ([{**S3, "engine": "obstore"}], ["obstore"]),
        # Options that do not suit are told by the first open.
        ([{**S3, "storage_options": {"odd": 1}}], ["s3fs", "aiohttp"]),
    ],
)
def test_engines_are_imported_when_the_service_has_started(
    tmp_path: Path, entries: list[dict[str, object]], expected: list[str]
) -> None:
    """In a process of its own, before any request; those of no entry are not."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": {f"d{n}": one for n, one in enumerate(entries)}}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(catalog)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == repr(expected)
