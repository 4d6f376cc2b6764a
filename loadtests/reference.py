"""The parts of `docs/` that are made from the code; `./run docs` writes them anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings

from app.doors.native.options import formats_table, options_table
from app.settings import PREFIX, Settings
from app.settings.limits import OpeningSettings, RequestSettings, StoreSettings, WorkSettings
from app.telemetry.metrics import metrics_table

DOCS: Final = Path(__file__).parent.parent / "docs"
COMMAND: Final = "./run docs"
SETTINGS_INTRODUCTION: Final = """\
# Settings

Every setting is an environment variable, and has its unit in its name. Numbers are per worker
process. Wrong values are refused at the start, in one line that names the variable; the log warns
of a variable with the prefix that sets nothing, and says which one was probably meant. What one
dataset may have is in its entry of the [catalog](catalog.md). This page is made from the code by
`./run docs`, and a test holds it to the code.
"""
# Where settings stand: those of a class, under a heading.
GROUPS: Final[dict[str, type[BaseSettings]]] = {
    "The service": Settings,
    "Requests and connections": RequestSettings,
    "Reading stores": StoreSettings,
    "Threads, memory for chunks, inline work": WorkSettings,
    "Opened datasets": OpeningSettings,
}


def settings_page() -> str:
    """All of ``docs/settings.md``."""
    parts = [SETTINGS_INTRODUCTION]
    for heading, group in GROUPS.items():
        rows = "\n".join(_setting_rows(group))
        parts.append(f"## {heading}\n\n| variable | default | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _setting_rows(group: type[BaseSettings]) -> Iterator[str]:
    for name in group.__annotations__:
        if name in group.model_fields:
            field = group.model_fields[name]
            default = as_variable(field.default)
            shown = f"`{default}`" if default else "none"
            yield f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |"


def as_variable(default: object) -> str:
    """A default as the environment would set it."""
    match default:
        case None:
            return ""
        case tuple():
            return ",".join(default)
        case bool():
            return str(default).lower()
        case _:
            return str(default)


def with_table(page: str, what: str, table: str) -> str:
    """A page with a table between the marks of `what`."""
    before, begin, rest = page.partition(f"<!-- {what}: written by {COMMAND} -->\n")
    _, end, after = rest.partition(f"<!-- end of {what} -->\n")
    assert begin
    assert end
    return f"{before}{begin}\n{table.rstrip()}\n\n{end}{after}"


# How each page is made of what it was.
PAGES: Final[dict[str, Callable[[str], str]]] = {
    "settings.md": lambda page: settings_page(),
    "operations.md": lambda page: with_table(page, "metrics", metrics_table()),
    "formats.md": lambda page: with_table(page, "formats", formats_table()),
    "query.md": lambda page: with_table(page, "options", options_table()),
}


def main() -> int:
    """Write what is made from the code; the exit status."""
    for name, made_of in PAGES.items():
        path = DOCS / name
        path.write_text(made_of(path.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
