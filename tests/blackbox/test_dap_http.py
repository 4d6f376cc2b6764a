"""OPeNDAP on the wire: documents, constraints, parts of answers, and what fails."""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service
from .dap_stores import LARGE, write_stores

PLAIN = {"Accept-Encoding": "identity"}
DATA = b"\nData:\n"


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stores = write_stores(tmp_path_factory.mktemp("stores"))
    entries: dict[str, dict[str, object]] = {n: {"url": str(p)} for n, p in stores.items()}
    entries["shut"] = {"url": str(stores["plain"]), "doors": ["zarr"]}
    entries["broken"] = {"url": str(stores["plain"].parent / "nowhere.zarr")}
    return serve(entries, SLUICE_REQUEST_RESULT_BYTES="2000000")


def floats(content: bytes) -> list[float]:
    """The values of the only array of a data response."""
    body = content.partition(DATA)[2]
    count, again = struct.unpack(">II", body[:8])
    assert count == again
    return [float(value) for value in np.frombuffer(body[8:], ">f4", count)]


def test_documents_are_of_what_is_asked_for(service: Service) -> None:
    """In the dataset's order, whatever order they are asked for in."""
    found = service.get("/dap/plain.dds?time[0:2:4],i2[3],t.t[5][0:1][0:3:18]")
    declared = [line.strip() for line in found.text.splitlines()[1:-1]]
    assert declared == [
        "Int16 i2[lat = 1];",
        "Float32 t[time = 1][lat = 2][lon = 7];",
        "Int32 time[time = 3];",
    ]
    assert found.headers["content-description"] == "dods-dds"
    data = service.get("/dap/plain.dods?time[0:2:4],i2[3],t.t[5][0:1][0:3:18]")
    assert data.content.startswith(found.content + DATA)
    assert data.headers["content-type"] == "application/octet-stream"
    assert data.headers["xdods-server"] == "dods/3.7"
    same = service.get("/dap/plain.dods?t%255b5%255d%5b0%3A1%5D%5b0:3:18%5d%2Ctime[0:2:4],i2[3:3]")
    assert same.content == data.content
    assert same.headers["etag"] == data.headers["etag"]


def test_variables_of_other_parts_go_together(service: Service, tmp_path: Path) -> None:
    """One has some positions of a dimension, another all."""
    whole = service.get("/dap/plain.dods?time").content.partition(DATA)[2]
    part = service.get("/dap/plain.dods?t[1:2][0][0]").content.partition(DATA)[2]
    both = service.get("/dap/plain.dods?time,t[1:2][0][0]", headers=PLAIN)
    assert both.content.partition(DATA)[2] == part + whole


def test_a_dimension_that_is_there_twice(service: Service) -> None:
    """Has the same positions in both places."""
    found = service.get("/dap/large.dods?square[1:2][1:2]").content
    assert found.endswith(np.eye(2, dtype=">f8").tobytes())
    assert service.get("/dap/large.dods?square[0:1][1:2]").status_code == 400
    # Sent in parts it is cut in each place alone.
    for asked, side in (
        ("/dap/large.dods?square,t", 24),
        ("/dap/large.dods?square[3:20][3:20]", 18),
        ("/datasets/large/isel?variables=square&f=npy", 24),
    ):
        whole = service.get(asked, headers=PLAIN).content
        values = np.eye(side, dtype=">f8" if "dods" in asked else "<f8").tobytes()
        assert values in whole
        for start in (whole.index(values), whole.index(values) + 1000, len(whole) - 700):
            part = service.get(asked, headers={**PLAIN, "Range": f"bytes={start}-{start + 600}"})
            assert part.status_code == 206
            assert part.content == whole[start : start + 601]


@pytest.mark.parametrize(
    ("constraint", "word"),
    [
        ("nothing", "nothing"),
        ("tt", "did you mean"),
        ("t[0][0]", "3 dimensions"),
        ("t[6][0][0]", "not all among the 6"),
        ("t[0:6][0][0]", "not all among the 6"),
        ("t[2:1][0][0]", "not all among the 6"),
        ("t[0:0:1][0][0]", "none of"),
        ("t[-1][0][0]", "none of"),
        ("t[a][0][0]", "none of"),
        ("t[99999999999999999999][0][0]", "none of"),
        ("t[0:1:2:3][0][0]", "none of"),
        ("t[", "no name"),
        ("t]]", "no name"),
        ("geogrid(t,1)", "functions"),
        ("&time>5", "is an array"),
        ("time=5", "is an array"),
        ("i2[0],i2[1]", "twice"),
        ("i2[0]&i2[1]", "commas"),
        ("x=1&t.t", "commas"),
        ("height[0]", "0 dimensions"),
        ("%ff%00%fe", "no variable"),
        ("x" * 5000, "no variable"),
        ("[0]" * 1000, "no name"),
    ],
)
def test_wrong_constraints_are_told(service: Service, constraint: str, word: str) -> None:
    """As the protocol tells errors, with a status of their own."""
    for suffix in ("dds", "dods", "ascii"):
        found = service.get(f"/dap/plain.{suffix}?{constraint}")
        assert found.status_code == 400
        assert found.text.startswith("Error {\n    code = 400;\n    message = ")
        assert word in found.text
        assert found.headers["content-description"] == "dods-error"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("/dap/nothing.dds", 404),
        ("/dap/nothing.dap", 404),
        ("/dap/shut.dods", 404),
        ("/dap/plain.nothing", 404),
        ("/dap/plain/nothing.dods", 404),
        (f"/dap/plain.dds?{'t' * 20_000}", 414),
        ("/dap/broken.das", 502),
        ("/dap/large.ascii", 413),
        ("/dap/plain.dap?dap4.ce=/nothing", 400),
        ("/dap/plain.dmr?dap4.ce=/t[0]", 400),
        ("/dap/plain.dap?dap4.ce=/t|t>3", 400),
        ("/dap/plain.dap?dap4.ce=/nothing=[0:1];/t", 400),
        ("/dap/plain.html?as=exe", 400),
        ("/dap/plain.html?as=dods&as=ascii&var=t", 400),
        ("/dap/plain.html?as=dods&var=t&at=[0][0][0]", 400),
        ("/dap/plain.dap?dap4.ce=/t&dap4.ce=/i2", 400),
        ("/dap/plain.dmr?dap4.ce=/t&dap4.ce=/i2", 400),
        ("/dap/plain.dap?dap4.checksum=true&dap4.checksum=false", 400),
    ],
)
def test_what_fails_has_its_status(service: Service, asked: str, status: int) -> None:
    found = service.get(asked)
    assert found.status_code == status
    assert service.client.head(asked).status_code == status
    assert "f=" not in found.text


def test_unknown_parameters_are_passed_over(service: Service) -> None:
    """Clients and proxies add their own."""
    whole = service.get("/dap/plain.dds").text
    assert service.get("/dap/plain.dds?utm_source=x&y=1").text == whole
    assert service.get("/dap/plain.dds?dap4.ce=/nothing").text == whole
    part = service.get("/dap/plain.dds?i2&utm_source=x").text
    assert part.splitlines()[1:-1] == ["    Int16 i2[lat = 9];"]


def test_a_large_answer_is_sent_in_parts(service: Service) -> None:
    """Streamed with its length, from any byte on; a HEAD tells the length."""
    asked = "/dap/large.dods?t"
    head = service.client.head(asked, headers=PLAIN)
    whole = service.get(asked, headers=PLAIN)
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["accept-ranges"] == "bytes"
    values = floats(whole.content)
    assert values == np.arange(np.prod(LARGE)).tolist()
    for start, stop in ((0, 10), (60, 90), (1_000_003, 1_000_100), (len(whole.content) - 7, None)):
        end = "" if stop is None else stop - 1
        part = service.get(asked, headers={**PLAIN, "Range": f"bytes={start}-{end}"})
        assert part.status_code == 206
        assert part.content == whole.content[start:stop]
    strided = service.get("/dap/large.dods?t[1:7:23][3][0:50:179]", headers=PLAIN)
    wanted = np.arange(np.prod(LARGE)).reshape(LARGE)[1:24:7, 3, ::50]
    assert floats(strided.content) == wanted.ravel().tolist()


def test_a_large_answer_of_different_parts_is_sent_in_parts(service: Service) -> None:
    """Each variable at positions of its own; what is counted is what is read."""
    asked = "/dap/large.dods?t[2:1:23][1:1:179][0:179],time[0:5:20],flags"
    whole = service.get(asked, headers=PLAIN).content
    head = service.client.head(asked, headers=PLAIN)
    assert head.headers["content-length"] == str(len(whole))
    values = np.arange(np.prod(LARGE), dtype=">f4").reshape(LARGE)[2:, 1:]
    known = {
        "flags": struct.pack(">II7Bx", 7, 7, *range(7)),
        "t": struct.pack(">II", values.size, values.size) + values.tobytes(),
        "time": struct.pack(">II5i", 5, 5, *range(0, 25, 5)),
    }
    lines = service.get(asked.replace("dods", "dds")).text.splitlines()[1:-1]
    declared = [line.split("[")[0].split()[1] for line in lines]
    body = b"".join([known[name] for name in declared])
    assert whole.partition(DATA)[2] == body
    for start in (5, len(whole) - len(body) + 3, len(whole) // 2, len(whole) - 9):
        part = service.get(asked, headers={**PLAIN, "Range": f"bytes={start}-{start + 70_000}"})
        assert part.status_code == 206
        assert part.content == whole[start : start + 70_001]
    # Whole, it would be more than an answer may have in memory.
    refused = service.get("/dap/large.dap?dap4.ce=/t[2:1:23][][];/time[0:5:20]")
    assert refused.status_code == 413


def test_parts_of_several_variables(service: Service) -> None:
    """With what stands before each of them: lengths, and zeros behind bytes."""
    asked = "/dap/large.dods?flags,square,t,time"
    whole = service.get(asked, headers=PLAIN).content
    start = whole.index(DATA) + len(DATA)
    ends = np.cumsum([start, *(8 + -(-n // 4) * 4 for n in (7, 24 * 24 * 8, 4 * np.prod(LARGE)))])
    assert len(whole) == ends[-1] + 8 + 24 * 4
    assert whole[start : ends[1]] == struct.pack(">II7Bx", 7, 7, *range(7))
    for end in (int(end) for end in ends):
        for first, last in ((end - 3, end + 2), (end, end + 7), (end + 3, end + 11)):
            part = service.get(asked, headers={**PLAIN, "Range": f"bytes={first}-{last}"})
            assert part.content == whole[first : last + 1]


@pytest.mark.parametrize("suffix", ["dds", "das", "dods", "ascii", "dmr", "dmr.xml", "dap", "html"])
def test_what_is_known_is_not_sent_again(service: Service, suffix: str) -> None:
    found = service.get(f"/dap/plain.{suffix}")
    assert found.status_code == 200
    again = service.get(f"/dap/plain.{suffix}", headers={"If-None-Match": found.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    head = service.client.head(f"/dap/plain.{suffix}")
    assert head.status_code == 200
    assert head.headers["content-type"] == found.headers["content-type"]


@pytest.mark.parametrize("suffix", ["dds", "das", "dods", "ascii", "dmr", "dap", "html"])
def test_a_dataset_without_a_variable_that_can_be_served(service: Service, suffix: str) -> None:
    found = service.get(f"/dap/nothing_served.{suffix}")
    assert found.status_code == 200
    assert service.client.head(f"/dap/nothing_served.{suffix}").status_code == 200


def test_texts_and_bytes_are_filled_up(service: Service) -> None:
    """To a multiple of four; a lone byte is in all four."""
    body = service.get("/dap/others.dods?text[0:1]").content.partition(DATA)[2]
    assert body == struct.pack(">II4sI4s", 2, 1, b"a", 3, "bé".encode())
    lone = service.get("/dap/plain.dods?lone_byte").content.partition(DATA)[2]
    assert lone == bytes([200] * 4)
    flags = service.get("/dap/others.dods?truth").content.partition(DATA)[2]
    assert flags == struct.pack(">II7Bx", 7, 7, 1, 0, 1, 0, 1, 0, 1)


def test_a_person_gets_a_form(service: Service) -> None:
    """At the address that clients are given, and from it the text of what was chosen."""
    page = service.get("/dap/plain", follow_redirects=True)
    assert page.url.path == "/dap/plain.html"
    assert "2m_temperature" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    fields = re.findall('name="at" .*aria-label="Positions of (.*?)"', page.text)
    at = ["[0][1:2][0:10:19]" if name == "t" else "" for name in fields]
    chosen = {"var": "t", "at": at, "as": "ascii"}
    shown = service.get("/dap/plain.html", params=chosen, follow_redirects=True)
    assert shown.url.path == "/dap/plain.ascii"
    assert "t[1][2][2]\n[0][0], " in shown.text
    assert shown.headers["content-disposition"] == "inline"


def test_the_description_links_the_door(service: Service) -> None:
    links = service.get("/datasets/plain").json()["links"]
    assert "../dap/plain" in [link["href"] for link in links if link["door"] == "dap"]
    shut = service.get("/datasets/shut").json()["links"]
    assert "dap" not in [link["door"] for link in shut]


def test_a_checksum_is_left_out_where_it_is_declined(service: Service) -> None:
    """It is of the variable's bytes, behind them, and in the description."""
    asked = "/dap/plain.dap?dap4.ce=/i2"
    summed, plain = service.get(asked), service.get(f"{asked}&dap4.checksum=false")
    assert b"_DAP4_Checksum_CRC32" in summed.content
    assert b"_DAP4_Checksum_CRC32" not in plain.content
    assert summed.headers["etag"] != plain.headers["etag"]
    values = xr.Variable("lat", np.arange(9, dtype="<i2") - 4).values.tobytes()
    assert plain.content.endswith(struct.pack(">I", 4 << 24 | len(values)) + values + b"\5\0\0\0")
