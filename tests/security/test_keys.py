"""Security requirements KE: which secrets seal, which only open, and that none ever shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from flow_site import Seen, Site, logout, pausing, put
from visitors import Visitor, sessions_of, signed_in

from flask_sessionkit import ConfigError, SessionKit

MakeSite = Callable[..., Site]
OLDEST, OLD, NEW = (
    "oldest-0123456789-abcdefghij-xyz",
    "old-0123456789-abcdefghijklm-xyz",
    "new-9876543210-zyxwvutsrqponm-abc",
)
#: With sessions in stores the flow tests have the same.
IN_THE_BROWSER = {"SESSIONKIT_STORE": "cookie:", "SESSIONKIT_REVOCATION_STORE": None}


def changed(visitor: Visitor, **config: Any) -> None:
    """Give the application other secrets, as it runs."""
    visitor.site.app.config.update(config)


@pytest.mark.requirement("KE-01")
@pytest.mark.parametrize("none", [None, "", b""])
def test_without_a_secret_flasks_own_error_tells(none: Any) -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=none, TESTING=True, **IN_THE_BROWSER)
    SessionKit(app)
    app.add_url_rule("/", "put", lambda: session.update(v=1) or "put")

    with pytest.raises(RuntimeError, match="no secret key was set"):
        app.test_client().get("/")


@pytest.mark.requirement("KE-02", "KE-07")
@pytest.mark.parametrize("weak", ["dev", "x" * 31, "a" * 64, r"\2\1thisismyscretkey\1\2\e\y\y\h"])
@pytest.mark.parametrize("place", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_a_weak_secret_is_refused_and_not_named(weak: str, place: str) -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=NEW, **IN_THE_BROWSER)
    app.config[place] = [weak] if place.endswith("FALLBACKS") else weak

    with pytest.raises(ConfigError, match=place) as refused:
        SessionKit(app)

    assert weak not in str(refused.value)


@pytest.mark.requirement("KE-03", "KE-04")
def test_what_is_written_is_sealed_with_the_current_secret(make_site: MakeSite) -> None:
    visitor = signed_in(make_site(SECRET_KEY=OLDEST))
    changed(visitor, SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD, OLDEST])
    fresh = signed_in(visitor.site)
    visitor.does(put(v=1))

    changed(visitor, SECRET_KEY_FALLBACKS=[])

    assert visitor.sees == Seen("ann", {"v": 1})
    assert fresh.sees == Seen("ann", {})
    assert len(sessions_of(visitor.site)) == 2


@pytest.mark.requirement("KE-05")
def test_a_dropped_secret_opens_nothing_at_once(make_site: MakeSite) -> None:
    visitor = signed_in(make_site(SECRET_KEY=OLD))
    changed(visitor, SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])
    assert visitor.site.seen(visitor.held[0]).user == "ann"

    changed(visitor, SECRET_KEY_FALLBACKS=[])

    assert visitor.site.dead(visitor.held[0])


@pytest.mark.requirement("KE-05", "TR-01")
def test_what_ended_under_one_secret_is_dead_under_the_next(make_site: MakeSite) -> None:
    stays, leaves = signed_in(make_site(SECRET_KEY=OLD)), signed_in(make_site(SECRET_KEY=OLD))
    leaves.does(logout)

    changed(stays, SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD])

    assert stays.site.dead(*leaves.held)
    assert stays.sees.user == "ann"
    assert stays.site.outside(stays.site.kit.revoke_user, "ann") == 1
    assert stays.site.dead(*stays.held)


@pytest.mark.requirement("KE-06")
def test_what_flask_signs_with_the_same_secret_is_no_session(site: Site) -> None:
    serializer = SecureCookieSessionInterface().get_signing_serializer(site.app)
    assert serializer is not None
    signed = str(serializer.dumps({"_user_id": "ann", "v": "x" * 100}))
    pausing(site).reset()

    for value in (signed, signed.replace(".", "A"), signed.partition(".")[0]):
        assert site.dead(value)


@pytest.mark.requirement("KE-08")
@pytest.mark.parametrize("wrong", [OLD, OLD.encode(), [NEW], [OLD, OLD], [7]])
def test_fallbacks_that_are_no_list_of_others_are_refused(wrong: Any) -> None:
    app = Flask("shop")
    app.config.update(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=wrong, TESTING=True, **IN_THE_BROWSER)

    with pytest.raises(ConfigError, match="SECRET_KEY_FALLBACKS"):
        SessionKit(app)


@pytest.mark.requirement("KE-09")
def test_two_secrets_of_one_id_both_open(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids have 32 bits, so two secrets may share one; here all do."""
    from flask_sessionkit import sealing

    derive = sealing._hkdf
    monkeypatch.setattr(
        sealing,
        "_hkdf",
        lambda secret, label, context, length: bytes(4) if label == b"kid" else derive(secret, label, context, length),
    )
    visitor = signed_in(make_site(SECRET_KEY=OLD))

    changed(visitor, SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLDEST, OLD])

    assert visitor.sees.user == "ann"
    assert signed_in(visitor.site, "bob").sees.user == "bob"
