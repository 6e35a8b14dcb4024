"""A browser for the tests of the security requirements, and a thief who kept all that it ever held."""

from __future__ import annotations

from typing import Any

import pytest
from flow_site import Answer, Seen, Site, View, login, look
from flow_stores import KINDS

from flask_sessionkit.roster import SessionInfo

#: For what is said of cookies: of headers it is not.
BY_COOKIE = pytest.mark.parametrize("kind", [*KINDS, "encrypted", "cookie"], indirect=True)

#: Seconds; the defaults of the settings.
IDLE = 1800
ABSOLUTE = 43_200


class Visitor:
    """Holds the cookie (or the header's token) that it was sent last, as a browser does.

    :ivar held: every one that it ever had; replaying them is what a thief can do.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.token: str | None = None
        self.held: list[str] = []

    def does(self, view: View, **how: Any) -> Answer:
        answer = self.site.ask(self.token, view, **how)
        if answer.token is not None:
            self.token = answer.token
            self.held.append(answer.token)
        elif answer.forgets:
            self.token = None
        return answer

    @property
    def sees(self) -> Seen:
        """What it is served now. That is activity, and may bring a newer cookie."""
        seen: Seen = self.does(look).value
        return seen

    def stays(self, seconds: int) -> None:
        """Come by every twenty minutes for a while."""
        for _ in range(seconds // 1200):
            self.site.clock.tick(1200)
            assert self.sees.user is not None


def signed_in(site: Site, user: str = "ann", **given: Any) -> Visitor:
    visitor = Visitor(site)
    visitor.does(login(user, **given))
    return visitor


def sessions_of(site: Site, user: str = "ann") -> list[SessionInfo]:
    rows: list[SessionInfo] = site.outside(site.kit.sessions_of, user)
    return rows


def where(site: Site, *tokens: str) -> list[str | None]:
    """Return who is served with each of these cookies."""
    return [site.seen(token).user for token in tokens]
