"""What runs on a Redis server, in one step each.

Numbers travel as the eight bytes of a double, big-endian: a text of them might be rounded. What a server may refuse is
done by ``pcall`` and comes before all else that is written, so that nothing is left half done.
"""

from __future__ import annotations

import hashlib
from typing import Final

from .base import CLOCK_SKEW, GRACE
from .redis_values import HEAD


class Script:
    """A text that runs on the server, in one step.

    :param text: the parts that it is made of.
    """

    def __init__(self, *text: str) -> None:
        self.text: Final = "".join(text)
        # The server's name for it, no secret.
        self.sha: Final = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


#: A session's life, in its head: version (8 bytes), created, seen, idle, absolute (doubles); see ``HEAD``.
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
  if #head < {HEAD.size} or head:byte({HEAD.size}) > 1 then return nil end
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
LOAD: Final = Script(
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
WRITE: Final = Script(
    _LIFE,
    _INDEX,
    f"""
local HEAD = {HEAD.size}
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
  if seen ~= life.seen then  -- seldom; see LOAD
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
ENTER: Final = Script(
    _LIFE,
    _INDEX,
    """
local now, absolute = struct.unpack('>dd', ARGV[2])
return enter(KEYS[1], ARGV[1], absolute, now)
""",
)
