"""What a user agent says of itself, in words. Pure: a header in, names out."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: In this order: each also names those below that it wants to be taken for.
_BROWSERS = (
    (("Edg/", "EdgA/", "EdgiOS/", "Edge/"), "Edge"),
    (("OPR/", "OPT/", "OPiOS/"), "Opera"),
    (("SamsungBrowser/",), "Samsung Internet"),
    (("Vivaldi/",), "Vivaldi"),
    (("YaBrowser/",), "Yandex Browser"),
    (("DuckDuckGo/", "Ddg/"), "DuckDuckGo"),
    (("Firefox/", "FxiOS/"), "Firefox"),
    (("Chromium/",), "Chromium"),
    (("Chrome/", "CriOS/"), "Chrome"),
    (("MSIE ", "Trident/"), "Internet Explorer"),
)

#: In this order: Android says that it is Linux, too, and an iPhone that it is like Mac OS X.
_SYSTEMS = (
    ("Windows Phone", "Windows Phone"),
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Linux", "Linux"),
)

#: Where Safari is to be had; others that name it are like it and say no more.
_WITH_SAFARI = frozenset({"iPhone", "iPad", "macOS"})

#: The product that a user agent begins with (RFC 9110, 10.1.5).
_PRODUCT = re.compile(r"[A-Za-z][\w.+-]{0,39}(?=[/ (]|$)", re.ASCII)
#: The comment behind it, where systems are named.
_COMMENT = re.compile(r"\S+ \(([^()]*)")


@dataclass(frozen=True, slots=True)
class Agent:
    """What a client says it is; ``None`` where it does not say. Nobody checks it.

    :param program: a browser, or the product token of anything else.
    """

    program: str | None
    system: str | None


def agent_of(user_agent: str) -> Agent:
    """Return what a user agent says of itself.

    >>> agent_of("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    Agent(program='Firefox', system='Linux')
    >>> agent_of("curl/8.5.0")
    Agent(program='curl', system=None)
    """
    comment = _COMMENT.match(user_agent)
    system = next((name for sign, name in _SYSTEMS if comment and sign in comment[1]), None)
    product = _PRODUCT.match(user_agent)
    if product is None or product[0] != "Mozilla":
        return Agent(product and product[0], system)
    program = next((name for signs, name in _BROWSERS if any(sign in user_agent for sign in signs)), None)
    if program is None and "Safari/" in user_agent and system in _WITH_SAFARI:
        program = "Safari"
    return Agent(program, system)
