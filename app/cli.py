"""The ``sluice`` command: reads its arguments, refuses wrong ones in a line, does what they say."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import CatalogError
from app.settings import Settings, misspelt_variables, read_settings

WRONG_USAGE = 2
HEALTH_SECONDS = 5.0
# Addresses that stand for every interface, and where such a server is met from its own machine.
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` (the process's own without it); its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        if arguments.run is _run_serve:
            _check_catalog(settings.catalog)
    except (ValueError, CatalogError) as error:
        _say(str(error))
        return WRONG_USAGE
    status: int = arguments.run(settings, arguments)
    return status


def _run_serve(settings: Settings, arguments: argparse.Namespace) -> int:
    for name, likely in misspelt_variables(os.environ).items():
        _say(f"{name} sets nothing" + (f"; did you mean {likely}?" if likely else ""))
    # Imported here, so that wrong usage and --help answer at once.
    from app.server import run_server

    run_server(settings, arguments.workers)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sluice", description="Slices of Zarr stores over HTTP.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the datasets of a catalog")
    serve.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=_port, help="port to listen on (0: any free one)")
    serve.add_argument("--workers", type=_positive, default=1, help="worker processes (1)")
    serve.set_defaults(run=_run_serve)
    check = commands.add_parser("check", help="open every dataset and say what is wrong with it")
    check.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    check.add_argument("--strict", action="store_true", help="let warnings fail as errors do")
    check.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    check.add_argument(
        "--patience", type=_positive, default=60, metavar="SECONDS", help="for each dataset (60)"
    )
    check.set_defaults(run=_run_check)
    health = commands.add_parser("health", help="ask a running server whether it lives")
    health.add_argument("--url", help="its address (without it: SLUICE_HOST and SLUICE_PORT)")
    health.set_defaults(run=_run_health)
    return parser


def _port(text: str) -> int:
    return _whole_number(text, 0, 65535)


def _positive(text: str) -> int:
    return _whole_number(text, 1, None)


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
    given = {name: getattr(arguments, name, None) for name in ("catalog", "host", "port")}
    return read_settings({name: value for name, value in given.items() if value is not None})


def _check_catalog(path: Path) -> None:
    # Imported here, like the server below, so that wrong usage and --help answer at once.
    from app.catalog.catalog import load_catalog

    load_catalog(path)


def _run_check(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.catalog.checking.command import run_check

    try:
        return run_check(
            settings.catalog,
            sys.stdout,
            form=arguments.format,
            strict=arguments.strict,
            patience_seconds=arguments.patience,
            request_chunk_bytes=settings.request_chunk_bytes,
            store_concurrency=settings.store_concurrency,
            inline_decode_bytes=settings.inline_decode_bytes,
        )
    except CatalogError as error:
        _say(str(error))
        return WRONG_USAGE


def _run_health(settings: Settings, arguments: argparse.Namespace) -> int:
    """0 when the server answers ``/healthz`` in time, else 1; either way it says so in a line."""
    # Imported here: the other verbs do without.
    from http.client import HTTPException
    from urllib.request import ProxyHandler, build_opener

    url = (arguments.url or _own_address(settings)).rstrip("/") + "/healthz"
    try:
        # Past any proxy of the environment, which is for the stores and knows no loopback.
        build_opener(ProxyHandler({})).open(url, timeout=HEALTH_SECONDS).close()
    except (OSError, HTTPException, ValueError) as error:
        _say(f"{url}: {error}")
        return 1
    sys.stdout.write(f"{url}: healthy\n")
    return 0


def _own_address(settings: Settings) -> str:
    host = LOOPBACK.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _say(line: str) -> None:
    sys.stderr.write(f"sluice: {line}\n")
