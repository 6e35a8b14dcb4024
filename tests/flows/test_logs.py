"""Nothing that opens a session and nothing that seals one is ever written down: LG-01, KE-07.

What is read here is what a log gets, and what a reporter of errors gets besides: the variables of each frame of ours.
"""

from __future__ import annotations

import base64
import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask, Response, got_request_exception, session, stream_with_context
from flow_site import (
    SIGNALS,
    Answer,
    Site,
    View,
    append,
    both,
    bump,
    drop,
    failing,
    login,
    logout,
    look,
    pausing,
    put,
    renew,
    wipe,
)

import flask_sessionkit
from flask_sessionkit import (
    ConfigError,
    SessionClosed,
    SessionConflict,
    SessionKit,
    SessionTooLarge,
    StoreError,
    UnsupportedType,
    store_failed,
)
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.testing import FrozenClock, PausingStore

PACKAGE = str(Path(flask_sessionkit.__file__).parent)
SECRET, OLD = "the current secret of the log tests", "an older secret, that only opens.."
#: Long enough not to come up by chance, and behind what all sealed tokens begin with.
PART = slice(8, 24)


@pytest.fixture(params=["memory", "cookie"])
def in_cookies(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "cookie")


@pytest.fixture(params=[True, False], ids=["propagating", "answering"])
def propagates(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# What was written down.


class Heard:
    """What the log got, and every error that anybody could get hold of."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self._log = log
        self.errors: list[BaseException] = []

    def note(self, sender: object, exception: BaseException | None = None, error: BaseException | None = None) -> None:
        """Receive a signal that carries an error."""
        self.errors += [one for one in (exception, error) if one]

    @property
    def records(self) -> list[logging.LogRecord]:
        return self._log.records

    def texts(self) -> Iterator[str]:
        """Return all of it as text, piece by piece."""
        logged = [record.exc_info[1] for record in self.records if record.exc_info]
        for record in self.records:
            yield f"{record.getMessage()} {vars(record)}"
        for error in {id(one): one for top in (*self.errors, *filter(None, logged)) for one in chain_of(top)}.values():
            yield f"{error} {error!r} {vars(error)}"
            yield "".join(traceback.format_exception(error))
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if frame.f_code.co_filename.startswith(PACKAGE):
                    yield from (f"{name} = {shown(value)}" for name, value in frame.f_locals.items())


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and all that it came from, those that its traceback hides included."""
    while error is not None:
        yield error
        if error.__context__ is not error.__cause__:
            yield from chain_of(error.__cause__)
        error = error.__context__


def shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # what is half made may have no repr; reporters go on, too
        return ""


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    caplog.set_level(logging.DEBUG)
    heard = Heard(caplog)
    got_request_exception.connect(heard.note)
    store_failed.connect(heard.note)
    yield heard
    got_request_exception.disconnect(heard.note)
    store_failed.disconnect(heard.note)


# What must not be.


def forms_of(raw: bytes) -> set[str]:
    """Return how bytes could be written down."""
    in_base64 = {encode(raw).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return {repr(raw)[2:-1], raw.hex(), raw.hex().upper(), str(list(raw))[1:-1]} | in_base64


def keys_of(secret: str) -> Iterator[bytes]:
    """Return all that is derived from a secret, but for the ids of its keys, which every token shows."""
    for purpose, name in (
        (b"cookie", b"session"),
        *((one, b"") for one in (b"record", b"info", b"revocation", b"user")),
    ):
        context = b"".join(len(field).to_bytes(2, "big") + field for field in (purpose, b"flows", name))
        for label in (b"\0\3mac", b"\0\3sub"):
            kdf = HKDF(algorithm=SHA256(), length=32, salt=b"flask_sessionkit/1", info=label + context)
            yield kdf.derive(secret.encode())


def forms_of_token(token: str) -> set[str]:
    raw = base64.urlsafe_b64decode(token[: len(token) // 4 * 4])
    return {token[PART], *forms_of(raw[5:29])}


def forbidden(tokens: set[str]) -> set[str]:
    forms = {SECRET, OLD} | {form for token in tokens for form in forms_of_token(token)}
    for secret in (SECRET, OLD):
        for key in (secret.encode(), *keys_of(secret)):
            forms |= forms_of(key)
    return forms


def leaks(heard: Heard, tokens: set[str]) -> list[str]:
    texts, forms = list(heard.texts()), forbidden(tokens)
    return [text for text in texts if any(form in text for form in forms)]


# A tour of all that can happen.


class Tour:
    """A site and everything that was ever sent to or by it."""

    def __init__(
        self, heard: Heard, store: PausingStore, clock: FrozenClock, *, in_cookies: bool, **config: Any
    ) -> None:
        given = {"SECRET_KEY": SECRET, "SESSIONKIT_MAX_SIZE": 3000, **config}
        if not in_cookies:
            given["SESSIONKIT_ENCRYPT_RECORDS"] = True
        self.site = Site(store, clock, in_cookies=in_cookies, **given)
        self.in_cookies = in_cookies
        self.tokens: set[str] = set()
        self._heard = heard

    def ask(self, token: str | None, view: View, **given: Any) -> Answer | None:
        """Send a request that may come to any end."""
        self.tokens |= {part for part in (token or "").split("; session=") if len(part) > 24}
        answer = None
        try:
            answer = self.site.ask(token, view, status=(200, 500, 503), **given)
        except Exception as error:  # noqa: BLE001  # an application that propagates them has a server that logs them
            self._heard.errors.append(error)
        self.tokens |= set(self.site.handed_out)
        return answer

    def token(self, view: View, token: str | None = None) -> str:
        answer = self.ask(token, view)
        assert answer is not None
        assert answer.token is not None
        return answer.token

    def lives(self) -> None:
        """Everything that goes well."""
        site = self.site
        self.ask(None, look)
        token = self.token(put(cart=[1], _permanent=True))
        token = self.token(login("ann"), token)
        self.ask(token, look)
        token = self.answered(self.ask(token, append("cart", 2)), token)
        token = self.answered(self.ask(token, bump()), token)
        site.clock.tick(120)
        token = self.answered(self.ask(token, look), token)
        token = self.token(renew, token)
        token = self.token(login("bob"), token)
        self.ask(token, both(drop("cart"), logout))
        self.ask(token, look)
        self.ask(self.token(put(v=1)), wipe)

    def ends(self) -> None:
        """Ends from elsewhere, and by the clock."""
        site = self.site
        token, other = self.token(login("ann")), self.token(login("ann"))
        handle = site.outside(site.kit.sessions_of, "ann")[0].handle
        assert site.outside(site.kit.revoke, handle) == 1
        self.ask(self.token(login("ann")), lambda: site.kit.revoke_user("ann", keep_current=True))
        assert site.outside(site.kit.revoke_user, "ann") == 1
        self.ask(token, look)
        self.ask(other, put(v=1))
        stale = self.token(login("ann"))
        site.clock.tick(1801)
        self.ask(stale, look)
        site.purge()

    def is_attacked(self) -> None:
        """What strangers send."""
        one, other = self.token(put(v=1)), self.token(login("ann"))
        self.ask(f"{one}; session={other}", look)
        for token in (one, other):
            for wrong in (
                token[:-4] + "AAAA",
                token[:40] + "A" + token[41:],
                token + "AAAA",
                token[::-1],
                token.lower(),
            ):
                self.ask(wrong, look)
                self.ask(wrong, put(v=2))
        for junk in (secrets.token_urlsafe(32), secrets.token_urlsafe(200), "AQ" + secrets.token_urlsafe(150)):
            self.ask(junk, look)
            self.ask(junk, login("eve"))

    def fails(self) -> None:
        """What the application, the store and other requests do wrong."""
        site, store = self.site, pausing(self.site)
        for call in ("load", "create", "replace"):
            for view in (look, put(v=2), login("cat"), renew, logout, bump()):
                token = self.token(both(login("ann"), put(v=1)))
                store.fail(call, error=StoreError("The store failed, as the test wanted."))  # type: ignore[arg-type]  # one of the six
                self.ask(token, view)
                with suppress(StoreError):
                    store.load("0" * 64, now=0.0)  # what was armed and not met is met here
                    site.outside(site.kit.revoke_user, "ann")
                store._orders.clear()
        token = self.token(both(login("ann"), put(v=1)))
        self.ask(token, put(large="x" * 9000))
        self.ask(token, put(odd=object()))
        self.ask(None, put(large="x" * 9000))
        self.ask(token, failing(put(v=3), renew))
        self.ask(token, lambda: session["absent"])
        self.ask(token, lambda: Response(stream_with_context(late())))
        self.ask(token, both(look, lambda: site.outside(site.kit.revoke_user, "ann"), put(v=4), renew))
        token = self.token(put(_permanent=True))
        site.app.config["SESSION_COOKIE_SAMESITE"] = "Odd"  # which werkzeug refuses, with the cookie at hand
        self.ask(token, look)
        site.app.config["SESSION_COOKIE_SAMESITE"] = None
        site.clock.now = clock_that_fails  # type: ignore[method-assign]  # the tour's own
        self.ask(token, look)
        del site.clock.now
        site.kit.user_stamp(stamp_that_fails)
        self.ask(None, login("ann"))
        site.kit._stamp_of = None
        token = self.token(login("ann"))
        site.kit.user_stamp(stamp_that_fails)
        self.ask(token, look)
        site.kit._stamp_of = None

    def answered(self, answer: Answer | None, token: str) -> str:
        """Return the token that a browser holds then."""
        assert answer is not None
        return answer.token or token


def late() -> Iterator[str]:
    yield "a part"
    session["late"] = 1
    yield "never sent"


def clock_that_fails() -> float:
    raise OSError("There is no time, as the test wanted.")


def stamp_that_fails(user: str) -> str:
    raise LookupError("The users could not be read, as the test wanted.")


@pytest.mark.requirement("LG-01", "KE-07")
def test_a_tour_of_all_that_can_happen_tells_nobody_a_secret(
    heard: Heard, clock: FrozenClock, in_cookies: bool, propagates: bool
) -> None:
    store = PausingStore(MemoryStore())
    before = Tour(heard, store, clock, in_cookies=in_cookies, PROPAGATE_EXCEPTIONS=propagates, SECRET_KEY=OLD)
    tour = Tour(
        heard,
        store,
        clock,
        in_cookies=in_cookies,
        PROPAGATE_EXCEPTIONS=propagates,
        SECRET_KEY_FALLBACKS=[OLD],
    )
    with listening():
        for step in (before.lives, tour.lives, tour.ends, tour.is_attacked, tour.fails):
            step()
        tour.ask(before.token(login("ann")), look)
        tour.ask(before.token(login("ann")), renew)
        before.ask(tour.token(login("ann")), look)

    met = {type(error) for error in heard.errors}
    assert met >= {
        SessionTooLarge,
        UnsupportedType,
        SessionConflict,
        SessionClosed,
        StoreError,
        LookupError,
        KeyError,
        ValueError,
    }
    assert len(heard.records) > (0 if propagates else 10)
    assert len(before.tokens | tour.tokens) > 40
    assert leaks(heard, before.tokens | tour.tokens) == []


class listening:  # noqa: N801  # reads as a word of the test
    """Somebody listens to every signal, as an application does that logs them."""

    def __enter__(self) -> None:
        self._log = logging.getLogger("application")
        for signal in SIGNALS:
            signal.connect(self._write)

    def __exit__(self, *error: object) -> None:
        for signal in SIGNALS:
            signal.disconnect(self._write)

    def _write(self, sender: object, **told: Any) -> None:
        self._log.info("%s of %s", told, sender)


def hardened(**config: Any) -> Flask:
    app = Flask("flows")
    app.config.update(SESSIONKIT_APP_ID="flows", **config)
    app.add_url_rule("/", "look", lambda: str(session.get("v")))
    app.add_url_rule("/put", "put", lambda: str(session.update(v=1)), methods=["POST"])
    return app


@pytest.mark.requirement("LG-01", "KE-07")
def test_the_advice_of_a_deployment_tells_nobody_a_secret(heard: Heard, in_cookies: bool) -> None:
    if in_cookies:
        app = hardened(SECRET_KEY=SECRET, SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=None)
    else:
        app = hardened(SECRET_KEY=SECRET, SESSIONKIT_STORE="memory:")
    SessionKit(app)

    response = app.test_client(use_cookies=False).post("/put")

    token = response.headers["Set-Cookie"].partition(";")[0].removeprefix("__Host-session=")
    assert {record.levelname for record in heard.records} >= {"WARNING"}
    assert leaks(heard, {token}) == []


WEAK: list[Callable[[Flask], object]] = [
    lambda app: app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=["short and OLD", OLD]),
    lambda app: app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=[OLD, OLD]),
    lambda app: app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=OLD),
    lambda app: app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS=[OLD, 7]),
    lambda app: app.config.update(SECRET_KEY=SECRET, SECRET_KEY_FALLBACKS={OLD}),
]


@pytest.mark.requirement("LG-01", "KE-07")
@pytest.mark.parametrize("give", WEAK, ids=["weak", "doubled", "a text", "a number", "a set"])
def test_secrets_that_are_refused_at_the_start_do_not_show(heard: Heard, give: Callable[[Flask], object]) -> None:
    app = hardened(SESSIONKIT_STORE="memory:")
    give(app)

    with pytest.raises(ConfigError) as raised:
        SessionKit(app)

    heard.errors.append(raised.value)
    assert leaks(heard, set()) == []


@pytest.mark.requirement("LG-01", "KE-07")
@pytest.mark.parametrize("give", WEAK, ids=["weak", "doubled", "a text", "a number", "a set"])
def test_secrets_that_are_refused_when_they_are_needed_do_not_show(
    heard: Heard, give: Callable[[Flask], object], propagates: bool
) -> None:
    """Nor does the cookie of the request that is answered with 500."""
    app, token = hardened(SESSIONKIT_STORE="memory:", PROPAGATE_EXCEPTIONS=propagates), secrets.token_urlsafe(32)
    SessionKit(app)
    give(app)

    with suppress(ConfigError):
        response = app.test_client(use_cookies=False).get("/", headers={"Cookie": f"__Host-session={token}"})
        assert response.status_code == 500

    assert ConfigError in map(type, heard.errors)
    assert leaks(heard, {token}) == []


def test_a_leak_would_be_found(heard: Heard) -> None:
    token, key = secrets.token_urlsafe(32), next(keys_of(OLD))
    for written in (token, f"cookie {token!r}", SECRET, OLD.encode().hex(), key, key.hex(), base64.b64encode(key)):
        heard.records.clear()
        logging.getLogger("application").debug("Here is %s", written)

        assert len(leaks(heard, {token})) == 1, written
