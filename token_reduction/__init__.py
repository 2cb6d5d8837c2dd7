"""How many visual tokens an image costs, and how they are merged."""
