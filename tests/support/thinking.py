"""Models that say what a script says, with templates and tokenizers of both Nemotron kinds.

The templates are written for these tests, after what is known of the released ones: kind "3"
has `enable_thinking` and tags that are one token each, kind "2" has `/think` and `/no_think`
in the messages and tags that are spelt by several tokens.
"""

import json
from dataclasses import replace
from pathlib import Path

import tokenizers
import torch
from torch import Tensor

from latentvlm.data.chat import ChatTemplate
from latentvlm.data.image_transform import ImageConfig
from latentvlm.data.processor import Processor
from latentvlm.data.tokenizer import NUM_CONTROL_TOKENS, train_tokenizer
from latentvlm.vlm.answer_parts import AnswerPiece
from latentvlm.vlm.language_model import LanguageModel
from latentvlm.vlm.model import VisionLanguageModel
from latentvlm.vlm.presets import tiny
from latentvlm.vlm.sampling import GenerationConfig
from latentvlm.vlm.vlm import VLM

THOUGHT = "So the total is on the second line. It is twelve. But is it 12.50?\nYes, it is."
ANSWER = "The total is 12.50."
LONG = GenerationConfig(max_tokens=400)

TEMPLATE_3 = """\
{%- macro text_of(content) -%}
  {%- if content is string -%}{{- content -}}
  {%- else -%}
    {%- for part in content -%}
      {{- '<image>\\n' if part.type == 'image' else part.text -}}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- set enable_thinking = enable_thinking if enable_thinking is defined else True -%}
{%- set low_effort = low_effort if low_effort is defined else False -%}
{%- set keep_thoughts = not (truncate_history_thinking | default(true)) -%}
{%- set ns = namespace(last=-1) -%}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{{- '<|im_start|>system\\n' -}}
{%- if messages[0].role == 'system' -%}{{- text_of(messages[0].content) -}}{%- endif -%}
{%- if tools -%}
  {{- '\\n\\n# Tools\\n\\n<tools>' -}}
  {%- for tool in tools -%}
    {%- set function = tool.function if tool.function is defined else tool -%}
    {{- '\\n<function>\\n<name>' ~ function.name ~ '</name>' -}}
    {{- '\\n<parameters>' ~ (function.parameters | tojson) ~ '</parameters>\\n</function>' -}}
  {%- endfor -%}
  {{- '\\n</tools>\\n\\nCall them so:\\n<tool_call>\\n<function=name>\\n<parameter=key>\\n' -}}
  {{- 'value\\n</parameter>\\n</function>\\n</tool_call>' -}}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- '<|im_start|>user\\n' ~ text_of(message.content) -}}
    {%- if low_effort and loop.index0 == ns.last -%}
      {{- '\\n\\n{reasoning effort: low}' -}}
    {%- endif -%}
    {{- '<|im_end|>\\n' -}}
  {%- elif message.role == 'assistant' -%}
    {{- '<|im_start|>assistant\\n' -}}
    {%- if message.reasoning_content and (keep_thoughts or loop.index0 > ns.last) -%}
      {{- '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n' -}}
    {%- else -%}
      {{- '<think></think>' -}}
    {%- endif -%}
    {{- message.content | default('', true) -}}
    {%- for call in message.tool_calls or [] -%}
      {%- set function = call.function if call.function is defined else call -%}
      {{- '<tool_call>\\n<function=' ~ function.name ~ '>\\n' -}}
      {%- for key, value in function.arguments | items -%}
        {{- '<parameter=' ~ key ~ '>\\n' -}}
        {{- value | tojson if value is mapping or value is iterable and value is not string
            else value | string -}}
        {{- '\\n</parameter>\\n' -}}
      {%- endfor -%}
      {{- '</function>\\n</tool_call>\\n' -}}
    {%- endfor -%}
    {{- '<|im_end|>\\n' -}}
  {%- elif message.role == 'tool' -%}
    {{- '<|im_start|>user\\n' if loop.previtem.role != 'tool' else '' -}}
    {{- '<tool_response>\\n' ~ text_of(message.content) ~ '\\n</tool_response>\\n' -}}
    {{- '<|im_end|>\\n' if loop.last or loop.nextitem.role != 'tool' else '' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\\n' ~ ('<think>\\n' if enable_thinking else '<think></think>') -}}
{%- endif -%}
"""

TEMPLATE_2 = """\
{%- macro text_of(content) -%}
  {%- if content is string -%}{{- content -}}
  {%- else -%}
    {%- for part in content -%}
      {{- '<image>\\n' if part.type == 'image' else part.text -}}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
{%- macro clean(content) -%}
  {{- text_of(content).replace('/think', '').replace('/no_think', '').strip() -}}
{%- endmacro -%}
{%- set ns = namespace(thinking=true) -%}
{%- for message in messages -%}
  {%- if message.role in ['user', 'system'] -%}
    {%- if '/think' in text_of(message.content) -%}{%- set ns.thinking = true -%}
    {%- elif '/no_think' in text_of(message.content) -%}{%- set ns.thinking = false -%}
    {%- endif -%}
  {%- endif -%}
{%- endfor -%}
{{- '<SPECIAL_10>System\\n' -}}
{%- if messages[0].role == 'system' -%}{{- clean(messages[0].content) -}}{%- endif -%}
{%- if tools -%}
  {{- '\\n<AVAILABLE_TOOLS>[' -}}
  {%- for tool in tools -%}
    {{- (tool.function if tool.function is defined else tool) | tojson -}}
    {{- ', ' if not loop.last -}}
  {%- endfor -%}
  {{- ']</AVAILABLE_TOOLS>\\nCall them so: ' -}}
  {{- '<TOOLCALL>[{"name": "f", "arguments": {}}]</TOOLCALL>' -}}
{%- endif -%}
{{- '\\n\\n' -}}
{%- for message in messages -%}
  {%- if message.role == 'user' -%}
    {{- '<SPECIAL_11>User\\n' ~ clean(message.content) ~ '\\n' -}}
  {%- elif message.role == 'tool' -%}
    {{- '<SPECIAL_11>User\\n<TOOL_RESPONSE>[' if loop.previtem.role != 'tool' else ', ' -}}
    {{- text_of(message.content) -}}
    {%- if loop.last or loop.nextitem.role != 'tool' -%}
      {{- ']</TOOL_RESPONSE>\\n\\n' -}}
    {%- endif -%}
  {%- elif message.role == 'assistant' -%}
    {{- '<SPECIAL_11>Assistant\\n' ~ (message.content or '').split('</think>')[-1].strip() -}}
    {%- if message.tool_calls -%}
      {{- '<TOOLCALL>[' -}}
      {%- for call in message.tool_calls -%}
        {%- set function = call.function if call.function is defined else call -%}
        {{- {'name': function.name, 'arguments': function.arguments} | tojson -}}
        {{- ', ' if not loop.last -}}
      {%- endfor -%}
      {{- ']</TOOLCALL>' -}}
    {%- endif -%}
    {{- '\\n<SPECIAL_12>\\n\\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<SPECIAL_11>Assistant\\n' ~ ('<think>\\n\\n' if ns.thinking else '<think></think>') -}}
{%- endif -%}
"""

# Names that kind "2" does not have: its tags are ordinary text.
_OTHER_NAMES = {
    "<|im_start|>": "<SPECIAL_10>",
    "<|im_end|>": "<SPECIAL_11>",
    "<think>": "<SPECIAL_12>",
    "</think>": "<SPECIAL_13>",
    "<tool_call>": "<SPECIAL_14>",
    "</tool_call>": "<SPECIAL_15>",
    "<tool_response>": "<SPECIAL_16>",
    "</tool_response>": "<SPECIAL_17>",
}
TEXTS = ["So the total is twelve, as the second line says.", "It is the last of the numbers."]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "days": {"type": "integer"},
                "units": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "hourly": {"type": "boolean"},
                "fields": {"type": "array"},
            },
        },
    },
}


def thinking_processor(folder: Path, kind: str) -> Processor:
    """A processor with a small tokenizer that was trained into `folder`."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=320, folder=folder)
    if kind == "2":
        values = json.loads(tokenizer.to_str())
        for token in values["added_tokens"]:
            token["content"] = _OTHER_NAMES.get(token["content"], token["content"])
        vocab = values["model"]["vocab"]
        values["model"]["vocab"] = {_OTHER_NAMES.get(k, k): v for k, v in vocab.items()}
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(values))
    return Processor(
        tokenizer=tokenizer,
        template=ChatTemplate(TEMPLATE_2 if kind == "2" else TEMPLATE_3),
        image_config=ImageConfig(patch_size=8, min_num_patches=4, max_num_patches=256),
        turn_end="<SPECIAL_12>" if kind == "2" else "<|im_end|>",
        context_length=2048,
    )


class ScriptedModel(LanguageModel):
    """Says one text until a thought is closed, by itself or for it, and another one after that.

    Each text is followed by the end of the turn. The tokens it is given count, not those it
    wanted: a forced token does not move it along its script.
    """

    def __init__(self, processor: Processor, before: str, after: str = "") -> None:
        super().__init__(replace(tiny().text, num_nextn_predict_layers=0))
        self._processor = processor
        self._before = [*processor.encode(before), processor.turn_end_id]
        self._after = [*processor.encode(after), processor.turn_end_id]
        self.prompt: list[int] = []
        self._written: list[int] = []
        self._closed_at: int | None = None

    def embed(self, input_ids: Tensor) -> Tensor:
        ids = input_ids.tolist()
        if len(ids) > 1:
            self.prompt, self._written, self._closed_at = ids, [], None
            return torch.zeros(len(ids), self.config.hidden_size)
        self._written += ids
        # The longest spelling of the tag is one token a letter.
        if self._closed_at is None and "</think>" in self.text(self._written[-8:]):
            self._closed_at = len(self._written)
        return torch.zeros(len(ids), self.config.hidden_size)

    def forward(self, inputs_embeds: Tensor, *, cu_seqlens=None, cache=None) -> Tensor:
        return inputs_embeds

    def logits(self, hidden: Tensor) -> Tensor:
        scores = torch.zeros(hidden.shape[0], self.config.vocab_size)
        scores[-1, self._next()] = 9.0
        return scores

    def _next(self) -> int:
        script, begin = self._before, 0
        if self._closed_at is not None:
            script, begin = self._after, self._closed_at
        return script[min(len(self._written) - begin, len(script) - 1)]

    def text(self, ids: list[int]) -> str:
        return self._processor.decode(ids, skip_special_tokens=False)


class _Scripts:
    """In place of a cache: which script each row follows, and what it has written."""

    def __init__(self, rows: list[tuple[int, list[int] | None]]) -> None:
        self.rows = rows

    def select(self, kept: list[int]) -> "_Scripts":
        return _Scripts([self.rows[row] for row in kept])


class ScriptedBatch(ScriptedModel):
    """Follows a script a row, as `ScriptedModel` does one; a token's id is its hidden state."""

    def __init__(self, processor: Processor, scripts: list[tuple[str, str]]) -> None:
        super().__init__(processor, "")
        self._scripts = [ScriptedModel(processor, *script) for script in scripts]

    def embed(self, input_ids: Tensor) -> Tensor:
        return input_ids[:, None].float()

    def allocate_cache(self, num_seqs: int = 1, *, capacity: int = 256) -> _Scripts:
        return _Scripts([(row, None) for row in range(num_seqs)])

    def forward(self, inputs_embeds: Tensor, *, cu_seqlens, cache: _Scripts) -> Tensor:
        wanted = inputs_embeds.clone()
        bounds = cu_seqlens.tolist()
        for row, (begin, end) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
            script, written = cache.rows[row]
            ids = inputs_embeds[begin:end, 0].long()
            is_prompt = written is None
            written = [] if is_prompt else [*written, *ids.tolist()]
            cache.rows[row] = (script, written)
            # its own state is that of whoever asked last, so it is told everything anew
            self._scripts[script].embed(torch.zeros(2))
            for idx in written:
                self._scripts[script].embed(torch.tensor([idx]))
            wanted[end - 1] = self._scripts[script]._next()
        return wanted

    def logits(self, hidden: Tensor) -> Tensor:
        scores = torch.zeros(hidden.shape[0], self.config.vocab_size)
        scores[torch.arange(len(hidden)), hidden[:, 0].long()] = 9.0
        return scores


class Scripted:
    """A processor of one kind, and models over it."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.processor = thinking_processor(folder, kind)
        self.close_ids = self.processor.encode("</think>")

    def vlm(self, before: str, after: str = "", **options) -> VLM:
        """A model of text that follows the script."""
        model = ScriptedModel(self.processor, before, after)
        return self._vlm(model, **options)

    def seeing_vlm(self, before: str, after: str = "") -> VLM:
        """As `vlm`, with a vision tower before it."""
        model = VisionLanguageModel(tiny())
        model.language_model = ScriptedModel(self.processor, before, after)
        return self._vlm(model)

    def _vlm(self, model, **options) -> VLM:
        ends = (self.processor.turn_end_id,)
        return VLM(model, processor=self.processor, end_ids=ends, **options)

    def num_tokens(self, text: str) -> int:
        return len(self.processor.encode(text))

    def prompt(self, vlm: VLM) -> str:
        """The last prompt a model of text was given."""
        assert isinstance(vlm.model, ScriptedModel)
        return vlm.model.text(vlm.model.prompt)

    def control_tokens(self, vlm: VLM) -> list[int]:
        """Those of the last prompt of a model of text."""
        assert isinstance(vlm.model, ScriptedModel)
        return [idx for idx in vlm.model.prompt if idx < NUM_CONTROL_TOKENS]


def thinker(kind: Scripted, **options) -> VLM:
    """A model that thinks `THOUGHT`, then says `ANSWER`."""
    return kind.vlm(f"{THOUGHT}\n</think>", f"\n\n{ANSWER}", **options)


def parts_of(parts: list[AnswerPiece], which: str) -> str:
    """The text of all parts of one kind."""
    return "".join(part.text for part in parts if part.kind == which)
