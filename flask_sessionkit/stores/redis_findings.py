"""What Redis says of itself, judged. Pure: an INFO in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .base import Judgement, Mark

#: The oldest Redis that the scripts run on; what Valkey calls itself by is never older.
_OLDEST = (6, 2)


def judged(info: Mapping[str, Any]) -> Iterator[Judgement]:
    """Yield what is to be said of a server.

    :param info: as redis-py gives it. What a managed server leaves out is not judged.
    """
    yield from _of_version(str(info.get("redis_version", "")))
    policy, limit = info.get("maxmemory_policy"), info.get("maxmemory", 0)
    if policy is not None:
        yield _of_policy(str(policy), has_limit=bool(limit))
    if info.get("evicted_keys"):
        yield (
            Mark.NOTE,
            f"It has evicted {info['evicted_keys']} keys since it started: what was among them of ours ended early. "
            "Give it more memory (maxmemory), or keep less in it.",
        )
    if info.get("role") not in (None, "master"):
        yield Mark.FAULT, "It is a replica, which is behind and takes no writes. Name the primary."
    yield from _of_durability(info)


def _of_version(text: str) -> Iterator[Judgement]:
    numbers = text.split(".")[:2]
    if len(numbers) == 2 and all(map(str.isdigit, numbers)) and (int(numbers[0]), int(numbers[1])) < _OLDEST:
        yield Mark.FAULT, f"It is Redis {text}, and our scripts need 6.2 or later. Update it."


def _of_policy(policy: str, *, has_limit: bool) -> Judgement:
    """Judge what goes when memory is full (redis.io, "Key eviction"): an index that goes hides sessions."""
    if policy == "noeviction":
        return Mark.OK, "maxmemory-policy noeviction: where it is full, changes fail and nobody is signed out."
    if policy.startswith("allkeys-") and has_limit:
        return (
            Mark.FAULT,
            f"maxmemory-policy {policy}: where it is full, sessions end and go from their user's list, so that "
            "revoke_user() misses some. Choose noeviction, with an alarm, and keep caches in a Redis of their own.",
        )
    when = "where it is full" if has_limit else "as soon as it has a maxmemory and is full"
    return (
        Mark.NOTE,
        f"maxmemory-policy {policy}: {when}, sessions end early or go from their user's list. noeviction does neither.",
    )


def _of_durability(info: Mapping[str, Any]) -> Iterator[Judgement]:
    if info.get("aof_enabled") == 0:
        yield (
            Mark.NOTE,
            "No append-only file: a restart goes back to the last snapshot, if there is one, with sessions in it that "
            "have been ended since. Set appendonly yes.",
        )
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        yield Mark.FAULT, "It could not write its append-only file the last time. See to its disk."
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Mark.NOTE, "It could not write its last snapshot, and may refuse changes for that. See to its disk."
