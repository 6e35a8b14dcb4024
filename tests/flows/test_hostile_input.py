"""What strangers send and what somebody wrote into the store: never an error, never another's session.

Held here: ID-02 to ID-06, ID-08, IN-01, IN-03 to IN-09, ST-01, ST-02, ST-12, DS-01, LG-01.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import pickle
import re
import sqlite3
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from flask import flash, get_flashed_messages, request, session
from flow_dumps import dump
from flow_site import NOBODY, Answer, Seen, Site, View, both, login, logout, look, pausing, put
from flow_stores import keys_in, open_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from msgspec.structs import replace as changed
from werkzeug.test import create_environ, run_wsgi_app

from flask_sessionkit import StoreError, UnsupportedType
from flask_sessionkit.record import Outcome, Record
from flask_sessionkit.sealing import KeyRing
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import key_of, new_token

#: IN-01, as the bytes of a header.
MALFORMED: list[bytes] = [
    b"",
    b" ",
    b"\t",
    b'""',
    b"None",
    b"null",
    b"0",
    b"undefined",
    b"A",
    b"A" * 42,
    b"A" * 44,
    b"A" * 300,
    b"A" * 8000,
    rb'"a\000b"',
    b"a\0b",
    b"A" * 42 + b"\0",
    b"A" * 43 + b"\0",
    rb'"x\015\012y"',
    b"x\r\ny",
    b"A" * 43 + b"\r\nget canary",
    rb'"..\057..\057etc"',
    rb'"' + rb"\101" * 43 + rb'"',
    b'"' + b"A" * 43 + b'"',
    b"../../etc/passwd",
    b"..\\..\\boot.ini",
    b"/etc/passwd",
    b"file:///etc/passwd",
    b"%2e%2e%2f",
    b"%00",
    b"%41" * 43,
    "é✓".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    "\u2000".encode() + b"A" * 43,
    b"A" * 43 + "\u2000".encode(),
    "\u0661".encode() * 43,
    "\uff21".encode() * 43,
    "\u200f".encode() + b"A" * 43,
    b"'--",
    b"' OR 1=1 --",
    b"*",
    b"?",
    b"{}",
    b"[]",
    b"[1]",
    b"%s%n",
    b"${jndi:ldap://x}",
    b"{{7*7}}",
    b"<script>",
    base64.b64encode(pickle.dumps({"_user_id": "1"})),
    b"eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb",
    b"-rf",
    b"CON",
    b"A" * 43 + b"=",
    b"A" * 43 + b"\n",
    b"A" * 43 + b" x",
    b"A" * 42 + b"B",
    b"A" * 42 + b"=",
    b"A" * 42 + b"+",
    b"A" * 42 + b"/",
    b"A" * 42 + b".",
    b"A" * 43 + b",",
]


def send(site: Site, header: bytes | None, view: View, *, path: str = "/do", **environ: Any) -> Answer:
    """Run a view on a request with exactly these bytes as its ``Cookie`` header, as a server hands them on."""
    values: list[Any] = []
    given = create_environ(path, method="POST", **environ)
    given |= {"flow.view": view, "flow.values": values}
    if header is not None:
        given["HTTP_COOKIE"] = header.decode("latin-1")
    body, status, headers = run_wsgi_app(site.app.wsgi_app, given, buffered=True)
    sent = [text for text in headers.getlist("Set-Cookie") if text.startswith("session=")]
    assert int(status[:3]) == 200, b"".join(body)
    token = sent[0].partition(";")[0].removeprefix("session=") if sent else None
    return Answer(None, values[-1], token or None, forgets=token == "")


def cookie(token: str) -> bytes:
    return f"session={token}".encode()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that strangers do is an error, and no line in the log, at any level, holds a token."""
    caplog.set_level(logging.DEBUG)
    yield
    lines = [record.getMessage() for record in caplog.records]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert not any(re.search(r"\b[A-Za-z0-9_-]{43}\b", line) for line in lines)


def rewrite(site: Site, key: str, **fields: Any) -> None:
    """Change a record in the store as somebody who can write there would."""
    inner = pausing(site).inner
    record = inner.load(key, now=site.clock.now())
    assert record is not None
    written = changed(record, version=os.urandom(8), **fields)
    assert inner.replace(written, expected=record.version, now=site.clock.now()).outcome is Outcome.OK


def record_of(site: Site, token: str) -> Record:
    record = pausing(site).inner.load(key_of(token, "flows"), now=site.clock.now())
    assert record is not None
    return record


# Cookies.


@pytest.mark.requirement("DS-04", "IN-01", "IN-02", "IN-04")
@pytest.mark.usefixtures("quiet")
def test_a_malformed_cookie_is_nobody_and_reaches_no_store(site: Site) -> None:
    pausing(site).reset()
    for value in MALFORMED:
        answer = send(site, b"session=" + value, look)

        assert answer.value == NOBODY, value
        assert answer.says_nothing, value

    assert pausing(site).counts == {}


@pytest.mark.requirement("ID-03")
@pytest.mark.usefixtures("quiet")
def test_a_malformed_cookie_is_nobody_also_after_a_logout(site: Site) -> None:
    """ID-03: in a peer a flush left a session under the key ``""``, which all shared (CVE-2015-3982)."""
    alice = site.token(both(login("alice"), put(v=1)))
    site.ask(alice, logout)

    assert [value for value in MALFORMED if send(site, b"session=" + value, look).value != NOBODY] == []


@pytest.mark.usefixtures("quiet")
def test_a_malformed_cookie_does_not_keep_a_session_from_beginning(site: Site) -> None:
    for value in MALFORMED:
        begun = send(site, b"session=" + value, put(v=1)).token

        assert begun is not None
        assert site.seen(begun) == Seen(None, {"v": 1})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(header=st.binary(max_size=200) | st.binary(max_size=60).map(lambda value: b"session=" + value))
def test_no_header_is_an_error(header: bytes, site: Site) -> None:
    assert send(site, header, look).value == NOBODY


@pytest.mark.requirement("ID-02")
@pytest.mark.usefixtures("quiet")
def test_an_unknown_token_is_never_adopted(site: Site) -> None:
    sent = new_token()
    begun = site.token(put(v=1), sent)

    assert begun != sent
    assert site.seen(sent) == NOBODY
    assert keys_in(site.store) == [key_of(begun, "flows")]


@pytest.mark.requirement("DS-01")
@pytest.mark.usefixtures("quiet")
def test_reading_with_unknown_tokens_makes_nothing(site: Site) -> None:
    answers = [site.ask(new_token(), look) for _ in range(200)]

    assert all(answer.says_nothing for answer in answers)
    assert keys_in(site.store) == []
    assert pausing(site).counts.keys() == {"load"}


@pytest.mark.requirement("IN-05")
@pytest.mark.usefixtures("quiet")
def test_a_header_of_64_kib_costs_three_loads_at_most(site: Site) -> None:
    live = site.token(login("alice"))
    strangers = [new_token() for _ in range(1230)]
    pausing(site).reset()

    answer = send(site, b"; ".join(map(cookie, [*strangers, live])), look)

    assert answer.value == NOBODY
    assert pausing(site).counts == {"load": 3}


@pytest.mark.requirement("IN-05")
@pytest.mark.usefixtures("quiet")
def test_a_thousand_times_the_same_cookie_is_one(site: Site) -> None:
    live = site.token(login("alice"))
    pausing(site).reset()

    answer = send(site, b"; ".join([cookie(live)] * 1200), look)

    assert answer.value == Seen("alice", {})
    assert pausing(site).counts == {"load": 1}


@pytest.mark.requirement("CK-09", "IN-09")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("syntax", "who"),
    [
        ("session={}; session={}", None),
        ('a="b; session={}; c="; session={}', None),
        ("session={}, session={}", None),
        ("session={},{}", None),
        ('session="{}; session={}"', None),
        ('$Version=1; session="{}; session={}', 1),
        ('a="session={}; session={}', 1),
        ("session = {}; session={}", 1),
        ("session={}\\; session={}", 1),
        ("session={}\0; session={}", 1),
        ("\xefsession={}; session={}", 1),
        ("session={};session\t={}", 0),
    ],
)
def test_odd_syntax_shows_one_session_or_none(site: Site, syntax: str, who: int | None) -> None:
    """IN-09 and CK-09, in both orders: a cookie counts only where browsers would have written it."""
    alice, mallory = site.token(login("alice")), site.token(login("mallory"))
    for tokens, names in (((alice, mallory), ("alice", "mallory")), ((mallory, alice), ("mallory", "alice"))):
        seen = send(site, syntax.format(*tokens).encode("latin-1"), look).value

        assert seen == (NOBODY if who is None else Seen(names[who], {}))


@pytest.mark.requirement("ID-04")
@pytest.mark.usefixtures("quiet")
def test_a_token_is_taken_from_the_cookie_only(site: Site) -> None:
    token = site.token(login("alice"))
    pausing(site).reset()
    elsewhere: list[dict[str, Any]] = [
        {"path": f"/do?session={token}&sid={token}"},
        {"data": {"session": token}},
        {"json": {"session": token}},
        *(
            {"headers": {name: value}}
            for name in (
                "Session",
                "X-Session-Id",
                "X-Session-Token",
                "X-Session",
                "Authorization",
                "Cookie2",
                "X-Cookie",
            )
            for value in (token, f"Bearer {token}", f"session={token}")
        ),
    ]
    for way in elsewhere:
        assert send(site, None, look, **way).value == NOBODY, way

    assert pausing(site).counts == {}


# Paths.

_opened: list[str] | None = None


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if _opened is not None and event in {"open", "os.mkdir", "os.rename", "os.remove", "os.listdir", "os.scandir"}:
        _opened.extend(os.fsdecode(arg) for arg in args[:2] if isinstance(arg, str | bytes))


sys.addaudithook(_listen)  # stays for good, so it listens only when asked to


@contextmanager
def opened_paths() -> Iterator[list[str]]:
    global _opened
    _opened = paths = []
    try:
        yield paths
    finally:
        _opened = None


@pytest.mark.requirement("IN-03")
def test_no_cookie_names_a_path(tmp_path: Path, clock: FrozenClock) -> None:
    """IN-03: only the hash of a token does, and only of what can be a token."""
    store = PausingStore(FileStore(tmp_path / "sessions"))
    site = Site(store, clock)
    site.token(login("alice"))
    with opened_paths() as paths:
        for value in MALFORMED:
            send(site, b"session=" + value, look)
    assert [path for path in paths if path.startswith(str(tmp_path)) or "etc" in path or ".." in path] == []

    with opened_paths() as paths:
        for value in MALFORMED:
            send(site, b"session=" + value, both(login("mallory"), put(v=value)))
        send(site, cookie(new_token()), look)
    ours = [path.removeprefix(f"{tmp_path}/sessions") for path in paths if str(tmp_path) in path]
    record, owner = r"/[0-9a-f]{2}(/[0-9a-f]{64}(\.[0-9a-f]{8}\.tmp)?)?", "/owner(/[0-9a-f]{32}(/[0-9a-f]{64})?)?"
    shape = f"|/lock(/[0-9a-f]{{2}})?|{record}|{owner}"

    assert len(ours) > len(MALFORMED)
    assert [path for path in ours if not re.fullmatch(shape, path)] == []


# What lies in the store.

GARBAGE = [
    b"",
    b"\0",
    b"[]",
    b"1",
    b"null",
    b"\x11",
    b"\x11" + bytes(4),
    b"\x11" + bytes(36),
    b"\x11" + bytes(100),
    b"\x01" + bytes(100),
    b"{}" * 500,
    bytes(70_000),
    b"\xff" * 100,
    pickle.dumps({"_user_id": "alice"}),
]


@pytest.mark.requirement("ID-07", "IN-06")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda data: f"{data!r:.20}")
def test_a_record_that_is_garbage_is_no_session_and_stays_where_it_is(site: Site, garbage: bytes) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    record = record_of(site, token)
    rewrite(site, record.key, payload=garbage)

    with site.events() as events:
        answer = site.ask(token, look)

    assert answer.value == NOBODY
    assert answer.says_nothing
    assert events == [("session_refused", {"reason": "unreadable"})]
    assert record_of(site, token).payload == garbage
    rewrite(site, record.key, payload=record.payload)
    assert site.seen(token) == Seen("alice", {"v": 1})


@pytest.mark.requirement("IN-06")
@pytest.mark.usefixtures("quiet")
def test_every_truncation_and_every_byte_changed_is_no_session(site: Site) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    record = record_of(site, token)
    wrong = [record.payload[:length] for length in range(len(record.payload))]
    wrong += [
        record.payload[:place] + bytes([record.payload[place] ^ 1 << place % 8]) + record.payload[place + 1 :]
        for place in range(len(record.payload))
    ]
    for payload in wrong:
        rewrite(site, record.key, payload=payload)
        assert site.seen(token) == NOBODY

    rewrite(site, record.key, payload=record.payload)
    assert site.seen(token) == Seen("alice", {"v": 1})


@pytest.mark.usefixtures("quiet")
def test_what_is_written_over_an_unreadable_record_begins_a_session_of_its_own(site: Site) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    rewrite(site, key_of(token, "flows"), payload=b"garbage")

    begun = site.token(put(v=2), token)

    assert begun != token
    assert site.seen(begun) == Seen(None, {"v": 2})
    assert site.seen(token) == NOBODY


@pytest.mark.requirement("ST-01")
@pytest.mark.usefixtures("quiet")
def test_a_record_under_anothers_key_is_no_session(site: Site) -> None:
    """ST-01: a store that mixes up its answers, or somebody who copies a row."""
    alice, bob = site.token(both(login("alice"), put(v="hers"))), site.token(login("bob"))
    theirs = record_of(site, alice)
    rewrite(site, key_of(bob, "flows"), payload=theirs.payload, owner=theirs.owner, info=theirs.info)

    with site.events() as events:
        assert site.seen(bob) == NOBODY

    assert events == [("session_refused", {"reason": "unreadable"})]
    assert site.seen(alice) == Seen("alice", {"v": "hers"})


class Exploit:
    """What a pickle does when it is opened."""

    fired = False

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _fire, ()


def _fire() -> None:
    Exploit.fired = True


@pytest.mark.requirement("ST-02")
@pytest.mark.usefixtures("quiet")
def test_a_pickle_in_the_store_is_not_opened(site: Site) -> None:
    Exploit.fired = False
    token = site.token(login("alice"))
    bait = pickle.dumps(Exploit())
    for payload in (bait, b"\x11" + bait, b"\x01" + bait, pickle.dumps(Exploit(), 0) + b"\n" * 40):
        rewrite(site, key_of(token, "flows"), payload=payload, info=pickle.dumps(Exploit()))
        assert site.seen(token) == NOBODY
        site.outside(site.kit.sessions_of, "alice")

    assert Exploit.fired is False
    pickle.loads(pickle.dumps(Exploit()))  # noqa: S301  # the bait itself is live
    assert Exploit.fired is True


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "fields",
    [
        {"seen_at": math.nan},
        {"seen_at": math.inf},
        {"seen_at": -math.inf},
        {"seen_at": 1e308},
        {"idle": math.inf},
        {"idle": 1e308},
        {"created_at": math.inf},
        {"absolute_at": math.inf},
        {"absolute_at": 1e308},
        {"owner": "0" * 32},
        {"owner": None},
        {"info": b""},
        {"info": b"\xff" * 1024},
        {"info": b"\x01\x94\xa1x\xa1x\xa1x\xa1x"},
        {"info": b"\x01\x94\xc4\x00\xcb\x7f\xf8\0\0\0\0\0\0\xa1\xff\xa0"},
    ],
    ids=repr,
)
def test_nothing_beside_the_seal_makes_an_error_or_lengthens_a_life(site: Site, fields: dict[str, Any]) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    with suppress(StoreError) if math.inf in map(abs, numbers_in(fields)) else nullcontext():  # MariaDB knows none
        rewrite(site, key_of(token, "flows"), **fields)

    assert site.seen(token) in (NOBODY, Seen("alice", {"v": 1}))
    site.outside(site.kit.sessions_of, "alice")
    site.ask(token, put(v=2))
    site.clock.tick(12 * 3600)
    assert site.dead(token)


def numbers_in(fields: dict[str, Any]) -> list[float]:
    return [value for value in fields.values() if isinstance(value, float)]


@pytest.mark.requirement("IN-06")
def test_no_byte_of_a_file_makes_an_error(tmp_path: Path, clock: FrozenClock) -> None:
    """IN-06 below the store: what a disk or a neighbour did to the file. Its header is beside the seal."""
    site = Site(PausingStore(FileStore(tmp_path / "sessions")), clock)
    token = site.token(both(login("alice"), put(v=1)))
    key = key_of(token, "flows")
    file = tmp_path / "sessions" / key[:2] / key
    whole = file.read_bytes()
    sealed_from = len(whole) - len(record_of(site, token).payload)
    alive = Seen("alice", {"v": 1})

    for place in range(len(whole)):
        for bit in (1, 0x80, 0xFF):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            assert site.seen(token) in ((NOBODY,) if place >= sealed_from else (NOBODY, alive))
            site.outside(site.kit.sessions_of, "alice")
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert site.seen(token) == NOBODY
    file.write_bytes(whole + b"\0")
    assert site.seen(token) == NOBODY


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0])
@pytest.mark.parametrize("place", [1, 9, 17, 25], ids=["created_at", "seen_at", "idle", "absolute_at"])
def test_no_number_in_a_file_makes_an_error(tmp_path: Path, clock: FrozenClock, place: int, number: float) -> None:
    site = Site(PausingStore(FileStore(tmp_path / "sessions")), clock)
    token = site.token(both(login("alice"), put(v=1)))
    key = key_of(token, "flows")
    file = tmp_path / "sessions" / key[:2] / key
    whole = file.read_bytes()
    file.write_bytes(whole[:place] + struct.pack(">d", number) + whole[place + 8 :])

    assert site.seen(token) in (NOBODY, Seen("alice", {"v": 1}))
    site.outside(site.kit.sessions_of, "alice")
    site.clock.tick(70)
    site.ask(token, put(v=2))
    site.clock.tick(12 * 3600)
    assert site.dead(token)


@pytest.mark.parametrize("value", ["text", "", 7, 2**40, -1.5, b"", b"\xff" * 50], ids=repr)
def test_a_payload_of_another_type_is_no_session(tmp_path: Path, clock: FrozenClock, value: object) -> None:
    """SQLite keeps any type in any column."""
    site = Site(PausingStore(open_store("sqlite", tmp_path)), clock)
    token = site.token(both(login("alice"), put(v=1)))
    with closing(sqlite3.connect(tmp_path / "sessions.db")) as connection, connection:
        connection.execute("UPDATE sessionkit_records SET payload = ?", (value,))

    assert site.seen(token) == NOBODY
    assert site.token(put(v=2), token) != token


@pytest.mark.requirement("ID-05")
def test_a_stolen_store_is_worth_nothing(site: Site, kind: str, tmp_path: Path) -> None:
    tokens = [site.token(put(v=1)), site.token(both(login("alice"), put(password="no")))]
    tokens.append(site.token(login("bob"), tokens[0]))
    site.token(login("carol"), tokens[2])
    stolen = dump(kind, pausing(site), tmp_path)

    assert keys_in(site.store)[0].encode() in stolen
    for token in tokens:
        raw = base64.urlsafe_b64decode(token + "=")
        for form in (token.encode(), raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")):
            assert form not in stolen
    assert b"a secret of the flow tests" not in stolen
    for key in keys_in(site.store):
        for form in (key, key[:43], base64.urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("=")):
            assert site.seen(form) == NOBODY


def test_an_owner_names_no_user(site: Site, kind: str, tmp_path: Path) -> None:
    site.token(login("alice@example.com"))
    records = [record for key in keys_in(site.store) if (record := pausing(site).inner.load(key, now=0))]

    assert all(re.fullmatch("[0-9a-f]{32}", record.owner or "") for record in records)
    assert not any(b"alice" in os.fsencode(path) for path in tmp_path.rglob("*"))


@pytest.mark.requirement("ID-06")
def test_no_lookup_falls_back_to_the_token_itself(make_site: Callable[..., Site]) -> None:
    """ID-06: a valid record, sealed for the raw token or its hex as key."""
    site = make_site(SECRET_KEY="s" * 40)
    ring = KeyRing([b"s" * 40], app_id="flows")
    owned = record_of(site, site.token(login("alice")))
    payload = ring.open(owned.payload, key=owned.key)
    assert payload is not None
    token = new_token()
    raw = base64.urlsafe_b64decode(token + "=")
    for key in (token, raw.hex()):
        record = changed(owned, key=key, payload=ring.seal(payload, key=key), version=os.urandom(8))
        try:
            assert pausing(site).inner.create(record)
        except StoreError:
            assert key == token  # some refuse such a key outright

    assert site.seen(token) == NOBODY


@pytest.mark.requirement("ID-08")
@pytest.mark.parametrize("form", [repr, str, lambda current: f"{current}", lambda current: repr(vars(current))])
def test_the_session_object_shows_no_token(site: Site, form: Callable[[Any], str]) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    shown = site.ask(token, lambda: (look(), form(session._get_current_object()))[1]).value  # type: ignore[attr-defined]

    assert token not in shown


@pytest.mark.requirement("LG-01")
def test_no_frame_of_ours_shows_a_token(site: Site) -> None:
    """Reporters of errors (Sentry, Flask's own debugger) show the variables of every frame."""
    token = site.token(both(login("alice"), put(v=1)))
    shown: list[str] = []

    def spy(frame: FrameType, event: str, arg: object) -> None:
        place = frame.f_code.co_filename
        if event == "return" and "flask_sessionkit/" in place and "/testing/" not in place:
            shown.extend(
                f"{frame.f_code.co_qualname}: {name}" for name, value in frame.f_locals.items() if holds(value)
            )

    def holds(value: object) -> bool:
        """Not of bare texts: what handles tokens has them."""
        is_text = isinstance(value, str | list | tuple | dict)
        return not is_text and re.search("'[A-Za-z0-9_-]{43}'", repr(value)) is not None

    sys.setprofile(spy)
    try:
        site.ask(token, both(put(v=2), lambda: session.regenerate()))  # type: ignore[attr-defined]
    finally:
        sys.setprofile(None)

    assert shown == []


@pytest.mark.requirement("ID-08")
def test_neither_data_nor_lists_hold_a_token_and_a_handle_opens_nothing(site: Site) -> None:
    token = site.token(both(login("alice"), put(v=1)))
    shown = site.ask(token, lambda: [dict(session), json.dumps(dict(session)), site.kit.sessions_of("alice")]).value
    [row] = shown[2]

    assert token not in repr(shown)
    assert key_of(token, "flows") not in repr(shown)
    for form in (row.handle, row.handle[:43], (row.handle + "A" * 43)[:43]):
        assert site.seen(form) == NOBODY


# Values.

NAMED = timezone(timedelta(hours=2), "CEST")
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64,
    -(2**200),
    1.5,
    math.inf,
    -0.0,
    "",
    "a\0b",
    "😀",
    "\ud800",
    "a\udfffb",
    b"",
    b"\0\xff",
    [],
    [1, [2, (3, {4})]],
    (),
    (1, "2", [3]),
    {},
    {"a": {"b": [1]}},
    {1: "int key", (1, 2): "tuple key", None: "none", "\ud800": "surrogate"},
    {1, "a", (2, 3)},
    frozenset({1, 2}),
    Markup("<b>x</b>"),
    UUID(int=7),
    Decimal("1.10"),
    date(2026, 2, 28),
    time(12, 30, 0, 7),
    datetime(2026, 2, 28, 12, 30, 0, 123456),  # noqa: DTZ001  # a time without a zone comes back without one
    datetime(2026, 2, 28, 12, 30, tzinfo=UTC),
    datetime(2026, 2, 28, 12, 30, tzinfo=NAMED),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    timedelta(days=-1, microseconds=1),
]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return type(other) is dict and all(map(same, one.items(), other.items())) and len(one) == len(other)
    if isinstance(one, set | frozenset):  # equal ones may list what is in them in another order
        return type(one) is type(other) and one == other and sorted(map(repr, one)) == sorted(map(repr, other))
    return type(one) is type(other) and (one == other) and repr(one) == repr(other)


@pytest.mark.requirement("IN-07")
def test_every_value_comes_back_as_it_went_in(site: Site) -> None:
    token = site.token(lambda: session.update({f"v{number}": value for number, value in enumerate(VALUES)}))
    back = site.ask(token, lambda: dict(session)).value

    assert [value for number, value in enumerate(VALUES) if not same(value, back[f"v{number}"])] == []
    nan = site.ask(site.token(put(v=math.nan), token=None), lambda: session["v"]).value
    assert math.isnan(nan)


def test_every_odd_key_comes_back_as_it_went_in(site: Site) -> None:
    keys: list[Any] = ["", "\0", "\0x", "\ud800", "é", 7, 2**70, None, b"x", (1, "a"), UUID(int=1), "_created"]
    token = site.token(lambda: session.update(dict.fromkeys(keys, "v")))

    assert site.ask(token, lambda: [(key, type(key)) for key in session]).value == [(key, type(key)) for key in keys]


class Custom:
    pass


@pytest.mark.requirement("IN-07")
@pytest.mark.parametrize(
    "value",
    [object(), Custom(), len, {"a": [Custom()]}, (Custom(),), 1j, (x for x in "ab"), open],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_cannot_be_kept_raises_in_that_request_and_leaves_what_was_there(
    make_site: Callable[..., Site], value: object
) -> None:
    site = make_site(PROPAGATE_EXCEPTIONS=True)
    token = site.token(both(login("alice"), put(v=1)))

    with pytest.raises(UnsupportedType, match=r"session\['bad'\] cannot be kept: object of type .*Nothing was saved"):
        site.ask(token, put(good=2, bad=value))

    assert site.seen(token) == Seen("alice", {"v": 1})


def test_a_list_that_holds_itself_is_refused(make_site: Callable[..., Site]) -> None:
    site = make_site(PROPAGATE_EXCEPTIONS=True)
    cycle: list[Any] = []
    cycle.append(cycle)

    with pytest.raises(UnsupportedType, match=r"session\['bad'\]"):
        site.ask(None, put(bad=cycle))


def test_a_lone_surrogate_from_a_form_or_from_json_is_kept(site: Site) -> None:
    for body in (
        {"data": b"k=%ED%A0%80&v=%ED%B0%80%FF", "content_type": "application/x-www-form-urlencoded"},
        {"data": b'{"k": "\\ud800", "v": "x\\udfff"}', "content_type": "application/json"},
    ):
        got: dict[str, str] = {}

        def keep(got: dict[str, str] = got) -> None:
            got.update(request.get_json(silent=True) or request.form)
            session[got["k"]] = got["v"]

        token = send(site, None, keep, **body).token

        assert site.seen(token) == Seen(None, {got["k"]: got["v"]})


def test_a_user_id_that_is_no_text_is_refused_in_that_request(make_site: Callable[..., Site]) -> None:
    """It ends in a hash, which takes UTF-8 only; and JSON can say ``"\\ud800"``."""
    site = make_site(PROPAGATE_EXCEPTIONS=True)
    token = site.token(both(login("alice"), put(v=1)))
    for wrong in ("\ud800", "a\udfff", ["bob"], {"id": "bob"}, True, 1.5, b"bob"):
        with pytest.raises(UnsupportedType, match=r"session\['_user_id'\] names the user"):
            site.ask(token, lambda wrong=wrong: session.update({"_user_id": wrong}))
        assert site.seen(token) == Seen("alice", {"v": 1})


def test_a_flash_of_markup_stays_markup(site: Site) -> None:
    token = site.token(lambda: flash(Markup("<b>bye</b>"), "info"))
    [(category, message)] = site.ask(token, lambda: get_flashed_messages(with_categories=True)).value

    assert (category, message, type(message)) == ("info", "<b>bye</b>", Markup)


@pytest.mark.requirement("IN-08")
def test_what_an_application_stores_reaches_nothing_of_what_we_know(site: Site) -> None:
    """IN-08: a JSON endpoint that passes everything on into the session."""
    site_wide = {
        "_created": 0,
        "_expires": 2**40,
        "_sid": "x",
        "created_at": 0,
        "expires_at": 2**40,
        "idle": 2**40,
        "absolute_at": 2**40,
        "login_at": 2**40,
        "user": "admin",
        "user_id": "admin",
        "_user": "admin",
        "lineage": "x",
        "kind": 1,
        "data_of": "admin",
        "_kept": 1,
        "_items": {},
        "__class__": "x",
        "\0gqR1c2Vyp2FkbWlu": 1,
    }

    def known() -> list[Any]:
        s: Any = session
        return [s.user_id, s.created_at, s.login_at, s.seen_at, s.expires_at, s.permanent, s.new]

    token = site.token(both(login("alice"), put(v=1)))
    before = site.ask(token, known).value
    answer = site.ask(token, lambda: session.update(site_wide))

    assert answer.says_nothing
    assert site.ask(token, known).value == before
    assert site.ask(token, lambda: dict(session)).value == {"v": 1, **site_wide}
    site.clock.tick(1799)
    assert site.seen(token).user == "alice"
    site.clock.tick(1800)
    assert site.dead(token)


# Neighbours.


@pytest.mark.requirement("ST-12")
def test_two_applications_on_one_store_and_one_secret_stay_apart(store: PausingStore, clock: FrozenClock) -> None:
    """ST-12."""
    shop, blog = (Site(store, clock, SESSIONKIT_APP_ID=name) for name in ("shop", "blog"))
    token = shop.token(both(login("alice"), put(v=1)))

    assert blog.seen(token) == NOBODY
    assert blog.outside(blog.kit.sessions_of, "alice") == []
    assert blog.outside(blog.kit.revoke_user, "alice") == 0
    [row] = shop.outside(shop.kit.sessions_of, "alice")
    assert blog.outside(blog.kit.revoke, row.handle, user_id="alice") == 0
    assert shop.seen(token) == Seen("alice", {"v": 1})


@pytest.mark.requirement("ST-12")
def test_a_record_moved_to_the_other_applications_key_is_no_session(store: PausingStore, clock: FrozenClock) -> None:
    shop, blog = (Site(store, clock, SESSIONKIT_APP_ID=name) for name in ("shop", "blog"))
    token = shop.token(login("alice"))
    record = store.inner.load(key_of(token, "shop"), now=clock.now())
    assert record is not None
    assert store.inner.create(changed(record, key=key_of(token, "blog"), version=os.urandom(8)))

    assert blog.seen(token) == NOBODY


@pytest.mark.parametrize(
    "handle", ["", "x", "A" * 43, "A" * 64, "é", "\ud800", "=" * 43, "../x", "A" * 10_000, quote("/")]
)
def test_a_handle_that_is_none_ends_nothing(site: Site, handle: str) -> None:
    token = site.token(login("alice"))

    assert site.outside(site.kit.revoke, handle) == 0
    assert site.seen(token) == Seen("alice", {})
