"""Django's part of the purge benchmark, in a process of its own.

``python -m benchmarks.purge_django PLACE EXPIRED LIVE`` prints the cells of the table, as JSON. ``PLACE`` is
``sqlite3:file``, ``postgresql:port``, ``mysql:port`` or ``file:folder``.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from .crowds import WORDS
from .peers import SECRET, TYPICAL
from .purge import Cost, run, saving


def main() -> None:
    """Fill, purge and print; with ``clear`` as the last word, only purge."""
    place, expired, live, *rest = sys.argv[1:]
    _configure(place)
    from django.core.management import call_command

    if rest:
        call_command("clearsessions")
        return
    if not place.startswith("file:"):
        call_command("migrate", verbosity=0)
    _fill(place, int(expired), is_expired=True)
    _fill(place, int(live), is_expired=False)
    cost = Cost()
    with saving(_saver(), cost.saves):
        started = time.perf_counter()
        cost.peak = run("-m", "benchmarks.purge_django", *sys.argv[1:], "clear")
        cost.seconds = time.perf_counter() - started
    print(json.dumps(cost.cells()))


def _configure(place: str) -> None:
    import django
    from django.conf import settings

    kind, _, where = place.partition(":")
    database: dict[str, Any] = {"ENGINE": f"django.db.backends.{kind}", "NAME": where}
    if kind == "file":
        Path(where).mkdir(exist_ok=True)
        database = {"ENGINE": "django.db.backends.dummy"}
    elif kind == "sqlite3":
        database["OPTIONS"] = {
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
            "timeout": 0.5,
        }
    else:
        user = "test" if kind == "postgresql" else "root"
        database |= {"NAME": "sessions", "USER": user, "HOST": "127.0.0.1", "PORT": where}
    if kind == "mysql":
        import pymysql

        pymysql.install_as_MySQLdb()
    settings.configure(
        SECRET_KEY=SECRET,
        INSTALLED_APPS=["django.contrib.sessions"],
        DATABASES={"default": database},
        SESSION_ENGINE=f"django.contrib.sessions.backends.{'file' if kind == 'file' else 'db'}",
        SESSION_FILE_PATH=where if kind == "file" else None,
        USE_TZ=True,
    )
    django.setup()


def _fill(place: str, number: int, *, is_expired: bool) -> None:
    from django.utils import timezone

    age = timedelta(days=-1) if is_expired else timedelta(days=1)
    at = timezone.now() + age
    if place.startswith("file:"):
        _fill_folder(number, at)
        return
    from django.db import connection

    kind = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql"}[connection.vendor]
    words = WORDS[kind]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_session (session_key, session_data, expire_date) "
            f"SELECT substr({words.name}, 1, 32), %s, %s FROM {words.rows(number)}",
            [_store()().encode(TYPICAL), at.replace(tzinfo=None)],
        )


def _fill_folder(number: int, at: Any) -> None:
    for _ in range(number):
        session = _store()(secrets.token_hex(16))
        session._session_cache = dict(TYPICAL)
        session.set_expiry(at)
        session.save(must_create=True)


def _saver() -> Any:
    """Return what loads a session, changes it and saves it, as a request does."""
    from django.db import Error

    begun = _store()()
    begun["n"] = 0
    begun.create()

    def save() -> None:
        session = _store()(begun.session_key)
        try:
            session["n"] = session.get("n", 0) + 1
            session.save(must_create=False)
        except Error as error:
            raise AssertionError from error

    return save


def _store() -> Any:
    from importlib import import_module

    from django.conf import settings

    return import_module(settings.SESSION_ENGINE).SessionStore


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    main()
