"""Messages and pictures to what the model reads; training and answering share these lines.

    messages -> check, guard -> chat template -> ids -> each placeholder widened to its
    picture's or video's visual tokens -> ModelInputs

The files are the checkpoint's own: `tokenizer.json`, `tokenizer_config.json`, the chat
template and `processor_config.json` (or `preprocessor_config.json`); they also say whether
pictures have dynamic resolution or are cut into tiles.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import Tensor

from ..errors import CheckpointError, PromptError
from ..token_reduction.budget import dropped_tokens, plan_videos
from ..token_reduction.evs import EVSConfig
from ..token_reduction.reuse import ReuseConfig
from .chat import ChatTemplate, Message, check_conversation
from .chat_style import ChatStyle
from .guard import Guard
from .image_transform import ImageConfig, ImageTransform
from .model_inputs import IGNORED_LABEL, ModelInputs
from .page_budget import fit_pages, page_needs, split_budget
from .placeholders import (
    IMAGE_TOKEN,
    VIDEO_PLACE,
    VIDEO_TOKEN,
    Runs,
    image_run,
    video_run,
    widen,
)
from .processor_files import read_image_config, read_json, read_video_config
from .prompt_ids import PromptIds, learnt_ids
from .tile_transform import TileConfig, TileTransform
from .tool_messages import check_tools
from .video import tubelet_labels
from .video_reuse import with_reuse
from .video_transform import VideoConfig, VideoInfo, VideoTransform


class Processor:
    """Tokenizer, chat template and image transform of one checkpoint."""

    def __init__(
        self,
        *,
        tokenizer: tokenizers.Tokenizer,
        template: ChatTemplate,
        image_config: ImageConfig | TileConfig,
        turn_end: str,
        bos: str | None = None,
        context_length: int | None = None,
        video_config: VideoConfig | None = None,
        video_token_id: int | None = None,
    ) -> None:
        """Put the parts together; `from_folder` is the usual way.

        Args:
            tokenizer: of the Hugging Face `tokenizers` library.
            template: renders messages with the tokenizer's control tokens.
            image_config: the transform of pictures.
            turn_end: the token that ends what the assistant says.
            bos: the token that begins a text, if the template itself may write it.
            context_length: the longest prompt in tokens; None does not check.
            video_config: how videos are cut.
            video_token_id: stands for one visual token of a video, and need not be in the
                vocabulary; None for a model that sees no videos.

        Raises:
            CheckpointError: the tokenizer does not know `turn_end`.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.template = template
        self.transform: ImageTransform | TileTransform = (
            TileTransform(image_config)
            if isinstance(image_config, TileConfig)
            else ImageTransform(image_config)
        )
        self.video_transform = VideoTransform(video_config or VideoConfig())
        self.video_token_id = video_token_id
        self.context_length = context_length
        self._ids = PromptIds(tokenizer, bos=bos)
        self.turn_end_id = self._ids.of(turn_end)
        controls = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
        self._guard = Guard(controls if video_token_id is None else [*controls, VIDEO_TOKEN])

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        context_length: int | None = None,
        reads_pictures: bool = True,
        video_token_id: int | None = None,
        frames_per_tubelet: int = 1,
    ) -> "Processor":
        """Read a checkpoint folder's tokenizer, chat template and image settings.

        Args:
            folder: a checkpoint.
            context_length: the longest prompt in tokens; None does not check.
            reads_pictures: False for a model of text alone, whose folder has no image settings.
            video_token_id: stands for one visual token of a video; None for a model that sees
                no videos.
            frames_per_tubelet: frames that the model's tower takes together.

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
            video_config=(
                read_video_config(folder, frames_per_tubelet=frames_per_tubelet)
                if video_token_id is not None
                else None
            ),
            video_token_id=video_token_id,
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
        evs: EVSConfig | None = None,
        token_budget: int | None = None,
        answer_room: int = 0,
        reuse: ReuseConfig | None = None,
        **options: Any,
    ) -> ModelInputs:
        """A conversation to model inputs.

        Pages that would not fit the context are made smaller, all to one ceiling.

        Args:
            messages: the conversation.
            add_generation_prompt: end with what begins an answer.
            thinking: on or off; None is what the chat template does unasked.
            low_effort: ask for a short thought.
            tools: what the model may call, each as its JSON description.
            evs: which visual tokens of videos are dropped; a video's own goes before it.
            token_budget: the most visual tokens of all pages and videos together.
            answer_room: tokens of the context that pages should leave free.
            reuse: when patches of videos that did not change are not encoded again.
            options: go to the chat template as they are.

        Raises:
            PromptError: the conversation cannot be asked, is longer than the context, or the
                chat template has no place for what is asked of it.
            MediaError: a picture or a frame has an unusable form.
        """
        tools = self._guard.nested(check_tools(tools))
        asked = self.style.options(thinking=thinking, low_effort=low_effort, tools=tools)
        inputs = self._encode(
            messages,
            add_generation_prompt,
            is_training=False,
            options={**options, **asked},
            thinking=thinking,
            evs=evs,
            token_budget=token_budget,
            answer_room=answer_room,
        )
        return inputs if reuse is None else with_reuse(inputs, reuse, self.video_transform)

    def encode_conversation(
        self, messages: Sequence[Message], *, evs: EVSConfig | None = None, **options: Any
    ) -> ModelInputs:
        """A finished conversation with labels on every assistant turn, its end token included.

        Raises:
            PromptError: as when called, or the assistant says nothing.
        """
        inputs = self._encode(messages, False, is_training=True, options=options, evs=evs)
        if inputs.labels is None or bool((inputs.labels == IGNORED_LABEL).all()):
            raise PromptError(
                "The conversation has no assistant turn, so there is nothing to learn."
            )
        return inputs

    @cached_property
    def sees_videos(self) -> bool:
        """Whether the model has ids for videos and its chat template a place for one."""
        if self.video_token_id is None:
            return False
        parts = [{"type": "video"}, {"type": "text", "text": "?"}]
        try:
            asked = self.template.render(
                [{"role": "user", "content": parts}], add_generation_prompt=True
            )
        except PromptError:
            return False
        return VIDEO_TOKEN in asked

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
        return self._ids.of_images.token

    def _encode(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool,
        *,
        is_training: bool,
        options: Mapping[str, Any],
        thinking: bool | None = None,
        evs: EVSConfig | None = None,
        token_budget: int | None = None,
        answer_room: int = 0,
    ) -> ModelInputs:
        style = self.style
        conversation = check_conversation(messages, guard=self._guard, mark_answers=is_training)
        if conversation.videos and not self.sees_videos:
            raise PromptError("This model sees pictures but no videos; ask about single frames.")
        text = self.template.render(
            style.switched(conversation.messages, thinking),
            add_generation_prompt=add_generation_prompt,
            **options,
        )
        opens_thought = add_generation_prompt and style.check_prompt(text, thinking)
        ids, answers = self._ids.of_text(text, has_videos=bool(conversation.videos))
        videos = self.video_transform(conversation.videos) if conversation.videos else None
        clips = videos.infos if videos else ()
        video_runs = [
            self._video_run(info, video.timestamps)
            for info, video in zip(clips, conversation.videos, strict=True)
        ]
        shapes = [info.shape for info in clips]
        budget, configs = split_budget(
            token_budget,
            evs,
            pages=page_needs(self.transform, conversation.images),
            shapes=shapes,
            own=[video.evs for video in conversation.videos],
        )
        plans = plan_videos(shapes, configs)
        dropped = dropped_tokens(plans)
        room = None
        if self.context_length is not None and not is_training:
            others = len(ids) + len(conversation.images) + sum(map(len, video_runs)) - dropped
            room = self.context_length - answer_room - others
        images = fit_pages(self.transform, conversation.images, budget=budget, room=room)
        learnt = learnt_ids(ids, answers if is_training else [], self.turn_end_id)
        pages = images.infos if images else ()
        image_runs = [image_run(self._ids.of_images, page.visual_tokens) for page in pages]
        image_place = self.tokenizer.token_to_id(IMAGE_TOKEN)
        ids, learnt = widen(
            ids,
            learnt,
            [
                Runs("picture", image_place, image_runs),
                Runs("video", VIDEO_PLACE, video_runs),
            ],
        )
        visual_tokens = sum(info.visual_tokens for info in (*pages, *clips))
        spared = sum(page.visual_tokens_before - page.visual_tokens for page in pages)
        num_tokens, visual = len(ids) - dropped, visual_tokens - dropped
        if self.context_length is not None and num_tokens > self.context_length:
            raise PromptError(
                f"The prompt has {num_tokens} tokens ({visual} of them for pictures), but the "
                f"model's context holds {self.context_length}: shorten it or give fewer pages."
            )
        input_ids = torch.tensor(ids, dtype=torch.int64)
        labels = None
        if is_training:
            labels = input_ids.masked_fill(~torch.tensor(learnt, dtype=torch.bool), IGNORED_LABEL)
        return ModelInputs(
            input_ids=input_ids,
            pixel_values=images.pixel_values if images else None,
            image_grid_hw=images.image_grid_hw if images else None,
            pixel_values_videos=videos.pixel_values if videos else None,
            video_grid_thw=videos.grid_thw if videos else None,
            evs=plans,
            visual_tokens=visual_tokens,
            visual_tokens_before=visual_tokens + spared,
            images=pages,
            videos=clips,
            opens_thought=opens_thought,
            labels=labels,
        )

    def _video_run(self, info: VideoInfo, timestamps: Sequence[float]) -> list[int]:
        assert self.video_token_id is not None
        labels = tubelet_labels(timestamps, self.video_transform.tubelets.frames_per_tubelet)
        # Each label is encoded by itself, so its ids do not depend on what stands around it.
        encoded = [self.encode(each) for each in labels]
        return video_run(self._ids.of_images, self.video_token_id, info.tokens_per_tubelet, encoded)


def _content(token: Any) -> str | None:
    """A special token of tokenizer_config.json: a string, or a mapping with its content."""
    return token.get("content") if isinstance(token, Mapping) else token
