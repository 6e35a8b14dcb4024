"""The session: a mapping that loads at the first look, and a draft of what saving now would keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NoReturn, Protocol, Self, TypeVar

from flask.sessions import SessionMixin
from msgspec.structs import replace

from .binding import FRESH, Binding, Users
from .changes import Changes
from .draft import Draft, Kept, Login
from .errors import SessionClosed, SessionConflict, SessionKitError
from .policy import Times
from .reasons import Reason
from .values import Values

T = TypeVar("T")

#: Flask's key of messages for the next page.
_FLASHES = "_flashes"


class Visit(Users, Protocol):
    """One request's dealings with one session. The real one is in ``lifecycle``, two floors up."""

    @property
    def identity_keys(self) -> tuple[str, ...]:
        """Keys of the session that say who the user is."""
        ...

    @property
    def is_behind(self) -> bool:
        """Whether the client came with a token that age has just renewed: it is given no other one."""
        ...

    def find(self) -> Kept:
        """Load, from the store."""
        ...

    def atomic(self, session: Session, fn: Callable[[Session], T]) -> T:
        """Save what ``fn`` changes, at once."""
        ...


class Session(SessionMixin):
    """One visitor's data. Nothing is read before the first look, no value is decoded before it is asked for.

    Flask's ``session`` is one; it is not made by hand. Moments are Unix seconds, UTC.
    """

    # Defaults stand on the class: a request that never looks pays for one attribute only.
    _visit: Visit | None = None
    _kept = Kept()
    _values: Values | None = None
    _identity_keys: tuple[str, ...] = ()
    _binding: Binding | None = None
    _ended: Reason | None = None
    _ends_at_close = False
    _is_cleared = False
    _renews = False
    _restamps = False
    _begins = False
    _modified: bool | None = None
    _is_forced = False
    _is_sending = False

    def __init__(self, first_look: Callable[[], Visit]) -> None:
        self._first_look = first_look

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self._look()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        values = self._change()
        if key == FRESH or key in self._identity_keys:
            self._bound.put(values, key, value)
        else:
            values.put(key, value)

    def __delitem__(self, key: str) -> None:
        values = self._change()
        if key in self._identity_keys:
            self._bound.remove(values, key)
        else:
            values.remove(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._look())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def __contains__(self, key: object) -> bool:
        return key in self._look()

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self.copy()

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        if self._values is None:
            return "<Session, not looked at>"
        # Names of keys only: values are often secrets, and a repr ends up in logs.
        return f"<Session of {'a user' if self._bound.user else 'nobody'} with {list(self._values)}>"

    def copy(self) -> dict[str, Any]:
        """Return the data as a dict of its own; the values are the same objects."""
        return dict(self)

    # A copy is data and no second session; deeper down lie locks and the application.
    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return deepcopy(self.copy(), memo)

    def popitem(self) -> tuple[str, Any]:
        """Remove and return the last key and its value.

        :raises KeyError: the session is empty.
        """
        for key in reversed(self._look()):
            return key, self.pop(key)
        raise KeyError("popitem(): the session is empty")

    def clear(self) -> None:
        """Remove everything, also what other requests wrote meanwhile, and unbind the user."""
        self._change().clear()
        self._is_cleared = True
        self._bound.data_of = None
        self._bound.unbind()

    # What it knows about itself.

    @property
    def user_id(self) -> str | None:
        """The user that the session is bound to."""
        self._look()
        return self._kept.user if self._binding is None else self._binding.user

    @property
    def new(self) -> bool:  # type: ignore[override]  # Flask has a plain attribute
        """Whether no stored session stands behind this one."""
        return self._times() is None

    @property
    def modified(self) -> bool:
        """Whether the session was changed. Set by hand: true saves it and sends its cookie again, false saves nothing.

        Changes inside of values need no setting; they are found when the request ends.
        """
        return bool(self._modified)

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            self._look()
        self._modified = self._is_forced = bool(value)

    @property
    def created_at(self) -> float | None:
        """When the session was first stored; ``None`` before."""
        times = self._times()
        return None if times is None else times.created_at

    @property
    def login_at(self) -> float | None:
        """When the user last proved who they are; ``None`` if they did not."""
        times = self._times()
        return None if times is None else times.login_at

    @property
    def seen_at(self) -> float | None:
        """The last activity that was written down; ``None`` before the session is stored."""
        times = self._times()
        return None if times is None else times.seen_at

    @property
    def expires_at(self) -> float | None:
        """When the session ends if nothing more happens; ``None`` before it is stored."""
        times = self._times()
        return None if times is None else times.expires_at(self._kept.judged_at)

    @property
    def ends_because(self) -> str | None:
        """Which limit ends the session at ``expires_at``: "idle" or "absolute"; ``None`` before it is stored."""
        times = self._times()
        return None if times is None else times.ends_because(self._kept.judged_at)

    @property
    def ended_because(self) -> str | None:
        """Why the session that this cookie named is no more: a value of ``Reason``. Told for a minute."""
        self._look()
        return self._kept.ended_because

    # Wishes: noted here, carried out when the request ends.

    def regenerate(self) -> None:
        """Go on under a new token; the old one is dead. For a change of what the user may do.

        A login needs no call of this: it changes the token by itself.
        """
        self._change()
        self._renews = True

    def outlive_credentials(self) -> None:
        """Go on under a new token and with today's ``user_stamp`` (``revoke_user(keep_current=True)``)."""
        self.regenerate()
        self._restamps = True

    def invalidate(self) -> None:
        """End the session. What is written afterwards begins a new one."""
        self._change()
        self._ended = Reason.LOGOUT
        self._binding = None
        self._is_cleared = self._renews = self._restamps = False
        self._fill(Kept(ended_because=self._kept.ended_because))
        if self._visit is not None:
            self._visit.forget_csrf()

    def log_in(self, login: Login) -> None:
        """Bind the session to a user under a new token; see ``login_user``."""
        values = self._change()
        self._bound.log_in(values, login)

    def end_at_close(self) -> None:
        """Note that the session ends when the request does; until then it stays as it is (``logout_view``)."""
        self._look()
        self._ends_at_close = True

    @contextmanager
    def login_view(self) -> Iterator[None]:
        """Renew the token if anything but a message or a form's token changes inside (``login_view``)."""
        before = self._touched() if self.is_opened else {}
        self._begins = True
        try:
            yield
        finally:
            if self.is_opened and self._touched() != before:
                self._renews = True

    def atomic(self, fn: Callable[[Session], T]) -> T:
        """Save at once what ``fn(session)`` changes, and only that; return what it returns.

        ``fn`` runs again on fresh data until nothing came between, so it should change nothing but its session,
        and it may not log in, log out or renew. What was saved stays, also if the request fails later.

        :raises SessionConflict: others kept coming between for a second, or the session has ended.
        """
        self._change()
        if self._visit is None or self._ended or self._ends_at_close:
            raise SessionConflict("session.atomic() needs a session that goes on, and this one has ended.")
        bound = self._bound
        if (bound.login or bound.is_unbound) and self._kept.data_of not in (None, bound.user):
            # What is saved now would lie in the session of the user before.
            raise SessionConflict(
                "session.atomic() saves at once, before the change of user. Call it in another request."
            )
        return self._visit.atomic(self, fn)

    # For the close.

    @property
    def is_opened(self) -> bool:
        """Whether the session was looked at; asking is no look."""
        return self._values is not None

    @property
    def visit(self) -> Visit | None:
        """The request's dealings with this session, once it was looked at."""
        return self._visit

    @property
    def is_as_found(self) -> bool:
        """Whether it is sure that there is nothing to save or to carry out; asking is no look."""
        if self._modified is not None or self._ends_at_close or self._renews:
            return False
        return self._values is None or not self._values.may_have_changed

    def draft(self, *, failed: bool = False) -> Draft:
        """Return what saving now would keep.

        :param failed: the response is an error: data and logins are dropped; ends and removals of users stay.
        :raises UnsupportedType: a value cannot come back as it went in.
        """
        ended = self._ended or (Reason.LOGOUT if self._ends_at_close else None)
        if failed:
            return self._draft_of_failure(ended)
        if self._ends_at_close:
            return Draft(self._new_messages(), ended=ended)
        bound, login = self._bound, self._bound.settled_login(self._look())
        return Draft(
            changes=self.changes(),
            user=bound.user,
            data_of=bound.data_of,
            login=login,
            ended=ended,
            unbound=bound.is_unbound,
            renew=self._renews,
            restamps=self._restamps,
            begins=self._begins or (login is not None and login.is_fresh),
            forced=self._is_forced,
        )

    def changes(self) -> Changes:
        """Return what this request changed so far, encoded.

        :raises UnsupportedType: a value cannot come back as it went in.
        """
        values = self._look()
        return Changes() if self._modified is False else values.changes()

    def rebase(self, kept: Kept, saved: Changes) -> None:
        """Go on from what ``atomic`` saved, keeping what this request changed besides.

        :param saved: what the atomic change put and removed.
        """
        self._kept, self._values = kept, self._look().rebased(kept.data, saved)

    def scratch(self, data: Mapping[str, bytes]) -> Session:
        """Return a session over other data, for the function of an atomic change; it takes no wishes."""
        return _Scratch(self, data)

    @property
    def shows_user(self) -> bool:
        """Whether the response may show what only one user may see; asking is no look."""
        return self._kept.user is not None or (self._binding is not None and self._binding.user is not None)

    @property
    def is_behind(self) -> bool:
        """Whether age renewed the token a moment ago, and this request came with the old one; asking is no look."""
        return self._visit is not None and self._visit.is_behind

    @property
    def is_to_end(self) -> bool:
        """Whether the view ended the session, or all that it holds; asking is no look."""
        return self._ended is not None or self._ends_at_close or self._is_cleared

    def note_sending(self, is_sending: bool) -> None:
        """Refuse changes while a streamed response is on its way."""
        self._is_sending = is_sending

    # Within.

    def _look(self) -> Values:
        if self._values is not None:
            return self._values
        self.accessed = True
        # Filled first: when the store fails, the next look finds an empty session and not a second failure.
        self._values = values = Values({})
        self._visit = visit = self._first_look()
        self._identity_keys = visit.identity_keys
        kept = visit.find()
        return self._fill(kept) if kept.times or kept.ended_because else values

    def _times(self) -> Times | None:
        self._look()
        return self._kept.times

    def _fill(self, kept: Kept) -> Values:
        self._kept = kept
        self._values = values = Values(kept.data)
        return values

    def _change(self) -> Values:
        values = self._look()
        if self._is_sending:
            raise SessionClosed(
                "The session was saved before the response began to stream. Change it before the first byte is sent."
            )
        self._modified = True
        return values

    @property
    def _bound(self) -> Binding:
        if self._binding is None:
            self._binding = Binding(self._kept, self._identity_keys, self._visit)
        return self._binding

    def _touched(self) -> dict[str, bytes | None]:
        passing = {_FLASHES, self._visit.csrf_key if self._visit else ""}
        changes = self.changes()
        touched: dict[str, bytes | None] = {**changes.put, **dict.fromkeys(changes.removed)}
        return {name: value for name, value in touched.items() if name not in passing}

    def _new_messages(self) -> Changes:
        """Return what a ``logout_view`` leaves behind: messages of this request, for a session of their own."""
        messages = self.changes().put.get(_FLASHES)
        return Changes(put={} if messages is None else {_FLASHES: messages})

    def _draft_of_failure(self, ended: Reason | None) -> Draft:
        base, was_unbound = self._kept.data, self._bound.was_unbound
        removed = frozenset(base.keys() & {*self._identity_keys}) if was_unbound else frozenset()
        return Draft(
            changes=Changes(base, {}, removed, cleared=self._is_cleared),
            user=None if ended or was_unbound else self._kept.user,
            data_of=None if self._is_cleared else self._kept.data_of,
            ended=ended,
            unbound=was_unbound and not ended,
        )


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise SessionKitError(
        "The function of session.atomic() may not log in, log out, renew or nest. Do that outside of it."
    )


class _Fixed(Binding):
    """A binding that stays as it is."""

    log_in = _refuse

    def unbind(self) -> None:
        if self.user is not None:
            _refuse()


class _Scratch(Session):
    def __init__(self, outer: Session, data: Mapping[str, bytes]) -> None:
        self._identity_keys = outer._identity_keys
        bound = outer._bound
        self._fill(replace(outer._kept, data=data, user=bound.user, data_of=bound.data_of))
        self._binding = _Fixed(self._kept, self._identity_keys, None)

    regenerate = outlive_credentials = invalidate = log_in = end_at_close = atomic = _refuse
