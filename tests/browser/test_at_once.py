"""Many requests of one page at once, as pages send them that are made of parts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from club import Club, look, opened, sign_in

from flask_sessionkit.clock import SystemClock

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


@pytest.mark.parametrize("kind", ["files", pytest.param("redis", marks=pytest.mark.redis)])
def test_twenty_each_set_a_key_and_all_are_there(
    found: Callable[..., Club], tls: ssl.SSLContext, visit: Callable[[str], Page]
) -> None:
    # Each of its threads has a budget for retries, and one clock that stands would count the pauses of all.
    with opened(found(clock=SystemClock()), tls) as place:
        page = visit(place.at())
        sign_in(page, "ann")

        statuses = page.evaluate("""() => Promise.all([...Array(20).keys()].map(async (number) => {
            const body = {method: "POST", headers: {"Content-Type": "application/json"}};
            return (await fetch("/note", {...body, body: JSON.stringify({["key" + number]: number})})).status;
        }))""")

        assert statuses == [200] * 20
        assert look(page)["data"] == {f"key{number}": number for number in range(20)}
