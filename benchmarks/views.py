"""What requests do with a session, and what lies in it: the same for us and for all peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, TypeAlias

Data: TypeAlias = MutableMapping[str, Any]
View: TypeAlias = Callable[[Data], str]

#: A session of somebody who is signed in (Flask-Login's names), about 300 bytes.
TYPICAL: dict[str, Any] = {
    "_user_id": "4711",
    "_fresh": True,
    "_id": "7c1b" * 32,
    "csrf_token": "9e2f0a6d4b8c1357" * 2 + "deadbeef",
    "cart": [{"article": 1138, "pieces": 2}, {"article": 94, "pieces": 1}],
    "counter": 0,
}

#: The same visitor before the login.
ANONYMOUS = {name: value for name, value in TYPICAL.items() if not name.startswith("_")}

#: How many keys sessions have of which a size is told, of 200 bytes each with its value: 0.2, 2 and 20 kB.
SIZES = (1, 10, 100)

_user_ids = map(str, itertools.count(10_000))


def ignore(session: Data) -> str:
    """Do not look at the session."""
    return "ok"


def read(session: Data) -> str:
    """Look at one value."""
    return str(session["counter"])


def change(session: Data) -> str:
    """Change one value."""
    session["counter"] += 1
    return "ok"


def begin(session: Data) -> str:
    """Sign in and fill a session."""
    session.update(TYPICAL)
    return "ok"


def write(session: Data) -> str:
    """Fill a session of somebody who has not signed in."""
    session.update(ANONYMOUS)
    return "ok"


def find(session: Data) -> str:
    """Look at a value that may not be there."""
    return str(session.get("counter"))


def write_keys(keys: int, session: Data) -> str:
    """Fill a session with so many keys, one of which is a number with room around it."""
    others = {f"article-{turn:03}": f"{turn:0>188}" for turn in range(1, keys)}
    session.update(others, counter=f"{0:0>192}")
    return "ok"


def change_text(session: Data) -> str:
    """Change one value of such a session."""
    session["counter"] = f"{int(session['counter']) + 1:0>192}"
    return "ok"


def someone() -> str:
    """Return the id of a user who never signed in before: a user with ten thousand sessions is not what is asked."""
    return next(_user_ids)


#: By their names in the URL. How somebody signs in and out is each library's own.
VIEWS: Mapping[str, View] = {
    "ignore": ignore,
    "read": read,
    "change": change,
    "begin": begin,
    "write": write,
    "find": find,
    "change_text": change_text,
    **{f"write_{keys}": partial(write_keys, keys) for keys in SIZES},
}
