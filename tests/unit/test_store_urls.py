"""Which store a URL names, and what is said of one that names none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flask_sessionkit.errors import ConfigError
from flask_sessionkit.store_urls import Site, _path_of, make_store, redacted
from flask_sessionkit.stores.base import Store
from flask_sessionkit.stores.files import FileStore
from flask_sessionkit.stores.memory import MemoryStore
from flask_sessionkit.stores.sqlalchemy import SQLAlchemyStore


def made(url: str, instance_path: Path = Path("/nowhere/instance")) -> Store:
    return make_store(url, Site(instance_path, timeout=0.5, prefix="session:", database=lambda bind: "sqlite:///x.db"))


def refused(url: str) -> str:
    with pytest.raises(ConfigError) as caught:
        made(url)
    return str(caught.value)


def test_memory() -> None:
    assert isinstance(made("memory:"), MemoryStore)


def test_file_lies_in_the_instance_folder(tmp_path: Path) -> None:
    store = made("file:", tmp_path / "instance")

    assert isinstance(store, FileStore)
    assert store.folder == tmp_path / "instance" / "sessions"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file://{}/a%20b%3F", "file://localhost{}/a%20b%3F", "FILE:{}/a%20b%3F"])
def test_file_takes_an_absolute_path_and_decodes_it(url: str, tmp_path: Path) -> None:
    store = made(url.format(tmp_path))

    assert isinstance(store, FileStore)
    assert store.folder == tmp_path / "a b?"


def test_file_takes_a_drive_letter_on_windows_only() -> None:
    assert _path_of("file:///C:/x%20y", on_windows=True) == Path("C:/x y")
    assert _path_of("file:///C:/x%20y", on_windows=False) == Path("/C:/x y")


@pytest.mark.parametrize("url", ["file:sessions", "file://host/x", "file:///x?y", "file:///x#y", "file:///x%00y"])
def test_file_refuses_what_is_no_absolute_path(url: str) -> None:
    assert "file:///an/absolute/path" in refused(url)


def test_file_tells_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    assert f"{tmp_path} can be written to by others (mode 777). Run chmod 700 on it." in refused(f"file://{tmp_path}")


def test_a_relative_sqlite_path_lies_in_the_instance_folder(tmp_path: Path) -> None:
    store = made("sqlite:///sub/s.db", tmp_path / "instance")

    assert isinstance(store, SQLAlchemyStore)
    assert store.url.database == str(tmp_path / "instance" / "sub" / "s.db")
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_sqlite_path_stays(tmp_path: Path) -> None:
    store = made(f"sqlite:///{tmp_path}/s.db")

    assert isinstance(store, SQLAlchemyStore)
    assert store.url.database == str(tmp_path / "s.db")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite+pysqlite:///:memory:",
    ],
)
def test_sqlite_in_memory_names_the_memory_store(url: str) -> None:
    assert "'memory:'" in refused(url)


@pytest.mark.parametrize("url", ["sqlite://name.db", "sqlite://ann:s3cret@/name.db"])
def test_sqlite_with_a_slash_too_few_is_told_so(url: str) -> None:
    assert "three slashes" in refused(url)


def test_an_asynchronous_driver_is_refused() -> None:
    assert "asynchronous" in refused("postgresql+asyncpg://host/db")


def test_an_unknown_scheme_is_told_the_known_and_the_nearest() -> None:
    said = refused("postgres://host/db")

    assert "'postgres://host/db'" in said
    assert "Did you mean 'postgresql:'?" in said
    assert "memory:, file:, sqlite:" in said
    assert said.endswith("redis+cluster:, cookie:.")


@pytest.mark.parametrize(
    ("url", "scheme", "meant"),
    [
        ("redis//localhost", "redis", "redis://localhost"),
        ("redis//localhost:6379/0", "redis", "redis://localhost:6379/0"),
        ("redis//ann:s3cret@localhost", "redis", "redis://***@localhost"),
        ("redis//localhost?password=s3cret", "redis", "redis://localhost"),
        ("redis+sentinel//a,b/main", "redis+sentinel", "redis+sentinel://a,b/main"),
        ("SQLite///shop.db", "SQLite", "SQLite:///shop.db"),
        ("file///srv/sessions", "file", "file:///srv/sessions"),
    ],
)
def test_a_colon_that_is_missing_is_told_and_no_password(url: str, scheme: str, meant: str) -> None:
    assert refused(url) == f"SESSIONKIT_STORE lacks the colon after {scheme!r}. Write it as in {meant!r}."


def test_a_bare_path_is_told_how_it_is_written() -> None:
    assert "'file:///var/lib/sessions'" in refused("/var/lib/sessions")


def test_an_empty_setting_is_told_so() -> None:
    assert "is empty" in refused("")


def test_the_name_of_a_file_is_told_how_it_is_written() -> None:
    assert "'sqlite:///sessions.db'" in refused("sessions.db")


def test_valkey_is_told_the_scheme_that_it_goes_by() -> None:
    assert "redis://" in refused("valkey://host")


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+pymysql"])
@pytest.mark.parametrize("rest", ["app:s3cr3t@PWtail@host:1/db", "app:a@PWtail/b@host:1/db"])
def test_a_password_with_an_at_sign_is_told_and_not_shown(scheme: str, rest: str) -> None:
    said = refused(f"{scheme}://{rest}")

    assert "%40" in said
    assert "PWtail" not in said


def test_mariadb_without_a_database_is_told_so() -> None:
    assert "names no database" in refused("mysql+pymysql://user@host:3306")


def test_an_option_of_the_applications_database_that_is_none_is_named() -> None:
    assert "'tabel' is unknown" in refused("sqlalchemy:?tabel=x")


@pytest.mark.parametrize("url", ["memory", "C:\\sessions", "memory:x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    assert "memory:" in refused(url)


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("sqlite:///x.db", "sqlalchemy", "flask-sessionkit[sqlalchemy]"),
        ("postgresql+psycopg2://host/db", "psycopg2", "psycopg2-binary"),
        ("mysql+mysqldb://host/db", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql://host/db", "pymysql", "flask-sessionkit[mariadb]"),
        ("postgresql+psycopg://host/db", "psycopg", "flask-sessionkit[postgresql]"),
        ("postgresql+psycopg://host/db", "sqlalchemy", "flask-sessionkit[postgresql]"),
        ("mysql+pymysql://host/db", "sqlalchemy", "flask-sessionkit[mariadb]"),
    ],
)
def test_a_driver_that_is_missing_is_named_with_what_brings_it(
    url: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "flask_sessionkit.stores.sqlalchemy", raising=False)

    assert f"pip install '{package}'" in refused(url)


def test_no_driver_is_imported_before_its_store_is_made() -> None:
    code = "import sys, flask_sessionkit.store_urls; sys.exit('sqlalchemy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgres://ann:s3cret@host/db",
        "postgres://ann:s3/cret@host/db",
        "postgres://ann:s3?cret@host/db",
        "postgres://ann:s3#cret@host/db",
        "postgres://ann:s3@cret@host/db",
        "postgres://ann:s3cret@[host/db",
        "postgres://ann:s3cret",
        "postgres:ann:s3cret@host",
        "postgres://host/db?password=s3cret",
        "postgres://host/db?password=x@s3cret",
        "postgresql://ann:x@host:s3cret/db",
        "postgresql+none://ann:s3cret@host/db",
        "postgresql+asyncpg://ann:s3cret@host/db",
        "mysql+none://ann:s3cret@host/db",
        "mysql:s3cret",
        "s3cret",
        "s3cret@host",
        "redis//ann:s3cret@host",
        "redis//ann:s3/cret@host",
        "redis//host:s3cret",
        "s3cret//host",
        "ann:s3cret",
        "ann:s3cret@host",
        "memory:ann:s3cret@host",
        "file://ann:s3cret@host/x",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(url)

    error: BaseException | None = caught.value
    while error is not None:
        assert "s3" not in str(error)
        assert "cret" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ann:x@host:6379/0", "redis://***@host:6379/0"),
        ("postgresql+psycopg://host/db?sslmode=require", "postgresql+psycopg://host/db"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("file:", "file:"),
    ],
)
def test_the_rest_of_a_url_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
