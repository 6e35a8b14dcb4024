"""What shows that a form was sent by a page of the session that it is sent with."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from ..tokens import bytes_of, text_of

#: What the keys are made for.
PURPOSE: Final = b"form"

_NUMBER = 16


def made_for(lineage: bytes, keys: Sequence[bytes]) -> str:
    """Return a text for a form that nobody can make who has neither a key nor a page of this session.

    Another one each time, so that a compressed answer gives nothing of it away by its length (BREACH, CVE-2013-3587).
    Nothing of it is stored.

    :param lineage: of the session.
    :param keys: the current one first.
    """
    number = secrets.token_bytes(_NUMBER)
    return text_of(number + _mac(keys[0], number, lineage))


def is_made_for(lineage: bytes, text: str, keys: Sequence[bytes]) -> bool:
    """Return whether ``made_for`` made a text for this session, under any of the keys."""
    raw = bytes_of(text)
    if raw is None:
        return False
    number, mac = raw[:_NUMBER], raw[_NUMBER:]
    return any(hmac.compare_digest(_mac(key, number, lineage), mac) for key in keys)


def comes_from_elsewhere(*, fetch_site: str | None, origin: str | None, host: str) -> bool:
    """Return whether a browser says that a request was made by a page of another origin.

    Fetch Metadata decides where a browser sends it: no page can set or change it. An older browser's ``Origin`` is
    compared by host alone, as behind a proxy the scheme is often another one. Who sends neither is no browser of the
    last years, and told apart by the form's proof. (OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Fetch
    Metadata headers"; Go's ``http.CrossOriginProtection`` is the same.)

    :param fetch_site: what ``Sec-Fetch-Site`` says, if it was sent.
    :param origin: the same of ``Origin``.
    :param host: of the request, with its port unless that is the scheme's own.
    """
    if fetch_site is not None:
        return fetch_site not in ("same-origin", "none")
    return origin is not None and _host_of(origin) != host.lower()


def _mac(key: bytes, number: bytes, lineage: bytes) -> bytes:
    return hmac.digest(key, number + lineage, "sha256")


def _host_of(origin: str) -> str:
    """Return an origin's host with its port, unless that is the scheme's own; empty for ``null`` and what is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return ""
    is_usual = port is None or (parts.scheme, port) in (("http", 80), ("https", 443))
    netloc = parts.netloc.lower()
    return netloc.removesuffix(f":{port}") if is_usual else netloc
