"""How many visual tokens pages may take: what was asked for, and what there is room for."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError, PromptError
from ..token_reduction.budget import image_tokens
from ..token_reduction.evs import EVSConfig
from ..token_reduction.page_budget import share_pages
from .image_transform import ImageTransform, PackedImages
from .patches import Picture, picture_size
from .tile_transform import TileTransform


def fit_pages(
    transform: ImageTransform | TileTransform,
    images: Sequence[Picture],
    *,
    budget: int | None,
    room: int | None,
) -> PackedImages | None:
    """The pages of a prompt, under a budget for all of them together.

    Args:
        transform: of the checkpoint.
        budget: visual tokens that were asked for; None for what the checkpoint takes.
        room: visual tokens that the context has room for; None does not check. Pages that do not
            fit even at their least are left as they are, for the caller to say so.

    Raises:
        PromptError: the budget asked for is too small.
        MediaError: a picture has an unusable form.
    """
    if not images:
        return None
    sizes = [picture_size(image) for image in images]
    rule, why = transform.rule, "token_budget"
    if budget is not None:
        rule = share_pages(rule, sizes, budget)
    if room is not None:
        try:
            fitting = share_pages(rule, sizes, room)
            rule, why = fitting, why if fitting is rule else "context"
        except PromptError:
            rule = transform.rule
    packed = transform(images, rule)  # type: ignore[arg-type]  # the rule is of the transform's kind
    infos = (
        replace(info, reduced_for=why) if info.visual_tokens < info.visual_tokens_before else info
        for info in packed.infos
    )
    return replace(packed, infos=tuple(infos))


def native_tokens(transform: ImageTransform | TileTransform, images: Sequence[Picture]) -> int:
    """Visual tokens of pages without any budget.

    Raises:
        MediaError: a picture has an unusable form.
    """
    sizes = [picture_size(image) for image in images]
    return sum(image_tokens(transform.rule, h, w, len(sizes)) for h, w in sizes)


def split_budget(
    budget: int | None, evs: EVSConfig | None, pages: int, videos: int
) -> tuple[int | None, EVSConfig | None]:
    """One budget for pages and videos: each kind has the share it would take without one.

    Args:
        budget: visual tokens of everything, or None.
        evs: how videos are pruned else.
        pages, videos: visual tokens that each would take.

    Returns:
        The budget of the pages, and how videos are pruned.

    Raises:
        ConfigError: the budget is not positive.
    """
    if budget is not None and (type(budget) is not int or budget < 1):
        raise ConfigError(f"token_budget is {budget!r}; give a whole number above 0.")
    if budget is None or not videos:
        return budget, evs
    if not pages:
        return budget, replace(evs or EVSConfig(), token_budget=budget)
    for_pages = budget * pages // (pages + videos)
    return for_pages, replace(evs or EVSConfig(), token_budget=budget - for_pages)
