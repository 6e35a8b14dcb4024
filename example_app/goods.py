"""What the shop sells, for how much. Prices in integer cents."""

from __future__ import annotations

from dataclasses import dataclass

#: Cents for a parcel, and the value from which it travels for nothing.
POSTAGE = 390
FREE_FROM = 3500


@dataclass(frozen=True, slots=True)
class Article:
    """One thing on the shelf.

    :param slug: its name in addresses and carts; also names its picture.
    :param price: cents.
    :param facts: what a label says, by heading.
    """

    slug: str
    name: str
    kind: str
    price: int
    blurb: str
    facts: dict[str, str]


SHELF = {
    article.slug: article
    for article in (
        Article(
            "morning-post",
            "Morning Post",
            "Black tea, Assam",
            980,
            "Malty and brisk, and on its feet before you are. Takes milk without complaint and is done by the time the "
            "letters fall through the door.",
            {"Grown in": "Dibrugarh, second flush", "Weight": "125 g", "Water": "98 °C", "Time": "3 to 4 minutes"},
        ),
        Article(
            "earl-of-nowhere",
            "Earl of Nowhere",
            "Black tea, bergamot",
            1060,
            "A title without an estate. Light Ceylon leaf with the oil of real bergamot, pressed from the peel in "
            "Calabria every January.",
            {"Grown in": "Dimbula, high", "Weight": "125 g", "Water": "95 °C", "Time": "3 minutes"},
        ),
        Article(
            "smoke-on-the-fell",
            "Smoke on the Fell",
            "Black tea, smoked",
            1240,
            "Lapsang dried over pine fires. Smells of wet wool, a hut and somebody else having lit the stove. One "
            "spoon of it wakes up a whole pot of something milder.",
            {"Grown in": "Tongmu, Fujian", "Weight": "100 g", "Water": "95 °C", "Time": "2 to 3 minutes"},
        ),
        Article(
            "green-room",
            "Green Room",
            "Green tea, sencha",
            1320,
            "For the half hour before it all begins. Steamed leaf, grassy and a little sweet, with the calm of "
            "somebody who knows the lines.",
            {"Grown in": "Shizuoka, first pick", "Weight": "80 g", "Water": "75 °C", "Time": "90 seconds"},
        ),
        Article(
            "first-frost",
            "First Frost",
            "White tea, bai mu dan",
            1580,
            "Two leaves and a bud, withered slowly and otherwise left alone. Pale in the cup; melon, hay, a cold clear "
            "morning.",
            {"Grown in": "Fuding, Fujian", "Weight": "60 g", "Water": "80 °C", "Time": "4 minutes"},
        ),
        Article(
            "quiet-hour",
            "Quiet Hour",
            "Herbs, no caffeine",
            820,
            "Chamomile, lime blossom and a little lemon balm. Nothing in it will keep you up, and nothing in it was "
            "ever near a laboratory.",
            {"Grown in": "Burgenland and Devon", "Weight": "60 g", "Water": "100 °C", "Time": "6 minutes"},
        ),
        Article(
            "brown-pot",
            "The Brown Pot",
            "Stoneware, four cups",
            3450,
            "Thrown in red clay and glazed in the brown that hides everything. The lid stays on when you pour the last "
            "cup, which is the whole test of a pot.",
            {"Made in": "Stoke-on-Trent", "Holds": "1.1 litres", "Glaze": "Rockingham brown", "Washing": "By hand"},
        ),
        Article(
            "harbour-cup",
            "Harbour Cup",
            "Stoneware, 330 ml",
            1650,
            "Straight sides, a thumb's width of blue and a handle that takes three fingers. Made for the second cup "
            "of the day, the one you sit down for.",
            {
                "Made in": "St Ives",
                "Stacks": "Five high, if you are careful",
                "Glaze": "Oatmeal and cobalt",
                "Washing": "Machine",
            },
        ),
    )
}


def euros(cents: int) -> str:
    """Return an amount as it is written on a label.

    >>> euros(3905)
    '€39.05'
    """
    return f"€{cents // 100}.{cents % 100:02}"
