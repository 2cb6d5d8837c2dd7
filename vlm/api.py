"""What a user holds: `load()` and `VLM`.

ask -> open pages -> processor -> vision tower -> prefill -> tokens -> Answer
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.chat import Message
from ..data.frame_choice import FrameChoice
from ..data.media.page_range import PageChoice
from ..data.processor import ModelInputs, Processor
from ..data.video import read_evs
from ..errors import CheckpointError, ConfigError
from ..token_reduction.evs import EVSConfig
from ..token_reduction.reuse import ReuseConfig
from .answer import Answer, Score
from .answer_stream import AnswerStream
from .api_engine import EngineVerbs
from .asking import Request, make_request, open_pages, own_evs, prepare_answer
from .budgets import DeviceMap
from .checkpoint import Quantized, load_model
from .checkpoint.finite import require_finite
from .checkpoint.hub import Source, find_source
from .constraint import AnswerFormat
from .conversation import Medium, question_message
from .device import choose_device, choose_dtype
from .extract import Extracted, Fields, extract, read_fields
from .generate import never
from .limits import ModelLimits
from .loading import (
    read_end_ids,
    read_processor,
    read_stored_dtype,
    require_embeddings,
    widen_tower,
)
from .model_parts import CONTEXT
from .placement import Placement, place_folder
from .prepared import Prepared
from .prompt import Model, embed, inputs_on_device, language_model
from .quantize.bits import bits_in_memory, bits_per_parameter, num_parameters
from .sampling import GenerationConfig
from .score import score_answer

PRETRAINED = Path(__file__).parent / "pretrained" / "default"


def load(
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    *,
    device_map: DeviceMap | None = None,
    context: int | None = None,
    on_placement: Callable[[Placement], None] | None = None,
    quantized: Quantized = "packed",
    kv_cache: str | None = None,
    revision: str | None = None,
    check_weights: bool = False,
) -> "VLM":
    """Open a checkpoint: a folder, or a repository on the Hugging Face hub.

    Args:
        folder: a checkpoint of one of the families in `vlm/checkpoint/families.py`; None is the
            model in the package. A folder without tokenizer opens too, and says so once a call
            needs text. The id of a repository, `owner/name`, is fetched once and then kept.
        device: "cpu", "cuda", "cuda:1", "mps"; None is the best there is.
        dtype: "float32", "bfloat16" or "float16"; None is what the checkpoint is stored in,
            or float32 on a CPU that has no bfloat16 units. Asked for on such a CPU, bfloat16
            halves the memory of the language model, which is widened as it is used.
        device_map: for a model larger than one device, instead of `device`: "auto" takes what
            is free on the GPUs, then on the CPU; `{"cuda:0": "20GiB", "cpu": "64GiB"}` takes so
            much of each. `VLM.placement` says what lies where.
        context: tokens for whose keys and values a `device_map` keeps room; 8192 if None.
        on_placement: shown what will lie where before anything is read.
        quantized: what becomes of weights stored in FP8 or NVFP4. "packed" keeps them so and
            widens each as it is used, "expand" widens them here; "experts-int8" makes the
            experts of a full-precision checkpoint INT8.
        kv_cache: "fp8" keeps keys and values in 8 bits, by the checkpoint's scales if it has
            any; None keeps them in `dtype`.
        revision: branch, tag or commit of a repository; `VLM.source` says which commit it was.
        check_weights: read every weight once and refuse those that hold NaN or infinity.

    Raises:
        CheckpointError: the folder, a shard or a tensor is missing or wrong, or a repository
            cannot be fetched.
        ConfigError: `device`, `device_map`, `context`, `dtype`, `quantized` or `kv_cache` has no
            such value.
        BackendError: this machine does not have the device, or the devices of `device_map` are
            too small together.
    """
    if folder is None and not (PRETRAINED / "config.json").is_file():
        raise CheckpointError(
            f"This installation has no model in {PRETRAINED}; give the folder of a checkpoint."
        )
    source = find_source(PRETRAINED if folder is None else folder, revision=revision)
    folder = source.folder
    if check_weights:
        require_finite(folder)
    placement = None
    if device_map is None:
        if context is not None:
            raise ConfigError("context is for what a device_map keeps room; give a device_map too.")
        device = choose_device(device)
        dtype = choose_dtype(dtype, device, stored=read_stored_dtype(folder))
    elif device is not None:
        raise ConfigError("Give device or device_map, not both.")
    else:
        placement, dtype = place_folder(
            folder,
            device_map,
            dtype=dtype,
            quantized=quantized,
            kv_cache=kv_cache,
            context=CONTEXT if context is None else context,
        )
        if on_placement is not None:
            on_placement(placement)
    model = load_model(
        folder,
        device=device if placement is None else placement.device_of,
        dtype=dtype,
        quantized=quantized,
        kv_cache=kv_cache,
        for_decoding=True,
    )
    widen_tower(model)
    text = language_model(model).config
    limits = ModelLimits.read(folder)
    processor, why_no_text = read_processor(folder, model.config)
    if processor is not None:
        require_embeddings(processor, text, folder)
    return VLM(
        model,
        processor=processor,
        why_no_text=why_no_text,
        end_ids=read_end_ids(folder, text, processor),
        context_length=text.max_position_embeddings,
        limits=limits,
        source=source,
        placement=placement,
    )


class VLM(EngineVerbs):
    """A model that answers questions about pages. Several threads may ask at once.

    Attributes:
        model: the module itself.
        limits: what it was trained for, as far as its folder says.
        context_length: tokens that prompt and answer may have together.
        end_ids: the tokens with which it ends an answer.
        source: the folder it came from, and the repository and commit if it was fetched.
        placement: which device holds what, if `load` was given a `device_map`.
    """

    def __init__(
        self,
        model: Model,
        *,
        processor: Processor | None = None,
        why_no_text: str = "This model has no tokenizer, so it takes ids but no text.",
        end_ids: Collection[int] = (),
        context_length: int | None = None,
        limits: ModelLimits | None = None,
        source: Source | None = None,
        placement: Placement | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.limits = limits or ModelLimits()
        self.source = source
        self.placement = placement
        self.context_length = context_length
        self.end_ids = tuple(sorted(set(end_ids)))
        self._processor = processor
        self._why_no_text = why_no_text

    def __repr__(self) -> str:
        weight = language_model(self.model).embeddings.weight
        millions = num_parameters(self.model) / 1e6
        kind = str(weight.dtype).removeprefix("torch.")
        if language_model(self.model).is_packed:
            kind += f", {bits_per_parameter(bits_in_memory(self.model)):.1f} bits each"
        devices = [weight.device] if self.placement is None else self.placement.devices
        return f"VLM({millions:.1f}M parameters, {kind} on {' and '.join(map(str, devices))})"

    @property
    def processor(self) -> Processor:
        """Text and pictures to model inputs.

        Raises:
            CheckpointError: the folder has no usable tokenizer.
        """
        if self._processor is None:
            raise CheckpointError(self._why_no_text)
        return self._processor

    def ask(
        self,
        question: str,
        *media: Medium,
        pages: PageChoice = None,
        dpi: float | None = None,
        text_layer: bool = False,
        generation: GenerationConfig | None = None,
        thinking: bool | None = None,
        thinking_budget: int | None = None,
        low_effort: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        answer_format: AnswerFormat | None = None,
        evs: EVSConfig | None = None,
        evs_rate: float | None = None,
        frames: FrameChoice | int | str | None = None,
        token_budget: int | None = None,
        reuse: ReuseConfig | None = None,
        is_cancelled: Callable[[], bool] = never,
    ) -> Answer:
        """Answer a question about pages, or about nothing but itself.

        Args:
            question: what you want to know.
            media: paths, bytes, PIL images or arrays; each page of a PDF or TIFF is a picture.
                A video is a file, an animation, a folder of pictures, or its frames:
                `{"type": "video", "frames": [...], "fps": 2}`.
            pages: which pages of each document, such as "1-3,7" or [1, 2]; None is all.
            dpi: at which PDF pages are drawn; None is 96.
            text_layer: also give the model the text that PDF pages carry, beside their pictures;
                unasked it is never read. `Answer.usage` says how much there was.
            generation: how the answer is written; None is greedy, at most 256 tokens.
            thinking: whether the model thinks aloud first; None is what it does unasked.
            thinking_budget: tokens after which its thought is closed, at the end of a sentence.
            low_effort: ask for a short thought, of a model that was taught to.
            tools: what it may call, each as `{"type": "function", "function": {"name": ...,
                "description": ..., "parameters": JSON schema}}`.
            answer_format: a JSON schema that the answer follows, token by token, or "json" for
                any JSON object; a thought before it is free.
            evs: which visual tokens of videos are dropped (docs/evs.md); None is what the
                checkpoint's `video_pruning_rate` says, `EVSConfig()` none.
            evs_rate: the share that is dropped, short for `EVSConfig(rate=...)`.
            frames: which frames of videos are seen: a `FrameChoice`, how many, or "uniform",
                "steps" or "scene"; None is what the model's processor says.
            token_budget: the most visual tokens of all pages and videos together; pages share it
                fairly, and none is dropped. Pages that would not fit the context are made
                smaller unasked. `Answer.usage` and a warning say what was reduced.
            reuse: when patches of a video that did not change are not encoded again; None
                encodes every frame anew.
            is_cancelled: asked before every token; `threading.Event().is_set`, for example.

        Raises:
            PromptError: the question is empty, or longer than the context with its pages, or
                the model cannot do what is asked of it.
            MediaError: a page cannot be read.
            CheckpointError: the model's folder has no tokenizer.
        """
        return self.stream(
            question,
            *media,
            pages=pages,
            dpi=dpi,
            text_layer=text_layer,
            generation=generation,
            thinking=thinking,
            thinking_budget=thinking_budget,
            low_effort=low_effort,
            tools=tools,
            answer_format=answer_format,
            evs=evs,
            evs_rate=evs_rate,
            frames=frames,
            token_budget=token_budget,
            reuse=reuse,
            is_cancelled=is_cancelled,
        ).read()

    def stream(
        self,
        question: str,
        *media: Medium,
        pages: PageChoice = None,
        dpi: float | None = None,
        text_layer: bool = False,
        generation: GenerationConfig | None = None,
        thinking: bool | None = None,
        thinking_budget: int | None = None,
        low_effort: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        answer_format: AnswerFormat | None = None,
        evs: EVSConfig | None = None,
        evs_rate: float | None = None,
        frames: FrameChoice | int | str | None = None,
        token_budget: int | None = None,
        reuse: ReuseConfig | None = None,
        is_cancelled: Callable[[], bool] = never,
    ) -> AnswerStream:
        """As `ask`, but pieces of text as they are written; at the end, `.answer` is there.

        The pages are opened before this returns, so bad input is known at once.
        """
        return self.stream_chat(
            [question_message(question, media)],
            pages=pages,
            dpi=dpi,
            text_layer=text_layer,
            generation=generation,
            thinking=thinking,
            thinking_budget=thinking_budget,
            low_effort=low_effort,
            tools=tools,
            answer_format=answer_format,
            evs=evs,
            evs_rate=evs_rate,
            frames=frames,
            token_budget=token_budget,
            reuse=reuse,
            is_cancelled=is_cancelled,
        )

    def chat(
        self,
        messages: Sequence[Message],
        *,
        pages: PageChoice = None,
        dpi: float | None = None,
        text_layer: bool = False,
        generation: GenerationConfig | None = None,
        thinking: bool | None = None,
        thinking_budget: int | None = None,
        low_effort: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        answer_format: AnswerFormat | None = None,
        evs: EVSConfig | None = None,
        evs_rate: float | None = None,
        frames: FrameChoice | int | str | None = None,
        token_budget: int | None = None,
        reuse: ReuseConfig | None = None,
        is_cancelled: Callable[[], bool] = never,
    ) -> Answer:
        """Answer the last message of a conversation.

        Args:
            messages: `{"role": "user", "content": ...}`; a content is a text, or a list of
                `{"type": "text", "text": ...}` and `{"type": "image", "image": source}`, where
                source is whatever `ask` takes. An image part may have its own `pages` and `dpi`.
                A video is `{"type": "video", "video": path or bytes}`, or its frames,
                `{"type": "video", "frames": pictures, "timestamps": seconds}`, or with `"fps"`
                instead, and then `"frame_indices"` if they are not all its frames.
                `Answer.as_message()` is the turn of the assistant; the result of a tool that it
                called is a message of the role "tool".
            pages, dpi, text_layer, generation, thinking, thinking_budget, low_effort, tools,
                answer_format, evs, evs_rate, frames, token_budget, reuse, is_cancelled: as in
                `ask`. A video may have its own `"choice"` of frames, `"evs"` or `"evs_rate"`.

        Raises:
            PromptError, MediaError, CheckpointError: as in `ask`.
        """
        return self.stream_chat(
            messages,
            pages=pages,
            dpi=dpi,
            text_layer=text_layer,
            generation=generation,
            thinking=thinking,
            thinking_budget=thinking_budget,
            low_effort=low_effort,
            tools=tools,
            answer_format=answer_format,
            evs=evs,
            evs_rate=evs_rate,
            frames=frames,
            token_budget=token_budget,
            reuse=reuse,
            is_cancelled=is_cancelled,
        ).read()

    def stream_chat(
        self,
        messages: Sequence[Message],
        *,
        pages: PageChoice = None,
        dpi: float | None = None,
        text_layer: bool = False,
        generation: GenerationConfig | None = None,
        thinking: bool | None = None,
        thinking_budget: int | None = None,
        low_effort: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
        answer_format: AnswerFormat | None = None,
        evs: EVSConfig | None = None,
        evs_rate: float | None = None,
        frames: FrameChoice | int | str | None = None,
        token_budget: int | None = None,
        reuse: ReuseConfig | None = None,
        is_cancelled: Callable[[], bool] = never,
    ) -> AnswerStream:
        """As `chat`, but pieces of text as they are written; at the end, `.answer` is there."""
        request = make_request(
            messages,
            pages=pages,
            dpi=dpi,
            text_layer=text_layer,
            generation=generation,
            thinking=thinking,
            thinking_budget=thinking_budget,
            low_effort=low_effort,
            tools=tools,
            answer_format=answer_format,
            evs=evs,
            evs_rate=evs_rate,
            frames=frames,
            token_budget=token_budget,
            reuse=reuse,
            is_cancelled=is_cancelled,
        )
        return AnswerStream(self.model, self.prepare(request))

    def prepare(self, request: Request) -> Prepared:
        """A request with its media open; what `Engine.submit` takes.

        Raises:
            PromptError, MediaError, ConfigError, CheckpointError: as `ask`.
        """
        return prepare_answer(
            self.model,
            self.processor,
            request,
            limits=self.limits,
            end_ids=self.end_ids,
            context_length=self.context_length,
        )

    def extract(self, fields: Fields, *media: Medium, **options: Any) -> dict[str, Extracted]:
        """The values of fields in a document, each by a question of its own.

        Args:
            fields: "number,date:date,total:number", a list of names or `FieldSpec`, or the JSON
                schema of an object.
            media, options: as in `ask`.

        Returns:
            For each field its value, empty where the document has none, with confidence and page.

        Raises:
            ConfigError: the fields cannot be read.
            PromptError, MediaError, CheckpointError: as in `ask`.
        """
        return extract(self, read_fields(fields), media, **options)

    @torch.inference_mode()
    def logits(
        self,
        *,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_hw: Tensor | None = None,
        pixel_values_videos: Tensor | None = None,
        video_grid_thw: Tensor | None = None,
    ) -> Tensor:
        """Float32 logits `(tokens, vocab)`; of text and images with transformers' names and shapes.

        Args:
            input_ids: `(tokens,)` or `(1, tokens)`.
            pixel_values: `(patches, 3 * patch_size**2)` of all pictures.
            image_grid_hw: `(pictures, 2)`.
            pixel_values_videos: `(patches, frames per tubelet * 3 * patch_size**2)`.
            video_grid_thw: `(videos, 3)`: tubelets, patch rows and columns.

        Raises:
            InputError: an id is outside the vocabulary, or the shapes do not fit.
            FusionError: placeholders and visual tokens differ in number.
        """
        ids = torch.as_tensor(input_ids)
        ids = ids[0] if ids.dim() == 2 and ids.shape[0] == 1 else ids
        inputs = ModelInputs(
            input_ids=ids,
            pixel_values=pixel_values,
            image_grid_hw=image_grid_hw,
            pixel_values_videos=pixel_values_videos,
            video_grid_thw=video_grid_thw,
        )
        inputs = inputs_on_device(self.model, inputs)
        trunk = language_model(self.model)
        return trunk.logits(trunk(embed(self.model, inputs)))

    def score(
        self,
        prompt: str,
        answer: str,
        *media: Medium,
        pages: PageChoice = None,
        dpi: float | None = None,
        evs: EVSConfig | None = None,
        evs_rate: float | None = None,
        frames: FrameChoice | int | str | None = None,
    ) -> Score:
        """The log-probability of an answer you give, token by token; else as `ask`.

        Raises:
            PromptError, MediaError, CheckpointError: as in `ask`.
        """
        processor = self.processor
        messages = [question_message(prompt, media)]
        opened = open_pages(
            self.model,
            processor,
            messages,
            pages=pages,
            dpi=dpi,
            frames=FrameChoice.of(frames),
        )
        config = read_evs(evs, evs_rate) or own_evs(self.model)
        return score_answer(self.model, processor, opened.messages, answer, evs=config)
