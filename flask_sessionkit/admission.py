"""Which session a request's tokens name, and whether it still lives."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from . import signals
from .backends import TOMBSTONE_KEPT, Backend, Found, is_tombstone
from .circumstances import Circumstances
from .contents import Contents, Kind
from .draft import Kept
from .errors import SessionKitError, SessionTooLarge, StoreError
from .policy import Times
from .predecessors import Ticket
from .reasons import Reason
from .record import Outcome
from .roster import Roster
from .rotation import Claim, is_alias, trail_of

#: A browser may hold several cookies of our name (a sibling host can toss one); so many of them are tried.
TRIED_TOKENS = 3
#: Attempts to note that a token was shown, against others that write to its session. If none succeeds, the next request
#: does it.
_ATTEMPTS = 16


class Admitted(Struct, frozen=True):
    """What a request's tokens lead to.

    :param found: the live session.
    :param alias: what its old token was found to be, where it was renewed by age since: the client is given no token.
    :param is_lost: nobody has the new one, so the old one is renewed again.
    :param dead: why the session that a token named ended, a moment ago.
    :param unreadable: a record that no secret of ours opens: no session, but it can be ended.
    :param ticket: the client's token of the time when the session was kept in another way, if it came with that.
    :param is_new: it was taken over from there just now, and the client has no token of it yet.
    """

    found: Found | None = None
    alias: Found | None = None
    is_lost: bool = False
    dead: Reason | None = None
    unreadable: Found | None = None
    ticket: Ticket | None = None
    is_new: bool = False


class Admission:
    """The judge of one request's tokens.

    :param roster: gives the lists of users' sessions.
    :param now: when the request first looked at its session, in Unix seconds; all is judged by that moment.
    """

    _dead: Reason | None = None
    _unreadable: Found | None = None
    _timed: tuple[Found, Times] | None = None

    def __init__(
        self, backend: Backend, circumstances: Circumstances, roster: Callable[[], Roster], *, now: float
    ) -> None:
        self._backend = backend
        self._roster = roster
        self._circumstances = circumstances
        self._now = now
        #: What old tokens that must have been copied were found to be, and what they lead to.
        self._stolen: list[tuple[Found, Found | None]] = []

    def admit(self) -> Admitted:
        """Load what the tokens name, and bury what is found past its end.

        :raises StoreError: the store cannot answer.
        """
        live: dict[str, Admitted] = {}
        for token in self._circumstances.tokens[:TRIED_TOKENS]:
            admitted = self._load(token)
            if admitted.found is None:
                continue
            key = admitted.found.key
            # Of a sealed session a browser may hold an older cookie too, after a change of its path or domain.
            live[key] = admitted if key not in live else max(live[key], admitted, key=_how_recent)
        if len(live) == 1:
            return self._touched(live.popitem()[1])
        if live:
            # Which of two is the visitor's own cannot be told (RFC 6265bis, 4.2.2: no order to rely upon).
            self._refuse("duplicate")
            return Admitted()
        return self.nobody()

    def follow(self, alias: Found) -> Admitted:
        """Return what is led to by the old token of a session that was kept in another way; see ``nobody``.

        :raises StoreError: the store cannot answer.
        """
        return self._touched(self._led(alias))

    def nobody(self) -> Admitted:
        """Return what is left where no token leads to a live session, and end what stolen ones lead to.

        Beside a live one an old token tells of nothing but an older cookie, and opens nothing.

        :raises StoreError: the store cannot answer.
        """
        stolen, self._stolen = self._stolen, []
        for alias, head in stolen:
            self._end_stolen(alias, head)
        return Admitted(dead=self._dead, unreadable=self._unreadable)

    def kept(self, found: Found, contents: Contents) -> Kept:
        """Return what a session is filled with."""
        return Kept(
            data=contents.data,
            user=contents.user,
            data_of=contents.data_of,
            times=self._times(found, contents),
            judged_at=self._now,
            ended_because=contents.reason if self._now < contents.created_at + TOMBSTONE_KEPT else None,
        )

    def agrees_with_stamp(self, contents: Contents) -> bool:
        """Return whether a session's user is still one, and with the same credentials."""
        if self._circumstances.rules.stamp_of is None or contents.user is None:
            return True
        today = self._circumstances.rules.stamp(contents.user)
        return today is not None and today == contents.stamp

    @property
    def _touch_every(self) -> float | None:
        return None if self._circumstances.is_passive else self._circumstances.rules.timeouts.touch_interval

    def _load(self, token: str) -> Admitted:
        # A touch must not lengthen what today's settings have ended. Which limit is this session's is known after the
        # load, so a touch that is part of it goes by the shorter one, and another comes after the verdict.
        within = self._circumstances.shortest_idle
        found = self._backend.load(token, now=self._now, touch_every=self._touch_every, touch_within=within)
        return Admitted() if found is None else self._judged(found)

    def _touched(self, admitted: Admitted) -> Admitted:
        # Only the one that was chosen: of two cookies of one session the times tell which is the newer.
        found, every = admitted.found, self._touch_every
        if found is None or every is None or not self._backend.is_touch_due(found, now=self._now, touch_every=every):
            return admitted
        return replace(admitted, found=self._backend.touch(found, now=self._now, touch_every=every))

    def _judged(self, found: Found) -> Admitted:
        for _ in range(_ATTEMPTS):
            if is_alias(found):
                return self._led(found)
            if not self._lives(found):
                return Admitted()
            contents = found.contents
            if contents is None or contents.is_shown:
                break
            seen_at = None if self._circumstances.is_passive else self._now
            try:
                noted = self._backend.update(
                    found, replace(contents, is_shown=True), now=self._now, seen_at=seen_at
                ).found
            except SessionTooLarge:
                break  # The limit was lowered; what is there can be read all the same.
            if noted is None:
                return Admitted()
            found = noted
        return Admitted(found)

    def _led(self, alias: Found) -> Admitted:
        """Return what an old token leads to, and note it if somebody else must have the new one."""
        if alias.contents is None or alias.contents.target is None or self._now >= alias.contents.absolute_at:
            return Admitted()
        trail = trail_of(self._backend, alias, now=self._now)
        claim, head = trail.claim(self._circumstances.opened_at), trail.head
        if claim is Claim.STOLEN:
            self._stolen.append((alias, head))
        elif head is not None and self._lives(head):
            return Admitted(head, alias, is_lost=claim is Claim.RENEW)
        return Admitted()

    def _end_stolen(self, alias: Found, head: Found | None) -> None:
        """End the session of an old token that two clients must have, if it still lives."""
        if head is None:
            is_ended = self._end_unled(alias)
        else:
            is_over = not is_tombstone(head) and not self._lives(head)
            is_ended = not is_over and self._backend.end(head, Reason.ROTATED, now=self._now).outcome is Outcome.OK
            if is_ended and alias.contents:
                user = alias.contents.user
                self._circumstances.tell(signals.session_ended, reason=Reason.ROTATED.value, user_id=user)
            elif is_tombstone(head):
                self._lives(head)  # which notes why it ended
        if is_ended:
            # Where a thief was first to be given the new token, whoever came with the old one is the user.
            self._dead = Reason.ROTATED
            self._refuse("rotated")

    def _end_unled(self, alias: Found) -> bool:
        """End a session that an old token does not lead to any more, and that its user may still have."""
        old = alias.contents
        try:
            if old is not None and old.user is not None and self._roster().end(old.user, old.lineage, Reason.ROTATED):
                return True
        except StoreError:
            raise
        except SessionKitError:
            pass  # The store lists nothing, so nobody can tell where it goes on.
        # It costs a look at a list each time, and there is nothing left to end.
        if alias.token is not None:
            self._backend.delete(alias)
        elif old is not None:
            # Of a session that was kept in another way: its token may be good for another one, if nobody remembers it.
            self._backend.update(alias, replace(old, target=None), now=self._now)
        return False

    def _lives(self, found: Found) -> bool:
        contents = found.contents
        if contents is None:
            self._unreadable = found
            self._refuse("unreadable")
            return False
        if contents.kind is not Kind.LIVE:
            if self._now < contents.absolute_at:
                self._dead = contents.reason
            return False
        times = self._times(found, contents)
        if times.is_from_future(self._now):
            self._refuse("future")
            return False
        reason = times.verdict(self._now)
        if reason is None and not self.agrees_with_stamp(contents):
            reason = Reason.STAMP
        if reason is None:
            return True
        self._dead = reason
        if self._backend.end(found, reason, now=self._now).outcome is Outcome.OK:
            self._circumstances.tell(signals.session_ended, reason=reason.value, user_id=contents.user)
        return False

    def _times(self, found: Found, contents: Contents) -> Times:
        """Return what a session's life is judged by today; once for the verdict, and again for what views are told."""
        if self._timed is None or self._timed[0] is not found:
            self._timed = found, found.times(contents).under(self._circumstances.limits(contents.data))
        return self._timed[1]

    def _refuse(self, reason: str) -> None:
        self._circumstances.tell(signals.session_refused, reason=reason)


def _how_recent(admitted: Admitted) -> tuple[bool, float]:
    return admitted.alias is None, admitted.found.record.seen_at if admitted.found else 0.0
