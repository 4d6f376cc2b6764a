"""Users on loopback: ``python -m loadtests [PROFILE]``; beyond its limits it exits with 1."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loadtests.ground import ROOT, NotReady, bucket, running, sluice, threadpool, write_truth
from loadtests.profiles import PROFILES, Profile, Stage, exceeded, growth_mib, written

FAILED = 1
INTERRUPTED = 130
SUMMARY, REPORT = "summary.json", "report.html"
# One kind of user each; a run in which one of them asked nothing has shown nothing.
NEEDED = ("point", "box, NetCDF")
UNITS = {"s": 1, "m": 60, "h": 3600}
# How many users are held: tried with so many at first, within this limit, as near as a tenth.
HELD = "held"
HELD_FIRST, HELD_P99_MS, HELD_NEAR = 50, 250.0, 1.1
# A user of each kind that both servers know.
HELD_LEAST = 2
HELD_WARM_SECONDS, HELD_SECONDS = 8, 15
# Of all answers so many are looked at in full: the users' own process must not be the limit.
HELD_LOOKED = 0.05
# Beyond it the users' own process is what takes the time.
BUSY = 0.9


def main(argv: Sequence[str] | None = None) -> int:
    """Start what the load stands on, let the users ask, report; the exit status."""
    arguments = parser().parse_args(argv)
    # Both end everything in order; a shell may have us started with Ctrl-C ignored.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    folder: Path = arguments.out.absolute()
    # A report of an earlier run must not be taken for this one's.
    for name in (SUMMARY, REPORT, "users.log", "server.log", "s3.log"):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            ground = stand(arguments, folder, stack)
            return find_held(ground) if arguments.profile == HELD else load(ground, arguments)
    except NotReady as error:
        say(f"load: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("load: interrupted; everything that was started has ended")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser("loadtests", description="Load on loopback, checked.")
    found.add_argument(
        "profile", nargs="?", choices=(*PROFILES, HELD), help="users and limits that are known"
    )
    found.add_argument("--users", type=int, default=20, help="how many, without a profile (20)")
    found.add_argument("--time", default="60s", help="how long they ask: 60s, 5m (60s)")
    found.add_argument("--workers", type=int, default=1, help="worker processes of Sluice (1)")
    found.add_argument(
        "--s3", choices=("auto", "radosgw", "moto"), default="auto", help="the S3 server (auto)"
    )
    found.add_argument(
        "--server", choices=("sluice", "threadpool"), default="sluice", help="who is asked (sluice)"
    )
    found.add_argument(
        "--plain", action="store_true", help="only users whom the thread pool can answer, too"
    )
    found.add_argument(
        "--sample", type=Path, default=ROOT / ".sample", help="folder of the sample (.sample)"
    )
    found.add_argument("--url", help="load this running server and start none")
    found.add_argument(
        "--out", type=Path, default=ROOT / "build" / "load", help="report and logs (build/load)"
    )
    return found


@dataclass(frozen=True, slots=True)
class Ground:
    """Who is asked: `pid` is None where the server is not ours; and what the users are told."""

    address: str
    pid: int | None
    folder: Path
    told: Mapping[str, str]


def stand(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> Ground:
    """The servers; `stack` ends them."""
    told = {"LOAD_SUMMARY": str(folder / SUMMARY)}
    if arguments.plain or arguments.server == "threadpool":
        told["LOAD_PLAIN"] = "1"
    if arguments.profile is not None:
        known = PROFILES.get(arguments.profile)
        told["LOAD_LOOKED"] = str(known.looked if known else HELD_LOOKED)
    if arguments.url is not None:
        return Ground(arguments.url, None, folder, told)
    store, values = sample(arguments.sample)
    s3 = stack.enter_context(bucket(arguments.s3, store, folder))
    if arguments.server == "threadpool":
        server = threadpool(s3.endpoint, folder)
    else:
        server = sluice(s3.endpoint, folder, arguments.workers)
    pid, address = stack.enter_context(server)
    say(f"load: {arguments.server} at {address} reads from {s3.server} at {s3.endpoint}")
    return Ground(address, pid, folder, {**told, "LOAD_TRUTH": str(values)})


def sample(folder: Path) -> tuple[Path, Path]:
    """The demo's store in `folder` and its true values; made unless an earlier run did."""
    store, values = folder / "analyses.zarr", folder / "truth"
    if not store.exists():
        from demo.sample import write_sample

        say("load: writing the sample store ...")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(values, ignore_errors=True)
        write_sample(store)
    write_truth(store, values)
    return store, values


def load(ground: Ground, arguments: argparse.Namespace) -> int:
    """One run, its table, and what was beyond a limit; the exit status."""
    if arguments.profile is None:
        stages = (Stage(seconds(arguments.time), arguments.users),)
        profile = Profile("as asked for", stages, p99_ms=math.inf, growth_mib=math.inf)
    else:
        profile = PROFILES[arguments.profile]
    say(f"load: {profile.title}: {as_said(profile.stages)} ...")
    failed, figures, memory = asked(ground, profile.stages)
    if figures is None:
        say(f"load: the users could not ask; their log is {ground.folder / 'users.log'}")
        return FAILED
    found = [*told(figures), *exceeded(profile, figures, memory)]
    for line in (*table(figures["requests"]), *closing(figures, memory), *found):
        say(line)
    say(f"load: the report is {ground.folder / REPORT}")
    return FAILED if failed or found else 0


def seconds(text: str) -> int:
    """The seconds of `60s`, `5m` or `1h`."""
    unit = UNITS.get(text[-1:])
    return int(text[:-1]) * unit if unit else int(text)


def as_said(stages: Sequence[Stage]) -> str:
    """The stages in words."""
    return ", then ".join(f"{stage.users} users for {stage.seconds} s" for stage in stages)


def asked(
    ground: Ground, stages: tuple[Stage, ...]
) -> tuple[bool, dict[str, Any] | None, list[int]]:
    """Let the users ask: whether any answer was wrong, the figures, and the server's memory.

    The figures are None where they could not even begin.
    """
    summary = ground.folder / SUMMARY
    summary.unlink(missing_ok=True)
    environment = {**ground.told, "LOAD_STAGES": written(stages)}
    command = locust(ground.address, ground.folder / REPORT)
    with running(command, ground.folder / "users.log", **environment) as users:
        memory = watched(users, ground.pid)
    figures = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else None
    return users.returncode != 0, figures, memory


def locust(address: str, html: Path) -> list[str]:
    """The command of the users: a process of its own, for locust patches what it runs in."""
    script = Path(__file__).with_name("locustfile.py")
    quiet = ["--headless", "--only-summary", "--stop-timeout", "10", "--html", str(html)]
    return [sys.executable, "-m", "locust", "-f", str(script), "-H", address, *quiet]


def watched(users: subprocess.Popen[bytes], pid: int | None) -> list[int]:
    """Wait for the users; the bytes that the server and its workers hold, each second."""
    memory: list[int] = []
    while True:
        with suppress(subprocess.TimeoutExpired):
            users.wait(timeout=1)
            return memory
        if pid is not None:
            server = psutil.Process(pid)
            family = (server, *server.children(recursive=True))
            memory.append(sum(process.memory_info().rss for process in family))


def told(figures: Mapping[str, Any]) -> Iterator[str]:
    """A line for each kind of wrong answer, and for users who asked nothing."""
    for error in figures["errors"]:
        yield f"failed {error['times']} x {error['name']}: {error['error']}"
    unasked = set(NEEDED) - {row["name"] for row in figures["requests"]}
    if unasked:
        yield f"load: nobody asked for {' or '.join(sorted(unasked))}"


def closing(figures: Mapping[str, Any], memory: list[int]) -> Iterator[str]:
    """What the table does not have."""
    p99 = ", ".join(_number(value) for value in figures["p99 of stages"])
    yield f"small requests: p99 {p99} ms; refused {figures['refused']} of {figures['asked']}"
    if memory:
        most, grown = max(memory) / 2**20, growth_mib(memory)
        since = f"{grown:+.0f} MiB since the first quarter"
        yield f"the server's memory: {most:.0f} MiB at most, {since}"


def find_held(ground: Ground) -> int:
    """Try ever more users, then between; the exit status is 1 where not even a few are held."""
    held, lost, tried = 0, math.inf, HELD_FIRST
    while lost > max(held * HELD_NEAR, HELD_LEAST):
        stages = (Stage(HELD_WARM_SECONDS, tried, judged=False), Stage(HELD_SECONDS, tried))
        failed, figures, _ = asked(ground, stages)
        if figures is None:
            say(f"load: the users could not ask; their log is {ground.folder / 'users.log'}")
            return FAILED
        good, line = judged(tried, figures, wrong=failed)
        say(line)
        if good:
            held = tried
        else:
            lost = tried
        tried = 2 * tried if lost == math.inf else round((held + lost) / 2)
    say(f"held at p99 <= {HELD_P99_MS:.0f} ms: {held} users")
    return 0 if held else FAILED


def judged(users: int, figures: Mapping[str, Any], *, wrong: bool) -> tuple[bool, str]:
    """Whether so many users are held, and the line that says why."""
    p99 = figures["p99 of stages"][-1]
    refused = figures["refused"]
    good = not wrong and not refused and p99 is not None and p99 <= HELD_P99_MS
    rate = sum(row["per s"] for row in figures["requests"])
    busy = figures["cpu"] / (HELD_WARM_SECONDS + HELD_SECONDS)
    line = f"{users:6} users: {rate:6.0f} requests/s, p99 {_number(p99):>5} ms, refused {refused}"
    line += ", wrong answers" if wrong else ""
    return good, line + (" (the users' own process is at its limit)" if busy > BUSY else "")


def table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line of titles and one for each kind of request."""
    titles = ("asked", "failed", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms")
    yield f"{'':18}" + "".join(f"{title:>9}" for title in titles)
    for row in rows:
        yield f"{row['name']:18}" + "".join(f"{_number(row[title]):>9}" for title in titles)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
