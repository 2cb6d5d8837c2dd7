"""Tables on their own."""

from .blocks import add_table, add_title
from .draft import Draft
from .tables import TABLE_KINDS, make_table

_TITLES = {
    "goods": ("Order list", "Goods", "Packing list"),
    "prices": ("Price list", "Menu", "Prices"),
    "staff": ("Staff", "Telephone list", "Team"),
    "guests": ("Guests", "Guest list", "Seating"),
    "trips": ("Departures", "Timetable", "Trips"),
    "stock": ("Stock", "Inventory", "Store room"),
    "scores": ("Scores", "Results", "Ranking"),
    "orders": ("Orders", "Open orders", "Order book"),
    "sales": ("Sales", "Sales by city", "Branches"),
}


def draw_table(draft: Draft, room: int, variant: str) -> None:
    """A table, with a title where there is room; the variant is the look of its lines."""
    name = draft.content.choice(tuple(TABLE_KINDS))
    titled = room >= 4 and draft.content.random() < 0.7
    header = room >= 3 and draft.content.random() < 0.85
    if titled:
        add_title(draft, draft.content.choice(_TITLES[name]), draft.look.choice(("left", "center")))
    rows = max(2, room - titled - header)
    columns = 1 if room <= 3 and draft.content.random() < 0.7 else 0
    add_table(draft, make_table(draft, name, rows, columns), variant, header)
