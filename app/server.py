"""Running the service: uvicorn with one worker or many, its log, and what workers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from tempfile import TemporaryDirectory
from typing import Any

from app.settings import PREFIX, Settings
from app.telemetry.metrics import SHARED_FOLDER


def run_server(settings: Settings, workers: int) -> None:
    """Serve until a signal ends it; `workers` processes share the port."""
    import uvicorn

    # The application is named, not handed over: worker processes import it and read the same
    # environment, so one way of starting serves one worker and many.
    os.environ[f"{PREFIX}CATALOG"] = str(settings.catalog.absolute())
    with _shared_metrics(workers):
        uvicorn.run(
            "app.api.app:create_app_from_environment",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=workers,
            http="app.protocol:HttpProtocol",
            ws="none",
            log_config=_logging(settings.log_level.upper()),
            # Our own line for each request has its id, and leaves the query out.
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies),
        )


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """A folder in which several workers add up what they count, unless there is one already."""
    if workers == 1 or os.environ.get(SHARED_FOLDER):
        yield
        return
    with TemporaryDirectory(prefix="sluice-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_FOLDER]


def _logging(level: str) -> dict[str, Any]:
    """uvicorn's own configuration with a time in each line, and our loggers beside its own.

    The lines of requests are whole already: they are fields, the time among them.
    """
    from uvicorn.config import LOGGING_CONFIG

    config: dict[str, Any] = deepcopy(LOGGING_CONFIG)
    config["formatters"]["default"]["fmt"] = "%(asctime)s %(levelprefix)s %(message)s"
    config["formatters"]["requests"] = {"format": "%(message)s"}
    config["handlers"]["requests"] = {**config["handlers"]["default"], "formatter": "requests"}
    config["loggers"]["uvicorn"]["level"] = level
    requests = {"handlers": ["requests"], "level": level, "propagate": False}
    config["loggers"]["app.telemetry.request_log"] = requests
    config["loggers"]["app"] = {"handlers": ["default"], "level": level, "propagate": False}
    return config
