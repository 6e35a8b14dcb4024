"""Which database a URL names, or why it can never work."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import ConfigError
from .sqlite_file import is_sqlite


def usable(text: str | URL, folder: Path) -> URL:
    """Return the URL, its SQLite path made absolute.

    :param folder: of a relative path.
    :raises ConfigError: it can never work.
    """
    try:
        url = make_url(text)
        dialect = url.get_dialect()
    except NoSuchModuleError as error:
        raise ConfigError("SESSIONKIT_STORE names a database or driver unknown to SQLAlchemy. Correct it.") from error
    except (ArgumentError, ValueError):
        # The cause is left out: it may quote a part of a password.
        raise ConfigError(
            "SESSIONKIT_STORE is not a database URL. Write sqlite:///name.db or "
            "postgresql+psycopg://user:password@host:5432/name; in a password, '@' as %40 and '/' as %2F."
        ) from None
    if not is_sqlite(url) and "@" in f"{url.host}{url.database}":
        raise ConfigError(
            "SESSIONKIT_STORE has a second '@': a part of a password seems to stand in its host. "
            "In a password write '@' as %40, '/' as %2F, '#' as %23."
        )
    if url.get_backend_name() in {"mysql", "mariadb"} and not url.database:
        raise ConfigError(f"SESSIONKIT_STORE names no database. Write {url.drivername}://user:password@host:3306/name.")
    if dialect.is_async:
        raise ConfigError(
            f"SESSIONKIT_STORE must not name an asynchronous driver, as {url.drivername} does. "
            f"Use another driver for {url.get_backend_name()}."
        )
    return _usable_file(url, folder) if is_sqlite(url) else url


def is_in_memory(text: str | URL) -> bool:
    """Return whether a URL names a database of SQLite's that ends with its connection."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return False
    name = url.database or ":memory:"
    in_memory = name == ":memory:" or name.startswith("file::memory:") or url.query.get("mode") == "memory"
    return in_memory and is_sqlite(url)


def _usable_file(url: URL, folder: Path) -> URL:
    if url.host or url.username:
        raise ConfigError(
            "SESSIONKIT_STORE names a host, which SQLite has not. Write three slashes: sqlite:///name.db."
        )
    if is_in_memory(url):
        raise ConfigError(
            "SESSIONKIT_STORE must not be SQLite in memory, a database for each thread. Use 'memory:' or a file."
        )
    name = url.database or ""
    return url if name.startswith("file:") else url.set(database=str((folder / name).absolute()))
