"""The two doors that Flask knocks on: ``open_session`` and ``save_session``."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from flask import g, has_app_context, request
from flask.sessions import SessionMixin

from .auth import PASSIVE
from .backends import Backend
from .caching import has_header, vary_by
from .census import Census
from .circumstances import Circumstances, Rules
from .clock import Clock
from .config import Settings
from .cookie_policy import CookiePolicy
from .errors import SessionKitError, StoreError
from .keeper import Keeper
from .lifecycle import Farewell, Visit
from .predecessors import PredecessorOf, Ticket, tickets_in
from .roster import Roster
from .session import Session
from .stores.base import Store
from .streaming import watch
from .transport import Header, Transport, tokens_in
from .unavailable import RETRY_AFTER, become_unavailable

if TYPE_CHECKING:
    from flask import Flask, Request, Response

_log = logging.getLogger("flask_sessionkit")


class SessionKitInterface(CookiePolicy):
    """Flask's sessions, kept by a store or in the browser. Holds no reference to the application.

    :ivar session_class: what views know as ``session``.

    :param store: of sessions in the browser it knows which of them count, or there is none.
    :param stamp_of: gives the function that ``user_stamp`` registered, or ``None``.
    :param predecessors: where sessions were kept before that are taken over.
    """

    session_class: type[Session] = Session

    def __init__(
        self,
        settings: Settings,
        store: Store | None,
        clock: Clock,
        stamp_of: Callable[[], Callable[[str], str | None] | None],
        *,
        is_client_kind: bool = False,
        predecessors: Sequence[PredecessorOf] = (),
    ) -> None:
        super().__init__(is_secure=settings.secure_cookie)
        self.settings = settings
        self.store = store
        self.clock = clock
        self._stamp_of = stamp_of
        self.is_client_kind = is_client_kind
        self.predecessors = predecessors
        self._header = None if settings.transport == "cookie" else Header.named(settings.header_name)
        self._varies_by = {
            "cookie": ("Cookie",),
            "header": (settings.header_name,),
            "both": (settings.header_name, "Cookie"),
        }[settings.transport]
        self._latest_rules: Rules | None = None
        self._keeper = self._new_keeper()

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Return a session that reads nothing until it is looked at; ``None`` without a secret, as Flask does."""
        if not app.secret_key:
            return None
        return self.session_class(partial(self._visit, app, request, self.clock.now()))

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Carry out what the request did to its session, and tell the browser."""
        if not isinstance(session, Session):
            return
        if session.accessed:
            vary_by(response, self._varies_by)
        visit = session.visit
        if isinstance(visit, _Visit):
            self._close(app, session, visit, response)
        if response.is_streamed and not response.direct_passthrough:
            watch(response, session)

    def is_by_header(self, request: Request) -> bool:
        """Return whether a request has the header that carries tokens, as no page's request has."""
        return self._header is not None and self._header.is_in(request.environ)

    def roster(self, app: Flask) -> Roster:
        """Return the list of who is signed in where."""
        return self._keeper.roster(app)

    def census(self, app: Flask) -> Census | None:
        """Return how many sessions there are; ``None`` if that cannot be known. Walks through the whole store.

        :raises StoreError: the store cannot answer.
        """
        return self._keeper.census(app)

    def backend(self, app: Flask) -> Backend:
        """Return what keeps sessions behind the seal of the application's secrets of this moment.

        :raises ConfigError: a secret is weak or of the wrong type.
        """
        return self._keeper.backend(app)

    def with_parts(self, *, store: Store | None = None, clock: Clock | None = None) -> Self:
        """Return the same with another store or clock, for tests; a request under way keeps what it has."""
        other = copy(self)
        other.store = self.store if store is None else store
        other.clock = self.clock if clock is None else clock
        other._keeper = other._new_keeper()
        return other

    def _new_keeper(self) -> Keeper:
        return Keeper(self, self.settings, self.store, self.clock, self._stamp_of, is_client_kind=self.is_client_kind)

    def _visit(self, app: Flask, request: Request, opened_at: float) -> _Visit:
        csrf_field = app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
        view = app.view_functions.get(request.endpoint) if request.endpoint else None
        backend = self.backend(app)
        transport = self._transport(app, request)
        visit = _Visit(
            backend,
            self.clock,
            Circumstances(
                rules=self._rules(),
                tokens=transport.tokens(request.environ, could_be=backend.could_be),
                sender=app,
                opened_at=opened_at,
                permanent_idle=app.permanent_session_lifetime.total_seconds(),
                is_passive=getattr(view, PASSIVE, False) or _is_prefetch(request.environ.get("HTTP_SEC_PURPOSE")),
                csrf_key=csrf_field,
                device=partial(_device, request) if self.settings.client_info else _no_device,
                forget_csrf=partial(_forget_csrf, csrf_field),
            ),
            partial(self.roster, app),
            partial(self._tickets, app, request) if self.predecessors and transport.is_kept_by_browser else None,
        )
        visit.transport = transport
        return visit

    def _tickets(self, app: Flask, request: Request) -> Sequence[Ticket]:
        """Return what a request carries of sessions that were kept in another way."""
        header = request.environ.get("HTTP_COOKIE")
        return tickets_in(header, [of(app) for of in self.predecessors]) if header else ()

    def _rules(self) -> Rules:
        of, stamp_of = self.settings, self._stamp_of()
        if self._latest_rules is None or self._latest_rules.stamp_of is not stamp_of:
            self._latest_rules = Rules(of.timeouts, of.identity_keys, stamp_of, of.rotate_every, of.max_sessions)
        return self._latest_rules

    def _transport(self, app: Flask, request: Request) -> Transport:
        """Return how this request's token travels. Where both may, the header's presence decides, be it empty.

        Browsers send cookies with requests that other sites cause, but no header of ours; so a request that has the
        header has to be worth what its header is, whatever cookie comes along.
        """
        header = self._header
        if header is None or (self.settings.transport == "both" and not header.is_in(request.environ)):
            return self.cookie(app)
        return header

    def _close(self, app: Flask, session: Session, visit: _Visit, response: Response) -> None:
        failure = visit.failure
        try:
            farewell = visit.close(session, failed=response.status_code >= 500)
        except StoreError:
            farewell = Farewell()
        if visit.failure is not None:
            # A view that met the failure and answered it has its answer sent; any other gets this one. So does one that
            # logged out all the same: the session lives on, and no answer may say otherwise.
            if failure is None or response.status_code == 500 or session.is_to_end:
                become_unavailable(app, response)
            elif response.status_code == 503:
                response.headers.setdefault("Retry-After", str(RETRY_AFTER))  # the application's own page
            return
        self._tell_client(app, session, visit.transport, farewell, response)
        is_taken_over = visit.ticket is not None and farewell.replaces
        if self.predecessors and (is_taken_over or farewell.forget or farewell.is_logout):
            self._forget_former(app, visit.transport, response)

    def _forget_former(self, app: Flask, transport: Transport, response: Response) -> None:
        """Delete the cookies that sessions were kept by before, of which ours does not take the place.

        Also at a logout with a token of ours: the next request would begin another session with what lay unused.
        """
        header = request.environ.get("HTTP_COOKIE")
        if header is None or not transport.is_kept_by_browser:
            return
        kept = {self.get_cookie_name(app)}
        for cookie in (of(app).cookie for of in self.predecessors):
            name = cookie.terms.get_cookie_name(cookie.app)
            if name not in kept and tokens_in(header, named=name, could_be=bool):
                cookie.forget(response)
                kept.add(name)

    def _expires(self, app: Flask, session: Session, lasts: float) -> datetime | None:
        # Flask's date knows the idle limit alone, and who heeds it and not Max-Age would keep the cookie for too long.
        expires = self.get_expiration_time(app, session)
        return expires and min(expires, datetime.now(UTC) + timedelta(seconds=lasts))

    def _tell_client(
        self, app: Flask, session: Session, transport: Transport, farewell: Farewell, response: Response
    ) -> None:
        if farewell.token is not None and (farewell.is_new or self._is_sent_again(app, session, transport, farewell)):
            lasts = farewell.lasts if farewell.is_permanent else None
            expires = None if lasts is None else self._expires(app, session, lasts)
            transport.send(response, farewell.token, lasts=lasts, expires=expires)
            if transport.is_kept_by_browser:
                self.note_sent(app)
        elif farewell.forget:
            transport.forget(response)
        elif session.shows_user and not has_header(response, "cache-control"):
            response.headers.add("Cache-Control", "no-store")
            return
        else:
            return
        # A Set-Cookie does not keep a shared cache from storing the response (RFC 9111, 7.3).
        response.headers["Cache-Control"] = "no-store"
        if farewell.is_logout and self.settings.clear_site_data and transport.is_kept_by_browser:
            response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'

    def _is_sent_again(self, app: Flask, session: Session, transport: Transport, farewell: Farewell) -> bool:
        """Return whether the browser is sent what it has, to keep it for longer or with other attributes."""
        if not transport.is_kept_by_browser:
            return False
        is_refresh = farewell.is_permanent and farewell.may_refresh and app.config["SESSION_REFRESH_EACH_REQUEST"]
        return farewell.must_send or is_refresh or (session.modified and self.is_outdated(app))


class _Visit(Visit):
    """A visit, and how its token travels."""

    transport: Transport


def interface_of(app: Flask) -> SessionKitInterface:
    """Return an application's sessions.

    :raises SessionKitError: they are not this library's.
    """
    interface = app.session_interface
    if not isinstance(interface, SessionKitInterface):
        raise SessionKitError(f"{app.name} has other sessions. Call SessionKit(app) for it first.")
    return interface


def _is_prefetch(purpose: str | None) -> bool:
    """Return whether a browser asks in advance; nobody may ever see the answer (Fetch Standard, Sec-Purpose)."""
    return purpose is not None and re.split("[;,]", purpose, maxsplit=1)[0].strip(" \t") == "prefetch"


def _device(request: Request) -> tuple[str, str]:
    return request.headers.get("User-Agent", ""), request.remote_addr or ""


def _no_device() -> tuple[str, str]:
    return "", ""


def _forget_csrf(field: str) -> None:
    # Flask-WTF keeps the signed token of this request in g, and would put the old one into the same response.
    if has_app_context():
        g.pop(field, None)
