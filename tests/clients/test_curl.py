"""curl, with the options that people use."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import xarray as xr

from tests.clients.conftest import Running
from tests.clients.programs import program

FIELD = "time=2020-01-02T12:00Z&level=850"
PATH = "/datasets/weather/sel"
FILE = f"{FIELD}&f=netcdf"


def curl(folder: Path, *words: str) -> bytes:
    """What curl writes to its standard output, run in `folder`."""
    command = [program("curl"), "--silent", "--show-error", "--max-time", "60", *words]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout


def headers(path: Path) -> dict[str, str]:
    """The headers that curl wrote to a file, names in lower case, and the status line as ``""``."""
    status, *lines = path.read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if line)
    return {"": status, **{name.lower(): value for name, value in pairs}}


@pytest.mark.parametrize(
    ("accepted", "codings"),
    [((), {"gzip", "zstd"}), (("-H", "Accept-Encoding: gzip"), {"gzip"})],
)
def test_compressed(
    service: Running, tmp_path: Path, accepted: tuple[str, ...], codings: set[str]
) -> None:
    """--compressed is given fewer bytes that decode to the plain answer, under another tag."""
    url = service.url(FIELD)
    plain = curl(tmp_path, "-D", "plain", url)
    packed = curl(tmp_path, "-D", "raw", *accepted, "-H", "Accept-Encoding: gzip", url)
    decoded = curl(tmp_path, "-D", "packed", "--compressed", *accepted, url)
    assert decoded == plain
    assert len(packed) < len(plain) / 2
    assert headers(tmp_path / "packed")["content-encoding"] in codings
    assert "content-encoding" not in headers(tmp_path / "plain")
    assert headers(tmp_path / "packed")["etag"] != headers(tmp_path / "plain")["etag"]
    assert headers(tmp_path / "packed")["vary"] == headers(tmp_path / "plain")["vary"]


def test_head(service: Running, tmp_path: Path) -> None:
    """-I shows the headers of the GET, without a body."""
    curl(tmp_path, "-I", "-o", "head", service.url(FILE))
    curl(tmp_path, "-D", "get", "-o", "body", service.url(FILE))
    head, get = headers(tmp_path / "head"), headers(tmp_path / "get")
    assert head[""] == get[""] == "HTTP/1.1 200 OK"
    same = ("etag", "vary", "cache-control", "content-type", "content-disposition")
    assert [head[name] for name in same] == [get[name] for name in same]


def test_remote_name(service: Running, tmp_path: Path) -> None:
    """-O -J saves a NetCDF file and a table under names of their dataset and part."""
    curl(tmp_path, "-O", "-J", service.url(FILE))
    curl(tmp_path, "-O", "-J", service.url(f"{FIELD}&variables=t&f=csv"))
    (file,), (table,) = tmp_path.glob("weather-*.nc"), tmp_path.glob("weather-*.csv")
    with xr.open_dataset(file) as ds, service.dataset as stored:
        wanted = stored.sel(time="2020-01-02T12:00", level=850)
        xr.testing.assert_equal(ds, wanted.load())
    assert table.read_text().count("\n") == 1 + 19 * 36


def test_saved_tag(service: Running, tmp_path: Path) -> None:
    """--etag-save and --etag-compare transfer an answer once."""
    url = service.url(FIELD)
    first = curl(tmp_path, "--etag-save", "tag", url)
    again = curl(tmp_path, "-D", "again", "--etag-compare", "tag", url)
    other = curl(tmp_path, "--etag-compare", "tag", service.url("time=2020-01-02T13:00Z&level=850"))
    assert headers(tmp_path / "again")[""] == "HTTP/1.1 304 Not Modified"
    assert again == b""
    assert len(first) > 1000
    assert len(other) > 1000


def test_data_urlencode_and_json(service: Running, tmp_path: Path) -> None:
    """Parameters that curl encodes, and the same ones posted as JSON, are the same request."""
    words = ["time=2020-01-02T13:00+01:00", "level=850", "latitude=-10/10", "longitude=-20/20"]
    encoded = [word for text in words for word in ("--data-urlencode", text)]
    got = curl(tmp_path, "-G", *encoded, service.address + PATH)
    document = json.dumps(dict(word.split("=") for word in words))
    content_type = ("-H", "Content-Type: application/json")
    posted = curl(tmp_path, *content_type, "-d", document, service.address + PATH)
    assert json.loads(got)["dims"] == {"latitude": 3, "longitude": 5}
    assert posted == got
