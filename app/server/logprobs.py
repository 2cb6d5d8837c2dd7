"""Log-probabilities of the tokens of an answer, not of its thought or end, in OpenAI's shape."""

from collections.abc import Iterable
from typing import Any

from ...vlm.answer import Answer
from ...vlm.answer_parts import AnswerPiece
from ...vlm.sampling import Choice
from ...vlm.vlm import VLM


def token_logprobs(vlm: VLM, choices: Iterable[Choice]) -> list[dict[str, Any]]:
    """One entry for each token, with the likeliest ones in its place that were asked for."""

    def entry(idx: int, logprob: float) -> dict[str, Any]:
        text = vlm.processor.decode([idx], skip_special_tokens=False)
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return [
        {**entry(each.id, each.logprob), "top_logprobs": [entry(*other) for other in each.top]}
        for each in choices
        if each.id not in vlm.end_ids
    ]


def answer_choices(answer: Answer) -> list[Choice]:
    """The tokens of an answer after its thought."""
    tops = answer.top_logprobs or ((),) * len(answer.token_ids)
    chosen = zip(answer.token_ids, answer.logprobs, tops, strict=True)
    return [Choice(*each) for each in chosen][answer.answer_begin :]


class SentLogprobs:
    """Which of an answer's tokens a stream has told of, piece by piece."""

    def __init__(self, vlm: VLM) -> None:
        self._vlm = vlm
        self._num_sent = 0

    def take(self, item: AnswerPiece | Answer) -> list[dict[str, Any]]:
        """Those of a piece; of the answer at its end those that came with none."""
        if isinstance(item, Answer):
            return token_logprobs(self._vlm, answer_choices(item)[self._num_sent :])
        self._num_sent += len(item.choices)
        return token_logprobs(self._vlm, item.choices)
