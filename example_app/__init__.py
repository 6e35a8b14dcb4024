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

from . import accounts, inside, pages, people, secret, shop

if TYPE_CHECKING:
    from flask_sessionkit.clock import Clock


def create_app(
    config: Mapping[str, Any] | None = None, *, clock: Clock | None = None, instance_path: str | None = None
) -> Flask:
    """Return the shop.

    Settings come from here, then from the environment (``FLASK_SESSIONKIT_STORE=memory:``), then from ``config``.
    Without a secret one is made, and kept in the instance folder.

    :param clock: for tests, which let time pass without waiting.
    :param instance_path: the folder of the sessions and the secret; ``instance`` beside this package if not given.
    """
    app = Flask(__name__, instance_path=instance_path)
    app.config.from_mapping(
        SESSIONKIT_LOGIN_VIEW="accounts.log_in",
        # The library's own defaults, named here because the page about the session counts them down.
        SESSIONKIT_IDLE_TIMEOUT=timedelta(minutes=30),
        SESSIONKIT_ABSOLUTE_TIMEOUT=timedelta(hours=12),
        SESSIONKIT_FRESH_TIMEOUT=timedelta(minutes=15),
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    if not app.secret_key:
        app.secret_key = secret.kept_in(Path(app.instance_path))

    kit = SessionKit(app, clock=clock)
    kit.user_stamp(people.stamp_of)
    CSRFProtect(app)

    app.extensions["now"] = clock.now if clock else time.time
    app.register_blueprint(shop.blueprint)
    app.register_blueprint(accounts.blueprint)
    app.register_blueprint(inside.blueprint)
    pages.dress(app)
    return app
