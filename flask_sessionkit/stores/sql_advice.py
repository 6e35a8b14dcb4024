"""What is said of an error of a database, with the mend."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .sql_errors import is_before_the_schema, is_forbidden, is_full, is_locked, named
from .sqlite_file import is_sqlite


def message(error: SQLAlchemyError | OSError, *, url: URL, table: Table, timeout: float) -> str:
    """Return what is said of an error; no password, key or payload is in it.

    :param timeout: seconds that were waited for a locked file.
    """
    return f"The session database {named(url)} {_told(error, url, table, timeout)}"


def _told(error: SQLAlchemyError | OSError, url: URL, table: Table, timeout: float) -> str:
    if not isinstance(error, DBAPIError):
        return _UNKNOWN.format("")
    if table.schema is not None and is_before_the_schema(error):
        return f"has no schema {table.schema!r}. Make it there (CREATE SCHEMA), or name another."
    if is_forbidden(error) and is_sqlite(url):
        return "may not be written. Let the user that the server runs as write to its file and its folder."
    if is_forbidden(error):
        return (
            f"forbids this. Grant its user SELECT, INSERT, UPDATE and DELETE on {table.fullname}, made by its owner "
            "with 'flask sessions create-table', and see that the database is not read-only."
        )
    if is_full(error):
        return "cannot write. See that its disk and its table have room; nothing was saved."
    if is_locked(error):
        return f"is locked: somebody else held it for longer than {timeout:g} s. Give the sessions a file of their own."
    return _UNKNOWN.format(_drivers_words(error, url.password))


_UNKNOWN = "cannot answer{}. See that it runs and lets us in."


def _drivers_words(error: DBAPIError, password: str | None) -> str:
    """Return why there is no connection. Of a statement nothing is told, as drivers quote what it wrote."""
    if error.statement is not None:
        return ""
    told: Any = error.orig
    words = " ".join(str(told.args[-1] if told.args else told).split())  # PyMySQL puts a number first
    return "" if password and password in words else f" ({words})"
