"""The service as a process over a small store, and pages of two other origins."""

from __future__ import annotations

import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import xarray as xr

from app.telemetry.logs import GATHER_SECONDS
from loadtests.ground import free_port, running, wait_until_it_answers
from tests.api.conftest import CHUNKS, PACKED, weather

# Under the second name, answers are stale a second after they were given.
CATALOG = """
datasets:
  weather: {url: weather.zarr, cache_control: "public, max-age=600"}
  nowcast: {url: weather.zarr, cache_control: "public, max-age=1"}
"""
# What the log's lines of requests for data have, whatever else they say.
REQUEST = re.compile(r"\bmethod=(GET|HEAD|POST) path=(/datasets\S*) status=(\d{3})\b")


@dataclass(frozen=True)
class Running:
    """A service in a process of its own, where it logs, and what it serves."""

    address: str
    log: Path
    store: Path
    allowed_page: str
    foreign_page: str

    def url(self, query: str, dataset: str = "weather") -> str:
        """The address of a selection by label."""
        return f"{self.address}/datasets/{dataset}/sel?{query}"

    @property
    def dataset(self) -> xr.Dataset:
        """What xarray reads from the store by itself."""
        found: xr.Dataset = xr.open_zarr(self.store, chunks=None, consolidated=False)
        return found

    @contextmanager
    def logged(self, *lines: str) -> Iterator[None]:
        """The block makes the service log just these requests, such as ``GET /datasets 200``."""
        # Lines are written a moment after their answers: those of earlier requests are waited for.
        time.sleep(2 * GATHER_SECONDS)
        before = len(self._requests())
        yield
        give_up = time.monotonic() + 5
        while len(self._requests()) < before + len(lines) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert self._requests()[before:] == list(lines)

    def _requests(self) -> list[str]:
        """Method, path and status of every request for data that was logged."""
        return [" ".join(found) for found in REQUEST.findall(self.log.read_text())]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service as ``serve`` starts it; pages of one origin may read it."""
    folder = tmp_path_factory.mktemp("clients")
    store, log = folder / "weather.zarr", folder / "server.log"
    encoding = {"t": {**PACKED, "chunks": CHUNKS}, "u": {"chunks": CHUNKS}}
    with warnings.catch_warnings():
        # zarr warns that its strings are not in the v3 specification yet.
        warnings.simplefilter("ignore")
        weather().to_zarr(store, zarr_format=3, consolidated=False, encoding=encoding)
    (folder / "catalog.yaml").write_text(CATALOG)
    with ExitStack() as stack:
        allowed, foreign = (stack.enter_context(pages()) for _ in range(2))
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "app", "serve", "--catalog", str(folder / "catalog.yaml")]
        origins = f"http://other.test,{allowed}"
        command += ["--port", str(port)]
        started = running(command, log, SLUICE_CORS_ORIGINS=origins)
        wait_until_it_answers(stack.enter_context(started), f"{address}/healthz", log)
        yield Running(address, log, store, allowed, foreign)


@contextmanager
def pages() -> Iterator[str]:
    """The origin of a server of the web pages beside this module."""
    handler = partial(Quiet, directory=Path(__file__).parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, format: str, *args: object) -> None:
        pass
