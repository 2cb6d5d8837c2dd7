"""Answers of a form (JSON, a call, a value): of every next token it is known whether it can be so.

The grammar is llguidance's. It begins with the answer: a thought before it is free.
"""

import json
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ..data.processor import Processor
from ..errors import ConfigError, MissingDependencyError
from .json_numbers import with_bounds
from .prompt import Model, vocab_size
from .token_writer import Constraint
from .tool_grammar import Grammar

# "json" is any JSON object; a mapping is a JSON schema.
AnswerFormat: TypeAlias = Literal["json"] | Mapping[str, Any]

_LONGEST_SCHEMA = 100_000  # characters
_vocabularies: WeakKeyDictionary[Processor, Any] = WeakKeyDictionary()
_lock = threading.Lock()


class GrammarConstraint:
    """One answer's way through a grammar."""

    def __init__(self, matcher: Any, size: int) -> None:
        self._matcher = matcher
        self._size = size

    def allowed(self) -> Tensor:
        """Bool `(V,)`: the tokens with which the answer can go on, or end."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little", count=self._size)
        return torch.from_numpy(mask).to(torch.bool)

    def accept(self, idx: int) -> None:
        self._matcher.consume_token(idx)


def new_constraint(
    processor: Processor,
    wanted: AnswerFormat | Grammar | None,
    end_ids: Collection[int],
    model: Model,
) -> Callable[[], Constraint | None]:
    """Makes the constraint of one answer after another.

    Raises:
        ConfigError: the schema is none, or asks for what a grammar cannot say.
        MissingDependencyError: llguidance is not installed.
    """
    if wanted is None:
        return _nothing
    size = vocab_size(model)
    vocabulary = _vocabulary(processor, end_ids, size)
    from llguidance import LLMatcher

    if isinstance(wanted, Grammar):
        grammar = _check_length(wanted.lark, "grammar of the tools or choices has")
    else:
        grammar = _json_grammar(wanted)
    first = LLMatcher(vocabulary, grammar, log_level=0)
    if first.is_error():
        why = first.get_error().strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"The JSON schema cannot be followed: {why}.")
    return lambda: GrammarConstraint(first.deep_copy(), size)


def _json_grammar(wanted: AnswerFormat) -> str:
    from llguidance import LLMatcher

    schema = {"type": "object"} if wanted == "json" else wanted
    if not isinstance(schema, Mapping):
        raise ConfigError(f"answer_format is {wanted!r} but must be 'json' or a JSON schema.")
    try:
        text = json.dumps(with_bounds(schema))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"answer_format cannot be written as JSON: {error}.") from error
    _check_length(text, "JSON schema has")
    return LLMatcher.grammar_from_json_schema(text, overrides={"whitespace_flexible": False})


def _check_length(text: str, what: str) -> str:
    if len(text) > _LONGEST_SCHEMA:
        raise ConfigError(
            f"The {what} {len(text)} characters; at most {_LONGEST_SCHEMA} are taken."
        )
    return text


def _nothing() -> None:
    return None


def _vocabulary(processor: Processor, end_ids: Collection[int], size: int) -> Any:
    """What llguidance knows of the tokenizer, made once."""
    try:
        from llguidance import LLTokenizer
    except ImportError as error:
        raise MissingDependencyError(
            "Answers of a given form need llguidance; install it with: pip install llguidance"
        ) from error
    with _lock:
        if processor not in _vocabularies:
            ends = sorted(end_ids) or [processor.turn_end_id]
            _vocabularies[processor] = LLTokenizer(
                processor.tokenizer.to_str(), n_vocab=size, eos_token=ends
            )
        return _vocabularies[processor]
