"""Sessions in the database of an application's Flask-SQLAlchemy: on connections of their own."""

from __future__ import annotations

import gc
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy
from servers import PostgreSQLServer
from sqlalchemy import URL, Column, Integer, String, Table, inspect, make_url

from flask_sessionkit import SessionKit
from flask_sessionkit.errors import ConfigError
from flask_sessionkit.stores.base import Capability
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore
from flask_sessionkit.testing.contract import NOW, a_key, a_record
from flask_sessionkit.testing.interleaving import in_thread
from flask_sessionkit.testing.processes import forked

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    server = request.getfixturevalue(f"{request.param}_server")
    name = f"shop_{secrets.token_hex(4)}"
    server.sql(f"CREATE DATABASE {name}")
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    server.sql(f"DROP DATABASE {name}{' WITH (FORCE)' if request.param == 'postgresql' else ''}")


class Shop:
    """An application whose views use Flask-SQLAlchemy, and its sessions lie in the same database."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self.app = Flask("shop", instance_path=str(folder))
        self.app.config.update(
            SQLALCHEMY_DATABASE_URI=url,
            SECRET_KEY=secrets.token_hex(32),
            DEBUG=True,
            PROPAGATE_EXCEPTIONS=False,
            **settings,
        )
        self.db = db = SQLAlchemy(self.app)
        self.orders: Table = Table(
            "orders", db.metadata, Column("id", Integer, primary_key=True), Column("of", String(9))
        )
        self.store = SQLAlchemyStore(self.url)
        SessionKit(self.app, store=self.store)
        with self.app.app_context():
            db.create_all()
        self.store.create_table()
        self.app.add_url_rule("/", view_func=self.show)
        self.app.add_url_rule("/order", view_func=self.order, methods=["POST"])
        self.app.add_url_rule("/fail", view_func=self.fail, methods=["POST"])

    def url(self) -> URL:
        with self.app.app_context():
            return self.db.engine.url

    def show(self) -> str:
        return str(session.get("orders", 0))

    def order(self) -> str:
        """A view whose transaction is open when its session is saved."""
        self.db.session.execute(self.orders.insert().values(of="ann"))
        session["orders"] = session.get("orders", 0) + 1
        return "ordered, not committed"

    def fail(self) -> str:
        """A view that saves at once, and then fails."""
        self.db.session.execute(self.orders.insert().values(of="ann"))
        self.db.session.flush()
        session.atomic(lambda data: data.update(orders=7))  # type: ignore[attr-defined]  # our own session
        raise ArithmeticError

    def count(self) -> int:
        with self.app.app_context():
            return len(self.db.session.execute(self.orders.select()).all())

    def end(self) -> None:
        with self.app.app_context():
            self.db.session.remove()
            self.db.engine.dispose()
        self.store._engine.dispose()


@pytest.fixture
def shop(url: str, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(url, tmp_path)
    yield shop
    shop.end()


def is_file(url: str) -> bool:
    return url.startswith("sqlite")


def test_what_a_view_has_not_committed_is_not_committed_by_saving_its_session(shop: Shop, url: str) -> None:
    client = shop.app.test_client()
    began = time.monotonic()

    answer = client.post("/order")

    assert time.monotonic() - began < 5  # SQLite's own limit, and the driver's, are far above
    assert shop.count() == 0
    # A file has one writer: the view itself is in the way.
    assert answer.status_code == (503 if is_file(url) else 200)
    assert client.get("/").text == ("0" if is_file(url) else "1")


def test_what_a_view_flushed_before_it_failed_stays_uncommitted(shop: Shop, url: str) -> None:
    client = shop.app.test_client()

    answer = client.post("/fail")

    assert answer.status_code == (503 if is_file(url) else 500)
    assert shop.count() == 0
    assert client.get("/").text == ("0" if is_file(url) else "7")


def test_the_applications_own_pool_is_not_touched(shop: Shop) -> None:
    with shop.app.app_context():
        pool: Any = shop.db.engine.pool
        shop.db.session.remove()
        before = pool.checkedin(), pool.checkedout()

    shop.app.test_client().get("/")

    assert (pool.checkedin(), pool.checkedout()) == before
    assert pool is not shop.store._engine.pool


def test_two_applications_in_one_table_do_not_see_each_other(url: str, tmp_path: Path) -> None:
    secret = secrets.token_hex(32)
    shops = [Shop(url, tmp_path, SESSIONKIT_APP_ID=name, SESSIONKIT_ALLOW_WEAK_SECRET=True) for name in ("one", "two")]
    for shop in shops:
        shop.app.config["SECRET_KEY"] = secret
        shop.app.add_url_rule("/set", view_func=lambda: session.update(orders=3) or "set")
    one, two = (shop.app.test_client() for shop in shops)

    cookie = one.get("/set").headers["Set-Cookie"].partition(";")[0]

    assert one.get("/").text == "3"
    assert two.get("/", headers={"Cookie": cookie}).text == "0"
    for shop in shops:
        shop.end()


# A URL that is told later


def lazy(answer: Callable[[], str | URL]) -> tuple[SQLAlchemyStore, list[int]]:
    calls: list[int] = []

    def url() -> str | URL:
        calls.append(threading.get_ident())
        return answer()

    return SQLAlchemyStore(url), calls


def test_a_url_is_asked_for_once_at_the_first_use(tmp_path: Path) -> None:
    store, calls = lazy(lambda: f"sqlite:///{tmp_path}/x.db")
    assert calls == []

    running = [in_thread(store.load, a_key(0), now=NOW) for _ in range(8)]

    assert [call.result() for call in running] == [None] * 8
    assert store.create(a_record()) is True
    assert len(calls) == 1


def test_the_capabilities_are_those_of_the_database_that_is_found(tmp_path: Path) -> None:
    store, calls = lazy(lambda: f"sqlite:///{tmp_path}/x.db")

    assert Capability.SHARED not in store.capabilities
    assert len(calls) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("sqlite://", "must not be SQLite in memory"),
        ("sqlite:///:memory:", "'memory:'"),
        ("nothing", "not a database URL"),
    ],
)
def test_a_url_that_can_never_work_is_an_error_at_the_first_use(wrong: str, said: str) -> None:
    store, _ = lazy(lambda: wrong)

    with pytest.raises(ConfigError, match=said):
        store.load(a_key(0), now=NOW)
    with pytest.raises(ConfigError, match=said):
        store.create(a_record())


def test_a_url_that_could_not_be_found_is_asked_for_again(tmp_path: Path) -> None:
    answers: list[str] = []

    def answer() -> str:
        if not answers:
            raise ConfigError("Flask-SQLAlchemy was not told of this application.")
        return answers[0]

    store, _ = lazy(answer)
    with pytest.raises(ConfigError, match="was not told"):
        store.load(a_key(0), now=NOW)
    answers.append(f"sqlite:///{tmp_path}/x.db")

    assert store.load(a_key(0), now=NOW) is None


def test_a_child_is_not_held_up_by_its_parents_first_use(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def answer() -> str:
        if os.getpid() == parent:
            begun.set()
            go_on.wait(20)
        return f"sqlite:///{tmp_path}/x.db"

    store, _ = lazy(answer)
    parents = in_thread(store.load, a_key(0), now=NOW)
    assert begun.wait(20)
    ended = forked(lambda: store.load(a_key(0), now=NOW))
    try:
        ended()
    finally:
        go_on.set()
    assert parents.result() is None


# The setting.


def a_shop(store: str, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(SECRET_KEY=secrets.token_hex(32), TESTING=True, SESSIONKIT_STORE=store, **config)
    SessionKit(app)

    @app.get("/")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    app.add_url_rule("/static-ish", view_func=lambda: "still", endpoint="static_ish")
    return app


def test_sqlalchemy_is_the_applications_own_database(url: str) -> None:
    app = a_shop("sqlalchemy:", SQLALCHEMY_DATABASE_URI=url)
    db = SQLAlchemy(app)  # later than SessionKit(app), as where both are init_app()
    browser = app.test_client()

    assert [browser.get("/").text for _ in range(2)] == ["1", "2"]
    with app.app_context():
        assert app.extensions["sessionkit"].store.url == db.engine.url
        assert app.extensions["sessionkit"].store._engine is not db.engine
        assert "sessionkit_records" in inspect(db.engine).get_table_names()
        db.engine.dispose()


def test_sessions_are_copied_into_the_applications_own_database(url: str) -> None:
    """Several at once, in threads, and only the application's context tells which database that is."""
    old = MemoryStore()
    for number in range(20):
        old.create(a_record(number, seen_at=time.time(), absolute_at=time.time() + 3600))
    app = a_shop("sqlalchemy:", SQLALCHEMY_DATABASE_URI=url, SESSIONKIT_TAKE_OVER=old)
    db = SQLAlchemy(app)

    done = app.test_cli_runner().invoke(args=["sessions", "copy"])

    assert done.output == "20 moved, 0 were there already, 0 had ended.\n"
    with app.app_context():
        db.engine.dispose()


def test_sqlalchemy_takes_a_bind_and_a_table(tmp_path: Path) -> None:
    binds = {"web": f"sqlite:///{tmp_path}/web.db"}
    app = a_shop(
        "sqlalchemy:?bind=web&table=web_sessions",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/main.db",
        SQLALCHEMY_BINDS=binds,
    )
    db = SQLAlchemy(app)

    app.test_client().get("/")

    with app.app_context():
        assert inspect(db.engines["web"]).get_table_names() == ["web_sessions"]
        db.engines["web"].dispose()


@pytest.mark.postgresql
def test_sqlalchemy_takes_a_schema(postgresql_server: PostgreSQLServer) -> None:
    schema = f"auth_{secrets.token_hex(4)}"
    postgresql_server.sql(f"CREATE SCHEMA {schema}", database="sessions")
    app = a_shop(f"sqlalchemy:?schema={schema}", SQLALCHEMY_DATABASE_URI=postgresql_server.url)
    SQLAlchemy(app)

    app.test_client().get("/")

    told = postgresql_server.sql(f"SELECT count(*) FROM {schema}.sessionkit_records", database="sessions")  # noqa: S608  # its own words
    assert told.strip() == "1"


@pytest.mark.parametrize(
    ("store", "said"),
    [("sqlalchemy:", "no SQLALCHEMY_DATABASE_URI"), ("sqlalchemy:?bind=web", "no 'web' in SQLALCHEMY_BINDS")],
)
def test_sqlalchemy_without_a_database_is_told_at_the_first_look(store: str, said: str, tmp_path: Path) -> None:
    app = a_shop(store)
    if "bind" in store:
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/main.db"
        SQLAlchemy(app)
    browser = app.test_client()

    assert browser.get("/static-ish").text == "still"
    with pytest.raises(ConfigError, match=said):
        browser.get("/")


@pytest.mark.parametrize("wrong", ["sqlalchemy://host/db", "sqlalchemy:?bnd=x", "sqlalchemy:main"])
def test_sqlalchemy_with_anything_else_is_told_the_form(wrong: str) -> None:
    with pytest.raises(ConfigError, match="must be 'sqlalchemy:', with"):
        a_shop(wrong)


def test_an_application_is_freed_in_spite_of_its_database(tmp_path: Path) -> None:
    app = a_shop("sqlalchemy:", SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/main.db")
    watched = weakref.ref(app)

    del app
    gc.collect()

    assert watched() is None
