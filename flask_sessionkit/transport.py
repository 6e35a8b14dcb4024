"""How a token travels: in a cookie, or in a header of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypedDict

from msgspec import Struct
from werkzeug.wrappers import Response

from .tokens import Token


class Transport(Protocol):
    """How the token of one request travels, and that of its response."""

    @property
    def is_kept_by_browser(self) -> bool:
        """Whether the browser keeps a token by itself, until a date, and sends it with whatever it asks for."""
        ...

    def tokens(self, environ: Mapping[str, Any], *, could_be: Callable[[str], bool]) -> Sequence[Token]:
        """Return the different tokens that a request carries.

        :param environ: of WSGI.
        :param could_be: tells what can be a token; all else is dropped here and reaches no store.
        """
        ...

    def send(self, response: Response, token: str, *, lasts: float | None, expires: datetime | None) -> None:
        """Put a token into a response.

        :param lasts: seconds; ``None`` for a token that ends with the browser.
        :param expires: what Flask gives as ``Expires``.
        """
        ...

    def forget(self, response: Response) -> None:
        """Tell the client to drop what it has."""
        ...


class Attributes(TypedDict):
    """All of a cookie that a deleting one has to repeat (RFC 6265bis, 5.7)."""

    domain: str | None
    path: str
    secure: bool
    httponly: bool
    samesite: str | None
    partitioned: bool


class Terms(Protocol):
    """What an application says of its cookie; both may depend on the request."""

    def get_cookie_name(self, app: Any, /) -> str:
        """Return its name."""
        ...

    def get_cookie_attributes(self, app: Any, /) -> Attributes:
        """Return the rest."""
        ...


#: Bytes of a whole ``Set-Cookie`` line; ``Cookie.room`` says why.
_LONGEST_HEADER = 3800


class Cookie(Struct, frozen=True):
    """The cookie that carries a token.

    :param terms: asked when they are needed, as a request without cookies needs none.
    """

    terms: Terms
    app: object
    is_kept_by_browser: ClassVar[bool] = True

    def tokens(self, environ: Mapping[str, Any], *, could_be: Callable[[str], bool]) -> Sequence[Token]:
        """Return the different tokens that the cookies carry."""
        header = environ.get("HTTP_COOKIE")
        return tokens_in(header, named=self.terms.get_cookie_name(self.app), could_be=could_be) if header else ()

    def send(self, response: Response, token: str, *, lasts: float | None, expires: datetime | None) -> None:
        """Set the cookie. ``Max-Age`` goes before ``Expires`` (RFC 6265bis, 5.7)."""
        max_age = None if lasts is None else max(0, int(lasts))
        name, attributes = self.terms.get_cookie_name(self.app), self.terms.get_cookie_attributes(self.app)
        response.set_cookie(name, token, max_age=max_age, expires=expires, **attributes)

    def forget(self, response: Response) -> None:
        """Delete the cookie in the browser."""
        response.delete_cookie(self.terms.get_cookie_name(self.app), **self.terms.get_cookie_attributes(self.app))

    def room(self) -> int:
        """Return how many characters a token may have with the longest header of this cookie.

        3,800 bytes for the whole line: with its default buffers nginx answers 502 from there on, and browsers drop a
        cookie whose name and value have more than 4,096 (RFC 6265bis, 5.6), while the one before stays.
        """
        response = Response()
        self.send(response, "", lasts=10**9, expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        return _LONGEST_HEADER - len(f"Set-Cookie: {response.headers['Set-Cookie']}\r\n".encode())


def tokens_in(header: str, *, named: str, could_be: Callable[[str], bool]) -> list[Token]:
    """Return the different tokens that a request's ``Cookie`` header carries under a name.

    Names are compared byte for byte: a parser that trims Unicode spaces or decodes escapes lets a sibling host
    past the browser's rules for ``__Host-``. What cannot be a token is dropped here and reaches no store.

    :param could_be: tells what can be a token.
    """
    found: dict[Token, None] = {}  # in their order; a list is slow for the thousand that fit into a header
    for pair in header.split(";"):
        name, _, value = pair.strip(" \t").partition("=")
        if name == named and could_be(value):
            found[Token(value)] = None
    return list(found)


class Header(Struct, frozen=True):
    """A header that carries a token, for clients that keep it themselves. A page's address or form never does.

    :param name: of the request's header and the response's.
    :param variable: what WSGI calls the request's.
    """

    name: str
    variable: str
    is_kept_by_browser: ClassVar[bool] = False

    @classmethod
    def named(cls, name: str) -> Header:
        """Return the header of a name."""
        return cls(name, f"HTTP_{name.upper().replace('-', '_')}")

    def is_in(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a request has the header, be it empty: a client that has no token yet and wants one so."""
        return self.variable in environ

    def tokens(self, environ: Mapping[str, Any], *, could_be: Callable[[str], bool]) -> Sequence[Token]:
        """Return the token, or nothing. Servers join a header that came twice with a comma, and that is no token."""
        value = environ.get(self.variable)
        return (Token(value),) if value and could_be(value) else ()

    def send(self, response: Response, token: str, *, lasts: float | None, expires: datetime | None) -> None:
        """Put the token into the response's header, as plain text (PEP 3333 takes no other kind of ``str``)."""
        response.headers[self.name] = str(token)

    def forget(self, response: Response) -> None:
        """Answer with an empty header: drop it."""
        response.headers[self.name] = ""
