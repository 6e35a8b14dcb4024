"""Our own sessions of ``cookie:``, which lie sealed in the browser, as predecessors of those in a store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .client_backend import ClientBackend
from .clock import Clock
from .config import Settings
from .contents import Contents, Kind
from .cookie_policy import CookiePolicy
from .predecessors import Former, PredecessorOf
from .reasons import Reason
from .record import Outcome
from .revocations import Revocations
from .sealing import KeyRing
from .secret_keys import fit_secrets
from .stores.base import Store
from .transport import Cookie

if TYPE_CHECKING:
    from flask import Flask


def sealed_cookies(settings: Settings, store: Store | None, clock: Clock) -> PredecessorOf:
    """Return what gives an application its sessions of before, when ``SESSIONKIT_STORE`` was ``"cookie:"``.

    :param store: what ``SESSIONKIT_REVOCATION_STORE`` named, and names still.
    """
    return partial(SealedCookie, settings=settings, store=store, clock=clock)


class SealedCookie:
    """The sessions that are sealed into the browser's cookie."""

    #: Each is sealed with random bytes.
    has_random_tokens = True
    _made: ClientBackend | None = None

    def __init__(self, app: Flask, *, settings: Settings, store: Store | None, clock: Clock) -> None:
        self._app = app
        self._settings = settings
        self._store = store
        self._clock = clock

    @property
    def cookie(self) -> Cookie:
        """The cookie, under the same name and attributes as that of a token."""
        return CookiePolicy(is_secure=self._settings.secure_cookie).cookie(self._app)

    def name(self, token: str) -> str | None:
        """Return the name of a session, whichever of its cookies this is; ``None`` where it is sealed by nobody of us.

        So with one that has ended by its own limits: there is no need to ask a store about it.
        """
        found = self._backend.opened(token) if self._backend.could_be(token) else None
        if found is None or found.contents is None or self._clock.now() >= found.record.expires_at:
            return None
        return f"cookie:{found.contents.lineage.hex()}"

    def load(self, token: str, *, now: float) -> Former | None:
        """Return a session; of a user's, if it counts where the user's sessions are known.

        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        found = self._backend.load(token, now=now, touch_every=None, touch_within=0.0)
        if found is None or found.contents is None or found.contents.kind is not Kind.LIVE:
            return None
        return Former(until=self._ends_at(found.contents), contents=found.contents, seen_at=found.record.seen_at)

    def retire(self, token: str, *, now: float) -> bool:
        """End a user's session where the user's sessions are known; of others nothing is kept.

        :raises StoreError: it is a user's, and the revocation store cannot answer.
        """
        found = self._backend.load(token, now=now, touch_every=None, touch_within=0.0)
        if found is None or found.contents is None or found.contents.kind is not Kind.LIVE:
            return False
        return self._backend.end(found, Reason.REPLACED, now=now).outcome is Outcome.OK

    @property
    def _backend(self) -> ClientBackend:
        if self._made is None:
            secrets, _ = fit_secrets(
                self._app.secret_key, self._app.config.get("SECRET_KEY_FALLBACKS"), may_be_weak=True
            )
            name = CookiePolicy(is_secure=self._settings.secure_cookie).get_cookie_name(self._app)
            ring = KeyRing(secrets, app_id=self._settings.app_id, cookie_name=name)
            known = None if self._store is None else Revocations(self._store, ring, self._clock)
            self._made = ClientBackend(ring, known, room=0)
        return self._made

    def _ends_at(self, contents: Contents) -> float:
        """Return when the last cookie of a session ends, the one of a browser that it was made permanent in too."""
        timeouts = self._settings.timeouts
        return max(contents.absolute_at, contents.started_at + max(timeouts.absolute, timeouts.remember))
