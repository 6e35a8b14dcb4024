"""The session as applications of Flask-Session know it: permanent unless told otherwise, and with a ``sid``."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

from msgspec.structs import replace

from ... import codec
from ...changes import Changes
from ...circumstances import PERMANENT
from ...draft import Draft
from ...session import Session

T = TypeVar("T")

#: The key of the session that holds its name.
NAME: Final = "_sid"
#: What alone makes no session.
_PASSING: Final = frozenset({PERMANENT, NAME})


class FormerSession(Session):
    """Flask's ``session``, with what Flask-Session's has besides.

    :cvar is_permanent: whether one that begins is permanent (``SESSION_PERMANENT``).
    """

    is_permanent: ClassVar[bool] = True

    def __bool__(self) -> bool:
        return any(key not in _PASSING for key in self)

    @property
    def sid(self) -> str:
        """A name of this session for the application's own use: the same in each request, until it ends or is renewed.

        It opens nothing, and is neither the token in the cookie nor what the store knows. A session in which nothing
        else is kept has another one in each request, as it is not kept.
        """
        if NAME not in self:
            self[NAME] = _new_name()
        return str(self[NAME])

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser; what ``SESSION_PERMANENT`` says until it is set."""
        return bool(self.get(PERMANENT, self.is_permanent))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self[PERMANENT] = bool(value)

    def clear(self) -> None:
        """Remove everything but whether it is permanent, as Flask-Session does; see ``Session.clear``."""
        permanent = self.permanent
        super().clear()
        if permanent is not self.is_permanent:
            self[PERMANENT] = permanent

    def regenerate(self) -> None:
        """Go on under a new token and a new ``sid``; see ``Session.regenerate``."""
        super().regenerate()
        self[NAME] = _new_name()

    def draft(self, *, failed: bool = False) -> Draft:
        """Return what saving now would keep; see ``Session.draft``."""
        draft = super().draft(failed=failed)
        if failed:
            return draft
        return replace(draft, changes=_settled(draft, is_permanent=self.is_permanent))

    def atomic(self, fn: Callable[[Session], T]) -> T:
        """Save at once what ``fn(session)`` changes; see ``Session.atomic``."""

        def fill(session: Session) -> T:
            result = fn(session)
            for key, value in _defaults(self.is_permanent).items():
                if session.changes() and key not in session:
                    session[key] = value
            return result

        return super().atomic(fill)


class PassingSession(FormerSession):
    """The same where ``SESSION_PERMANENT`` is off."""

    is_permanent: ClassVar[bool] = False


def _settled(draft: Draft, *, is_permanent: bool) -> Changes:
    """Return the changes with what a session begins with, or without what alone makes none."""
    changes = draft.changes
    future = changes.over({} if draft.ended else changes.base)
    if _PASSING.issuperset(future) and draft.user is None:
        put = {name: value for name, value in changes.put.items() if name not in _PASSING}
        return replace(changes, put=put, removed=changes.removed | (_PASSING & changes.base.keys()))
    if not changes.put and draft.login is None:
        return changes
    missing = {name: value for name, value in _defaults(is_permanent).items() if name not in future}
    begun = {name: codec.encode(value) for name, value in missing.items()}
    return replace(changes, put={**changes.put, **begun}, own={**changes.own, **begun})


def _defaults(is_permanent: bool) -> dict[str, Any]:
    return {PERMANENT: True, NAME: _new_name()} if is_permanent else {NAME: _new_name()}


def _new_name() -> str:
    return secrets.token_urlsafe(32)
