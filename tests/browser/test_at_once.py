"""Many requests of one page at once, as pages send them that are made of parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from club import Place, look, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


@pytest.mark.parametrize("kind", ["files", pytest.param("redis", marks=pytest.mark.redis)])
def test_twenty_each_set_a_key_and_all_are_there(place: Place, visit: Callable[[str], Page]) -> None:
    page = visit(place.at())
    sign_in(page, "ann")

    statuses = page.evaluate("""() => Promise.all([...Array(20).keys()].map(async (number) =>
        (await fetch(`/note?key${number}=${number}`, {method: "POST"})).status
    ))""")

    assert statuses == [200] * 20
    assert look(page)["data"] == {f"key{number}": str(number) for number in range(20)}
