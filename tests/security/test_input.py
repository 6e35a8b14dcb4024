"""Security requirements IN: nothing that strangers send, or somebody wrote into the store, is an error or a session."""

from __future__ import annotations

import logging
import math
import os
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import session
from flow_site import NOBODY, Seen, Site, both, login, look, pausing, put
from flow_stores import keys_in
from markupsafe import Markup
from msgspec.structs import replace
from visitors import Visitor, signed_in

from flask_sessionkit.record import Outcome
from flask_sessionkit.stores.memory import MemoryStore

MakeSite = Callable[..., Site]
IN_THE_BROWSER = pytest.mark.parametrize("kind", ["cookie"], indirect=True)

#: What cannot be sealed bytes; of tokens the flow tests have a longer list.
MALFORMED = [
    "",
    "A",
    "A" * 43,
    "A" * 99,
    "A" * 4097,
    "A" * 8000,
    '"' + "A" * 200 + '"',
    "A" * 150 + "=",
    "A" * 150 + "+",
    "A" * 150 + "/",
    "A" * 150 + ".",
    "A" * 150 + "\0",
    "A" * 150 + "\nx",
    '"..\\057..\\057etc"',
    "../" * 60,
    "%41" * 100,
    "é✓" * 80,
    "\u2000" + "A" * 150,
    "{}" * 100,
    "${jndi:ldap://x}" * 10,
    "' OR 1=1 --" * 10,
    "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa." + "b" * 100,
]


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that strangers do is worth a line in the log."""
    caplog.set_level(logging.INFO)
    yield
    assert caplog.messages == []


@pytest.mark.requirement("IN-01", "DS-04")
@pytest.mark.usefixtures("quiet")
@IN_THE_BROWSER
def test_what_cannot_be_a_sealed_session_is_nobody_and_costs_no_call(site: Site) -> None:
    for value in MALFORMED:
        cookie = f"session={value}".encode().decode("latin-1")

        with site.events() as heard:
            answer = site.ask(None, look, headers={"Cookie": cookie.replace("\n", " ")})

        assert answer.value == NOBODY, value
        assert answer.says_nothing
        assert heard == []
    assert pausing(site).counts == {}


@pytest.mark.requirement("IN-05", "DS-04")
@pytest.mark.usefixtures("quiet")
@IN_THE_BROWSER
def test_a_header_full_of_forgeries_costs_no_call(site: Site) -> None:
    [live] = signed_in(site).held
    pausing(site).reset()
    forged = [f"session={live[:-20]}{number:020}" for number in range(300)]

    answer = site.ask(None, look, headers={"Cookie": "; ".join([*forged, f"session={live}"])})

    assert answer.value == NOBODY
    assert pausing(site).counts == {}


@pytest.mark.requirement("IN-06")
@IN_THE_BROWSER
@pytest.mark.parametrize("garbage", [b"", b"\0", b"[]", b"\x01" + bytes(100), b"\x11" + bytes(100), pickle.dumps({})])
def test_what_is_known_of_a_user_being_garbage_refuses_the_user_and_is_no_error(site: Site, garbage: bytes) -> None:
    visitor = signed_in(site)
    inner = pausing(site).inner
    [key] = keys_in(site.store)
    record = inner.load(key, now=site.clock.now())
    assert record is not None
    for payload in (garbage, record.payload[:-1], bytes([record.payload[0] ^ 1]) + record.payload[1:]):
        current = inner.load(key, now=site.clock.now())
        assert current is not None
        wrong = replace(current, payload=payload, version=os.urandom(8))
        assert inner.replace(wrong, expected=current.version, now=site.clock.now()).outcome is Outcome.OK

        assert site.dead(*visitor.held)

    assert Visitor(site).does(both(login("ann"), look)).value.user == "ann"
    assert site.dead(*visitor.held)


VALUES = [
    "a\0b",
    "\U0001f600",
    "\ud800",
    2**63,
    -(2**200),
    math.inf,
    b"\0\xff",
    (1, "2", [3]),
    {1, 2},
    Markup("<b>x</b>"),
    datetime(2026, 2, 28, 12, 30, tzinfo=UTC),
]


@pytest.mark.requirement("IN-07")
def test_values_come_back_as_they_went_in(site: Site) -> None:
    visitor = Visitor(site)
    visitor.does(put(nan=math.nan, values=VALUES))

    back = visitor.sees.data

    assert back is not None
    assert math.isnan(back["nan"])
    assert back["values"] == VALUES
    assert [type(value) for value in back["values"]] == [type(value) for value in VALUES]


@pytest.mark.requirement("IN-07", "DS-02")
@pytest.mark.parametrize("wrong", [object(), "x" * 1_000_000], ids=["no type of ours", "too large"])
def test_what_cannot_be_kept_is_an_error_in_that_request_and_nothing_is_half_saved(site: Site, wrong: Any) -> None:
    visitor = Visitor(site)
    visitor.does(put(v=1))

    answer = visitor.does(put(other=2, v=wrong), status=500)

    assert answer.says_nothing
    assert visitor.sees == Seen(None, {"v": 1})


@pytest.mark.requirement("IN-08")
def test_what_an_application_stores_reaches_nothing_of_what_we_know(site: Site) -> None:
    names = (
        "_created",
        "_expires",
        "_sid",
        "created_at",
        "absolute_at",
        "idle",
        "user",
        "lineage",
        "generation",
        "sid",
    )
    foreign = {**dict.fromkeys(names, 2**40), "user_id": "admin", "data_of": "admin", "seen_at": 2**40, "kind": 1}

    def known() -> list[Any]:
        current: Any = session
        return [current.user_id, current.created_at, current.login_at, current.expires_at, current.permanent]

    visitor = signed_in(site)
    before = visitor.does(known).value

    visitor.does(lambda: session.update(foreign))

    assert visitor.does(known).value == before
    assert visitor.sees == Seen("ann", foreign)
    site.clock.tick(1800)
    assert site.dead(*visitor.held)


@pytest.mark.requirement("IN-09")
@pytest.mark.parametrize(
    "syntax",
    [
        'a="b; session={}; c="; session={}',
        "session={}, session={}",
        'session="{}; session={}"',
        '$Version=1; session="{}; session={}',
        "session = {}; session={}",
        "session={}\\; session={}",
        "\xefsession={}; session={}",
    ],
)
def test_odd_syntax_shows_one_session_or_none(site: Site, syntax: str) -> None:
    [one], [other] = signed_in(site, "one").held, signed_in(site, "other").held

    seen = site.ask(None, look, headers={"Cookie": syntax.format(one, other)}).value

    assert seen in (NOBODY, Seen("other", {}))


@pytest.mark.requirement("DS-01")
@pytest.mark.usefixtures("quiet")
def test_reading_with_tokens_of_strangers_makes_nothing(make_site: MakeSite) -> None:
    elsewhere = make_site(SECRET_KEY="of another site", store=MemoryStore())
    site = make_site()

    for _ in range(100):
        assert site.ask(elsewhere.token(put(v=1)), look).says_nothing

    assert keys_in(site.store) == []
