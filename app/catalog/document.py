"""YAML text -> plain mappings, with errors that name the line."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from sluice.errors import CatalogError


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            # Merged keys (`<<`) come later, in super(); only what is written here can repeat here.
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                problem = f"the key {name!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_text(path: Path) -> str:
    """The text in `path`; raises CatalogError when the file is missing or unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CatalogError(f"{path}: there is no such catalog file") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CatalogError(f"{path}: the catalog cannot be read: {reason}") from error


def parse_document(path: Path, text: str) -> Any:
    """The YAML document in `text`, which came from `path`, as plain values.

    Raises CatalogError when it is not YAML (then with its line), and when it is nested too deeply.
    """
    try:
        # The loader is safe: it subclasses SafeLoader and adds a refusal.
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join((error.problem or error.context or "not YAML").split())
        raise CatalogError(f"{path}: line {line}: {problem}", line=line) from error
    except yaml.YAMLError as error:
        raise CatalogError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        # Without its cause, whose traceback has a line for every bracket.
        raise CatalogError(f"{path}: nested too deeply; no catalog needs that") from None
