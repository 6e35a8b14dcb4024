"""``Session(app)`` in place of Flask-Session's."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flask import current_app

from ...clock import Clock
from ...config import read_settings
from ...errors import ConfigError
from ...extension import SessionKit
from ...findings import Finding
from ...interface import SessionKitInterface, interface_of
from .commands import former_sessions, session_cleanup
from .interface import FormerInterface
from .places import Place
from .predecessor import FormerSessions
from .session import FormerSession, PassingSession
from .translation import Translation, translated

if TYPE_CHECKING:
    from flask import Flask

_log = logging.getLogger("flask_sessionkit")


class Session(SessionKit):
    """Sessions for an application that was written for Flask-Session.

    >>> from flask import Flask
    >>> app = Flask("shop")
    >>> app.config.update(SESSION_TYPE="cachelib", SESSION_FILE_DIR="sessions")
    >>> Session(app)
    <Session of Flask-SessionKit, in place of Flask-Session's>

    It is a ``SessionKit`` too, with all that one can do. What ``SESSION_...`` says is laid into the application's
    configuration as ``SESSIONKIT_...``, where that is not set.
    """

    _interface_class: ClassVar[type[SessionKitInterface]] = FormerInterface

    def __repr__(self) -> str:
        return "<Session of Flask-SessionKit, in place of Flask-Session's>"

    def init_app(self, app: Flask, *, clock: Clock | None = None) -> None:
        """Read the settings of Flask-Session and ours, and take over the application's sessions.

        :param clock: a source of time for this application.
        :raises ConfigError: settings that cannot work.
        """
        means = translated(
            app.config,
            instance_path=Path(app.instance_path),
            database=_database,
            has_database="sqlalchemy" in app.extensions,
        )
        for name, value in means.ours.items():
            if app.config.get(name) is None:
                app.config[name] = value
        place = _place(means, read_settings(app.config, app_name=app.name)[0].store_timeout)
        if place is not None and app.config.get("SESSIONKIT_TAKE_OVER") is None:
            app.config["SESSIONKIT_TAKE_OVER"] = partial(_former, means, place)
        super().init_app(app, clock=clock)
        site = app.session_interface
        if isinstance(site, FormerInterface):
            site.session_class = FormerSession if means.is_permanent else PassingSession
            site.means, site.place = means, place
        for line in means.lines:
            _log.warning("%s", line)
        if not app.secret_key:
            _log.warning("SECRET_KEY is not set. Flask-Session needed none; here there is no session without it.")
        app.cli.add_command(former_sessions)
        if means.kind == "sqlalchemy" and not app.config.get("SESSION_CLEANUP_N_REQUESTS"):
            app.cli.add_command(session_cleanup)

    def check(self) -> list[Finding]:
        """Judge the current application as for a deployment; see ``SessionKit.check``."""
        site = interface_of(current_app)
        return super().check() + (site.means.findings if isinstance(site, FormerInterface) else [])


def _place(means: Translation, timeout: float) -> Place | None:
    try:
        return None if means.place is None else means.place(timeout)
    except ImportError as error:
        raise ConfigError(
            f"SESSION_TYPE {means.kind!r} needs {error.name or error}, which is not installed. "
            f"Run pip install 'flask-sessionkit[{means.kind}]'."
        ) from error


def _former(means: Translation, place: Place, app: Any) -> FormerSessions:
    return FormerSessions(app, place, prefix=means.prefix, id_length=means.id_length, is_signed=means.is_signed)


def _database(bind: str | None) -> Any:
    """Return the URL of one of the databases of the application's Flask-SQLAlchemy; its engines need a context.

    :raises ConfigError: the application has no such database.
    """
    try:
        return current_app.extensions["sqlalchemy"].engines[bind].url
    except KeyError as error:
        raise ConfigError(
            f"SESSION_TYPE is 'sqlalchemy', and {current_app.name} has no database for it. Call db.init_app(app) of "
            "Flask-SQLAlchemy before the first request, and name the bind in SQLALCHEMY_BINDS."
        ) from error
