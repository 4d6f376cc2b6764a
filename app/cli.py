"""The ``sluice`` command: reads its arguments, refuses wrong ones in a line, does what they say.

Help and wrong usage need none of the server's packages, which are imported by what needs them.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluice import __version__
from sluice.errors import CatalogError

if TYPE_CHECKING:
    from sluice.store import Filesystems
    from sluice.store.retry_policy import RetryPolicy

    from .settings import Settings

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

INSTALL: Final = "pip install 'sluice-zarr[server]'"
WRONG_USAGE = 2
# uvicorn's own status for a server that did not come to serve.
STARTUP_FAILED = 3
HEALTH_SECONDS = 5.0
_NEVER = 2**62


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` (the process's own without it); its exit status."""
    arguments = _parser().parse_args(argv)
    from .settings import PREFIX, fitted
    from .telemetry.logs import say

    serving = arguments.run is _run_serve
    try:
        settings = _settings(arguments)
        if arguments.run in (_run_serve, _run_check, _run_rechunk):
            settings = fitted(settings)
        if serving:
            _check_catalog(settings)
    except (ValueError, CatalogError) as error:
        # Settings that are wrong do not tell how to write of it.
        as_json = serving and os.environ.get(f"{PREFIX}LOG_FORMAT") == "json"
        say(str(error), as_json=as_json)
        return WRONG_USAGE
    status: int = arguments.run(settings, arguments)
    return status


def _run_serve(settings: Settings, arguments: argparse.Namespace) -> int:
    from .settings import misspelt_variables
    from .telemetry.logs import say

    for name, likely in misspelt_variables(os.environ).items():
        line = f"{name} sets nothing" + (f"; did you mean {likely}?" if likely else "")
        say(line, as_json=settings.log_format == "json", level="warning")
    if arguments.fd is None and (reason := _cannot_listen(settings.host, settings.port)):
        line = f"{_address(settings.host, settings.port)} cannot be listened on: {reason}"
        say(line, as_json=settings.log_format == "json")
        return STARTUP_FAILED
    from .server.run import run_server

    run_server(settings, arguments.fd, opening=arguments.open)
    return 0


def _cannot_listen(host: str, port: int) -> str | None:
    """Why nobody can listen there; asked before the packages are loaded that take seconds."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            if port:
                probe.listen()
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None


def _parser() -> argparse.ArgumentParser:
    # The library alone can say what there is, and how to have it.
    missing = find_spec("pydantic_settings") is None
    hint = f"The commands need the server's packages: {INSTALL}" if missing else None
    told = "Slices of Zarr stores over HTTP."
    parser = argparse.ArgumentParser("sluice", description=told, epilog=hint)
    parser.add_argument("--version", action="version", version=f"sluice {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    check = commands.add_parser("check", help="open every dataset and say what is wrong with it")
    check.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    check.add_argument("--strict", action="store_true", help="let warnings fail as errors do")
    check.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    each = "for each dataset (60)"
    check.add_argument("--patience", type=_positive, default=60, metavar="SECONDS", help=each)
    check.set_defaults(run=_run_check)
    _add_rechunk(commands)
    key = commands.add_parser("key", help="make an API key, and the line that makes it valid")
    key.add_argument("name", help="who holds it")
    key.add_argument("--admin", action="store_true", help="with the right to admin routes")
    key.add_argument("--metrics", action="store_true", help="with the right to read /metrics")
    key.add_argument("--datasets", metavar="ID,ID", help="for these only (all)")
    key.set_defaults(run=_run_key)
    health = commands.add_parser("health", help="ask a running server whether it lives")
    health.add_argument("--url", help="its address (without it: SLUICE_HOST and SLUICE_PORT)")
    health.set_defaults(run=_run_health)
    return parser


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser("serve", help="serve the datasets of a catalog, or stores by URL")
    serve.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    serve.add_argument("urls", nargs="*", metavar="URL", help="stores in the place of a catalog")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=_port, help="port to listen on (0: any free one)")
    serve.add_argument("--fd", type=_descriptor, help="a listening socket instead of the two")
    serve.add_argument("--workers", type=_positive, help="worker processes (1)")
    serve.add_argument("--open", action="store_true", help="show the page in a browser")
    serve.set_defaults(run=_run_serve)


def _add_rechunk(commands: Commands) -> None:
    rechunk = commands.add_parser("rechunk", help="copy a dataset into other chunks, for `also`")
    rechunk.add_argument("id", metavar="ID", help="a dataset of the catalog")
    told = "lengths by dimension: time=8760,latitude=12,longitude=12 (others stay as they are)"
    rechunk.add_argument("--chunks", required=True, help=told)
    rechunk.add_argument("to", metavar="TO", help="where to: a path, or a URL such as s3://…")
    rechunk.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    room = "for values (512MiB): more is faster"
    rechunk.add_argument("--memory", default="512MiB", metavar="SIZE", help=room)
    copied = "a complete copy that is there, of another version"
    rechunk.add_argument("--replace", action="store_true", help=copied)
    rechunk.set_defaults(run=_run_rechunk)


def _port(text: str) -> int:
    return _whole_number(text, 0, 65535)


def _positive(text: str) -> int:
    return _whole_number(text, 1, None)


def _descriptor(text: str) -> int:
    """The number of an open file descriptor that is a socket which listens."""
    number = _whole_number(text, 0, None)
    try:
        with socket.socket(fileno=os.dup(number)) as listener:
            listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except (OSError, OverflowError):
        listening = 0
    if not listening:
        raise argparse.ArgumentTypeError(f"{number} is not a socket that listens")
    return number


def _whole_number(text: str, least: int, most: int | None) -> int:
    """The number in `text`; what argparse says of another names the argument, not a function."""
    allowed = f"from {least} up" if most is None else f"from {least} to {most}"
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {allowed}")
    return number


def _settings(arguments: argparse.Namespace) -> Settings:
    """The environment's settings with what the command line says in their place."""
    from .settings import read_settings

    names = ("catalog", "host", "port", "workers")
    given = {name: getattr(arguments, name, None) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    urls = tuple(getattr(arguments, "urls", ()))
    if urls and "catalog" in given:
        raise ValueError("stores are named by a --catalog or by URLs, not by both")
    if urls or "catalog" in given:
        given["urls"] = urls
    return read_settings(given)


def _check_catalog(settings: Settings) -> None:
    from .catalog.configuration import Files
    from .catalog.control_log import KeptEpochs

    if not settings.urls and not settings.catalog.exists():
        raise CatalogError(
            f"{settings.catalog}: there is no such catalog file; name one with --catalog, or serve"
            " stores by their addresses: sluice serve URL [URL ...]"
        )
    files = Files(settings.catalog, settings.keys_file, settings.keys, settings.urls)
    files.parse(files.read())
    KeptEpochs.of(settings.catalog, settings.refreshes_file).read()


def _run_check(settings: Settings, arguments: argparse.Namespace) -> int:
    from sluice.arrays.member_documents import OpeningLimits
    from sluice.arrays.reader import Reader

    from .catalog.checking.command import run_check
    from .catalog.configuration import Files
    from .catalog.control_log import KeptEpochs
    from .catalog.listings import ListingLimits
    from .telemetry.logs import say

    try:
        return run_check(
            Files(settings.catalog, urls=settings.urls).read_catalog(),
            sys.stdout,
            listing=ListingLimits(*settings.listing_limits),
            form=arguments.format,
            strict=arguments.strict,
            patience_seconds=arguments.patience,
            request_chunk_bytes=min(settings.request_chunk_bytes, settings.inflight_bytes),
            store_concurrency=settings.store_concurrency,
            reader=Reader(
                cache_bytes=0,
                inline_bytes=settings.inline_decode_bytes,
                shard_index_bytes=settings.shard_index_bytes,
            ),
            connect=partial(_filesystems, settings),
            # To hear of a failure before a dataset's time ends.
            retry_policy=_retry_policy(settings, arguments.patience / 2),
            limits=OpeningLimits(**settings.store_limits),
            epochs=KeptEpochs.of(settings.catalog, settings.refreshes_file).read(),
        )
    except CatalogError as error:
        say(str(error))
        return WRONG_USAGE


def _retry_policy(settings: Settings, read_seconds: float) -> RetryPolicy:
    """Of commands: of many datasets in a store that fails, each says what it met."""
    from sluice.store.retry_policy import RetryPolicy

    return RetryPolicy(
        concurrency=settings.store_concurrency,
        attempts=settings.store_attempts,
        attempt_seconds=settings.store_attempt_seconds,
        read_seconds=read_seconds,
        failures=_NEVER,
        open_seconds=settings.circuit_open_seconds,
    )


def _run_rechunk(settings: Settings, arguments: argparse.Namespace) -> int:
    from sluice.arrays.member_documents import OpeningLimits

    from .catalog.configuration import Files
    from .catalog.control_log import KeptEpochs
    from .catalog.rechunking import CopyJob, bytes_in, chunks_in, run_rechunk
    from .telemetry.logs import say

    try:
        job = CopyJob(
            arguments.id,
            chunks_in(arguments.chunks),
            arguments.to,
            bytes_in(arguments.memory),
            arguments.replace,
        )
        return run_rechunk(
            Files(settings.catalog, urls=settings.urls).read_catalog(),
            job,
            sys.stdout,
            sys.stderr,
            epochs=KeptEpochs.of(settings.catalog, settings.refreshes_file).read(),
            store_concurrency=settings.store_concurrency,
            connect=partial(_filesystems, settings),
            retry_policy=_retry_policy(settings, settings.store_read_seconds),
            limits=OpeningLimits(**settings.store_limits),
        )
    except (ValueError, CatalogError) as error:
        say(str(error))
        return WRONG_USAGE


def _filesystems(settings: Settings) -> Filesystems:
    """What connects to stores as the settings say."""
    from sluice.store import Filesystems
    from sluice.store.blocking import BlockingThreads

    return Filesystems(
        document_bytes=settings.document_bytes,
        reference_bytes=settings.reference_bytes,
        threads=BlockingThreads(per_store=settings.threads, total=settings.blocking_threads),
    )


def _run_key(settings: Settings, arguments: argparse.Namespace) -> int:
    """The key, this once, on stderr and its line on stdout: ``sluice key NAME >>keys`` adds it."""
    from .catalog.configuration import RIGHTS, key_line, new_key
    from .telemetry.logs import say

    key = new_key()
    rights = [right for right in RIGHTS if getattr(arguments, right)]
    datasets = [name for name in (arguments.datasets or "").split(",") if name]
    if arguments.datasets is not None and not datasets:
        # Such as an unset variable of a script: not a key to everything.
        say("--datasets names no dataset; without it the key is for all")
        return WRONG_USAGE
    try:
        line = key_line(arguments.name, key, rights, datasets)
    except CatalogError as error:
        say(str(error))
        return WRONG_USAGE
    sys.stderr.write(f"{key}\n")
    sys.stdout.write(f"{line}\n")
    return 0


def _run_health(settings: Settings, arguments: argparse.Namespace) -> int:
    """0 when the server answers ``/healthz`` in time, else 1; either way it says so in a line."""
    # Imported here: the other verbs do without.
    from http.client import HTTPException
    from urllib.request import ProxyHandler, build_opener

    from .telemetry.logs import say

    url = (arguments.url or _own_address(settings)).rstrip("/") + "/healthz"
    try:
        # Past any proxy of the environment, which is for the stores and knows no loopback.
        build_opener(ProxyHandler({})).open(url, timeout=HEALTH_SECONDS).close()
    except (OSError, HTTPException, ValueError) as error:
        say(f"{url}: {error}")
        return 1
    sys.stdout.write(f"{url}: healthy\n")
    return 0


def _own_address(settings: Settings) -> str:
    from .server.page_address import LOOPBACK

    return f"http://{_address(LOOPBACK.get(settings.host, settings.host), settings.port)}"


def _address(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"
