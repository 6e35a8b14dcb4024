"""A small site for the flow tests: any function is a view, any token a browser, nothing handed out is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request, session
from flow_stores import keys_in

from flask_sessionkit import (
    SessionKit,
    current_user_id,
    login_user,
    logout_user,
    passive,
    session_conflict,
    session_created,
    session_ended,
    session_refused,
    session_regenerated,
    store_failed,
)
from flask_sessionkit.contents import Contents, Kind
from flask_sessionkit.server_backend import ServerBackend
from flask_sessionkit.stores.base import GRACE, Capability, Store
from flask_sessionkit.testing import FrozenClock, PausingStore, Running, in_thread
from flask_sessionkit.testing.interleaving import Call

View = Callable[[], Any]

SECRET = "a secret of the flow tests"

SIGNALS = (session_created, session_regenerated, session_ended, session_refused, session_conflict, store_failed)


@dataclass(frozen=True)
class Answer:
    """What a browser got.

    :param value: what the view returned.
    :param token: of the cookie that was set, if one was; or of the header.
    """

    response: Any
    value: Any
    token: str | None
    forgets: bool

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def says_nothing(self) -> bool:
        """Whether the answer tells of no token, neither to keep nor to drop."""
        return self.token is None and not self.forgets


@dataclass(frozen=True)
class Seen:
    """What a token opens. ``NOBODY`` is an anonymous visitor with nothing."""

    user: str | None = None
    data: Mapping[str, Any] | None = None


NOBODY = Seen()


class Site:
    """An application, and every token that it ever sent.

    :param in_cookies: sessions lie in the browser, and the store knows which of them count.
    :param by_header: tokens travel in ``X-Session-Token``, and in no cookie.
    :param config: settings in place of the defaults here.
    """

    def __init__(
        self, store: Store, clock: FrozenClock, *, in_cookies: bool = False, by_header: bool = False, **config: Any
    ) -> None:
        self.app = app = Flask("flows")
        app.config.update(SECRET_KEY=SECRET, TESTING=True, PROPAGATE_EXCEPTIONS=False)
        if in_cookies:
            app.config.update(SESSIONKIT_STORE="cookie:", SESSIONKIT_REVOCATION_STORE=store)
        if by_header:
            app.config.update(SESSIONKIT_TRANSPORT="header")
        app.config.update(config)
        self.by_header = by_header
        self.varies_by = "X-Session-Token" if by_header else "Cookie"
        self.kit = SessionKit(app, store=None if in_cookies else store, clock=clock)
        if Capability.INDEX_BEST_EFFORT in store.capabilities:
            self.kit.user_stamp(lambda user: "as ever")  # without one it does not let a user be revoked
        self.store, self.clock = store, clock
        self.handed_out: list[str] = []
        self._lock = threading.Lock()

        def do() -> Any:
            answer = request.environ["flow.view"]()
            request.environ["flow.values"].append(answer)
            return answer if isinstance(answer, Response | tuple) else "done"

        app.add_url_rule("/do", "do", do, methods=["GET", "POST"])
        app.add_url_rule("/passive", "passive", passive(lambda: do()), methods=["GET", "POST"])

    def ask(
        self,
        token: str | None,
        view: View,
        *,
        status: int | tuple[int, ...] = 200,
        method: str = "POST",
        path: str = "/do",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request with a token, run a function as its view, and note the token that comes back."""
        values: list[Any] = []
        response = self.app.test_client(use_cookies=False).open(
            path,
            method=method,
            headers={**(headers or {}), **(self._carried(token) if token else {})},
            environ_overrides={"flow.view": view, "flow.values": values},
            buffered=True,
        )
        sent = self._sent(response)
        answer = Answer(response, values[-1] if values else None, sent or None, forgets=sent == "")
        if answer.token:
            with self._lock:
                self.handed_out.append(answer.token)
        wanted = status if isinstance(status, tuple) else (status,)
        assert answer.status in wanted, f"{answer.status} in place of {status}: {response.get_data(as_text=True)}"
        return answer

    def _carried(self, token: str) -> dict[str, str]:
        return {"X-Session-Token": token} if self.by_header else {"Cookie": f"session={token}"}

    def _sent(self, response: Any) -> str | None:
        """Return the token that a response sends, empty where it is to be dropped, or ``None`` if it says nothing."""
        set_cookies = [text for text in response.headers.getlist("Set-Cookie") if text.startswith("session=")]
        if self.by_header:
            assert not set_cookies
            assert len(response.headers.getlist("X-Session-Token")) <= 1
            return response.headers.get("X-Session-Token")
        assert "X-Session-Token" not in response.headers
        assert len(set_cookies) <= 1, "RFC 6265bis, 4.1.1: at most one Set-Cookie of a name"
        return set_cookies[0].partition(";")[0].removeprefix("session=") if set_cookies else None

    def token(self, view: View, token: str | None = None) -> str:
        """Run a view that has to send a new token, and return that."""
        answer = self.ask(token, view)
        assert answer.token is not None, "no cookie was sent"
        return answer.token

    def seen(self, token: str | None) -> Seen:
        """Replay a token: what a browser that kept it is served."""
        return self.ask(token, look).value  # type: ignore[no-any-return]  # what a view returns is not typed

    def served(self) -> list[Seen]:
        """Replay every token ever handed out, and return what those that open anything open."""
        return [seen for token in dict.fromkeys(self.handed_out) if (seen := self.seen(token)) != NOBODY]

    def dead(self, *tokens: str) -> bool:
        """Return whether none of these opens anything."""
        return all(self.seen(token) == NOBODY for token in tokens)

    @property
    def backend(self) -> ServerBackend:
        return self.app.session_interface.backend(self.app)  # type: ignore[attr-defined,no-any-return]

    def live_records(self) -> list[Contents]:
        """Return the live sessions in the store, whoever may open them; unreadable ones are an error."""
        now = self.clock.now()
        found = [self.backend.load_key(key, now=now) for key in keys_in(self.store)]
        assert all(one and one.contents for one in found), "an unreadable record"
        live = [one.contents for one in found if one and one.record.expires_at > now]
        return [contents for contents in live if contents and contents.kind is Kind.LIVE]

    def purge(self) -> int:
        """Let go of what has ended, as the command does, or the server by itself when its time to live is over."""
        if Capability.PURGE in self.store.capabilities:
            return self.outside(self.kit.purge)  # type: ignore[no-any-return]  # of any call
        now = self.clock.now()
        found = [self.store.load(key, now=now) for key in keys_in(self.store)]
        return sum(self.store.delete(one.key) for one in found if one and one.expires_at < now - GRACE)

    def outside(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the kit without a request, as a command or a worker does."""
        with self.app.app_context():
            return call(*args, **kwargs)

    @contextmanager
    def events(self) -> Any:
        """Collect the signals that are sent meanwhile, as their name and what they told."""
        heard: list[tuple[str, dict[str, Any]]] = []
        receivers = []
        for signal in SIGNALS:

            def hear(sender: Any, _name: str = signal.name, **told: Any) -> None:
                heard.append((_name.replace("-", "_"), told))

            signal.connect(hear, sender=self.app)
            receivers.append((signal, hear))
        try:
            yield heard
        finally:
            for signal, hear in receivers:
                signal.disconnect(hear, sender=self.app)


def pausing(site: Site) -> PausingStore:
    assert isinstance(site.store, PausingStore)
    return site.store


# Views. What they return is ``Answer.value``.


def costs(site: Site, token: str | None, view: View, **how: Any) -> dict[str, int]:
    """Return the calls of the store that a request makes."""
    pausing(site).reset()
    site.ask(token, view, **how)
    return dict(pausing(site).counts)


@contextmanager
def stopped(
    site: Site, token: str | None, view: View, at: Call, *, nth: int = 1, after: bool = False, **how: Any
) -> Iterator[Running[Answer]]:
    """Let a request run until its nth such call, or until that is done; it goes on when the block ends."""
    gap = (pausing(site).pause_after if after else pausing(site).pause_before)(at, nth=nth)
    running = in_thread(site.ask, token, view, **how)
    with gap:
        yield running
    with suppress(BaseException):  # result() will raise it again
        running.result()


def look() -> Seen:
    user, data = current_user_id(), dict(session)
    return Seen(user, data) if user or data else NOBODY


def still() -> str:
    """Do not look at the session."""
    return "still"


def ended_because() -> Any:
    return session.ended_because  # type: ignore[attr-defined]  # ours


def put(**values: Any) -> View:
    return lambda: session.update(values)


def append(key: str, value: Any) -> View:
    """Change a list inside the session, which nothing but a look at the end can notice."""
    return lambda: session[key].append(value)


def drop(*keys: str) -> View:
    return lambda: [session.pop(key, None) for key in keys]


def wipe() -> None:
    session.clear()


def renew() -> None:
    session.regenerate()


def login(user: str, **given: Any) -> View:
    return lambda: login_user(user, **given)


def logout() -> None:
    logout_user()


def end_by_identity() -> None:
    """Log out as Flask-Login does: its own keys go, the rest stays."""
    session.pop("_user_id", None)
    session.pop("_fresh", None)


def identify(user: str) -> View:
    """Log in as Flask-Login does."""
    return put(_user_id=user, _fresh=True)


def bump(key: str = "n") -> View:
    """Add 1, at once."""

    def add(current: Any) -> int:
        current[key] = current.get(key, 0) + 1
        return current[key]

    return lambda: session.atomic(add)


def both(*views: View) -> View:
    """Run several views in one request."""

    def run() -> Any:
        answers = [view() for view in views]
        return answers[-1]

    return run


def failing(*views: View) -> View:
    """Run views, then answer 500 by an error of the application."""

    def run() -> Any:
        for view in views:
            view()
        raise LookupError("the view failed, as the test wanted")

    return run


def remembered(user: str) -> View:
    """Come back by a remember cookie, as Flask-Login does."""
    return put(_user_id=user, _fresh=False)


def make_permanent() -> None:
    session.permanent = True
