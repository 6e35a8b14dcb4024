"""The walk of a request: what is asked of the store, and when."""

from __future__ import annotations

from pen import Sheet

BROWSER, VIEW, KIT, STORE = 70, 262, 486, 690
TOLD = """\
Four lanes: the browser, your view, Flask-SessionKit and the store. A request comes with a token, and nothing is
read yet. At the view's first look at the session the token becomes a key, the store is asked once, and the seal,
the limits and the user stamp are judged. The view changes values in memory. After the view the values that were
looked at are compared with what they were; only if one changed, the record is replaced, if it is still the version
that was read. If it is not, the own changes are laid over the newer version; if it has ended, nothing is written.
The response carries a cookie only where the token is new.
"""


def draw() -> Sheet:
    sheet = Sheet(
        "request",
        "The walk of a request",
        TOLD,
        height=560,
    )
    for x, name, tone in [
        (BROWSER, "browser", "soft"),
        (VIEW, "your view", "green"),
        (KIT, "Flask-SessionKit", "brass"),
        (STORE, "store", "blue"),
    ]:
        sheet.line((x, 52), (x, 536), tone="hair", width=1.2)
        sheet.pill(x, 36, name, tone=tone, width=140 if name == "Flask-SessionKit" else 96)
    _opening(sheet)
    _looking(sheet)
    _closing(sheet)
    _answering(sheet)
    return sheet


def _opening(sheet: Sheet) -> None:
    sheet.line((BROWSER, 84), (KIT - 6, 84), tone="ink", arrow=True)
    sheet.text(BROWSER + 12, 77, "a request, with its token in a cookie", size=12.5, clear=True)
    _note(
        sheet, 66, "Nothing is read.", "0 trips, also for all of a view", "that never looks at its session", count="0"
    )
    sheet.line((KIT, 116), (VIEW + 6, 116), tone="soft", arrow=True)


def _looking(sheet: Sheet) -> None:
    sheet.bar(VIEW - 5, 116, 10, 226, tone="green", tint=0.5)
    sheet.line((VIEW + 6, 176), (KIT - 6, 176), tone="ink", arrow=True)
    sheet.text(VIEW + 16, 169, 'session["cart"]', mono=True, size=12)
    sheet.text(VIEW + 16, 193, "the first look", tone="soft", size=12)
    sheet.line((KIT + 6, 206), (STORE - 6, 206), tone="ink", arrow=True)
    sheet.text(KIT + 16, 199, "load (SHA-256 of the token)", size=12)
    sheet.line((STORE - 6, 234), (KIT + 6, 234), tone="blue", arrow=True)
    sheet.text(KIT + 16, 251, "the record, version 7", tone="blue", size=12)
    _count(sheet, 220, "1")
    sheet.text(
        KIT - 14, 236, "Is its seal ours?", "Is it within its limits?", "Does the user stamp hold?", at="end", size=12
    )
    sheet.line((KIT - 6, 290), (VIEW + 6, 290), tone="soft", arrow=True)
    sheet.text(VIEW + 16, 307, "that one value, decoded", tone="soft", size=12)
    sheet.text(VIEW - 14, 318, ".append(tea)", mono=True, size=12, at="end")
    sheet.text(VIEW - 14, 336, "in memory only", tone="soft", size=12, at="end")


def _closing(sheet: Sheet) -> None:
    sheet.line((VIEW + 6, 342), (KIT - 6, 342), tone="ink", arrow=True)
    sheet.text(VIEW + 16, 359, "the view returns", tone="soft", size=12)
    sheet.text(
        KIT - 14,
        384,
        "What was looked at is encoded again",
        "and compared with what it was.",
        at="end",
        size=12,
        clear=True,
    )
    sheet.text(KIT - 14, 422, "Nothing changed: nothing is written.", at="end", size=12, tone="soft", clear=True)
    sheet.line((KIT + 6, 384), (STORE - 6, 384), tone="ink", arrow=True)
    sheet.text(KIT + 16, 377, "replace, if still version 7", size=12)
    sheet.line((STORE - 6, 410), (KIT + 6, 410), tone="blue", arrow=True)
    _count(sheet, 397, "2")
    for y, answer, what in [
        (428, "done", "it is version 8"),
        (447, "conflict", "lay mine over it"),
        (466, "gone", "write nothing"),
    ]:
        sheet.text(
            KIT + 16, y, answer, size=12, bold=True, tone={"done": "blue", "conflict": "brass", "gone": "red"}[answer]
        )
        sheet.text(KIT + 76, y, what, size=12)


def _answering(sheet: Sheet) -> None:
    sheet.line((KIT - 6, 508), (BROWSER + 6, 508), tone="ink", arrow=True)
    sheet.text(BROWSER + 16, 501, "the response; a cookie only where the token is new", size=12.5, clear=True)
    sheet.text(BROWSER + 16, 526, "Vary: Cookie if the session was looked at", tone="soft", size=12, clear=True)


def _note(sheet: Sheet, y: float, *lines: str, count: str) -> None:
    sheet.text(KIT + 16, y + 16, lines[0], size=12, bold=True)
    sheet.text(KIT + 16, y + 33, *lines[1:], size=12, tone="soft")
    _count(sheet, y + 14, count)


def _count(sheet: Sheet, y: float, number: str) -> None:
    """Write how many trips were made by now."""
    sheet.box(STORE + 20, y - 12, 34, 24, tone="blue", fill="blue", tint=0.14, radius=12)
    sheet.text(STORE + 37, y + 4.5, number, tone="blue", at="middle", bold=True)
