"""The secret of an installation that was given none: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def kept_in(folder: Path) -> str:
    """Return the secret that a folder keeps, and make it at the first call.

    It stays the same over restarts, so nobody is signed out by the reloader.
    """
    path = folder / "secret_key"
    if not path.exists():
        _make(path)
    return path.read_text()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex())
    try:
        # Of two processes that start at once one wins, and neither reads half a secret.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
