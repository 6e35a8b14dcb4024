"""Which device a session was signed in on: what the list of devices shows, as bytes and back."""

from __future__ import annotations

import msgspec

from .layout import Layout

_USER_AGENT = 200
#: The longest text of an IPv6 address (POSIX, INET6_ADDRSTRLEN, without its NUL).
_ADDRESS = 45


class Device(msgspec.Struct, frozen=True, array_like=True):
    """What was known at the login.

    :param lineage: 16 bytes that stay the same when the token is renewed.
    :param login_at: Unix seconds; ``None`` for a login that was not fresh (a remember cookie).
    :param user_agent: at most 200 characters, as the client sent them.
    :param address: of the client, as the application sees it.
    """

    lineage: bytes
    login_at: float | None
    user_agent: str
    address: str

    def encode(self) -> bytes:
        """Return at most 1 KiB."""
        return _layout.encode(
            Device(
                self.lineage,
                self.login_at,
                _printable(self.user_agent, _USER_AGENT),
                _printable(self.address, _ADDRESS),
            )
        )

    @classmethod
    def decode(cls, info: bytes) -> Device | None:
        """Return what ``encode`` was given, or ``None`` for anything else."""
        return _layout.decode(info)

    @classmethod
    def of(cls, info: bytes) -> Device:
        """Return the device of an info; nothing is known of one whose info cannot be read."""
        return cls.decode(info) or cls(b"", None, "", "")


_layout = Layout(Device, version=b"\x01")


def _printable(text: str, length: int) -> str:
    # Clients choose this text, and it ends up in logs and terminals (OWASP ASVS 5.0, 16.4.1).
    return "".join(letter if letter.isprintable() else "?" for letter in text[:length])
