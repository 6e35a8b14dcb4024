"""A session that goes on under another token, at once: the new record comes first, then the end of the old one."""

from __future__ import annotations

from . import stages
from .backends import Found
from .certain import contents_of
from .circumstances import Circumstances
from .clock import Clock
from .draft import Draft
from .reasons import Reason
from .writes import Writes


class Renewal:
    """One request's move of its session to a new record, whose token nobody has until all of it is done.

    Where a step fails, the new record is to be taken back.

    :param draft: what the request changed, with a login or without.
    :ivar new: the record under which the session goes on.
    :ivar contested: keys that another request changed too before the old record ended, and where this one won.
    """

    def __init__(self, writes: Writes, circumstances: Circumstances, clock: Clock, draft: Draft, old: Found) -> None:
        self._writes = writes
        self._circumstances = circumstances
        self._clock = clock
        self._draft = draft
        self._old = old
        self.new: Found = self._made()
        self.contested: list[str] = []

    def end_old(self) -> Found | None:
        """End the old record; return it as it was then, or ``None`` if the session had ended before.

        What another request wrote to it meanwhile goes into the new one first.

        :raises SessionConflict: others kept coming between, or the new record was revoked.
        :raises StoreError: the store cannot answer.
        """
        # A login ends the session before; a renewal goes on with it, and whoever ends it may follow.
        goes_on_as = None if self._draft.login else self.new
        return self._writes.retire(
            self._old, Reason.REPLACED, self._take_in, goes_on_as=goes_on_as, follows=self._draft.begins
        )

    def leave_old(self) -> None:
        """Keep nothing of an old session that had ended, but what this request put there itself.

        :raises SessionConflict: the new record was revoked.
        :raises StoreError: the store cannot answer.
        """
        alone = dict(self._draft.changes.own)
        if self._draft.login:
            contents = stages.revised(self._circumstances, contents_of(self.new), alone)
        else:
            contents = stages.begun(self._circumstances, self._draft, alone, now=self._clock.now(), instead_of=None)
        self.new = self._writes.rewrite(self.new, contents)

    def _made(self) -> Found:
        draft, now = self._draft, self._clock.now()
        before = contents_of(self._old)
        data = draft.changes.over(before.data)
        if draft.login:
            return self._writes.create(stages.begun(self._circumstances, draft, data, now=now, instead_of=None))
        return self._writes.create_from(self._old, stages.renewed(self._circumstances, draft, before, data, now=now))

    def _take_in(self, current: Found) -> None:
        changes, there = self._draft.changes, contents_of(current).data
        data = changes.over(there)
        if self._draft.login and self._circumstances.csrf_key not in changes.put:
            data.pop(self._circumstances.csrf_key, None)  # as old as what the login removed
        self.contested = changes.contested(there)
        self.new = self._writes.rewrite(self.new, stages.revised(self._circumstances, contents_of(self.new), data))
