"""The promises of the store protocol as tests, for authors of stores to inherit."""

from __future__ import annotations

from typing import Any

from .arrangement import ABSOLUTE as ABSOLUTE
from .arrangement import END as END
from .arrangement import IDLE as IDLE
from .arrangement import NOW as NOW
from .arrangement import OTHER_OWNER as OTHER_OWNER
from .arrangement import OWNER as OWNER
from .arrangement import a_key as a_key
from .arrangement import a_record as a_record
from .arrangement import a_version as a_version
from .processes import StoreFactory as StoreFactory
from .promises_of_lists import ListPromises
from .promises_of_records import RecordPromises
from .promises_to_crowds import CrowdPromises


class StoreContract(RecordPromises, ListPromises, CrowdPromises):
    """Every promise that a store makes, as one test each. Inherit it, and say how to open your store:

    .. code-block:: python

        class TestMyStore(StoreContract):
            @pytest.fixture(autouse=True)
            def folder(self, tmp_path):
                self.path = tmp_path / "sessions"

            def make_store(self):
                return MyStore(self.path)

            def make_peer(self):
                return MyStore(self.path)

            def spawn_store(self):
                return functools.partial(MyStore, self.path)

    The store is made at the first use in a test, after the fixtures. What a store can not do is read from its
    ``capabilities``: without ``INDEX`` a list must be empty, without ``PURGE`` a purge must do nothing. A test that
    needs a hook which is not given is not collected. Time is a number here: nothing sleeps, and ``now`` is near
    1,700,000,000 whatever the day, so a store reckons a TTL from the ``now`` that it is given (from ``seen_at`` in
    ``create``), never from its own clock. Eight threads and four processes race for the same records: a store that
    gives up on a lock is opened with a patience of several seconds here, or a slow machine makes it a failure.

    :cvar rounds: how often each race is run.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Leave out the tests whose hook is not given."""
        super().__init_subclass__(**kwargs)
        for name in dir(StoreContract):
            test = getattr(StoreContract, name)
            hook = getattr(test, "needs", None)
            if hook is not None:
                given = getattr(cls, hook) is not getattr(StoreContract, hook)
                setattr(cls, name, test if given else None)
