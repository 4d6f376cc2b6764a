"""Running the service: uvicorn with one worker or many, its log, and what workers share."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..catalog.config_sync import ask_reload
from ..catalog.configuration import Files
from ..catalog.control_log import ControlLog, KeptEpochs
from ..catalog.given_stores import doubts
from ..errors import NotTold
from ..settings import PREFIX, SHARES, Settings
from ..telemetry.families import make_room
from ..telemetry.logs import JsonLines, say
from .connections import connection_limits, raise_descriptor_limit
from .page_address import announce
from .processes import SHARED, Heartbeat, Shared, watch_alone

if TYPE_CHECKING:
    from .workers import Config

# `app`, or `sluice.app` where it is installed.
SERVICE: Final = __name__.rpartition(".server.")[0]

log = logging.getLogger(__name__)


def run_server(settings: Settings, fd: int | None, *, opening: bool = False) -> None:
    """Serve until a signal ends it; the workers share the port, or the listening socket `fd`.

    Whoever started this process holds that socket: what connects while one server ends and the
    next one starts waits there. The log says where the pages are; where `opening` is wanted, a
    browser shows them.
    """
    from .workers import Config

    # The application is named, not handed over: worker processes import it and read the same
    # environment, so one way of starting serves one worker and many.
    os.environ[f"{PREFIX}CATALOG"] = str(settings.catalog.absolute())
    if settings.urls:
        os.environ[f"{PREFIX}URLS"] = json.dumps(settings.urls)
    else:
        os.environ.pop(f"{PREFIX}URLS", None)
    os.environ[f"{PREFIX}WORKERS"] = str(settings.workers)
    config = Config(
        f"{SERVICE}.api.app:create_app_from_environment",
        limits=connection_limits(settings, raise_descriptor_limit()),
        factory=True,
        host=settings.host,
        port=settings.port,
        fd=fd,
        workers=settings.workers,
        timeout_graceful_shutdown=settings.grace_seconds,
        # No browser may take an answer for something else than it says it is.
        headers=[("X-Content-Type-Options", "nosniff")],
        ws="none",
        log_config=_logging(settings.log_level.upper(), settings.log_format),
        # Our own line for each request has its id, and leaves the query out.
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=",".join(settings.trusted_proxies),
    )
    log.info("%s", _budget_line(settings))
    for doubt in doubts(settings.urls):
        log.warning("%s", doubt)
    files = Files(settings.catalog, settings.keys_file, settings.keys, settings.urls)
    kept = KeptEpochs.of(settings.catalog, settings.refreshes_file)
    with _shared(files, kept, settings.log_format) as (shared, control_log):
        listener = config.listener()
        announce(settings, listener, _ids(files), opening=opening)
        reload = partial(ask_reload, control_log, files)
        _run(config, listener, reload, shared, settings.loop_stall_seconds)


def _ids(files: Files) -> Sequence[str]:
    """The datasets of the catalog; nothing where nobody knows yet how many there will be."""
    catalog = files.read_catalog()
    return () if catalog.globs or catalog.trees else list(catalog.entries)


def _budget_line(settings: Settings) -> str:
    """What each process may take, by its settings and by its cgroup."""
    mebibytes = {name: getattr(settings, name) // 2**20 for name in SHARES}
    return (
        f"{settings.workers} x {settings.decode_threads} decode threads, {settings.threads} threads"
        f" a local store; MiB: {mebibytes['chunk_cache_bytes']} for chunks,"
        f" {mebibytes['inflight_bytes']} for requests, {mebibytes['opened_bytes']} for datasets"
    )


def _run(
    config: Config,
    listener: socket.socket,
    reload: Callable[[], bool],
    shared: Shared,
    stall_seconds: float,
) -> None:
    """Serve as `config` says; with several workers, `reload` is called on SIGHUP.

    One alone does that itself, once its application has started.
    """
    from .workers import STARTUP_FAILED, WatchedServer, Workers, end_by_itself

    if config.workers > 1:
        workers = Workers(config, [listener], reload, shared, stall_seconds)
        workers.run()
        if workers.failed:
            sys.exit(STARTUP_FAILED)
        return
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_by_itself()
    faulthandler.enable()
    heartbeat = Heartbeat(shared.heartbeats, shared.place)
    watch_alone(heartbeat, stall_seconds)
    server = WatchedServer(config, heartbeat)
    with suppress(KeyboardInterrupt):
        server.run([listener])
    if not server.started:
        sys.exit(STARTUP_FAILED)


@contextmanager
def _shared(files: Files, kept: KeptEpochs, log_format: str) -> Iterator[tuple[Shared, ControlLog]]:
    """What the processes share, which they find in their environment, and its control log."""
    try:
        shared = Shared.begin()
        make_room(shared.counts, 1)
        ControlLog.begin(shared.control_log, files.read(), kept)
    except (OSError, NotTold) as error:
        line = f"there is no room in memory for what the processes share: {error}"
        say(line, as_json=log_format == "json")
        sys.exit(1)
    shared.to_environment()
    try:
        with ControlLog(shared.control_log) as control_log:
            yield shared, control_log
    finally:
        del os.environ[SHARED]


def _logging(level: str, form: str) -> dict[str, Any]:
    """uvicorn's own configuration with a time in each line, and our loggers beside its own.

    The lines of requests and admins are whole already: they are fields, the time among them. As
    JSON, whatever any library logs is, too.
    """
    from uvicorn.config import LOGGING_CONFIG

    config: dict[str, Any] = deepcopy(LOGGING_CONFIG)
    config["formatters"]["default"]["fmt"] = "%(asctime)s %(levelprefix)s %(message)s"
    config["formatters"]["requests"] = {"format": "%(message)s"}
    config["handlers"]["requests"] = {**config["handlers"]["default"], "formatter": "requests"}
    config["loggers"]["uvicorn"]["level"] = level
    for name, least in (("request_log", level), ("admin_log", "INFO")):
        whole = {"handlers": ["requests"], "level": least, "propagate": False}
        config["loggers"][f"{SERVICE}.telemetry.{name}"] = whole
    config["loggers"][SERVICE] = {"handlers": ["default"], "level": level, "propagate": False}
    if form == "json":
        config["formatters"] = {name: {"()": JsonLines} for name in config["formatters"]}
        config["root"] = {"handlers": ["default"], "level": "WARNING"}
    return config
