"""Rotation: the token that age renewed, the half minute in which it leads on, and what a copy brings about."""

from __future__ import annotations

from pen import Sheet

OLD, NEW = 104, 214
TOLD = """\
Time runs from left to right. Token 1 serves until it has the age of SESSIONKIT_ROTATE_EVERY. One request then gets
token 2, and token 1 leads on to the same session for 30 seconds: late requests read and write through it and are
given no token. When the browser shows token 2, it is known that it arrived. After the 30 seconds token 1 is kept
as spent until the session's absolute end: whoever comes with it has a copy, and the session ends for both, with
the reason rotated. If the answer with token 2 was lost, so that no browser ever showed it, token 1 is renewed
again, to token 3, and nothing ends.
"""


def draw() -> Sheet:
    sheet = Sheet(
        "rotation",
        "A token that is renewed by age",
        TOLD,
        height=492,
    )
    _renewed(sheet)
    _lost(sheet)
    return sheet


def _renewed(sheet: Sheet) -> None:
    sheet.text(24, 38, "The new token arrives", size=14, bold=True)
    _token(sheet, OLD, "token 1", "green")
    _token(sheet, NEW, "token 2", "blue")
    _life(sheet, 112, 170, OLD, tone="green")
    sheet.text(120, OLD - 20, "reads and writes", size=12, tone="soft")
    _renewal(sheet, 282, OLD, NEW)
    sheet.text(274, 150, "renewed by age,", "SESSIONKIT_ROTATE_EVERY", size=12, at="end")
    _half_minute(sheet, 282, OLD)
    sheet.text(286, OLD - 20, "leads on for 30 s", size=12, tone="brass")
    sheet.bar(412, OLD - 2, 218, 4, tone="red", tint=0.5)
    sheet.text(424, OLD - 20, "spent: its holder has a copy", size=12, tone="soft")
    _life(sheet, 282, 58, NEW, tone="blue", tint=0.2)
    sheet.text(286, NEW + 28, "not yet", "shown", size=12, tone="soft")
    sheet.dot(340, NEW, tone="blue")
    _life(sheet, 340, 290, NEW, tone="blue")
    sheet.text(352, NEW + 28, "shown by the browser: it arrived", size=12, tone="blue")
    sheet.line((630, 76), (630, NEW + 12), tone="red", dashed=True)
    sheet.cross(630, OLD)
    sheet.cross(630, NEW)
    sheet.text(644, OLD - 20, "a copy comes:", size=12, tone="red", bold=True)
    sheet.text(644, 132, "the session ends", "for both, since", "nobody can tell", "who is the thief", size=12)
    sheet.line((24, 270), (736, 270), tone="hair")


def _lost(sheet: Sheet) -> None:
    sheet.text(24, 302, "The answer that carried it is lost", size=14, bold=True)
    top, middle, low = 342, 390, 438
    _token(sheet, top, "token 1", "green")
    _token(sheet, middle, "token 2", "soft")
    _token(sheet, low, "token 3", "blue")
    _life(sheet, 112, 170, top, tone="green")
    _renewal(sheet, 282, top, middle)
    _half_minute(sheet, 282, top)
    sheet.text(286, top - 18, "leads on for 30 s", size=12, tone="brass")
    _life(sheet, 282, 66, middle, tone="soft", tint=0.2)
    sheet.text(356, middle + 5, "nobody ever shows it", size=12, tone="soft", clear=True)
    sheet.dot(520, top, tone="green")
    sheet.text(532, top - 28, "the browser goes on with", "token 1: renewed again", size=12)
    _renewal(sheet, 520, top, low)
    _life(sheet, 520, 200, low, tone="blue")
    sheet.text(512, low + 5, "nothing is lost, nobody is signed out", size=12, tone="soft", at="end", clear=True)
    sheet.line((640, 472), (730, 472), tone="soft", arrow=True)
    sheet.text(632, 476, "time", tone="soft", size=12, at="end")


def _token(sheet: Sheet, y: float, name: str, tone: str) -> None:
    sheet.line((104, y), (736, y), tone="hair", width=1)
    sheet.pill(62, y, name, tone=tone, width=72)


def _life(sheet: Sheet, x: float, width: float, y: float, *, tone: str, tint: float = 0.5) -> None:
    sheet.bar(x, y - 7, width, 14, tone=tone, tint=tint)


def _half_minute(sheet: Sheet, x: float, y: float) -> None:
    sheet.box(x, y - 7, 130, 14, tone="brass", fill="brass", tint=0.25, radius=4, dashed=True)


def _renewal(sheet: Sheet, x: float, above: float, below: float) -> None:
    sheet.line((x, above + 8), (x, below - 8), tone="blue", arrow=True)
