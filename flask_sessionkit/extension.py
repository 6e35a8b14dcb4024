"""SessionKit: puts the parts together on an application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from flask import Flask, current_app, has_request_context
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import ServiceUnavailable

from .app_stores import names_store, site_of, store_of, with_old_store
from .auth import current_lineage, current_session
from .checkup import findings
from .cli import sessions
from .clock import Clock, SystemClock
from .config import Settings, read_settings
from .cookie_policy import cookie_faults
from .errors import ConfigError, StoreError
from .findings import Finding
from .flask_cookie import FlaskCookie
from .identity import as_user_id
from .interface import SessionKitInterface, interface_of
from .predecessors import PredecessorOf
from .reasons import Reason
from .roster import Roster, SessionInfo
from .sealed_cookie import sealed_cookies
from .secret_keys import fit_secrets
from .store_urls import Site, redacted
from .stores.base import Capability, Store
from .unavailable import RETRY_AFTER

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

Stamp = TypeVar("Stamp", bound=Callable[[str], str | None])


class SessionKit:
    """Sessions for a Flask application.

    >>> from flask import Flask
    >>> app = Flask("shop")
    >>> kit = SessionKit(app)
    >>> app.extensions["sessionkit"] is kit
    True

    :param store: a store object, in place of ``SESSIONKIT_STORE``.
    :param clock: a source of time; tests pass ``flask_sessionkit.testing.FrozenClock()``.
    :raises ConfigError: settings that cannot work, all of them told at once.
    """

    _interface_class: ClassVar[type[SessionKitInterface]] = SessionKitInterface

    def __init__(self, app: Flask | None = None, *, store: Store | None = None, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._stamp_of: Callable[[str], str | None] | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, *, clock: Clock | None = None) -> None:
        """Read the settings and take over the application's sessions. Writes nothing, anywhere.

        :param clock: a source of time for this application.
        :raises ConfigError: settings that cannot work, all of them told at once; or the application has another one.
        :raises TypeError: it is no application.
        """
        if not isinstance(app, Flask):
            raise TypeError(
                f"app of SessionKit must be a Flask application, not {type(app).__name__}. Use SessionKit(Flask(...))."
            )
        settings, problems = read_settings(app.config, app_name=app.name)
        if self._store is not None:
            settings = replace(settings, store=self._store)
        if app.extensions.get("sessionkit", self) is not self:
            problems.append(
                f"{app.name} has a SessionKit already, and its user_stamp would be asked no more. Make one, and use "
                'that: app.extensions["sessionkit"].'
            )
        if find_spec("cryptography") is None:
            problems.append("cryptography is not installed, and there is no weaker way. Run pip install cryptography.")
        if app.secret_key:
            may_be_weak = settings.allow_weak_secret or app.debug or app.testing
            # No variable holds a secret: reporters of errors show them.
            problems += fit_secrets(app.secret_key, app.config.get("SECRET_KEY_FALLBACKS"), may_be_weak=may_be_weak)[1]
        if settings.transport != "header" and not (app.debug or app.testing):
            problems += cookie_faults(app.config, is_secure=settings.secure_cookie)
        site = site_of(app, settings)
        is_client_kind = settings.is_client_kind and self._store is None
        store = known = None
        try:
            if is_client_kind or "cookie:" in settings.take_over:
                known = _revocation_store(settings, site, is_strict=not (app.debug or app.testing))
            store = known if is_client_kind else self._make_store(settings, site)
        except ConfigError as error:
            problems.append(str(error))
        problems += _unmet(settings, store, is_client_kind=is_client_kind)
        clock = clock or self._clock
        sealed = sealed_cookies(settings, known, clock)
        predecessors, faults = _predecessors(app, settings, sealed, is_client_kind=is_client_kind)
        problems += faults
        if problems:
            raise ConfigError("\n".join(problems))
        app.session_interface = self._interface_class(
            settings,
            store,
            clock,
            lambda: self._stamp_of,
            is_client_kind=is_client_kind,
            predecessors=predecessors,
        )
        app.extensions["sessionkit"] = self
        app.register_error_handler(StoreError, _answer_failure)
        app.cli.add_command(sessions)

    def user_stamp(self, fn: Stamp) -> Stamp:
        """Register what a user's sessions have to agree with; another answer than at the login ends them.

        :param fn: takes a user id; returns a text that changes with the user's credentials, such as a part of the
            password's hash, or ``None`` for a user who is gone.
        """
        self._stamp_of = fn
        return fn

    def sessions_of(self, user_id: str | int) -> list[SessionInfo]:
        """Return a user's live sessions, the latest login first.

        :raises SessionKitError: the store keeps no index.
        :raises StoreError: the store cannot answer.
        """
        return self._roster().sessions_of(as_user_id(user_id), current=current_lineage())

    def revoke(self, handle: str | None, *, user_id: str | int | None = None, reason: str = "revoked") -> int:
        """End the session that a handle names, at once; return how many that were: 1 or 0.

        :param handle: of ``sessions_of``; ``None``, as of a form without the field, names no session.
        :param user_id: end it only if it is this user's. Pass it wherever users end sessions of their own.
        :param reason: what ``session.ended_because`` tells there for a minute: "revoked" (from elsewhere),
            "administrator", "stamp" (the password was changed) or "limit".
        :raises ValueError: it is another reason.
        :raises StoreError: the store cannot answer.
        """
        user = None if user_id is None else as_user_id(user_id)
        return self._roster().revoke(handle or "", user_id=user, reason=_given(reason))

    def revoke_user(self, user_id: str | int, *, keep_current: bool = False, reason: str = "revoked") -> int:
        """End all of a user's sessions, at once; return how many that were.

        A login that is made after the call stays, and a request under way brings nothing back.

        :param keep_current: spare the session of this request, which goes on under a new token.
        :param reason: see ``revoke``.
        :raises ValueError: it is another reason.
        :raises StoreError: the store cannot answer.
        """
        user, why = as_user_id(user_id), _given(reason)
        if not (keep_current and has_request_context() and current_session().user_id == user):
            return self._roster().revoke_user(user, reason=why)
        current_session().outlive_credentials()
        return self.revoke_others(user, reason=why)

    def revoke_others(self, user_id: str | int, *, reason: str = "revoked") -> int:
        """End all of a user's sessions but the one of this request, which stays as it is; return how many that were.

        Where the password changed, call ``revoke_user`` with ``keep_current``: this session's token may be known too.

        :param reason: see ``revoke``.
        :raises ValueError: it is another reason.
        :raises StoreError: the store cannot answer.
        """
        user = as_user_id(user_id)
        return self._roster().revoke_user(user, spared=current_lineage(), reason=_given(reason))

    def purge(self, *, batch: int = 1000, on_batch: Callable[[int], Any] | None = None) -> int:
        """Remove what has expired from the store; return how many records that were.

        :param batch: about how many to remove in one call of the store.
        :param on_batch: called with the count of each batch.
        :raises StoreError: the store cannot answer.
        """
        site = self._site()
        removed = 0
        more = site.store is not None
        while more and site.store is not None:
            purged = site.store.purge(now=site.clock.now(), limit=batch)
            removed += purged.count
            more = purged.more
            if on_batch is not None:
                on_batch(purged.count)
        return removed

    def check(self) -> list[Finding]:
        """Judge the current application as for a deployment: ``flask sessions check``. Asks the store."""
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # the proxy's own
        return findings(app, has_stamp=self._stamp_of is not None)

    @property
    def store(self) -> Store | None:
        """The current application's store; of ``cookie:`` its revocation store, or ``None``."""
        return self._site().store

    @property
    def login_view(self) -> str | None:
        """The endpoint that ``login_required`` sends a page to."""
        return self._site().settings.login_view

    def is_fresh(self, max_age: float | None = None) -> bool:
        """Return whether this request's user proved who they are a short while ago.

        :param max_age: seconds; ``None`` for ``SESSIONKIT_FRESH_TIMEOUT``.
        """
        site, current = self._site(), current_session()
        if current.login_at is None or current.get("_fresh") is False:
            return False
        return site.clock.now() - current.login_at < (site.settings.timeouts.fresh if max_age is None else max_age)

    def _make_store(self, settings: Settings, site: Site) -> Store:
        named = settings.store
        is_meant = isinstance(named, str) and named.lower().startswith("cookie")  # and spelled in another way
        if "SESSIONKIT_REVOCATION_STORE" in settings.given and not is_meant and "cookie:" not in settings.take_over:
            raise ConfigError(
                "SESSIONKIT_REVOCATION_STORE is for SESSIONKIT_STORE = 'cookie:' alone, and for SESSIONKIT_TAKE_OVER = "
                "'cookie:'. Remove it."
            )
        return with_old_store(store_of(named, site), settings, site)

    def _roster(self) -> Roster:
        return self._site().roster(current_app._get_current_object())  # type: ignore[attr-defined]  # the proxy's own

    def _site(self) -> SessionKitInterface:
        return interface_of(current_app)


def _revocation_store(settings: Settings, site: Site, *, is_strict: bool) -> Store | None:
    """Return the store that knows which sessions in browsers count, or ``None`` if that is wished.

    :param is_strict: neither debug nor testing.
    :raises ConfigError: there is none that could do it.
    """
    named = settings.revocation_store
    if "SESSIONKIT_REVOCATION_STORE" not in settings.given:
        by = "SESSIONKIT_STORE" if settings.is_client_kind else "SESSIONKIT_TAKE_OVER"
        raise ConfigError(
            f"{by} is 'cookie:', and a cookie that somebody copied outlives every logout unless the server "
            "knows of it. Set SESSIONKIT_REVOCATION_STORE to the URL of a store that all servers reach, or to None if "
            "a logout need not do more than to clear one browser."
        )
    if named is None:
        return None
    if named in ("", "None", "none"):
        raise ConfigError(
            f"SESSIONKIT_REVOCATION_STORE names no store: {named!r}. Name one, as in 'file:', or set it to None itself "
            "(null in the environment)."
        )
    if isinstance(named, str) and named.lower().startswith("cookie"):
        raise ConfigError(
            "SESSIONKIT_REVOCATION_STORE must be a store on the server, not a cookie. Name one, as in 'file:'."
        )
    store = store_of(named, site, by="SESSIONKIT_REVOCATION_STORE")
    if is_strict and Capability.DURABLE not in store.capabilities:
        raise ConfigError(
            f"SESSIONKIT_REVOCATION_STORE must outlive its processes: what {type(store).__name__} forgets ends all "
            "sessions. Use Redis, a database or files."
        )
    return store


def _predecessors(
    app: Flask, settings: Settings, sealed: PredecessorOf, *, is_client_kind: bool
) -> tuple[list[PredecessorOf], list[str]]:
    """Return what knows the sessions that were kept in another way, and why that cannot work, a line each.

    :param sealed: gives the predecessor "cookie:".
    """
    before = app.session_interface
    signed = before if isinstance(before, SecureCookieSessionInterface) else None
    by_name: dict[str, PredecessorOf] = {"flask": partial(FlaskCookie, interface=signed), "cookie:": sealed}
    named = [one for one in settings.take_over if isinstance(one, str) and one in by_name]
    predecessors = [one for one in settings.take_over if callable(one)]
    faults = [
        "SESSIONKIT_TAKE_OVER takes nothing over from "
        f"{redacted(one) if isinstance(one, str) else type(one).__name__}. Use 'flask', 'cookie:' or a store's URL."
        for one in settings.take_over
        if one not in named and one not in predecessors and not names_store(one)
    ]
    if settings.take_over and is_client_kind:
        faults.append(
            "SESSIONKIT_TAKE_OVER needs a store on the server, which remembers what was taken over. Set "
            "SESSIONKIT_STORE to one."
        )
    if (named or predecessors) and settings.transport == "header":
        faults.append(
            "SESSIONKIT_TAKE_OVER takes sessions over from cookies, and SESSIONKIT_TRANSPORT is 'header'. Remove one "
            "of the two."
        )
    return [by_name[one] for one in named] + predecessors, faults


def _unmet(settings: Settings, store: Store | None, *, is_client_kind: bool) -> list[str]:
    """Return what the settings ask for and the place where sessions are kept cannot do, a line each."""
    faults = []
    if settings.rotate_every is not None and is_client_kind:
        faults.append(
            "SESSIONKIT_ROTATE_EVERY needs a store on the server, where an old token can lead to the new one. With "
            "'cookie:' leave it out: the token is another one after each change of the session."
        )
    if settings.max_sessions is not None and is_client_kind and store is None:
        faults.append(
            "SESSIONKIT_MAX_SESSIONS_PER_USER needs to know which sessions there are, and SESSIONKIT_REVOCATION_STORE "
            "is None. Set it to the URL of a store on the server."
        )
    elif settings.max_sessions is not None and store is not None and not is_client_kind and not _lists(store):
        faults.append(
            f"SESSIONKIT_MAX_SESSIONS_PER_USER needs a store that lists a user's sessions, and {type(store).__name__} "
            "does not. Choose one that does; the documentation has a table."
        )
    return faults


def _lists(store: Store) -> bool:
    return bool(store.capabilities & (Capability.INDEX | Capability.INDEX_BEST_EFFORT))


def _given(reason: str) -> Reason:
    """Return a reason that somebody outside of a session may give for its end.

    :raises ValueError: it is another one.
    """
    may = [one for one in Reason if one.can_be_given]
    if reason not in may:
        raise ValueError(f"A session that is revoked ends with one of {', '.join(may)}, not {reason!r}.")
    return Reason(reason)


def _answer_failure(error: StoreError) -> ResponseReturnValue:
    # By way of the application's own page for a 503, if it has one.
    return current_app.handle_http_exception(
        ServiceUnavailable("The session store could not answer.", retry_after=RETRY_AFTER)
    )
