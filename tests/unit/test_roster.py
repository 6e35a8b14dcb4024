"""Who is signed in where: lists, handles and ends, on records made by hand. TR-05, ID-08, CL-04."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_sessionkit.backends import Found
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.device import Device
from flask_sessionkit.errors import SessionKitError
from flask_sessionkit.reasons import Reason
from flask_sessionkit.record import Outcome, Record
from flask_sessionkit.roster import parts_of
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.server_roster import ServerRoster
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import is_token, new_token

SECRET, OLD = b"s" * 32, b"o" * 32


class Club:
    """A store with members in it."""

    def __init__(self, *secrets: bytes, store: Any = None, page: int = 100) -> None:
        self.clock = FrozenClock()
        self.store = PausingStore(store or MemoryStore())
        self.backend = self.behind(*(secrets or (SECRET,)))
        self.ended: list[tuple[Reason, str | None]] = []
        self.roster = ServerRoster(self.backend, self.clock, lambda *told: self.ended.append(told), page=page)

    def behind(self, *secrets: bytes) -> ServerBackend:
        return ServerBackend(self.store, KeyRing(secrets, app_id="club"), app_id="club", max_size=65536)

    def sign_in(self, user: str, *, agent: str = "agent", fresh: bool = True, by: ServerBackend | None = None) -> Found:
        now = self.clock.now()
        lineage = new_token().encode()[:16]
        login_at = now if fresh else None
        contents = Contents(Kind.LIVE, 1800.0, now + 43200, now, lineage, login_at=login_at, user=user, data_of=user)
        info = Device(lineage, login_at, agent, "192.0.2.1").encode()
        return (by or self.backend).create(contents, seen_at=now, info=info)

    def lives(self, found: Found) -> bool:
        now = self.backend.load_key(found.key, now=self.clock.now())
        return now is not None and now.contents is not None and now.contents.kind is Kind.LIVE


def lineage_of(found: Found) -> bytes:
    assert found.contents is not None
    return found.contents.lineage


@pytest.fixture
def club() -> Club:
    return Club()


def test_a_list_tells_all_of_a_users_sessions_the_latest_login_first(club: Club) -> None:
    started = club.clock.now()
    one = club.sign_in("alice", agent="one")
    club.clock.tick(10)
    club.sign_in("alice", agent="two", fresh=False)
    club.clock.tick(10)
    club.sign_in("alice", agent="three")
    club.sign_in("bob")
    rows = club.roster.sessions_of("alice", current=lineage_of(one))

    assert [row.user_agent for row in rows] == ["three", "two", "one"]
    assert [row.current for row in rows] == [False, False, True]
    assert [row.login_at for row in rows] == [started + 20, None, started]
    assert rows[2].created_at == rows[2].seen_at == started
    assert rows[2].expires_at == started + 1800
    assert rows[2].address == "192.0.2.1"


def test_users_are_compared_byte_for_byte(club: Club) -> None:
    """Also an ``é`` of one and of two code points, which look the same."""
    for user in ("alice", "Alice", "alice ", "é", "e\u0301", "1", "01"):
        club.sign_in(user)

    for user in ("alice", "Alice", "alice ", "é", "e\u0301", "1", "01"):
        assert len(club.roster.sessions_of(user)) == 1
    assert club.roster.sessions_of("ALICE") == []


def test_a_list_opens_no_payload_and_goes_page_by_page() -> None:
    club = Club(page=3)
    for _ in range(7):
        club.sign_in("alice")
    club.store.reset()

    assert len(club.roster.sessions_of("alice")) == 7
    assert club.store.counts == {"list_owner": 4}


def test_handles_differ_name_no_user_and_are_no_tokens(club: Club) -> None:
    one, other = club.sign_in("alice"), club.sign_in("alice")
    handles = [row.handle for row in club.roster.sessions_of("alice")]

    assert len(set(handles)) == 2
    for handle in handles:
        assert not is_token(handle) or handle not in (one.token, other.token)
        assert len(base64.urlsafe_b64decode(handle + "=")) == 32
        assert one.key not in handle
        assert club.backend.load_key(handle, now=club.clock.now()) is None


def test_a_handle_stays_when_the_token_is_renewed(club: Club) -> None:
    found = club.sign_in("alice")
    [row] = club.roster.sessions_of("alice")
    assert found.contents is not None
    club.backend.delete(found)
    renewed = club.backend.create(found.contents, seen_at=club.clock.now(), info=found.record.info)

    assert [row.handle] == [again.handle for again in club.roster.sessions_of("alice")]
    assert club.roster.revoke(row.handle) == 1
    assert not club.lives(renewed)


def test_revoke_ends_the_one_that_is_named(club: Club) -> None:
    one, other = club.sign_in("alice", agent="one"), club.sign_in("alice", agent="other")
    handle = next(row.handle for row in club.roster.sessions_of("alice") if row.user_agent == "one")

    assert club.roster.revoke(handle, user_id="alice") == 1
    assert (club.lives(one), club.lives(other)) == (False, True)
    assert club.ended == [(Reason.REVOKED, "alice")]
    assert club.roster.revoke(handle) == 0


def test_nobody_ends_anothers_session_by_its_handle(club: Club) -> None:
    found = club.sign_in("alice")
    [row] = club.roster.sessions_of("alice")

    assert club.roster.revoke(row.handle, user_id="bob") == 0
    assert club.roster.revoke(row.handle, user_id="") == 0
    assert club.lives(found)


def test_a_handle_put_together_of_two_users_parts_ends_nothing(club: Club) -> None:
    alices, bobs = club.sign_in("alice"), club.sign_in("bob")
    raw = [base64.urlsafe_b64decode(club.roster.sessions_of(user)[0].handle + "=") for user in ("alice", "bob")]
    mixed = base64.urlsafe_b64encode(raw[1][:16] + raw[0][16:]).decode()

    assert club.roster.revoke(mixed, user_id="bob") == 0
    assert club.lives(alices)
    assert club.lives(bobs)


@given(st.text(max_size=60) | st.binary(max_size=45).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_no_handle_ends_nothing_and_raises_nothing(text: str) -> None:
    owner, lineage = parts_of(text)

    assert (owner, lineage) == ("", b"") or (len(owner), len(lineage)) == (32, 16)
    assert Club().roster.revoke(text) == 0


def test_revoke_user_ends_all_of_one_user_and_says_how_many() -> None:
    club = Club(page=2)
    hers = [club.sign_in("alice") for _ in range(5)]
    his = club.sign_in("bob")

    assert club.roster.revoke_user("alice", spared=lineage_of(hers[3])) == 4
    assert [club.lives(found) for found in hers] == [False, False, False, True, False]
    assert club.lives(his)
    assert club.ended == [(Reason.REVOKED, "alice")] * 4
    assert len(club.roster.sessions_of("alice")) == 1


def test_sessions_under_a_fallback_are_listed_and_ended_too() -> None:
    club = Club(SECRET, OLD)
    old = club.sign_in("alice", by=club.behind(OLD))
    new = club.sign_in("alice")
    handles = [row.handle for row in club.roster.sessions_of("alice")]

    assert len(handles) == 2
    assert club.roster.revoke_user("alice") == 2
    assert not club.lives(old)
    assert not club.lives(new)


def test_a_session_that_no_secret_opens_any_more_is_ended_all_the_same() -> None:
    """Under its owner's old name: a server that still has the old secret would serve it."""
    club = Club(SECRET, OLD)
    found = club.sign_in("alice")
    record = club.store.inner.load(found.key, now=club.clock.now())
    assert record is not None
    spoilt = Found(found.key, None, None, record)
    club.store.inner._records[found.key] = type(record)(  # type: ignore[attr-defined]
        **{name: getattr(record, name) for name in record.__slots__} | {"payload": b"sealed by nobody we know"}
    )

    assert spoilt.contents is None
    assert club.roster.revoke_user("alice") == 1
    assert not club.lives(found)
    assert club.ended == [(Reason.REVOKED, None)]


@pytest.mark.parametrize("info", [b"", b"\xff", b"\x01\x94\xa1x\xa1x\xa1x\xa1x", b"\x01\x94\xc4\x00\xc0\xa1\xff\xa0"])
def test_an_entry_that_tells_nothing_is_listed_and_ended(club: Club, info: bytes) -> None:
    now = club.clock.now()
    contents = Contents(Kind.LIVE, 1800.0, now + 43200, now, bytes(16), login_at=now, user="alice")
    found = club.backend.create(contents, seen_at=now, info=info)

    [row] = club.roster.sessions_of("alice")
    assert (row.user_agent, row.address, row.login_at) == ("", "", None)
    assert club.roster.revoke_user("alice") == 1
    assert not club.lives(found)


def test_a_store_without_an_index_says_so() -> None:
    class Unlisted(MemoryStore):
        capabilities = Capability.PURGE

    club = Club(store=Unlisted())
    for call in (lambda: club.roster.sessions_of("alice"), lambda: club.roster.revoke_user("alice")):
        with pytest.raises(SessionKitError, match="cannot list a user's sessions"):
            call()


class Forgetful(MemoryStore):
    """A store whose list may miss some."""

    capabilities = Capability.INDEX_BEST_EFFORT | Capability.PURGE


def test_a_list_that_may_miss_some_shows_what_it_has() -> None:
    club = Club(store=Forgetful())
    club.sign_in("alice")

    assert len(club.roster.sessions_of("alice")) == 1


def test_a_list_that_may_miss_some_revokes_nobody_without_a_stamp() -> None:
    club = Club(store=Forgetful())
    found = club.sign_in("alice")

    with pytest.raises(SessionKitError, match="user_stamp"):
        club.roster.revoke_user("alice")
    assert club.lives(found)
    assert ServerRoster(club.backend, club.clock, lambda *_: None, has_stamp=True).revoke_user("alice") == 1
    assert not club.lives(found)


# All of everybody.


class Walked(PausingStore):
    """A store that can be walked, where something happens meanwhile."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.meanwhile: list[Callable[[], object]] = []
        self.passed_by: set[str] = set()
        self.scan = self.walk  # in place of the one that is passed on

    def walk(self) -> Iterator[Record]:
        records = [record for record in self.inner.scan() if record.key not in self.passed_by]  # type: ignore[attr-defined]
        if self.meanwhile:
            self.meanwhile.pop(0)()
        yield from records


@pytest.fixture
def street() -> Club:
    club = Club()
    club.store = Walked(MemoryStore())
    club.backend = club.behind(SECRET)
    club.roster = ServerRoster(club.backend, club.clock, lambda *told: club.ended.append(told))
    return club


def renewed(club: Club, found: Found) -> Found:
    """Give a session another token, as ``regenerate()`` does."""
    assert found.contents is not None
    now = club.clock.now()
    new = club.backend.create(found.contents, seen_at=now, info=found.record.info, renewed_from=found)
    assert club.backend.retire(found, Reason.REPLACED, now=now, goes_on_as=new).outcome is Outcome.OK
    return new


@pytest.mark.requirement("CL-04")
def test_all_sessions_are_ended_whoevers_they_are(street: Club) -> None:
    found = [street.sign_in(user) for user in ("alice", "alice", "bob")]
    now = street.clock.now()
    found.append(street.backend.create(Contents(Kind.LIVE, 1800.0, now + 43200, now, bytes(16)), seen_at=now))

    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 4
    assert not any(street.lives(one) for one in found)
    assert sorted(street.ended, key=str) == [
        (Reason.ADMINISTRATOR, "alice"),
        (Reason.ADMINISTRATOR, "alice"),
        (Reason.ADMINISTRATOR, "bob"),
        (Reason.ADMINISTRATOR, None),
    ]
    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 0


def test_what_has_ended_is_not_ended_again(street: Club) -> None:
    idle, logged_out = street.sign_in("alice"), street.sign_in("bob")
    street.clock.tick(1801)
    street.backend.end(logged_out, Reason.LOGOUT, now=street.clock.now())

    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 0
    assert street.ended == []
    assert street.backend.load_key(idle.key, now=street.clock.now()) is not None


def test_a_session_that_was_renewed_since_its_page_was_read_is_ended(street: Club) -> None:
    old = street.sign_in("alice")
    new: list[Found] = []
    street.store.meanwhile = [lambda: new.append(renewed(street, old))]

    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 1
    assert not street.lives(new[0])


def test_a_session_that_was_renewed_behind_the_walk_is_ended(street: Club) -> None:
    """Its old record was ahead, and what led on from there was gone when the walk came by."""
    old, other = street.sign_in("alice"), street.sign_in("bob")
    new: list[Found] = []

    def renew() -> None:
        street.store.passed_by.clear()
        new.append(renewed(street, old))
        street.store.inner.delete(old.key)

    street.store.passed_by = {old.key}
    street.store.meanwhile = [renew]

    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 2
    assert not street.lives(new[0])
    assert not street.lives(other)


def test_a_login_after_the_call_stays_and_does_not_keep_the_walk_going(street: Club) -> None:
    street.sign_in("alice")
    new: list[Found] = []

    def sign_in() -> None:
        street.clock.tick(1)
        new.append(street.sign_in("alice"))

    street.store.meanwhile = [sign_in, sign_in]

    assert street.roster.revoke_all(reason=Reason.ADMINISTRATOR) == 1
    assert [street.lives(found) for found in new] == [True, True]


def test_a_store_that_cannot_be_walked_ends_nothing_and_says_so() -> None:
    class Unwalked(MemoryStore):
        scan = None  # type: ignore[assignment]  # as good as absent, for a protocol

    club = Club(store=Unwalked())
    found = club.sign_in("alice")

    with pytest.raises(SessionKitError, match="Change SECRET_KEY"):
        club.roster.revoke_all(reason=Reason.ADMINISTRATOR)
    assert club.lives(found)


def test_of_logins_at_the_same_moment_all_keep_the_same_ones(club: Club) -> None:
    """They go by what stays when a token is renewed, and not by their keys."""
    all_of_them = [club.sign_in("alice") for _ in range(6)]
    kept = sorted(lineage_of(found) for found in all_of_them)[-2:]

    assert club.roster.trim("alice", most=2) == 4
    assert sorted(lineage_of(found) for found in all_of_them if club.lives(found)) == kept
    assert club.roster.trim("alice", most=2) == 0


def test_one_that_is_about_to_end_counts_no_more(club: Club) -> None:
    first, second = (club.sign_in("alice") for _ in range(2))

    assert club.roster.trim("alice", most=1, without=lineage_of(first)) == 0
    assert club.lives(first)
    assert club.lives(second)
