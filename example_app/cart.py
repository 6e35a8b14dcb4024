"""What a cart comes to. In the session it is a dict of quantities by slug, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .goods import FREE_FROM, POSTAGE, SHELF, Article

#: So many of one thing; more is a matter for the telephone.
MOST = 12


@dataclass(frozen=True, slots=True)
class Line:
    """So many of one article."""

    article: Article
    quantity: int

    @property
    def price(self) -> int:
        """Return cents for all of them."""
        return self.quantity * self.article.price


@dataclass(frozen=True, slots=True)
class Bill:
    """The lines of a cart, added up. In cents."""

    lines: tuple[Line, ...]

    @property
    def goods(self) -> int:
        """Return the price of the goods."""
        return sum(line.price for line in self.lines)

    @property
    def postage(self) -> int:
        """Return the price of the parcel."""
        return 0 if not self.lines or self.goods >= FREE_FROM else POSTAGE

    @property
    def total(self) -> int:
        """Return what is to pay."""
        return self.goods + self.postage

    @property
    def pieces(self) -> int:
        """Return how many things there are, for the number in the header."""
        return sum(line.quantity for line in self.lines)


def bill_of(cart: Mapping[str, int]) -> Bill:
    """Return the bill of a cart, in the order of the shelf. What is no longer sold is left out."""
    return Bill(tuple(Line(article, cart[slug]) for slug, article in SHELF.items() if slug in cart))


def within_reason(quantity: int) -> int:
    """Return the nearest quantity that the shop sells, none included."""
    return max(0, min(quantity, MOST))
