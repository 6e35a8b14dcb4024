"""Security requirements CA: no shared cache serves one visitor's page or cookie to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Response, request, session
from flow_site import Site, View, login, logout, pausing, put, renew, still
from visitors import BY_COOKIE, Visitor, signed_in
from werkzeug.datastructures import Headers, ResponseCacheControl
from werkzeug.http import parse_cache_control_header, parse_set_header
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wrappers import Request

from flask_sessionkit import current_user_id, login_user

LOOKS: dict[str, View] = {
    "key": lambda: session.get("v"),
    "in": lambda: "v" in session,
    "len": lambda: len(session),
    "bool": lambda: bool(session),
    "iter": lambda: list(session),
    "items": lambda: list(session.items()),
    "repr": lambda: repr(session),
    "user": lambda: current_user_id(),
}


@pytest.mark.requirement("CA-01")
@pytest.mark.parametrize("look_at", LOOKS.values(), ids=LOOKS)
def test_any_look_varies_by_what_carries_the_token(site: Site, look_at: View) -> None:
    for visitor in (Visitor(site), signed_in(site)):
        assert site.varies_by in visitor.does(look_at).response.vary


@pytest.mark.requirement("CA-02", "CA-03")
@pytest.mark.parametrize("change", [put(v=1), renew, login("bob"), logout])
def test_what_sends_or_drops_a_token_is_kept_by_no_cache(site: Site, change: View) -> None:
    visitor = signed_in(site)
    site.clock.tick(60)

    def view() -> Response:
        change()
        return Response("page", headers={"Cache-Control": "public, max-age=600"})

    answer = visitor.does(view)

    assert site.varies_by in answer.response.vary
    if not answer.says_nothing:
        assert answer.response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.requirement("CA-02")
@pytest.mark.parametrize("kind", ["cookie"], indirect=True)
def test_a_cookie_that_only_notes_activity_is_kept_by_no_cache(site: Site) -> None:
    visitor = signed_in(site)
    site.clock.tick(60)

    answer = visitor.does(lambda: len(session))

    assert answer.token is not None
    assert "Cookie" in answer.response.vary
    assert answer.response.headers["Cache-Control"] == "no-store"


@pytest.mark.requirement("CA-04")
def test_a_view_that_does_not_look_costs_and_says_nothing(site: Site) -> None:
    visitor = signed_in(site)
    site.clock.tick(60)
    pausing(site).reset()

    answer = visitor.does(still)

    assert answer.says_nothing
    assert "Vary" not in answer.response.headers
    assert "Cache-Control" not in answer.response.headers
    assert pausing(site).counts == {}


class SharedCache:
    """A cache in front of an application, after RFC 9111: by URL and by what the response varies by."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.kept: dict[str, list[tuple[dict[str, str | None], bytes, str, Headers]]] = {}
        self.hits = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = Request(environ)
        for by, body, status, headers in self.kept.get(asked.path, ()):
            if all(asked.headers.get(name) == value for name, value in by.items()):
                self.hits += 1
                start_response(status, headers.to_wsgi_list())
                return [body]
        chunks, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        body = b"".join(chunks)
        told = parse_cache_control_header(headers.get("Cache-Control"), cls=ResponseCacheControl)
        varies = parse_set_header(headers.get("Vary"))
        if asked.method == "GET" and told.public and not told.no_store and "*" not in varies:
            by = {name: asked.headers.get(name) for name in varies}
            self.kept.setdefault(asked.path, []).append((by, body, status, headers))
        start_response(status, headers.to_wsgi_list())
        return [body]


@BY_COOKIE
@pytest.mark.requirement("CA-01", "CA-03")
def test_behind_a_shared_cache_nobody_gets_anothers_page_or_cookie(site: Site) -> None:
    public = {"Cache-Control": "public, max-age=600"}

    def enter() -> Response:
        login_user(request.headers["X-Name"])
        return Response("welcome", headers=public)

    def me() -> Response:
        return Response(current_user_id() or "nobody", headers=public)

    for path, view in (("/enter", enter), ("/me", me), ("/plain", lambda: Response("plain", headers=public))):
        site.app.add_url_rule(path, path, view)
    cache = SharedCache(site.app)
    alice, bob, stranger = Client(cache), Client(cache), Client(cache, use_cookies=False)

    for name, client in (("alice", alice), ("bob", bob)):
        assert client.get("/enter", headers={"X-Name": name}).headers["Set-Cookie"].startswith("session=")
        assert [client.get("/me").text for _ in range(2)] == [name, name]
    assert [stranger.get("/me").text for _ in range(2)] == ["nobody", "nobody"]
    assert stranger.get("/enter", headers={"X-Name": "carol"}).headers.get("Set-Cookie") is not None
    assert bob.get("/me").text == "bob"

    before = cache.hits
    assert [client.get("/plain").text for client in (alice, bob)] == ["plain", "plain"]
    assert cache.hits == before + 1  # it is a cache after all
