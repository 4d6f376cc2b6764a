"""The soak: a short one finds nothing wrong, and what is wrong is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.grid import Found, WrongAnswer
from loadtests.soak import main
from loadtests.soak_store import HOUR, LATITUDES, LONGITUDES, START, Asked, check, truth

PLACES = {"latitude": LATITUDES[:2], "longitude": LONGITUDES[:3]}
BOX = Asked(4, None, LATITUDES[:2], LONGITUDES[:3])


def box(first: int, hours: int = 4) -> Found:
    """A right answer to `BOX` from these hours."""
    labels = {"time": START + np.arange(first, first + hours) * HOUR, **PLACES}
    return Found({}, labels, {"v": truth(*np.ix_(*labels.values()))})


def test_a_short_soak_finds_nothing_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All kinds are asked and right while the store grows, and all that was written is there."""
    status = main(["0.18", "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert status == 0, said
    assert "2 appends" in said
    assert "wrong answers: 0" in said
    (reloads,) = (line for line in said.splitlines() if line.startswith("right after reloads"))
    assert int(reloads.rsplit(" ", 1)[1]) > 0
    seen = [line[18:].split()[0] for line in said.splitlines() if "faults  " in line]
    assert sum(map(int, seen)) == 2
    for kind in ("point, JSON", "series, JSON", "box, NetCDF", "stations, CSV"):
        asked, right = next(
            line[18:].split()[:2] for line in said.splitlines() if line.startswith(kind)
        )
        assert 0 < int(right) <= int(asked)


def test_a_right_answer_tells_its_version() -> None:
    """The last hour of an answer is how long the store was."""
    assert check(box(8), BOX) == 12


def test_wrong_answers_are_seen() -> None:
    """Values of another place or time, hours that are missing, places that were not asked for."""
    mixed = box(8)
    mixed.values["v"][-1] = truth(START, *np.ix_(*PLACES.values()))
    other = Asked(4, None, LATITUDES[1:3], LONGITUDES[:3])
    wrong = [
        (mixed, BOX, "do not belong"),
        (box(8, hours=3), BOX, "3 hours in place of 4"),
        (box(8), other, "places"),
        (box(8), Asked(4, 7, LATITUDES[:2], LONGITUDES[:3]), "in place of hour 7"),
    ]
    for found, asked, reason in wrong:
        with pytest.raises(WrongAnswer, match=reason):
            check(found, asked)
