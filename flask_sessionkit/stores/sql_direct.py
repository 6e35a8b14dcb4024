"""The statements that requests wait for, sent by the driver's own cursor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Executable

T = TypeVar("T")


class Direct:
    """A statement whose values and rows are what drivers take and give: text, bytes, floats and ``None``.

    SQLAlchemy's own way, with contexts, rows and types, takes as long again as the driver. Errors are the same here,
    and so is what they do to a connection. Where somebody listens to what an engine executes, as tracers do, that way
    is taken.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement: Final[Any] = statement
        self._compiled: tuple[str, list[str] | None] | None = None

    def run(self, connection: Any, values: Mapping[str, Any], take: Callable[[Any], T]) -> T:
        """Return what ``take`` makes of the answer, which has ``fetchone()`` and ``rowcount``.

        :raises DBAPIError: as ``Connection.execute`` raises it.
        """
        if connection._has_events or connection.engine._has_events:
            return take(connection.execute(self._statement, values))
        text, names = self._compiled or self._compile(connection)
        given = values if names is None else tuple([values[name] for name in names])
        cursor = None
        try:
            cursor = connection.connection.cursor()
            cursor.execute(text, given)
            answer = take(cursor)
            cursor.close()
        except connection.dialect.loaded_dbapi.Error as error:
            connection._handle_dbapi_exception(error, text, given, cursor, None)  # raises it as SQLAlchemy's
            raise
        return answer

    def _compile(self, connection: Connection) -> tuple[str, list[str] | None]:
        compiled = self._statement.compile(dialect=connection.dialect)
        self._compiled = str(compiled), compiled.positiontup if compiled.positional else None
        return self._compiled
