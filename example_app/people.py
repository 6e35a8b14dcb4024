"""The people who have an account: a SQLite file in the instance folder, beside the sessions and never among them."""

from __future__ import annotations

import os
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import current_app
from werkzeug.security import check_password_hash, generate_password_hash

#: What the two who come with the shop type, shown on the login page in debug mode.
DEMO_PASSWORD = "tea-time"  # noqa: S105  # of an example, and told to everybody


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account.

    :param id: what the session is bound to; never given to anybody else.
    :param name: what is typed to sign in, folded: "Alice" and "alice" are one.
    :param address: where a parcel goes; empty for those who collect.
    :param password_hash: by ``werkzeug.security.generate_password_hash``.
    """

    id: str
    name: str
    full_name: str
    address: tuple[str, ...]
    password_hash: str

    @property
    def stamp(self) -> str:
        """Return a text that changes with the password and tells nothing about it."""
        return self.password_hash[-16:]

    @property
    def is_administrator(self) -> bool:
        """Return whether this is the first who signed up."""
        return self.id == str(len(_WITH_THE_SHOP) + 1)


# The hashes are written down, not made at each start: a new salt would be a new stamp, and sign everybody out.
_WITH_THE_SHOP = (
    Person(
        "1",
        "alice",
        "Alice Marsh",
        ("2 Ferry Steps", "Saltmouth SM1 4TE"),
        "scrypt:32768:8:1$eylhdm5d3o4xiiYv$"
        "c356406ed64574e9cecf232f61e8a1ce6e4f68dec012fc421cbc911a1fae6a14"
        "a9e0da2941229e6d5ccefc829ae97298b8a52451c6bedc089a161a6e11376f1d",
    ),
    Person(
        "2",
        "bob",
        "Bob Okafor",
        ("Flat 5, 31 Mill Lane", "Upper Leven UL7 2EA"),
        "scrypt:32768:8:1$khJfUQlc0GCVHSOJ$"
        "0ab24be3d9cfd7612b8d1e207a5ec3511092f05e4e06699f28208c09f981dd33"
        "152cafcb0d1677827f74bb9291a1c833be17ad2117220d49e4cd69289f646158",
    ),
)

DEMO_NAMES = tuple(person.name for person in _WITH_THE_SHOP)

#: Of no password, checked for a name that nobody has: the time it takes must not tell which names exist.
_NOBODYS_HASH = (
    "scrypt:32768:8:1$kIMg5qWG8zaBOYky$"
    "5774b36d94ccc0e892611baf18708e6503b82a822fccb2c884f1af65ed71b9b5"
    "f93ed0f5f8b35cd11fb9000364d1dfe2431bbe336dc0cb698862e6b236069985"
)

# AUTOINCREMENT: the number of somebody who left must not come to somebody new, with the sessions that go by it.
_TABLE = """
    CREATE TABLE people (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        full_name TEXT NOT NULL,
        address TEXT NOT NULL,
        password_hash TEXT NOT NULL
    )
"""
_INSERT = "INSERT INTO people (id, name, full_name, address, password_hash) VALUES (?, ?, ?, ?, ?)"


class People:
    """All of them. The file is made at the first question, with two people in it; every process may ask.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def by_id(self, user_id: str | None) -> Person | None:
        """Return the person whom a session is bound to, or ``None``."""
        return self._one("id = ?", user_id)

    def with_password(self, name: str, password: str) -> Person | None:
        """Return the person whom a name and a password belong to, or ``None``."""
        person = self._one("name = ?", folded(name))
        is_right = check_password_hash(person.password_hash if person else _NOBODYS_HASH, password)
        return person if is_right else None

    def called(self, part: str, *, limit: int = 20) -> list[Person]:
        """Return the people with a name that contains a text, in the order of the alphabet."""
        with self._open() as file:
            rows = file.execute(
                "SELECT * FROM people WHERE instr(name, ?) ORDER BY name LIMIT ?", (folded(part), limit)
            )
            return [_person(row) for row in rows]

    def add(self, name: str, password: str) -> Person | None:
        """Return somebody new, or ``None`` if the name is taken."""
        row = (None, folded(name), name.strip(), "", generate_password_hash(password))
        try:
            with self._open() as file:
                number = file.execute(_INSERT, row).lastrowid
        except sqlite3.IntegrityError:
            return None
        return self.by_id(str(number))

    def change_password(self, user_id: str, password: str) -> None:
        """Write down the hash of a new password; the old one is worth nothing from now on."""
        with self._open() as file:
            file.execute(
                "UPDATE people SET password_hash = ? WHERE id = ?", (generate_password_hash(password), user_id)
            )

    def remove(self, user_id: str) -> None:
        """Forget somebody."""
        with self._open() as file:
            file.execute("DELETE FROM people WHERE id = ?", (user_id,))

    def stamp_of(self, user_id: str) -> str | None:
        """Return what a person's sessions have to agree with: after a change of password all earlier ones end."""
        person = self.by_id(user_id)
        return person.stamp if person else None

    def _one(self, condition: str, value: str | None) -> Person | None:
        with self._open() as file:
            row = file.execute(f"SELECT * FROM people WHERE {condition}", (value,)).fetchone()  # noqa: S608  # our own
        return _person(row) if row else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT, 0o600))
        with closing(sqlite3.connect(self._path, isolation_level=None)) as file:
            if not _is_made(file):
                _make(file)
            yield file


def of_shop() -> People:
    """Return the people of the current application."""
    return current_app.extensions["people"]


def folded(name: str) -> str:
    r"""Return a name as it is compared.

    >>> folded(" \uff21LICE ") == folded("alice")
    True
    """
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _person(row: tuple[int, str, str, str, str]) -> Person:
    number, name, full_name, address, password_hash = row
    return Person(str(number), name, full_name, tuple(address.splitlines()), password_hash)


def _is_made(file: sqlite3.Connection) -> bool:
    return bool(file.execute("PRAGMA user_version").fetchone()[0])


def _make(file: sqlite3.Connection) -> None:
    file.execute("BEGIN IMMEDIATE")
    if not _is_made(file):  # by another process, while this one waited
        file.execute(_TABLE)
        for person in _WITH_THE_SHOP:
            address = "\n".join(person.address)
            file.execute(_INSERT, (person.id, person.name, person.full_name, address, person.password_hash))
        file.execute("PRAGMA user_version = 1")
    file.execute("COMMIT")
