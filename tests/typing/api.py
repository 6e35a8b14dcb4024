"""Public signatures in use. Nothing runs this; ``mypy --strict`` and ``pyright`` read it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, assert_type

from flask import Blueprint, Flask
from flask import session as proxy
from flask.typing import ResponseReturnValue

from flask_sessionkit import (
    ConfigError,
    Session,
    SessionClosed,
    SessionConflict,
    SessionInfo,
    SessionKit,
    SessionKitError,
    SessionTooLarge,
    StoreError,
    UnsupportedType,
    current_user_id,
    fresh_login_required,
    login_required,
    login_user,
    login_view,
    logout_user,
    logout_view,
    next_url,
    passive,
    session_conflict,
    session_created,
    session_ended,
    session_refused,
    session_regenerated,
    store_failed,
)
from flask_sessionkit.compat.flask_session import Session as FlaskSession
from flask_sessionkit.devices import DeviceList, ListedDevice, Moment, device_list, device_name, devices_blueprint
from flask_sessionkit.record import Purged, Record, Version, Write
from flask_sessionkit.stores.base import Capability, Judgement, Judges, Mark, Scans, Store, judged_clock
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.migrating import Copied, MigratingStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore, session_table
from flask_sessionkit.testing import (
    FrozenClock,
    PausingStore,
    Running,
    SessionKitClient,
    StoreContract,
    Trips,
    client_of,
    in_thread,
    pausing,
    race,
    round_trips,
    time_travel,
    two_devices,
)

app = Flask(__name__)

# The extension.

kit = SessionKit()
kit.init_app(app)
assert_type(SessionKit(app, store=MemoryStore(), clock=FrozenClock()), SessionKit)


@kit.user_stamp
def stamp(user_id: str) -> str | None:
    return user_id or None


assert_type(stamp("1"), "str | None")
assert_type(kit.sessions_of("1"), list[SessionInfo])
assert_type(kit.sessions_of(1)[0].login_at, "float | None")
assert_type(kit.revoke("handle", user_id=1), int)
assert_type(kit.revoke(None, user_id=1), int)
assert_type(kit.revoke_user("1", keep_current=True, reason="stamp"), int)
assert_type(kit.revoke_others("1", reason="stamp"), int)
assert_type(kit.purge(batch=10, on_batch=print), int)
assert_type(kit.store, Store | None)
assert_type(kit.is_fresh(60), bool)

# Views keep their parameters and, but where somebody may be sent away, what they return.


@login_view
def sign_in(name: str, *, remember: bool = False) -> str:
    login_user(name, remember=remember, stamp="x")
    login_user(7)
    return next_url(default="/")


assert_type(sign_in("a", remember=True), str)


@logout_view
def sign_out(place: int) -> str:
    logout_user(everywhere=True)
    logout_user()
    return str(place)


assert_type(sign_out(1), str)


@logout_view(allow_get=True)
def leave() -> dict[str, int]:
    return {}


assert_type(leave(), dict[str, int])


@login_required
def page(number: int) -> str:
    assert_type(current_user_id(), "str | None")
    return str(number)


assert_type(page(1), "str | ResponseReturnValue")


@fresh_login_required
def sudo(number: int) -> str:
    return str(number)


@fresh_login_required(timedelta(minutes=5))
def sudo_soon(number: int) -> str:
    return str(number)


@fresh_login_required(max_age=60)
def sudo_at_once(number: int) -> str:
    return str(number)


@fresh_login_required()
def sudo_by_default(number: int) -> str:
    return str(number)


for view in (sudo, sudo_soon, sudo_at_once, sudo_by_default):
    assert_type(view(1), "str | ResponseReturnValue")


@passive
def poll(since: float) -> list[str]:
    return [str(since)]


assert_type(poll(1.0), list[str])
app.add_url_rule("/poll", view_func=poll)
app.add_url_rule("/page/<int:number>", view_func=page)
app.add_url_rule("/sudo/<int:number>", view_func=sudo)

page("wrong")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
sudo("wrong")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
login_user(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
login_user(b"1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# The session.


def look(session: Session) -> None:
    assert_type(session["key"], Any)
    assert_type(session.get("key"), "Any | None")
    assert_type(session.user_id, "str | None")
    assert_type(session.new, bool)
    assert_type(session.modified, bool)
    assert_type(session.permanent, bool)
    assert_type(session.created_at, "float | None")
    assert_type(session.login_at, "float | None")
    assert_type(session.seen_at, "float | None")
    assert_type(session.expires_at, "float | None")
    assert_type(session.ended_because, "str | None")
    assert_type(session.copy(), dict[str, Any])
    assert_type(session | {"a": 1}, dict[str, Any])
    session |= {"a": 1}
    session.modified = True
    session.permanent = True
    session.regenerate()
    session.invalidate()
    del session["key"]


def add(session: Session) -> int:
    session["count"] = session.get("count", 0) + 1
    return int(session["count"])


def count(session: Session) -> None:
    assert_type(session.atomic(add), int)
    assert_type(session.atomic(lambda current: current.pop("x")), Any)


assert isinstance(proxy, Session)
look(proxy)

# Errors and signals.

errors: list[type[SessionKitError]] = [
    ConfigError,
    SessionClosed,
    SessionConflict,
    SessionTooLarge,
    StoreError,
    UnsupportedType,
]
a_value_error: ValueError = ConfigError("x")
a_type_error: TypeError = UnsupportedType("x")


@session_ended.connect
def tell(sender: Flask, *, reason: str, user_id: str | None, **extra: object) -> None:
    print(sender, reason, user_id, extra)  # noqa: T201  # nothing runs this


signals = [session_conflict, session_created, session_refused, session_regenerated, store_failed]

# The page of devices.

assert_type(devices_blueprint(), Blueprint)
assert_type(device_name("curl/8.5.0"), str)
app.register_blueprint(devices_blueprint("sessions", url_prefix="/sessions", page="account", texts={"title": "Geräte"}))
assert_type(device_list(), DeviceList)
for row in device_list("sessions"):
    assert_type(row, ListedDevice)
    assert_type(row.seen, Moment)

# Stores, ours and others'.

stores: list[Store] = [
    MemoryStore(max_records=10),
    FileStore.__new__(FileStore),
    SQLAlchemyStore("sqlite:///x.db", table="t", schema=None, timeout=1.0),
    PausingStore(MemoryStore()),
    MigratingStore(MemoryStore(), FileStore.__new__(FileStore)),
]
for each in MigratingStore(MemoryStore(), MemoryStore()).copy(FrozenClock()):
    assert_type(each, Copied)


class OwnStore:
    """Nobody has to inherit."""

    capabilities = Capability.INDEX | Capability.PURGE

    def load(self, key: str, *, now: float, touch_every: float | None = None) -> Record | None:
        return None

    def create(self, record: Record) -> bool:
        return True

    def replace(self, record: Record, *, expected: Version | None, now: float) -> Write:
        raise StoreError("x")

    def delete(self, key: str) -> bool:
        return False

    def list_owner(self, owner: str, *, now: float, limit: int = 100, after: str | None = None) -> list[Record]:
        return []

    def purge(self, *, now: float, limit: int = 1000) -> Purged:
        return Purged(0, more=False)


class AbleStore(OwnStore):
    """Two more powers."""

    def scan(self) -> Iterator[Record]:
        yield from ()

    def judge(self, *, now: float, largest: int) -> list[Judgement]:
        return [(Mark.NOTE, f"Up to {largest} bytes."), judged_clock(now, now)]


own: Store = OwnStore()
walked: Scans = AbleStore()
judged: Judges = AbleStore()
walked = MemoryStore()
walked = SQLAlchemyStore("sqlite:///x.db")
judged = FileStore.__new__(FileStore)
SessionKit(app, store=OwnStore())


class TestOwnStore(StoreContract):
    def make_store(self) -> Store:
        return OwnStore()


def migrations(metadata: Any) -> str:
    return session_table(metadata, name="sessions", schema="web").name


# Tools for tests.

clock = FrozenClock(start=0.0)
clock.tick(60)
clock.tick(timedelta(hours=1), minutes=30, hours=1.5, days=1)
assert_type(clock.now(), float)
assert_type(in_thread(max, 1, 2), Running[int])
assert_type(in_thread(page, 1).result(), "str | ResponseReturnValue")
assert_type(race(lambda number: number, rounds=3), list[list[int]])
store = PausingStore(MemoryStore())
with store.pause_before("load"):
    pass
store.fail("create", nth=2, before=False)
store.fail("commit")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
assert_type(store.counts["load"], int)
app.test_client_class = SessionKitClient
client = client_of(app, user_agent="Firefox", address="192.0.2.1", by_header=True)
client.login("ann", remember=True)
client.login(7)
client.logout(everywhere=True)
assert_type(client.token, "str | None")
assert_type(client.tab(), SessionKitClient)
with client.session_transaction("/", headers={"X-A": "b"}) as data:
    assert_type(data, Session)
assert_type(two_devices(app, 7), tuple[SessionKitClient, SessionKitClient])
with time_travel(app) as own_clock:
    assert_type(own_clock, FrozenClock)
with round_trips(app, max=1) as trips:
    assert_type(trips, Trips)
assert_type(trips.calls, list[str])
assert_type(trips.count, int)
with pausing(app) as paused:
    assert_type(paused, PausingStore)
response: ResponseReturnValue = page(1)

moved = FlaskSession(app)
moved.init_app(app)
assert_type(moved.revoke_user(7), int)
