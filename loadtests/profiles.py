"""What a run of users looks like: how many there are when, and what their answers may be like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Requests whose time says how much was asked for, and not how the server is.
HEAVY = ("box, NetCDF", "box, CSV", "series, JSON", "stream, NetCDF", "stream, resumed")


@dataclass(frozen=True, slots=True)
class Stage:
    """So many `users` for so many `seconds`; where it is `judged`, its times have a limit."""

    seconds: int
    users: int
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """Stages, one after the other, and what makes the run fail.

    `p99_ms` is the most for the small requests of each judged stage, all taken together; `refused`
    is the share of all requests that may be told to come again later (429 and 503 with
    Retry-After), and `growth_mib` by how much the server's memory may grow after its first quarter.
    Of all answers a share is `looked` at in full: the users' process must not be the limit.
    """

    title: str
    stages: tuple[Stage, ...]
    p99_ms: float
    refused: float = 0.0
    growth_mib: float = 128.0
    looked: float = 1.0


# The first users open the dataset and read what is in memory afterwards.
WARM = 10

PROFILES: Mapping[str, Profile] = {
    "smoke": Profile(
        "all kinds of users, for a moment",
        (Stage(WARM, 20, judged=False), Stage(20, 20)),
        p99_ms=1000,
    ),
    "steady": Profile(
        "an ordinary day, in two minutes",
        (Stage(WARM, 100, judged=False), Stage(120, 100)),
        p99_ms=250,
    ),
    "spike": Profile(
        "a link that many follow at once",
        (
            Stage(WARM, 40, judged=False),
            Stage(20, 40),
            Stage(30, 400, judged=False),
            Stage(2 * WARM, 40, judged=False),
            Stage(20, 40),
        ),
        p99_ms=250,
        refused=0.2,
        looked=0.05,
    ),
    "soak": Profile(
        "an ordinary day, in half an hour",
        (Stage(WARM, 100, judged=False), Stage(1800, 100)),
        p99_ms=250,
    ),
}


def written(stages: tuple[Stage, ...]) -> str:
    """The stages as one word, for the users' process."""
    return ",".join(f"{stage.seconds}:{stage.users}" for stage in stages)


def read(text: str) -> tuple[Stage, ...]:
    """What `written` wrote, without what is judged."""
    pairs = (part.split(":") for part in text.split(","))
    return tuple(Stage(int(seconds), int(users)) for seconds, users in pairs)


def exceeded(profile: Profile, figures: Mapping[str, Any], memory: list[int]) -> Iterator[str]:
    """A sentence for each limit of `profile` that the `figures` of a run are beyond.

    `memory` has the server's bytes, taken at even intervals.
    """
    for stage, p99 in zip(profile.stages, figures["p99 of stages"], strict=False):
        if stage.judged and p99 is not None and p99 > profile.p99_ms:
            limit = f"at most {profile.p99_ms:.0f}"
            yield f"p99 of small requests is {p99:.0f} ms with {stage.users} users; {limit}"
    share = figures["refused"] / max(1, figures["asked"])
    if share > profile.refused:
        yield f"{share:.1%} of the requests were refused; at most {profile.refused:.0%}"
    grown = growth_mib(memory)
    if grown > profile.growth_mib:
        yield f"the server's memory grew by {grown:.0f} MiB; at most {profile.growth_mib:.0f}"


def growth_mib(memory: list[int]) -> float:
    """From the end of the first quarter to the end."""
    if len(memory) < 4:
        return 0.0
    return (memory[-1] - memory[len(memory) // 4]) / 2**20
