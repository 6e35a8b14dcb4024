"""Our sessions and those of our peers, each as an application that a visitor calls as a server would."""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import flask
from cachelib import FileSystemCache, SimpleCache
from flask import Flask
from flask.sessions import SessionInterface, SessionMixin

from flask_sessionkit import SessionKit

from .views import TYPICAL as TYPICAL
from .views import VIEWS, Data, View
from .visitor import Application
from .visitor import Subject as Subject

SECRET = "kept for benchmarks only: 7f3b0c59e1d24a68"
#: More than a run makes. What counts is the request, not the throwing away of sessions, which peers do at 300 or 500.
MANY = 1_000_000


def cookies(folder: Path) -> dict[str, Callable[[str], str]]:
    """Return what makes a cookie of a session with one text, for each kind of session that lies in the browser."""

    def sent_by(view: Callable[[Data], None], **config: object) -> Callable[[str], str]:
        app = Flask("benchmark")
        app.config.update(SECRET_KEY=SECRET, **config)
        if "SESSIONKIT_STORE" in config:
            SessionKit(app)

        def sent(text: str) -> str:
            with app.test_request_context(base_url="https://shop.example"):
                view(flask.session)
                if text:
                    flask.session["text"] = text
                jar = SimpleCookie[str](app.process_response(app.response_class()).headers["Set-Cookie"])
            [morsel] = jar.values()
            return morsel.value

        return sent

    def sign_in(session: Data) -> None:
        session["_user_id"] = "4711"

    def be_nobody(session: Data) -> None:
        session["_"] = 1

    ours = {"ours": _in_cookies(None), "ours, revocable": _in_cookies(f"file://{folder}/known")}
    (folder / "known").mkdir(mode=0o700)
    return {
        f"{name}, {who}": sent_by(view, **config)
        for who, view in (("nobody's", be_nobody), ("a user's", sign_in))
        for name, config in {**ours, "Flask's own": {}}.items()
    }


# Flask


def bare_flask() -> Subject:
    """Flask with nothing for a session: one object for all requests that is neither opened nor saved."""
    app = _flask()
    app.session_interface = _NoSessions()
    return Subject(app, cookie=_NO_ONES)


def flask_without_secret() -> Subject:
    """Flask as it comes, which makes a session object that says that there is no secret."""
    return Subject(_flask(), cookie=_NO_ONES)


def signed_cookie() -> Subject:
    """Flask's own sessions."""
    return Subject(_flask(SECRET_KEY=SECRET), on_server=False).sign_in()


def sessionkit(url: str) -> Subject:
    """Return ours, with settings as they are by default."""
    return Subject(sessionkit_app(url)).sign_in()


def sessionkit_cookie(revocations: str | None) -> Subject:
    """Return ours in the browser; its user is looked up in a revocation store, if there is one."""
    app = _flask(SECRET_KEY=SECRET, **_in_cookies(revocations))
    SessionKit(app)
    return Subject(app, on_server=False).sign_in()


def _in_cookies(revocations: str | None) -> dict[str, object]:
    return {
        "SESSIONKIT_STORE": "cookie:",
        "SESSIONKIT_REVOCATION_STORE": revocations,
        "SESSIONKIT_APP_ID": "benchmark",
    }


def sessionkit_app(url: str) -> Flask:
    """Return an application with our sessions."""
    app = _flask(SECRET_KEY=SECRET, SESSIONKIT_STORE=url, SESSIONKIT_APP_ID="benchmark")
    SessionKit(app)
    return app


def flask_session_memory(*, refresh: bool) -> Subject:
    """Flask-Session on ``cachelib.SimpleCache``."""
    return _flask_session(refresh, SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache(threshold=MANY))


def flask_session_files(folder: Path, *, refresh: bool) -> Subject:
    """Flask-Session on ``cachelib.FileSystemCache``; without a threshold it counts nothing, which is its fastest."""
    cache = FileSystemCache(str(folder), threshold=0)
    return _flask_session(refresh, SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)


def flask_session_sqlite(file: Path, *, refresh: bool) -> Subject:
    """Flask-Session on SQLAlchemy."""
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import event

    app = _flask(SECRET_KEY=SECRET, SQLALCHEMY_DATABASE_URI=f"sqlite:///{file}")
    db = SQLAlchemy(app)
    with app.app_context():
        event.listen(db.engine, "connect", lambda connection, _: connection.executescript(_SQLITE))
    return _flask_session(refresh, app, SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=db)


def flask_session_on(kind: str, url: str, folder: Path) -> Subject:
    """Return Flask-Session, signed out, where ``SESSIONKIT_STORE`` would have ours: redis, memcached, sql or files."""
    from flask_session import Session

    app = _flask(SECRET_KEY=SECRET)
    if kind == "redis":
        import redis

        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.from_url(url))
    elif kind == "memcached":
        from pymemcache import PooledClient

        app.config.update(SESSION_TYPE="memcached", SESSION_MEMCACHED=PooledClient(url.partition("://")[2]))
    elif kind == "sql":
        from flask_sqlalchemy import SQLAlchemy

        app.config.update(SQLALCHEMY_DATABASE_URI=url)
        app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=SQLAlchemy(app))
    else:
        cache = FileSystemCache(str(folder / "peer"), threshold=0)
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    Session(app)
    return Subject(app)


#: What our store asks of a SQLite file. Peers are given it too, so that waits for the disk are not what is compared.
_SQLITE = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"


_NO_ONES = "session=" + "A" * 43


class _NoSession(dict[str, Any], SessionMixin):
    pass


class _NoSessions(SessionInterface):
    _session = _NoSession()

    def open_session(self, app: Flask, request: flask.Request) -> _NoSession:
        return self._session

    def save_session(self, app: Flask, session: SessionMixin, response: flask.Response) -> None:
        pass


def _flask_session(refresh: bool, app: Flask | None = None, **config: object) -> Subject:
    from flask_session import Session

    app = app or _flask(SECRET_KEY=SECRET)
    app.config.update(config, SESSION_REFRESH_EACH_REQUEST=refresh)
    Session(app)
    return Subject(app).sign_in()


def _flask(**config: object) -> Flask:
    app = Flask("benchmark")
    app.config.update(config)
    for name, view in VIEWS.items():
        app.add_url_rule(f"/{name}", name, _flask_view(view))
    return app


def _flask_view(view: View) -> Callable[[], str]:
    return lambda: view(flask.session)


# Django: its settings are one per process, and each handler reads at its making which sessions it is to use.


def bare_django(folder: Path) -> Subject:
    """Django's handler without any middleware."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.urls import path

    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        DEBUG_PROPAGATE_EXCEPTIONS=True,
        ROOT_URLCONF=tuple(path(name, _django_view(view)) for name, view in VIEWS.items()),
        INSTALLED_APPS=["django.contrib.sessions"],
        SESSION_FILE_PATH=str(folder),
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "OPTIONS": {"MAX_ENTRIES": MANY},
            }
        },
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "django.db"),
                "CONN_MAX_AGE": None,
                "OPTIONS": {"init_command": _SQLITE},
            }
        },
    )
    django.setup()
    call_command("migrate", verbosity=0)
    return Subject(_django([]))


def django_sessions(engine: str) -> Subject:
    """Django's sessions: ``cache``, ``file``, ``db`` or ``signed_cookies``."""
    from django.conf import settings

    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    app = _django(["django.contrib.sessions.middleware.SessionMiddleware"])
    return Subject(app, on_server=engine != "signed_cookies").sign_in()


def _django(middleware: list[str]) -> Application:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    settings.MIDDLEWARE = middleware
    return WSGIHandler()


def _django_view(view: View) -> Callable[[Any], Any]:
    from django.http import HttpResponse

    return lambda request: HttpResponse(view(getattr(request, "session", {})))
