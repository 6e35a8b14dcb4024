"""All that is ever said to the database, and records as its rows."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Delete,
    Double,
    Insert,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from ..clock import CLOCK_SKEW
from ..record import Record
from .sql_direct import Direct

Values: TypeAlias = dict[str, Any]


class Statements:
    """What is said, built once: to build a statement costs as much as to run it."""

    def __init__(self, table: Table) -> None:
        row = table.c
        fields = [row.created_at, row.seen_at, row.idle, row.absolute_at, row.owner, row.info, row.version]
        new = {column: bindparam(f"new_{column.name}", type_=column.type) for column in row}
        now, far, least, cutoff, every, within = (
            bindparam(name, type_=Double) for name in ("now", "far", "least", "cutoff", "every", "within")
        )
        is_this = row.key == bindparam("this_key")
        is_expected = row.version == bindparam("expected")
        lives = row.expires_at > now
        ended = row.expires_at < cutoff

        load = select(row.key, row.payload, *fields).where(is_this)
        self.load: Final = Direct(load)
        self.insert: Final[Insert] = insert(table).values(new)
        self.delete: Final[Delete] = delete(table).where(is_this)

        behind = or_(row.seen_at < now, row.seen_at > far)
        until = _earlier(now + row.idle, row.absolute_at)
        touched = update(table).where(is_this, lives).values(seen_at=now, expires_at=until)
        self.touch: Final[Update] = touched.where(is_expected, behind)

        # PostgreSQL does both at once. Another's write that the touch waits for is in what it returns; where it turns
        # out not to be due then, the record comes back as it was when the statement began.
        due = and_(now - row.seen_at >= every, now - row.seen_at < within, row.seen_at < now)
        done = touched.where(or_(due, row.seen_at > far)).returning(row.key, row.payload, *fields).cte("touched")
        self.load_and_touch: Final = Direct(select(done).union_all(load.where(~exists().select_from(done))))

        # MariaDB reads in a SET what the same SET wrote before: fed its own result, this gives that result again.
        seen_at = case(
            (row.seen_at > far, least),
            (row.seen_at > new[row.seen_at], row.seen_at),
            else_=new[row.seen_at],
        )
        until = _earlier(seen_at + new[row.idle], new[row.absolute_at])
        written = {column: new[column] for column in [row.payload, *fields]}
        self.overwrite: Final[Update] = (
            update(table)
            .where(row.key == new[row.key], lives)
            .values(written | {row.seen_at: seen_at, row.expires_at: until})
        )
        self.replace: Final = Direct(self.overwrite.where(is_expected))

        self.list: Final[Select[Any]] = (
            select(row.key, *fields)
            .where(row.owner == bindparam("this_owner"), row.key > bindparam("after"), lives)
            .order_by(row.key)
            .limit(bindparam("most"))
        )
        self.scan: Final[Select[Any]] = (
            select(row.key, row.payload, *fields)
            .where(row.key > bindparam("after"))
            .order_by(row.key)
            .limit(bindparam("most"))
        )
        # MariaDB takes a LIMIT there only two levels deep; and it would read, and lock, the whole table for the IN.
        due_keys = select(row.key).where(ended).order_by(row.expires_at).limit(bindparam("most")).subquery("due")
        self.purge: Final[Delete] = delete(table).where(row.key.in_(select(due_keys.c.key)), ended)
        self.purge_by_join: Final[Delete] = delete(table).where(
            row.key == due_keys.c.key, ended
        )  # not SQL's standard, nor SQLite's
        self.count_ended: Final[Select[int]] = select(func.count()).select_from(table).where(ended)


def record_of(key: str, payload: Any, *fields: Any) -> Record | None:
    """Return a row as a record; ``None`` for values of other types, which SQLite takes into any column."""
    *times, owner, info, version = fields
    texts = (payload, info, version)
    is_whole = all(isinstance(at, float) for at in times) and all(isinstance(text, bytes) for text in texts)
    return Record(key, payload, *fields) if is_whole and isinstance(owner, str | None) else None


def values_of(record: Record) -> Values:
    """Return a record as what a statement writes."""
    return {
        "new_key": record.key,
        "new_payload": record.payload,
        "new_created_at": record.created_at,
        "new_seen_at": record.seen_at,
        "new_idle": record.idle,
        "new_absolute_at": record.absolute_at,
        "new_owner": record.owner,
        "new_info": record.info,
        "new_version": record.version,
    }


def times(now: float) -> Values:
    """Return now, and the time above which a ``seen_at`` is not believed."""
    return {"now": now, "far": now + CLOCK_SKEW}


def _earlier(one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
    return case((one < other, one), else_=other)
