"""What an error of Redis means, whichever client raised it, with the mend."""

from __future__ import annotations

import re
from typing import Final

#: How a server and, from Redis 7.0 on, one of its scripts say that a user may not.
_says_no: Final = re.compile("NOAUTH|NOPERM|can't run this command").search
_NO_RIGHT: Final = {"AuthenticationError", "AuthorizationError", "NoPermissionError"}


def message(name: str, error: Exception) -> str:
    """Return what is said of an error; nothing that was to be written is in it.

    :param name: of the server, without a password.
    """
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError":
        return f"The Redis server {name} is full. Raise its maxmemory, or keep less in it; nothing was saved."
    if is_forbidden(error):
        return f"The Redis server {name} does not let us do this. See to the user, its password and its ACL."
    if kind == "BusyLoadingError":
        return f"The Redis server {name} is still loading its data. Wait until it is ready."
    if kind == "TimeoutError":
        return f"The Redis server {name} did not answer in time. See that it is not busy, and reached from here."
    if kind == "ResponseError" and (code := re.match("[A-Z]{4,}(?= )", text)) and code[0] != "ERR":
        # Its name for the fault; what comes after it may quote what was to be written.
        return f"The Redis server {name} refuses, and says {code[0]}. Look that up, or into its log."
    # Of a connection the driver tells host, port and what TLS does not like; of a command it may quote what it wrote.
    why = f" ({' '.join(text.split())})" if kind == "ConnectionError" or "DB index" in text else ""
    return f"The Redis server {name} cannot answer{why}. See that it runs and lets us in."


def is_forbidden(error: Exception) -> bool:
    """Return whether the server does not let its user do this."""
    return type(error).__name__ in _NO_RIGHT or _says_no(str(error)) is not None
