"""One budget of visual tokens for all pages of a prompt, shared out fairly.

All pages get the same ceiling: a small page takes what it needs, and what it leaves goes to the
others (max-min fairness). No page is dropped, and none is given less than the least its rule knows.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..errors import PromptError
from .budget import PictureRule, image_tokens


class BoundedRule(PictureRule, Protocol):
    """A rule that also comes with a ceiling."""

    def within(self, tokens: int) -> "BoundedRule":
        """The same rule, giving a picture at most so many visual tokens, or its least."""
        ...


Rule = TypeVar("Rule", bound=BoundedRule)


def share_pages(rule: Rule, sizes: Sequence[tuple[int, int]], budget: int) -> Rule:
    """The rule under which pages take at most `budget` visual tokens together.

    Args:
        rule: `DynamicResolution` or `Tiling`.
        sizes: height and width of each page in pixels.
        budget: visual tokens of all pages.

    Returns:
        `rule` itself where the budget is enough for it.

    Raises:
        PromptError: the budget is less than what the pages take at the least.
        InputError: a side is not positive.
    """
    own = [image_tokens(rule, height, width, len(sizes)) for height, width in sizes]
    if sum(own) <= budget:
        return rule

    def total(ceiling: int) -> int:
        bounded = rule.within(ceiling)
        return sum(image_tokens(bounded, height, width, len(sizes)) for height, width in sizes)

    least = total(0)
    if least > budget:
        raise PromptError(
            f"A budget of {budget} visual tokens is too small for "
            f"{'a page' if len(sizes) == 1 else f'{len(sizes)} pages'}, which take {least} at the "
            "least; raise token_budget, or ask about fewer pages."
        )
    # Totals rise with the ceiling but for rounding, so the last step goes down where it must.
    low, high = 0, max(own)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= budget else (low, middle)
    while total(low) > budget:
        low -= 1
    return rule.within(low)  # type: ignore[return-value]  # of the same class
