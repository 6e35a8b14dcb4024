"""A store that cannot answer: a 503 without a cookie, asked once, and no answer that is not true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Response, redirect, session
from flow_site import NOBODY, Seen, Site, View, both, bump, identify, login, logout, look, pausing, put, renew, still

from flask_sessionkit import StoreError, logout_user, logout_view
from flask_sessionkit.testing import PausingStore

CALLS = ("load", "create", "replace", "delete", "list_owner", "purge")


class Outage:
    """A store that can be switched off; it counts what it is asked meanwhile."""

    def __init__(self, inner: PausingStore) -> None:
        self.inner = inner
        self.is_down = False
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in CALLS:
            return getattr(self.inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.asked.append(name)
            if self.is_down:
                raise StoreError("The store is down, as the test wanted.")
            return getattr(self.inner, name)(*args, **kwargs)

        return call


@pytest.fixture(params=[True, False], ids=["testing", "production"])
def outage(request: pytest.FixtureRequest, make_site: Callable[..., Site], store: PausingStore) -> Site:
    config: dict[str, Any] = {"SESSIONKIT_ALLOW_WEAK_SECRET": True, "SESSIONKIT_SECURE_COOKIE": False}
    return make_site(store=Outage(store), TESTING=request.param, PROPAGATE_EXCEPTIONS=None, **config)


def switch(site: Site, *, off: bool) -> Outage:
    assert isinstance(site.store, Outage)
    site.store.is_down = off
    site.store.asked.clear()
    return site.store


def assert_unavailable(site: Site, token: str | None, view: View, **how: Any) -> Any:
    answer = site.ask(token, view, status=503, **how)

    assert answer.says_nothing
    assert answer.response.headers["Retry-After"] == "5"
    return answer


@pytest.mark.requirement("ST-09")
@pytest.mark.parametrize("view", [look, put(a=1), logout, login("bob"), renew, bump(), logout_view(lambda: None)])
def test_a_view_that_looks_is_answered_with_503(outage: Site, view: View) -> None:
    """ST-09."""
    token = outage.token(login("ann"))
    store = switch(outage, off=True)

    assert_unavailable(outage, token, view)

    assert store.asked == ["load"]
    switch(outage, off=False)
    assert outage.seen(token) == Seen("ann", {})


@pytest.mark.requirement("CA-04", "ST-09")
def test_a_view_that_does_not_look_answers_as_ever(outage: Site) -> None:
    """ST-09, CA-04."""
    token = outage.token(login("ann"))
    store = switch(outage, off=True)

    answer = outage.ask(token, still)

    assert answer.value == "still"
    assert answer.says_nothing
    assert "Vary" not in answer.response.headers
    assert store.asked == []


def test_without_a_cookie_a_reader_needs_no_store(outage: Site) -> None:
    store = switch(outage, off=True)

    assert outage.ask(None, look).value == NOBODY
    assert store.asked == []


def test_the_view_gets_a_store_error_once(outage: Site) -> None:
    token = outage.token(put(cart=1))
    store = switch(outage, off=True)

    def view() -> str:
        with pytest.raises(StoreError):
            session.get("cart")
        assert dict(session) == {}
        assert session.user_id is None
        session["cart"] = 2
        return "went on"

    assert outage.ask(token, view).value == "went on"
    assert store.asked == ["load"]


def test_a_view_that_catches_it_keeps_its_answer(outage: Site) -> None:
    token = outage.token(put(cart=1))
    switch(outage, off=True)

    def view() -> Response:
        with pytest.raises(StoreError):
            look()
        return Response("the shop without your cart", status=200)

    answer = outage.ask(token, view)

    assert answer.response.text == "the shop without your cart"
    assert answer.says_nothing


def test_what_is_written_after_the_failure_is_dropped(outage: Site) -> None:
    """Never "anonymous but writable": the session that could not be read is what it was."""
    token = outage.token(both(login("ann"), put(cart=1)))
    store = switch(outage, off=True)

    def view() -> None:
        with pytest.raises(StoreError):
            look()
        switch(outage, off=False)
        session["cart"] = 2

    assert outage.ask(token, view).says_nothing
    assert store.asked == []
    assert outage.seen(token) == Seen("ann", {"cart": 1})


@pytest.mark.parametrize("end", [logout, lambda: session.clear(), logout_view(lambda: None)])
def test_a_logout_that_could_not_happen_is_not_answered_as_if_it_had(outage: Site, end: View) -> None:
    """ASVS 16.5.3: fail closed; the view caught the failure, but "good bye" would not be true."""
    token = outage.token(login("ann"))
    switch(outage, off=True)

    def view() -> Response:
        with pytest.raises(StoreError):
            look()
        end()
        return Response("good bye")

    answer = assert_unavailable(outage, token, view)

    assert "good bye" not in answer.response.text
    switch(outage, off=False)
    assert outage.seen(token).user == "ann"


def test_an_atomic_change_after_the_failure_raises_it_again(outage: Site) -> None:
    token = outage.token(put(n=1))
    store = switch(outage, off=True)

    def view() -> str:
        with pytest.raises(StoreError):
            look()
        with pytest.raises(StoreError):
            bump()()
        return "told"

    assert outage.ask(token, view).value == "told"
    assert store.asked == ["load"]


def test_an_error_page_may_read_the_session(outage: Site) -> None:
    @outage.app.errorhandler(503)
    def page(error: Exception) -> tuple[str, int]:
        return f"we are sorry, {session.get('name', 'stranger')}", 503

    token = outage.token(login("ann"))
    store = switch(outage, off=True)

    answer = assert_unavailable(outage, token, look)

    assert answer.response.status_code == 503
    assert store.asked == ["load"]


def test_an_error_page_of_the_application_is_shown(outage: Site) -> None:
    @outage.app.errorhandler(StoreError)
    def page(error: StoreError) -> tuple[str, int]:
        return f"we are sorry, {session.get('name', 'stranger')}", 418

    token = outage.token(login("ann"))
    switch(outage, off=True)

    answer = outage.ask(token, look, status=418)

    assert answer.response.text == "we are sorry, stranger"
    assert answer.says_nothing


def test_a_failing_save_turns_the_answer_into_503(outage: Site) -> None:
    token = outage.token(put(cart=1))

    def view() -> str:
        session["cart"] = 2
        switch(outage, off=True)
        return "saved"

    answer = assert_unavailable(outage, token, view)

    assert "saved" not in answer.response.text
    assert answer.response.headers["Cache-Control"] == "no-store"
    switch(outage, off=False)
    assert outage.seen(token) == Seen(None, {"cart": 1})


@pytest.mark.requirement("ST-10")
def test_a_failing_save_stops_a_redirect(outage: Site) -> None:
    """ST-10: a login that failed must not lead to the page behind it."""

    def view() -> Any:
        login("ann")()
        switch(outage, off=True)
        return redirect("/account")

    answer = assert_unavailable(outage, None, view)

    assert "Location" not in answer.response.headers
    assert "/account" not in answer.response.text
    switch(outage, off=False)
    assert outage.served() == []


def test_a_failing_save_stops_a_download(outage: Site) -> None:
    def view() -> Response:
        session["n"] = 1
        switch(outage, off=True)
        headers = {"Content-Disposition": "attachment", "ETag": '"1"', "Content-Encoding": "gzip"}
        return Response(iter([b"one", b"two"]), headers=headers)

    answer = assert_unavailable(outage, None, view)

    assert not {"Content-Disposition", "ETag", "Content-Encoding"} & {*answer.response.headers.keys()}
    assert int(answer.response.headers["Content-Length"]) == len(answer.response.data)


@pytest.mark.parametrize("when", ["at the load", "at the save"])
def test_store_failed_is_sent_once(outage: Site, when: str) -> None:
    token = outage.token(put(cart=1))

    def view() -> None:
        if when == "at the load":
            switch(outage, off=True)
        session["cart"] = 2
        switch(outage, off=True)

    with outage.events() as heard:
        assert_unavailable(outage, token, view)

    assert [name for name, _ in heard] == ["store_failed"]
    assert isinstance(heard[0][1]["error"], StoreError)


def test_an_after_request_that_looks_gets_503_too(outage: Site) -> None:
    """Flask-Login's does, on every response. In testing Flask lets an error there through, as any other."""

    @outage.app.after_request
    def remember(response: Response) -> Response:
        session.get("_remember")
        return response

    token = outage.token(login("ann"))
    store = switch(outage, off=True)

    if outage.app.testing:
        with pytest.raises(StoreError):
            outage.ask(token, still)
    else:
        assert_unavailable(outage, token, still)
    assert store.asked == ["load"]


def test_an_after_request_that_looks_again_changes_nothing(outage: Site) -> None:
    @outage.app.after_request
    def remember(response: Response) -> Response:
        session.get("_remember")
        return response

    token = outage.token(login("ann"))
    store = switch(outage, off=True)

    assert_unavailable(outage, token, look)

    assert store.asked == ["load"]


@pytest.mark.requirement("FX-05", "ST-10")
@pytest.mark.parametrize("before", [True, False], ids=["not carried out", "answer lost"])
@pytest.mark.parametrize("call", ["load", "create", "replace"])
@pytest.mark.parametrize("enter", [login("ann"), identify("ann")], ids=["login_user", "identity_key"])
def test_a_login_whose_store_fails_is_no_login(site: Site, enter: View, call: Any, before: bool) -> None:
    """FX-05, ST-10: whichever write fails, neither cookie is authenticated, and the new one is not sent."""
    old = site.token(put(cart=1))
    pausing(site).fail(call, before=before)

    answer = site.ask(old, enter, status=503)

    assert answer.says_nothing
    assert [seen.user for seen in site.served()] in ([], [None])
    assert all(contents.user is None for contents in site.live_records()) or (call, before) == ("create", False)


@pytest.mark.requirement("FX-05")
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_login_that_merges_and_then_fails_is_no_login(site: Site, nth: int) -> None:
    """FX-05: the swap conflicts, the new record is written again, and the swap is repeated; each may fail."""
    old = site.token(put(cart=1))

    def view() -> None:
        look()
        login("ann")()
        site.ask(old, put(more=2))
        pausing(site).fail("replace", nth=nth)

    assert site.ask(old, view, status=503).says_nothing
    assert site.served() == [Seen(None, {"cart": 1, "more": 2})]
    assert len(site.live_records()) == 1


def test_a_login_whose_cleaning_up_fails_too_is_no_login(site: Site) -> None:
    old = site.token(put(cart=1))
    pausing(site).fail("replace")
    pausing(site).fail("delete")

    assert site.ask(old, login("ann"), status=503).says_nothing
    assert site.served() == [Seen(None, {"cart": 1})]


def test_a_view_that_lists_the_sessions_is_answered_with_503(outage: Site) -> None:
    token = outage.token(login("ann"))

    def view() -> None:
        look()
        switch(outage, off=True)
        outage.kit.sessions_of("ann")

    assert_unavailable(outage, token, view)


def test_a_logout_everywhere_that_fails_says_so(outage: Site) -> None:
    token, other = outage.token(login("ann")), outage.token(login("ann"))

    def view() -> None:
        look()
        switch(outage, off=True)
        logout_user(everywhere=True)

    outage.ask(token, view, status=503)

    switch(outage, off=False)
    assert outage.seen(other).user == "ann"


def test_a_revocation_outside_of_a_request_raises(outage: Site) -> None:
    outage.token(login("ann"))
    switch(outage, off=True)

    with pytest.raises(StoreError):
        outage.outside(outage.kit.revoke_user, "ann")


# The application's own page.


def test_a_page_of_the_applications_own_is_shown_where_the_save_fails(outage: Site) -> None:
    outage.app.register_error_handler(503, lambda error: ("we will be back", 503, {"Content-Type": "text/plain"}))

    def view() -> str:
        look()
        switch(outage, off=True)
        session["a"] = 1
        return "saved"

    answer = outage.ask(None, view, status=503)

    assert answer.response.text == "we will be back"
    assert answer.response.content_type == "text/plain"
    assert answer.response.headers["Retry-After"] == "5"


@pytest.mark.parametrize("page", [lambda error: "back soon", lambda error: 1 / 0], ids=["says 200", "fails"])
def test_a_page_that_is_none_answers_503_all_the_same(outage: Site, page: Any) -> None:
    outage.app.register_error_handler(503, page)

    def view() -> None:
        switch(outage, off=True)
        session["a"] = 1

    assert outage.ask(None, view, status=503).says_nothing


def test_a_page_that_reads_the_session_asks_a_store_that_failed_at_the_save_no_second_time(outage: Site) -> None:
    outage.app.register_error_handler(503, lambda error: (f"sorry, {session.get('name', 'guest')}", 503))

    def view() -> None:
        switch(outage, off=True)
        session["a"] = 1

    answer = outage.ask(None, view, status=503)

    assert answer.response.text == "sorry, guest"
    assert outage.store.asked == ["create"]  # type: ignore[attr-defined]  # it is an outage
