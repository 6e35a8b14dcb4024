"""The contract finds each fault that it is there for; a promise that no wrong store breaks is no test."""

from __future__ import annotations

import functools
import multiprocessing
import weakref
from multiprocessing.managers import BaseManager

import pytest
import wrong_stores as wrong

from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import StoreContract

PROMISES = [name for name in dir(StoreContract) if name.startswith("test_")]

CALLS = ("load", "create", "replace", "delete", "list_owner", "purge", "count_ended")

#: Who breaks which promise.
CAUGHT = {
    "test_capabilities_are_flags": [wrong.ClaimsTwoIndexes],
    "test_an_absent_record_is_none": [wrong.RaisesForAbsent],
    "test_a_record_comes_back_as_it_was_written": [wrong.RoundsTimes],
    "test_every_byte_survives": [wrong.CutsAtNul],
    "test_the_largest_payload_and_info_survive": [wrong.CutsAt64KiB],
    "test_an_empty_info_and_no_owner_survive": [wrong.ForgetsNone],
    "test_keys_that_differ_in_one_character_are_two": [wrong.ShortensKeys],
    "test_what_one_handle_writes_the_other_reads_and_replaces": [wrong.CachesReads],
    "test_a_record_past_its_end_comes_back_unchanged": [wrong.LoadHidesEnded],
    "test_a_load_long_past_the_end_removes_nothing_that_a_purge_would": [wrong.LoadDeletesEnded],
    "test_a_pure_read_writes_nothing": [wrong.TouchesOnPureRead],
    "test_a_due_touch_is_reported_and_in_the_store": [wrong.ReportsWithoutTouching],
    "test_a_touch_is_due_when_the_interval_is_over": [wrong.TouchesLate],
    "test_a_touch_that_is_not_due_writes_nothing": [wrong.TouchesEachTime],
    "test_a_touch_moves_nothing_but_seen_at": [wrong.TouchMovesVersion, wrong.TouchMovesAbsoluteEnd],
    "test_a_touch_moves_the_end": [wrong.KnowsOnlyTheFirstEnd],
    "test_a_touch_never_moves_the_absolute_end": [wrong.TouchMovesAbsoluteEnd],
    "test_a_touch_does_not_revive_an_ended_record": [wrong.TouchRevives],
    "test_a_touch_on_load_leaves_what_was_seen_too_long_ago": [
        wrong.TouchesWhateverTheLimit,
        wrong.NeverTouchesWhatIsAhead,
    ],
    "test_a_touch_creates_nothing": [wrong.TouchCreates],
    "test_a_replace_from_before_a_touch_wins_and_does_not_undo_it": [
        wrong.ReplaceUndoesTheTouch,
        wrong.TouchMovesVersion,
    ],
    "test_a_touch_by_a_clock_that_is_behind_does_not_move_seen_at_back": [wrong.TouchMovesBack],
    "test_a_seen_at_too_far_ahead_is_written_back_as_now": [wrong.TouchBelievesAnyClock],
    "test_a_pure_read_leaves_a_seen_at_too_far_ahead": [wrong.MendsOnPureRead],
    "test_clocks_five_minutes_apart_keep_a_session_and_its_absolute_end": [
        wrong.TouchBelievesAnyClock,
        wrong.TouchMovesAbsoluteEnd,
    ],
    "test_create_inserts_only": [wrong.CreateOverwrites],
    "test_create_does_not_overwrite_a_record_that_ended": [wrong.CreateOverwritesEnded],
    "test_replace_writes_every_field": [wrong.ReplaceWritesThePayloadOnly],
    "test_replace_takes_the_owner_away": [wrong.ReplaceKeepsTheOwner],
    "test_a_conflict_tells_what_is_there_and_writes_nothing": [wrong.ConflictTellsNothing, wrong.LastWriteWins],
    "test_a_replace_of_an_older_version_is_a_conflict": [wrong.LastWriteWins],
    "test_replace_does_not_create": [wrong.Upserts],
    "test_replace_does_not_resurrect_an_ended_record": [wrong.ReplaceIgnoresTheEnd],
    "test_replace_keeps_the_later_seen_at_of_both": [wrong.ReplaceUndoesTheTouch],
    "test_replace_writes_a_seen_at_too_far_ahead_as_now": [wrong.ReplaceBelievesAnyClock],
    "test_replace_counts_a_stored_seen_at_too_far_ahead_as_now": [wrong.ReplaceBelievesAnyClock],
    "test_a_replace_moves_the_end": [wrong.KnowsOnlyTheFirstEnd],
    "test_replace_without_a_version_overwrites_what_exists": [wrong.NeedsAVersion],
    "test_replace_without_a_version_does_not_create_or_resurrect": [wrong.UpsertsByForce, wrong.ReplaceIgnoresTheEnd],
    "test_a_repeated_create_succeeds_with_one_effect": [wrong.RepeatedCreateIsTaken, wrong.CreateOverwrites],
    "test_a_repeated_create_does_not_undo_a_replace": [wrong.CreateOverwrites],
    "test_a_repeated_replace_succeeds_with_one_effect": [wrong.RepeatedReplaceConflicts],
    "test_a_repeated_replace_does_not_undo_another": [wrong.LastWriteWins],
    "test_a_repeated_replace_does_not_resurrect": [wrong.Upserts],
    "test_any_eight_bytes_are_a_version": [wrong.VersionsWithoutNul],
    "test_versions_are_compared_byte_for_byte": [wrong.VersionsAsText],
    "test_delete_is_true_once": [wrong.DeleteIsAlwaysTrue],
    "test_delete_of_an_absent_record_is_false": [wrong.DeleteIsAlwaysTrue],
    "test_delete_removes_an_ended_record": [wrong.DeleteOverlooksEnded],
    "test_list_gives_live_records_in_key_order_without_payload": [wrong.ListInOrderOfWrites, wrong.ListGivesPayloads],
    "test_list_shows_one_owner_only": [wrong.ListMatchesPrefixes],
    "test_list_goes_on_after_a_page": [wrong.ListIgnoresAfter],
    "test_list_goes_on_after_a_key_that_is_gone": [wrong.ListLooksForTheKeyBefore],
    "test_a_page_is_short_only_at_the_end": [wrong.ListCutsBeforeItFilters],
    "test_list_does_not_show_an_ended_record": [wrong.ListShowsEnded],
    "test_list_does_not_show_a_deleted_record": [wrong.IndexKeepsDeleted],
    "test_list_does_not_show_a_tombstone": [wrong.IndexKeepsTombstones],
    "test_list_follows_a_change_of_owner": [wrong.IndexKeepsTheFirstOwner],
    "test_list_shows_what_replace_wrote": [wrong.IndexKeepsTheFirstInfo],
    "test_list_shows_a_record_that_a_touch_kept_alive": [wrong.IndexKnowsOnlyTheFirstEnd],
    "test_the_index_outlives_its_longest_session": [wrong.IndexEndsWithItsLastWrite],
    "test_a_list_by_a_clock_ahead_hides_nothing_for_good": [wrong.ListSweepsEnded],
    "test_a_created_record_is_listed_whoever_listed_meanwhile": [wrong.ListSweepsAbsent],
    "test_purge_takes_only_what_ended_longer_ago_than_the_grace": [
        wrong.PurgeIgnoresTheGrace,
        wrong.PurgeCountsWhatItLooksAt,
    ],
    "test_purge_goes_by_limits_to_the_end": [wrong.PurgeIgnoresTheLimit, wrong.PurgeSaysThereIsNoMore],
    "test_purge_of_nothing_is_nothing": [wrong.PurgeCountsWhatItLooksAt],
    "test_purge_leaves_a_record_that_was_touched": [wrong.KnowsOnlyTheFirstEnd],
    "test_count_ended_is_what_purge_then_removes": [wrong.CountsWithoutTheGrace],
    "test_purge_leaves_a_record_that_is_touched_meanwhile": [wrong.PurgeDoesNotLookAgain],
    "test_purge_leaves_a_record_that_is_replaced_meanwhile": [wrong.PurgeDoesNotLookAgain],
    "test_a_scan_gives_every_record_whole": [
        wrong.ScanLeavesThePayloadOut,
        wrong.ScanKnowsUsersOnly,
        wrong.ScanHasOnePage,
    ],
    "test_a_scan_gives_what_ended_too": [wrong.ScanHidesEnded],
    "test_a_scan_writes_nothing": [wrong.ScanTouches],
    "test_a_scan_gives_what_is_there_now": [wrong.ScanRemembers],
    "test_a_scan_goes_on_while_its_records_are_removed": [wrong.ScanCountsItsWay],
    "test_a_scan_misses_nothing_that_stays_while_others_come": [wrong.ScanHasOnePage],
    "test_two_scans_do_not_disturb_each_other": [wrong.ScanHasOneCursor],
    "test_one_of_many_creates_wins": [wrong.CreateChecksThenSets],
    "test_one_of_many_replaces_wins": [wrong.ReplaceChecksThenSets],
    "test_one_of_many_deletes_is_true": [wrong.DeleteChecksThenDeletes],
    "test_no_update_is_lost": [wrong.ReplaceChecksThenSets, wrong.LastSlowWriteWins],
    "test_a_replace_that_meets_a_delete_does_not_resurrect": [wrong.ReplaceChecksThenSets],
    "test_a_touch_that_meets_a_delete_creates_nothing": [wrong.TouchWritesBackWhatItRead],
    "test_a_touch_that_meets_a_replace_takes_nothing_back": [wrong.TouchWritesBackWhatItRead],
    "test_no_update_is_lost_between_processes": [wrong.ReplaceChecksThenSets],
    "test_one_process_creates_and_one_deletes": [wrong.CreateChecksThenSets],
    "test_what_a_process_deletes_no_other_brings_back": [wrong.ReplaceChecksThenSets],
    "test_a_touch_in_one_process_takes_nothing_back_in_another": [wrong.TouchWritesBackWhatItRead],
    "test_parent_and_child_both_work_after_a_fork": [wrong.DiesInTheChild],
    "test_a_store_that_can_not_answer_raises_store_error": [
        wrong.LetsTheDriversErrorOut,
        wrong.LosesTheCause,
        wrong.TellsTheKey,
    ],
}


#: What the wrong stores build on; right themselves.
BASES = (wrong.Touches, wrong.TouchesOnLoad, wrong.Replaces, wrong.Lists, wrong.Indexed)


class Host(BaseManager):
    """A process that holds stores for other processes."""


class HostedStore:
    """A store in the process of a ``Host``."""

    capabilities = MemoryStore.capabilities

    def __init__(self, proxy):
        for name in CALLS:
            setattr(self, name, getattr(proxy, name))


def open_store(kind):
    return kind()


Host.register("open_store", open_store, exposed=CALLS)


@pytest.fixture(scope="module")
def host():
    with Host(ctx=multiprocessing.get_context("spawn")) as running:
        yield running


def contract_of(kind, host):
    """Return the contract for a kind of store; where it is shared between processes, it lies in the host."""

    class InMemory(StoreContract):
        def make_store(self):
            return kind()

        def make_peer(self):
            return self.store.peer() if hasattr(self.store, "peer") else self.store

        def make_broken_store(self):
            return wrong.Broken() if kind is MemoryStore else kind()

    class Hosted(StoreContract):
        def make_store(self):
            self.proxy = host.open_store(kind)
            return HostedStore(self.proxy)

        def spawn_store(self):
            return functools.partial(HostedStore, self.proxy)

    return InMemory, Hosted


def keep(promise, kind, host):
    """Run one test of the contract on a kind of store."""
    in_memory, hosted = contract_of(kind, host)
    contract = in_memory() if getattr(in_memory, promise) else hosted()
    getattr(contract, promise)()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_right_store_keeps_every_promise(promise, host):
    keep(promise, MemoryStore, host)


@pytest.mark.parametrize(
    ("promise", "kind"),
    [pytest.param(promise, kind, id=f"{kind.__name__}-{promise}") for promise in CAUGHT for kind in CAUGHT[promise]],
)
def test_a_wrong_store_is_caught(promise, kind, host):
    expected = KeyError if kind is wrong.RaisesForAbsent else AssertionError

    with pytest.raises(expected):
        keep(promise, kind, host)


def test_every_promise_is_broken_by_a_wrong_store():
    assert sorted(CAUGHT) == sorted(PROMISES)


def test_every_wrong_store_is_caught_somewhere():
    bases = {wrong.WrongStore, *BASES, wrong.Broken, MemoryStore}
    kinds = {kind for kind in vars(wrong).values() if isinstance(kind, type) and issubclass(kind, MemoryStore)}

    assert kinds - bases == {kind for caught in CAUGHT.values() for kind in caught}


@pytest.mark.parametrize("kind", [wrong.WrongStore, *BASES])
def test_what_the_wrong_stores_build_on_is_right(kind, host):
    in_memory, _ = contract_of(kind, host)

    for promise in PROMISES:
        test = getattr(in_memory(), promise)
        if test and promise != "test_a_store_that_can_not_answer_raises_store_error":  # it needs a broken one
            test()


def test_a_test_without_its_hook_is_not_collected():
    class Alone(StoreContract):
        def make_store(self):
            return MemoryStore()

    class Shared(Alone):
        def spawn_store(self):
            return MemoryStore

    assert Alone.test_no_update_is_lost_between_processes is None
    assert Alone.test_a_store_that_can_not_answer_raises_store_error is None
    assert Shared.test_no_update_is_lost_between_processes is not None
    assert Shared.test_a_store_that_can_not_answer_raises_store_error is None


def test_a_test_that_is_over_holds_no_store():
    class Alone(StoreContract):
        def make_store(self):
            return MemoryStore()

    contract = Alone()
    store = weakref.ref(contract.store)
    peer = weakref.ref(contract.peer)

    contract.teardown_method()

    assert (store(), peer()) == (None, None)
