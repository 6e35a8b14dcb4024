"""A session that was kept in another way, taken over at the first request that comes with its token."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from . import signals, stages
from .admission import TRIED_TOKENS, Admission, Admitted
from .backends import Backend, Found, is_tombstone
from .circumstances import Circumstances
from .clock import Clock
from .contents import Contents
from .draft import Draft, Login
from .errors import SessionTooLarge, StoreError, UnsupportedType
from .identity import user_named_in
from .policy import Times
from .predecessors import Former, Ticket
from .reasons import Reason
from .record import Outcome
from .rotation import Claim, is_alias, trail_of
from .values import Values
from .writes import Writes

_log = logging.getLogger("flask_sessionkit")

#: Seconds. Whoever begins a take-over carries out its last step in that time, or never. Somebody else who did so before
#: it is over would let the first one think that the old session had ended.
_LAST_STEP = 5.0


@runtime_checkable
class TakesOver(Backend, Protocol):
    """A backend that remembers which sessions were taken over, and lets their old tokens lead to what they became."""

    def load_former(self, name: str, *, now: float) -> Found | None:
        """Return what is remembered of a session that was kept in another way, or ``None``.

        :raises StoreError: the store cannot answer.
        """
        ...

    def lead_former(self, name: str, to: Found, *, until: float, now: float) -> bool:
        """Let a session that was kept in another way lead to the one that it became; false if it leads anywhere yet.

        :param until: how long to remember it at least, in Unix seconds.
        :raises StoreError: the store cannot answer.
        """
        ...


class TakingOver:
    """The judge of one request's tokens of sessions that were kept in another way.

    A take-over has three steps: the new session is created, the old one's name is made to lead to it, which one request
    only can do, and the old one is removed. Who comes with the old token after the second step is led on under the
    rules of a token that was renewed by age.

    :param tickets: what the request carries of them.
    :param now: when the request first looked at its session, in Unix seconds; all is judged by that moment.
    """

    def __init__(
        self,
        backend: TakesOver,
        clock: Clock,
        writes: Writes,
        circumstances: Circumstances,
        admission: Admission,
        tickets: Sequence[Ticket],
        *,
        now: float,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._writes = writes
        self._circumstances = circumstances
        self._admission = admission
        self._tickets = tickets
        self._now = now

    def admit(self) -> Admitted:
        """Return what the tokens lead to, taken over in this request or in one before.

        :raises StoreError: a store cannot answer.
        """
        by_name: dict[str, Admitted | _Begun] = {}
        for ticket in self._tickets[:TRIED_TOKENS]:
            if ticket.name not in by_name and (way := self._way(ticket)) is not None:
                by_name[ticket.name] = way
        ways = list(by_name.values())
        if not ways:
            return self._admission.nobody()
        if len(ways) > 1:
            # As with two tokens of ours: which one is the visitor's own cannot be told.
            self._circumstances.tell(signals.session_refused, reason="duplicate")
            return Admitted()
        way = ways[0]
        return self._taken_over(way) if isinstance(way, _Begun) else way

    def _way(self, ticket: Ticket) -> Admitted | _Begun | None:
        """Return what a ticket leads to, or what would become of it; ``None`` for nobody's."""
        if ticket.predecessor.has_random_tokens:
            known = self._backend.load_former(ticket.name, now=self._now)
            if known is not None:
                return self._followed(ticket, known)
            begun = self._begun(ticket)
            if begun is not None:
                return begun
            # Another request may have taken it over just now.
            known = self._backend.load_former(ticket.name, now=self._now)
            return None if known is None else self._followed(ticket, known)
        begun = self._begun(ticket)
        if begun is None:
            return None
        known = self._backend.load_former(ticket.name, now=self._now)
        if known is None:
            return begun
        return self._followed(ticket, known) if begun.is_one_visitors else self._begun_again(begun, known)

    def _followed(self, ticket: Ticket, known: Found) -> Admitted | None:
        if not is_alias(known):
            return None
        admitted = self._admission.follow(known)
        if admitted.found is None or self._now - _begun_at(known) >= _LAST_STEP:
            # Who began it may have died before the last step. Here nobody gets past what is remembered; servers of
            # before know nothing of that.
            with suppress(StoreError):
                ticket.predecessor.retire(ticket.token, now=self._now)
        return None if admitted.found is None else replace(admitted, ticket=ticket)

    def _begun_again(self, begun: _Begun, known: Found) -> _Begun | None:
        """Return another session from the same token, of which other visitors may have the same.

        To let them into the first one's session would show them what it wrote since. They may do so for as long as a
        visitor of one's own would be led on.
        """
        if not is_alias(known) or known.contents is None or self._now >= known.contents.absolute_at:
            return None
        trail = trail_of(self._backend, known, now=self._now)
        claim = trail.claim(self._circumstances.opened_at)
        if trail.head is None or is_tombstone(trail.head) or claim is Claim.STOLEN:
            return None
        if claim is Claim.RENEW and known.contents.is_shown:
            return None  # Nobody has shown the first one's token, as the visitor may be the one who has another's.
        return replace(begun, known=known, claim=claim)

    def _taken_over(self, begun: _Begun) -> Admitted:
        ticket = begun.ticket
        if begun.known is not None and not self._note_another(begun.known, begun.claim):
            return Admitted()
        try:
            new = self._writes.create(begun.contents, seen_at=begun.seen_at)
        except SessionTooLarge as error:
            _log.error("A session was not taken over, and stays where it was: %s", error)
            return Admitted()
        if begun.known is None:
            if self._backend.lead_former(ticket.name, new, until=begun.until, now=self._now):
                is_there = ticket.predecessor.retire(ticket.token, now=self._now)
                if not is_there and self._clock.now() - self._now < _LAST_STEP:
                    # A server that knows only the old session logged its user out between the load and now.
                    self._backend.end(new, Reason.LOGOUT, now=self._now)
                    return Admitted()
            elif begun.is_one_visitors:
                self._writes.take_back(new)
                known = self._backend.load_former(ticket.name, now=self._now)
                return (known and self._followed(ticket, known)) or Admitted()
            elif known := self._backend.load_former(ticket.name, now=self._now):
                self._note_another(known, Claim.FOLLOW)
        self._circumstances.tell(signals.session_created, user_id=begun.contents.user)
        return Admitted(new, ticket=ticket, is_new=True)

    def _note_another(self, known: Found, claim: Claim) -> bool:
        """Write down that more than one session begins from a token; return whether this one may.

        Which of them lives on cannot be told by the first, so that half a minute later nobody is given one more.
        """
        if known.contents is None or known.contents.is_shown:
            return True
        update = self._backend.update(known, replace(known.contents, is_shown=True), now=self._now)
        return update.outcome is Outcome.OK or claim is Claim.FOLLOW

    def _begun(self, ticket: Ticket) -> _Begun | None:
        """Return what would become of a session that was kept in another way, if it lives."""
        former = ticket.predecessor.load(ticket.token, now=self._now)
        if former is None:
            return None
        contents = self._contents(former.items) if former.contents is None else self._judged(former, former.contents)
        if contents is None:
            return None
        is_random = ticket.predecessor.has_random_tokens
        return _Begun(
            ticket=ticket,
            contents=replace(contents, renewed_at=self._now, is_shown=False),
            seen_at=former.seen_at if self._circumstances.is_passive else None,
            until=former.until,
            is_one_visitors=is_random or contents.user is not None or self._circumstances.csrf_key in contents.data,
        )

    def _contents(self, items: Mapping[Any, Any]) -> Contents | None:
        """Return the contents of a session that begins now with somebody else's data."""
        values = Values({})
        try:
            user = user_named_in(items, self._circumstances.rules.identity_keys)
            for key, value in items.items():
                values.put(key, value)
            data = dict(values.changes().put)
        except UnsupportedType as error:
            _log.error("A session was not taken over, and stays where it was: %s", error)
            return None
        # Nobody knows when its user proved who they are; so the login is not a fresh one.
        login = None if user is None else Login(user, is_fresh=False)
        draft = Draft(values.changes(), user=user, data_of=user, login=login)
        begun = stages.begun(self._circumstances, draft, data, now=self._now, instead_of=None)
        is_gone = user is not None and begun.stamp is None and self._circumstances.rules.stamp_of is not None
        return None if is_gone or not data else begun

    def _judged(self, former: Former, contents: Contents) -> Contents | None:
        """Return the contents of a session that was ours and goes on, unless its time is over or its user's."""
        seen_at = self._now if former.seen_at is None else former.seen_at
        times = Times(contents.created_at, contents.login_at, seen_at, contents.idle, contents.absolute_at)
        times = times.under(self._circumstances.limits(contents.data))
        if times.is_from_future(self._now) or times.verdict(self._now) is not None:
            return None
        if not self._admission.agrees_with_stamp(contents):
            return None
        return stages.revised(self._circumstances, contents, contents.data)


def _begun_at(known: Found) -> float:
    """Return when a session was taken over, in Unix seconds."""
    return known.contents.token_made_at if known.contents else 0.0


class _Begun(Struct, frozen=True):
    """What a session becomes that is taken over.

    :param seen_at: Unix seconds; ``None`` for now.
    :param until: when its old token ends by itself.
    :param is_one_visitors: no other visitor can have the same token.
    :param known: what is remembered of the token, where somebody came with it before.
    :param claim: what it may do then.
    """

    ticket: Ticket
    contents: Contents
    seen_at: float | None
    until: float
    is_one_visitors: bool
    known: Found | None = None
    claim: Claim = Claim.FOLLOW
