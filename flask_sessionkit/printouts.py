"""What an operator reads of sessions, as lines of text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from .census import Census
from .roster import SessionInfo

#: Characters of the longest bar.
_BAR = 40


def table_of(rows: list[SessionInfo]) -> Iterator[str]:
    """Yield a table of sessions. Times in UTC; the device in words, by what it says of itself."""
    cells = [["handle", "login", "last seen", "expires", "address", "device"], *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def picture_of(found: Census) -> Iterator[str]:
    """Yield the counts of a census, and a bar for each age."""
    yield f"{found.live} live, {found.signed_in} of them signed in"
    yield f"{found.expired} expired, {found.ended} traces of ended ones, {found.unreadable} that cannot be opened"
    if found.median_size is not None:
        yield f"bytes of a live session: {found.median_size} in the median, {found.largest_size} at most"
    most = max(count for _, count in found.ages)
    before = 0.0
    for limit, count in found.ages:
        label = f"{_spelled(before)} and more" if limit is None else f"under {_spelled(limit)}"
        bar = "#" * -(-_BAR * count // most) if most else ""
        yield f"{label:<20}{count:>9}  {bar}".rstrip()
        before = limit or before


def _cells(row: SessionInfo) -> list[str]:
    from .devices.agents import agent_of  # the page of devices is loaded where it is used
    from .devices.texts import Texts

    times = [_moment(at) for at in (row.login_at, row.seen_at, row.expires_at)]
    return [row.handle, *times, _printable(row.address), _printable(Texts().device(agent_of(row.user_agent)))]


def _moment(at: float | None) -> str:
    if at is None:
        return "-"
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # a limit of a thousand centuries, or what somebody put in the store
        return "never"


def _printable(text: str) -> str:
    # Who can write to the store could plant what drives a terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in text) or "-"


def _spelled(seconds: float) -> str:
    days, hours = divmod(timedelta(seconds=seconds) // timedelta(hours=1), 24)
    number, unit = (days, "day") if days else (hours, "hour")
    return f"{number} {unit}" + ("" if number == 1 else "s")
