"""How many sessions there are, how large and how old: counts, and nothing of any one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from .contents import Kind
from .policy import Limits
from .revocations import Revocations
from .server_backend import ServerBackend

#: Seconds since the login (else the creation) below which live sessions are counted together.
_AGES: Final = (3600.0, 12 * 3600.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0)


class Sample(Struct, frozen=True):
    """One record, or one session of a user's standing.

    :param kind: ``None`` for a record that no secret of the ring opens.
    :param is_over: a session that is past its end.
    :param age: seconds since the login, else the creation.
    :param size: bytes in the store; ``None`` where it lies in a browser.
    """

    kind: Kind | None
    is_over: bool = False
    is_signed_in: bool = False
    age: float = 0.0
    size: int | None = None


class Census(Struct, frozen=True):
    """What is in a store.

    :param live: sessions that a request could use.
    :param signed_in: those of them that are bound to a user.
    :param expired: sessions past their end that nobody has removed yet.
    :param ended: traces of sessions that ended or were renewed a short while ago.
    :param unreadable: another application's records, or ones of a secret that was dropped.
    :param median_size: bytes of a live session; ``None`` where there is none, or it lies in a browser.
    :param largest_size: the same.
    :param ages: how many live sessions are younger than so many seconds and older than the one before; ``None``: all
        that are older.
    """

    live: int
    signed_in: int
    expired: int
    ended: int
    unreadable: int
    median_size: int | None
    largest_size: int | None
    ages: list[tuple[float | None, int]]


def census(samples: Iterator[Sample]) -> Census:
    """Return the counts of samples. Keeps none of them: its memory does not grow with their number."""
    counts: Counter[str] = Counter()
    sizes: Counter[int] = Counter()
    ages: Counter[float | None] = Counter()
    for sample in samples:
        if sample.kind is not Kind.LIVE:
            counts["unreadable" if sample.kind is None else "ended"] += 1
        elif sample.is_over:
            counts["expired"] += 1
        else:
            counts["live"] += 1
            counts["signed_in"] += sample.is_signed_in
            ages[next((limit for limit in _AGES if sample.age < limit), None)] += 1
            if sample.size is not None:
                sizes[sample.size] += 1
    return Census(
        live=counts["live"],
        signed_in=counts["signed_in"],
        expired=counts["expired"],
        ended=counts["ended"],
        unreadable=counts["unreadable"],
        median_size=_median(sizes),
        largest_size=max(sizes, default=None),
        ages=[(limit, ages[limit]) for limit in (*_AGES, None)],
    )


def samples_of_records(
    backend: ServerBackend, *, now: float, limits: Callable[[Mapping[str, bytes]], Limits]
) -> Iterator[Sample] | None:
    """Return what lies in a store, judged as a request would; ``None`` if the store cannot be walked.

    :param limits: of a session with this data, today.
    """
    records = backend.scan()
    if records is None:
        return None

    def samples() -> Iterator[Sample]:
        for found in records:
            contents = found.contents
            if contents is None or contents.kind is not Kind.LIVE:
                yield Sample(None if contents is None else contents.kind)
                continue
            times = found.times(contents).under(limits(contents.data))
            yield Sample(
                Kind.LIVE,
                is_over=times.verdict(now) is not None or times.is_from_future(now),
                is_signed_in=contents.user is not None,
                age=now - contents.started_at,
                size=len(found.record.payload),
            )

    return samples()


def samples_of_standings(revocations: Revocations, *, now: float) -> Iterator[Sample] | None:
    """Return the sessions of users that lie in browsers, as far as is known; ``None`` if the store cannot be walked."""
    standings = revocations.scan()
    if standings is None:
        return None

    def samples() -> Iterator[Sample]:
        for standing in standings:
            if standing is None:
                yield Sample(None)
                continue
            if standing.moved_to is not None:
                continue  # all of it is told where it went
            for entry in standing.live.values():
                is_over = entry.expires_at <= now
                yield Sample(Kind.LIVE, is_over=is_over, is_signed_in=True, age=now - entry.started_at)
            for _ in standing.ended:
                yield Sample(Kind.TOMBSTONE)

    return samples()


def _median(sizes: Counter[int]) -> int | None:
    """Return the size that half of all do not exceed."""
    left = sizes.total() / 2
    for size in sorted(sizes):
        left -= sizes[size]
        if left <= 0:
            return size
    return None
