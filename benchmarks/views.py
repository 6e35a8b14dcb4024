"""What requests do with a session, and what lies in it: the same for us and for all peers."""

from __future__ import annotations

import base64
import itertools
import random
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

#: How many keys sessions have where their size is what is asked. With its value each takes 200 bytes: 0.2, 2 and 20 kB.
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


def begin_as_someone(session: Data) -> str:
    """Do the same as a user who never signed in before."""
    session.update({**TYPICAL, "_user_id": someone()})
    return "ok"


def write(session: Data) -> str:
    """Fill a session of somebody who has not signed in."""
    session.update(ANONYMOUS)
    return "ok"


def find(session: Data) -> str:
    """Look at a value that may not be there."""
    return str(session.get("counter"))


def write_keys(keys: int, session: Data) -> str:
    """Fill a session with so many keys. One of them is a number, followed by what makes it as long as the others."""
    letters = random.Random(keys)
    others = {f"article-{turn:03}": _text(letters, 188) for turn in range(1, keys)}
    session.update({**others, "counter": "00000000" + _text(letters, 184)})
    return "ok"


def _text(letters: random.Random, length: int) -> str:
    return base64.b64encode(letters.randbytes(length * 3 // 4)).decode()


def change_text(session: Data) -> str:
    """Change one value of such a session."""
    text = session["counter"]
    session["counter"] = f"{int(text[:8]) + 1:08}{text[8:]}"
    return "ok"


def someone() -> str:
    """Return the id of a user who never signed in before: a user with ten thousand sessions is not what is asked."""
    return next(_user_ids)


#: Those that begin a session, so that no cookie is sent along.
FIRST: Mapping[str, View] = {
    "begin": begin,
    "begin_as_someone": begin_as_someone,
    "write": write,
    **{f"write_{keys}": partial(write_keys, keys) for keys in SIZES},
}

#: By their names in the URL. How somebody signs in and out is each library's own.
VIEWS: Mapping[str, View] = {
    **FIRST,
    "ignore": ignore,
    "read": read,
    "change": change,
    "change_text": change_text,
    "find": find,
}
