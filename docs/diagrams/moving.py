"""A session that moves from one store to another: four writes, and what each store holds after each."""

from __future__ import annotations

from pen import Sheet

REQUEST, NEW, OLD = 92, 212, 332
PLACE, MARK, FILLED, MOVED = 292, 382, 472, 562
TOLD = """\
Time runs from left to right, in three lanes: a request, the new store and the old store. The request asks the new
store, which does not know the session, and reads it in the old one. Write 1: the new store keeps a place under the key.
Write 2: the record in the old store becomes a mark, moving, which holds all of it. Write 3: the place becomes the
record, which lives there from then on. Write 4: the mark becomes another, moved, which holds nothing. From the next
request on only the new store is asked. Who dies between two writes loses nothing: whoever comes next finishes. A place
is there once, so a session that has ended meanwhile stays ended.
"""


def draw() -> Sheet:
    sheet = Sheet("moving", "A session moves from one store to another", TOLD, height=452)
    for y, name, tone in [(REQUEST, "request", "green"), (NEW, "new store", "blue"), (OLD, "old store", "brass")]:
        sheet.line((112, y), (736, y), tone="hair", width=1.2)
        sheet.pill(64, y, name, tone=tone, width=84)
    _asking(sheet)
    _moving(sheet)
    sheet.line((24, 392), (736, 392), tone="hair")
    sheet.text(24, 414, "Who dies between two writes loses nothing: whoever comes next finishes.", size=12)
    once = "A place is there once, so a session that was used, renewed or ended meanwhile cannot be brought back."
    sheet.text(24, 433, once, size=12, tone="soft")
    return sheet


def _asking(sheet: Sheet) -> None:
    sheet.bar(132, REQUEST - 6, 480, 12, tone="green", tint=0.4)
    sheet.line((152, REQUEST + 10), (152, NEW - 10), tone="soft", arrow=True)
    sheet.text(160, 146, "asks: not", "known", size=12, tone="soft")
    sheet.line((222, REQUEST + 10), (222, OLD - 22), tone="soft", arrow=True)
    sheet.text(230, 146, "reads", size=12, tone="soft")


def _moving(sheet: Sheet) -> None:
    for number, (x, name) in enumerate([(PLACE, "place"), (MARK, "mark"), (FILLED, "fill"), (MOVED, "forget")], 1):
        y = NEW if x in (PLACE, FILLED) else OLD
        sheet.text(x, REQUEST - 38, f"write {number}", size=12, tone="soft", at="middle")
        sheet.text(x, REQUEST - 20, name, bold=True, at="middle")
        sheet.line((x, REQUEST + 10), (x, y - 20), tone="green", arrow=True)
    sheet.box(PLACE, NEW - 18, FILLED - PLACE, 36, tone="blue", fill="blue", tint=0.04, dashed=True)
    sheet.text(PLACE + 12, NEW + 4.5, "a place", tone="blue", size=12.5)
    sheet.box(FILLED, NEW - 18, 736 - FILLED, 36, tone="blue", fill="blue", tint=0.14)
    sheet.text((FILLED + 736) / 2, NEW + 4.5, "the same record, the same token", tone="blue", at="middle", size=12.5)
    sheet.box(132, OLD - 18, MARK - 132, 36, tone="brass", fill="brass", tint=0.12)
    sheet.text((132 + MARK) / 2, OLD + 4.5, "the record", tone="brass", at="middle")
    sheet.box(MARK, OLD - 18, MOVED - MARK, 36, tone="brass", fill="brass", tint=0.05, dashed=True)
    sheet.text((MARK + MOVED) / 2, OLD - 1, "a mark: moving", tone="brass", at="middle", size=12.5)
    sheet.text((MARK + MOVED) / 2, OLD + 13, "the record inside", tone="soft", at="middle", size=11)
    sheet.box(MOVED, OLD - 12, 736 - MOVED, 24, tone="soft", fill="soft", tint=0.06, dashed=True)
    sheet.text((MOVED + 736) / 2, OLD + 4.5, "moved: holds nothing", tone="soft", at="middle", size=12)
    sheet.dot(664, REQUEST, tone="green")
    sheet.line((664, REQUEST + 10), (664, NEW - 20), tone="green", arrow=True)
    sheet.text(672, 138, "the next", "asks only", "here", size=12, tone="soft")
