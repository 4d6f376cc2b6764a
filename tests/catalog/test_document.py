"""The YAML of a catalog, and the environment's variables in its strings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.document import filled, parse_document
from sluice.errors import CatalogError

ENVIRONMENT = {"NAME": "value", "_n1": "other", "EMPTY": "", "NESTED": "${NAME}"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a${NAME}b${_n1}c", "avaluebotherc"),
        ("[${EMPTY}]", "[]"),
        ("${NESTED}", "${NAME}"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$${", "${"),
        ("$", "$"),
        ("$$", "$$"),
        ("$NAME", "$NAME"),
        ("pa$$word$", "pa$$word$"),
        ("{NAME}", "{NAME}"),
    ],
)
def test_a_reference_becomes_its_value(text: str, meant: str) -> None:
    """References are replaced once, their escape is the text itself, other signs stay."""
    assert filled(text, ENVIRONMENT, field="title") == meant


@pytest.mark.parametrize("value", [None, True, 5, 2.5, [1, {"a": [False]}], {1: {"b": None}}])
def test_what_is_no_text_stays(value: object) -> None:
    """Only strings are looked at; everything else keeps its type and value."""
    assert filled(value, {}, field="") == value


def test_keys_stay() -> None:
    """The names of fields and options are never replaced."""
    assert filled({"${NAME}": "${NAME}"}, ENVIRONMENT, field="") == {"${NAME}": "value"}


@pytest.mark.parametrize("text", ["${}", "${", "${NAME", "${1}", "${NA-ME}", "${NAME:-x}", "${ }"])
def test_a_reference_that_names_nothing_is_refused(text: str) -> None:
    """What looks like a reference and is none is refused without being repeated."""
    with pytest.raises(CatalogError, match=r"is written \$\{NAME\}") as caught:
        filled({"a": ["", f"hush {text}"]}, ENVIRONMENT, field="")
    assert caught.value.facts == {"field": "a.1"}
    assert "hush" not in str(caught.value)


@given(st.text(alphabet="${}NAM E", max_size=20))
def test_every_text_can_be_written(text: str) -> None:
    """Whatever the text, with its `${` escaped it stands for itself."""
    assert filled(text.replace("${", "$${"), {}, field="") == text


@pytest.mark.parametrize(
    "value",
    ["2024-13-45", "0x_", "9" * 5000, '!!int ""', "!!float x", "!!bool maybe", "!!timestamp then"],
)
def test_what_is_no_value_of_its_type_is_refused_with_its_line(value: str) -> None:
    """YAML's types are guessed from the text; it is not repeated, since it may be a password."""
    with pytest.raises(CatalogError, match="line 2: a number, time or truth") as caught:
        parse_document(Path("c.yaml"), f"a: 1\nb: {value}\n")
    assert value not in str(caught.value)
