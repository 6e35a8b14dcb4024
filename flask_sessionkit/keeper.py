"""What keeps an application's sessions: a backend behind its secrets of this moment, and what it knows of them all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .backends import Backend
from .census import Census, census, samples_of_records, samples_of_standings
from .circumstances import limits_of
from .client_backend import ClientBackend
from .client_roster import ClientRoster
from .clock import Clock
from .config import Settings, set_too_late
from .cookie_policy import CookiePolicy
from .discreet import DiscreetStruct
from .errors import ConfigError
from .reasons import Reason
from .revocations import Revocations
from .roster import Roster
from .sealing import KeyRing
from .secret_keys import fit_secrets
from .server_backend import ServerBackend
from .server_roster import ServerRoster
from .signals import session_ended
from .stores.base import Capability, Store

if TYPE_CHECKING:
    from flask import Flask

_log = logging.getLogger("flask_sessionkit")

#: Names of a cookie whose keys are kept.
_MOST_NAMES = 16


class Keeper:
    """Makes the backend of an application's sessions, and makes it anew where its secrets changed.

    Secrets are looked up at each request, as Flask does: applications set them late.

    :param policy: tells of the cookie, in which sessions of the client kind have to find room.
    :param store: of sessions in the browser it knows which of them count, or there is none.
    :param stamp_of: gives the function that ``user_stamp`` registered, or ``None``.
    """

    def __init__(
        self,
        policy: CookiePolicy,
        settings: Settings,
        store: Store | None,
        clock: Clock,
        stamp_of: Callable[[], Callable[[str], str | None] | None],
        *,
        is_client_kind: bool,
    ) -> None:
        self.store = store
        self.clock = clock
        self.is_client_kind = is_client_kind
        self._policy = policy
        self._settings = settings
        self._stamp_of = stamp_of
        #: By the cookie's name, which some applications choose by the request.
        self._kept: dict[str, _Keyed] = {}

    def backend(self, app: Flask) -> Backend:
        """Return what keeps sessions behind the seal of the application's secrets of this moment.

        :raises ConfigError: a secret is weak or of the wrong type.
        """
        return self._keyed(app).backend

    def roster(self, app: Flask) -> Roster:
        """Return the list of who is signed in where."""
        keyed = self._keyed(app)
        ring, backend = keyed.ring, keyed.backend
        tell = partial(_tell_end, app)
        if isinstance(backend, ServerBackend):
            return ServerRoster(backend, self.clock, tell, has_stamp=self._stamp_of() is not None)
        return ClientRoster(ring, self._revocations(ring), self.clock, tell)

    def census(self, app: Flask) -> Census | None:
        """Return how many sessions there are; ``None`` if that cannot be known. Walks through the whole store.

        :raises StoreError: the store cannot answer.
        """
        keyed = self._keyed(app)
        ring, backend = keyed.ring, keyed.backend
        now = self.clock.now()
        if isinstance(backend, ServerBackend):
            permanent_idle = app.permanent_session_lifetime.total_seconds()
            limits = partial(limits_of, self._settings.timeouts, permanent_idle=permanent_idle)
            samples = samples_of_records(backend, now=now, limits=limits)
        else:
            revocations = self._revocations(ring)
            samples = None if revocations is None else samples_of_standings(revocations, now=now)
        return None if samples is None else census(samples)

    def _keyed(self, app: Flask) -> _Keyed:
        is_strict = not (self._settings.allow_weak_secret or app.config["DEBUG"] or app.config["TESTING"])
        depends_on = _DependsOn(
            app.secret_key,
            _frozen(app.config.get("SECRET_KEY_FALLBACKS")),
            is_strict,
            self._policy.cookie_settings(app) if self.is_client_kind else None,
        )
        name = self._policy.get_cookie_name(app) if self.is_client_kind else ""
        keyed = self._kept.get(name)
        if keyed is not None and keyed.depends_on == depends_on:
            return keyed
        ring = self._ring(app, name, is_strict=is_strict)
        if not self._kept:
            self._advise(app, is_strict=is_strict)
        if len(self._kept) >= _MOST_NAMES:
            self._kept.clear()
        self._kept[name] = keyed = _Keyed(depends_on, ring, self._backend(app, ring))
        return keyed

    def _ring(self, app: Flask, name: str, *, is_strict: bool) -> KeyRing:
        # No variable holds a secret that is refused: reporters of errors show them.
        secrets, problems = fit_secrets(
            app.secret_key, app.config.get("SECRET_KEY_FALLBACKS"), may_be_weak=not is_strict
        )
        if problems:
            raise ConfigError("\n".join(problems))
        return KeyRing(secrets, app_id=self._settings.app_id, cookie_name=name)

    def _backend(self, app: Flask, ring: KeyRing) -> Backend:
        if self.is_client_kind or self.store is None:
            room = self._policy.cookie(app).room()
            return ClientBackend(ring, self._revocations(ring), room=room)
        return ServerBackend(
            self.store,
            ring,
            app_id=self._settings.app_id,
            max_size=self._settings.max_size,
            encrypts=self._settings.encrypt_records,
        )

    def _revocations(self, ring: KeyRing) -> Revocations | None:
        return None if self.store is None else Revocations(self.store, ring, self.clock)

    def _advise(self, app: Flask, *, is_strict: bool) -> None:
        if late := set_too_late(self._settings, app.config):
            _log.warning("SessionKit(app) had read the settings before %s. Set it earlier.", ", ".join(late))
        if is_strict:
            self._advise_on_store()

    def _advise_on_store(self) -> None:
        if self.store is None:
            _log.warning(
                "SESSIONKIT_REVOCATION_STORE is None: a logout clears one browser, and a cookie that was copied stays "
                "valid until it expires."
            )
            return
        able = self.store.capabilities
        if not able & (Capability.DURABLE | Capability.SHARED):
            _log.warning(
                "Sessions end with this process, and no other sees them. Set SESSIONKIT_STORE to a durable store."
            )
        if Capability.INDEX_BEST_EFFORT in able and self._stamp_of() is None and not self.is_client_kind:
            _log.warning(
                "This store may forget which sessions a user has, so revoke_user() and a logout everywhere raise an "
                "error. Register @kit.user_stamp."
            )


class _DependsOn(DiscreetStruct, frozen=True):
    """What the keys of an application depend on, as it was when they were made."""

    secret: object
    fallbacks: object
    is_strict: bool
    cookie: tuple[object, ...] | None

    def __repr__(self) -> str:
        return "<_DependsOn>"


class _Keyed(DiscreetStruct, frozen=True):
    """A backend, its keys, and what both were made of."""

    depends_on: _DependsOn
    ring: KeyRing
    backend: Backend

    def __repr__(self) -> str:
        return "<_Keyed>"


def _frozen(fallbacks: object) -> object:
    return tuple(fallbacks) if isinstance(fallbacks, list) else fallbacks


def _tell_end(app: Flask, reason: Reason, user: str | None) -> None:
    session_ended.send(app, reason=reason.value, user_id=user)
