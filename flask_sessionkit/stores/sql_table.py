"""The table of a ``SQLAlchemyStore``."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Double, Index, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects.mysql import MEDIUMBLOB, VARBINARY, VARCHAR

TABLE: Final = "sessionkit_records"


def session_table(metadata: MetaData, *, name: str = TABLE, schema: str | None = None) -> Table:
    """Return the table that a ``SQLAlchemyStore`` works on, added to a ``MetaData``.

    For Flask-Migrate: ``session_table(db.metadata)`` in your models lets ``flask db migrate`` make it. Without it the
    store makes its table at its first use.
    """
    # MariaDB compares text without case unless told, and its BLOB ends at 64 KiB.
    key_type = String(64).with_variant(VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    owner_type = String(32).with_variant(VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
    return Table(
        name,
        metadata,
        Column("key", key_type, primary_key=True),
        Column("payload", LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb"), nullable=False),
        Column("created_at", Double, nullable=False),
        Column("seen_at", Double, nullable=False),
        Column("idle", Double, nullable=False),
        Column("absolute_at", Double, nullable=False),
        Column("expires_at", Double, nullable=False),
        Column("owner", owner_type),
        Column("info", LargeBinary(2048), nullable=False),
        Column("version", LargeBinary(8).with_variant(VARBINARY(8), "mysql", "mariadb"), nullable=False),
        Index(f"ix_{name}_expires_at", "expires_at"),
        Index(f"ix_{name}_owner_key", "owner", "key"),
        schema=schema,
    )
