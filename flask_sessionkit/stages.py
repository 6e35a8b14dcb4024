"""What a session's contents become when it begins, changes, goes on under another token."""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from .circumstances import Circumstances, is_permanent
from .contents import Contents, Kind
from .draft import Draft, Login
from .reasons import Reason


def begun(
    circumstances: Circumstances, draft: Draft, data: dict[str, bytes], *, now: float, instead_of: Reason | None
) -> Contents:
    """Return the contents of a session that begins now.

    :param instead_of: why the one before it in this browser ended a moment ago.
    """
    login, limits = draft.login, circumstances.limits(data)
    return Contents(
        kind=Kind.LIVE,
        idle=limits.idle,
        absolute_at=now + limits.absolute,
        created_at=now,
        lineage=secrets.token_bytes(16),
        login_at=now if login and login.is_fresh else None,
        user=login.user if login else None,
        stamp=stamp_at(circumstances, login) if login else None,
        data_of=draft.data_of,
        reason=None if login else instead_of,
        data=data,
    )


def aged_like(circumstances: Circumstances, old: Contents, contents: Contents, *, now: float) -> Contents:
    """Return contents whose absolute limit counts from where it counted before: it is the same data."""
    absolute_at = min(old.absolute_at, old.started_at + circumstances.limits(contents.data).absolute)
    return replace(contents, created_at=old.started_at, absolute_at=absolute_at, renewed_at=now)


def changed(circumstances: Circumstances, draft: Draft, contents: Contents, data: dict[str, bytes]) -> Contents:
    """Return a session's contents with what a request made of its data, under the limits that hold today."""
    # Cleared data is nobody's; any other stays whose it was, whoever wrote to it meanwhile.
    data_of = (not draft.changes.cleared and contents.data_of) or draft.data_of
    return replace(restamped(circumstances, draft, revised(circumstances, contents, data)), data_of=data_of)


def revised(circumstances: Circumstances, contents: Contents, data: dict[str, bytes]) -> Contents:
    """Return a session's contents with other data, under the limits that hold today."""
    limits = circumstances.limits(data)
    absolute_at = contents.started_at + limits.absolute
    # Activity never lengthens a life. Becoming permanent does: that is another kind of session.
    if is_permanent(data) == is_permanent(contents.data):
        absolute_at = min(absolute_at, contents.absolute_at)
    return replace(contents, data=data, idle=limits.idle, absolute_at=absolute_at)


def renewed(
    circumstances: Circumstances, draft: Draft, contents: Contents, data: dict[str, bytes], *, now: float
) -> Contents:
    """Return a session's contents for another token, which takes the place of the old one at once."""
    same = restamped(circumstances, draft, revised(circumstances, contents, data))
    return replace(same, renewed_at=now, is_shown=True)


def rotated(
    circumstances: Circumstances, draft: Draft, contents: Contents, data: dict[str, bytes], *, now: float
) -> Contents:
    """Return a session's contents for another token, which no client has come with yet."""
    return replace(changed(circumstances, draft, contents, data), renewed_at=now, is_shown=False)


def restamped(circumstances: Circumstances, draft: Draft, contents: Contents) -> Contents:
    """Return a session's contents with today's stamp, if its request changed the user's credentials."""
    if not draft.restamps or contents.user is None:
        return contents
    return replace(contents, stamp=stamp_at(circumstances, Login(contents.user)))


def stamp_at(circumstances: Circumstances, login: Login) -> str | None:
    """Return the stamp that a login goes by: the one it brought, or today's."""
    return circumstances.rules.stamp(login.user) if login.stamp is None else login.stamp
