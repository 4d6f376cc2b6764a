"""Requests that nobody meant: the words of the grammar mixed, mutated, spelt oddly, or huge."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

# What each dataset takes, with values that mean something.
MEANT: dict[str, dict[str, tuple[str, ...]]] = {
    "sample": {
        "time": (
            "2024-01-02T12:00Z",
            "2024-01-02",
            "nearest::2024-01-03T05:10Z",
            "0",
            "-1",
            "0:9:3",
        ),
        "level": ("850", "1000,500", "0", "1:", "pad::900"),
        "latitude": ("52.5", "nearest::13.4", "40/60", "0", "5,3", "10,"),
        "longitude": ("357.5", "-10/10", "nearest::-3", "0", "7,", "350/10/2"),
        "variables": ("t", "t,u", "v"),
    },
    "odd": {
        "time": ("2001-02-30", "2001-02", "pad::2001-02-28", "2001/..", "0", "-1"),
        "x": ("3", "1/3", "3,1", "nearest::3", "0", "::-1"),
        "place": ("B", '"a/b"', '"c,d",B', "0", "2,1"),
        "t": ("PT6H", "PT0H/PT7H", "nearest::PT5H", "0"),
        "variables": ("a", "s", "c,u", "lat"),
    },
    "scalar": {"variables": ("a", "n", "a,n")},
    "stations": {
        "day": ("1950-01-01", "1951/1974", "nearest::1950-02-28T05:00Z", "0:9000", "8999", "5,3"),
        "site": ("site 7", "site 8,site 1", "site 1/site 9", "0:8193", "-1", "nearest::site 5"),
        "band": ("nir", "base64url:_w==", "red,nir", "0", "2,1", "::-1"),
        "variables": ("flow", "river", "code", "cov", "cov,code"),
    },
    "unusable": {
        "step": ("0", "2000-02", "1:3", "nearest::2"),
        "none": ("0:1", ":"),
        "scale": ("0.5", "0"),
        "variables": ("good", "codec", "type,good", "step", "nothing", "longer", "unnamed"),
    },
}
OPTIONS = {
    "f": ("json", "netcdf", "csv", "ndjson", "columns"),
    "method": ("nearest", "pad", "bfill"),
    "tolerance": ("time:PT1H", "latitude:0.25,x:1"),
    "pointwise": ("latitude,longitude", "x,place"),
    "explain": ("true", "false"),
    "header": ("names", "units"),
    "bom": ("true", "false"),
}
DATASETS = tuple(MEANT)
NAMES = (
    *MEANT["sample"], *MEANT["odd"], *MEANT["stations"], *OPTIONS, "lat", "points",
    "sel[time]", "isel[time]", "isel[x]", "sel[f]", "sel[", "isel[]",
)  # fmt: skip
VALUES = (
    "0", "-1", "850", "52.5", "357.5", "1e999", "nan", "-inf", "0x10", "9" * 30, "-0", "1_0",
    "2024-01-02T12:00Z", "2024-01", "2024-01-02", "2024-13-40", "2001-02-30", "P1D", "PT6H",
    "0001-01-01", "9999-12-31T23:59:60+14:00", "B", '"a/b"', '"c,d"', '"', '""', "true",
    "nearest", "pad", "bfill", "json", "netcdf", "csv", "t", "t,u", "a", "c", "s", "u",
    "latitude,longitude", "x,place", "time:PT1H", "latitude:0.25", "..", "", "\ud7ff", "é",
)  # fmt: skip
MARKS = (",", "/", "::", ":", "..", "=", "-", " ", "+", "[", "]", '"')
METHODS = ("GET",) * 12 + (
    "HEAD", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PURGE",
)  # fmt: skip
VERSIONS = (b"HTTP/1.1",) * 9 + (b"HTTP/1.0", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1")
HOSTS = (
    *[(b"a",)] * 6, (), (b"a", b"b"), (b"",), (b"a b",), (b"[::1",), (b"a:99999",), (b"a@b/../c",),
    (b"\x80",), (b"a" * 2000,),
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "If-None-Match", "If-Modified-Since", "Range", "Origin", "Cookie",
    "X-Request-ID", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Authorization",
    "X-API-Key", "Access-Control-Request-Method", "Access-Control-Request-Headers", "Upgrade",
    "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "If-Match", "If-Unmodified-Since",
    "If-Range", "Expect", "TE", "Via", "Accept-Language", "Content-Encoding", "X-Real-IP",
)  # fmt: skip
HEADER_VALUES = (
    "*/*", "application/json", "text/csv;q=0.5, */*;q=0", "application/x-netcdf;q=nan", "gzip",
    "zstd;q=1.0, br", "identity;q=0, *;q=0", '"x"', "*", 'W/"x", "y"', "bytes=0-1", "bytes=9-",
    "http://a.example", "null", "Bearer x", "Bearer", "Basic Og==", "1.2.3.4", "websocket", "GET",
    "Wed, 21 Oct 2015 07:28:00 GMT", "Xyz, 99 Foo", "bytes=0-0,2-3", "bytes=9-1", "items=0-1",
    "[::1]:80, , 1.2.3.4:x", 'for="[::1";proto=ht tp', "100-continue", "trailers", ",,,", '"', ";q",
    "application/json;q=1e9", "*/*;q=-1", "gzip;q=", "ftp", "http://a.example:99999/x", "é",
)  # fmt: skip
PATHS = (
    "/", "/datasets", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/docs/assets/x",
    "/catalog/status",
    "/datasets/sample", "/datasets/odd/", "/datasets/sample/refresh", "/admin/reload", "*",
    "/datasets/../sample/sel", "/datasets/%2e%2e/sel", "/datasets//sel", "//datasets", "http://a/b",
    "/datasets/sample%00/sel", "/datasets/sample;x=1/sel", "/%64atasets", "/datasets/%ff%fe/sel",
    "/datasets/sample/sel?a;b", "/datasets/sample/sel?#x", "/catalog/reload", "http://[::1/datasets",
    "/" + "a/" * 9000, "/datasets/" + "x" * 70_000, "/datasets/sample/sel?" + "time=0&" * 2000,
    "/datasets/odd/isel?" + "=&" * 4000, "/datasets/odd/isel?" + "%" * 9000, "\\\\a\\b",
)  # fmt: skip


# No pair of these says where the body ends: that is added, or is a matter of `fuzz_talks`.
BODY_TYPES = (
    *[b"application/json"] * 6, b"application/json; charset=utf-7", b"Application/JSON;x=\"", b"",
    b"text/csv", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary", b"\xff/*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, to the byte; the length of the body is added to the headers.

    After the `last` one of a connection the server is to hang up.
    """

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None = None
    version: bytes = b"HTTP/1.1"
    hosts: tuple[bytes, ...] = (b"a",)
    last: bool = True

    def encoded(self) -> bytes:
        """The request as it goes over the wire."""
        lines = [b"%b %b %b" % (self.method, self.target, self.version)]
        lines += [b"Host: " + host for host in self.hosts]
        lines += [b"Connection: close"] * self.last
        lines += [name + b": " + value for name, value in self.headers]
        if self.body is not None:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"", self.body or b""])


def requests() -> st.SearchStrategy[Request]:
    """Any request; most of them reach a selection."""
    return st.one_of(_selections(), _selections(), _posts(), _strays())


def _selections() -> st.SearchStrategy[Request]:
    """Parameters of a dataset, the most of which mean something there."""
    return st.sampled_from(DATASETS).flatmap(_selections_of)


def _selections_of(dataset: str) -> st.SearchStrategy[Request]:
    known = {**MEANT[dataset], **OPTIONS}
    words = [(name, value) for name, values in known.items() for value in values]
    meant = st.sampled_from(words).map("=".join)
    anything = _spelt(st.tuples(_names(), _values()).map("=".join))
    pairs = st.one_of(*[_spelt(meant, PLAIN)] * 6, anything)
    kinds = st.sampled_from(["sel", "isel"])
    paths = kinds.map(lambda kind: f"/datasets/{dataset}/{kind}?".encode())
    queries = st.lists(pairs, max_size=5, unique_by=lambda pair: pair.partition(b"=")[0])
    targets = st.tuples(paths, queries.map(b"&".join)).map(b"".join)
    return st.builds(Request, st.sampled_from(METHODS[:14]).map(str.encode), targets, _headers())


def _posts() -> st.SearchStrategy[Request]:
    """Bodies of right and wrong types; a few of other verbs, or elsewhere."""
    methods = st.sampled_from([b"POST"] * 9 + [b"GET", b"PUT", b"HEAD"])
    targets = st.one_of(_paths(), _paths(), _paths(), st.sampled_from(PATHS).map(str.encode))
    types = st.sampled_from(BODY_TYPES).map(lambda kind: ((b"Content-Type", kind),))
    headers = st.tuples(types, _headers()).map(lambda parts: parts[0] + parts[1])
    return st.builds(Request, methods, targets, headers, _bodies())


def _strays() -> st.SearchStrategy[Request]:
    """Other paths, methods, versions and hosts, and bytes that are no HTTP."""
    methods = st.one_of(
        st.sampled_from(METHODS), st.text("GETabz /\0é", min_size=1, max_size=8)
    ).map(str.encode)
    texts = st.text(max_size=40).map(lambda text: "/" + text)
    targets = st.one_of(st.sampled_from(PATHS).map(str.encode), _spelt(texts), _paths())
    versions, hosts = st.sampled_from(VERSIONS), st.sampled_from(HOSTS)
    headers = _headers(wild=True)
    return st.builds(Request, methods, targets, headers, version=versions, hosts=hosts)


def _paths() -> st.SearchStrategy[bytes]:
    ids = st.sampled_from(DATASETS)
    kinds = st.sampled_from(["sel", "isel"])
    return st.tuples(ids, kinds).map(lambda parts: f"/datasets/{parts[0]}/{parts[1]}".encode())


def _values() -> st.SearchStrategy[str]:
    words = st.sampled_from(VALUES)
    mixed = st.lists(st.one_of(words, st.sampled_from(MARKS)), min_size=2, max_size=7).map("".join)
    huge = st.tuples(st.one_of(words, st.sampled_from(MARKS)), st.integers(100, 12_000)).map(
        lambda parts: (parts[0] * parts[1])[:18_000]
    )
    numbers = st.one_of(st.integers(), st.floats()).map(str)
    return st.one_of(words, words, words, mixed, mixed, numbers, st.text(max_size=12), huge)


def _names() -> st.SearchStrategy[str]:
    return st.one_of(*[st.sampled_from(NAMES)] * 6, st.text(max_size=6))


def _plain(text: str) -> bytes:
    return quote(text, safe="=:,/[]").encode()


PLAIN = (_plain,)
WAYS: tuple[Callable[[str], bytes], ...] = (
    _plain,
    _plain,
    lambda text: text.encode().replace(b" ", b"%20"),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()).encode(),
    lambda text: quote(quote(text)).encode(),
    lambda text: quote(text, safe="=").encode() + b"%",
    lambda text: quote(text, safe="=").encode() + b"%ff%zz%00",
)


def _spelt(
    texts: st.SearchStrategy[str], ways: tuple[Callable[[str], bytes], ...] = WAYS
) -> st.SearchStrategy[bytes]:
    """The text as it is, percent-encoded, wholly or twice, or with bytes that mean nothing."""
    return st.tuples(texts, st.sampled_from(ways)).map(lambda drawn: drawn[1](drawn[0]))


def _headers(*, wild: bool = False) -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    values = st.sampled_from(HEADER_VALUES).map(str.encode)
    if wild:
        values = st.one_of(values, st.binary(max_size=30), st.just(b"x, " * 5000))
    pairs = st.tuples(st.sampled_from(HEADERS).map(str.encode), values)
    return st.lists(pairs, max_size=3).map(tuple)


def _bodies() -> st.SearchStrategy[bytes]:
    leaves: st.SearchStrategy[Any] = st.one_of(
        _values(), st.none(), st.booleans(), st.integers(), st.floats()
    )
    nested = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4), max_leaves=6)
    objects = st.dictionaries(_names(), nested, max_size=5).map(lambda o: json.dumps(o).encode())
    broken = st.tuples(objects, st.integers(0, 60), st.binary(max_size=4)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    )
    deep = st.tuples(st.sampled_from([b"[", b'{"time":', b"9", b" "]), st.integers(1, 200_000))
    repeated = deep.map(lambda parts: (parts[0] * parts[1])[:1_200_000])
    return st.one_of(objects, objects, objects, broken, st.binary(max_size=60), repeated)
