"""What Flask-Session's cookie holds: the id of a session, signed or not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from itsdangerous import BadSignature, Signer

#: Bytes of randomness in an id, unless ``SESSION_ID_LENGTH`` says otherwise (flask_session 0.6 to 0.8).
USUAL_LENGTH = 32
#: ``str(uuid4())``, before 0.6 (RFC 9562, 4 and 5.4).
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TEXT = re.compile("[A-Za-z0-9_-]+")


def id_in(text: str, *, length: int, secrets: Sequence[bytes] | None) -> str | None:
    """Return the id that a cookie's value holds, or ``None`` for what Flask-Session cannot have sent.

    Nothing but what it draws itself: before 0.8 it kept what a client sent under any name, and a name of somebody's
    choice would become a part of a key, a statement or a command.

    :param length: bytes of randomness in a new id; what 0.5 and the usual setting draw is an id too.
    :param secrets: the newest last, where ids are signed; ``None`` where they are not.
    """
    if secrets is not None:
        if not secrets:
            return None
        try:
            # As 0.2 to 0.8 sign (flask_session.base, _get_signer).
            text = Signer(list(secrets), salt="flask-session", key_derivation="hmac").unsign(text).decode()
        except (BadSignature, UnicodeDecodeError):
            return None
    return text if _UUID.fullmatch(text) or _is_drawn(text, {length, USUAL_LENGTH}) else None


def is_id_after(prefix: str, name: str) -> bool:
    """Return whether a name that lies in a store could be Flask-Session's: its prefix, and an id of whatever length."""
    return name.startswith(prefix) and _TEXT.fullmatch(name[len(prefix) :]) is not None


def _is_drawn(text: str, lengths: set[int]) -> bool:
    """Return whether ``secrets.token_urlsafe`` of one of these lengths could have returned a text."""
    return _TEXT.fullmatch(text) is not None and len(text) in {-(-length * 4 // 3) for length in lengths}
