"""What a store promises of one record: load, touch, create, replace, and repeats of a write."""

from __future__ import annotations

import os
from typing import cast

from msgspec import structs

from ..record import Outcome, Record, Write
from ..stores.base import GRACE, Capability, TouchesOnLoad
from .arrangement import (
    ABSOLUTE,
    END,
    IDLE,
    NOW,
    OTHER_OWNER,
    Arrangement,
    a_key,
    a_record,
    a_version,
)


class RecordPromises(Arrangement):
    """Clauses 1 to 4 of the protocol, as one test each."""

    # Clause 1: load.

    def test_capabilities_are_flags(self) -> None:
        both = Capability.INDEX | Capability.INDEX_BEST_EFFORT

        assert isinstance(self.store.capabilities, Capability)
        assert both not in self.store.capabilities

    def test_an_absent_record_is_none(self) -> None:
        self.kept(1)

        assert self.store.load(a_key(2), now=NOW) is None
        assert self.store.load(a_key(2), now=NOW, touch_every=0.0) is None

    def test_a_record_comes_back_as_it_was_written(self) -> None:
        record = self.kept(created_at=NOW - 0.1, seen_at=NOW + 0.123457, idle=1799.7, absolute_at=ABSOLUTE + 1 / 3)

        assert self.store.load(record.key, now=NOW) == record
        assert self.stored(record) == record

    def test_every_byte_survives(self) -> None:
        every_byte = bytes(range(256))
        record = self.kept(payload=b"\x00" + every_byte + b"\x00\r\n", info=every_byte + b" \x00")
        changed = structs.replace(record, payload=every_byte[::-1], info=b"\x00" + every_byte, version=a_version())

        assert self.stored(record) == record
        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_the_largest_payload_and_info_survive(self) -> None:
        record = self.kept(payload=os.urandom(65 * 1024), info=os.urandom(1024))  # 64 KiB, and room for the seal
        changed = structs.replace(record, payload=os.urandom(65 * 1024), info=os.urandom(1024), version=a_version())

        assert self.stored(record) == record
        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_an_empty_info_and_no_owner_survive(self) -> None:
        record = self.kept(info=b"", owner=None)

        assert self.stored(record) == record

    def test_keys_that_differ_in_one_character_are_two(self) -> None:
        one, other = self.kept(key="a" * 63 + "b"), self.kept(key="a" * 63 + "c", payload=b"other")

        assert self.store.delete(one.key) is True
        assert self.stored(one) is None
        assert self.stored(other) == other

    def test_what_one_handle_writes_the_other_reads_and_replaces(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"by the peer", version=a_version())

        assert self.peer.load(record.key, now=NOW) == record
        assert self.peer.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.store.load(record.key, now=NOW) == changed
        assert self.peer.delete(record.key) is True
        assert self.store.load(record.key, now=NOW) is None

    def test_a_record_past_its_end_comes_back_unchanged(self) -> None:
        record = self.kept()

        for seconds in (1.0, GRACE - 1):
            assert self.store.load(record.key, now=END + seconds) == record
            assert self.store.load(record.key, now=END + seconds, touch_every=0.0) == record
        assert self.stored(record) == record

    def test_a_load_long_past_the_end_removes_nothing_that_a_purge_would(self) -> None:
        record = self.kept()

        found = self.store.load(record.key, now=ABSOLUTE + 86_400)

        assert found == record or (found is None and not self._purges())

    def test_a_pure_read_writes_nothing(self) -> None:
        record = self.kept()

        assert self.store.load(record.key, now=NOW + 1000) == record
        assert self.stored(record) == record

    # Clause 2: touch.

    def test_a_due_touch_is_reported_and_in_the_store(self) -> None:
        record = self.kept()

        found = self.touched(record, now=NOW + 100.5)

        assert found.seen_at == NOW + 100.5
        assert self.stored(record) == found

    def test_a_touch_is_due_when_the_interval_is_over(self) -> None:
        record = self.kept()

        assert self.touched(record, now=NOW + 60, every=60.0).seen_at == NOW + 60
        assert self.touched(record, now=NOW + 119, every=60.0).seen_at == NOW + 60
        assert self.touched(record, now=NOW + 120, every=60.0).seen_at == NOW + 120

    def test_a_touch_that_is_not_due_writes_nothing(self) -> None:
        record = self.kept()

        assert self.touched(record, now=NOW + 59) == record
        assert self.stored(record) == record

    def test_a_touch_moves_nothing_but_seen_at(self) -> None:
        record = self.kept()

        found = self.touched(record, now=NOW + 100)

        assert found == structs.replace(record, seen_at=NOW + 100)
        assert self.stored(record) == found

    def test_a_touch_moves_the_end(self) -> None:
        record = self.kept()
        later = structs.replace(record, payload=b"later", version=a_version())

        self.touched(record, now=END - 1)

        self.store.purge(now=END + GRACE + 1)
        assert self.touched(record, now=END + 1, every=3600.0).seen_at == END - 1
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.OK)

    def test_a_touch_never_moves_the_absolute_end(self) -> None:
        record = self.kept(absolute_at=NOW + 100)
        later = structs.replace(record, payload=b"later", version=a_version())

        found = self.touched(record, now=NOW + 99)

        assert found.expires_at == NOW + 100
        assert self.touched(record, now=NOW + 101, every=0.0) == found
        assert self.store.replace(later, expected=record.version, now=NOW + 101) == Write(Outcome.GONE)
        assert self.stored(record) == found

    def test_a_touch_does_not_revive_an_ended_record(self) -> None:
        record = self.kept()
        later = structs.replace(record, version=a_version())

        assert self.touched(record, now=END + 1, every=0.0) == record
        assert self.stored(record) == record
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.GONE)

    def test_a_touch_on_load_leaves_what_was_seen_too_long_ago(self) -> None:
        if Capability.TOUCH_ON_LOAD not in self.store.capabilities:
            return  # a touch comes after the verdict there
        store: TouchesOnLoad = cast(TouchesOnLoad, self.store)
        record, ahead = self.kept(1), self.kept(2, seen_at=NOW + 3600)

        assert store.load(record.key, now=NOW + 600, touch_every=60.0, touch_within=600.0) == record
        assert self.stored(record) == record
        found = store.load(record.key, now=NOW + 600, touch_every=60.0, touch_within=600.5)
        assert found == structs.replace(record, seen_at=NOW + 600)
        assert self.stored(record) == found
        assert store.load(ahead.key, now=NOW, touch_every=60.0, touch_within=60.0) is not None
        assert self.stored(ahead) == structs.replace(ahead, seen_at=NOW)

    def test_a_touch_creates_nothing(self) -> None:
        record = self.kept()
        self.store.delete(record.key)

        assert self.store.load(record.key, now=NOW + 100, touch_every=60.0) is None
        assert self.stored(record) is None
        self.assert_listed([])

    def test_a_replace_from_before_a_touch_wins_and_does_not_undo_it(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())

        self.touched(record, now=NOW + 100)

        assert self.store.replace(changed, expected=record.version, now=NOW + 101) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 100)

    def test_a_touch_by_a_clock_that_is_behind_does_not_move_seen_at_back(self) -> None:
        record = self.kept(seen_at=NOW + 59)

        assert self.touched(record, now=NOW, every=0.0) == record
        assert self.stored(record) == record

    def test_a_seen_at_too_far_ahead_is_written_back_as_now(self) -> None:
        record = self.kept(seen_at=NOW + 3600)
        later = structs.replace(record, version=a_version())

        found = self.touched(record, now=NOW)

        assert found == structs.replace(record, seen_at=NOW)
        assert self.stored(record) == found
        assert self.store.replace(later, expected=record.version, now=END + 1) == Write(Outcome.GONE)

    def test_a_pure_read_leaves_a_seen_at_too_far_ahead(self) -> None:
        record = self.kept(seen_at=NOW + 3600)

        assert self.store.load(record.key, now=NOW) == record
        assert self.stored(record) == record

    def test_clocks_five_minutes_apart_keep_a_session_and_its_absolute_end(self) -> None:
        record = self.kept(absolute_at=NOW + 7200)

        for minute in range(0, 60, 2):
            for handle, ahead in ((self.store, 300.0), (self.peer, 0.0)):
                now = NOW + minute * 60 + ahead
                found = handle.load(record.key, now=now, touch_every=60.0)
                assert found is not None
                assert abs(found.seen_at - now) <= 60
                assert found == structs.replace(record, seen_at=found.seen_at)
                assert self.stored(record) == found

        self.store.purge(now=NOW + 3600 + 300)
        assert self.stored(record) == found

    # Clause 3: create and replace.

    def test_create_inserts_only(self) -> None:
        record = self.kept()

        assert self.store.create(a_record(payload=b"another")) is False
        assert self.peer.create(a_record(payload=b"another", owner=OTHER_OWNER)) is False
        assert self.stored(record) == record
        self.assert_listed([record])

    def test_create_does_not_overwrite_a_record_that_ended(self) -> None:
        record = self.kept(seen_at=NOW - 4000)

        assert self.store.create(a_record()) is False
        assert self.stored(record) == record

    def test_replace_writes_every_field(self) -> None:
        record = self.kept()
        changed = Record(record.key, b"p", NOW - 99.5, NOW + 5.25, 77.5, NOW + 888.125, OTHER_OWNER, b"", a_version())

        assert self.store.replace(changed, expected=record.version, now=NOW + 5.25) == Write(Outcome.OK)
        assert self.stored(record) == changed

    def test_replace_takes_the_owner_away(self) -> None:
        record = self.kept()
        tombstone = structs.replace(record, owner=None, version=a_version())

        assert self.store.replace(tombstone, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.stored(record) == tombstone

    def test_a_conflict_tells_what_is_there_and_writes_nothing(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", owner=OTHER_OWNER, version=a_version())

        assert self.store.replace(changed, expected=a_version(), now=NOW) == Write(Outcome.CONFLICT, record)
        assert self.stored(record) == record
        self.assert_listed([record])

    def test_a_replace_of_an_older_version_is_a_conflict(self) -> None:
        record = self.kept()
        first = structs.replace(record, payload=b"first", version=a_version())
        second = structs.replace(record, payload=b"second", version=a_version())

        assert self.store.replace(first, expected=record.version, now=NOW) == Write(Outcome.OK)
        assert self.peer.replace(second, expected=record.version, now=NOW) == Write(Outcome.CONFLICT, first)
        assert self.stored(record) == first

    def test_replace_does_not_create(self) -> None:
        never, deleted = a_record(1), self.kept(2)
        self.store.delete(deleted.key)

        for record in (never, deleted):
            again = structs.replace(record, version=a_version())
            assert self.store.replace(again, expected=record.version, now=NOW) == Write(Outcome.GONE)
            assert self.stored(record) is None
        self.assert_listed([])

    def test_replace_does_not_resurrect_an_ended_record(self) -> None:
        record = self.kept()
        longer = structs.replace(record, seen_at=END + 1, idle=IDLE * 9, version=a_version())

        assert self.store.replace(longer, expected=record.version, now=END + 1) == Write(Outcome.GONE)
        assert self.store.replace(longer, expected=a_version(), now=END + 1) == Write(Outcome.GONE)
        assert self.stored(record) == record

    def test_replace_keeps_the_later_seen_at_of_both(self) -> None:
        record = self.kept(seen_at=NOW + 40)
        older = structs.replace(record, seen_at=NOW + 20, version=a_version())
        newer = structs.replace(record, seen_at=NOW + 50, version=a_version())

        assert self.store.replace(older, expected=record.version, now=NOW + 50) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(older, seen_at=NOW + 40)
        assert self.store.replace(newer, expected=older.version, now=NOW + 50) == Write(Outcome.OK)
        assert self.stored(record) == newer

    def test_replace_writes_a_seen_at_too_far_ahead_as_now(self) -> None:
        record = self.kept()
        ahead = structs.replace(record, seen_at=NOW + 3600, version=a_version())

        assert self.store.replace(ahead, expected=record.version, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(ahead, seen_at=NOW + 10)

    def test_replace_counts_a_stored_seen_at_too_far_ahead_as_now(self) -> None:
        record = self.kept(seen_at=NOW + 3600)
        changed = structs.replace(record, seen_at=NOW, version=a_version())

        assert self.store.replace(changed, expected=record.version, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 10)

    def test_a_replace_moves_the_end(self) -> None:
        record = self.kept()
        longer = structs.replace(record, idle=IDLE * 2, version=a_version())
        shorter = structs.replace(record, absolute_at=NOW + 60, version=a_version())
        late = structs.replace(record, version=a_version())

        assert self.store.replace(longer, expected=record.version, now=NOW) == Write(Outcome.OK)
        self.store.purge(now=END + GRACE + 1)
        self.assert_listed([longer], now=END + GRACE + 1)
        assert self.store.replace(shorter, expected=longer.version, now=NOW + 1) == Write(Outcome.OK)
        assert self.store.replace(late, expected=shorter.version, now=NOW + 61) == Write(Outcome.GONE)
        self.assert_listed([], now=NOW + 61)

    def test_replace_without_a_version_overwrites_what_exists(self) -> None:
        record = self.kept(seen_at=NOW + 5)
        changed = structs.replace(record, payload=b"by force", seen_at=NOW, version=a_version())

        assert self.store.replace(changed, expected=None, now=NOW + 10) == Write(Outcome.OK)
        assert self.stored(record) == structs.replace(changed, seen_at=NOW + 5)

    def test_replace_without_a_version_does_not_create_or_resurrect(self) -> None:
        absent, ended = a_record(1), self.kept(2)
        again = structs.replace(ended, seen_at=END + 1, version=a_version())

        assert self.store.replace(absent, expected=None, now=NOW) == Write(Outcome.GONE)
        assert self.stored(absent) is None
        assert self.store.replace(again, expected=None, now=END + 1) == Write(Outcome.GONE)
        assert self.stored(ended) == ended

    # Clause 4: versions, and repeats of a write whose answer was lost.

    def test_a_repeated_create_succeeds_with_one_effect(self) -> None:
        record = self.kept()
        found = self.touched(record, now=NOW + 100)

        assert self.store.create(record) is True
        assert self.stored(record) == found
        self.assert_listed([found])

    def test_a_repeated_create_does_not_undo_a_replace(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)

        assert self.store.create(record) is False
        assert self.stored(record) == changed

    def test_a_repeated_replace_succeeds_with_one_effect(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)
        found = self.touched(record, now=NOW + 100)

        assert self.store.replace(changed, expected=record.version, now=NOW + 101) == Write(Outcome.OK)
        assert self.stored(record) == found

    def test_a_repeated_replace_does_not_undo_another(self) -> None:
        record = self.kept()
        first = structs.replace(record, payload=b"first", version=a_version())
        second = structs.replace(record, payload=b"second", version=a_version())
        self.store.replace(first, expected=record.version, now=NOW)
        self.store.replace(second, expected=first.version, now=NOW)

        assert self.store.replace(first, expected=record.version, now=NOW) == Write(Outcome.CONFLICT, second)
        assert self.stored(record) == second

    def test_a_repeated_replace_does_not_resurrect(self) -> None:
        record = self.kept()
        changed = structs.replace(record, payload=b"changed", version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)
        self.store.delete(record.key)

        assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.GONE)
        assert self.stored(record) is None

    def test_any_eight_bytes_are_a_version(self) -> None:
        odd = [bytes(8), b"\xff" * 8, b"'\"`;--\x00\\", b"\r\n\x00\r\nEND", b"%s{0}$1?", b"        ", b"12345678"]

        for number, version in enumerate(odd):
            record = self.kept(number, version=a_version())
            changed = structs.replace(record, version=version)
            again = structs.replace(record, version=a_version())
            assert self.store.replace(changed, expected=record.version, now=NOW) == Write(Outcome.OK)
            assert self.stored(record) == changed
            assert self.store.replace(again, expected=a_version(), now=NOW) == Write(Outcome.CONFLICT, changed)
            assert self.store.replace(again, expected=version, now=NOW) == Write(Outcome.OK)

    def test_versions_are_compared_byte_for_byte(self) -> None:
        near = [(b"abcdefg ", b"abcdefg\x00"), (b"ABCDEFGH", b"abcdefgh"), (bytes(8), bytes(7) + b"\x01")]
        near += [(b"\x00" + b"a" * 7, b"\x00" + b"b" * 7), ("\u00e4bcdefg".encode(), b"a\xcc\x88bcdef")]

        for number, (version, other) in enumerate(near):
            record = self.kept(number, version=version)
            changed = structs.replace(record, version=a_version())
            assert self.store.replace(changed, expected=other, now=NOW) == Write(Outcome.CONFLICT, record)
            assert self.store.create(structs.replace(record, version=other)) is False
