"""A server that is down, silent, slow, or gone in the middle of an answer: a 503 in time, and nothing untrue."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import session
from flask_login import LoginManager, UserMixin, current_user
from flow_site import Answer, Seen, Site, View, both, bump, login, logout, look, pausing, put, renew, still
from flow_stores import open_store
from servers import Proxy

from flask_sessionkit import StoreError, logout_user
from flask_sessionkit.testing import FrozenClock, PausingStore
from flask_sessionkit.tokens import new_token

#: Seconds within which a request is answered whose store does not: issue 3 of this project.
SOON = 1.5
#: The same where PostgreSQL accepts no connection: libpq waits 2 s at least (its manual, connect_timeout).
SOON_ENOUGH = 2.5

Fault = Callable[[Proxy], None]


def down(wire: Proxy) -> None:
    wire.mode = "refuse"


def silent(wire: Proxy) -> None:
    wire.mode = "silent"


def slow(wire: Proxy) -> None:
    wire.delay = 5.0


def cut(wire: Proxy) -> None:
    wire.cut_after = 3


def mended(wire: Proxy) -> None:
    wire.mode, wire.delay, wire.cut_after = "pass", 0.0, None


FAULTS = [down, silent, slow]


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def unavailable(site: Site, token: str | None, view: View, **how: Any) -> Answer:
    with answered_within(SOON):
        answer = site.ask(token, view, status=503, **how)
    assert answer.says_nothing
    assert answer.response.headers["Retry-After"]
    return answer


@pytest.mark.requirement("ST-09")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_view_that_does_not_look_answers_as_ever(site: Site, wire: Proxy, fault: Fault) -> None:
    """ST-09."""
    token = site.token(both(login("ann"), put(v=1)))
    fault(wire)

    answer = site.ask(token, still)

    assert answer.value == "still"
    assert pausing(site).counts["load"] == 1  # the fixture's own


@pytest.mark.requirement("FX-05", "ST-09")
@pytest.mark.parametrize("view", [look, put(w=1), logout, login("bob"), renew, bump()])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_view_that_looks_gets_a_503_in_time(site: Site, wire: Proxy, fault: Fault, view: View) -> None:
    """ST-09, FX-05."""
    token = site.token(both(login("ann"), put(v=1)))
    store = pausing(site)
    store.reset()
    fault(wire)

    with site.events() as heard:
        unavailable(site, token, view)

    assert store.counts == {"load": 1}
    assert [name for name, _ in heard] == ["store_failed"]
    mended(wire)
    assert site.seen(token) == Seen("ann", {"v": 1})


@pytest.mark.parametrize("fault", FAULTS)
def test_who_comes_without_a_cookie_is_not_signed_in(site: Site, wire: Proxy, fault: Fault) -> None:
    fault(wire)

    unavailable(site, None, login("bob"))

    mended(wire)
    assert len(site.outside(site.kit.sessions_of, "bob")) <= 1  # one whose answer was lost opens for nobody
    assert all(seen.user != "bob" for seen in site.served())


def test_a_server_that_goes_between_the_load_and_the_save_changes_nothing(site: Site, wire: Proxy) -> None:
    token = site.token(both(login("ann"), put(v=1)))

    def view() -> None:
        session["v"] = 2
        down(wire)

    unavailable(site, token, view)

    mended(wire)
    assert site.seen(token) == Seen("ann", {"v": 1})


def test_a_save_whose_answer_is_cut_off_is_told_as_what_it_is(site: Site, wire: Proxy) -> None:
    """Repeated under the same version it is known again: one effect, and either way no answer that is not true."""
    token = site.token(both(login("ann"), put(v=1)))

    def view() -> None:
        session["v"] = 2
        cut(wire)

    answer = site.ask(token, view, status=(200, 503))

    mended(wire)
    assert site.seen(token).data in ([{"v": 2}] if answer.status == 200 else [{"v": 1}, {"v": 2}])


@pytest.mark.parametrize("view", [look, put(w=1)])
def test_an_answer_that_is_cut_off_is_asked_for_again(site: Site, wire: Proxy, view: View) -> None:
    token = site.token(both(login("ann"), put(v=1)))
    cut(wire)

    with answered_within(SOON):
        site.ask(token, view)

    assert site.seen(token).user == "ann"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_never_answered_is_no_anonymous_session(site: Site, wire: Proxy, fault: Fault) -> None:
    """A view that catches the error reads nothing, writes nothing, and sends no cookie."""
    token = site.token(both(login("ann"), put(v=1)))
    seen: list[Any] = []

    def view() -> str:
        with pytest.raises(StoreError):
            session.get("v")
        seen.append((dict(session), session.user_id))
        session["v"] = 2
        return "went on"

    fault(wire)
    with answered_within(SOON):
        answer = site.ask(token, view)

    assert seen == [({}, None)]
    assert answer.says_nothing
    mended(wire)
    assert site.seen(token) == Seen("ann", {"v": 1})


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_page_that_reads_the_session_costs_no_second_wait(
    site: Site, store: PausingStore, wire: Proxy, fault: Fault
) -> None:
    def page(error: Exception) -> tuple[str, int]:
        return f"sorry, {session.get('name', 'guest')}", 503

    site = Site(store, FrozenClock())
    site.app.register_error_handler(503, page)
    token = site.token(both(login("ann"), put(name="ann")))
    store.reset()
    fault(wire)

    answer = unavailable(site, token, look)

    assert answer.response.text == "sorry, guest"
    assert store.counts == {"load": 1}


@pytest.mark.parametrize("fault", FAULTS)
def test_flask_login_gets_a_503_as_well(store: PausingStore, site: Site, wire: Proxy, fault: Fault) -> None:
    """It looks at the session before the view, in its user loader, and after it, for its remember cookie."""

    class User(UserMixin):
        id = "ann"

    site = Site(store, FrozenClock())
    LoginManager(site.app).user_loader(lambda user_id: User())
    token = site.token(both(login("ann"), put(_user_id="ann", _fresh=True)))
    store.reset()
    fault(wire)

    unavailable(site, token, lambda: str(current_user.get_id()))

    assert store.counts == {"load": 1}
    mended(wire)
    assert site.ask(token, lambda: str(current_user.get_id())).value == "ann"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_and_a_revocation_raise_in_time(kind: str, site: Site, wire: Proxy, fault: Fault) -> None:
    site.kit.user_stamp(lambda user: "as ever")
    token = site.token(login("ann"))
    fault(wire)

    for call in (site.kit.sessions_of, site.kit.revoke_user):
        with answered_within(SOON), pytest.raises(StoreError):
            site.outside(call, "ann")

    mended(wire)
    assert site.seen(token).user == "ann"


def test_a_logout_everywhere_that_fails_says_so(site: Site, wire: Proxy) -> None:
    site.kit.user_stamp(lambda user: "as ever")
    token, other = site.token(login("ann")), site.token(login("ann"))

    def view() -> None:
        look()
        down(wire)
        logout_user(everywhere=True)

    unavailable(site, token, view)

    mended(wire)
    assert site.seen(other).user == "ann"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_next_request_works_when_the_server_is_back(site: Site, wire: Proxy, fault: Fault) -> None:
    """With no restart, and with every connection of before."""
    token = site.token(both(login("ann"), put(v=1)))
    fault(wire)
    unavailable(site, token, look)
    mended(wire)

    assert [site.seen(token) for _ in range(3)] == [Seen("ann", {"v": 1})] * 3
    site.ask(token, put(v=2))
    assert site.seen(token) == Seen("ann", {"v": 2})


def test_a_store_that_starts_before_its_server_works_when_that_is_there(kind: str, folder: Path, wire: Proxy) -> None:
    down(wire)
    site = Site(PausingStore(open_store(kind, folder, timeout=0.5)), FrozenClock())
    unavailable(site, None, put(v=1))
    mended(wire)

    assert site.seen(site.token(put(v=1))).data == {"v": 1}


def test_a_server_whose_queue_is_full_is_given_up_in_time(kind: str, folder: Path, wire: Proxy) -> None:
    """It does not even accept: the handshake of TCP is never finished."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            caller = stack.enter_context(closing(socket.socket()))
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        url = (folder / "url").read_text()
        (folder / "url").write_text(url.replace(f":{wire.port}", f":{full.getsockname()[1]}"))
        site = Site(PausingStore(open_store(kind, folder, timeout=0.5)), FrozenClock())

        with answered_within(SOON_ENOUGH if kind == "postgresql" else SOON):
            site.ask(new_token(), look, status=503)
