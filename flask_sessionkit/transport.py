"""How a token travels: in a cookie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from werkzeug.wrappers import Response

from .tokens import Token


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


#: Bytes of a whole ``Set-Cookie`` line; ``Cookie.room`` says why.
_LONGEST_HEADER = 3800


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie that carries a token, with all that a deleting one has to repeat (RFC 6265bis, 5.7)."""

    name: str
    domain: str | None
    path: str
    secure: bool
    httponly: bool
    samesite: str | None
    partitioned: bool

    def send(self, response: Response, token: str, *, lasts: float | None, expires: datetime | None) -> None:
        """Set the cookie on a response.

        :param lasts: seconds; ``None`` for a cookie that ends with the browser.
        :param expires: what Flask gives as ``Expires``. ``Max-Age`` goes before it (RFC 6265bis, 5.7).
        """
        response.set_cookie(
            self.name,
            token,
            max_age=None if lasts is None else max(0, int(lasts)),
            expires=expires,
            domain=self.domain,
            path=self.path,
            secure=self.secure,
            httponly=self.httponly,
            samesite=self.samesite,
            partitioned=self.partitioned,
        )

    def room(self) -> int:
        """Return how many characters a token may have with the longest header of this cookie.

        3,800 bytes for the whole line: with its default buffers nginx answers 502 from there on, and browsers drop a
        cookie whose name and value have more than 4,096 (RFC 6265bis, 5.6), while the one before stays.
        """
        response = Response()
        self.send(response, "", lasts=10**9, expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        return _LONGEST_HEADER - len(f"Set-Cookie: {response.headers['Set-Cookie']}\r\n".encode())

    def forget(self, response: Response) -> None:
        """Delete the cookie in the browser."""
        response.delete_cookie(
            self.name,
            domain=self.domain,
            path=self.path,
            secure=self.secure,
            httponly=self.httponly,
            samesite=self.samesite,
            partitioned=self.partitioned,
        )
