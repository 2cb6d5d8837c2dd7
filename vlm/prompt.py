"""A prompt where the model is, checked; and the parts of either kind of model.

Letters: T tokens, D hidden.
"""

from dataclasses import replace

import torch
from torch import Tensor

from ..data.processor import ModelInputs
from ..errors import InputError, PromptError
from .language_model import LanguageModel
from .model import VisionLanguageModel
from .sampling import GenerationConfig

Model = VisionLanguageModel | LanguageModel


def language_model(model: Model) -> LanguageModel:
    """The part of a model that reads and writes tokens."""
    return model if isinstance(model, LanguageModel) else model.language_model


def hidden_states(model: Model, inputs: ModelInputs) -> Tensor:
    """Hidden states `(T, D)` of a whole prompt at once."""
    return language_model(model)(embed(model, inputs))


def vocab_size(model: Model) -> int:
    return language_model(model).config.vocab_size


def embed(model: Model, inputs: ModelInputs) -> Tensor:
    """Embeddings `(T, D)` of a prompt, pictures in place."""
    if isinstance(model, LanguageModel):
        return model.embed(inputs.input_ids)
    return model.embed(
        inputs.input_ids,
        inputs.pixel_values,
        inputs.image_grid_hw,
        inputs.pixel_values_videos,
        inputs.video_grid_thw,
    )


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

    def moved(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device)

    return replace(
        inputs,
        input_ids=ids.to(device, torch.int64),
        pixel_values=moved(inputs.pixel_values),
        image_grid_hw=moved(inputs.image_grid_hw),
        pixel_values_videos=moved(inputs.pixel_values_videos),
        video_grid_thw=moved(inputs.video_grid_thw),
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
    num_prompt = inputs.input_ids.shape[0]
    if num_prompt >= context_length:
        raise PromptError(
            f"The prompt has {num_prompt} tokens ({inputs.visual_tokens} of them for pictures), "
            f"but prompt and answer must fit into {context_length} together: shorten it or give "
            "fewer pages."
        )
    return min(config.max_tokens, context_length - num_prompt)
