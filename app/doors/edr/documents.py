"""The documents of the door itself: its landing page, and what it conforms to.

(OGC API - Common 1.0, OGC 19-072; OGC API - EDR 1.1, OGC 19-086r6.)
"""

from __future__ import annotations

from typing import Final

from sluice.aliases import DocumentDict

from .openapi import OPENAPI_TYPE

_EDR: Final = "http://www.opengis.net/spec/ogcapi-edr-1"
CONFORMANCE: Final = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    # The conformance suite knows the first version alone.
    f"{_EDR}/1.0/conf/core",
    *(
        f"{_EDR}/1.1/conf/{name}"
        for name in ("core", "collections", "json", "geojson", "covjson", "queries", "oas30")
    ),
)


def link(href: str, rel: str, title: str, media_type: str = "application/json") -> DocumentDict:
    """A link of a document."""
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def landing(root: str, service: str) -> DocumentDict:
    """What there is; `root` is the door's own address, `service` that of everything."""
    title = "Sluice: environmental data retrieval"
    return {
        "title": title,
        "description": "Parts of datasets by place, level and time.",
        "links": [
            link(f"{root}/", "self", "This document"),
            link(f"{root}/", "alternate", "This document"),
            link(f"{root}/api", "service-desc", "The API definition", OPENAPI_TYPE),
            link(f"{service}/docs", "service-doc", "The service's documentation", "text/html"),
            link(f"{root}/conformance", "conformance", "What it conforms to"),
            link(f"{root}/collections", "data", "The collections"),
        ],
    }


def conformance() -> DocumentDict:
    """What this door conforms to: what is tested, and no more."""
    return {"conformsTo": list(CONFORMANCE)}
