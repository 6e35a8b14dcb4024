"""What one request writes of its session, against others that write to it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from . import signals
from .backends import Backend, Found, Update, is_left
from .circumstances import Circumstances
from .clock import Clock
from .contents import Contents
from .device import Device
from .errors import SessionConflict, SessionKitError, StoreError
from .reasons import Reason
from .record import Outcome
from .retries import Retries
from .rotation import LeadsOn, followed


class Writes:
    """One request's writes: records created, updated, retired, led on, and tried again where others came between."""

    def __init__(self, backend: Backend, clock: Clock, circumstances: Circumstances) -> None:
        self._backend = backend
        self._clock = clock
        self._circumstances = circumstances
        self.retries: Retries = Retries(clock)

    def create(self, contents: Contents, *, seen_at: float | None = None, renewed_from: Found | None = None) -> Found:
        """Keep a session under a new token.

        :param seen_at: Unix seconds; ``None`` for now.
        :param renewed_from: it is this session, and stays on the device that it was on.
        """
        info = b""
        if contents.user is not None:
            info = self._backend.info_of(renewed_from.record) if renewed_from else b""
            info = info or Device(contents.lineage, contents.login_at, *self._circumstances.device()).encode()
        seen_at = self._clock.now() if seen_at is None else seen_at
        return self._backend.create(contents, seen_at=seen_at, info=info, renewed_from=renewed_from)

    def create_from(self, old: Found, contents: Contents) -> Found:
        """Create the record under which a session goes on."""
        seen_at = old.record.seen_at if self._circumstances.is_passive else None
        return self.create(contents, seen_at=seen_at, renewed_from=old)

    def update(self, found: Found, contents: Contents) -> Update:
        """Overwrite what was found, unless it changed meanwhile."""
        now = self._clock.now()
        return self._backend.update(found, contents, now=now, seen_at=None if self._circumstances.is_passive else now)

    def rewrite(self, new: Found, contents: Contents) -> Found:
        """Overwrite a record whose token nobody has yet.

        :raises SessionConflict: it was revoked between its creation and now.
        """
        update = self.update(new, contents)
        if update.outcome is not Outcome.OK or update.found is None:
            raise ended_meanwhile()
        return update.found

    def take_back(self, new: Found) -> None:
        """Remove a record whose token nobody has: it must not linger in the list of devices."""
        with suppress(StoreError):
            self._backend.delete(new)

    def retire(
        self,
        old: Found,
        reason: Reason,
        merge: Callable[[Found], None] | None = None,
        *,
        goes_on_as: Found | None = None,
        follows: bool = True,
    ) -> Found | None:
        """Swap a record to a tombstone; return it as it was then, or ``None`` if it had ended before.

        :param merge: called with the record as it is now, whenever another request wrote to it between.
        :param goes_on_as: what the same session is from now on.
        :param follows: where the token was renewed between, it is the new one's record that is meant.
        """
        while True:
            now = self._clock.now()
            update = self._backend.retire(old, reason, now=now, goes_on_as=goes_on_as)
            if update.outcome is Outcome.OK:
                return old
            current = update.found
            while follows and current is not None and is_left(current):
                current = self._backend.successor(current, now=now)
            if current is None or is_left(current):
                return None
            if current.contents is None:
                # Another server sealed it with a secret that is not ours. It has to be dead all the same.
                if self._backend.end(current, reason, now=now).outcome is Outcome.OK:
                    user = old.contents.user if old.contents else None
                    self._circumstances.tell(signals.session_ended, reason=reason.value, user_id=user)
                return None
            old = self.try_again_on(current) or current  # one that has ended is met at the next attempt
            if merge is not None:
                merge(old)

    def lead_on(self, old: Found, new: Found, remake: Callable[[Found], Contents]) -> tuple[Found, Found] | None:
        """Let the old record lead to the new one; return both as they are then.

        :param remake: gives the new one's contents again, from the old one as another request wrote it meanwhile.
        :return: ``None`` if the session was renewed meanwhile, or is over; the new record was taken back then.
        :raises SessionConflict: others kept coming between; the new record was taken back, as with other errors.
        :raises StoreError: the store cannot answer, and the new record is kept if the old one may lead to it.
        """
        if not isinstance(self._backend, LeadsOn):
            raise SessionKitError("A session of this kind cannot be renewed by age. Please report this.")
        try:
            while True:
                update = self._backend.lead_on(old, new, now=self._clock.now())
                if update.outcome is Outcome.OK:
                    return old, new
                current = update.found
                if current is None or current.contents is None or is_left(current):
                    break
                current = self.try_again_on(current)
                if current is None or current.key != old.key:
                    break
                old = current
                new = self.rewrite(new, remake(old))
        except StoreError:
            self._take_back_unless_led_to(new, old)
            raise
        except SessionKitError:
            self.take_back(new)
            raise
        self.take_back(new)
        return None

    def try_again_on(self, found: Found) -> Found | None:
        """Return a session to try again on, or ``None`` if it has ended.

        The first time that is what the conflict showed, at once and without another load. After that others write
        without a pause, and what was read before ours is outdated when it ends: 8 processes on one session met the end
        of their budget in up to 58 of 1,672 writes. What is read after the pause is written to a trip later.

        :raises SessionConflict: the budget is spent.
        """
        if self.retries.begin():
            return found
        self.retries.pause()
        return self.followed(self._backend.load_key(found.key, now=self._clock.now(), token=found.token))

    def followed(self, found: Found | None) -> Found | None:
        """Return the live session that something is, or leads to where its token was renewed by age."""
        return followed(self._backend, found, now=self._clock.now())

    def _take_back_unless_led_to(self, new: Found, old: Found) -> None:
        """Remove a record whose token nobody has, unless a write whose answer was lost made the old one lead to it.

        Or will do so: it may still be on its way. What writes the old record once more gets in before it, and then it
        finds another version. If that fails the record stays until it idles out, and no list shows it twice.
        """
        now = self._clock.now()
        with suppress(StoreError):
            left = self._backend.load_key(old.key, now=now)
            if left is None or left.contents is None or is_left(left):
                is_needed = left is not None and (left.contents is None or left.contents.target == new.key)
            else:
                is_needed = self._backend.update(left, left.contents, now=now).outcome is not Outcome.OK
            if not is_needed:
                self._backend.delete(new)


def ended_meanwhile() -> SessionConflict:
    """Return the error of a change that found its session ended."""
    return SessionConflict("The session ended while it was being changed. Nothing was saved; begin again.")
