"""The table under Flask-Migrate: seen, made by a migration, and used by the store as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect

from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore, session_table
from flask_sessionkit.testing.contract import NOW, a_key, a_record

#: What Flask-Migrate and Alembic call, and how they log, is not ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:alembic"),
]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    # Alembic's env.py would switch off all loggers that there are, for the tests that come after.
    monkeypatch.setattr("logging.config.fileConfig", lambda *_, **__: None)
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/shop.db"
    db = SQLAlchemy(app)
    session_table(db.metadata)
    flask_migrate.Migrate(app, db, directory=str(tmp_path / "migrations"))
    return app


def migrations(tmp_path: Path) -> list[str]:
    return [path.read_text() for path in (tmp_path / "migrations" / "versions").glob("*.py")]


def test_a_migration_makes_the_table_that_the_store_uses(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        flask_migrate.init()
        flask_migrate.migrate(message="sessions")
        flask_migrate.upgrade()
        app.extensions["sqlalchemy"].engine.dispose()
    [made] = migrations(tmp_path)
    assert "create_table('sessionkit_records'" in made

    store, record = SQLAlchemyStore(f"sqlite:///{tmp_path}/shop.db"), a_record()
    assert store.create(record) is True
    assert store.load(a_key(0), now=NOW) == record
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # the application's file, as it was


def test_a_second_migration_finds_nothing_to_change(app: Flask, tmp_path: Path) -> None:
    with app.app_context():
        flask_migrate.init()
        flask_migrate.migrate()
        flask_migrate.upgrade()
        flask_migrate.migrate()
        engine = app.extensions["sqlalchemy"].engine
        assert "sessionkit_records" in inspect(engine).get_table_names()
        engine.dispose()

    assert len(migrations(tmp_path)) == 1
