"""Merging as a timeline: two requests of one session, a conflict, and one's changes laid over the other's."""

from __future__ import annotations

from pen import Sheet

FIRST, RECORD, SECOND = 84, 244, 404
TOLD = """\
Time runs from left to right. Request A and request B both read version 1 of the record, which holds a cart with
tea, and a coupon. B sets the language, removes the coupon, and saves: version 2. A adds a cup to the cart and
would save over version 1, which is refused as a conflict. So A reads version 2 and lays its own change, the cart,
over it: version 3 holds the cart with tea and cup and the language. The coupon, which A had read, stays gone: a
removal wins.
"""


def draw() -> Sheet:
    sheet = Sheet(
        "merging",
        "Two requests change one session at once",
        TOLD,
        height=480,
    )
    for y, name, tone in [(FIRST, "request A", "green"), (RECORD, "record", "blue"), (SECOND, "request B", "brass")]:
        sheet.line((104, y), (742, y), tone="hair", width=1.2)
        sheet.pill(58, y, name, tone=tone, width=80)
    _reading(sheet)
    _first_save(sheet)
    _second_save(sheet)
    sheet.line((620, 452), (730, 452), tone="soft", arrow=True)
    sheet.text(612, 456, "time", tone="soft", size=12, at="end")
    return sheet


def _reading(sheet: Sheet) -> None:
    _version(sheet, 112, 1, ("cart", "[tea]", "ink"), ("coupon", "MAY10", "ink"))
    sheet.bar(176, FIRST - 6, 486, 12, tone="green", tint=0.4)
    sheet.bar(206, SECOND - 6, 168, 12, tone="brass", tint=0.4)
    sheet.line((188, RECORD - 34), (188, FIRST + 10), tone="green", arrow=True)
    sheet.line((218, RECORD + 34), (218, SECOND - 10), tone="brass", arrow=True)
    sheet.text(180, FIRST + 66, "reads 1", size=12, tone="soft", at="end")
    sheet.text(210, SECOND - 58, "reads 1", size=12, tone="soft", at="end")
    sheet.text(192, FIRST - 38, "adds a cup: cart = [tea, cup]", size=12.5)
    sheet.text(192, FIRST - 19, "the coupon was only read", size=12, tone="soft")
    sheet.text(222, SECOND + 26, "language = cs", size=12.5)
    sheet.text(222, SECOND + 44, "takes the coupon away", size=12.5)


def _first_save(sheet: Sheet) -> None:
    sheet.line((362, SECOND - 10), (362, RECORD + 44), tone="brass", arrow=True)
    sheet.text(370, SECOND - 58, "saves over 1:", "done", size=12, tone="brass")
    _version(sheet, 300, 2, ("cart", "[tea]", "ink"), ("language", "cs", "brass"), ("coupon", "", "brass"))


def _second_save(sheet: Sheet) -> None:
    sheet.line((458, FIRST + 10), (458, FIRST + 74), tone="red", arrow=True, dashed=True)
    sheet.cross(458, FIRST + 88)
    sheet.text(450, FIRST + 48, "would save over 1:", "conflict", size=12, tone="red", at="end")
    sheet.line((432, RECORD - 20), (508, RECORD - 20), (508, FIRST + 10), tone="green", arrow=True)
    sheet.text(516, FIRST + 48, "reads 2", size=12, tone="soft")
    sheet.text(500, FIRST - 38, "lays over it what", size=12.5)
    sheet.text(500, FIRST - 19, "A itself changed: the cart", size=12.5)
    sheet.line((650, FIRST + 10), (650, RECORD - 44), tone="green", arrow=True)
    sheet.text(658, FIRST + 48, "saves over", "2: done", size=12, tone="green")
    _version(
        sheet, 562, 3, ("cart", "[tea, cup]", "green"), ("language", "cs", "brass"), ("coupon", "", "brass"), width=164
    )
    sheet.text(
        562, RECORD + 66, "Nothing is lost,", "and what was removed", "does not come back.", size=12, tone="soft"
    )


def _version(sheet: Sheet, x: float, number: int, *values: tuple[str, str, str], width: float = 132) -> None:
    height = 50 + 18 * (len(values) - 1)
    top = RECORD - height / 2
    sheet.box(x, top, width, height, tone="blue", fill="sheet")
    sheet.text(x + 12, top + 19, f"version {number}", tone="blue", size=12, bold=True)
    for place, (key, value, tone) in enumerate(values):
        y = top + 38 + 18 * place
        if value:
            sheet.text(x + 12, y, f"{key}: {value}", tone=tone, size=11, mono=True)
        else:
            sheet.text(x + 12, y, f"{key}", tone=tone, size=11, mono=True)
            sheet.line((x + 9, y - 4), (x + 15 + 6.8 * len(key), y - 4), tone=tone)
