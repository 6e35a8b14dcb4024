"""What an application's sessions are worth as it is set up: ``flask sessions check``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from .cookie_policy import cookie_faults
from .errors import StoreError
from .interface import SessionKitInterface
from .secret_keys import fit_secrets
from .stores.base import Capability

if TYPE_CHECKING:
    from flask import Flask

#: Names that Flask gives to many applications.
_USUAL_NAMES = frozenset({"app", "__main__", "wsgi", "main", "application"})


class Mark(StrEnum):
    """How a point is judged."""

    OK = "ok"
    #: Works, and says what it does not do.
    NOTE = "note"
    #: Unsafe in a deployment.
    FAULT = "fault"


class Finding(Struct, frozen=True):
    """One point of a check.

    :param about: the setting, or what stands behind it.
    :param text: what was found, with the mend of a fault.
    """

    mark: Mark
    about: str
    text: str


def findings(app: Flask, *, has_stamp: bool) -> list[Finding]:
    """Judge an application as for a deployment, whether it runs in debug or not. Asks its store once."""
    site = app.session_interface
    if not isinstance(site, SessionKitInterface):
        return [Finding(Mark.FAULT, "SessionKit", "The sessions are not this library's. Call SessionKit(app).")]
    return [*_of_secrets(app), *_of_names(app, site), *_of_transport(app, site), *_of_store(site, has_stamp=has_stamp)]


def _of_secrets(app: Flask) -> Iterator[Finding]:
    if not app.secret_key:
        yield Finding(
            Mark.FAULT, "SECRET_KEY", "Not set, so there are no sessions. Make one: flask sessions generate-key."
        )
        return
    problems = fit_secrets(app.secret_key, app.config.get("SECRET_KEY_FALLBACKS"), may_be_weak=False)[1]
    for problem in problems:
        yield _fault(problem)
    if not problems:
        yield Finding(
            Mark.OK,
            "SECRET_KEY",
            f"Fit to seal with; fallbacks that open: {len(app.config.get('SECRET_KEY_FALLBACKS') or ())}.",
        )


def _fault(said: str) -> Finding:
    """Return a fault of which the first word is the setting."""
    about, _, text = said.partition(" ")
    return Finding(Mark.FAULT, about, text)


def _of_names(app: Flask, site: SessionKitInterface) -> Iterator[Finding]:
    if site.settings.app_id in _USUAL_NAMES and "SESSIONKIT_APP_ID" not in site.settings.given:
        yield Finding(
            Mark.FAULT,
            "SESSIONKIT_APP_ID",
            f"It is {app.name!r} by default, as of many applications: two of them on one secret and store would open "
            "each other's sessions. Set it to a name of your own.",
        )
    else:
        yield Finding(Mark.OK, "SESSIONKIT_APP_ID", f"{site.settings.app_id!r} keeps this application apart.")


def _of_transport(app: Flask, site: SessionKitInterface) -> Iterator[Finding]:
    header = site.settings.header_name
    if site.settings.transport == "header":
        yield Finding(Mark.OK, "SESSIONKIT_TRANSPORT", f"Tokens travel in {header}; no cookie is set.")
        return
    if site.settings.transport == "both":
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_TRANSPORT",
            f"A request without {header} goes by its cookie, and needs a CSRF token as any other.",
        )
    yield from _of_cookie(app, site)


def _of_cookie(app: Flask, site: SessionKitInterface) -> Iterator[Finding]:
    faults = cookie_faults(app.config, is_secure=site.settings.secure_cookie)
    for fault in faults:
        yield _fault(fault)
    if not site.settings.secure_cookie:
        yield Finding(
            Mark.FAULT,
            "SESSIONKIT_SECURE_COOKIE",
            "Off: the cookie travels without TLS too, where anybody on the way can take it. Remove the setting.",
        )
    elif app.debug or app.testing:
        yield Finding(Mark.NOTE, "SESSIONKIT_SECURE_COOKIE", "On, but not in debug and testing, as now.")
    elif not faults:
        yield Finding(Mark.OK, "SESSIONKIT_SECURE_COOKIE", f"{site.get_cookie_name(app)}, over TLS only.")


def _of_store(site: SessionKitInterface, *, has_stamp: bool) -> Iterator[Finding]:
    name = "SESSIONKIT_REVOCATION_STORE" if site.is_client_kind else "SESSIONKIT_STORE"
    if site.is_client_kind:
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_STORE",
            "cookie: keeps sessions in the browser. Older copies of a live session's cookie stay valid, so no counters "
            "and one-time codes belong into it.",
        )
    if site.store is None:
        yield Finding(
            Mark.FAULT,
            name,
            "None: a logout clears one browser only. A cookie that was copied before stays signed in until it expires, "
            "and nobody can end it. Set it to the URL of a durable store.",
        )
        return
    kind, able = type(site.store).__name__, site.store.capabilities
    try:
        site.store.load(secrets.token_hex(32), now=site.clock.now())
    except StoreError as error:
        yield Finding(Mark.FAULT, name, f"{kind} cannot answer: {error}")
    else:
        yield Finding(Mark.OK, name, f"{kind} answers a read; a write was not tried.")
    if not site.is_client_kind and not site.settings.encrypt_records:
        yield Finding(
            Mark.NOTE, "SESSIONKIT_ENCRYPT_RECORDS", "Off: who may read the store reads the data of sessions."
        )
    if Capability.DURABLE not in able and site.is_client_kind:
        yield Finding(
            Mark.FAULT, name, f"{kind} forgets, and nothing starts with it but debug and testing. Name another."
        )
    elif Capability.DURABLE not in able:
        yield Finding(Mark.NOTE, name, f"{kind} forgets: a restart ends sessions.")
    if Capability.SHARED not in able:
        yield Finding(Mark.NOTE, name, f"{kind} is for one machine: servers elsewhere see other sessions.")
    if Capability.INDEX_BEST_EFFORT in able and not has_stamp and not site.is_client_kind:
        yield Finding(
            Mark.FAULT,
            name,
            f"{kind} may forget which sessions a user has, so revoke_user() and a logout everywhere raise. "
            "Register @kit.user_stamp.",
        )
    if Capability.PURGE in able:
        yield Finding(Mark.NOTE, name, "What has expired stays until flask sessions purge removes it. Run it daily.")
