"""All that the page of devices says, and what an application says in its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup, escape

from ..errors import ConfigError
from .agents import Agent


def _ago(unit: str, article: str) -> Any:
    def words(count: int) -> str:
        return f"{article} {unit} ago" if count == 1 else f"{count} {unit}s ago"

    return words


def _ended_others(count: int) -> str:
    match count:
        case 0:
            return "No other device was signed in."
        case 1:
            return "1 device was signed out."
    return f"{count} devices were signed out."


#: What is said by default. Functions are given the values: what counts needs more than one form.
DEFAULTS: Final[Mapping[str, Any]] = {
    "lang": "en",
    "direction": "ltr",
    "title": "Your devices",
    "home": "Back to %(site)s",
    "intro": "You are signed in on these devices. Sign out any that you do not know, then change your password.",
    "device": "%(program)s on %(system)s",
    "unknown_program": "Unknown browser",
    "unknown_device": "Unknown device",
    "here": "This device",
    "seen": "Last seen %(when)s",
    "signed_in": "Signed in %(when)s",
    "remembered": "Remembered sign-in %(when)s",
    "just_now": "just now",
    "minutes": _ago("minute", "a"),
    "hours": _ago("hour", "an"),
    "days": _ago("day", "a"),
    "end": "Sign out",
    "end_which": "Sign out %(device)s",
    "end_which_at": "Sign out %(device)s, %(address)s",
    "end_others": "Sign out all other devices",
    "alone": "You are signed in on this device only.",
    "not_listed": (
        "This site keeps no list of devices. Where else you are signed in can be neither seen nor ended from here."
    ),
    "may_be_more": "This site may not know all of your devices. To be sure, change your password.",
    "ended": "%(device)s was signed out.",
    "ended_here": "You have signed out of this device.",
    "ended_others": _ended_others,
    "not_ended": "That device is not signed in any more. Nothing was done.",
    "refused_title": "Nothing was done",
    "refused_elsewhere": "The request came from another site, so it was not carried out.",
    "refused_stale": "This page was open for too long. Please open the list again.",
    "again": "Open the list of devices",
}

#: Something of the kind that each value is, to try a text on.
_SAMPLES: Final[Mapping[str, object]] = {
    "site": "",
    "program": "",
    "system": "",
    "when": "",
    "device": "",
    "address": "",
    "count": 2,
}

#: ``%s`` would be filled with all values at once.
_POSITIONAL = re.compile(r"%(?!\()")


class Texts:
    """The texts of one page.

    :param given: by name, in place of the default: a str in which ``%(name)s`` stands for a value, anything that
        becomes one by ``str()`` when it is shown (a lazy translation), or a function of the values.
    :raises ConfigError: there is no text of that name, or one cannot be filled in.
    """

    def __init__(self, given: Mapping[str, object] | None = None) -> None:
        problems = [problem for name, text in (given or {}).items() if (problem := _problem(name, text))]
        if problems:
            raise ConfigError("\n".join(problems))
        self._texts = {**DEFAULTS, **(given or {})}

    def plain(self, name: str, **values: object) -> str:
        """Return a text as text."""
        text = self._texts[name]
        if callable(text):
            return str(text(**values))
        return str(text) % values

    def html(self, name: str, **values: object) -> Markup:
        """Return a text as HTML, in which all is escaped that is not HTML itself."""
        text = self._texts[name]
        if callable(text):
            return escape(text(**values))
        # A lazy translation becomes what it is in this language before anything is filled in.
        return escape(text if hasattr(text, "__html__") else str(text)) % values

    def device(self, agent: Agent) -> str:
        """Return what a client says it is, in words."""
        if agent.program is None and agent.system is None:
            return self.plain("unknown_device")
        program = agent.program or self.plain("unknown_program")
        return program if agent.system is None else self.plain("device", program=program, system=agent.system)

    def ago(self, seconds: float) -> str:
        """Return how long ago something was, in words; what is to come is now."""
        for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= length:
                return self.plain(unit, count=int(seconds // length))
        return self.plain("just_now")


def _problem(name: str, text: object) -> str | None:
    if name not in DEFAULTS:
        nearest = difflib.get_close_matches(name, DEFAULTS, n=1, cutoff=0.0)
        return f"devices_blueprint() has no text {name!r}. Did you mean {nearest[0]!r}?"
    if text is None or isinstance(text, bytes | int | float):
        return f"The text {name!r} must be a str, a lazy translation or a function, not {text!r}. Leave it out."
    if not isinstance(text, str):
        return None
    values = _values_of(name)
    if _can_be_filled(text, values):
        return None
    known = ", ".join(f"%({value})s" for value in values) or "nothing"
    return f"The text {name!r} cannot be filled in: {text!r} may have {known}. Write a percent sign as %%."


def _can_be_filled(text: str, values: list[str]) -> bool:
    try:
        filled = text % {value: _SAMPLES[value] for value in values}
    except (KeyError, TypeError, ValueError):
        return False
    return isinstance(filled, str) and not _POSITIONAL.search(text.replace("%%", ""))


def _values_of(name: str) -> list[str]:
    """Return the values that the default of a text is filled with."""
    default = DEFAULTS[name]
    return ["count"] if callable(default) else [value for value in _SAMPLES if f"%({value})s" in default]
