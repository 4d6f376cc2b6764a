"""The bench: what is asked, who is refused, what is counted, and how targets are told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from loadtests.bench import asks
from loadtests.bench.__main__ import SCENARIOS, main
from loadtests.bench.asks import Ask, Truth
from loadtests.bench.client import drive_all
from loadtests.bench.cold import chunk_key
from loadtests.bench.contestants import SLUICE, Contestant
from loadtests.bench.data import CHUNK_HOURS, CHUNKS, LATITUDES, LONGITUDES
from loadtests.bench.drive import Lane, interleaved, ratio
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import Server, server, usage
from loadtests.bench.plot import write_svg
from loadtests.bench.report import lines, verdict, write_json
from loadtests.bench.stage import WrongAnswers, verify

ROOT = Path(__file__).parents[2]
ANSWERING = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"data_vars": {"t2m": {"data": 280.0}}}).encode()
        self.send_response(404 if self.path == "/wrong" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Answer).serve_forever()
"""


@pytest.fixture(name="answering")
def _answering(tmp_path: Path) -> Iterator[Server]:
    """A server that gives 280 for every point, asleep."""
    script = tmp_path / "answering.py"
    script.write_text(ANSWERING)
    command = [sys.executable, str(script)]
    with server("answering", command, tmp_path / "log", {}, ready="/", core=None) as started:
        yield started


def is_stopped(started: Server) -> bool:
    """Whether a signal has stopped it; signals take a moment to arrive."""
    stat = Path(f"/proc/{started.pid}/stat")
    for _ in range(100):
        if stat.read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.05)
    return False


class Always(Truth):
    """A store in which every cell has one value."""

    def __init__(self, value: float) -> None:
        self._value = value

    def of(self, ask: Ask) -> asks.Values:
        return np.array([self._value])


def test_asks_are_distinct_and_touch_the_chunks_that_their_titles_say() -> None:
    """10,000 points differ; series, boxes and stations stay within the issue's chunks."""
    points = asks.points(10_000)
    assert len({SLUICE.urls["point"](ask) for ask in points}) == 10_000
    assert len({chunk_key(ask) for ask in points}) == 54
    for ask in asks.boxes(50):
        rows, columns = ask.positions
        assert (rows[0] - rows[1] + 1, columns[1] - columns[0] + 1) == (61, 60)
        assert len({row // CHUNKS[1] for row in rows}) * len({c // 60 for c in columns}) <= 4
        assert ask.hours is not None
        assert ask.hours[0] // CHUNK_HOURS == ask.hours[1] // CHUNK_HOURS
    (ask,) = asks.stations(1)
    assert len(ask.lats) == len(ask.lons) == 500


def test_no_cold_chunk_is_asked_for_twice_in_a_row_of_users() -> None:
    """Each 64 consecutive scattered points of one pass lie in 64 chunks; a pass has all 648."""
    keys = [chunk_key(ask) for ask in asks.scattered(1_296)]
    assert len(set(keys[:648])) == len(set(keys[648:])) == 648


def test_labels_lie_nearest_to_the_positions_that_are_held_against_them() -> None:
    """`positions` are what a nearest match gives, without a tie."""
    for ask in [*asks.points(200), *asks.series(200), *asks.stations(2)]:
        rows, columns = ask.positions
        for lat, row, lon, column in zip(ask.lats, rows, ask.lons, columns, strict=True):
            assert np.abs(LATITUDES - lat).argmin() == row
            assert np.abs(LONGITUDES - lon).argmin() == column


def test_a_contestant_with_wrong_values_is_refused(answering: Server) -> None:
    """The same answers pass where they are right and are refused, with the path, where not."""
    who = Contestant("answering", None, SLUICE.urls, SLUICE.reads)
    verify(answering, who, "point", asks.points(5), Always(280.0))
    with pytest.raises(WrongAnswers, match="variables=t2m"):
        verify(answering, who, "point", asks.points(5), Always(280.01))


def test_a_sleeping_server_takes_nothing_and_an_awake_one_is_measured(
    answering: Server, tmp_path: Path
) -> None:
    """Rounds tell requests, CPU and memory of the server; outside of them it is stopped."""
    assert is_stopped(answering)
    lane = Lane(answering, ["/a", "/b"])
    found = interleaved([lane], users=2, rounds=1, seconds=1, folder=tmp_path)["answering"]
    (figures,) = found
    assert figures["requests"] > 10
    assert figures["failed"] == 0
    assert figures["per_s"] > 0 < figures["cpu_us"]
    assert figures["rss_mib"] > 1
    assert ratio(found, found) == 1
    assert is_stopped(answering)


def test_failures_are_counted(answering: Server) -> None:
    """An answer other than 200 is a failure of the contestant."""
    with answering.awake():
        driven = drive_all(answering.address, ["/a", "/wrong", "/b"], 2)
    assert (driven.requests, driven.failed) == (3, 1)


def test_usage_counts_children() -> None:
    """A process is measured with what it started."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    try:
        assert usage(os.getpid()).threads >= usage(child).threads + 1
        assert usage(os.getpid()).rss > usage(child).rss > 0
    finally:
        os.write(writer, b".")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_targets_are_reached_missed_or_not_measured() -> None:
    """A target itself is enough; what was not measured was not reached."""
    said = {
        (0.5, ">="): "reached",
        (0.49, ">="): "MISSED",
        (0.5, "<="): "reached",
        (0.51, "<="): "MISSED",
        (math.inf, "<="): "MISSED",
        (math.nan, ">="): "not measured",
        (math.nan, "<="): "not measured",
    }
    for (value, relation), expected in said.items():
        assert verdict(Claim("it", value, relation, 0.5)) == expected  # type: ignore[arg-type]
    assert Claim("it", 0.25, ">=", 0.5).share == Claim("it", 1.0, "<=", 0.5).share == 0.5


def test_results_become_a_table_json_and_a_picture(tmp_path: Path) -> None:
    """Figures that are not numbers stay valid JSON; the picture has a bar for each claim."""
    claims = [Claim("a < b & c", 0.7, ">=", 0.5), Claim("none", math.nan, "<=", 0.0)]
    rows: dict[str, Mapping[str, float]] = {"sluice": {"per_s": 1234.5, "p99_ms": math.inf}}
    result = Result("point", "points", rows, claims, ["a note"])
    table = "\n".join(lines(result))
    for word in ("1,23", "inf", "reached", "not measured", "a note"):
        assert word in table
    write_json([result], {"rounds": 5}, tmp_path / "r.json")
    read = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert read["results"][0]["rows"]["sluice"] == {"per_s": 1234.5, "p99_ms": None}
    assert [claim["verdict"] for claim in read["results"][0]["claims"]] == [
        "reached",
        "not measured",
    ]
    write_svg([result], tmp_path / "r.svg")
    picture = ElementTree.parse(tmp_path / "r.svg").getroot()
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 1 + len(claims)


def test_every_scenario_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name of the table leads to a function; another name is refused with the known ones."""
    from loadtests.bench.__main__ import _scenario

    assert all(callable(_scenario(name)) for name in SCENARIOS)
    with pytest.raises(SystemExit, match="2"):
        main(["points"])
    assert "two-workers" in capsys.readouterr().err


@pytest.mark.timeout(400)
def test_streams_are_measured_in_small(tmp_path: Path) -> None:
    """Every target is told; ranges read what they touch, and nothing that broke off is whole."""
    command = [sys.executable, "-m", "loadtests.bench", "stream", "--rounds", "1"]
    command += ["--bytes", str(2**25), "--out", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
    assert run.returncode == 0, run.stderr
    (found,) = json.loads((tmp_path / "stream.json").read_text())["results"]
    claims = {claim["what"].split(":")[-1].strip(): claim["value"] for claim in found["claims"]}
    assert len(found["claims"]) == 14
    assert claims["chunks read beyond those they touch"] == 0
    assert claims["times one is decoded"] >= 1
    assert claims["clean ends"] == 0
    assert "bytes still held a second after clients left" in claims
    assert all(not row.get("failed") for row in found["rows"].values())
    assert any("NOT MEASURED: threadpool" in note for note in found["notes"])


def test_a_scenario_runs_from_the_command_line(tmp_path: Path) -> None:
    """Opening and the first answer are measured, every target is told, and files are written."""
    command = [sys.executable, "-m", "loadtests.bench", "open", "--rounds", "1"]
    run = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("target") == 6
    (found,) = json.loads((tmp_path / "open.json").read_text())["results"]
    assert {name.split()[0] for name in found["rows"]} == {"sluice", "open_zarr", "first"}
    # The metadata in both formats, and six coordinates.
    assert found["rows"]["sluice s3fs"]["gets"] <= 8 < found["rows"]["open_zarr s3fs"]["gets"]
    assert "open_zarr" in (tmp_path / "open.svg").read_text()
