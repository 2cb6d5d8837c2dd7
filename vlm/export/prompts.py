"""Calibration data and held-out prompts: any conversations, training shards, or drawn documents."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from ...data.frame_choice import FrameChoice
from ...data.model_inputs import ModelInputs
from ...data.processor import Processor
from ...data.shards import Record, ShardReader
from ...data.synthetic import GeneratorConfig, generate
from ...errors import CheckpointError, InputError, LatentVLMError
from ..config import VisionLanguageConfig
from ..conversation import open_conversation
from ..loading import read_processor
from ..train.examples import conversation
from ..video_parts import VideoOpener
from .source import WeightSource

_SEEDS = {"train": 41_000_000, "heldout": 43_000_000}
_RANDOM_TOKENS = 48


@dataclass(frozen=True)
class Prompt:
    """One prompt, and its question in words if there are any."""

    inputs: ModelInputs
    question: str = ""
    messages: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Prompts:
    """Prompts and, in words, where they come from."""

    prompts: list[Prompt]
    origin: str

    @property
    def inputs(self) -> list[ModelInputs]:
        return [prompt.inputs for prompt in self.prompts]


def processor_of(source: WeightSource) -> Processor | None:
    """The folder's own; None if it has no tokenizer."""
    try:
        return read_processor(source.folder, source.config)[0]
    except LatentVLMError:
        return None


def find_prompts(
    source: WeightSource,
    data: str | Path | Iterable[Any] | None,
    count: int,
    *,
    split: str,
    skip: int = 0,
) -> Prompts:
    """Some prompts for a model.

    Args:
        data: conversations, training records, or files of them as `Path`; or one such file by its
            name: `.jsonl` of messages, a shard `.tar`, a folder of shards. None draws documents, or
            for a folder without tokenizer random tokens.
        split: "train" for calibration, "heldout" for the proof.
        skip: of given data, how many come first that are for calibration.

    Raises:
        InputError: none are asked for; the file holds no conversations, or too few for both uses,
            or one that cannot be read, which is named by its number.
        CheckpointError: conversations for a model that has no tokenizer.
    """
    if count < 1:
        raise InputError(f"{count} prompts are no data ({split}): ask for one at least.")
    processor = processor_of(source)
    if data is None:
        if processor is None:
            return Prompts(list(_random_prompts(source, count, split)), "random tokens")
        return Prompts(list(_drawn(source, processor, count, split)), f"drawn documents ({split})")
    if processor is None:
        raise CheckpointError(
            f"{source.folder} has no tokenizer, so it cannot read calibration data."
        )
    items = _items(data) if isinstance(data, str | Path) else _opened(data)
    chosen = list(islice(items, skip, skip + count))
    if not chosen:
        need = f"none beyond the {skip} that calibrate" if skip else "none"
        raise InputError(f"The calibration data {_named(data)} holds too little: {need}.")
    prompts = []
    for number, item in enumerate(chosen, start=skip + 1):
        try:
            prompts.append(_prompt(processor, item))
        except InputError as error:
            raise InputError(
                f"Number {number} of the calibration data {_named(data)} is of no use: {error}"
            ) from error
    return Prompts(prompts, f"{_named(data)} ({split})")


def _named(data: Any) -> str:
    return str(data) if isinstance(data, str | Path) else "given"


def _opened(data: Iterable[Any]) -> Iterator[Any]:
    for item in data:
        if isinstance(item, Path):
            yield from _items(item)
        else:
            yield item


def _items(path: str | Path) -> Iterator[Any]:
    path = Path(path).expanduser()
    if path.is_dir():
        shards = sorted(path.glob("*.tar"))
        if not shards:
            raise InputError(f"The calibration data {path} holds no shard .tar.")
        yield from _opened(shards)
        return
    if not path.is_file():
        raise InputError(f"There is no calibration data {path}: give a .jsonl or a shard .tar.")
    if path.suffix == ".tar":
        yield from (record for _, record in ShardReader().read(path))
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path}, line {number}, is no JSON: {error}.") from error
            messages = found.get("messages") if isinstance(found, dict) else found
            if not isinstance(messages, list):
                raise InputError(
                    f"{path}, line {number}, holds no conversation: it must be a list of messages "
                    'or {"messages": [...]}.'
                )
            yield messages


def _prompt(processor: Processor, item: Any) -> Prompt:
    if isinstance(item, ModelInputs):
        return Prompt(item)
    if isinstance(item, Record):
        asked = item.questions()
        messages = conversation(item, asked) if asked else _described(item.image)
    elif isinstance(item, str):
        messages = [{"role": "user", "content": item}]
    elif isinstance(item, list):
        messages = open_conversation(
            item, videos=VideoOpener(processor=processor, choice=FrameChoice())
        ).messages
    else:
        raise InputError(
            f"A calibration item is a {type(item).__name__}; it must be a list of messages, a "
            "text, a record of a shard, or the Path of a file of them."
        )
    if not messages:
        raise InputError("It is a conversation without a message.")
    if messages[-1].get("role") == "assistant":
        inputs = replace(processor.encode_conversation(messages), labels=None)
    else:
        inputs = processor(messages)
    return Prompt(inputs, _question(messages), [dict(each) for each in messages])


def _described(image: Any) -> list[dict[str, Any]]:
    parts = [{"type": "image", "image": image}, {"type": "text", "text": "Read this."}]
    return [{"role": "user", "content": parts}]


def _question(messages: list[Any]) -> str:
    content = messages[0]["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part.get("type") == "text")


def _drawn(source: WeightSource, processor: Processor, count: int, split: str) -> Iterator[Prompt]:
    """Documents with their first questions; of a text model, their text in place of the picture."""
    sees = isinstance(source.config, VisionLanguageConfig)
    config = GeneratorConfig(
        level="lines", split=split, font_sizes=(13, 16), widths=(224, 288), max_questions=2
    )
    made = 0
    for seed in range(_SEEDS[split], _SEEDS[split] + 50 * count):
        if made == count:
            return
        document = generate(seed, config)
        if not document.qas:
            continue
        asked = [(qa.kind, qa.question, qa.answer) for qa in document.qas]
        if sees:
            record = Record(key=str(seed), image=document.image)
            messages = conversation(record, asked)
        else:
            text = f"{document.text}\n\n{asked[0][1]}"
            messages = [
                {"role": "user", "content": text},
                {"role": "assistant", "content": asked[0][2]},
            ]
        yield _prompt(processor, messages)
        made += 1


def _random_prompts(source: WeightSource, count: int, split: str) -> Iterator[Prompt]:
    draw = torch.Generator().manual_seed(_SEEDS[split])
    image = getattr(source.config, "image_token_id", None)
    size = source.text.vocab_size
    for _ in range(count):
        ids = torch.randint(0, size, (_RANDOM_TOKENS,), generator=draw)
        if image is not None:
            ids[ids == image] = (image + 1) % size
        yield Prompt(ModelInputs(input_ids=ids))
