"""How a session goes on after a request: saved, renamed, ended. Knows no HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import TypeVar

from msgspec.structs import replace

from . import signals, stages
from .admission import Admission, Admitted
from .backends import Backend, Found, Update
from .certain import contents_of, present
from .changes import Changes
from .circumstances import Circumstances, is_permanent
from .clock import Clock
from .contents import Contents
from .discreet import DiscreetStruct
from .draft import Draft, Kept
from .errors import SessionConflict, SessionKitError, SessionTooLarge, StoreError, UnsupportedType
from .predecessors import Ticket
from .reasons import Reason
from .record import Outcome
from .renewals import Renewal
from .roster import Roster
from .rotation import LeadsOn, is_alias
from .session import Session
from .taking_over import TakesOver, TakingOver
from .writes import Writes, ended_meanwhile

T = TypeVar("T")

_log = logging.getLogger("flask_sessionkit")

#: Seconds. A slower request may answer after a login has renewed the token, and would put the old one back.
_QUICK = 0.1


class Farewell(DiscreetStruct, frozen=True):
    """What to tell the browser.

    :param token: of the session that goes on; ``None`` if none does.
    :param is_new: the client does not have the token yet.
    :param must_send: it is to be sent, though the browser has it, which keeps it for too short or too long a time.
    :param may_refresh: somebody was here, and sending the token again cannot put an old one in a newer one's place.
    :param forget: delete the cookie.
    :param is_logout: a user logged out in this request.
    :param is_permanent: the cookie outlives the browser.
    :param lasts: seconds until the session's absolute end.
    """

    token: str | None = None
    is_new: bool = False
    must_send: bool = False
    may_refresh: bool = False
    forget: bool = False
    is_logout: bool = False
    is_permanent: bool = False
    lasts: float = 0.0

    @property
    def replaces(self) -> bool:
        """Whether the client is to drop what it came with, if that is something else."""
        return self.token is not None or self.forget

    def __repr__(self) -> str:
        return "<Farewell>"  # reporters of errors show the variables of a frame, and this holds a token


class _Status(Enum):
    READ = auto()
    NEW = auto()
    CHANGED = auto()
    RENAMED = auto()
    ROTATED = auto()
    UNBOUND = auto()
    ENDED = auto()


class Visit:
    """One request's dealings with one session: one load at the first look, one save at the close.

    :param roster: gives the lists of users' sessions, for what concerns more of them than this one.
    :param tickets: gives what the request carries of sessions that were kept in another way.
    """

    # Defaults stand on the class, as in ``Session``.
    _begun_writes: Writes | None = None
    _found: Found | None = None
    _alias: Found | None = None
    _is_lost = False
    _unreadable: Found | None = None
    _dead: Reason | None = None
    _sent: str | None = None
    #: What to tell the browser after an error at the close: Flask closes the session again with its error page.
    _parting: Farewell | None = None
    _is_admitted = False
    _is_emptied = False
    #: The client's token of the time when the session was kept in another way, if it came with that.
    ticket: Ticket | None = None
    #: The first failure of the store. It is not asked again in this request.
    failure: StoreError | None = None

    def __init__(
        self,
        backend: Backend,
        clock: Clock,
        circumstances: Circumstances,
        roster: Callable[[], Roster],
        tickets: Callable[[], Sequence[Ticket]] | None = None,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._circumstances = circumstances
        self._roster = roster
        self._tickets = tickets
        self._judged_at = clock.now()
        self._admission = Admission(backend, circumstances, roster, now=self._judged_at)
        self._looked_at = clock.elapsed()

    @property
    def _writes(self) -> Writes:
        # Most requests write nothing.
        if self._begun_writes is None:
            self._begun_writes = Writes(self._backend, self._clock, self._circumstances)
        return self._begun_writes

    @property
    def identity_keys(self) -> tuple[str, ...]:
        """Keys of the session that say who the user is."""
        return self._circumstances.rules.identity_keys

    @property
    def csrf_key(self) -> str:
        """The key of the session that holds Flask-WTF's token."""
        return self._circumstances.csrf_key

    @property
    def is_behind(self) -> bool:
        """Whether the client came with an old token, and the new one is on its way to it or to somebody else."""
        return self._alias is not None and not self._is_lost

    @property
    def has_stamp(self) -> bool:
        """Whether the application says who is still a user (``user_stamp``)."""
        return self._circumstances.rules.stamp_of is not None

    def stamp(self, user: str) -> str | None:
        """Return what a user's sessions have to agree with; ``None`` for a user who is gone."""
        return self._circumstances.rules.stamp(user)

    @property
    def lineage(self) -> bytes | None:
        """What stays of the session that was found when its token is renewed."""
        return contents_of(self._found).lineage if self._found else None

    def forget_csrf(self) -> None:
        """Drop copies of the CSRF token that lie outside the session."""
        self._circumstances.forget_csrf()

    # Admission.

    def find(self) -> Kept:
        """Load the session that the tokens name.

        :raises StoreError: the store cannot answer.
        """
        try:
            admitted = self._admit()
        except StoreError as error:
            self._note_failure(error)
            raise
        self._is_admitted = True
        self._found, self._dead, self._unreadable = admitted.found, admitted.dead, admitted.unreadable
        self._alias, self._is_lost = admitted.alias, admitted.is_lost
        self.ticket = admitted.ticket
        if self._found is None:
            return Kept(ended_because=self._dead)
        self._sent = None if admitted.is_new else self._found.token
        return self._kept(self._found)

    def _admit(self) -> Admitted:
        admitted = self._admission.admit()
        if admitted.found is not None or self._tickets is None:
            return admitted
        if admitted.dead is not None and admitted.dead.is_known_to_browser:
            return admitted  # A late request: its browser was sent a newer cookie, or none is to be there any more.
        tickets = self._tickets()
        if not tickets or not isinstance(self._backend, TakesOver):
            return admitted
        taking_over = TakingOver(
            self._backend, self._clock, self._writes, self._circumstances, self._admission, tickets, now=self._judged_at
        )
        return taking_over.admit()

    def _kept(self, found: Found) -> Kept:
        return self._admission.kept(found, contents_of(found))

    # The close.

    def close(self, session: Session, *, failed: bool = False) -> Farewell:
        """Carry out what the request changed and wished for, and return what to tell the browser.

        :param failed: the response is an error: no data is saved and no login made; ends are carried out.
        :raises UnsupportedType: a value cannot be kept. Nothing was saved.
        :raises SessionTooLarge: nothing was saved.
        :raises SessionConflict: others kept coming between, or a renewal found its session ended. Nothing was saved.
        :raises StoreError: the store cannot answer.
        """
        farewell = self._close(session, failed=failed)
        if self.ticket is not None and self._alias is not None and farewell.replaces:
            # Who took it over may have died before that.
            with suppress(StoreError):
                self.ticket.predecessor.retire(self.ticket.token, now=self._clock.now())
        return farewell

    def _close(self, session: Session, *, failed: bool) -> Farewell:
        if self.failure is not None or not self._is_admitted:
            # What stands behind the token was never learned; to begin another session would throw it away.
            return Farewell()
        if self._parting is not None:
            return self._parting
        if session.is_as_found and not self._is_emptied and (failed or not self._is_rotation_due()):
            return self._greet()
        try:
            draft = session.draft(failed=failed)
        except UnsupportedType:
            # What the view wrote cannot be kept, but what it ended has to be over.
            self._parting = self.close(session, failed=True)
            raise
        try:
            match self._status(draft, failed=failed):
                case _Status.READ:
                    return self._greet()
                case _Status.NEW:
                    return self._begin(draft)
                case _Status.CHANGED:
                    return self._save(draft)
                case _Status.RENAMED:
                    return self._rename(draft)
                case _Status.ROTATED:
                    return self._rotate(draft)
                case _Status.UNBOUND:
                    return self._unbind(draft)
                case _Status.ENDED:
                    return self._end(draft)
        except StoreError as error:
            self._note_failure(error)
            raise

    def _status(self, draft: Draft, *, failed: bool) -> _Status:
        if draft.ended is not None:
            return _Status.ENDED
        if self._found is None:
            return _Status.NEW if self._may_begin(draft) else _Status.READ
        if draft.login is not None:
            return _Status.RENAMED
        if draft.unbound:
            return _Status.UNBOUND
        if draft.renew:
            return _Status.RENAMED
        if not failed and self._is_rotation_due() and not self._is_left_empty(draft):
            return _Status.ROTATED
        return _Status.CHANGED if self._is_changed(draft) else _Status.READ

    def _is_changed(self, draft: Draft) -> bool:
        return bool(draft.changes) or draft.forced or self._is_emptied

    def _is_rotation_due(self) -> bool:
        every = self._circumstances.rules.rotate_every
        if self._circumstances.is_passive or self._found is None:
            return False
        if self._alias is not None:
            return self._is_lost
        return every is not None and self._clock.now() - contents_of(self._found).token_made_at >= every

    def _is_left_empty(self, draft: Draft) -> bool:
        return draft.user is None and not draft.changes.over(contents_of(present(self._found)).data)

    def _may_begin(self, draft: Draft) -> bool:
        if self._dead is not None and self._dead.is_known_to_browser and not draft.begins:
            return False
        return bool(draft.changes.put) or draft.login is not None

    def _begin(self, draft: Draft) -> Farewell:
        new = self._writes.create(self._new(draft, draft.changes.over({})))
        try:
            self._keep_to_limit(draft, instead_of=None)
        except SessionKitError:
            self._writes.take_back(new)
            raise
        self._found = new
        self._circumstances.tell(signals.session_created, user_id=contents_of(new).user)
        return self._greet()

    def _save(self, draft: Draft) -> Farewell:
        found = self._found
        while found is not None:
            before = contents_of(found).data
            data = draft.changes.over(before)
            if not data and draft.user is None:
                # Emptied, and nobody's: ended, as in Flask, unless another request puts something there meanwhile.
                update = self._backend.retire(found, Reason.LOGOUT, now=self._clock.now())
            else:
                contents = stages.changed(self._circumstances, draft, contents_of(found), data)
                update = self._writes.update(found, contents)
            if update.outcome is Outcome.OK:
                return self._saved(draft, update.found, before, data)
            found = self._writes.followed(update.found)
            if found is not None:
                found = self._writes.try_again_on(found)
        return Farewell()

    def _saved(
        self, draft: Draft, found: Found | None, before: Mapping[str, bytes], data: dict[str, bytes]
    ) -> Farewell:
        self._tell_contested(draft.changes.contested(before))
        self._found = self._writes.followed(found)
        if self._found is None:
            return Farewell(forget=True)
        return self._greet(must_send=draft.forced or is_permanent(data) or is_permanent(before))

    def _rename(self, draft: Draft) -> Farewell:
        old = present(self._found)
        if self.is_behind and draft.login_user in (None, contents_of(old).user):
            return self._refuse_renewal(draft)
        renewal = Renewal(self._writes, self._circumstances, self._clock, draft, old)
        try:
            self._keep_to_limit(draft, instead_of=old)
            retired = renewal.end_old()
            if retired is None and not draft.begins:
                return self._give_up(renewal, draft)
            if retired is None:
                renewal.leave_old()
        except SessionKitError:
            self._writes.take_back(renewal.new)
            raise
        self._found = renewal.new
        self._tell_renewal(renewal.new, retired)
        self._tell_contested(renewal.contested)
        return self._greet()

    def _give_up(self, renewal: Renewal, draft: Draft) -> Farewell:
        """Renew nothing for a session that has ended meanwhile.

        A remembered user, of whom nobody is told, has just been brought back by another request of this browser.

        :raises SessionConflict: it was no login, but a wish for another token.
        """
        self._found = None
        if draft.login is None:
            raise SessionConflict(
                "The session ended while its token was being renewed. Nothing was saved; log in again."
            )
        self._backend.delete(renewal.new)
        return Farewell()

    def _refuse_renewal(self, draft: Draft) -> Farewell:
        """Renew nothing for a client that came with the token before: it would be given another, which only copies of
        the old one have to come with.

        :raises SessionConflict: always; what the session needs to outlive a change of credentials was saved.
        """
        if draft.restamps:
            self._save(draft)
        raise SessionConflict(
            "The token of this session was renewed a moment ago, and this request came with the one before. It is "
            "given no other one; send it again with the new one."
        )

    def _rotate(self, draft: Draft) -> Farewell:
        """Create the new record, then let the old one lead to it; what was written between goes into the new."""
        old = present(self._found)
        try:
            new = self._writes.create_from(old, self._rotated(old, draft))
            led = self._writes.lead_on(old, new, lambda current: self._rotated(current, draft))
        except SessionTooLarge:
            return self._go_on(draft)
        except SessionConflict:
            led = None  # A renewal by age can wait; others that came between had their way for long enough.
        if led is None:
            left = self._backend.load_key(old.key, now=self._clock.now(), token=old.token)
            self._found = self._writes.followed(left)
            return self._go_on(draft)
        old, self._found = led
        self._shorten_way(self._found)
        self._circumstances.tell(signals.session_regenerated, user_id=contents_of(self._found).user)
        self._tell_contested(draft.changes.contested(contents_of(old).data))
        return self._greet()

    def _shorten_way(self, to: Found) -> None:
        """Let the token that the client came with lead where the session is now, past those between."""
        if self._alias is not None and isinstance(self._backend, LeadsOn):
            with suppress(StoreError):  # Where another request led it on meanwhile, that is as short.
                self._backend.lead_on(self._alias, to, now=self._clock.now())

    def _go_on(self, draft: Draft) -> Farewell:
        """Go on under the token of before; nobody asked for another one."""
        return self._save(draft) if self._is_changed(draft) else self._greet()

    def _rotated(self, old: Found, draft: Draft) -> Contents:
        data = draft.changes.over(contents_of(old).data)
        return stages.rotated(self._circumstances, draft, contents_of(old), data, now=self._clock.now())

    def _keep_to_limit(self, draft: Draft, *, instead_of: Found | None) -> None:
        """End the oldest logins of a user who has just logged in, beyond how many there may be.

        :param instead_of: the session that this login is about to end; it counts no more.
        """
        most = self._circumstances.rules.max_sessions
        if most is not None and draft.login is not None:
            without = contents_of(instead_of).lineage if instead_of else None
            self._roster().trim(draft.login.user, most=most, without=without)

    def _tell_renewal(self, new: Found, retired: Found | None) -> None:
        user = contents_of(new).user
        if retired is None:
            self._circumstances.tell(signals.session_created, user_id=user)
            return
        self._circumstances.tell(signals.session_regenerated, user_id=user)
        before = contents_of(retired).user
        if before not in (None, user):
            self._tell_end(Reason.REPLACED, before)

    def _unbind(self, draft: Draft) -> Farewell:
        """End the login first, then go on with the rest of the data under a new token."""
        retired = self._writes.retire(present(self._found), Reason.LOGOUT)
        self._found = None
        if retired is None:
            return Farewell()
        self._tell_end(Reason.LOGOUT, contents_of(retired).user)
        data = draft.changes.over(contents_of(retired).data)
        if not data or self.is_behind:
            return Farewell(forget=True, is_logout=True)
        self._parting = Farewell(forget=True, is_logout=True)
        new = self._new(draft, data)
        aged = stages.aged_like(self._circumstances, contents_of(retired), new, now=self._clock.now())
        self._found = self._writes.create(aged)
        return self._greet()

    def _end(self, draft: Draft) -> Farewell:
        ending, reason = self._found or self._unreadable, draft.ended or Reason.LOGOUT
        self._found = self._unreadable = None
        if ending is not None:
            update = self._backend.end(ending, reason, now=self._clock.now())
            if update.outcome is Outcome.OK:
                self._tell_end(reason, ending.contents.user if ending.contents else None)
            elif update.found is not None:
                self._dead = contents_of(update.found).reason
        # Ended by another request of this browser: a deleting cookie could wipe the newer one that it was sent.
        is_known = self._dead is not None and self._dead.is_known_to_browser
        self._parting = Farewell(forget=ending is not None and not is_known, is_logout=ending is not None)
        return replace(self._begin(draft), is_logout=True) if self._may_begin(draft) else self._parting

    # Changes that are saved at once.

    def atomic(self, session: Session, fn: Callable[[Session], T]) -> T:
        """Save at once what ``fn`` changes; see ``Session.atomic``.

        :raises SessionConflict: others kept coming between, or the session has ended.
        :raises StoreError: the store cannot answer.
        """
        if self.failure is not None:
            raise self.failure
        try:
            return self._atomic(session, fn)
        except StoreError as error:
            self._note_failure(error)
            raise

    def _atomic(self, session: Session, fn: Callable[[Session], T]) -> T:
        pending, found = session.changes(), self._found
        if not self._is_admitted or (found is None and not self._may_begin(Draft(Changes(put={"": b""})))):
            raise ended_meanwhile()
        while True:
            data = contents_of(found).data if found else {}
            scratch = session.scratch(pending.over(data))
            result = fn(scratch)
            changes = scratch.changes()
            if not changes:
                return result
            update = self._save_at_once(found, changes, replace(changes, base={}).over(data))
            if update.outcome is Outcome.OK:
                break
            found = self._found_again(update)
        self._writes.retries.stop()
        session.rebase(self._kept(present(self._found)), changes)
        return result

    def _save_at_once(self, found: Found | None, changes: Changes, data: dict[str, bytes]) -> Update:
        if found is None:
            self._found = self._writes.create(self._new(Draft(changes), data))
            self._circumstances.tell(signals.session_created, user_id=None)
            return Update(Outcome.OK, self._found)
        update = self._writes.update(found, stages.revised(self._circumstances, contents_of(found), data))
        if update.outcome is Outcome.OK:
            self._found = update.found
            self._is_emptied = not data
        return update

    def _found_again(self, update: Update) -> Found:
        """Return the session to try an atomic change on once more.

        :raises SessionConflict: it has ended, or others kept coming between.
        """
        if update.found is not None and is_alias(update.found):
            # This client was sent no token, and the one with it is on its way.
            self._alias, self._is_lost = update.found, False
        current = self._writes.followed(update.found)
        found = current and self._writes.try_again_on(current)
        if found is None:
            raise ended_meanwhile()
        return found

    # What all of these share.

    def _new(self, draft: Draft, data: dict[str, bytes]) -> Contents:
        return stages.begun(self._circumstances, draft, data, now=self._clock.now(), instead_of=self._dead)

    def _greet(self, *, must_send: bool = False) -> Farewell:
        found = self._found
        is_quick = self._clock.elapsed() - self._looked_at < _QUICK
        if found is None or (found.can_wait and not is_quick and not must_send):
            return Farewell()
        contents = contents_of(found)
        token = self._backend.token_of(found)
        farewell = Farewell(token, is_new=token != self._sent, must_send=must_send)
        if not is_permanent(contents.data):
            return farewell
        absolute_at = found.times(contents).under(self._circumstances.limits(contents.data)).absolute_at
        return replace(
            farewell,
            may_refresh=is_quick and not self._circumstances.is_passive,
            is_permanent=True,
            lasts=absolute_at - self._clock.now(),
        )

    def _note_failure(self, error: StoreError) -> None:
        if self.failure is None:
            self.failure = error
            _log.error("The session store could not answer: %s", error)
            self._circumstances.tell(signals.store_failed, error=error)

    def _tell_contested(self, keys: list[str]) -> None:
        if keys:
            self._circumstances.tell(signals.session_conflict, keys=keys)

    def _tell_end(self, reason: Reason, user: str | None) -> None:
        self._circumstances.tell(signals.session_ended, reason=reason.value, user_id=user)
