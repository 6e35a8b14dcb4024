"""The examples of Flask-Session's documentation, moved by their one import line with a live session kept.

Its quickstart has an application with ``/set/`` and ``/get/`` on Redis; its configuration pages have a client of one's
own, and Flask-SQLAlchemy. None has a ``SECRET_KEY``, which is needed here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import PostgreSQLServer, RedisServer

from flask_sessionkit.testing import client_of

VIEWS = """
@app.route("/set/")
def set():
    session["key"] = "value"
    return "ok"


@app.route("/get/")
def get():
    return session.get("key", "not set")
"""

ON_REDIS = """
from flask import Flask, session
from flask_session import Session
from redis import Redis

app = Flask(__name__)
app.config["SECRET_KEY"] = "a secret of the flow tests"
app.config["SESSION_TYPE"] = "redis"
app.config["SESSION_REDIS"] = Redis.from_url("{url}")
app.testing = True
Session(app)
"""

ON_REDIS_FROM_OBJECT = """
from flask import Flask, session
from flask_session import Session
from redis import Redis

app = Flask(__name__)
SECRET_KEY = "a secret of the flow tests"
SESSION_TYPE = "redis"
SESSION_REDIS = Redis.from_url("{url}")
TESTING = True
app.config.from_object(__name__)
sess = Session()
sess.init_app(app)
"""

ON_A_DATABASE = """
from flask import Flask, session
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SECRET_KEY"] = "a secret of the flow tests"
app.config["SQLALCHEMY_DATABASE_URI"] = "{url}"
app.testing = True
db = SQLAlchemy(app)
app.config["SESSION_TYPE"] = "sqlalchemy"
app.config["SESSION_SQLALCHEMY"] = db
Session(app)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Return what starts a program as the module ``shop``, and gives its application."""
    endings: list[Callable[[], object]] = []

    def start(program: str) -> Any:
        (tmp_path / "shop.py").write_text(program + VIEWS)
        monkeypatch.delitem(sys.modules, "shop", raising=False)
        module: Any = type(sys)("shop")
        monkeypatch.setitem(sys.modules, "shop", module)
        exec(compile(program + VIEWS, tmp_path / "shop.py", "exec"), module.__dict__)  # noqa: S102  # our own, above
        endings.append(lambda: close(module.app))
        return module.app

    yield start
    for end in endings:
        end()


def close(app: Any) -> None:
    if "SESSION_REDIS" in app.config:
        app.config["SESSION_REDIS"].close()
    else:
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()


def moves(program: str, run: Callable[[str], Any]) -> None:
    old = run(program).test_client()
    old.get("/set/")
    cookie = old.get_cookie("session")
    changed = program.replace("from flask_session import", "from flask_sessionkit.compat.flask_session import")
    app = run(changed)
    new = app.test_client()
    new.set_cookie("session", cookie.value)

    assert changed != program
    assert new.get("/get/").text == "value"
    renewed = new.get_cookie("session")
    assert renewed.value != cookie.value
    assert new.get("/get/").text == "value"
    assert client_of(app).get("/get/").text == "not set"


@pytest.mark.redis
@pytest.mark.parametrize("program", [ON_REDIS, ON_REDIS_FROM_OBJECT])
def test_on_redis(program: str, redis_server: RedisServer, run: Callable[[str], Any]) -> None:
    moves(program.replace("{url}", redis_server.url), run)


def test_on_sqlite(tmp_path: Path, run: Callable[[str], Any]) -> None:
    moves(ON_A_DATABASE.replace("{url}", f"sqlite:///{tmp_path}/shop.db"), run)


@pytest.mark.postgresql
def test_on_postgresql(postgresql_server: PostgreSQLServer, run: Callable[[str], Any]) -> None:
    moves(ON_A_DATABASE.replace("{url}", postgresql_server.url), run)
