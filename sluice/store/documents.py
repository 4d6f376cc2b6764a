"""JSON documents that stores hold: metadata and reference sets."""

from __future__ import annotations

import json
from typing import Any

from sluice.errors import MetadataError
from sluice.wording import plain_words


def json_object(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in `data`.

    Raises:
        MetadataError: it is something else, or nested too deeply; names `name`.
    """
    try:
        document = json.loads(data)
    except UnicodeDecodeError as error:
        raise MetadataError(f"{name} is not JSON: it is not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{name} is not JSON: {plain_words(str(error))}") from error
    if not isinstance(document, dict):
        raise MetadataError(f"{name} is not a JSON object")
    return document
