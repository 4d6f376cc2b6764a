"""Profiles: their stages travel as text, and each limit that is passed is named."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.profiles import PROFILES, Profile, Stage, exceeded, growth_mib, read, written

MIB = 2**20
PROFILE = Profile(
    "two stages",
    (Stage(5, 10, judged=False), Stage(20, 40)),
    p99_ms=250,
    refused=0.1,
    growth_mib=64,
)


def figures(**other: Any) -> dict[str, Any]:
    return {"p99 of stages": [900.0, 250.0], "refused": 10, "asked": 100, **other}


@pytest.mark.parametrize("name", PROFILES)
def test_stages_travel_as_text(name: str) -> None:
    """What the users' process reads has the same seconds and users."""
    stages = PROFILES[name].stages
    found = [(stage.seconds, stage.users) for stage in read(written(stages))]
    assert found == [(stage.seconds, stage.users) for stage in stages]


def test_what_is_within_the_limits_passes() -> None:
    """A limit itself is within, and a stage that is not judged may be slow."""
    assert list(exceeded(PROFILE, figures(), [MIB] * 8)) == []


@pytest.mark.parametrize(
    ("other", "memory", "said"),
    [
        ({"p99 of stages": [9.0, 251.0]}, [], "p99 of small requests is 251 ms with 40 users"),
        ({"refused": 11}, [], "11.0% of the requests were refused; at most 10%"),
        ({}, [MIB, MIB, 2 * MIB, 80 * MIB], "grew by 79 MiB; at most 64"),
    ],
)
def test_each_limit_that_is_passed_is_named(
    other: dict[str, Any], memory: list[int], said: str
) -> None:
    """One sentence, with the figure and its limit."""
    (sentence,) = exceeded(PROFILE, figures(**other), memory)
    assert said in sentence


def test_growth_begins_after_the_first_quarter() -> None:
    """What a start takes is none, nor what was never measured."""
    assert growth_mib([10 * MIB, 90 * MIB, 90 * MIB, 91 * MIB]) == 1.0
    assert growth_mib([]) == 0.0
