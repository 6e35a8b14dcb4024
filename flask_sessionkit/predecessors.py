"""What is taken over of a session that was kept in another way, and who knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from .contents import Contents
from .discreet import DiscreetStruct
from .transport import Cookie, tokens_in


class Former(DiscreetStruct, frozen=True):
    """What is taken over of a session.

    :param until: when its token would have ended by itself, in Unix seconds, whatever may still happen to it.
    :param items: its data, as the application knows it.
    :param contents: of a session that was this library's own: its data, user and times, in place of ``items``.
    :param seen_at: of such a one: the last activity that was written down, in Unix seconds.
    """

    until: float
    items: Mapping[Any, Any] = {}  # a Struct copies it for each instance
    contents: Contents | None = None
    seen_at: float | None = None

    def __repr__(self) -> str:
        return "<Former>"  # reporters of errors show the variables of a frame, and this holds a session's data


class Predecessor(Protocol):
    """Where an application's sessions were kept before. It is asked where a request has no live session of ours."""

    @property
    def cookie(self) -> Cookie:
        """The cookie that its tokens lie in. It is deleted when a session was taken over, unless ours has its name."""
        ...

    @property
    def has_random_tokens(self) -> bool:
        """Whether no two visitors can hold the same token, because it was drawn at random."""
        ...

    def name(self, token: str) -> str | None:
        """Return the name of the session that a token names, or ``None`` if it cannot be one. Asks no store.

        All tokens of one session have the same name, however they are spelled: where a token is signed, the name is
        what was signed, and not the signature, which has many spellings. What was taken over is remembered by it.
        """
        ...

    def load(self, token: str, *, now: float) -> Former | None:
        """Return the session that a token opens, or ``None``: absent, expired and malformed are the same.

        :raises StoreError: the store cannot answer.
        """
        ...

    def retire(self, token: str, *, now: float) -> bool:
        """Remove a session that was taken over; return whether it was there until now.

        Where it was not, it ended between the load and now, and what was taken over ends too. True where nobody can
        tell, as of what lies in the browser alone. Called again, by whoever finds a take-over that was cut off.

        :raises StoreError: the store cannot answer.
        """
        ...


#: A header has room for hundreds, and to tell what is behind each may take a check of its signature.
_MOST_TOKENS = 8

#: Gives an application's predecessor. It is called at each request that needs one, so that it may look at settings that
#: change; a class that takes the application is one.
PredecessorOf: TypeAlias = Callable[[Any], Predecessor]


class Ticket(DiscreetStruct, frozen=True):
    """A token of a session that was kept in another way.

    :param name: of the session that it names.
    """

    predecessor: Predecessor
    token: str
    name: str

    def __repr__(self) -> str:
        return "<Ticket>"


def tickets_in(header: str, predecessors: Sequence[Predecessor]) -> list[Ticket]:
    """Return a ticket for each token of a session that was kept in another way and that a ``Cookie`` header carries.

    :param header: what WSGI calls ``HTTP_COOKIE``.
    """
    found = []
    for predecessor in predecessors:
        cookie = predecessor.cookie
        tokens = tokens_in(header, named=cookie.terms.get_cookie_name(cookie.app), could_be=_is_plain)
        for token in tokens[:_MOST_TOKENS]:
            name = predecessor.name(token)
            if name is not None:
                found.append(Ticket(predecessor, token, name))
    return found


def _is_plain(text: str) -> bool:
    """Return whether a cookie's value is one that anybody's session may have (RFC 6265bis, 4.1.1 and 5.6)."""
    return 0 < len(text) <= 4096 and text.isascii() and text.isprintable()
