"""The tokenizer of the models trained here: byte-level BPE, digits kept single.

Byte-level BPE (Sennrich et al., arXiv:1508.07909, over bytes) knows every string, so no
text is ever unknown to it. The first 32 ids are control tokens in the layout of the
Nemotron-3 releases, the next 256 are the bytes, and merges follow. Digits are never
merged: an amount is then read digit by digit, as it is printed.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from ..errors import ConfigError

NUM_CONTROL_TOKENS = 32
CONTROL_TOKENS = {
    0: "<unk>",
    1: "<s>",
    2: "</s>",
    10: "<|im_start|>",
    11: "<|im_end|>",
    12: "<think>",
    13: "</think>",
    14: "<tool_call>",
    15: "</tool_call>",
    16: "<tool_response>",
    17: "</tool_response>",
    18: "<image>",
    21: "<img>",
    22: "</img>",
    23: "<video>",
}
"""Id to token; the other ids below 32 are held free as ``<SPECIAL_n>``."""

SMALLEST_VOCABULARY = NUM_CONTROL_TOKENS + 256

# Words with the one sign before them, single digits, runs of signs, line ends, blanks.
WORD_PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+(?!\S)|\s+"

# ChatML. A picture or a video is one placeholder and a line end; there is no system block unless a
# system message is given, and nothing about thinking: these models do not think aloud.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<image>\\n' -}}
{%- elif part['type'] == 'video' -%}
{{- '<video>\\n' -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- else -%}
{{- raise_exception('this chat template has no part of type ' + part['type']) -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""

# The same before there were videos: the default model of version 2 has it.
_WITHOUT_VIDEOS = CHAT_TEMPLATE.replace(
    """{%- elif part['type'] == 'video' -%}
{{- '<video>\\n' -}}
""",
    "",
)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def control_tokens() -> list[str]:
    """The 32 control tokens in the order of their ids."""
    return [CONTROL_TOKENS.get(idx, f"<SPECIAL_{idx}>") for idx in range(NUM_CONTROL_TOKENS)]


def train_tokenizer(
    texts: Iterable[str], *, vocab_size: int, folder: str | Path, max_length: int = 4096
) -> tokenizers.Tokenizer:
    """Learn the merges from ``texts`` and write the tokenizer's files into ``folder``.

    Args:
        texts: what the model will read and say, questions and answers alike.
        vocab_size: number of ids in all, at least 288 (control tokens and bytes).
        folder: where ``tokenizer.json``, ``tokenizer_config.json`` and
            ``chat_template.jinja`` go; made if it is missing.
        max_length: longest prompt in tokens that the files promise.

    Raises:
        ConfigError: the vocabulary is too small, or the texts too poor to fill it.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        raise ConfigError(
            f"vocab_size is {vocab_size}, but control tokens and bytes alone need "
            f"{SMALLEST_VOCABULARY}."
        )
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=control_tokens(),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = tokenizer.get_vocab_size()
    if found != vocab_size:
        raise ConfigError(
            f"vocab_size is {vocab_size}, but the texts hold only enough different words "
            f"for {found}: give more text or ask for fewer ids."
        )
    write_tokenizer(tokenizer, folder, max_length=max_length)
    return tokenizer


def write_tokenizer(
    tokenizer: tokenizers.Tokenizer, folder: str | Path, *, max_length: int = 4096
) -> None:
    """Write the three tokenizer files in the form transformers and vLLM read."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "<|im_end|>",
        "unk_token": "<unk>",
        "pad_token": "<unk>",
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": max_length,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")


def make_room_for_videos(folder: str | Path) -> None:
    """Gives the chat template of a folder a place for videos, if it has none.

    Nothing else that it renders changes.

    Raises:
        ConfigError: it is neither one that has a place nor one of those written here.
    """
    path = Path(folder) / "chat_template.jinja"
    template = path.read_text(encoding="utf-8")
    if "<video>" in template:
        return
    if template.strip() != _WITHOUT_VIDEOS.strip():
        raise ConfigError(
            f"The chat template in {folder} has no place for videos and was not written here: it "
            "cannot be given one; name a tokenizer whose template has a part of type video."
        )
    path.write_text(CHAT_TEMPLATE, encoding="utf-8")
