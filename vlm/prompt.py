"""A prompt where the model is, checked; and the parts of either kind of model.

Letters: T tokens, D hidden.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..data.model_inputs import ModelInputs
from ..errors import InputError, PromptError
from ..token_reduction.reuse import ReusePlan
from .language_model import LanguageModel
from .model import VisionLanguageModel
from .pruning import kept_tokens, row_mask, video_masks
from .sampling import GenerationConfig

Model = VisionLanguageModel | LanguageModel


def language_model(model: Model) -> LanguageModel:
    """The part of a model that reads and writes tokens."""
    return model if isinstance(model, LanguageModel) else model.language_model


def vocab_size(model: Model) -> int:
    return language_model(model).config.vocab_size


def embed(model: Model, inputs: ModelInputs) -> Tensor:
    """Embeddings `(T, D)` of a prompt, pictures in place, and without what EVS drops."""
    return embed_prompt(model, inputs)[0]


See = Callable[[VisionLanguageModel, ModelInputs], tuple[list[Tensor], list[Tensor]]]


def see(model: VisionLanguageModel, inputs: ModelInputs) -> tuple[list[Tensor], list[Tensor]]:
    """Visual tokens of all pictures `(V, D)`, in one piece or several, and of each video."""
    return model.see(
        inputs.pixel_values,
        inputs.image_grid_hw,
        inputs.pixel_values_videos,
        inputs.video_grid_thw,
        inputs.reuse,
    )


def embed_prompt(model: Model, inputs: ModelInputs, see: See = see) -> tuple[Tensor, ModelInputs]:
    """Embeddings `(T, D)` of a prompt, and the prompt as it is now: EVS's plans are carried out.

    Its ids, labels and counts are those of the tokens that are left, and each video has the mask
    of them; there are no plans any more. `see` encodes what is to be seen, or remembers it.

    Raises:
        FusionError: placeholders and visual tokens differ in number, of images or videos.
        InputError: pixels come without grids, or plans are of other videos.
    """
    if isinstance(model, LanguageModel):
        return model.embed(inputs.input_ids), inputs
    images, videos = see(model, inputs)
    if not inputs.evs:
        placed = model.place(inputs.input_ids, images, [video.flatten(0, 2) for video in videos])
        return placed, inputs
    masks = video_masks(videos, inputs.evs)
    keep_T = row_mask(inputs.input_ids, masks, model.config.video_placeholder_id)
    labels, infos = inputs.labels, inputs.videos
    kept = replace(
        inputs,
        input_ids=inputs.input_ids[keep_T],
        labels=None if labels is None else labels[keep_T.to(labels.device)],
        evs=(),
        visual_tokens=inputs.visual_tokens - int((~keep_T).sum()),
        videos=tuple(
            replace(info, kept_mask=mask.cpu()) for info, mask in zip(infos, masks, strict=True)
        ),
    )
    return model.place(kept.input_ids, images, kept_tokens(videos, masks)), kept


def inputs_on_device(model: Model, inputs: ModelInputs) -> ModelInputs:
    """A checked prompt where the model is.

    Raises:
        PromptError: there are no tokens.
        InputError: an id is outside the vocabulary, or a picture comes to a text model.
    """
    ids = inputs.input_ids
    if ids.dim() != 1 or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise InputError(
            f"input_ids must be integers of shape (tokens,), not {ids.dtype} of shape "
            f"{tuple(ids.shape)}."
        )
    if not ids.numel():
        raise PromptError("The prompt has no tokens, so there is nothing to answer.")
    _check_ids(model, inputs)
    shows = inputs.pixel_values is not None or inputs.pixel_values_videos is not None
    if shows and isinstance(model, LanguageModel):
        raise InputError("This checkpoint reads text only; it has no part that sees pictures.")
    device = language_model(model).device

    reuse = inputs.reuse

    def moved(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device)

    return replace(
        inputs,
        input_ids=ids.to(device, torch.int64),
        pixel_values=moved(inputs.pixel_values),
        image_grid_hw=moved(inputs.image_grid_hw),
        pixel_values_videos=moved(inputs.pixel_values_videos),
        video_grid_thw=moved(inputs.video_grid_thw),
        reuse=reuse
        if reuse is None
        else ReusePlan(reuse.encoded_P.to(device), reuse.source_P.to(device), reuse.remembers),
    )


def _check_ids(model: Model, inputs: ModelInputs) -> None:
    ids, size = inputs.input_ids, vocab_size(model)
    if isinstance(model, VisionLanguageModel) and inputs.pixel_values_videos is not None:
        # What stands for a video is never embedded and may lie past the vocabulary.
        ids = ids[ids != model.config.video_placeholder_id]
    for idx in (int(ids.min()), int(ids.max())) if ids.numel() else ():
        if not 0 <= idx < size:
            raise InputError(f"The token id {idx} is outside the vocabulary of {size} ids.")


def room_for_answer(
    inputs: ModelInputs, config: GenerationConfig, context_length: int | None
) -> int:
    """How many tokens the answer may have.

    Raises:
        PromptError: the prompt fills the context.
    """
    if context_length is None:
        return config.max_tokens
    num_prompt = inputs.num_tokens
    if num_prompt >= context_length:
        visual = inputs.visual_tokens - (inputs.input_ids.shape[0] - num_prompt)
        raise PromptError(
            f"The prompt has {num_prompt} tokens ({visual} of them for pictures), "
            f"but prompt and answer must fit into {context_length} together: shorten it or give "
            "fewer pages."
        )
    return min(config.max_tokens, context_length - num_prompt)
