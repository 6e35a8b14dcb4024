"""A Redis with replicas that loses its master, or moves sessions about, under load: requests go on by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from load import Load
from servers import RedisServer, need
from servers.redis_cluster import RedisCluster
from servers.redis_sentinel import RedisSentinel, RedisSentinels
from wsgi_servers import SERVERS, WebServer

#: Seconds after the loss of a master within which Sentinel's writes go on: issue 3 of this project.
SOON = 5.0
#: Seconds for a Cluster: its ``cluster-node-timeout`` of 1 s to suspect, as much to agree, and an election that is put
#: off by up to 1 s and repeated after 4 s if it fails (Redis's cluster-spec, "Replica election and promotion").
CLUSTER_SOON = 8.0
#: Slots that are moved, each with a session that is in use.
MOVED = 12

pytestmark = [pytest.mark.redis, pytest.mark.thorough]


def gunicorn(url: str, **environ: str) -> WebServer:
    return SERVERS["gthread"]("fork_app", {"FLASK_SESSIONKIT_STORE": url, **environ})


def test_writes_go_on_soon_after_sentinels_master_was_killed() -> None:
    """What the replica did not have yet may be lost, or be back; nobody sees another's."""
    need(RedisSentinel)
    with RedisSentinels() as redis, gunicorn(redis.url) as web:
        with Load(web, loses=True) as load:
            load.wait_for(1000)
            redis.kill_master()
            killed_at = time.monotonic()
            load.wait_for_refusal(killed_at)
            took = load.wait_for_write(killed_at)
            load.wait_for(load.answered + 1000)
        load.check()

    assert load.wrong == []
    assert took < SOON


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[RedisCluster]:
    need(RedisServer)
    with RedisCluster(replicas=request.param) as cluster:
        yield cluster


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_requests_go_on_soon_after_a_clusters_master_was_killed(cluster: RedisCluster) -> None:
    """What its replica did not have yet may be lost, or be back; nobody sees another's."""
    master = next(node for node in cluster.nodes if "myself,master" in cluster.ask(node, "cluster", "nodes"))
    with gunicorn(cluster.url) as web:
        with Load(web, loses=True) as load:
            load.wait_for(1000)
            master.kill()
            killed_at = time.monotonic()
            load.wait_for_refusal(killed_at)
            load.wait_until_calm(1.0)
            took = load.last_refusal_at - killed_at
            load.wait_for(load.answered + 1000)
        load.check()

    assert load.wrong == []
    assert took < CLUSTER_SOON


@pytest.mark.requirement("ST-14")
@pytest.mark.parametrize("cluster", [0], indirect=True)
def test_nothing_is_lost_while_slots_move(cluster: RedisCluster) -> None:
    """Every request is answered, none with CROSSSLOT: also those for a session that is half on its way."""
    from redis import Redis

    with ExitStack() as stack:
        source, target, other = (
            stack.enter_context(Redis(host=node.host, port=node.port, decode_responses=True)) for node in cluster.nodes
        )
        web = stack.enter_context(gunicorn(cluster.url, FLASK_SESSIONKIT_STORE_TIMEOUT="10"))
        with Load(web) as load:
            load.wait_for(500)
            keys = list(source.scan_iter(match="session:*", count=1000))
            slots = {int(source.execute_command("CLUSTER KEYSLOT", key)) for key in keys}
            for slot in sorted(slots)[:MOVED]:
                move(slot, source, target, other, load)
            load.wait_for(load.answered + 500)
        load.check()

    assert len(slots) >= MOVED
    assert load.wrong == []
    assert load.refused == 0


def move(slot: int, source: Any, target: Any, other: Any, load: Load) -> None:
    """Move a slot as ``redis-cli --cluster reshard`` does, with requests at every step."""
    source_id, target_id = (node.execute_command("CLUSTER MYID") for node in (source, target))
    place = target.connection_pool.connection_kwargs
    target.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
    source.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
    load.wait_for(load.answered + 40)  # what is new comes to lie on the target
    while keys := source.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
        source.execute_command("MIGRATE", place["host"], place["port"], "", 0, 5000, "KEYS", *keys)
    load.wait_for(load.answered + 40)  # the source still has the slot, and nothing in it
    for node in (target, source, other):
        node.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)
