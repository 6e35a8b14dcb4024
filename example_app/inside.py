"""The page that shows what a session knows about itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, current_app, render_template, request, session

from . import counting

blueprint = Blueprint("inside", __name__)

#: Kinds of store in words, by what stands before the colon of ``SESSIONKIT_STORE``.
_STORES = {
    "file": "files on this server",
    "memory": "the memory of this server",
    "sqlite": "a SQLite file",
    "postgresql": "a PostgreSQL database",
    "mysql": "a MySQL database",
    "mariadb": "a MariaDB database",
    "redis": "Redis",
    "memcached": "Memcached",
    "cookie": "your browser, sealed so that nobody can read or change it",
}

#: What a store can do, in words, by the names of ``Capability``.
_POWERS = {
    "INDEX": "It can list the sessions of one person.",
    "INDEX_BEST_EFFORT": "It can list the sessions of one person, though it may miss some.",
    "PURGE": "Expired sessions lie there until they are swept out.",
    "TOUCH_ON_LOAD": "It notes “last seen” while it reads, at no extra cost.",
    "SHARED": "Several servers can share it.",
    "DURABLE": "It outlives a restart.",
}

#: What stands in the page for its cost until that is known.
_COST = "<!-- cost -->"


@blueprint.get("/session")
def show() -> Response:
    """Show the session's kind, times, keys and cost. No value, and no token."""
    is_in_browser = current_app.session_interface.is_client_kind
    able = () if is_in_browser else current_app.extensions["sessionkit"].store.capabilities
    cookie = current_app.session_interface.get_cookie_name(current_app)
    page = render_template(
        "session.html",
        store=_store_in_words(),
        is_in_browser=is_in_browser,
        powers=[_POWERS[power.name] for power in able if power.name in _POWERS],
        cookie=cookie,
        has_cookie=cookie in request.cookies,
        now=current_app.extensions["now"](),
        absolute=_seconds("SESSIONKIT_REMEMBER_TIMEOUT" if session.permanent else "SESSIONKIT_ABSOLUTE_TIMEOUT"),
        fresh=_seconds("SESSIONKIT_FRESH_TIMEOUT"),
        keys=sorted(session),
        cost=_COST,
    )
    return Response(_told_the_cost(page, counting.calls()), mimetype="text/html")


@blueprint.app_template_filter()
def dial(seconds: float) -> str:
    """Return a span as a clock shows it; ``ticking.js`` goes on from there in the same words.

    >>> dial(1798), dial(43199.6), dial(2592000)
    ('29:58', '11:59:59', '30 days')
    """
    if seconds >= 172_800:
        return f"{int(seconds // 86_400)} days"
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@blueprint.app_template_filter()
def moment(when: float | datetime) -> str:
    """Return a moment (Unix seconds, or a ``datetime``) for a reader.

    >>> moment(1_700_000_000)
    '14 Nov, 22:13:20 UTC'
    """
    told = when if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)
    return f"{told.day} {told:%b, %H:%M:%S} UTC"


def _told_the_cost(page: str, calls: list[str]) -> Iterator[str]:
    """Send the page after the session was saved: only then all calls of the request are known."""
    before, _, after = page.partition(_COST)
    yield before
    yield f"{len(calls) or 'no'} call{'' if len(calls) == 1 else 's'} of the store"
    yield "".join(f"{mark} <code>{name}</code>" for mark, name in zip(":" + "," * len(calls), calls, strict=False))
    yield after


def _store_in_words() -> str:
    named = current_app.config.get("SESSIONKIT_STORE") or "file:"
    if not isinstance(named, str):
        return type(named).__name__
    kind = named.partition(":")[0].partition("+")[0].lower()
    return _STORES.get(kind, kind)


def _seconds(setting: str) -> float:
    given = current_app.config[setting]
    return given.total_seconds() if isinstance(given, timedelta) else float(given)
