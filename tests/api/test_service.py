"""The service under way: one open for many, failures remembered, limits before reading."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response

from app.api import create_app
from app.settings import Settings
from sluice.errors import CatalogError
from tests.api.conftest import CATALOG, serving, serving_app, weather

POINT = "isel?time=0&level=0&latitude=0&longitude=0"


async def test_a_hundred_first_requests_open_the_store_once(
    write_catalog: Callable[[str], Path], stores: Path
) -> None:
    """Simultaneous first requests share one open: the metadata is asked for once."""
    asked: list[str] = []
    # A plain HTTP server over the stores is the counter: what it logs is what was asked.
    async with _counting_server(stores, asked) as address:
        path = write_catalog(f"datasets: {{far: {{url: '{address}/v2.zarr', zarr_format: 2}}}}")
        with serving(Settings(catalog=path)) as client:
            url = f"{client.base_url}/datasets/far/{POINT}&variables=t"
            async with (
                httpx.AsyncClient(timeout=60, verify=False) as many,
                asyncio.TaskGroup() as group,
            ):
                tasks = [group.create_task(many.get(url)) for _ in range(100)]
    assert {task.result().status_code for task in tasks} == {200}
    assert asked.count("/v2.zarr/.zmetadata") == 1


class _counting_server:
    """Serves the files below `folder` over HTTP and notes every path that is asked for."""

    def __init__(self, folder: Path, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked

    async def __aenter__(self) -> str:
        from functools import partial
        from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                asked.append(self.path)

            def log_error(self, *args: object) -> None:
                """Noted by the request's own line already."""

        class Server(ThreadingHTTPServer):
            # The usual 5 would make many simultaneous connections wait for seconds.
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), partial(Handler, directory=str(self.folder)))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.server.shutdown)
        self.server.server_close()
        self.thread.join()


def test_a_failed_open_is_remembered_then_tried_again(
    write_catalog: Callable[[str], Path], tmp_path: Path
) -> None:
    """For the stated time the same failure is answered; then a store that is there now opens."""
    target, written = tmp_path / "late.zarr", tmp_path / "written.zarr"
    weather().to_zarr(written, zarr_format=2)
    path = write_catalog(f"datasets: {{late: {{url: '{target}'}}}}")
    with serving(Settings(catalog=path, failed_open_seconds=1.0)) as client:
        assert client.get(f"/datasets/late/{POINT}").status_code == 502
        # Written before and moved: writing can take longer than the failure is kept.
        written.rename(target)
        assert client.get(f"/datasets/late/{POINT}").status_code == 502
        time.sleep(1.1)
        assert client.get(f"/datasets/late/{POINT}").status_code == 200


def test_more_datasets_than_are_kept_open_all_answer(write_catalog: Callable[[str], Path]) -> None:
    """With room for one opened dataset, two that take turns are both served."""
    with serving(Settings(catalog=write_catalog(CATALOG), opened_datasets=1)) as client:
        for name in ("v2", "v3", "v2", "v3"):
            assert client.get(f"/datasets/{name}/{POINT}").status_code == 200


def test_a_request_over_the_chunk_limit_is_413_before_reading(
    stores: Path, write_catalog: Callable[[str], Path], tmp_path: Path
) -> None:
    """The limit counts decoded chunks, comes from the plan, and the answer gives both figures."""
    broken = tmp_path / "broken.zarr"
    shutil.copytree(stores / "v2.zarr", broken)
    for chunk in (broken / "t").glob("[0-9]*"):
        chunk.write_bytes(b"not a chunk")
    path = write_catalog(f"datasets: {{broken: {{url: '{broken}'}}}}")
    # One chunk of two-byte integers, and room for the small coordinates.
    limit = 24 * 1 * 10 * 18 * 2 + 500
    with serving(Settings(catalog=path, request_chunk_bytes=limit)) as client:
        over = client.get("/datasets/broken/isel?latitude=0&longitude=0&level=0&variables=t")
        body = over.json()
        assert over.status_code == 413
        assert (body["limited"], body["limit"]) == ("chunk_bytes", limit)
        assert body["estimate"] >= 2 * 24 * 1 * 10 * 18 * 2
        # One chunk is within the limit, and reading it shows that it is broken.
        within = client.get(f"/datasets/broken/{POINT}&variables=t")
        assert within.status_code == 502


def test_a_request_over_the_result_limit_is_413(write_catalog: Callable[[str], Path]) -> None:
    """The limit on the result counts the bytes of what would be answered."""
    settings = Settings(catalog=write_catalog(CATALOG), request_result_bytes=10_000)
    with serving(settings) as client:
        assert client.get("/datasets/v2/isel?time=0").status_code == 413
        assert client.get(f"/datasets/v2/{POINT}").status_code == 200


def test_the_threads_are_bounded_and_end_with_the_server(
    write_catalog: Callable[[str], Path],
) -> None:
    """Many reads start at most the configured threads, and no thread is left afterwards."""

    def ours(name: str = "sluice") -> int:
        return sum(thread.name.startswith(name) for thread in threading.enumerate())

    with serving(Settings(catalog=write_catalog(CATALOG), threads=2)) as client:
        for _ in range(10):
            client.get("/datasets/v2/isel?level=0")
        assert 1 <= ours("sluice-blocking") <= 2
    deadline = time.monotonic() + 10
    while ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ours() == 0


async def test_a_wrong_catalog_stops_the_start(write_catalog: Callable[[str], Path]) -> None:
    """The lifespan fails before the first request when the catalog is wrong."""
    app = create_app(Settings(catalog=write_catalog("datasets: {}")))
    with pytest.raises(CatalogError, match="at least one dataset"):
        async with app.router.lifespan_context(app):
            pytest.fail("the lifespan went on")


def test_an_application_that_embeds_this_one_can_add_routes(
    write_catalog: Callable[[str], Path],
) -> None:
    """Routes of its own are FastAPI's ordinary ones: with parameters, dependencies, handlers."""
    app = create_app(Settings(catalog=write_catalog(CATALOG)))
    router = APIRouter()

    @router.get("/dependent")
    async def dependent(word: Annotated[str, Depends(_resource)]) -> str:
        return word

    @router.get("/failing")
    async def failing() -> None:
        raise ZeroDivisionError

    app.include_router(router)
    app.add_exception_handler(ZeroDivisionError, lambda request, error: Response(status_code=418))

    @app.get("/doubled")
    async def doubled(number: int) -> int:
        return 2 * number

    with serving_app(app) as client:
        assert client.get("/doubled?number=21").json() == 42
        assert client.get("/doubled?number=x").status_code == 400
        assert client.get("/dependent").json() == "there"
        assert client.get("/failing").status_code == 418
        assert client.get("/datasets").status_code == 200


def test_several_can_be_mounted_in_one_application(
    write_catalog: Callable[[str], Path], tmp_path: Path
) -> None:
    """Each serves its own catalog, once its lifespan was entered; before that it says so."""
    one = create_app(Settings(catalog=write_catalog(CATALOG)))
    other = tmp_path / "other.yaml"
    other.write_text("datasets: {other: {url: nowhere}}")
    two, asleep = (create_app(Settings(catalog=other)) for _ in range(2))

    @asynccontextmanager
    async def lifespan(outer: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in (one, two):
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    outer = FastAPI(lifespan=lifespan)
    for path, app in (("/one", one), ("/of/{whom}", one), ("/two", two), ("/asleep", asleep)):
        outer.mount(path, app)
    with serving_app(outer) as client:
        for path in ("/one", "/of/me", "/of/you", "/one"):
            assert client.get(f"{path}/datasets/v2/{POINT}").status_code == 200
        assert [found["id"] for found in client.get("/two/datasets").json()["datasets"]] == [
            "other"
        ]
        assert client.get(f"/two/datasets/v2/{POINT}").status_code == 404
        assert client.get("/asleep/datasets").status_code == 500


async def _resource() -> AsyncIterator[str]:
    yield "there"


def test_a_request_over_the_number_of_chunks_is_413(write_catalog: Callable[[str], Path]) -> None:
    """However small chunks are, each costs a request to the store: their number has a limit."""
    path = write_catalog(CATALOG)
    with serving(Settings(catalog=path, request_chunks=3)) as client:
        url = "/datasets/v2/isel?level=0&variables=u&latitude=0"
        answer = client.get(f"{url}&time=0:48")
        assert answer.status_code == 413
        assert (answer.json()["limited"], answer.json()["limit"]) == ("chunks", 3)
        assert client.get(f"{url}&time=0").status_code == 200
