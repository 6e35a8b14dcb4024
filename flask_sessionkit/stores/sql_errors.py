"""What the error of a database means, whichever driver raised it; and the database's name in what we say of it."""

from __future__ import annotations

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

#: PostgreSQL's serialization_failure and deadlock_detected (its manual, appendix A).
_LOST_RACES: frozenset[object] = frozenset({"40001", "40P01"})
#: MariaDB's ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, and ER_CHECKREAD, its 11.6's word for the same.
_LOST_RACES_BY_NUMBER: frozenset[object] = frozenset({1205, 1213, 1020})
#: PostgreSQL's read_only_sql_transaction.
_READ_ONLY: frozenset[object] = frozenset({"25006"})
#: MariaDB's ER_OPTION_PREVENTS_STATEMENT (--read-only), ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION.
_READ_ONLY_BY_NUMBER: frozenset[object] = frozenset({1290, 1792})
#: PostgreSQL's insufficient_privilege.
_FORBIDDEN: frozenset[object] = _READ_ONLY | {"42501"}
#: MariaDB's ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR.
_FORBIDDEN_BY_NUMBER: frozenset[object] = _READ_ONLY_BY_NUMBER | {1044, 1142, 1143}
#: PostgreSQL's disk_full.
_FULL: frozenset[object] = frozenset({"53100"})
#: MariaDB's ER_DISK_FULL and ER_RECORD_FILE_FULL.
_FULL_BY_NUMBER: frozenset[object] = frozenset({1021, 1114})


def named(url: URL) -> str:
    """Return the URL for a message: without its password, wherever it stands."""
    return url.set(query={}).render_as_string()


def is_lost_race(error: DBAPIError) -> bool:
    """Return whether the database undid the statement in favour of another: a deadlock, or its like."""
    return _state(error) in _LOST_RACES or _number(error) in _LOST_RACES_BY_NUMBER


def is_forbidden(error: DBAPIError) -> bool:
    """Return whether the database lets us not do this, now or ever."""
    is_read_only = _sqlite_code(error) == 8  # SQLITE_READONLY
    return is_read_only or _state(error) in _FORBIDDEN or _number(error) in _FORBIDDEN_BY_NUMBER


def is_read_only(error: DBAPIError) -> bool:
    """Return whether a server takes no changes from anybody, as one that is no longer the primary."""
    return _state(error) in _READ_ONLY or _number(error) in _READ_ONLY_BY_NUMBER


def is_full(error: DBAPIError) -> bool:
    """Return whether there is no room for what was to be written."""
    # SQLITE_FULL, and SQLITE_IOERR_WRITE where a file must not grow.
    is_disk_full = getattr(error.orig, "sqlite_errorcode", 0) in {13, 778}
    return is_disk_full or _state(error) in _FULL or _number(error) in _FULL_BY_NUMBER


def is_before_the_table(error: DBAPIError) -> bool:
    """Return whether a statement failed since the table is not there yet."""
    return (
        "no such table" in str(error.orig)
        or _state(error) == "42P01"  # PostgreSQL's undefined_table
        or _number(error) == 1146  # MariaDB's ER_NO_SUCH_TABLE
    )


def is_before_the_schema(error: DBAPIError) -> bool:
    """Return whether the table could not be made since its schema is not there."""
    # PostgreSQL's invalid_schema_name; MariaDB's ER_BAD_DB_ERROR.
    return _state(error) == "3F000" or _number(error) == 1049


def is_before_the_folder(error: DBAPIError) -> bool:
    """Return whether SQLite could not make its file: SQLITE_CANTOPEN."""
    return _sqlite_code(error) == 14


def is_locked(error: DBAPIError) -> bool:
    """Return whether SQLite says that somebody else holds the file: SQLITE_BUSY or SQLITE_LOCKED."""
    return _sqlite_code(error) in {5, 6}


def _state(error: DBAPIError) -> object:
    """Return the SQLSTATE; psycopg 2 names it otherwise."""
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def _number(error: DBAPIError) -> object:
    """Return the number that drivers of MariaDB and MySQL put first."""
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def _sqlite_code(error: DBAPIError) -> int:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
