"""Timeouts as timelines: one day of a usual session, a month of a permanent one, and a minute of "last seen"."""

from __future__ import annotations

from pen import Sheet

LEFT, RIGHT = 150, 736
TOLD = """\
Three timelines. A usual session, with a login at nine: for fifteen minutes the login is fresh; each request that
looks at the session moves the idle limit to thirty minutes after it; at nine in the evening, twelve hours after
the login, the absolute limit ends it however busy it is. A permanent session: its idle limit is Flask's
PERMANENT_SESSION_LIFETIME, and thirty days after the login SESSIONKIT_REMEMBER_TIMEOUT ends it. Last seen: of the
requests of one minute only the first writes it down, so a session may end up to that minute early and never late.
"""


def draw() -> Sheet:
    sheet = Sheet(
        "timeouts",
        "The limits of a session",
        TOLD,
        height=604,
    )
    _day(sheet)
    _month(sheet)
    _minute(sheet)
    return sheet


def _day(sheet: Sheet) -> None:
    _heading(sheet, 34, "The usual session", "its cookie ends with the browser")
    visits = [LEFT, 204, 226, 290]
    _row(sheet, 76, "requests")
    sheet.line((LEFT, 76), (RIGHT, 76), tone="hair", width=1.2)
    _breaks(sheet, 440, 76)
    for x in [*visits, 500, 556, 612]:
        sheet.dot(x, 76, tone="green")
    sheet.text(LEFT, 62, "login", size=12, at="middle", tone="green", bold=True)
    _row(sheet, 110, "fresh")
    sheet.bar(LEFT, 103, 50, 14, tone="brass", tint=0.55)
    sheet.text(LEFT + 60, 114.5, "15 min: views that ask for the password again do not ask", size=12, tone="soft")
    _row(sheet, 144, "idle")
    for place, x in enumerate(visits):
        sheet.bar(x, 137 + 7 * place, 100, 5, tone="green", tint=0.35 + 0.2 * place)
    sheet.line((390, 136), (390, 172), tone="red", dashed=True)
    sheet.cross(390, 161)
    sheet.text(402, 149, "30 min after the last request:", "the session ends here,", size=12)
    sheet.text(402, 183, "unless a request comes before", size=12, tone="soft")
    _row(sheet, 212, "absolute")
    sheet.bar(LEFT, 205, 280, 14, tone="blue", tint=0.45)
    sheet.bar(450, 205, 222, 14, tone="blue", tint=0.45)
    _breaks(sheet, 440, 212)
    sheet.line((672, 66), (672, 226), tone="red", dashed=True)
    sheet.cross(672, 212)
    sheet.text(682, 146, "12 h: ends", "however", "busy it is", size=12)
    for x, hour in [(LEFT, "9:00"), (200, "9:15"), (250, "9:30"), (350, "10:00"), (672, "21:00")]:
        sheet.line((x, 236), (x, 241), tone="soft")
        sheet.text(x, 256, hour, size=11, tone="soft", at="middle")
    sheet.line((LEFT, 236), (430, 236), tone="hair")
    sheet.line((450, 236), (RIGHT, 236), tone="hair")
    _breaks(sheet, 440, 236)
    _divide(sheet, 278)


def _month(sheet: Sheet) -> None:
    _heading(sheet, 308, "The permanent session", "remember=True; its cookie outlives the browser")
    _row(sheet, 340, "requests")
    sheet.line((LEFT, 340), (RIGHT, 340), tone="hair", width=1.2)
    for x in (LEFT, 164, 220, 232, 246, 330, 344, 452, 466, 548, 612):
        sheet.dot(x, 340, tone="green")
    _row(sheet, 366, "idle")
    sheet.bar(612, 359, 124, 14, tone="green", tint=0.55)
    sheet.text(602, 370.5, "PERMANENT_SESSION_LIFETIME, from the last request", size=12, tone="soft", at="end")
    _row(sheet, 394, "absolute")
    sheet.bar(LEFT, 387, 522, 14, tone="blue", tint=0.45)
    sheet.line((672, 330), (672, 410), tone="red", dashed=True)
    sheet.cross(672, 394)
    sheet.text(682, 414, "30 days", size=11, tone="soft")
    sheet.text(LEFT, 418, "the login", size=11, tone="soft")
    _divide(sheet, 440)


def _minute(sheet: Sheet) -> None:
    _heading(sheet, 470, '"Last seen"', "written once a minute at most, so that a read stays a read")
    _row(sheet, 510, "requests")
    sheet.line((LEFT, 510), (RIGHT, 510), tone="hair", width=1.2)
    for x in (LEFT, 430):
        sheet.bar(x, 503, 180, 14, tone="green", tint=0.16)
        sheet.line((x, 528), (x, 548), tone="green", arrow=True)
        sheet.text(x + 10, 545, "written", size=12, tone="green")
        sheet.dot(x, 510, tone="green")
    for x in (176, 228, 300, 470, 566):
        sheet.dot(x, 510, tone="green", hollow=True)
    sheet.text(240, 498, "60 s", size=11, tone="soft", at="middle")
    sheet.text(520, 498, "60 s", size=11, tone="soft", at="middle")
    sheet.text(
        LEFT, 576, "The idle limit counts from what is written: it may come a minute early, and is never late.", size=12
    )


def _heading(sheet: Sheet, y: float, name: str, meaning: str) -> None:
    sheet.text(24, y, name, size=14, bold=True)
    sheet.text(250, y, meaning, size=12.5, tone="soft")


def _row(sheet: Sheet, y: float, name: str) -> None:
    sheet.text(LEFT - 20, y + 4.5, name, size=12.5, at="end")


def _divide(sheet: Sheet, y: float) -> None:
    sheet.line((24, y), (RIGHT, y), tone="hair")


def _breaks(sheet: Sheet, x: float, y: float) -> None:
    """Mark that time is left out here."""
    sheet.line((x - 7, y + 6), (x - 1, y - 6), tone="soft")
    sheet.line((x + 1, y + 6), (x + 7, y - 6), tone="soft")
