"""What of all that a browser asks for counts as activity of a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from club import Place, look, sign_in, user

from flask_sessionkit.testing import FrozenClock

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

#: Ways in which a page has something fetched before anybody wants to see it.
IN_ADVANCE = {
    "link": """() => new Promise((onload) => {
        document.head.append(Object.assign(document.createElement("link"), {rel: "prefetch", href: "/?ahead", onload}));
    })""",
    **{
        how: f"""() => document.head.append(Object.assign(document.createElement("script"), {{
            type: "speculationrules",
            textContent: '{{"{how}": [{{"source": "list", "urls": ["/?ahead"], "eagerness": "immediate"}}]}}',
        }}))"""
        for how in ("prefetch", "prerender")
    },
}


# Where the session is the cookie a browser puts those of the other two by until somebody wants to see the page.
@pytest.mark.parametrize(
    ("kind", "how"), [("files", "link"), ("files", "prefetch"), ("files", "prerender"), ("cookie", "link")]
)
@pytest.mark.requirement("TO-12")
def test_what_is_fetched_in_advance_keeps_no_session_alive(
    place: Place, clock: FrozenClock, visit: Callable[[str], Page], how: str
) -> None:
    page = visit(place.at())
    sign_in(page, "ann")

    clock.tick(1000)
    page.evaluate(IN_ADVANCE[how])
    assert place.club.wait_for("/?ahead") == "ann"

    clock.tick(1000)
    page.goto("/")
    assert (user(page), page.locator("#why").inner_text()) == ("None", "idle")


@pytest.mark.parametrize("kind", ["files", "cookie"])
def test_a_page_that_polls_keeps_no_session_alive_and_one_that_is_used_does(
    place: Place, clock: FrozenClock, visit: Callable[[str], Page]
) -> None:
    page = visit(place.at())
    sign_in(page, "ann")

    clock.tick(1000)
    assert look(page)["user"] == "ann"
    clock.tick(1000)
    assert look(page, "/glance")["user"] == "ann"
    clock.tick(1000)
    assert look(page)["user"] is None
