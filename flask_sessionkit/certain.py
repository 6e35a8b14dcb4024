"""What has to be so wherever it is asked for, or this library is wrong."""

from __future__ import annotations

from .backends import Found
from .contents import Contents
from .errors import SessionKitError


def contents_of(found: Found) -> Contents:
    """Return the contents of a record that was opened before it was taken for a session."""
    if found.contents is None:
        raise SessionKitError("A record that cannot be opened was taken for a session. Please report this.")
    return found.contents


def present(found: Found | None) -> Found:
    """Return a session that was found, where nobody comes without one."""
    if found is None:
        raise SessionKitError("A session that was not found was taken for one. Please report this.")
    return found
