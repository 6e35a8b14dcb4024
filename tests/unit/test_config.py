"""The settings: read once, and all that is wrong told at once. TO-05."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from flask_sessionkit.config import Settings, read_settings
from flask_sessionkit.policy import Timeouts

DURATIONS = ["IDLE", "ABSOLUTE", "FRESH", "REMEMBER", "STORE"]


def read(**given: Any) -> tuple[Settings, list[str]]:
    return read_settings({f"SESSIONKIT_{name}": value for name, value in given.items()}, app_name="shop")


def problem(**given: Any) -> str:
    _, problems = read(**given)
    assert len(problems) == 1, problems
    return problems[0]


def test_the_defaults_are_those_of_the_documents() -> None:
    settings, problems = read()

    assert problems == []
    assert settings == Settings(
        store=None,
        revocation_store=None,
        take_over=(),
        key_prefix="session:",
        app_id="shop",
        timeouts=Timeouts(idle=30 * 60, absolute=12 * 3600, fresh=15 * 60, remember=30 * 86400, touch_interval=60),
        identity_keys=("_user_id",),
        rotate_every=None,
        max_sessions=None,
        login_view=None,
        allow_weak_secret=False,
        max_size=65536,
        encrypt_records=False,
        secure_cookie=True,
        clear_site_data=False,
        transport="cookie",
        header_name="X-Session-Token",
        store_timeout=0.5,
        client_info=True,
    )


def test_all_can_be_set() -> None:
    settings, problems = read(
        STORE="memory:",
        KEY_PREFIX="shop:",
        APP_ID="läden",
        IDLE_TIMEOUT=timedelta(minutes=5),
        ABSOLUTE_TIMEOUT=3600,
        FRESH_TIMEOUT=60.5,
        REMEMBER_TIMEOUT=timedelta(days=400),
        TOUCH_INTERVAL=30,
        IDENTITY_KEYS=["user", "_user_id"],
        ROTATE_EVERY=timedelta(hours=1),
        MAX_SESSIONS_PER_USER=5,
        LOGIN_VIEW="auth.login",
        ALLOW_WEAK_SECRET=True,
        MAX_SIZE=1024,
        SECURE_COOKIE=False,
        CLEAR_SITE_DATA=True,
        TRANSPORT="both",
        HEADER_NAME="Shop-Session",
        STORE_TIMEOUT=2,
        CLIENT_INFO=False,
        REVOCATION_STORE="file:",
        TAKE_OVER="flask",
        ENCRYPT_RECORDS=True,
    )

    assert problems == []
    assert settings == Settings(
        store="memory:",
        revocation_store="file:",
        take_over=("flask",),
        key_prefix="shop:",
        app_id="läden",
        timeouts=Timeouts(idle=300, absolute=3600, fresh=60.5, remember=400 * 86400, touch_interval=30),
        identity_keys=("user", "_user_id"),
        rotate_every=3600,
        max_sessions=5,
        login_view="auth.login",
        allow_weak_secret=True,
        max_size=1024,
        encrypt_records=True,
        secure_cookie=False,
        clear_site_data=True,
        transport="both",
        header_name="Shop-Session",
        store_timeout=2,
        client_info=False,
    )


@pytest.mark.requirement("TO-05")
@pytest.mark.parametrize("name", [*(f"{name}_TIMEOUT" for name in DURATIONS), "TOUCH_INTERVAL"])
@pytest.mark.parametrize(
    "wrong",
    [
        0,
        -30,
        0.0,
        -0.0,
        timedelta(0),
        timedelta(seconds=-1),
        True,
        False,
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        "1800",
        "30 minutes",
        Decimal(5),
        [60],
        None,
    ],
    ids=lambda wrong: f"{wrong!r:.20}",
)
def test_a_duration_is_positive_and_finite(name: str, wrong: Any) -> None:
    said = problem(**{name: wrong})

    assert said.startswith(f"SESSIONKIT_{name} must be a positive duration: seconds, or timedelta(")
    assert said.endswith(f", not {wrong!r}." if len(repr(wrong)) <= 40 else f", not a {type(wrong).__name__}.")


@pytest.mark.requirement("TO-05")
def test_an_absolute_limit_below_the_idle_one_is_refused() -> None:
    said = problem(ABSOLUTE_TIMEOUT=60, IDLE_TIMEOUT=90)

    assert said == (
        "SESSIONKIT_ABSOLUTE_TIMEOUT (1 minute) must not be shorter than SESSIONKIT_IDLE_TIMEOUT (90 seconds). "
        "Lengthen the first, or shorten the second."
    )
    assert read(ABSOLUTE_TIMEOUT=60, IDLE_TIMEOUT=60)[1] == []


def test_a_limit_that_nobody_set_is_told_as_the_default() -> None:
    assert "ABSOLUTE_TIMEOUT (12 hours, the default) must" in problem(IDLE_TIMEOUT=timedelta(days=3))
    assert "IDLE_TIMEOUT (3 days). " in problem(IDLE_TIMEOUT=timedelta(days=3))
    assert "ABSOLUTE_TIMEOUT (1 minute) must" in problem(ABSOLUTE_TIMEOUT=60)
    assert "IDLE_TIMEOUT (30 minutes, the default). " in problem(ABSOLUTE_TIMEOUT=60)


@pytest.mark.parametrize("wrong", ["1h", 10, 59.9, 0, True, timedelta(seconds=59)])
def test_a_rotation_is_a_duration_of_a_minute_at_least(wrong: Any) -> None:
    assert problem(ROTATE_EVERY=wrong) == (
        "SESSIONKIT_ROTATE_EVERY must be a duration of at least a minute: seconds, or timedelta(hours=1); or None, "
        f"not {wrong!r}."
    )


@pytest.mark.requirement("TO-05", "TO-10")
def test_no_browser_keeps_a_cookie_for_more_than_400_days() -> None:
    assert "at most timedelta(days=400)" in problem(REMEMBER_TIMEOUT=timedelta(days=400, seconds=1))


def test_last_seen_is_written_at_least_ten_times_in_an_idle_timeout() -> None:
    assert "at most a tenth of SESSIONKIT_IDLE_TIMEOUT (10 minutes)" in problem(IDLE_TIMEOUT=600, TOUCH_INTERVAL=60.1)
    assert read(IDLE_TIMEOUT=600, TOUCH_INTERVAL=60)[1] == []


@pytest.mark.parametrize("idle", [200 / 3, 100.000007, 1e-5, 1e-9, 0.3, 600, 1e12])
def test_the_default_interval_is_a_tenth_at_most_and_never_a_fault(idle: float) -> None:
    settings, problems = read(IDLE_TIMEOUT=idle, ABSOLUTE_TIMEOUT=2e12)

    assert problems == []
    assert settings.timeouts.touch_interval == min(60.0, idle / 10)


@pytest.mark.parametrize("name", ["ALLOW_WEAK_SECRET", "SECURE_COOKIE", "CLEAR_SITE_DATA", "CLIENT_INFO"])
@pytest.mark.parametrize("wrong", [0, 1, "", "False", "true", []])
def test_a_switch_is_true_or_false(name: str, wrong: Any) -> None:
    """``"False"`` from an environment variable is true in Python."""
    assert problem(**{name: wrong}) == f"SESSIONKIT_{name} must be True or False, not {wrong!r}."


@pytest.mark.parametrize("wrong", [0, -1, 1023, True, 2048.0, "65536", math.nan])
def test_a_size_is_a_number_of_bytes(wrong: Any) -> None:
    assert "SESSIONKIT_MAX_SIZE must be a number of bytes, at least 1024" in problem(MAX_SIZE=wrong)


@pytest.mark.parametrize("wrong", ["", "x" * 256, "é" * 128, 7, b"shop", "\ud800"])
def test_an_application_has_a_name_that_can_be_hashed(wrong: Any) -> None:
    assert "SESSIONKIT_APP_ID must be a text of 1 to 255 bytes" in problem(APP_ID=wrong)


@pytest.mark.parametrize("wrong", ["_user_id", [""], [7], {"_user_id"}, 7, [None]])
def test_identity_keys_are_a_list_of_texts(wrong: Any) -> None:
    """Of one text each letter would be a key."""
    assert 'must be a list of keys, such as ["_user_id"]' in problem(IDENTITY_KEYS=wrong)


def test_no_identity_keys_is_a_choice() -> None:
    assert read(IDENTITY_KEYS=[])[0].identity_keys == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("IDLE_TIMOUT", "IDLE_TIMEOUT"),
        ("STORES", "STORE"),
        ("LOGINVIEW", "LOGIN_VIEW"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_the_nearest_that_does(typed: str, meant: str) -> None:
    assert problem(**{typed: 1}) == f"SESSIONKIT_{typed} is no setting. Did you mean SESSIONKIT_{meant}?"


def test_other_peoples_settings_are_none_of_ours() -> None:
    config: Mapping[Any, Any] = {"SESSION_TYPE": "redis", "sessionkit_store": 1, 7: 8, ("a",): 9, "DEBUG": True}

    assert read_settings(config, app_name="shop")[1] == []


def test_an_odd_key_among_the_settings_hides_no_fault() -> None:
    config: Mapping[Any, Any] = {7: 8, "SESSIONKIT_STOER": 1}

    assert len(read_settings(config, app_name="shop")[1]) == 1


def test_all_faults_are_told_at_once_and_the_reading_goes_on() -> None:
    settings, problems = read(IDLE_TIMEOUT=0, MAX_SIZE="big", SECURE_COOKIE="no", APP_ID="", WHAT=1)

    assert [said.split()[0] for said in problems] == [
        "SESSIONKIT_IDLE_TIMEOUT",
        "SESSIONKIT_APP_ID",
        "SESSIONKIT_MAX_SIZE",
        "SESSIONKIT_SECURE_COOKIE",
        "SESSIONKIT_WHAT",
    ]
    assert settings == read()[0]


def test_a_long_value_is_not_shown() -> None:
    """It may be a secret in the wrong place."""
    said = problem(IDLE_TIMEOUT="s3cret" * 10)

    assert "s3cret" not in said
    assert said.endswith("not a str.")


@pytest.mark.parametrize("wrong", ["", "a b", "a\n", "ü:", "{tag}", "x" * 101, 7])
def test_a_key_prefix_that_a_store_would_trip_over_is_refused(wrong: Any) -> None:
    assert "SESSIONKIT_KEY_PREFIX must be 1 to 100 visible ASCII characters" in problem(KEY_PREFIX=wrong)


@pytest.mark.parametrize("carrier", ["", "Cookie", "COOKIE", "headers", "url", "form", "any", True, 1, ["both"]])
def test_a_token_travels_by_cookie_by_header_or_by_both(carrier: Any) -> None:
    assert problem(TRANSPORT=carrier) == (
        f'SESSIONKIT_TRANSPORT must be "cookie", "header" or "both", not {carrier!r}.'
    )


@pytest.mark.parametrize("name", ["X-Session-Token", "Session", "s", "Shop-Session-2", "X" * 64, "X-Cookie", "Token"])
def test_a_header_of_ones_own_is_taken(name: str) -> None:
    settings, problems = read(HEADER_NAME=name, TRANSPORT="header")

    assert problems == []
    assert settings.header_name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X_Session_Token",  # servers drop it, or take it for one with hyphens
        "-X",
        "X-",
        "2X",
        "X Y",
        "X:",
        "X\r\nSet-Cookie",
        "X\n",
        "Sitzung-Schlüssel",
        "X" * 65,
        b"X-Session-Token",
        7,
    ],
)
def test_what_is_no_name_of_a_header_is_refused(name: Any) -> None:
    shown = repr(name) if len(repr(name)) <= 40 else "a str"

    assert problem(HEADER_NAME=name, TRANSPORT="both") == (
        "SESSIONKIT_HEADER_NAME must be the name of a header: a letter, then letters, digits and hyphens, up to 64, "
        f'such as "X-Session-Token", not {shown}.'
    )


TAKEN = """
Accept Accept-Language Access-Control-Allow-Origin Authorization authorization AUTHORIZATION Cache-Control
Clear-Site-Data Connection Content-Length Content-Type Content-Security-Policy Cookie cookie Cookie2 Date Early-Data
ETag Expect Forwarded Host If-Match If-None-Match Keep-Alive Last-Modified Link Location Origin Pragma Proxy
Proxy-Authorization Range Referer Referrer-Policy Retry-After Sec-Fetch-Mode Sec-Purpose Server Set-Cookie Set-Cookie2
Strict-Transport-Security TE Traceparent Trailer Transfer-Encoding Upgrade User-Agent Vary Via WWW-Authenticate
X-CSRFToken X-CSRF-Token X-Forwarded-For X-Forwarded-Proto X-HTTP-Method-Override X-Real-IP X-Request-ID
X-Requested-With X-XSRF-Token
"""


@pytest.mark.parametrize("name", re.findall(r"\S+", TAKEN))
def test_a_header_that_means_something_else_is_refused(name: str) -> None:
    assert problem(HEADER_NAME=name, TRANSPORT="header") == (
        f"SESSIONKIT_HEADER_NAME must be a name of your own: {name!r} means something else to browsers, proxies, Flask "
        'or its extensions. Use one such as "X-Session-Token".'
    )


@pytest.mark.parametrize("name", ["X_Token", "Authorization", 7])
def test_a_header_that_no_token_travels_in_is_not_judged(name: Any) -> None:
    settings, problems = read(HEADER_NAME=name)

    assert problems == []
    assert settings.header_name == "X-Session-Token"
