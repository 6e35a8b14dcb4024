"""The public names with their signatures, frozen: people outside have typed them.

A test that fails here prints what changed. A change on purpose is made in the list below and told in ``CHANGES.md``.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest
from blinker import NamedSignal
from flask.sessions import SessionMixin

import flask_sessionkit
import flask_sessionkit.compat.flask_session
import flask_sessionkit.devices
import flask_sessionkit.testing
from flask_sessionkit import Session, SessionKit
from flask_sessionkit.compat.flask_session.session import FormerSession
from flask_sessionkit.devices import DeviceList
from flask_sessionkit.testing import SessionKitClient

PACKAGE = """
ConfigError(SessionKitError, ClickException, ValueError)
Session(SessionMixin)
SessionClosed(SessionKitError, RuntimeError)
SessionConflict(SessionKitError, RuntimeError)
SessionInfo(object)
SessionKit(object)
SessionKitError(Exception)
SessionTooLarge(SessionKitError, ValueError)
StoreError(SessionKitError)
UnsupportedType(SessionKitError, TypeError)
current_user_id() -> str | None
fresh_login_required(max_age: Any = None) -> Any
login_required(view: View[P, R]) -> View[P, R | ResponseReturnValue]
login_user(user_id: str | int, *, remember: bool = False, stamp: str | None = None) -> None
login_view(view: View[P, R]) -> View[P, R]
logout_user(*, everywhere: bool = False) -> None
logout_view(view: View[P, R] | None = None, *, allow_get: bool = False) -> Any
next_url(default: str = '/') -> str
passive(view: View[P, R]) -> View[P, R]
session_conflict: signal
session_created: signal
session_ended: signal
session_refused: signal
session_regenerated: signal
store_failed: signal
"""

SESSION_KIT = """
__init__(self, app: Flask | None = None, *, store: Store | None = None, clock: Clock | None = None) -> None
check(self) -> list[Finding]
init_app(self, app: Flask, *, clock: Clock | None = None) -> None
is_fresh(self, max_age: float | None = None) -> bool
login_view -> str | None
purge(self, *, batch: int = 1000, on_batch: Callable[[int], Any] | None = None) -> int
revoke(self, handle: str | None, *, user_id: str | int | None = None, reason: str = 'revoked') -> int
revoke_others(self, user_id: str | int, *, reason: str = 'revoked') -> int
revoke_user(self, user_id: str | int, *, keep_current: bool = False, reason: str = 'revoked') -> int
sessions_of(self, user_id: str | int) -> list[SessionInfo]
store -> Store | None
user_stamp(self, fn: Stamp) -> Stamp
"""

SESSION = """
atomic(self, fn: Callable[[Session], T]) -> T
copy(self) -> dict[str, Any]
created_at -> float | None
ended_because -> str | None
expires_at -> float | None
invalidate(self) -> None
login_at -> float | None
regenerate(self) -> None
seen_at -> float | None
user_id -> str | None
"""

#: For the rooms above; no promise to anybody outside, and not in the documentation.
SESSION_WITHIN = {
    "changes",
    "draft",
    "end_at_close",
    "ends_because",
    "is_behind",
    "is_as_found",
    "is_opened",
    "is_to_end",
    "log_in",
    "login_view",
    "note_sending",
    "outlive_credentials",
    "rebase",
    "scratch",
    "shows_user",
    "visit",
}

DEVICES = """
DeviceList(object)
ListedDevice(object)
Moment(object)
device_list(blueprint: str | None = None) -> DeviceList
device_name(user_agent: str, *, blueprint: str | None = None) -> str
devices_blueprint(name: str = 'devices', *, url_prefix: str | None = '/devices', page: str | None = None, texts: Mapping[str, object] | None = None) -> Blueprint
"""  # noqa: E501  # a signature is one line

DEVICE_LIST = """
may_be_more -> bool
others -> list[ListedDevice]
say(self, name: str, **values: object) -> Markup
shows_others -> bool
"""

TESTING = """
Crash(BaseException)
FrozenClock(object)
Pause(object)
PausingStore(StoreAround)
Running(Generic)
SessionKitClient(FlaskClient)
StoreContract(RecordPromises, ListPromises, CrowdPromises)
Trips(object)
client_of(app: Flask, *, user_agent: str | None = None, address: str | None = None, by_header: bool = False) -> SessionKitClient
in_thread(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Running[_T]
pausing(app: Flask) -> Iterator[PausingStore]
race(*calls: Callable[[int], _T], rounds: int = 1, before: Callable[[int], object] | None = None) -> list[list[_T]]
round_trips(app: Flask, *, max: int | None = None) -> Iterator[Trips]
time_travel(app: Flask) -> Iterator[FrozenClock]
two_devices(app: Flask, user_id: str | int) -> tuple[SessionKitClient, SessionKitClient]
"""  # noqa: E501  # a signature is one line

FLASK_SESSION = """
Session(SessionKit)
"""

FORMER_KIT = """
check(self) -> list[Finding]
init_app(self, app: Flask, *, clock: Clock | None = None) -> None
"""

FORMER_SESSION = """
atomic(self, fn: Callable[[Session], T]) -> T
clear(self) -> None
draft(self, *, failed: bool = False) -> Draft
is_permanent: bool
permanent -> bool
regenerate(self) -> None
sid -> str
"""

CLIENT = """
__init__(self, *args: Any, user_agent: str | None = None, address: str | None = None, by_header: bool = False, **kwargs: Any) -> None
login(self, user_id: str | int, *, remember: bool = False) -> None
logout(self, *, everywhere: bool = False) -> None
open(self, *args: Any, **kwargs: Any) -> TestResponse
session_transaction(self, *args: Any, **kwargs: Any) -> Iterator[Session]
tab(self) -> Self
token -> str | None
"""  # noqa: E501  # a signature is one line


def described(name: str, value: object) -> str:
    if isinstance(value, property):
        return f"{name} -> {inspect.signature(value.fget).return_annotation}"  # type: ignore[arg-type]
    if isinstance(value, FunctionType):
        return name + signature_of(value)
    if isinstance(value, type):
        return f"{name}({', '.join(base.__name__ for base in value.__bases__)})"
    return f"{name}: signal" if isinstance(value, NamedSignal) else f"{name}: {type(value).__name__}"


def signature_of(function: FunctionType) -> str:
    """A signature as it stands in the source, whose annotations are texts."""
    signature = inspect.signature(function)
    listed: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(text.startswith("*") for text in listed):
            listed.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        annotation = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        listed.append(f"{stars}{name}{annotation}{default}")
    return f"({', '.join(listed)}) -> {signature.return_annotation}"


def public(owner: object) -> Iterator[tuple[str, object]]:
    for name, value in sorted(vars(owner).items()):
        if (not name.startswith("_") or name == "__init__") and not isinstance(value, ModuleType):
            yield name, value


def assert_same(found: list[str], frozen: str) -> None:
    wanted = frozen.strip().splitlines()
    changed = [line for line in difflib.ndiff(wanted, found) if line[0] in "+-"]
    assert not changed, "The public surface changed:\n" + "\n".join(changed)


def test_the_package() -> None:
    assert_same([described(*one) for one in public(flask_sessionkit)], PACKAGE)


def test_session_kit() -> None:
    assert_same([described(*one) for one in public(SessionKit)], SESSION_KIT)


def test_session_beyond_a_mapping() -> None:
    known = {*dir(SessionMixin), "__init__"} - {"copy"}
    names = dict(public(Session)).keys() - known

    assert_same([described(*one) for one in public(Session) if one[0] in names - SESSION_WITHIN], SESSION)
    assert names >= SESSION_WITHIN


def test_the_page_of_devices() -> None:
    assert_same([described(*one) for one in public(flask_sessionkit.devices)], DEVICES)
    members = [described(*one) for one in public(DeviceList) if one[0] not in ("__init__", "rows", "proof")]
    assert_same(members, DEVICE_LIST)


def test_the_tools_for_tests() -> None:
    assert_same([described(*one) for one in public(flask_sessionkit.testing) if one[0] != "sys"], TESTING)


def test_what_takes_the_place_of_flask_session() -> None:
    assert_same([described(*one) for one in public(flask_sessionkit.compat.flask_session)], FLASK_SESSION)
    assert_same([described(*one) for one in public(flask_sessionkit.compat.flask_session.Session)], FORMER_KIT)
    assert_same([described(*one) for one in public(FormerSession)], FORMER_SESSION)


def test_the_client_for_tests() -> None:
    assert_same([described(*one) for one in public(SessionKitClient)], CLIENT)


def test_nothing_but_these_names_is_in_the_package() -> None:
    """``__init__.py`` holds re-exports in the form that type checkers honour, their names, and nothing else."""
    lines = inspect.getsource(flask_sessionkit).partition("\n\n# For a star")[0].splitlines()[2:]
    matches = [re.fullmatch(r"from \.(\w+) import (\w+) as \2", line) for line in lines]

    assert [line for line, match in zip(lines, matches, strict=True) if match is None] == []
    assert flask_sessionkit.__all__ == sorted(match[2] for match in matches if match)


def documented() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    owners = (
        flask_sessionkit,
        flask_sessionkit.compat.flask_session,
        flask_sessionkit.devices,
        flask_sessionkit.testing,
    )
    for owner in owners:
        for name, value in public(owner):
            if isinstance(value, type | FunctionType):
                found.append((f"{owner.__name__}.{name}", value))
            if isinstance(value, type) and value.__module__.startswith("flask_sessionkit"):
                found += [
                    (f"{owner.__name__}.{name}.{member}", inner)
                    for member, inner in public(value)
                    if isinstance(inner, FunctionType | property) and member != "__init__"
                ]
    return [(name, value) for name, value in found if ".test_" not in name and not name.endswith("Contract")]


@pytest.mark.parametrize(("name", "value"), documented(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence(name: str, value: Any) -> None:
    """Dataclasses without one get their signature as docstring, which is no sentence."""
    document = value.__doc__ or ""
    first, _, rest = document.partition("\n")

    assert re.fullmatch(r"[A-Z`].*[.:]", first), first
    assert not rest or rest.startswith("\n"), "An empty line comes after the first one."
    assert len(first) < 120
