"""Constraint expressions: what they mean, and that no text is more than wrong."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from app.doors.dap.constraint import parameter, parse_dap2, parse_dap4, unescaped
from sluice.encoders.dap_variables import DapDataset
from sluice.errors import QueryError


def dataset() -> DapDataset:
    ds = xr.Dataset(
        {
            "t": (("time", "lat", "lon"), np.zeros((6, 9, 20))),
            "height": ((), 2.0),
            "i2": ("lat", np.arange(9, dtype="i2")),
        },
        coords={"time": np.arange(6), "lat": np.arange(9.0)},
    )
    return DapDataset.of("toy", 2, ds.variables, ds.variables, set(ds.coords), ds.attrs)


TOY = dataset()


def meant(text: str) -> dict[str, tuple[range, ...]]:
    return {p.variable.stored: p.ranges for p in parse_dap2(TOY, text.encode())}


def meant_in_dap4(text: str) -> dict[str, tuple[range, ...]]:
    return {p.variable.stored: p.ranges for p in parse_dap4(TOY, text)}


WHOLE = {"t": (range(6), range(9), range(20)), "height": (), "i2": (range(9),)}
WHOLE |= {"time": (range(6),), "lat": (range(9),)}


def test_nothing_is_everything() -> None:
    """In the dataset's order; commas and unknown parameters are nothing."""
    for text in ("", ",", "&", "a=b", "a=b&c=d", "&c=d", "%26"):
        assert list(meant(text).items()) == list(WHOLE.items())


def test_text_that_nobody_escaped_is_utf8() -> None:
    """As some servers hand it on; what is none is no name."""
    with pytest.raises(QueryError, match="no variable 'größe'"):
        meant("größe")
    with pytest.raises(QueryError, match="no variable 'gr\ufffd'"):
        parse_dap2(TOY, b"gr\xf6")


def test_positions_include_the_last() -> None:
    """One position, a range, or a range with a stride; other spellings of the same are the same."""
    assert meant("t[1][2:3][0:3:17]") == {"t": (range(1, 2), range(2, 4), range(0, 16, 3))}
    assert meant("t[1:7:1][2:1:3][0:3:15]") == meant("t[1][2:3][0:3:17]")
    assert (
        meant("t.t[1][2:3][0:3:17]")
        == meant(" t [1] [2:3] [0:3:17] ")
        == meant("t[1][2:3][0:3:17]")
    )


def test_the_order_is_the_dataset_s() -> None:
    assert list(meant("lat,time,i2[3],t,t")) == ["t", "i2", "time", "lat"]


@given(st.integers(0, 3))
def test_escapes_are_undone(times: int) -> None:
    """However often a client escapes."""
    text = wanted = "t[0:1:1][0][2:3],time"
    for _ in range(times):
        text = quote(text, safe="")
    assert unescaped(text) == wanted
    assert meant(text) == meant(wanted)


def test_dap4_leaves_out_what_is_all() -> None:
    """A dimension can be cut for all variables, where they do not say otherwise."""
    assert meant_in_dap4("") == WHOLE
    assert meant_in_dap4("/t[][0][2:];/time") == {
        "t": (range(6), range(1), range(2, 20)),
        "time": (range(6),),
    }
    shared = meant_in_dap4("/time=[0:2:4];/t[][1][];/time")
    assert shared == {"t": (range(0, 5, 2), range(1, 2), range(20)), "time": (range(0, 5, 2),)}
    assert meant_in_dap4("/time=[1]")["t"][0] == range(1, 2)
    query = b"dap4.ce=%252Ft%255b0%255d&dap4.checksum=true"
    assert parameter(query, "dap4.ce") == "/t[0]"
    assert parameter(query, "dap4.checksum") == "true"
    assert parameter(query, "nothing") == ""


def test_what_stands_twice_is_neither() -> None:
    """Unless both say the same."""
    assert parameter(b"dap4.ce=/t&x=1&x=2&dap4.ce=%2Ft", "dap4.ce") == "/t"
    with pytest.raises(QueryError, match=r"dap4\.ce is given 2 times"):
        parameter(b"dap4.ce=/t&dap4.ce=/u", "dap4.ce")


@given(st.text("t[]0123456789:,.-%5bB&=<>() ;/|ié\0", max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Never anything else, in either protocol."""
    for parse in (meant, meant_in_dap4):
        try:
            found = parse(text.encode("utf-8", "replace").decode())
        except QueryError:
            continue
        for name, ranges in found.items():
            for asked, whole in zip(ranges, WHOLE[name], strict=True):
                assert set(asked) <= set(whole)


@given(st.data())
def test_slices_are_numpy_s(data: st.DataObject) -> None:
    """But for the last position, which is included."""
    ranges = []
    for length in (6, 9, 20):
        first = data.draw(st.integers(0, length - 1))
        last = data.draw(st.integers(first, length - 1))
        ranges.append((first, data.draw(st.integers(1, length)), last))
    text = "t" + "".join(f"[{first}:{stride}:{last}]" for first, stride, last in ranges)
    for found in (meant(text)["t"], meant_in_dap4(f"/{text}")["t"]):
        assert [*map(list, found)] == [list(range(a, c + 1, b)) for a, b, c in ranges]


@pytest.mark.parametrize("text", ["t[", "t]", "t[0]", "t[6][0][0]", "t[1:0][0][0]", "nope", "f(t)"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        meant(text)
    with pytest.raises(QueryError):
        meant_in_dap4(text)
