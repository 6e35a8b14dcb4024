"""How long ``flask sessions import-flask-session`` takes: the pickles of one place, with nobody about."""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_sessionkit.compat.flask_session import Session
from tests.servers import PostgreSQLServer, RedisServer

from .tables import Report, Table, arguments, at_pace

#: How many sessions are converted.
SIZES = (20_000, 40_000)

#: Puts so many pickles into a place, and gives Flask-Session's settings for it.
Place = Callable[[Flask, Sequence[str]], dict[str, Any]]


def main() -> None:
    """Measure and tell."""
    parser = arguments(__doc__)
    parser.add_argument("--folder", help="where the files and databases are made; its disk is part of the figures")
    options = parser.parse_args()
    report = Report("pickles", options.save, "redis", "sqlalchemy", "psycopg", "flask-sqlalchemy")
    sizes = (200, 400) if options.quick else SIZES
    with (
        TemporaryDirectory(dir=options.folder) as folder,
        RedisServer() as server,
        PostgreSQLServer("-c", "fsync=on", "-c", "synchronous_commit=on") as postgresql,
    ):
        rows = [
            (name, *at_pace([_took(place, size) for size in sizes], sizes))
            for name, place in _places(Path(folder), server.url, postgresql.url)
        ]
    report.add(
        Table(
            "pickles",
            "Wall clock of an import, s, of so many sessions",
            (*(f"{size:,}" for size in sizes), "a second", "minutes a million"),
            rows,
            f"Pickles of 200 to 250 bytes. The last two columns are reckoned from {sizes[-1]:,}. Load of the machine "
            f"meanwhile: {os.getloadavg()[1]:.1f}.",
        )
    )


def _places(folder: Path, redis_url: str, postgresql_url: str) -> list[tuple[str, Place]]:
    def in_redis(app: Flask, names: Sequence[str]) -> dict[str, Any]:
        client = redis.Redis.from_url(redis_url)
        client.flushall()
        with client.pipeline(transaction=False) as pipeline:
            for number, name in enumerate(names):
                pipeline.set(name, _pickled(number), ex=86_400)
            pipeline.execute()
        return {"SESSION_TYPE": "redis", "SESSION_REDIS": client}

    def in_files(app: Flask, names: Sequence[str]) -> dict[str, Any]:
        place = folder / secrets.token_hex(4)
        place.mkdir()
        for number, name in enumerate(names):
            (place / hashlib.sha256(name.encode()).hexdigest()).write_bytes(
                struct.pack("I", 2**32 - 1) + _pickled(number)
            )
        return {"SESSION_TYPE": "filesystem", "SESSION_FILE_DIR": str(place)}

    def in_postgresql(app: Flask, names: Sequence[str]) -> dict[str, Any]:
        table = f"t{secrets.token_hex(4)}"
        with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                f"CREATE TABLE {table} "
                "(id serial PRIMARY KEY, session_id varchar(255) UNIQUE, data bytea, expiry timestamp)"
            )
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY {table} (session_id, data, expiry) FROM STDIN") as to,
            ):
                for number, name in enumerate(names):
                    to.write_row((name, _pickled(number), "2099-01-01"))
        app.config["SQLALCHEMY_DATABASE_URI"] = postgresql_url
        return {"SESSION_TYPE": "sqlalchemy", "SESSION_SQLALCHEMY": SQLAlchemy(app), "SESSION_SQLALCHEMY_TABLE": table}

    return [("Redis", in_redis), ("files", in_files), ("PostgreSQL", in_postgresql)]


def _took(place: Place, size: int) -> float:
    app = Flask("shop")
    app.config.update(SECRET_KEY=secrets.token_hex(), TESTING=True, SESSIONKIT_STORE="memory:")
    app.config.update(place(app, [f"session:{secrets.token_urlsafe(32)}" for _ in range(size)]))
    Session(app)
    start = time.perf_counter()
    done = app.test_cli_runner().invoke(args=["sessions", "import-flask-session", "--i-trust-these-pickles"])
    took = time.perf_counter() - start
    if done.exit_code or f"{size} converted" not in done.output.replace(",", ""):
        raise RuntimeError(f"The import went another way: {done.output[-300:]}")
    return took


def _pickled(number: int) -> bytes:
    cart = [{"id": 7, "price": 2.5}] * 3
    said = [("message", "hello")]
    items = {"_permanent": True, "_user_id": str(number), "csrf_token": secrets.token_hex(20), "cart": cart}
    return pickle.dumps(items | {"_flashes": said})


if __name__ == "__main__":
    main()
