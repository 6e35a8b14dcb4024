"""The table under Flask-Migrate: seen, made by a migration, and used by the store as it is."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect, make_url

from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore, session_table
from flask_sessionkit.testing.contract import NOW, a_key, a_record

#: What Flask-Migrate and Alembic call, and how they log, is not ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alembic"),
]

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of the test's own: a migration would drop all tables that it does not know."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    server = request.getfixturevalue(f"{request.param}_server")
    name = f"shop_{secrets.token_hex(4)}"
    server.sql(f"CREATE DATABASE {name}")
    yield make_url(server.url).set(database=name).render_as_string(hide_password=False)
    server.sql(f"DROP DATABASE {name}{' WITH (FORCE)' if request.param == 'postgresql' else ''}")


@pytest.fixture
def app(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    # Alembic's env.py would switch off all loggers that there are, for the tests that come after.
    monkeypatch.setattr("logging.config.fileConfig", lambda *_, **__: None)
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    session_table(db.metadata)
    flask_migrate.Migrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        yield app
        db.engine.dispose()


def migrations(tmp_path: Path) -> list[str]:
    return [path.read_text() for path in (tmp_path / "migrations" / "versions").glob("*.py")]


def test_a_migration_makes_the_table_that_the_store_uses(app: Flask, url: str, tmp_path: Path) -> None:
    flask_migrate.init()
    flask_migrate.migrate(message="sessions")
    flask_migrate.upgrade()
    [made] = migrations(tmp_path)
    assert "create_table('sessionkit_records'" in made

    store, record = SQLAlchemyStore(url), a_record(payload=bytes(range(256)) * 300)
    assert store.create(record) is True
    assert store.load(a_key(0), now=NOW) == record
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # the application's, as it was


def test_a_second_migration_finds_nothing_to_change(app: Flask, tmp_path: Path) -> None:
    flask_migrate.init()
    flask_migrate.migrate()
    flask_migrate.upgrade()
    flask_migrate.migrate()

    assert "sessionkit_records" in inspect(app.extensions["sqlalchemy"].engine).get_table_names()
    assert len(migrations(tmp_path)) == 1


def test_a_table_that_the_store_made_needs_no_migration(app: Flask, url: str, tmp_path: Path) -> None:
    SQLAlchemyStore(url).create_table()
    flask_migrate.init()

    flask_migrate.migrate()

    assert migrations(tmp_path) == []
