"""Where a token goes: from the browser to a key, a record and what a store can see of it."""

from __future__ import annotations

from pen import Sheet

TOLD = """\
The browser holds a token, 32 random bytes written as 43 characters. The server hashes it, together with the
application's id, to a key by SHA-256; there is no way back. The store holds the record under that key: the
payload, sealed by an HMAC that is bound to the key; the owner, a keyed hash of the user's id; the times; and the
device. The token, the user's id in the index and the secret are never in the store.
"""


def draw() -> Sheet:
    sheet = Sheet(
        "tokens",
        "From the token to the record",
        TOLD,
        height=330,
    )
    _browser(sheet)
    _server(sheet)
    _store(sheet)
    return sheet


def _browser(sheet: Sheet) -> None:
    _room(sheet, 24, 176, "browser", "green")
    sheet.text(40, 84, "the token", bold=True)
    sheet.box(40, 94, 144, 44, tone="green", fill="green", tint=0.1)
    sheet.text(52, 113, "PyTyC0ZsR1xq", "4tWk...  43 letters", mono=True, size=11, tone="green")
    sheet.text(40, 164, "32 random bytes,", "nothing else in them.", size=12, tone="soft")
    sheet.text(40, 212, "Its cookie: Secure,", "HttpOnly, SameSite,", "__Host- in its name.", size=12, tone="soft")


def _server(sheet: Sheet) -> None:
    _room(sheet, 244, 208, "server", "brass")
    sheet.line((186, 116), (262, 116), tone="green", arrow=True)
    sheet.box(264, 94, 168, 44, tone="hair")
    sheet.text(348, 112, "SHA-256 of", "app id and token", at="middle", size=12, leading=1.35)
    sheet.box(264, 158, 168, 44, tone="hair")
    sheet.text(348, 176, "HMAC-SHA-256 of", "the payload and its key", at="middle", size=12, leading=1.35)
    sheet.box(264, 222, 168, 44, tone="hair")
    sheet.text(348, 240, "HMAC-SHA-256 of", "the user's id", at="middle", size=12, leading=1.35)
    sheet.text(264, 84, "one way only", bold=True)
    sheet.text(264, 289, "SECRET_KEY stays here.", size=12, tone="soft")


def _store(sheet: Sheet) -> None:
    _room(sheet, 512, 224, "store", "blue")
    for y, name, shown, meaning in [
        (94, "key", "3fa9c1...", "leads to no token"),
        (158, "payload", "0x11 ...", "what you put in session"),
        (222, "owner", "b07e44...", "names nobody"),
    ]:
        sheet.line((434, y + 22), (530, y + 22), tone="blue", arrow=True)
        sheet.box(532, y, 188, 44, tone="blue", fill="blue", tint=0.1)
        sheet.text(544, y + 19, name, bold=True, tone="blue", size=12.5)
        sheet.text(708, y + 19, shown, mono=True, size=11, at="end", tone="blue")
        sheet.text(544, y + 35, meaning, size=12, tone="soft")
    sheet.text(532, 84, "the record", bold=True)
    sheet.text(532, 289, "and its times, version, device", size=12, tone="soft")


def _room(sheet: Sheet, x: float, width: float, name: str, tone: str) -> None:
    sheet.box(x, 36, width, 270, tone=tone, fill=tone, tint=0.04, radius=10)
    sheet.pill(x + width / 2, 36, name, tone=tone, width=84)
