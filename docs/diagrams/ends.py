"""What ends a session: the event, the reason that is kept for a minute, and what a user reads."""

from __future__ import annotations

from pen import Sheet

#: Who or what ends it: its tone, and for each reason what happens and what the example says to the user.
ENDS = {
    "here": (
        "green",
        [
            ("the user signs out", "logout", "You have signed out."),
            ("a login takes its place", "replaced", "A new session took its place."),
        ],
    ),
    "by time": (
        "blue",
        [
            ("no request for the idle limit", "idle", "You were away for a while."),
            ("the absolute limit is reached", "absolute", "It has been a long day."),
        ],
    ),
    "from elsewhere": (
        "brass",
        [
            ("ended on the page of devices", "revoked", "It was ended from elsewhere."),
            ("ended by somebody else", "administrator", "The administrator has ended it."),
            ("the password changed", "stamp", "Your password has changed."),
            ("one login too many", "limit", "It had to make room for another."),
        ],
    ),
    "by a copy": ("red", [("a renewed token comes again", "rotated", "An old copy of the cookie was used.")]),
}
ROW, GAP = 34, 22


def draw() -> Sheet:
    rows = sum(len(ends) for _, ends in ENDS.values())
    height = 74 + rows * ROW + (len(ENDS) - 1) * GAP + 44
    told = "; ".join(f"{reason}: {event}" for _, ends in ENDS.values() for event, reason, _ in ends)
    sheet = Sheet("ends", "What ends a session, and what its user reads", f"Nine reasons. {told}.", height=height)
    sheet.text(168, 36, "what happens", size=12, tone="soft")
    sheet.text(440, 36, "the reason", size=12, tone="soft", at="middle")
    sheet.text(512, 36, "what the example says, in short", size=12, tone="soft")
    y = 66.0
    for who, (tone, ends) in ENDS.items():
        sheet.bar(24, y - 13, 4, len(ends) * ROW - 8, tone=tone)
        sheet.text(38, y + 4.5, who, tone=tone, size=13, bold=True)
        for event, reason, said in ends:
            sheet.text(168, y + 4.5, event)
            sheet.line((492, y), (506, y), tone=tone)
            sheet.pill(440, y, reason, tone=tone, width=104, mono=True, size=11.5)
            sheet.text(512, y + 4.5, said, size=12.5)
            y += ROW
        y += GAP
    sheet.line((24, y - 24), (736, y - 24), tone="hair")
    kept = "A tombstone without data stays for a minute, tells the reason, and lets nothing bring the session back."
    sheet.text(24, y + 2, kept, size=12, tone="soft")
    return sheet
