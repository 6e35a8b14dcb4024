"""Django's sessions. Its settings are one set per process: each of these is made in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .peers import MANY, SECRET, SQLITE
from .views import VIEWS, View, someone
from .visitor import Subject

_SESSIONS = "django.contrib.sessions"


def bare_django() -> Subject:
    """Django's handler without any middleware."""
    return Subject(_django(), cookie="sessionid=" + "a" * 32)


def django_on(kind: str, url: str, folder: Path) -> Subject:
    """Return Django's sessions where ``SESSIONKIT_STORE`` would have ours: redis, memcached and so on.

    Of what it can do with a database its ``db`` is taken, with connections that are kept; of what it can do with a
    cache its ``cache``, through the backends that come with it.
    """
    engine = {"files": "file", "sql": "db", "cookie": "signed_cookies"}.get(kind, "cache")
    app = _django(
        MIDDLEWARE=[f"{_SESSIONS}.middleware.SessionMiddleware"],
        SESSION_ENGINE=f"{_SESSIONS}.backends.{engine}",
        **_place(kind, url, folder),
    )
    if kind == "sql":
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
    return Subject(app, on_server=kind != "cookie")


def _place(kind: str, url: str, folder: Path) -> dict[str, object]:
    backend, options = "locmem.LocMemCache", {"OPTIONS": {"MAX_ENTRIES": MANY}}
    if kind == "redis":
        backend, options = "redis.RedisCache", {"LOCATION": url}
    elif kind == "memcached":
        backend, options = "memcached.PyMemcacheCache", {"LOCATION": url.partition("://")[2]}
    elif kind == "sql":
        return {"DATABASES": {"default": _database(url)}}
    elif kind == "files":
        (folder / "django").mkdir(mode=0o700)
        return {"SESSION_FILE_PATH": str(folder / "django")}
    return {"CACHES": {"default": {"BACKEND": f"django.core.cache.backends.{backend}", **options}}}


def _database(url: str) -> dict[str, object]:
    from sqlalchemy import make_url

    place = make_url(url)
    kept: dict[str, object] = {"CONN_MAX_AGE": None}
    if place.get_backend_name() == "sqlite":
        return {
            **kept,
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": place.database,
            "OPTIONS": {"init_command": SQLITE},
        }
    engine = "postgresql" if place.get_backend_name() == "postgresql" else "mysql"
    if engine == "mysql":
        # mysqlclient is compiled, by whoever has MariaDB's headers; our store and Flask-Session are on PyMySQL too.
        import pymysql

        pymysql.install_as_MySQLdb()
    server = {"HOST": place.host, "PORT": place.port, "USER": place.username, "NAME": place.database}
    return {**kept, "ENGINE": f"django.db.backends.{engine}", **server}


def _django(**config: object) -> Callable[..., Any]:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path

    views = {**VIEWS, "login": _login, "logout": _logout}
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        DEBUG_PROPAGATE_EXCEPTIONS=True,
        ROOT_URLCONF=tuple(path(name, _django_view(view)) for name, view in views.items()),
        INSTALLED_APPS=[_SESSIONS],
        **config,
    )
    django.setup()
    return WSGIHandler()


def _django_view(view: View) -> Callable[[Any], Any]:
    from django.http import HttpResponse

    return lambda request: HttpResponse(view(getattr(request, "session", {})))


def _login(session: Any) -> str:
    # As django.contrib.auth.login() does for a visitor who was not signed in.
    session.cycle_key()
    session["_auth_user_id"] = someone()
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = "7c1b" * 16
    return "ok"


def _logout(session: Any) -> str:
    session.flush()
    return "ok"
