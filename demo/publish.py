"""Put the sample store where a catalog says that it lies: ``python -m demo.publish``.

The job of the compose file that fills its S3 server. It reads the same catalog as the service, so
that where the sample is, and the keys to it, are written down once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.catalog.catalog import load_catalog
from app.settings import read_settings
from sluice.errors import SluiceError

DATASET = "sample"
ROOT_DOCUMENT = "zarr.json"


def main() -> int:
    """Publish to the entry `sample` of the catalog that SLUICE_CATALOG names; the exit status."""
    try:
        entry = load_catalog(read_settings({}).catalog).entry(DATASET)
    except (ValueError, SluiceError) as error:
        say(str(error))
        return 2
    try:
        written = publish(entry.url, entry.storage_options)
    except OSError as error:
        say(f"{entry.url}: {error}")
        return 1
    say(f"{entry.url}: {'written' if written else 'is there already'}")
    return 0


def publish(url: str, storage_options: Mapping[str, Any]) -> bool:
    """Write the sample store to the S3 address `url`, its bucket too; False if it was there.

    Raises OSError (as s3fs does) when the server refuses or fails. A run that breaks off leaves no
    store: the document that makes it one is written last.
    """
    # Imported when needed: it takes a while, and wrong usage should not.
    from botocore.exceptions import BotoCoreError
    from s3fs import S3FileSystem

    s3 = S3FileSystem(**storage_options)
    root = url.removeprefix("s3://").rstrip("/")
    bucket = root.partition("/")[0]
    try:
        if not s3.exists(bucket):
            s3.mkdir(bucket)
        if s3.exists(f"{root}/{ROOT_DOCUMENT}"):
            return False
        put_sample(s3, root)
    except BotoCoreError as error:
        # What s3fs leaves as it comes: no connection, no keys.
        raise OSError(str(error)) from error
    return True


def put_sample(s3: Any, root: str) -> None:
    """Write the sample below `root`, its root document last."""
    from demo.sample import write_sample

    with TemporaryDirectory() as folder:
        store = Path(folder) / "store.zarr"
        write_sample(store)
        keys = [str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()]
        keys.remove(ROOT_DOCUMENT)
        s3.put([str(store / key) for key in keys], [f"{root}/{key}" for key in keys])
        s3.put_file(str(store / ROOT_DOCUMENT), f"{root}/{ROOT_DOCUMENT}")


def say(line: str) -> None:
    """One line for the job's log."""
    sys.stderr.write(f"publish: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
