"""``python -m app`` is the ``sluice`` command; without the server's packages, what to install."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from sluice import __version__

MISSING_SERVER: Final = 2
_INSTALL: Final = "pip install 'sluice-zarr[server]'"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command; without the server's packages, a line that says so."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "sluice":
            raise
        if (sys.argv[1:] if argv is None else list(argv)) == ["--version"]:
            sys.stdout.write(f"sluice {__version__}\n")
            return 0
        sys.stderr.write(f"sluice: {error.name} is not installed; the server needs: {_INSTALL}\n")
        return MISSING_SERVER
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
