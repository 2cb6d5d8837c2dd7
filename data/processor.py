"""Messages and pictures to what the model reads; training and answering share these lines.

    messages -> check, guard -> chat template -> ids -> each placeholder widened to its
    picture's visual tokens -> ModelInputs

The files are the checkpoint's own: `tokenizer.json`, `tokenizer_config.json`, the chat
template and `processor_config.json` (or `preprocessor_config.json`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import Tensor

from ..errors import CheckpointError, PromptError
from .chat import ChatTemplate, Message, check_conversation
from .chat_style import ChatStyle
from .guard import Guard, split_marks
from .image_transform import ImageConfig, ImageInfo, ImageTransform
from .processor_files import read_image_config, read_json
from .tool_messages import check_tools

IGNORED_LABEL = -100
IMAGE_TOKEN, IMAGE_START, IMAGE_END = "<image>", "<img>", "</img>"


@dataclass(frozen=True, kw_only=True)
class ModelInputs:
    """One prompt, packed.

    Attributes:
        input_ids: int64 (tokens,).
        pixel_values: float32 (patches, 3 * p * p), or None without pictures.
        image_grid_hw: int64 (pictures, 2), or None without pictures.
        visual_tokens: how many of the ids stand for pictures.
        images: what became of each picture.
        opens_thought: whether the prompt ends inside a thought, which the answer goes on with.
        labels: int64 (tokens,), the ids of what the assistant says and -100 elsewhere;
            only in training. A label belongs to its own position, not to the one before.
    """

    input_ids: Tensor
    pixel_values: Tensor | None = None
    image_grid_hw: Tensor | None = None
    visual_tokens: int = 0
    images: tuple[ImageInfo, ...] = ()
    opens_thought: bool = False
    labels: Tensor | None = None


class Processor:
    """Tokenizer, chat template and image transform of one checkpoint."""

    def __init__(
        self,
        *,
        tokenizer: tokenizers.Tokenizer,
        template: ChatTemplate,
        image_config: ImageConfig,
        turn_end: str,
        bos: str | None = None,
        context_length: int | None = None,
    ) -> None:
        """Put the parts together; `from_folder` is the usual way.

        Args:
            tokenizer: of the Hugging Face `tokenizers` library.
            template: renders messages with the tokenizer's control tokens.
            image_config: the transform of pictures.
            turn_end: the token that ends what the assistant says.
            bos: the token that begins a text, if the template itself may write it.
            context_length: the longest prompt in tokens; None does not check.

        Raises:
            CheckpointError: the tokenizer does not know `turn_end`.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.template = template
        self.transform = ImageTransform(image_config)
        self.context_length = context_length
        self.turn_end_id = self._id(turn_end)
        self._bos = bos
        added = tokenizer.get_added_tokens_decoder().values()
        self._guard = Guard(token.content for token in added)
        self._image_ids: tuple[int, int, int] | None = None

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        context_length: int | None = None,
        reads_pictures: bool = True,
    ) -> "Processor":
        """Read a checkpoint folder's tokenizer, chat template and image settings.

        Args:
            folder: a checkpoint.
            context_length: the longest prompt in tokens; None does not check.
            reads_pictures: False for a model of text alone, whose folder has no image settings.

        Raises:
            CheckpointError: a file is missing or unreadable.
        """
        folder = Path(folder)
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{folder} has no tokenizer.json, so text cannot be encoded.")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise CheckpointError(f"{path} is not a tokenizer: {error}.") from error
        settings = read_json(folder / "tokenizer_config.json")
        return cls(
            tokenizer=tokenizer,
            template=ChatTemplate.from_folder(folder, settings=settings),
            image_config=read_image_config(folder) if reads_pictures else ImageConfig(),
            turn_end=_content(settings.get("eos_token")) or "<|im_end|>",
            bos=_content(settings.get("bos_token")),
            context_length=context_length,
        )

    @property
    def style(self) -> ChatStyle:
        """What the chat template can be asked for."""
        return ChatStyle.read(self.template)

    def __call__(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        thinking: bool | None = None,
        low_effort: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> ModelInputs:
        """A conversation to model inputs.

        Args:
            messages: the conversation.
            add_generation_prompt: end with what begins an answer.
            thinking: on or off; None is what the chat template does unasked.
            low_effort: ask for a short thought.
            tools: what the model may call, each as its JSON description.
            options: go to the chat template as they are.

        Raises:
            PromptError: the conversation cannot be asked, is longer than the context, or the
                chat template has no place for what is asked of it.
            MediaError: a picture has an unusable form.
        """
        tools = self._guard.nested(check_tools(tools))
        asked = self.style.options(thinking=thinking, low_effort=low_effort, tools=tools)
        return self._encode(
            messages,
            add_generation_prompt,
            is_training=False,
            options={**options, **asked},
            thinking=thinking,
        )

    def encode_conversation(self, messages: Sequence[Message], **options: Any) -> ModelInputs:
        """A finished conversation with labels on every assistant turn, its end token included.

        Raises:
            PromptError: as when called, or the assistant says nothing.
        """
        inputs = self._encode(messages, False, is_training=True, options=options)
        if inputs.labels is None or bool((inputs.labels == IGNORED_LABEL).all()):
            raise PromptError(
                "The conversation has no assistant turn, so there is nothing to learn."
            )
        return inputs

    def decode(self, ids: Sequence[int] | Tensor, *, skip_special_tokens: bool = True) -> str:
        """Ids to text."""
        ids = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        return self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def encode(self, text: str) -> list[int]:
        """Text to ids, with nothing put before or after it."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def tag_id(self, tag: str) -> int | None:
        """The id of a tag that is a token of its own; None where it is spelt by several."""
        added = self.tokenizer.get_added_tokens_decoder()
        return next((idx for idx, token in added.items() if token.content == tag), None)

    @property
    def image_token_id(self) -> int:
        """The id that stands for one visual token."""
        return self._ids_of_images()[0]

    def _encode(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool,
        *,
        is_training: bool,
        options: Mapping[str, Any],
        thinking: bool | None = None,
    ) -> ModelInputs:
        style = self.style
        conversation = check_conversation(messages, guard=self._guard, mark_answers=is_training)
        text = self.template.render(
            style.switched(conversation.messages, thinking),
            add_generation_prompt=add_generation_prompt,
            **options,
        )
        opens_thought = add_generation_prompt and style.check_prompt(text, thinking)
        ids, answers = self._text_ids(text)
        packed = self.transform(conversation.images) if conversation.images else None
        counts = [info.visual_tokens for info in packed.infos] if packed else []
        learnt = self._learnt(ids, answers) if is_training else [False] * len(ids)
        ids, learnt = self._widen(ids, learnt, counts)
        if self.context_length is not None and len(ids) > self.context_length:
            raise PromptError(
                f"The prompt has {len(ids)} tokens ({sum(counts)} of them for pictures), but the "
                f"model's context holds {self.context_length}: shorten it or give fewer pages."
            )
        input_ids = torch.tensor(ids, dtype=torch.int64)
        labels = None
        if is_training:
            labels = input_ids.masked_fill(~torch.tensor(learnt, dtype=torch.bool), IGNORED_LABEL)
        if packed is None:
            return ModelInputs(input_ids=input_ids, labels=labels, opens_thought=opens_thought)
        return ModelInputs(
            input_ids=input_ids,
            pixel_values=packed.pixel_values,
            image_grid_hw=packed.image_grid_hw,
            visual_tokens=sum(counts),
            images=packed.infos,
            opens_thought=opens_thought,
            labels=labels,
        )

    def _text_ids(self, text: str) -> tuple[list[int], list[int]]:
        """Ids of a rendered prompt, and the positions at which answers begin."""
        ids: list[int] = []
        answers: list[int] = []
        for piece, is_answer in split_marks(text):
            if is_answer:
                answers.append(len(ids))
            # A tokenizer may put its own token before a text, unless the template did so.
            is_first = not ids and not (self._bos and piece.startswith(self._bos))
            ids += self.tokenizer.encode(piece, add_special_tokens=is_first).ids
        return ids, answers

    def _learnt(self, ids: list[int], answers: list[int]) -> list[bool]:
        learnt = [False] * len(ids)
        for begin in answers:
            try:
                end = ids.index(self.turn_end_id, begin) + 1
            except ValueError:
                end = len(ids)
            learnt[begin:end] = [True] * (end - begin)
        return learnt

    def _widen(
        self, ids: list[int], learnt: list[bool], counts: list[int]
    ) -> tuple[list[int], list[bool]]:
        """Each placeholder becomes start, one id a visual token, end."""
        image_id = self.tokenizer.token_to_id(IMAGE_TOKEN)
        found = ids.count(image_id) if image_id is not None else 0
        if found != len(counts):
            raise PromptError(
                f"The chat template wrote {found} places for {len(counts)} pictures; "
                "this checkpoint's template cannot show pictures in these messages."
            )
        if not counts:
            return ids, learnt
        image_id, start_id, end_id = self._ids_of_images()
        remaining = iter(counts)
        wide_ids: list[int] = []
        wide_learnt: list[bool] = []
        for idx, is_learnt in zip(ids, learnt, strict=True):
            run = [start_id, *[image_id] * next(remaining), end_id] if idx == image_id else [idx]
            wide_ids += run
            wide_learnt += [is_learnt and len(run) == 1] * len(run)
        return wide_ids, wide_learnt

    def _ids_of_images(self) -> tuple[int, int, int]:
        if self._image_ids is None:
            self._image_ids = (self._id(IMAGE_TOKEN), self._id(IMAGE_START), self._id(IMAGE_END))
        return self._image_ids

    def _id(self, token: str) -> int:
        idx = self.tokenizer.token_to_id(token)
        if idx is None:
            raise CheckpointError(f"The tokenizer has no token {token}, which the model needs.")
        return idx


def _content(token: Any) -> str | None:
    """A special token of tokenizer_config.json: a string, or a mapping with its content."""
    return token.get("content") if isinstance(token, Mapping) else token
