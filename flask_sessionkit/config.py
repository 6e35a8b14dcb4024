"""The settings: read once, checked at once."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, TypeVar, get_args

from .policy import Timeouts

T = TypeVar("T")

_PREFIX = "SESSIONKIT_"
#: Browsers keep no cookie longer (RFC 6265bis, 5.5).
_LONGEST_REMEMBER = timedelta(days=400).total_seconds()
#: Seconds. A token is followed for half a minute after it was renewed.
_SHORTEST_ROTATION = 60.0

Carrier = Literal["cookie", "header", "both"]

#: Headers that mean something to browsers, to proxies, to Flask or its extensions; some end up in logs.
_TAKEN: Final = re.compile(
    r"""(accept|access-control|content|cookie|if|proxy|sec|set-cookie|x-forwarded)(-.*|2)?
    |a(ge|llow|lt-svc|uthorization)|c(ache-control|lear-site-data|onnection)|d(ate|nt|pr)|e(arly-data|tag|xpect|xpires)
    |f(orwarded|rom)|host|keep-alive|l(ast-event-id|ast-modified|ink|ocation)|max-forwards|origin|p(ragma|riority)
    |r(ange|eferer|eferrer-policy|efresh|etry-after)|s(erver|erver-timing|trict-transport-security)
    |t(e|raceparent|racestate|railer|ransfer-encoding)|u(pgrade|pgrade-insecure-requests|ser-agent)|v(ary|ia)
    |w(arning|ww-authenticate)|x-(content-type-options|correlation-id|csrf-?token|frame-options|http-method-override
    |real-ip|request-id|requested-with|xsrf-token)""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``SESSIONKIT_...`` says. Durations in seconds, sizes in bytes.

    :param store: a URL, or a store object; ``None`` for files in the instance folder.
    :param revocation_store: the same; ``None`` for none.
    :param take_over: where sessions were kept before: ``"flask"``, ``"cookie:"``, URLs, store objects, and what gives a
        ``Predecessor``.
    """

    # Not shown, as a URL may hold a password.
    store: Any = field(repr=False)
    revocation_store: Any = field(repr=False)
    take_over: tuple[Any, ...] = field(repr=False)
    key_prefix: str
    app_id: str
    timeouts: Timeouts
    identity_keys: tuple[str, ...]
    rotate_every: float | None
    max_sessions: int | None
    login_view: str | None
    allow_weak_secret: bool
    max_size: int
    encrypt_records: bool
    secure_cookie: bool
    clear_site_data: bool
    transport: Carrier
    header_name: str
    store_timeout: float
    client_info: bool
    #: All that was set when it was read; what is set later is not.
    given: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_client_kind(self) -> bool:
        """Return whether sessions lie in the browser."""
        return isinstance(self.store, str) and self.store.lower() == "cookie:"


def read_settings(config: Mapping[str, Any], *, app_name: str) -> tuple[Settings, list[str]]:
    """Return the settings and everything that is wrong with them: name, fault and mend, a line each.

    A wrong setting is given its default, so that the reading goes on and all faults are told together.
    """
    reader = _Reader(config)
    idle = reader.duration("IDLE_TIMEOUT", timedelta(minutes=30))
    absolute = reader.duration("ABSOLUTE_TIMEOUT", timedelta(hours=12))
    remember = reader.duration("REMEMBER_TIMEOUT", timedelta(days=30), at_most=_LONGEST_REMEMBER)
    touch_interval = reader.duration("TOUCH_INTERVAL", min(60.0, idle / 10))
    if absolute < idle:
        reader.problems.append(
            f"SESSIONKIT_ABSOLUTE_TIMEOUT ({reader.told('ABSOLUTE_TIMEOUT', absolute)}) must not be shorter than "
            f"SESSIONKIT_IDLE_TIMEOUT ({reader.told('IDLE_TIMEOUT', idle)}). Lengthen the first, or shorten the second."
        )
    if touch_interval > idle / 10:
        reader.problems.append(
            f"SESSIONKIT_TOUCH_INTERVAL ({_in_words(touch_interval)}) must be at most a tenth of "
            f"SESSIONKIT_IDLE_TIMEOUT ({reader.told('IDLE_TIMEOUT', idle)}), as it shortens the idle window. "
            f"Use {idle / 10:g} or less."
        )
    transport: Carrier = reader.value("TRANSPORT", "cookie", _carrier, '"cookie", "header" or "both"')
    settings = Settings(
        given=_ours(config),
        store=reader.value("STORE", None, lambda value: value, "a URL or a store object"),
        revocation_store=reader.value("REVOCATION_STORE", None, lambda value: value, "a URL or a store object"),
        take_over=reader.value("TAKE_OVER", (), _several, '"flask", "cookie:", a URL or a store object, or a list'),
        key_prefix=reader.value("KEY_PREFIX", "session:", _prefix, "1 to 100 visible ASCII characters without { and }"),
        app_id=reader.value("APP_ID", app_name, _text, "a text of 1 to 255 bytes"),
        timeouts=Timeouts(
            idle=idle,
            absolute=absolute,
            fresh=reader.duration("FRESH_TIMEOUT", timedelta(minutes=15)),
            remember=remember,
            touch_interval=touch_interval,
        ),
        identity_keys=reader.value("IDENTITY_KEYS", ("_user_id",), _texts, 'a list of keys, such as ["_user_id"]'),
        rotate_every=reader.value(
            "ROTATE_EVERY",
            None,
            _rotation,
            "a duration of at least a minute: seconds, or timedelta(hours=1); or None",
        ),
        max_sessions=reader.value("MAX_SESSIONS_PER_USER", None, _count, "a number of sessions, at least 1, or None"),
        login_view=reader.value("LOGIN_VIEW", None, _text, 'the name of an endpoint, such as "login"'),
        allow_weak_secret=reader.switch("ALLOW_WEAK_SECRET", default=False),
        max_size=reader.value("MAX_SIZE", 64 * 1024, _size, "a number of bytes, at least 1024"),
        encrypt_records=reader.switch("ENCRYPT_RECORDS", default=False),
        secure_cookie=reader.switch("SECURE_COOKIE", default=True),
        clear_site_data=reader.switch("CLEAR_SITE_DATA", default=False),
        transport=transport,
        header_name=reader.header_name("X-Session-Token", is_used=transport != "cookie"),
        store_timeout=reader.duration("STORE_TIMEOUT", timedelta(seconds=0.5), at_most=60.0),
        client_info=reader.switch("CLIENT_INFO", default=True),
    )
    return settings, reader.problems + reader.unknown()


def set_too_late(settings: Settings, config: Mapping[str, Any]) -> list[str]:
    """Return the names of ours that were set or changed after they had been read."""
    now = _ours(config)
    return sorted(name for name in now.keys() | settings.given.keys() if now.get(name) is not settings.given.get(name))


class _Reader:
    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._read: set[str] = set()
        self.problems: list[str] = []

    def value(self, name: str, default: T, parse: Callable[[Any], T | None], wanted: str) -> T:
        """Return a setting, or its default if it is absent, ``None`` or (noted) wrong."""
        self._read.add(_PREFIX + name)
        given = self._config.get(_PREFIX + name)
        if given is None:
            return default
        parsed = parse(given)
        if parsed is None:
            self.problems.append(f"{_PREFIX}{name} must be {wanted}, not {_shown(given)}.")
            return default
        return parsed

    def duration(self, name: str, default: timedelta | float, *, at_most: float = math.inf) -> float:
        """Return seconds. ``None`` is no duration: who sets it expects a session that never ends."""
        example = default if isinstance(default, timedelta) else timedelta(seconds=default)
        wanted = f"a positive duration: seconds, or {_spelled(example)}"
        if at_most < math.inf:
            wanted += f", at most {_spelled(timedelta(seconds=at_most))}"
        seconds = default.total_seconds() if isinstance(default, timedelta) else default
        if _PREFIX + name in self._config and self._config[_PREFIX + name] is None:
            self.problems.append(f"{_PREFIX}{name} must be {wanted}, not None.")
        return self.value(name, seconds, lambda given: _seconds(given, at_most), wanted)

    def switch(self, name: str, *, default: bool) -> bool:
        return self.value(name, default, lambda given: given if isinstance(given, bool) else None, "True or False")

    def header_name(self, default: str, *, is_used: bool) -> str:
        """Return the name of the header for tokens; one that no token travels in is not judged."""
        wanted = f'the name of a header: a letter, then letters, digits and hyphens, up to 64, such as "{default}"'
        name = self.value("HEADER_NAME", default, _header_name if is_used else lambda given: default, wanted)
        if not _TAKEN.fullmatch(name):
            return name
        self.problems.append(
            f"{_PREFIX}HEADER_NAME must be a name of your own: {name!r} means something else to browsers, proxies, "
            f'Flask or its extensions. Use one such as "{default}".'
        )
        return default

    def told(self, name: str, seconds: float) -> str:
        """Return a duration for a message, and whether it is what nobody set."""
        return _in_words(seconds) + ("" if _PREFIX + name in self._config else ", the default")

    def unknown(self) -> list[str]:
        """Return a line for each name of ours that means nothing, with the nearest one that does."""
        problems = []
        for name in sorted(_ours(self._config).keys() - self._read):
            nearest = difflib.get_close_matches(name, sorted(self._read), n=1, cutoff=0.0)
            problems.append(f"{name} is no setting. Did you mean {nearest[0]}?")
        return problems


def _ours(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if isinstance(name, str) and name.startswith(_PREFIX)}


def _seconds(given: Any, at_most: float) -> float | None:
    if isinstance(given, timedelta):
        given = given.total_seconds()
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if 0 < given <= min(at_most, sys.float_info.max) else None


def _rotation(given: Any) -> float | None:
    seconds = _seconds(given, math.inf)
    return seconds if seconds is not None and seconds >= _SHORTEST_ROTATION else None


def _count(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 1 else None


def _size(given: Any) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 1024 else None


def _text(given: Any) -> str | None:
    if not isinstance(given, str):
        return None
    try:
        return given if 0 < len(given.encode()) <= 255 else None
    except UnicodeEncodeError:
        return None


def _prefix(given: Any) -> str | None:
    """Return what may stand before a key: Memcached splits at spaces, Redis Cluster places keys by braces."""
    is_fit = isinstance(given, str) and re.fullmatch(r"[!-z|~]{1,100}", given)
    return given if is_fit else None


def _carrier(given: Any) -> Carrier | None:
    return next((carrier for carrier in get_args(Carrier) if carrier == given), None)


def _header_name(given: Any) -> str | None:
    """Return a field name (RFC 9110, 5.1) that WSGI can tell from others: there ``_`` and ``-`` are the same."""
    is_name = isinstance(given, str) and re.fullmatch("[A-Za-z]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?", given)
    return given if is_name else None


def _several(given: Any) -> tuple[Any, ...] | None:
    several = tuple(given) if isinstance(given, list | tuple) else (given,)
    return None if any(one is None or one == "" for one in several) else several


def _texts(given: Any) -> tuple[str, ...] | None:
    if isinstance(given, list | tuple) and all(isinstance(key, str) and key for key in given):
        return tuple(given)
    return None


def _spelled(duration: timedelta) -> str:
    count, unit = _in_largest_unit(duration.total_seconds())
    return f"timedelta({unit}={count:g})"


def _in_words(seconds: float) -> str:
    count, unit = _in_largest_unit(seconds)
    return f"{count:g} {unit.removesuffix('s') if count == 1 else unit}"


def _in_largest_unit(seconds: float) -> tuple[float, str]:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length and seconds % length == 0:
            return seconds / length, unit
    return seconds, "seconds"


def _shown(given: Any) -> str:
    """Return a value for a message; of a long one only its type, as it may be a secret in the wrong place."""
    text = repr(given)
    return text if len(text) <= 40 else f"a {type(given).__name__}"
