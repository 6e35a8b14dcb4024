"""The pen that all diagrams are drawn with: one set of colours, letters and shapes, written out as SVG."""

from __future__ import annotations

from html import escape
from math import atan2, cos, pi, sin

#: Tone: its colour on light and on dark paper. Words keep a contrast of 4.5 (WCAG 2.2, 1.4.3); ``hair`` writes none.
COLOURS = {
    "paper": ("#fbf9f4", "#171b19"),
    "sheet": ("#ffffff", "#202623"),
    "ink": ("#22302a", "#ece7da"),
    "soft": ("#5b665f", "#a7afa6"),
    "hair": ("#d9d2c3", "#414b45"),
    "green": ("#1f6b50", "#74c7a5"),
    "brass": ("#8a5a0a", "#e0b563"),
    "red": ("#a8321f", "#f2907c"),
    "blue": ("#2c5a8c", "#8db8e6"),
}
SANS = "Seravek, 'Gill Sans Nova', Ubuntu, Calibri, 'Segoe UI', system-ui, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace"


def _variables(shade: int) -> str:
    return "".join(f"--{tone}:{colours[shade]};" for tone, colours in COLOURS.items())


#: Alone, a diagram goes by what the reader's system prefers; inside a page also by the page's own switch (furo's).
STYLE = f"""\
.diagram{{{_variables(0)}font-family:{SANS}}}
@media (prefers-color-scheme:dark){{.diagram{{{_variables(1)}}}}}
body[data-theme=light] .diagram{{{_variables(0)}}}
body[data-theme=dark] .diagram{{{_variables(1)}}}
@media print{{.diagram,body[data-theme] .diagram{{{_variables(0)}}}}}
.diagram .mono{{font-family:{MONO}}}
"""


class Sheet:
    """One diagram. Lengths are in pixels at full size; y goes down.

    :param name: of its file, and in front of its ids.
    :param title: what it shows, in a line.
    :param told: the same for who does not see it, in full sentences.
    """

    def __init__(self, name: str, title: str, told: str, *, width: int = 760, height: int) -> None:
        self.name, self.width, self.height = name, width, height
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" aria-labelledby="{name}-title {name}-told">',
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-told">{escape(" ".join(told.split()))}</desc>',
            f"<style>\n{STYLE}</style>",
        ]
        self._add("rect", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=12, **_filled("paper"), **_drawn("hair"))

    def text(
        self, x: float, y: float, *lines: str, tone: str = "ink", size: float = 13, at: str = "start",
        mono: bool = False, bold: bool = False, leading: float = 1.4, clear: bool = False,
    ) -> None:  # fmt: skip
        (
            """Write lines; the first stands on y. ``at`` is the end that x names: start, middle or end.

        :param clear: clears what was drawn beneath, with a rim of paper.
        """
            ""
        )
        for number, line in enumerate(lines):
            marks: dict[str, object] = {"class": "mono"} if mono else {}
            if bold:
                marks["font-weight"] = "600"
            if at != "start":
                marks["text-anchor"] = at
            place = {"x": x, "y": y + number * size * leading, "font-size": size}
            if clear:
                marks |= {"paint-order": "stroke", "stroke-linejoin": "round"} | _drawn("paper", width=5)
            self._lines.append(f"<text{_written(place | _filled(tone) | marks)}>{escape(line, quote=False)}</text>")

    def box(
        self, x: float, y: float, width: float, height: float, *, tone: str = "hair", fill: str = "sheet",
        tint: float = 1, radius: float = 8, dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a box. ``tint`` is how strong the fill is, up to 1."""
        place = {"x": x, "y": y, "width": width, "height": height, "rx": radius}
        if tint < 1:
            self._add("rect", **place, **_filled("sheet"))
            self._add("rect", **place, **_filled(fill, tint), **_drawn(tone, dashed=dashed))
        else:
            self._add("rect", **place, **_filled(fill), **_drawn(tone, dashed=dashed))

    def bar(self, x: float, y: float, width: float, height: float, *, tone: str, tint: float = 1) -> None:
        """Draw a stretch of time, without an edge."""
        self._add("rect", x=x, y=y, width=width, height=height, rx=min(height / 2, 5), **_filled(tone, tint))

    def pill(
        self, x: float, y: float, word: str, *, tone: str, width: float, mono: bool = False, size: float = 12
    ) -> None:
        """Draw a word in a capsule whose middle is (x, y)."""
        self.box(x - width / 2, y - 11, width, 22, tone=tone, fill=tone, tint=0.14, radius=11)
        self.text(x, y + size * 0.36, word, tone=tone, size=size, at="middle", mono=mono, bold=not mono)

    def dot(self, x: float, y: float, *, tone: str, radius: float = 4.5, hollow: bool = False) -> None:
        """Draw a moment."""
        inside = _filled("paper") if hollow else _filled(tone)
        self._add("circle", cx=x, cy=y, r=radius, **inside, **_drawn(tone, width=1.6))

    def cross(self, x: float, y: float, *, tone: str = "red", reach: float = 5) -> None:
        """Draw an end."""
        across = 2 * reach
        path = f"M{_number(x - reach)} {_number(y - reach)}l{across} {across}m0 {-across}l{-across} {across}"
        self._add("path", d=path, fill="none", **_drawn(tone, width=2), **{"stroke-linecap": "round"})

    def line(
        self, *points: tuple[float, float], tone: str = "soft", dashed: bool = False, arrow: bool = False,
        width: float = 1.4,
    ) -> None:  # fmt: skip
        """Draw a line through points, with a head at its end if it is an arrow."""
        if arrow:
            (before_x, before_y), (x, y) = points[-2:]
            angle = atan2(y - before_y, x - before_x)
            wings = [(x - 8 * cos(angle + turn), y - 8 * sin(angle + turn)) for turn in (-pi / 7.5, pi / 7.5)]
            head = " ".join(f"{_number(one)},{_number(other)}" for one, other in [(x, y), *wings])
            self._add("polygon", points=head, **_filled(tone))
            points = (*points[:-1], (x - 6 * cos(angle), y - 6 * sin(angle)))
        path = "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
        self._add("path", d=path, fill="none", **_drawn(tone, width=width, dashed=dashed))

    def written(self) -> str:
        """Return the SVG."""
        return "\n".join([*self._lines, "</svg>\n"])

    def _add(self, element: str, **attributes: object) -> None:
        self._lines.append(f"<{element}{_written(attributes)}/>")


def _filled(tone: str, tint: float = 1) -> dict[str, object]:
    return {"fill": f"var(--{tone})"} | ({} if tint == 1 else {"fill-opacity": tint})


def _drawn(tone: str, *, width: float = 1, dashed: bool = False) -> dict[str, object]:
    return {"stroke": f"var(--{tone})", "stroke-width": width} | ({"stroke-dasharray": "4 4"} if dashed else {})


def _written(attributes: dict[str, object]) -> str:
    return "".join(f' {name}="{_number(value)}"' for name, value in attributes.items())


def _number(value: object) -> str:
    """Return a length as short as it can be written; anything else as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) and value >= 1 else str(value)
