"""A minute of load on loopback: ``python -m loadtests``; any wrong answer makes it exit with 1."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtests.ground import ROOT, NotReady, bucket, running, sluice, write_truth

FAILED = 1
INTERRUPTED = 130
SUMMARY, REPORT = "summary.json", "report.html"
# One kind of user each; a run in which one of them asked nothing has shown nothing.
NEEDED = ("point", "box, NetCDF")


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
            failed = load(arguments, folder, stack)
        return report(folder, failed=failed)
    except NotReady as error:
        say(f"load: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("load: interrupted; everything that was started has ended")
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser("loadtests", description="Load on loopback, checked.")
    found.add_argument("--users", type=int, default=20, help="a tenth of them scientists (20)")
    found.add_argument("--time", default="60s", help="how long they ask: 60s, 5m (60s)")
    found.add_argument("--workers", type=int, default=1, help="worker processes of Sluice (1)")
    found.add_argument(
        "--s3", choices=("auto", "radosgw", "moto"), default="auto", help="the S3 server (auto)"
    )
    found.add_argument(
        "--sample", type=Path, default=ROOT / ".sample", help="folder of the sample (.sample)"
    )
    found.add_argument("--url", help="load this running server and start none")
    found.add_argument(
        "--out", type=Path, default=ROOT / "build" / "load", help="report and logs (build/load)"
    )
    return found


def load(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> bool:
    """Whether any user was given a wrong answer; `stack` ends the servers."""
    environment = {"LOAD_SUMMARY": str(folder / SUMMARY)}
    address = arguments.url
    if address is None:
        store, values = sample(arguments.sample)
        environment["LOAD_TRUTH"] = str(values)
        s3 = stack.enter_context(bucket(arguments.s3, store, folder))
        address = stack.enter_context(sluice(s3.endpoint, folder, arguments.workers))
        say(f"load: Sluice at {address} reads the sample from {s3.server} at {s3.endpoint}")
    say(f"load: {arguments.users} users for {arguments.time} ...")
    command = locust(address, arguments.users, arguments.time, folder)
    with running(command, folder / "users.log", **environment) as users:
        return users.wait() != 0


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


def locust(address: str, users: int, time: str, folder: Path) -> list[str]:
    """The command of the users: a process of its own, for locust patches what it runs in."""
    script = Path(__file__).with_name("locustfile.py")
    many = ["--users", str(users), "--spawn-rate", str(max(1, users // 4)), "--run-time", time]
    files = ["--html", str(folder / REPORT)]
    quiet = ["--headless", "--only-summary", "--stop-timeout", "10"]
    return [sys.executable, "-m", "locust", "-f", str(script), "-H", address, *many, *files, *quiet]


def report(folder: Path, *, failed: bool) -> int:
    """Print the table, what failed, and where the report is; the exit status."""
    summary = folder / SUMMARY
    if not summary.exists():
        say(f"load: the users could not ask; their log is {folder / 'users.log'}")
        return FAILED
    figures = json.loads(summary.read_text(encoding="utf-8"))
    for line in table(figures["requests"]):
        say(line)
    for error in figures["errors"]:
        say(f"failed {error['times']} x {error['name']}: {error['error']}")
    unasked = set(NEEDED) - {row["name"] for row in figures["requests"]}
    if unasked:
        say(f"load: nobody asked for {' or '.join(sorted(unasked))}")
    say(f"load: the report is {folder / REPORT}")
    return FAILED if failed or unasked else 0


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
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
