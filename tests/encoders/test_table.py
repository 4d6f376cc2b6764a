"""Which format a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.encoders.table import ENCODERS, negotiate
from app.errors import NotAcceptable, QueryError


@pytest.mark.parametrize(
    ("f", "accept", "name"),
    [
        (None, None, "json"),
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "application/*", "json"),
        (None, "application/netcdf", "netcdf"),
        (None, "APPLICATION/NetCDF", "netcdf"),
        (None, "application/x-netcdf", "netcdf"),
        (None, "application/json;q=0.5, application/netcdf", "netcdf"),
        (None, "application/json;q=0.5, application/netcdf;q=0.4", "json"),
        (None, "application/json;q=0, */*;q=0.1", "netcdf"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "json"),
        (None, "application/netcdf;profile=a;q=1.0, */*; q=0.9", "netcdf"),
        ("netcdf", "application/json", "netcdf"),
        ("json", "application/netcdf", "json"),
        ("netcdf", "text/html", "netcdf"),
        (None, "text/csv", "csv"),
        (None, "text/csv;charset=utf-8", "csv"),
        (None, "text/*", "csv"),
        (None, "text/html, text/*;q=0.1", "csv"),
        (None, "text/csv, application/json", "json"),
        (None, "application/*;q=0.5, text/csv;q=0.6", "csv"),
        ("csv", "application/json", "csv"),
    ],
)
def test_negotiation(f: str | None, accept: str | None, name: str) -> None:
    """`f` wins, then the header's preference, then JSON."""
    assert negotiate(f, accept).name == name


def test_unknown_format() -> None:
    """An unknown `f` is answered with the known ones."""
    with pytest.raises(QueryError) as caught:
        negotiate("xml", None)
    assert caught.value.facts == {"parameter": "f", "known": list(ENCODERS)}


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "x;q=maybe"])
def test_unsatisfiable_accept(accept: str) -> None:
    """When nothing is acceptable the error names what there is."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(None, accept)
    assert caught.value.facts["known"] == [
        "application/json",
        "application/netcdf",
        "text/csv",
    ]


@given(st.one_of(st.text(), st.text(alphabet="application/jsnetcdfvx*;q=.01, ")))
def test_any_header_is_negotiated_or_refused(accept: str) -> None:
    """No header breaks the negotiation."""
    try:
        encoder = negotiate(None, accept)
    except NotAcceptable:
        encoder = ENCODERS["json"]
    assert encoder.name in ENCODERS
