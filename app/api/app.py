"""The ASGI application: `create_app(settings)`, with every door and every route."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import FastAPI

from sluice import __version__
from sluice.instrumentation import to_all

from ..doors.dap.routes import DapDoor
from ..doors.edr.routes import EdrDoor
from ..doors.native.routes import NativeDoor
from ..doors.pages.routes import PagesDoor
from ..doors.zarr.routes import ZarrDoor
from ..server.processes import Shared
from ..settings import Settings, fitted
from ..telemetry.events import Emit, GcFreeze, freeze_objects
from ..telemetry.logs import RequestLog
from ..telemetry.metrics import Metrics
from .application import Application
from .docs_page import add_docs, add_document
from .doors import Door, forms_of
from .middleware import ObserveRequests, UnlistedOrigins, allow_origins, install_problems
from .openapi import guide
from .routes import add_routes
from .starting import start

NATIVE: Final = NativeDoor()
# The standard doors, in the order in which `/datasets/{id}` links them.
DOORS: Final[tuple[Door, ...]] = (DapDoor(), ZarrDoor(), EdrDoor())


def create_app(
    settings: Settings,
    *,
    shared: Shared | None = None,
    native: NativeDoor = NATIVE,
    doors: Sequence[Door] = DOORS,
) -> FastAPI:
    """The application that serves the catalog of `settings`; does nothing before it is started.

    Our own server hands over what its processes have `shared`, and leaves SIGHUP to them. Who has
    options or formats of its own gives the `native` door that knows them; `doors` are the standard
    ones beside it.
    Raises ValueError where the chosen budgets are more than the memory that the process may have.
    The lifespan raises CatalogError when the catalog is wrong, and owns the running loop's default
    executor: an application that embeds this one gets its bounded pool.
    """
    settings = fitted(settings)
    metrics = Metrics() if shared is None else Metrics(shared.counts, shared.place)
    request_log = RequestLog()
    sinks: list[Emit] = [metrics.record, request_log.record]
    if shared is not None:
        # The process is ours: nobody else in it makes objects.
        sinks.append(GcFreeze().record)
    emit = to_all(*sinks)
    app = Application(
        title="Sluice",
        version=__version__,
        description=f"{guide()}\n{native.tables()}",
        root_path=settings.root_path,
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is answered in words, like every other wrong path.
        redirect_slashes=False,
        lifespan=_lifespan(settings, metrics, request_log, emit, shared),
    )
    pages = [PagesDoor(settings.embed_origins)] if settings.explorer else []
    app.doors = (*doors, *pages, native)
    form = forms_of(app.doors)
    install_problems(app, form)
    native.add_to(app)
    # Pages share paths with JSON, and come before it.
    for page in pages:
        page.add_to(app)
    add_routes(app)
    for door in doors:
        door.add_to(app)
    add_document(app)
    add_docs(app, at_root=not settings.explorer)
    unlisted = UnlistedOrigins(settings.cors_origins)
    app.add_middleware(
        ObserveRequests, emit=emit, url_bytes=settings.url_bytes, unlisted=unlisted, form=form
    )
    # The last one added is the first to see a request: refusals are readable across origins too.
    allow_origins(app, settings.cors_origins, form)
    return app


def create_app_from_environment() -> FastAPI:
    """What worker processes import: the application with the settings of the environment."""
    app = create_app(Settings(), shared=Shared.from_environment())
    # What was imported lasts, and now nobody waits.
    freeze_objects()
    return app


def _lifespan(
    settings: Settings,
    metrics: Metrics,
    request_log: RequestLog,
    emit: Emit,
    shared: Shared | None,
) -> Callable[[Application], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(request_log.flush)
            app.service = await start(settings, metrics, emit, shared, stack)
            try:
                yield
            finally:
                app.service = None

    return lifespan
