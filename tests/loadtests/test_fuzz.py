"""The fuzz: a short one finds nothing, and each kind of bad answer is a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.fuzz import main
from loadtests.fuzz_answers import DEADLINE_SECONDS, Answer, Fault, check, check_talk
from loadtests.fuzz_requests import Request
from loadtests.fuzz_talks import HIDDEN_ID, Talk

PROBLEM = "application/problem+json"


def test_no_request_is_answered_badly(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """300 requests, always the same: no 5xx, no other error than a problem, no growth."""
    arguments = ["300", "--seed", "1", "--sample", str(sample), "--out", str(tmp_path / "out")]
    status = main(arguments)
    said = capsys.readouterr().out
    assert status == 0, said
    counts = {line[:-8].strip(): int(line[-8:]) for line in said.splitlines() if "status" in line}
    # Several may go over one connection.
    assert sum(counts.values()) > 300
    # Neither are all refused, nor all meant.
    assert counts["status 200"] > 30
    assert counts["status 400"] > 30


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("GET", 500, PROBLEM, b'{"status": 500}', 0.1), "500"),
        (Answer("GET", 400, "text/plain", b"no", 0.1), "of type"),
        (Answer("GET", 404, PROBLEM, b'{"status": 400}', 0.1), "calls itself 400"),
        (Answer("GET", 200, "application/json", b'{"a": NaN}', 0.1), "NaN is not JSON"),
        (Answer("POST", 200, "application/json; charset=utf-8", b"{", 0.1), "not JSON"),
        (
            Answer(
                "GET",
                200,
                "application/json",
                b"""{"dims": {"x": 2}, "coords": {},
                "data_vars": {"v": {"dims": ["x", "x"], "data": [[1, 2, 3], [4, 5, 6]]}}}""",
                0.1,
            ),
            "v is not as long along x",
        ),
        (Answer("HEAD", 200, "application/json", b"", DEADLINE_SECONDS + 1), " s for a 200"),
    ],
)
def test_bad_answers_are_faults(answer: Answer, reason: str) -> None:
    """What the fuzz looks for, it sees."""
    with pytest.raises(Fault, match=reason):
        check(answer)


def answers(*statuses: int, request_id: str = "") -> list[Answer]:
    return [Answer("GET", status, PROBLEM, b"", 0.1, request_id) for status in statuses]


def test_each_request_of_a_talk_is_answered() -> None:
    """But for those after one that is refused, and none that may be a part of a body."""
    talk = Talk(b"", ("GET", "GET"))
    check_talk(talk, answers(200, 404))
    check_talk(talk, answers(400))
    for wrong in ([], answers(200), answers(200, 200, 400)):
        with pytest.raises(Fault, match="answers to 2 requests"):
            check_talk(talk, wrong)
    with pytest.raises(Fault, match="part of a body"):
        check_talk(Talk(b"", ("GET",), doubtful=True), answers(200, request_id=HIDDEN_ID))


def test_requests_are_whole() -> None:
    """The length of the body is in the head, and nothing follows the body."""
    request = Request(b"POST", b"/x", ((b"A", b"b"),), b"body")
    head, _, body = request.encoded().partition(b"\r\n\r\n")
    assert body == b"body"
    assert head.splitlines()[0] == b"POST /x HTTP/1.1"
    assert b"Content-Length: 4" in head.splitlines()
