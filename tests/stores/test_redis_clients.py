"""What a Redis URL or client is taken for, and which are refused."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import valkey
from servers import RedisServer

from flask_sessionkit.errors import ConfigError
from flask_sessionkit.stores import redis_urls
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.redis import RedisStore
from flask_sessionkit.stores.redis_clients import is_client, server_of
from flask_sessionkit.stores.redis_server import Server


def server(url: str) -> Server:
    return server_of(url, timeout=0.5)


def options_of(client: Any) -> dict[str, Any]:
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    return options


# URLs


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://db.example", "redis://db.example:6379/0"),
        ("redis://ann:pa55@db.example:7000/3", "redis://db.example:7000/3"),
        ("REDIS://[::1]:7000?db=2", "redis://[::1]:7000/2"),
        ("rediss://:pa55@db.example", "rediss://db.example:6379/0"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
        ("unix://ann:pa55@/run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://ann:pa55@a,b:7000/main/4", "redis+sentinel://a:26379,b:7000/main/4"),
        ("rediss+sentinel://a/main?sentinel_password=pa55", "rediss+sentinel://a:26379/main/0"),
        ("redis+cluster://ann:pa55@a,[::1]:7000", "redis+cluster://a:6379,[::1]:7000"),
        ("rediss+cluster://a:1,b:2/0", "rediss+cluster://a:1,b:2"),
    ],
)
def test_a_url_names_a_server_and_the_name_holds_no_password(url: str, name: str) -> None:
    assert server(url).name == name


def test_several_hosts_are_read_whatever_python_thinks_of_their_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.14 does: brackets are for a host that is one IPv6 address (cpython#105704)."""

    def strict(text: str) -> Any:
        if "," in text and "[" in text:
            raise ValueError("Invalid IPv6 URL")
        return urlsplit(text)

    monkeypatch.setattr(redis_urls, "urlsplit", strict)

    read = redis_urls.read_url("redis+sentinel://ann:pa55@a,[::1]:7000/main/4?sentinel_password=pa55")

    assert read.hosts == [("a", 26379), ("::1", 7000)]
    assert (read.path, read.options["db"]) == ("main", 4)


def test_a_url_is_read_to_the_letter() -> None:
    client = server("redis://a%40nn:p%2Fa%3A%25@db.example:7000/3")._client()

    options = options_of(client)
    assert (options["username"], options["password"]) == ("a@nn", "p/a:%")
    assert (options["host"], options["port"], options["db"]) == ("db.example", 7000, 3)


def test_a_tls_url_checks_the_server_and_shows_what_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    query = f"ssl_ca_certs={file}&ssl_certfile={file}&ssl_keyfile={file}&ssl_password=pa55"

    connection = server(f"rediss://db.example?{query}")._client().connection_pool.make_connection()

    assert isinstance(connection, redis.SSLConnection)
    assert connection.cert_reqs.name == "CERT_REQUIRED"
    assert connection.check_hostname is True
    assert [connection.ca_certs, connection.certfile, connection.keyfile] == [str(file)] * 3


def test_the_check_of_the_name_can_be_left_out_by_a_word() -> None:
    connection = server("rediss://db.example?ssl_check_hostname=False")._client().connection_pool.make_connection()

    assert connection.check_hostname is False


def test_sentinels_have_credentials_of_their_own() -> None:
    url = "redis+sentinel://ann:pa55@a,b/main/2?sentinel_username=watch&sentinel_password=d0g"
    client = server(url)._client()

    options = options_of(client)
    assert (options["username"], options["password"], options["db"]) == ("ann", "pa55", 2)
    for sentinel in client.connection_pool.sentinel_manager.sentinels:
        told = options_of(sentinel)
        assert (told["username"], told["password"]) == ("watch", "d0g")
        assert "db" not in told


@pytest.mark.parametrize(
    ("url", "fault", "mend"),
    [
        ("redis:db.example", "its scheme is unknown", "Use one of: redis://, rediss://"),
        ("redis+ring://pa55@a", "its scheme is unknown", "Use one of: redis://, rediss://"),
        ("redis://", "host or port", "Write host:port"),
        ("redis://db.example:pa55", "host or port", "Write host:port"),
        ("redis://db.example:0", "host or port", "Write host:port"),
        ("redis://db.example:70000", "host or port", "Write host:port"),
        ("redis://a,b", "several hosts", "redis\\+cluster"),
        ("redis://ann:pa/55@db.example", "a part of a password", "'/' as %2F"),
        ("redis://ann:pa?55@db.example", "a part of a password", "'/' as %2F"),
        ("redis://ann:pa#55@db.example", "a part of a password", "'#' as %23"),
        ("redis://ann:pa[55@db.example", "its host cannot be read", "%5B"),
        ("redis://db.example/pa55", "its database is not a number", "redis://host:6379/0"),
        ("redis://db.example/-1", "its database is not a number", "redis://host:6379/0"),
        ("redis://db.example?db=x", "its database is not a number", "redis://host:6379/0"),
        ("redis://db.example?socket_timeout=pa55", "its option 'socket_timeout' is unknown", "any of: db"),
        ("redis://db.example?ssl_ca_certs=x", "ssl_ca_certs is for TLS", "rediss://"),
        ("rediss://db.example?ssl_ca_certs=/no/such/file", "cannot be read", "Name a file"),
        ("rediss://db.example?ssl_check_hostname=pa55", "neither true nor false", "Leave it out"),
        ("redis://db.example?sentinel_password=pa55", "'sentinel_password' is unknown", "any of: db"),
        ("unix://run/redis.sock", "names no socket", "unix:///run"),
        ("unix://", "names no socket", "unix:///run"),
        ("redis+sentinel://a,b", "names no service", "/service/0"),
        ("redis+sentinel://a,b/main/x", "its database is not a number", "redis://host:6379/0"),
        ("redis+cluster://a,b/1", "a Cluster has only 0", "Leave it out"),
        ("redis+cluster://a,,b", "host or port", "Write host:port"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_its_fault_and_its_mend(url: str, fault: str, mend: str) -> None:
    with pytest.raises(ConfigError, match=f"SESSIONKIT_STORE.*{fault}.*{mend}") as caught:
        RedisStore(url)

    assert not any(secret in str(caught.value) for secret in ("pa55", "pa/55", "pa?55", "pa#55", "pa[55"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/main", "redis+cluster://127.0.0.1:{}"]
)
def test_a_store_is_made_without_a_connection(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        RedisStore.from_url(url.format(listener.getsockname()[1]), prefix="other:", timeout=1)

        with pytest.raises(BlockingIOError):
            listener.accept()


def test_every_connection_of_ours_has_its_limits() -> None:
    sentinels_master = server("redis+sentinel://a,b,c/main")._client()
    ours = [server("redis://a")._client(), server("unix:///run/x")._client(), sentinels_master]

    for client in ours:
        connection = client.connection_pool.make_connection()
        assert (connection.socket_timeout, connection.socket_connect_timeout) == (0.5, 0.5)
        assert connection.retry.get_retries() == 1
        assert connection.health_check_interval == 0
    for sentinel in sentinels_master.connection_pool.sentinel_manager.sentinels:
        options = options_of(sentinel)
        assert options["socket_timeout"] == options["socket_connect_timeout"] == pytest.approx(0.5 / 3)
        assert options["retry"].get_retries() == 0


# Answers that nobody waits for any more


class Ended(BaseException):
    """What ends a greenlet (gevent's ``Timeout``) or a thread from outside."""


def end(*_: object, **__: object) -> None:
    raise Ended


class SlowServer:
    """A Redis that knows ``GET`` and says the key; it tells ``mine`` once the same connection asks for more."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=[self._listener.accept()[0]], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        owed = b""
        with suppress(OSError), connection, connection.makefile("rwb") as wire:
            while head := wire.readline():
                words = [wire.read(int(wire.readline()[1:]) + 2) for _ in range(int(head[1:]))]
                owed += b"$%d\r\n%b" % (len(words[-1]) - 2, words[-1]) if words[0] == b"GET\r\n" else b"+OK\r\n"
                if words[-1] != b"mine\r\n":
                    wire.write(owed)
                    wire.flush()
                    owed = b""


@pytest.fixture
def slow_server() -> Iterator[SlowServer]:
    slow = SlowServer()
    yield slow
    slow.close()


@pytest.mark.requirement("ST-13")
@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/main"])
@pytest.mark.parametrize(
    "ask", [lambda asked: asked.call("GET", "mine"), lambda asked: asked.call_all([("GET", "mine")])]
)
def test_who_is_ended_in_the_middle_of_an_answer_leaves_it_to_nobody(
    slow_server: SlowServer, monkeypatch: pytest.MonkeyPatch, url: str, ask: Callable[[Server], object]
) -> None:
    monkeypatch.setattr("redis.sentinel.Sentinel.discover_master", lambda *_: ("127.0.0.1", slow_server.port))
    asked = server(url.format(slow_server.port))
    before = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Ended):
            ask(asked)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert asked.call("GET", "yours") == b"yours"


@pytest.mark.requirement("ST-13")
def test_who_is_ended_between_question_and_answer_leaves_it_to_nobody(
    slow_server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = server(f"redis://127.0.0.1:{slow_server.port}")
    asked.call("GET", "connected")
    with monkeypatch.context() as patched:
        patched.setattr(asked._client().connection_pool.connection_class, "read_response", end)
        with pytest.raises(Ended):
            asked.call("GET", "mine")

    assert asked.call("GET", "yours") == b"yours"


def test_without_redis_py_a_url_is_an_import_error() -> None:
    """From which the settings make a message that names the extra."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from flask_sessionkit.stores.redis import RedisStore\n"
        "for url in ('redis://a', 'redis+sentinel://a/main', 'redis+cluster://a'):\n"
        "    try: RedisStore(url)\n"
        "    except ImportError as error: print(error.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) <= {"redis", "redis.sentinel", "redis.cluster"}
    assert len(done.stdout.split()) == 3


# Clients


def a_replica() -> Any:
    return redis.sentinel.Sentinel([("127.0.0.1", 1)]).slave_for("main")


def one_that_caches() -> Any:
    return redis.Redis(protocol=3, cache_config=redis.cache.CacheConfig())


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: redis.asyncio.Redis(), r"not redis\.asyncio\.client\.Redis\. Give it a Redis"),
        (lambda: redis.asyncio.RedisCluster(host="a"), r"not redis\.asyncio\.cluster\.RedisCluster\. Give it a Redis"),
        (lambda: valkey.asyncio.Valkey(), r"not valkey\.asyncio\.client\.Valkey\. Give it a Redis"),
        (lambda: redis.Redis().pipeline(), r"not redis\.client\.Pipeline\. Give it a Redis"),
        (lambda: valkey.Valkey().pipeline(), r"not valkey\.client\.Pipeline\. Give it a Redis"),
        (lambda: redis.Redis().pubsub(), r"not redis\.client\.PubSub\. Give it a Redis"),
        (lambda: redis.ConnectionPool(), r"not redis\.connection\.ConnectionPool\. Give it a Redis"),
        (lambda: redis.sentinel.Sentinel([]), r"not redis\.sentinel\.Sentinel\. Give it a Redis"),
        (a_replica, r"it reads from a replica, which is behind\. Use Sentinel\.master_for"),
        (one_that_caches, r"it keeps what it read, so an ended session would live on\. Make it without a cache"),
        (MemoryStore, r"not flask_sessionkit\.stores\.memory\.MemoryStore\. Give it a Redis"),
        (lambda: None, r"not builtins\.NoneType\. Give it a Redis"),
    ],
)
def test_a_client_that_would_answer_wrongly_is_refused(make: Callable[[], object], fault: str) -> None:
    with pytest.raises(ConfigError, match=f"RedisStore .*{fault}"):
        RedisStore(make())


@pytest.mark.redis
def test_a_client_with_one_connection_is_refused(redis_server: RedisServer) -> None:
    """After a fork, parent and child would read each other's answers."""
    with (
        redis.Redis(port=redis_server.port, single_connection_client=True) as client,
        pytest.raises(ConfigError, match=r"shared after a fork\. Make it without single_connection_client"),
    ):
        RedisStore(client)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "waits for ever where"), (5, "waits 5 s, and again at each retry, where"), (0.5, None)],
)
@pytest.mark.parametrize("make", [redis.Redis, valkey.Valkey])
def test_of_a_client_that_waits_for_long_it_is_said(
    make: Callable[..., Any], seconds: float | None, said: str | None
) -> None:
    """With a server that is silent every request would."""
    advice = server_of(make(socket_timeout=seconds), timeout=0.5).advice

    assert advice is None if said is None else advice is not None and said in advice


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: redis.Redis(), "redis://localhost:6379/0"),
        (lambda: redis.Redis.from_url("redis://ann:pa55@a:7000/3"), "redis://a:7000/3"),
        (lambda: redis.Redis(unix_socket_path="/run/x"), "unix:///run/x"),
        (lambda: valkey.Valkey(host="a", password="pa55"), "redis://a:6379/0"),
        (lambda: redis.sentinel.Sentinel([]).master_for("main", password="pa55"), "redis+sentinel://.../main"),
        (lambda: valkey.sentinel.Sentinel([]).master_for("main"), "redis+sentinel://.../main"),
    ],
)
def test_a_client_is_named_without_its_password(make: Callable[[], object], name: str) -> None:
    assert server_of(make(), timeout=0.5).name == name


def test_a_client_of_a_kind_made_from_another_is_taken() -> None:
    class Traced(redis.Redis):
        """As tracing and testing tools make them."""

    assert server_of(Traced(), timeout=0.5).name == "redis://localhost:6379/0"


@pytest.mark.parametrize(
    ("thing", "verdict"),
    [
        (lambda: redis.Redis(), True),
        (lambda: valkey.Valkey(), True),
        (lambda: redis.sentinel.Sentinel([]).master_for("main"), True),
        (lambda: redis.asyncio.Redis(), True),
        (MemoryStore, False),
        (lambda: "redis://a", False),
        (lambda: None, False),
        (lambda: RedisStore("redis://a"), False),
    ],
)
def test_what_is_a_client_can_be_told(thing: Callable[[], object], verdict: bool) -> None:
    """One of a wrong kind too: it is refused with its own words, not as an unknown thing."""
    assert is_client(thing()) is verdict


def test_telling_a_client_imports_no_driver() -> None:
    code = (
        "import sys; from flask_sessionkit.stores.redis_clients import is_client; is_client(1)\n"
        "print({'redis', 'valkey'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"
