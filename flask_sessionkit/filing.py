"""What stores file records under, as text. Anything else could be a path or a command of its own to some of them."""

from __future__ import annotations

import re
from typing import Final

_KEY: Final = re.compile("[0-9a-f]{64}")
_OWNER: Final = re.compile("[0-9a-f]{32}")


def is_key(text: str) -> bool:
    """Return whether a text can be a record's key; see ``tokens.key_of``."""
    return _KEY.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Return whether a text can be the keyed hash of a user id; see ``KeyRing.owners``."""
    return _OWNER.fullmatch(text) is not None
