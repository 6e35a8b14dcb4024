"""Which Redis or Valkey a URL or a client object names, and how it is spoken to."""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import ConfigError

#: What stands before ``://`` in a URL that this file can read.
SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")

T = TypeVar("T")
Command: TypeAlias = tuple[bytes | str | int, ...]


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


class Server:
    """One Redis, a Sentinel's master or a Cluster, whichever client speaks to it.

    :param name: for messages; holds no password.
    :param package: ``redis`` or ``valkey``.
    :param client: returns the client.
    :param close: closes its connections, when nobody holds this server any more; ``None``: they are somebody else's.
    :param patience: seconds after which a call asks no further server; ``None`` leaves that to the client.
    """

    def __init__(
        self,
        name: str,
        package: str,
        client: Callable[[], Any],
        *,
        close: Callable[[], None] | None = None,
        is_cluster: bool = False,
        patience: float | None = None,
    ) -> None:
        self.name: Final = name
        self.is_cluster: Final = is_cluster
        errors = import_module(f"{package}.exceptions")
        self.NoScriptError: Final[type[Exception]] = errors.NoScriptError
        cluster_error = getattr(errors, f"{package.capitalize()}ClusterException")  # derives from Exception alone
        #: What its client raises.
        self.errors: Final = (getattr(errors, f"{package.capitalize()}Error"), cluster_error, OSError)
        self._read_only_error: type[Exception] = errors.ReadOnlyError
        self._response_error: type[Exception] = errors.ResponseError
        self._client = client
        self._patience = patience
        self._is_own: Final = close is not None
        if close is not None:
            # The driver leaves it to the garbage collector, which may take a connection's socket before the connection,
            # and warns of it then. Not at exit: a child would close its parent's.
            weakref.finalize(self, close).atexit = False

    def call(self, *command: bytes | str | int) -> Any:
        """Return the answer to a command, its strings as bytes.

        :raises Exception: one of ``errors``.
        """
        self._begin()
        if self._is_own and not self.is_cluster:
            return self._answer(partial(_ask_directly, self._client().connection_pool, command, self._response_error))
        return self._answer(lambda: self._client().execute_command(*command, **_AS_BYTES))

    def call_all(self, commands: Iterable[Command]) -> list[Any]:
        """Return the answers to several commands that are sent together; others may come between them.

        :raises Exception: one of ``errors``.
        """

        def ask() -> list[Any]:
            with self._client().pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command, **_AS_BYTES)
                return list(pipeline.execute())

        self._begin()
        return self._answer(ask)

    def primaries(self) -> list[Any]:
        """Return what has keys of its own: the primaries of a Cluster, or the one server, as ``None``.

        :raises Exception: one of ``errors``.
        """
        self._begin()
        return list(self._client().get_primaries()) if self.is_cluster else [None]

    def call_at(self, primary: Any, *command: bytes | str | int) -> Any:
        """Return one primary's answer to a command that is about it and about no key.

        :param primary: one of ``primaries``.
        :raises Exception: one of ``errors``.
        """
        place = {"target_nodes": primary} if self.is_cluster else {}
        self._begin()
        return self._answer(lambda: self._client().execute_command(*command, **place, **_AS_BYTES))

    def scan(self, primary: Any, cursor: int, *, match: str, count: int) -> tuple[int, list[bytes]]:
        """Return where the next names of one primary begin, 0 after the last, and some names that match.

        :raises Exception: one of ``errors``.
        """
        after, names = self.call_at(primary, "SCAN", cursor, "MATCH", match, "COUNT", count)
        return int(next(iter(after.values())) if isinstance(after, dict) else after), names

    @property
    def was_repeated(self) -> bool:
        """Whether the last call was sent again, since its answer was lost. Of a client handed in that is not known."""
        return _scripts_sent.get() > 1

    def _answer(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except self._read_only_error:
            # No longer the primary: its name may lead to another server by now, and its connections never would.
            if not self.is_cluster:
                self._client().connection_pool.disconnect()
            raise

    def _begin(self) -> None:
        _scripts_sent.set(0)
        if self._patience is not None:
            _until.set(time.monotonic() + self._patience)


def _ask_directly(pool: Any, command: Command, refusal: type[Exception]) -> Any:
    """Return the answer to a command, as ``execute_command`` does, which takes a third longer.

    What it does besides is for others: it tells tracers, and makes Python's objects of answers. A client that was
    handed in may have been changed to do more, so that one is asked.

    :param refusal: an answer that is raised.
    """
    connection = pool.get_connection()

    def ask() -> Any:
        connection.send_command(*command)
        return connection.read_response(disable_decoding=True)

    try:
        return connection.retry.call_with_retry(ask, lambda _: connection.disconnect())
    except refusal:
        raise
    except BaseException:  # what ends a thread or a greenlet too: whoever is next would be given this answer
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


#: An option of ``execute_command``, ``redis.client.NEVER_DECODE``: ``decode_responses=True`` cannot read our bytes.
_AS_BYTES: Final[Mapping[str, Any]] = {"NEVER_DECODE": []}

# Of the call under way; of a greenlet's own, also where gevent came after this file.
#: The time from which on it asks no further server.
_until: ContextVar[float] = ContextVar("until", default=math.inf)
#: How many scripts it sent.
_scripts_sent: ContextVar[int] = ContextVar("scripts_sent", default=0)


# Clients handed in

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
    return Server(_name_of(client, is_cluster), package, lambda: client, is_cluster=is_cluster)


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


@dataclass(frozen=True, slots=True)
class _Address:
    """A URL, read: who is asked for what."""

    kind: str
    is_tls: bool
    hosts: list[tuple[str, int]]
    path: str
    options: dict[str, Any] = field(repr=False)
    sentinel_options: dict[str, Any] = field(repr=False)


def _of_url(url: str, timeout: float) -> Server:
    address = _read(url)
    make = {"": _single, "unix": _single, "sentinel": _sentinels_master, "cluster": _cluster}[address.kind]
    client, close = make(address, timeout)
    return Server(
        _shown(address),
        "redis",
        client,
        close=close,
        is_cluster=address.kind == "cluster",
        # The second of two attempts begins before this, the third does not. Sentinel and Cluster ask one server after
        # the other, and each of them may be silent.
        patience=1.5 * timeout,
    )


def _shown(address: _Address) -> str:
    if address.kind == "unix":
        return f"unix://{address.path}"
    scheme = ("rediss" if address.is_tls else "redis") + (f"+{address.kind}" if address.kind else "")
    hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    service = f"/{address.path}" if address.kind == "sentinel" else ""
    return f"{scheme}://{hosts}{service}" + ("" if address.kind == "cluster" else f"/{address.options['db']}")


#: What returns a client, and what closes its connections.
_Made: TypeAlias = tuple[Callable[[], Any], Callable[[], None]]


def _single(address: _Address, timeout: float) -> _Made:
    place = (
        {"path": address.path} if address.kind == "unix" else dict(zip(("host", "port"), address.hosts[0], strict=True))
    )
    client = _client(address, timeout, attempts=2, **place, **address.options)
    return lambda: client, lambda: _disconnect([client])


def _disconnect(clients: Iterable[Any]) -> None:
    for client in clients:
        client.connection_pool.disconnect()


def _client(address: _Address, timeout: float, *, attempts: int, **options: Any) -> Any:
    import redis

    kind = (
        "UnixDomainSocketConnection" if address.kind == "unix" else "SSLConnection" if address.is_tls else "Connection"
    )
    pool = redis.ConnectionPool(
        connection_class=_in_time(f"redis.connection:{kind}"), **options, **_common(timeout, attempts)
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


def _sentinels_master(address: _Address, timeout: float) -> _Made:
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
        connection_class=_in_time(f"redis.sentinel:{kind}"),
        **address.options,
        **_common(timeout, 2),
    )
    return lambda: client, lambda: _disconnect([client, *sentinel.sentinels])


def _cluster(address: _Address, timeout: float) -> _Made:
    from redis.cluster import ClusterNode, RedisCluster

    options = {name: value for name, value in address.options.items() if name != "db"} | _common(timeout, 2)
    (first, *others) = address.hosts
    host, port = first

    def make() -> Any:
        return RedisCluster(
            # Only with a URL does it take a class of connections.
            url=f"redis://[{host}]:{port}" if ":" in host else f"redis://{host}:{port}",
            startup_nodes=[ClusterNode(*other) for other in others],  # type: ignore[no-untyped-call]  # redis-py's own
            connection_class=_in_time("redis.connection:" + ("SSLConnection" if address.is_tls else "Connection")),
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


@cache
def _in_time(kind: str) -> Any:
    """Return a class of connections that begin nothing more when their call has waited long enough.

    :param kind: module and class of redis-py's own.
    """
    module, _, name = kind.partition(":")
    base: Any = getattr(import_module(module), name)

    class InTime(base):  # type: ignore[misc]  # chosen when it is needed
        def _connect(self) -> Any:
            _check_time()
            return super()._connect()

        def send_packed_command(self, *args: Any, **kwargs: Any) -> Any:
            _check_time()
            return super().send_packed_command(*args, **kwargs)

        def send_command(self, *command: Any, **options: Any) -> Any:
            if command[0] in {"EVALSHA", "EVAL"}:
                _scripts_sent.set(_scripts_sent.get() + 1)
            return super().send_command(*command, **options)

    class Closing(InTime):
        # With a Sentinel redis-py leaves it open in the middle of an answer, which the next command would be given.
        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            return super().read_response(*args, **{"disconnect_on_error": True, **kwargs})

    return Closing if module == "redis.sentinel" else InTime


def _check_time() -> None:
    if time.monotonic() > _until.get():
        from redis.exceptions import TimeoutError as DriversTimeoutError

        raise DriversTimeoutError("no time is left to ask another server")


# Reading a URL

_KINDS: Final = {"redis": "", "rediss": "", "unix": "unix"}
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS: Final = (*_TLS_FILES, "ssl_password", "ssl_check_hostname")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")


def _read(url: str) -> _Address:
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if url.startswith("unix:/") and scheme not in SCHEMES:
        raise _wrong("it has too few slashes", "Write three, as in unix:///run/redis.sock?db=0.")
    if scheme not in SCHEMES:
        raise _wrong("its scheme is unknown", f"Use one of: {', '.join(f'{name}://' for name in SCHEMES)}.")
    kind = _KINDS.get(scheme, scheme.partition("+")[2])
    is_tls = scheme.startswith("rediss")
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        raise _wrong("its host cannot be read", "In a password write '[' as %5B and ']' as %5D.") from None
    if parts.fragment or "@" in parts.path + parts.query:
        raise _wrong("a part of a password seems to stand in its path", "Write '@' as %40, '/' as %2F, '#' as %23.")
    user, _, hosts = parts.netloc.rpartition("@")
    query = _query(parts.query, kind, is_tls)
    options = _credentials(user) | {name: value for name, value in query.items() if name in _TLS_OPTIONS}
    path = unquote(parts.path)
    if kind == "unix":
        if hosts or path in {"", "/"}:
            raise _wrong("it names no socket", "Write three slashes: unix:///run/redis.sock?db=0.")
        options["db"] = _database(query.get("db", "0"))
        return _Address(kind, is_tls, [], path, options, {})
    service, _, database = path.removeprefix("/").partition("/") if kind == "sentinel" else ("", "", path[1:])
    if kind == "sentinel" and not service:
        raise _wrong("it names no service", "Write redis+sentinel://host:26379,host:26379/service/0.")
    options["db"] = _database(query.get("db", database or "0"))
    if kind == "cluster" and options["db"] != 0:
        raise _wrong("it names a database, and a Cluster has only 0", "Leave it out.")
    sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinel |= {name.removeprefix("sentinel_"): query[name] for name in _SENTINEL_OPTIONS if name in query}
    addresses = _hosts(hosts, 26379 if kind == "sentinel" else 6379)
    if not kind and len(addresses) > 1:
        raise _wrong("it names several hosts", "Write redis+sentinel:// or redis+cluster://.")
    return _Address(kind, is_tls, addresses, service, options, sentinel)


def _credentials(user: str) -> dict[str, Any]:
    name, _, password = user.partition(":")
    given = {"username": unquote(name), "password": unquote(password)}
    return {name: value for name, value in given.items() if value}


def _hosts(text: str, default_port: int) -> list[tuple[str, int]]:
    hosts = []
    for part in text.split(","):
        try:
            place = urlsplit(f"//{part}")
            host, port = place.hostname, place.port
        except ValueError:
            host = None
        if not host or port == 0:
            raise _wrong(
                "a host or port in it cannot be read",
                "Write host:port, with a comma between two, [::1]:6379 for IPv6; in a password '/' is %2F and '?' %3F.",
            )
        hosts.append((host, port or default_port))
    return hosts


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _wrong("its database is not a number", "Write it last, as in redis://host:6379/0.")
    return int(text)


def _query(text: str, kind: str, is_tls: bool) -> dict[str, Any]:
    query: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True))
    known = ("db", *(_TLS_OPTIONS if is_tls else ()), *(_SENTINEL_OPTIONS if kind == "sentinel" else ()))
    for name, value in query.items():
        if name in _TLS_OPTIONS and not is_tls:
            raise _wrong(f"{name} is for TLS", "Write rediss:// in place of redis://.")
        if name not in known:
            raise _wrong(f"its option {name!r} is unknown", f"Use any of: {', '.join(known)}.")
        if name in _TLS_FILES and not os.access(value, os.R_OK):
            raise _wrong(f"its {name} {value!r} cannot be read", "Name a file that is there and that we may read.")
        if name == "ssl_check_hostname":
            if value.lower() not in {"true", "false"}:
                raise _wrong("its ssl_check_hostname is neither true nor false", "Leave it out: it is true.")
            query[name] = value.lower() == "true"
    return query


def _wrong(fault: str, mend: str) -> ConfigError:
    return ConfigError(f"SESSIONKIT_STORE is a Redis URL that cannot work: {fault}. {mend}")
