"""``python -m app`` is the ``sluice`` command; without the server's packages, what to install."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli import INSTALL, WRONG_USAGE
from .cli import main as run


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command; a line says which package it needs and does not find."""
    try:
        return run(argv)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "sluice":
            raise
        sys.stderr.write(f"sluice: {error.name} is not installed; the server needs: {INSTALL}\n")
        return WRONG_USAGE


if __name__ == "__main__":
    sys.exit(main())
