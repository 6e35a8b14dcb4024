"""When a load may touch: a process that knows when a session was last seen asks for no touch that cannot be due."""

from __future__ import annotations

import pytest

from flask_sessionkit import server_backend
from flask_sessionkit.backends import Found
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.record import Record
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore

NOW = 1_700_000_000.0
EVERY = 60.0


class Touching(MemoryStore):
    """A store that touches as it loads; notes each load, and whether a touch was asked for."""

    capabilities = MemoryStore.capabilities | Capability.TOUCH_ON_LOAD

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bool] = []

    def load(self, key: str, *, now: float, touch_every: float | None = None, **within: float) -> Record | None:
        self.asked.append(touch_every is not None)
        return super().load(key, now=now, touch_every=touch_every)


@pytest.fixture
def store() -> Touching:
    return Touching()


def process(store: Touching) -> ServerBackend:
    """Return what one process has; another one knows nothing of what this one saw."""
    return ServerBackend(
        store, KeyRing([b"a secret of this test, of no use"], app_id="shop"), app_id="shop", max_size=999
    )


def begun(store: Touching) -> str:
    contents = Contents(Kind.LIVE, 20_000.0, NOW + 43_200, NOW, bytes(16))
    token = process(store).create(contents, seen_at=NOW).token
    assert token is not None
    return token


def loaded(backend: ServerBackend, token: str, now: float) -> Found:
    found = backend.load(token, now=now, touch_every=EVERY, touch_within=20_000.0)
    assert found is not None
    return found


def test_a_second_load_within_the_interval_is_a_pure_read(store: Touching) -> None:
    backend, token = process(store), begun(store)

    seen = [loaded(backend, token, NOW + at).record.seen_at for at in (1, 2, 59, 60, 61, 119, 120)]

    assert store.asked == [True, False, False, True, False, False, True]
    assert seen == [NOW, NOW, NOW, NOW + 60, NOW + 60, NOW + 60, NOW + 120]


def test_a_process_goes_by_its_own_loads(store: Touching) -> None:
    one, other, token = process(store), process(store), begun(store)
    loaded(one, token, NOW + 1)

    loaded(other, token, NOW + 2)

    assert store.asked == [True, True]


def test_what_another_process_touched_is_learned_by_a_pure_read(store: Touching) -> None:
    one, other, token = process(store), process(store), begun(store)
    loaded(one, token, NOW + 50)
    loaded(other, token, NOW + 60)
    loaded(one, token, NOW + 59)  # its clock is a little behind
    store.asked.clear()

    loaded(one, token, NOW + 119)

    assert store.asked == [False]


def test_a_last_seen_that_cannot_be_believed_is_no_hint(store: Touching) -> None:
    backend, token = process(store), begun(store)
    loaded(backend, token, NOW + 9000)  # of a clock that is ahead

    found = loaded(backend, token, NOW)

    assert store.asked == [True, True]
    assert found.record.seen_at == NOW


def test_no_more_is_known_than_there_is_room_for(store: Touching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_backend, "_MOST_SEEN", 3)
    backend = process(store)
    sizes = []
    for _ in range(7):
        loaded(backend, begun(store), NOW + 1)
        sizes.append(len(backend._seen._seen_at))

    assert sizes == [1, 2, 3, 1, 2, 3, 1]
