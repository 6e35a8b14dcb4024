"""Which Redis or Valkey a URL or a client object names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from ..errors import ConfigError
from .redis_server import Server, in_time
from .redis_urls import Address, read_url


def is_client(thing: object) -> bool:
    """Return whether this is a client of redis-py or valkey-py, of whatever kind. Imports neither of them."""
    return any(kind.__module__.split(".")[0] in _CLASSES for kind in type(thing).__mro__)


def server_of(client_or_url: object, *, timeout: float) -> Server:
    """Return the server that a URL or a client names. Connects to nothing.

    :param timeout: seconds, for a URL; a client keeps its own.
    :raises ConfigError: it can never work; a password is not in the message.
    :raises ImportError: redis-py is not installed.
    """
    if isinstance(client_or_url, str):
        return _of_url(client_or_url, timeout)
    return _of_client(client_or_url)


# Clients handed in

#: Seconds that a request may wait for a server that is down, at most.
_LONG: Final = 2.0

#: What can be told apart without an import: module and name of the classes that clients are made of.
_CLASSES: Final = {
    "redis": {("redis.client", "Redis"): False, ("redis.cluster", "RedisCluster"): True},
    "valkey": {("valkey.client", "Valkey"): False, ("valkey.cluster", "ValkeyCluster"): True},
}


def _of_client(client: object) -> Server:
    kinds = [(kind.__module__, kind.__qualname__) for kind in type(client).__mro__]
    known = [(package, kinds_of[kind]) for package, kinds_of in _CLASSES.items() for kind in kinds if kind in kinds_of]
    if not known or any(name.endswith("Pipeline") for _, name in kinds):
        raise ConfigError(
            f"RedisStore takes a URL or a client, not {kinds[0][0]}.{kinds[0][1]}. "
            "Give it a Redis, a RedisCluster or what Sentinel.master_for() returns, of redis-py or valkey-py."
        )
    package, is_cluster = known[0]
    fault = _fault_of(client, is_cluster)
    if fault:
        raise ConfigError(f"RedisStore cannot use this {kinds[0][0]}.{kinds[0][1]}: {fault}")
    advice = None if is_cluster else _patience_of(client)
    return Server(_name_of(client, is_cluster), package, lambda: client, is_cluster=is_cluster, advice=advice)


def _fault_of(client: Any, is_cluster: bool) -> str | None:
    """Return why a client would give wrong answers, with the mend; a session is read where it is written."""
    if is_cluster:
        if client.read_from_replicas or getattr(client, "load_balancing_strategy", None):
            return "it reads from replicas, which are behind. Make one that does not."
        return None
    if client.connection is not None:
        return "its one connection would be shared after a fork. Make it without single_connection_client."
    if not getattr(client.connection_pool, "is_master", True):
        return "it reads from a replica, which is behind. Use Sentinel.master_for()."
    if getattr(client.connection_pool, "cache", None) is not None:
        return "it keeps what it read, so an ended session would live on. Make it without a cache."
    return None


def _patience_of(client: Any) -> str | None:
    """Return what is to be said of a client that lets requests wait for long, by redis-py's default for ever or 5 s."""
    waits = client.connection_pool.connection_kwargs.get("socket_timeout")
    if waits is not None and waits <= _LONG:
        return None
    how_long = "for ever" if waits is None else f"{waits:g} s, and again at each retry,"
    return (
        f"The client that it was given waits {how_long} where the server does not answer, and requests with it. "
        "Make it with socket_timeout=0.5 and socket_connect_timeout=0.5, or give the URL."
    )


def _name_of(client: Any, is_cluster: bool) -> str:
    if is_cluster:
        return "redis+cluster://" + ",".join(node.name for node in client.get_nodes())
    pool = client.connection_pool
    if hasattr(pool, "service_name"):
        return f"redis+sentinel://.../{pool.service_name}"
    options = pool.connection_kwargs
    if "path" in options:
        return f"unix://{options['path']}"
    return f"redis://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db') or 0}"


# URLs


def _of_url(url: str, timeout: float) -> Server:
    address = read_url(url)
    make = {"": _single, "unix": _single, "sentinel": _sentinels_master, "cluster": _cluster}[address.kind]
    client, close = make(address, timeout)
    return Server(
        str(address),
        "redis",
        client,
        close=close,
        is_cluster=address.kind == "cluster",
        # The second of two attempts begins before this, the third does not. Sentinel and Cluster ask one server after
        # the other, and each of them may be silent.
        patience=1.5 * timeout,
    )


#: What returns a client, and what closes its connections.
_Made: TypeAlias = tuple[Callable[[], Any], Callable[[], None]]


def _single(address: Address, timeout: float) -> _Made:
    place = (
        {"path": address.path} if address.kind == "unix" else dict(zip(("host", "port"), address.hosts[0], strict=True))
    )
    client = _client(address, timeout, attempts=2, **place, **address.options)
    return lambda: client, lambda: _disconnect([client])


def _disconnect(clients: Iterable[Any]) -> None:
    for client in clients:
        client.connection_pool.disconnect()


def _client(address: Address, timeout: float, *, attempts: int, **options: Any) -> Any:
    import redis

    kind = (
        "UnixDomainSocketConnection" if address.kind == "unix" else "SSLConnection" if address.is_tls else "Connection"
    )
    pool = redis.ConnectionPool(
        connection_class=in_time(f"redis.connection:{kind}"), **options, **_common(timeout, attempts)
    )
    return redis.Redis(connection_pool=pool)


def _common(timeout: float, attempts: int) -> dict[str, Any]:
    """Return what every connection has: redis-py by itself tries eleven times, for 5 s each."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), attempts - 1),
        "health_check_interval": 0,  # a broken connection is found out and made anew without a PING
        # The server's ``maxclients`` is the limit: a pool's own would refuse a request that could be answered.
        "max_connections": 2**31,
        "protocol": 2,  # no HELLO, and nothing that a server sends unasked
    }


def _sentinels_master(address: Address, timeout: float) -> _Made:
    from redis.sentinel import Sentinel, SentinelConnectionPool

    sentinel = Sentinel([])  # type: ignore[no-untyped-call]  # redis-py's own
    # It would make these itself, of a class that we could not choose. They are asked one after the other, so all of
    # them together get the time of one connection.
    each = timeout / len(address.hosts)
    sentinel.sentinels = [
        _client(address, each, attempts=1, host=host, port=port, **address.sentinel_options)
        for host, port in address.hosts
    ]
    kind = "SentinelManagedSSLConnection" if address.is_tls else "SentinelManagedConnection"
    client: Any = sentinel.master_for(  # type: ignore[no-untyped-call]  # redis-py's own
        address.path,
        connection_pool_class=SentinelConnectionPool,
        connection_class=in_time(f"redis.sentinel:{kind}"),
        **address.options,
        **_common(timeout, 2),
    )
    return lambda: client, lambda: _disconnect([client, *sentinel.sentinels])


def _cluster(address: Address, timeout: float) -> _Made:
    from redis.cluster import ClusterNode, RedisCluster

    options = {name: value for name, value in address.options.items() if name != "db"} | _common(timeout, 2)
    (first, *others) = address.hosts
    host, port = first

    def make() -> Any:
        return RedisCluster(
            # Only with a URL does it take a class of connections.
            url=f"redis://[{host}]:{port}" if ":" in host else f"redis://{host}:{port}",
            startup_nodes=[ClusterNode(*other) for other in others],  # type: ignore[no-untyped-call]  # redis-py's own
            connection_class=in_time("redis.connection:" + ("SSLConnection" if address.is_tls else "Connection")),
            require_full_coverage=False,  # slots without a master take their own sessions with them, not all
            **options,
        )

    late = _Late(make)
    return late, late.close


class _Late:
    """A client that connects when it is made, so it is made at its first use.

    It is made again after a fork: its locks may be held by threads that the child has not.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: tuple[int, Any] | None = None

    def __call__(self) -> Any:
        # No lock: behind one, threads would wait for each other's timeouts. Of two that are made at once, one stays.
        made = self._made
        if made is None or made[0] != os.getpid():
            self._made = made = (os.getpid(), self._make())
        return made[1]

    def close(self) -> None:
        """Close the connections of the client that was made, unless they are the parent's."""
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].disconnect_connection_pools()
