"""Responses that are sent piece by piece: the session is closed before the first one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response, send_file, session, stream_with_context
from flow_site import NOBODY, Seen, Site, View, both, bump, login, logout, look, put, renew, wipe

from flask_sessionkit import SessionClosed


def streamed(*steps: Callable[[], object]) -> View:
    """Return a view whose response runs these, one a chunk; an error's name is its chunk."""

    @stream_with_context
    def chunks() -> Iterator[str]:
        for step in steps:
            try:
                yield f"{step()};"
            except SessionClosed:
                yield "closed;"

    return lambda: Response(chunks())


@pytest.mark.requirement("CC-08")
@pytest.mark.parametrize(
    "change",
    [
        put(a=1),
        lambda: session.pop("cart"),
        lambda: session.setdefault("b", 1),
        wipe,
        renew,
        logout,
        login("bob"),
        lambda: session.invalidate(),
        bump(),
    ],
    ids=["set", "pop", "setdefault", "clear", "regenerate", "logout_user", "login_user", "invalidate", "atomic"],
)
def test_a_change_while_streaming_is_an_error(site: Site, change: Callable[[], object]) -> None:
    """CC-08."""
    token = site.token(both(login("ann"), put(cart=["bread"])))

    answer = site.ask(token, streamed(lambda: "first", change))

    assert answer.response.text == "first;closed;"
    assert site.seen(token) == Seen("ann", {"cart": ["bread"]})


def test_a_change_while_streaming_is_an_error_where_the_view_looked_before(site: Site) -> None:
    token = site.token(put(cart=1))

    def view() -> Any:
        session["cart"] = 2
        return streamed(put(cart=3))()

    assert site.ask(token, view).response.text == "closed;"
    assert site.seen(token) == Seen(None, {"cart": 2})


def test_a_read_while_streaming_is_none(site: Site) -> None:
    token = site.token(put(cart=["bread"]))

    assert (
        site.ask(token, streamed(lambda: session["cart"], lambda: session.get("x"))).response.text == "['bread'];None;"
    )


def test_a_change_by_a_teardown_function_only_changes_the_object(site: Site) -> None:
    """It runs before the first chunk is asked for."""
    seen: list[Any] = []

    @site.app.teardown_request
    def late(error: BaseException | None) -> None:
        session["late"] = 1
        seen.append(dict(session))

    token = site.token(put(cart=1))

    site.ask(token, lambda: Response(iter(["one", "two"])))

    assert seen[-1] == {"cart": 1, "late": 1}
    assert site.seen(token).data == {"cart": 1}


def test_a_change_after_a_head_request_only_changes_the_object(site: Site) -> None:
    """No chunk of its response is ever asked for."""
    kept: list[Any] = []

    def view() -> Response:
        look()
        kept.append(session._get_current_object())  # type: ignore[attr-defined]  # the proxy's own method
        return Response(iter(["never sent"]))

    site.ask(None, view, method="HEAD")
    kept[0]["late"] = 1

    assert kept[0]["late"] == 1


def test_a_stream_that_is_cut_off_is_closed(site: Site) -> None:
    """A browser that goes away, or a HEAD: what the view opened for its stream is closed."""
    closed: list[bool] = []

    class Chunks:
        def __iter__(self) -> Iterator[str]:
            return iter(["never sent"])

        def close(self) -> None:
            closed.append(True)

    def view() -> Response:
        look()
        return Response(Chunks())

    site.ask(None, view, method="HEAD")

    assert closed == [True]


def test_the_cookie_of_a_streamed_response_is_sent(site: Site) -> None:
    def view() -> Any:
        session["cart"] = 1
        return streamed(lambda: session["cart"])()

    answer = site.ask(None, view)

    assert answer.response.text == "1;"
    assert site.seen(answer.token) == Seen(None, {"cart": 1})


def test_a_first_look_while_streaming_finds_the_session(site: Site) -> None:
    token = site.token(put(cart=1))

    assert site.ask(token, streamed(lambda: session["cart"])).response.text == "1;"


def test_an_error_in_the_stream_ends_the_watch(site: Site) -> None:
    kept: list[Any] = []

    def view() -> Response:
        look()
        kept.append(session._get_current_object())  # type: ignore[attr-defined]  # the proxy's own method

        def chunks() -> Iterator[str]:
            yield "first"
            raise LookupError("as the test wanted")

        return Response(chunks())

    with pytest.raises(LookupError):
        site.ask(None, view)
    kept[0]["late"] = 1

    assert kept[0] == {"late": 1}


def test_a_plain_response_takes_changes_afterwards(site: Site) -> None:
    """``with client:`` and then a look at flashed messages, as tests of applications do."""
    with site.app.test_client() as client:
        client.post("/do", environ_overrides={"flow.view": put(cart=1), "flow.values": []})
        session["late"] = 1

        assert session["late"] == 1


def test_a_file_is_sent_untouched(site: Site, tmp_path: Path) -> None:
    """The server may hand the open file to the kernel, so it must stay the very object."""
    picture = tmp_path / "picture"
    picture.write_bytes(b"picture" * 1000)
    sent: list[Any] = []

    def view() -> Response:
        session["n"] = 1
        sent.append(send_file(picture, mimetype="image/png"))
        sent.append(sent[0].response)
        return sent[0]  # type: ignore[no-any-return]  # a Response

    answer = site.ask(None, view)

    assert answer.response.data == b"picture" * 1000
    assert sent[0].response is sent[1]
    assert site.seen(answer.token) == Seen(None, {"n": 1})


def test_nothing_is_watched_that_is_no_stream(site: Site) -> None:
    def view() -> Response:
        look()
        return Response("all at once")

    assert site.ask(None, view).response.text == "all at once"
    assert site.seen(None) == NOBODY
