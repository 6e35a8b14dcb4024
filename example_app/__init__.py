"""A small tea shop that shows what Flask-SessionKit does, one thing a view.

flask --app example_app run --debug
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_wtf import CSRFProtect

from flask_sessionkit import SessionKit
from flask_sessionkit.devices import devices_blueprint

from . import (
    account,
    accounts,
    administration,
    changing_password,
    closing,
    counting,
    inside,
    pages,
    people,
    secret,
    shop,
    signing_up,
    staying,
)

if TYPE_CHECKING:
    from flask_sessionkit.clock import Clock


def create_app(
    config: Mapping[str, Any] | None = None, *, clock: Clock | None = None, instance_path: str | None = None
) -> Flask:
    """Return the shop.

    Settings come from here, then from the environment (``FLASK_SESSIONKIT_STORE=memory:``), then from ``config``.
    Without a secret one is made, and kept in the instance folder, as are the people who signed up.

    :param clock: for tests, which let time pass without waiting.
    :param instance_path: the folder of all that the shop keeps; ``instance`` beside this package if not given.
    """
    app = Flask(__name__, instance_path=instance_path)
    app.config.from_mapping(
        SESSIONKIT_LOGIN_VIEW="accounts.log_in",
        # The library's own defaults, named here because the page about the session counts them down.
        SESSIONKIT_IDLE_TIMEOUT=timedelta(minutes=30),
        SESSIONKIT_ABSOLUTE_TIMEOUT=timedelta(hours=12),
        SESSIONKIT_FRESH_TIMEOUT=timedelta(minutes=15),
        SESSIONKIT_REMEMBER_TIMEOUT=timedelta(days=30),
        # The token of a form lasts as long as its session: who stays signed in by a page of this morning may.
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    if app.config.get("SESSIONKIT_STORE") == "cookie:":
        # Which of them count, so that a logout is one; null in the environment is for going without.
        app.config.setdefault("SESSIONKIT_REVOCATION_STORE", "file:")
    if not app.secret_key:
        app.secret_key = secret.kept_in(Path(app.instance_path))

    everybody = people.People(Path(app.instance_path) / "people.db")
    kit = SessionKit(app, clock=clock)
    kit.user_stamp(everybody.stamp_of)
    CSRFProtect(app)
    with app.app_context():
        counting.count(kit.store)

    app.extensions["people"] = everybody
    app.extensions["now"] = clock.now if clock else time.time
    for room in (shop, accounts, signing_up, account, changing_password, closing, administration, staying, inside):
        app.register_blueprint(room.blueprint)
    app.register_blueprint(devices_blueprint())
    pages.dress(app)
    return app
