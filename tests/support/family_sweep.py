"""Random small models of a family, built and saved by transformers, loaded here, compared.

A sweep is a function from a `Draw` to a transformers configuration. `compare` then checks, in
float32: prefill, prefill in pieces, 64 one-token steps (transformers' own cached steps are met as
well), packed rows of unequal lengths and steps after them, and what we write back.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from latentvlm.vlm.cache import Cache
from latentvlm.vlm.checkpoint import load_model, save_model
from latentvlm.vlm.language_model import LanguageModel

VOCABULARY = 96
STEPS = 64
TOLERANCE = 1e-4  # of the largest logit
MARGIN = 1e-4  # between the last expert taken and the first that is not


class Draw:
    """Choices of one seed; any options of one choice all come up in as many seeds in a row."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self._count = 0

    def one_of(self, *options: Any) -> Any:
        self._count += 1
        turn, place = divmod(self.seed, len(options))
        order = list(options)
        random.Random(f"{self._count} {turn}").shuffle(order)
        return order[place]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One family.

    Attributes:
        build: the transformers class.
        config: a configuration from a draw.
        router: class of the routers, whose first output are logits `(tokens, experts)`.
        scores: what a router ranks, from itself and its logits.
        prepare: a change to the oracle where it departs from the specification.
    """

    build: type[PreTrainedModel]
    config: Callable[[Draw], PreTrainedConfig]
    router: type[nn.Module] | None = None
    scores: Callable[[Any, Tensor], list[tuple[Tensor, int]]] = field(
        default=lambda router, logits: [(logits.softmax(-1), router.top_k)]
    )
    prepare: Callable[[PreTrainedModel], None] = field(default=lambda model: None)


class Margins:
    """The smallest gap between a chosen and an unchosen expert that the oracle has seen."""

    def __init__(self, model: PreTrainedModel, sweep: Sweep) -> None:
        self.smallest = float("inf")
        self._scores = sweep.scores
        for module in model.modules():
            if sweep.router is not None and isinstance(module, sweep.router):
                module.register_forward_hook(self._look)

    def _look(self, router: nn.Module, _, output) -> None:
        for scores, picks in self._scores(router, output[0].float()):
            if picks < scores.shape[-1]:
                ranked = scores.sort(descending=True).values
                gap = float((ranked[:, picks - 1] - ranked[:, picks]).min())
                self.smallest = min(self.smallest, gap)


class Oracle:
    """A random transformers model whose every tensor matters to the logits."""

    def __init__(self, sweep: Sweep, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = sweep.build(sweep.config(Draw(seed))).eval().float()
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                randomise(name, value)
        sweep.prepare(self.model)
        self.margins = Margins(self.model, sweep)
        self._tokens = torch.Generator().manual_seed(seed)

    def text(self, count: int) -> tuple[Tensor, Tensor]:
        """Token ids `(count,)` on which no router is almost undecided, and their logits."""
        for _ in range(40):
            ids = torch.randint(0, VOCABULARY, (count,), generator=self._tokens)
            self.margins.smallest = float("inf")
            logits = self.model(ids[None], use_cache=False).logits[0]
            if self.margins.smallest > MARGIN:
                return ids, logits
        raise AssertionError("on 40 texts some router was almost undecided; choose another seed")

    def cached(self, ids: Tensor, prompt: int, count: int) -> Tensor:
        """The logits of `count` tokens after the prompt, by its own one-token steps."""
        past = self.model(ids[None, :prompt], use_cache=True).past_key_values
        steps = []
        for t in range(prompt, prompt + count):
            out = self.model(
                ids[None, t : t + 1],
                past_key_values=past,
                position_ids=torch.tensor([[t]]),
                use_cache=True,
            )
            steps.append(out.logits[0])
        return torch.cat(steps)


def randomise(name: str, value: Tensor) -> None:
    if name.endswith(("A_log", "dt_bias", "dt_proj.bias")):
        value.uniform_(-2.0, 1.0)
    elif name.endswith("e_score_correction_bias"):
        value.normal_(std=0.05)
    elif value.dim() < 2:
        value.add_(torch.randn_like(value) * 0.2)
    elif name.endswith("conv1d.weight"):
        value.normal_(std=0.4)
    else:
        wide = 1.7 if name.endswith(("gate.weight", "router.weight")) else 0.7
        value.normal_(std=wide * value.shape[-1] ** -0.5)


def forward(ours: LanguageModel, ids: Tensor, cache: Cache | None = None, **row) -> Tensor:
    return ours.logits(ours(ours.embed(ids), cache=cache, **row))


def assert_close(ours: Tensor, theirs: Tensor, what: str) -> None:
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    assert error < TOLERANCE, f"{what}: {error:.2g} of the largest logit"


@torch.inference_mode()
def compare(sweep: Sweep, seed: int, folder: Path, *, their_steps: int = STEPS) -> None:
    """Raises an AssertionError that says what differs.

    Args:
        folder: for checkpoints.
        their_steps: how many of the 64 steps are also compared with transformers' cached ones,
            most of what this takes; the others are compared with its prefill.
    """
    oracle = Oracle(sweep, seed)
    oracle.model.save_pretrained(folder / "theirs")
    ours = load_model(folder / "theirs", strict_config=True)
    assert isinstance(ours, LanguageModel)
    draw = random.Random(seed)
    _compare_one_text(oracle, ours, draw, their_steps)
    _compare_packed(oracle, ours, draw)
    _compare_written(oracle, ours, folder / "ours")


def _compare_one_text(
    oracle: Oracle, ours: LanguageModel, draw: random.Random, their_steps: int
) -> None:
    pieces = [draw.choice([1, 3, 16, 30]) for _ in range(3)]
    prompt = sum(pieces)
    ids, expected = oracle.text(prompt + STEPS)
    assert_close(forward(ours, ids), expected, "prefill")
    cache = Cache.allocate(ours.config, 1, capacity=4)
    parts = [forward(ours, part, cache) for part in ids[:prompt].split(pieces)]
    assert_close(torch.cat(parts), expected[:prompt], f"prefill in pieces of {pieces}")
    steps = torch.cat([forward(ours, one, cache) for one in ids[prompt:].split(1)])
    assert_close(steps, expected[prompt:], "64 steps against prefill")
    theirs = oracle.cached(ids, prompt, their_steps)
    assert_close(steps[:their_steps], theirs, f"{their_steps} steps against theirs")
    assert cache.lengths == [prompt + STEPS]


def _compare_packed(oracle: Oracle, ours: LanguageModel, draw: random.Random) -> None:
    """One packed row against one call of the oracle for each prompt; then the batch goes on."""
    lengths, steps = [draw.choice([1, 2, 9, 17, 33]) for _ in range(4)], 3
    texts = [oracle.text(length + steps) for length in lengths]
    bounds = [0]
    for length in lengths:
        bounds.append(bounds[-1] + length)
    cu_seqlens = torch.tensor(bounds, dtype=torch.int32)
    row = torch.cat([ids[:n] for (ids, _), n in zip(texts, lengths, strict=True)])
    wanted = torch.cat([logits[:n] for (_, logits), n in zip(texts, lengths, strict=True)])
    assert_close(forward(ours, row, cu_seqlens=cu_seqlens), wanted, f"packed {lengths}")
    cache = Cache.allocate(ours.config, len(lengths), capacity=8)
    cached = forward(ours, row, cache, cu_seqlens=cu_seqlens)
    assert_close(cached, wanted, f"packed {lengths} into a cache")
    _assert_alone(ours, row, bounds)
    each = torch.arange(len(lengths) + 1, dtype=torch.int32)
    for step in range(steps):
        ids = torch.stack([ids[n + step] for (ids, _), n in zip(texts, lengths, strict=True)])
        wanted = torch.stack([made[n + step] for (_, made), n in zip(texts, lengths, strict=True)])
        assert_close(forward(ours, ids, cache, cu_seqlens=each), wanted, f"step {step} of a batch")


def _assert_alone(ours: LanguageModel, row: Tensor, bounds: list[int]) -> None:
    """Another second text moves its own logits and no other's."""
    start, stop = bounds[1:3]
    cu_seqlens = torch.tensor(bounds, dtype=torch.int32)
    before = forward(ours, row, cu_seqlens=cu_seqlens)
    changed = row.clone()
    changed[start:stop] = (row[start:stop] + 1) % VOCABULARY
    after = forward(ours, changed, cu_seqlens=cu_seqlens)
    moved = (after - before).abs().amax(-1) / before.abs().max()
    # not zero: products of other numbers of rows may round otherwise
    assert moved[:start].amax() < 1e-5 and moved[stop:].amax() < 1e-5, "a neighbour was seen"
    assert moved[start:stop].amin() > 1e-3


def _compare_written(oracle: Oracle, ours: LanguageModel, folder: Path) -> None:
    save_model(ours, folder)
    again, loading = type(oracle.model).from_pretrained(folder, output_loading_info=True)
    problems = {kind: sorted(names) for kind, names in loading.items() if names}
    assert not problems, f"transformers complains of what we wrote: {problems}"
    before, after = oracle.model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    differing = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert not differing, f"written otherwise than read: {differing}"
    ids = torch.arange(20)[None]
    wanted = oracle.model(ids, use_cache=False).logits
    assert_close(again.eval()(ids, use_cache=False).logits, wanted, "what transformers opens")
