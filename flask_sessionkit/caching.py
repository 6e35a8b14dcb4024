"""What caches are told of a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response


def vary_by(response: Response, names: Sequence[str]) -> None:
    """Tell caches that the response depends on these headers of the request."""
    if not has_header(response, "vary"):
        # What werkzeug's vary.update() comes to, in a fifth of the time; a set of names costs as much as a load.
        response.headers.add("Vary", ", ".join(names))
    elif "*" not in response.vary:
        response.vary.update(names)


def has_header(response: Response, name: str) -> bool:
    """Return whether a response has a header.

    :param name: in lower case.
    """
    # To be asked for what is absent makes werkzeug raise an error of its own, which takes longer than all of this.
    for present, _ in response.headers:  # noqa: SIM110  # a generator takes twice as long
        if present.lower() == name:
            return True
    return False
