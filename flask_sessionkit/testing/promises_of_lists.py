"""What a store promises of many records: its lists, its purge, a walk through it."""

from __future__ import annotations

from msgspec import structs

from ..record import Outcome, Purged, Record, Write
from ..stores.base import GRACE, CountsEnded, Scans
from .arrangement import (
    END,
    IDLE,
    NOW,
    OTHER_OWNER,
    OWNER,
    Arrangement,
    a_key,
    a_record,
    a_version,
    scanned,
)
from .interleaving import race

#: How many records a scan meets: more than a page of most stores.
SCANNED = 250


class ListPromises(Arrangement):
    """Clauses 5 and 6 of the protocol, as one test each."""

    # Clause 5: delete and list.

    def test_delete_is_true_once(self) -> None:
        record = self.kept()

        assert self.store.delete(record.key) is True
        assert self.store.delete(record.key) is False
        assert self.peer.delete(record.key) is False
        assert self.stored(record) is None

    def test_delete_of_an_absent_record_is_false(self) -> None:
        record = self.kept(1)

        assert self.store.delete(a_key(2)) is False
        assert self.stored(record) == record

    def test_delete_removes_an_ended_record(self) -> None:
        record = self.kept(seen_at=NOW - 4000)

        assert self.store.delete(record.key) is True
        assert self.stored(record) is None

    def test_list_gives_live_records_in_key_order_without_payload(self) -> None:
        self.assert_listed([self.kept(number) for number in range(9)])

    def test_list_shows_one_owner_only(self) -> None:
        mine, theirs = self.kept(1), self.kept(2, owner=OTHER_OWNER)
        self.kept(3, owner=None)

        self.assert_listed([mine])
        self.assert_listed([theirs], owner=OTHER_OWNER)
        self.assert_listed([], owner="f" * 32)

    def test_list_goes_on_after_a_page(self) -> None:
        records = [self.kept(number) for number in range(7)]
        keys = sorted(record.key for record in records)

        self._assert_rows(self.pages(1), records)
        self._assert_rows(self.pages(3), records)
        if self._has_full_index():
            assert [row.key for row in self.store.list_owner(OWNER, now=NOW, limit=3)] == keys[:3]
            assert [row.key for row in self.store.list_owner(OWNER, now=NOW, limit=3, after=keys[2])] == keys[3:6]
        assert self.store.list_owner(OWNER, now=NOW, after=keys[-1]) == []

    def test_list_goes_on_after_a_key_that_is_gone(self) -> None:
        records = sorted((self.kept(number) for number in range(5)), key=lambda record: record.key)
        self.store.delete(records[1].key)

        rows = self.store.list_owner(OWNER, now=NOW, after=records[1].key)

        self._assert_rows(rows, records[2:])

    def test_a_page_is_short_only_at_the_end(self) -> None:
        live = [self.kept(number) for number in range(0, 12, 4)]
        for number in set(range(12)) - set(range(0, 12, 4)):
            self.kept(number, seen_at=NOW - 4000)
        dead = sorted((self.kept(number) for number in range(12, 20)), key=lambda record: record.key)
        for record in dead:
            self.store.delete(record.key)

        self._assert_rows(self.pages(1), live)
        self._assert_rows(self.pages(2), live)

    def test_list_does_not_show_an_ended_record(self) -> None:
        self.kept(1)
        self.kept(2, absolute_at=NOW + 10)
        live = self.kept(3, idle=IDLE * 2)

        self.assert_listed([live], now=END + 1)

    def test_list_does_not_show_a_deleted_record(self) -> None:
        gone, live = self.kept(1), self.kept(2)
        self.store.delete(gone.key)

        self.assert_listed([live])

    def test_list_does_not_show_a_tombstone(self) -> None:
        record, live = self.kept(1), self.kept(2)
        tombstone = structs.replace(record, owner=None, version=a_version())
        self.store.replace(tombstone, expected=record.version, now=NOW)

        self.assert_listed([live])

    def test_list_follows_a_change_of_owner(self) -> None:
        record, anonymous = self.kept(1), self.kept(2, owner=None)
        given = structs.replace(record, owner=OTHER_OWNER, version=a_version())
        bound = structs.replace(anonymous, owner=OTHER_OWNER, version=a_version())
        self.store.replace(given, expected=record.version, now=NOW)
        self.store.replace(bound, expected=anonymous.version, now=NOW)

        self.assert_listed([])
        self.assert_listed([given, bound], owner=OTHER_OWNER)

    def test_list_shows_what_replace_wrote(self) -> None:
        record = self.kept()
        changed = structs.replace(record, info=b"new", idle=99.0, version=a_version())
        self.store.replace(changed, expected=record.version, now=NOW)

        self.assert_listed([changed])

    def test_list_shows_a_record_that_a_touch_kept_alive(self) -> None:
        record = self.kept()
        found = self.touched(record, now=END - 1)

        self.assert_listed([found], now=END + 600)

    def test_the_index_outlives_its_longest_session(self) -> None:
        month = 30 * 86_400.0
        longest = self.kept(1, idle=month, absolute_at=NOW + month)
        short = self.kept(2, idle=60.0, absolute_at=NOW + 60)
        self.assert_listed([longest, short])
        self.assert_listed([longest], now=NOW + month - 1)
        self.store.delete(short.key)
        self.store.purge(now=NOW + month - 1)

        self.assert_listed([longest], now=NOW + month - 1)

    def test_a_list_by_a_clock_ahead_hides_nothing_for_good(self) -> None:
        record = self.kept()
        self.assert_listed([], now=END + 30)
        found = self.touched(record, now=END - 1)

        self.assert_listed([found], now=END + 30)

    def test_a_created_record_is_listed_whoever_listed_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]

        race(
            lambda number: self.store.create(records[number]),
            lambda number: self.peer.list_owner(OWNER, now=NOW, limit=1000),
            lambda number: self.peer.list_owner(OWNER, now=NOW, limit=1000),
            rounds=self.rounds,
        )

        self._assert_rows(self.peer.list_owner(OWNER, now=NOW, limit=self.rounds + 1), records)

    # Clause 6: purge.

    def test_purge_takes_only_what_ended_longer_ago_than_the_grace(self) -> None:
        live = self.kept(1)
        left = 1 if self._purges() else 30  # one that expires by itself does so in real time
        just_ended = self.kept(2, absolute_at=NOW - GRACE + left)
        ended = [self.kept(3, absolute_at=NOW - GRACE - 1), self.kept(4, seen_at=NOW - IDLE - GRACE - 1, owner=None)]

        purged = self.store.purge(now=NOW)

        assert purged == Purged(2 if self._purges() else 0, more=False)
        assert self.stored(live) == live
        assert self.stored(just_ended) == just_ended
        if self._purges():
            assert [self.stored(record) for record in ended] == [None, None]
        self.assert_listed([live])

    def test_purge_goes_by_limits_to_the_end(self) -> None:
        ended = [self.kept(number, seen_at=NOW - 4000) for number in range(40)]
        live = [self.kept(number) for number in range(40, 45)]

        counts = [purged.count for purged in self.purges(limit=10)]

        assert sum(counts) == (40 if self._purges() else 0)
        assert max(counts) <= 20  # about the limit
        assert not self._purges() or all(self.stored(record) is None for record in ended)
        assert [self.stored(record) for record in live] == live

    def test_purge_of_nothing_is_nothing(self) -> None:
        self.kept()

        assert self.store.purge(now=NOW) == Purged(0, more=False)

    def test_purge_leaves_a_record_that_was_touched(self) -> None:
        record = self.kept()
        found = self.touched(record, now=END - 1)

        assert self.store.purge(now=END + GRACE + 1) == Purged(0, more=False)
        assert self.stored(record) == found

    def test_count_ended_is_what_purge_then_removes(self) -> None:
        for number in range(6):
            self.kept(number, seen_at=NOW - 4000)
        self.kept(6, absolute_at=NOW - GRACE + 1)
        self.kept(7)

        if isinstance(self.store, CountsEnded):
            assert self.store.count_ended(now=NOW) == 6
            assert self.store.count_ended(now=NOW) == self.store.purge(now=NOW).count
            assert self.store.count_ended(now=NOW) == 0

    def test_purge_leaves_a_record_that_is_touched_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]

        answers = race(
            lambda number: self.store.load(records[number].key, now=END - 1, touch_every=60.0),
            lambda number: self.peer.purge(now=END + GRACE + 1),
            before=lambda number: self.store.create(records[number]),
            rounds=self.rounds,
        )

        for record, (found, _) in zip(records, answers, strict=True):
            if isinstance(found, Record) and found.seen_at > record.seen_at:
                assert self.stored(record) == found

    def test_purge_leaves_a_record_that_is_replaced_meanwhile(self) -> None:
        records = [a_record(number) for number in range(self.rounds)]
        later = [structs.replace(record, seen_at=END - 1, version=a_version()) for record in records]

        answers = race(
            lambda number: self.store.replace(later[number], expected=records[number].version, now=END - 1),
            lambda number: self.peer.purge(now=END + GRACE + 1),
            before=lambda number: self.store.create(records[number]),
            rounds=self.rounds,
        )

        for record, (write, _) in zip(later, answers, strict=True):
            assert self.stored(record) == (record if write == Write(Outcome.OK) else None)

    # A walk through the store, where it has one.

    def test_a_scan_gives_every_record_whole(self) -> None:
        records = [self.kept(number) for number in range(SCANNED)]
        records += [self.kept(SCANNED, owner=None, info=b""), self.kept(SCANNED + 1, owner=OTHER_OWNER)]

        if isinstance(self.store, Scans):
            assert scanned(self.store) == {record.key: record for record in records}

    def test_a_scan_gives_what_ended_too(self) -> None:
        left = 30  # one that expires by itself does so in real time
        records = [self.kept(1, absolute_at=NOW - GRACE + left), self.kept(2, seen_at=NOW - IDLE - 1), self.kept(3)]

        if isinstance(self.store, Scans):
            assert scanned(self.store) == {record.key: record for record in records}

    def test_a_scan_writes_nothing(self) -> None:
        record = self.kept(seen_at=NOW - IDLE - 1)

        if isinstance(self.store, Scans):
            assert scanned(self.store) == {record.key: record}
            assert scanned(self.store) == {record.key: record}
        assert self.stored(record) == record

    def test_a_scan_gives_what_is_there_now(self) -> None:
        gone, old = self.kept(1), self.kept(2)
        new = structs.replace(old, payload=b"new", owner=None, version=a_version())
        self.store.delete(gone.key)
        self.store.replace(new, expected=old.version, now=NOW)

        if isinstance(self.store, Scans):
            assert scanned(self.store) == {new.key: new}
            self.peer.delete(new.key)
            assert scanned(self.store) == {}

    def test_a_scan_goes_on_while_its_records_are_removed(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            assert {record.key for record in self.store.scan() if self.peer.delete(record.key)} == keys

    def test_a_scan_misses_nothing_that_stays_while_others_come(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            found = set()
            for count, record in enumerate(self.store.scan()):
                found.add(record.key)
                if count < SCANNED:
                    self.peer.create(a_record(SCANNED + count))
            assert keys <= found

    def test_two_scans_do_not_disturb_each_other(self) -> None:
        keys = {self.kept(number).key for number in range(SCANNED)}

        if isinstance(self.store, Scans):
            first = self.store.scan()
            found = {next(first).key}
            assert scanned(self.store).keys() == keys
            assert found | {record.key for record in first} == keys
