"""From logits to the next token: a frozen value that says how, and what applies it.

The order is that of transformers: repetition penalty, temperature, top-k, top-p, min-p.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import BackendError, ConfigError


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How an answer is written and when it ends.

    Example:
        ```python
        import latentvlm

        config = latentvlm.GenerationConfig(max_tokens=32, temperature=0.7, seed=1)
        print(latentvlm.load().ask("What is the total?", "invoice.png", generation=config).text)
        ```

    Attributes:
        max_tokens: longest answer in tokens, its thought and its end token included.
        temperature: 0 always takes the likeliest token; otherwise logits are divided by it.
        top_p: draw from the likeliest tokens that together have this probability (1: all).
        top_k: draw from this many of the likeliest tokens (0: all).
        min_p: leave out tokens below this share of the likeliest one's probability.
        repetition_penalty: above 1, tokens of the prompt and the answer become less likely.
        seed: the same seed draws the same answer; None draws a new one each time.
        stop: texts that end the answer; what stands before the first one is returned. They are
            not looked for in a thought, nor are `stop_ids`.
        stop_ids: tokens that end the answer, besides the model's own.
        thinking_grace: how many tokens beyond its budget a thought may have to end its sentence;
            None is a tenth of the budget.
        top_logprobs: how many of the likeliest tokens `Answer.top_logprobs` names in each place.

    Raises:
        ConfigError: a value is out of its range.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    thinking_grace: int | None = None
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        # A lone text or id is taken as one, never as its letters.
        for key, kind in (("stop", str), ("stop_ids", int)):
            given = getattr(self, key)
            values = (given,) if isinstance(given, kind) else _as_tuple(key, given)
            object.__setattr__(self, key, values)
        _check(
            "max_tokens", self.max_tokens, _is_whole(self.max_tokens, 1), "a whole number from 1"
        )
        _check("temperature", self.temperature, _is_within(self.temperature, 0), "0 or more")
        _check("top_p", self.top_p, _is_within(self.top_p, 0, 1, low_open=True), "in (0, 1]")
        _check("top_k", self.top_k, _is_whole(self.top_k, 0), "a whole number from 0 (0 is off)")
        _check("min_p", self.min_p, _is_within(self.min_p, 0, 1), "in [0, 1]")
        penalty = self.repetition_penalty
        is_penalty = _is_within(penalty, 0, low_open=True)
        _check("repetition_penalty", penalty, is_penalty, "more than 0 (1 is off)")
        is_seed = self.seed is None or _is_whole(self.seed, 0) and self.seed < 2**63
        _check("seed", self.seed, is_seed, "a whole number from 0, or None")
        is_text = all(isinstance(text, str) and text for text in self.stop)
        _check("stop", self.stop, is_text, "texts that are not empty")
        is_ids = all(_is_whole(idx, 0) for idx in self.stop_ids)
        _check("stop_ids", self.stop_ids, is_ids, "token ids")
        grace = self.thinking_grace
        is_grace = grace is None or _is_whole(grace, 0)
        _check("thinking_grace", grace, is_grace, "a whole number from 0, or None")
        is_top = _is_whole(self.top_logprobs, 0)
        _check("top_logprobs", self.top_logprobs, is_top, "a whole number from 0")


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen token and its log-probability under the model itself (temperature 1).

    `top` are the likeliest tokens in its place, with theirs.
    """

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """Chooses the tokens of one answer.

    Args:
        config: how.
        prompt_ids: `(T,)`, what the repetition penalty counts as already said.
        vocab_size: how many logits there are.
    """

    def __init__(self, config: GenerationConfig, prompt_ids: Tensor, vocab_size: int) -> None:
        self._config = config
        # On the CPU, so that a seed draws the same answer wherever the model runs.
        self._generator = torch.Generator()
        if config.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(config.seed)
        self._seen_mask = None
        if config.repetition_penalty != 1.0:
            self._seen_mask = torch.zeros(vocab_size, dtype=torch.bool, device=prompt_ids.device)
            # Ids that stand for a video may lie past the vocabulary.
            self._seen_mask[prompt_ids[prompt_ids < vocab_size]] = True

    @torch.inference_mode()
    def __call__(self, logits_V: Tensor, allowed_V: Tensor | None = None) -> Choice:
        """The next token after float32 logits `(V,)`; one of `allowed_V` (bool), if given.

        Raises:
            BackendError: the logits are not finite.
        """
        idx, logprob = choose(logits_V, self._config, self._generator, self._seen_mask, allowed_V)
        if self._seen_mask is not None:
            self._seen_mask[idx] = True
        return Choice(idx, logprob, self._top(logits_V))

    @torch.inference_mode()
    def force(self, logits_V: Tensor, idx: int) -> Choice:
        """A token that was decided otherwise, with what the model thinks of it.

        Raises:
            BackendError: the logits are not finite.
        """
        logprob = float(logits_V[idx] - logits_V.logsumexp(-1))
        if not math.isfinite(logprob):
            raise _not_finite()
        if self._seen_mask is not None:
            self._seen_mask[idx] = True
        return Choice(idx, min(logprob, 0.0), self._top(logits_V))

    def _top(self, logits_V: Tensor) -> tuple[tuple[int, float], ...]:
        """The likeliest tokens, as many as are asked for."""
        if not self._config.top_logprobs:
            return ()
        best = logits_V.log_softmax(-1).topk(min(self._config.top_logprobs, logits_V.shape[-1]))
        return tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def choose(
    logits_V: Tensor,
    config: GenerationConfig,
    generator: torch.Generator,
    seen_mask_V: Tensor | None = None,
    allowed_V: Tensor | None = None,
) -> tuple[int, float]:
    """A token id and its log-probability under the untouched logits."""
    normalizer = logits_V.logsumexp(-1)
    scores_V = logits_V
    if allowed_V is not None:
        scores_V = scores_V.masked_fill(~allowed_V.to(scores_V.device), -math.inf)
    if seen_mask_V is not None:
        scores_V = penalize(scores_V, seen_mask_V, config.repetition_penalty)
    if config.temperature == 0:
        best = scores_V.argmax(-1)
    else:
        scores_V = filter_scores(scores_V.cpu() / config.temperature, config)
        if not torch.isfinite(normalizer):
            raise _not_finite()
        best = torch.multinomial(scores_V.softmax(-1), 1, generator=generator)[0]
    # One transfer for both numbers; float32 holds every id below 2**24 exactly.
    logprob = logits_V[best.to(logits_V.device)] - normalizer
    idx, value = torch.stack([best.to(logprob), logprob]).tolist()
    if not math.isfinite(value):
        raise _not_finite()
    return int(idx), min(value, 0.0)


def penalize(logits_V: Tensor, seen_mask_V: Tensor, penalty: float) -> Tensor:
    """Divides the positive and multiplies the negative logits of seen tokens (CTRL, 1909.05858)."""
    lowered = torch.where(logits_V > 0, logits_V / penalty, logits_V * penalty)
    return torch.where(seen_mask_V, lowered, logits_V)


def filter_scores(scores_V: Tensor, config: GenerationConfig) -> Tensor:
    """Top-k, then top-p, then min-p; what is left out becomes minus infinity."""
    if config.top_k:
        scores_V = keep_top_k(scores_V, config.top_k)
    if config.top_p < 1.0:
        scores_V = keep_top_p(scores_V, config.top_p)
    if config.min_p > 0.0:
        scores_V = keep_min_p(scores_V, config.min_p)
    return scores_V


def keep_top_k(scores_V: Tensor, top_k: int) -> Tensor:
    """The `top_k` highest scores, and those that equal the last of them."""
    if top_k >= scores_V.shape[-1]:
        return scores_V
    return scores_V.masked_fill(scores_V < scores_V.topk(top_k).values[-1], -math.inf)


def keep_top_p(scores_V: Tensor, top_p: float) -> Tensor:
    """The smallest set of likeliest tokens with probability `top_p` together (1904.09751)."""
    ascending, order = scores_V.sort()
    dropped_mask = ascending.softmax(-1).cumsum(-1) <= 1.0 - top_p
    dropped_mask[-1] = False
    return scores_V.masked_fill(dropped_mask.scatter(0, order, dropped_mask), -math.inf)


def keep_min_p(scores_V: Tensor, min_p: float) -> Tensor:
    """Tokens with at least `min_p` times the likeliest one's probability (2407.01082)."""
    probs_V = scores_V.softmax(-1)
    return scores_V.masked_fill(probs_V < min_p * probs_V.max(), -math.inf)


def _not_finite() -> BackendError:
    return BackendError(
        "The model's logits are not finite numbers; its weights are damaged, or dtype='float32' "
        "is needed."
    )


def _as_tuple(key: str, given: object) -> tuple:
    if not isinstance(given, Iterable):
        raise ConfigError(f"GenerationConfig.{key} is {given!r} but must be a tuple.")
    return tuple(given)


def _check(key: str, value: object, is_right: bool, wanted: str) -> None:
    if not is_right:
        raise ConfigError(f"GenerationConfig.{key} is {value!r} but must be {wanted}.")


def _is_whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _is_within(
    value: object, low: float, high: float = math.inf, *, low_open: bool = False
) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return False
    return low < value <= high or (value == low and not low_open)
