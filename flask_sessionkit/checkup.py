"""What an application's sessions are worth as it is set up: ``flask sessions check``."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from werkzeug.middleware.proxy_fix import ProxyFix

from .cookie_policy import cookie_faults
from .errors import StoreError
from .findings import Finding, Mark
from .interface import SessionKitInterface
from .sealing import OVERHEAD_ENCRYPTED
from .secret_keys import fit_secrets
from .standings import MOST_LIVE
from .stores.base import Capability, Judges, Store
from .stores.migrating import MigratingStore

if TYPE_CHECKING:
    from flask import Flask

#: Seconds, at most, at authenticator assurance level 2 (NIST SP 800-63B-4).
_LONGEST_IDLE = 3600.0
_LONGEST = 86_400.0
#: Bytes of what is known of one user with sessions in browsers; see ``revocations``.
_LARGEST_STANDING = 128 * 1024
#: Layers of middleware that are looked through, and where they keep what they wrap.
_MOST_LAYERS = 20
_INSIDE = ("app", "wsgi_app", "application", "_app")
#: Names that Flask gives to many applications.
_USUAL_NAMES = frozenset({"app", "__main__", "wsgi", "main", "application"})


def findings(app: Flask, *, has_stamp: bool) -> list[Finding]:
    """Judge an application as for a deployment, whether it runs in debug or not. Asks its store."""
    site = app.session_interface
    if not isinstance(site, SessionKitInterface):
        return [Finding(Mark.FAULT, "SessionKit", "The sessions are not this library's. Call SessionKit(app).")]
    return [
        *_of_secrets(app),
        *_of_names(app, site),
        *_of_transport(app, site),
        *_of_timeouts(site),
        *_of_renewal(site),
        *_of_limit(site),
        *_of_taking_over(app, site),
        *_of_login_view(app, site),
        *_of_proxy(app),
        *_of_store(site, has_stamp=has_stamp),
    ]


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
    if domain := app.config["SESSION_COOKIE_DOMAIN"]:
        yield Finding(
            Mark.NOTE,
            "SESSION_COOKIE_DOMAIN",
            f"{domain!r}: every host below it is sent the cookie, and can put another in its place. Leave it out "
            "unless they share these sessions.",
        )
    if str(app.config["SESSION_COOKIE_SAMESITE"] or "").lower() == "none":
        yield Finding(
            Mark.NOTE,
            "SESSION_COOKIE_SAMESITE",
            "'None': what other sites send carries the cookie, so that each view that changes anything needs a CSRF "
            "token.",
        )


def _of_timeouts(site: SessionKitInterface) -> Iterator[Finding]:
    timeouts = site.settings.timeouts
    is_short = True
    for name, seconds, most, limit in (
        ("IDLE_TIMEOUT", timeouts.idle, _LONGEST_IDLE, "an hour"),
        ("ABSOLUTE_TIMEOUT", timeouts.absolute, _LONGEST, "a day"),
    ):
        if seconds > most:
            is_short = False
            yield Finding(
                Mark.NOTE,
                f"SESSIONKIT_{name}",
                f"{timedelta(seconds=seconds)}: NIST SP 800-63B-4 asks for {limit} at most at AAL2. Who finds a "
                "browser open, or has a token, has that long.",
            )
    if is_short:
        yield Finding(
            Mark.OK,
            "SESSIONKIT_IDLE_TIMEOUT",
            f"Sessions end after {timedelta(seconds=timeouts.idle)} without activity, and "
            f"{timedelta(seconds=timeouts.absolute)} after the login.",
        )


def _of_renewal(site: SessionKitInterface) -> Iterator[Finding]:
    every, timeouts = site.settings.rotate_every, site.settings.timeouts
    if every is None:
        return
    if every >= max(timeouts.absolute, timeouts.remember):
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_ROTATE_EVERY",
            f"{timedelta(seconds=every)}: no session lives that long, so no token is ever renewed. Shorten it.",
        )
    else:
        yield Finding(
            Mark.OK,
            "SESSIONKIT_ROTATE_EVERY",
            f"A live session's token is renewed after {timedelta(seconds=every)}.",
        )


def _of_limit(site: SessionKitInterface) -> Iterator[Finding]:
    most = site.settings.max_sessions
    if most is None:
        return
    knows_all = site.is_client_kind or site.store is None or Capability.INDEX in site.store.capabilities
    if site.is_client_kind and most > MOST_LIVE:
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_MAX_SESSIONS_PER_USER",
            f"{most}: {MOST_LIVE} at most with cookie:, whatever the setting; older logins than these end.",
        )
    elif knows_all:
        yield Finding(Mark.OK, "SESSIONKIT_MAX_SESSIONS_PER_USER", f"{most}: older logins end.")
    else:
        yield Finding(
            Mark.NOTE,
            "SESSIONKIT_MAX_SESSIONS_PER_USER",
            f"{most}, of those that the store lists: it may forget some, which then live beside the others.",
        )


def _of_taking_over(app: Flask, site: SessionKitInterface) -> Iterator[Finding]:
    name, store = "SESSIONKIT_TAKE_OVER", site.store
    if isinstance(store, MigratingStore):
        yield Finding(
            Mark.NOTE,
            name,
            f"What {type(store.new).__name__} does not know is looked for in {type(store.old).__name__}, a trip more "
            "for each token that leads nowhere. Where that is the store to come, swap the two when every server knows "
            "both. Where it is the one to leave, run flask sessions copy; when that moves nothing any more, remove the "
            "setting.",
        )
    if not site.predecessors:
        return
    if "flask" in site.settings.take_over:
        yield Finding(
            Mark.NOTE,
            name,
            "'flask': a cookie that Flask signed opens a session here, once, and no revocation reaches it before. "
            f"Remove the setting {app.permanent_session_lifetime} (PERMANENT_SESSION_LIFETIME) after the last server "
            "without SessionKit was stopped.",
        )
    if "cookie:" in site.settings.take_over:
        longest = max(site.settings.timeouts.absolute, site.settings.timeouts.remember)
        yield Finding(
            Mark.NOTE,
            name,
            "'cookie:': a session that lies in a browser is brought here once. Remove the setting, and "
            f"SESSIONKIT_REVOCATION_STORE, {timedelta(seconds=longest)} (the longer of SESSIONKIT_ABSOLUTE_TIMEOUT and "
            "SESSIONKIT_REMEMBER_TIMEOUT) after the last server with SESSIONKIT_STORE = 'cookie:' was stopped.",
        )
    if store is not None and Capability.DURABLE not in store.capabilities:
        yield Finding(
            Mark.NOTE,
            name,
            f"{type(store).__name__} forgets what was taken over: after a restart a cookie of before opens a session "
            "that was ended. Name a durable store.",
        )


def _of_login_view(app: Flask, site: SessionKitInterface) -> Iterator[Finding]:
    endpoint = site.settings.login_view
    if endpoint is None:
        if site.settings.transport != "header":  # where nobody is ever sent to a page
            yield Finding(
                Mark.NOTE,
                "SESSIONKIT_LOGIN_VIEW",
                "Not set, so pages for users answer 401. Set it to the endpoint of your login.",
            )
    elif all(rule.endpoint != endpoint for rule in app.url_map.iter_rules()):
        yield Finding(
            Mark.FAULT,
            "SESSIONKIT_LOGIN_VIEW",
            f"{endpoint!r} is no endpoint, so who is not signed in gets a 500. That of a view in a blueprint begins "
            'with the blueprint\'s name: "accounts.login".',
        )


def _of_proxy(app: Flask) -> Iterator[Finding]:
    layer: object = app.wsgi_app
    for _ in range(_MOST_LAYERS):
        if layer is None or isinstance(layer, ProxyFix):
            break
        layer = next((inner for name in _INSIDE if (inner := getattr(layer, name, None)) is not None), None)
    if not isinstance(layer, ProxyFix):
        yield Finding(
            Mark.NOTE,
            "ProxyFix",
            "Not there, which is right where browsers reach this server themselves. Behind a proxy everybody has the "
            "proxy's address in the list of devices, and TLS is not seen: wrap app.wsgi_app in werkzeug's ProxyFix, "
            "with the number of proxies.",
        )
    elif layer.x_for and not layer.x_proto:
        yield Finding(
            Mark.NOTE,
            "ProxyFix",
            "It believes the proxy's word for the address and not for the scheme, so TLS is not seen. Set x_proto too.",
        )
    else:
        yield Finding(
            Mark.OK,
            "ProxyFix",
            f"It believes {layer.x_for} proxies for the address and {layer.x_proto} for the scheme. With more than "
            "there are, clients could invent both.",
        )


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
    yield from _of_answer(site, site.store, name)
    if not site.is_client_kind and not site.settings.encrypt_records:
        yield Finding(
            Mark.NOTE, "SESSIONKIT_ENCRYPT_RECORDS", "Off: who may read the store reads the data of sessions."
        )
    yield from _of_capabilities(site, site.store, name, has_stamp=has_stamp)


def _of_answer(site: SessionKitInterface, store: Store, name: str) -> Iterator[Finding]:
    kind = type(store).__name__
    try:
        store.load(secrets.token_hex(32), now=site.clock.now())
    except StoreError as error:
        yield Finding(Mark.FAULT, name, f"{kind} cannot answer: {error}")
    else:
        yield Finding(Mark.OK, name, f"{kind} answers a read; a write was not tried.")
        yield from _by_the_store(site, store, name)


def _by_the_store(site: SessionKitInterface, store: Store, name: str) -> Iterator[Finding]:
    """Let a store say what it knows of its server, folder or file."""
    if not isinstance(store, Judges):
        return
    largest = _LARGEST_STANDING if site.is_client_kind else site.settings.max_size + OVERHEAD_ENCRYPTED
    try:
        for mark, text in store.judge(now=site.clock.now(), largest=largest):
            yield Finding(mark, name, text)
    except StoreError as error:
        yield Finding(Mark.FAULT, name, f"{type(store).__name__} cannot be judged: {error}")


def _of_capabilities(site: SessionKitInterface, store: Store, name: str, *, has_stamp: bool) -> Iterator[Finding]:
    kind, able = type(store).__name__, store.capabilities
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
