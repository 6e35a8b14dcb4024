"""The two people who have an account, and how a password is checked."""

from __future__ import annotations

from dataclasses import dataclass

from werkzeug.security import check_password_hash

#: What both people type, shown on the login page in debug mode.
DEMO_PASSWORD = "tea-time"  # noqa: S105  # of an example, and told to everybody


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account.

    :param id: what the session is bound to; stays when the name changes.
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


# The hashes are written down, not made at each start: a new salt would be a new stamp, and sign everybody out.
PEOPLE = (
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

#: Of no password, checked for a name that nobody has: the time it takes must not tell which names exist.
_NOBODYS_HASH = (
    "scrypt:32768:8:1$kIMg5qWG8zaBOYky$"
    "5774b36d94ccc0e892611baf18708e6503b82a822fccb2c884f1af65ed71b9b5"
    "f93ed0f5f8b35cd11fb9000364d1dfe2431bbe336dc0cb698862e6b236069985"
)


def by_id(user_id: str | None) -> Person | None:
    """Return the person whom a session is bound to, or ``None``."""
    return next((person for person in PEOPLE if person.id == user_id), None)


def with_password(name: str, password: str) -> Person | None:
    """Return the person whom a name and a password belong to, or ``None``."""
    person = next((person for person in PEOPLE if person.name == name.strip().casefold()), None)
    is_right = check_password_hash(person.password_hash if person else _NOBODYS_HASH, password)
    return person if is_right else None


def stamp_of(user_id: str) -> str | None:
    """Return what a person's sessions have to agree with: after a change of password all earlier ones end."""
    person = by_id(user_id)
    return person.stamp if person else None
