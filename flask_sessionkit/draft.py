"""What passes between a session and its lifecycle: what was found, what saving now would keep, what views wish for."""

from __future__ import annotations

from collections.abc import Mapping

from .changes import Changes
from .discreet import DiscreetStruct
from .policy import Times
from .reasons import Reason


class Kept(DiscreetStruct, frozen=True):
    """What a session finds at its first look.

    :param data: one encoded value per name.
    :param data_of: the user whose data this is; stays after the user was unbound.
    :param times: under the limits of today; ``None`` before the session is stored.
    :param judged_at: the moment by which it was judged, in Unix seconds.
    :param ended_because: why the session that the token named is no more.
    """

    data: Mapping[str, bytes] = {}  # a Struct copies it for each instance
    user: str | None = None
    data_of: str | None = None
    times: Times | None = None
    judged_at: float = 0.0
    ended_because: Reason | None = None

    def __repr__(self) -> str:
        return f"<Kept: {len(self.data)} keys>"


class Login(DiscreetStruct, frozen=True):
    """A wish: bind the session to a user under a new token.

    :param is_fresh: the user proved who they are just now; a remember cookie proves nothing.
    :param stamp: what ``user_stamp`` said when the password was checked; ``None`` to ask it.
    """

    user: str
    is_fresh: bool = True
    stamp: str | None = None

    def __repr__(self) -> str:
        return "<Login>"


class Draft(DiscreetStruct, frozen=True):
    """What saving now would keep, and what views wished for.

    :param ended: end the session that was loaded; everything else here begins a new one.
    :param unbound: the login ends; the rest of the data stays.
    :param renew: the token changes.
    :param restamps: the session outlives a change of the user's credentials that it made itself.
    :param begins: a session may begin where a token has just died.
    :param forced: ``session.modified = True`` was set by hand.
    """

    changes: Changes
    user: str | None = None
    data_of: str | None = None
    login: Login | None = None
    ended: Reason | None = None
    unbound: bool = False
    renew: bool = False
    restamps: bool = False
    begins: bool = False
    forced: bool = False

    @property
    def login_user(self) -> str | None:
        """Whom the session is to be bound to."""
        return self.login.user if self.login else None

    def __repr__(self) -> str:
        return f"<Draft of {self.changes!r}>"
