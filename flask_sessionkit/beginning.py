"""Since when a session counts."""

from __future__ import annotations


def started_at(created_at: float, login_at: float | None) -> float:
    """Return the moment from which a session's age and its absolute limit count: the login, else the creation.

    All in Unix seconds.

    :param login_at: ``None`` where nobody proved who they are.
    """
    return created_at if login_at is None else login_at
