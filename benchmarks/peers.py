"""Our sessions and those of our peers, each as an application that a visitor calls as a server would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import flask
from cachelib import FileSystemCache, SimpleCache
from flask import Flask
from flask.sessions import SessionInterface, SessionMixin

from flask_sessionkit import SessionKit, login_user, logout_user

from .views import TYPICAL as TYPICAL
from .views import VIEWS, Data, View, someone
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


def bare_flask(views: Mapping[str, View] = VIEWS) -> Subject:
    """Flask with nothing for a session: one object for all requests that is neither opened nor saved."""
    app = Flask("benchmark")
    app.session_interface = _NoSessions()
    _add(app, views)
    return Subject(app, cookie=_NO_ONES)


def signed_cookie() -> Subject:
    """Flask's own sessions."""
    return Subject(_flask(SECRET_KEY=SECRET), on_server=False)


def sessionkit(url: str) -> Subject:
    """Return ours, with settings as they are by default, and a visitor who is signed in."""
    return Subject(sessionkit_app(url)).sign_in()


def sessionkit_on(url: str) -> Subject:
    """Return ours, with settings as they are by default."""
    return Subject(sessionkit_app(url))


def sessionkit_cookie(revocations: str | None) -> Subject:
    """Return ours in the browser; its user is looked up in a revocation store, if there is one."""
    app = _sessionkit(**_in_cookies(revocations))
    return Subject(app, on_server=False, ends=revocations is not None)


def sessionkit_app(url: str, **config: object) -> Flask:
    """Return an application with our sessions."""
    return _sessionkit(SESSIONKIT_STORE=url, SESSIONKIT_APP_ID="benchmark", **config)


def _sessionkit(**config: object) -> Flask:
    def login(session: Data) -> str:
        login_user(someone())
        return "ok"

    def logout(session: Data) -> str:
        logout_user()
        return "ok"

    app = _flask(login, logout, SECRET_KEY=SECRET, **config)
    SessionKit(app)
    return app


def _in_cookies(revocations: str | None) -> dict[str, object]:
    return {
        "SESSIONKIT_STORE": "cookie:",
        "SESSIONKIT_REVOCATION_STORE": revocations,
        "SESSIONKIT_APP_ID": "benchmark",
    }


def flask_session_on(kind: str, url: str, folder: Path, *, refresh: bool = True) -> Subject:
    """Return Flask-Session where ``SESSIONKIT_STORE`` would have ours: redis, memcached, sql, files or memory.

    A SQLite file has to be another than ours.

    :param refresh: Flask's ``SESSION_REFRESH_EACH_REQUEST``; by default Flask-Session writes at every request.
    """
    from flask_session import Session

    app = _flask(_login_to_flask_session, SECRET_KEY=SECRET, SESSION_REFRESH_EACH_REQUEST=refresh)
    if kind == "redis":
        import redis

        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.from_url(url))
    elif kind == "memcached":
        from pymemcache import PooledClient

        app.config.update(
            SESSION_TYPE="memcached", SESSION_MEMCACHED=PooledClient(url.partition("://")[2], no_delay=True)
        )
    elif kind == "sql":
        app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=_flask_sqlalchemy(app, url))
        if not refresh:
            app.config["SESSION_SQLALCHEMY_TABLE"] = "sessions_not_refreshed"  # who makes a table looks first, no more
    else:
        # Without a threshold it counts no files, which is its fastest.
        folder = folder / f"flask-session-{refresh}"
        cache = FileSystemCache(str(folder), threshold=0) if kind == "files" else SimpleCache(threshold=MANY)
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    Session(app)
    return Subject(app)


def _flask_sqlalchemy(app: Flask, url: str) -> Any:
    from flask_sqlalchemy import SQLAlchemy
    from sqlalchemy import event

    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    if url.startswith("sqlite"):
        with app.app_context():
            event.listen(db.engine, "connect", lambda connection, _: connection.executescript(SQLITE))
    return db


def _login_to_flask_session(session: Data) -> str:
    # As its documentation has it ("Security", session fixation).
    interface: Any = flask.current_app.session_interface
    session["_user_id"] = someone()
    interface.regenerate(session)
    return "ok"


#: What our store asks of a SQLite file. Peers are given it too, so that waits for the disk are not what is compared.
SQLITE = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"


_NO_ONES = "session=" + "A" * 43


class _NoSession(dict[str, Any], SessionMixin):
    pass


class _NoSessions(SessionInterface):
    _session = _NoSession()

    def open_session(self, app: Flask, request: flask.Request) -> _NoSession:
        return self._session

    def save_session(self, app: Flask, session: SessionMixin, response: flask.Response) -> None:
        pass


def _login(session: Data) -> str:
    session["_user_id"] = someone()
    return "ok"


def _logout(session: Data) -> str:
    session.clear()
    return "ok"


def _flask(login: View = _login, logout: View = _logout, **config: object) -> Flask:
    app = Flask("benchmark")
    app.config.update(config)
    _add(app, {**VIEWS, "login": login, "logout": logout})
    return app


def _add(app: Flask, views: Mapping[str, View]) -> None:
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, _flask_view(view))


def _flask_view(view: View) -> Callable[[], str]:
    return lambda: view(flask.session)
