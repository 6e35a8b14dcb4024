"""Sessions in Redis or Valkey: one server, a Sentinel's master, or a Cluster."""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from itertools import islice
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from ..errors import StoreError
from ..record import Outcome, Purged, Record, Version, Write
from .base import CLOCK_SKEW, GRACE, Capability, Judgement, Mark, judged_clock
from .redis_clients import server_of
from .redis_findings import judged
from .redis_server import Command, Server

P = ParamSpec("P")
T = TypeVar("T")


def _as_store_error(method: Callable[Concatenate[RedisStore, P], T]) -> Callable[Concatenate[RedisStore, P], T]:
    """Raise what the driver or the server refuses as ``StoreError``."""

    @wraps(method)
    def answered(self: RedisStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except self._server.errors as error:
            # Of a script that it does not know a server may quote what was to be written.
            is_quoting = "args beginning with" in str(error)
            raise StoreError(_message(self._server.name, error)) from (None if is_quoting else error)
        except (ValueError, LookupError, TypeError, struct.error):
            # What redis-py, or this file, cannot take apart. The cause goes, since it quotes the answer.
            raise StoreError(f"What answers at {self._server.name} is not Redis. Correct the address.") from None

    return answered


class RedisStore:
    """Records in Redis 6.2 or later or in Valkey, each in one round trip; the server expires them by itself.

    ``<prefix><key>`` is a string: what is known of a session, then its payload. A touch writes eight bytes in the place
    where they lie, and a list leaves the payload there. (A hash of the two takes 180 bytes more a session.)
    ``<prefix>owner:<owner>`` is a sorted set of an owner's keys, each with the end after which its session cannot live.
    It is written before the record; entries are removed by that end, a few at each new one. Every key has an expiry,
    counted from the application's clock, and no command looks for keys.

    What was acknowledged outlives this process. Whether it outlives the server is the server's to say: ``appendonly``
    with ``appendfsync always`` keeps all, ``everysec`` loses up to a second, neither loses everything at a restart. A
    replica that is made the primary may lack the last writes, and bring back what they ended. Choose ``noeviction`` or
    ``volatile-ttl`` as ``maxmemory-policy``: any eviction ends sessions early, or takes them off their user's list.

    A user for this store alone; a database but 0 wants ``+select`` too, a Cluster ``+cluster|slots +command``, a walk
    through all sessions ``+scan``::

        ACL SETUSER sessions on >password ~session:* resetchannels -@all
            +evalsha +eval +get +getrange +set +setrange +pexpire +pttl +zadd +zrem +zrangebylex +del

    :param client_or_url: a URL, or a client of redis-py or valkey-py: a ``Redis``, a ``RedisCluster``, or what
        ``Sentinel.master_for()`` gives. A client keeps its own timeouts; those of redis-py let a request wait a minute,
        so give it ``socket_timeout``, ``socket_connect_timeout`` and ``retry=Retry(NoBackoff(), 0)``. With more
        attempts a change whose answer was lost, and that another came after, may be made twice; of a URL's client it
        is known what was sent again.
    :param prefix: stands before every key.
    :param timeout: seconds to connect and to answer, for a URL; there is one more attempt.
    :raises ConfigError: a URL or a client that cannot work.
    :raises ImportError: redis-py is not installed.
    """

    capabilities: Capability = Capability.INDEX | Capability.TOUCH_ON_LOAD | Capability.SHARED | Capability.DURABLE

    def __init__(self, client_or_url: object, *, prefix: str = "session:", timeout: float = 0.5) -> None:
        self._server: Final[Server] = server_of(client_or_url, timeout=timeout)
        self._prefix = prefix

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "session:", timeout: float = 0.5) -> RedisStore:
        """Return the store of a URL; connects to nothing.

        ``redis://user:password@host:6379/0``, ``rediss://`` (with ``?ssl_ca_certs=``, ``ssl_certfile=``,
        ``ssl_keyfile=``, each a path), ``unix:///path?db=0``, ``redis+sentinel://host:26379,host:26379/service/0``
        (with ``?sentinel_username=`` and ``sentinel_password=`` where Sentinel wants its own) and
        ``redis+cluster://host:6379,host:6379``; ``rediss+sentinel://`` and ``rediss+cluster://`` speak TLS.
        """
        return cls(url, prefix=prefix, timeout=timeout)

    @_as_store_error
    def load(
        self, key: str, *, now: float, touch_every: float | None = None, touch_within: float = math.inf
    ) -> Record | None:
        """Return the record of a key, touched if that is due, or ``None``; see ``TouchesOnLoad.load``."""
        if touch_every is None:
            there = self._unless_foreign("GET", self._key(key))
            return None if there is None else _unpacked(key, there)
        found = self._run(_LOAD, [self._key(key)], struct.pack(">ddd", now, touch_every, touch_within))
        if isinstance(found, list):  # touched
            packed, seen = found
            found = packed[:16] + seen + packed[24:]
        return None if found is None else _unpacked(key, found)

    @_as_store_error
    def create(self, record: Record) -> bool:
        """Insert a record; return ``False`` if its key is taken; see ``Store.create``."""
        outcome, *_ = self._write(record, b"create", b"", now=record.seen_at)
        return outcome == b"ok"

    @_as_store_error
    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        """Overwrite a record if it is still the version that was read; see ``Store.replace``."""
        outcome, *current = self._write(record, b"replace", expected or b"", now=now)
        if outcome == b"conflict" and self._server.was_repeated:
            # Ours may have been written before the other's, and to merge it once more could count it twice.
            raise StoreError(
                f"The Redis server {self._server.name} did not answer a change, and another came after it. It may have "
                "been made; look before it is made again."
            )
        if outcome == b"conflict":
            return Write(Outcome.CONFLICT, _unpacked(record.key, *current))
        return Write(Outcome.OK if outcome == b"ok" else Outcome.GONE)

    @_as_store_error
    def delete(self, key: str) -> bool:
        """Remove a record; return ``True`` to the one caller that removed it; see ``Store.delete``."""
        return bool(self._server.call("DEL", self._key(key)))

    @_as_store_error
    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        """Return an owner's live records, without payload, in key order; see ``Store.list_owner``."""
        rows = (row for row in self._rows(owner, limit, after) if row.owner == owner and row.expires_at > now)
        return list(islice(rows, limit))

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        """Do nothing: the server removes what has ended; see ``Store.purge``."""
        return Purged(0, more=False)

    def scan(self) -> Iterator[Record]:
        """Yield every record, on a Cluster one primary after the other; see ``Scans.scan``."""
        for primary in self._primaries():
            cursor = 0
            while True:
                cursor, records = self._page(primary, cursor)
                yield from records
                if cursor == 0:
                    break

    @_as_store_error
    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        """Return what is to be said of the server, or of each primary of a Cluster; see ``Judges.judge``."""
        said: list[Judgement] = []
        for primary in self._server.primaries():
            try:
                seconds, microseconds = self._server.call_at(primary, "TIME")
                said.append(judged_clock(int(seconds) + int(microseconds) / 1e6, now))
                said += judged(self._server.call_at(primary, "INFO"))
            except self._server.errors as error:
                if not _is_forbidden(error):
                    raise
                said.append(
                    (Mark.NOTE, "It does not let us ask for its clock and its settings. Grant +time and +info.")
                )
        return list(dict.fromkeys(said))

    @_as_store_error
    def _primaries(self) -> list[Any]:
        return self._server.primaries()

    @_as_store_error
    def _page(self, primary: Any, cursor: int) -> tuple[int, list[Record]]:
        after, names = self._server.scan(primary, cursor, match=_literally(self._prefix) + "?" * 64, count=_PAGE)
        ours = (name.decode("utf-8", "replace").removeprefix(self._prefix) for name in names)
        keys = [key for key in ours if _is_key(key)]
        found = zip(keys, self._all_of(("GET", self._key(key)) for key in keys), strict=True)
        return after, [record for key, packed in found if packed and (record := _unpacked(key, packed))]

    def _key(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _index(self, owner: str) -> str:
        return f"{self._prefix}owner:{owner}"

    def _run(self, script: _Script, keys: list[str], *args: bytes) -> Any:
        try:
            return self._server.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except self._server.NoScriptError:  # a server that was restarted, or has become the primary
            return self._server.call("EVAL", script.text, len(keys), *keys, *args)

    def _write(self, record: Record, mode: bytes, expected: Version, *, now: float) -> list[bytes]:
        if not _is_key(record.key) or not (record.owner is None or _is_owner(record.owner)):
            raise StoreError("A record's key or owner is not lowercase hex, so it cannot be filed. Use tokens.py's.")
        keys = [self._key(record.key)]
        args = [mode, _packed(record), expected, struct.pack(">d", now)]
        answer: list[bytes]
        if record.owner is None:
            answer = self._run(_WRITE, keys, *args, b"")
            return answer
        entry, index = _entry(record), self._index(record.owner)
        if not self._server.is_cluster:
            answer = self._run(_WRITE, [*keys, index], *args, entry)
            return answer
        # The index lies in another slot, and no script reaches both. It comes first: a crash between the two leaves an
        # entry too many, never a session that no list shows. What is replaced has one, unless the script denies it.
        if mode == b"replace":
            answer = self._run(_WRITE, keys, *args, entry)
            if answer[0] != b"unlisted":
                return answer
        self._run(_ENTER, [index], entry, struct.pack(">dd", now, record.absolute_at))
        answer = self._run(_WRITE, keys, *args, b"")
        return answer

    def _rows(self, owner: str, limit: int, after: str | None) -> Iterator[Record]:
        # A key that was given a later end has two entries, so each page begins behind all entries of the last key.
        size = min(limit + 16, 1000)
        first = b"-" if after is None else _behind(after)
        while True:
            entries = self._server.call("ZRANGEBYLEX", self._index(owner), first, "+", "LIMIT", 0, size)
            keys = list(dict.fromkeys(entry[:32].hex() for entry in entries))
            for key, packed in zip(keys, self._heads_of(keys), strict=True):
                if packed and (row := _unpacked(key, packed)):
                    yield row
            if len(entries) < size:
                return
            first, size = _behind(keys[-1]), 1000

    def _heads_of(self, keys: list[str]) -> list[bytes | None]:
        """Return what lies before each payload, or ``None`` where there is no string."""
        heads = self._all_of(("GETRANGE", self._key(key), 0, _USUAL - 1) for key in keys)
        cut = [(place, end) for place, head in enumerate(heads) if head and (end := _payload_at(head)) > _USUAL]
        whole = self._all_of(("GETRANGE", self._key(keys[place]), 0, end - 1) for place, end in cut)
        for (place, _), head in zip(cut, whole, strict=True):
            heads[place] = head
        return [head and head[: _payload_at(head)] for head in heads]

    def _all_of(self, commands: Iterable[Command]) -> list[bytes | None]:
        """Return what each command reads, or ``None`` where there is no string."""
        asked = list(commands)
        try:
            return self._server.call_all(asked) if asked else []
        except self._server.errors as error:
            if "WRONGTYPE" not in str(error):
                raise
        # Somebody put another kind of key in a session's place, which must not hide all others.
        return [self._unless_foreign(*command) for command in asked]

    def _unless_foreign(self, *command: bytes | str | int) -> bytes | None:
        try:
            packed: bytes | None = self._server.call(*command)
        except self._server.errors as error:
            if "WRONGTYPE" not in str(error):
                raise
            return None
        return packed


class _Script:
    """A text that runs on the server, in one step.

    :param text: the parts that it is made of.
    """

    def __init__(self, *text: str) -> None:
        self.text: Final = "".join(text)
        # The server's name for it, no secret.
        self.sha: Final = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# The scripts. Numbers travel as the eight bytes of a double, big-endian: a text of them might be rounded. What a server
# may refuse is done by ``pcall`` and comes before all else that is written, so that nothing is left half done.

#: Version, created, seen, idle, absolute, length of the info, whether there is an owner. Behind it lie the owner's 16
#: bytes, the info and the payload.
_HEAD: Final = struct.Struct(">8sddddHB")

#: A session's life, in its head: version (8 bytes), created, seen, idle, absolute (doubles); see ``_HEAD``.
_LIFE: Final = f"""
local SKEW, GRACE = {CLOCK_SKEW}, {GRACE}

-- The error of a pcall, or nil. Redis 6.2 puts the place before the code by which a client knows an error:
-- "@user_script: 12: -READONLY You can't write ...".
local function refusal_of(answer)
  if type(answer) ~= 'table' or not answer.err then return nil end
  return {{err = answer.err:match('^@user_script: ?%d+: %-(.*)') or answer.err}}
end

-- Of bytes that are no head of ours nothing.
local function life_of(head)
  if #head < {_HEAD.size} or head:byte({_HEAD.size}) > 1 then return nil end
  local seen, idle, absolute = struct.unpack('>ddd', head, 17)
  return {{version = head:sub(1, 8), seen = seen, idle = idle, absolute = absolute}}
end

-- In this order: of a "seen" that is no number nothing is left but the absolute end.
local function end_of(life)
  local idle_end = life.seen + life.idle
  if idle_end < life.absolute then return idle_end end
  return life.absolute
end

-- One too far ahead, or no number, cannot be believed and counts as now.
local function settled(seen, now)
  if seen <= now + SKEW then return seen end
  return now
end

-- Relative, in milliseconds: an absolute one would break where two clocks differ. At least one, so that an index of
-- what has ended has an expiry too; at most thirty years, since Redis refuses what it cannot add to its own time.
local function until_gone(at, now)
  return math.max(1, math.min(math.ceil((at - now + GRACE) * 1000), 1e12))
end
"""

#: An index. An entry is a key (32 bytes) and the end (a double) after which its session cannot live.
_INDEX: Final = """
local NEIGHBOURS, LONG_PAST = 4, 3600

-- Return the refusal of a server that takes no more, or nil.
local function enter(index, entry, absolute, now)
  local added = redis.pcall('ZADD', index, 0, entry)
  if added == 0 then return nil end
  if refusal_of(added) then return refusal_of(added) end
  -- It outlives its longest session. PEXPIRE ... GT would do, from Redis 7.0 on.
  local ttl = until_gone(absolute, now)
  if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
  -- Keys are hashes, so the neighbours of a new one are a random sample. Long past, as another clock may be behind.
  for _, other in ipairs(redis.call('ZRANGEBYLEX', index, '(' .. entry, '+', 'LIMIT', 0, NEIGHBOURS)) do
    if #other ~= 40 or struct.unpack('>d', other, 33) + LONG_PAST < now then redis.call('ZREM', index, other) end
  end
end
"""

#: KEYS: a session. ARGV: now, how often to touch, how long ago it was seen at most.
_LOAD: Final = _Script(
    _LIFE,
    """
local now, every, within = struct.unpack('>ddd', ARGV[1])
local found = redis.pcall('GET', KEYS[1])
local refusal = refusal_of(found)
if refusal then
  if refusal.err:find('^WRONGTYPE') then return false end  -- somebody else's key, so no session
  return refusal
end
local life = found and life_of(found)
if not life then return false end

local is_due = not (now - life.seen < every and life.seen <= now + SKEW)
if is_due and end_of(life) > now and now - settled(life.seen, now) < within then
  life.seen = now
  local seen = struct.pack('>d', now)
  refusal = refusal_of(redis.pcall('SETRANGE', KEYS[1], 16, seen))
  if not refusal then
    redis.call('PEXPIRE', KEYS[1], until_gone(end_of(life), now))
    return {found, seen}  -- put together by the client: of 20 kB it takes Lua longer than all else
  elseif refusal.err:find('^READONLY') then
    return refusal  -- no longer the primary: the client has to look for the new one
  end  -- one that is full can still be read, and the touch is not reported
end
return found
""",
)

#: KEYS: a session, an owner's index where it lies on the same server.
#: ARGV: create or replace, the record, the version expected or nothing, now, the entry of the index or nothing.
_WRITE: Final = _Script(
    _LIFE,
    _INDEX,
    f"""
local HEAD = {_HEAD.size}
local session, index = KEYS[1], KEYS[2]
local mode, record, expected, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local now = struct.unpack('>d', ARGV[4])
local life = life_of(record)

-- The head, and the owner if there is one, without the payload. It is empty where nothing is there.
local there = redis.pcall('GETRANGE', session, 0, HEAD + 15)
local refusal = refusal_of(there)
if refusal then
  if not refusal.err:find('^WRONGTYPE') then return refusal end
  return {{mode == 'create' and 'taken' or 'gone'}}
end
local current = life_of(there)
if mode == 'create' then
  if there ~= '' then
    return {{there:sub(1, 8) == life.version and 'ok' or 'taken'}}  -- its own version: an answer that was lost
  end
else
  if not current then return {{'gone'}} end
  if current.version == life.version then return {{'ok'}} end
  if end_of(current) <= now then return {{'gone'}} end
  if expected ~= '' and current.version ~= expected then return {{'conflict', redis.call('GET', session)}} end
  local seen = math.max(settled(current.seen, now), settled(life.seen, now))
  if seen ~= life.seen then  -- seldom; see _LOAD
    life.seen = seen
    record = record:sub(1, 16) .. struct.pack('>d', seen) .. record:sub(25)
  end
  local is_listed = there:sub(HEAD) == record:sub(HEAD, HEAD + 16) and life.absolute <= current.absolute
  if is_listed and not index then entry = '' end  -- where it costs no trip it is entered again: it may be evicted
end

if entry ~= '' then
  if not index then return {{'unlisted'}} end
  refusal = enter(index, entry, life.absolute, now)
  if refusal then return refusal end
end
refusal = refusal_of(redis.pcall('SET', session, record, 'PX', until_gone(end_of(life), now)))
if refusal then return refusal end
return {{'ok'}}
""",
)

#: KEYS: an owner's index. ARGV: the entry, now and the end of the session. For a Cluster.
_ENTER: Final = _Script(
    _LIFE,
    _INDEX,
    """
local now, absolute = struct.unpack('>dd', ARGV[2])
return enter(KEYS[1], ARGV[1], absolute, now)
""",
)

#: Bytes that a list asks for at once: all before the payload, but where the info is long.
_USUAL: Final = 256
_is_key: Final = re.compile("[0-9a-f]{64}").fullmatch
#: Names that a walk asks for at once, of which those of sessions are read.
_PAGE: Final = 200
_is_owner: Final = re.compile("[0-9a-f]{32}").fullmatch


def _packed(record: Record) -> bytes:
    times = (record.created_at, record.seen_at, record.idle, record.absolute_at)
    head = _HEAD.pack(record.version, *times, len(record.info), record.owner is not None)
    return b"".join((head, bytes.fromhex(record.owner or ""), record.info, record.payload))


def _unpacked(key: str, packed: bytes) -> Record | None:
    """Return the record, or ``None`` for what was not written by us."""
    payload_at = _payload_at(packed)
    if not _HEAD.size <= payload_at <= len(packed):
        return None
    version, created_at, seen_at, idle, absolute_at, _, is_owned = _HEAD.unpack_from(packed)
    info_at = _HEAD.size + 16 * is_owned
    owner = packed[_HEAD.size : info_at].hex() if is_owned else None
    info, payload = packed[info_at:payload_at], packed[payload_at:]
    return Record(key, payload, created_at, seen_at, idle, absolute_at, owner, info, version)


def _payload_at(packed: bytes) -> int:
    """Return where a record's payload begins, 0 for what was not written by us."""
    if len(packed) < _HEAD.size:
        return 0
    *_, size, is_owned = _HEAD.unpack_from(packed)
    return _HEAD.size + 16 * is_owned + size if is_owned <= 1 else 0


def _entry(record: Record) -> bytes:
    return bytes.fromhex(record.key) + struct.pack(">d", record.absolute_at)


def _literally(text: str) -> str:
    """Return the pattern that matches a text and nothing else (redis.io, "KEYS")."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)


def _behind(key: str) -> bytes:
    """Return where the entries of the next key begin."""
    return b"(" + bytes.fromhex(key) + b"\xff" * 8


#: How a server and, from Redis 7.0 on, one of its scripts say that a user may not.
_says_no: Final = re.compile("NOAUTH|NOPERM|can't run this command").search
_NO_RIGHT: Final = {"AuthenticationError", "AuthorizationError", "NoPermissionError"}


def _is_forbidden(error: Exception) -> bool:
    return type(error).__name__ in _NO_RIGHT or _says_no(str(error)) is not None


def _message(name: str, error: Exception) -> str:
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError":
        return f"The Redis server {name} is full. Raise its maxmemory, or keep less in it; nothing was saved."
    if _is_forbidden(error):
        return f"The Redis server {name} does not let us do this. See to the user, its password and its ACL."
    if kind == "BusyLoadingError":
        return f"The Redis server {name} is still loading its data. Wait until it is ready."
    if kind == "TimeoutError":
        return f"The Redis server {name} did not answer in time. See that it is not busy, and reached from here."
    if kind == "ResponseError" and (code := re.match("[A-Z]{4,}(?= )", text)) and code[0] != "ERR":
        # Its name for the fault; what comes after it may quote what was to be written.
        return f"The Redis server {name} refuses, and says {code[0]}. Look that up, or into its log."
    # Of a connection the driver tells host, port and what TLS does not like; of a command it may quote what it wrote.
    why = f" ({' '.join(text.split())})" if kind == "ConnectionError" or "DB index" in text else ""
    return f"The Redis server {name} cannot answer{why}. See that it runs and lets us in."
