"""A test client that signs users in and out by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient

from ..auth import current_session, login_user, logout_user
from ..errors import SessionKitError, StoreError
from ..interface import SessionKitInterface, interface_of
from ..session import Session
from ..transport import Header

if TYPE_CHECKING:
    from flask.ctx import RequestContext
    from werkzeug.datastructures import Headers
    from werkzeug.test import TestResponse

#: Where Flask-Login keeps the user's id, as a text.
_FLASK_LOGINS = "_user_id"

_LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)


class SessionKitClient(FlaskClient):
    """Flask's test client, which also signs a user in without a password and without a view.

    .. code-block:: python

        app.test_client_class = SessionKitClient
        client = app.test_client()  # or client_of(app)
        client.login("ann")
        assert client.get("/account").status_code == 200
    """

    def __init__(
        self,
        *args: Any,
        user_agent: str | None = None,
        address: str | None = None,
        by_header: bool = False,
        **kwargs: Any,
    ) -> None:
        """Make a client without a session; ``app.test_client()`` does.

        :param user_agent: what it says of itself in each request.
        :param address: where its requests come from.
        :param by_header: where ``SESSIONKIT_TRANSPORT`` is "both": its token travels in the header.
        """
        super().__init__(*args, **kwargs)
        if user_agent is not None:
            self.environ_base["HTTP_USER_AGENT"] = user_agent
        if address is not None:
            self.environ_base["REMOTE_ADDR"] = address
        if by_header and (header := self._header()) is not None:
            self.environ_base[header.variable] = ""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request, and keep the token that comes back in a header for the next one."""
        response = super().open(*args, **kwargs)
        for answer in (*response.history, response):
            self._keep_token(answer.headers)
        return response

    def login(self, user_id: str | int, *, remember: bool = False) -> None:
        """Sign a user in as ``login_user`` does: a session in the application's store, its token in this client.

        No request is sent, so none of the application's views and hooks run; ``user_stamp`` does, and signals are
        sent. The first of ``SESSIONKIT_IDENTITY_KEYS`` holds the id as well, and for Flask-Login what it keeps besides,
        so that its ``current_user`` is this one.

        :param user_id: as the application passes it to ``login_user``; with Flask-Login what ``get_id()`` returns.
        :param remember: the cookie outlives the browser.
        :raises ValueError: the user id is empty.
        :raises StoreError: the store cannot answer.
        :raises SessionKitError: the application's settings send its cookie to another host than this client asks.
        """
        with self.session_transaction() as session:
            login_user(user_id, remember=remember)
            self._identify(session, user_id)
        if self.token is None:
            raise SessionKitError(
                f"Requests to {self._context().request.host_url} do not carry the session's cookie. "
                "Set SERVER_NAME to a host that SESSION_COOKIE_DOMAIN is for."
            )

    def logout(self, *, everywhere: bool = False) -> None:
        """End this client's session as ``logout_user`` does; no request is sent.

        :param everywhere: end all of the user's sessions.
        :raises StoreError: the store cannot answer.
        """
        with self.session_transaction():
            logout_user(everywhere=everywhere)

    def tab(self) -> Self:
        """Return a second tab of the same browser: one jar of cookies for both, and two requests at a time."""
        other = type(self)(
            self.application,
            self.response_wrapper,
            use_cookies=self._cookies is not None,
            allow_subdomain_redirects=self.allow_subdomain_redirects,
        )
        other._cookies, other.environ_base = self._cookies, self.environ_base
        return other

    @property
    def token(self) -> str | None:
        """What the client holds of its session, or ``None``."""
        request, header = self._context().request, self._header()
        if header is not None and header.is_in(request.environ):
            return request.environ[header.variable] or None
        return request.cookies.get(interface_of(self.application).get_cookie_name(self.application))

    @contextmanager
    def session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[Session]:
        """Open this client's session, to look at it and to change it; it is saved at the end of the block.

        As Flask's own, with its arguments; but the block is inside of a request of this client, so that what looks at
        the session may ask the application's database.

        :raises StoreError: the store cannot answer, so nothing was saved.
        """
        if self._cookies is None and self._header() is None:
            raise TypeError("Cookies are disabled. Create a client with 'use_cookies=True'.")
        app, context = self.application, self._context(*args, **kwargs)
        with context:
            session = current_session()
            yield session
            response = app.response_class()
            app.session_interface.save_session(app, session, response)
        if response.status_code == 503:
            raise StoreError("The store could not answer, so the session was not saved. See that it runs.")
        url, cookies = urlsplit(context.request.url), response.headers.getlist("Set-Cookie")
        self._update_cookies_from_response(url.hostname or "localhost", url.path, cookies)
        self._keep_token(response.headers)

    def _header(self) -> Header | None:
        """Return the header in which the application's tokens may travel."""
        interface = self.application.session_interface
        if not isinstance(interface, SessionKitInterface) or interface.settings.transport == "cookie":
            return None
        return Header.named(interface.settings.header_name)

    def _keep_token(self, headers: Headers) -> None:
        header = self._header()
        if header is not None and header.name in headers:
            self.environ_base[header.variable] = headers[header.name]

    def _context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """Return a request of this client's; without other wishes to where the session's cookie is sent."""
        app = self.application
        if not args:
            path = interface_of(app).get_cookie_path(app)
            kwargs.setdefault("path", path.removeprefix(app.config["APPLICATION_ROOT"].rstrip("/")) or "/")
        kwargs["environ_base"] = {**self.environ_base, **kwargs.get("environ_base", {})}
        context = app.test_request_context(*args, **kwargs)
        self._add_cookies_to_wsgi(context.request.environ)
        return context

    def _identify(self, session: Session, user_id: str | int) -> None:
        app = self.application
        for key in interface_of(app).settings.identity_keys[:1]:
            session[key] = str(user_id) if key == _FLASK_LOGINS else user_id
        if (logins := getattr(app, "login_manager", None)) is not None:
            # What its login_user() writes: that the password was typed, and by which address and user agent.
            session["_fresh"] = True
            session["_id"] = logins._session_identifier_generator()


def client_of(
    app: Flask, *, user_agent: str | None = None, address: str | None = None, by_header: bool = False
) -> SessionKitClient:
    """Return a test client of an application that can sign in; of its ``test_client_class`` if that is such a one.

    :param user_agent: what it says of itself in each request.
    :param address: where its requests come from.
    :param by_header: where ``SESSIONKIT_TRANSPORT`` is "both": its token travels in the header.
    :raises TypeError: it is no application.
    """
    if not isinstance(app, Flask):
        raise TypeError(
            f"app of client_of() must be a Flask application, not {type(app).__name__}. Use client_of(app)."
        )
    given = app.test_client_class
    kind = given if given is not None and issubclass(given, SessionKitClient) else SessionKitClient
    return kind(app, app.response_class, user_agent=user_agent, address=address, by_header=by_header)


def two_devices(app: Flask, user_id: str | int) -> tuple[SessionKitClient, SessionKitClient]:
    """Return two browsers in which the same user is signed in: Firefox on a laptop, Safari on a phone.

    >>> from flask import Flask
    >>> from flask_sessionkit import SessionKit
    >>> app = Flask("shop")
    >>> app.config.update(TESTING=True, SECRET_KEY="test", SESSIONKIT_STORE="memory:")
    >>> kit = SessionKit(app)
    >>> laptop, phone = two_devices(app, "ann")
    >>> with app.app_context():
    ...     sorted(row.address for row in kit.sessions_of("ann"))
    ['192.0.2.10', '198.51.100.20']
    """
    # Addresses that RFC 5737 keeps for documents, of two networks.
    laptop = client_of(app, user_agent=_LAPTOP, address="192.0.2.10")
    phone = client_of(app, user_agent=_PHONE, address="198.51.100.20")
    for device in (laptop, phone):
        device.login(user_id)
    return laptop, phone
