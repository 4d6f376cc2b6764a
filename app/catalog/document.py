"""The text of a catalog as plain fields: its YAML, ``${NAME}``, and what entries have in common."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

import yaml

from sluice.aliases import Document
from sluice.errors import CatalogError


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would keep the last one.

    And what is no value of its type, such as the date `2024-13-01`, with the line that it is in.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # It is not repeated: it may be a password that happens to look like a number.
            problem = "a number, time or truth is written here that is none; in quotes it is a text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[object] = set()
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


def parse_document(path: Path, text: str) -> object:
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


# In this order: the escape, a reference, and a reference that was begun but names no variable.
_MARKS = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def filled(value: object, environment: Mapping[str, str], *, field: str) -> object:
    """`value` with each ``${NAME}`` in it replaced by that variable of `environment`.

    Strings at any depth of mappings and lists are looked at, keys of mappings are not. What is put
    in is text and is not looked at again. ``$${`` stands for ``${`` itself; any other ``$`` stays.

    Raises CatalogError for a variable that is not set and for a ``${`` that names none; it carries
    the dotted path below `field`, and no value.
    """
    match value:
        case str():
            return _MARKS.sub(lambda mark: _meant(mark, environment, field), value)
        case Mapping():
            return {
                name: filled(inner, environment, field=f"{field}.{name}" if field else str(name))
                for name, inner in value.items()
            }
        case list():
            return [
                filled(inner, environment, field=f"{field}.{place}")
                for place, inner in enumerate(value)
            ]
        case _:
            return value


def filled_fields(fields: Document, environment: Mapping[str, str]) -> Document:
    """The fields of an entry, each as `filled` has it; raises as that does."""
    return {name: filled(inner, environment, field=str(name)) for name, inner in fields.items()}


def _meant(mark: re.Match[str], environment: Mapping[str, str], field: str) -> str:
    if mark[0] == "$${":
        return "${"
    variable = mark[1]
    if variable is None:
        # The text is not repeated: it may be a password that happens to hold these signs.
        raise CatalogError(
            "a variable of the environment is written ${NAME}, the text '${' itself '$${'",
            field=field,
        )
    if variable not in environment:
        raise CatalogError(
            f"the environment variable {variable} is not set", field=field, variable=variable
        )
    return environment[variable]


DEFAULTS: Final = "defaults"
_MERGED: Final = "storage_options"


def inherited(defaults: Document, own: Document) -> dict[str, object]:
    """The fields of an entry: its `own`, and of the `defaults` those that it does not have.

    Storage options are joined option by option, at every depth. An own one that is null takes an
    inherited one away, and `storage_options: null` all of them.
    """
    fields = {**defaults, **own}
    if _MERGED in defaults and _MERGED in own:
        fields[_MERGED] = _joined(defaults[_MERGED], own[_MERGED])
    return fields


def _joined(inherited: object, own: object) -> object:
    if own is None:
        return {}
    if not isinstance(inherited, Mapping) or not isinstance(own, Mapping):
        return own
    joined = dict(inherited)
    for name, value in own.items():
        if name not in inherited:
            joined[name] = value
        elif value is None:
            del joined[name]
        else:
            joined[name] = _deeper(inherited[name], value)
    return joined


def _deeper(inherited: object, own: object) -> object:
    both = isinstance(inherited, Mapping) and isinstance(own, Mapping)
    return _joined(inherited, own) if both else own
