"""wrk, which asks a web server for some seconds with the cookies of its visitors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .gunicorns import THREADS, WORKERS, Gunicorn

#: Two for each thread that answers.
CONNECTIONS = 2 * WORKERS * THREADS

_SCRIPT = Path(__file__).with_suffix(".lua")


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one turn.

    :param rate: requests a second.
    :param p50: milliseconds within which half of all answers came.
    :param p99: the same of all but one in a hundred.
    :param kept: which share of the changes that were sent was there afterwards; ``None``: nothing could be.
    """

    rate: float
    p50: float
    p99: float
    kept: float | None


def need() -> None:
    """End with what is to be installed, where there is no wrk."""
    if Gunicorn.find("wrk") is None:
        raise SystemExit("This needs wrk: apt-get install wrk")


def turn(server: Gunicorn, path: str, seconds: int, *, change_every: int) -> Turn:
    """Ask for so many seconds, and see that all answers were those of sessions.

    A view that looks for a session's value and finds none fails, and its answer is an error.

    :param change_every: one request in so many changes a value instead; 0: none.
    :raises AssertionError: an answer was an error, or the changes are not there.
    """
    is_changed = bool(change_every) and server.on_server
    before = server.changes
    told = _told(server, path, seconds, change_every)
    if told["failed"] or told["refused"] or not told["requests"]:
        raise AssertionError(f"{server} did not answer well: {told}\n{server.log()[-2000:]}")
    kept = (server.count() - before) / told["changes"] if is_changed else None
    if kept is not None and kept < 0.5:
        raise AssertionError(f"{server} kept {kept:.0%} of {told['changes']} changes.")
    return Turn(told["requests"] / told["duration"] * 1e6, told["p50"] / 1000, told["p99"] / 1000, kept)


def _told(server: Gunicorn, path: str, seconds: int, change_every: int) -> dict[str, int]:
    printed = server.run(
        *["wrk", "--threads", "1", "--connections", f"{CONNECTIONS}", "--duration", f"{seconds}s"],
        *["--script", str(_SCRIPT), f"http://{server.host}:{server.port}"],
        *["--", str(server.cookies), path, f"{change_every}"],
    )
    lines = [line.split() for line in printed.splitlines() if line.startswith("told ")]
    return {name: int(number) for _, name, number in lines}
