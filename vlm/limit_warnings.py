"""A sentence of warning for whatever of a question lies beyond what a model was trained for."""

from collections.abc import Sequence

from ..data.image_transform import ImageInfo
from ..data.media import DEFAULT_DPI, Page
from .limits import ModelLimits
from .photo import looks_like_photo
from .scripts import strange_scripts

# Ordinary text is taken to be 12 points high: 16 pixels at the 96 dpi of a screen.
_TYPE_POINTS = 12.0
_LARGER = "ask a larger checkpoint: latentvlm doctor names those that fit this machine"


def budget_warnings(pages: Sequence[Page], infos: Sequence[ImageInfo]) -> list[str]:
    """Pages that were made smaller to fit a budget or the context; one sentence for all."""
    reduced = [
        (page, info)
        for page, info in zip(pages, infos, strict=True)
        if info.visual_tokens < info.visual_tokens_before
    ]
    if not reduced:
        return []
    before, after = (
        sum(getattr(info, key) for _, info in reduced)
        for key in ("visual_tokens_before", "visual_tokens")
    )
    is_budget = reduced[0][1].reduced_for == "token_budget"
    way_out = "raise token_budget, or " if is_budget else ""
    which = f"{len(reduced)} of {len(pages)} pages were"
    if len(reduced) == 1:
        which = f"{_capital(reduced[0][0].name)} was"
    return [
        f"{which} given {after} of {before} visual tokens to fit the "
        f"{'token_budget' if is_budget else 'context of the model'}; {way_out}ask about fewer "
        "pages."
    ]


def page_warnings(
    limits: ModelLimits, pages: Sequence[Page], infos: Sequence[ImageInfo], *, dpi: float | None
) -> list[str]:
    """Pages that are too many, too large together, too thin, or too small in type.

    Args:
        pages, infos: the pages of one prompt and what became of each, in the same order.
        dpi: at which documents were drawn, if the caller said so.
    """
    found = []
    num_tokens, most = sum(info.visual_tokens for info in infos), limits.trained_max_visual_tokens
    if limits.trained_max_pages is not None and len(pages) > limits.trained_max_pages:
        found.append(
            f"There are {len(pages)} pages, more than the {limits.trained_max_pages} the model was "
            "trained with; ask about fewer at a time."
        )
    if most is not None and num_tokens > most:
        found.append(
            f"The pages take {num_tokens} visual tokens, more than the {most} the model was "
            "trained with; crop to the part you ask about, or give fewer pages."
        )
    smallest = limits.trained_min_type_px
    photos = [page for page in pages if smallest is not None and looks_like_photo(page.image)]
    if photos:
        which = _capital(photos[0].name) if len(photos) == 1 else f"{len(photos)} pages"
        found.append(
            f"{which} {'looks' if len(photos) == 1 else 'look'} like a photo, and the model was "
            f"trained on print; crop to the print, or {_LARGER}."
        )
    if smallest is not None:
        found += _type_warnings(smallest, pages, infos, dpi)
    return found


def _type_warnings(
    smallest: float, pages: Sequence[Page], infos: Sequence[ImageInfo], dpi: float | None
) -> list[str]:
    """Pages whose type is less than `smallest` pixels high; one sentence for each reason."""
    thin: list[Page] = []
    shrunk: list[tuple[Page, float]] = []
    small: list[tuple[Page, float]] = []
    for page, info in zip(pages, infos, strict=True):
        is_document = page.number is not None
        type_px = _TYPE_POINTS / 72 * (dpi if dpi and is_document else DEFAULT_DPI)
        if min(page.image.size) < smallest:
            thin.append(page)
        elif type_px * info.scale < smallest:
            (shrunk if info.scale < 1 else small).append((page, info.scale))
    found = []
    if thin:
        width, height = thin[0].image.size
        which = f"{_capital(thin[0].name)} is {width} x {height} pixels,"
        if len(thin) > 1:
            which = f"{len(thin)} of {len(pages)} pages are"
        found.append(
            f"{which} too thin for a line of the type the model was trained on ({smallest:.0f} "
            "px); give more of the page."
        )
    if shrunk:
        scale = min(scale for _, scale in shrunk)
        which, way_out = f"{_capital(shrunk[0][0].name)} was shrunk to {scale:.0%} of its size", ""
        if len(shrunk) > 1:
            which = f"{len(shrunk)} of {len(pages)} pages were shrunk, down to {scale:.0%}"
            way_out = ", or ask about fewer pages"
        found.append(
            f"{which}, so type below {smallest / scale:.0f} px in {_it(shrunk)} may not be read; "
            f"crop to the part you ask about{way_out}."
        )
    if small:
        scale = min(scale for _, scale in small)
        which = f"{_capital(small[0][0].name)} is"
        if len(small) > 1:
            which = f"{len(small)} of {len(pages)} pages are"
        found.append(
            f"{which} drawn small, so type below {smallest / scale:.0f} px in {_it(small)} may not "
            "be read; raise dpi."
        )
    return found


def text_layer_warnings(limits: ModelLimits, pages: Sequence[Page]) -> list[str]:
    """A text layer that was asked for, but that pages do not have, or that is in another script."""
    asked = [page for page in pages if page.text is not None]
    found = []
    for page in asked:
        strange = strange_scripts(page.text or "", limits.languages)
        if strange:
            found.append(
                f"{_capital(page.name)} holds {_named(strange)} text, which the model was not "
                f"trained on (its languages: {', '.join(limits.languages)}); {_LARGER}."
            )
            break
    bare = [page for page in asked if not page.text]
    if not bare:
        return found
    which = _capital(bare[0].name) if len(bare) == 1 else f"{len(bare)} of {len(asked)} pages"
    return [
        *found,
        f"{which} {'has' if len(bare) == 1 else 'have'} no text layer, so only the picture was "
        "read there.",
    ]


def question_warnings(limits: ModelLimits, question: str) -> list[str]:
    """Letters of another script, or characters that no question of the training data had."""
    scripts = strange_scripts(question, limits.languages)
    if scripts:
        return [
            f"The question is in {_named(scripts)} letters, which the model was not trained on "
            f"(its languages: {', '.join(limits.languages)}); ask in one of these, or {_LARGER}."
        ]
    if limits.trained_characters is None:
        return []
    known = {*limits.trained_characters, *" \n\t\r"}
    strange = sorted({char for char in question if char not in known})
    if not strange:
        return []
    tongue = f" (its languages: {', '.join(limits.languages)})" if limits.languages else ""
    return [
        f"The question has characters the model was not trained on, {' '.join(strange[:8])}"
        f"{tongue}; say it without them."
    ]


def confidence_warnings(limits: ModelLimits, confidence: float) -> list[str]:
    """An answer the model itself hardly believes."""
    if limits.low_confidence is None or confidence >= limits.low_confidence:
        return []
    return [
        f"The confidence is only {confidence:.2f}; check the answer on the page, or crop to the "
        "part you ask about."
    ]


def _it(several: Sequence[object]) -> str:
    return "it" if len(several) == 1 else "them"


def _named(scripts: Sequence[str]) -> str:
    """Scripts as a sentence calls them: Cyrillic, or Chinese for what Unicode calls CJK."""
    return " and ".join("Chinese" if each == "CJK" else each.capitalize() for each in scripts)


def _capital(name: str) -> str:
    # Only our own word: the name of a file keeps its case.
    return "P" + name[1:] if name.startswith("page ") else name
