"""How many visual tokens pages may take: what was asked for, and what there is room for."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ConfigError, PromptError
from ..token_reduction.budget import (
    dropped_tokens,
    image_tokens,
    least_tokens,
    plan_evs,
    plan_videos,
)
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


def page_needs(
    transform: ImageTransform | TileTransform, images: Sequence[Picture]
) -> tuple[int, int]:
    """Visual tokens of pages without any budget, and at the least.

    Raises:
        MediaError: a picture has an unusable form.
    """
    sizes = [picture_size(image) for image in images]
    native, least = (
        sum(image_tokens(rule, h, w, len(sizes)) for h, w in sizes)
        for rule in (transform.rule, transform.rule.within(0))
    )
    return native, least


def split_budget(
    budget: int | None,
    evs: EVSConfig | None,
    *,
    pages: tuple[int, int],
    shapes: Sequence[tuple[int, int, int]],
    own: Sequence[EVSConfig | None],
) -> tuple[int | None, list[EVSConfig | None]]:
    """One budget for pages and videos: each kind has the share it would take without one.

    Neither gets less than it takes at the least. What a video with a configuration of its own
    takes is taken off before.

    Args:
        budget: visual tokens of everything, or None.
        evs: how videos are pruned that say nothing of their own.
        pages: visual tokens of all pages without a budget, and at the least.
        shapes: visual tokens of each video as tubelets, rows and columns.
        own: how each video itself says that it is pruned.

    Returns:
        The budget of the pages, and how each video is pruned.

    Raises:
        ConfigError: the budget is not positive.
        PromptError: it cannot hold what pages and videos take at the least.
    """
    if budget is not None and (type(budget) is not int or budget < 1):
        raise ConfigError(f"token_budget is {budget!r}; give a whole number above 0.")
    if budget is None or not shapes:
        return budget, [each or evs for each in own]
    config = evs or EVSConfig()
    native, least = pages
    shared = [shape for shape, each in zip(shapes, own, strict=True) if each is None]
    others = [shape for shape, each in zip(shapes, own, strict=True) if each is not None]
    plans = plan_videos(others, [each for each in own if each is not None])
    fixed = sum(t * h * w for t, h, w in others) - dropped_tokens(plans)
    wanted = sum(plan.keep for plan in plan_evs(config, shared))
    least_of_videos = sum(least_tokens(config, shared))
    left = budget - fixed
    if left < least + least_of_videos and (native or fixed):
        of_pages = f"pages take at least {least} visual tokens and " if native else ""
        raise PromptError(
            f"A token_budget of {budget} is too small: {of_pages}videos "
            f"{'' if native else 'take '}{least_of_videos + fixed}; raise it, or give fewer pages "
            "or smaller videos."
        )
    for_pages = left * native // max(native + wanted, 1)
    for_pages = min(max(for_pages, least), left - least_of_videos)
    most = min(left - for_pages, config.token_budget or left)
    limited = replace(config, token_budget=most) if shared else config
    return for_pages if native else None, [each or limited for each in own]
