"""What lies inside a record's seal, as bytes and back."""

from __future__ import annotations

from enum import IntEnum

from msgspec import field

from .beginning import started_at
from .discreet import DiscreetStruct
from .layout import Layout
from .reasons import Reason


class Kind(IntEnum):
    """What a record stands for."""

    LIVE = 0
    #: The session ended a moment ago; kept so that late requests and the user learn why.
    TOMBSTONE = 1
    #: Leads to the record that took its place (rotation by age).
    ALIAS = 2


class Contents(DiscreetStruct, frozen=True, array_like=True):
    """One session's state. Everything but ``data`` is out of the application's reach.

    :param idle: seconds.
    :param absolute_at: Unix seconds, as are ``created_at`` and ``login_at``.
    :param lineage: 16 random bytes; new at login, kept when the token is renewed.
    :param user: the user id that the session is bound to.
    :param stamp: what ``user_stamp`` said at login.
    :param data_of: the user whose data this is; stays after the user was unbound.
    :param reason: of a tombstone: why it ended. Of a live session: why the one before it in this browser ended.
    :param target: of an alias: the key of the record that took its place.
    :param data: one encoded value per key.
    :param renewed_at: when its token was made, if another one was there before.
    :param is_shown: a client has come with the token; of one that age renewed that is not sure until it does.
    """

    kind: Kind
    idle: float
    absolute_at: float
    created_at: float
    lineage: bytes
    login_at: float | None = None
    user: str | None = None
    stamp: str | None = None
    data_of: str | None = None
    reason: Reason | None = None
    target: str | None = None
    data: dict[str, bytes] = field(default_factory=dict)
    renewed_at: float | None = None
    is_shown: bool = True

    @property
    def started_at(self) -> float:
        """The moment from which the absolute limit counts."""
        return started_at(self.created_at, self.login_at)

    @property
    def token_made_at(self) -> float:
        """When the token was made."""
        return self.created_at if self.renewed_at is None else self.renewed_at

    def __repr__(self) -> str:
        # No data, user or stamp: a repr ends up in logs.
        return f"<Contents: {self.kind.name.lower()}, {len(self.data)} keys>"

    def encode(self) -> bytes:
        """Return the bytes to seal."""
        return _layout.encode(self)

    @classmethod
    def decode(cls, payload: bytes) -> Contents | None:
        """Return what ``encode`` was given, or ``None`` for a layout that this version does not know."""
        return _layout.decode(payload)


_layout = Layout(Contents, version=b"\x01")
