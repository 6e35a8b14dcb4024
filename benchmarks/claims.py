"""What ``docs/comparison.rst`` says of libraries for Python, tried: two requests of one session, one inside the other.

No time is measured, so one run is enough. Each library is in a process of its own, as Django has one set of settings
for each.
"""

from __future__ import annotations

import logging
import multiprocessing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from werkzeug.test import Client

from .tables import Report, Table, arguments
from .views import Data, View

SECRET = "kept for claims only: 7f3b0c59e1d24a68"
Application: TypeAlias = Callable[..., Any]
#: Makes an application of views, in a folder of its own.
Maker: TypeAlias = Callable[[Mapping[str, View], Path], Application]

COLUMNS = ("two keys at once", "logout holds, a read", "logout holds, a write", "nested change", "a copy is dead")
NOTE = """\
two keys at once: a slow request changes one key, and a quick one inside of it changes another; both stay.
logout holds: a request is under way, it reads (or changes a key), and the same browser's logout is answered before it;
    nobody is signed in in that browser afterwards.
nested change: session["cart"].append(...) is there in the next request.
a copy is dead: a cookie that was copied before the logout leads to nothing after it."""


@dataclass
class Visitor:
    """A browser with at most one cookie, which another one may copy."""

    app: Application
    cookie: str = ""

    def visit(self, path: str) -> str:
        """Make a request, keep its cookie, and return what it says."""
        answer = Client(self.app, use_cookies=False).get(path, headers={"Cookie": self.cookie} if self.cookie else {})
        for header in answer.headers.getlist("Set-Cookie"):
            pair, *attributes = header.split("; ")
            is_deleted = "Max-Age=0" in attributes or pair.endswith(("=", '=""'))
            self.cookie = "" if is_deleted else pair
        return answer.text

    def copy(self) -> Visitor:
        """Return another browser with the same cookie."""
        return Visitor(self.app, self.cookie)


def tried(make: Maker) -> list[str]:
    """Return what became of each claim."""
    meanwhile: list[Callable[[], object]] = []

    def begin(session: Data) -> str:
        session["cart"] = ["tea"]
        session["_user_id"] = "4711"
        return ""

    def slow_read(session: Data) -> str:
        found = str(session.get("cart"))
        meanwhile.pop()()
        return found

    def slow_write(session: Data) -> str:
        session["late"] = slow_read(session)
        return ""

    def quick(session: Data) -> str:
        session["early"] = True
        return ""

    def nested(session: Data) -> str:
        session["cart"].append("cup")
        return ""

    def found(session: Data) -> str:
        return " ".join(key for key in ("late", "early", "_user_id") if session.get(key)) + str(session.get("cart"))

    def logout(session: Data) -> str:
        getattr(session, "flush", session.clear)()  # Django's own name for it
        return ""

    views = {view.__name__: view for view in (begin, slow_read, slow_write, quick, nested, found, logout)}
    with TemporaryDirectory() as folder:
        app = make(views, Path(folder))
        return ["yes" if kept else "no" for kept in _claims(app, meanwhile)]


def _claims(app: Application, meanwhile: list[Callable[[], object]]) -> list[bool]:
    def begun() -> Visitor:
        visitor = Visitor(app)
        visitor.visit("/begin")
        return visitor

    def with_another_inside(path: str, inner: str) -> Visitor:
        visitor = begun()
        meanwhile.append(partial(visitor.visit, inner))
        visitor.visit(path)
        return visitor

    def is_nobody(visitor: Visitor) -> bool:
        return "_user_id" not in visitor.visit("/found")

    both = with_another_inside("/slow_write", "/quick").visit("/found")
    changed = begun()
    changed.visit("/nested")
    ended = begun()
    thief = ended.copy()
    ended.visit("/logout")
    return [
        "late" in both and "early" in both,
        is_nobody(with_another_inside("/slow_read", "/logout")),
        is_nobody(with_another_inside("/slow_write", "/logout")),
        "cup" in changed.visit("/found"),
        is_nobody(thief),
    ]


def flask_app(views: Mapping[str, View], folder: Path, *, keep: str, **config: object) -> Application:
    """Return an application on Flask with ours, Flask-Session's, or its own sessions."""
    import flask

    app = flask.Flask("claims", instance_path=str(folder))
    app.config.update(config, SECRET_KEY=SECRET, TESTING=True)
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, partial(lambda view: view(flask.session), view))
    if keep == "Flask-Session":
        from cachelib import FileSystemCache
        from flask_session import Session

        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(str(folder / "cache")))
        Session(app)
    elif keep == "SessionKit":
        from flask_sessionkit import SessionKit

        SessionKit(app)
    return app


def django_app(views: Mapping[str, View], folder: Path, *, engine: str) -> Application:
    """Return an application on Django."""
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.http import HttpResponse
    from django.urls import path

    def of(view: View) -> Callable[[Any], Any]:
        return lambda request: HttpResponse(view(request.session))

    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=tuple(path(name, of(view)) for name, view in views.items()),
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
        SESSION_FILE_PATH=str(folder),
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "django.db")}},
        LOGGING_CONFIG=None,
    )
    logging.disable()  # it tells of each session that a logout ended under a request, as it should
    django.setup()
    call_command("migrate", verbosity=0)
    return WSGIHandler()


SUBJECTS: Mapping[str, Maker] = {
    "Flask's own": partial(flask_app, keep="Flask"),
    "Flask-Session": partial(flask_app, keep="Flask-Session"),
    "Flask-Session, SESSION_REFRESH_EACH_REQUEST off": partial(
        flask_app, keep="Flask-Session", SESSION_REFRESH_EACH_REQUEST=False
    ),
    **{f"Django, {engine}": partial(django_app, engine=engine) for engine in ("db", "cache", "file", "signed_cookies")},
    **{
        f"SessionKit, {url}": partial(flask_app, keep="SessionKit", SESSIONKIT_STORE=url)
        for url in ("memory:", "file:", "sqlite:///sessions.db")
    },
    "SessionKit, cookie:": partial(
        flask_app, keep="SessionKit", SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE="sqlite:///known.db"
    ),
}


def main() -> None:
    """Try and print."""
    options = arguments(__doc__).parse_args()
    report = Report("claims", options.save, "flask", "flask-session", "django")
    warnings.simplefilter("ignore")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = [(name, *pool.apply(tried, (make,))) for name, make in SUBJECTS.items()]
    report.add(Table("claims", "Whether it is so.", COLUMNS, rows, NOTE))


if __name__ == "__main__":
    main()
