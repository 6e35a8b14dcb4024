"""Pickled sessions of Flask-Session's, rewritten in their place as what a request may read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from .former_records import items_of, may_be_pickle
from .pickle_process import PickleProcess
from .places import Lying, Place


class Became(Enum):
    """What became of a record."""

    #: It was a pickle.
    CONVERTED = "converted"
    #: It is read as it is.
    READABLE = "readable"
    #: It is a pickle; nothing was read of it.
    PICKLED = "pickled"
    #: It is a pickle of what cannot be kept, or no session.
    LEFT = "left"
    #: A server of Flask-Session wrote it meanwhile.
    CHANGED = "changed"


class Import:
    """One walk through a place.

    :param reader: reads pickles; ``None`` reads none, and changes nothing.
    """

    def __init__(self, place: Place, reader: PickleProcess | None, *, now: float) -> None:
        self._place = place
        self._reader = reader
        self._now = now
        self.counts: Counter[Became] = Counter()
        #: Why records were left.
        self.reasons: Counter[str] = Counter()

    def run(self) -> Iterator[Became]:
        """Yield what became of each record. Cut off anywhere, the next run goes on: what is converted is no pickle.

        :raises StoreError: the place cannot answer, or cannot be walked.
        """
        for lying in self._place.walk(now=self._now):
            became = self._convert(lying)
            self.counts[became] += 1
            yield became

    def _convert(self, lying: Lying) -> Became:
        if not may_be_pickle(lying.data):
            if items_of(lying.data) is not None:
                return Became.READABLE
            self.reasons["neither msgpack, JSON nor a pickle"] += 1
            return Became.LEFT
        if self._reader is None:
            return Became.PICKLED
        unpickled = self._reader.read(lying.data)
        if unpickled.data is None:
            self.reasons[unpickled.reason] += 1
            return Became.LEFT
        is_written = self._place.rewrite(lying, unpickled.data, now=self._now)
        return Became.CONVERTED if is_written else Became.CHANGED
