"""A Redis as the store speaks to it, whichever client carries the words, and within its time."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")
Command: TypeAlias = tuple[bytes | str | int, ...]


class Server:
    """One Redis, a Sentinel's master or a Cluster, whichever client speaks to it.

    :param name: for messages; holds no password.
    :param package: ``redis`` or ``valkey``.
    :param client: returns the client.
    :param close: closes its connections, when nobody holds this server any more; ``None``: they are somebody else's.
    :param patience: seconds after which a call asks no further server; ``None`` leaves that to the client.
    :param advice: what is to be said of the client to who deploys it.
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
        advice: str | None = None,
    ) -> None:
        self.name: Final = name
        self.is_cluster: Final = is_cluster
        self.advice: Final = advice
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


@cache
def in_time(kind: str) -> Any:
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
