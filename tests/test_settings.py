"""The settings: frozen, with units in their names, refused in one line, and documented."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from app.settings import PREFIX, Settings, misspelt_variables, read_settings
from loadtests.reference import as_variable

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests sets nothing."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def documented() -> dict[str, tuple[str, str]]:
    """Default and description by variable, from the page's tables."""
    row = r"^\| `(SLUICE_\w+)` \| (?:`([^`]+)`|none) \| (.+?) \|$"
    rows = re.findall(row, PAGE.read_text(), re.M)
    return {name: (default, description) for name, default, description in rows}


def test_every_setting_is_documented_as_it_is() -> None:
    """The page has each setting, its default and its description, and nothing else."""
    actual = {
        f"{PREFIX}{name.upper()}": (as_variable(field.default), field.description)
        for name, field in Settings.model_fields.items()
    }
    assert documented() == actual


@pytest.mark.parametrize(
    ("default", "written"),
    [(None, ""), ("", ""), (("a", "b"), "a,b"), (True, "true"), (2.5, "2.5"), (Path("x"), "x")],
)
def test_defaults_are_shown_as_variables(default: object, written: str) -> None:
    """As the environment would set them."""
    assert as_variable(default) == written


def test_the_environment_sets_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `SLUICE_` variable replaces a default, and what is given explicitly replaces both."""
    monkeypatch.setenv("SLUICE_THREADS", "7")
    monkeypatch.setenv("SLUICE_PORT", "9000")
    settings = read_settings({"port": 9001})
    assert (settings.threads, settings.port) == (7, 9001)


def test_settings_are_frozen() -> None:
    """No part of the program can change a setting for the others."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 5


def test_wrong_settings_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wrong value is reported by its variable's name, together."""
    monkeypatch.setenv("SLUICE_THREADS", "none")
    monkeypatch.setenv("SLUICE_FAILED_OPEN_SECONDS", "inf")
    with pytest.raises(ValueError, match=r"SLUICE_FAILED_OPEN_SECONDS: .*; SLUICE_THREADS: ") as it:
        read_settings({})
    assert "\n" not in str(it.value)


def test_an_unknown_argument_is_refused() -> None:
    """A setting that does not exist cannot be given by mistake."""
    with pytest.raises(ValueError, match="SLUICE_THREAD: Extra inputs"):
        read_settings({"thread": 5})


def test_misspelt_variables_are_found_with_a_suggestion() -> None:
    """A variable with our prefix that sets nothing is reported, others are not ours."""
    names = ["PATH", "SLUICE_THREADS", "sluice_port", "SLUICE_REQUEST_CHUNK_BYTE", "SLUICE_QQQ"]
    assert misspelt_variables(names) == {
        "SLUICE_REQUEST_CHUNK_BYTE": "SLUICE_REQUEST_CHUNK_BYTES",
        "SLUICE_QQQ": None,
    }
