"""How a token travels: in a cookie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from werkzeug.wrappers import Response

from .tokens import Token, is_token


def tokens_in(header: str, *, named: str) -> list[Token]:
    """Return the different tokens that a request's ``Cookie`` header carries under a name.

    Names are compared byte for byte: a parser that trims Unicode spaces or decodes escapes lets a sibling host
    past the browser's rules for ``__Host-``. What cannot be a token is dropped here and reaches no store.
    """
    found: dict[Token, None] = {}  # in their order; a list is slow for the thousand that fit into a header
    for pair in header.split(";"):
        name, _, value = pair.strip(" \t").partition("=")
        if name == named and is_token(value):
            found[Token(value)] = None
    return list(found)


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
