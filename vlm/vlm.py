"""`VLM`: the model a user holds.

ask -> open pages -> processor -> vision tower -> prefill -> tokens -> Answer
"""

from collections.abc import Collection, Sequence
from typing import Unpack

import torch
from torch import Tensor

from ..data.chat import Message
from ..data.frame_choice import FrameChoice
from ..data.media.page_range import PageChoice
from ..data.model_inputs import ModelInputs
from ..data.processor import Processor
from ..data.video import read_evs
from ..errors import CheckpointError
from ..token_reduction.evs import EVSConfig
from .answer import Score
from .answer_stream import AnswerStream
from .api_engine import EngineVerbs
from .ask_options import AskOptions
from .asking import Request, make_request, open_pages, own_evs, prepare_answer
from .checkpoint.hub import Source
from .conversation import Medium, question_message
from .extract import Extracted, Fields, extract, read_fields
from .limits import ModelLimits
from .placement import Placement
from .prepared import Prepared
from .prompt import Model, embed, inputs_on_device, language_model
from .quantize.bits import bits_in_memory, bits_per_parameter, num_parameters
from .score import score_answer
from .verbs import Verbs


class VLM(EngineVerbs, Verbs[AnswerStream]):
    """A model that answers questions about pages. Several threads may ask at once.

    Example:
        ```python
        import latentvlm

        vlm = latentvlm.load()
        print(vlm, vlm.context_length, vlm.limits)
        ```

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

    def stream_chat(
        self, messages: Sequence[Message], **options: Unpack[AskOptions]
    ) -> AnswerStream:
        return AnswerStream(self.model, self.prepare(make_request(messages, **options)))

    def prepare(self, request: Request) -> Prepared:
        """A request with its media open; what `Engine.submit` takes.

        Example:
            ```python
            import latentvlm
            from latentvlm.vlm.asking import make_request

            vlm = latentvlm.load()
            page = {"type": "image", "image": "invoice.png"}
            text = {"type": "text", "text": "What is the total?"}
            prepared = vlm.prepare(make_request([{"role": "user", "content": [page, text]}]))
            print(prepared.inputs.num_tokens)  # known before the model runs
            ```

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

    def extract(
        self, fields: Fields, *media: Medium, **options: Unpack[AskOptions]
    ) -> dict[str, Extracted]:
        """The values of fields in a document, each by a question of its own.

        Example:
            ```python
            import latentvlm

            found = latentvlm.load().extract("number,date:date,total:number", "invoice.png")
            for name, field in found.items():
                print(name, field.value, field.confidence)
            ```

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

        Example:
            ```python
            import torch

            import latentvlm

            vlm = latentvlm.load()
            ids = torch.tensor(vlm.processor.encode("What is the total?"))
            print(vlm.logits(input_ids=ids).shape)
            ```

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

        Example:
            ```python
            import latentvlm

            score = latentvlm.load().score("What is the total?", "1,234.50", "invoice.png")
            print(score.total, score.end_logprob, score.confidence)
            ```

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
