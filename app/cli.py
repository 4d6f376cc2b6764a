"""The ``sluice`` command: reads its arguments, refuses wrong ones in a line, starts the server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import CatalogError
from app.settings import PREFIX, Settings, misspelt_variables, read_settings

WRONG_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv` (the process's own without it); its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        _check_catalog(settings.catalog)
    except (ValueError, CatalogError) as error:
        _say(str(error))
        return WRONG_USAGE
    for name, likely in misspelt_variables(os.environ).items():
        _say(f"{name} sets nothing" + (f"; did you mean {likely}?" if likely else ""))
    _serve(settings, arguments.workers)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sluice", description="Slices of Zarr stores over HTTP.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve the datasets of a catalog")
    serve.add_argument("--catalog", type=Path, help="the YAML file that names the datasets")
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", type=_port, help="port to listen on (0: any free one)")
    serve.add_argument("--workers", type=_positive, default=1, help="worker processes (1)")
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
    given = {name: getattr(arguments, name) for name in ("catalog", "host", "port")}
    return read_settings({name: value for name, value in given.items() if value is not None})


def _check_catalog(path: Path) -> None:
    # Imported here, like the server below, so that wrong usage and --help answer at once.
    from app.catalog.catalog import load_catalog

    load_catalog(path)


def _serve(settings: Settings, workers: int) -> None:
    import uvicorn

    # The application is named, not handed over: worker processes import it and read the same
    # environment, so one way of starting serves one worker and many.
    os.environ[f"{PREFIX}CATALOG"] = str(settings.catalog.absolute())
    uvicorn.run(
        "app.api.app:create_app_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=workers,
    )


def _say(line: str) -> None:
    sys.stderr.write(f"sluice: {line}\n")
