"""How a token travels: what is believed of cookies and headers. IN-01, IN-05, IN-09, CK-09, CK-10, CK-11, ID-03."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response

from flask_sessionkit.tokens import Token, is_sealed, is_token, new_token
from flask_sessionkit.transport import Attributes, Cookie, Header, tokens_in

NAME = "__Host-session"
ATTRIBUTES: Attributes = {
    "domain": None,
    "path": "/",
    "secure": True,
    "httponly": True,
    "samesite": "Lax",
    "partitioned": False,
}
ONE, OTHER = "A" * 43, "B" * 42 + "A"


class Told:
    """What an application says of its cookie, put down for a test."""

    def __init__(self, name: str, attributes: Attributes) -> None:
        self._name, self._attributes = name, attributes

    def get_cookie_name(self, app: object) -> str:
        return self._name

    def get_cookie_attributes(self, app: object) -> Attributes:
        return self._attributes


def made(name: str = NAME, attributes: Attributes = ATTRIBUTES) -> Cookie:
    return Cookie(Told(name, attributes), None)


def sent(cookie: Cookie | None = None, *, lasts: float | None = None, expires: datetime | None = None) -> str:
    response = Response()
    (cookie or made()).send(response, ONE, lasts=lasts, expires=expires)
    [header] = response.headers.getlist("Set-Cookie")
    return header


@pytest.mark.parametrize(
    "header",
    [
        f"__Host-session={ONE}",
        f"a=b; __Host-session={ONE}; c=d",
        f"a=b;__Host-session={ONE};c=d",
        f"\t __Host-session={ONE} \t",
        f";;; __Host-session={ONE};",
        f"__Host-session={ONE}; __Host-session={ONE}",
        f'$Version=1; __Host-session={ONE}; $Path="/"',
        f'a="b; __Host-session={ONE}; c="',
        f"__Host-session=; __Host-session={ONE}",
        f"__Host-session={ONE}x; __Host-session={ONE}",
    ],
)
def test_a_token_is_found_as_a_browser_sends_it(header: str) -> None:
    assert tokens_in(header, named=NAME, could_be=is_token) == [ONE]


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";",
        "=",
        "__Host-session",
        "__Host-session=",
        "__Host-session=None",
        '__Host-session=""',
        f'__Host-session="{ONE}"',
        f"__Host-session= {ONE}",
        f"__Host-session ={ONE}",
        f"__Host-session={ONE},",
        f"__Host-session={ONE}, __Host-session={OTHER}",
        f"__Host-session=={ONE}",
        f"__Host-session={ONE}=",
        f"={ONE}",
        f"=__Host-session={ONE}",
        f"=__Host-session; ={ONE}",
        ONE,
        f"__host-session={ONE}",
        f"__HOST-SESSION={ONE}",
        f"session={ONE}",
        f"x__Host-session={ONE}",
        f"%5f%5fHost-session={ONE}",
        f"__Host%2dsession={ONE}",
        f'"__Host-session"={ONE}',
        f"$__Host-session={ONE}",
        f'a="b;c=__Host-session={ONE}"',
    ],
)
def test_what_is_no_cookie_of_this_name_is_dropped(header: str) -> None:
    assert tokens_in(header, named=NAME, could_be=is_token) == []


SPACES = ["\u2000".encode().decode("latin-1"), "\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x00", "\r", "\n", "\u2000"]


@pytest.mark.requirement("CK-10")
@pytest.mark.parametrize("space", SPACES)
def test_only_a_space_and_a_tab_are_trimmed(space: str) -> None:
    """A parser that trims more takes a sibling host's cookie for one with ``__Host-`` ("Cookie Chaos")."""
    for pair in (f"{space}__Host-session={ONE}", f"__Host-session{space}={ONE}", f"__Host-session={ONE}{space}"):
        assert tokens_in(pair, named=NAME, could_be=is_token) == []
        assert tokens_in(f"a=b; {pair}; c=d", named=NAME, could_be=is_token) == []


def test_two_different_tokens_are_both_told_in_their_order() -> None:
    assert tokens_in(f"__Host-session={OTHER}; x=y; __Host-session={ONE}", named=NAME, could_be=is_token) == [
        OTHER,
        ONE,
    ]


@given(st.text(st.characters(max_codepoint=0xFF), max_size=120))
def test_no_header_raises(header: str) -> None:
    tokens_in(header, named=NAME, could_be=is_token)
    tokens_in(f"__Host-session={header}", named=NAME, could_be=is_token)


@pytest.mark.requirement("IN-05")
def test_a_full_header_is_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """IN-05: comparing each token with each before it costs a server 20 ms for every such request."""
    compared = 0

    class Counting(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    class Pair(str):
        __slots__ = ()

        def strip(self, _: str | None = None) -> Pair:  # type: ignore[override]
            return self

        def partition(self, _: str) -> tuple[str, str, str]:  # type: ignore[override]
            return "__Host-session", "=", Counting(self)

    class Header(str):
        __slots__ = ()

        def split(self, *_: object) -> list[str]:  # type: ignore[override]
            return [Pair(new_token()) for _ in range(1000)]

    assert len(tokens_in(Header(), named=NAME, could_be=is_token)) == 1000
    assert compared < 5000


def test_the_cookie_ends_with_the_browser() -> None:
    assert sent() == f"__Host-session={ONE}; Secure; HttpOnly; Path=/; SameSite=Lax"


def test_a_permanent_one_says_how_long_it_lasts() -> None:
    header = sent(lasts=39600.9, expires=datetime(2030, 1, 2, tzinfo=UTC))

    assert "; Max-Age=39600;" in header
    assert "; Expires=Wed, 02 Jan 2030 00:00:00 GMT;" in header


def test_one_that_is_over_never_lasts_less_than_nothing() -> None:
    assert "; Max-Age=0;" in sent(lasts=-5.0)


@pytest.mark.requirement("TR-06")
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (NAME, {}),
        ("__Secure-session", {"domain": "example.com", "path": "/app", "samesite": "None", "partitioned": True}),
        ("session", {"secure": False, "httponly": False, "samesite": None}),
    ],
)
def test_the_deleting_cookie_repeats_every_attribute(name: str, changed: Any) -> None:
    response, cookie = Response(), made(name, {**ATTRIBUTES, **changed})
    cookie.forget(response)
    [deleting] = response.headers.getlist("Set-Cookie")
    pair, *attributes = deleting.split("; ")

    assert pair == f"{name}="
    assert "Max-Age=0" in attributes
    assert {*sent(cookie).split("; ")[1:]} == {*attributes} - {"Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"}


HEADER = Header.named("X-Session-Token")


def brought(value: str) -> dict[str, str]:
    return {HEADER.variable: value, "HTTP_COOKIE": f"session={OTHER}"}


def test_a_header_is_found_where_wsgi_puts_it() -> None:
    assert HEADER.variable == "HTTP_X_SESSION_TOKEN"
    assert HEADER.tokens(brought(ONE), could_be=is_token) == (ONE,)
    assert HEADER.tokens({"HTTP_X_SESSION_TOKE": ONE, "X-Session-Token": ONE}, could_be=is_token) == ()


def test_a_token_of_a_header_shows_nothing_of_itself() -> None:
    [token] = HEADER.tokens(brought(ONE), could_be=is_token)

    assert isinstance(token, Token)


@pytest.mark.requirement("IN-01")
@pytest.mark.parametrize("could_be", [is_token, is_sealed])
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        f" {ONE}",
        f"{ONE} ",
        f"{ONE}\t",
        f"{ONE},{ONE}",
        f"{ONE}, {OTHER}",
        f",{ONE}",
        f'"{ONE}"',
        f"Bearer {ONE}",
        f"session={ONE}",
        f"{ONE};",
        f"{ONE}\x00",
        f"{ONE}\n",
        "\xe9" * 43,
        "\xb2" * 43,
        "A" * 65536,
        "A" * 4097,
        "null",
        "undefined",
    ],
)
def test_what_is_no_token_is_dropped_from_a_header(value: str, could_be: Any) -> None:
    assert HEADER.tokens(brought(value), could_be=could_be) == ()


def test_a_header_is_there_when_it_is_empty() -> None:
    assert HEADER.is_in(brought(""))
    assert not HEADER.is_in({"HTTP_COOKIE": f"session={ONE}"})


def test_a_header_answers_with_a_header_and_no_cookie() -> None:
    response = Response(headers={"X-Session-Token": OTHER})

    HEADER.send(response, Token(ONE), lasts=60.0, expires=datetime(2030, 1, 2, tzinfo=UTC))
    assert response.headers.getlist("X-Session-Token") == [ONE]
    assert type(response.headers["X-Session-Token"]) is str  # PEP 3333
    HEADER.forget(response)
    assert response.headers.getlist("X-Session-Token") == [""]
    assert "Set-Cookie" not in response.headers


def test_a_cookie_is_read_without_a_question_where_none_came() -> None:
    """Its name may cost more than the rest of a look."""

    class Silent(Told):
        def get_cookie_name(self, app: object) -> str:
            pytest.fail("asked")

    assert Cookie(Silent(NAME, ATTRIBUTES), None).tokens({}, could_be=is_token) == ()
    assert list(made().tokens({"HTTP_COOKIE": f"{NAME}={ONE}"}, could_be=is_token)) == [ONE]
