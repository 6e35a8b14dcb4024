"""Which secrets are fit to seal with."""

from __future__ import annotations

from typing import Any

_MEND = "Make one with: python -c 'import secrets; print(secrets.token_hex())'. Debugging takes any."

#: Sample keys of tutorials and products that sites went live with (CVE-2023-27524, CVE-2020-17526).
_KNOWN = frozenset(
    {
        b"192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        b'_5#y2L"F4Q8z\n\xec]/',
        b"\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
        rb"\2\1thisismyscretkey\1\2\e\y\y\h",  # the same, copied into an environment variable
        b"CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
        b"thisISaSECRET_1234",
        b"YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
        b"TEST_NON_DEV_SECRET",
        b"temporary_key",
        b"you-will-never-guess",
        b"A0Zr98j/3yX R~XHH!jmN]LWX/,?RT",
    }
)


class Secret(bytes):
    """A secret; it shows nothing of itself where a reporter of errors shows the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


def secrets_of(secret_key: Any, fallbacks: Any) -> tuple[list[bytes], list[str]]:
    """Return an application's secrets as bytes, the current one first, and what cannot work about them.

    :param secret_key: Flask's ``SECRET_KEY``.
    :param fallbacks: Flask's ``SECRET_KEY_FALLBACKS``: a list, or ``None``.
    """
    if not isinstance(fallbacks, list | tuple | None):
        return [], [
            f"SECRET_KEY_FALLBACKS must be a list of secrets, not {type(fallbacks).__name__}; of one text each letter "
            "would be a key. Put it into brackets: [old_secret]."
        ]
    secrets: list[bytes] = []
    problems: list[str] = []
    for name, value in [("SECRET_KEY", secret_key), *(("SECRET_KEY_FALLBACKS", value) for value in fallbacks or ())]:
        if not isinstance(value, str | bytes):
            problems.append(f"{name} must be str or bytes, not {type(value).__name__}. {_MEND}")
        elif not value:
            problems.append(f"{name} holds an empty secret. Remove it, or: {_MEND}")
        else:
            secret = Secret(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)
            if secret in secrets:
                problems.append(f"{name} holds the same secret twice. Remove one.")
            secrets.append(secret)
    return secrets, problems


def weaknesses(secrets: list[bytes]) -> list[str]:
    """Return why secrets could be guessed: short, uniform, or known from a tutorial. Never names the secret."""
    problems = []
    for place, secret in enumerate(secrets):
        name = "SECRET_KEY_FALLBACKS" if place else "SECRET_KEY"
        if secret in _KNOWN:
            problems.append(f"{name} is a published sample. {_MEND}")
        elif len(secret) < 32:
            problems.append(f"{name} must have at least 32 bytes, not {len(secret)}. {_MEND}")
        elif len(set(secret)) < 12:
            problems.append(f"{name} must have at least 12 different bytes, not {len(set(secret))}. {_MEND}")
    return problems


def fit_secrets(secret_key: Any, fallbacks: Any, *, may_be_weak: bool) -> tuple[list[bytes], list[str]]:
    """Return an application's secrets as bytes, the current one first, and all that speaks against them.

    :param may_be_weak: debug and testing take any.
    """
    secrets, problems = secrets_of(secret_key, fallbacks)
    return secrets, problems if may_be_weak else problems + weaknesses(secrets)
